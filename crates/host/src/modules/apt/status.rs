//! What is installed, from dpkg's own file: a task with nothing to do starts no program.

use crate::Failure;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

const STATUS: &str = "/var/lib/dpkg/status";

/// What dpkg knows of the packages of this host.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Status {
    /// By name; those of this machine's architecture also by name and architecture, others only so.
    packages: BTreeMap<String, Entry>,
    /// Virtual packages that installed ones provide.
    provided: BTreeSet<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) version: String,
    /// Unpacked and configured; otherwise something of it is there.
    pub(super) installed: bool,
    /// Only its settings are left.
    pub(super) settings_only: bool,
}

impl Status {
    pub(super) fn read() -> Result<Self, Failure> {
        let bytes = fs::read(STATUS).map_err(|error| Failure::io("cannot read", STATUS, &error))?;
        Ok(Self::parse(&String::from_utf8_lossy(&bytes)))
    }

    pub(super) fn parse(text: &str) -> Self {
        let native = text
            .split("\n\n")
            .find(|paragraph| field(paragraph, "Package") == Some("dpkg"))
            .and_then(|paragraph| field(paragraph, "Architecture"))
            .unwrap_or_default();
        let mut status = Self::default();
        for paragraph in text.split("\n\n") {
            status.add(paragraph, native);
        }
        status
    }

    fn add(&mut self, paragraph: &str, native: &str) {
        let (Some(package), Some(version), Some(state)) = (
            field(paragraph, "Package"),
            field(paragraph, "Version"),
            field(paragraph, "Status").and_then(|status| status.split_whitespace().nth(2)),
        ) else {
            return;
        };
        if state == "not-installed" {
            return;
        }
        let installed = matches!(state, "installed" | "triggers-awaited" | "triggers-pending");
        let entry = Entry {
            version: version.to_owned(),
            installed,
            settings_only: state == "config-files",
        };
        let architecture = field(paragraph, "Architecture").unwrap_or(native);
        if native.is_empty() || architecture == native || architecture == "all" {
            self.packages.insert(package.to_owned(), entry.clone());
        }
        self.packages
            .insert(format!("{package}:{architecture}"), entry);
        let provides = field(paragraph, "Provides").filter(|_| installed);
        for name in provides.into_iter().flat_map(|list| list.split(',')) {
            let name = name.split('(').next().unwrap_or(name).trim();
            self.provided.insert(name.to_owned());
        }
    }

    /// Of a package that is there in any way, also broken or only with its settings.
    pub(super) fn entry(&self, package: &str) -> Option<&Entry> {
        self.packages.get(native_name(package))
    }

    /// The version of an installed package.
    pub(super) fn version(&self, package: &str) -> Option<&str> {
        self.entry(package)
            .filter(|entry| entry.installed)
            .map(|entry| entry.version.as_str())
    }

    /// Whether the package or one that provides it is installed.
    pub(super) fn has(&self, package: &str) -> bool {
        self.version(package).is_some() || self.provided.contains(package)
    }

    /// The names without their architectures.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let names = self.packages.keys().map(String::as_str);
        names.filter(|name| !name.contains(':'))
    }
}

/// `NAME:any` is recorded without it.
fn native_name(package: &str) -> &str {
    package.strip_suffix(":any").unwrap_or(package)
}

fn field<'t>(paragraph: &'t str, name: &str) -> Option<&'t str> {
    paragraph
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        .map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.21\n\n\
        Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.2-1\n\n\
        Package: libc6\nStatus: install ok installed\nArchitecture: i386\nVersion: 2.36\n\n\
        Package: gone\nStatus: deinstall ok config-files\nVersion: 1\nArchitecture: all\n\n\
        Package: broken\nStatus: install ok half-configured\nVersion: 1\nArchitecture: all\nProvides: nothing\n\n\
        Package: never\nStatus: unknown ok not-installed\nArchitecture: amd64\n\n\
        Package: exim4\nStatus: hold ok installed\nArchitecture: amd64\nVersion: 4.96\nProvides: mail-transport-agent, x (= 2)\n";

    #[test]
    fn the_status_of_dpkg_is_read() {
        let status = Status::parse(TEXT);
        for (name, version) in [
            ("bash", Some("5.2-1")),
            ("bash:amd64", Some("5.2-1")),
            ("bash:any", Some("5.2-1")),
            ("bash:i386", None),
            ("libc6", None),
            ("libc6:i386", Some("2.36")),
            ("gone", None),
            ("broken", None),
            ("exim4", Some("4.96")),
        ] {
            assert_eq!(status.version(name), version, "{name}");
        }
        assert!(status.has("mail-transport-agent") && status.has("x") && !status.has("nothing"));
        assert!(
            status
                .entry("gone")
                .is_some_and(|entry| entry.settings_only)
        );
        assert!(
            status
                .entry("broken")
                .is_some_and(|entry| !entry.settings_only)
        );
        assert_eq!(status.entry("never"), None);
        let names: Vec<&str> = status.names().collect();
        assert_eq!(names, ["bash", "broken", "dpkg", "exim4", "gone"]);
    }
}
