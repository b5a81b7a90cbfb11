//! Tokens to declarations: the cursor, and recovery at the next member or declaration.

mod grammar;

use super::ast::{Declaration, Word};
use super::diagnostic::{Diagnostic, Problem};
use super::lexer::{self, Token};
use super::source::{Span, Spanned};

type Parsed<T> = Result<T, Diagnostic>;

/// The declarations of one file; what could not be read is reported and left out.
pub(super) fn declarations(
    file: usize,
    text: &str,
    problems: &mut Vec<Diagnostic>,
) -> Vec<Declaration> {
    let before = problems.len();
    let tokens = lexer::tokens(file, text, problems);
    let mut parser = Parser {
        tokens,
        at: 0,
        text,
        malformed: problems[before..].iter().map(|p| p.span.start).collect(),
        problems,
    };
    let mut declarations = Vec::new();
    while parser.peek() != &Token::End {
        let start = parser.at;
        match parser.declaration() {
            Ok(declaration) => declarations.push(declaration),
            Err(problem) => {
                parser.report(problem, start);
                parser.skip_declaration(start);
            }
        }
    }
    declarations
}

struct Parser<'a> {
    /// Never empty; the last one is `End`.
    tokens: Vec<Spanned<Token>>,
    at: usize,
    text: &'a str,
    /// Where the lexer found something malformed.
    malformed: Vec<usize>,
    problems: &'a mut Vec<Diagnostic>,
}

/// The cursor.
impl Parser<'_> {
    fn peek_at(&self, ahead: usize) -> &Token {
        let last = self.tokens.len() - 1;
        &self.tokens[(self.at + ahead).min(last)].it
    }

    fn peek(&self) -> &Token {
        self.peek_at(0)
    }

    fn span(&self) -> Span {
        self.tokens[self.at.min(self.tokens.len() - 1)].span
    }

    /// The span of the token before the cursor.
    fn previous(&self) -> Span {
        self.tokens[self.at.saturating_sub(1)].span
    }

    fn bump(&mut self) -> Token {
        let token = self.peek().clone();
        if token != Token::End {
            self.at += 1;
        }
        token
    }

    fn expected<T>(&self, what: &'static str) -> Parsed<T> {
        let found = self.peek().describe();
        let problem = Problem::Expected { what, found };
        Err(Diagnostic::new(problem, self.span()))
    }

    fn at_mark(&self, mark: char) -> bool {
        self.peek() == &Token::Mark(mark)
    }

    fn eat(&mut self, mark: char) -> bool {
        let there = self.at_mark(mark);
        if there {
            self.at += 1;
        }
        there
    }

    fn mark(&mut self, mark: char, what: &'static str) -> Parsed<()> {
        if self.eat(mark) {
            return Ok(());
        }
        if mark == ';' {
            // The place of a forgotten semicolon is behind what stands before it.
            let found = self.peek().describe();
            let end = self.previous().end;
            let span = Span {
                start: end,
                end,
                ..self.previous()
            };
            return Err(Diagnostic::new(Problem::Expected { what, found }, span));
        }
        self.expected(what)
    }

    fn at_keyword(&self, ahead: usize, keyword: &str) -> bool {
        matches!(self.peek_at(ahead), Token::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    fn eat_keyword(&mut self, keyword: &str) -> bool {
        let there = self.at_keyword(0, keyword);
        if there {
            self.at += 1;
        }
        there
    }

    fn word(&mut self, what: &'static str) -> Parsed<Word> {
        let span = self.span();
        match self.peek() {
            Token::Word(word) => {
                let it = word.clone();
                self.at += 1;
                Ok(Spanned { it, span })
            }
            _ => self.expected(what),
        }
    }

    /// Items separated by commas.
    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.eat(',') {
            items.push(item(self)?);
        }
        Ok(items)
    }
}

/// Recovery.
impl Parser<'_> {
    /// Reports a problem of what began at token `start`, unless the lexer has found something
    /// malformed in it, which is the likely reason.
    fn report(&mut self, problem: Diagnostic, start: usize) {
        let from = self.tokens.get(start).map_or(0, |token| token.span.start);
        let mut malformed = self.malformed.iter();
        if !malformed.any(|at| (from..=problem.span.end).contains(at)) {
            self.problems.push(problem);
        }
    }

    /// Moves behind the declaration that began at token `start`: behind a `;` outside braces, or
    /// to what looks like the start of another one.
    fn skip_declaration(&mut self, start: usize) {
        let failed_at = self.at;
        self.at = start;
        let mut depth = 0usize;
        loop {
            if self.at > start && self.at >= failed_at && self.looks_like_start() {
                return;
            }
            match self.bump() {
                Token::End => return,
                Token::Mark('{') => depth += 1,
                Token::Mark('}') => depth = depth.saturating_sub(1),
                Token::Mark(';') if depth == 0 && self.at > failed_at => return,
                _ => {}
            }
        }
    }

    /// Whether the cursor is on a declaration that starts in the first column.
    fn looks_like_start(&self) -> bool {
        let start = self.span().start;
        if start > 0 && self.text.as_bytes().get(start - 1) != Some(&b'\n') {
            return false;
        }
        match self.peek() {
            Token::Pragma => true,
            Token::Word(_) => {
                self.at_keyword(0, "class") && matches!(self.peek_at(1), Token::Word(_))
                    || self.at_keyword(0, "instance") && self.at_keyword(1, "of")
                    || self.at_keyword(0, "qualifier") && self.peek_at(2) == &Token::Mark(':')
            }
            // A qualifier list; inside a class one may begin there too, but not behind a brace.
            Token::Mark('[') => {
                let before = |n: usize| self.at.checked_sub(n).map(|at| &self.tokens[at].it);
                let brace = Some(&Token::Mark('}'));
                before(1) == brace || (before(1) == Some(&Token::Mark(';')) && before(2) == brace)
            }
            _ => false,
        }
    }

    /// Moves behind the `;` of the member that began at token `start`, or to the closing brace.
    fn skip_member(&mut self, start: usize) {
        let failed_at = self.at;
        self.at = start;
        let mut depth = 0usize;
        loop {
            if self.at >= failed_at && self.at > start && self.looks_like_start() {
                return;
            }
            match self.peek() {
                Token::End => return,
                Token::Mark('{') => depth += 1,
                Token::Mark('}') if depth == 0 => return,
                Token::Mark('}') => depth -= 1,
                Token::Mark(';') if depth == 0 && self.at >= failed_at => {
                    self.at += 1;
                    return;
                }
                _ => {}
            }
            self.at += 1;
        }
    }

    /// `{ member* } ;` where a bad member is reported and skipped.
    fn body(&mut self, mut member: impl FnMut(&mut Self) -> Parsed<()>) -> Parsed<()> {
        self.mark('{', "`{`")?;
        while !self.at_mark('}') {
            let start = self.at;
            if let Err(problem) = member(self) {
                self.report(problem, start);
                self.skip_member(start);
            }
            if self.peek() == &Token::End || (self.at > start && self.looks_like_start()) {
                break;
            }
        }
        self.mark('}', "`}`")?;
        self.mark(';', "`;`")
    }
}
