//! Text to tokens (DSP0004 Annex A: the lexical part).

use super::diagnostic::{Diagnostic, Problem};
use super::source::{Span, Spanned};

/// The smallest unit of MOF.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A keyword or a name; which one, its place says.
    Word(String),
    /// `$name`, without the dollar sign.
    Alias(String),
    Integer(i128),
    Real(f64),
    /// A character literal: one UCS-2 unit.
    Char(u16),
    /// One piece of a string, unescaped. Adjacent pieces are one string.
    String(String),
    /// `#pragma`.
    Pragma,
    /// One of `[ ] { } ( ) , ; : =`.
    Mark(char),
    /// A value that could not be read and has been reported.
    Bad,
    End,
}

impl Token {
    /// The token as a message names it.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Word(word) => format!("`{word}`"),
            Self::Alias(name) => format!("`${name}`"),
            Self::Integer(_) | Self::Real(_) => "a number".into(),
            Self::Char(_) => "a character".into(),
            Self::String(_) => "a string".into(),
            Self::Pragma => "`#pragma`".into(),
            Self::Mark(mark) => format!("`{mark}`"),
            Self::Bad => "a malformed value".into(),
            Self::End => "the end of the file".into(),
        }
    }
}

/// Cuts a file into tokens; the last one is [`Token::End`]. What cannot be read is reported and
/// left out, so that the parser sees the rest.
pub(super) fn tokens(
    file: usize,
    text: &str,
    problems: &mut Vec<Diagnostic>,
) -> Vec<Spanned<Token>> {
    let mut lexer = Lexer {
        file,
        text,
        at: if text.starts_with('\u{feff}') { 3 } else { 0 },
        problems,
    };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_blank();
        let start = lexer.at;
        let Some(c) = lexer.peek() else {
            let span = lexer.span(start);
            tokens.push(Spanned {
                it: Token::End,
                span,
            });
            return tokens;
        };
        if let Some(it) = lexer.token(c) {
            let span = lexer.span(start);
            tokens.push(Spanned { it, span });
        }
    }
}

