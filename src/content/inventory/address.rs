//! Names of hosts as they are written: `node[01:10:2]`, `db[a:f].example:2222`, `[::1]:22`.

use std::net::Ipv6Addr;

/// Most hosts that one written name may stand for: a guard against `[1:999999999]`.
const MAX_HOSTS: usize = 100_000;

/// Splits a port off a name that may hold ranges. None: this isn't a name of a host (with or without a port), and is
/// to be taken as it is.
pub fn split_port(address: &str) -> Option<(&str, Option<u32>)> {
    let (name, port) = match address.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => {
            let inner = name
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'));
            match inner {
                Some(inner) if !inner.is_empty() => (inner, port.parse().ok()),
                _ if colons_only_in_brackets(name) => (name, port.parse().ok()),
                _ => (address, None),
            }
        }
        _ => (address, None),
    };
    (is_host_name(name) || is_ipv6(name)).then_some((name, port))
}

fn colons_only_in_brackets(name: &str) -> bool {
    let mut inside = false;
    name.chars().all(|c| match c {
        '[' if !inside => {
            inside = true;
            true
        }
        ']' if inside => {
            inside = false;
            true
        }
        ':' | '[' | ']' => inside,
        _ => true,
    }) && !inside
}

/// Labels with dots between them, each of word characters, hyphens and ranges; IPv4 addresses are a case of it.
fn is_host_name(name: &str) -> bool {
    let Some(flat) = without_ranges(name, is_letter_or_number_range) else {
        return false;
    };
    flat.split('.').all(|label| {
        label.starts_with(|c: char| c.is_alphanumeric() || c == '_')
            && label
                .chars()
                .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'))
            && !label.ends_with(['_', '-'])
    })
}

fn is_ipv6(name: &str) -> bool {
    name.contains(':')
        && without_ranges(name, |begin, end| is_hex(begin) && is_hex(end))
            .is_some_and(|flat| flat.parse::<Ipv6Addr>().is_ok())
}

fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_letter_or_number_range(begin: &str, end: &str) -> bool {
    let letter = |text: &str| text.len() == 1 && text.bytes().all(|b| b.is_ascii_alphabetic());
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    (letter(begin) && letter(end)) || (number(begin) && number(end))
}

/// The name with `0` in place of every range. None when something in brackets isn't a range.
fn without_ranges(name: &str, accept: impl Fn(&str, &str) -> bool) -> Option<String> {
    let mut flat = String::new();
    let mut rest = name;
    while let Some((head, tail)) = rest.split_once('[') {
        let (range, after) = tail.split_once(']')?;
        let bounds: Vec<&str> = range.split(':').collect();
        let step = bounds
            .get(2)
            .is_none_or(|step| !step.is_empty() && step.bytes().all(|byte| byte.is_ascii_digit()));
        if !(2..=3).contains(&bounds.len()) || !step || !accept(bounds[0], bounds[1]) {
            return None;
        }
        flat.push_str(head);
        flat.push('0');
        rest = after;
    }
    flat.push_str(rest);
    (!flat.contains(']')).then_some(flat)
}

/// All names that a name with ranges stands for, in order. The error is a sentence that tells what is wrong.
pub fn expand(name: &str) -> Result<Vec<String>, String> {
    let mut names = Vec::new();
    expand_into("", name, &mut names)?;
    Ok(names)
}

fn expand_into(done: &str, name: &str, names: &mut Vec<String>) -> Result<(), String> {
    let Some((head, tail)) = name.split_once('[') else {
        names.push(format!("{done}{name}"));
        return if names.len() > MAX_HOSTS {
            Err(format!("ranges give more than {MAX_HOSTS} hosts"))
        } else {
            Ok(())
        };
    };
    let (range, rest) = tail
        .split_once(']')
        .ok_or_else(|| "a range that opens with `[` has no `]`".to_owned())?;
    for step in steps(range)? {
        expand_into(&format!("{done}{head}{step}"), rest, names)?;
    }
    Ok(())
}

