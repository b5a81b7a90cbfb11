//! The table of mistakes: for each text, every problem as its caret line and its message.
//!
//! A dash marks the place that explains the problem, such as the first of two declarations.

use super::check_problems;

#[test]
fn mistakes_are_reported_where_they_are() {
    for (text, expected) in MISTAKES {
        check_problems(text, expected);
    }
}

type Mistake = (&'static str, &'static [&'static str]);

// Carets stand under the text that they mean; line breaks would hide that.
#[rustfmt::skip]
const MISTAKES: &[Mistake] = &[
    (
        "class A { uint8 p ? };", &[
        "                 ^ expected `;`, found `}`",
        "                  ^ unexpected character '?'",
    ]),
    (
        "/* never closed", &[
        "^^ this comment has no end",
    ]),
    (
        r#"class A { string s = "open; };"#, &[
        r#"                     ^^^^^^^^^ this string has no closing quote"#,
    ]),
    (
        r#"class A { string s = "a\q"; };"#, &[
        r#"                       ^^ unknown escape sequence"#,
    ]),
    (
        "class A { char16 c = 'xy'; };", &[
        "                     ^^^^ a character literal holds one character",
    ]),
    (
        "class A { uint8 p = 12x; };", &[
        "                    ^^^ malformed number",
    ]),
    (
        "class A { uint64 p = 99999999999999999999999999999999999999999; };", &[
        "                     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ number too large for every type",
    ]),
    (
        "clas A {};", &[
        "^^^^ expected a declaration of a class, qualifier or instance, found `clas`",
    ]),
    (
        "class A { uint8 p }; class B { uint8 };", &[
        "                 ^ expected `;`, found `}`",
        "                                     ^ expected a name, found `}`",
    ]),
    (
        "class A { uint8 p[0]; };", &[
        "                  ^ an array size is a number from 1 to 4294967295",
    ]),
    (
        "Qualifier Q : string, Scope(any), Flavor(ToSubclass, Restricted);", &[
        "                                                     ^^^^^^^^^^ this flavor contradicts an earlier one",
    ]),
    (
        "Qualifier Q : string, Scope(everything);", &[
        "                            ^^^^^^^^^^ expected a scope such as `class` or `any`, found `everything`",
    ]),
    (
        r#"#pragma include ("missing.mof")"#, &[
        r#"                 ^^^^^^^^^^^^^ cannot include this file: there is no such file"#,
    ]),
    (
        r#"#pragma include ("../up.mof")"#, &[
        r#"                 ^^^^^^^^^^^ cannot include this file: it lies outside"#,
    ]),
    (
        r#"#pragma include ("self.mof")"#, &[
        r#"                 ^^^^^^^^^^ this file includes itself"#,
    ]),
    (
        "class A {}; class a {};", &[
        "      -           ^ class a is declared twice",
    ]),
    (
        "Qualifier Key : boolean, Scope(property);", &[
        "          ^^^ qualifier Key is declared twice",
    ]),
    (
        r#"[Description("a"), description("b")] class A {};"#, &[
        r#" -----------       ^^^^^^^^^^^ qualifier description is given twice"#,
    ]),
    (
        "class A { uint8 p; string P; };", &[
        "                -         ^ property P is declared twice",
    ]),
    (
        "class A { uint8 m(uint8 x, uint8 X); uint8 m(); };", &[
        "                        -        ^ parameter X is declared twice",
        "                - first declared here      ^ method m is declared twice",
    ]),
    (
        "class A : B {};", &[
        "          ^ superclass B is not declared",
    ]),
    (
        "class A : B {}; class B : A {};", &[
        "                          ^ this class is its own superclass",
    ]),
    (
        "class A { [Nonsense] uint8 p; };", &[
        "           ^^^^^^^^ qualifier Nonsense is not declared",
    ]),
    (
        "[Key] class A {};", &[
        " ^^^ qualifier Key may not stand on a class",
    ]),
    (
        r#"class A { [Key] uint8 p; }; class B : A { [Key(false), Override("p")] uint8 p; };"#, &[
        r#"                                           ^^^ qualifier Key may not change its inherited value"#,
    ]),
    (
        "class A { uint8 m(B REF b); B REF r; };", &[
        "                  ^ class B is not declared",
        "                            ^ class B is not declared",
    ]),
    (
        r#"class A { [EmbeddedInstance("B")] string b; };"#, &[
        r#"                            ^^^ class B is not declared"#,
    ]),
    (
        r#"class A { [EmbeddedInstance("A")] uint8 b; };"#, &[
        r#"           ^^^^^^^^^^^^^^^^ only strings embed instances"#,
    ]),
    (
        r#"class A { uint8 p = "1"; uint8 q = {1}; uint8 r[] = 1; boolean s = 1; };"#, &[
        r#"                    ^^^ expected a value of type uint8, found a string"#,
        r#"                                   ^^^ expected a value of type uint8, found an array"#,
        r#"                                                    ^ expected an array of uint8, found an integer"#,
        r#"                                                                   ^ expected a value of type boolean, found an integer"#,
    ]),
    (
        r#"class A { [MaxLen("5")] string p; [Values("x")] string q; };"#, &[
        r#"                  ^^^ expected a value of type uint32, found a string"#,
        r#"                                          ^^^ expected an array of string, found a string"#,
    ]),
    (
        "class A { uint8 p = 256; sint8 q = -129; };", &[
        "                    ^^^ 256 is out of the range of uint8",
        "                                   ^^^^ -129 is out of the range of sint8",
    ]),
    (
        r#"class A { datetime d = "today"; };"#, &[
        r#"                       ^^^^^^^ "today" is no datetime"#,
    ]),
    (
        "class A { uint8 p[2] = {1, 2, 3}; };", &[
        "                       ^^^^^^^^^ more than the 2 elements of this array",
    ]),
    (
        "class A { uint8 p; uint8 m(); }; class B : A { uint8 p; uint8 m(); };", &[
        "                                                     ^ p hides an element of A without Override",
        "                                                              ^ m hides an element of A without Override",
    ]),
    (
        r#"class A { [Override("p")] uint8 p; };"#, &[
        r#"                                ^ no superclass has an element p"#,
    ]),
    (
        r#"class A { uint8 p; }; class B : A { [Override("q")] uint8 p; };"#, &[
        r#"                                                          ^ an override keeps the name, here p"#,
    ]),
    (
        r#"class A { uint8 p; uint8 m(uint8 x); }; class B : A { [Override("p")] uint16 p; [Override("m")] uint8 m(string x); };"#, &[
        r#"                                                                             ^ p has another type than what it overrides"#,
        r#"                                                                                                               ^ x has another type than what it overrides"#,
    ]),
    (
        r#"class A { A REF r; }; class B { }; class C : A { [Override("r")] B REF r; };"#, &[
        r#"                                                                       ^ r has another type than what it overrides"#,
    ]),
    (
        "class A { [Key] uint8 p; }; class B : A { [Key] uint8 q; };", &[
        "                                                      ^ q adds a key to those that the superclass has",
    ]),
    (
        "[Abstract] class A { uint8 p; }; instance of A { p = 1; };", &[
        "                                             ^ class A is abstract",
    ]),
    (
        "class A { uint8 p; }; instance of A { q = 1; p = 1; p = 2; };", &[
        "                                      ^ class A has no property q",
        "                                             -      ^ property p is declared twice",
    ]),
    (
        "class A { [Key] uint8 p; uint8 q; }; instance of A { q = 1; };", &[
        "                                     ^^^^^^^^^^^^^ the key p of class A has no value",
    ]),
    (
        "instance of A { q = 1; };", &[
        "            ^ class A is not declared",
    ]),
    (
        "class A { [Key] A REF r; }; instance of A { r = $x; };", &[
        "                                                ^^ alias $x is not defined",
    ]),
    (
        "class A { [Key] A REF r; }; instance of A as $x { r = $x; };", &[
        "                                                      ^^ the keys of $x depend on themselves",
    ]),
    (
        r#"class A { [Key] A REF r; }; instance of A { r = "no path"; };"#, &[
        r#"                                                ^^^^^^^^^ this text is no object path"#,
    ]),
    (
        "class A { [Key] uint8 p; }; instance of A as $x { p = 1; }; instance of A as $x { p = 2; };", &[
        "                                             -- first defined here           ^^ alias $x is defined twice",
    ]),
    (
        "class A { [Key] uint8 p; }; class B { [Key] A REF r; [Key] B REF s; }; instance of A as $a { p = 1; }; instance of B { r = $a; s = $a; };", &[
        "                                                                   ^^ expected a reference to B, found an instance of another class",
    ]),
];
