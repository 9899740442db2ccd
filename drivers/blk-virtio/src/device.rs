//! The block device: negotiation, requests out, answers in; knows no clients.
use hybrid_virtio::transport::Transport;
use hybrid_virtio::{Answer, Body, Broken, Requests, StartError, VERSION_1, negotiate};
use libhybrid::interfaces::block::{Error, SECTOR_BYTES, TRANSFER_MAX};

/// Virtio 1.2 §5: the kind of device.
pub const DEVICE_ID: u32 = 2;
/// Virtio 1.2 §5.2.2: the one queue without multi-queue.
const QUEUE: u16 = 0;
/// Descriptors of the queue, and requests under way: three descriptors each.
const QUEUE_LEN: usize = 64;
pub(crate) const PLACES: usize = 16;
/// Virtio 1.2 §5.2.3: read-only, block size, flush command, discard command.
pub(crate) const FEATURE_RO: u64 = 1 << 5;
pub(crate) const FEATURE_BLK_SIZE: u64 = 1 << 6;
pub(crate) const FEATURE_FLUSH: u64 = 1 << 9;
pub(crate) const FEATURE_DISCARD: u64 = 1 << 13;
/// Virtio 1.2 §5.2.4: offsets in the configuration space.
pub(crate) const CONFIG_CAPACITY: usize = 0;
pub(crate) const CONFIG_BLK_SIZE: usize = 20;
pub(crate) const CONFIG_DISCARD_SECTORS: usize = 36;
pub(crate) const CONFIG_DISCARD_SEGMENTS: usize = 40;
pub(crate) const CONFIG_DISCARD_ALIGNMENT: usize = 44;
/// Virtio 1.2 §5.2.6: kinds of requests.
const TYPE_IN: u32 = 0;
const TYPE_OUT: u32 = 1;
const TYPE_FLUSH: u32 = 4;
const TYPE_DISCARD: u32 = 11;
/// §5.2.6: answers.
const STATUS_OK: u8 = 0;
const STATUS_UNSUPPORTED: u8 = 2;
/// The largest block that is believed; larger ones are more than a transfer.
const BLOCK_MAX: u32 = 4096;

/// What the device is asked. Sectors are the device's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command<'a> {
    Read { sector: u64, bytes: usize },
    Write { sector: u64, data: &'a [u8] },
    Flush,
    Discard { sector: u64, count: u32 },
}

/// A running device.
pub struct Blk<T: Transport> {
    transport: T,
    requests: Requests<QUEUE_LEN>,
    sectors: u64,
    block_sectors: u32,
    is_read_only: bool,
    has_flush: bool,
    discard: Discard,
}

/// What the device discards.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Discard {
    /// Most sectors of one request; 0: nothing.
    most: u32,
    /// Whole units of so many sectors.
    unit: u32,
}

impl Discard {
    /// From the configuration (Virtio 1.2 §5.2.4) of a device with the command, whose blocks have so many sectors.
    fn new(most: u32, segments: u32, alignment: u32, block_sectors: u32) -> Self {
        let unit = alignment.max(block_sectors);
        // Every request here has one segment. Where no unit fits into it, or none is of whole blocks, none can be asked for.
        let is_usable = segments > 0 && unit <= most && unit.is_multiple_of(block_sectors);
        if is_usable { Self { most, unit } } else { Self::default() }
    }

    /// The whole units among these sectors.
    fn units(self, sector: u64, count: u32) -> Option<(u64, u32)> {
        let unit = u64::from(self.unit.max(1));
        let first = sector.checked_next_multiple_of(unit)?;
        let end = sector.checked_add(count.into())? / unit * unit;
        let count = u32::try_from(end.checked_sub(first)?).ok()?;
        (count > 0).then_some((first, count))
    }
}

