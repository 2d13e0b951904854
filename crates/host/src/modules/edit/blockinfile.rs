//! `blockinfile`: a block of lines between two marker lines.

use super::{Edited, SHARED, ended, is_in, line_pattern};
use crate::modules::ownership::Ownership;
use crate::modules::rewrite::Rewrite;
use crate::regex::Regex;
use crate::spec::join;
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Return, Rule, Spec};
use serde::Deserialize;

#[derive(Deserialize)]
pub struct Blockinfile {
    path: String,
    state: String,
    marker: String,
    marker_begin: String,
    marker_end: String,
    block: String,
    insertafter: Option<String>,
    insertbefore: Option<String>,
    create: bool,
    append_newline: bool,
    prepend_newline: bool,
    #[serde(flatten)]
    ownership: Ownership,
    #[serde(flatten)]
    rewrite: Rewrite,
}

const ARGS: [Arg; 22] = join(
    [
        Arg::new("state", Kind::Str, "Whether the block is to be there.")
            .choices(&["absent", "present"])
            .default("present"),
        Arg::new(
            "marker",
            Kind::Str,
            "The lines around the block; {mark} in it becomes marker_begin and marker_end.",
        )
        .default("# {mark} ANSIBLE MANAGED BLOCK"),
        Arg::new(
            "block",
            Kind::Str,
            "The lines; none of them: the block goes.",
        )
        .aliases(&["content"])
        .default(""),
        Arg::new(
            "insertafter",
            Kind::Str,
            "Where a block goes that isn't there: after the last line that fits this expression, or EOF.",
        ),
        Arg::new(
            "insertbefore",
            Kind::Str,
            "Where a block goes that isn't there: before the last line that fits this expression, or BOF.",
        ),
        Arg::new("create", Kind::Bool, "Make a file that isn't there.").default("no"),
        Arg::new(
            "marker_begin",
            Kind::Str,
            "What {mark} is before the block.",
        )
        .default("BEGIN"),
        Arg::new("marker_end", Kind::Str, "What {mark} is after the block.").default("END"),
        Arg::new(
            "append_newline",
            Kind::Bool,
            "An empty line after the block, unless it ends the file.",
        )
        .default("no"),
        Arg::new(
            "prepend_newline",
            Kind::Bool,
            "An empty line before the block, unless it begins the file.",
        )
        .default("no"),
    ],
    SHARED,
);

impl Module for Blockinfile {
    const SPEC: Spec = Spec::new(
        "blockinfile",
        "Keeps a block of lines in a text file, between marker lines.",
        &ARGS,
    )
    .rules(&[Rule::Exclusive(&["insertbefore", "insertafter"])])
    .returns(&[
        Return::new("msg", "What was done."),
        Return::new("backup_file", "The copy of the old file, with backup."),
    ]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let place = self.place()?;
        let file = Edited::open_or_create(cx, &self.path, self.create, "Path")?;
        if self.state == "absent" && file.before.is_none() {
            let text = format!("File {} not present", file.path.display());
            return Ok(Outcome::ok().msg(text));
        }
        let block = self.lines();
        let said = match (&file.before, block.is_empty()) {
            (None, _) => "File created",
            (_, true) => "Block removed",
            _ => "Block inserted",
        };
        let after = self.edit(file.content(), &block, &place)?;
        let changed = file.before.as_ref() != Some(&after);
        let done = file.finish(
            cx,
            changed.then_some(&after[..]),
            said,
            &self.ownership,
            &self.rewrite,
        )?;
        Ok(match done.backup {
            Some(backup) => done.outcome.with("backup_file", backup.to_string_lossy()),
            None => done.outcome,
        })
    }
}

/// Where a block goes that isn't in the file.
enum Place {
    Start,
    End,
    After(Regex),
    Before(Regex),
}

impl Blockinfile {
    fn place(&self) -> Result<Place, Failure> {
        Ok(
            match (self.insertafter.as_deref(), self.insertbefore.as_deref()) {
                (Some("EOF"), _) | (None, None) => Place::End,
                (Some(pattern), _) => Place::After(line_pattern("insertafter", pattern)?),
                (None, Some("BOF")) => Place::Start,
                (None, Some(pattern)) => Place::Before(line_pattern("insertbefore", pattern)?),
            },
        )
    }

    fn mark(&self, word: &str) -> Vec<u8> {
        let line = self.marker.replace("{mark}", word) + "\n";
        line.into_bytes()
    }

    /// The block with its markers; nothing when it is to go.
    fn lines(&self) -> Vec<Vec<u8>> {
        if self.state == "absent" || self.block.is_empty() {
            return Vec::new();
        }
        let mut all = vec![self.mark(&self.marker_begin)];
        all.extend(split(&ended(self.block.as_bytes())));
        all.push(self.mark(&self.marker_end));
        all
    }

    /// The content with the block in its place.
    fn edit(&self, content: &[u8], block: &[Vec<u8>], place: &Place) -> Result<Vec<u8>, Failure> {
        let mut lines = split(content);
        let begin = self.mark(&self.marker_begin);
        let end = self.mark(&self.marker_end);
        let last = |mark: &Vec<u8>| lines.iter().rposition(|line| line == mark);
        let mut at = match (last(&begin), last(&end)) {
            (Some(begin), Some(end)) => {
                let (from, to) = (begin.min(end), begin.max(end));
                lines.drain(from..=to);
                from
            }
            _ => spot(content, &lines, place)?,
        };
        if let Some(before) = at.checked_sub(1) {
            lines[before] = ended(&lines[before]);
        }
        let present = self.state == "present";
        let blank = b"\n".to_vec();
        if self.prepend_newline && present && at != 0 && lines[at - 1] != blank {
            lines.insert(at, blank.clone());
            at += 1;
        }
        let behind = at + block.len();
        lines.splice(at..at, block.iter().cloned());
        if self.append_newline && present && lines.get(behind).is_some_and(|next| *next != blank) {
            lines.insert(behind, blank);
        }
        Ok(lines.concat())
    }
}

/// The index of the line before which a new block goes.
fn spot(content: &[u8], lines: &[Vec<u8>], place: &Place) -> Result<usize, Failure> {
    let (regex, after) = match place {
        Place::Start => return Ok(0),
        Place::End => return Ok(lines.len()),
        Place::After(regex) => (regex, 1),
        Place::Before(regex) => (regex, 0),
    };
    if regex.flags().multi_line {
        // Such an expression may span lines, so it sees the whole file.
        let found = regex.find(content).map_err(Failure::new)?;
        return Ok(found
            .and_then(|found| found.span(0))
            .map_or(lines.len(), |(from, to)| {
                let until = if after == 1 { to } else { from };
                let above = content[..until].iter().filter(|byte| **byte == b'\n');
                (above.count() + after).min(lines.len())
            }));
    }
    let mut last = None;
    for (at, line) in lines.iter().enumerate() {
        if is_in(regex, line)? {
            last = Some(at + after);
        }
    }
    Ok(last.unwrap_or(lines.len()))
}

/// Lines as Python's `splitlines` sees them: a carriage return ends one as well.
fn split(content: &[u8]) -> Vec<Vec<u8>> {
    let mut lines = Vec::new();
    let mut start = 0;
    for (at, byte) in content.iter().enumerate() {
        let ends = match byte {
            b'\n' => true,
            b'\r' => content.get(at + 1) != Some(&b'\n'),
            _ => false,
        };
        if ends {
            lines.push(content[start..=at].to_vec());
            start = at + 1;
        }
    }
    if start < content.len() {
        lines.push(content[start..].to_vec());
    }
    lines
}
