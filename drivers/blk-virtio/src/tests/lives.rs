//! What a dead client had asked is done before anything that its next life asks, and nobody else waits for it.
use super::*;

/// All that the driver asked of the device since the last look.
fn asked(bench: &mut Bench) -> Vec<Vec<Lent>> {
    bench.turn();
    std::iter::from_fn(|| bench.device.take_chain(0)).collect()
}

/// The client dies, and its next life begins.
fn die(bench: &mut Bench, client: usize) {
    bench.server.end(bench.clients[client].0);
    meet(bench, client);
}

/// A session begins.
fn meet(bench: &mut Bench, client: usize) {
    let instance = bench.clients[client].0;
    let region = Region::on_heap(disk::REGION_BYTES);
    bench.server.begin(instance, PARTS[client], DiskRings::server(&region).ok());
    bench.clients[client].1 = DiskRings::client(&region).expect("fits");
}

/// The first byte of each sector that was read.
fn bytes_read(answer: &Answer<'_>) -> Vec<u8> {
    let Answer::Read(body) = answer else { panic!("{answer:?} is no data") };
    body.data.chunks_exact(SECTOR_BYTES).map(|sector| sector[0]).collect()
}

/// Whoever reads the newest header of a disk builds upon it, so none may come after that.
#[test]
fn late_write_is_done_before_the_next_life_reads() {
    let mut bench = bench(FEATURES, 512);
    bench.ask(0, &write(1, 3, &[7; SECTOR_BYTES]));
    let late = asked(&mut bench);
    // More than one life may have gone meanwhile.
    for _ in 0..3 {
        die(&mut bench, 0);
        bench.ask(0, &read(2, 3, 1));
        assert_eq!(asked(&mut bench), Vec::<Vec<Lent>>::new(), "the device has the dead life's write");
        assert_eq!(bench.answers(0), []);
    }
    bench.perform(&late[0]);
    bench.serve();
    let answers = bench.answers(0);
    assert_eq!(answers.iter().map(bytes_read).collect::<Vec<_>>(), [[7]], "what is on the disk, once");
}

#[test]
fn next_life_goes_on_only_after_the_last_of_several_and_also_if_they_failed() {
    let mut bench = bench(FEATURES, 512);
    for tag in 0..3 {
        bench.ask(0, &write(tag, 3, &[7; SECTOR_BYTES]));
    }
    let late = asked(&mut bench);
    die(&mut bench, 0);
    bench.ask(0, &Request::Flush(9));
    for chain in late.iter().rev() {
        assert_eq!(asked(&mut bench), Vec::<Vec<Lent>>::new());
        assert!(bench.device.write(chain.last().expect("a status").address, &[1]));
        bench.device.complete(0, chain[0].token.into(), 1);
    }
    bench.serve();
    assert_eq!((bench.answers(0), bench.flushes), (vec![Answer::Done(9)], 1));
}

#[test]
fn others_are_served_while_a_late_write_is_waited_for() {
    let mut bench = bench(FEATURES, 512);
    bench.ask(0, &write(1, 3, &[7; SECTOR_BYTES]));
    let late = asked(&mut bench);
    die(&mut bench, 0);
    bench.ask(0, &read(2, 3, 1));
    for tag in 0..40 {
        assert_eq!(bench.done(1, &write(tag, 3, &[8; SECTOR_BYTES])), Answer::Done(tag));
    }
    assert_eq!(bench.answers(0), []);
    bench.perform(&late[0]);
    bench.serve();
    assert_eq!(bench.answers(0).iter().map(bytes_read).collect::<Vec<_>>(), [[7]]);
}

/// The driver waits for such a device, as it does for every answer: it neither gives it up nor is busy, and the places of others are not used up.
#[test]
fn device_that_never_answers_holds_up_its_client_alone() {
    let mut bench = bench(FEATURES, 512);
    for tag in 0..200 {
        bench.ask(0, &write(tag, 3, &[7; SECTOR_BYTES]));
        assert_eq!(asked(&mut bench).len(), usize::from(tag == 0), "each life would take one more place");
        assert!(!bench.server.turn(|_client| {}), "there is nothing to do until the device answers");
        die(&mut bench, 0);
    }
    assert_eq!((bench.server.is_broken(), bench.answers(0)), (false, vec![]));
    assert_eq!(bench.done(1, &write(1, 0, &[8; SECTOR_BYTES])), Answer::Done(1));
}

