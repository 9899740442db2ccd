//! Which rules never decide anything, since one before them covers all that they are about.

use super::policy::{Endpoint, Policy, Principal, Rule};

/// Each such rule, and the first that covers it. Rules that only together cover one are not seen.
pub(crate) fn shadowed(policy: &Policy) -> Vec<(usize, usize)> {
    let of = |later: usize| {
        let rule = &policy.rules[later];
        policy.rules[..later].iter().position(|earlier| covers(earlier, rule)).map(|earlier| (later, earlier))
    };
    (0..policy.rules.len()).filter_map(of).collect()
}

/// Whether every question that `later` matches is matched by `earlier`.
fn covers(earlier: &Rule, later: &Rule) -> bool {
    later.protocols & !earlier.protocols == 0
        && later.verbs & !earlier.verbs == 0
        && earlier.transport <= later.transport
        && is_below(&earlier.endpoint, &later.endpoint)
        && (earlier.who.is_empty()
            || (!later.who.is_empty()
                && later.who.iter().all(|inner| earlier.who.iter().any(|outer| includes(outer, inner)))))
}

fn is_below(outer: &Endpoint, inner: &Endpoint) -> bool {
    match (outer, inner) {
        (Endpoint::Any, _) => true,
        (_, Endpoint::Any) | (Endpoint::Exact(_), Endpoint::Below(_)) => false,
        (Endpoint::Exact(outer), Endpoint::Exact(inner)) => outer == inner,
        (Endpoint::Below(_), Endpoint::Exact(inner) | Endpoint::Below(inner)) => outer.covers(&format!("{inner}/")),
    }
}

fn includes(outer: &Principal, inner: &Principal) -> bool {
    match (outer, inner) {
        (Principal::Net4(outer, bits), Principal::Net4(inner, more)) => bits <= more && same_bits(outer, inner, *bits),
        (Principal::Net6(outer, bits), Principal::Net6(inner, more)) => bits <= more && same_bits(outer, inner, *bits),
        (Principal::AnyIdentity, Principal::Identity(_)) => true,
        (outer, inner) => outer == inner,
    }
}

fn same_bits(one: &[u8], other: &[u8], bits: u8) -> bool {
    (0..usize::from(bits)).all(|bit| (one[bit / 8] ^ other[bit / 8]) & (0x80 >> (bit % 8)) == 0)
}
