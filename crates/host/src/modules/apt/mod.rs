//! `apt`: packages of Debian and its kin.

mod command;
mod deb;
mod lists;
mod names;
mod status;
#[cfg(test)]
mod tests;
mod version;

pub(super) use command::AptGet;
pub(super) use lists::{Retries, update};

use crate::{Arg, Context, Failure, Kind, Module, Outcome, Output, Return, Rule, Spec, globs};
use command::{ServicePolicy, announces_changes, prepared};
use names::{Name, Wish};
use serde::Deserialize;
use status::Status;
use std::time::Duration;

#[derive(Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the arguments are those of Ansible's module"
)]
pub struct Apt {
    name: Option<Vec<String>>,
    state: String,
    update_cache: Option<bool>,
    update_cache_retries: u64,
    update_cache_retry_max_delay: u64,
    cache_valid_time: u64,
    upgrade: String,
    install_recommends: Option<bool>,
    purge: bool,
    autoremove: bool,
    autoclean: bool,
    clean: bool,
    deb: Option<String>,
    default_release: Option<String>,
    allow_change_held_packages: bool,
    allow_downgrade: bool,
    allow_unauthenticated: bool,
    fail_on_autoremove: bool,
    force: bool,
    only_upgrade: bool,
    dpkg_options: String,
    policy_rc_d: Option<i64>,
    lock_timeout: u64,
}

const ARGS: &[Arg] = &[
    Arg::new(
        "name",
        Kind::List,
        "Packages; also name=version, name>=version, name/release, and wildcards in names and versions.",
    )
    .aliases(&["package", "pkg"]),
    Arg::new(
        "state",
        Kind::Str,
        "Installed (present), newest (latest), not there (absent), with what it takes to build them (build-dep), or as present with broken dependencies repaired (fixed).",
    )
    .choices(&["absent", "build-dep", "fixed", "latest", "present"])
    .default("present"),
    Arg::new(
        "update_cache",
        Kind::Bool,
        "Fetch the lists of packages first. A repository that can't be reached is a failure.",
    )
    .aliases(&["update-cache"]),
    Arg::new(
        "update_cache_retries",
        Kind::Int,
        "How often fetching is tried again.",
    )
    .default("5"),
    Arg::new(
        "update_cache_retry_max_delay",
        Kind::Int,
        "Seconds that are waited at most before the next try; the first time it is one, then twice as many each time.",
    )
    .default("12"),
    Arg::new(
        "cache_valid_time",
        Kind::Int,
        "Seconds for which fetched lists are good. Not 0: update_cache, unless that is no.",
    )
    .default("0"),
    Arg::new(
        "upgrade",
        Kind::Str,
        "Upgrade all packages: without removing any (yes, safe), or as far as it goes (full, dist). Always by apt-get, also where aptitude is there.",
    )
    .choices(&["dist", "full", "no", "safe", "yes"])
    .default("no"),
    Arg::new(
        "install_recommends",
        Kind::Bool,
        "Also what is recommended; as apt is set up if not said.",
    )
    .aliases(&["install-recommends"]),
    Arg::new(
        "purge",
        Kind::Bool,
        "Settings of removed packages go as well.",
    )
    .default("no"),
    Arg::new(
        "autoremove",
        Kind::Bool,
        "Also remove what nothing needs any more; works alone as well.",
    )
    .default("no"),
    Arg::new(
        "autoclean",
        Kind::Bool,
        "Without name: remove downloaded packages that can't be downloaded any more.",
    )
    .default("no"),
    Arg::new(
        "clean",
        Kind::Bool,
        "Remove all downloaded packages first; always a change.",
    )
    .default("no"),
    Arg::new(
        "deb",
        Kind::Path,
        "A package file on the host, or its URL, which the host's curl downloads. What it depends on is installed too.",
    ),
    Arg::new("default_release", Kind::Str, "The release to prefer.")
        .aliases(&["default-release"]),
    Arg::new(
        "allow_change_held_packages",
        Kind::Bool,
        "Also packages that are on hold.",
    )
    .default("no"),
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
        "fail_on_autoremove",
        Kind::Bool,
        "Fail rather than remove a package to install others.",
    )
    .default("no"),
    Arg::new(
        "force",
        Kind::Bool,
        "Neither signatures, certificates of servers, holds nor what is essential count. Can destroy the system.",
    )
    .default("no"),
    Arg::new(
        "force_apt_get",
        Kind::Bool,
        "Has no effect: apt-get does it always.",
    )
    .default("no"),
    Arg::new(
        "only_upgrade",
        Kind::Bool,
        "Only what is installed already.",
    )
    .default("no"),
    Arg::new(
        "dpkg_options",
        Kind::Str,
        "Options of dpkg without dashes, with commas between them.",
    )
    .default("force-confdef,force-confold"),
    Arg::new(
        "policy_rc_d",
        Kind::Int,
        "What /usr/sbin/policy-rc.d ends with meanwhile; 101: packages don't start their services.",
    ),
    Arg::new(
        "lock_timeout",
        Kind::Int,
        "Seconds to wait for another apt or dpkg.",
    )
    .default("60"),
];

