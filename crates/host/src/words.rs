//! Splitting a command line into words, as Python's `shlex.split` does.

use crate::Failure;

/// The words of a command line: quotes group, a backslash takes the next letter as it is.
pub fn split(line: &str) -> Result<Vec<String>, Failure> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match letters.next() {
                        Some('\'') => break,
                        Some(inner) => word.push(inner),
                        None => return Err(unclosed('\'', line)),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match letters.next() {
                        Some('"') => break,
                        Some('\\') => match letters.next() {
                            Some(escaped @ ('"' | '\\')) => word.push(escaped),
                            Some(other) => word.extend(['\\', other]),
                            None => return Err(unclosed('"', line)),
                        },
                        Some(inner) => word.push(inner),
                        None => return Err(unclosed('"', line)),
                    }
                }
            }
            '\\' => match letters.next() {
                Some(escaped) => word.get_or_insert_default().push(escaped),
                None => {
                    return Err(Failure::new(format!(
                        "nothing follows the last backslash of: {line}"
                    )));
                }
            },
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Ok(words)
}

fn unclosed(quote: char, line: &str) -> Failure {
    Failure::new(format!("a {quote} is opened and not closed in: {line}"))
}

/// A word as a POSIX shell reads it back.
pub fn quote(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_@%+=:,./-".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\"'\"'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_pythons() {
        let words = |line: &str| split(line).expect("sound");
        assert_eq!(
            words(r#"a 'b c' "d \"e\" \n" f\ g """#),
            ["a", "b c", r#"d "e" \n"#, "f g", ""]
        );
        assert_eq!(words("  "), Vec::<String>::new());
        for wrong in ["'a", "\"a", "a\\"] {
            assert!(split(wrong).is_err(), "{wrong}");
        }
    }

    proptest::proptest! {
        #[test]
        fn quoted_words_come_back(words in proptest::collection::vec("\\PC{0,8}", 0..5)) {
            let line = words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ");
            proptest::prop_assert_eq!(split(&line).expect("sound"), words);
        }
    }
}
