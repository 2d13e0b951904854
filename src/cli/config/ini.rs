//! ansible.cfg: the INI of Python's configparser, with `;` for comments at the ends of lines.

use crate::content::place::{Fault, Place};
use std::path::Path;
use std::sync::Arc;

/// One `key = value`; keys in small letters, as configparser has them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub section: String,
    pub key: String,
    pub value: String,
}

/// All entries, in order. Lines that are indented deeper go on with the value above them.
pub(super) fn parse(text: &str, file: &Path) -> Result<Vec<Entry>, Fault> {
    let path: Arc<Path> = Arc::from(file);
    let mut entries: Vec<Entry> = Vec::new();
    let mut section: Option<String> = None;
    // How deep the key above is indented; None where nothing can go on.
    let mut above: Option<usize> = None;
    for (row, line) in text.lines().enumerate() {
        let wrong = |message: &str| {
            let row = u32::try_from(row + 1).unwrap_or(u32::MAX);
            Fault::new(message).at(&Place::new(&path, row, 1))
        };
        let content = without_comment(line);
        let trimmed = content.trim();
        if trimmed.is_empty() {
            continue;
        }
        let depth = content.len() - content.trim_start().len();
        if let (Some(key), Some(entry)) = (above, entries.last_mut())
            && depth > key
        {
            entry.value.push('\n');
            entry.value.push_str(trimmed);
            continue;
        }
        if let Some(name) = trimmed
            .strip_prefix('[')
            .and_then(|rest| rest.split(']').next().filter(|_| rest.contains(']')))
        {
            section = Some(name.to_owned());
            above = None;
            continue;
        }
        let Some(section) = &section else {
            return Err(wrong(
                "a section such as [defaults] is expected before the first setting",
            ));
        };
        let Some(at) = trimmed.find(['=', ':']) else {
            return Err(wrong("`name = value` is expected here"));
        };
        let (key, value) = trimmed.split_at(at);
        above = Some(depth);
        entries.push(Entry {
            section: section.clone(),
            key: key.trim().to_lowercase(),
            value: value[1..].trim().to_owned(),
        });
    }
    Ok(entries)
}

/// A line up to its comment: whole lines begin with `#` or `;`, within a line only ` ;` begins one.
fn without_comment(line: &str) -> &str {
    let start = line.trim_start();
    if start.starts_with(['#', ';']) {
        return "";
    }
    let mut before = ' ';
    for (at, letter) in line.char_indices() {
        if letter == ';' && before.is_whitespace() {
            return &line[..at];
        }
        before = letter;
    }
    line
}
