//! The productions of DSP0004 Annex A, one function each.

use super::super::SCOPES;
use super::super::ast::{Class, Declaration, Element, Initializer, Instance, Literal, Word};
use super::super::ast::{FlavorWords, Method, Qualifier, QualifierType, Shape};
use super::super::diagnostic::{Diagnostic, Problem};
use super::super::lexer::Token;
use super::super::source::{Span, Spanned};
use super::{Parsed, Parser};
use crate::cim::{Scope, Type};

/// Declarations.
impl Parser<'_> {
    pub(super) fn declaration(&mut self) -> Parsed<Declaration> {
        if self.peek() == &Token::Pragma {
            return self.pragma();
        }
        let start = self.span();
        let qualifiers = self.qualifiers()?;
        if self.at_keyword(0, "class") {
            return self.class(qualifiers).map(Declaration::Class);
        }
        if self.at_keyword(0, "instance") && self.at_keyword(1, "of") {
            return self.instance(start).map(Declaration::Instance);
        }
        if qualifiers.is_empty() && self.at_keyword(0, "qualifier") {
            return self.qualifier_type().map(Declaration::Qualifier);
        }
        self.expected("a declaration of a class, qualifier or instance")
    }

    fn pragma(&mut self) -> Parsed<Declaration> {
        self.bump();
        let name = self.word("the name of a pragma")?;
        self.mark('(', "`(`")?;
        let value = self.string("the text of the pragma")?;
        self.mark(')', "`)`")?;
        Ok(Declaration::Pragma { name, value })
    }

    fn qualifier_type(&mut self) -> Parsed<QualifierType> {
        self.bump();
        let name = self.word("the name of a qualifier")?;
        self.mark(':', "`:` and a type")?;
        let ty = self.data_type()?;
        let (array, array_size) = self.array()?;
        let shape = Shape {
            ty,
            reference_class: None,
            array,
            array_size,
        };
        let default = self.default()?;
        self.mark(',', "`,` and the scope")?;
        if !self.eat_keyword("scope") {
            return self.expected("`Scope`");
        }
        self.mark('(', "`(`")?;
        let scopes = self.list(Self::scope)?.concat();
        self.mark(')', "`)`")?;
        let mut flavor = FlavorWords::default();
        if self.eat(',') {
            if !self.eat_keyword("flavor") {
                return self.expected("`Flavor`");
            }
            self.mark('(', "`(`")?;
            self.list(|p| p.flavor(&mut flavor))?;
            self.mark(')', "`)`")?;
        }
        self.mark(';', "`;`")?;
        Ok(QualifierType {
            name,
            shape,
            default,
            scopes,
            flavor,
        })
    }

    fn scope(&mut self) -> Parsed<Vec<Scope>> {
        let word = match self.peek() {
            Token::Word(word) => word.clone(),
            _ => String::new(),
        };
        let any = word.eq_ignore_ascii_case("any");
        let scopes: Vec<_> = SCOPES
            .iter()
            .filter(|(name, _)| any || name.eq_ignore_ascii_case(&word))
            .map(|&(_, scope)| scope)
            .collect();
        if scopes.is_empty() {
            return self.expected("a scope such as `class` or `any`");
        }
        self.bump();
        Ok(scopes)
    }

    fn flavor(&mut self, flavor: &mut FlavorWords) -> Parsed<()> {
        let span = self.span();
        let Token::Word(word) = self.peek() else {
            return self.expected("a flavor such as `ToSubclass`");
        };
        let (slot, on) = match word.to_ascii_lowercase().as_str() {
            "enableoverride" => (&mut flavor.overridable, true),
            "disableoverride" => (&mut flavor.overridable, false),
            "tosubclass" => (&mut flavor.to_subclass, true),
            "restricted" => (&mut flavor.to_subclass, false),
            "translatable" => (&mut flavor.translatable, true),
            _ => return self.expected("a flavor such as `ToSubclass`"),
        };
        if slot.replace(on).is_some_and(|before| before != on) {
            return Err(Diagnostic::new(Problem::ConflictingFlavor, span));
        }
        self.bump();
        Ok(())
    }

    fn class(&mut self, qualifiers: Vec<Qualifier>) -> Parsed<Class> {
        self.bump();
        let name = self.word("the name of a class")?;
        let alias = self.alias()?;
        let superclass = match self.eat(':') {
            true => Some(self.word("the name of the superclass")?),
            false => None,
        };
        let mut class = Class {
            name,
            superclass,
            alias,
            qualifiers,
            properties: Vec::new(),
            methods: Vec::new(),
        };
        self.body(|p| p.feature(&mut class))?;
        Ok(class)
    }

    fn alias(&mut self) -> Parsed<Option<Word>> {
        if !self.eat_keyword("as") {
            return Ok(None);
        }
        let span = self.span();
        match self.peek() {
            Token::Alias(name) if !name.is_empty() => {
                let it = name.clone();
                self.bump();
                Ok(Some(Spanned { it, span }))
            }
            _ => self.expected("an alias such as `$pool`"),
        }
    }

    /// A property, reference or method.
    fn feature(&mut self, class: &mut Class) -> Parsed<()> {
        let qualifiers = self.qualifiers()?;
        let void = self.at_keyword(0, "void") && self.peek_at(2) == &Token::Mark('(');
        let (ty, reference_class) = if void {
            self.bump();
            (None, None)
        } else {
            let (ty, class) = self.type_or_reference()?;
            (Some(ty), class)
        };
        let name = self.word("a name")?;
        let method = reference_class.is_none() && self.eat('(');
        let Some(ty) = ty.filter(|_| !method) else {
            let mut parameters = Vec::new();
            if !self.at_mark(')') {
                parameters = self.list(Self::parameter)?;
            }
            self.mark(')', "`,` or `)`")?;
            self.mark(';', "`;`")?;
            class.methods.push(Method {
                name,
                returns: ty,
                qualifiers,
                parameters,
            });
            return Ok(());
        };
        let (array, array_size) = self.array()?;
        let default = self.default()?;
        self.mark(';', "`;`")?;
        class.properties.push(Element {
            name,
            shape: Shape {
                ty,
                reference_class,
                array,
                array_size,
            },
            qualifiers,
            default,
        });
        Ok(())
    }

    fn parameter(&mut self) -> Parsed<Element> {
        let qualifiers = self.qualifiers()?;
        let (ty, reference_class) = self.type_or_reference()?;
        let name = self.word("the name of a parameter")?;
        let (array, array_size) = self.array()?;
        Ok(Element {
            name,
            shape: Shape {
                ty,
                reference_class,
                array,
                array_size,
            },
            qualifiers,
            default: None,
        })
    }

    fn instance(&mut self, start: Span) -> Parsed<Instance> {
        self.bump();
        self.bump();
        let class = self.word("the name of a class")?;
        let alias = self.alias()?;
        let span = start.to(self.previous());
        let mut values = Vec::new();
        self.body(|p| {
            // Qualifiers on values are allowed by the grammar and mean nothing.
            p.qualifiers()?;
            let name = p.word("the name of a property")?;
            p.mark('=', "`=`")?;
            let value = p.initializer()?;
            p.mark(';', "`;`")?;
            values.push((name, value));
            Ok(())
        })?;
        Ok(Instance {
            class,
            alias,
            values,
            span,
        })
    }
}

