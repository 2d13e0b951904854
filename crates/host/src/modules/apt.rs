//! `apt`: packages of Debian and its kin. `package`: the same for whoever doesn't name the package manager.
//!
//! What is installed is read from dpkg's own file, so that a task with nothing to do starts no program.

use crate::{Arg, Context, Failure, Kind, Module, Outcome, Output, Spec, globs};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const STATUS: &str = "/var/lib/dpkg/status";
const LISTS: &str = "/var/lib/apt/lists";
const STATES: &[&str] = &["present", "latest", "absent", "installed", "removed"];

#[derive(Deserialize)]
pub struct Apt {
    name: Option<Vec<String>>,
    state: String,
    update_cache: Option<bool>,
    cache_valid_time: u64,
    install_recommends: Option<bool>,
    purge: bool,
    autoremove: bool,
    deb: Option<String>,
    default_release: Option<String>,
    allow_downgrade: bool,
    allow_unauthenticated: bool,
    only_upgrade: bool,
    dpkg_options: String,
    lock_timeout: u64,
}

impl Module for Apt {
    const SPEC: Spec = Spec::new(
        "apt",
        "Installs, upgrades and removes packages of Debian.",
        &[
            Arg::new("name", Kind::List, "Packages, also as name=version.")
                .aliases(&["package", "pkg"]),
            Arg::new("state", Kind::Str, "Installed, newest or not there.")
                .choices(STATES)
                .default("present"),
            Arg::new(
                "update_cache",
                Kind::Bool,
                "Fetch the lists of packages first.",
            )
            .aliases(&["update-cache"]),
            Arg::new(
                "cache_valid_time",
                Kind::Int,
                "Seconds for which fetched lists are good.",
            )
            .default("0"),
            Arg::new(
                "install_recommends",
                Kind::Bool,
                "Also what is recommended; as apt is set up if not said.",
            )
            .aliases(&["install-recommends"]),
            Arg::new(
                "purge",
                Kind::Bool,
                "With state absent: also the configuration.",
            )
            .default("no"),
            Arg::new(
                "autoremove",
                Kind::Bool,
                "Also remove what nothing needs any more.",
            )
            .default("no"),
            Arg::new("deb", Kind::Path, "A package file on the host."),
            Arg::new("default_release", Kind::Str, "The release to prefer.")
                .aliases(&["default-release"]),
            Arg::new(
                "allow_downgrade",
                Kind::Bool,
                "An older version may be asked for.",
            )
            .aliases(&["allow-downgrade", "allow_downgrades", "allow-downgrades"])
            .default("no"),
            Arg::new(
                "allow_unauthenticated",
                Kind::Bool,
                "Packages without a signature.",
            )
            .aliases(&["allow-unauthenticated"])
            .default("no"),
            Arg::new(
                "only_upgrade",
                Kind::Bool,
                "Only what is installed already.",
            )
            .default("no"),
            Arg::new("dpkg_options", Kind::Str, "Options of dpkg.")
                .default("force-confdef,force-confold"),
            Arg::new(
                "lock_timeout",
                Kind::Int,
                "Seconds to wait for another apt.",
            )
            .default("60"),
        ],
    );

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        if cx.find_program("apt-get").is_none() {
            return Err(Failure::new(
                "apt-get isn't on this host: apt works on Debian and its kin",
            ));
        }
        let mut outcome = Outcome::ok();
        if self.update_cache == Some(true)
            || (self.update_cache.is_none() && self.cache_valid_time > 0)
        {
            let updated = self.update(cx)?;
            outcome = outcome
                .with("cache_updated", updated)
                .with("cache_update_time", lists_age().0);
            // As Ansible: new lists are a change only when nothing else was asked for.
            outcome.changed = updated && self.name.is_none() && self.deb.is_none();
        }
        if let Some(deb) = &self.deb {
            let path = cx.expand(deb);
            return self.install_file(cx, &path, outcome);
        }
        let names: Vec<&str> = self.names();
        let before = installed()?;
        let action = match self.state.as_str() {
            "absent" | "removed" => self.removal(&names, &before),
            "latest" if !names.is_empty() => Some(self.installation(&names)),
            _ => {
                let missing: Vec<&str> = names
                    .iter()
                    .copied()
                    .filter(|name| !is_installed(name, &before))
                    .filter(|name| !self.only_upgrade || before.contains_key(package_of(name)))
                    .collect();
                (!missing.is_empty()).then(|| self.installation(&missing))
            }
        };
        let action = action.or_else(|| self.autoremove.then(|| vec!["autoremove".to_owned()]));
        match action {
            None => Ok(outcome),
            Some(arguments) => self.act(cx, &arguments, &before, outcome),
        }
    }
}