struct Lexer<'a> {
    file: usize,
    text: &'a str,
    at: usize,
    problems: &'a mut Vec<Diagnostic>,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    /// Advances over the characters that fit and returns them.
    fn take_while(&mut self, fits: impl Fn(char) -> bool) -> &str {
        let rest = &self.text[self.at..];
        let length = rest.find(|c| !fits(c)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    fn span(&self, start: usize) -> Span {
        Span {
            file: self.file,
            start,
            end: self.at,
        }
    }

    fn report(&mut self, problem: Problem, start: usize) {
        let span = self.span(start);
        self.problems.push(Diagnostic::new(problem, span));
    }

    /// Skips white space and comments of both kinds.
    fn skip_blank(&mut self) {
        loop {
            self.take_while(char::is_whitespace);
            let start = self.at;
            if self.rest().starts_with("//") {
                self.take_while(|c| c != '\n');
            } else if self.rest().starts_with("/*") {
                match self.rest().find("*/") {
                    Some(length) => self.at += length + 2,
                    None => {
                        self.at += 2;
                        self.report(Problem::UnterminatedComment, start);
                        self.at = self.text.len();
                    }
                }
            } else {
                return;
            }
        }
    }

    fn token(&mut self, first: char) -> Option<Token> {
        let start = self.at;
        match first {
            '[' | ']' | '{' | '}' | '(' | ')' | ',' | ';' | ':' | '=' => {
                self.bump();
                Some(Token::Mark(first))
            }
            '"' => Some(self.string()),
            '\'' => Some(self.character()),
            '#' => {
                self.bump();
                let word = self.take_while(is_word);
                if word.eq_ignore_ascii_case("pragma") {
                    return Some(Token::Pragma);
                }
                self.report(Problem::UnexpectedCharacter('#'), start);
                None
            }
            '$' => {
                self.bump();
                Some(Token::Alias(self.take_while(is_word).to_owned()))
            }
            '0'..='9' | '+' | '-' | '.' => Some(self.number()),
            c if is_word(c) => Some(Token::Word(self.take_while(is_word).to_owned())),
            c => {
                self.bump();
                self.report(Problem::UnexpectedCharacter(c), start);
                None
            }
        }
    }

    fn string(&mut self) -> Token {
        let start = self.at;
        self.bump();
        let mut out = String::new();
        loop {
            let at = self.at;
            match self.peek() {
                None | Some('\n') => {
                    self.report(Problem::UnterminatedString, start);
                    return Token::String(out);
                }
                Some('"') => {
                    self.bump();
                    return Token::String(out);
                }
                Some('\\') => match self.escape() {
                    // A surrogate half is no character; MOF has no way to say a pair.
                    Some(unit) => out.push(char::from_u32(unit.into()).unwrap_or('\u{fffd}')),
                    None => self.report(Problem::BadEscape, at),
                },
                Some(c) => {
                    self.bump();
                    out.push(c);
                }
            }
        }
    }

    fn character(&mut self) -> Token {
        let start = self.at;
        self.bump();
        let unit = match self.peek() {
            Some('\\') => self.escape(),
            None | Some('\'' | '\n') => None,
            Some(c) => {
                self.bump();
                u16::try_from(c as u32).ok()
            }
        };
        match unit {
            Some(unit) if self.peek() == Some('\'') => {
                self.bump();
                Token::Char(unit)
            }
            _ => {
                self.take_while(|c| c != '\'' && c != '\n');
                if self.peek() == Some('\'') {
                    self.bump();
                }
                self.report(Problem::BadCharacterLiteral, start);
                Token::Bad
            }
        }
    }

    /// Reads `\` and what follows it.
    fn escape(&mut self) -> Option<u16> {
        self.bump();
        Some(match self.bump()? {
            'b' => 0x08,
            't' => 0x09,
            'n' => 0x0a,
            'f' => 0x0c,
            'r' => 0x0d,
            '"' => 0x22,
            '\'' => 0x27,
            '\\' => 0x5c,
            'x' | 'X' => {
                let rest = self.rest();
                let digits = rest.bytes().take(4).take_while(u8::is_ascii_hexdigit);
                let length = digits.count();
                let unit = u16::from_str_radix(rest.get(..length)?, 16).ok()?;
                self.at += length;
                unit
            }
            _ => return None,
        })
    }

    fn number(&mut self) -> Token {
        let start = self.at;
        if matches!(self.peek(), Some('+' | '-')) {
            self.bump();
        }
        let mut previous = ' ';
        while let Some(c) = self.peek() {
            let exponent_sign = matches!(c, '+' | '-') && matches!(previous, 'e' | 'E');
            if !(is_word(c) || c == '.' || exponent_sign) {
                break;
            }
            previous = c;
            self.bump();
        }
        let written = &self.text[start..self.at];
        let number = if is_real(written) {
            written.parse().ok().map(Token::Real)
        } else {
            integer(written).map(Token::Integer)
        };
        if let Some(number) = number {
            return number;
        }
        let too_large = written.len() > 30 && written[1..].bytes().all(|b| b.is_ascii_digit());
        let problem = if too_large {
            Problem::NumberTooLarge
        } else {
            Problem::BadNumber
        };
        self.report(problem, start);
        Token::Bad
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c as u32 >= 0x80
}

/// `[+-] *digit "." 1*digit [ e [+-] 1*digit ]`
fn is_real(written: &str) -> bool {
    let unsigned = written.trim_start_matches(['+', '-']);
    let Some((whole, fraction)) = unsigned.split_once('.') else {
        return false;
    };
    let (fraction, exponent) = match fraction.split_once(['e', 'E']) {
        Some((fraction, exponent)) => (fraction, exponent.trim_start_matches(['+', '-'])),
        None => (fraction, "0"),
    };
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    digits(whole)
        && [fraction, exponent]
            .iter()
            .all(|s| digits(s) && !s.is_empty())
}

/// Decimal, `0x` hexadecimal, leading-zero octal or `b`-suffixed binary, with a sign.
fn integer(written: &str) -> Option<i128> {
    let (negative, unsigned) = match written.as_bytes().first()? {
        b'-' => (true, &written[1..]),
        b'+' => (false, &written[1..]),
        _ => (false, written),
    };
    let lower = unsigned.to_ascii_lowercase();
    let (digits, radix) = if let Some(digits) = lower.strip_prefix("0x") {
        (digits, 16)
    } else if let Some(digits) = lower.strip_suffix('b') {
        (digits, 2)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (&lower[1..], 8)
    } else {
        (lower.as_str(), 10)
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let magnitude = i128::from_str_radix(digits, radix).ok()?;
    Some(if negative { -magnitude } else { magnitude })
}
