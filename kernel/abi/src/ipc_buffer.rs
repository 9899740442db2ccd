//! Layout of the IPC buffer: 1024 bytes inside one frame, in 64-bit words.

/// log2 of the size and alignment of the buffer in bytes.
pub const SIZE_BITS: u32 = 10;
/// Words in the buffer.
pub const WORDS: usize = 128;
/// Word index of the tag; the kernel neither reads nor writes it.
pub const TAG: usize = 0;
/// Word index of message register 0; register n is word `MESSAGE + n`.
pub const MESSAGE: usize = 1;
/// Word index of the user data; the kernel ignores it.
pub const USER_DATA: usize = 121;
/// Word index of the first of three capability addresses (sending) or badges (receiving).
pub const CAPS_OR_BADGES: usize = 122;
/// Word index of the address of the CNode for incoming capabilities.
pub const RECEIVE_CNODE: usize = 125;
/// Word index of the slot index in that CNode.
pub const RECEIVE_INDEX: usize = 126;
/// Word index of the depth of that index.
pub const RECEIVE_DEPTH: usize = 127;

const _: () = assert!(WORDS * 8 == 1 << SIZE_BITS);
const _: () = assert!(USER_DATA * 8 == 968 && CAPS_OR_BADGES * 8 == 976 && RECEIVE_CNODE * 8 == 1000);
