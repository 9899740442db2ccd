//! The `log` crate's records as records of the "log" session's ring; never waits, counts what it drops.
use crate::peers::{PeerChange, PeerNews};
use crate::{Bell, Env, SessionHandle, now_ns};
use alloc::borrow::Cow;
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicU32, Ordering};
use hybrid_interfaces::log::{Level, Record, SinkClientRings, SinkRings, TARGET_MAX, TEXT_MAX};
use log::LevelFilter;
use spinning_top::Spinlock;

/// Name of the use that every component has.
pub(crate) const USE: &str = "log";
/// Parameter that sets the least severe level that is written: off, error, warn, info, debug or trace.
const LEVEL: &str = "log_level";

static LOGGER: Logger = Logger { sink: Spinlock::new(None), dropped: AtomicU32::new(0) };

/// Starts logging, if the component uses a log.
#[cfg_attr(not(target_os = "none"), expect(dead_code, reason = "a host has no start information"))]
pub(crate) fn set_up(env: &Env) {
    if !env.has_use(USE) {
        return;
    }
    LOGGER.attach(&env.session(USE));
    log::set_max_level(level(env.parameter(LEVEL)));
    let _only_the_first_counts = log::set_logger(&LOGGER);
}

/// What happened to the log itself.
pub(crate) fn on_peer(change: &PeerChange) {
    match change.news {
        PeerNews::Gone(_) => LOGGER.detach(),
        PeerNews::Back => LOGGER.attach(&change.session),
    }
}

/// The level that a parameter asks for; Info if it is not set or says something else.
fn level(parameter: Option<&str>) -> LevelFilter {
    parameter.and_then(|text| text.parse().ok()).unwrap_or(LevelFilter::Info)
}

struct Logger {
    sink: Spinlock<Option<Sink>>,
    /// Records that found no room since the last one that did.
    dropped: AtomicU32,
}

impl Logger {
    fn attach(&self, session: &SessionHandle) {
        let rings = SinkRings::client(session.region()).ok();
        *self.sink.lock() = rings.map(|rings| Sink { rings, bell: session.bell });
    }

    /// What is written while nobody reads is counted as dropped, and the next log is told.
    fn detach(&self) {
        *self.sink.lock() = None;
    }
}

struct Sink {
    rings: SinkClientRings,
    bell: Bell,
}

impl log::Log for Logger {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &log::Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let dropped = self.dropped.load(Ordering::Relaxed);
        // Busy only if formatting a message logs, or a panic interrupted logging: then it is dropped as well.
        let is_written =
            self.sink.try_lock().is_some_and(|mut sink| sink.as_mut().is_some_and(|sink| sink.write(record, dropped)));
        self.dropped.store(if is_written { 0 } else { dropped.saturating_add(1) }, Ordering::Relaxed);
    }

    fn flush(&self) {}
}

impl Sink {
    /// Writes a record and wakes the log. False if it found no room.
    fn write(&mut self, record: &log::Record<'_>, dropped_before: u32) -> bool {
        let (mut target, mut text) = (Text::<TARGET_MAX>::new(), Text::<TEXT_MAX>::new());
        target.push(record.target());
        let _cut_at_the_bound = text.write_fmt(*record.args());
        let pushed = self.rings.records.push(&Record {
            level: wire_level(record.level()),
            at_ns: now_ns(),
            dropped_before,
            target: Cow::Borrowed(target.as_str()),
            text: Cow::Borrowed(text.as_str()),
        });
        self.bell.ring_if(self.rings.records.publish());
        pushed.is_ok()
    }
}

fn wire_level(level: log::Level) -> Level {
    match level {
        log::Level::Error => Level::Error,
        log::Level::Warn => Level::Warn,
        log::Level::Info => Level::Info,
        log::Level::Debug => Level::Debug,
        log::Level::Trace => Level::Trace,
    }
}

/// Text of at most `MAX` bytes; what is beyond is cut off between characters.
struct Text<const MAX: usize> {
    bytes: [u8; MAX],
    len: usize,
    is_cut: bool,
}

impl<const MAX: usize> Text<MAX> {
    fn new() -> Self {
        Self { bytes: [0; MAX], len: 0, is_cut: false }
    }

