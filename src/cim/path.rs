//! Object paths: which class or instance is meant, in which namespace, on which host (DSP0004 §8.2).

use std::fmt;

use super::{Name, Text, Value};

/// The key bindings of an instance path. Their order carries no meaning.
#[derive(Clone, Debug, Default)]
pub struct Keys(Vec<(Name, Value)>);

impl Keys {
    /// No key bindings (the path of a keyless singleton).
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a binding; `false`, and nothing changed, if the name is bound already.
    #[must_use]
    pub fn insert(&mut self, name: impl Into<Name>, value: impl Into<Value>) -> bool {
        let name = name.into();
        let fresh = self.find(name.as_str()).is_none();
        if fresh {
            self.0.push((name, value.into()));
        }
        fresh
    }

    /// The value bound to `name`.
    pub fn find(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v)
    }

    /// The string bound to `name`; `None` if it is absent or no string.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.find(name).and_then(Value::as_str)
    }

    /// The bindings in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, &Value)> {
        self.0.iter().map(|(n, v)| (n, v))
    }

    /// How many bindings there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no binding.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl PartialEq for Keys {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self
                .iter()
                .all(|(n, v)| other.find(n.as_str()).is_some_and(|w| v.same_key(w)))
    }
}

impl<N: Into<Name>, V: Into<Value>> FromIterator<(N, V)> for Keys {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(bindings: I) -> Self {
        let mut keys = Self::new();
        for (name, value) in bindings {
            let _first_wins = keys.insert(name, value);
        }
        keys
    }
}

/// The path of a class (`keys` is `None`) or of an instance.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectPath {
    /// The host as some server wrote it; carried, never checked.
    pub host: Option<Text>,
    /// The namespace, without slashes at the ends; `None` where the context says it.
    pub namespace: Option<Name>,
    /// The class.
    pub class: Name,
    /// The key bindings of an instance; `None` means that the class itself is meant.
    pub keys: Option<Keys>,
}

impl ObjectPath {
    /// The path of a class.
    pub fn class(class: impl Into<Name>) -> Self {
        Self {
            host: None,
            namespace: None,
            class: class.into(),
            keys: None,
        }
    }

    /// The path of an instance.
    pub fn instance(class: impl Into<Name>, keys: Keys) -> Self {
        Self {
            host: None,
            namespace: None,
            class: class.into(),
            keys: Some(keys),
        }
    }

    /// The same path in that namespace.
    pub fn in_namespace(mut self, namespace: impl Into<Name>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// Whether both name the same object; hosts are not compared.
    pub fn same_object(&self, other: &Self) -> bool {
        self.namespace == other.namespace && self.class == other.class && self.keys == other.keys
    }

    /// Reads a WBEM URI (DSP0207) or the older `//host/namespace:Class.key="value",…` text form.
    ///
    /// Used where a method takes paths as strings. Returns `None` for anything malformed.
    pub fn parse(text: &str) -> Option<Self> {
        parse::path(text)
    }
}

impl fmt::Display for ObjectPath {
    /// The text form `namespace:Class.key="value",…`, keys sorted by name, without the host.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(namespace) = &self.namespace {
            write!(f, "{namespace}:")?;
        }
        write!(f, "{}", self.class)?;
        let Some(keys) = &self.keys else {
            return Ok(());
        };
        let mut sorted: Vec<_> = keys.iter().collect();
        sorted.sort_by(|a, b| a.0.cmp(b.0));
        for (i, (name, value)) in sorted.into_iter().enumerate() {
            f.write_str(if i == 0 { "." } else { "," })?;
            write!(f, "{name}=")?;
            match value {
                Value::Reference(path) => quote(f, &path.to_string())?,
                Value::String(text) => quote(f, text)?,
                Value::DateTime(time) => quote(f, time.as_str())?,
                Value::Boolean(flag) => f.write_str(if *flag { "TRUE" } else { "FALSE" })?,
                Value::Char16(unit) => {
                    write!(f, "'{}'", char::from_u32((*unit).into()).unwrap_or('?'))?;
                }
                Value::Real32(real) => write!(f, "{real:E}")?,
                Value::Real64(real) => write!(f, "{real:E}")?,
                other => write!(f, "{}", other.as_integer().unwrap_or_default())?,
            }
        }
        Ok(())
    }
}

fn quote(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("\"")?;
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            f.write_str("\\")?;
        }
        write!(f, "{c}")?;
    }
    f.write_str("\"")
}

/// The reader of the text form.
mod parse {
    use super::{Keys, ObjectPath, Value};
    use crate::cim::is_identifier;

    /// Longest text that is looked at, in bytes.
    const MAX_TEXT: usize = 64 * 1024;
    /// How deep references may nest in keys.
    const MAX_DEPTH: usize = 4;

    pub(super) fn path(text: &str) -> Option<ObjectPath> {
        if text.len() > MAX_TEXT {
            None
        } else {
            path_at(text, MAX_DEPTH)
        }
    }

