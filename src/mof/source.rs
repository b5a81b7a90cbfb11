//! Source texts and places in them.

/// A range of bytes in one source file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub(super) file: usize,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Span {
    /// From the start of this span to the end of `last`.
    pub(super) fn to(self, last: Self) -> Self {
        Self {
            end: last.end.max(self.end),
            ..self
        }
    }
}

/// A thing and where it was written.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Spanned<T> {
    pub(super) it: T,
    pub(super) span: Span,
}

/// A line and a column, both counted from 1; the column counts characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The character in that line.
    pub column: usize,
}

/// Every file that was read, in the order in which it was opened.
#[derive(Clone, Debug, Default)]
pub struct Sources(Vec<(String, String)>);

impl Sources {
    pub(super) fn add(&mut self, name: &str, text: String) -> usize {
        self.0.push((name.to_owned(), text));
        self.0.len() - 1
    }

    /// The names of the files.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// The name of the file that `span` lies in.
    pub fn name(&self, span: Span) -> &str {
        self.0.get(span.file).map_or("", |(name, _)| name)
    }

    /// The text of the file that `span` lies in.
    pub fn text(&self, span: Span) -> &str {
        self.file_text(span.file)
    }

    pub(super) fn file_text(&self, file: usize) -> &str {
        self.0.get(file).map_or("", |(_, text)| text)
    }

    /// Where `span` starts.
    pub fn position(&self, span: Span) -> Position {
        let before = self.text(span).get(..span.start).unwrap_or("");
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Position {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}
