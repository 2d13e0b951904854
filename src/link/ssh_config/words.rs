//! Splitting lines into words, as ssh_config and as a shell does.

/// Splits one line of ssh_config: keyword (in lower case) and arguments. None: blank or a comment.
pub(in crate::link) fn split_line(line: &str) -> Result<Option<(String, Vec<String>)>, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let end = line
        .find(|c: char| c.is_ascii_whitespace() || c == '=')
        .unwrap_or(line.len());
    let (keyword, rest) = line.split_at(end);
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('=').unwrap_or(rest);
    let args = split(rest, true)?;
    if args.is_empty() {
        return Err(format!("{keyword} has no value"));
    }
    Ok(Some((keyword.to_ascii_lowercase(), args)))
}

/// Splits a string of command line arguments (`ansible_ssh_common_args`) as a shell does.
pub(in crate::link) fn split_shell(text: &str) -> Result<Vec<String>, String> {
    split(text, false)
}

fn split(text: &str, comments: bool) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', _) if quote != Some('\'') && escapes(chars.peek(), quote, comments) => {
                word.get_or_insert_default().extend(chars.next());
            }
            (c, Some(open)) if c == open => quote = None,
            (c, Some(_)) => word.get_or_insert_default().push(c),
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            ('#', None) if comments && word.is_none() => break,
            (c, None) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err(format!("a quote isn't closed: {text}"));
    }
    words.extend(word);
    Ok(words)
}

/// Is a backslash before this character an escape? ssh_config knows it before quotes, backslashes and blanks only.
fn escapes(next: Option<&char>, quote: Option<char>, config: bool) -> bool {
    match next {
        None => false,
        Some('"' | '\\') => true,
        Some('\'') => quote.is_none() || config,
        Some(' ') => quote.is_none(),
        Some(_) => !config && quote.is_none(),
    }
}