/// The values of `begin:end` or `begin:end:step`, both ends included.
fn steps(range: &str) -> Result<Vec<String>, String> {
    let bounds: Vec<&str> = range.split(':').collect();
    let (begin, end, step) = match bounds[..] {
        [begin, end] => (begin, end, "1"),
        [begin, end, step] => (begin, end, step),
        _ => {
            return Err(format!(
                "range `[{range}]` must be [begin:end] or [begin:end:step]"
            ));
        }
    };
    let begin = if begin.is_empty() { "0" } else { begin };
    if end.is_empty() {
        return Err(format!("range `[{range}]` has no end"));
    }
    let step: usize = match step.parse() {
        Ok(step) if step > 0 => step,
        _ => {
            return Err(format!(
                "step of range `[{range}]` must be a number above 0"
            ));
        }
    };
    let width = if begin.len() > 1 && begin.starts_with('0') {
        if begin.len() != end.len() {
            return Err(format!(
                "both ends of range `[{range}]` must have the same number of digits"
            ));
        }
        begin.len()
    } else {
        0
    };
    if let (Some(first), Some(last)) = (letter(begin), letter(end)) {
        if first > last {
            return Err(format!("range `[{range}]` ends before it begins"));
        }
        let letters = LETTERS[first..=last].iter().step_by(step);
        return Ok(letters
            .map(|letter| char::from(*letter).to_string())
            .collect());
    }
    let number = |text: &str| -> Result<u64, String> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(value) if digits => Ok(value),
            _ => Err(format!(
                "`{text}` in range `[{range}]` is neither a number nor a letter"
            )),
        }
    };
    let (first, last) = (number(begin)?, number(end)?);
    if first > last {
        return Err(format!("range `[{range}]` ends before it begins"));
    }
    if (last - first) / step as u64 >= MAX_HOSTS as u64 {
        return Err(format!(
            "range `[{range}]` gives more than {MAX_HOSTS} hosts"
        ));
    }
    Ok((first..=last)
        .step_by(step)
        .map(|value| format!("{value:0width$}"))
        .collect())
}

/// Order of letters in ranges, as Python's `string.ascii_letters`: lower case before upper case.
const LETTERS: &[u8; 52] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

fn letter(text: &str) -> Option<usize> {
    match text.as_bytes() {
        [byte] => LETTERS.iter().position(|letter| letter == byte),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ports() {
        assert_eq!(split_port("a.b:22"), Some(("a.b", Some(22))));
        assert_eq!(
            split_port("node[01:10]:22"),
            Some(("node[01:10]", Some(22)))
        );
        assert_eq!(split_port("[::1]:22"), Some(("::1", Some(22))));
        assert_eq!(split_port("::1"), Some(("::1", None)));
        assert_eq!(split_port("fe80::[1:f]"), Some(("fe80::[1:f]", None)));
        assert_eq!(split_port("10.0.0.1"), Some(("10.0.0.1", None)));
        assert_eq!(split_port("a:b"), None);
        assert_eq!(split_port("a[0]"), None);
        assert_eq!(split_port("a-"), None);
        assert_eq!(split_port("web*"), None);
    }

    #[test]
    fn ranges() {
        let names = |name| expand(name).expect("expands");
        assert_eq!(names("n[08:10]"), ["n08", "n09", "n10"]);
        assert_eq!(names("n[1:5:2]x"), ["n1x", "n3x", "n5x"]);
        assert_eq!(names("d[a:c]"), ["da", "db", "dc"]);
        assert_eq!(names("[1:2]-[a:b]"), ["1-a", "1-b", "2-a", "2-b"]);
        assert_eq!(names("n[:1]"), ["n0", "n1"]);
        for wrong in [
            "n[1]",
            "n[1:",
            "n[01:5]",
            "n[5:1]",
            "n[c:a]",
            "n[1:2:0]",
            "n[1:x]",
            "n[0:9999999]",
            "n[1:2:3:4]",
            "n[1:]",
        ] {
            assert!(expand(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_range_counts_every_step(first in 0u64..500, more in 0u64..500, step in 1u64..20) {
            let last = first + more;
            let names = expand(&format!("n[{first}:{last}:{step}]-x")).expect("expands");
            prop_assert_eq!(names.len() as u64, more / step + 1);
            for (index, name) in names.iter().enumerate() {
                prop_assert_eq!(name, &format!("n{}-x", first + index as u64 * step));
            }
        }

        #[test]
        fn zeros_pad(first in 0u64..100, more in 0u64..800) {
            let names = expand(&format!("[{first:04}:{:04}]", first + more)).expect("expands");
            prop_assert!(names.iter().all(|name| name.len() == 4));
            prop_assert_eq!(names.len() as u64, more + 1);
        }

        #[test]
        fn no_panic(name in "[a-z0-9\\[\\]:é.-]{0,24}") {
            let _split = split_port(&name);
            let _names = expand(&name);
        }
    }
}
