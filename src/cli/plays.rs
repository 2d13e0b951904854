//! What `play` and `exec` share: filling a request, running it under a record, and ending with Ansible's exit codes.

use super::args::{Connection, Escalation, Run};
use super::connections;
use super::context::Context;
use super::extra_vars;
use super::failure::{Failure, Kind};
use super::record;
use crate::content::place::Cause;
use crate::journal::{self, Event, RunEnd, Sink};
use crate::play::{self, Links, PlayError, Request, Summary};
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
        let result = play::run(&request, Arc::new(Links::new(pool)), sink).await;
        finish(result, record.as_ref())
    })
}

/// Records the end, and gives Ansible's exit code.
pub(super) fn finish(result: Result<Summary, PlayError>, record: &dyn Sink) -> Result<u8, Failure> {
    let (end, exit_code) = match &result {
        Ok(summary) if summary.interrupted => (RunEnd::Interrupted, Kind::Interrupted.code()),
        Ok(summary) if summary.exit_code == 0 => (RunEnd::Done, 0),
        Ok(summary) => (RunEnd::Failed, summary.exit_code),
        Err(error @ PlayError::Refused(_)) => (RunEnd::Refused, error.exit_code()),
        Err(error @ PlayError::Stopped(_)) => (RunEnd::Failed, error.exit_code()),
    };
    let finished = Event::RunFinished {
        end,
        exit_code,
        message: None,
        next: Vec::new(),
    };
    record.emit_synced(finished).map_err(record::unwritable)?;
    result.map(|_| exit_code).map_err(Failure::from)
}

impl From<PlayError> for Failure {
    fn from(error: PlayError) -> Self {
        match error {
            PlayError::Refused(faults) => Failure {
                kind: match faults.first().map(|fault| fault.cause) {
                    Some(Cause::Absent) => Kind::Broken,
                    _ => Kind::Input,
                },
                faults,
            },
            PlayError::Stopped(fault) => Failure {
                kind: Kind::Broken,
                faults: vec![fault],
            },
        }
    }
}

/// Loads everything, and lists what was asked for; connects to nothing.
pub(super) fn look(request: &Request, wanted: Look, context: &Context) -> Result<u8, Failure> {
    let mut text = String::new();
    for listing in play::list(request)? {
        text.push_str(&format!("\nplaybook: {}\n", listing.playbook.display()));
        if !(wanted.hosts || wanted.tasks || wanted.tags) {
            continue;
        }
        for (index, play) in listing.plays.iter().enumerate() {
            text.push_str(&format!(
                "\n  play #{} ({}): {}\tTAGS: [{}]\n",
                index + 1,
                play.pattern,
                play.name,
                play.tags.join(", ")
            ));
            if wanted.hosts {
                text.push_str(&format!(
                    "    pattern: ['{}']\n    hosts ({}):\n",
                    play.pattern,
                    play.hosts.len()
                ));
                text.extend(play.hosts.iter().map(|host| format!("      {host}\n")));
            }
            if wanted.tasks {
                text.push_str("    tasks:\n");
                for task in &play.tasks {
                    let role = task
                        .role
                        .as_ref()
                        .map(|role| format!("{role} : "))
                        .unwrap_or_default();
                    text.push_str(&format!(
                        "      {role}{}\tTAGS: [{}]\n",
                        task.name,
                        task.tags.join(", ")
                    ));
                }
            }
            if wanted.tags {
                text.push_str(&format!(
                    "      TASK TAGS: [{}]\n",
                    play.task_tags.join(", ")
                ));
            }
        }
    }
    context.print(&text)?;
    Ok(0)
}

/// What is listed; nothing means a check of the syntax.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub hosts: bool,
    pub tasks: bool,
    pub tags: bool,
}
