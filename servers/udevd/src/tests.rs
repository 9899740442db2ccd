//! Machines built by hand and damaged at random: what is found in them, and the list against a model.

use std::collections::BTreeMap;

use hybrid_tree_writer::Writer;
use libhybrid::interfaces::device::{Bus, Condition, Devices, Error};
use libhybrid::ipc::ClientId;
use proptest::prelude::*;

use crate::Look;
use crate::drivers::{Driver, windows};
use crate::found::{FOUND_MAX, Found, Identity, Presence, conditions, presence};
use crate::server::{CHANGES_MAX, LIST_MAX, Server};

const SHELL: ClientId = ClientId::of(9);

/// A machine like QEMU's: a serial line behind a bus with ranges, a clock, two transports, a PCI bridge, the platform.
fn machine() -> Vec<u8> {
    let mut t = Writer::default();
    t.begin("").cells("#address-cells", &[2]).cells("#size-cells", &[2]);
    t.begin("memory@40000000").text("device_type", "memory").cells("reg", &[0, 0x4000_0000, 0, 0x800_0000]).end();
    t.begin("soc").text("compatible", "simple-bus").cells("#address-cells", &[1]).cells("#size-cells", &[1]);
    t.cells("ranges", &[0x7e00_0000, 0, 0x0900_0000, 0x0100_0000]);
    t.begin("uart@7e000000").text("compatible", "arm,pl011\0arm,primecell").cells("reg", &[0x7e00_0000, 0x1000]);
    t.cells("interrupts", &[0, 1, 4]).end();
    t.begin("lost@1000").text("compatible", "no,where").cells("reg", &[0x1000, 0x1000]).end().end();
    t.begin("rtc@9010000").text("compatible", "arm,pl031").cells("reg", &[0, 0x901_0000, 0, 0x1000]);
    t.cells("interrupts", &[0, 2, 4]).end();
    t.begin("off@9020000").text("compatible", "arm,pl061").text("status", "disabled");
    t.cells("reg", &[0, 0x902_0000, 0, 0x1000]).end();
    t.begin("clock").text("compatible", "fixed-clock").end();
    for (slot, line) in [(0u32, 16u32), (1, 17), (8, 24)] {
        t.begin("virtio").text("compatible", "virtio,mmio");
        t.cells("reg", &[0, 0xa00_0000 + slot * 0x200, 0, 0x200]).cells("interrupts", &[0, line, 1]).end();
    }
    t.begin("pcie").text("compatible", "pci-host-ecam-generic").cells("#address-cells", &[3]);
    t.cells("reg", &[0x40, 0x1000_0000, 0, 0x1000_0000]).end();
    t.begin("timer").text("compatible", "arm,armv8-timer\0arm,armv7-timer").cells("interrupts", &[1, 13, 4]).end();
    t.begin("gic").text("compatible", "arm,gic-v3").cells("reg", &[0, 0x800_0000, 0, 0x1_0000]).end();
    t.begin("cpus").cells("#address-cells", &[1]).cells("#size-cells", &[0]);
    t.begin("cpu@0").text("device_type", "cpu").text("compatible", "arm,cortex-a53").cells("reg", &[0]).end().end();
    t.end();
    t.blob()
}

/// Registers by their addresses; nothing else may be read.
#[derive(Default, Clone)]
struct Words(BTreeMap<u64, u32>);

impl Look for Words {
    fn word(&self, address: u64) -> Option<u32> {
        self.0.get(&address).copied()
    }
}

impl Words {
    fn transport(mut self, address: u64, version: u32, id: u32) -> Self {
        self.0.extend([(address, 0x7472_6976), (address + 4, version), (address + 8, id)]);
        self
    }

    fn function(mut self, number: u64, identity: u32, class: u32, header: u32) -> Self {
        let at = 0x40_1000_0000 + number * 4096;
        self.0.extend([(at, identity), (at + 8, class), (at + 12, header)]);
        self
    }

    /// A bus on which nobody answers, and empty transports.
    fn empty() -> Self {
        let bus = (0..256).fold(Self::default(), |words, number| words.function(number, u32::MAX, u32::MAX, u32::MAX));
        [0xa00_0000, 0xa00_0200, 0xa00_1000].into_iter().fold(bus, |words, at| words.transport(at, 2, 0))
    }

    fn of_machine() -> Self {
        Self::empty()
            .transport(0xa00_0000, 2, 1)
            .transport(0xa00_1000, 2, 4)
            .function(0, 0x0008_1b36, 0x0600_0000, 0)
            .function(8, 0x1041_1af4, 0x0200_0001, 1 << 23)
            .function(9, 0x1042_1af4, 0x0100_0001, 0)
    }
}

