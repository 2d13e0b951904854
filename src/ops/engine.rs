//! Runs the steps of an operation so that it can be killed at any moment and repeated.
//!
//! What is true of the live cluster decides, never what was recorded: a step whose goal is reached is skipped, one that
//! was half-way is run again. The record is for people, and for undoing what a process before this one did.

use crate::journal::{Event, Outcome, PlannedStep, RunEnd, Sink, Tolerance};
use futures::future::BoxFuture;
use std::io;
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// Why a step can't go on, for the person who has to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    pub message: String,
    /// What to do about it, a sentence or a command each.
    pub hints: Vec<String>,
}

impl Failure {
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hints: Vec::new(),
        }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl From<crate::cluster::EtcdError> for Failure {
    fn from(error: crate::cluster::EtcdError) -> Self {
        Self::new(error.to_string())
    }
}

/// What a step finds when it looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// Its goal is reached; the sentence says how that shows.
    Done(String),
    Needed,
    /// It must not run.
    Blocked(Failure),
}

/// One step of an operation. `check`, `run` and `undo` may be called any number of times, by several processes.
pub trait Step: Send + Sync {
    /// Short and stable, for the record: `remove-member`.
    fn id(&self) -> &str;

    fn title(&self) -> String;

    /// What it does, for the plan.
    fn sentence(&self) -> String;

    /// What the quorum can bear after it; none where members aren't touched.
    fn tolerance(&self) -> Option<Tolerance> {
        None
    }

    /// Once it has run there is only forward.
    fn point_of_no_return(&self) -> bool {
        false
    }

    fn check(&self) -> BoxFuture<'_, Result<Check, Failure>>;

    /// Reach the goal. Its success is believed only when `check` confirms it.
    fn run(&self) -> BoxFuture<'_, Result<(), Failure>>;

    /// Take back what `run` did, or find that there is nothing. None: it leaves nothing behind that matters.
    fn undo(&self) -> Option<BoxFuture<'_, Result<String, Failure>>> {
        None
    }
}

/// A step as the plan shows it.
pub fn planned(step: &dyn Step, done: bool) -> PlannedStep {
    PlannedStep {
        id: step.id().to_owned(),
        title: step.title(),
        sentence: step.sentence(),
        done,
        point_of_no_return: step.point_of_no_return(),
        tolerance: step.tolerance(),
    }
}

/// How a sequence of steps ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    pub end: RunEnd,
    /// The step that failed or couldn't be undone, and why.
    pub failure: Option<(String, Failure)>,
}

/// Runs the steps in order. On failure, or when `stop` is cancelled, what was done since the last point of no return is
/// undone in reverse.
///
/// An error is one of the record: what can't be recorded isn't done.
pub async fn run(
    steps: &[Box<dyn Step>],
    sink: &dyn Sink,
    stop: &CancellationToken,
) -> io::Result<Ended> {
    for (index, step) in steps.iter().enumerate() {
        let (begun, failure) = match stop.is_cancelled() {
            true => (index, Failure::new("stopped by the operator")),
            false => match one(step.as_ref(), sink).await? {
                Ok(()) => continue,
                Err(failure) => (index + 1, failure),
            },
        };
        let unwound = match stop.is_cancelled() {
            true => RunEnd::Interrupted,
            false => RunEnd::Unwound,
        };
        return unwind(&steps[..begun], step.as_ref(), failure, unwound, sink).await;
    }
    Ok(Ended {
        end: RunEnd::Done,
        failure: None,
    })
}

async fn one(step: &dyn Step, sink: &dyn Sink) -> io::Result<Result<(), Failure>> {
    let id = step.id().to_owned();
    let begin = Instant::now();
    sink.emit_synced(Event::StepStarted {
        step: id.clone(),
        title: step.title(),
    })?;
    let result = reach(step).await;
    let duration = begin.elapsed().as_secs_f64();
    match result {
        Ok((outcome, message)) => sink
            .emit_synced(Event::StepSucceeded {
                step: id,
                outcome,
                message: Some(message).filter(|m| !m.is_empty()),
                duration,
            })
            .map(Ok),
        Err(failure) => {
            sink.emit_synced(Event::StepFailed {
                step: id,
                message: failure.message.clone(),
                hints: failure.hints.clone(),
                duration,
            })?;
            Ok(Err(failure))
        }
    }
}

async fn reach(step: &dyn Step) -> Result<(Outcome, String), Failure> {
    match step.check().await? {
        Check::Done(how) => return Ok((Outcome::AlreadyTrue, how)),
        Check::Blocked(why) => return Err(why),
        Check::Needed => {}
    }
    let ran = step.run().await;
    // An answer that was lost on the way, or a half that turns out to be whole: the live state knows.
    match (step.check().await, ran) {
        (Ok(Check::Done(how)), _) => Ok((Outcome::Done, how)),
        (_, Err(failure)) | (Ok(Check::Blocked(failure)) | Err(failure), Ok(())) => Err(failure),
        (Ok(Check::Needed), Ok(())) => Err(Failure::new(format!(
            "'{}' ran without an error, but what it is for is not true",
            step.title()
        ))),
    }
}

/// Undo `started` in reverse down to the last point of no return that was really passed.
async fn unwind(
    started: &[Box<dyn Step>],
    failed: &dyn Step,
    failure: Failure,
    unwound: RunEnd,
    sink: &dyn Sink,
) -> io::Result<Ended> {
    let failure = Some((failed.id().to_owned(), failure));
    for step in started.iter().rev() {
        if step.point_of_no_return() && !matches!(step.check().await, Ok(Check::Needed)) {
            return Ok(Ended {
                end: RunEnd::Stuck,
                failure,
            });
        }
        if let Err(why) = undo(step.as_ref(), sink).await? {
            return Ok(Ended {
                end: RunEnd::Stuck,
                failure: Some((step.id().to_owned(), why)),
            });
        }
    }
    Ok(Ended {
        end: unwound,
        failure,
    })
}

async fn undo(step: &dyn Step, sink: &dyn Sink) -> io::Result<Result<(), Failure>> {
    let Some(undoing) = step.undo() else {
        return Ok(Ok(()));
    };
    let id = step.id().to_owned();
    sink.emit_synced(Event::UndoStarted {
        step: id.clone(),
        title: step.title(),
    })?;
    match undoing.await {
        Ok(message) => sink
            .emit_synced(Event::UndoFinished {
                step: id,
                message: Some(message).filter(|m| !m.is_empty()),
            })
            .map(Ok),
        Err(why) => {
            sink.emit_synced(Event::UndoFailed {
                step: id,
                message: why.message.clone(),
                hints: why.hints.clone(),
            })?;
            Ok(Err(why))
        }
    }
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
