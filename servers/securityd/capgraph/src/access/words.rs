//! The words of a question: protocols, transports, verbs, peers; they decide nothing.

use alloc::string::String;

use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $word:ident = $number:literal $text:literal,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[repr(u8)]
        pub enum $name { $($(#[$doc])* $word = $number,)+ }

        impl $name {
            /// All of them, in order.
            pub const ALL: &[Self] = &[$(Self::$word),+];

            /// As texts of policies write it.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$word => $text,)+ }
            }

            /// The one of that number, which is its ordinal in `hybrid.security`.
            #[must_use]
            pub fn of_number(number: u8) -> Option<Self> {
                Self::ALL.iter().copied().find(|word| *word as u8 == number)
            }

            /// The one that texts write so.
            #[must_use]
            pub fn of_text(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|word| word.text() == text)
            }

            /// Its bit in a set.
            #[must_use]
            pub const fn bit(self) -> u16 {
                1 << self as u8
            }
        }
    };
}

words! {
    /// What is spoken; the numbers are those of the IDL.
    Protocol {
        /// HTTP, of any version.
        Http = 1 "Http",
        /// WebSocket.
        WebSocket = 2 "WebSocket",
        /// CoAP.
        Coap = 3 "Coap",
        /// MQTT.
        Mqtt = 4 "Mqtt",
        /// RTMP.
        Rtmp = 5 "Rtmp",
        /// The bus of this device.
        Bus = 6 "Bus",
    }
}

words! {
    /// How it comes, the weakest first: a rule's transport is the least that it asks for.
    Transport {
        /// Anybody on the way can read and change it.
        Plain = 1 "plain",
        /// TLS or DTLS.
        Tls = 2 "tls",
    }
}

words! {
    /// What is wanted; the numbers are those of the IDL.
    Verb {
        /// To be served at all. It has no endpoint.
        Connect = 1 "CONNECT",
        /// Read.
        Get = 2 "GET",
        /// Read what is known of it.
        Head = 3 "HEAD",
        /// Have something made or done.
        Post = 4 "POST",
        /// Put in its place.
        Put = 5 "PUT",
        /// Change a part.
        Patch = 6 "PATCH",
        /// Remove.
        Delete = 7 "DELETE",
        /// Ask what is possible.
        Options = 8 "OPTIONS",
        /// Read by a question with a body.
        Fetch = 9 "FETCH",
        /// Send to whoever listens.
        Publish = 10 "PUBLISH",
        /// Be sent what comes: a topic, a CoAP observation, events.
        Subscribe = 11 "SUBSCRIBE",
        /// Be sent a stream.
        Play = 12 "PLAY",
        /// Call a procedure.
        Call = 13 "CALL",
    }
}

impl Protocol {
    /// The verbs that the protocol has, as a set.
    #[must_use]
    pub const fn verbs(self) -> u16 {
        use Verb::{Call, Connect, Delete, Fetch, Get, Head, Options, Patch, Play, Post, Publish, Put, Subscribe};
        let changes = Post.bit() | Put.bit() | Patch.bit() | Delete.bit();
        Connect.bit()
            | match self {
                Self::Http => Get.bit() | Head.bit() | Options.bit() | changes,
                Self::Coap => Get.bit() | Fetch.bit() | Subscribe.bit() | changes,
                Self::WebSocket | Self::Mqtt => Publish.bit() | Subscribe.bit(),
                Self::Rtmp => Publish.bit() | Play.bit(),
                Self::Bus => Call.bit() | Publish.bit() | Subscribe.bit(),
            }
    }
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer<'a> {
    /// An IPv4 address.
    V4([u8; 4]),
    /// An IPv6 address.
    V6([u8; 16]),
    /// A component of this device, by its instance's name.
    Component(&'a str),
}

impl Peer<'_> {
    /// An IPv4 address that is written as one of IPv6 is the IPv4 address, so that one peer has one name.
    #[must_use]
    pub fn canonical(self) -> Self {
        match self {
            Self::V6([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]) => Self::V4([a, b, c, d]),
            other => other,
        }
    }
}

/// What a protocol server asks about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question<'a> {
    /// What is spoken.
    pub protocol: Protocol,
    /// How it comes.
    pub transport: Transport,
    /// What is wanted.
    pub verb: Verb,
    /// Who asks.
    pub peer: Peer<'a>,
    /// Who the peer proved to be.
    pub identity: Option<&'a str>,
    /// Of what: begins with '/'; empty for [`Verb::Connect`].
    pub endpoint: &'a str,
}

impl Question<'_> {
    /// Whether it can be asked at all: the protocol has the verb, and there is an endpoint unless it is [`Verb::Connect`].
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let has_endpoint = self.endpoint.starts_with('/');
        let is_endpoint = if self.verb == Verb::Connect { self.endpoint.is_empty() } else { has_endpoint };
        is_endpoint && self.protocol.verbs() & self.verb.bit() != 0
    }
}

/// Whom a rate is counted for: an identity, whatever its address; else the address, of IPv6 the network of 64 bits, since the rest is the
/// peer's to choose; else the component.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Payer {
    V4([u8; 4]),
    V6([u8; 8]),
    Component(String),
    Identity(String),
}

impl Payer {
    pub(crate) fn of(question: &Question<'_>) -> Self {
        match (question.identity, question.peer.canonical()) {
            (Some(identity), _) => Self::Identity(identity.into()),
            (None, Peer::V4(address)) => Self::V4(address),
            (None, Peer::V6([a, b, c, d, e, f, g, h, ..])) => Self::V6([a, b, c, d, e, f, g, h]),
            (None, Peer::Component(name)) => Self::Component(name.into()),
        }
    }
}