fn drivers() -> Vec<Driver> {
    let parameters = [
        ("driver.console.uart", "arm,pl011 page=9000000"),
        ("driver.nic.nic", "virtio,mmio page=a000000 virtio=1"),
        ("driver.rng.rng", "virtio,mmio page=a001000 virtio=4"),
        ("driver.timed.timer", "arm,armv8-timer"),
        ("window.pci", "4010000000"),
        ("color", "green"),
    ];
    let parameters: Vec<(String, String)> = parameters.map(|(key, value)| (key.into(), value.into())).into();
    assert_eq!(windows(&parameters), [("pci", 0x40_1000_0000)]);
    Driver::all(&parameters)
}

/// Every line as `kind address interrupt condition driver`.
fn list(server: &mut Server<Words>) -> Vec<String> {
    let lines = (0..).map_while(|index| {
        server.device(SHELL, index).ok().map(|device| {
            let (kind, address, interrupt) = (device.kind.clone(), device.address, device.interrupt);
            format!("{kind} {address:x} {interrupt} {:?} {}", device.condition, device.driver).trim_end().to_string()
        })
    });
    lines.collect()
}

fn server(words: Words) -> Server<Words> {
    let mut server = Server::new(machine(), words, drivers(), || 7);
    server.look();
    server
}

#[test]
fn machine_is_listed_with_what_drives_each_device() {
    let mut server = server(Words::of_machine());
    let expected = [
        "arm,pl011 9000000 33 Driven console",
        "arm,pl031 9010000 34 NoDriver",
        "virtio 1 a000000 48 Driven nic",
        "virtio 4 a001000 56 Driven rng",
        "pci 1b36:0008 class 060000 4010000000 0 Platform",
        "pci 1af4:1041 class 020000 4010008000 0 NoDriver",
        "pci 1af4:1042 class 010000 4010009000 0 NoDriver",
        "pci-host-ecam-generic 4010000000 0 Platform",
        "arm,armv8-timer 0 29 Driven timed",
        "arm,gic-v3 8000000 0 Platform",
    ];
    assert_eq!(list(&mut server), expected);
    let summary = server.summary(SHELL);
    assert_eq!((summary.devices, summary.undriven, summary.beyond), (10, 3, 0));
    assert!(server.drivers().all(|(_, presence)| presence == Presence::Here));
    assert_eq!(server.device(SHELL, 10).err(), Some(Error::NoSuchDevice));
}

#[test]
fn device_that_is_missing_doubled_or_of_another_kind_is_not_the_drivers() {
    let condition = |words: Words, kind: &str| {
        let mut server = server(words);
        let line = list(&mut server).into_iter().find(|line| line.starts_with(kind)).unwrap_or_default();
        let rng = server.drivers().find(|(driver, _)| driver.name == "rng").map(|(_, presence)| presence).unwrap();
        (line, rng)
    };
    let empty = Words::empty();
    assert_eq!(condition(empty.clone(), "virtio 4"), (String::new(), Presence::Missing));
    let elsewhere = empty.clone().transport(0xa00_0200, 2, 4);
    assert_eq!(condition(elsewhere, "virtio 4"), ("virtio 4 a000200 49 NoInstance rng".into(), Presence::Missing));
    let other = empty.clone().transport(0xa00_1000, 2, 5);
    assert_eq!(condition(other, "virtio 5"), ("virtio 5 a001000 56 NoDriver".into(), Presence::Missing));
    let legacy = empty.clone().transport(0xa00_1000, 1, 4);
    assert_eq!(condition(legacy, "virtio 4"), ("virtio 4 (legacy) a001000 56 NoDriver".into(), Presence::Missing));
    // Two of one kind on the page of a driver that takes one.
    let mut words = empty.transport(0xa00_0000, 2, 1).transport(0xa00_0200, 2, 1);
    let mut two = server(words.clone());
    let nic = two.drivers().find(|(driver, _)| driver.name == "nic").map(|(_, presence)| presence);
    assert_eq!(nic, Some(Presence::Several));
    assert_eq!(list(&mut two).iter().filter(|line| line.ends_with("NoInstance nic")).count(), 2);
    // What may not be looked at stays what the tree calls it.
    words.0.retain(|address, _| *address != 0xa00_1008);
    assert_eq!(condition(words, "virtio,mmio"), ("virtio,mmio a001000 56 NoDriver".into(), Presence::Missing));
}

#[test]
fn parameters_that_are_no_drivers_are_none() {
    for (key, value) in [
        ("driver.", ""),
        ("driver.x", ""),
        ("driver.x.y", "a page=zz"),
        ("driver.x.y", "a virtio=-1"),
        ("driver.x.y", "a color=1"),
        ("driver.x.y", "a page"),
        ("drive.x.y", "a"),
    ] {
        assert_eq!(Driver::of(key, value), None, "{key} {value}");
    }
}

