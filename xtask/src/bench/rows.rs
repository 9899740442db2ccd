//! The rows of the kernel's benchmark: what each means, what seL4 needs, what is wanted; measures nothing.

/// One row.
pub(crate) struct Row {
    /// What the benchmark's root task prints, and what `--only` takes.
    pub(crate) id: &'static str,
    /// In words.
    pub(crate) meaning: &'static str,
    /// Instructions of seL4 16 MCS (-O2, one core), where that was measured.
    pub(crate) sel4: Option<u64>,
    /// At most so many are wanted, where something is.
    pub(crate) target: Option<u64>,
}

const fn row(id: &'static str, meaning: &'static str, sel4: u64, target: u64) -> Row {
    Row { id, meaning, sel4: Some(sel4), target: Some(target) }
}

const fn extra(id: &'static str, meaning: &'static str) -> Row {
    Row { id, meaning, sel4: None, target: None }
}

/// All rows, in the order of the table.
pub(crate) const ROWS: [Row; 36] = [
    row("call-reply-0", "Call + ReplyRecv, 0 words", 474, 300),
    row("call-reply-4", "… 4 words", 521, 330),
    row("call-reply-10", "… 10 words", 2_039, 450),
    row("call-reply-64", "… 64 words", 2_579, 800),
    row("call-reply-120", "… 120 words", 3_139, 1_200),
    row("call-reply-0-fp", "… 0 words, FP in use on both sides", 579, 420),
    row(
        "call-reply-0-own-time",
        "… 0 words, to a server with its own scheduling context and higher priority",
        1_987,
        900,
    ),
    row("call-reply-cap", "… one capability transferred", 2_133, 1_200),
    row("send-wake", "Send to a waiting receiver of higher priority", 780, 400),
    row("signal-wake", "Signal → waiting thread of higher priority runs", 648, 320),
    row("notification-ping-pong", "notification ping-pong, round trip (each side: NBSendWait)", 1_468, 900),
    row("irq-handler", "interrupt → handler thread's first instruction", 464, 350),
    row("irq-ack", "IRQHandler_Ack", 439, 300),
    row("vm-fault", "VM fault → handler (passive) → restart", 1_576, 900),
    row("yield", "2 × Yield with 2 switches", 890, 500),
    row("poll", "Poll on an idle notification", 268, 150),
    row("signal-idle", "Signal, nobody waiting (seL4 with its optional signal fast path: 135)", 401, 130),
    row("retype-endpoint", "Retype 1 endpoint (fresh)", 782, 500),
    row("retype-frame", "Retype 1 frame of 4 KiB (fresh)", 1_173, 700),
    row("retype-used-4k", "retype of a used 4 KiB untyped (zeroing)", 3_042, 1_200),
    row("retype-used-2m", "retype of a used 2 MiB untyped (zeroing)", 1_157_887, 300_000),
    row("page-map", "Page_Map 4 KiB", 609, 450),
    row("page-unmap", "Page_Unmap 4 KiB", 561, 400),
    row("cnode-copy", "CNode_Copy", 727, 450),
    row("cnode-delete", "CNode_Delete (not last)", 690, 450),
    row("cnode-revoke-10", "CNode_Revoke of 10 badged children", 2_921, 1_800),
    row("cnode-delete-256", "delete of a CNode with 256 empty slots", 56_588, 10_000),
    row("thread-create", "thread created, configured, started → first instruction (6 invocations)", 7_635, 5_000),
    row(
        "boot-to-user",
        "kernel entry → first user instruction, 1 GiB (seL4's loader not counted)",
        3_022_000,
        1_000_000,
    ),
    extra("null", "null system call: NBSend to an empty slot"),
    extra("call-reply-0-higher", "Call + ReplyRecv, 0 words, to a passive server of higher priority"),
    extra("vm-fault-own-time", "VM fault → handler with its own scheduling context → restart"),
    extra("notification-ping-pong-separate", "notification ping-pong, each side: Signal, then Wait (4 system calls)"),
    extra("stub-two-scalars", "call + reply through generated stub and dispatcher, two scalars in, one out"),
    extra("stub-256-bytes", "the same, 256 bytes each way"),
    extra("nothing", "nothing (shows that the counter stands still in user code)"),
];

/// The row with this id.
pub(crate) fn find(id: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.id == id)
}

#[cfg(test)]
mod tests {
    use super::ROWS;

    #[test]
    fn rows_have_ids_of_their_own() {
        let mut ids: Vec<&str> = ROWS.iter().map(|row| row.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), ROWS.len());
    }

    #[test]
    fn targets_are_below_what_sel4_needs() {
        assert!(ROWS.iter().all(|row| row.target.unwrap_or(0) <= row.sel4.unwrap_or(0)));
    }
}
