//! Text broken into lines, as Python's `textwrap` does for Ansible's warnings.

/// Lines of at most `width` columns, broken at white space and behind hyphens between letters; longer words are cut.
/// White space within stays as it is; line ends of the text count as blanks.
pub fn fill(text: &str, width: usize) -> String {
    let text: String = text
        .chars()
        .map(|letter| {
            if letter.is_ascii_whitespace() {
                ' '
            } else {
                letter
            }
        })
        .collect();
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    let mut chunks: Vec<String> = chunks(&text);
    chunks.reverse();
    while let Some(chunk) = chunks.pop() {
        let length = chunk.chars().count();
        let blank = chunk.trim().is_empty();
        if blank && line.is_empty() && !lines.is_empty() {
            continue;
        }
        if used + length <= width {
            line.push_str(&chunk);
            used += length;
            continue;
        }
        if length > width {
            let room = width.saturating_sub(used).max(1);
            line.extend(chunk.chars().take(room));
            chunks.push(chunk.chars().skip(room).collect());
        } else {
            chunks.push(chunk);
        }
        lines.push(line.trim_end().to_owned());
        line.clear();
        used = 0;
    }
    if !line.trim_end().is_empty() || lines.is_empty() {
        lines.push(line.trim_end().to_owned());
    }
    lines.join("\n")
}

/// Words and the blanks between them; a word with hyphens between letters is several.
fn chunks(text: &str) -> Vec<String> {
    let mut chunks: Vec<String> = Vec::new();
    let letters: Vec<char> = text.chars().collect();
    let mut chunk = String::new();
    for (at, letter) in letters.iter().enumerate() {
        let blank = *letter == ' ';
        if chunk
            .chars()
            .last()
            .is_some_and(|last| (last == ' ') != blank)
        {
            chunks.push(std::mem::take(&mut chunk));
        }
        chunk.push(*letter);
        let letter_at = |at: Option<usize>| {
            at.and_then(|at| letters.get(at))
                .is_some_and(|letter| letter.is_alphabetic())
        };
        if *letter == '-'
            && letter_at(at.checked_sub(1))
            && letter_at(at.checked_sub(2))
            && letter_at(at.checked_add(1))
            && letter_at(at.checked_add(2))
        {
            chunks.push(std::mem::take(&mut chunk));
        }
    }
    if !chunk.is_empty() {
        chunks.push(chunk);
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::fill;

    #[test]
    fn lines_are_broken_as_pythons_textwrap_breaks_them() {
        let warning =
            "[WARNING]: Could not match supplied host pattern, ignoring: _kubespray_needs_etcd";
        let wrapped =
            "[WARNING]: Could not match supplied host pattern, ignoring:\n_kubespray_needs_etcd";
        assert_eq!(fill(warning, 79), wrapped);
        assert_eq!(fill("a well-known word", 8), "a well-\nknown\nword");
        assert_eq!(fill("abcdefgh ij", 4), "abcd\nefgh\nij");
        assert_eq!(fill("short", 79), "short");
    }
}
