//! apt-get: its options, its locks, and what it says.

use crate::files::{self, Attributes};
use crate::{Context, Failure, Output};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const POLICY: &str = "/usr/sbin/policy-rc.d";

/// How apt-get is started.
pub(in crate::modules) struct AptGet {
    options: Vec<String>,
    /// Seconds to wait for another apt or dpkg.
    lock_timeout: u64,
}

impl AptGet {
    /// `dpkg_options` are words of dpkg without their dashes, with commas between them.
    pub(in crate::modules) fn new(dpkg_options: &str, lock_timeout: u64) -> Self {
        let mut options = vec!["--yes".to_owned()];
        for option in dpkg_options.split(',').filter(|option| !option.is_empty()) {
            options.push(format!("--option=Dpkg::Options::=--{option}"));
        }
        options.push("--option=Dpkg::Use-Pty=0".to_owned());
        options.push(format!("--option=DPkg::Lock::Timeout={lock_timeout}"));
        Self {
            options,
            lock_timeout,
        }
    }

    pub(in crate::modules) fn add(&mut self, option: &str) {
        self.options.push(option.to_owned());
    }

    /// Runs apt-get, waiting for whoever else holds its locks.
    pub(in crate::modules) fn run(
        &self,
        cx: &Context,
        arguments: &[impl AsRef<str>],
    ) -> Result<Output, Failure> {
        let start = Instant::now();
        loop {
            let output = cx
                .process("apt-get")
                .args(&self.options)
                .args(arguments.iter().map(AsRef::as_ref))
                .system()
                .env("DEBIAN_FRONTEND", "noninteractive")
                .env("DEBIAN_PRIORITY", "critical")
                .env("APT_LISTCHANGES_FRONTEND", "none")
                .env("NEEDRESTART_MODE", "l")
                .run()?;
            // Older versions wait for dpkg's lock only, none for that of the lists.
            let Some(holder) = lock_holder(&output) else {
                return Ok(output);
            };
            if start.elapsed() >= Duration::from_secs(self.lock_timeout) {
                return Err(Failure::new(format!(
                    "Failed to lock apt for exclusive operation within {} seconds (lock_timeout): {holder}",
                    self.lock_timeout,
                ))
                .with("rc", output.rc)
                .with("stdout", output.stdout_text())
                .with("stderr", output.stderr_text()));
            }
            cx.sleep(Duration::from_secs(1))?;
        }
    }

    /// The same; an end with another code than 0 is a failure.
    pub(super) fn succeed(
        &self,
        cx: &Context,
        arguments: &[impl AsRef<str>],
    ) -> Result<Output, Failure> {
        let words: Vec<&str> = arguments.iter().map(AsRef::as_ref).collect();
        let what = format!("'apt-get {}' failed", words.join(" "));
        self.run(cx, arguments)?.check(&what)
    }
}

/// What apt-get says of another program that holds a lock, when it failed because of that.
fn lock_holder(output: &Output) -> Option<String> {
    let said = output.stderr_text();
    let locked = [
        "Could not get lock",
        "Unable to acquire the dpkg frontend lock",
    ]
    .iter()
    .any(|words| said.contains(words));
    if output.ok() || !locked {
        return None;
    }
    // Who it is stands in what is written while it waits.
    let all = output.stdout_text() + &said;
    let holder = all.lines().rfind(|line| line.contains("held by process"));
    Some(holder.unwrap_or(&said).trim().to_owned())
}

/// What apt-get announces before it does it, as `diff`: it stands between the reading of lists and the first step.
pub(super) fn prepared(stdout: &str) -> Option<Value> {
    let lines: Vec<&str> = stdout.lines().collect();
    let start = lines
        .iter()
        .rposition(|line| line.starts_with("Reading state information"))
        .map_or(0, |at| at + 1);
    let sum = lines
        .iter()
        .position(|line| line.contains(" upgraded, ") && line.contains(" newly installed, "))?;
    (start <= sum).then(|| json!({"prepared": lines[start..=sum].join("\n")}))
}

/// Whether apt-get says that it installs, removes or configures something.
pub(super) fn announces_changes(stdout: &str) -> bool {
    stdout.lines().any(|line| {
        ["Inst ", "Remv ", "Purg ", "Conf ", "Del "]
            .iter()
            .any(|word| line.starts_with(word))
    })
}

/// The exit code of `policy-rc.d`, by which packages ask whether they may start their services, as long as it lives.
pub(super) struct ServicePolicy {
    saved: Option<PathBuf>,
}

impl ServicePolicy {
    pub(super) fn set(code: i64) -> Result<Self, Failure> {
        let path = Path::new(POLICY);
        let saved = match fs::symlink_metadata(path) {
            Ok(_) => {
                let aside = PathBuf::from(format!("{POLICY}.kopsrun-{}", files::random_hex()));
                fs::rename(path, &aside)
                    .map_err(|error| Failure::io("cannot put aside", path, &error))?;
                Some(aside)
            }
            Err(_) => None,
        };
        // From here on what was there comes back, also when writing fails.
        let guard = Self { saved };
        let attributes = Attributes {
            mode: Some(0o755),
            ..Attributes::default()
        };
        let script = format!("#!/bin/sh\nexit {code}\n");
        files::write(path, script.as_bytes(), attributes)
            .map_err(|error| Failure::io("cannot write", path, &error))?;
        Ok(guard)
    }
}

impl Drop for ServicePolicy {
    fn drop(&mut self) {
        // Nothing more can be done here; the next package says what is wrong.
        match &self.saved {
            Some(saved) => fs::rename(saved, POLICY).ok(),
            None => fs::remove_file(POLICY).ok(),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_apt_announces_is_the_diff() {
        // As apt 2.6 writes it.
        let text = "Reading package lists...\nBuilding dependency tree...\nReading state information...\nThe following NEW packages will be installed:\n  a\n0 upgraded, 1 newly installed, 0 to remove and 0 not upgraded.\nInst a (1.0 localhost [all])\nConf a (1.0 localhost [all])\n";
        assert_eq!(
            prepared(text),
            Some(
                json!({"prepared": "The following NEW packages will be installed:\n  a\n0 upgraded, 1 newly installed, 0 to remove and 0 not upgraded."})
            )
        );
        assert!(announces_changes(text));
        assert!(!announces_changes(
            "0 upgraded, 0 newly installed, 0 to remove\n"
        ));
        assert_eq!(prepared("nothing"), None);
    }
}
