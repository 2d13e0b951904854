//! `hostname`: the name of the host, now and at boot.

use crate::files::{self, Attributes};
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Return, Spec};
use serde::Deserialize;
use serde_json::json;
use std::path::Path;

#[derive(Deserialize)]
pub struct Hostname {
    name: String,
    #[serde(rename = "use")]
    strategy: Option<String>,
}

/// Where a distribution keeps the name for the next start.
#[derive(Clone, Copy, PartialEq)]
enum Keep {
    /// hostnamectl sets both at once.
    Systemd,
    /// The file holds the name alone.
    File(&'static str),
    /// A line `NAME=value` of the file; the value in quotes or not.
    Line(&'static str, &'static str, bool),
}

impl Module for Hostname {
    const SPEC: Spec = Spec::new(
        "hostname",
        "Sets the name of the host: with hostnamectl where systemd runs, else with hostname and the file that the distribution has for it.",
        &[
            Arg::new("name", Kind::Str, "The name.").required(),
            Arg::new(
                "use",
                Kind::Str,
                "How; found out if not said. debian, systemd and generic: hostnamectl; alpine: /etc/hostname; openrc: /etc/conf.d/hostname; redhat: /etc/sysconfig/network; sles: /etc/HOSTNAME.",
            )
            .choices(&[
                "alpine", "debian", "generic", "openrc", "redhat", "sles", "systemd",
            ]),
        ],
    )
    .returns(&[
        Return::new("name", "The name."),
        Return::new("ansible_facts", "The facts about the name, as they are now."),
    ]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let name = self.name.trim();
        if name.is_empty() || name.len() > 253 || name.contains(char::is_whitespace) {
            return Err(Failure::new(format!(
                "{:?} is no name of a host",
                self.name
            )));
        }
        let keep = match self.strategy.as_deref() {
            Some("alpine") => Keep::File("/etc/hostname"),
            Some("sles") => Keep::File("/etc/HOSTNAME"),
            Some("openrc") => Keep::Line("/etc/conf.d/hostname", "hostname", true),
            Some("redhat") => Keep::Line("/etc/sysconfig/network", "HOSTNAME", false),
            None if !Path::new("/run/systemd/system").is_dir() => Keep::File("/etc/hostname"),
            _ => Keep::Systemd,
        };
        let at_boot = keep.read();
        // As in Ansible a file that is asked for by name is all that counts.
        let by_file = self.strategy.is_some() && keep != Keep::Systemd;
        let now = if by_file {
            at_boot.clone()
        } else {
            rustix::system::uname()
                .nodename()
                .to_string_lossy()
                .into_owned()
        };
        let changed = now != name || at_boot != name;
        if changed && !cx.check() {
            let alpine = self.strategy.as_deref() == Some("alpine");
            keep.set(
                cx,
                name,
                now != name && (!by_file || alpine),
                at_boot != name,
            )?;
        }
        let before = if now == name { &at_boot } else { &now };
        let (short, domain) = name.split_once('.').unwrap_or((name, ""));
        let mut outcome = Outcome::changed(changed).with("name", name).with(
            "ansible_facts",
            json!({
                "ansible_hostname": short, "ansible_nodename": name,
                "ansible_fqdn": name, "ansible_domain": domain,
            }),
        );
        if changed && cx.diff() {
            let line = |name: &str| format!("hostname = {name}\n");
            outcome = outcome.with("diff", json!({"before": line(before), "after": line(name)}));
        }
        Ok(outcome)
    }
}

impl Keep {
    /// The name for the next start; empty when none is kept.
    fn read(self) -> String {
        let file = match self {
            Self::Systemd => "/etc/hostname",
            Self::File(file) | Self::Line(file, ..) => file,
        };
        let text = std::fs::read_to_string(file).unwrap_or_default();
        match self {
            Self::Line(_, key, _) => text
                .lines()
                .find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='))
                .map(|value| value.trim().trim_matches('"').to_owned())
                .unwrap_or_default(),
            _ => text.trim().to_owned(),
        }
    }

    fn set(self, cx: &Context, name: &str, now: bool, at_boot: bool) -> Result<(), Failure> {
        if self == Self::Systemd {
            cx.process("hostnamectl")
                .args(["set-hostname", name])
                .system()
                .run()?
                .check("cannot set the name of the host")?;
            return Ok(());
        }
        if now {
            cx.process("hostname")
                .arg(name)
                .system()
                .run()?
                .check("cannot set the name of the host")?;
        }
        if at_boot { self.write(name) } else { Ok(()) }
    }

    fn write(self, name: &str) -> Result<(), Failure> {
        let (file, text) = match self {
            Self::Systemd => return Ok(()),
            Self::File(file) => (file, format!("{name}\n")),
            Self::Line(file, key, quoted) => {
                let old = std::fs::read_to_string(file).unwrap_or_default();
                let line = if quoted {
                    format!("{key}=\"{name}\"")
                } else {
                    format!("{key}={name}")
                };
                (file, with_line(&old, key, &line))
            }
        };
        let path = Path::new(file);
        let attributes = Attributes {
            mode: (!path.exists()).then_some(0o644),
            ..Attributes::default()
        };
        files::write(path, text.as_bytes(), attributes)
            .map_err(|error| Failure::io("cannot write", path, &error))
    }
}

/// The text with the line in the place of the one of its key, or at the end.
fn with_line(text: &str, key: &str, line: &str) -> String {
    let mut found = false;
    let mut new: String = text
        .lines()
        .map(|old| {
            let is_it = old
                .trim()
                .strip_prefix(key)
                .is_some_and(|rest| rest.starts_with('='));
            found |= is_it;
            format!("{}\n", if is_it { line } else { old })
        })
        .collect();
    if !found {
        new.push_str(&format!("{line}\n"));
    }
    new
}

#[cfg(test)]
mod tests {
    use crate::modules::test::{check, run};
    use serde_json::json;

    #[test]
    fn check_mode_tells_and_nonsense_is_refused() {
        let told = check("hostname", json!({"name": "other.example.org"}));
        assert!(
            told.changed && told.data["diff"]["after"] == "hostname = other.example.org\n",
            "{told:?}"
        );
        assert_eq!(told.data["ansible_facts"]["ansible_domain"], "example.org");
        assert!(run("hostname", json!({"name": "a b"})).failed);
        assert!(run("hostname", json!({"name": "a", "use": "macos"})).failed);
    }
}
