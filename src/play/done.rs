//! What came of one call of a module or action.

use super::hands::Lost;
use crate::content::inventory::HostName;
use crate::content::place::Fault;
use crate::content::playbook::{RoleCall, Task};
use crate::content::value::Value;
use crate::journal::{Delegate, Detail};
use indexmap::IndexMap;
use serde_json::{Map, Value as Json};
use std::sync::Arc;

/// The result of one call, as `register` sees it, and what else it does to what the run knows.
#[derive(Default)]
pub(super) struct Done {
    pub result: Map<String, Json>,
    pub effects: Vec<Effect>,
    /// What to do about a failure, and where it comes from.
    pub fault: Option<Fault>,
    /// The host couldn't be worked on.
    pub unreachable: bool,
    /// The task couldn't begin.
    pub unready: bool,
    pub delegate: Delegate,
    /// How much of the result is for people.
    pub detail: Detail,
    /// The result must not be shown.
    pub no_log: bool,
    /// Handlers to notify, rendered.
    pub notify: Vec<String>,
    /// Shown instead of the result: what `debug` says.
    pub said: Option<String>,
}

/// What a call does to what the run knows.
pub(super) enum Effect {
    /// Facts of the host (or of the one delegated to), kept in the cache of facts.
    Facts(IndexMap<String, Value>),
    /// `set_fact`.
    Set(IndexMap<String, Value>),
    /// `include_vars`.
    Included(IndexMap<String, Value>),
    /// `group_by`.
    GroupBy {
        group: String,
        parents: Vec<String>,
    },
    Include(Include),
}

/// A dynamic include that a host wants.
pub(super) struct Include {
    pub task: Arc<Task>,
    pub what: IncludeWhat,
    /// Variables of the loop.
    pub locals: IndexMap<String, Value>,
    /// The label of the loop's item.
    pub label: Option<String>,
    /// `no_log`.
    pub hidden: bool,
}

/// What is included; equal ones of several hosts run together.
#[derive(Clone, Debug)]
pub(super) enum IncludeWhat {
    /// A file that isn't there.
    Missing(Fault),
    Tasks(std::path::PathBuf),
    Role(RoleCall),
}

impl IncludeWhat {
    /// True when both bring in the same.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Missing(a), Self::Missing(b)) => a.message == b.message,
            (Self::Tasks(a), Self::Tasks(b)) => a == b,
            (Self::Role(a), Self::Role(b)) => a == b,
            _ => false,
        }
    }
}

/// Why there is no result of the call's own.
pub(super) enum Problem {
    /// The task fails on this host.
    Failed(Fault),
    /// The task can't even begin, because a condition or an argument can't be rendered: no item after this one runs.
    Unready(Fault),
    Lost(Lost),
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Self::Failed(fault)
    }
}

impl From<Lost> for Problem {
    fn from(lost: Lost) -> Self {
        Self::Lost(lost)
    }
}

impl Done {
    pub(super) fn ok() -> Self {
        Self::default()
    }

    pub(super) fn changed(changed: bool) -> Self {
        Self::default().with("changed", changed)
    }

    pub(super) fn failed(message: impl Into<String>) -> Self {
        Self::default()
            .with("failed", true)
            .with("msg", message.into())
    }

    pub(super) fn skipped(reason: &str) -> Self {
        Self::default()
            .with("changed", false)
            .with("skipped", true)
            .with("skip_reason", reason)
    }

    #[must_use]
    pub(super) fn with(mut self, name: &str, value: impl Into<Json>) -> Self {
        self.result.insert(name.to_owned(), value.into());
        self
    }

    #[must_use]
    pub(super) fn effect(mut self, effect: Effect) -> Self {
        self.effects.push(effect);
        self
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.result.get(name).and_then(Json::as_bool) == Some(true)
    }

    /// `failed_when` decides where it was asked, also over retries that ran out.
    pub(super) fn is_failed(&self) -> bool {
        match self.result.get("failed_when_result") {
            Some(Json::Bool(decided)) => *decided,
            _ => self.flag("failed"),
        }
    }

    pub(super) fn is_skipped(&self) -> bool {
        self.flag("skipped")
    }

    pub(super) fn is_changed(&self) -> bool {
        self.flag("changed")
    }

    /// A problem as a result.
    pub(super) fn of(problem: Problem) -> Self {
        match problem {
            Problem::Failed(fault) => {
                let mut done = Self::failed(fault.message.clone());
                if !fault.undefined {
                    done = done.with("changed", false);
                }
                done.fault = Some(fault);
                done
            }
            // Ansible says nothing of `changed` then.
            Problem::Unready(fault) => Self {
                unready: true,
                fault: Some(fault.clone()),
                ..Self::failed(fault.message)
            },
            Problem::Lost(lost) if lost.reachable => {
                let mut fault = Fault::new(lost.message);
                fault.hints = lost.hints;
                Self::of(Problem::Failed(fault))
            }
            Problem::Lost(lost) => {
                let mut done = Self::default()
                    .with("changed", false)
                    .with("unreachable", true)
                    .with("msg", lost.message.clone());
                let mut fault = Fault::new(lost.message);
                fault.hints = lost.hints;
                done.fault = Some(fault);
                done.unreachable = true;
                done
            }
        }
    }

    /// From what a module said.
    pub(super) fn from_outcome(outcome: host::Outcome) -> Self {
        let mut result = outcome.data;
        result.insert("changed".to_owned(), outcome.changed.into());
        if outcome.failed {
            result.insert("failed".to_owned(), true.into());
        }
        if outcome.skipped {
            result.insert("skipped".to_owned(), true.into());
        }
        Self {
            result,
            ..Self::default()
        }
    }
}

/// The result of a task on one host, loop and all.
pub(super) struct HostDone {
    pub host: HostName,
    pub done: Done,
    /// The task has a loop that ran.
    pub looped: bool,
    /// Effects with the host that they are for.
    pub effects: Vec<(HostName, Effect)>,
    pub ignored: bool,
    /// Unreachable, but the task says that the host stays.
    pub stays: bool,
}

impl HostDone {
    /// Nothing yet.
    pub(super) fn of(host: &HostName) -> Self {
        Self {
            host: host.clone(),
            done: Done::ok(),
            looped: false,
            effects: Vec::new(),
            ignored: false,
            stays: false,
        }
    }
}
