//! logd between writers that break their rings and a console with little room.

use crate::input::Input;
use hybrid_interfaces::log::{Cursor, Level, Reader, Record, SinkRings, sink};
use hybrid_ring::Region;
use libhybrid::ipc::ClientId;
use logd::{Logd, PIECE_MAX, Position};

/// Weight of the log, bytes: small, so that entries get overwritten.
const LIMIT: usize = 4096;
const READER: ClientId = ClientId::of(9);

/// Records, raw bytes and scribbles from two writers; printing and reading in between. What is printed is made of whole lines that no
/// writer can forge.
pub fn target_logd(data: &[u8]) {
    let _lines = run(data);
}

/// The lines that were printed.
fn run(data: &[u8]) -> usize {
    let mut input = Input::new(data);
    let mut logd = Logd::new(LIMIT, "logd");
    let regions = [Region::on_heap(sink::REGION_BYTES), Region::on_heap(sink::REGION_BYTES)];
    let mut writers = regions.each_ref().map(|region| SinkRings::client(region).expect("fits"));
    for (name, region) in
        ["one", "a name that is longer than the log's bound for names of components"].iter().zip(&regions)
    {
        logd.add_sink(name, SinkRings::server(region).expect("fits"));
    }
    let (mut printed, mut now) = (Vec::new(), 0_u64);
    let mut position: Option<Position> = None;
    while let Some(step) = input.byte() {
        let which = usize::from(step >> 7);
        match step & 15 {
            0..=3 => {
                let text = String::from_utf8_lossy(input.piece(200)).into_owned();
                let level = [Level::Error, Level::Warn, Level::Info, Level::Debug][usize::from(step & 3)];
                let record = Record {
                    level,
                    at_ns: u64::from(input.any()) << (step >> 3 & 15),
                    dropped_before: u32::from(step >> 6 & 1),
                    target: "here".into(),
                    text: text.into(),
                };
                // A full ring drops, as in a component.
                let _is_sent = writers[which].records.push(&record);
            }
            4 | 5 => _ = writers[which].records.ring().try_push(input.piece(300)),
            6 => {
                let offset = input.below(sink::REGION_BYTES / 8) * 8;
                regions[which]
                    .scribble(if step & 16 == 0 { offset % 136 } else { offset }, input.word())
                    .expect("inside");
            }
            7 => position = Some(logd.open(READER, u16::from(input.any()))),
            8 | 9 => read(&mut logd, position.as_mut()),
            10 => print(&mut logd, &mut printed, input.below(4)),
            _ => logd.collect(now, |place| assert!(place < 2)),
        }
        now += u64::from(step);
    }
    logd.collect(now, |_| ());
    print(&mut logd, &mut printed, usize::MAX);
    check_lines(&printed)
}

fn read(logd: &mut Logd, position: Option<&mut Position>) {
    let Some(position) = position else { return };
    let next = position.next(logd, READER);
    if let Some(entry) = next.entry {
        assert!(entry.text.len() <= LIMIT && entry.component.len() <= hybrid_interfaces::log::NAME_MAX);
    }
}

fn print(logd: &mut Logd, printed: &mut Vec<u8>, mut room: usize) {
    logd.print(|piece| {
        assert!(!piece.is_empty() && piece.len() <= PIECE_MAX);
        let Some(left) = room.checked_sub(1) else { return false };
        room = left;
        printed.extend_from_slice(piece);
        true
    });
}

/// Every line begins with a stamp and holds no control character but its end.
fn check_lines(printed: &[u8]) -> usize {
    let text = std::str::from_utf8(printed).expect("text");
    for line in text.split_inclusive("\r\n") {
        let body = line.strip_suffix("\r\n").expect("whole lines");
        assert!(body.starts_with('[') && !body.chars().any(char::is_control), "{body:?}");
    }
    text.lines().count()
}

pub(super) fn samples() -> Vec<Vec<u8>> {
    let honest = [&[0, 5][..], b"hello", &[1, 128, 3], b"a\nb", &[9, 11, 7, 5, 8, 8, 10, 3]].concat();
    let hostile =
        [&[4, 0, 9][..], b"no record", &[11, 6, 0, 0, 255, 1, 2, 3, 4, 5, 6, 7, 11, 0, 4], b"lost", &[11]].concat();
    vec![honest, hostile]
}

#[cfg(test)]
mod tests {
    use super::{run, samples};

    #[test]
    fn samples_reach_the_printer() {
        assert!(samples().iter().any(|sample| run(sample) > 0));
    }
}
