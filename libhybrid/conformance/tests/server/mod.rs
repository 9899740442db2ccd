//! A server of the test interface, and a caller that loses its first reply.
use hybrid_idl_conformance::test::everything::{
    Color, Everything, EverythingAdd, EverythingEmptied, EverythingMany, EverythingMixed, EverythingRenamed,
    EverythingTicked, File, FileParent, Folder, Parts, Problem, Shape,
};
use hybrid_ipc::{Caller, CapSlot, ClientId, Incoming, NotificationCap, Outgoing, RegionCap, reply};
use std::borrow::Cow;

#[derive(Default)]
pub(crate) struct Tree {
    pub(crate) calls: u32,
    pub(crate) last_client: Option<ClientId>,
    pub(crate) bell: Option<NotificationCap>,
    pub(crate) region: Option<RegionCap>,
    pub(crate) ticked: Option<EverythingTicked>,
    pub(crate) renamed: Option<EverythingRenamed<'static>>,
    pub(crate) is_emptied: bool,
    /// The arguments of the last `mixed`, printed.
    pub(crate) mixed: String,
}

pub(crate) struct OpenFolder {
    path: String,
}

pub(crate) struct OpenFile {
    folder: String,
    content: &'static [u8],
}

impl Folder<Tree> for OpenFolder {
    type File = OpenFile;

    fn open_folder(&mut self, server: &mut Tree, _: ClientId, name: &str) -> Result<Self, Problem> {
        server.calls += 1;
        if name == "missing" { Err(Problem::NotFound) } else { Ok(Self { path: format!("/{name}") }) }
    }

    fn open_file(&mut self, _: &mut Tree, _: ClientId, name: &str) -> Result<(OpenFile, u32), Problem> {
        if name.is_empty() {
            return Err(Problem::NotFound);
        }
        Ok((OpenFile { folder: self.path.clone(), content: b"data" }, 4))
    }

    fn name<'a>(&'a mut self, _: &'a mut Tree, _: ClientId) -> Cow<'a, str> {
        Cow::Borrowed(&self.path)
    }
}

impl File<Tree> for OpenFile {
    type Folder = OpenFolder;

    fn read<'a>(&'a mut self, _: &'a mut Tree, _: ClientId, offset: u32, length: u8) -> Result<Cow<'a, [u8]>, Problem> {
        let start = usize::try_from(offset).map_err(|_| Problem::NotFound)?;
        let end = start.saturating_add(usize::from(length));
        self.content.get(start..end).map(Cow::Borrowed).ok_or(Problem::NotFound)
    }

    fn parent<'a>(&'a mut self, _: &'a mut Tree, _: ClientId) -> Result<(OpenFolder, FileParent<'a>), Problem> {
        let parent = OpenFolder { path: self.folder.clone() };
        Ok((parent, FileParent { name: Cow::Borrowed(&self.folder), depth: 1 }))
    }

    fn flush(&mut self, server: &mut Tree, _: ClientId) {
        server.calls += 1;
    }
}

impl Everything for Tree {
    type Folder = OpenFolder;
    type File = OpenFile;

    fn nothing(&mut self, client: ClientId) {
        self.calls += 1;
        self.last_client = Some(client);
    }

    fn add(&mut self, client: ClientId, a: u32, b: i32, c: bool, color: Color) -> EverythingAdd {
        self.calls += 1;
        self.last_client = Some(client);
        EverythingAdd { sum: i64::from(a) + i64::from(b), is_odd: c, color, big: u64::MAX }
    }

    fn many(&mut self, _: ClientId, a: u8, b: u8, c: u8, d: u8, e: u8) -> Result<EverythingMany, Problem> {
        Ok(EverythingMany { a: e, b: d, c, d: b, e: a })
    }

    fn echo(&mut self, _: ClientId, parts: Parts<'_>) -> Result<Parts<'_>, Problem> {
        Ok(parts.into_owned())
    }

    fn mixed(
        &mut self,
        _: ClientId,
        name: &str,
        maybe: Option<&[u8]>,
        shape: Option<Shape<'_>>,
        list: Vec<Shape<'_>>,
        mac: [u8; 6],
        maybe_color: Option<Color>,
    ) -> EverythingMixed<'_> {
        self.calls += 1;
        let sum: u8 = mac.iter().sum();
        let Some(maybe) = maybe else { return EverythingMixed { text: None, count: 0 } };
        self.mixed = format!("{name} {} {shape:?} {} {sum} {maybe_color:?}", maybe.len(), list.len());
        // Beyond the bound if the client wants to see what happens then.
        EverythingMixed { count: 1, text: Some(Cow::Owned(name.repeat(maybe.len()))) }
    }

