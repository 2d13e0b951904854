//! What can happen in a run. Everything that the terminal draws and that `runs show` needs to draw again.

use indexmap::IndexMap;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io;

/// One line of `events.jsonl`: an event, when it happened and its place in the order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Counts from 0 without gaps, over all processes that worked on the run.
    pub seq: u64,
    pub time: Timestamp,
    #[serde(flatten)]
    pub event: Event,
}

/// Something that happened. Names of hosts are inventory names; durations are seconds; places are `file:line:column`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    RunStarted {
        id: String,
        /// The verb: `play`, `replace-node`…
        command: String,
        /// What was typed after it, with secrets replaced by `***`.
        arguments: Vec<String>,
        inventory: Vec<String>,
        user: String,
        /// The controller.
        host: String,
        pid: u32,
        version: String,
    },
    /// Another process goes on with the run.
    RunResumed {
        user: String,
        host: String,
        pid: u32,
        version: String,
    },
    /// A playbook begins; `path` as it was given.
    PlaybookStarted {
        path: String,
        plays: usize,
        /// The whole run is in check mode.
        #[serde(default)]
        check: bool,
    },
    PlayStarted {
        name: String,
        hosts: Vec<String>,
        #[serde(default)]
        check: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        place: Option<String>,
    },
    TaskStarted {
        name: String,
        /// The module or action, when it is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        module: Option<String>,
        /// The module as it was written.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        action: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        role: Option<String>,
        #[serde(default)]
        handler: bool,
        #[serde(default)]
        check: bool,
        /// The arguments as they were written, `name=value` with commas, where settings ask for them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        arguments: Option<String>,
        /// How many hosts it is for.
        #[serde(default)]
        hosts: usize,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        place: Option<String>,
    },
    /// The end of a task, or of one item of its loop, on one host.
    HostResult {
        host: String,
        task: String,
        /// The label of the loop item.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<String>,
        status: Status,
        /// One line for people: why it failed or was skipped, or what a debug task says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
        /// The result as `register` sees it, scrubbed (`no_log`, secrets); null where nothing is worth keeping.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        result: Value,
        /// What the module returned as `diff`: a dictionary or a list of them (before, after, before_header, after_header, prepared).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        diff: Option<Value>,
        #[serde(default, skip_serializing_if = "Delegate::is_none")]
        delegate: Delegate,
        /// How much of the result is for people.
        #[serde(default, skip_serializing_if = "Detail::is_normal")]
        detail: Detail,
        /// Where the task was written, when something went wrong.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        place: Option<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        hints: Vec<String>,
        duration: f64,
    },
    /// The end of a task with a loop on one host, after the `HostResult` of its items.
    LoopFinished {
        host: String,
        task: String,
        status: Status,
        /// Without the results of the items.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        result: Value,
        #[serde(default, skip_serializing_if = "Delegate::is_none")]
        delegate: Delegate,
        duration: f64,
    },
    /// A task begins on a host; told where settings ask for it.
    HostStarted {
        host: String,
        task: String,
        #[serde(default)]
        handler: bool,
    },
    /// A file of tasks or a role is included for these hosts.
    Included {
        /// The file, or the name of the role.
        path: String,
        hosts: Vec<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<String>,
    },
    /// A task with `until` failed and is tried again, `left` times.
    Retrying {
        host: String,
        task: String,
        left: u32,
        #[serde(default, skip_serializing_if = "Value::is_null")]
        result: Value,
        #[serde(default, skip_serializing_if = "Detail::is_normal")]
        detail: Detail,
        #[serde(default, skip_serializing_if = "Delegate::is_none")]
        delegate: Delegate,
    },
    /// A task in the background was looked at.
    Polled {
        host: String,
        jid: String,
        state: Poll,
    },
    /// Somebody was asked whether a task is to run (`--step`).
    Asked {
        question: String,
    },
    /// A handler will run on a host.
    Notified {
        handler: String,
        host: String,
    },
    /// The recap of a playbook: counts by host, in the order of the inventory.
    Stats {
        hosts: IndexMap<String, Counts>,
        /// What `set_stats` kept, by host; that of the whole run under `_run`.
        #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
        custom: IndexMap<String, Value>,
    },
    /// What an operation is going to do.
    Plan {
        title: String,
        /// Facts that the plan rests on and warnings, one sentence each.
        #[serde(default)]
        notes: Vec<String>,
        steps: Vec<PlannedStep>,
    },
    StepStarted {
        step: String,
        title: String,
    },
    StepSucceeded {
        step: String,
        outcome: Outcome,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
        duration: f64,
    },
    StepFailed {
        step: String,
        message: String,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        hints: Vec<String>,
        duration: f64,
    },
    UndoStarted {
        step: String,
        title: String,
    },
    UndoFinished {
        step: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    UndoFailed {
        step: String,
        message: String,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        hints: Vec<String>,
    },
    /// Something worth a line that isn't the end of anything.
    Note {
        level: Level,
        text: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        host: Option<String>,
    },
    /// How far something long is. Drawn over itself; not synced.
    Progress {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<String>,
        text: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        done: Option<u64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        total: Option<u64>,
    },
    RunFinished {
        end: RunEnd,
        exit_code: u8,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
        /// What can follow: a sentence or a command each.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        next: Vec<String>,
    },
}

