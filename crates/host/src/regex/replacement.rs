//! The replacement text of `re.sub` and `Match.expand`.

use fancy_regex::Regex;

/// A replacement: text, and groups of what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacement(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Group(usize),
}

impl Replacement {
    /// Reads a replacement for matches of `regex`: `\1`, `\g<1>`, `\g<name>` and Python's escapes.
    ///
    /// Fails for groups that the expression doesn't have and for escapes that Python doesn't know.
    pub fn parse(text: &str, regex: &super::Regex) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('\\') {
            plain.push_str(&rest[..at]);
            let letter = rest[at + 1..]
                .chars()
                .next()
                .ok_or("bad escape (end of pattern)")?;
            rest = &rest[at + 1 + letter.len_utf8()..];
            let group = match letter {
                'g' => {
                    let named = rest.strip_prefix('<').ok_or("missing <")?;
                    let (name, after) = named.split_once('>').ok_or("missing >")?;
                    rest = after;
                    Some(number(name, regex.inner())?)
                }
                '0'..='9' => match octal(letter, &mut rest) {
                    Some(code) => {
                        plain.extend(char::from_u32(code));
                        None
                    }
                    None => {
                        let second = rest.chars().next().filter(char::is_ascii_digit);
                        rest = &rest[usize::from(second.is_some())..];
                        let name =
                            format!("{letter}{}", second.map_or(String::new(), String::from));
                        Some(number(&name, regex.inner())?)
                    }
                },
                other => {
                    escape(other, &mut plain)?;
                    None
                }
            };
            if let Some(group) = group {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
                pieces.push(Piece::Group(group));
            }
        }
        plain.push_str(rest);
        pieces.push(Piece::Text(plain));
        Ok(Self(pieces))
    }

    /// The text for one match; `group` gives the bytes of a group, none for one that took no part.
    pub fn expand<'t>(&self, group: impl Fn(usize) -> &'t [u8], into: &mut Vec<u8>) {
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => into.extend_from_slice(text.as_bytes()),
                Piece::Group(number) => into.extend_from_slice(group(*number)),
            }
        }
    }
}

fn escape(letter: char, into: &mut String) -> Result<(), String> {
    match letter {
        'n' => into.push('\n'),
        't' => into.push('\t'),
        'r' => into.push('\r'),
        'a' => into.push('\x07'),
        'b' => into.push('\x08'),
        'f' => into.push('\x0c'),
        'v' => into.push('\x0b'),
        '\\' => into.push('\\'),
        other if other.is_ascii_alphabetic() => return Err(format!("bad escape \\{other}")),
        other => into.extend(['\\', other]),
    }
    Ok(())
}

/// `\0`, `\07` and `\012`, and three octal digits, are characters.
fn octal(first: char, rest: &mut &str) -> Option<u32> {
    let digits = rest
        .bytes()
        .take(2)
        .take_while(|byte| (b'0'..=b'7').contains(byte))
        .count();
    if first != '0' && (digits < 2 || first > '3') {
        return None;
    }
    let code = u32::from_str_radix(&format!("{first}{}", &rest[..digits]), 8).ok()?;
    *rest = &rest[digits..];
    Some(code)
}

fn number(name: &str, regex: &Regex) -> Result<usize, String> {
    if let Ok(number) = name.parse::<usize>() {
        return if number < regex.captures_len() {
            Ok(number)
        } else {
            Err(format!("invalid group reference {number}"))
        };
    }
    regex
        .capture_names()
        .position(|known| known == Some(name))
        .ok_or_else(|| format!("unknown group name '{name}'"))
}
