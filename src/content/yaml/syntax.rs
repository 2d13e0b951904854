//! What to say about text that isn't YAML: libyaml's own words, the place, and a hint for the classic mistakes.

use crate::content::place::{Fault, Place};
use libyaml_safer::{Error, Mark};
use std::path::Path;
use std::sync::Arc;

/// A line of a text, counted from 1.
pub fn line(text: &str, number: u32) -> Option<&str> {
    text.lines().nth((number.checked_sub(1)?) as usize)
}

/// The fault for an error of libyaml.
pub fn fault(error: &Error, text: &str, file: &Arc<Path>) -> Fault {
    let Some(mark) = error.problem_mark() else {
        return unreadable(error, text, file);
    };
    let context = error.context_mark();
    // Of what is never finished, the start is the mistake; libyaml points to where it gave up.
    let unfinished = matches!(
        error.problem(),
        "could not find expected ':'" | "found unexpected end of stream"
    );
    let mut message = format!("this isn't valid YAML: {}", problem(error.problem()));
    if let Some(words) = error.context() {
        message.push_str(", ");
        message.push_str(words);
        if let Some(start) = context.filter(|start| start.line != mark.line && !unfinished) {
            message.push_str(&format!(
                " that started at line {}, column {}",
                start.line + 1,
                start.column + 1
            ));
        }
    }
    let shown = context.filter(|_| unfinished).unwrap_or(mark);
    let mut fault = Fault::new(message).at(&place(shown, file));
    if let Some(hint) = hint(error.problem(), mark, context, text) {
        fault = fault.hint(hint);
    }
    fault
}

/// libyaml's problem, where its words alone would puzzle a reader.
fn problem(words: &str) -> &str {
    match words {
        "did not find expected key" => "expected a key (`name: value`) here",
        "did not find expected '-' indicator" => "expected a list item (`- value`) here",
        "could not find expected ':'" => "expected `:` after a key",
        "mapping values are not allowed in this context" => "a `:` can't stand here",
        "found character that cannot start any token" => {
            "this character can't start a value without quotes"
        }
        "did not find expected <document start>" => "expected the end of the text or `---` here",
        other => other,
    }
}

fn place(mark: Mark, file: &Arc<Path>) -> Place {
    let count = |value: u64| u32::try_from(value + 1).unwrap_or(u32::MAX);
    Place::new(file, count(mark.line), count(mark.column))
}

/// Text that YAML doesn't allow at all: control characters. libyaml tells no place for them.
fn unreadable(error: &Error, text: &str, file: &Arc<Path>) -> Fault {
    let found = text.char_indices().find(|(_, c)| {
        !matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
    });
    let Some((offset, character)) = found else {
        return Fault::new(format!("this isn't valid YAML: {error}")).at(&Place::file(file));
    };
    let before = &text[..offset];
    let row = before.matches('\n').count();
    let column = before.chars().rev().take_while(|c| *c != '\n').count();
    let number = |value: usize| u32::try_from(value + 1).unwrap_or(u32::MAX);
    Fault::new(format!(
        "this isn't valid YAML: control character U+{:04X}",
        u32::from(character)
    ))
    .at(&Place::new(file, number(row), number(column)))
    .hint("remove it, or write it as an escape inside double quotes")
}

/// The most likely mistake behind an error of the parser.
fn hint(problem: &str, mark: Mark, context: Option<Mark>, text: &str) -> Option<String> {
    let number = u32::try_from(mark.line + 1).ok()?;
    let here = line(text, number).unwrap_or_default();
    let above = preceding_line(text, number);
    if let Some(hint) = tab_hint(here).or_else(|| above.and_then(tab_hint)) {
        return Some(hint);
    }
    let started = context.and_then(|start| line(text, u32::try_from(start.line + 1).ok()?));
    for candidate in [Some(here), above, started].into_iter().flatten() {
        if starts_with_template(candidate) {
            return Some(quote_template_hint(candidate));
        }
    }
    let suspects = || [Some(here), above].into_iter().flatten();
    if let Some(suspect) = suspects().find(|suspect| partly_quoted(suspect)) {
        return Some(format!(
            "a value that starts with a quote must end with it; quote the whole value: {}",
            quoted_example(suspect)
        ));
    }
    match problem {
        "mapping values are not allowed in this context" => Some(colon_hint(here, above)),
        "could not find expected ':'" | "did not find expected <document start>" => {
            let missing = [started, above, Some(here)]
                .into_iter()
                .flatten()
                .find_map(without_space);
            Some(missing.unwrap_or_else(|| "write `key: value`; text that goes on in the next line must be indented deeper than its key".to_owned()))
        }
        "did not find expected key" | "did not find expected '-' indicator" => {
            let column = context?.column + 1;
            Some(format!(
                "keys of one mapping and items of one list must start at one column (here column {column}); check the indentation of this line and the ones above"
            ))
        }
        "found character that cannot start any token" => Some("quote the whole value".to_owned()),
        "found unexpected end of stream" => Some(match context {
            Some(start) => format!(
                "the quote that opens at line {} is never closed",
                start.line + 1
            ),
            None => "something that was opened is never closed".to_owned(),
        }),
        "found unknown escape character" => Some(
            "in double quotes a backslash starts an escape: double it, or use single quotes"
                .to_owned(),
        ),
        "did not find expected ',' or ']'" | "did not find expected ',' or '}'" => Some(
            "a bracket or a comma is missing; quote values that hold `{`, `[` or `,`".to_owned(),
        ),
        _ => None,
    }
}

