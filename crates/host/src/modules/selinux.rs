//! `selinux`: mode and policy of SELinux, now and at boot. The kernel says what is now (/sys/fs/selinux), a file what
//! will be. No host of our tests has SELinux: parts that need it are tested with files that stand for it.

use crate::files::{self, Attributes};
use crate::modules::rewrite;
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Return, Rule, Spec};
use serde::Deserialize;
use std::fs;
use std::path::Path;

#[derive(Deserialize)]
pub struct Selinux {
    state: String,
    policy: Option<String>,
    update_kernel_param: bool,
    configfile: String,
}

const KERNEL: &str = "/sys/fs/selinux";

impl Module for Selinux {
    const SPEC: Spec = Spec::new(
        "selinux",
        "Sets the mode and the policy of SELinux, now as far as the kernel lets, and at boot.",
        &[
            Arg::new("state", Kind::Str, "The mode.")
                .choices(&["enforcing", "permissive", "disabled"])
                .required(),
            Arg::new("policy", Kind::Str, "The policy; needed unless disabled."),
            Arg::new(
                "update_kernel_param",
                Kind::Bool,
                "Set the parameter selinux of the kernel at boot too, with grubby.",
            )
            .default("no"),
            Arg::new("configfile", Kind::Path, "The file of what counts at boot.")
                .aliases(&["conf", "file"])
                .default("/etc/selinux/config"),
        ],
    )
    .rules(&[
        Rule::If("state", "enforcing", &["policy"]),
        Rule::If("state", "permissive", &["policy"]),
    ])
    .returns(&[
        Return::new("msg", "What was changed."),
        Return::new("configfile", "The file."),
        Return::new("policy", "The policy."),
        Return::new("state", "The mode."),
        Return::new("reboot_required", "Whether it counts only after a restart."),
    ]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let config = cx.expand(&self.configfile);
        let before = rewrite::read(&config)?.ok_or_else(|| {
            Failure::new(format!(
                "Unable to find file {}: SELinux isn't installed on this host",
                config.display()
            ))
        })?;
        let before = String::from_utf8_lossy(&before).into_owned();
        let now = Now::read(Path::new(KERNEL));
        let mut said = Vec::new();
        let mut reboot = false;
        let policy = self
            .policy
            .clone()
            .or_else(|| value(&before, "SELINUXTYPE"));
        let mut after = before.clone();
        if let Some(policy) = &self.policy
            && value(&before, "SELINUXTYPE").as_ref() != Some(policy)
        {
            said.push(format!(
                "SELinux policy configuration in '{}' changed to '{policy}'",
                config.display()
            ));
            after = with(&after, "SELINUXTYPE", policy);
            reboot |= now != Now::Off;
        }
        if value(&before, "SELINUX").as_deref() != Some(&self.state) {
            said.push(format!("Config SELinux state changed to '{}'", self.state));
            after = with(&after, "SELINUX", &self.state);
        }
        let set = match (now, self.state.as_str()) {
            (Now::Permissive, "enforcing") => Some("1"),
            (Now::Enforcing, "permissive") => Some("0"),
            (Now::Off, "enforcing" | "permissive") => {
                reboot = true;
                None
            }
            (Now::Enforcing, "disabled") => {
                reboot = true;
                Some("0")
            }
            (Now::Permissive, "disabled") => {
                reboot = true;
                None
            }
            _ => None,
        };
        if set.is_some() {
            said.push(format!(
                "SELinux state changed from '{}' to '{}'",
                now.name(),
                self.now_name()
            ));
        }
        let parameter = self.kernel_parameter(cx)?;
        if parameter {
            said.push("SELinux kernel parameter changed".to_owned());
            reboot = true;
        }
        if reboot && now == Now::Off && self.state != "disabled" {
            cx.warn("SELinux is off: it comes with the next start of the host, which may label all files");
        }
        let mut outcome = Outcome::changed(!said.is_empty())
            .msg(said.join(", "))
            .with("configfile", config.to_string_lossy())
            .with("policy", policy)
            .with("state", self.state.as_str())
            .with("reboot_required", reboot);
        if after != before && cx.diff() {
            outcome = outcome.diff(&config.to_string_lossy(), &before, &after);
        }
        if cx.check() {
            return Ok(outcome);
        }
        if after != before {
            files::write(&config, after.as_bytes(), Attributes::default()).map_err(|error| {
                rewrite::write_failure(&config, after.len() as u64, true, &error)
            })?;
        }
        if let Some(set) = set {
            let file = Path::new(KERNEL).join("enforce");
            fs::write(&file, set).map_err(|error| Failure::io("cannot write", &file, &error))?;
        }
        if parameter {
            self.grubby(cx)?
                .args([
                    "--args",
                    &format!("selinux={}", u8::from(self.state != "disabled")),
                ])
                .args(["--update-kernel", "ALL"])
                .run()?
                .check("unable to update the parameters of the kernel")?;
        }
        Ok(outcome)
    }
}