/// Installed packages and their versions.
type Installed = BTreeMap<String, String>;

impl Apt {
    fn names(&self) -> Vec<&str> {
        self.name
            .iter()
            .flatten()
            .map(|name| name.trim())
            .filter(|name| !name.is_empty())
            .collect()
    }

    fn installation(&self, names: &[&str]) -> Vec<String> {
        let mut arguments = vec!["install".to_owned()];
        if let Some(recommends) = self.install_recommends {
            arguments.push(format!(
                "--option=APT::Install-Recommends={}",
                if recommends { "yes" } else { "no" }
            ));
        }
        if let Some(release) = &self.default_release {
            arguments.push(format!("--target-release={release}"));
        }
        for (wanted, option) in [
            (self.allow_downgrade, "--allow-downgrades"),
            (self.allow_unauthenticated, "--allow-unauthenticated"),
            (self.only_upgrade, "--only-upgrade"),
            (self.autoremove, "--auto-remove"),
        ] {
            if wanted {
                arguments.push(option.to_owned());
            }
        }
        arguments.push("--".to_owned());
        arguments.extend(names.iter().map(|name| (*name).to_owned()));
        arguments
    }

    fn removal(&self, names: &[&str], before: &Installed) -> Option<Vec<String>> {
        let there: Vec<&str> = names
            .iter()
            .copied()
            .filter(|name| before.contains_key(package_of(name)) || name.contains('*'))
            .collect();
        if there.is_empty() {
            return None;
        }
        let mut arguments = vec![if self.purge { "purge" } else { "remove" }.to_owned()];
        if self.autoremove {
            arguments.push("--auto-remove".to_owned());
        }
        arguments.push("--".to_owned());
        arguments.extend(there.iter().map(|name| (*name).to_owned()));
        Some(arguments)
    }

    /// Asks apt-get what it would do, and lets it do that unless in check mode.
    fn act(
        &self,
        cx: &Context,
        arguments: &[String],
        before: &Installed,
        mut outcome: Outcome,
    ) -> Result<Outcome, Failure> {
        let what = format!("apt-get {}", arguments.join(" "));
        if cx.check() || self.state == "latest" {
            let mut simulation = vec!["--simulate".to_owned()];
            simulation.extend_from_slice(arguments);
            let plan = self
                .apt_get(cx, &simulation)?
                .check(&what)
                .map_err(advise)?
                .stdout_text();
            let moves = plan.lines().any(|line| {
                line.starts_with("Inst ") || line.starts_with("Remv ") || line.starts_with("Purg ")
            });
            if cx.check() || !moves {
                outcome.changed |= moves;
                return Ok(outcome);
            }
        }
        let output = self.apt_get(cx, arguments)?.check(&what).map_err(advise)?;
        outcome.changed |= installed()? != *before;
        Ok(outcome
            .with("stdout", output.stdout_text())
            .with("stderr", output.stderr_text()))
    }

