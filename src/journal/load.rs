//! Reading run records: what is torn is tolerated, what can't have happened is refused.

use super::event::{Event, Record, RunEnd};
use super::run::{Meta, RunError};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Why a record can't be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error("{path}:{line}: not an event: {reason}")]
    Syntax {
        path: PathBuf,
        line: usize,
        reason: String,
    },
    #[error("{path}:{line}: {reason}; the record was changed or mixed up, so it can't be resumed")]
    Illegal {
        path: PathBuf,
        line: usize,
        reason: String,
    },
    #[error("there is no run '{id}'{}", near(.known))]
    NoSuchRun { id: String, known: Vec<String> },
}

fn near(known: &[String]) -> String {
    match known {
        [] => "; no run is recorded here".to_owned(),
        known => format!("; there is {}", known.join(", ")),
    }
}

pub(super) struct Loaded {
    pub(super) records: Vec<Record>,
    /// Length of the file up to the end of the last whole line.
    pub(super) whole: u64,
}

pub(super) fn meta(dir: &Path) -> Result<Meta, LoadError> {
    let path = dir.join("meta.json");
    let text = fs::read(&path).map_err(|source| LoadError::Io {
        path: path.clone(),
        source,
    })?;
    serde_json::from_slice(&text).map_err(|e| LoadError::Syntax {
        path,
        line: e.line(),
        reason: e.to_string(),
    })
}

pub(super) fn events(path: &Path) -> Result<Loaded, LoadError> {
    let bytes = fs::read(path).map_err(|source| LoadError::Io {
        path: path.to_owned(),
        source,
    })?;
    let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
    let mut records = Vec::new();
    let mut legal = Transitions::default();
    for (index, line) in bytes[..whole].split_inclusive(|b| *b == b'\n').enumerate() {
        let record: Record = serde_json::from_slice(line).map_err(|e| LoadError::Syntax {
            path: path.to_owned(),
            line: index + 1,
            reason: e.to_string(),
        })?;
        legal.accept(&record).map_err(|reason| LoadError::Illegal {
            path: path.to_owned(),
            line: index + 1,
            reason,
        })?;
        records.push(record);
    }
    Ok(Loaded {
        records,
        whole: whole as u64,
    })
}

/// The rules that any record of the engine obeys, whatever happened to its process.
#[derive(Default)]
struct Transitions {
    next: u64,
    /// The step (or undo) that is open; a killed process leaves one, and the next process starts with none.
    open: Option<(String, bool)>,
    /// Steps that this process has already run.
    ran: BTreeSet<String>,
    undone: BTreeSet<String>,
    /// Steps that any process has started.
    ever: BTreeSet<String>,
    finished: bool,
}

