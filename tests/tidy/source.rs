//! A Rust file as far as tidiness needs it: its words without comments and literals, and the paths
//! that lead out of its room.

/// The source without comments, strings and characters; lines stay where they are.
pub(crate) fn code(source: &str) -> String {
    let bytes = source.as_bytes();
    let mut kept = String::with_capacity(source.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_end(bytes, at);
        let piece = source.get(at..end).unwrap_or_default();
        if end - at > 1 {
            kept.push(' ');
            kept.extend(piece.chars().filter(|c| *c == '\n'));
        } else {
            // Anything but ASCII stands in comments and literals only, or in names that say nothing.
            kept.push(if bytes[at].is_ascii() {
                char::from(bytes[at])
            } else {
                '_'
            });
        }
        at = end;
    }
    kept
}

/// Where the comment or literal ends that begins here; the next byte if none does.
fn literal_end(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    let begins_word = at == 0 || !is_word(bytes[at - 1]);
    let find = |from: usize, what: &[u8]| {
        let found = rest[from..]
            .windows(what.len())
            .position(|window| window == what);
        found.map_or(bytes.len(), |found| at + from + found + what.len())
    };
    match rest {
        [b'/', b'/', ..] => find(2, b"\n").saturating_sub(1).max(at + 2),
        [b'/', b'*', ..] => find(2, b"*/"),
        [b'"', ..] => at + quoted(rest, b'"'),
        [b'r', b'"', ..] if begins_word => find(2, b"\""),
        [b'r', b'#', ..] | [b'b', b'r', b'#' | b'"', ..] if begins_word => raw(rest, at, &find),
        [b'\'', b'\\', ..] => at + quoted(rest, b'\''),
        [b'\'', ..] => {
            // 'x' is a character, 'name a lifetime or a label.
            let close = rest.iter().skip(2).take(4).position(|b| *b == b'\'');
            let word = rest.get(1).is_some_and(|b| is_word(*b));
            match close {
                Some(close) if close == 0 || !word => at + close + 3,
                _ => at + 1,
            }
        }
        _ => at + 1,
    }
}

/// The end of a raw string `r#"…"#`; a raw name `r#type` is none.
fn raw(rest: &[u8], at: usize, find: &dyn Fn(usize, &[u8]) -> usize) -> usize {
    let start = rest.iter().position(|b| *b == b'r').unwrap_or(0) + 1;
    let hashes = rest[start..].iter().take_while(|b| **b == b'#').count();
    if rest.get(start + hashes) != Some(&b'"') {
        return at + 1;
    }
    let close: Vec<u8> = [b'"'].into_iter().chain(vec![b'#'; hashes]).collect();
    find(start + hashes + 1, &close)
}

/// The length of a quoted text with escapes.
fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The words and signs of code, with the number of their line.
pub(crate) fn tokens(code: &str) -> Vec<(usize, &str)> {
    let mut tokens = Vec::new();
    for (number, line) in (1..).zip(code.lines()) {
        let mut rest = line.trim_start();
        while let Some(first) = rest.bytes().next() {
            let length = match first {
                b if is_word(b) => rest.bytes().take_while(|b| is_word(*b)).count(),
                b':' if rest.starts_with("::") => 2,
                _ => 1,
            };
            let (token, after) = rest.split_at(length);
            tokens.push((number, token));
            rest = after.trim_start();
        }
    }
    tokens
}

/// The rooms and other modules that `crate::` paths of this code begin with, by line; groups are
/// looked into. `depth` says how far the file lies below the root of its room; a path that climbs
/// out of the room with `super::` is given as `super`.
pub(crate) fn ways_out(code: &str, depth: usize) -> Vec<(usize, String)> {
    let tokens = tokens(code);
    let word = |at: usize| tokens.get(at).map_or("", |(_, token)| *token);
    let mut found = Vec::new();
    // Whether each open brace is that of a module.
    let mut braces: Vec<bool> = Vec::new();
    for (at, (line, token)) in tokens.iter().enumerate() {
        match *token {
            "{" => braces.push(at >= 2 && word(at - 2) == "mod"),
            "}" => drop(braces.pop()),
            "crate" if word(at + 1) == "::" => {
                let modules = match word(at + 2) {
                    "{" => heads_of_group(&tokens[at + 2..]),
                    module => vec![module],
                };
                let named = modules.into_iter().filter(|module| !module.is_empty());
                found.extend(named.map(|module| (*line, path_head(&tokens[at + 2..], module))));
            }
            "super" if at == 0 || word(at - 1) != "::" => {
                let climbs = (at..)
                    .step_by(2)
                    .take_while(|at| word(*at) == "super")
                    .count();
                let inner = braces.iter().filter(|module| **module).count();
                if climbs > depth + inner {
                    found.push((*line, "super".to_owned()));
                }
            }
            _ => {}
        }
    }
    found
}

/// The first name of a path, with the second where the first holds several rooms.
fn path_head(path: &[(usize, &str)], module: &str) -> String {
    match path.get(..3) {
        Some([(_, "engine"), (_, "::"), (_, kind)]) => format!("engine/{kind}"),
        _ => module.to_owned(),
    }
}

/// The first names in `{a::b, c::{d, e}}`.
fn heads_of_group<'a>(group: &[(usize, &'a str)]) -> Vec<&'a str> {
    let (mut depth, mut heads, mut expected) = (0usize, Vec::new(), false);
    for (_, token) in group {
        match *token {
            "{" => {
                depth += 1;
                expected = depth == 1;
            }
            "}" => {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            }
            "," => expected = depth == 1,
            head if expected => {
                heads.push(head);
                expected = false;
            }
            _ => {}
        }
    }
    heads
}

#[test]
fn comments_and_literals_are_no_code() {
    let source =
        "a // crate::x\n/* crate::y\n */ \"crate::\\\" z\" r#\"crate::\"w\"# 'c' '\\'' b\n";
    let code = code(source);
    assert_eq!(tokens(&code), [(1, "a"), (3, "b")], "{code:?}");
    assert_eq!(tokens("fn f<'a>(x: &'a str)").len(), 14);
    assert!(super::source::code("fn f<'a>() { crate::x }").contains("crate::x"));
    assert!(super::source::code("let r#type = 1; crate::x").contains("crate::x"));
}

#[test]
fn paths_out_of_a_room_are_found() {
    let found = |code: &str, depth| -> Vec<String> {
        ways_out(code, depth)
            .into_iter()
            .map(|(_, way)| way)
            .collect()
    };
    assert_eq!(found("use crate::array::Error;", 0), ["array"]);
    assert_eq!(found("let x = crate::cim::Name::new();", 3), ["cim"]);
    assert_eq!(
        found("use crate::{array::{Error, Kind}, cim};", 0),
        ["array", "cim"]
    );
    assert_eq!(found("use crate::engine::sim::EXTENT;", 0), ["engine/sim"]);
    assert_eq!(found("use super::error::Error;", 1), [""; 0]);
    assert_eq!(found("use super::error::Error;", 0), ["super"]);
    assert_eq!(found("use super::super::x;", 1), ["super"]);
    assert_eq!(found("mod tests { use super::*; }", 0), [""; 0]);
    assert_eq!(
        found("mod tests { use super::super::x; } use super::y;", 0),
        ["super", "super"]
    );
    assert_eq!(
        found("pub(crate) fn f() {} pub(super) fn g() {}", 1),
        [""; 0]
    );
}
