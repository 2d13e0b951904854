//! Results as Ansible's callbacks print them: JSON as Python writes it, or YAML.

use crate::content::template::eval::json::{self, Style};
use crate::content::template::eval::lines;
use crate::content::value::Value as Data;
use crate::content::yaml;
use serde_json::{Map, Value};

/// How results are laid out: the settings `result_format` and `pretty_results` of callbacks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Format {
    pub yaml: bool,
    /// As `community.general.yaml`: what changed in front of the result, and the rest as YAML below.
    pub headed: bool,
    /// As `ansible.posix.debug`: what programs printed in paragraphs of its own below the rest.
    pub sections: bool,
    /// Over several lines; None: where it helps.
    pub pretty: Option<bool>,
    pub verbosity: u8,
}

impl Format {
    /// The result of a task; `always`: it is what the task is for. `indent`: spaces for each level where it is laid out.
    pub fn result(self, result: &Value, always: bool, indent: Option<usize>) -> String {
        let mut shown = cleaned(result);
        if let Some(map) = shown.as_object_mut() {
            if self.verbosity < 3 {
                map.shift_remove("invocation");
                map.shift_remove("diff");
            }
            map.shift_remove("exception");
        }
        if self.headed {
            return headed(shown);
        }
        if self.sections {
            return self.in_sections(shown, indent);
        }
        self.plain(&shown, always, indent)
    }

    fn in_sections(self, mut shown: Value, indent: Option<usize>) -> String {
        let mut below = String::new();
        if let Some(map) = shown.as_object_mut() {
            map.shift_remove("stdout_lines");
            map.shift_remove("stderr_lines");
            for name in ["stdout", "stderr", "msg", "module_stdout", "module_stderr"] {
                let text = map.shift_remove(name).map(|text| Data::from_json(&text));
                if let Some(text) = text.filter(Data::truthy) {
                    below += &format!("\n\n{}:\n\n{}\n", name.to_uppercase(), text.to_text());
                }
            }
        }
        self.plain(&shown, true, indent) + &below
    }

    /// A value that is no result.
    pub fn plain(self, shown: &Value, always: bool, indent: Option<usize>) -> String {
        let wide = always
            || self.pretty.is_none() && self.yaml
            || self.pretty == Some(true)
            || self.verbosity > 2;
        let indent = match self.pretty {
            Some(false) => None,
            _ if wide => Some(indent.filter(|indent| *indent > 0).unwrap_or(4)),
            _ => indent,
        };
        if self.yaml {
            return self.yaml(shown, indent);
        }
        dumped(shown, indent, false)
    }

    fn yaml(self, shown: &Value, indent: Option<usize>) -> String {
        let mut shown = shown.clone();
        let lossy = self.pretty != Some(false);
        if let (true, Some(map)) = (lossy, shown.as_object_mut()) {
            for stream in ["stdout", "stderr"] {
                let lines = format!("{stream}_lines");
                if map.contains_key(stream) && map.contains_key(&lines) {
                    map.insert(lines, "<omitted>".into());
                }
            }
        }
        let text = laid_out(&shown, indent, lossy);
        format!("\n{}", indented(&text, indent.unwrap_or(4)))
    }

    /// A side of a diff that isn't text.
    pub(super) fn diffed(self, side: &Value) -> String {
        if self.headed {
            return wide(side, None);
        }
        if self.yaml {
            let text = laid_out(side, Some(4), self.pretty != Some(false));
            return format!("{}\n", indented(&text, 4));
        }
        dumped(side, Some(4), true) + "\n"
    }
}

/// JSON by Python's `json.dumps` with sorted keys.
pub fn dumped(value: &Value, indent: Option<usize>, ensure_ascii: bool) -> String {
    let style = Style {
        indent,
        sort_keys: true,
        ensure_ascii,
        separators: None,
    };
    json::dump(&Data::from_json(value), &style).unwrap_or_else(|_| value.to_string())
}

fn laid_out(value: &Value, indent: Option<usize>, lossy: bool) -> String {
    let style = yaml::Style {
        indent: indent.and_then(|indent| i32::try_from(indent).ok()),
        flow: Some(false),
        blocks: Some(lossy),
        ..yaml::Style::YAML
    };
    yaml::dump(&Data::from_json(value), &style).unwrap_or_else(|_| value.to_string())
}

