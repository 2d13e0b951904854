//! `systemd`, `systemd_service` and `service`: units of systemd.

use crate::spec::join;
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Output, Return, Rule, Spec};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::path::Path;

/// States of the unit file with which `systemctl is-enabled` is content.
const ENABLED: &[&str] = &[
    "enabled",
    "enabled-runtime",
    "static",
    "alias",
    "indirect",
    "generated",
];

const STATES: &[&str] = &["started", "stopped", "restarted", "reloaded"];
const STATE: Arg = Arg::new("state", Kind::Str, "Running or not.").choices(STATES);
const ENABLED_ARG: Arg = Arg::new("enabled", Kind::Bool, "Start at boot.");

/// What `service` of Ansible hands on to `systemd_service` as it is.
const ONLY_SYSTEMD: [Arg; 6] = [
    Arg::new("masked", Kind::Bool, "Impossible to start."),
    Arg::new(
        "daemon_reload",
        Kind::Bool,
        "Read the unit files again first.",
    )
    .aliases(&["daemon-reload"])
    .default("no"),
    Arg::new(
        "daemon_reexec",
        Kind::Bool,
        "Start systemd itself again first.",
    )
    .aliases(&["daemon-reexec"])
    .default("no"),
    Arg::new("no_block", Kind::Bool, "Don't wait until it is done.").default("no"),
    Arg::new("force", Kind::Bool, "Replace links that are in the way."),
    Arg::new(
        "scope",
        Kind::Str,
        "Whose systemd: the system's, the one of the user as whom the task runs, or the unit files of all users.",
    )
    .choices(&["system", "user", "global"])
        .default("system"),
];

#[derive(Deserialize)]
pub struct Systemd {
    name: Option<String>,
    state: Option<String>,
    enabled: Option<bool>,
    masked: Option<bool>,
    daemon_reload: bool,
    daemon_reexec: bool,
    no_block: bool,
    force: Option<bool>,
    scope: Scope,
}

/// Whose systemd is meant.
#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Scope {
    System,
    /// That of the user as whom the task runs.
    User,
    /// Unit files of all users; nothing can be started there.
    Global,
}

impl Module for Systemd {
    const SPEC: Spec = Spec::new(
        "systemd_service",
        "Starts, stops, enables and masks units of systemd.",
        &join::<3, 6, 9>(
            [
                Arg::new("name", Kind::Str, "The unit; .service if it has no suffix.")
                    .aliases(&["service", "unit"]),
                STATE,
                ENABLED_ARG,
            ],
            ONLY_SYSTEMD,
        ),
    )
    .aliases(&["systemd"])
    .rules(&[Rule::OneOf(&["name", "daemon_reload", "daemon_reexec"])])
    .returns(&[
        Return::new("status", "What systemctl show says of the unit."),
        Return::new("name, state, enabled", "As given."),
    ]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let systemctl = Systemctl::new(cx, self.scope)?;
        if self.daemon_reexec && !cx.check() {
            systemctl
                .call(&["daemon-reexec"])?
                .check("cannot start systemd again")?;
        }
        if self.daemon_reload && !cx.check() {
            systemctl
                .call(&["daemon-reload"])?
                .check("cannot reload the unit files")?;
        }
        let Some(name) = &self.name else {
            return Ok(Outcome::ok()
                .with("name", Value::Null)
                .with("status", Map::new()));
        };
        let asks = self.state.is_some() || self.enabled.is_some() || self.masked.is_some();
        let status = systemctl.show(name)?;
        if asks && status.get("LoadState").map(String::as_str) == Some("not-found") {
            return Err(
                Failure::new(format!("Could not find the requested service {name}: host"))
                    .with("name", name.clone()),
            );
        }
        let mut changed = self.mask(&systemctl, name, &status)?;
        changed |= self.enable(&systemctl, name, &status)?;
        changed |= self.start(&systemctl, name, &status)?;
        let mut outcome = Outcome::changed(changed).with("name", name.clone()).with(
            "status",
            status
                .into_iter()
                .map(|(key, value)| (key, value.into()))
                .collect::<Map<_, _>>(),
        );
        if let Some(enabled) = self.enabled {
            outcome = outcome.with("enabled", enabled);
        }
        if let Some(state) = &self.state {
            // Ansible names the state that a unit is in, not the verb.
            let state = if state == "stopped" {
                "stopped"
            } else {
                "started"
            };
            outcome = outcome.with("state", state);
        }
        Ok(outcome)
    }
}

