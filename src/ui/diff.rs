//! Draws what a module returned as `diff`, as Ansible does: a unified diff, or the text that the module prepared.

use super::color::{Paint, Tone};
use super::difflib;
use super::results::Format;
use crate::content::template::eval::lines;
use serde_json::Value;

/// Lines around a change.
const CONTEXT: usize = 3;

/// A diff or a list of them as text, an empty line behind each; nothing where both sides are equal.
pub fn draw(diff: &Value, format: Format, paint: Paint) -> String {
    match diff {
        Value::Array(diffs) => diffs.iter().map(|diff| one(diff, format, paint)).collect(),
        diff => one(diff, format, paint),
    }
}

fn one(diff: &Value, format: Format, paint: Paint) -> String {
    let mut text = String::new();
    for (name, what) in [("dst", "destination"), ("src", "source")] {
        if diff.get(format!("{name}_binary")).is_some() {
            text += &format!("diff skipped: {what} file appears to be binary\n");
        }
    }
    for (name, what) in [("dst", "destination"), ("src", "source")] {
        if let Some(size) = diff.get(format!("{name}_larger")) {
            text += &format!("diff skipped: {what} file size is greater than {size}\n");
        }
    }
    if let (Some(before), Some(after)) = (diff.get("before"), diff.get("after")) {
        text += &sides(diff, before, after, format, paint);
    }
    if let Some(prepared) = diff.get("prepared").and_then(Value::as_str) {
        text += prepared;
    }
    text
}

fn sides(diff: &Value, before: &Value, after: &Value, format: Format, paint: Paint) -> String {
    let side = |value: &Value| match value {
        Value::Null => Vec::new(),
        Value::String(text) => ended(text),
        Value::Object(_) => ended(&format.diffed(value)),
        other => ended(&other.to_string()),
    };
    let header = |name: &str, fallback: &str| match diff.get(name) {
        Some(Value::String(path)) => format!("{fallback}: {path}"),
        Some(other) => format!("{fallback}: {other}"),
        None => fallback.to_owned(),
    };
    let lines = difflib::unified(
        &side(before),
        &side(after),
        &header("before_header", "before"),
        &header("after_header", "after"),
        CONTEXT,
    );
    if lines.is_empty() {
        return String::new();
    }
    let painted = lines.iter().map(|line| {
        let tone = match line.as_bytes() {
            [b'+', ..] => Tone::Good,
            [b'-', ..] => Tone::Bad,
            [b'@', b'@', ..] => Tone::Skipped,
            _ => Tone::Plain,
        };
        paint.text(tone, line)
    });
    painted.chain(["\n".to_owned()]).collect()
}

/// Lines with their ends; that the last has none is said.
fn ended(text: &str) -> Vec<String> {
    let mut found: Vec<String> = lines(text, true).into_iter().map(str::to_owned).collect();
    if let Some(last) = found.last_mut()
        && !last.ends_with('\n')
    {
        last.push_str("\n\\ No newline at end of file\n");
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn drawn(diff: &Value) -> String {
        draw(diff, Format::default(), Paint { on: false })
    }

    #[test]
    fn shows_the_lines_that_change() {
        let diff = json!({"before": "a\nb\n", "after": "a\nc\n", "before_header": "/etc/x", "after_header": "/etc/x"});
        insta::assert_snapshot!(drawn(&diff), @r"
        --- before: /etc/x
        +++ after: /etc/x
        @@ -1,2 +1,2 @@
         a
        -b
        +c
        ");
    }

    #[test]
    fn equal_sides_are_no_diff() {
        assert_eq!(drawn(&json!({"before": "a", "after": "a"})), "");
    }
}
