//! Names (case-preserving, case-insensitive) and texts (case-sensitive), both cheap to clone.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A character string: either a constant of the program or shared on the heap.
#[derive(Clone)]
pub struct Text(Repr);

#[derive(Clone)]
enum Repr {
    Static(&'static str),
    Shared(Arc<str>),
}

impl Text {
    /// A text that is a constant of the program; allocates nothing.
    pub const fn from_static(text: &'static str) -> Self {
        Self(Repr::Static(text))
    }

    /// The characters.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Static(s) => s,
            Repr::Shared(s) => s,
        }
    }
}

impl std::ops::Deref for Text {
    type Target = str;
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(Repr::Shared(text.into()))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(Repr::Shared(text.into()))
    }
}

impl From<Arc<str>> for Text {
    fn from(text: Arc<str>) -> Self {
        Self(Repr::Shared(text))
    }
}

impl From<&Text> for Text {
    fn from(text: &Text) -> Self {
        text.clone()
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Text {}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name of a class, property, method, parameter, qualifier or namespace.
///
/// Keeps its spelling; compares, orders and hashes without regard to ASCII case
/// (DSP0004 §5.1: names are case-insensitive). Characters beyond ASCII compare as they are.
#[derive(Clone)]
pub struct Name(Text);

impl Name {
    /// A name that is a constant of the program; allocates nothing.
    pub const fn from_static(name: &'static str) -> Self {
        Self(Text::from_static(name))
    }

    /// The name as it was spelt.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The same characters as a case-sensitive text.
    pub fn to_text(&self) -> Text {
        self.0.clone()
    }
}

impl<T: Into<Text>> From<T> for Name {
    fn from(name: T) -> Self {
        Self(name.into())
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        eq_fold(self.as_str(), other.as_str())
    }
}

impl Eq for Name {}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        eq_fold(self.as_str(), other)
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        eq_fold(self.as_str(), other)
    }
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for byte in self.as_str().bytes() {
            state.write_u8(byte.to_ascii_lowercase());
        }
        state.write_u8(0xff);
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        let fold = |s: &'_ str| {
            s.bytes()
                .map(|b| b.to_ascii_lowercase())
                .collect::<Vec<_>>()
        };
        fold(self.as_str()).cmp(&fold(other.as_str()))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether two names are the same name (ASCII case folded).
pub fn eq_fold(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}

/// Whether `text` is a CIM identifier (DSP0004 Annex A): a letter, `_` or a character from
/// U+0080 on, then the same or digits.
pub fn is_identifier(text: &str) -> bool {
    let start = |c: char| c.is_ascii_alphabetic() || c == '_' || c as u32 >= 0x80;
    let mut chars = text.chars();
    chars.next().is_some_and(start) && chars.all(|c| start(c) || c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_fold_case_and_keep_spelling() {
        let set: HashSet<Name> = [Name::from("CIM_Volume"), Name::from("cim_volume")].into();
        assert_eq!(set.len(), 1);
        assert_eq!(Name::from("DeviceID"), "deviceid");
        assert_eq!(Name::from("DeviceID").to_string(), "DeviceID");
        let [lower, upper] = ["a", "B"].map(Name::from);
        assert!(lower < upper);
    }

    #[test]
    fn texts_keep_case() {
        let [lower, upper] = ["a", "A"].map(Text::from);
        assert_ne!(lower, upper);
    }

    #[test]
    fn identifiers() {
        assert!(is_identifier("CIM_X1") && is_identifier("_é"));
        assert!(!is_identifier("") && !is_identifier("1a") && !is_identifier("a-b"));
    }
}
