//! Arguments on one line: `copy: src=a dest="b c"`, `command: uptime chdir=/tmp`.

/// A word of a line, or the white space between two.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum Piece<'a> {
    Word(&'a str),
    Space(&'a str),
}

/// Options that may stand inside the free-form line of a command.
const COMMAND_OPTIONS: &[&str] = &[
    "creates",
    "removes",
    "chdir",
    "executable",
    "warn",
    "stdin",
    "stdin_add_newline",
    "strip_empty_ends",
];

/// What was found on a line.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Line {
    pub options: Vec<(String, String)>,
    /// What isn't an option, as it was written.
    pub free: Option<String>,
}

/// Splits a line into `key=value` and the rest. Quotes and `{{ }}`, `{% %}`, `{# #}` keep words together. With
/// `command`, only the options of commands are taken out of the line and everything else stays as it is.
/// The error is a sentence: quotes or braces that are not closed.
pub fn split(line: &str, command: bool) -> Result<Line, String> {
    let mut found = Line::default();
    let mut free = String::new();
    for piece in pieces(line)? {
        let word = match piece {
            Piece::Space(space) => {
                free.push_str(space);
                continue;
            }
            Piece::Word(word) => word,
        };
        let decoded = decoded(word);
        match option(&decoded) {
            Some((key, value)) if !command || COMMAND_OPTIONS.contains(&key) => {
                found.options.push((key.to_owned(), unquote(value)));
                // The space before an option goes with it.
                free.truncate(free.trim_end().len());
            }
            Some(_) => free.push_str(word),
            None => free.push_str(&if command {
                word.to_owned()
            } else {
                word.replace("\\=", "=")
            }),
        }
    }
    let free = free.trim();
    if !free.is_empty() {
        found.free = Some(free.to_owned());
    }
    Ok(found)
}

/// `key=value`: whatever stands before the first `=` that no backslash escapes.
fn option(word: &str) -> Option<(&str, &str)> {
    let at = word
        .match_indices('=')
        .map(|(at, _)| at)
        .find(|&at| at > 0 && !word[..at].ends_with('\\'))?;
    Some((word[..at].trim(), &word[at + 1..]))
}

/// A word with what escapes in it stand for, those of Python's texts: a backslash and one of `abfnrtv`, itself or a
/// quote, or the number of a letter (`xhh`, `uhhhh`, `Uhhhhhhhh`). Others stay as they are.
fn decoded(word: &str) -> String {
    let mut text = String::with_capacity(word.len());
    let mut rest = word;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        let tail = &rest[at + 1..];
        let (letter, length) = escape(tail).unwrap_or(('\\', 0));
        text.push(letter);
        rest = &tail[length..];
    }
    text.push_str(rest);
    text
}

/// The letter for what follows a backslash, and how many bytes that is.
fn escape(tail: &str) -> Option<(char, usize)> {
    let first = tail.chars().next()?;
    let one = match first {
        '\\' | '\'' | '"' => Some(first),
        'a' => Some('\u{7}'),
        'b' => Some('\u{8}'),
        'f' => Some('\u{c}'),
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        'v' => Some('\u{b}'),
        _ => None,
    };
    if let Some(letter) = one {
        return Some((letter, 1));
    }
    let digits = match first {
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => return None,
    };
    let code = u32::from_str_radix(tail.get(1..=digits)?, 16).ok()?;
    Some((char::from_u32(code)?, 1 + digits))
}

/// Without the quotes around it, when they match.
fn unquote(value: &str) -> String {
    for quote in ['"', '\''] {
        if let Some(inner) = value
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote))
            && !inner.ends_with('\\')
        {
            return inner.to_owned();
        }
    }
    value.to_owned()
}

/// The first word of a line, quotes and templates kept together, and what follows it. A line that can't be split is one
/// word.
pub(super) fn first_word(line: &str) -> (&str, &str) {
    let line = line.trim();
    match pieces(line).unwrap_or_default().first() {
        Some(Piece::Word(word)) => (word, line[word.len()..].trim_start()),
        _ => (line, ""),
    }
}

/// Words and the spaces between them.
fn pieces(line: &str) -> Result<Vec<Piece<'_>>, String> {
    let bytes = line.as_bytes();
    let mut pieces = Vec::new();
    let (mut start, mut at) = (0, 0);
    let mut quote: Option<u8> = None;
    let mut braces: Vec<&'static str> = Vec::new();
    while at < bytes.len() {
        let rest = &line[at..];
        if let Some(open) = quote {
            if bytes[at] == b'\\' && at + 1 < bytes.len() {
                at += 1 + line[at + 1..].chars().next().map_or(1, char::len_utf8);
                continue;
            }
            if bytes[at] == open {
                quote = None;
            }
        } else if let Some(close) = braces.last().copied()
            && rest.starts_with(close)
        {
            braces.pop();
            at += 2;
            continue;
        } else if let Some((_, close)) = [("{{", "}}"), ("{%", "%}"), ("{#", "#}")]
            .into_iter()
            .find(|(open, _)| rest.starts_with(open))
        {
            braces.push(close);
            at += 2;
            continue;
        } else if braces.is_empty() && bytes[at].is_ascii_whitespace() {
            if start < at {
                pieces.push(Piece::Word(&line[start..at]));
            }
            let space = at;
            while at < bytes.len() && bytes[at].is_ascii_whitespace() {
                at += 1;
            }
            pieces.push(Piece::Space(&line[space..at]));
            start = at;
            continue;
        } else if matches!(bytes[at], b'"' | b'\'') && (at == 0 || bytes[at - 1] != b'\\') {
            quote = Some(bytes[at]);
        }
        at += rest.chars().next().map_or(1, char::len_utf8);
    }
    if quote.is_some() {
        return Err("a quote is opened and never closed".to_owned());
    }
    if let Some(close) = braces.last() {
        return Err(format!("`{close}` is missing"));
    }
    if start < bytes.len() {
        pieces.push(Piece::Word(&line[start..]));
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(options: &[(&str, &str)], free: Option<&str>) -> Line {
        Line {
            options: options
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
            free: free.map(str::to_owned),
        }
    }

    #[test]
    fn options_keep_quotes_and_templates_together() {
        assert_eq!(
            split(
                "src=a dest=\"b c\" mode='0644' owner={{ x | default('a b') }}",
                false
            ),
            Ok(line(
                &[
                    ("src", "a"),
                    ("dest", "b c"),
                    ("mode", "0644"),
                    ("owner", "{{ x | default('a b') }}")
                ],
                None
            ))
        );
    }

    #[test]
    fn a_command_line_stays_as_it_was_written() {
        assert_eq!(
            split("grep -e  a=b 'x  y'\n  | wc chdir=/tmp", true),
            Ok(line(
                &[("chdir", "/tmp")],
                Some("grep -e  a=b 'x  y'\n  | wc")
            ))
        );
        assert_eq!(
            split("creates=/x touch /x", true),
            Ok(line(&[("creates", "/x")], Some("touch /x")))
        );
    }

    #[test]
    fn what_is_not_closed_is_named() {
        assert_eq!(
            split("echo 'x", true),
            Err("a quote is opened and never closed".to_owned())
        );
        assert_eq!(split("msg={{ x", false), Err("`}}` is missing".to_owned()));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in ".{0,60}") {
            drop(split(&text, true));
            drop(split(&text, false));
        }

        #[test]
        fn plain_words_come_back(words in proptest::collection::vec("[a-zé/-]{1,8}", 1..6)) {
            let text = words.join(" ");
            proptest::prop_assert_eq!(split(&text, true).expect("no quotes").free, Some(text));
        }
    }
}