type Status = std::collections::BTreeMap<String, String>;

impl Systemd {
    fn mask(&self, systemctl: &Systemctl, name: &str, status: &Status) -> Result<bool, Failure> {
        let is = status
            .get("LoadState")
            .is_some_and(|state| state == "masked")
            || status
                .get("UnitFileState")
                .is_some_and(|state| state.starts_with("masked"));
        match self.masked {
            Some(wanted) if wanted != is => {
                systemctl.change(
                    if wanted { "mask" } else { "unmask" },
                    self.options(false),
                    name,
                )?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn enable(&self, systemctl: &Systemctl, name: &str, status: &Status) -> Result<bool, Failure> {
        let is = status
            .get("UnitFileState")
            .is_some_and(|state| ENABLED.contains(&state.as_str()));
        match self.enabled {
            Some(wanted) if wanted != is => {
                systemctl.change(
                    if wanted { "enable" } else { "disable" },
                    self.options(false),
                    name,
                )?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn start(&self, systemctl: &Systemctl, name: &str, status: &Status) -> Result<bool, Failure> {
        let active = status.get("ActiveState").map_or("", String::as_str);
        let running = matches!(active, "active" | "activating" | "reloading");
        let verb = match self.state.as_deref() {
            Some("started") if !running => "start",
            Some("stopped") if running || active == "deactivating" => "stop",
            Some("reloaded") if running => "reload",
            Some("restarted") if running => "restart",
            Some("reloaded" | "restarted") => "start",
            _ => return Ok(false),
        };
        systemctl.change(verb, self.options(true), name)?;
        Ok(true)
    }

    fn options(&self, job: bool) -> Vec<&'static str> {
        let mut options = Vec::new();
        if job && self.no_block {
            options.push("--no-block");
        }
        if !job && self.force == Some(true) {
            options.push("--force");
        }
        options
    }
}

struct Systemctl<'a> {
    cx: &'a Context,
    scope: Scope,
}

impl<'a> Systemctl<'a> {
    fn new(cx: &'a Context, scope: Scope) -> Result<Self, Failure> {
        if !Path::new("/run/systemd/system").is_dir() {
            return Err(Failure::new(
                "systemd doesn't run on this host, and services of other kinds aren't supported",
            ));
        }
        Ok(Self { cx, scope })
    }

    fn call(&self, arguments: &[&str]) -> Result<Output, Failure> {
        let process = self.cx.process("systemctl").system();
        let process = match self.scope {
            Scope::System => process,
            Scope::Global => process.arg("--global"),
            Scope::User if self.cx.environment().contains_key("XDG_RUNTIME_DIR") => {
                process.arg("--user")
            }
            Scope::User => {
                let uid = rustix::process::geteuid().as_raw();
                process
                    .arg("--user")
                    .env("XDG_RUNTIME_DIR", format!("/run/user/{uid}"))
            }
        };
        process.args(arguments).run()
    }

    fn show(&self, name: &str) -> Result<Status, Failure> {
        let output = self
            .call(&["show", "--no-pager", "--", name])?
            .check("cannot ask for the state of the unit")?;
        Ok(parse_properties(&output.stdout_text()))
    }

    /// Changes something, except in check mode.
    fn change(&self, verb: &str, options: Vec<&str>, name: &str) -> Result<(), Failure> {
        if self.cx.check() {
            return Ok(());
        }
        let mut arguments = vec![verb];
        arguments.extend(options);
        arguments.extend(["--", name]);
        let what = format!("Unable to {verb} service {name}");
        self.call(&arguments)?
            .check(&what)
            .map(drop)
            .map_err(|failure| self.explain(failure, verb, name))
    }

    /// Adds the last words of a unit that didn't start: systemctl only says that they exist.
    fn explain(&self, failure: Failure, verb: &str, name: &str) -> Failure {
        if !matches!(verb, "start" | "restart" | "reload") {
            return failure;
        }
        let log = self
            .cx
            .process("journalctl")
            .args([
                "--no-pager",
                "--quiet",
                "--output=cat",
                "--lines=20",
                "--unit",
                name,
            ])
            .system()
            .run();
        match log {
            Ok(log) if log.ok() && !log.stdout.is_empty() => {
                failure.with("journal", log.stdout_text())
            }
            _ => failure,
        }
    }
}

/// `systemctl show`: one property a line; a value of several lines goes on in lines that don't look like a property.
fn parse_properties(text: &str) -> Status {
    let mut status = Status::new();
    let mut last: Option<String> = None;
    for line in text.lines() {
        let property = line.split_once('=').filter(|(key, _)| {
            !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric())
        });
        match (property, &last) {
            (Some((key, value)), _) => {
                status.insert(key.to_owned(), value.to_owned());
                last = Some(key.to_owned());
            }
            (None, Some(key)) => {
                if let Some(value) = status.get_mut(key) {
                    value.push('\n');
                    value.push_str(line);
                }
            }
            (None, None) => {}
        }
    }
    status
}

/// `service`: the same for whoever doesn't name the service manager.
#[derive(Deserialize)]
pub struct Service {
    name: Option<String>,
    state: Option<String>,
    enabled: Option<bool>,
    masked: Option<bool>,
    daemon_reload: bool,
    daemon_reexec: bool,
    no_block: bool,
    force: Option<bool>,
    scope: Scope,
}

impl Module for Service {
    const SPEC: Spec = Spec::new(
        "service",
        "Starts, stops and enables services.",
        &join::<8, 6, 14>(
            [
                Arg::new("name", Kind::Str, "The service."),
                STATE,
                ENABLED_ARG,
                Arg::new(
                    "use",
                    Kind::Str,
                    "Service manager; what the old names mean, systemd does.",
                )
                .choices(&["auto", "systemd", "service", "sysvinit"])
                .default("auto"),
                Arg::new(
                    "sleep",
                    Kind::Int,
                    "Seconds between stop and start; systemd needs none.",
                ),
                Arg::new(
                    "pattern",
                    Kind::Str,
                    "For init scripts without status; systemd needs none.",
                ),
                Arg::new(
                    "arguments",
                    Kind::Str,
                    "For init scripts; no effect with systemd.",
                )
                .aliases(&["args"])
                .default(""),
                Arg::new("runlevel", Kind::Str, "For OpenRC; no effect with systemd.")
                    .default("default"),
            ],
            ONLY_SYSTEMD,
        ),
    )
    .rules(&[
        Rule::OneOf(&["name", "daemon_reload", "daemon_reexec"]),
        Rule::OneOf(&[
            "state",
            "enabled",
            "masked",
            "daemon_reload",
            "daemon_reexec",
        ]),
    ])
    .returns(&[
        Return::new("status", "What systemctl show says of the unit."),
        Return::new("name, state, enabled", "As given."),
    ]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        Systemd {
            name: self.name,
            state: self.state,
            enabled: self.enabled,
            masked: self.masked,
            daemon_reload: self.daemon_reload,
            daemon_reexec: self.daemon_reexec,
            no_block: self.no_block,
            force: self.force,
            scope: self.scope,
        }
        .run(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_read_with_values_of_several_lines() {
        let status = parse_properties(
            "ActiveState=active\nEnvironment=A=1 B=2\nX={ a\n b }\nUnitFileState=enabled\n",
        );
        assert_eq!(status["ActiveState"], "active");
        assert_eq!(status["Environment"], "A=1 B=2");
        assert_eq!(status["X"], "{ a\n b }");
        assert_eq!(status["UnitFileState"], "enabled");
    }
}
