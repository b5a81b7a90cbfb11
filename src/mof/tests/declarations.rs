//! The table of texts without mistakes: what each of them declares.

use std::fmt::Write;

use super::compiled;
use crate::cim::{Class, Parameter, PropertyDeclaration, Qualifier, Value};

/// Asserts what `text` declares beyond the qualifiers of the table: classes, then instances.
fn check_declarations(text: &str, expected: &[&str]) {
    let compilation = compiled(text);
    assert_eq!(compilation.problems, [], "{text}");
    let mut declared: Vec<String> = compilation.classes.iter().map(class).collect();
    for instance in &compilation.instances {
        let mut line = String::new();
        if let Some(namespace) = &instance.namespace {
            write!(line, "{namespace}:").expect("a string");
        }
        write!(line, "{}", instance.path).expect("a string");
        for property in &instance.instance.properties {
            write!(
                line,
                " {}={}",
                property.name,
                value(property.value.as_ref())
            )
            .expect("a string");
        }
        declared.push(line);
    }
    assert_eq!(declared, expected, "{text}");
}

/// A class in one line. `~` marks what comes from a superclass, `@` what embeds.
fn class(class: &Class) -> String {
    let superclass = class
        .superclass
        .as_ref()
        .map_or(String::new(), |s| format!(" : {s}"));
    let mut line = format!(
        "{}{}{superclass} {{",
        qualifiers(&class.qualifiers),
        class.name
    );
    for p in &class.properties {
        write!(line, " {};", property(p)).expect("a string");
    }
    for method in &class.methods {
        let returns = method.returns.map_or("void", |ty| ty.as_str());
        let parameters: Vec<_> = method.parameters.iter().map(parameter).collect();
        let inherited = if method.propagated { "~" } else { "" };
        let parameters = parameters.join(", ");
        let qualifiers = qualifiers(&method.qualifiers);
        write!(
            line,
            " {qualifiers}{returns} {inherited}{}({parameters});",
            method.name
        )
        .expect("a string");
    }
    line + " }"
}

fn property(p: &PropertyDeclaration) -> String {
    let shape = shape(p.array, p.array_size);
    let ty = p
        .reference_class
        .as_ref()
        .map_or(p.ty.to_string(), |c| format!("{c} REF"));
    let default = match &p.default {
        Some(default) => format!(" = {}", value(Some(default))),
        None => String::new(),
    };
    let inherited = if p.propagated { "~" } else { "" };
    let embedded = if p.embedded.is_some() { "@" } else { "" };
    let qualifiers = qualifiers(&p.qualifiers);
    format!(
        "{qualifiers}{embedded}{ty} {inherited}{}{shape}{default}",
        p.name
    )
}

fn parameter(p: &Parameter) -> String {
    let direction = match (p.is_in(), p.is_out()) {
        (true, true) => "inout",
        (true, false) => "in",
        (false, true) => "out",
        (false, false) => "neither",
    };
    let ty = p
        .reference_class
        .as_ref()
        .map_or(p.ty.to_string(), |c| format!("{c} REF"));
    format!(
        "{direction} {ty} {}{}",
        p.name,
        shape(p.array, p.array_size)
    )
}

fn shape(array: bool, size: Option<u32>) -> String {
    match (array, size) {
        (false, _) => String::new(),
        (true, None) => "[]".into(),
        (true, Some(size)) => format!("[{size}]"),
    }
}

fn qualifiers(qualifiers: &[Qualifier]) -> String {
    if qualifiers.is_empty() {
        return String::new();
    }
    let listed: Vec<_> = qualifiers
        .iter()
        .map(|q| {
            let inherited = if q.propagated { "~" } else { "" };
            format!("{inherited}{}={}", q.name, value(q.value.as_ref()))
        })
        .collect();
    format!("[{}] ", listed.join(", "))
}

