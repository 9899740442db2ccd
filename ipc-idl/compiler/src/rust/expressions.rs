//! Rust expressions that encode, decode and own one value. `__w` is a Writer, `__r` a Reader.
use super::Scope;
use crate::model::{Field, Scalar, Type};
use crate::names::snake;

/// How an expression names a value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// It is the value itself, such as `self.port`.
    Value,
    /// It is a reference to the value, such as a loop variable.
    Reference,
}

/// What a decoded string becomes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Text {
    /// `Cow::Borrowed`, as in a type.
    Cow,
    /// `&str` or `&[u8]`, as an argument of a server.
    Lent,
}

impl Scope<'_> {
    /// Statements that write a value.
    pub(super) fn encode(&self, kind: &Type, value: &str, form: Form) -> String {
        let lent = if form == Form::Value { format!("&{value}") } else { value.to_owned() };
        match kind {
            Type::Scalar(scalar) => {
                let copied = if form == Form::Value { value.to_owned() } else { format!("*{value}") };
                format!("__w.{}({copied})?;\n", scalar.name())
            }
            Type::Text(max) => format!("__w.text({lent}, {max})?;\n"),
            Type::Bytes(max) => format!("__w.bytes({lent}, {max})?;\n"),
            Type::List(inner, max) => format!(
                "__w.length({value}.len(), {max})?;\nfor __item in {value}.iter() {{\n{}}}\n",
                self.encode(inner, "__item", Form::Reference)
            ),
            Type::Array(Scalar::U8, _) => format!("__w.raw({lent})?;\n"),
            Type::Array(scalar, _) => {
                format!("for __item in {value}.iter() {{\n__w.{}(*__item)?;\n}}\n", scalar.name())
            }
            Type::Option(inner) => format!(
                "__w.bool({value}.is_some())?;\nif let Some(__some) = {lent} {{\n{}}}\n",
                self.encode(inner, "__some", Form::Reference)
            ),
            Type::Named(_) => format!("{value}.encode_to(__w)?;\n"),
            Type::Own(_) | Type::Notification { .. } | Type::Region { .. } => String::new(),
        }
    }

    /// An expression that reads a value.
    pub(super) fn decode(&self, kind: &Type, text: Text) -> String {
        match kind {
            Type::Scalar(scalar) => format!("__r.{}()?", scalar.name()),
            Type::Text(max) => lent_or_cow(text, &format!("__r.text({max})?")),
            Type::Bytes(max) => lent_or_cow(text, &format!("__r.bytes({max})?")),
            Type::List(inner, max) => format!(
                "{{\nlet __length = __r.length({max})?;\nlet mut __list = Vec::with_capacity(__length.min(__r.remaining()));\n\
                 for _ in 0..__length {{\n__list.push({});\n}}\n__list\n}}",
                self.decode(inner, Text::Cow)
            ),
            Type::Array(Scalar::U8, count) => format!("__r.array::<{count}>()?"),
            Type::Array(scalar, count) => {
                let zero = if *scalar == Scalar::Bool { "false".to_owned() } else { format!("0_{}", scalar.name()) };
                format!(
                    "{{\nlet mut __array = [{zero}; {count}];\nfor __item in &mut __array {{\n*__item = __r.{}()?;\n}}\n__array\n}}",
                    scalar.name()
                )
            }
            Type::Option(inner) => format!("if __r.bool()? {{ Some({}) }} else {{ None }}", self.decode(inner, text)),
            Type::Named(id) => format!("{}::decode_from(__r)?", self.path(*id)),
            Type::Own(_) | Type::Notification { .. } | Type::Region { .. } => "()".to_owned(),
        }
    }

    /// An expression that makes a value own its parts.
    pub(super) fn owned(&self, kind: &Type, value: &str) -> String {
        if !self.world.borrows(kind) {
            return value.to_owned();
        }
        match kind {
            Type::Text(_) | Type::Bytes(_) => format!("Cow::Owned({value}.into_owned())"),
            Type::List(inner, _) => {
                format!("{value}.into_iter().map(|__item| {}).collect()", self.owned(inner, "__item"))
            }
            Type::Option(inner) => format!("{value}.map(|__some| {})", self.owned(inner, "__some")),
            _ => format!("{value}.into_owned()"),
        }
    }

    /// An expression that puts a scalar into a register.
    pub(super) fn to_word(value: &str) -> String {
        format!("ipc::scalar::Scalar::to_word({value})")
    }

    /// Statements that bind the fields of a message to their names, from registers or from the payload.
    pub(super) fn bind(&self, fields: &[Field], message: &str, text: Text) -> String {
        if self.world.fits_registers(fields, 0) {
            let names: Vec<_> = fields.iter().map(|field| field.name.as_str()).collect();
            let mut out = format!("let [{}] = {message}.registers::<{}>()?;\n", names.join(", "), names.len());
            for field in fields {
                let kind = self.rust_type(&field.kind, "'_");
                out += &format!("let {0}: {kind} = ipc::scalar::Scalar::from_word({0})?;\n", field.name);
            }
            return out;
        }
        let mut out = format!("let mut __reader = {message}.payload()?;\nlet __r = &mut __reader;\n");
        for field in fields {
            out += &format!("let {} = {};\n", field.name, self.decode(&field.kind, text));
        }
        out + "__reader.finish()?;\n"
    }

    /// The result struct of an operation, or the struct of an event, by its fields.
    pub(super) fn made_type(&self, name: &str, fields: &[Field], life: &str) -> String {
        let borrows = fields.iter().any(|field| self.world.borrows(&field.kind));
        if borrows { format!("{name}<{life}>") } else { name.to_owned() }
    }
}

fn lent_or_cow(text: Text, value: &str) -> String {
    if text == Text::Lent { value.to_owned() } else { format!("Cow::Borrowed({value})") }
}

/// The method that pulls an event.
pub(super) fn pull_method(event: &str) -> String {
    format!("pull_{}", snake(event))
}