impl Selinux {
    /// What the mode is until the next start: it can't be turned off while it runs.
    fn now_name(&self) -> &str {
        if self.state == "disabled" {
            "permissive"
        } else {
            &self.state
        }
    }

    fn grubby<'c>(&self, cx: &'c Context) -> Result<crate::Process<'c>, Failure> {
        let program = cx.find_program("grubby").ok_or_else(|| {
            Failure::new("'grubby' command not found on host: update_kernel_param needs it")
        })?;
        Ok(cx.process(program).system())
    }

    /// Whether a parameter of a kernel has to change.
    fn kernel_parameter(&self, cx: &Context) -> Result<bool, Failure> {
        if !self.update_kernel_param {
            return Ok(false);
        }
        let output = self
            .grubby(cx)?
            .args(["--info", "ALL"])
            .run()?
            .check("unable to read the parameters of the kernel")?;
        let wanted = format!("selinux={}", u8::from(self.state != "disabled"));
        let text = output.stdout_text();
        Ok(text
            .lines()
            .filter(|line| line.starts_with("args="))
            .any(|line| {
                let words = line.trim_start_matches("args=").trim_matches('"');
                let is = words.split(' ').rfind(|word| word.starts_with("selinux="));
                match is {
                    Some(is) => is != wanted,
                    None => self.state == "disabled",
                }
            }))
    }
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Now {
    Off,
    Permissive,
    Enforcing,
}

impl Now {
    fn read(kernel: &Path) -> Self {
        match fs::read_to_string(kernel.join("enforce"))
            .as_deref()
            .map(str::trim)
        {
            Ok("1") => Self::Enforcing,
            Ok(_) => Self::Permissive,
            Err(_) => Self::Off,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Off => "disabled",
            Self::Permissive => "permissive",
            Self::Enforcing => "enforcing",
        }
    }
}

/// The value that a line of the file gives.
fn value(text: &str, name: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let rest = line.strip_prefix(name)?.strip_prefix('=')?;
        Some(rest.trim().to_owned())
    })
}

/// The text with a value in the place of the old one, or at the end.
fn with(text: &str, name: &str, value: &str) -> String {
    let mut found = false;
    let mut new: String = text
        .lines()
        .map(|line| {
            let is_it = line
                .strip_prefix(name)
                .is_some_and(|rest| rest.starts_with('='));
            found |= is_it;
            if is_it {
                format!("{name}={value}\n")
            } else {
                format!("{line}\n")
            }
        })
        .collect();
    if !found {
        new.push_str(&format!("{name}={value}\n"));
    }
    new
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::test::{check, run};
    use serde_json::json;

    #[test]
    fn what_counts_at_boot_is_written() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("config");
        let text = "# x\nSELINUX=permissive\nSELINUXTYPE=targeted\n";
        fs::write(&file, text).expect("written");
        let args =
            |state: &str, policy: &str| json!({"state": state, "policy": policy, "conf": file});
        let told = check("selinux", args("disabled", "mls"));
        assert!(
            told.changed
                && told.data["diff"]["after"] == "# x\nSELINUX=disabled\nSELINUXTYPE=mls\n"
        );
        assert_eq!(fs::read_to_string(&file).expect("there"), text);
        assert!(run("selinux", args("disabled", "mls")).changed);
        assert!(!run("selinux", args("disabled", "mls")).changed);
        assert!(run("selinux", json!({"state": "enforcing", "conf": file})).failed);
        fs::write(dir.path().join("enforce"), "1").expect("written");
        assert_eq!(Now::read(dir.path()), Now::Enforcing);
        assert_eq!(Now::read(Path::new("/no/such")), Now::Off);
    }
}