    fn install_file(
        &self,
        cx: &Context,
        path: &Path,
        outcome: Outcome,
    ) -> Result<Outcome, Failure> {
        let format = "--showformat=${Package}\t${Version}";
        let output = cx
            .process("dpkg-deb")
            .args(["--show", format])
            .arg(path)
            .system()
            .run()?;
        let text = output
            .check(&format!("{} is not a package", path.display()))?
            .stdout_text();
        let (package, version) = text.trim().split_once('\t').unwrap_or((text.trim(), ""));
        let before = installed()?;
        if before.get(package).is_some_and(|is| is == version) {
            return Ok(outcome);
        }
        let full =
            fs::canonicalize(path).map_err(|error| Failure::io("cannot read", path, &error))?;
        self.act(
            cx,
            &self.installation(&[&full.to_string_lossy()]),
            &before,
            outcome,
        )
    }

    /// Fetches the lists of packages, unless they are young enough. Whether they were fetched.
    fn update(&self, cx: &Context) -> Result<bool, Failure> {
        if self.cache_valid_time > 0 && lists_age().1 < Duration::from_secs(self.cache_valid_time) {
            return Ok(false);
        }
        if !cx.check() {
            self.apt_get(cx, &["update".to_owned()])?
                .check("Failed to update apt cache")?;
        }
        Ok(true)
    }

    /// Runs apt-get, waiting for whoever else holds its locks.
    fn apt_get(&self, cx: &Context, arguments: &[String]) -> Result<Output, Failure> {
        let start = Instant::now();
        let mut options = vec!["--yes".to_owned(), "--quiet=2".to_owned()];
        for option in self
            .dpkg_options
            .split(',')
            .filter(|option| !option.is_empty())
        {
            options.push(format!("--option=Dpkg::Options::=--{option}"));
        }
        options.push("--option=Dpkg::Use-Pty=0".to_owned());
        options.push(format!(
            "--option=DPkg::Lock::Timeout={}",
            self.lock_timeout
        ));
        loop {
            let output = cx
                .process("apt-get")
                .args(&options)
                .args(arguments)
                .system()
                .env("DEBIAN_FRONTEND", "noninteractive")
                .env("APT_LISTCHANGES_FRONTEND", "none")
                .env("NEEDRESTART_MODE", "l")
                .run()?;
            // Older versions wait for dpkg's lock only, none for that of the lists.
            let locked = !output.ok() && output.stderr_text().contains("Could not get lock");
            if !locked || start.elapsed() >= Duration::from_secs(self.lock_timeout) {
                return Ok(output);
            }
            cx.sleep(Duration::from_secs(1))?;
        }
    }
}

/// What usually helps.
fn advise(mut failure: Failure) -> Failure {
    if failure.message.contains("Unable to locate package") {
        failure.message += " (update_cache: true fetches the lists of packages first)";
    }
    failure
}

/// When the lists were fetched, in seconds since 1970, and how long ago that is.
fn lists_age() -> (u64, Duration) {
    // Images come with an empty directory that looks young.
    let any = fs::read_dir(LISTS)
        .into_iter()
        .flatten()
        .flatten()
        .any(|entry| entry.file_name().to_string_lossy().contains("_Packages"));
    if !any {
        return (0, Duration::MAX);
    }
    let fetched = ["/var/lib/apt/periodic/update-success-stamp", LISTS]
        .iter()
        .filter_map(|path| fs::metadata(path).ok()?.modified().ok())
        .max()
        .unwrap_or(UNIX_EPOCH);
    let since = fetched
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    // Lists from the future are not old.
    (
        since,
        SystemTime::now()
            .duration_since(fetched)
            .unwrap_or_default(),
    )
}

fn package_of(name: &str) -> &str {
    let name = name.split(['=', '/']).next().unwrap_or(name);
    // This architecture's packages are recorded without it.
    name.strip_suffix(":any").unwrap_or(name)
}

/// Whether `name`, `name=version` or `name*` is there.
fn is_installed(name: &str, installed: &Installed) -> bool {
    let package = package_of(name);
    match name.split_once('=') {
        Some((_, version)) => installed
            .get(package)
            .is_some_and(|is| globs::fnmatch(version, is)),
        None if name.contains('/') => false,
        None if package.contains('*') => {
            installed.keys().any(|known| globs::fnmatch(package, known))
        }
        None => installed.contains_key(package),
    }
}

