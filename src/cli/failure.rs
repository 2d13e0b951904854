//! Why a verb ended early: what is said, and the exit code.

use crate::content::place::Fault;
use std::process::ExitCode;

/// The kinds of failure that a script may want to tell apart; the numbers are `args::EXIT_CODES`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// kopsrun could not work.
    Broken,
    /// What was asked for can't be done; Ansible's general error.
    Error,
    /// A host failed.
    Failed,
    /// A host is unreachable, or the input is wrong.
    Input,
    /// Options that don't go together; Ansible's number.
    Usage,
    /// A precondition does not hold.
    Refused,
    /// Another run holds the lock.
    Locked,
    Interrupted,
}

impl Kind {
    pub(super) fn code(self) -> u8 {
        match self {
            Kind::Broken | Kind::Error => 1,
            Kind::Failed => 2,
            Kind::Input => 4,
            Kind::Refused | Kind::Usage => 5,
            Kind::Locked => 6,
            Kind::Interrupted => 99,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Broken => "broken",
            Kind::Error => "error",
            Kind::Failed => "failed",
            Kind::Input => "input",
            Kind::Usage => "usage",
            Kind::Refused => "refused",
            Kind::Locked => "locked",
            Kind::Interrupted => "interrupted",
        }
    }
}

impl From<Kind> for ExitCode {
    fn from(kind: Kind) -> Self {
        ExitCode::from(kind.code())
    }
}

/// A failure with all that a person needs to go on.
#[derive(Debug)]
pub(super) struct Failure {
    pub kind: Kind,
    pub faults: Vec<Fault>,
}

impl Failure {
    pub(super) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            faults: vec![Fault::new(message)],
        }
    }

    /// Adds a sentence that tells what to do.
    #[must_use]
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        if let Some(fault) = self.faults.pop() {
            self.faults.push(fault.hint(hint));
        }
        self
    }

    /// The failure as one JSON object, for `--output json`.
    pub(super) fn json(&self) -> serde_json::Value {
        let faults: Vec<_> = self
            .faults
            .iter()
            .map(|fault| {
                serde_json::json!({
                    "message": fault.message,
                    "place": fault.place.as_ref().map(ToString::to_string),
                    "hints": fault.hints,
                })
            })
            .collect();
        serde_json::json!({ "error": { "kind": self.kind.name(), "code": self.kind.code(), "faults": faults } })
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self {
            kind: Kind::Input,
            faults: vec![fault],
        }
    }
}

impl From<Vec<Fault>> for Failure {
    fn from(faults: Vec<Fault>) -> Self {
        Self {
            kind: Kind::Input,
            faults,
        }
    }
}
