//! `timezone`: the time zone of the host, and what its hardware clock shows.

use crate::files::{self, Attributes};
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Return, Rule, Spec};
use serde::Deserialize;
use serde_json::{Map, json};
use std::fs;
use std::path::Path;

#[derive(Deserialize)]
pub struct Timezone {
    name: Option<String>,
    hwclock: Option<String>,
}

const ZONES: &str = "/usr/share/zoneinfo";
const LOCALTIME: &str = "/etc/localtime";
const NAME_FILE: &str = "/etc/timezone";
const ADJTIME: &str = "/etc/adjtime";

impl Module for Timezone {
    const SPEC: Spec = Spec::new(
        "timezone",
        "Sets the time zone: with timedatectl where systemd runs, else by /etc/localtime and /etc/timezone.",
        &[
            Arg::new("name", Kind::Str, "The zone: Europe/Berlin, Etc/UTC."),
            Arg::new("hwclock", Kind::Str, "What the hardware clock shows.")
                .aliases(&["rtc"])
                .choices(&["local", "UTC"]),
        ],
    )
    .rules(&[Rule::OneOf(&["hwclock", "name"])])
    .returns(&[Return::new(
        "diff",
        "Zone and clock before and after, of what was asked for.",
    )]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let (mut before, mut after) = (Map::new(), Map::new());
        if let Some(name) = &self.name {
            check_zone(name)?;
            before.insert("name".to_owned(), zone().into());
            after.insert("name".to_owned(), name.as_str().into());
        }
        if let Some(clock) = &self.hwclock {
            before.insert("hwclock".to_owned(), clock_now().into());
            after.insert("hwclock".to_owned(), clock.as_str().into());
        }
        let differs = |key: &str| before.get(key) != after.get(key);
        let (zone_differs, clock_differs) = (differs("name"), differs("hwclock"));
        if !cx.check() {
            let systemd = Path::new("/run/systemd/system").is_dir()
                && cx.find_program("timedatectl").is_some();
            if let Some(name) = self.name.as_deref().filter(|_| zone_differs) {
                set_zone(cx, name, systemd)?;
            }
            if let Some(clock) = self.hwclock.as_deref().filter(|_| clock_differs) {
                set_clock(cx, clock, systemd)?;
            }
        }
        Ok(Outcome::changed(zone_differs || clock_differs)
            .with("diff", json!({"before": before, "after": after})))
    }
}

fn check_zone(name: &str) -> Result<(), Failure> {
    let plain = !name.is_empty() && !name.split('/').any(|part| part.is_empty() || part == "..");
    if plain && Path::new(ZONES).join(name).is_file() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "given timezone {name:?} is not available: there is no file {ZONES}/{name} on this host (the package tzdata brings them)"
    )))
}

/// The zone that /etc/localtime leads to; of a copy, what /etc/timezone says. `n/a` when neither tells.
fn zone() -> String {
    let target = fs::read_link(LOCALTIME).ok();
    let by_link = target.as_ref().and_then(|target| {
        let text = target.to_string_lossy();
        text.split_once("zoneinfo/")
            .map(|(_, zone)| zone.to_owned())
    });
    by_link
        .or_else(|| {
            fs::read_to_string(NAME_FILE)
                .ok()
                .map(|text| text.trim().to_owned())
        })
        .unwrap_or_else(|| "n/a".to_owned())
}

/// The third line of /etc/adjtime (hwclock(8)); without one the clock shows UTC.
fn clock_now() -> &'static str {
    let text = fs::read_to_string(ADJTIME).unwrap_or_default();
    if text
        .lines()
        .nth(2)
        .is_some_and(|line| line.trim() == "LOCAL")
    {
        "local"
    } else {
        "UTC"
    }
}

fn set_zone(cx: &Context, name: &str, systemd: bool) -> Result<(), Failure> {
    if systemd {
        cx.process("timedatectl")
            .args(["set-timezone", name])
            .system()
            .run()?
            .check("cannot set the time zone")?;
        return Ok(());
    }
    let link = Path::new(LOCALTIME);
    files::symlink(&Path::new(ZONES).join(name), link)
        .map_err(|error| Failure::io("cannot make the link", link, &error))?;
    // Debian has the name in a file as well.
    if Path::new(NAME_FILE).exists() || Path::new("/etc/debian_version").exists() {
        put(Path::new(NAME_FILE), &format!("{name}\n"))?;
    }
    Ok(())
}

fn set_clock(cx: &Context, clock: &str, systemd: bool) -> Result<(), Failure> {
    if systemd {
        cx.process("timedatectl")
            .args(["set-local-rtc", if clock == "local" { "yes" } else { "no" }])
            .system()
            .run()?
            .check("cannot set what the hardware clock shows")?;
        return Ok(());
    }
    let option = if clock == "local" {
        "--localtime"
    } else {
        "--utc"
    };
    cx.process("hwclock")
        .args(["--systohc", option])
        .system()
        .run()?
        .check("cannot set what the hardware clock shows")?;
    Ok(())
}

fn put(path: &Path, text: &str) -> Result<(), Failure> {
    let attributes = Attributes {
        mode: Some(0o644),
        ..Attributes::default()
    };
    files::write(path, text.as_bytes(), attributes)
        .map_err(|error| Failure::io("cannot write", path, &error))
}

#[cfg(test)]
mod tests {
    use crate::modules::test::{check, run};
    use serde_json::json;

    #[test]
    fn nonsense_is_refused_and_check_mode_tells() {
        assert!(run("timezone", json!({})).failed);
        assert!(run("timezone", json!({"name": "../etc/passwd"})).failed);
        let is = super::zone();
        let told = check("timezone", json!({"name": is}));
        assert!(told.failed || !told.changed, "{told:?}");
    }
}
