//! Times of the device in what its log printed; waits for nothing.

/// The device's microseconds from the failure of `victim` until it serves again, as its log in `text` tells them: from its own word on the order
/// if there is one, else from the shell's, else from securityd's on its end; until its own word that it serves, else securityd's that it was started.
pub(crate) fn recovery_us(text: &str, victim: &str) -> Option<u64> {
    let begin = stamp(text, &format!(" {victim}: "), "on order: ")
        .or_else(|| stamp(text, " shell: ", &format!("operator stops {victim}")))
        .or_else(|| stamp(text, "securityd: ", &format!("{victim} faulted")))
        .or_else(|| stamp(text, "securityd: ", &format!("{victim} was stopped")))?;
    let end = stamp(text, &format!(" {victim}: "), "begins to serve")
        .or_else(|| stamp(text, "securityd: ", &format!("{victim} was started again")))?;
    end.checked_sub(begin)
}

/// The time of the last line of `who` that tells `what`.
fn stamp(text: &str, who: &str, what: &str) -> Option<u64> {
    let line = text.lines().rev().find(|line| line.contains(who) && line.contains(what))?;
    let (seconds, rest) = line.split_once('[')?.1.split_once('.')?;
    let micros = rest.get(..6)?;
    Some(seconds.trim().parse::<u64>().ok()? * 1_000_000 + micros.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::recovery_us;

    #[test]
    fn recovery_is_from_the_order_to_the_first_wait() {
        let text = "[   1.000500] W httpd: on order: Panic at Wait\r\n\
                    [   1.000600] E securityd: httpd faulted: panicked\r\n\
                    [   1.002000] W securityd: httpd was started again (2)\r\n\
                    > [   1.003000] I httpd: begins to serve\r\n";
        assert_eq!(recovery_us(text, "httpd"), Some(2500));
        assert_eq!(recovery_us(text, "netd"), None);
    }

    #[test]
    fn recovery_of_who_lost_its_words_is_from_securityd() {
        let text = "[   1.000600] E securityd: logd was stopped: by shell\r\n[   1.002000] W securityd: logd was started again (2)\r\n";
        assert_eq!(recovery_us(text, "logd"), Some(1400));
    }
}