#[test]
fn changes_are_pulled_once_by_each_client_and_the_oldest_of_too_many_are_lost() {
    let mut server = server(Words::of_machine());
    let other = ClientId::of(8);
    assert_eq!(server.pull_changed(SHELL).map(|changed| changed.next), Some(10));
    assert_eq!(server.pull_changed(SHELL), None);
    assert_eq!(server.scan(SHELL), 0, "nothing changed");
    assert_eq!(server.pull_changed(SHELL), None);
    assert!(server.pull_changed(other).is_some());
    server.forget(SHELL);
    assert!(server.pull_changed(SHELL).is_some(), "its next life");
    let mut words = Words::of_machine();
    for round in 0..CHANGES_MAX {
        words = words.transport(0xa00_1000, 2, if round % 2 == 0 { 0 } else { 4 });
        server.replace(words.clone());
        assert_eq!(server.scan(SHELL), 1);
    }
    let first = server.change(SHELL, 0);
    assert_eq!(first.change.map(|change| change.sequence), Some(10));
    let last = server.change(SHELL, 9 + CHANGES_MAX as u64);
    assert_eq!((last.change.map(|change| change.condition), last.next), (Some(Condition::Driven), 74));
    assert_eq!(server.change(SHELL, 74).change, None);
}

fn some_found() -> impl Strategy<Value = Vec<Found>> {
    let identity = prop_oneof![
        (0u32..4, any::<bool>()).prop_map(|(id, is_modern)| Identity::Virtio(id, is_modern)),
        (0u16..2, 0u16..2, 0u32..3).prop_map(|(vendor, device, class)| Identity::Pci(vendor, device, class << 17)),
        prop::sample::subsequence(vec!["a", "b", "virtio,mmio", "arm,gic-v3"], 0..3)
            .prop_map(|names| Identity::Tree(names.into_iter().map(String::from).collect())),
    ];
    let one = (identity, 0u64..4, 0u64..3, 0u32..3).prop_map(|(identity, page, slot, interrupt)| Found {
        identity,
        address: page * 4096 + slot * 0x200,
        bytes: 0x200,
        interrupt,
    });
    prop::collection::vec(one, 0..30)
}

fn some_drivers() -> impl Strategy<Value = Vec<Driver>> {
    let one = (0u8..4, prop::sample::select(vec!["a", "b", "virtio,mmio"]), prop::option::of(0u64..4), 0u32..4);
    let one = one.prop_map(|(name, compatible, page, id)| Driver {
        name: format!("d{name}"),
        compatible: compatible.into(),
        page: page.map(|page| page * 4096),
        virtio: (compatible == "virtio,mmio").then_some(id),
        starts_when_found: false,
    });
    prop::collection::vec(one, 0..6)
}

/// The matcher's words once more, as plainly as they can be said.
fn plainly_fits(driver: &Driver, device: &Found) -> bool {
    match (&device.identity, driver.virtio) {
        (Identity::Tree(names), None) => names.contains(&driver.compatible),
        (Identity::Virtio(id, true), Some(wanted)) => *id == wanted,
        _ => false,
    }
}