/// The nearest line above that isn't blank or a comment.
fn preceding_line(text: &str, number: u32) -> Option<&str> {
    let above = text.lines().take(number.saturating_sub(1) as usize);
    above
        .filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
        .last()
}

fn tab_hint(line: &str) -> Option<String> {
    let indent = &line[..line.len() - line.trim_start_matches([' ', '\t']).len()];
    indent.contains('\t').then(|| {
        "this line (or the one above it) is indented with a tab: YAML allows only spaces".to_owned()
    })
}

/// The value part of a line: after `key:` or `- `.
fn value_of(line: &str) -> Option<(&str, &str)> {
    let split = line
        .find(": ")
        .map(|at| at + 2)
        .or_else(|| line.find("- ").map(|at| at + 2))?;
    Some((&line[..split], line[split..].trim()))
}

fn starts_with_template(line: &str) -> bool {
    let value = value_of(line).map_or(line.trim(), |(_, value)| value);
    let value = value.trim_start_matches("- ");
    value.starts_with("{{") || value.starts_with("{%")
}

/// A hint that shows a line with its template quoted.
pub fn quote_template_hint(line: &str) -> String {
    format!(
        "a value that starts with a template must be quoted as a whole: {}",
        quoted_example(line)
    )
}

/// The line with its value in quotes that it doesn't hold itself.
fn quoted_example(line: &str) -> String {
    let (before, value) = value_of(line).unwrap_or(("", line.trim()));
    let (before, value) = match value.strip_prefix("- ") {
        Some(rest) => (format!("{}- ", before.trim_start()), rest.trim()),
        None => (before.trim_start().to_owned(), value),
    };
    if value.contains('"') {
        format!("`{before}'{}'`", value.replace('\'', "''"))
    } else {
        format!("`{before}\"{}\"`", value.replace('\\', "\\\\"))
    }
}

/// A value such as `"ok" in result` that starts with a quote and goes on after it closes.
fn partly_quoted(line: &str) -> bool {
    let Some((_, value)) = value_of(line) else {
        return false;
    };
    let value = value.trim_start_matches("- ");
    let Some(quote) = value.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
        return false;
    };
    let rest = &value[1..];
    match rest.find(quote) {
        Some(end) => {
            let after = rest[end + 1..].trim_start();
            !after.is_empty() && !after.starts_with(['#', ':', ',', '\'', '}', ']'])
        }
        None => false,
    }
}

fn colon_hint(here: &str, above: Option<&str>) -> String {
    if here.matches(": ").count() + usize::from(here.trim_end().ends_with(':')) > 1 {
        return format!(
            "text that holds `: ` must be quoted: {}",
            quoted_example(here)
        );
    }
    match above {
        Some(above) if value_of(above).is_some_and(|(_, value)| !value.is_empty()) => format!(
            "the line above (`{}`) already has a value: this line is indented too deep, or that value needs quotes",
            above.trim()
        ),
        Some(above) if !above.contains(':') => {
            format!("is a colon missing after `{}`?", above.trim())
        }
        _ => "check the indentation of this line".to_owned(),
    }
}

/// `key:value`, where a space is missing.
fn without_space(line: &str) -> Option<String> {
    let line = line.trim().trim_start_matches("- ");
    let (key, value) = line.split_once(':')?;
    let word = |text: &str| {
        !text.is_empty()
            && text
                .chars()
                .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
    };
    (word(key) && !value.is_empty() && !value.starts_with([' ', '/', ':']))
        .then(|| format!("a space is missing after the colon: `{key}: {value}`"))
}