/// The device is reset, so nothing of an earlier life of the driver is out any more: its next life waits for nobody.
#[test]
fn next_life_of_the_driver_serves_at_once() {
    let mut bench = bench(FEATURES, 512);
    bench.ask(0, &write(1, 3, &[7; SECTOR_BYTES]));
    assert_eq!(asked(&mut bench).len(), 1);
    bench.server = Server::new(None);
    let status = bench.device.registers.borrow().status;
    let memory = fake::memory(1 << 20);
    install_again(memory.clone());
    bench.device = Device::new(memory.clone(), 1, 64, FEATURES, &config(512));
    // The write is out: the device runs, and uses what it was lent until it is reset.
    let registers = bench.device.registers.clone();
    let mut running = registers.borrow_mut();
    (running.lent_earlier, running.resets_after, running.status) = (Some(memory), 3, status);
    drop(running);
    bench.server = Server::new(Some(Blk::start(bench.device.transport()).expect("an honest device")));
    assert!(registers.borrow().lent_earlier.is_none(), "it was reset");
    meet(&mut bench, 0);
    assert_eq!(bytes_read(&bench.done(0, &read(2, 3, 1))), [0]);
}

#[derive(Debug, Clone)]
enum Deed {
    Ask {
        client: usize,
        sector: u64,
    },
    Die(usize),
    /// The device does one of what it has, in whatever order.
    Perform(usize),
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        4 => (0_usize..2, 0_u64..8).prop_map(|(client, sector)| Deed::Ask { client, sector }),
        1 => (0_usize..2).prop_map(Deed::Die),
        3 => any::<usize>().prop_map(Deed::Perform),
    ]
}

proptest! {
    #[test]
    fn device_never_has_requests_of_two_lives_of_a_client(deeds in proptest::collection::vec(deed(), 1..80)) {
        let mut bench = bench(FEATURES, 512);
        // Each client's life, and what that asked and has no answer to; a life's writes carry its number.
        let (mut lives, mut open) = ([1_u8; 2], [0_usize; 2]);
        let mut out: Vec<Vec<Lent>> = Vec::new();
        for deed in deeds {
            match deed {
                Deed::Ask { client, sector } => {
                    if bench.clients[client].1.requests.push(&write(1, sector, &[lives[client]; SECTOR_BYTES])).is_ok() {
                        open[client] += 1;
                    }
                }
                Deed::Die(client) => {
                    die(&mut bench, client);
                    (lives[client], open[client]) = (lives[client] + 1, 0);
                }
                Deed::Perform(pick) if !out.is_empty() => {
                    let chain = out.swap_remove(pick % out.len());
                    bench.perform(&chain);
                }
                Deed::Perform(_) => {}
            }
            out.extend(asked(&mut bench));
            for (client, open) in open.iter_mut().enumerate() {
                *open -= bench.answers(client).len();
                let mut had: Vec<u8> = out.iter().filter_map(|chain| life(&bench, client, chain)).collect();
                had.dedup();
                prop_assert!(had.len() < 2, "lives {had:?} of client {client} are at the device");
            }
        }
        for chain in out {
            bench.perform(&chain);
        }
        bench.serve();
        for (client, open) in open.into_iter().enumerate() {
            prop_assert_eq!(bench.answers(client).len(), open, "nothing is forgotten");
        }
    }
}

/// The life whose write it is, if the client's.
fn life(bench: &Bench, client: usize, chain: &[Lent]) -> Option<u8> {
    let (mut head, mut byte) = ([0; 16], [0]);
    bench.device.read(chain[0].address, &mut head);
    bench.device.read(chain[1].address, &mut byte);
    let sector = u64::from_le_bytes(*head[8..].first_chunk().expect("8"));
    (PARTS[client].first..PARTS[client].first + PARTS[client].count).contains(&sector).then_some(byte[0])
}