impl Transitions {
    fn accept(&mut self, record: &Record) -> Result<(), String> {
        if record.seq != self.next {
            return Err(format!("event {} where {} follows", record.seq, self.next));
        }
        self.next += 1;
        if (record.seq == 0) != matches!(record.event, Event::RunStarted { .. }) {
            return Err("a record begins with run_started, once".to_owned());
        }
        if self.finished && !matches!(record.event, Event::RunResumed { .. }) {
            return Err("an event after the end of the run".to_owned());
        }
        match &record.event {
            Event::RunResumed { .. } => {
                *self = Self {
                    next: self.next,
                    ever: std::mem::take(&mut self.ever),
                    ..Self::default()
                };
            }
            Event::RunFinished { .. } => {
                self.none_open()?;
                self.finished = true;
            }
            Event::StepStarted { step, .. } => {
                self.none_open()?;
                if !self.undone.is_empty() {
                    return Err(format!("step {step} started while steps are being undone"));
                }
                if !self.ran.insert(step.clone()) {
                    return Err(format!("step {step} started twice"));
                }
                self.ever.insert(step.clone());
                self.open = Some((step.clone(), false));
            }
            Event::StepSucceeded { step, .. } | Event::StepFailed { step, .. } => {
                self.close(step, false)?;
            }
            Event::UndoStarted { step, .. } => {
                self.none_open()?;
                if !self.ever.contains(step) {
                    return Err(format!("step {step} undone but never started"));
                }
                if !self.undone.insert(step.clone()) {
                    return Err(format!("step {step} undone twice"));
                }
                self.open = Some((step.clone(), true));
            }
            Event::UndoFinished { step, .. } | Event::UndoFailed { step, .. } => {
                self.close(step, true)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn none_open(&self) -> Result<(), String> {
        match &self.open {
            Some((step, _)) => Err(format!("step {step} has not ended yet")),
            None => Ok(()),
        }
    }

    fn close(&mut self, step: &str, undo: bool) -> Result<(), String> {
        match self.open.take() {
            Some((open, kind)) if open == step && kind == undo => Ok(()),
            _ => Err(format!("step {step} ended but was not going on")),
        }
    }
}

/// What is known of a run without reading all of it.
#[derive(Debug, Clone)]
pub struct Summary {
    pub meta: Meta,
    pub state: State,
    /// When its last event was recorded.
    pub last: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Its process is alive.
    Running,
    /// Its process went away without an end: it can be resumed.
    Killed,
    Ended(RunEnd),
}

/// All runs under `root`, oldest first. Directories that aren't runs are passed over.
pub fn list(root: &Path) -> Result<Vec<Summary>, RunError> {
    let entries = match fs::read_dir(root) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(RunError::io(root))?,
    };
    let mut runs = Vec::new();
    for entry in entries {
        let dir = entry.map_err(RunError::io(root))?.path();
        runs.extend(summary(&dir));
    }
    // Not by name: names of one second end in any order.
    runs.sort_by(|a, b| (a.meta.started, &a.meta.id).cmp(&(b.meta.started, &b.meta.id)));
    Ok(runs)
}

fn summary(dir: &Path) -> Result<Summary, RunError> {
    let meta = meta(dir)?;
    let path = dir.join("events.jsonl");
    let last = last_record(&path).map_err(RunError::io(&path))?;
    let state = match &last {
        Some(Record {
            event: Event::RunFinished { end, .. },
            ..
        }) => State::Ended(*end),
        _ if alive(&path) => State::Running,
        _ => State::Killed,
    };
    Ok(Summary {
        last: last.map_or(meta.started, |r| r.time),
        meta,
        state,
    })
}

/// The last whole record; events are small, except for results that carry long output.
fn last_record(path: &Path) -> io::Result<Option<Record>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut window = 1 << 16;
    loop {
        let start = length.saturating_sub(window);
        file.seek(SeekFrom::Start(start))?;
        let mut tail = Vec::new();
        Read::by_ref(&mut file)
            .take(window)
            .read_to_end(&mut tail)?;
        let end = tail.iter().rposition(|b| *b == b'\n').unwrap_or(0);
        let begin = tail[..end].iter().rposition(|b| *b == b'\n');
        match begin {
            Some(begin) => return Ok(serde_json::from_slice(&tail[begin + 1..end]).ok()),
            None if start == 0 => return Ok(serde_json::from_slice(&tail[..end]).ok()),
            None => window *= 4,
        }
    }
}

/// A process that records a run holds the lock of its events file for as long as it lives.
fn alive(events: &Path) -> bool {
    File::open(events)
        .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// The run was recorded here and its process is gone. Proof enough to take over what it held.
pub fn is_dead(root: &Path, id: &str) -> bool {
    let events = root.join(id).join("events.jsonl");
    events.exists() && !alive(&events)
}

/// All that was recorded of a run. `id` may be shortened to its last letters or be `last`.
pub fn open(root: &Path, id: &str) -> Result<(Meta, Vec<Record>), RunError> {
    let id = find(root, id)?;
    let dir = root.join(id);
    let records = events(&dir.join("events.jsonl"))?.records;
    Ok((meta(&dir)?, records))
}

/// The full name of a run that was named in full, by its last letters, or as `last`.
pub fn find(root: &Path, id: &str) -> Result<String, RunError> {
    let runs = list(root)?;
    let matching: Vec<&Summary> = match id {
        "last" => runs.last().into_iter().collect(),
        id => runs.iter().filter(|r| r.meta.id.ends_with(id)).collect(),
    };
    match matching.as_slice() {
        [one] => Ok(one.meta.id.clone()),
        _ => Err(LoadError::NoSuchRun {
            id: id.to_owned(),
            known: runs
                .iter()
                .rev()
                .take(3)
                .map(|r| r.meta.id.clone())
                .collect(),
        }
        .into()),
    }
}
