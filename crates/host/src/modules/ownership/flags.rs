//! Flags of the file system (`chattr`): immutable and the like.

use super::Changes;
use crate::{Context, Failure};
use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
use std::fs::File;
use std::path::Path;

/// Letters of chattr, of those that can be set.
const LETTERS: &[(char, u32)] = &[
    ('s', 0x0000_0001),
    ('u', 0x0000_0002),
    ('c', 0x0000_0004),
    ('S', 0x0000_0008),
    ('i', 0x0000_0010),
    ('a', 0x0000_0020),
    ('d', 0x0000_0040),
    ('A', 0x0000_0080),
    ('j', 0x0000_4000),
    ('t', 0x0000_8000),
    ('D', 0x0001_0000),
    ('T', 0x0002_0000),
    ('e', 0x0008_0000),
    ('C', 0x0080_0000),
    ('P', 0x2000_0000),
];

/// `+i`, `-a`, `=e` or `e`, which is the same.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Flags {
    operator: char,
    bits: u32,
}

impl Flags {
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        let (operator, letters) = match text.chars().next() {
            Some(operator @ ('+' | '-' | '=')) => (operator, &text[1..]),
            _ => ('=', text),
        };
        let mut bits = 0;
        for letter in letters.chars() {
            let known = LETTERS.iter().find(|(known, _)| *known == letter);
            let Some((_, bit)) = known else {
                let all: String = LETTERS.iter().map(|(letter, _)| letter).collect();
                return Err(Failure::new(format!(
                    "attributes: {letter:?} is no flag that can be set (known: {all})"
                )));
            };
            bits |= bit;
        }
        Ok(Self { operator, bits })
    }

    fn of(&self, now: u32) -> u32 {
        match self.operator {
            '+' => now | self.bits,
            '-' => now & !self.bits,
            _ => {
                let settable = LETTERS.iter().fold(0, |all, (_, bit)| all | bit);
                now & !settable | self.bits
            }
        }
    }

    pub(super) fn apply(
        &self,
        cx: &Context,
        path: &Path,
        changes: &mut Changes,
    ) -> Result<bool, Failure> {
        let failed = |error: &std::io::Error| {
            Failure::io("the file system takes no attributes for", path, error)
        };
        let file = File::open(path).map_err(|error| failed(&error))?;
        let now = ioctl_getflags(&file).map_err(|error| failed(&error.into()))?;
        let after = self.of(now.bits());
        if after == now.bits() {
            return Ok(false);
        }
        changes.add("attributes", letters(now.bits()), letters(after));
        if !cx.check() {
            ioctl_setflags(&file, IFlags::from_bits_retain(after))
                .map_err(|error| failed(&error.into()))?;
        }
        Ok(true)
    }
}

fn letters(bits: u32) -> String {
    LETTERS
        .iter()
        .filter(|(_, bit)| bits & bit != 0)
        .map(|(letter, _)| letter)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_read_as_chattr_reads_them() {
        let of = |text: &str, now| Flags::parse(text).expect("sound").of(now);
        assert_eq!(of("+i", 0x80000), 0x80010);
        assert_eq!(of("-ia", 0x80030), 0x80000);
        assert_eq!(of("=e", 0x10), 0x80000);
        assert_eq!(of("e", 0x10), 0x80000);
        let failure = Flags::parse("+iX").expect_err("unknown");
        assert!(failure.message.contains("'X'"), "{}", failure.message);
        assert_eq!(letters(0x80010), "ie");
    }
}
