//! `sysctl`: settings of the kernel, in a file and now.

use crate::files::{self, Attributes};
use crate::modules::rewrite;
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Spec};
use serde::Deserialize;
use std::path::Path;

#[derive(Deserialize)]
pub struct Sysctl {
    name: String,
    value: Option<String>,
    state: String,
    ignoreerrors: bool,
    reload: bool,
    sysctl_file: String,
    sysctl_set: bool,
}

impl Module for Sysctl {
    const SPEC: Spec = Spec::new(
        "sysctl",
        "Keeps settings of the kernel in a file of sysctl, and sets them.",
        &[
            Arg::new("name", Kind::Str, "The setting, with dots.")
                .aliases(&["key"])
                .required(),
            Arg::new("value", Kind::Str, "Its value.").aliases(&["val"]),
            Arg::new("state", Kind::Str, "Whether it is in the file.")
                .choices(&["present", "absent"])
                .default("present"),
            Arg::new(
                "ignoreerrors",
                Kind::Bool,
                "Settings that this kernel doesn't have are fine.",
            )
            .default("no"),
            Arg::new("reload", Kind::Bool, "Load the file when it changed.").default("yes"),
            Arg::new("sysctl_file", Kind::Path, "The file.").default("/etc/sysctl.conf"),
            Arg::new(
                "sysctl_set",
                Kind::Bool,
                "Set the value now, if it is another.",
            )
            .default("no"),
        ],
    );

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let value = self.value()?;
        let path = cx.expand(&self.sysctl_file);
        let path = files::resolve(&path)
            .map_err(|error| Failure::io("cannot follow the link", &path, &error))?;
        let old = rewrite::read(&path)?.unwrap_or_default();
        let old = String::from_utf8_lossy(&old).into_owned();
        let in_file = value_in(&old, &self.name);
        let now = self.now(cx);
        let present = self.state == "present";
        let write = if present {
            in_file.as_deref() != Some(&value)
        } else {
            in_file.is_some()
        };
        let differs = present && now.as_deref().is_none_or(|now| !is_same(now, &value));
        let set = self.sysctl_set && differs;
        // As in Ansible a file that is right is loaded again where the kernel says something else.
        let changed = write || set || (self.reload && differs && in_file.is_some());
        if changed && !cx.check() {
            if set {
                self.set(cx, &value)?;
            }
            if write {
                let new = edited(&old, &self.name, present.then_some(&*value));
                files::write(&path, new.as_bytes(), Attributes::default()).map_err(|error| {
                    rewrite::write_failure(&path, new.len() as u64, !old.is_empty(), &error)
                })?;
            }
            if self.reload {
                self.load(cx, &path)?;
            }
        }
        Ok(Outcome::changed(changed))
    }
}

impl Sysctl {
    /// The value as it is written: booleans are 1 and 0.
    fn value(&self) -> Result<String, Failure> {
        if self.name.trim().is_empty() {
            return Err(Failure::new("name cannot be blank"));
        }
        let value = self.value.as_deref().map(str::trim).unwrap_or_default();
        if self.state == "present" && value.is_empty() {
            return Err(Failure::new(
                "value cannot be blank (or left out) where state is present",
            ));
        }
        Ok(match value {
            "True" | "true" | "yes" | "Yes" | "on" | "On" => "1".to_owned(),
            "False" | "false" | "no" | "No" | "off" | "Off" => "0".to_owned(),
            other => other.to_owned(),
        })
    }

    /// What the kernel says.
    fn now(&self, cx: &Context) -> Option<String> {
        let output = cx
            .process("sysctl")
            .args(["-e", "-n", &self.name])
            .system()
            .run()
            .ok()?;
        let text = output.stdout_text();
        output
            .ok()
            .then(|| text.trim_end_matches('\n').to_owned())
            .filter(|text| !text.is_empty())
    }

