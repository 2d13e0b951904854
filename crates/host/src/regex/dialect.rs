//! Python's `re` in the dialect of the library: where a brace or bracket is literal, how `$` and `\Z` end, which
//! escapes exist, where flags may stand.

use super::Flags;

/// An expression of the library, and the flags that hold for all of it.
pub(super) struct Translated {
    pub(super) source: String,
    pub(super) flags: Flags,
}

/// Translates a pattern. With `bytes` it is one for bytes: a letter beyond ASCII is the bytes of its UTF-8, together.
///
/// Fails with a reason for what `re.compile` refuses because of an escape or a flag; other mistakes are left for the
/// library to find.
pub(super) fn translate(pattern: &str, flags: Flags, bytes: bool) -> Result<Translated, String> {
    let mut translator = Translator {
        rest: pattern,
        flags,
        bytes,
        outer: Vec::new(),
        out: String::with_capacity(pattern.len() + 8),
    };
    translator.global_flags()?;
    let global = translator.flags;
    translator.all()?;
    let source = if global.ignore_case {
        format!("(?i){}", translator.out)
    } else {
        translator.out
    };
    Ok(Translated {
        source,
        flags: global,
    })
}

struct Translator<'p> {
    rest: &'p str,
    flags: Flags,
    bytes: bool,
    /// Flags outside of each group that is open.
    outer: Vec<Flags>,
    out: String,
}

