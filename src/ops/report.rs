//! How an operation ended, for the record and for the person.

use super::engine::Failure;
use crate::journal::{Event, Run, RunEnd, Sink};

/// How it ended; everything is in the record too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub end: RunEnd,
    /// 0 done, 2 undone, 3 stuck, 5 refused, 6 locked, 99 interrupted.
    pub exit_code: u8,
    pub message: Option<String>,
    pub next: Vec<String>,
}

/// Why it came to no end of its own.
pub(super) enum Stop {
    Refused(Failure),
    Locked(Failure),
    /// The person said no, or the plan was all that was asked for: what is said, the end and the exit code.
    Nothing(&'static str, RunEnd, u8),
    /// The record can't be written.
    Record(std::io::Error),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Refused(failure)
    }
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        Self::Record(error)
    }
}

pub(super) fn ended(
    end: RunEnd,
    exit_code: u8,
    message: Option<String>,
    next: Vec<String>,
) -> Report {
    Report {
        end,
        exit_code,
        message,
        next,
    }
}

/// Records the end as `run_finished`. The error is one of the record itself.
pub(super) fn record(attempt: Result<Report, Stop>, run: &Run) -> std::io::Result<Report> {
    let report = match attempt {
        Ok(report) => report,
        Err(Stop::Refused(why)) => ended(RunEnd::Refused, 5, Some(why.message), why.hints),
        Err(Stop::Locked(why)) => ended(RunEnd::Refused, 6, Some(why.message), why.hints),
        Err(Stop::Nothing(message, end, code)) => {
            ended(end, code, Some(message.to_owned()), Vec::new())
        }
        Err(Stop::Record(error)) => return Err(error),
    };
    run.emit_synced(Event::RunFinished {
        end: report.end,
        exit_code: report.exit_code,
        message: report.message.clone(),
        next: report.next.clone(),
    })?;
    Ok(report)
}
