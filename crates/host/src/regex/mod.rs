//! Regular expressions as Python's `re` reads and applies them, for text and for bytes.

mod dialect;
mod replacement;

pub use replacement::Replacement;

use fancy_regex::{BytesMode, Captures, RegexBuilder};

/// Longest search in a text, in steps back.
const BACKTRACKS: usize = 5_000_000;

/// `re.IGNORECASE`, `re.MULTILINE`, `re.DOTALL` and `re.VERBOSE`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Flags {
    pub ignore_case: bool,
    pub multi_line: bool,
    pub dot_all: bool,
    pub verbose: bool,
}

/// A pattern, ready to use. One for text is used on text, one for bytes on bytes.
#[derive(Debug)]
pub struct Regex {
    inner: fancy_regex::Regex,
    source: String,
    bytes: bool,
    flags: Flags,
}

/// Groups of a match in bytes, with their places.
pub struct Found<'t>(Captures<'t, [u8]>);

impl<'t> Found<'t> {
    /// Start and end of a group in what was searched; `None` when it took no part.
    pub fn span(&self, group: usize) -> Option<(usize, usize)> {
        self.0.get(group).map(|found| (found.start(), found.end()))
    }

    /// Start and end of a named group.
    pub fn span_of(&self, name: &str) -> Option<(usize, usize)> {
        self.0.name(name).map(|found| (found.start(), found.end()))
    }

    /// The replacement for this match.
    pub fn expand(&self, replacement: &Replacement) -> Vec<u8> {
        let mut text = Vec::new();
        self.expand_into(replacement, &mut text);
        text
    }

    fn expand_into(&self, replacement: &Replacement, into: &mut Vec<u8>) {
        let all = self.0.input_as_bytes();
        let group = |number: usize| {
            self.span(number)
                .map_or(&[][..], |(from, to)| &all[from..to])
        };
        replacement.expand(group, into);
    }

    fn all(&self) -> (usize, usize) {
        self.span(0).unwrap_or_default()
    }
}

impl Regex {
    /// A pattern for text: `\w` and its kin know all of Unicode.
    ///
    /// The error says what of the pattern can't be understood, without naming the pattern.
    pub fn text(pattern: &str, flags: Flags) -> Result<Self, String> {
        Self::build(pattern, flags, false)
    }

    /// A pattern for bytes, as `re.compile(b"…")`: a letter is a byte, `\w` and its kin are ASCII.
    pub fn bytes(pattern: &str, flags: Flags) -> Result<Self, String> {
        Self::build(pattern, flags, true)
    }

    fn build(pattern: &str, flags: Flags, bytes: bool) -> Result<Self, String> {
        let translated = dialect::translate(pattern, flags, bytes)?;
        Ok(Self {
            inner: compile(&translated.source, bytes, false)?,
            source: translated.source,
            bytes,
            flags: translated.flags,
        })
    }

    fn inner(&self) -> &fancy_regex::Regex {
        &self.inner
    }

    /// The names of its groups; the first is the whole.
    pub fn groups(&self) -> Vec<Option<&str>> {
        self.inner.capture_names().collect()
    }

    /// The flags, with those that the pattern itself sets at its start.
    pub fn flags(&self) -> Flags {
        self.flags
    }

    /// Python's `search` in text: anywhere.
    pub fn is_in(&self, text: &str) -> Result<bool, String> {
        self.inner.is_match(text).map_err(too_long)
    }

    /// Python's `match` in text: at its start.
    pub fn starts(&self, text: &str) -> Result<bool, String> {
        // The leftmost match is at the start if any is.
        let found = self.inner.find(text).map_err(too_long)?;
        Ok(found.is_some_and(|found| found.start() == 0))
    }

    /// Python's `search` in bytes.
    pub fn find<'t>(&self, bytes: &'t [u8]) -> Result<Option<Found<'t>>, String> {
        self.find_from(bytes, 0)
    }

    fn find_from<'t>(&self, bytes: &'t [u8], start: usize) -> Result<Option<Found<'t>>, String> {
        // A pattern for text may only see bytes that are text, from a place between two letters.
        self.inner
            .captures_from_pos(bytes, start)
            .map(|found| found.map(Found))
            .map_err(too_long)
    }

    /// Python's `subn` of text: what it becomes, and how many replacements were made.
    pub fn replace_all(
        &self,
        text: &str,
        replacement: &Replacement,
    ) -> Result<(String, usize), String> {
        let bytes = text.as_bytes();
        let mut out = Vec::with_capacity(bytes.len());
        let (mut at, mut made) = (0, 0);
        // Python takes an empty match right behind another match, but not two empty ones at one place.
        let mut search = Some(self.find_from(bytes, 0)?);
        let mut not_empty = None;
        while let Some(Some(found)) = search.take() {
            let (from, to) = found.all();
            out.extend_from_slice(&bytes[at..from]);
            found.expand_into(replacement, &mut out);
            at = to;
            made += 1;
            search = if from < to {
                Some(self.find_from(bytes, to)?)
            } else {
                self.find_beyond(text, to, &mut not_empty)?
            };
        }
        out.extend_from_slice(&bytes[at..]);
        let out = String::from_utf8(out).map_err(|error| error.to_string())?;
        Ok((out, made))
    }

    /// The next match after an empty one at `at`: one there that isn't empty, or one further on.
    fn find_beyond<'t>(
        &self,
        text: &'t str,
        at: usize,
        not_empty: &mut Option<Option<fancy_regex::Regex>>,
    ) -> Result<Option<Option<Found<'t>>>, String> {
        let bytes = text.as_bytes();
        // A pattern that can only match nothing doesn't compile as one that may not.
        let regex = not_empty.get_or_insert_with(|| compile(&self.source, self.bytes, true).ok());
        if let Some(regex) = regex {
            let found = regex.captures_from_pos(bytes, at).map_err(too_long)?;
            let found = found.map(Found).filter(|found| found.all().0 == at);
            if found.is_some() {
                return Ok(Some(found));
            }
        }
        match text[at..].chars().next() {
            Some(letter) => self.find_from(bytes, at + letter.len_utf8()).map(Some),
            None => Ok(None),
        }
    }
}

fn compile(source: &str, bytes: bool, not_empty: bool) -> Result<fancy_regex::Regex, String> {
    RegexBuilder::new(source)
        .backtrack_limit(BACKTRACKS)
        .bytes_mode(if bytes {
            BytesMode::Ascii
        } else {
            BytesMode::Unicode
        })
        .find_not_empty(not_empty)
        .build()
        .map_err(|error| error.to_string())
}

fn too_long(error: fancy_regex::Error) -> String {
    format!("the regular expression takes too long on this text: {error}")
}

#[cfg(test)]
mod tests;
