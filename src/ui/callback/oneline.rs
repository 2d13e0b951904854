//! The callback `oneline`: one line a host.

use super::minimal::is_lost;
use super::whole::Whole;
use super::{Settings, Task};
use crate::journal::Status;
use crate::ui::color::Tone;
use crate::ui::screen::Screen;
use serde_json::Value;
use std::io::{self, Write};

pub(super) fn draw<W: Write>(
    whole: &Whole,
    task: &Task,
    settings: &Settings,
    screen: &mut Screen<W>,
) -> io::Result<()> {
    let (host, result) = (&whole.host, &whole.result);
    let (word, tone) = match whole.status {
        Status::Ok => ("SUCCESS", Tone::Good),
        Status::Changed => ("CHANGED", Tone::Changed),
        Status::Skipped => return screen.line(Tone::Skipped, &format!("{host} | SKIPPED")),
        _ if is_lost(result) => {
            let why = result
                .get("msg")
                .and_then(Value::as_str)
                .unwrap_or_default();
            return screen.line(Tone::Unreachable, &format!("{host} | UNREACHABLE!: {why}"));
        }
        _ => ("FAILED!", Tone::Bad),
    };
    let started = result.get("ansible_job_id").is_some();
    if task.is_command() && !started && word != "FAILED!" {
        return screen.line(tone, &format!("{host} | {word} | {}", printed(result)));
    }
    let dumped = settings.format.result(result, whole.always, Some(0));
    screen.line(
        tone,
        &format!("{host} | {word} => {}", dumped.replace('\n', "")),
    )
}

/// The exit status and both outputs of a command, on one line.
fn printed(result: &Value) -> String {
    let part = |name: &str| {
        let text = result.get(name).and_then(Value::as_str).unwrap_or_default();
        text.replace('\n', "\\n").replace('\r', "\\r")
    };
    let rc = result
        .get("rc")
        .map_or_else(|| "-1".to_owned(), Value::to_string);
    let line = format!("rc={rc} | (stdout) {}", part("stdout"));
    match part("stderr") {
        stderr if stderr.is_empty() => line,
        stderr => format!("{line} (stderr) {stderr}"),
    }
}