fn installed() -> Result<Installed, Failure> {
    let bytes = fs::read(STATUS).map_err(|error| Failure::io("cannot read", STATUS, &error))?;
    Ok(parse_status(&String::from_utf8_lossy(&bytes)))
}

/// Packages that are installed, and the virtual ones that these provide.
fn parse_status(text: &str) -> Installed {
    let mut installed = Installed::new();
    for paragraph in text.split("\n\n") {
        let field = |name: &str| {
            paragraph
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
                .map(str::trim)
        };
        if !field("Status").is_some_and(|status| status.ends_with(" ok installed")) {
            continue;
        }
        let (Some(package), Some(version)) = (field("Package"), field("Version")) else {
            continue;
        };
        installed.insert(package.to_owned(), version.to_owned());
        if let Some(arch) = field("Architecture") {
            installed.insert(format!("{package}:{arch}"), version.to_owned());
        }
        for provided in field("Provides")
            .into_iter()
            .flat_map(|list| list.split(','))
        {
            let name = provided.split('(').next().unwrap_or(provided).trim();
            // A real package of that name has the word.
            installed.entry(name.to_owned()).or_default();
        }
    }
    installed
}

/// `package`.
#[derive(Deserialize)]
pub struct Package {
    name: Vec<String>,
    state: String,
}

impl Module for Package {
    const SPEC: Spec = Spec::new(
        "package",
        "Installs, upgrades and removes packages with the host's own package manager (apt so far).",
        &[
            Arg::new("name", Kind::List, "Packages.").required(),
            Arg::new("state", Kind::Str, "Installed, newest or not there.")
                .choices(STATES)
                .default("present"),
            Arg::new("use", Kind::Str, "The package manager.")
                .choices(&["auto", "apt"])
                .default("auto"),
        ],
    );

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        Apt {
            name: Some(self.name),
            state: self.state,
            update_cache: None,
            cache_valid_time: 0,
            install_recommends: None,
            purge: false,
            autoremove: false,
            deb: None,
            default_release: None,
            allow_downgrade: false,
            allow_unauthenticated: false,
            only_upgrade: false,
            dpkg_options: "force-confdef,force-confold".to_owned(),
            lock_timeout: 60,
        }
        .run(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.2-1\n\n\
        Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n\
        Package: exim4\nStatus: hold ok installed\nVersion: 4.96\nProvides: mail-transport-agent, x (= 2)\n";

    #[test]
    fn the_status_of_dpkg_is_read() {
        let installed = parse_status(TEXT);
        for (name, is) in [
            ("bash", true),
            ("bash:amd64", true),
            ("bash=5.2-1", true),
            ("bash=5.2*", true),
            ("bash=5.1*", false),
            ("gone", false),
            ("exim4", true),
            ("mail-transport-agent", true),
            ("ba*", true),
            ("z*", false),
        ] {
            assert_eq!(is_installed(name, &installed), is, "{name}");
        }
    }

    #[test]
    fn what_is_there_needs_no_program() {
        let outcome =
            crate::modules::test::run("apt", serde_json::json!({"name": "dpkg, base-files"}));
        assert!(!outcome.failed && !outcome.changed, "{outcome:?}");
        let outcome = crate::modules::test::run(
            "package",
            serde_json::json!({"name": "kopsrun-no-such", "state": "absent"}),
        );
        assert!(!outcome.failed && !outcome.changed, "{outcome:?}");
    }

    #[test]
    fn check_mode_asks_apt() {
        let outcome =
            crate::modules::test::check("apt", serde_json::json!({"name": "kopsrun-no-such"}));
        assert!(outcome.failed);
        assert!(
            outcome.data["msg"]
                .as_str()
                .expect("text")
                .contains("kopsrun-no-such"),
            "{outcome:?}"
        );
    }
}
