//! What `deny.toml` asks of dependencies, as far as it can be checked without `cargo deny` and without the network:
//! licences, sources, crates that must not come in, and crates that came in twice.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// Packages that name a file instead of a licence: name, version, and what a person read in it.
const READ: &[(&str, &str, &str)] = &[("libyaml-safer", "0.3.0", "MIT")];

/// Checks the tree of this machine's target and tells what was found; the error names everything that isn't allowed.
pub(crate) fn check(root: &Path) -> Result<String, String> {
    let rules = Rules::read(&root.join("deny.toml"))?;
    let packages = packages(root)?;
    let faults: Vec<String> = packages.iter().filter_map(|one| rules.fault(one)).collect();
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in &packages {
        versions
            .entry(&package.name)
            .or_default()
            .insert(&package.version);
    }
    let twice: Vec<String> = versions
        .iter()
        .filter(|(_, versions)| versions.len() > 1)
        .map(|(name, versions)| {
            let versions: Vec<&str> = versions.iter().copied().collect();
            format!("{name} ({})", versions.join(", "))
        })
        .collect();
    if !faults.is_empty() {
        return Err(format!(
            "dependencies that deny.toml doesn't allow:\n  {}",
            faults.join("\n  ")
        ));
    }
    Ok(format!(
        "in more than one version: {}\nchecked: licences and sources of {} packages (those of this machine's target)",
        twice.join("; "),
        packages.len()
    ))
}

struct Rules {
    licences: BTreeSet<String>,
    banned: BTreeSet<String>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Package {
    name: String,
    version: String,
    /// Where it comes from, when that isn't the default registry: a path or an address.
    source: Option<String>,
    /// An SPDX expression; empty when the package names none.
    licence: String,
}

impl Rules {
    fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        let list = |start: &str| -> Result<BTreeSet<String>, String> {
            let (_, rest) = text
                .split_once(&format!("\n{start} = ["))
                .ok_or_else(|| format!("{} has no list `{start}`", path.display()))?;
            let (inside, _) = rest.split_once(']').ok_or("a list without its end")?;
            Ok(inside
                .split('"')
                .skip(1)
                .step_by(2)
                .map(str::to_owned)
                .collect())
        };
        Ok(Self {
            licences: list("allow")?,
            banned: list("deny")?,
        })
    }

    fn fault(&self, package: &Package) -> Option<String> {
        let Package {
            name,
            version,
            source,
            licence,
        } = package;
        let why = if self.banned.contains(name) {
            "is banned".to_owned()
        } else if let Some(source) = source.as_ref().filter(|source| !source.starts_with('/')) {
            format!("comes from {source}")
        } else if !allowed(licence, &self.licences) {
            format!("has the licence '{licence}'")
        } else {
            return None;
        };
        Some(format!("{name} {version} {why}"))
    }
}

/// True when an SPDX expression can be met with these licences. `MIT/Apache-2.0`, of old, means OR.
fn allowed(expression: &str, licences: &BTreeSet<String>) -> bool {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    !words.is_empty() && either(&words, &mut at, licences) && at == words.len()
}

fn either(words: &[&str], at: &mut usize, licences: &BTreeSet<String>) -> bool {
    let mut met = both(words, at, licences);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        met |= both(words, at, licences);
    }
    met
}

fn both(words: &[&str], at: &mut usize, licences: &BTreeSet<String>) -> bool {
    let mut met = single(words, at, licences);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        met &= single(words, at, licences);
    }
    met
}

fn single(words: &[&str], at: &mut usize, licences: &BTreeSet<String>) -> bool {
    let Some(word) = words.get(*at) else {
        return false;
    };
    *at += 1;
    if *word == "(" {
        let met = either(words, at, licences);
        let closed = words.get(*at) == Some(&")");
        *at += 1;
        return met && closed;
    }
    let mut name = (*word).to_owned();
    if words.get(*at) == Some(&"WITH") {
        name = format!("{name} WITH {}", words.get(*at + 1).unwrap_or(&""));
        *at += 2;
    }
    licences.contains(&name)
}

fn packages(root: &Path) -> Result<BTreeSet<Package>, String> {
    let output = Command::new(crate::cargo())
        .current_dir(root)
        .args([
            "tree",
            "--workspace",
            "--offline",
            "--locked",
            "--prefix",
            "none",
        ])
        .args(["--edges", "normal,build,dev", "--format", "{p}\t{l}"])
        .output()
        .map_err(|error| format!("cargo tree: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.lines().filter_map(package).collect())
}

/// One line of `cargo tree`: `name v1.2.3 (proc-macro) (/path)`, a tab, the licence.
fn package(line: &str) -> Option<Package> {
    let (package, licence) = line.split_once('\t')?;
    let mut words = package.split_whitespace();
    let (name, version) = (words.next()?, words.next()?);
    let source = words
        .map(|word| word.trim_matches(['(', ')']))
        .find(|word| *word != "proc-macro" && *word != "*");
    let version = version.trim_start_matches('v');
    let read = READ
        .iter()
        .find(|(known, which, _)| (*known, *which) == (name, version))
        .map(|(_, _, licence)| *licence);
    let named = licence.trim_end_matches("(*)").trim();
    Some(Package {
        name: name.to_owned(),
        version: version.to_owned(),
        source: source.map(str::to_owned),
        licence: read
            .filter(|_| named.is_empty())
            .unwrap_or(named)
            .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_of_licences() {
        let licences = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "ISC"];
        let licences = licences.iter().map(ToString::to_string).collect();
        for good in [
            "MIT",
            "GPL-2.0 OR MIT",
            "MIT/Apache-2.0",
            "(MIT OR GPL-3.0) AND ISC",
            "Apache-2.0 WITH LLVM-exception OR GPL-2.0",
        ] {
            assert!(allowed(good, &licences), "{good}");
        }
        for bad in [
            "",
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "GPL-2.0 WITH LLVM-exception",
            "(MIT OR ISC) AND GPL-3.0",
            "MIT MIT",
        ] {
            assert!(!allowed(bad, &licences), "{bad}");
        }
    }

    #[test]
    fn lines_of_cargo_tree() {
        let one =
            package("serde_derive v1.0.2 (proc-macro) (*)\tMIT OR Apache-2.0").expect("a package");
        assert_eq!(
            (one.name.as_str(), one.version.as_str(), one.source),
            ("serde_derive", "1.0.2", None)
        );
        let own = package("kopsrun v0.1.0 (/src/kopsrun)\tApache-2.0 (*)").expect("a package");
        assert_eq!(
            (own.source.as_deref(), own.licence.as_str()),
            (Some("/src/kopsrun"), "Apache-2.0")
        );
        let git = package("x v1.0.0 (https://example.org/x#1234)\tMIT").expect("a package");
        let rules = Rules {
            licences: BTreeSet::from(["MIT".to_owned()]),
            banned: BTreeSet::new(),
        };
        assert!(
            rules
                .fault(&git)
                .is_some_and(|fault| fault.contains("example.org"))
        );
    }
}
