//! Holds the tree to what ARCHITECTURE.md says of it: which room may use which, what every file
//! begins with, how long it may be, and what must not stand in it.
//!
//! Each check has a test beside it that shows that it can fail.

#[path = "tidy/source.rs"]
mod source;

use std::fs;
use std::path::{Path, PathBuf};

use source::{code, tokens, ways_out};

/// The rooms and what each may use, as the table in ARCHITECTURE.md has it.
const ROOMS: &[(&str, &[&str])] = &[
    ("cim", &[]),
    ("mof", &["cim"]),
    ("schema", &["cim", "mof"]),
    ("cimxml", &["cim"]),
    ("identity", &[]),
    ("store", &[]),
    ("array", &["store", "identity"]),
    ("engine/sim", &["array"]),
    ("engine/linux", &["array"]),
    ("broker", &["cim", "schema", "identity"]),
    ("smis", &["broker", "array", "cim", "schema", "identity"]),
    ("http", &["cimxml", "broker", "cim", "schema", "identity"]),
];

/// Rooms that wire the others together.
const WIRING: &[&str] = &["config", "cli", "main", "lib"];

/// Rooms that neither speak to the system nor wait.
const PURE: &[&str] = &["cim", "mof", "cimxml", "query"];

/// What a pure room does not name.
const IMPURE: &[&[&str]] = &[&["tokio"], &["hyper"], &["std", "::", "fs"]];

/// What must not be left in the tree.
const UNFINISHED: &[&str] = &["TODO", "FIXME", "unimplemented!", "todo!"];

/// Lines of the longest file.
const LONGEST: usize = 700;

/// A file below `src/`.
struct File {
    /// Its path below `src/`.
    path: String,
    text: String,
}

impl File {
    /// The room that it lies in.
    fn room(&self) -> &str {
        let whole = self.path.trim_end_matches(".rs");
        let mut parts = whole.match_indices('/');
        let room = |cut: Option<(usize, &str)>| cut.map_or(whole, |(at, _)| &whole[..at]);
        match whole.starts_with("engine/") && whole != "engine/mod" {
            true => room(parts.nth(1)),
            false => room(parts.next()),
        }
    }

    /// How many modules lie between the root of its room and this one.
    fn depth(&self) -> usize {
        let whole = self.path.trim_end_matches(".rs").trim_end_matches("/mod");
        whole.matches('/').count() - self.room().matches('/').count()
    }
}

/// Every Rust file below `src/`.
fn files() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found.push(read(&root, &path));
            }
        }
    }
    assert!(found.len() > 50, "the sources are somewhere else");
    found
}

fn read(root: &Path, path: &PathBuf) -> File {
    let below = path.strip_prefix(root).expect("below the root");
    File {
        path: below.to_str().expect("a plain name").to_owned(),
        text: fs::read_to_string(path).expect("a readable source"),
    }
}

