//! Filter rules: which names take part. As rsync(1) describes them under FILTER RULES.

use crate::Failure;
use serde::{Deserialize, Serialize};

/// One `+ PATTERN` or `- PATTERN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    pub include: bool,
    pub pattern: String,
}

impl Rule {
    /// `+ PATTERN`, `- PATTERN`, or the long words for them. Other rules are refused by name.
    pub fn parse(line: &str) -> Result<Self, String> {
        let (word, pattern) = match line.split_once([' ', '_']) {
            Some((word, pattern)) if !pattern.is_empty() => (word, pattern),
            _ => return Err(format!("the filter rule {line:?} isn't supported")),
        };
        let include = match word {
            "+" | "include" | "include," | "+," => true,
            "-" | "exclude" | "exclude," | "-," => false,
            _ => {
                return Err(format!(
                    "the filter rule {line:?} isn't supported; known are `- PATTERN` and `+ PATTERN`"
                ));
            }
        };
        Ok(Self {
            include,
            pattern: pattern.to_owned(),
        })
    }

    /// The lines of a file of rules; `bare` lines without a sign include or exclude.
    pub fn parse_lines(text: &str, bare: Option<bool>) -> Result<Vec<Self>, String> {
        text.lines()
            .map(|line| line.trim_end_matches('\r'))
            .filter(|line| !line.trim().is_empty() && !line.starts_with(['#', ';']))
            .map(|line| match bare {
                Some(include) if !line.starts_with("+ ") && !line.starts_with("- ") => Ok(Self {
                    include,
                    pattern: line.to_owned(),
                }),
                _ => Self::parse(line),
            })
            .collect()
    }

    /// Whether it speaks of a name, which is relative to where the rule stands.
    fn fits(&self, name: &str, is_dir: bool) -> bool {
        let mut pattern = self.pattern.as_str();
        if let Some(all) = pattern.strip_suffix("/***") {
            // The directory and everything in it.
            let own = Self {
                include: self.include,
                pattern: format!("{all}/"),
            };
            let inside = Self {
                include: self.include,
                pattern: format!("{all}/**"),
            };
            return own.fits(name, is_dir) || inside.fits(name, is_dir);
        }
        if let Some(dirs) = pattern.strip_suffix('/') {
            if !is_dir {
                return false;
            }
            pattern = dirs;
        }
        if let Some(anchored) = pattern.strip_prefix('/') {
            return wild(anchored.as_bytes(), name.as_bytes());
        }
        if !pattern.contains('/') && !pattern.contains("**") {
            let last = name.rsplit('/').next().unwrap_or(name);
            return wild(pattern.as_bytes(), last.as_bytes());
        }
        // A pattern with a slash fits the end of a path.
        let ends = name.match_indices('/').map(|(at, _)| at + 1);
        std::iter::once(0)
            .chain(ends)
            .any(|at| wild(pattern.as_bytes(), &name.as_bytes()[at..]))
    }
}

/// The rules that hold at a place: those of the directories above it, the nearest first, then those of the task.
pub(crate) struct Rules<'a> {
    pub(crate) of_task: &'a [Rule],
    /// The directory (empty for the top), and its rules.
    pub(crate) of_dirs: &'a [(String, Vec<Rule>)],
}

impl Rules<'_> {
    /// Whether a name takes part.
    pub(crate) fn includes(&self, name: &str, is_dir: bool) -> bool {
        let mut above: Vec<_> = self
            .of_dirs
            .iter()
            .filter_map(|(dir, rules)| inside(name, dir).map(|rest| (rest, rules)))
            .collect();
        // The nearer a directory is, the shorter is the name from there.
        above.sort_by_key(|(rest, _)| rest.len());
        let own = above
            .iter()
            .flat_map(|(rest, rules)| rules.iter().map(move |rule| (rule, *rest)));
        own.chain(self.of_task.iter().map(|rule| (rule, name)))
            .find(|(rule, name)| rule.fits(name, is_dir))
            .is_none_or(|(rule, _)| rule.include)
    }
}

/// A name as it is called from a directory above it.
fn inside<'a>(name: &'a str, dir: &str) -> Option<&'a str> {
    if dir == "." {
        return Some(name);
    }
    name.strip_prefix(dir)?.strip_prefix('/')
}

