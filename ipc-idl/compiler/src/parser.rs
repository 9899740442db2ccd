//! Tokens to the syntax tree; stops at the first mistake of a text.
use crate::ast::{
    Bound, File, Item, ItemKind, Member, MemberKind, Name, Number, Operation, Parameter, Ring, TypeKind, TypeRef,
};
use crate::diagnostic::{Diagnostic, Span};
use crate::lexer::{Kind, Token, tokens};

type Parsed<T> = Result<T, Diagnostic>;

/// Deepest nesting of types. Keeps the compiler's recursion, and everyone's eyes, within limits.
const DEPTH_MAX: usize = 8;

/// The syntax tree of one text.
pub(crate) fn parse(file: usize, text: &str) -> Parsed<File> {
    let mut parser = Parser { tokens: tokens(file, text)?, at: 0 };
    parser.file()
}

struct Parser {
    tokens: Vec<Token>,
    /// Never beyond the last token, which is `End`.
    at: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Body {
    Enum,
    Struct,
    Union,
    Resource,
    Interface,
}

impl Parser {
    fn file(&mut self) -> Parsed<File> {
        let docs = self.docs();
        if self.peek() != &Kind::Word("library".into()) {
            let found = self.unexpected("`library`").hint("a text begins with `library hybrid.…;`");
            return Err(Diagnostic { rule: "library-first", ..found });
        }
        self.advance();
        let library = self.dotted()?;
        let version = if self.take_word("version") { self.number()?.value } else { 1 };
        self.mark(";")?;
        let mut items = Vec::new();
        loop {
            let docs = self.docs();
            if self.peek() != &Kind::End {
                items.push(self.item(docs)?);
            } else if docs.is_empty() {
                break;
            } else {
                return Err(Diagnostic::new("stray-documentation", &self.span(), "documentation of nothing")
                    .hint("`///` stands before what it documents; use `//` for remarks"));
            }
        }
        Ok(File { docs, library, version, items })
    }

    fn item(&mut self, docs: Vec<String>) -> Parsed<Item> {
        let keyword = self.name("a declaration")?;
        let body = match keyword.text.as_str() {
            "const" => {
                let name = self.name("the constant's name")?;
                self.mark("=")?;
                let kind = ItemKind::Const(self.number()?);
                self.mark(";")?;
                return Ok(Item { docs, name, kind });
            }
            "enum" => Body::Enum,
            "struct" => Body::Struct,
            "union" => Body::Union,
            "resource" => Body::Resource,
            "interface" => Body::Interface,
            other => {
                let message = format!("`{other}` declares nothing");
                return Err(Diagnostic::new("declaration", &keyword.span, message)
                    .hint("declarations are `const`, `enum`, `struct`, `union`, `resource` and `interface`"));
            }
        };
        let name = self.name("a name")?;
        let per_client = if body == Body::Resource { Some(self.quota()?) } else { None };
        let members = self.members(body)?;
        let kind = match (body, per_client) {
            (Body::Enum, _) => ItemKind::Enum(members),
            (Body::Struct, _) => ItemKind::Struct(members),
            (Body::Union, _) => ItemKind::Union(members),
            (Body::Resource, Some(per_client)) => ItemKind::Resource { per_client, members },
            (Body::Resource | Body::Interface, _) => ItemKind::Interface(members),
        };
        Ok(Item { docs, name, kind })
    }

    /// `(per_client = 4)`.
    fn quota(&mut self) -> Parsed<Number> {
        if self.peek() != &Kind::Mark("(") {
            let found = self.unexpected("`(per_client = N)`");
            let found = found.hint("every resource bounds how many live objects a client may have");
            return Err(Diagnostic { rule: "quota", ..found });
        }
        self.advance();
        self.word("per_client")?;
        self.mark("=")?;
        let number = self.number()?;
        self.mark(")")?;
        Ok(number)
    }

    fn members(&mut self, body: Body) -> Parsed<Vec<Member>> {
        self.mark("{")?;
        let mut members = Vec::new();
        loop {
            let docs = self.docs();
            if self.take_mark("}") {
                return Ok(members);
            }
            members.push(self.member(body, docs)?);
            if matches!(body, Body::Resource | Body::Interface) {
                self.mark(";")?;
            } else if !self.take_mark(",") {
                self.mark("}")?;
                return Ok(members);
            }
        }
    }

