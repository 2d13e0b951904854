//! `hostname`: the name of the host, now and at boot.

use crate::files::{self, Attributes};
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Spec};
use serde::Deserialize;
use serde_json::json;
use std::path::Path;

#[derive(Deserialize)]
pub struct Hostname {
    name: String,
    #[serde(rename = "use")]
    strategy: Option<String>,
}

const FILE: &str = "/etc/hostname";

impl Module for Hostname {
    const SPEC: Spec = Spec::new(
        "hostname",
        "Sets the name of the host: with hostnamectl where systemd runs, else with hostname and /etc/hostname.",
        &[
            Arg::new("name", Kind::Str, "The name.").required(),
            Arg::new("use", Kind::Str, "How; found out if not said.").choices(&[
                "alpine", "debian", "generic", "openrc", "redhat", "sles", "systemd",
            ]),
        ],
    );

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let name = self.name.trim();
        if name.is_empty() || name.len() > 253 || name.contains(char::is_whitespace) {
            return Err(Failure::new(format!(
                "{:?} is no name of a host",
                self.name
            )));
        }
        let systemd = match self.strategy.as_deref() {
            None => Path::new("/run/systemd/system").is_dir(),
            Some(strategy) => strategy == "systemd",
        };
        if matches!(
            self.strategy.as_deref(),
            Some("openrc" | "redhat" | "sles" | "generic")
        ) {
            return Err(Failure::new(format!(
                "hostname: use: {} isn't supported; leave it out, or say systemd, debian or alpine",
                self.strategy.unwrap_or_default()
            )));
        }
        let now = rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned();
        let at_boot = std::fs::read_to_string(FILE)
            .unwrap_or_default()
            .trim()
            .to_owned();
        let changed = now != name || at_boot != name;
        if changed && !cx.check() {
            set(cx, name, systemd, now != name)?;
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

fn set(cx: &Context, name: &str, systemd: bool, now: bool) -> Result<(), Failure> {
    if systemd {
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
    let path = Path::new(FILE);
    let attributes = Attributes {
        mode: Some(0o644),
        ..Attributes::default()
    };
    files::write(path, format!("{name}\n").as_bytes(), attributes)
        .map_err(|error| Failure::io("cannot write", path, &error))
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
        assert!(run("hostname", json!({"name": "a", "use": "openrc"})).failed);
    }
}