    fn path_at(text: &str, depth: usize) -> Option<ObjectPath> {
        let depth = depth.checked_sub(1)?;
        // The class name ends where keys begin; colons and slashes before it end the namespace.
        let head_end = text.find('"').unwrap_or(text.len());
        let head = &text[..head_end];
        let (namespace, host, rest) = match head.rfind(':') {
            Some(colon) => {
                let (host, namespace) = namespace(&text[..colon])?;
                (namespace, host, &text[colon + 1..])
            }
            None => (None, None, text),
        };
        let (class, keys) = match rest.split_once('.') {
            Some((class, bindings)) => (class, Some(keys(bindings, depth)?)),
            None => (rest, None),
        };
        if !is_identifier(class) {
            return None;
        }
        Some(ObjectPath {
            host: host.map(Into::into),
            namespace: namespace.map(Into::into),
            class: class.into(),
            keys,
        })
    }

    /// Splits `scheme://host/ns`, `//host/ns`, `/ns` or `ns` into host and namespace.
    #[allow(clippy::type_complexity)]
    fn namespace(text: &str) -> Option<(Option<&str>, Option<&str>)> {
        let text = text.find("://").map_or(text, |scheme| &text[scheme + 1..]);
        let (host, namespace) = match text.strip_prefix("//") {
            Some(rest) => {
                let (host, namespace) = rest.split_once('/')?;
                (Some(host), namespace)
            }
            None => (None, text),
        };
        let namespace = namespace.trim_matches('/');
        Some((host, (!namespace.is_empty()).then_some(namespace)))
    }

    fn keys(mut text: &str, depth: usize) -> Option<Keys> {
        let mut keys = Keys::new();
        loop {
            let (name, rest) = text.split_once('=')?;
            let (value, rest) = value(rest, depth)?;
            if !is_identifier(name) || !keys.insert(name, value) {
                return None;
            }
            match rest.strip_prefix(',') {
                Some(more) => text = more,
                None if rest.is_empty() => return Some(keys),
                None => return None,
            }
        }
    }

    fn value(text: &str, depth: usize) -> Option<(Value, &str)> {
        if let Some(quoted) = text.strip_prefix('"') {
            let (string, rest) = unquote(quoted)?;
            // A quoted path is a reference; anything that is no path is a plain string.
            let reference = (string.contains(':') && string.contains('='))
                .then(|| path_at(&string, depth))
                .flatten()
                .filter(|path| path.namespace.is_some() && path.keys.is_some());
            return Some((
                reference.map_or_else(|| Value::from(string), Value::from),
                rest,
            ));
        }
        let end = text.find(',').unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        let value = match word {
            w if w.eq_ignore_ascii_case("true") => Value::Boolean(true),
            w if w.eq_ignore_ascii_case("false") => Value::Boolean(false),
            w if w.starts_with('-') => Value::Sint64(w.parse().ok()?),
            w => Value::Uint64(w.parse().ok()?),
        };
        Some((value, rest))
    }

    /// Reads up to the closing quote; the opening one is already gone.
    fn unquote(text: &str) -> Option<(String, &str)> {
        let mut out = String::new();
        let mut chars = text.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => return Some((out, &text[at + 1..])),
                '\\' => out.push(chars.next()?.1),
                other => out.push(other),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool() -> ObjectPath {
        ObjectPath::instance(
            "CIM_StoragePool",
            [("InstanceID", "a\"b\\c,d=e.f")].into_iter().collect(),
        )
        .in_namespace("root/standpipe")
    }

    #[test]
    fn key_order_and_case_of_names_do_not_matter() {
        let a: Keys = [("A", Value::Uint8(1)), ("B", "x".into())]
            .into_iter()
            .collect();
        let b: Keys = [("b", "x".into()), ("a", Value::Sint32(1))]
            .into_iter()
            .collect();
        assert_eq!(a, b);
        let mut twice = Keys::new();
        assert!(twice.insert("A", true));
        assert!(!twice.insert("a", false));
    }

    #[test]
    fn text_form_round_trips() {
        let text = pool().to_string();
        assert_eq!(
            text,
            "root/standpipe:CIM_StoragePool.InstanceID=\"a\\\"b\\\\c,d=e.f\""
        );
        assert_eq!(ObjectPath::parse(&text), Some(pool()));
        let association = ObjectPath::instance(
            "CIM_X",
            [("A", Value::from(pool())), ("B", Value::Uint64(7))]
                .into_iter()
                .collect(),
        )
        .in_namespace("n");
        assert_eq!(
            ObjectPath::parse(&association.to_string()),
            Some(association)
        );
    }

    #[test]
    fn hosts_and_schemes_are_accepted() {
        for text in [
            "//h:5988/a/b:C.k=1",
            "http://h/a/b:C.k=1",
            "/a/b:C.k=1",
            "a/b:C.k=1",
        ] {
            let path = ObjectPath::parse(text).expect(text);
            assert_eq!(
                path.namespace.as_ref().map(Name::as_str),
                Some("a/b"),
                "{text}"
            );
            assert_eq!(
                path.keys.and_then(|k| k.find("k").cloned()),
                Some(Value::Uint64(1))
            );
        }
    }

    #[test]
    fn malformed_paths_are_refused() {
        for text in [
            "",
            "C.",
            "C.k",
            "C.k=",
            "C.k=\"x",
            "C.k=1,k=2",
            "1C.k=1",
            "C.k=1,",
            "//h",
        ] {
            assert_eq!(ObjectPath::parse(text), None, "{text}");
        }
    }
}