impl Module for Apt {
    const SPEC: Spec = Spec::new(
        "apt",
        "Installs, upgrades and removes packages of Debian.",
        ARGS,
    )
    .rules(&[Rule::Exclusive(&["deb", "name", "upgrade"])])
    .returns(&[
        Return::new(
            "cache_updated",
            "Whether the lists of packages were fetched.",
        ),
        Return::new(
            "cache_update_time",
            "When they were last, in seconds since 1970; 0: never.",
        ),
        Return::new(
            "stdout",
            "What apt-get wrote, where it was started; stderr likewise.",
        ),
        Return::new("msg", "The same, of an upgrade."),
        Return::new("diff", "What apt-get announces, in diff mode."),
    ]);

    fn run(mut self, cx: &Context) -> Result<Outcome, Failure> {
        if cx.find_program("apt-get").is_none() {
            return Err(Failure::new(
                "apt-get isn't on this host: apt works on Debian and its kin",
            ));
        }
        self.allow_downgrade |= self.force;
        self.allow_unauthenticated |= self.force;
        let apt = self.apt_get();
        let updated = self.update(cx, &apt)?;
        let told = |data: &mut serde_json::Map<String, serde_json::Value>| {
            data.insert("cache_updated".to_owned(), updated.into());
            data.insert("cache_update_time".to_owned(), lists::age().0.into());
        };
        match self.work(cx, &apt, updated) {
            Ok(mut outcome) => {
                told(&mut outcome.data);
                Ok(outcome)
            }
            Err(mut failure) => {
                told(&mut failure.data);
                Err(failure)
            }
        }
    }
}

impl Apt {
    fn apt_get(&self) -> AptGet {
        let mut apt = AptGet::new(&self.dpkg_options, self.lock_timeout);
        if let Some(recommends) = self.install_recommends {
            let word = if recommends { "yes" } else { "no" };
            apt.add(&format!("--option=APT::Install-Recommends={word}"));
        }
        if let Some(release) = &self.default_release {
            apt.add(&format!("--target-release={release}"));
        }
        for (wanted, option) in [
            (self.allow_downgrade, "--allow-downgrades"),
            (self.allow_unauthenticated, "--allow-unauthenticated"),
            (
                self.allow_change_held_packages || self.force,
                "--allow-change-held-packages",
            ),
            (self.force, "--allow-remove-essential"),
            (self.force, "--option=Acquire::https::Verify-Peer=false"),
            (self.force, "--option=Acquire::https::Verify-Host=false"),
            (
                self.fail_on_autoremove && self.state != "absent",
                "--no-remove",
            ),
        ] {
            if wanted {
                apt.add(option);
            }
        }
        apt
    }

