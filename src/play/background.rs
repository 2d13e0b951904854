//! `async` and `poll`: a task that goes on while nobody listens.

use super::actions;
use super::call::Call;
use super::done::{Done, Problem};
use super::hands::Blobs;
use super::keep::{as_text, number, render};
use crate::content::inventory::Var;
use crate::content::place::Fault;
use crate::content::playbook::is_action;
use crate::journal::{Event, Poll};
use serde_json::{Map, Value as Json, json};
use std::time::{Duration, Instant};

/// Seconds between two looks when the task doesn't say, as in Ansible.
const POLL: f64 = 15.0;
/// Modules that need files of the controller while they run.
const WITH_FILES: &[&str] = &[
    "assemble",
    "copy",
    "fetch",
    "script",
    "template",
    "unarchive",
];

/// Runs the call; in the background when the task says so.
pub(super) async fn run(call: &Call<'_>) -> Result<Done, Problem> {
    let task = &call.attempt.task;
    let limit = seconds(call, task.asynchronous.as_ref())?.unwrap_or(0.0);
    if limit < 1.0 {
        return actions::run(call).await;
    }
    let module = &*call.does;
    if is_action(module) && module != "async_status" || WITH_FILES.contains(&module) {
        return Err(refused(call, "async is not supported for this task.")
            .hint(format!(
                "`{module}` works on the controller, at least in part; take `async` away."
            ))
            .into());
    }
    if call.check {
        return Err(refused(call, "check mode and async cannot be used on same task.").into());
    }
    let poll = seconds(call, task.poll.as_ref())?.unwrap_or(POLL);
    let mut args = Map::new();
    let (module, given) = match &task.args.foreign {
        None => (module, call.json_args()),
        Some(foreign) => {
            let (mut given, text) = actions::foreign::request(call, foreign).await?;
            let text = String::from_utf8(text).map_err(|_| {
                refused(call, "async is not supported for modules that are no text")
            })?;
            given.insert("source".to_owned(), text.into());
            ("_program", given)
        }
    };
    args.insert("module".to_owned(), module.into());
    args.insert("args".to_owned(), Json::Object(given));
    args.insert("limit".to_owned(), json!(limit as u64));
    let started = call
        .module("_background", with_dir(call, args)?, Blobs::new())
        .await?;
    match job(&started) {
        Some(jid) if poll > 0.0 && !started.is_failed() => {
            follow(call, &jid, limit, Duration::from_secs_f64(poll)).await
        }
        _ => Ok(started),
    }
}

/// `async_status`: knows where the files with results are.
pub(super) async fn status(call: &Call<'_>) -> Result<Done, Problem> {
    let args = with_dir(call, call.json_args())?;
    call.module("async_status", args, Blobs::new()).await
}

/// Waits for the end of a job. The host waits too, so that its end is known at once.
async fn follow(call: &Call<'_>, jid: &str, limit: f64, poll: Duration) -> Result<Done, Problem> {
    let ask = |mode: &str, wait: f64| {
        let mut args = Map::new();
        args.insert("jid".to_owned(), jid.into());
        args.insert("mode".to_owned(), mode.into());
        args.insert("_wait".to_owned(), json!(wait));
        args
    };
    // Ansible counts polls; a host that is slow to answer must not make the task fail before its time.
    let until = Instant::now() + Duration::from_secs_f64(limit) + poll.max(Duration::from_secs(2));
    let mut lost = None;
    while Instant::now() < until {
        let args = with_dir(call, ask("status", poll.as_secs_f64()))?;
        let done = match call.module("async_status", args, Blobs::new()).await {
            Ok(done) => done,
            // The job goes on without the connection: only the end of its time ends the waiting.
            Err(Problem::Lost(away)) => {
                lost = Some(away);
                tokio::time::sleep(poll).await;
                continue;
            }
            Err(problem) => return Err(problem),
        };
        lost = None;
        if done.result.get("finished") != Some(&json!(0)) {
            let args = with_dir(call, ask("cleanup", 0.0))?;
            drop(call.module("async_status", args, Blobs::new()).await);
            let end = if done.is_failed() {
                Poll::Failed
            } else {
                Poll::Ok
            };
            polled(call, jid, end);
            return Ok(done);
        }
        polled(call, jid, Poll::Running);
    }
    polled(call, jid, Poll::Failed);
    match lost {
        Some(lost) => Err(Problem::Lost(lost)),
        None => Ok(Done::failed(format!(
            "async task did not complete within the requested time - {limit}s"
        ))
        .with("ansible_job_id", jid)),
    }
}

fn polled(call: &Call<'_>, jid: &str, state: Poll) {
    call.attempt.emit(Event::Polled {
        host: call.host().to_string(),
        jid: jid.to_owned(),
        state,
    });
}

fn job(started: &Done) -> Option<String> {
    Some(started.result.get("ansible_job_id")?.as_str()?.to_owned())
}

fn with_dir(call: &Call<'_>, mut args: Map<String, Json>) -> Result<Map<String, Json>, Fault> {
    let dir = call
        .templar
        .variable("ansible_async_dir")
        .map_err(super::view::fault)?;
    if let Some(dir) = dir {
        args.insert("_async_dir".to_owned(), as_text(&dir).into());
    }
    Ok(args)
}

fn seconds(call: &Call<'_>, var: Option<&Var>) -> Result<Option<f64>, Fault> {
    let Some(var) = var else {
        return Ok(None);
    };
    let value = render(call.templar, var)?;
    number(&value)
        .filter(|seconds| seconds.is_finite())
        .map(Some)
        .ok_or_else(|| {
            Fault::new(format!(
                "a number of seconds was expected; this is {}",
                value.repr()
            ))
            .at(&var.place)
        })
}

fn refused(call: &Call<'_>, message: &str) -> Fault {
    let at = call
        .attempt
        .task
        .asynchronous
        .as_ref()
        .map(|var| &var.place);
    Fault::new(message).at(at.unwrap_or(&call.attempt.task.place))
}
