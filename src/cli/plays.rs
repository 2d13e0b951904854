//! What `play` and `exec` share: filling a request, running it under a record, and ending with Ansible's exit codes.

use super::args::{Connection, Escalation, Run};
use super::connections;
use super::context::Context;
use super::extra_vars;
use super::failure::{Failure, Kind};
use crate::journal::{self, Event, RunEnd, Sink};
use crate::play::{self, PlayError, Request, Summary};
use std::sync::Arc;

/// Puts what all runs share into a request.
pub(super) fn fill(
    request: &mut Request,
    run: &Run,
    connection: &Connection,
    escalation: &Escalation,
    context: &Context,
) -> Result<(), Failure> {
    request.extra_vars = extra_vars::parse(&run.extra_vars, context)?;
    request.check = run.check;
    request.diff = run.diff;
    request.forks = Some(connection.forks.max(1));
    request.escalate = context.escalation(escalation)?;
    request.remote_user.clone_from(&connection.user);
    request.connection.clone_from(&connection.connection);
    request.facts.cache = Some(context.state().join("facts"));
    request.verbosity = context.verbosity;
    request.environment = Arc::clone(&context.environment);
    request.working_directory.clone_from(&context.directory);
    request.terminal = context.interactive;
    request.cancel = context.cancel.clone();
    Ok(())
}

/// Runs the plays and records how they ended.
pub(super) fn run(
    request: Request,
    connection: &Connection,
    record: journal::Run,
    context: &Context,
) -> Result<u8, Failure> {
    let pool = connections::pool(connection, context)?;
    let record = Arc::new(record);
    super::block_on(context, async {
        let sink: Arc<dyn Sink> = Arc::clone(&record) as Arc<dyn Sink>;
        let result = play::run(&request, Arc::new(pool), sink).await;
        finish(result, record.as_ref())
    })
}

fn finish(result: Result<Summary, PlayError>, record: &dyn Sink) -> Result<u8, Failure> {
    let (end, exit_code) = match &result {
        Ok(summary) if summary.interrupted => (RunEnd::Interrupted, 99),
        Ok(summary) if summary.exit_code == 0 => (RunEnd::Done, 0),
        Ok(summary) => (RunEnd::Failed, summary.exit_code),
        Err(error @ PlayError::Refused(_)) => (RunEnd::Refused, error.exit_code()),
        Err(error @ PlayError::Stopped(_)) => (RunEnd::Failed, error.exit_code()),
    };
    let finished = Event::RunFinished { end, exit_code, message: None, next: Vec::new() };
    record
        .emit_synced(finished)
        .map_err(|error| Failure::new(Kind::Broken, format!("the record of the run can't be written: {error}")))?;
    match result {
        Ok(_) => Ok(exit_code),
        Err(PlayError::Refused(faults)) => Err(Failure { kind: Kind::Input, faults }),
        Err(PlayError::Stopped(fault)) => Err(Failure { kind: Kind::Broken, faults: vec![fault] }),
    }
}