    /// Fetches the lists of packages, if asked to and unless they are young enough. Whether they were fetched.
    fn update(&self, cx: &Context, apt: &AptGet) -> Result<bool, Failure> {
        let wanted = self.update_cache.unwrap_or(self.cache_valid_time > 0);
        let valid = Duration::from_secs(self.cache_valid_time);
        if !wanted || (self.cache_valid_time > 0 && lists::age().1 < valid) {
            return Ok(false);
        }
        if !cx.check() {
            let retries = Retries {
                count: self.update_cache_retries,
                max_delay: self.update_cache_retry_max_delay,
            };
            update(cx, apt, retries)?;
        }
        Ok(true)
    }

    fn work(&self, cx: &Context, apt: &AptGet, updated: bool) -> Result<Outcome, Failure> {
        let names = self.names();
        let mut outcome = Outcome::ok();
        if self.clean {
            let output = self.plain(cx, apt, "clean")?;
            outcome = outcome.msg("").with("stdout", output.stdout_text());
            outcome = outcome.with("stderr", output.stderr_text());
            // As Ansible: a change only when nothing else was asked for.
            outcome.changed = names.is_empty() && self.deb.is_none() && self.upgrade == "no";
        }
        if self.upgrade != "no" {
            return self.upgrade(cx, apt, &self.upgrade);
        }
        if let Some(deb) = &self.deb {
            return self.install_file(cx, apt, deb);
        }
        if names.contains(&"*") && self.state == "latest" {
            if names.len() > 1 {
                return Err(Failure::new(
                    "unable to install additional packages while upgrading all installed packages",
                ));
            }
            return self.upgrade(cx, apt, "yes");
        }
        if names.is_empty() {
            // As Ansible: new lists are a change only when nothing else was asked for.
            outcome.changed |= updated;
            return self.tidy(cx, apt, outcome);
        }
        let before = Status::read()?;
        let arguments = match self.state.as_str() {
            "absent" => self.removal(&names, &before),
            _ => self.installation(cx, &names, &before)?,
        };
        match arguments {
            None => Ok(outcome),
            Some(arguments) => self.act(cx, apt, &arguments, &before),
        }
    }

    fn names(&self) -> Vec<&str> {
        let names = self.name.iter().flatten().map(|name| name.trim());
        names.filter(|name| !name.is_empty()).collect()
    }

    fn installation(
        &self,
        cx: &Context,
        names: &[&str],
        before: &Status,
    ) -> Result<Option<Vec<String>>, Failure> {
        let mut arguments = vec![if self.state == "build-dep" {
            "build-dep".to_owned()
        } else {
            "install".to_owned()
        }];
        if self.state == "fixed" {
            arguments.push("--fix-broken".to_owned());
        }
        if self.autoremove && self.state != "build-dep" {
            arguments.push("--auto-remove".to_owned());
        }
        if self.only_upgrade {
            arguments.push("--only-upgrade".to_owned());
        }
        arguments.push("--".to_owned());
        let packages = if self.state == "build-dep" {
            names::expand(cx, names)?
        } else {
            let wish = Wish {
                latest: self.state == "latest",
                only_upgrade: self.only_upgrade,
                default_release: self.default_release.as_deref(),
            };
            names::to_install(cx, names, wish, before)?
        };
        if packages.is_empty() && self.state != "fixed" {
            return Ok(None);
        }
        arguments.extend(packages);
        Ok(Some(arguments))
    }