/// The rules of a `.rsync-filter`.
pub(crate) fn own(text: &str, place: &str) -> Result<Vec<Rule>, Failure> {
    Rule::parse_lines(text, None).map_err(|why| Failure::new(format!("{place}: {why}")))
}

/// rsync's wildcards: `*` and `?` stop at a slash, `**` doesn't.
fn wild(pattern: &[u8], text: &[u8]) -> bool {
    let Some((first, rest)) = pattern.split_first() else {
        return text.is_empty();
    };
    match first {
        b'*' => {
            let all = rest.first() == Some(&b'*');
            let rest = if all {
                let stars = rest.iter().take_while(|byte| **byte == b'*').count();
                &rest[stars..]
            } else {
                rest
            };
            (0..=text.len())
                .take_while(|at| all || !text[..*at].contains(&b'/'))
                .any(|at| wild(rest, &text[at..]))
        }
        b'?' => text
            .split_first()
            .is_some_and(|(letter, text)| *letter != b'/' && wild(rest, text)),
        b'[' => class(rest, text).is_some_and(|(rest, text)| wild(rest, text)),
        b'\\' if !rest.is_empty() => text.first() == rest.first() && wild(&rest[1..], &text[1..]),
        letter => text.first() == Some(letter) && wild(rest, &text[1..]),
    }
}

/// What follows a class that fits the first letter, and what follows that letter.
fn class<'a>(pattern: &'a [u8], text: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let (letter, after) = text.split_first()?;
    let negated = matches!(pattern.first(), Some(b'!' | b'^'));
    let inner = &pattern[usize::from(negated)..];
    let end = inner.iter().skip(1).position(|byte| *byte == b']')? + 1;
    let (mut at, mut found) = (0, false);
    while at < end {
        if at + 2 < end && inner[at + 1] == b'-' {
            found |= (inner[at]..=inner[at + 2]).contains(letter);
            at += 3;
        } else {
            found |= inner[at] == *letter;
            at += 1;
        }
    }
    (found != negated && *letter != b'/').then_some((&inner[end + 1..], after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn includes(rules: &[&str], name: &str, is_dir: bool) -> bool {
        let rules: Vec<Rule> = rules
            .iter()
            .map(|line| Rule::parse(line).expect("a rule"))
            .collect();
        let rules = Rules {
            of_task: &rules,
            of_dirs: &[],
        };
        rules.includes(name, is_dir)
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        for (rules, name, is_dir, expected) in [
            (&["- *.o"][..], "a/b.o", false, false),
            (&["- *.o"], "a/b.c", false, true),
            (&["- /b"], "b", false, false),
            (&["- /b"], "a/b", false, true),
            (&["- b/"], "a/b", true, false),
            (&["- b/"], "a/b", false, true),
            (&["- a/*/c"], "x/a/b/c", false, false),
            (&["- a/*/c"], "x/a/b/b/c", false, true),
            (&["- a/**/c"], "x/a/b/b/c", false, false),
            (&["+ keep", "- *"], "a/keep", false, true),
            (&["+ keep", "- *"], "a/other", false, false),
            (&["- foo/***"], "foo", true, false),
            (&["- foo/***"], "foo/a", false, false),
            (&["- [a-c]?"], "b1", false, false),
            (&["- [!a-c]?"], "b1", false, true),
        ] {
            assert_eq!(includes(rules, name, is_dir), expected, "{rules:?} {name}");
        }
        assert!(Rule::parse("merge x").is_err());
        assert!(Rule::parse("P x").is_err());
    }

    #[test]
    fn rules_of_a_directory_come_before_those_above_it() {
        let rule = |line: &str| vec![Rule::parse(line).expect("a rule")];
        let own = [
            (".".to_owned(), rule("- /x")),
            ("d".to_owned(), rule("+ /x")),
        ];
        let task = rule("- x");
        let rules = Rules {
            of_task: &task,
            of_dirs: &own,
        };
        assert!(!rules.includes("x", false));
        assert!(rules.includes("d/x", false));
        assert!(!rules.includes("d/e/x", false));
    }

    proptest::proptest! {
        #[test]
        fn a_plain_pattern_fits_itself(name in "[a-z]{1,6}(/[a-z]{1,6}){0,3}") {
            let rule = format!("- /{name}");
            proptest::prop_assert!(!includes(&[&rule], &name, false));
        }
    }
}
