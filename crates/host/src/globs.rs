//! Patterns of file names, as Python's `fnmatch` and `glob` read them.

use std::fs;
use std::path::{Path, PathBuf};

/// Whether `text` fits `pattern`: `*`, `?`, `[abc]`, `[!a-z]`. A slash is a letter like any other.
pub fn fnmatch(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    // The usual two-pointer match: only the last star can need another try, so this is never exponential.
    let (mut p, mut t) = (0, 0);
    let mut star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
                continue;
            }
            Some(_) => {
                if let Some(next) = matches_one(&pattern, p, text[t]) {
                    p = next;
                    t += 1;
                    continue;
                }
            }
            None => {}
        }
        let Some((at, from)) = star else {
            return false;
        };
        star = Some((at, from + 1));
        p = at + 1;
        t = from + 1;
    }
    pattern[p..].iter().all(|letter| *letter == '*')
}

/// The place in the pattern after what matched one letter.
fn matches_one(pattern: &[char], at: usize, letter: char) -> Option<usize> {
    match pattern[at] {
        '?' => Some(at + 1),
        '[' => match class_end(pattern, at) {
            Some(end) => in_class(&pattern[at + 1..end], letter).then_some(end + 1),
            None => (letter == '[').then_some(at + 1),
        },
        other => (other == letter).then_some(at + 1),
    }
}

/// Where a class that opens at `at` closes; a `]` that comes first belongs to it.
fn class_end(pattern: &[char], at: usize) -> Option<usize> {
    let mut from = at + 1;
    if pattern.get(from) == Some(&'!') {
        from += 1;
    }
    (from + 1..pattern.len()).find(|index| pattern[*index] == ']')
}

fn in_class(class: &[char], letter: char) -> bool {
    let (negated, class) = match class.split_first() {
        Some(('!', rest)) => (true, rest),
        _ => (false, class),
    };
    let mut at = 0;
    let mut found = false;
    while at < class.len() {
        if at + 2 < class.len() && class[at + 1] == '-' {
            found |= (class[at]..=class[at + 2]).contains(&letter);
            at += 3;
        } else {
            found |= class[at] == letter;
            at += 1;
        }
    }
    found != negated
}

/// The paths that fit `pattern`, sorted. Names that begin with a dot only fit a pattern that does.
pub fn glob(pattern: &str) -> Vec<PathBuf> {
    if !is_pattern(pattern) {
        let path = PathBuf::from(pattern);
        return if path.symlink_metadata().is_ok() {
            vec![path]
        } else {
            Vec::new()
        };
    }
    let start = if pattern.starts_with('/') { "/" } else { "" };
    let mut paths = vec![PathBuf::from(start)];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        paths = paths.iter().flat_map(|dir| step(dir, part)).collect();
    }
    paths.sort();
    paths
}

fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

fn step(dir: &Path, part: &str) -> Vec<PathBuf> {
    if !is_pattern(part) {
        let path = dir.join(part);
        return if path.symlink_metadata().is_ok() {
            vec![path]
        } else {
            Vec::new()
        };
    }
    let listed = if dir.as_os_str().is_empty() {
        Path::new(".")
    } else {
        dir
    };
    fs::read_dir(listed)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            (part.starts_with('.') || !name.starts_with('.')) && fnmatch(part, &name)
        })
        .map(|entry| dir.join(entry.file_name()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_python() {
        for (pattern, text, fits) in [
            ("ansible_*_ipv[46]*", "ansible_default_ipv4", true),
            ("ansible_*_ipv[46]*", "ansible_default_ipv5", false),
            ("*", "", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[!a]b", "ab", false),
            ("[!a]b", "cb", true),
            ("[]]", "]", true),
            ("[", "[", true),
            ("a*b*c", "axxbyybzc", true),
            ("*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
        ] {
            assert_eq!(fnmatch(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn files_are_found_by_pattern() {
        let dir = tempfile::tempdir().expect("a directory");
        for name in ["a.txt", "b.txt", ".c.txt"] {
            fs::write(dir.path().join(name), "").expect("written");
        }
        let find = |pattern: &str| glob(&format!("{}/{pattern}", dir.path().display())).len();
        assert_eq!(find("*.txt"), 2);
        assert_eq!(find(".*"), 1);
        assert_eq!(find("a.txt"), 1);
        assert_eq!(find("d*"), 0);
        assert_eq!(find("none"), 0);
    }

    proptest::proptest! {
        #[test]
        fn a_text_without_special_letters_matches_itself_only(text in "[a-z./]{0,8}", other in "[a-z./]{0,8}") {
            proptest::prop_assert!(fnmatch(&text, &text));
            proptest::prop_assert_eq!(fnmatch(&text, &other), text == other);
        }

        #[test]
        fn no_pattern_panics(pattern in "\\PC{0,10}", text in "\\PC{0,10}") {
            fnmatch(&pattern, &text);
        }
    }
}