    /// What `apt-get` has to be given so that the packages go. Those that are broken half-way go too.
    fn removal(&self, names: &[&str], before: &Status) -> Option<Vec<String>> {
        let mut packages = Vec::new();
        for text in names {
            let name = Name::parse(text);
            let matching: Vec<&str> = if name.is_pattern() {
                let all = before.names();
                all.filter(|known| globs::fnmatch(name.package, known))
                    .collect()
            } else {
                vec![name.package]
            };
            packages.extend(matching.into_iter().filter(|package| {
                before.entry(package).is_some_and(|entry| {
                    name.fits(&entry.version) && (self.purge || !entry.settings_only)
                })
            }));
        }
        if packages.is_empty() {
            return None;
        }
        let mut arguments = vec![if self.purge { "purge" } else { "remove" }.to_owned()];
        if self.autoremove {
            arguments.push("--auto-remove".to_owned());
        }
        arguments.push("--".to_owned());
        arguments.extend(packages.into_iter().map(ToOwned::to_owned));
        Some(arguments)
    }

    /// What can be asked for without any package.
    fn tidy(&self, cx: &Context, apt: &AptGet, outcome: Outcome) -> Result<Outcome, Failure> {
        let mut outcome = outcome;
        let before = Status::read()?;
        let mut jobs: Vec<Vec<String>> = Vec::new();
        if self.state == "fixed" {
            jobs.push(vec!["install".to_owned(), "--fix-broken".to_owned()]);
        }
        if self.autoclean {
            jobs.push(vec!["autoclean".to_owned()]);
        }
        if self.autoremove {
            let purge = self.purge.then(|| "--purge".to_owned());
            jobs.push(
                std::iter::once("autoremove".to_owned())
                    .chain(purge)
                    .collect(),
            );
        }
        for arguments in jobs {
            let mut done = self.act(cx, apt, &arguments, &before)?;
            done.changed |= outcome.changed;
            outcome = done;
        }
        Ok(outcome)
    }

    /// A command of apt-get without packages.
    fn plain(&self, cx: &Context, apt: &AptGet, command: &str) -> Result<Output, Failure> {
        let simulate = cx.check().then_some("--simulate");
        let arguments: Vec<&str> = simulate.into_iter().chain([command]).collect();
        let _policy = self.service_policy(cx)?;
        apt.succeed(cx, &arguments)
    }

    fn service_policy(&self, cx: &Context) -> Result<Option<ServicePolicy>, Failure> {
        self.policy_rc_d
            .filter(|_| !cx.check())
            .map(ServicePolicy::set)
            .transpose()
    }

    fn upgrade(&self, cx: &Context, apt: &AptGet, how: &str) -> Result<Outcome, Failure> {
        let mut arguments = match how {
            "yes" | "safe" => vec!["upgrade".to_owned(), "--with-new-pkgs".to_owned()],
            _ => vec!["dist-upgrade".to_owned()],
        };
        if self.autoremove {
            arguments.push("--auto-remove".to_owned());
        }
        let outcome = self.act(cx, apt, &arguments, &Status::read()?)?;
        let said = outcome.data.get("stdout").cloned().unwrap_or_default();
        Ok(outcome.with("msg", said))
    }

    /// Lets apt-get do it, or in check mode say what it would do.
    fn act(
        &self,
        cx: &Context,
        apt: &AptGet,
        arguments: &[String],
        before: &Status,
    ) -> Result<Outcome, Failure> {
        let simulate = cx.check().then(|| "--simulate".to_owned());
        let arguments: Vec<String> = simulate
            .into_iter()
            .chain(arguments.iter().cloned())
            .collect();
        let policy = self.service_policy(cx)?;
        let output = apt.succeed(cx, &arguments)?;
        drop(policy);
        let stdout = output.stdout_text();
        let changed = if cx.check() {
            announces_changes(&stdout)
        } else {
            Status::read()? != *before || stdout.lines().any(|line| line.starts_with("Del "))
        };
        let mut outcome = Outcome::changed(changed);
        if let Some(diff) = prepared(&stdout).filter(|_| cx.diff() && changed) {
            outcome = outcome.with("diff", diff);
        }
        Ok(outcome
            .with("stdout", stdout)
            .with("stderr", output.stderr_text()))
    }
}