    fn member(&mut self, body: Body, docs: Vec<String>) -> Parsed<Member> {
        if let Kind::Word(word) = self.peek().clone() {
            let name = Name { text: word.clone(), span: self.span() };
            match word.as_str() {
                "reserved" => {
                    self.advance();
                    let ordinal = self.number()?;
                    return Ok(Member { docs, ordinal, name, kind: MemberKind::Reserved });
                }
                "event" | "ring" => {
                    self.advance();
                    let ordinal = self.ordinal()?;
                    let name = self.name("a name")?;
                    let kind = if word == "event" {
                        MemberKind::Event(self.parameters()?)
                    } else {
                        MemberKind::Ring(self.ring()?)
                    };
                    return Ok(Member { docs, ordinal, name, kind });
                }
                _ => {}
            }
        }
        let ordinal = self.ordinal()?;
        let name = self.name("a name")?;
        let kind = match body {
            Body::Enum => MemberKind::Plain,
            Body::Struct => {
                self.mark(":")?;
                MemberKind::Typed(self.type_ref(0)?)
            }
            Body::Union => self.union_value()?,
            Body::Resource | Body::Interface => MemberKind::Operation(self.operation()?),
        };
        Ok(Member { docs, ordinal, name, kind })
    }

    fn ordinal(&mut self) -> Parsed<Number> {
        if !matches!(self.peek(), Kind::Number(_)) {
            let found = self.unexpected("an ordinal").hint("every member starts with its frozen ordinal, `1: name …`");
            return Err(Diagnostic { rule: "ordinal-missing", ..found });
        }
        let ordinal = self.number()?;
        self.mark(":")?;
        Ok(ordinal)
    }

    fn union_value(&mut self) -> Parsed<MemberKind> {
        if !self.take_mark("(") {
            return Ok(MemberKind::Plain);
        }
        let value = self.type_ref(0)?;
        self.mark(")")?;
        Ok(MemberKind::Typed(value))
    }

    fn operation(&mut self) -> Parsed<Operation> {
        let arguments = self.parameters()?;
        if self.peek() != &Kind::Mark("->") {
            let found = self.unexpected("`->`").hint("an operation without results ends in `-> ()`");
            return Err(Diagnostic { rule: "results-missing", ..found });
        }
        self.advance();
        let results = self.parameters()?;
        let error = if self.take_mark("!") { Some(self.dotted()?) } else { None };
        let span = self.span();
        let idempotent = self.take_word("idempotent").then_some(span);
        Ok(Operation { arguments, results, error, idempotent })
    }

    /// `(to_client, bytes = 8192): Type`.
    fn ring(&mut self) -> Parsed<Ring> {
        self.mark("(")?;
        let direction = self.name("`to_client` or `to_server`")?;
        self.mark(",")?;
        self.word("bytes")?;
        self.mark("=")?;
        let bytes = self.bound_value()?;
        self.mark(")")?;
        self.mark(":")?;
        Ok(Ring { direction, bytes, element: self.type_ref(0)? })
    }

    fn parameters(&mut self) -> Parsed<Vec<Parameter>> {
        self.mark("(")?;
        let mut parameters = Vec::new();
        loop {
            if self.take_mark(")") {
                return Ok(parameters);
            }
            let name = self.name("a name or `)`")?;
            self.mark(":")?;
            let type_ref = self.type_ref(0)?;
            parameters.push(Parameter { name, type_ref });
            if !self.take_mark(",") {
                self.mark(")")?;
                return Ok(parameters);
            }
        }
    }

    fn type_ref(&mut self, depth: usize) -> Parsed<TypeRef> {
        let start = self.span();
        if depth > DEPTH_MAX {
            return Err(Diagnostic::new("type-depth", &start, "types are nested too deeply")
                .hint("name the inner type as a struct"));
        }
        let word = self.dotted()?;
        let kind = match word.text.as_str() {
            "string" => TypeKind::String(self.bound(&word)?),
            "bytes" => TypeKind::Bytes(self.bound(&word)?),
            "list" | "array" => self.sequence(&word, depth)?,
            "own" => TypeKind::Own(self.name("the name of a resource")?),
            "cap" => self.capability()?,
            "region" => TypeKind::Region { rights: self.rights(&word)? },
            _ => TypeKind::Named(word.text.clone()),
        };
        let mut type_ref = TypeRef { span: self.span_from(&start), kind };
        while self.take_mark("?") {
            let span = self.span_from(&start);
            if matches!(type_ref.kind, TypeKind::Option(_)) {
                return Err(Diagnostic::new("option-twice", &span, "a value is optional or not, not twice"));
            }
            type_ref = TypeRef { span, kind: TypeKind::Option(Box::new(type_ref)) };
        }
        Ok(type_ref)
    }

    fn sequence(&mut self, word: &Name, depth: usize) -> Parsed<TypeKind> {
        self.mark("<")?;
        let element = Box::new(self.type_ref(depth + 1)?);
        if !self.take_mark(",") {
            return Err(unbounded(word));
        }
        let bound = self.bound_value()?;
        self.mark(">")?;
        Ok(if word.text == "list" { TypeKind::List(element, bound) } else { TypeKind::Array(element, bound) })
    }