/// Parts of declarations.
impl Parser<'_> {
    fn qualifiers(&mut self) -> Parsed<Vec<Qualifier>> {
        if !self.eat('[') {
            return Ok(Vec::new());
        }
        let qualifiers = self.list(Self::qualifier)?;
        self.mark(']', "`,` or `]`")?;
        Ok(qualifiers)
    }

    fn qualifier(&mut self) -> Parsed<Qualifier> {
        let name = self.word("the name of a qualifier")?;
        let value = if self.eat('(') {
            let value = self.literal()?;
            self.mark(')', "`)`")?;
            Some(Initializer::Scalar(value))
        } else if self.at_mark('{') {
            Some(self.initializer()?)
        } else {
            None
        };
        let mut flavor = FlavorWords::default();
        if self.eat(':') {
            self.flavor(&mut flavor)?;
            while matches!(self.peek(), Token::Word(_)) {
                self.flavor(&mut flavor)?;
            }
        }
        Ok(Qualifier {
            name,
            value,
            flavor,
        })
    }

    fn data_type(&mut self) -> Parsed<Type> {
        let ty = match self.peek() {
            Token::Word(word) => Type::parse(word).filter(|&ty| ty != Type::Reference),
            _ => None,
        };
        match ty {
            Some(ty) => {
                self.bump();
                Ok(ty)
            }
            None => self.expected("a type such as `uint32`"),
        }
    }

    /// A data type, or `Class REF`.
    fn type_or_reference(&mut self) -> Parsed<(Type, Option<Word>)> {
        if matches!(self.peek(), Token::Word(_)) && self.at_keyword(1, "ref") {
            let class = self.word("the name of a class")?;
            self.bump();
            return Ok((Type::Reference, Some(class)));
        }
        self.data_type().map(|ty| (ty, None))
    }

    /// `[]` or `[size]`, if there.
    fn array(&mut self) -> Parsed<(bool, Option<u32>)> {
        if !self.eat('[') {
            return Ok((false, None));
        }
        if self.eat(']') {
            return Ok((true, None));
        }
        let size = match self.peek() {
            Token::Integer(size) => u32::try_from(*size).ok().filter(|&size| size > 0),
            _ => None,
        };
        let Some(size) = size else {
            return Err(Diagnostic::new(Problem::BadArraySize, self.span()));
        };
        self.bump();
        self.mark(']', "`]`")?;
        Ok((true, Some(size)))
    }

    fn default(&mut self) -> Parsed<Option<Initializer>> {
        match self.eat('=') {
            true => self.initializer().map(Some),
            false => Ok(None),
        }
    }

    fn initializer(&mut self) -> Parsed<Initializer> {
        if !self.at_mark('{') {
            return self.literal().map(Initializer::Scalar);
        }
        let start = self.span();
        self.bump();
        let mut items = Vec::new();
        if !self.at_mark('}') {
            items = self.list(Self::literal)?;
        }
        self.mark('}', "`,` or `}`")?;
        Ok(Initializer::Array(items, start.to(self.previous())))
    }

    fn literal(&mut self) -> Parsed<Spanned<Literal>> {
        let span = self.span();
        let it = match self.peek() {
            Token::String(_) => {
                let Spanned { it, span } = self.string("a string")?;
                let it = Literal::String(it);
                return Ok(Spanned { it, span });
            }
            Token::Integer(number) => Literal::Integer(*number),
            Token::Real(number) => Literal::Real(*number),
            Token::Char(unit) => Literal::Char(*unit),
            Token::Alias(name) => Literal::Alias(name.clone()),
            Token::Bad => Literal::Null,
            Token::Word(word) => match word.to_ascii_lowercase().as_str() {
                "true" => Literal::Boolean(true),
                "false" => Literal::Boolean(false),
                "null" => Literal::Null,
                _ => return self.expected("a value"),
            },
            _ => return self.expected("a value"),
        };
        self.bump();
        Ok(Spanned { it, span })
    }

    /// One or more adjacent pieces, joined.
    fn string(&mut self, what: &'static str) -> Parsed<Word> {
        let start = self.span();
        let mut joined = String::new();
        let first = self.at;
        while let Token::String(piece) = self.peek() {
            joined.push_str(piece);
            self.at += 1;
        }
        if self.at == first {
            return self.expected(what);
        }
        Ok(Spanned {
            it: joined,
            span: start.to(self.previous()),
        })
    }
}
