//! Names that a person may have meant.

/// Up to `count` names that differ least from a wrong one, and only by a few letters, nearest first.
pub fn nearest<'a>(
    wrong: &str,
    names: impl IntoIterator<Item = &'a str>,
    count: usize,
) -> Vec<&'a str> {
    let most = (wrong.chars().count() / 3).clamp(1, 4);
    let mut found: Vec<(usize, &str)> = names
        .into_iter()
        .map(|name| (distance(wrong, name), name))
        .filter(|(distance, _)| *distance <= most)
        .collect();
    found.sort_unstable();
    found
        .into_iter()
        .take(count)
        .map(|(_, name)| name)
        .collect()
}

/// Letters to insert, delete or replace, or neighbours to swap, to turn one name into another; case doesn't count.
fn distance(one: &str, other: &str) -> usize {
    let one: Vec<char> = one.to_lowercase().chars().collect();
    let other: Vec<char> = other.to_lowercase().chars().collect();
    let width = other.len() + 1;
    let mut rows = vec![0; (one.len() + 1) * width];
    for (column, cell) in rows.iter_mut().take(width).enumerate() {
        *cell = column;
    }
    for (i, a) in one.iter().enumerate() {
        rows[(i + 1) * width] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let at = |row: usize, column: usize| rows[row * width + column];
            let mut least = (at(i, j) + usize::from(a != b))
                .min(at(i, j + 1) + 1)
                .min(at(i + 1, j) + 1);
            if i > 0 && j > 0 && *a == other[j - 1] && one[i - 1] == *b {
                least = least.min(at(i - 1, j - 1) + 1);
            }
            rows[(i + 1) * width + j + 1] = least;
        }
    }
    rows[one.len() * width + other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_and_far() {
        let names = ["node1", "node2", "etcd", "kube_node"];
        assert_eq!(nearest("nod1", names, 2), ["node1"]);
        assert_eq!(nearest("ectd", names, 2), ["etcd"]);
        assert!(nearest("bastion", names, 2).is_empty());
    }
}
