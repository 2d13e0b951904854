//! The callback `minimal`: one head a host, and its result below.

use super::whole::Whole;
use super::{Settings, Task};
use crate::journal::Status;
use crate::ui::color::Tone;
use crate::ui::screen::Screen;
use crate::ui::{diff, results};
use serde_json::Value;
use std::io::{self, Write};

pub(super) fn draw<W: Write>(
    whole: &Whole,
    task: &Task,
    settings: &Settings,
    screen: &mut Screen<W>,
) -> io::Result<()> {
    let Whole {
        host,
        status,
        result,
        diff: changes,
        ..
    } = whole;
    if let (Status::Changed, Some(changes)) = (status, changes) {
        let text = diff::draw(changes, settings.format, screen.paint);
        if !text.is_empty() {
            screen.line(Tone::Plain, &text)?;
        }
    }
    let result = match task.is("debug") && matches!(status, Status::Ok | Status::Changed) {
        true => results::of_debug(result),
        false => result.clone(),
    };
    let (word, tone) = match status {
        Status::Ok => ("SUCCESS", Tone::Good),
        Status::Changed => ("CHANGED", Tone::Changed),
        Status::Skipped => return screen.line(Tone::Skipped, &format!("{host} | SKIPPED")),
        _ if is_lost(&result) => ("UNREACHABLE!", Tone::Unreachable),
        _ => ("FAILED", Tone::Bad),
    };
    let started = result.get("ansible_job_id").is_some();
    if task.is_command() && !started && !is_lost(&result) {
        return screen.line(tone, &format!("{host} | {word} | {}", printed(&result)));
    }
    let mark = if word == "FAILED" { "!" } else { "" };
    let dumped = settings.format.result(&result, whole.always, Some(4));
    screen.line(tone, &format!("{host} | {word}{mark} => {dumped}"))
}

pub(super) fn is_lost(result: &Value) -> bool {
    result.get("unreachable") == Some(&Value::Bool(true))
}

/// The exit status of a command, and all that it wrote.
fn printed(result: &Value) -> String {
    let part = |name: &str| result.get(name).and_then(Value::as_str).unwrap_or_default();
    let rc = result
        .get("rc")
        .map_or_else(|| "-1".to_owned(), Value::to_string);
    format!(
        "rc={rc} >>\n{}{}{}\n",
        part("stdout"),
        part("stderr"),
        part("msg")
    )
}
