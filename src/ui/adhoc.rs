//! Draws the results of one task by itself (`kopsrun exec`) as the `ansible` command does: a head with the host, and
//! below it what the command printed, or the result as JSON.

use super::color::{Paint, Tone};
use super::results::Format;
use super::{diff, json};
use crate::journal::{Event, Status};
use serde_json::Value;

/// Modules of which the output matters, not the result.
const COMMANDS: &[&str] = &["command", "shell", "raw", "script"];

/// The lines of one host's result; empty for other events.
pub fn draw(event: &Event, module: Option<&str>, paint: Paint) -> String {
    let Event::HostResult {
        host,
        status,
        message,
        result,
        diff: changes,
        hints,
        ..
    } = event
    else {
        return String::new();
    };
    let (word, tone) = word(*status);
    let ran = COMMANDS.iter().any(|command| module == Some(command));
    let code = result.get("rc").filter(|_| ran);
    let mut text = changes
        .as_ref()
        .map(|changes| diff::draw(changes, Format::default(), paint))
        .unwrap_or_default();
    let body = match (status, code) {
        (Status::Skipped, _) => format!("{host} | SKIPPED"),
        (Status::Unreachable, _) | (_, None) => {
            let mark = if is_bad(*status) { "!" } else { "" };
            let shown = json::indented(&shown(result, message.as_deref()));
            format!("{host} | {word}{mark} => {shown}")
        }
        (_, Some(code)) => format!("{host} | {word} | rc={code} >>{}", printed(result)),
    };
    text.push_str(&paint.text(tone, &body));
    text.push('\n');
    for hint in hints {
        text.push_str(&format!("  hint: {hint}\n"));
    }
    text
}

fn word(status: Status) -> (&'static str, Tone) {
    match status {
        Status::Ok => ("SUCCESS", Tone::Good),
        Status::Changed => ("CHANGED", Tone::Changed),
        Status::Skipped => ("SKIPPED", Tone::Skipped),
        Status::Failed | Status::Rescued | Status::Ignored => ("FAILED", Tone::Bad),
        Status::Unreachable => ("UNREACHABLE", Tone::Bad),
    }
}

fn is_bad(status: Status) -> bool {
    !matches!(status, Status::Ok | Status::Changed | Status::Skipped)
}

/// All that a command wrote, each stream from a line of its own, and what was wrong with it.
fn printed(result: &Value) -> String {
    let mut text = String::new();
    for part in ["stdout", "stderr", "msg"] {
        let part = result.get(part).and_then(Value::as_str).unwrap_or_default();
        if !part.is_empty() {
            text.push('\n');
            text.push_str(part.strip_suffix('\n').unwrap_or(part));
        }
    }
    text
}

/// A result without what only serves kopsrun, its keys in order.
fn shown(result: &Value, message: Option<&str>) -> Value {
    let mut shown = result.clone();
    let Some(map) = shown.as_object_mut() else {
        return shown;
    };
    for key in ["invocation", "diff", "failed"] {
        map.shift_remove(key);
    }
    if let (Some(message), false) = (message, map.contains_key("msg")) {
        map.insert("msg".to_owned(), message.into());
    }
    map.sort_keys();
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn drawn(status: Status, module: &str, result: Value) -> String {
        let event = Event::HostResult {
            host: "node1".into(),
            task: module.into(),
            item: None,
            status,
            message: None,
            result,
            diff: None,
            delegate: Default::default(),
            detail: Default::default(),
            place: None,
            hints: vec![],
            duration: 0.1,
        };
        draw(&event, Some(module), Paint { on: false })
    }

    #[test]
    fn commands_show_what_they_printed() {
        let result =
            json!({"rc": 0, "stdout": " 13:59 up\n", "stderr": "", "msg": "", "changed": true});
        assert_eq!(
            drawn(Status::Changed, "command", result),
            "node1 | CHANGED | rc=0 >>\n 13:59 up\n"
        );
        let result =
            json!({"rc": 3, "stdout": "out", "stderr": "err", "msg": "non-zero return code"});
        assert_eq!(
            drawn(Status::Failed, "shell", result),
            "node1 | FAILED | rc=3 >>\nout\nerr\nnon-zero return code\n"
        );
    }

    #[test]
    fn other_modules_show_their_result() {
        assert_eq!(
            drawn(
                Status::Ok,
                "ping",
                json!({"ping": "pong", "changed": false, "failed": false})
            ),
            "node1 | SUCCESS => {\n    \"changed\": false,\n    \"ping\": \"pong\"\n}\n"
        );
        let lost = json!({"unreachable": true, "msg": "no route", "changed": false});
        let text = drawn(Status::Unreachable, "command", lost);
        assert!(text.starts_with("node1 | UNREACHABLE! => {\n"), "{text}");
        // A command that was never started has no code to show.
        let wrong = json!({"msg": "'foo' is undefined", "changed": false});
        let text = drawn(Status::Failed, "shell", wrong);
        assert!(text.starts_with("node1 | FAILED! => {\n"), "{text}");
    }
}