/// YAML whose lines aren't folded.
fn wide(value: &Value, blocks: Option<bool>) -> String {
    let style = yaml::Style {
        width: Some(1000),
        flow: Some(false),
        blocks,
        ..yaml::Style::YAML
    };
    yaml::dump(&Data::from_json(value), &style).unwrap_or_else(|_| value.to_string())
}

/// A result as `community.general.yaml` shows it.
fn headed(mut shown: Value) -> String {
    let Some(map) = shown.as_object_mut() else {
        return wide(&shown, Some(true));
    };
    if map.contains_key("censored") {
        return dumped(&shown, None, false);
    }
    let mut text = String::new();
    for name in ["changed", "skipped"] {
        if let Some(value) = map.shift_remove(name) {
            text += &format!("{name}={value} ");
        }
    }
    for stream in ["stdout", "stderr"] {
        let lines = format!("{stream}_lines");
        if map.contains_key(stream) && map.contains_key(&lines) {
            map.insert(lines, "<omitted>".into());
        }
    }
    if !map.is_empty() {
        text += &format!("\n{}", wide(&shown, Some(true)));
    }
    text.replace('\n', "\n  ").trim_end().to_owned()
}

/// Lines that aren't empty, moved to the right.
fn indented(text: &str, width: usize) -> String {
    let lines = text.split_inclusive('\n').map(|line| {
        if line.trim().is_empty() {
            line.to_owned()
        } else {
            format!("{}{line}", " ".repeat(width))
        }
    });
    lines.collect()
}

/// A result without what only serves the runner, and with the lines of outputs, which journals leave out.
pub fn cleaned(result: &Value) -> Value {
    let mut shown = without_internals(result);
    if let Some(map) = shown.as_object_mut() {
        map.shift_remove("failed");
        map.shift_remove("skipped");
        with_lines(map);
    }
    shown
}

fn without_internals(value: &Value) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .filter(|(name, _)| !name.starts_with("_ansible_"))
            .map(|(name, value)| (name.clone(), without_internals(value)))
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => items.iter().map(without_internals).collect(),
        other => other.clone(),
    }
}

/// Results carry the lines of an output beside its text.
pub(super) fn with_lines(map: &mut Map<String, Value>) {
    for stream in ["stdout", "stderr"] {
        let name = format!("{stream}_lines");
        if map.contains_key(&name) || !map.contains_key("rc") {
            continue;
        }
        let found = map.get(stream).and_then(Value::as_str).map(|text| {
            let found = lines(text, false).into_iter();
            found.map(Value::from).collect::<Value>()
        });
        if let Some(found) = found {
            map.insert(name, found);
        }
    }
}

/// What a debug task shows: its message alone, or the variable that it was asked for.
pub fn of_debug(result: &Value) -> Value {
    let mut shown = result.clone();
    if let Some(map) = shown.as_object_mut() {
        if map.contains_key("msg") {
            map.retain(|name, _| {
                matches!(
                    name.as_str(),
                    "msg" | "exception" | "warnings" | "deprecations"
                )
            });
        } else {
            for name in ["changed", "failed", "skipped", "invocation", "skip_reason"] {
                map.shift_remove(name);
            }
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_result_is_one_line_of_json_with_sorted_keys() {
        let result =
            json!({"rc": 1, "changed": true, "failed": true, "stdout": "a\nb", "diff": []});
        assert_eq!(
            Format::default().result(&result, false, None),
            r#"{"changed": true, "rc": 1, "stdout": "a\nb", "stdout_lines": ["a", "b"]}"#
        );
    }

    #[test]
    fn yaml_shows_texts_of_several_lines_as_blocks() {
        let format = Format {
            yaml: true,
            ..Format::default()
        };
        let result = json!({"msg": "one\ntwo  \n", "rc": 0});
        insta::assert_snapshot!(format.result(&result, false, None), @r"
            msg: |-
                one
                two
            rc: 0
        ");
    }
}
