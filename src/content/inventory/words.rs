//! Host lines of INI inventories, split into words as Python's `shlex.split(line, comments=True)`.

/// A word without its quotes, and where it starts (in characters from 0).
#[derive(Debug, PartialEq, Eq)]
pub struct Word {
    pub text: String,
    pub column: usize,
}

/// Splits a line. The error is a sentence and the column of the quote or backslash that it is about.
///
/// As in Python: `#` starts a comment even inside a word; inside double quotes a backslash escapes only `"` and `\`.
pub fn split(line: &str) -> Result<Vec<Word>, (String, usize)> {
    let mut words = Vec::new();
    let mut current: Option<Word> = None;
    let mut characters = line.chars().enumerate();
    while let Some((column, c)) = characters.next() {
        match c {
            '#' => break,
            ' ' | '\t' | '\r' | '\n' => words.extend(current.take()),
            '\'' | '"' => {
                let word = current.get_or_insert_with(|| Word::at(column));
                quoted(c, column, &mut characters, &mut word.text)?;
            }
            '\\' => {
                let Some((_, next)) = characters.next() else {
                    return Err(("a backslash ends the line".to_owned(), column));
                };
                let word = current.get_or_insert_with(|| Word::at(column));
                word.text.push(next);
            }
            other => {
                let word = current.get_or_insert_with(|| Word::at(column));
                word.text.push(other);
            }
        }
    }
    words.extend(current);
    Ok(words)
}

impl Word {
    fn at(column: usize) -> Self {
        Self {
            text: String::new(),
            column,
        }
    }
}

fn quoted(
    quote: char,
    column: usize,
    characters: &mut impl Iterator<Item = (usize, char)>,
    text: &mut String,
) -> Result<(), (String, usize)> {
    let unclosed = || (format!("the quote {quote} is never closed"), column);
    loop {
        let (_, c) = characters.next().ok_or_else(unclosed)?;
        if c == quote {
            return Ok(());
        }
        if c == '\\' && quote == '"' {
            let (_, next) = characters.next().ok_or_else(unclosed)?;
            if next != '"' && next != '\\' {
                text.push('\\');
            }
            text.push(next);
        } else {
            text.push(c);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(line: &str) -> Vec<String> {
        let words = split(line).expect("splits");
        words.into_iter().map(|word| word.text).collect()
    }

    #[test]
    fn quotes_escapes_and_comments() {
        assert_eq!(texts("a b='c d' # e"), ["a", "b=c d"]);
        assert_eq!(texts(r#"a b="c \"d\" \n""#), ["a", r#"b=c "d" \n"#]);
        assert_eq!(texts(r"a\ b 'c\d'"), ["a b", r"c\d"]);
        assert_eq!(texts("a#b"), ["a"]);
        assert_eq!(texts("a ''"), ["a", ""]);
        assert_eq!(split("ab 'c").expect_err("open").1, 3);
    }
}
