//! Every bound of httpd in one place: sizes, counts, times; no logic.

/// Longest request line, bytes with its line end. Longer: 414.
pub const REQUEST_LINE_MAX: usize = 4096;
/// Largest head (request line and header section), bytes. Larger: 431.
pub const HEAD_MAX: usize = 8192;
/// Most header fields that are parsed. More: 431.
pub const FIELDS_MAX: usize = 64;
/// Most header fields that a provider gets (the IDL's bound). More: 431.
pub const FORWARDED_MAX: usize = 32;
/// Longest decoded path, bytes: what an access decision can be asked about. Longer: 414.
pub const PATH_MAX: usize = 256;
/// Longest query, bytes (the IDL's bound). Longer: 414.
pub const QUERY_MAX: usize = 1024;
/// Largest request body, bytes; bodies are streamed, so this is policy and not memory. Larger: 413.
pub const BODY_MAX: u64 = 64 * 1024 * 1024;
/// An unwanted rest of a request body up to this size is read and thrown away; a larger one ends the connection.
pub const DISCARD_MAX: u64 = 64 * 1024;
/// Most bytes of one chunk-size line with its extensions.
pub const CHUNK_LINE_MAX: usize = 256;
/// Most bytes of a trailer section; trailers are checked and dropped.
pub const TRAILERS_MAX: usize = 2048;
/// Empty lines that may come before a request line (RFC 9112 §2.2 asks for at least one).
pub const LEADING_LINES_MAX: u8 = 2;
/// While so many bytes of answers wait to be sent, no further request of the connection is begun.
pub const OUTPUT_PAUSE: usize = 4096;

/// Connections at a time. One more takes the place of an idle one, or is reset. Fewer than a session's share at the stack (512), so that
/// httpd decides which connection goes and not the stack.
pub const CONNECTIONS_MAX: usize = 448;
/// Connections of one peer at a time: one address, or one IPv6 network of 64 bits. One more takes the place of an idle one of the same
/// peer, or is reset.
pub const PEER_CONNECTIONS_MAX: usize = 320;
/// Resets that may wait for room in the stack's ring: one for each connection that the stack can have.
pub const ABORTS_MAX: usize = 512;
/// Requests at providers at a time, over all connections.
pub const EXCHANGES_MAX: usize = 256;
/// Requests at one provider at a time; further ones wait, at most `QUEUE_NS`.
pub const IN_FLIGHT_MAX: usize = 64;
/// Endpoints that one provider may register.
pub const ENDPOINTS_PER_SESSION: usize = 8;
/// Cancellations that may wait for room in one provider's ring. A provider near that gets no requests (503).
pub const CANCELS_MAX: usize = 256;
/// Answer bytes that a provider may send ahead, per request, and request bytes that may be sent ahead to it (the IDL's `BODY_CREDIT`).
pub const BODY_CREDIT: u32 = 16384;
/// Bytes of Data that the stack may have delivered and not got back (the IDL's `RECEIVE_CREDIT`).
pub const RECEIVE_CREDIT: u32 = 8192;
/// Credit to the stack is given back in steps of at least so many bytes.
pub const CREDIT_STEP: u32 = RECEIVE_CREDIT / 2;

const SECOND: u64 = 1_000_000_000;
/// How often deadlines are looked at while there are connections.
pub const TICK_NS: u64 = SECOND;
/// From the first byte of a head (or from the connection's begin) to the head's end.
pub const HEAD_NS: u64 = 10 * SECOND;
/// Silence between two requests.
pub const IDLE_NS: u64 = 60 * SECOND;
/// Longest silence within a request body; `BYTES_PER_SECOND` refills it.
pub const BODY_NS: u64 = 20 * SECOND;
/// Longest time in which a client takes nothing of an answer; `BYTES_PER_SECOND` refills it.
pub const WRITE_NS: u64 = 20 * SECOND;
/// The slowest transfer that is not cut off.
pub const BYTES_PER_SECOND: u64 = 256;
/// From our end to the peer's; the stack still sends what it has, and what the peer sends is thrown away.
pub const LINGER_NS: u64 = 30 * SECOND;
/// How long a request may wait for room at its provider. Then: 503.
pub const QUEUE_NS: u64 = 5 * SECOND;
/// How long a provider may leave its ring unread before it counts as stalled. Then: 503.
pub const STALL_NS: u64 = 5 * SECOND;
/// How long a provider may take for the next piece of an answer, or of the request's body. Then: 504.
pub const PROVIDER_NS: u64 = 30 * SECOND;
