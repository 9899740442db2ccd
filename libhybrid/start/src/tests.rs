//! Tests of the start information: round trips, and bytes that nobody wrote.
use super::*;
use proptest::prelude::*;

fn example() -> StartInfo {
    StartInfo {
        abi: ABI,
        instance: 7,
        generation: 1,
        name: "httpd".into(),
        product: "gateway".into(),
        version: "0.1.0".into(),
        boot_ns: 12_345_678,
        heap: Span { addr: HEAP_BASE, len: 8 << 20 },
        own_cnode: Some(SLOT_CNODE),
        endpoint: Some(SLOT_ENDPOINT),
        reply: Some(SLOT_REPLY),
        notification: SLOT_NOTIFICATION,
        peers: Span { addr: PEERS_ADDRESS, len: 4096 },
        free_slots: (40, 256),
        uses: vec![Use {
            name: "tcp".into(),
            interface: "hybrid.net.stack.Tcp".into(),
            slot: Some(5),
            region: Some(Span { addr: RING_BASE, len: 0x80000 }),
            bell_out: Some(6),
            bell_bit: Some(3),
            is_on_demand: false,
        }],
        provides: vec![Provided {
            name: "providers".into(),
            interface: "hybrid.provider.Host".into(),
            index: 0,
            sessions: vec![Session { client: 8, client_name: "status".into(), ..Session::default() }],
        }],
        devices: vec![Device { name: "nic".into(), irq_slot: Some(9), irq_number: Some(48), ..Device::default() }],
        dma: vec![Dma { name: "buffers".into(), span: Span { addr: DMA_BASE, len: 1 << 20 }, paddr: 0x5000_0000 }],
        parameters: vec![("address".into(), "10.0.2.15/24".into())],
        stack: Span { addr: STACK_TOP - 0x1_0000, len: 0x1_0000 },
        threads: vec![255, 254],
        stacks: Stacks { count: 1, bytes: 0x1_0000 },
    }
}

#[test]
fn start_info_encoded_decodes_to_itself_with_page_padding() {
    let info = example();
    let mut page = [0xa5_u8; 4096];
    let len = info.encode(&mut page).unwrap();
    assert_eq!(info.encode_to_vec().unwrap(), page[..len]);
    assert_eq!(StartInfo::decode(&page).unwrap(), info);
}

#[test]
fn start_info_lookup_by_name_finds_only_what_is_there() {
    let info = example();
    assert_eq!(info.use_named("tcp").unwrap().slot, Some(5));
    assert!(info.use_named("udp").is_none());
    assert_eq!(info.provided_named("providers").unwrap().sessions[0].client, 8);
    assert_eq!(info.parameter("address"), Some("10.0.2.15/24"));
    assert_eq!(info.parameter("gateway"), None);
}

#[test]
fn prefix_covers_whole_parts_of_names() {
    let below = |prefix: &str| Limits { prefix: Some(prefix.into()), ..Limits::default() };
    assert!(["/a", "/a/b", "/a/"].iter().all(|name| below("/a").covers(name)));
    assert!(["/", "/ab", "", "a", "/b/a"].iter().all(|name| !below("/a").covers(name)));
    assert!(below("/a/").covers("/a/b") && !below("/a/").covers("/a"));
    assert!(Limits::default().covers("anything"));
}

#[test]
fn start_info_of_another_abi_is_refused_by_version() {
    let info = StartInfo { abi: ABI + 1, ..example() };
    assert_eq!(StartInfo::decode(&info.encode_to_vec().unwrap()), Err(StartError::Version(ABI + 1)));
}

#[test]
fn start_info_truncated_anywhere_is_malformed() {
    let bytes = example().encode_to_vec().unwrap();
    for len in 0..bytes.len() {
        assert_eq!(StartInfo::decode(&bytes[..len]), Err(StartError::Malformed), "length {len}");
    }
}

#[test]
fn start_info_claiming_a_huge_list_is_malformed_without_allocating_it() {
    let mut bytes = StartInfo { abi: ABI, ..StartInfo::default() }.encode_to_vec().unwrap();
    // The five list counts are the last bytes; make the first claim 2^63 elements.
    let at = bytes.len() - 5;
    bytes.truncate(at);
    bytes.extend_from_slice(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]);
    assert_eq!(StartInfo::decode(&bytes), Err(StartError::Malformed));
}

#[test]
fn start_info_output_too_small_is_no_room() {
    assert_eq!(example().encode(&mut [0; 16]), Err(StartError::NoRoom));
}

proptest! {
    #[test]
    fn start_info_from_random_bytes_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = StartInfo::decode(&bytes);
    }

    #[test]
    fn start_info_with_one_byte_changed_never_panics(at in 0_usize..200, value in any::<u8>()) {
        let mut bytes = example().encode_to_vec().unwrap();
        let at = at % bytes.len();
        bytes[at] = value;
        let _ = StartInfo::decode(&bytes);
    }
}
