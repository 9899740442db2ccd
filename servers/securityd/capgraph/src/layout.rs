//! Where things are in a component's capability and address space; see docs/capabilities.md.

/// Own CNode.
pub const SLOT_CNODE: u32 = 1;
/// Own endpoint.
pub const SLOT_ENDPOINT: u32 = 2;
/// Reply object.
pub const SLOT_REPLY: u32 = 3;
/// Own notification.
pub const SLOT_NOTIFICATION: u32 = 4;
/// The kernel's list of all capabilities, where it is granted.
pub const SLOT_AUDIT: u32 = 5;
/// `compatible` of the board's device that stands for that list.
pub const AUDIT_COMPATIBLE: &str = "hybrid,audit";
/// How the `compatible` of what is no device of a device tree begins.
pub const OWN_PREFIX: &str = "hybrid,";
/// `compatible` of the board's device that stands for the device tree of boot.
pub const TREE_COMPATIBLE: &str = "hybrid,device-tree";
/// Endpoint of use 0; use i has `SLOT_USES + 2 i`, and its bell the slot after that.
pub const SLOT_USES: u32 = 8;
/// Interrupt handler of device 0.
pub const SLOT_INTERRUPTS: u32 = 56;
/// Bell to the client on port 0.
pub const SLOT_SESSIONS: u32 = 64;
/// First slot for received capabilities.
pub const SLOT_FREE: u32 = 128;

/// Uses of one component.
pub const USES_MAX: usize = 24;
/// Devices of one component.
pub const DEVICES_MAX: usize = 8;
/// Keys of one component.
pub const KEYS_MAX: usize = 8;
/// Interfaces that one component provides.
pub const PROVIDES_MAX: usize = 32;
/// Ports of one instance: bits of a notification, less the one that marks bells and the one of supervision.
pub const PORTS: u8 = 62;
/// The bit with which securityd rings an instance whose page of peers changed.
pub const SUPERVISION_BIT: u8 = 62;
/// Routes that may end at one provided interface.
pub const CLIENTS_MAX: u8 = 62;
/// The largest instance id: a badge has 16 bits for it, the golden file wants them short.
pub const INSTANCE_ID_MAX: u16 = 4095;
/// securityd's instance id.
pub const SECURITYD: u16 = 1;

/// Slots that securityd has for what it makes for one instance: pages, page tables and the rest.
pub const MADE_MAX: u64 = 4096;

/// Nodes of securityd's capability space: two are its own, each instance has one, and one that is spawned two.
pub const NODES: usize = 256;

/// Bytes of all programs that securityd keeps for places.
pub const PROGRAMS_MAX: u64 = 1 << 20;

/// Threads of one program.
pub const THREADS_MAX: u8 = 64;
const _: () = assert!(thread_slot(THREADS_MAX) >= SLOT_FREE + 32, "slots for received capabilities are left");

/// Bits of a CNode with no room for received capabilities.
pub const CNODE_BITS_SMALL: u8 = 7;
/// Bits of a CNode with the free slots.
pub const CNODE_BITS_LARGE: u8 = 8;

/// Where the stacks of a program's further threads begin, and one past the last place for them.
pub const STACKS: (u64, u64) = (0x7200_0000, 0x8000_0000);
/// Bytes below each of them in which nothing is mapped.
pub const STACK_GUARD: u64 = 8192;

/// Address of the page that tells an instance how its peers are.
pub const PEERS_ADDRESS: u64 = 0x7000_4000;
/// Address of the region on port 0.
pub const REGION_BASE: u64 = 0x2000_0000;
/// Distance of two ports' regions, and the largest region.
pub const REGION_STRIDE: u64 = 4 << 20;
/// Address of device 0's registers.
pub const DEVICE_BASE: u64 = 0x3000_0000;
/// Distance of two devices.
pub const DEVICE_STRIDE: u64 = 2 << 20;
/// Address of the first DMA memory.
pub const DMA_BASE: u64 = 0x3800_0000;
/// Distance of two pieces of DMA memory, and the largest one.
pub const DMA_STRIDE: u64 = 16 << 20;

