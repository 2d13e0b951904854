//! Packages as tasks name them, and which of them are still to be installed.

use super::status::Status;
use super::version::compare;
use crate::{Context, Failure, globs};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// `name`, `name=version` (also with wildcards) or `name>=version`.
#[derive(Debug, PartialEq)]
pub(super) struct Name<'t> {
    /// As it is written.
    pub(super) text: &'t str,
    pub(super) package: &'t str,
    version: Version<'t>,
}

#[derive(Debug, PartialEq)]
enum Version<'t> {
    Any,
    Like(&'t str),
    AtLeast(&'t str),
}

impl<'t> Name<'t> {
    pub(super) fn parse(text: &'t str) -> Self {
        let (package, version) = match text.split_once(">=") {
            Some((package, version)) => (package, Version::AtLeast(version.trim())),
            None => match text.split_once('=') {
                Some((package, version)) => (package, Version::Like(version.trim())),
                None => (text, Version::Any),
            },
        };
        Self {
            text,
            package: package.trim(),
            version,
        }
    }

    /// Whether the name stands for several packages.
    pub(super) fn is_pattern(&self) -> bool {
        self.package.contains(['*', '?', '['])
    }

    /// `name/release`, which only apt understands.
    fn has_release(&self) -> bool {
        self.package.contains('/')
    }

    /// Whether this version is one that is meant.
    pub(super) fn fits(&self, version: &str) -> bool {
        match self.version {
            Version::Any => true,
            Version::Like(pattern) => globs::fnmatch(pattern, version),
            Version::AtLeast(least) => compare(version, least) != Ordering::Less,
        }
    }

    /// Whether what is installed is enough without asking apt. A version with wildcards is not: there may be a newer
    /// one that fits.
    fn is_there(&self, status: &Status) -> bool {
        match self.version {
            Version::Any => status.has(self.package),
            Version::Like(version) => status.version(self.package) == Some(version),
            Version::AtLeast(_) => status.version(self.package).is_some_and(|is| self.fits(is)),
        }
    }
}

/// What apt knows of a package.
#[derive(Debug, Default, PartialEq)]
struct Policy {
    candidate: Option<String>,
    /// Their priorities, and the versions.
    versions: Vec<(i64, String)>,
}

/// What is asked of the packages.
#[derive(Clone, Copy)]
pub(super) struct Wish<'t> {
    pub(super) latest: bool,
    pub(super) only_upgrade: bool,
    pub(super) default_release: Option<&'t str>,
}

/// What `apt-get install` has to be given so that all names are there; nothing when they are.
pub(super) fn to_install(
    cx: &Context,
    names: &[&str],
    wish: Wish<'_>,
    status: &Status,
) -> Result<Vec<String>, Failure> {
    let names = expand(cx, names)?;
    let names: Vec<Name<'_>> = names.iter().map(|name| Name::parse(name)).collect();
    let undecided: Vec<&Name<'_>> = names
        .iter()
        .filter(|name| wish.latest || !name.is_there(status))
        .collect();
    if undecided.is_empty() {
        return Ok(Vec::new());
    }
    let known = policies(cx, &undecided, wish.default_release)?;
    let mut chosen = Vec::new();
    for name in undecided {
        if let Some(argument) = choose(name, wish, status, &known)? {
            chosen.push(argument);
        }
    }
    Ok(chosen)
}

/// Names with wildcards become those of all packages that apt knows.
pub(super) fn expand(cx: &Context, names: &[&str]) -> Result<Vec<String>, Failure> {
    let mut all = None;
    let mut expanded = Vec::new();
    for text in names {
        let name = Name::parse(text);
        if !name.is_pattern() {
            expanded.push((*text).to_owned());
            continue;
        }
        if all.is_none() {
            let output = cx.process("apt-cache").arg("pkgnames").system().run()?;
            all = Some(output.check("cannot list the packages")?.stdout_text());
        }
        let lines = all.as_deref().unwrap_or_default().lines();
        let mut matching: Vec<&str> = lines
            .filter(|line| globs::fnmatch(name.package, line))
            .collect();
        if matching.is_empty() {
            return Err(advised(format!(
                "No package(s) matching '{text}' available"
            )));
        }
        matching.sort_unstable();
        let rest = &text[name.package.len()..];
        expanded.extend(matching.iter().map(|package| format!("{package}{rest}")));
    }
    Ok(expanded)
}

fn choose(
    name: &Name<'_>,
    wish: Wish<'_>,
    status: &Status,
    known: &BTreeMap<String, Policy>,
) -> Result<Option<String>, Failure> {
    if name.has_release() {
        return Ok(Some(name.text.to_owned()));
    }
    let Some(policy) = known.get(name.package) else {
        return Err(advised(format!(
            "No package matching '{}' is available",
            name.package
        )));
    };
    let installed = status.version(name.package);
    if wish.only_upgrade && installed.is_none() {
        return Ok(None);
    }
    if policy.versions.is_empty() && name.version == Version::Any {
        // Only others provide it: apt knows which, if there is but one.
        let there = status.has(name.package);
        return Ok((!there).then(|| name.package.to_owned()));
    }
    let best = match name.version {
        Version::Any => policy.candidate.as_deref(),
        _ => policy
            .versions
            .iter()
            .filter(|(_, version)| name.fits(version))
            .max_by(|(p, a), (q, b)| p.cmp(q).then_with(|| compare(a, b)))
            .map(|(_, version)| version.as_str()),
    };
    let Some(best) = best else {
        return Err(advised(format!(
            "no available installation candidate for {}",
            name.text
        )));
    };
    Ok((installed != Some(best)).then(|| format!("{}={best}", name.package)))
}

