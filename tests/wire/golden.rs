//! Recorded exchanges: what was asked and what was answered, one file each.
//!
//! A file holds the request, an empty line and the response, both with an element per line and
//! with placeholders for what differs from run to run.

use std::path::Path;

use super::client::{Answer, Client};
use super::xml::Call;

/// Set to `write`, exchanges are recorded instead of compared.
const MODE: &str = "STANDPIPE_GOLDEN";

/// Compares exchanges with the recorded ones; tells all that differ when it is dropped.
#[derive(Default)]
pub struct Golden {
    differing: Vec<String>,
}

impl Golden {
    /// Makes a call and compares the exchange with `golden/<name>.xml`.
    pub fn call(&mut self, name: &str, client: &mut Client, call: &Call) -> Answer {
        let answer = client.call(call);
        let exchange = format!("{}\n\n{}\n", call.body, answer.body).replace("><", ">\n<");
        let exchange = placeholders(&exchange);
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire/golden");
        let file = file.join(format!("{name}.xml"));
        if std::env::var_os(MODE).is_some_and(|mode| mode == "write") {
            std::fs::write(&file, &exchange).expect("recorded");
        }
        let recorded = std::fs::read_to_string(&file).unwrap_or_default();
        if recorded != exchange {
            let (recorded, now) = (recorded.lines(), exchange.lines());
            let at = now.clone().zip(recorded.clone()).position(|(a, b)| a != b);
            let at = at.unwrap_or(recorded.clone().count().min(now.clone().count()));
            self.differing.push(format!(
                "{name}.xml:{}: recorded {:?}, now {:?}",
                at + 1,
                recorded.clone().nth(at).unwrap_or("nothing"),
                now.clone().nth(at).unwrap_or("nothing"),
            ));
        }
        answer
    }
}

impl Drop for Golden {
    fn drop(&mut self) {
        if !self.differing.is_empty() && !std::thread::panicking() {
            panic!("exchanges differ:\n{}", self.differing.join("\n"));
        }
    }
}

/// Replaces what differs from run to run: hosts, times, ports, and identities made at random, which
/// are numbered in the order of their appearance.
fn placeholders(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut known: Vec<&str> = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let fresh = !out.ends_with(|before: char| before.is_ascii_alphanumeric());
        let (length, placeholder) = match () {
            () if out.ends_with("<HOST>") => (rest.find('<').unwrap_or(0), "host".to_owned()),
            () if out.ends_with("127.0.0.1:") => (shape(rest, "#####"), "port".to_owned()),
            () if fresh && shape(rest, TIME) > 0 => (shape(rest, TIME), "time".to_owned()),
            () if fresh => {
                let length = shape(rest, UUID).max(shape(rest, CONTEXT));
                let id = &rest[..length];
                let at = known.iter().position(|other| *other == id);
                let at = at.unwrap_or_else(|| {
                    if length > 0 {
                        known.push(id);
                    }
                    known.len().saturating_sub(1)
                });
                (length, format!("id-{}", at + 1))
            }
            () => (0, String::new()),
        };
        if length > 0 {
            out.push_str(&placeholder);
            rest = &rest[length..];
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    out
}

/// `#` a digit, `x` a lower-case hexadecimal digit, `?` anything; else the character itself.
const TIME: &str = "##############.######?###";
const UUID: &str = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
const CONTEXT: &str = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

/// The length of a shape if a text begins with it, else 0.
fn shape(text: &str, shape: &str) -> usize {
    let fits = |(want, have): (u8, u8)| match want {
        b'#' => have.is_ascii_digit(),
        b'x' => have.is_ascii_digit() || (b'a'..=b'f').contains(&have),
        b'?' => have.is_ascii(),
        exactly => have == exactly,
    };
    let whole = text.len() >= shape.len() && shape.bytes().zip(text.bytes()).all(fits);
    if whole { shape.len() } else { 0 }
}

#[test]
fn identities_keep_their_numbers_and_the_rest_stays() {
    let (one, two) = (
        "0b0e54a6-2f3f-4c3e-9a54-0c1d2e3f4a5b",
        "1b0e54a6-2f3f-4c3e-9a54-0c1d2e3f4a5b",
    );
    let text = format!("<HOST>box</HOST>{two} Job:{one} {two} 20261120215211.123456+000 60A9ABCD");
    assert_eq!(
        placeholders(&text),
        "<HOST>host</HOST>id-1 Job:id-2 id-1 time 60A9ABCD"
    );
}
