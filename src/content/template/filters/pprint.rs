//! `pprint`: values as Python's `pprint` writes them, 80 columns wide, keys in order.

use super::text::like;
use super::{Filter, filter};
use crate::content::template::eval::args::Args;
use crate::content::template::eval::{Interp, Outcome};
use crate::content::value::{Mistake, Value, read};

pub(super) const FILTERS: &[Filter] = &[filter(
    "pprint",
    pprint,
    ("{'b': 1, 'a': [1]} | pprint", "\"{'a': [1], 'b': 1}\""),
)];

const WIDTH: usize = 80;

fn pprint(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.none("pprint")?;
    if let Value::Undefined(missing) = value {
        return Err(Mistake::undefined(missing).into());
    }
    let mut out = String::new();
    write(&mut out, value, 0, 0, 1);
    Ok(like(value, out))
}

/// The entries of a dictionary by their keys; keys of different types by the names of these.
fn in_order(value: &Value) -> Vec<(Value, Value)> {
    let entries = value.entries().unwrap_or_default();
    let mut entries: Vec<_> = entries
        .into_iter()
        .map(|(key, value)| (key.0, value))
        .collect();
    entries.sort_by(|(one, _), (other, _)| {
        one.order(other)
            .unwrap_or_else(|_| one.type_name().cmp(other.type_name()))
    });
    entries
}

/// On one line.
fn flat(value: &Value) -> String {
    let all = |items: &[Value]| items.iter().map(flat).collect::<Vec<_>>().join(", ");
    match value {
        Value::List(items) => format!("[{}]", all(&read(items))),
        Value::Tuple(items) if items.len() == 1 => format!("({},)", flat(&items[0])),
        Value::Tuple(items) => format!("({})", all(items)),
        Value::Dict(_) => {
            let entries = in_order(value);
            let entries = entries
                .iter()
                .map(|(key, value)| format!("{}: {}", flat(key), flat(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
        other => other.repr(),
    }
}

/// A text as Python's literal.
fn text_repr(text: &str) -> String {
    Value::from(text).repr()
}

fn width(text: &str) -> usize {
    text.chars().count()
}

/// Writes a value that begins in column `indent`; `after` more characters follow it on its last line.
fn write(out: &mut String, value: &Value, indent: usize, after: usize, level: u32) {
    let line = flat(value);
    if width(&line) <= WIDTH.saturating_sub(indent + after) {
        out.push_str(&line);
        return;
    }
    match value {
        Value::Dict(_) => {
            out.push('{');
            let entries = in_order(value);
            let count = entries.len();
            for (at, (key, value)) in entries.iter().enumerate() {
                let key = flat(key);
                out.push_str(&key);
                out.push_str(": ");
                let after = if at + 1 == count { after + 1 } else { 1 };
                write(out, value, indent + 1 + width(&key) + 2, after, level + 1);
                if at + 1 < count {
                    out.push_str(",\n");
                    out.push_str(&" ".repeat(indent + 1));
                }
            }
            out.push('}');
        }
        Value::List(list) => items(out, &read(list).clone(), ("[", "]"), indent, after, level),
        Value::Tuple(tuple) => {
            let close = if tuple.len() == 1 { ",)" } else { ")" };
            items(out, tuple, ("(", close), indent, after, level);
        }
        Value::Str(text) if !text.text.is_empty() => string(out, &text.text, indent, after, level),
        _ => out.push_str(&line),
    }
}

fn items(
    out: &mut String,
    items: &[Value],
    (open, close): (&str, &str),
    indent: usize,
    after: usize,
    level: u32,
) {
    out.push_str(open);
    for (at, item) in items.iter().enumerate() {
        let last = at + 1 == items.len();
        write(
            out,
            item,
            indent + 1,
            if last { after + close.len() } else { 1 },
            level + 1,
        );
        if !last {
            out.push_str(",\n");
            out.push_str(&" ".repeat(indent + 1));
        }
    }
    out.push_str(close);
}

/// A long text as several literals below each other: by lines, then by words.
fn string(out: &mut String, text: &str, mut indent: usize, mut after: usize, level: u32) {
    if level == 1 {
        indent += 1;
        after += 1;
    }
    let room = WIDTH.saturating_sub(indent);
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut chunks = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let last_line = at + 1 == lines.len();
        let own = text_repr(line);
        if width(&own)
            <= if last_line {
                room.saturating_sub(after)
            } else {
                room
            }
        {
            chunks.push(own);
            continue;
        }
        let words = words(line);
        let mut current = String::new();
        for (at, word) in words.iter().enumerate() {
            let last = last_line && at + 1 == words.len();
            let longer = format!("{current}{word}");
            if width(&text_repr(&longer))
                > if last {
                    room.saturating_sub(after)
                } else {
                    room
                }
            {
                if !current.is_empty() {
                    chunks.push(text_repr(&current));
                }
                current = (*word).to_owned();
            } else {
                current = longer;
            }
        }
        if !current.is_empty() {
            chunks.push(text_repr(&current));
        }
    }
    let several = level == 1 && chunks.len() > 1;
    if several {
        out.push('(');
    }
    out.push_str(&chunks.join(&format!("\n{}", " ".repeat(indent))));
    if several {
        out.push(')');
    }
}

/// Words, each with the blanks behind it.
fn words(line: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut start = 0;
    let mut blank = false;
    for (at, c) in line.char_indices() {
        if blank && !c.is_whitespace() {
            found.push(&line[start..at]);
            start = at;
        }
        blank = c.is_whitespace();
    }
    found.push(&line[start..]);
    found
}