    fn root(&mut self, _: ClientId) -> OpenFolder {
        self.calls += 1;
        OpenFolder { path: "/".to_owned() }
    }

    fn subscribe(&mut self, _: ClientId, _bits: u64, bell: NotificationCap) -> Result<(), Problem> {
        self.bell = Some(bell);
        Ok(())
    }

    fn share(&mut self, _: ClientId, region: RegionCap, name: &str) -> Result<u32, Problem> {
        self.region = Some(region);
        u32::try_from(name.len()).map_err(|_| Problem::NoRoom)
    }

    fn bell(&mut self, _: ClientId) -> NotificationCap {
        self.bell.unwrap_or(NotificationCap(CapSlot(0)))
    }

    fn frame(&mut self, _: ClientId) -> Result<(RegionCap, u32), Problem> {
        self.region.map(|region| (region, 4096)).ok_or(Problem::NotFound)
    }

    fn pull_ticked(&mut self, _: ClientId) -> Option<EverythingTicked> {
        self.ticked.take()
    }

    fn pull_renamed(&mut self, _: ClientId) -> Option<EverythingRenamed<'_>> {
        self.renamed.take()
    }

    fn pull_emptied(&mut self, _: ClientId) -> Option<EverythingEmptied> {
        core::mem::take(&mut self.is_emptied).then_some(EverythingEmptied {})
    }

    fn fail(&mut self, _: ClientId, code: u8) -> Result<u8, Problem> {
        Problem::try_from(u16::from(code)).map_or(Ok(code), Err)
    }
}

/// Loses the first reply, as if the server had died after it did the operation and was restarted.
pub(crate) struct Flaky<C> {
    inner: C,
    has_failed: bool,
}

impl<C> Flaky<C> {
    pub(crate) fn new(inner: C) -> Self {
        Self { inner, has_failed: false }
    }
}

impl<C: Caller> Caller for Flaky<C> {
    type Received = C::Received;

    fn call(&mut self, request: &Outgoing, answer: &mut Incoming) {
        self.inner.call(request, answer);
        if !std::mem::replace(&mut self.has_failed, true) {
            answer.receive_label(reply::KERNEL_INVALID_CAPABILITY);
        }
    }

    fn received(&mut self, slot: CapSlot) -> C::Received {
        self.inner.received(slot)
    }

    fn renew(&mut self) -> bool {
        self.inner.renew()
    }
}

/// Answers everything with the same message and a capability, and counts those that nobody has deleted.
pub(crate) struct Answering {
    answer: Outgoing,
    with_cap: bool,
    live: std::rc::Rc<std::cell::Cell<u32>>,
    is_received: bool,
}

impl Answering {
    pub(crate) fn new(answer: Outgoing, with_cap: bool) -> (Self, std::rc::Rc<std::cell::Cell<u32>>) {
        let live = std::rc::Rc::new(std::cell::Cell::new(0));
        (Self { answer, with_cap, live: live.clone(), is_received: false }, live)
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        if self.is_received {
            self.live.set(self.live.get() - 1);
        }
    }
}

impl Caller for Answering {
    type Received = Self;

    fn call(&mut self, _: &Outgoing, answer: &mut Incoming) {
        let words: Vec<_> = self.answer.buffer_words().collect();
        // The answer to a close, which a received caller sends, brings none.
        let cap = (self.with_cap && !self.is_received).then_some(CapSlot(1));
        self.live.set(self.live.get() + u32::from(cap.is_some()));
        answer.receive(0, self.answer.label(), self.answer.length(), self.answer.registers(), cap, |index| {
            words.iter().find(|(at, _)| *at == index).map_or(0, |(_, word)| *word)
        });
    }

    fn received(&mut self, _: CapSlot) -> Self {
        Self { answer: Outgoing::new(), with_cap: false, live: self.live.clone(), is_received: true }
    }
}
