//! Every rule by its id, in the order in which they came; why each exists stands in docs/capabilities/rules.md.

/// A rule that the resolver applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Stable, never reused: `CAP-R017`.
    pub id: &'static str,
    /// What findings are called by.
    pub name: &'static str,
}

const fn is(id: &'static str, name: &'static str) -> Rule {
    Rule { id, name }
}

/// All of them.
pub const RULES: [Rule; 60] = [
    is("CAP-R001", "unknown-key"),
    is("CAP-R002", "bad-value"),
    is("CAP-R003", "missing-file"),
    is("CAP-R004", "duplicate-name"),
    is("CAP-R005", "duplicate-id"),
    is("CAP-R006", "unknown-component"),
    is("CAP-R007", "unknown-instance"),
    is("CAP-R008", "unknown-interface"),
    is("CAP-R009", "interface-mismatch"),
    is("CAP-R010", "unrouted-use"),
    is("CAP-R011", "unused-route"),
    is("CAP-R012", "wildcard-route"),
    is("CAP-R013", "too-many-clients"),
    is("CAP-R014", "missing-reason"),
    is("CAP-R015", "write-xor-execute"),
    is("CAP-R016", "device-shared"),
    is("CAP-R017", "interrupt-shared"),
    is("CAP-R018", "unknown-device"),
    is("CAP-R019", "device-mismatch"),
    is("CAP-R020", "unused-device"),
    is("CAP-R021", "downhill-call"),
    is("CAP-R022", "call-cycle"),
    is("CAP-R023", "memory-exceeded"),
    is("CAP-R024", "slots-exceeded"),
    is("CAP-R025", "notification-full"),
    is("CAP-R026", "too-many-uses"),
    is("CAP-R027", "grant-without-policy"),
    is("CAP-R028", "guarded"),
    is("CAP-R029", "expired"),
    is("CAP-R030", "unused-allow"),
    is("CAP-R031", "never-both"),
    is("CAP-R032", "never-shares-page"),
    is("CAP-R033", "never-reaches-device"),
    is("CAP-R034", "never-granted"),
    is("CAP-R035", "unused-except"),
    is("CAP-R036", "bad-budget"),
    is("CAP-R037", "board-not-supported"),
    is("CAP-R038", "region-too-large"),
    is("CAP-R039", "missing-log"),
    is("CAP-R040", "bad-program"),
    is("CAP-R041", "key-unrouted"),
    is("CAP-R042", "key-mismatch"),
    is("CAP-R043", "key-unused"),
    is("CAP-R044", "golden-stale"),
    is("CAP-R045", "idl"),
    is("CAP-R046", "internal"),
    is("CAP-R047", "bad-restart"),
    is("CAP-R048", "access-unknown-role"),
    is("CAP-R049", "access-bad-rate"),
    is("CAP-R050", "access-shadowed"),
    is("CAP-R051", "access-locked-out"),
    is("CAP-R052", "access-too-large"),
    is("CAP-R053", "on-demand-rings"),
    is("CAP-R054", "bad-place"),
    is("CAP-R055", "beyond-place"),
    is("CAP-R056", "bad-limit"),
    is("CAP-R057", "bad-after"),
    is("CAP-R058", "before-verdict"),
    is("CAP-R059", "bad-start"),
    is("CAP-R060", "too-many-instances"),
];

/// The rule of that name.
#[must_use]
pub fn rule(name: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.name == name)
}
