//! The table that dnf shows before it asks whether it is right.

/// Packages that a transaction would install and remove.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Plan {
    rows: Vec<Row>,
}

#[derive(Debug, PartialEq)]
struct Row {
    what: What,
    name: String,
    arch: String,
    version: String,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum What {
    Install,
    Downgrade,
    Remove,
}

impl Plan {
    /// Reads the text of dnf 4 (dnf 5 has the same columns).
    pub(super) fn parse(text: &str) -> Self {
        let mut plan = Self::default();
        let mut section = None;
        let mut words: Vec<&str> = Vec::new();
        for line in text.lines() {
            if !line.starts_with(' ') {
                section = heading(line);
                words.clear();
                continue;
            }
            let Some(what) = section else {
                continue;
            };
            // A long name stands on a line of its own.
            words.extend(line.split_whitespace());
            if words.first() == Some(&"replacing") {
                words.clear();
            }
            if let [name, arch, version, _repository, ..] = words[..] {
                plan.rows.push(Row {
                    what,
                    name: name.to_owned(),
                    arch: arch.to_owned(),
                    version: version.to_owned(),
                });
                words.clear();
            }
        }
        plan
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Names of packages that would become older.
    pub(super) fn downgraded(&self) -> impl Iterator<Item = &str> {
        let older = |row: &&Row| row.what == What::Downgrade;
        self.rows.iter().filter(older).map(|row| row.name.as_str())
    }

    /// In Ansible's words.
    pub(super) fn results(&self) -> Vec<String> {
        let mut results: Vec<String> = self
            .rows
            .iter()
            .map(|row| {
                let what = match row.what {
                    What::Install | What::Downgrade => "Installed",
                    What::Remove => "Removed",
                };
                format!("{what}: {}-{}.{}", row.name, row.version, row.arch)
            })
            .collect();
        results.sort();
        results
    }
}

fn heading(line: &str) -> Option<What> {
    let line = line.strip_suffix(':')?;
    if line.starts_with("Installing") || line == "Upgrading" || line == "Reinstalling" {
        return Some(What::Install);
    }
    match line {
        "Downgrading" => Some(What::Downgrade),
        _ if line.starts_with("Removing") => Some(What::Remove),
        _ => None,
    }
}

/// Names for which dnf found nothing.
pub(super) fn unmatched(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .filter_map(|line| line.strip_prefix("No match for argument: "))
        .map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As dnf 4.14 writes it, with --assumeno.
    const INSTALL: &str = "Last metadata expiration check: 0:00:02 ago on Sat Nov 21 17:46:33 2026.\nDependencies resolved.\n================================================================================\n Package            Architecture       Version             Repository      Size\n================================================================================\nInstalling:\n kr-b               noarch             1.0-1               kr             6.0 k\nInstalling dependencies:\n kr-a-very-long-name-of-a-package-that-is-broken-into-two\n                    noarch             1:2.0-1             kr             6.0 k\nDowngrading:\n kr-a               noarch             1.0-1               kr             6.0 k\n\nTransaction Summary\n================================================================================\nInstall  2 Packages\n\nTotal size: 12 k\nInstalled size: 8  \nOperation aborted.\n";
    const REMOVE: &str = "Dependencies resolved.\n================================================================================\n Package            Architecture       Version            Repository       Size\n================================================================================\nRemoving:\n kr-b               noarch             1.0-1              @kr               4  \nRemoving unused dependencies:\n kr-lib             noarch             1.0-1              @kr               4  \n\nTransaction Summary\n================================================================================\nRemove  2 Packages\n\nFreed space: 8  \nOperation aborted.\n";
    const NOTHING: &str = "Package kr-b-1.0-1.noarch is already installed.\nDependencies resolved.\nNothing to do.\nComplete!\n";

    #[test]
    fn the_table_is_read() {
        let plan = Plan::parse(INSTALL);
        assert_eq!(
            plan.results(),
            [
                "Installed: kr-a-1.0-1.noarch",
                "Installed: kr-a-very-long-name-of-a-package-that-is-broken-into-two-1:2.0-1.noarch",
                "Installed: kr-b-1.0-1.noarch",
            ]
        );
        assert_eq!(plan.downgraded().collect::<Vec<_>>(), ["kr-a"]);
        assert_eq!(
            Plan::parse(REMOVE).results(),
            ["Removed: kr-b-1.0-1.noarch", "Removed: kr-lib-1.0-1.noarch"]
        );
        assert!(Plan::parse(NOTHING).is_empty());
        let missing = "No match for argument: kr-none\nError: Unable to find a match: kr-none\n";
        assert_eq!(unmatched(missing).collect::<Vec<_>>(), ["kr-none"]);
    }
}
