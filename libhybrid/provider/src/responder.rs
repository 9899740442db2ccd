//! An answer while it is being made.

use alloc::borrow::Cow;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use hybrid_interfaces::provider::{Field, Outcome};

/// An answer's body. Shared ones cost nothing for each request.
#[derive(Clone, Debug, Default)]
pub enum Body {
    /// None.
    #[default]
    Empty,
    /// Part of the program.
    Static(&'static [u8]),
    /// Made once, sent often.
    Shared(Rc<[u8]>),
    /// Made for this answer.
    Owned(Vec<u8>),
}

impl Body {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Body::Empty => &[],
            Body::Static(bytes) => bytes,
            Body::Shared(bytes) => bytes,
            Body::Owned(bytes) => bytes,
        }
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Body::Static(text.as_bytes())
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Body::Owned(text.into_bytes())
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Body::Owned(bytes)
    }
}

impl From<Rc<[u8]>> for Body {
    fn from(bytes: Rc<[u8]>) -> Self {
        Body::Shared(bytes)
    }
}

/// An answer; begins as `NotFound` without a body.
#[derive(Debug)]
pub struct Responder {
    pub(crate) outcome: Outcome,
    pub(crate) media_type: Cow<'static, str>,
    pub(crate) metadata: Vec<Field<'static>>,
    pub(crate) body: Body,
}

impl Default for Responder {
    fn default() -> Self {
        Responder { outcome: Outcome::NotFound, media_type: Cow::Borrowed(""), metadata: Vec::new(), body: Body::Empty }
    }
}

impl Responder {
    /// `Ok` with a body of any type.
    pub fn body(&mut self, media_type: impl Into<Cow<'static, str>>, body: impl Into<Body>) {
        self.outcome = Outcome::Ok;
        self.media_type = media_type.into();
        self.body = body.into();
    }

    /// `Ok` with plain text.
    pub fn text(&mut self, text: impl Into<Body>) {
        self.body("text/plain; charset=utf-8", text);
    }

    /// `Ok` with an HTML page.
    pub fn html(&mut self, page: impl Into<Body>) {
        self.body("text/html; charset=utf-8", page);
    }

    /// `Ok` with JSON.
    pub fn json(&mut self, json: impl Into<Body>) {
        self.body("application/json", json);
    }

    /// Another outcome; what was said of the body stays.
    pub fn outcome(&mut self, outcome: Outcome) {
        self.outcome = outcome;
    }

    /// There is nothing at this path.
    pub fn not_found(&mut self) {
        self.text("not found\n");
        self.outcome = Outcome::NotFound;
    }

    /// The path is right and the verb is not. `allowed` says in HTTP's words which are ("GET, HEAD").
    pub fn verb_not_allowed(&mut self, allowed: &'static str) {
        self.text("verb not allowed\n");
        self.outcome = Outcome::VerbNotAllowed;
        self.field("allow", allowed);
    }

    /// Adds a metadata field. Names in lower case.
    pub fn field(&mut self, name: &'static str, value: impl Into<Cow<'static, str>>) {
        self.metadata.push(Field { name: Cow::Borrowed(name), value: value.into() });
    }
}
