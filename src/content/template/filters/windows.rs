//! Paths of Windows, as text.

use super::text::like;
use super::{Filter, filter};
use crate::content::template::eval::args::{Args, text_of};
use crate::content::template::eval::{Interp, Outcome};
use crate::content::value::Value;

pub(super) const FILTERS: &[Filter] = &[
    filter(
        "win_basename",
        win_basename,
        (r"'C:\\a\\b.txt' | win_basename", "'b.txt'"),
    ),
    filter(
        "win_dirname",
        win_dirname,
        (r"'C:\\a\\b.txt' | win_dirname", r"'C:\\a'"),
    ),
    filter(
        "win_splitdrive",
        win_splitdrive,
        (r"'C:\\a' | win_splitdrive", r"('C:', '\\a')"),
    ),
];

const SEPARATORS: [char; 2] = ['\\', '/'];

/// The drive (`C:`, or `\\server\share`) and the rest.
fn split_drive(path: &str) -> (&str, &str) {
    let separated = |text: &str| text.starts_with(SEPARATORS);
    if separated(path) && path.len() > 1 && separated(&path[1..]) && !separated(&path[2..]) {
        let Some(server) = path[2..].find(SEPARATORS).map(|at| at + 2) else {
            return (path, "");
        };
        let share = path[server + 1..]
            .find(SEPARATORS)
            .map_or(path.len(), |at| at + server + 1);
        return path.split_at(share);
    }
    match path.char_indices().nth(1) {
        Some((at, ':')) => path.split_at(at + 1),
        _ => ("", path),
    }
}

/// The directory and the last part.
fn split(path: &str) -> (String, &str) {
    let (drive, rest) = split_drive(path);
    let at = rest.rfind(SEPARATORS).map_or(0, |at| at + 1);
    let (above, last) = rest.split_at(at);
    let trimmed = above.trim_end_matches(SEPARATORS);
    let above = if trimmed.is_empty() { above } else { trimmed };
    (format!("{drive}{above}"), last)
}

fn win_basename(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.none("win_basename")?;
    Ok(like(value, split(&text_of(value)?).1))
}

fn win_dirname(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.none("win_dirname")?;
    Ok(like(value, split(&text_of(value)?).0))
}

fn win_splitdrive(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.none("win_splitdrive")?;
    let text = text_of(value)?;
    let (drive, rest) = split_drive(&text);
    Ok(Value::tuple(vec![like(value, drive), like(value, rest)]))
}
