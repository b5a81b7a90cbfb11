//! XML as a stream of elements: well-formedness and budgets, nothing of CIM.
//!
//! The event reader underneath is lenient about some of XML 1.0 and has no limits; what it lets
//! pass is checked here. White space between elements, comments and processing instructions
//! vanish; text comes in one piece, however references and CDATA sections split it.

use std::borrow::Cow;

use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesDecl, BytesRef, BytesStart, Event};
use quick_xml::reader::Reader;

use super::super::DecodeError;
use super::super::error::{not_valid, not_well_formed, shown};
use super::super::limits::Budget;

type Result<T> = std::result::Result<T, DecodeError>;

/// A document being read. Who gets an [`Element`] reads its children or its text to the end.
pub(super) struct Tokens<'a, 'b> {
    reader: Reader<&'a [u8]>,
    pub(super) budget: &'b mut Budget,
}

/// A start tag, its attributes known to be well-formed.
pub(super) struct Element<'a>(BytesStart<'a>);

impl<'a, 'b> Tokens<'a, 'b> {
    /// Reads a document whose characters were checked.
    pub(super) fn new(document: &'a str, budget: &'b mut Budget) -> Self {
        let mut reader = Reader::from_str(document);
        let config = reader.config_mut();
        config.expand_empty_elements = true;
        config.enable_all_checks(true);
        Self { reader, budget }
    }

    fn event(&mut self) -> Result<Event<'a>> {
        self.reader.read_event().map_err(|error| {
            let mut reason = error.to_string();
            let cut = reason.char_indices().nth(120).map(|(at, _)| at);
            reason.truncate(cut.unwrap_or(reason.len()));
            not_well_formed(reason)
        })
    }

    /// The outermost element.
    pub(super) fn root(&mut self) -> Result<Element<'a>> {
        let mut first = true;
        loop {
            match self.event()? {
                Event::Start(start) => return self.opened(start),
                Event::Decl(declaration) if first => check_declaration(&declaration)?,
                other => outside(&other)?,
            }
            first = false;
        }
    }

    /// Reads on to the end of the document, where nothing but white space may stand.
    pub(super) fn finish(&mut self) -> Result<()> {
        loop {
            match self.event()? {
                Event::Eof => return Ok(()),
                Event::Start(_) => {
                    return Err(not_well_formed("an element follows the outermost one"));
                }
                other => outside(&other)?,
            }
        }
    }

    /// The next child of the element that is open; `None` is its end.
    pub(super) fn child(&mut self) -> Result<Option<Element<'a>>> {
        loop {
            match self.event()? {
                Event::Start(start) => return self.opened(start).map(Some),
                Event::End(_) => {
                    self.budget.close();
                    return Ok(None);
                }
                Event::Text(text) if is_space(&text) => check_text(&text)?,
                Event::Text(text) => {
                    check_text(&text)?;
                    return Err(not_valid(format!(
                        "text {} stands where only elements may",
                        shown(text.trim())
                    )));
                }
                Event::CData(_) | Event::GeneralRef(_) => {
                    return Err(not_valid("text stands where only elements may"));
                }
                other => aside(&other)?,
            }
        }
    }

    /// The first child of `parent`, which must have one.
    pub(super) fn first(&mut self, parent: &Element<'_>) -> Result<Element<'a>> {
        self.child()?
            .ok_or_else(|| not_valid(format!("{} is empty", parent.name())))
    }

    /// The end of `parent`, which may have no more children.
    pub(super) fn end(&mut self, parent: &Element<'_>) -> Result<()> {
        match self.child()? {
            None => Ok(()),
            Some(child) => Err(child.unexpected_in(parent)),
        }
    }

    /// The text of the element that is open, up to its end.
    pub(super) fn text(&mut self) -> Result<String> {
        let mut text = String::new();
        loop {
            match self.event()? {
                Event::Text(piece) => {
                    check_text(&piece)?;
                    self.append(&mut text, &piece.xml10_content())?;
                }
                Event::CData(piece) => self.append(&mut text, &piece.xml10_content())?,
                Event::GeneralRef(reference) => {
                    self.append(&mut text, resolve(&reference)?.encode_utf8(&mut [0; 4]))?;
                }
                Event::End(_) => {
                    self.budget.close();
                    return Ok(text);
                }
                Event::Start(start) => {
                    let element = self.opened(start)?;
                    return Err(not_valid(format!(
                        "{} stands where only text may",
                        element.shown()
                    )));
                }
                other => aside(&other)?,
            }
        }
    }

    fn append(&self, text: &mut String, piece: &str) -> Result<()> {
        if text.len().saturating_add(piece.len()) > self.budget.limits().text_bytes {
            return Err(DecodeError::TooLarge("a text is too long"));
        }
        text.push_str(piece);
        Ok(())
    }

    fn opened(&mut self, start: BytesStart<'a>) -> Result<Element<'a>> {
        self.budget.open()?;
        let limits = self.budget.limits();
        for (count, attribute) in start.attributes().enumerate() {
            if count >= limits.attributes {
                return Err(DecodeError::TooLarge("an element has too many attributes"));
            }
            let attribute = attribute.map_err(|error| not_well_formed(error.to_string()))?;
            if attribute.value.len() > limits.attribute_bytes {
                return Err(DecodeError::TooLarge("an attribute is too long"));
            }
            if attribute.value.contains('<') {
                return Err(not_well_formed("an attribute holds a bare \"<\""));
            }
            let value = attribute
                .normalized_value(XmlVersion::Implicit1_0)
                .map_err(|_| not_well_formed("an attribute holds an undefined reference"))?;
            if let Cow::Owned(value) = value {
                check_characters(&value)?;
            }
        }
        Ok(Element(start))
    }
}

impl Element<'_> {
    /// The name of the element.
    pub(super) fn name(&self) -> &str {
        self.0.name().into_inner()
    }

    /// The name for a message.
    pub(super) fn shown(&self) -> String {
        shown(self.name())
    }

    /// The value of an attribute. Unknown attributes are nobody's business.
    pub(super) fn attribute(&self, name: &str) -> Option<Cow<'_, str>> {
        let mut attributes = self.0.attributes();
        attributes
            .with_checks(false)
            .flatten()
            .find(|attribute| attribute.key.as_ref() == name)
            .and_then(|attribute| attribute.normalized_value(XmlVersion::Implicit1_0).ok())
    }

    /// The value of an attribute that must be there.
    pub(super) fn required(&self, name: &str) -> Result<Cow<'_, str>> {
        self.attribute(name)
            .ok_or_else(|| not_valid(format!("{} has no attribute {name}", self.shown())))
    }

    /// The error that this element may not stand in `parent`.
    pub(super) fn unexpected_in(&self, parent: &Element<'_>) -> DecodeError {
        not_valid(format!(
            "{} may not stand here in {}",
            self.shown(),
            parent.shown()
        ))
    }
}

