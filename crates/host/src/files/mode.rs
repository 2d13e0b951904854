//! File modes as people write them: octal or symbolic, as chmod and Ansible read them.

use std::fs;

/// A file mode as a person writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// `0644`: exactly these bits (12 of them).
    Bits(u32),
    /// `u+x,g-w`: a change of what is there.
    Symbolic(Vec<Clause>),
}

/// `u+rw`: for whom, how, what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    /// `u`, `g`, `o`; none of them means all, less the umask.
    who: Vec<char>,
    operator: char,
    /// Of `rwxXst`, or of `ugo` (the bits of another class).
    what: Vec<char>,
}

impl Mode {
    /// Octal text (`644`, `0644`, `0o644`) or symbolic (`u=rw,g=r,o=r`).
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let digits = text.strip_prefix("0o").unwrap_or(text);
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return u32::from_str_radix(digits, 8)
                .ok()
                .filter(|bits| *bits <= 0o7777)
                .map(Self::Bits);
        }
        text.split(',')
            .map(Clause::parse)
            .collect::<Option<Vec<_>>>()
            .map(|clauses| Self::Symbolic(clauses.into_iter().flatten().collect()))
    }

    /// The mode that a file gets which has the mode `current` now (for a new one: what the umask leaves).
    pub fn apply(&self, current: u32, is_dir: bool) -> u32 {
        match self {
            Self::Bits(bits) => *bits,
            Self::Symbolic(clauses) => clauses.iter().fold(current & 0o7777, |mode, clause| {
                clause.apply(mode, is_dir, umask())
            }),
        }
    }
}

impl Clause {
    /// `u+r-w` is two clauses for the same people.
    fn parse(text: &str) -> Option<Vec<Self>> {
        let start = text.find(['+', '-', '='])?;
        let (who, mut rest) = text.split_at(start);
        if !who.chars().all(|who| "ugoa".contains(who)) {
            return None;
        }
        let who: Vec<char> = if who == "a" {
            vec!['u', 'g', 'o']
        } else if who.contains('a') {
            // As in Ansible, where everybody includes the others.
            return None;
        } else {
            who.chars().collect()
        };
        let mut clauses = Vec::new();
        while let Some(operator) = rest.chars().next() {
            let end = rest[1..]
                .find(['+', '-', '='])
                .map_or(rest.len(), |at| at + 1);
            let what: Vec<char> = rest[1..end].chars().collect();
            let copies = what.len() == 1 && "ugo".contains(what[0]);
            if !copies && !what.iter().all(|bit| "rwxXst".contains(*bit)) {
                return None;
            }
            clauses.push(Self {
                who: who.clone(),
                operator,
                what,
            });
            rest = &rest[end..];
        }
        Some(clauses)
    }

    fn apply(&self, mode: u32, is_dir: bool, umask: u32) -> u32 {
        let everyone = ['u', 'g', 'o'];
        let (who, mask) = if self.who.is_empty() {
            (&everyone[..], !umask)
        } else {
            (&self.who[..], !0)
        };
        who.iter().fold(mode, |mode, who| {
            let shift = shift_of(*who);
            let bits = self
                .what
                .iter()
                .fold(0, |bits, what| bits | bits_of(*what, *who, mode, is_dir))
                & mask;
            let own = 0o7 << shift | special_of(*who);
            match self.operator {
                '+' => mode | bits,
                '-' => mode & !bits,
                _ => mode & !own | bits,
            }
        })
    }
}

fn shift_of(who: char) -> u32 {
    match who {
        'u' => 6,
        'g' => 3,
        _ => 0,
    }
}

fn special_of(who: char) -> u32 {
    match who {
        'u' => 0o4000,
        'g' => 0o2000,
        _ => 0o1000,
    }
}

fn bits_of(what: char, who: char, mode: u32, is_dir: bool) -> u32 {
    let shift = shift_of(who);
    match what {
        'r' => 4 << shift,
        'w' => 2 << shift,
        'x' => 1 << shift,
        'X' if is_dir || mode & 0o111 != 0 => 1 << shift,
        's' if who != 'o' => special_of(who),
        't' if who == 'o' => 0o1000,
        'u' | 'g' | 'o' => (mode >> shift_of(what) & 0o7) << shift,
        _ => 0,
    }
}

/// The umask of this process, read without changing it (other threads create files meanwhile).
pub fn umask() -> u32 {
    fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("Umask:"))?;
            u32::from_str_radix(line.trim(), 8).ok()
        })
        .unwrap_or(0o022)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_read_as_chmod_reads_them() {
        let apply =
            |text: &str, current, dir| Mode::parse(text).map(|mode| mode.apply(current, dir));
        assert_eq!(apply("0644", 0, false), Some(0o644));
        assert_eq!(apply("2755", 0, true), Some(0o2755));
        assert_eq!(apply("0o600", 0, false), Some(0o600));
        assert_eq!(apply("u=rw,g=r,o=", 0o777, false), Some(0o640));
        assert_eq!(apply("a+X", 0o644, false), Some(0o644));
        assert_eq!(apply("a+X", 0o644, true), Some(0o755));
        assert_eq!(apply("u+x,g-w", 0o664, false), Some(0o744));
        assert_eq!(apply("g=u", 0o640, false), Some(0o660));
        assert_eq!(apply("u+s,o+t", 0o755, true), Some(0o5755));
        assert_eq!(apply("u+r-w", 0o200, false), Some(0o400));
        for wrong in ["rw", "0999", "77777", "u=rw;", "z+x", ""] {
            assert_eq!(Mode::parse(wrong), None, "{wrong}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_octal_mode_means_itself(bits in 0u32..0o10000) {
            proptest::prop_assert_eq!(Mode::parse(&format!("{bits:04o}")), Some(Mode::Bits(bits)));
        }

        #[test]
        fn no_text_panics_and_no_mode_leaves_its_12_bits(text in "\\PC{0,12}", current in 0u32..0o10000) {
            if let Some(mode) = Mode::parse(&text) {
                proptest::prop_assert!(mode.apply(current, false) <= 0o7777);
            }
        }
    }
}
