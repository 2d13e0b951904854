//! Names that a person may have meant.

/// Up to `limit` of the candidates that look like the name, nearest first.
pub fn nearest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
    limit: usize,
) -> Vec<&'a str> {
    let bound = (name.chars().count() / 3).clamp(1, 4);
    let lower = name.to_lowercase();
    let mut found: Vec<(usize, &str)> = candidates
        .into_iter()
        .filter(|candidate| *candidate != name)
        // Lengths that differ by more can't be near; there may be thousands of names.
        .filter(|candidate| candidate.len().abs_diff(name.len()) <= bound)
        .map(|candidate| (distance(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(far, _)| *far <= bound)
        .collect();
    found.sort();
    found.dedup();
    found
        .into_iter()
        .take(limit)
        .map(|(_, name)| name)
        .collect()
}

/// How many letters differ: inserted, left out, replaced, or swapped with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = [
        vec![0; b.len() + 1],
        (0..=b.len()).collect(),
        vec![0; b.len() + 1],
    ];
    for i in 1..=a.len() {
        rows[2][0] = i;
        for j in 1..=b.len() {
            let same = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[1][j] + 1)
                .min(rows[2][j - 1] + 1)
                .min(rows[1][j - 1] + same);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[0][j - 2] + 1);
            }
            rows[2][j] = best;
        }
        rows.rotate_left(1);
    }
    rows[1][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_mistakes_are_recognised() {
        let known = ["command", "copy", "become", "become_user", "when"];
        assert_eq!(nearest("comand", known, 3), ["command"]);
        assert_eq!(nearest("ocpy", known, 3), ["copy"]);
        assert_eq!(nearest("becom_user", known, 3), ["become_user"]);
        assert!(nearest("kubernetes", known, 3).is_empty());
    }

    proptest::proptest! {
        #[test]
        fn distance_is_symmetric_and_zero_only_for_equals(a in "[abc]{0,6}", b in "[abc]{0,6}") {
            proptest::prop_assert_eq!(distance(&a, &b), distance(&b, &a));
            proptest::prop_assert_eq!(distance(&a, &b) == 0, a == b);
        }
    }
}
