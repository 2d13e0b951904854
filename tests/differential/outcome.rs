//! What came of a run, in one form for both programs.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt::Write;

/// One run of one program.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    pub rc: i32,
    pub stdout: String,
    pub stderr: String,
    pub records: Vec<Record>,
}

/// Something that happened, as record.py writes it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Record {
    Play {
        name: String,
    },
    Task {
        name: String,
        handler: bool,
    },
    Result {
        host: String,
        task: String,
        status: String,
        item: Option<String>,
        shown: Option<Map<String, Value>>,
        delegate: Option<Value>,
    },
    Note {
        text: String,
    },
    Recap {
        host: String,
        /// ok, changed, unreachable, failed, skipped, rescued, ignored
        counts: [u32; 7],
    },
}

/// What happened as text: results of one task sorted by host, because they come as hosts are done.
pub fn transcript(outcome: &Outcome, by_host: bool) -> String {
    let mut text = String::new();
    let (mut pending, mut notes) = (Vec::new(), Vec::new());
    let flush = |pending: &mut Vec<(String, String)>, text: &mut String| {
        pending.sort_by(|a, b| a.0.cmp(&b.0));
        for (_, line) in pending.drain(..) {
            text.push_str(&line);
        }
    };
    for record in &outcome.records {
        match record {
            Record::Play { name } => {
                flush(&mut pending, &mut text);
                let _ = writeln!(text, "PLAY {name}");
            }
            Record::Task { name, handler } => {
                if !by_host {
                    flush(&mut pending, &mut text);
                    let _ = writeln!(text, "{} {name}", if *handler { "HANDLER" } else { "TASK" });
                }
            }
            Record::Result { .. } => pending.push(line_of(record, by_host)),
            Record::Note { text } => notes.push(text.clone()),
            Record::Recap { host, counts } => {
                flush(&mut pending, &mut text);
                let [ok, changed, unreachable, failed, skipped, rescued, ignored] = counts;
                let _ = writeln!(
                    text,
                    "RECAP {host} ok={ok} changed={changed} unreachable={unreachable} failed={failed} \
                     skipped={skipped} rescued={rescued} ignored={ignored}"
                );
            }
        }
    }
    flush(&mut pending, &mut text);
    for note in notes {
        let _ = writeln!(text, "NOTE {note}");
    }
    let _ = writeln!(text, "EXIT {}", outcome.rc);
    text
}

/// A result with the host that it is sorted by.
fn line_of(record: &Record, by_host: bool) -> (String, String) {
    let Record::Result {
        host,
        task,
        status,
        item,
        shown,
        ..
    } = record
    else {
        return Default::default();
    };
    let mut line = host.clone();
    if by_host {
        let _ = write!(line, " [{task}]");
    }
    let _ = write!(line, " {status}");
    if let Some(item) = item {
        let _ = write!(line, " item={item}");
    }
    if let Some(shown) = shown {
        let _ = write!(line, " {}", sorted(&Value::Object(shown.clone())));
    }
    line.push('\n');
    (host.clone(), line)
}

/// JSON with sorted keys.
fn sorted(value: &Value) -> String {
    let mut value = value.clone();
    value.sort_all_objects();
    value.to_string()
}

/// Text without the directory that a case ran in.
pub fn placeless(text: &str, dir: &str) -> String {
    text.replace(dir, "/CASE")
}