/// Fails with everything that a check says of the tree.
fn hold(check: fn(&File) -> Vec<String>) {
    let complaints: Vec<String> = files()
        .iter()
        .flat_map(|file| {
            let complaints = check(file).into_iter();
            complaints
                .map(|complaint| format!("src/{}{complaint}", file.path))
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

/// What a check says of a file that is not in the tree.
fn said(check: fn(&File) -> Vec<String>, path: &str, text: &str) -> usize {
    let file = File {
        path: path.to_owned(),
        text: text.to_owned(),
    };
    check(&file).len()
}

fn forbidden_doors(file: &File) -> Vec<String> {
    let room = file.room();
    if WIRING.contains(&room) {
        return Vec::new();
    }
    let allowed = ROOMS
        .iter()
        .find(|(name, _)| *name == room)
        .map(|(_, allowed)| *allowed);
    let Some(allowed) = allowed.or((room == "engine").then_some(&[])) else {
        return vec![format!(": the room {room} is not in the table")];
    };
    ways_out(&code(&file.text), file.depth())
        .into_iter()
        .filter(|(_, way)| way != room && !allowed.contains(&way.as_str()))
        .map(|(line, way)| format!(":{line}: {room} must not use {way}"))
        .collect()
}

#[test]
fn rooms_use_only_what_they_may() {
    hold(forbidden_doors);
}

#[test]
fn a_forbidden_door_is_found() {
    let check = forbidden_doors;
    assert_eq!(
        said(check, "array/plan/mod.rs", "use crate::store::Row;"),
        0
    );
    assert_eq!(
        said(check, "array/plan/mod.rs", "use crate::array::Kind;"),
        0
    );
    assert_eq!(said(check, "array/mod.rs", "use crate::cim::Name;"), 1);
    assert_eq!(
        said(check, "array/plan/mod.rs", "use super::super::super::cim;"),
        1
    );
    assert_eq!(
        said(check, "array/plan/view.rs", "use super::super::Kind;"),
        0
    );
    assert_eq!(
        said(check, "array/plan/view.rs", "use super::super::super::cim;"),
        1
    );
    assert_eq!(
        said(check, "engine/sim/mod.rs", "use crate::{array, store};"),
        1
    );
    assert_eq!(
        said(check, "engine/sim/mod.rs", "use super::linux::Settings;"),
        1
    );
    assert_eq!(
        said(
            check,
            "engine/sim/lvm.rs",
            "use crate::engine::linux::Settings;"
        ),
        1
    );
    assert_eq!(
        said(
            check,
            "engine/linux/lvm/shell.rs",
            "use crate::engine::linux::watch;"
        ),
        0
    );
    assert_eq!(
        said(check, "cim/name.rs", "fn f() { crate::http::serve() }"),
        1
    );
    assert_eq!(said(check, "cli/demo.rs", "use crate::http::Server;"), 0);
    assert_eq!(said(check, "attic/mod.rs", ""), 1);
}

fn undescribed(file: &File) -> Vec<String> {
    match file.text.starts_with("//! ") {
        true => Vec::new(),
        false => vec![": does not begin by saying what it is for (`//!`)".to_owned()],
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    hold(undescribed);
}

#[test]
fn a_file_that_says_nothing_is_found() {
    assert_eq!(said(undescribed, "cim/name.rs", "//! Names.\n"), 0);
    assert_eq!(said(undescribed, "cim/name.rs", "use x;\n//! Names.\n"), 1);
    assert_eq!(said(undescribed, "cim/name.rs", "// Names.\n"), 1);
}

fn too_long(file: &File) -> Vec<String> {
    match file.text.lines().count() {
        ..=LONGEST => Vec::new(),
        lines => vec![format!(": {lines} lines, {LONGEST} are the limit")],
    }
}

#[test]
fn no_file_is_too_long() {
    hold(too_long);
}

#[test]
fn a_file_that_is_too_long_is_found() {
    assert_eq!(said(too_long, "cim/name.rs", &"\n".repeat(LONGEST)), 0);
    assert_eq!(said(too_long, "cim/name.rs", &"\n".repeat(LONGEST + 1)), 1);
}

fn impure(file: &File) -> Vec<String> {
    if !PURE.contains(&file.room()) {
        return Vec::new();
    }
    let code = code(&file.text);
    let tokens = tokens(&code);
    let named = |words: &&&[&str]| {
        tokens
            .windows(words.len())
            .any(|window| window.iter().map(|(_, word)| word).eq(words.iter()))
    };
    let found = IMPURE.iter().filter(named);
    found
        .map(|words| format!(": names {}, but its room is pure", words.concat()))
        .collect()
}

#[test]
fn pure_rooms_stay_pure() {
    hold(impure);
}

#[test]
fn impurity_is_found() {
    assert_eq!(said(impure, "cim/name.rs", "use std::fmt; // std::fs"), 0);
    assert_eq!(said(impure, "cim/name.rs", "use std::fs;"), 1);
    assert_eq!(
        said(
            impure,
            "mof/lexer.rs",
            "fn f() { tokio::spawn(x); hyper::y() }"
        ),
        2
    );
    assert_eq!(said(impure, "http/mod.rs", "use hyper::Request;"), 0);
}

fn unfinished(file: &File) -> Vec<String> {
    let found = UNFINISHED.iter().filter(|word| file.text.contains(**word));
    found
        .map(|word| format!(": holds the word {word}"))
        .collect()
}

#[test]
fn nothing_is_left_unfinished() {
    hold(unfinished);
}

#[test]
fn unfinished_work_is_found() {
    assert_eq!(said(unfinished, "cim/name.rs", "// fixed"), 0);
    assert_eq!(said(unfinished, "cim/name.rs", "// TODO: later"), 1);
    assert_eq!(
        said(unfinished, "cim/name.rs", "fn f() { todo!() } // FIXME"),
        2
    );
}

/// What `build.rs` includes that the table does not give it.
fn smuggled(build: &str) -> Vec<&str> {
    build
        .lines()
        .filter_map(|line| line.trim().strip_prefix("#[path = \""))
        .filter_map(|rest| rest.split('"').next())
        .filter(|path| {
            !["src/cim/", "src/mof/", "build/"]
                .iter()
                .any(|room| path.starts_with(room))
        })
        .collect()
}

#[test]
fn the_build_includes_only_the_compiler() {
    let build = Path::new(env!("CARGO_MANIFEST_DIR")).join("build.rs");
    let build = fs::read_to_string(build).expect("a build script");
    assert!(
        build.contains("#[path = \"src/mof/"),
        "it includes the compiler by its path"
    );
    assert_eq!(smuggled(&build), [""; 0]);
    // What the build includes cannot use what the build makes.
    for file in files()
        .iter()
        .filter(|file| ["cim", "mof"].contains(&file.room()))
    {
        assert!(
            !code(&file.text).contains("include!"),
            "src/{} includes something",
            file.path
        );
    }
}

#[test]
fn a_smuggled_module_is_found() {
    assert_eq!(smuggled("#[path = \"src/cim/mod.rs\"]\nmod cim;"), [""; 0]);
    assert_eq!(
        smuggled("#[path = \"src/http/mod.rs\"]\nmod http;"),
        ["src/http/mod.rs"]
    );
}

/// The rooms below `src/` in a document's table, each with what it may use.
fn table(document: &str) -> Vec<(String, Vec<String>)> {
    let rows = document
        .lines()
        .filter(|line| line.starts_with("| `src/") && !line.contains("`, "));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let room = cells[0]
            .trim_matches('`')
            .trim_start_matches("src/")
            .trim_end_matches('/');
        let uses = cells.last().map_or("", |last| *last).split(", ");
        let uses = uses.filter(|used| !used.is_empty()).map(str::to_owned);
        (room.to_owned(), uses.collect())
    })
    .collect()
}

#[test]
fn the_document_has_the_same_table() {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md");
    let document = fs::read_to_string(document).expect("a document");
    let own = ROOMS.iter().map(|(room, uses)| {
        let uses: Vec<String> = uses.iter().map(|used| (*used).to_owned()).collect();
        ((*room).to_owned(), uses)
    });
    assert_eq!(table(&document), own.collect::<Vec<_>>());
}

#[test]
fn another_table_is_seen() {
    let row = "| `src/array/` | the domain | store, identity |\n| `src/cim/` | names | |";
    let read = table(row);
    assert_eq!(
        read[0],
        ("array".into(), vec!["store".into(), "identity".into()])
    );
    assert_eq!(read[1], ("cim".into(), vec![]));
}
