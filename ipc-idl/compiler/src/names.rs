//! How one way of writing names becomes another.

/// `open_file` to `OpenFile`.
pub(crate) fn pascal(snake: &str) -> String {
    let capital = |part: &str| part[..1].to_ascii_uppercase() + &part[1..];
    snake.split('_').filter(|part| !part.is_empty()).map(capital).collect()
}

/// `LinkChanged` to `link_changed`; `DNSName` to `dns_name`.
pub(crate) fn snake(pascal: &str) -> String {
    let letters: Vec<char> = pascal.chars().collect();
    let mut name = String::new();
    for (at, letter) in letters.iter().enumerate() {
        let after_small = at > 0 && !letters[at - 1].is_ascii_uppercase();
        let before_small = at > 0 && letters.get(at + 1).is_some_and(char::is_ascii_lowercase);
        if letter.is_ascii_uppercase() && (after_small || before_small) {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_rewritten() {
        assert_eq!(pascal("open_file"), "OpenFile");
        assert_eq!(snake("LinkChanged"), "link_changed");
        assert_eq!(snake("DNSName"), "dns_name");
        assert_eq!(snake("V4"), "v4");
    }
}
