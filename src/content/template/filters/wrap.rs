//! `wordwrap`: lines as Python's `textwrap` breaks them.

use super::text::{like, only_text};
use super::{Filter, filter};
use crate::content::template::eval::args::{Args, optional_int, text_of};
use crate::content::template::eval::{Interp, Outcome, lines};
use crate::content::value::Value;
use fancy_regex::Regex;
use std::sync::LazyLock;

pub(super) const FILTERS: &[Filter] = &[filter(
    "wordwrap",
    wordwrap,
    ("'one two three' | wordwrap(7)", "'one two\\nthree'"),
)];

/// Blanks, dashes between words, and words up to a hyphen between letters.
static CHUNKS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let word = r#"[\w!"'&.,?]"#;
    let letter = r"[^\d\W]";
    let hyphen =
        format!(r"-(?:(?<={letter}{letter}-)|(?<={letter}-{word}-))(?={letter}-?{letter})");
    Regex::new(&format!(
        r"[\t\n\x0b\x0c\r ]+|(?<={word})-{{2,}}(?=\w)|[^\t\n\x0b\x0c\r ]+?(?:{hyphen}|(?=[\t\n\x0b\x0c\r ]|\z)|(?<={word})(?=-{{2,}}\w))"
    ))
    .ok()
});

fn chunks(line: &str, hyphens: bool) -> Vec<String> {
    if let (true, Some(regex)) = (hyphens, &*CHUNKS) {
        let found = regex.find_iter(line).filter_map(Result::ok);
        return found.map(|found| found.as_str().to_owned()).collect();
    }
    let mut found: Vec<String> = Vec::new();
    let mut blank = None;
    for c in line.chars() {
        let is_blank = c.is_ascii_whitespace();
        match found.last_mut().filter(|_| blank == Some(is_blank)) {
            Some(last) => last.push(c),
            None => found.push(c.to_string()),
        }
        blank = Some(is_blank);
    }
    found
}

fn is_blank(chunk: &str) -> bool {
    chunk.trim().is_empty()
}

fn wrap(line: &str, width: usize, cut: bool, hyphens: bool) -> Vec<String> {
    let mut rest: std::collections::VecDeque<String> = chunks(line, hyphens).into();
    let mut wrapped: Vec<String> = Vec::new();
    while !rest.is_empty() {
        if !wrapped.is_empty() && rest.front().is_some_and(|chunk| is_blank(chunk)) {
            rest.pop_front();
        }
        let mut current: Vec<String> = Vec::new();
        let mut used = 0;
        while let Some(chunk) = rest.pop_front() {
            let size = chunk.chars().count();
            if used + size <= width {
                used += size;
                current.push(chunk);
                continue;
            }
            if size <= width {
                rest.push_front(chunk);
                break;
            }
            if !cut {
                if current.is_empty() {
                    current.push(chunk);
                } else {
                    rest.push_front(chunk);
                }
                break;
            }
            let room = width.saturating_sub(used).max(1);
            let (head, tail) = split_long(&chunk, room, hyphens);
            current.push(head);
            rest.push_front(tail);
            break;
        }
        if current.last().is_some_and(|chunk| is_blank(chunk)) {
            current.pop();
        }
        if !current.is_empty() {
            wrapped.push(current.concat());
        }
    }
    wrapped
}

/// A word that is too long for any line, cut behind a hyphen when it has one in time.
fn split_long(chunk: &str, room: usize, hyphens: bool) -> (String, String) {
    let letters: Vec<char> = chunk.chars().collect();
    let hyphen = letters[..room.min(letters.len())]
        .iter()
        .rposition(|c| *c == '-');
    let hyphen = hyphen.filter(|at| hyphens && *at > 0 && letters[..*at].iter().any(|c| *c != '-'));
    let end = hyphen.map_or(room, |at| at + 1);
    (
        letters[..end].iter().collect(),
        letters[end..].iter().collect(),
    )
}

fn wordwrap(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let names = [
        "width",
        "break_long_words",
        "wrapstring",
        "break_on_hyphens",
    ];
    let [width, cut, string, hyphens] = args.bind("wordwrap", names)?;
    let width = optional_int("width", width)?.unwrap_or(79);
    let width = usize::try_from(width).unwrap_or(0).max(1);
    let cut = cut.is_none_or(|cut| cut.truthy());
    let hyphens = hyphens.is_none_or(|hyphens| hyphens.truthy());
    let separator = match string {
        None | Some(Value::None) => "\n".to_owned(),
        Some(string) => text_of(&string)?,
    };
    let text = only_text("wordwrap", value)?;
    let wrapped = lines(text, false);
    let wrapped = wrapped
        .iter()
        .map(|line| wrap(line, width, cut, hyphens).join(&separator));
    Ok(like(value, wrapped.collect::<Vec<_>>().join(&separator)))
}