impl Translator<'_> {
    fn next(&mut self) -> Option<char> {
        let letter = self.rest.chars().next()?;
        self.rest = &self.rest[letter.len_utf8()..];
        Some(letter)
    }

    /// `(?im)` at the very start.
    fn global_flags(&mut self) -> Result<(), String> {
        while let Some(inner) = self.rest.strip_prefix("(?") {
            let end = inner
                .find(|letter: char| !letter.is_ascii_alphabetic())
                .unwrap_or(inner.len());
            if end == 0 || !inner[end..].starts_with(')') {
                break;
            }
            self.flags = with_flags(self.flags, &inner[..end], true, self.bytes)?;
            self.rest = &inner[end + 1..];
        }
        Ok(())
    }

    fn all(&mut self) -> Result<(), String> {
        while let Some(letter) = self.next() {
            match letter {
                '\\' => self.escape()?,
                '[' => self.class()?,
                '(' => self.open()?,
                ')' => {
                    self.flags = self.outer.pop().unwrap_or(self.flags);
                    self.out.push(')');
                }
                '{' => self.brace(),
                '}' | ']' => self.literal(letter),
                '^' if self.flags.multi_line => self.out.push_str("(?m:^)"),
                '^' => self.out.push_str("\\A"),
                '$' if self.flags.multi_line => self.out.push_str("(?m:$)"),
                '$' => self.out.push_str("(?=\\n?\\z)"),
                '.' if self.flags.dot_all => self.out.push_str("(?s:.)"),
                '.' | '*' | '+' | '?' | '|' => self.out.push(letter),
                '#' if self.flags.verbose => {
                    let end = self.rest.find('\n').map_or(self.rest.len(), |at| at + 1);
                    self.rest = &self.rest[end..];
                }
                letter if self.flags.verbose && letter.is_ascii_whitespace() => {}
                letter => self.literal(letter),
            }
        }
        Ok(())
    }

    /// A letter that stands for itself.
    fn literal(&mut self, letter: char) {
        if "\\.+*?()|[]{}^$#".contains(letter) {
            self.out.push('\\');
        }
        self.out.push(letter);
    }

    /// What follows a backslash outside of a class.
    fn escape(&mut self) -> Result<(), String> {
        let letter = self.next().ok_or("bad escape (end of pattern)")?;
        match letter {
            'A' | 'b' | 'B' | 'd' | 'D' | 's' | 'S' | 'w' | 'W' => {
                self.out.push('\\');
                self.out.push(letter);
            }
            'Z' => self.out.push_str("\\z"),
            '1'..='9' => match self.octal(letter) {
                Some(code) => self.code(code)?,
                None => {
                    let more = self.digits(1, 10);
                    self.out.push_str(&format!("(?:\\{letter}{more})"));
                }
            },
            other => {
                let code = self.character(other)?;
                self.code(code)?;
            }
        }
        Ok(())
    }

    /// Three octal digits are a character and not the number of a group.
    fn octal(&mut self, first: char) -> Option<u32> {
        let digits = self.rest.get(..2)?;
        let octal = |byte: u8| (b'0'..=b'7').contains(&byte);
        if !('1'..='3').contains(&first) || !digits.bytes().all(octal) {
            return None;
        }
        self.rest = &self.rest[2..];
        u32::from_str_radix(&format!("{first}{digits}"), 8).ok()
    }

    /// At most so many digits to this base, as they stand.
    fn digits(&mut self, most: usize, base: u32) -> String {
        let mut taken = String::new();
        while taken.len() < most {
            match self.rest.chars().next().filter(|next| next.is_digit(base)) {
                Some(digit) => {
                    taken.push(digit);
                    self.rest = &self.rest[1..];
                }
                None => break,
            }
        }
        taken
    }

    /// The code of an escape that stands for one character, in a class or outside.
    fn character(&mut self, letter: char) -> Result<u32, String> {
        let fixed = |name: &str, length: usize, this: &mut Self| {
            let digits = this.digits(length, 16);
            if digits.len() < length {
                return Err(format!("incomplete escape \\{name}{digits}"));
            }
            u32::from_str_radix(&digits, 16)
                .ok()
                .filter(|code| char::from_u32(*code).is_some())
                .ok_or_else(|| format!("bad escape \\{name}{digits}"))
        };
        Ok(match letter {
            'a' => 0x07,
            'f' => 0x0c,
            'n' => 0x0a,
            'r' => 0x0d,
            't' => 0x09,
            'v' => 0x0b,
            'x' => fixed("x", 2, self)?,
            'u' if !self.bytes => fixed("u", 4, self)?,
            'U' if !self.bytes => fixed("U", 8, self)?,
            '0' => {
                let digits = self.digits(2, 8);
                u32::from_str_radix(&format!("0{digits}"), 8).map_err(|error| error.to_string())?
            }
            other if other.is_ascii_alphanumeric() => return Err(format!("bad escape \\{other}")),
            other => other as u32,
        })
    }

    /// A repetition, or a brace that stands for itself.
    fn brace(&mut self) {
        let Some(end) = self.rest.find('}').filter(|end| *end > 0) else {
            return self.literal('{');
        };
        let (low, high) = match self.rest[..end].split_once(',') {
            Some((low, high)) => (low, Some(high)),
            None => (&self.rest[..end], None),
        };
        let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !number(low) || !high.is_none_or(number) {
            return self.literal('{');
        }
        let low = if low.is_empty() { "0" } else { low };
        match high {
            Some(high) => self.out.push_str(&format!("{{{low},{high}}}")),
            None => self.out.push_str(&format!("{{{low}}}")),
        }
        self.rest = &self.rest[end + 1..];
    }

    /// What a parenthesis opens.
    fn open(&mut self) -> Result<(), String> {
        if let Some(comment) = self.rest.strip_prefix("?#") {
            let end = comment.find(')').ok_or("missing ), unterminated comment")?;
            self.rest = &comment[end + 1..];
            return Ok(());
        }
        self.outer.push(self.flags);
        self.out.push('(');
        let Some(inner) = self.rest.strip_prefix('?') else {
            return Ok(());
        };
        let head = inner
            .find(|letter: char| !letter.is_ascii_alphabetic() && letter != '-')
            .unwrap_or(inner.len());
        match inner[head..].chars().next() {
            // (?i-m:…
            Some(':') if head > 0 => {
                let (on, off) = inner[..head]
                    .split_once('-')
                    .unwrap_or((&inner[..head], ""));
                let flags = with_flags(self.flags, on, true, self.bytes)?;
                self.flags = with_flags(flags, off, false, self.bytes)?;
                self.out.push_str(match self.flags.ignore_case {
                    true => "?i:",
                    false => "?-i:",
                });
                self.rest = &inner[head + 1..];
            }
            Some(')') if head > 0 => {
                return Err("global flags not at the start of the expression".to_owned());
            }
            _ => {
                // The head of a named, looking, atomic or conditional group is the same in both.
                let end = match inner.chars().next() {
                    Some('P') if inner.starts_with("P<") => inner.find('>').map(|at| at + 1),
                    Some('P') if inner.starts_with("P=") => inner.find(')'),
                    Some('<') => Some(2),
                    Some('(') => inner.find(')').map(|at| at + 1),
                    Some(':' | '=' | '!' | '>') => Some(1),
                    _ => None,
                };
                let end = end
                    .filter(|end| inner.is_char_boundary(*end))
                    .ok_or_else(|| format!("unknown extension ?{}", &inner[..head]))?;
                self.out.push('?');
                self.out.push_str(&inner[..end]);
                self.rest = &inner[end..];
            }
        }
        Ok(())
    }

    /// A set of characters; every member is escaped, because brackets, `&&`, `--` and `~~` mean nothing to Python.
    fn class(&mut self) -> Result<(), String> {
        let start = self.out.len();
        let negated = self.rest.strip_prefix('^');
        self.rest = negated.unwrap_or(self.rest);
        self.out
            .push_str(if negated.is_some() { "[^" } else { "[" });
        let members = self.out.len();
        // In a pattern for bytes: letters of several bytes, which no class of bytes can hold.
        let mut long = Vec::new();
        let mut first = true;
        loop {
            let letter = self.next().ok_or("unterminated character set")?;
            if letter == ']' && !first {
                break;
            }
            first = false;
            if self.bytes && !letter.is_ascii() {
                long.push(letter.to_string());
                continue;
            }
            let Some(low) = self.member(letter)? else {
                continue;
            };
            let ranges = self.rest.starts_with('-') && !self.rest.starts_with("-]");
            if !ranges {
                self.code(low)?;
                continue;
            }
            self.rest = &self.rest[1..];
            let letter = self.next().ok_or("unterminated character set")?;
            let high = self
                .member(letter)?
                .filter(|high| *high >= low)
                .ok_or("bad character range")?;
            self.code(low)?;
            self.out.push('-');
            self.code(high)?;
        }
        let empty = self.out.len() == members;
        self.out.push(']');
        if !long.is_empty() {
            let class = self.out.split_off(start);
            let long = long.join("|");
            self.out.push_str(&match (negated, empty) {
                (Some(_), true) => format!("(?:(?!{long})(?s:.))"),
                (Some(_), false) => format!("(?:(?!{long}){class})"),
                (None, true) => format!("(?:{long})"),
                (None, false) => format!("(?:{class}|{long})"),
            });
        }
        Ok(())
    }

    /// One member of a class; `None` when it was a set of its own (`\d`), which is written already.
    fn member(&mut self, letter: char) -> Result<Option<u32>, String> {
        if letter != '\\' {
            return Ok(Some(letter as u32));
        }
        let letter = self.next().ok_or("unterminated character set")?;
        Ok(match letter {
            'd' | 'D' | 's' | 'S' | 'w' | 'W' => {
                self.out.push('\\');
                self.out.push(letter);
                None
            }
            'b' => Some(0x08),
            '1'..='7' => {
                let digits = format!("{letter}{}", self.digits(2, 8));
                u32::from_str_radix(&digits, 8).ok()
            }
            other => Some(self.character(other)?),
        })
    }

    /// The character with this code, in a class or outside.
    fn code(&mut self, code: u32) -> Result<(), String> {
        self.limit(code)?;
        match char::from_u32(code) {
            Some(letter) if letter.is_ascii_alphanumeric() => self.out.push(letter),
            _ => self.out.push_str(&format!("\\x{{{code:x}}}")),
        }
        Ok(())
    }

    /// The library takes a number in a pattern for bytes as a letter of Unicode.
    fn limit(&self, code: u32) -> Result<(), String> {
        if self.bytes && code > 0x7f {
            return Err(format!(
                "the byte \\x{code:02x} can't be searched for by its number: write the letter"
            ));
        }
        Ok(())
    }
}

/// Turns flags on or off.
fn with_flags(mut flags: Flags, letters: &str, on: bool, bytes: bool) -> Result<Flags, String> {
    for letter in letters.chars() {
        match letter {
            'i' => flags.ignore_case = on,
            'm' => flags.multi_line = on,
            's' => flags.dot_all = on,
            'x' => flags.verbose = on,
            // What patterns for text are, and what patterns for bytes are.
            'u' if !bytes => {}
            'a' if bytes => {}
            'a' | 'L' => return Err(format!("the flag {letter} isn't supported")),
            other => return Err(format!("unknown flag {other}")),
        }
    }
    Ok(flags)
}