fn value(value: Option<&Value>) -> String {
    match value {
        None => "null".into(),
        Some(Value::Array(items)) => {
            let items: Vec<_> = items.iter().map(|i| self::value(i.as_ref())).collect();
            format!("{{{}}}", items.join(","))
        }
        Some(Value::Boolean(flag)) => flag.to_string(),
        Some(Value::String(text)) => format!("{:?}", text.as_str()),
        Some(Value::Real32(real)) => format!("{real:?}"),
        Some(Value::Real64(real)) => format!("{real:?}"),
        Some(Value::Char16(unit)) => format!("{:?}", char::from_u32((*unit).into())),
        Some(Value::DateTime(time)) => time.to_string(),
        Some(Value::Reference(path)) => format!("<{path}>"),
        Some(other) => other.as_integer().expect("an integer").to_string(),
    }
}

#[test]
fn texts_declare_what_they_say() {
    for (text, expected) in DECLARATIONS {
        check_declarations(text, expected);
    }
}

type Declared = (&'static str, &'static [&'static str]);

#[rustfmt::skip]
const DECLARATIONS: &[Declared] = &[
    // Keywords in any case; comments of both kinds; names keep their spelling.
    ("CLASS a_B /* x */ { // y\n UINT8 Pp = NULL; Boolean q = True; };",
     &["a_B { uint8 Pp; boolean q = true; }"]),
    // Numbers in four bases, with signs, to the ends of their ranges.
    ("class A { uint8 a = 0xfF; uint8 b = 101b; uint8 c = 017; sint8 d = -128; uint8 e = +7; uint8 z = 0;
      uint64 f = 18446744073709551615; sint64 g = -9223372036854775808; };",
     &["A { uint8 a = 255; uint8 b = 5; uint8 c = 15; sint8 d = -128; uint8 e = 7; uint8 z = 0; \
        uint64 f = 18446744073709551615; sint64 g = -9223372036854775808; }"]),
    ("class A { real32 a = 1.5; real64 b = -.5e+3; real64 c = 2; char16 d = 'x'; char16 e = '\\x41'; char16 f = '\\''; };",
     &["A { real32 a = 1.5; real64 b = -500.0; real64 c = 2.0; char16 d = Some('x'); char16 e = Some('A'); char16 f = Some('\\''); }"]),
    // Adjacent strings are one; every escape.
    ("class A { string a = \"x\" /* and */ \"y\"\n\"\"; string b = \"\\b\\t\\n\\f\\r\\\"\\'\\\\\\xE9z\\X41\"; };",
     &["A { string a = \"xy\"; string b = \"\\u{8}\\t\\n\\u{c}\\r\\\"'\\\\ézA\"; }"]),
    ("class A { datetime d = \"00000001000000.000000:000\"; uint8 a[2] = {1, null}; string s[] = {}; };",
     &["A { datetime d = 00000001000000.000000:000; uint8 a[2] = {1,null}; string s[] = {}; }"]),
    // Qualifiers: implicit true, arrays, flavors; what is restricted stays behind.
    ("[Abstract, Description(\"a\")] class A { [Key, Description(\"k\"): restricted, Values{\"x\", \"y\"}] uint8 p; };
      class B : A { [Override(\"P\"), Description(\"q\")] uint8 P; };
      class C : B { };",
     &["[Abstract=true, Description=\"a\"] A { [Key=true, Description=\"k\", Values={\"x\",\"y\"}] uint8 p; }",
       "[~Description=\"a\"] B : A { [~Key=true, ~Values={\"x\",\"y\"}, Override=\"P\", Description=\"q\"] uint8 P; }",
       "[~Description=\"a\"] C : B { [~Key=true, ~Values={\"x\",\"y\"}, ~Description=\"q\"] uint8 ~P; }"]),
    // An override inherits what it does not say, the default value too, and keeps its place.
    ("class A { uint8 p = 5; uint8 q; }; class B : A { uint8 r; [Override(\"p\")] uint8 p; };",
     &["A { uint8 p = 5; uint8 q; }", "B : A { [Override=\"p\"] uint8 p = 5; uint8 ~q; uint8 r; }"]),
    // Superclasses may come later.
    ("class B : A { uint8 q; }; class A { uint8 p; };",
     &["A { uint8 p; }", "B : A { uint8 ~p; uint8 q; }"]),
    // Associations, references, references that narrow.
    ("class A { }; class B : A { };
      [Association] class R { [Key] A REF x; [Key] A REF y = null; };
      [Association] class S : R { [Override(\"x\")] B REF x; };",
     &["A { }", "B : A { }",
       "[Association=true] R { [Key=true] A REF x; [Key=true] A REF y; }",
       "[Association=true] S : R { [~Key=true, Override=\"x\"] B REF x; [~Key=true] A REF ~y; }"]),
    // Methods: directions, reference arrays, void; an override may add parameters.
    ("class A { uint32 m([In, Out] A REF a[], [In(false), Out] string s, uint8 n[3]); void v(); };
      class B : A { [Override(\"m\")] uint32 m([In, Out] A REF a[], [In(false), Out] string s, uint8 n[3], [Out] uint8 more); };",
     &["A { uint32 m(inout A REF a[], out string s, in uint8 n[3]); void v(); }",
       "B : A { [Override=\"m\"] uint32 m(inout A REF a[], out string s, in uint8 n[3], inout uint8 more); void ~v(); }"]),
    // What strings embed, inherited too.
    ("class A { [EmbeddedInstance(\"A\")] string a; [EmbeddedObject] string b[]; }; class B : A { [Override(\"a\")] string a; };",
     &["A { [EmbeddedInstance=\"A\"] @string a; [EmbeddedObject=true] @string b[]; }",
       "B : A { [~EmbeddedInstance=\"A\", Override=\"a\"] @string a; [~EmbeddedObject=true] @string ~b[]; }"]),
    // Class aliases are read; pragmas that mean nothing here are too.
    ("#pragma locale (\"en_US\")\n#pragma whatever (\"x\")\nclass A as $A { };", &["A { }"]),
    // Instances: defaults, aliases in both directions, namespaces, references as text.
    ("class A { [Key] uint8 k; string s = \"d\"; };
      [Association] class R { [Key] A REF x; [Key] A REF y; };
      instance of R { x = $one; y = \"A.k=2\"; };
      #pragma namespace (\"/root/x/\")
      instance of a as $one { K = 1; };",
     &["A { [Key=true] uint8 k; string s = \"d\"; }",
       "[Association=true] R { [Key=true] A REF x; [Key=true] A REF y; }",
       "R.x=\"A.k=1\",y=\"A.k=2\" x=<A.k=1> y=<A.k=2>",
       "root/x:A.k=1 k=1 s=\"d\""]),
];

#[test]
fn qualifier_declarations_carry_scopes_and_flavors() {
    let text = "Qualifier Q : sint8[4] = {1, 2}, Scope(class, PROPERTY), \
                Flavor(EnableOverride, Restricted, Translatable);\n\
                Qualifier R : string, Scope(any);";
    let compilation = compiled(text);
    assert_eq!(compilation.problems, []);
    let [q, r] = &compilation.qualifiers[compilation.qualifiers.len() - 2..] else {
        panic!("two declarations");
    };
    assert_eq!((q.array, q.array_size), (true, Some(4)));
    assert_eq!(value(q.value.as_ref()), "{1,2}");
    let scopes: Vec<_> = q
        .scopes
        .iter()
        .map(|&s| super::super::scope_name(s))
        .collect();
    assert_eq!(scopes, ["class", "property"]);
    assert!(q.flavor.overridable && !q.flavor.to_subclass && q.flavor.translatable);
    assert_eq!(r.scopes.len(), 7);
    assert!(r.flavor.overridable && r.flavor.to_subclass && !r.flavor.translatable);
}

#[test]
fn declarations_around_a_mistake_are_kept() {
    let text = "class A { uint8 p; };\nclass B { uint8 p; nonsense q; uint8 r; };\n\
                class C { uint8 p;\nclass D { uint8 p; };\n[Key(] class E { };\nclass F { };";
    let compilation = compiled(text);
    let declared: Vec<_> = compilation.classes.iter().map(class).collect();
    let expected = [
        "A { uint8 p; }",
        "B { uint8 p; uint8 r; }",
        "D { uint8 p; }",
        "F { }",
    ];
    assert_eq!(declared, expected);
    assert_eq!(compilation.problems.len(), 3, "{:?}", compilation.problems);
}
