//! Draws what a module returned as `diff`, as a unified diff.

use super::color::{Paint, Tone};
use serde_json::Value;
use similar::TextDiff;

/// A diff or a list of them as text; nothing where both sides are equal.
pub fn draw(diff: &Value, paint: Paint) -> String {
    match diff {
        Value::Array(diffs) => diffs.iter().map(|diff| one(diff, paint)).collect(),
        diff => one(diff, paint),
    }
}

fn one(diff: &Value, paint: Paint) -> String {
    if let Some(prepared) = diff.get("prepared").and_then(Value::as_str) {
        return paint_lines(prepared, paint);
    }
    let side = |name: &str| match diff.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => serde_json::to_string_pretty(other)
            .map(|text| text + "\n")
            .unwrap_or_default(),
    };
    let (before, after) = (side("before"), side("after"));
    if before == after {
        return String::new();
    }
    let header = |name: &str, fallback: &str| match diff.get(name).and_then(Value::as_str) {
        Some(path) => format!("{fallback}: {path}"),
        None => fallback.to_owned(),
    };
    let text = TextDiff::from_lines(&before, &after)
        .unified_diff()
        .context_radius(3)
        .header(
            &header("before_header", "before"),
            &header("after_header", "after"),
        )
        .to_string();
    paint_lines(&text, paint)
}

fn paint_lines(text: &str, paint: Paint) -> String {
    text.lines()
        .map(|line| {
            let tone = match line.as_bytes().first() {
                Some(b'+') => Tone::Good,
                Some(b'-') => Tone::Bad,
                Some(b'@') => Tone::Skipped,
                _ => Tone::Plain,
            };
            paint.text(tone, line) + "\n"
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn shows_the_lines_that_change() {
        let diff = json!({"before": "a\nb\n", "after": "a\nc\n", "before_header": "/etc/x", "after_header": "/etc/x"});
        insta::assert_snapshot!(draw(&diff, Paint { on: false }), @r"
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
        assert_eq!(
            draw(&json!({"before": "a", "after": "a"}), Paint { on: false }),
            ""
        );
    }
}
