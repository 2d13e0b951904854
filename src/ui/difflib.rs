//! Unified diffs as Python's `difflib` makes them, which Ansible prints: the longest common block first, then what is
//! before and behind it, with the same choice between blocks of the same length.

use std::collections::HashMap;

/// From this many lines on, a line that is more than one in a hundred is no anchor.
const MANY: usize = 200;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Equal,
    Replace,
    Delete,
    Insert,
}

/// What happens to lines `a1..a2` of the old text, which are lines `b1..b2` of the new one.
#[derive(Clone, Copy)]
struct Opcode {
    kind: Kind,
    a1: usize,
    a2: usize,
    b1: usize,
    b2: usize,
}

/// The lines of a unified diff with `context` lines around every change, ends included; none when both are equal.
pub fn unified(a: &[String], b: &[String], from: &str, to: &str, context: usize) -> Vec<String> {
    let mut out = Vec::new();
    for group in grouped(opcodes(a, b), context) {
        if out.is_empty() {
            out.push(format!("--- {from}\n"));
            out.push(format!("+++ {to}\n"));
        }
        let (first, last) = (group[0], group[group.len() - 1]);
        out.push(format!(
            "@@ -{} +{} @@\n",
            range(first.a1, last.a2),
            range(first.b1, last.b2)
        ));
        for code in group {
            if code.kind == Kind::Equal {
                out.extend(a[code.a1..code.a2].iter().map(|line| format!(" {line}")));
                continue;
            }
            out.extend(a[code.a1..code.a2].iter().map(|line| format!("-{line}")));
            out.extend(b[code.b1..code.b2].iter().map(|line| format!("+{line}")));
        }
    }
    out
}

/// Lines of a hunk as its head names them.
fn range(start: usize, stop: usize) -> String {
    match stop - start {
        1 => format!("{}", start + 1),
        0 => format!("{start},0"),
        length => format!("{},{length}", start + 1),
    }
}

/// Changes with their context, near ones together.
fn grouped(mut codes: Vec<Opcode>, context: usize) -> Vec<Vec<Opcode>> {
    if let Some(first) = codes.first_mut().filter(|code| code.kind == Kind::Equal) {
        first.a1 = first.a1.max(first.a2.saturating_sub(context));
        first.b1 = first.b1.max(first.b2.saturating_sub(context));
    }
    if let Some(last) = codes.last_mut().filter(|code| code.kind == Kind::Equal) {
        last.a2 = last.a2.min(last.a1 + context);
        last.b2 = last.b2.min(last.b1 + context);
    }
    let (mut groups, mut group) = (Vec::new(), Vec::new());
    for mut code in codes {
        if code.kind == Kind::Equal && code.a2 - code.a1 > 2 * context {
            let (a2, b2) = (code.a2, code.b2);
            group.push(Opcode {
                a2: code.a1 + context,
                b2: code.b1 + context,
                ..code
            });
            groups.push(std::mem::take(&mut group));
            (code.a1, code.b1) = (a2 - context, b2 - context);
        }
        group.push(code);
    }
    groups.push(group);
    groups.retain(|group| group.iter().any(|code| code.kind != Kind::Equal));
    groups
}

fn opcodes(a: &[String], b: &[String]) -> Vec<Opcode> {
    let (mut i, mut j) = (0, 0);
    let mut codes = Vec::new();
    for (ai, bj, size) in blocks(a, b) {
        let kind = match (i < ai, j < bj) {
            (true, true) => Some(Kind::Replace),
            (true, false) => Some(Kind::Delete),
            (false, true) => Some(Kind::Insert),
            (false, false) => None,
        };
        if let Some(kind) = kind {
            codes.push(Opcode {
                kind,
                a1: i,
                a2: ai,
                b1: j,
                b2: bj,
            });
        }
        (i, j) = (ai + size, bj + size);
        if size > 0 {
            codes.push(Opcode {
                kind: Kind::Equal,
                a1: ai,
                a2: i,
                b1: bj,
                b2: j,
            });
        }
    }
    codes
}

