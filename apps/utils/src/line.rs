//! A line of the list: words and where input and output are, read as a POSIX shell reads them; not a shell.

/// One command.
pub(crate) struct Line<'a> {
    /// The command and its arguments.
    pub(crate) words: Vec<&'a str>,
    /// `< PATH`.
    pub(crate) input: Option<&'a str>,
    /// `> PATH` or `>> PATH`.
    pub(crate) output: Option<&'a str>,
    /// Whether it was `>>`.
    pub(crate) appends: bool,
}

/// Characters that mean something to a shell, and nothing here.
const SHELL: [char; 17] = ['"', '\'', '\\', '$', '`', '*', '?', '[', ']', '|', '&', ';', '(', ')', '{', '#', '~'];

impl<'a> Line<'a> {
    /// Words apart by spaces. None if the line is not simple enough, so that a shell would read another thing, or empty.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        if text.contains(SHELL) {
            return None;
        }
        let mut line = Self { words: Vec::new(), input: None, output: None, appends: false };
        let mut words = text.split_whitespace();
        while let Some(word) = words.next() {
            match word {
                "<" => line.input = Some(words.next()?),
                ">" | ">>" => {
                    line.output = Some(words.next()?);
                    line.appends = word == ">>";
                }
                _ if word.contains(['<', '>']) => return None,
                _ => line.words.push(word),
            }
        }
        (!line.words.is_empty()).then_some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::Line;

    #[test]
    fn parse_tells_words_from_where_they_go() {
        let line = Line::parse("sort -n < in >> out");
        let line = line.as_ref().map(|line| (line.words.as_slice(), line.input, line.output, line.appends));
        assert_eq!(line, Some((["sort", "-n"].as_slice(), Some("in"), Some("out"), true)));
    }

    #[test]
    fn parse_refuses_what_a_shell_would_read_otherwise() {
        for text in
            ["", "echo $HOME", "ls *", "echo 'a  b'", "cat a | wc", "echo a >", "echo a >b", "echo a 2> b", "> a"]
        {
            assert!(Line::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn all_lines_are_lines_of_known_commands() {
        for text in crate::LINES.lines() {
            let line = Line::parse(text);
            let name = line.as_ref().and_then(|line| line.words.first().copied());
            assert!(name.is_some_and(|name| crate::command(name).is_some()), "{text}");
        }
    }
}
