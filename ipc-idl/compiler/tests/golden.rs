//! Golden summaries in a checkout: what may change, what may not, and where texts stand.
use hybrid_idlc::{Change, Error, bless, changes, check_all, interface};
use std::fs;
use std::path::{Path, PathBuf};

/// An IDL root with one text, `area/lamp.idl`.
struct Checkout {
    root: tempfile::TempDir,
}

const LAMP: &str = "library hybrid.area.lamp;
enum Color { 1: Red }
struct State { 1: color: Color }
union Shape { 1: Dot, 2: Named(string<8>) }
interface Lamp { 1: on(level: u8) -> (); 2: state() -> (state: State) idempotent; 3: shape() -> (shape: Shape); }
";

impl Checkout {
    fn new(text: &str) -> Self {
        let checkout = Self { root: tempfile::tempdir().expect("there is a place for temporary files") };
        fs::create_dir_all(checkout.path().join("api")).expect("writable");
        checkout.write(text);
        checkout
    }

    fn path(&self) -> &Path {
        self.root.path()
    }

    fn write(&self, text: &str) {
        fs::create_dir_all(self.path().join("area")).expect("writable");
        fs::write(self.path().join("area/lamp.idl"), text).expect("writable");
    }
}

fn broken(result: Result<Vec<String>, Error>) -> Vec<String> {
    let Err(Error::Golden(list)) = result else { panic!("{result:?}") };
    let changes = list.into_iter().flat_map(|(_, changes)| changes);
    let is_broken = |change| if let Change::Broken(line) = change { Some(line) } else { None };
    changes.filter_map(is_broken).collect()
}

#[test]
fn new_text_needs_a_blessing_once() {
    let checkout = Checkout::new(LAMP);
    assert!(matches!(check_all(checkout.path()), Err(Error::Golden(_))));
    assert_eq!(bless(checkout.path()).expect("nothing is broken"), ["hybrid.area.lamp"]);
    assert!(check_all(checkout.path()).is_ok());
    assert!(bless(checkout.path()).expect("nothing changed").is_empty());
}

#[test]
fn additions_are_blessed() {
    let checkout = Checkout::new(LAMP);
    bless(checkout.path()).expect("nothing is broken");
    let more = LAMP.replace("1: Red", "1: Red, 2: Blue").replace("string<8>)", "string<8>), 3: Long(string<80>)");
    checkout
        .write(&more.replace("(shape: Shape);", "(shape: Shape); ring 4: frames(to_client, bytes = 1024): bytes<9>;"));
    assert!(matches!(check_all(checkout.path()), Err(Error::Golden(_))));
    assert!(bless(checkout.path()).is_ok());
}

#[test]
fn meaning_of_an_ordinal_cannot_change() {
    let checkout = Checkout::new(LAMP);
    bless(checkout.path()).expect("nothing is broken");
    for (from, to) in [
        ("on(level: u8)", "on(level: u16)"),
        ("1: on(level: u8)", "1: off(level: u8)"),
        ("1: on(level: u8) -> ();", "reserved 1;"),
        ("1: Red", "1: Green"),
        ("1: color: Color", "1: color: Color, 2: level: u8"),
        (") idempotent", ")"),
    ] {
        checkout.write(&LAMP.replace(from, to));
        let lines = broken(bless(checkout.path()));
        assert!(!lines.is_empty(), "{from} to {to}");
        let raised = LAMP.replace(from, to).replace("area.lamp;", "area.lamp version 2;");
        checkout.write(&raised);
        let committed = fs::read_to_string(checkout.path().join("api/hybrid.area.lamp.txt")).expect("blessed");
        let present = &hybrid_idlc::summaries(checkout.path()).expect("valid")[0].1;
        let is_broken = |change: &Change| matches!(change, Change::Broken(_));
        assert!(!changes(&committed, present).iter().any(is_broken), "a new version may: {from} to {to}");
    }
}

#[test]
fn library_that_is_gone_is_noticed() {
    let checkout = Checkout::new(LAMP);
    bless(checkout.path()).expect("nothing is broken");
    fs::write(checkout.path().join("api/hybrid.area.old.txt"), "library hybrid.area.old version 1\n")
        .expect("writable");
    assert!(matches!(check_all(checkout.path()), Err(Error::Golden(_))));
}

#[test]
fn text_in_the_wrong_place_is_refused() {
    let checkout = Checkout::new(&LAMP.replace("area.lamp", "area.light"));
    let found = check_all(checkout.path());
    assert!(matches!(&found, Err(Error::Place { wanted, .. }) if wanted == "area/light.idl"), "{found:?}");
}

#[test]
fn golden_summaries_of_this_checkout_are_current() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    if let Err(error) = check_all(&root) {
        panic!("{error}");
    }
}

#[test]
fn facts_of_an_interface() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let facts = |name| interface(&root, name).expect("valid").unwrap_or_else(|| panic!("{name} exists"));
    let link = facts("hybrid.net.link.Link");
    assert!(link.has_operations && link.has_events && link.has_rings && !link.mints_resources && !link.takes_caps);
    assert_eq!(link.region_bytes % 4096, 0);
    assert_eq!(link.rings[1].offset, link.rings[0].capacity + 128);
    let reader = facts("hybrid.log.Reader");
    assert!(reader.has_operations && reader.mints_resources && reader.receives_caps() && !reader.has_rings);
    let sink = facts("hybrid.log.Sink");
    assert!(!sink.has_operations && sink.has_rings);
    assert_eq!(interface(&root, "hybrid.log.Nothing").expect("valid"), None);
}