/// Common blocks (start in both, length) in order, adjacent ones joined; an empty one marks the end.
fn blocks(a: &[String], b: &[String]) -> Vec<(usize, usize, usize)> {
    let mut anchors: HashMap<&str, Vec<usize>> = HashMap::new();
    for (at, line) in b.iter().enumerate() {
        anchors.entry(line).or_default().push(at);
    }
    if b.len() >= MANY {
        let most = b.len() / 100 + 1;
        anchors.retain(|_, places| places.len() <= most);
    }
    let mut open = vec![(0, a.len(), 0, b.len())];
    let mut found = Vec::new();
    while let Some((alo, ahi, blo, bhi)) = open.pop() {
        let (i, j, size) = longest(a, b, &anchors, (alo, ahi, blo, bhi));
        if size == 0 {
            continue;
        }
        found.push((i, j, size));
        if alo < i && blo < j {
            open.push((alo, i, blo, j));
        }
        if i + size < ahi && j + size < bhi {
            open.push((i + size, ahi, j + size, bhi));
        }
    }
    found.sort_unstable();
    let mut joined: Vec<(usize, usize, usize)> = Vec::new();
    for (i, j, size) in found {
        match joined.last_mut() {
            Some((i1, j1, size1)) if *i1 + *size1 == i && *j1 + *size1 == j => *size1 += size,
            _ => joined.push((i, j, size)),
        }
    }
    joined.push((a.len(), b.len(), 0));
    joined
}

/// The longest common block of two ranges; of several the one that begins first.
fn longest(
    a: &[String],
    b: &[String],
    anchors: &HashMap<&str, Vec<usize>>,
    (alo, ahi, blo, bhi): (usize, usize, usize, usize),
) -> (usize, usize, usize) {
    let (mut i, mut j, mut size) = (alo, blo, 0);
    // Lengths of the blocks that end with the line before, by where they end in `b`.
    let mut before: HashMap<usize, usize> = HashMap::new();
    for (at, line) in a.iter().enumerate().take(ahi).skip(alo) {
        let mut now = HashMap::new();
        for &there in anchors.get(line.as_str()).into_iter().flatten() {
            if there < blo {
                continue;
            }
            if there >= bhi {
                break;
            }
            let length = there
                .checked_sub(1)
                .and_then(|left| before.get(&left))
                .unwrap_or(&0)
                + 1;
            now.insert(there, length);
            if length > size {
                (i, j, size) = (at + 1 - length, there + 1 - length, length);
            }
        }
        before = now;
    }
    // Lines that are no anchors belong to a block beside them.
    while i > alo && j > blo && a[i - 1] == b[j - 1] {
        (i, j, size) = (i - 1, j - 1, size + 1);
    }
    while i + size < ahi && j + size < bhi && a[i + size] == b[j + size] {
        size += 1;
    }
    (i, j, size)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.split_inclusive('\n').map(str::to_owned).collect()
    }

    #[test]
    fn changes_far_apart_are_hunks_of_their_own() {
        let old: String = (0..20).map(|n| format!("{n}\n")).collect();
        let new = old.replace("\n3\n", "\nthree\n").replace("\n16\n", "\n");
        let text = unified(&lines(&old), &lines(&new), "a", "b", 2).concat();
        insta::assert_snapshot!(text, @r"
        --- a
        +++ b
        @@ -2,5 +2,5 @@
         1
         2
        -3
        +three
         4
         5
        @@ -15,5 +15,4 @@
         14
         15
        -16
         17
         18
        ");
    }

    #[test]
    fn equal_texts_have_no_diff() {
        let same = lines("a\nb\n");
        assert!(unified(&same, &same, "a", "b", 3).is_empty());
    }

    #[test]
    fn an_empty_side_counts_no_lines() {
        let text = unified(&[], &lines("a\nb\n"), "a", "b", 3).concat();
        assert_eq!(text, "--- a\n+++ b\n@@ -0,0 +1,2 @@\n+a\n+b\n");
    }
}
