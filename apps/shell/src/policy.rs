//! The command `policy`: shows the access policy in force and replaces it; checks nothing itself.
use crate::job::{Clients, Times, Wires, because, line, seconds};
use crate::quote::quoted;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// What is typed after `policy`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Tell which one is in force.
    Show,
    /// A piece of a compiled policy, and its offset.
    Data(u16, Vec<u8>),
    /// Whether what was given could be tried.
    Check,
    /// Put it in force for so many seconds.
    Try(u16),
    /// Keep the one on trial.
    Confirm,
    /// End the trial.
    RollBack,
}

/// How to use the command.
pub const USAGE: &str = "policy show|data OFFSET BASE64|check|try SECONDS|confirm|rollback";

/// The order in the words after `policy`.
pub fn parse<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<Order> {
    let order = match (words.next()?, words.next()) {
        ("show", None) => Order::Show,
        ("check", None) => Order::Check,
        ("confirm", None) => Order::Confirm,
        ("rollback", None) => Order::RollBack,
        ("try", Some(time)) => Order::Try(time.parse().ok().filter(|time| (1..=3600).contains(time))?),
        ("data", Some(offset)) => Order::Data(offset.parse().ok()?, bytes_of(words.next()?)?),
        _ => return None,
    };
    words.next().is_none().then_some(order)
}

/// The bytes of a text in base64 (RFC 4648 §4) with all its padding.
fn bytes_of(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let (groups, rest) = text.as_bytes().as_chunks::<4>();
    for (number, group) in groups.iter().enumerate() {
        let is_last = number + 1 == groups.len();
        let padding = if is_last { group.iter().rev().take_while(|letter| **letter == b'=').count() } else { 0 };
        let word =
            group[..4 - padding.min(2)].iter().try_fold(0_u32, |word, letter| Some(word << 6 | value(*letter)?))?;
        let [_, group @ ..] = (word << (6 * padding.min(2))).to_be_bytes();
        bytes.extend_from_slice(group.get(..3 - padding.min(2))?);
    }
    (rest.is_empty() && !bytes.is_empty()).then_some(bytes)
}

fn value(letter: u8) -> Option<u32> {
    let value = match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(value.into())
}

/// Does what was ordered.
///
/// # Errors
/// Why not.
pub fn tell<W: Wires>(clients: &mut Clients<W>, order: &Order, times: Times, out: &mut String) -> Result<(), String> {
    match order {
        Order::Show => return show(clients, times, out),
        Order::Data(offset, data) => {
            clients.policy.submit(*offset, data).map_err(because("the policy"))?;
            line(out, &format!("{} bytes at {offset}", data.len()));
        }
        Order::Check => {
            let check = clients.policy.check().map_err(because("the policy"))?;
            match check.fault {
                None => line(out, "it could be tried"),
                Some(fault) => line(out, &format!("it could not be tried: {fault:?}: {}", quoted(&check.text))),
            }
        }
        Order::Try(time) => {
            let epoch = clients.policy.try_for(*time).map_err(because("the policy"))?;
            line(out, &format!("on trial for {time} s, as epoch {epoch}; `policy confirm` keeps it"));
        }
        Order::Confirm => {
            clients.policy.confirm().map_err(because("the policy"))?;
            line(out, "confirmed");
        }
        Order::RollBack => {
            clients.policy.roll_back().map_err(because("the policy"))?;
            line(out, "the policy before is in force again");
        }
    }
    Ok(())
}

fn show<W: Wires>(clients: &mut Clients<W>, times: Times, out: &mut String) -> Result<(), String> {
    let state = clients.policy.current().map_err(because("the policy"))?;
    let (name, epoch, rules, digest) = (quoted(&state.name), state.epoch, state.rules, state.digest);
    line(out, &format!("policy    {name}, {rules} rules, sha256 {digest:016x}…, epoch {epoch}"));
    if state.is_trial {
        let left = seconds(state.deadline_ns.saturating_sub(times.now_ns));
        let proof = if state.is_proven { "has" } else { "has not yet" };
        line(out, &format!("trial     ends in {}; what must stay allowed {proof} passed", left.trim()));
    }
    line(out, &format!("pending   {} bytes", state.pending));
    line(out, &format!("since boot {} connections and requests allowed, {} denied", state.allowed, state.denied));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Order, bytes_of, parse};

    #[test]
    fn base64_is_read_as_rfc4648_says() {
        let cases = [("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYg==", "foob"), ("Zm9vYmFy", "foobar")];
        for (text, bytes) in cases {
            assert_eq!(bytes_of(text), Some(bytes.into()), "{text}");
        }
        assert_eq!(bytes_of("+/+/"), Some(vec![0xfb, 0xff, 0xbf]));
        for text in ["", "Z", "Zg", "Zg=", "Zg==Zg==", "Z===", "====", "Zm9v!m9v", "Zm9 "] {
            assert_eq!(bytes_of(text), None, "{text}");
        }
    }

    #[test]
    fn orders_are_told_from_mistakes() {
        let parse = |line: &str| parse(line.split_ascii_whitespace());
        assert_eq!(parse("try 60"), Some(Order::Try(60)));
        assert_eq!(parse("data 72 Zm9v"), Some(Order::Data(72, b"foo".into())));
        for line in
            ["", "burn", "try", "try 0", "try 3601", "try 60 s", "show me", "data 0", "data x Zm9v", "data 0 Zm9v x"]
        {
            assert_eq!(parse(line), None, "{line}");
        }
    }
}
