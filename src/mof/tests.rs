//! What the compiler accepts, and what it says about what it does not.

mod declarations;
mod mistakes;

use super::{Compilation, Problem, compile, render};

/// The qualifier declarations that the cases use.
const QUALIFIERS: &str = "
Qualifier Abstract : boolean = false, Scope(class, association, indication), Flavor(Restricted);
Qualifier Association : boolean = false, Scope(association), Flavor(DisableOverride);
Qualifier Indication : boolean = false, Scope(class, indication), Flavor(DisableOverride);
Qualifier Description : string = null, Scope(any), Flavor(Translatable);
Qualifier EmbeddedInstance : string, Scope(property, method, parameter);
Qualifier EmbeddedObject : boolean = false, Scope(property, parameter), Flavor(DisableOverride);
Qualifier In : boolean = true, Scope(parameter), Flavor(DisableOverride);
Qualifier Key : boolean = false, Scope(property, reference), Flavor(DisableOverride);
Qualifier MaxLen : uint32, Scope(property, method, parameter);
Qualifier Out : boolean = false, Scope(parameter), Flavor(DisableOverride);
Qualifier Override : string, Scope(property, reference, method), Flavor(Restricted);
Qualifier Values : string[], Scope(property, method, parameter), Flavor(Translatable);
";

/// Compiles a text that includes [`QUALIFIERS`] in a line above it.
fn compiled(text: &str) -> Compilation {
    compile("t.mof", &mut |name: &str| match name {
        "t.mof" => Ok(format!("#pragma include (\"q.mof\")\n{text}")),
        "q.mof" => Ok(QUALIFIERS.into()),
        "self.mof" => Ok("#pragma include (\"self.mof\")".into()),
        _ => Err("there is no such file".into()),
    })
}

/// Asserts what is said about `text`: for each problem its caret line and its message.
fn check_problems(text: &str, expected: &[&str]) {
    let compilation = compiled(text);
    let said: Vec<String> = compilation
        .problems
        .iter()
        .map(|problem| {
            let shown = render(problem, &compilation.sources);
            let message = problem.problem.to_string();
            assert!(shown.starts_with(&format!("error: {message}\n")), "{shown}");
            let mut lines = shown.lines().filter_map(|line| line.split_once(" | "));
            let carets = lines.find(|(_, line)| line.contains('^'));
            let carets = carets.map_or("", |(_, line)| line);
            let end = carets.rfind('^').map_or(0, |last| last + 1);
            format!("{} {message}", &carets[..end])
        })
        .collect();
    assert_eq!(said, expected, "{text}");
}

/// What problems a top file and a loader for everything else lead to.
fn problems(top: &str, mut load: impl FnMut(&str) -> String) -> Vec<Problem> {
    let compilation = compile("top.mof", &mut |name: &str| {
        Ok(match name {
            "top.mof" => top.to_owned(),
            other => load(other),
        })
    });
    compilation
        .problems
        .into_iter()
        .map(|p| p.problem)
        .collect()
}

#[test]
fn the_place_of_a_problem_is_its_file_line_and_column() {
    let compilation = compile("dir/top.mof", &mut |name: &str| match name {
        "dir/top.mof" => Ok("#pragma include (\"../other/b.mof\")".into()),
        "other/b.mof" => Ok("/* é\n */ class A { /*é*/ nonsense p; };".into()),
        name => Err(name.into()),
    });
    let problem = &compilation.problems[0];
    assert_eq!(compilation.sources.name(problem.span), "other/b.mof");
    let position = compilation.sources.position(problem.span);
    assert_eq!((position.line, position.column), (2, 21));
    assert!(render(problem, &compilation.sources).contains("other/b.mof:2:21"));
}

#[test]
fn a_missing_top_file_is_a_problem() {
    let compilation = compile("top.mof", &mut |_: &str| Err("gone".into()));
    let problem = Problem::CannotInclude("gone".into());
    assert_eq!(compilation.problems[0].problem, problem);
    let shown = render(&compilation.problems[0], &compilation.sources);
    assert!(shown.contains("top.mof"), "{shown}");
}

#[test]
fn budgets_end_in_one_clear_problem() {
    let mut depth = 0;
    let deep = problems("#pragma include (\"0.mof\")", |_| {
        depth += 1;
        format!("#pragma include (\"{depth}.mof\")")
    });
    assert_eq!(deep, [Problem::IncludeTooDeep]);

    let wide: String = (0..3000)
        .map(|n| format!("#pragma include (\"{n}.mof\")\n"))
        .collect();
    assert_eq!(problems(&wide, |_| String::new())[0], Problem::TooManyFiles);

    let large = problems("#pragma include (\"l.mof\")", |_| " ".repeat(9 << 20));
    assert_eq!(large, [Problem::FileTooLarge]);

    let mistakes = "class A { wrong p; };\n".repeat(500);
    let many = problems(&mistakes, |_| String::new());
    assert_eq!(many.len(), 101);
    assert_eq!(many.last(), Some(&Problem::TooManyProblems));

    let up = |n: usize| format!("class C{n} : C{} {{}};\n", n.wrapping_sub(1));
    for tower in [
        (1..=65).map(up).collect::<String>(),
        (1..=65).rev().map(up).collect(),
    ] {
        let tall = problems(&format!("class C0 {{}};\n{tower}"), |_| String::new());
        assert_eq!(tall, [Problem::SuperclassesTooDeep]);
    }
}

proptest::proptest! {
    /// Whatever the text, the compiler ends, and every place it names can be shown.
    #[test]
    fn no_text_makes_the_compiler_panic(pieces in proptest::collection::vec(piece(), 0..60)) {
        let compilation = compiled(&pieces.concat());
        for problem in &compilation.problems {
            render(problem, &compilation.sources);
        }
    }
}

/// Pieces of MOF that fit together often enough to get far.
fn piece() -> impl proptest::strategy::Strategy<Value = String> {
    const WORDS: &[&str] = &[
        "class A : B {",
        "class B {",
        "};",
        "}",
        ";",
        "{",
        "[Key]",
        "[",
        "]",
        "(",
        ")",
        ",",
        "=",
        "uint8 ",
        "string ",
        "A REF ",
        "p",
        "q[2]",
        "m(",
        "\"text\"",
        "\"",
        "'",
        "'c'",
        "\\",
        "1",
        "-0x8f",
        "9b",
        "1.5e3",
        "null",
        "true",
        "$x",
        " as ",
        "instance of A ",
        "Qualifier ",
        ":",
        "Scope(any)",
        "Flavor(",
        "#pragma ",
        "include",
        "\n",
        "/*",
        "*/",
        "//",
        "é",
        "𝄞",
        "[Override(\"p\")]",
        "p = 1;",
        "uint8 p;",
    ];
    use proptest::strategy::Strategy;
    proptest::prop_oneof![
        20 => proptest::sample::select(WORDS).prop_map(str::to_owned),
        1 => proptest::string::string_regex(".{0,3}").expect("a valid pattern"),
    ]
}