    fn push(&mut self, text: &str) {
        if self.is_cut {
            return;
        }
        let room = MAX - self.len;
        let len = if text.len() <= room { text.len() } else { text.floor_char_boundary(room) };
        self.is_cut = len < text.len();
        self.bytes[self.len..self.len + len].copy_from_slice(&text.as_bytes()[..len]);
        self.len += len;
    }

    fn as_str(&self) -> &str {
        core::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }
}

impl<const MAX: usize> Write for Text<MAX> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hybrid_interfaces::log::sink;
    use hybrid_ring::Region;
    use log::Log;

    fn logger(region: &Region) -> Logger {
        let sink = Sink { rings: SinkRings::client(region).unwrap(), bell: Bell::default() };
        log::set_max_level(LevelFilter::Info);
        Logger { sink: Spinlock::new(Some(sink)), dropped: AtomicU32::new(0) }
    }

    fn write(logger: &Logger, level: log::Level, text: &str) {
        logger.log(&log::Record::builder().level(level).target("t").args(format_args!("{text}")).build());
    }

    #[test]
    fn record_arrives_as_written_and_below_the_level_not_at_all() {
        let region = Region::on_heap(sink::REGION_BYTES);
        let mut server = SinkRings::server(&region).unwrap();
        let logger = logger(&region);
        write(&logger, log::Level::Debug, "not this");
        write(&logger, log::Level::Warn, "too hot");
        let mut scratch = Vec::new();
        let record = server.records.pop(&mut scratch).unwrap().unwrap();
        assert_eq!((record.level, record.target.as_ref(), record.text.as_ref()), (Level::Warn, "t", "too hot"));
        assert!(server.records.pop(&mut scratch).unwrap().is_none());
    }

    #[test]
    fn records_without_room_are_counted_in_the_next() {
        let region = Region::on_heap(sink::REGION_BYTES);
        let mut server = SinkRings::server(&region).unwrap();
        let logger = logger(&region);
        for _ in 0..1000 {
            write(&logger, log::Level::Info, &"x".repeat(TEXT_MAX));
        }
        let mut scratch = Vec::new();
        let mut fitted = 0;
        while let Some(record) = server.records.pop(&mut scratch).unwrap() {
            assert_eq!(record.dropped_before, 0);
            fitted += 1;
        }
        assert!(fitted > 0);
        write(&logger, log::Level::Info, "room again");
        let record = server.records.pop(&mut scratch).unwrap().unwrap();
        assert_eq!((record.dropped_before, record.text.as_ref()), (1000 - fitted, "room again"));
    }

    #[test]
    fn records_while_the_log_is_gone_are_counted_in_the_first_of_the_next_epoch() {
        let region = Region::on_heap(sink::REGION_BYTES);
        let logger = logger(&region);
        write(&logger, log::Level::Info, "to the old one");
        logger.detach();
        write(&logger, log::Level::Info, "to nobody");
        write(&logger, log::Level::Info, "to nobody");
        let region = region.at_epoch(2);
        let mut server = SinkRings::server(&region).unwrap();
        let rings = SinkRings::client(&region).unwrap();
        *logger.sink.lock() = Some(Sink { rings, bell: Bell::default() });
        write(&logger, log::Level::Info, "hello");
        let mut scratch = Vec::new();
        let record = server.records.pop(&mut scratch).unwrap().unwrap();
        assert_eq!((record.dropped_before, record.text.as_ref()), (2, "hello"));
    }

    #[test]
    fn text_is_cut_between_characters_and_nothing_follows() {
        let mut text = Text::<5>::new();
        text.push("abc");
        text.push("äöü");
        text.push("z");
        assert_eq!(text.as_str(), "abcä");
    }

    #[test]
    fn level_of_a_parameter_defaults_to_info() {
        assert_eq!(level(None), LevelFilter::Info);
        assert_eq!(level(Some("loud")), LevelFilter::Info);
        assert_eq!(level(Some("trace")), LevelFilter::Trace);
        assert_eq!(level(Some("off")), LevelFilter::Off);
    }
}