/// How a task ended on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Ok,
    Changed,
    Skipped,
    Failed,
    Unreachable,
    /// Failed, and a rescue section took over.
    Rescued,
    /// Failed, and the task says that this doesn't matter.
    Ignored,
}

/// The host that a task is delegated to, and its address where that is another name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delegate {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

impl Delegate {
    pub fn is_none(&self) -> bool {
        self.name.is_none()
    }
}

/// How much of a result is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Detail {
    /// With `-v`.
    #[default]
    Normal,
    /// Always, over several lines: what the task is for.
    Always,
    /// Never: too long to be read.
    Never,
}

impl Detail {
    pub fn is_normal(&self) -> bool {
        *self == Self::Normal
    }
}

/// How a task in the background is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Poll {
    Running,
    Ok,
    Failed,
}

/// Ansible's recap of one host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    pub ok: u32,
    pub changed: u32,
    pub unreachable: u32,
    pub failed: u32,
    pub skipped: u32,
    pub rescued: u32,
    pub ignored: u32,
}

/// One step of a plan, as it is printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedStep {
    /// Short and stable: `remove-member`.
    pub id: String,
    pub title: String,
    /// What it does, in a sentence with the names filled in.
    pub sentence: String,
    /// Already true: the step will find nothing to do.
    #[serde(default)]
    pub done: bool,
    /// After this step there is only forward.
    #[serde(default)]
    pub point_of_no_return: bool,
    /// What the cluster can bear after the step; none where the step isn't about members.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<Tolerance>,
}

/// What a quorum can bear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tolerance {
    pub voters: usize,
    /// Voters that answer.
    pub healthy: usize,
    pub learners: usize,
    pub quorum: usize,
    /// How many more healthy voters can be lost; negative means that quorum is lost.
    pub tolerance: i64,
}

/// How a step succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It did something.
    Done,
    /// What it is for was already true.
    AlreadyTrue,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Debug,
    Info,
    Warning,
    Error,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunEnd {
    /// Everything that was asked is true.
    Done,
    /// Nothing was changed: refused, or a wrong input.
    Refused,
    /// It failed, and what it had done was undone.
    Unwound,
    /// It failed half-way and a person is needed.
    Stuck,
    /// Tasks failed (plays have no undo).
    Failed,
    /// Stopped by the operator between two steps.
    Interrupted,
}

/// The text of the note that a play has no hosts.
pub const NO_HOSTS: &str = "skipping: no hosts matched";
/// The text of the note that all hosts of a play failed.
pub const NO_MORE_HOSTS: &str = "no more hosts left";

/// Where events go.
pub trait Sink: Send + Sync {
    /// Append the event. A failure to write is kept and comes back from the next `emit_synced`.
    fn emit(&self, event: Event);

    /// Append the event and return when it is on the disk. Called before and after every effect that matters.
    fn emit_synced(&self, event: Event) -> io::Result<()>;
}

/// A sink for tests and for callers that don't care.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Sink for Silent {
    fn emit(&self, _event: Event) {}

    fn emit_synced(&self, _event: Event) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_flat_object() {
        let record = Record {
            seq: 3,
            time: "2026-11-20T22:40:00Z".parse().expect("a timestamp"),
            event: Event::StepStarted {
                step: "promote".into(),
                title: "Promote node3".into(),
            },
        };
        let text = serde_json::to_string(&record).expect("serializes");
        assert_eq!(
            text,
            r#"{"seq":3,"time":"2026-11-20T22:40:00Z","event":"step_started","step":"promote","title":"Promote node3"}"#
        );
        assert_eq!(
            serde_json::from_str::<Record>(&text).expect("parses"),
            record
        );
    }
}