proptest! {
    #[test]
    fn conditions_are_what_a_plain_reading_of_the_manifests_says(found in some_found(), drivers in some_drivers()) {
        let on_page = |driver: &Driver, device: &Found| {
            driver.page.is_none_or(|page| (page..page + 4096).contains(&device.address))
        };
        let said = conditions(&drivers, &found);
        prop_assert_eq!(said.len(), found.len());
        for (device, (condition, name)) in found.iter().zip(&said) {
            let owners: Vec<&Driver> =
                drivers.iter().filter(|driver| plainly_fits(driver, device) && on_page(driver, device)).collect();
            let sole = owners.iter().find(|driver| {
                found.iter().filter(|other| plainly_fits(driver, other) && on_page(driver, other)).count() == 1
            });
            let fits = drivers.iter().any(|driver| plainly_fits(driver, device));
            match condition {
                Condition::Driven => prop_assert_eq!(Some(*name), sole.map(|driver| driver.name.as_str())),
                Condition::NoInstance => prop_assert!(sole.is_none() && fits && !name.is_empty()),
                Condition::NoDriver | Condition::Platform => prop_assert!(!fits && name.is_empty()),
                Condition::Gone => prop_assert!(false, "what is found is not gone"),
            }
        }
        // An instance is started exactly if one device is its own; then that device is driven.
        for driver in &drivers {
            let own = found.iter().filter(|device| plainly_fits(driver, device) && on_page(driver, device)).count();
            let expected = [Presence::Missing, Presence::Here, Presence::Several][own.min(2)];
            prop_assert_eq!(presence(driver, &found), expected);
        }
    }

    #[test]
    fn list_is_the_last_look_and_its_changes_lead_there(looks in prop::collection::vec(some_found(), 1..12)) {
        let mut server = Server::new(Vec::new(), Words::default(), Vec::new(), || 7);
        let mut replayed: BTreeMap<u16, Condition> = BTreeMap::new();
        let mut next = 0;
        for found in looks {
            server.take_for_test(&found);
            while let (Some(change), after) = { let answer = server.change(SHELL, next); (answer.change, answer.next) } {
                prop_assert!(change.sequence >= next);
                replayed.insert(change.index, change.condition);
                next = after;
            }
            let devices: Vec<_> = (0..).map_while(|index| server.device(SHELL, index).ok().map(|device| {
                (index, (device.bus as u32, device.kind.to_string(), device.address), device.condition)
            })).collect();
            for (index, _, condition) in &devices {
                // No look makes more changes than are kept, so none was missed.
                prop_assert_eq!(replayed.get(index), Some(condition));
            }
            let mut there: Vec<_> =
                devices.into_iter().filter(|(.., condition)| *condition != Condition::Gone).map(|(_, key, _)| key).collect();
            let mut expected: Vec<_> =
                found.iter().map(|device| (device.bus() as u32, device.kind(), device.address)).collect();
            there.sort();
            expected.sort();
            let (devices, beyond) = (server.summary(SHELL).devices, server.summary(SHELL).beyond);
            prop_assert!(usize::from(devices) <= LIST_MAX);
            prop_assert!(there == expected || beyond > 0);
        }
    }

    #[test]
    fn damaged_tree_is_read_within_bounds(damage in prop::collection::vec((0usize..2000, any::<u8>()), 1..16)) {
        let mut blob = machine();
        let length = blob.len();
        for (position, value) in damage { blob[position % length] = value; }
        let (found, _beyond) = crate::look(&blob, &Words::of_machine());
        prop_assert!(found.len() <= FOUND_MAX);
        prop_assert!(found.iter().all(|device| device.kind().len() <= 48));
    }
}

#[test]
fn more_devices_than_there_is_room_for_are_counted() {
    let mut tree = Writer::default();
    tree.begin("").cells("#address-cells", &[1]).cells("#size-cells", &[1]);
    for number in 0..200u32 {
        tree.begin("d").text("compatible", "a,b").cells("reg", &[number * 4096, 4096]).end();
    }
    tree.end();
    let mut server = Server::new(tree.blob(), Words::default(), Vec::new(), || 7);
    assert_eq!(server.look(), FOUND_MAX);
    assert_eq!(server.summary(SHELL).beyond, 72);
    assert_eq!(server.device(SHELL, 0).map(|device| device.bus), Ok(Bus::Tree));
}

fn told_of(lines: &[(&str, &str, Presence)]) -> Vec<(Driver, Presence)> {
    let driver =
        |(key, value, presence): &(&str, &str, Presence)| (Driver::of(key, value).expect("well written"), *presence);
    lines.iter().map(driver).collect()
}

#[test]
fn supervisor_is_told_of_what_is_new_of_drivers_that_start_on_their_device() {
    use crate::told::Told;
    let (mut told, found) = (Told::default(), "virtio,mmio page=a001000 virtio=4 start=found");
    let news = |told: &mut Told, card: Presence, noise: Presence| {
        let lines = [
            ("driver.console.uart", "arm,pl011 page=9000000", Presence::Missing),
            ("driver.nic.nic", found, card),
            ("driver.rng.rng", found, noise),
            ("driver.nic.clock", "a,b start=found", Presence::Here),
        ];
        let drivers = told_of(&lines);
        told.news(drivers.iter().map(|(driver, presence)| (driver, *presence)))
    };
    let line = |name: &str, is_here| (String::from(name), is_here);
    let both = [line("nic", true), line("rng", false)];
    assert_eq!(news(&mut told, Presence::Here, Presence::Missing), both);
    assert_eq!(news(&mut told, Presence::Here, Presence::Missing), [], "nothing is new");
    assert_eq!(news(&mut told, Presence::Here, Presence::Here), [line("rng", true)]);
    // One that has several devices needs all; where there are two for one place, its driver takes none.
    assert_eq!(news(&mut told, Presence::Several, Presence::Here), [line("nic", false)]);
    told.forget("nic");
    assert_eq!(
        news(&mut told, Presence::Several, Presence::Here),
        [line("nic", false)],
        "what was not heard is said again"
    );
    told.forget_all();
    assert_eq!(news(&mut told, Presence::Here, Presence::Missing), both, "a new life is told everything");
}
