//! Results as events, without what must not be seen.

use super::attempt::Attempt;
use super::done::Done;
use super::done::HostDone;
use crate::journal::{Detail, Event, Status};
use serde_json::{Map, Value as Json};
use std::time::Duration;

const CENSORED: &str =
    "the output has been hidden due to the fact that 'no_log: true' was specified for this result";

/// Longest text that goes into the event of a task that went well.
const TEXT: usize = 64 * 1024;

/// A result of a task or of one turn of its loop that is ready to be told.
pub(super) struct ItemReport<'a> {
    pub attempt: &'a Attempt,
    pub item: Option<String>,
    pub duration: Duration,
    pub ignored: bool,
    pub stays: bool,
    /// Differences are wanted.
    pub diff: bool,
}

/// The label of an item that must not be shown, as Ansible prints it.
const HIDDEN_ITEM: &str = "None";

impl ItemReport<'_> {
    pub(super) fn tell(self, done: &Done) {
        let attempt = self.attempt;
        let hidden = done.no_log && !attempt.batch.run.request.show_no_log;
        let status = self.status(done);
        let bad = matches!(
            status,
            Status::Failed | Status::Unreachable | Status::Rescued | Status::Ignored
        );
        let (mut place, mut hints) = (None, Vec::new());
        if bad {
            let fault = done.fault.as_ref();
            let at = fault
                .and_then(|fault| fault.place.as_ref())
                .unwrap_or(&attempt.task.place);
            place = Some(at.to_string());
            hints = fault.map(|fault| fault.hints.clone()).unwrap_or_default();
        }
        let result = if hidden {
            censored(done)
        } else {
            shown(&done.result, bad || done.detail == Detail::Always)
        };
        let shows_diff = !hidden && self.diff;
        attempt.emit(Event::HostResult {
            host: attempt.host.to_string(),
            task: attempt.name.to_string(),
            item: self
                .item
                .map(|item| if hidden { HIDDEN_ITEM.to_owned() } else { item }),
            status,
            message: if hidden && !done.unreachable {
                None
            } else {
                message(done, status)
            },
            result,
            diff: shows_diff
                .then(|| done.result.get("diff").cloned())
                .flatten(),
            delegate: done.delegate.clone(),
            detail: if hidden { Detail::Normal } else { done.detail },
            place,
            hints: if hidden { Vec::new() } else { hints },
            duration: self.duration.as_secs_f64(),
        });
    }

    fn status(&self, done: &Done) -> Status {
        status(done, self.ignored, self.stays, self.attempt.rescuable)
    }
}

fn status(done: &Done, ignored: bool, stays: bool, rescuable: bool) -> Status {
    if done.unreachable {
        return if stays {
            Status::Ignored
        } else {
            Status::Unreachable
        };
    }
    if done.is_failed() {
        return match (ignored, rescuable) {
            (true, _) => Status::Ignored,
            (false, true) => Status::Rescued,
            (false, false) => Status::Failed,
        };
    }
    if done.is_skipped() {
        Status::Skipped
    } else if done.is_changed() {
        Status::Changed
    } else {
        Status::Ok
    }
}

/// The end of a loop that is ready to be told; its items were told before.
pub(super) struct LoopReport<'a> {
    pub attempt: &'a Attempt,
    pub duration: Duration,
}

impl LoopReport<'_> {
    pub(super) fn tell(self, whole: &HostDone) {
        let (attempt, done) = (self.attempt, &whole.done);
        let hidden = done.no_log && !attempt.batch.run.request.show_no_log;
        let result = if hidden {
            censored(done)
        } else {
            let mut result = done.result.clone();
            result.shift_remove("results");
            shown(&result, true)
        };
        attempt.emit(Event::LoopFinished {
            host: attempt.host.to_string(),
            task: attempt.name.to_string(),
            status: status(done, whole.ignored, whole.stays, attempt.rescuable),
            result,
            delegate: done.delegate.clone(),
            duration: self.duration.as_secs_f64(),
        });
    }
}

fn censored(done: &Done) -> Json {
    let mut result = Map::new();
    result.insert("censored".to_owned(), CENSORED.into());
    for name in ["attempts", "changed", "retries"] {
        if let Some(value) = done.result.get(name) {
            result.insert(name.to_owned(), value.clone());
        }
    }
    // Whether the host was reached is no secret.
    if done.unreachable {
        result.insert("unreachable".to_owned(), true.into());
    }
    Json::Object(result)
}

/// The result for people: lines that repeat texts are left out, long texts are cut where nobody asked for them.
fn shown(result: &Map<String, Json>, whole: bool) -> Json {
    let entries = result
        .iter()
        .filter(|(name, _)| match name.as_str() {
            // What can be told from the text.
            "stdout_lines" | "stderr_lines" => !result.contains_key("rc"),
            "diff" => false,
            _ => true,
        })
        .map(|(name, value)| {
            let value = match value {
                Json::String(text) if !whole && text.len() > TEXT => {
                    let mut end = TEXT;
                    while !text.is_char_boundary(end) {
                        end -= 1;
                    }
                    format!("{}… ({} bytes in all)", &text[..end], text.len()).into()
                }
                other => other.clone(),
            };
            (name.clone(), value)
        });
    Json::Object(entries.collect())
}

/// One line for people.
fn message(done: &Done, status: Status) -> Option<String> {
    if let Some(said) = &done.said {
        return Some(said.clone());
    }
    let text = |name: &str| {
        done.result
            .get(name)
            .and_then(Json::as_str)
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    match status {
        Status::Ok | Status::Changed => None,
        Status::Skipped => done
            .result
            .get("false_condition")
            .map(|condition| match condition {
                Json::String(text) => format!("`{text}` is false"),
                other => format!("`{other}` is false"),
            })
            .or_else(|| text("msg"))
            .or_else(|| text("skipped_reason")),
        _ => {
            let rc = done
                .result
                .get("rc")
                .and_then(Json::as_i64)
                .filter(|rc| *rc != 0);
            let main = text("msg")
                .or_else(|| text("stderr"))
                .or_else(|| text("stdout"));
            let detail =
                text("stderr").filter(|_| text("msg").as_deref() == Some("non-zero return code"));
            match (main, detail, rc) {
                (_, Some(stderr), Some(rc)) => Some(format!("exit status {rc}: {stderr}")),
                (Some(main), _, _) => Some(main),
                (None, _, Some(rc)) => Some(format!("exit status {rc}")),
                (None, _, None) if done.result.contains_key("failed_when_result") => {
                    Some("`failed_when` is true".to_owned())
                }
                _ => Some("it failed without saying why".to_owned()),
            }
        }
    }
}