    fn set(&self, cx: &Context, value: &str) -> Result<(), Failure> {
        let mut process = cx.process("sysctl").system();
        if self.ignoreerrors {
            process = process.arg("-e");
        }
        let output = process
            .arg("-w")
            .arg(format!("{}={value}", self.name))
            .run()?;
        self.judge(output, &format!("setting {} failed", self.name))
    }

    fn load(&self, cx: &Context, path: &Path) -> Result<(), Failure> {
        let mut process = cx.process("sysctl").system();
        if self.ignoreerrors {
            process = process.arg("-e");
        }
        let output = process.arg("-p").arg(path).run()?;
        self.judge(output, "Failed to reload sysctl")
    }

    /// sysctl may complain and end with 0 nevertheless.
    fn judge(&self, output: crate::Output, what: &str) -> Result<(), Failure> {
        let said = output.stderr_text();
        let complains = ["Invalid argument", "Read-only file system"]
            .iter()
            .any(|text| said.contains(text));
        if complains && output.ok() && !self.ignoreerrors {
            return Err(Failure::new(format!("{what}: {}", said.trim())));
        }
        if self.ignoreerrors && output.rc == 255 {
            return Ok(());
        }
        output.check(what).map(drop)
    }
}

/// Name and value of a line; comments and others have none.
fn setting(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    if line.starts_with(['#', ';']) {
        return None;
    }
    let (name, value) = line.split_once('=')?;
    Some((name.trim(), value.trim()))
}

/// The value that counts: the last one.
fn value_in(text: &str, name: &str) -> Option<String> {
    text.lines()
        .filter_map(setting)
        .filter(|(known, _)| *known == name)
        .map(|(_, value)| value.to_owned())
        .next_back()
}

/// The file with the setting in the place of the first one of its name, at the end if there is none, or without it.
/// Other lines stay as they are.
fn edited(text: &str, name: &str, value: Option<&str>) -> String {
    let mut done = false;
    let mut new = String::with_capacity(text.len() + 64);
    for line in text.lines() {
        if setting(line).is_none_or(|(known, _)| known != name) {
            new.push_str(line);
            new.push('\n');
        } else if let (false, Some(value)) = (done, value) {
            new.push_str(&format!("{name}={value}\n"));
            done = true;
        }
    }
    if let (false, Some(value)) = (done, value) {
        new.push_str(&format!("{name}={value}\n"));
    }
    new
}

/// The kernel separates numbers with tabs.
fn is_same(one: &str, other: &str) -> bool {
    one.split_whitespace().eq(other.split_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::test::{check, run};
    use serde_json::json;

    #[test]
    fn only_its_own_line_changes() {
        let text = "# a comment\na.b = 1\n\nc.d=2\na.b=3\n";
        assert_eq!(value_in(text, "a.b").as_deref(), Some("3"));
        assert_eq!(
            edited(text, "a.b", Some("4")),
            "# a comment\na.b=4\n\nc.d=2\n"
        );
        assert_eq!(edited(text, "a.b", None), "# a comment\n\nc.d=2\n");
        assert_eq!(edited("x=1", "y", Some("2")), "x=1\ny=2\n");
        assert!(is_same("1\t2  3", "1 2 3") && !is_same("1 2", "1 3"));
    }

    #[test]
    fn a_setting_is_kept_in_a_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("99-x.conf");
        let args = |value: &str, state: &str| json!({"name": "net.ipv4.ip_forward", "value": value, "state": state, "sysctl_file": file, "reload": false});
        assert!(check("sysctl", args("yes", "present")).changed && !file.exists());
        assert!(run("sysctl", args("yes", "present")).changed);
        assert_eq!(
            std::fs::read_to_string(&file).expect("there"),
            "net.ipv4.ip_forward=1\n"
        );
        assert!(!run("sysctl", args("1", "present")).changed);
        assert!(run("sysctl", args("0", "present")).changed);
        assert!(run("sysctl", args("", "absent")).changed);
        assert!(!run("sysctl", args("", "absent")).changed);
        assert_eq!(std::fs::read_to_string(&file).expect("there"), "");
        assert!(run("sysctl", args(" ", "present")).failed);
    }
}