/// Accepts what may stand anywhere between elements.
fn aside(event: &Event<'_>) -> Result<()> {
    match event {
        Event::Comment(_) => Ok(()),
        Event::PI(instruction) if !instruction.target().eq_ignore_ascii_case("xml") => Ok(()),
        Event::Decl(_) | Event::PI(_) => Err(not_well_formed(
            "an XML declaration stands elsewhere than at the beginning",
        )),
        Event::DocType(_) => Err(DecodeError::Doctype),
        Event::Eof => Err(not_well_formed("it ends in the middle of an element")),
        _ => Err(not_well_formed("text stands outside the outermost element")),
    }
}

/// Accepts what may stand before and after the outermost element.
fn outside(event: &Event<'_>) -> Result<()> {
    match event {
        Event::Text(text) if is_space(text) => Ok(()),
        Event::Eof => Err(not_well_formed("there is no element")),
        other => aside(other),
    }
}

fn check_declaration(declaration: &BytesDecl<'_>) -> Result<()> {
    match declaration.version() {
        Ok(version) if version.starts_with("1.") => {}
        _ => return Err(not_well_formed("the XML version is not 1.0")),
    }
    match declaration.encoding() {
        None => Ok(()),
        Some(Ok(encoding))
            if ["utf-8", "utf8", "us-ascii"].contains(&&*encoding.to_ascii_lowercase()) =>
        {
            Ok(())
        }
        Some(_) => Err(not_well_formed("the declared encoding is not UTF-8")),
    }
}

fn resolve(reference: &BytesRef<'_>) -> Result<char> {
    let refused = || not_well_formed(format!("the reference {} is undefined", shown(reference)));
    let c = match reference.resolve_char_ref() {
        Ok(Some(c)) => c,
        Ok(None) => resolve_predefined_entity(reference)
            .and_then(|text| text.chars().next())
            .ok_or_else(refused)?,
        Err(_) => return Err(refused()),
    };
    if is_xml(c) { Ok(c) } else { Err(refused()) }
}

fn check_text(text: &str) -> Result<()> {
    if text.contains("]]>") {
        return Err(not_well_formed("\"]]>\" stands in a text"));
    }
    Ok(())
}

/// Whether all of it is white space as XML has it.
fn is_space(text: &str) -> bool {
    text.bytes()
        .all(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n'))
}

/// Whether XML 1.0 can carry the character.
fn is_xml(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

/// Refuses characters that XML 1.0 cannot carry.
pub(super) fn check_characters(text: &str) -> Result<()> {
    match text.chars().find(|&c| !is_xml(c)) {
        None => Ok(()),
        Some(c) => Err(not_well_formed(format!(
            "the character U+{:04X} is not allowed",
            u32::from(c)
        ))),
    }
}
