//! How much a request may contain, and the running account of it.

use super::DecodeError;

/// Upper bounds on one request. Whatever exceeds one ends the decoding at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest request in bytes; the re-read text of embedded objects may sum up to as much again.
    pub bytes: usize,
    /// Deepest nesting of elements, embedded objects counted where they stand. At most
    /// [`Limits::DEPTH_CAP`] whatever is asked for, because the grammar is read recursively.
    pub depth: usize,
    /// Elements in the whole request, those of embedded objects included.
    pub elements: usize,
    /// Attributes of one element.
    pub attributes: usize,
    /// Longest attribute value in bytes, as written.
    pub attribute_bytes: usize,
    /// Longest text of one element in bytes, after references are resolved.
    pub text_bytes: usize,
    /// How deep embedded objects may stand in embedded objects.
    pub embedded: usize,
    /// Properties of one object, key bindings of one path, parameters of one call and the like.
    pub members: usize,
}

impl Limits {
    /// The depth beyond which [`Limits::depth`] has no effect.
    pub const DEPTH_CAP: usize = 128;
}

impl Default for Limits {
    /// Bounds that no known client comes near.
    fn default() -> Self {
        Self {
            bytes: 4 << 20,
            depth: 64,
            elements: 100_000,
            attributes: 32,
            attribute_bytes: 4096,
            text_bytes: 1 << 20,
            embedded: 4,
            members: 1024,
        }
    }
}

/// How deep references may nest in the keys of one another: written as text, each level doubles the
/// quoting of what is inside it.
const REFERENCES_CAP: usize = 4;

/// What is left of the [`Limits`] while a request is read.
pub(super) struct Budget {
    limits: Limits,
    elements: usize,
    depth: usize,
    references: usize,
    embedded: usize,
    embedded_bytes: usize,
}

impl Budget {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            limits: *limits,
            elements: limits.elements,
            depth: limits.depth.min(Limits::DEPTH_CAP),
            references: REFERENCES_CAP,
            embedded: limits.embedded,
            embedded_bytes: limits.bytes,
        }
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Counts an element that opens.
    pub(super) fn open(&mut self) -> Result<(), DecodeError> {
        self.elements = self
            .elements
            .checked_sub(1)
            .ok_or(DecodeError::TooManyElements)?;
        self.depth = self
            .depth
            .checked_sub(1)
            .ok_or(DecodeError::TooLarge("elements are nested too deep"))?;
        Ok(())
    }

    /// Gives back the level of an element that closes.
    pub(super) fn close(&mut self) {
        self.depth += 1;
    }

    /// Counts a reference that opens, perhaps inside the keys of another one.
    pub(super) fn open_reference(&mut self) -> Result<(), DecodeError> {
        self.references = self
            .references
            .checked_sub(1)
            .ok_or(DecodeError::TooLarge("references are nested too deep"))?;
        Ok(())
    }

    /// Gives back the level of a reference that closes.
    pub(super) fn close_reference(&mut self) {
        self.references += 1;
    }

    /// Counts the text of an embedded object that is about to be read.
    pub(super) fn open_embedded(&mut self, bytes: usize) -> Result<(), DecodeError> {
        self.embedded = self.embedded.checked_sub(1).ok_or(DecodeError::TooLarge(
            "embedded objects are nested too deep",
        ))?;
        self.embedded_bytes = self
            .embedded_bytes
            .checked_sub(bytes)
            .ok_or(DecodeError::TooLarge("embedded objects are too long"))?;
        Ok(())
    }

    /// Gives back the level of an embedded object that was read.
    pub(super) fn close_embedded(&mut self) {
        self.embedded += 1;
    }

    /// Refuses the member after the last allowed one; `count` members are there already.
    pub(super) fn member(&self, count: usize) -> Result<(), DecodeError> {
        if count < self.limits.members {
            Ok(())
        } else {
            Err(DecodeError::TooManyElements)
        }
    }
}