fn advised(message: String) -> Failure {
    Failure::new(message + " (update_cache: true fetches the lists of packages first)")
}

fn policies(
    cx: &Context,
    names: &[&Name<'_>],
    default_release: Option<&str>,
) -> Result<BTreeMap<String, Policy>, Failure> {
    let packages = names
        .iter()
        .filter(|name| !name.has_release())
        .map(|name| name.package);
    let mut process = cx.process("apt-cache").arg("policy");
    if let Some(release) = default_release {
        process = process.arg(format!("--option=APT::Default-Release={release}"));
    }
    let output = process
        .arg("--")
        .args(packages)
        .system()
        .run()?
        .check("cannot ask apt which versions there are")?;
    Ok(parse_policies(&output.stdout_text()))
}

/// `apt-cache policy`: a name at the margin, then `Candidate:` and a table with a version and its priority a line.
fn parse_policies(text: &str) -> BTreeMap<String, Policy> {
    let mut all = BTreeMap::new();
    let mut current: Option<(String, Policy)> = None;
    for line in text.lines() {
        if !line.starts_with(' ') {
            all.extend(current.take());
            let name = line.trim_end_matches(':').to_owned();
            current = Some((name, Policy::default()));
            continue;
        }
        let Some((_, policy)) = &mut current else {
            continue;
        };
        if let Some(candidate) = line.strip_prefix("  Candidate: ") {
            policy.candidate = Some(candidate.to_owned()).filter(|version| version != "(none)");
            continue;
        }
        // Five columns for the mark of the installed version; where it comes from stands deeper.
        let at_version = line.starts_with(" *** ") || line.starts_with("     ");
        if !at_version || line[5..].starts_with(' ') {
            continue;
        }
        let mut words = line[5..].split(' ');
        let version = words.next().unwrap_or_default();
        let priority = words.next().and_then(|word| word.parse().ok());
        let priority: i64 = priority.unwrap_or(0);
        if !version.is_empty() && priority >= 0 {
            policy.versions.push((priority, version.to_owned()));
        }
    }
    all.extend(current);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As apt 2.6 writes it.
    const POLICY: &str = "a:\n  Installed: 1.1\n  Candidate: 2.0\n  Version table:\n     3.0 100\n        100 file:/srv/repo testing/main all Packages\n     2.0 500\n        500 file:/srv/repo ./ Packages\n *** 1.1 500\n        500 file:/srv/repo ./ Packages\n        100 /var/lib/dpkg/status\n     1.0 -1\n        500 file:/srv/repo ./ Packages\nvirtual:\n  Installed: (none)\n  Candidate: (none)\n  Version table:\n";

    const STATUS: &str = "Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n\nPackage: a\nStatus: install ok installed\nVersion: 1.1\nArchitecture: all\n\nPackage: p\nStatus: install ok installed\nVersion: 1\nArchitecture: all\nProvides: given\n";

    #[test]
    fn the_version_to_install_is_chosen() {
        let (known, status) = (parse_policies(POLICY), Status::parse(STATUS));
        let versions = [(100, "3.0"), (500, "2.0"), (500, "1.1")];
        let versions = versions.map(|(priority, version)| (priority, version.to_owned()));
        assert_eq!(known["a"].versions, versions);
        let plain = Wish {
            latest: false,
            only_upgrade: false,
            default_release: None,
        };
        for (text, there, chosen) in [
            ("a", true, Ok(Some("a=2.0"))),
            ("a=1.1", true, Ok(None)),
            ("a=1.*", false, Ok(None)),
            ("a=2.*", false, Ok(Some("a=2.0"))),
            ("a>=1.0", true, Ok(Some("a=2.0"))),
            ("a>=1.2", false, Ok(Some("a=2.0"))),
            (
                "a>=4",
                false,
                Err("no available installation candidate for a>=4"),
            ),
            (
                "a=1.0",
                false,
                Err("no available installation candidate for a=1.0"),
            ),
            ("virtual", false, Ok(Some("virtual"))),
            ("a/testing", false, Ok(Some("a/testing"))),
            (
                "nothing",
                false,
                Err("No package matching 'nothing' is available"),
            ),
        ] {
            let name = Name::parse(text);
            assert_eq!(name.is_there(&status), there, "{text}");
            match (choose(&name, plain, &status, &known), chosen) {
                (Ok(got), Ok(expected)) => assert_eq!(got.as_deref(), expected, "{text}"),
                (Err(failure), Err(expected)) => {
                    assert!(failure.message.starts_with(expected), "{failure}");
                }
                (got, _) => panic!("{text}: {got:?}"),
            }
        }
        assert!(Name::parse("given").is_there(&status));
        let only = Wish {
            only_upgrade: true,
            ..plain
        };
        let name = Name::parse("virtual");
        assert_eq!(choose(&name, only, &status, &known), Ok(None));
    }
}