impl<T: Transport> Blk<T> {
    /// Resets the device and negotiates. The DMA memory must be installed; it is not written before the device says that it is reset, since
    /// until then it may use what an earlier life of this driver lent it.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(mut transport: T) -> Result<Self, StartError> {
        let wanted = VERSION_1 | FEATURE_RO | FEATURE_BLK_SIZE | FEATURE_FLUSH | FEATURE_DISCARD;
        let features = negotiate(&mut transport, wanted, VERSION_1)?;
        let has = |feature: u64| features & feature != 0;
        let read = |feature: u64, offset: usize| {
            let value = transport.read_consistent(|| transport.read_config_space::<u32>(offset));
            if has(feature) { value.unwrap_or(0) } else { 0 }
        };
        let bytes = match read(FEATURE_BLK_SIZE, CONFIG_BLK_SIZE) {
            bytes @ 512..=BLOCK_MAX if bytes.is_power_of_two() => bytes,
            0 if !has(FEATURE_BLK_SIZE) => 512,
            _ => return Err(StartError::Features),
        };
        let limits = [CONFIG_DISCARD_SECTORS, CONFIG_DISCARD_SEGMENTS, CONFIG_DISCARD_ALIGNMENT];
        let [most, segments, alignment] = limits.map(|offset| read(FEATURE_DISCARD, offset));
        let discard = Discard::new(most, segments, alignment, bytes / 512);
        let capacity = transport.read_consistent(|| {
            // In halves: registers are read by words (Virtio 1.2 §4.2.2.2).
            let low: u32 = transport.read_config_space(CONFIG_CAPACITY)?;
            let high: u32 = transport.read_config_space(CONFIG_CAPACITY + 4)?;
            Ok(u64::from(high) << 32 | u64::from(low))
        });
        let capacity = capacity.map_err(|_| StartError::Features)?;
        let requests = Requests::new(&mut transport, QUEUE, PLACES, TRANSFER_MAX)?;
        transport.finish_init();
        Ok(Self {
            transport,
            requests,
            // Beyond this no byte has a number; no such disk is built.
            sectors: capacity.min(u64::MAX / SECTOR_BYTES as u64),
            block_sectors: bytes / 512,
            is_read_only: has(FEATURE_RO),
            has_flush: has(FEATURE_FLUSH),
            discard,
        })
    }

    /// Sectors of the whole disk.
    #[must_use]
    pub fn sectors(&self) -> u64 {
        self.sectors
    }

    /// Sectors of a block, which is read and written as a whole.
    pub(crate) fn block_sectors(&self) -> u32 {
        self.block_sectors
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.is_read_only
    }

    /// Without the command nothing waits in the device: what it answered is written (Virtio 1.2 §5.2.6.2).
    pub(crate) fn has_flush(&self) -> bool {
        self.has_flush
    }

    /// Most sectors of one discard; 0 if there is none.
    pub(crate) fn discard_max(&self) -> u32 {
        if self.is_read_only { 0 } else { self.discard.most }
    }

    /// Which of these sectors the device may be asked to discard.
    pub(crate) fn discard_units(&self, sector: u64, count: u32) -> Option<(u64, u32)> {
        self.discard.units(sector, count)
    }

    /// Takes away the cause of the interrupt.
    pub(crate) fn acknowledge(&mut self) {
        // Both causes lead to the same look at the queue; a capacity that changes later is not followed.
        let _cause = self.transport.ack_interrupt();
    }

    pub(crate) fn has_room(&self) -> bool {
        self.requests.has_free()
    }

    /// Sends a command; returns its place, nothing if all are taken.
    pub(crate) fn send(&mut self, command: Command<'_>) -> Result<Option<usize>, Broken> {
        let (kind, sector, body) = match command {
            Command::Read { sector, bytes } => (TYPE_IN, sector, Body::In(bytes)),
            Command::Write { sector, data } => (TYPE_OUT, sector, Body::Out(data)),
            Command::Flush => (TYPE_FLUSH, 0, Body::None),
            Command::Discard { sector, count } => {
                let mut segment = [0; 16];
                segment[..8].copy_from_slice(&sector.to_le_bytes());
                segment[8..12].copy_from_slice(&count.to_le_bytes());
                return self.requests.send(&head(TYPE_DISCARD, 0), Body::Out(&segment));
            }
        };
        self.requests.send(&head(kind, sector), body)
    }

    /// Tells the device of what was sent.
    pub(crate) fn notify(&mut self) {
        self.requests.notify(&mut self.transport);
    }

    /// The next answer; [`Blk::free`] its place when its data was read.
    pub(crate) fn receive(&mut self) -> Result<Option<Answer>, Broken> {
        self.requests.receive()
    }

    /// Copies an answer's data. False: there is not so much.
    pub(crate) fn read(&self, answer: Answer, data: &mut [u8]) -> bool {
        data.len() <= answer.written && self.requests.read(answer.place, data)
    }

    pub(crate) fn free(&mut self, answer: Answer) {
        self.requests.free(answer);
    }

    /// Reads sectors before anybody is served, waiting by `wait`.
    ///
    /// # Errors
    /// [`Broken`]; also if the device could not read them.
    pub(crate) fn read_now(&mut self, sector: u64, data: &mut [u8], wait: &mut dyn FnMut()) -> Result<(), Broken> {
        let is_inside = sector.checked_add((data.len() / SECTOR_BYTES) as u64).is_some_and(|end| end <= self.sectors);
        if !is_inside {
            return Err(Broken);
        }
        self.send(Command::Read { sector, bytes: data.len() })?;
        self.notify();
        loop {
            self.acknowledge();
            if let Some(answer) = self.receive()? {
                let is_read = outcome(answer).is_ok() && self.read(answer, data);
                self.free(answer);
                return if is_read { Ok(()) } else { Err(Broken) };
            }
            wait();
        }
    }
}

/// What an answer's status means.
pub(crate) fn outcome(answer: Answer) -> Result<(), Error> {
    match answer.status {
        STATUS_OK => Ok(()),
        STATUS_UNSUPPORTED => Err(Error::Unsupported),
        _ => Err(Error::Failed),
    }
}

/// Virtio 1.2 §5.2.6: type, reserved, sector.
fn head(kind: u32, sector: u64) -> [u8; 16] {
    let mut head = [0; 16];
    head[..4].copy_from_slice(&kind.to_le_bytes());
    head[8..].copy_from_slice(&sector.to_le_bytes());
    head
}
