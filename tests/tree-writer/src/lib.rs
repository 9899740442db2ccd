//! Writes device trees for tests, token by token (Devicetree Specification 0.4, chapter 5); reads none.
#![forbid(unsafe_code)]

/// A tree that is being written. Nodes that were begun are to be ended; nobody checks that, since damaged trees are wanted, too.
#[derive(Default)]
pub struct Writer {
    structure: Vec<u8>,
    strings: Vec<u8>,
    reservations: Vec<u8>,
}

impl Writer {
    fn word(&mut self, value: usize) {
        self.structure.extend(u32::try_from(value).unwrap_or(u32::MAX).to_be_bytes());
    }

    fn padded(&mut self, bytes: &[u8]) {
        self.structure.extend(bytes);
        self.structure.resize(self.structure.len().next_multiple_of(4), 0);
    }

    /// An entry of the memory that is reserved.
    pub fn reserve(&mut self, address: u64, bytes: u64) -> &mut Self {
        self.reservations.extend([address.to_be_bytes(), bytes.to_be_bytes()].concat());
        self
    }

    /// The beginning of a node; the root's name is empty.
    pub fn begin(&mut self, name: &str) -> &mut Self {
        self.word(1);
        self.padded(&[name.as_bytes(), b"\0"].concat());
        self
    }

    /// Takes the end of the last node, or its last cell, away: a tree that is damaged.
    pub fn cut(&mut self) -> &mut Self {
        self.structure.truncate(self.structure.len().saturating_sub(4));
        self
    }

    /// The end of the node that was begun last.
    pub fn end(&mut self) -> &mut Self {
        self.word(2);
        self
    }

    /// A property of the node that was begun last.
    pub fn property(&mut self, name: &str, value: &[u8]) -> &mut Self {
        self.word(3);
        self.word(value.len());
        self.word(self.strings.len());
        self.strings.extend([name.as_bytes(), b"\0"].concat());
        self.padded(value);
        self
    }

    /// A property of one text, or of several with a NUL between them.
    pub fn text(&mut self, name: &str, value: &str) -> &mut Self {
        self.property(name, &[value.as_bytes(), b"\0"].concat())
    }

    /// A property of 32-bit cells.
    pub fn cells(&mut self, name: &str, values: &[u32]) -> &mut Self {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_be_bytes()).collect();
        self.property(name, &bytes)
    }

    /// Header, reservations, structure and strings.
    #[must_use]
    pub fn blob(&self) -> Vec<u8> {
        let structure = [&self.structure[..], &9_u32.to_be_bytes()].concat();
        let reservations = [&self.reservations[..], &[0; 16]].concat();
        let structure_at = 40 + reservations.len();
        let strings_at = structure_at + structure.len();
        let total = strings_at + self.strings.len();
        let header = [0xd00d_feed, total, structure_at, strings_at, 40, 17, 16, 0, self.strings.len(), structure.len()];
        let header = header.iter().flat_map(|&value| u32::try_from(value).unwrap_or(u32::MAX).to_be_bytes());
        [header.collect(), reservations, structure, self.strings.clone()].concat()
    }
}