    fn capability(&mut self) -> Parsed<TypeKind> {
        let kind = self.name("the kind of a capability")?;
        let rights = self.rights(&kind)?;
        Ok(TypeKind::Cap { kind, rights })
    }

    fn rights(&mut self, of: &Name) -> Parsed<Name> {
        if !self.take_mark("<") {
            let message = format!("the rights of `{}` are not stated", of.text);
            return Err(Diagnostic::new("rights-missing", &of.span, message)
                .hint("write `cap Notification<signal>`, `region<r>` or `region<rw>`"));
        }
        let rights = self.name("rights")?;
        self.mark(">")?;
        Ok(rights)
    }

    /// `<64>` or `<NAME_MAX>`.
    fn bound(&mut self, word: &Name) -> Parsed<Bound> {
        if !self.take_mark("<") {
            return Err(unbounded(word));
        }
        let bound = self.bound_value()?;
        self.mark(">")?;
        Ok(bound)
    }

    fn bound_value(&mut self) -> Parsed<Bound> {
        match self.peek() {
            Kind::Number(_) => Ok(Bound::Number(self.number()?)),
            _ => Ok(Bound::Constant(self.name("a number or a constant")?)),
        }
    }

    fn docs(&mut self) -> Vec<String> {
        let mut docs = Vec::new();
        while let Kind::Doc(text) = self.peek().clone() {
            docs.push(text);
            self.advance();
        }
        docs
    }

    fn dotted(&mut self) -> Parsed<Name> {
        let mut name = self.name("a name")?;
        while self.take_mark(".") {
            let part = self.name("a name")?;
            name.text = format!("{}.{}", name.text, part.text);
            name.span.bytes.end = part.span.bytes.end;
        }
        Ok(name)
    }

    fn name(&mut self, wanted: &str) -> Parsed<Name> {
        match self.peek().clone() {
            Kind::Word(text) => {
                let span = self.span();
                self.advance();
                Ok(Name { text, span })
            }
            _ => Err(self.unexpected(wanted)),
        }
    }

    fn number(&mut self) -> Parsed<Number> {
        match *self.peek() {
            Kind::Number(value) => {
                let span = self.span();
                self.advance();
                Ok(Number { value, span })
            }
            _ => Err(self.unexpected("a number")),
        }
    }

    fn word(&mut self, word: &str) -> Parsed<()> {
        if self.take_word(word) { Ok(()) } else { Err(self.unexpected(&format!("`{word}`"))) }
    }

    fn mark(&mut self, mark: &str) -> Parsed<()> {
        if self.take_mark(mark) { Ok(()) } else { Err(self.unexpected(&format!("`{mark}`"))) }
    }

    fn take_word(&mut self, word: &str) -> bool {
        let is_there = matches!(self.peek(), Kind::Word(text) if text == word);
        if is_there {
            self.advance();
        }
        is_there
    }

    fn take_mark(&mut self, mark: &str) -> bool {
        let is_there = matches!(self.peek(), Kind::Mark(found) if *found == mark);
        if is_there {
            self.advance();
        }
        is_there
    }

    fn peek(&self) -> &Kind {
        &self.tokens[self.at].kind
    }

    fn span(&self) -> Span {
        self.tokens[self.at].span.clone()
    }

    /// From the start of `start` to the end of the last token.
    fn span_from(&self, start: &Span) -> Span {
        let last = self.at.saturating_sub(1);
        Span { file: start.file, bytes: start.bytes.start..self.tokens[last].span.bytes.end }
    }

    fn advance(&mut self) {
        self.at = (self.at + 1).min(self.tokens.len() - 1);
    }

    fn unexpected(&self, wanted: &str) -> Diagnostic {
        let found = match self.peek() {
            Kind::Word(text) => format!("`{text}`"),
            Kind::Number(value) => format!("`{value}`"),
            Kind::Doc(_) => "documentation".into(),
            Kind::Mark(mark) => format!("`{mark}`"),
            Kind::End => "the end of the text".into(),
        };
        Diagnostic::new("syntax", &self.span(), format!("expected {wanted}, found {found}"))
    }
}

fn unbounded(word: &Name) -> Diagnostic {
    let hint = match word.text.as_str() {
        "list" => "write `list<T, N>`",
        "array" => "write `array<T, N>`",
        "bytes" => "write `bytes<N>`",
        _ => "write `string<N>`",
    };
    Diagnostic::new("unbounded", &word.span, format!("`{}` has no bound", word.text))
        .hint(format!("{hint}: every receiver must know the most that can come"))
}
