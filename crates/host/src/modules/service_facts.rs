//! `service_facts`: services and their states, as the fact `services`.

use crate::{Context, Failure, Module, Outcome, Return, Spec};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::path::Path;

#[derive(Deserialize)]
pub struct ServiceFacts {}

/// States that stay a service's status whatever its file says.
const BAD: &[&str] = &["not-found", "masked", "failed"];

impl Module for ServiceFacts {
    const SPEC: Spec = Spec::new(
        "service_facts",
        "Lists services as the fact services: those of systemd, and those of the old init.",
        &[],
    )
    .returns(&[Return::new(
        "ansible_facts",
        "services: by name, each with name, source, state and status.",
    )]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let mut services = Map::new();
        if cx.find_program("service").is_some() {
            let output = cx.process("service").arg("--status-all").system().run()?;
            add_sysv(&output.stdout_text(), &mut services);
        }
        if Path::new("/run/systemd/system").is_dir() {
            let units = list(
                cx,
                &[
                    "list-units",
                    "--no-pager",
                    "--type",
                    "service",
                    "--all",
                    "--plain",
                ],
            )?;
            let files = list(
                cx,
                &[
                    "list-unit-files",
                    "--no-pager",
                    "--type",
                    "service",
                    "--all",
                ],
            )?;
            add_units(&units, &mut services);
            let stopped = add_files(&files, &mut services);
            add_states(cx, &stopped, &mut services)?;
        }
        if services.is_empty() {
            return Ok(Outcome::ok().msg("Failed to find any services. This can be due to privileges or some other configuration issue."));
        }
        Ok(Outcome::ok().with("ansible_facts", json!({"services": services})))
    }
}

fn list(cx: &Context, args: &[&str]) -> Result<String, Failure> {
    let output = cx
        .process("systemctl")
        .args(args)
        .system()
        .run()?
        .check("cannot list the units of systemd")?;
    Ok(output.stdout_text())
}

/// Lines like ` [ + ]  ssh`; a question mark is a service that can't tell.
fn add_sysv(text: &str, services: &mut Map<String, Value>) {
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let ["[", mark, "]", name, ..] = words[..] {
            let state = if mark == "+" { "running" } else { "stopped" };
            let entry = json!({"name": name, "state": state, "source": "sysv"});
            services.insert(name.to_owned(), entry);
        }
    }
}

/// Lines of UNIT LOAD ACTIVE SUB DESCRIPTION.
fn add_units(text: &str, services: &mut Map<String, Value>) {
    for line in text.lines() {
        let words: Vec<&str> = line
            .trim_start_matches(['●', '*', ' ', '○', '×'])
            .split_whitespace()
            .collect();
        let [name, load, active, sub, ..] = words[..] else {
            continue;
        };
        if !name.ends_with(".service") {
            continue;
        }
        let bad = [load, active, sub]
            .into_iter()
            .find(|word| BAD.contains(word));
        let state = if sub == "running" {
            "running"
        } else {
            "stopped"
        };
        let entry = json!({
            "name": name, "state": state, "status": bad.unwrap_or(active), "source": "systemd",
        });
        services.insert(name.to_owned(), entry);
    }
}

/// Lines of FILE STATE [PRESET]. Returns the services that have a file and aren't loaded.
fn add_files(text: &str, services: &mut Map<String, Value>) -> Vec<String> {
    let mut others = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, status, ..] = words[..] else {
            continue;
        };
        if !name.ends_with(".service") {
            continue;
        }
        match services.get_mut(name) {
            None => {
                let entry = json!({
                    "name": name, "state": "unknown", "status": status, "source": "systemd",
                });
                services.insert(name.to_owned(), entry);
                others.push(name.to_owned());
            }
            Some(known)
                if known["status"]
                    .as_str()
                    .is_some_and(|now| BAD.contains(&now)) => {}
            Some(known) => known["status"] = status.into(),
        }
    }
    others
}

/// The states of services that aren't loaded; all asked for at once. Templates (`x@.service`) have none.
fn add_states(
    cx: &Context,
    names: &[String],
    services: &mut Map<String, Value>,
) -> Result<(), Failure> {
    let names: Vec<&String> = names.iter().filter(|name| !name.contains("@.")).collect();
    if names.is_empty() {
        return Ok(());
    }
    let output = cx
        .process("systemctl")
        .args(["show", "--property=Id,ActiveState"])
        .args(&names)
        .system()
        .run()?;
    let text = output.stdout_text();
    for (name, block) in names.iter().zip(text.split("\n\n")) {
        let state = block
            .lines()
            .find_map(|line| line.strip_prefix("ActiveState="));
        if let (Some(state), Some(known)) = (state, services.get_mut(*name)) {
            known["state"] = state.into();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::test::run;

    #[test]
    fn the_words_of_systemd_are_read() {
        // systemd 252 of Debian 12.
        let units = "  UNIT LOAD ACTIVE SUB DESCRIPTION\n  ssh.service loaded active running OpenBSD Secure Shell server\n  auditd.service not-found inactive dead auditd.service\n● bad.service loaded failed failed A bad one\n  once.service loaded active exited Once\n\nLOAD = Reflects…\n4 loaded units listed.\n";
        let files = "UNIT FILE STATE PRESET\nssh.service enabled enabled\nbad.service disabled enabled\ngetty@.service enabled enabled\nx.service masked enabled\n\n5 unit files listed.\n";
        let mut services = Map::new();
        add_units(units, &mut services);
        let others = add_files(files, &mut services);
        assert_eq!(others, ["getty@.service", "x.service"]);
        let is = |name: &str, state: &str, status: &str| {
            assert_eq!(
                services[name],
                json!({"name": name, "state": state, "status": status, "source": "systemd"})
            );
        };
        is("ssh.service", "running", "enabled");
        is("auditd.service", "stopped", "not-found");
        is("bad.service", "stopped", "failed");
        is("once.service", "stopped", "active");
        is("x.service", "unknown", "masked");
        assert_eq!(services.len(), 6);
    }

    #[test]
    fn services_are_listed() {
        let outcome = run("service_facts", json!({}));
        assert!(!outcome.failed && !outcome.changed, "{outcome:?}");
    }
}