/// Priorities by class.
pub const CLASSES: [(&str, u8); 9] = [
    ("time", 210),
    ("supervisor", 208),
    ("driver", 200),
    ("log", 190),
    ("base", 185),
    ("net", 180),
    ("server", 150),
    ("app", 100),
    ("security", 254),
];

/// The priority of a class; 0 for a class that does not exist.
#[must_use]
pub fn priority(class: &str) -> u8 {
    CLASSES.iter().find(|(name, _)| *name == class).map_or(0, |(_, priority)| *priority)
}

/// Slot of the endpoint of use `index`.
#[must_use]
pub const fn call_slot(index: usize) -> u32 {
    SLOT_USES + 2 * small(index)
}

/// Slot of the bell to the server of use `index`.
#[must_use]
pub const fn bell_slot(index: usize) -> u32 {
    call_slot(index) + 1
}

/// Slot of the notification that further thread `number` (from 1) waits for: from the top of a large CNode.
#[must_use]
pub const fn thread_slot(number: u8) -> u32 {
    (1 << CNODE_BITS_LARGE) - number as u32
}

/// Address of the stack with this index, of the stacks of `bytes` each.
#[must_use]
pub const fn stack_address(index: u8, bytes: u64) -> u64 {
    STACKS.0 + STACK_GUARD + index as u64 * (STACK_GUARD + bytes)
}

/// Slot of the interrupt handler of device `index`.
#[must_use]
pub const fn interrupt_slot(index: usize) -> u32 {
    SLOT_INTERRUPTS + small(index)
}

/// Port of the interrupt of device `index`: from the top, so that sessions keep theirs.
#[must_use]
pub const fn interrupt_port(index: usize) -> u8 {
    PORTS - 1 - (small(index) & 7) as u8
}

/// Slot of the bell to the client on `port`.
#[must_use]
pub const fn session_slot(port: u8) -> u32 {
    SLOT_SESSIONS + port as u32
}

/// Address of the region on `port`.
#[must_use]
pub const fn region_address(port: u8) -> u64 {
    REGION_BASE + port as u64 * REGION_STRIDE
}

/// Address of device `index`'s registers.
#[must_use]
pub const fn device_address(index: usize) -> u64 {
    DEVICE_BASE + small(index) as u64 * DEVICE_STRIDE
}

/// Address of DMA memory `index`.
#[must_use]
pub const fn dma_address(index: usize) -> u64 {
    DMA_BASE + small(index) as u64 * DMA_STRIDE
}

/// Badge of `client`'s capability to interface `index` of a server of `generation`, for the `nth` of its uses of that (layout of libhybrid/ipc).
#[must_use]
pub const fn badge(client: u16, nth: u8, index: u8, generation: u16) -> u64 {
    (client as u64) << 16 | (index as u64) << 32 | (generation as u64) << 40 | (nth as u64) << 56
}

/// A call's badge as the golden text has it, which is of the first generation: how often a server was started is no authority.
#[must_use]
pub const fn declared_badge(badge: u64) -> u64 {
    badge & !(0xffff << 40) | 1 << 40
}

/// Badge of `instance`'s fault messages: bit 62, which neither calls (bits 56 to 63 are zero) nor bells (bit 63) have alone.
#[must_use]
pub const fn fault_badge(instance: u16) -> u64 {
    1 << 62 | instance as u64
}

/// Badge of a bell that sets `bit`: bit 63 tells it from a call.
#[must_use]
pub const fn bell_badge(bit: u8) -> u64 {
    1 << 63 | 1 << (bit & 63)
}

/// An index that the resolver has bounded below 256.
#[expect(clippy::cast_possible_truncation, reason = "masked to 8 bits")]
const fn small(index: usize) -> u32 {
    (index & 0xff) as u32
}

/// Badges have five bits for which of a client's uses it is.
const _: () = assert!(USES_MAX <= 1 << 5);
/// `small` as the type that callers have.
const _: () = assert!(small(USES_MAX) as usize == USES_MAX && SLOT_USES + 2 * small(USES_MAX) <= SLOT_INTERRUPTS);
