//! Which of two versions of a Debian package is newer (deb-version(7)).

use std::cmp::Ordering;

/// Compares `[epoch:]upstream[-revision]`.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (a_epoch, a_upstream, a_revision) = parts(a);
    let (b_epoch, b_upstream, b_revision) = parts(b);
    a_epoch
        .cmp(&b_epoch)
        .then_with(|| compare_part(a_upstream, b_upstream))
        .then_with(|| compare_part(a_revision, b_revision))
}

fn parts(version: &str) -> (u64, &str, &str) {
    let (epoch, rest) = match version.split_once(':') {
        Some((epoch, rest)) => (epoch.parse().unwrap_or(0), rest),
        None => (0, version),
    };
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
    (epoch, upstream, revision)
}

/// Alternately a run without digits, in an order of its own, and a number.
fn compare_part(mut a: &str, mut b: &str) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        let (a_text, a_rest) = a.split_at(a.find(|c: char| c.is_ascii_digit()).unwrap_or(a.len()));
        let (b_text, b_rest) = b.split_at(b.find(|c: char| c.is_ascii_digit()).unwrap_or(b.len()));
        let order = compare_text(a_text.as_bytes(), b_text.as_bytes());
        if order != Ordering::Equal {
            return order;
        }
        let (a_number, a_tail) = number(a_rest);
        let (b_number, b_tail) = number(b_rest);
        // Without leading zeros the longer number is the greater one.
        let order = a_number
            .len()
            .cmp(&b_number.len())
            .then_with(|| a_number.cmp(b_number));
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (a_tail, b_tail);
    }
    Ordering::Equal
}

fn number(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    (text[..end].trim_start_matches('0'), &text[end..])
}

fn compare_text(a: &[u8], b: &[u8]) -> Ordering {
    // A tilde sorts before the end, letters before everything else.
    let rank = |byte: Option<&u8>| match byte {
        Some(b'~') => -1,
        None => 0,
        Some(letter) if letter.is_ascii_alphabetic() => i32::from(*letter),
        Some(other) => i32::from(*other) + 256,
    };
    (0..a.len().max(b.len()))
        .map(|at| rank(a.get(at)).cmp(&rank(b.get(at))))
        .find(|order| *order != Ordering::Equal)
        .unwrap_or(Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_dpkg_orders_them() {
        let ordered = [
            "0~~",
            "0~~a",
            "0~",
            "0",
            "0.1",
            "1.0~rc1-1",
            "1.0",
            "1.0-1",
            "1.0-1+b1",
            "1.0-1.1",
            "1.0-2",
            "1.0-10",
            "1.0a",
            "1.0+dfsg-1",
            "1.0.1",
            "1.9",
            "1.10",
            "2026f",
            "1:0.1",
        ];
        for (at, lower) in ordered.iter().enumerate() {
            for higher in &ordered[at + 1..] {
                assert_eq!(compare(lower, higher), Ordering::Less, "{lower} {higher}");
                assert_eq!(
                    compare(higher, lower),
                    Ordering::Greater,
                    "{higher} {lower}"
                );
                let dpkg = std::process::Command::new("dpkg")
                    .args(["--compare-versions", lower, "lt", higher])
                    .status()
                    .expect("a Debian system");
                assert!(dpkg.success(), "dpkg: {lower} {higher}");
            }
        }
        for (same, equal) in [("1.0", "1.00"), ("0:1-0", "1"), ("1.05", "1.5")] {
            assert_eq!(compare(same, equal), Ordering::Equal, "{same} {equal}");
        }
    }
}
