//! `dnf`, also as `yum` and `dnf5`: packages of Red Hat's systems and their kin, by their own programs. What changed is
//! the difference of what rpm lists before and after; what check mode tells is the table that dnf shows before it asks.

mod plan;

use crate::{Arg, Context, Failure, Kind, Module, Outcome, Output, Return, Rule, Spec};
use plan::{Plan, unmatched};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Exit code of dnf 4 when another one runs.
const LOCKED: i32 = 200;

#[derive(Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the arguments are those of Ansible's module"
)]
pub struct Dnf {
    name: Vec<String>,
    state: Option<String>,
    allow_downgrade: bool,
    allowerasing: bool,
    autoremove: bool,
    best: Option<bool>,
    nobest: Option<bool>,
    bugfix: bool,
    cacheonly: bool,
    conf_file: Option<String>,
    disable_excludes: Option<String>,
    disable_gpg_check: bool,
    disable_plugin: Vec<String>,
    disablerepo: Vec<String>,
    download_dir: Option<String>,
    download_only: bool,
    enable_plugin: Vec<String>,
    enablerepo: Vec<String>,
    exclude: Vec<String>,
    install_weak_deps: bool,
    installroot: String,
    list: Option<String>,
    lock_timeout: u64,
    releasever: Option<String>,
    security: bool,
    skip_broken: bool,
    sslverify: bool,
    update_cache: bool,
    update_only: bool,
    use_backend: String,
}

const fn flag(name: &'static str, doc: &'static str) -> Arg {
    Arg::new(name, Kind::Bool, doc).default("no")
}

const fn words(name: &'static str, doc: &'static str) -> Arg {
    Arg::new(name, Kind::List, doc).default("")
}

const ARGS: &[Arg] = &[
    words("name", "Packages: names, name-version, @group, files of the host, URLs; * for all, where state is latest.").aliases(&["pkg"]),
    Arg::new("state", Kind::Str, "Installed (present), newest (latest), not there (absent). Not said: present, or with autoremove absent.")
        .choices(&["absent", "present", "installed", "removed", "latest"]),
    flag("allow_downgrade", "An older version may be asked for."),
    flag("allowerasing", "Others may be removed to install these."),
    flag("autoremove", "Remove what nothing needs any more; alone, or with state absent."),
    Arg::new("best", Kind::Bool, "The newest version or none. Not said: as the system is set up."),
    Arg::new("nobest", Kind::Bool, "The opposite of best."),
    flag("bugfix", "With state latest: only updates that mend bugs."),
    flag("cacheonly", "Fetch no lists."),
    Arg::new("conf_file", Kind::Path, "Another file of settings."),
    Arg::new("disable_excludes", Kind::Str, "Whose excludes don't count: all, main, or a repository."),
    flag("disable_gpg_check", "Packages need no signature."),
    words("disable_plugin", "Plugins not to use."),
    words("disablerepo", "Repositories not to use."),
    Arg::new("download_dir", Kind::Path, "Where download_only puts the packages."),
    flag("download_only", "Fetch the packages and don't install them."),
    words("enable_plugin", "Plugins to use besides."),
    words("enablerepo", "Repositories to use besides."),
    words("exclude", "Packages to leave out."),
    Arg::new("install_repoquery", Kind::Bool, "Has no effect.").default("yes"),
    Arg::new("install_weak_deps", Kind::Bool, "Also what is only recommended.").default("yes"),
    Arg::new("installroot", Kind::Path, "Another root directory.").default("/"),
    Arg::new("list", Kind::Str, "Isn't supported: package_facts lists packages."),
    Arg::new("lock_timeout", Kind::Int, "Seconds to wait for another dnf.").default("30"),
    Arg::new("releasever", Kind::Str, "The release to take packages from."),
    flag("security", "With state latest: only updates that mend security."),
    flag("skip_broken", "Leave out what isn't there or can't be installed."),
    Arg::new("sslverify", Kind::Bool, "Check certificates of servers.").default("yes"),
    flag("update_cache", "Fetch the lists first, however young they are.").aliases(&["expire-cache"]),
    flag("update_only", "With state latest: only what is installed."),
    Arg::new("use_backend", Kind::Str, "The program; auto: dnf, dnf5 or yum, the first that is there.")
        .choices(&["auto", "dnf", "dnf4", "dnf5", "yum", "yum4"])
        .default("auto"),
    Arg::new("validate_certs", Kind::Bool, "Has no effect: sslverify is the one.").default("yes"),
];

impl Module for Dnf {
    const SPEC: Spec = Spec::new(
        "dnf",
        "Installs, upgrades and removes packages of Red Hat's systems. Compared by hand with Ansible's on dnf 4.14 and rpm 4.18; the tests know their recorded answers only, and dnf 5 has never been asked.",
        ARGS,
    )
    .aliases(&["yum", "dnf4", "dnf5"])
    .rules(&[
        Rule::Exclusive(&["best", "nobest"]),
        Rule::Together(&["download_dir", "download_only"]),
    ])
    .returns(&[
        Return::new("results", "`Installed: NEVRA`, `Removed: NEVRA`, `Downloaded: NEVRA`."),
        Return::new("rc", "0, or 1 of a failure."),
        Return::new("failures", "Packages that there are not, of a failure."),
    ]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        if self.list.is_some() {
            return Err(Failure::new(
                "list isn't supported: package_facts lists packages",
            ));
        }
        let program = self.program(cx)?;
        let host = Host {
            cx,
            program,
            module: &self,
        };
        let names: Vec<&str> = self.name.iter().map(|name| name.trim()).collect();
        let names: Vec<&str> = names.into_iter().filter(|name| !name.is_empty()).collect();
        let state = match self.state.as_deref() {
            None if self.autoremove => "absent",
            None | Some("installed") => "present",
            Some("removed") => "absent",
            Some(state) => state,
        };
        if names.is_empty() {
            return host.without_names(state);
        }
        match state {
            "absent" => host.remove(&names),
            "latest" => host.upgrade(&names),
            _ => host.install(&names),
        }
    }
}

impl Dnf {
    fn program(&self, cx: &Context) -> Result<&'static str, Failure> {
        let candidates: &[&str] = match self.use_backend.as_str() {
            "dnf5" => &["dnf5"],
            "dnf" | "dnf4" | "yum4" => &["dnf-3", "dnf"],
            _ => &["dnf", "dnf5", "yum"],
        };
        candidates
            .iter()
            .find(|name| cx.find_program(name).is_some())
            .copied()
            .ok_or_else(|| {
                Failure::new(format!(
                    "{} isn't on this host: dnf works on Red Hat's systems and their kin",
                    candidates.join(" or ")
                ))
            })
    }

    fn options(&self, cx: &Context) -> Vec<String> {
        let mut options = vec!["--setopt=exit_on_lock=True".to_owned()];
        for (wanted, option) in [
            (self.allowerasing, "--allowerasing"),
            (
                self.best == Some(true) || self.nobest == Some(false),
                "--best",
            ),
            (
                self.best == Some(false) || self.nobest == Some(true),
                "--nobest",
            ),
            (self.bugfix, "--bugfix"),
            (self.security, "--security"),
            (self.cacheonly, "--cacheonly"),
            (self.disable_gpg_check, "--nogpgcheck"),
            (!self.disable_gpg_check, "--setopt=localpkg_gpgcheck=True"),
            (!self.install_weak_deps, "--setopt=install_weak_deps=False"),
            (self.skip_broken, "--skip-broken"),
            (!self.sslverify, "--setopt=sslverify=False"),
            (self.update_cache, "--refresh"),
            (self.download_only, "--downloadonly"),
            (
                self.autoremove,
                "--setopt=clean_requirements_on_remove=True",
            ),
        ] {
            if wanted {
                options.push(option.to_owned());
            }
        }
        for (name, values) in [
            ("disableplugin", &self.disable_plugin),
            ("enableplugin", &self.enable_plugin),
            ("disablerepo", &self.disablerepo),
            ("enablerepo", &self.enablerepo),
            ("exclude", &self.exclude),
        ] {
            let values = values.iter().filter(|value| !value.is_empty());
            options.extend(values.map(|value| format!("--{name}={value}")));
        }
        let path = |path: &String| cx.expand(path).to_string_lossy().into_owned();
        for (name, value) in [
            ("config", self.conf_file.as_ref().map(path)),
            ("downloaddir", self.download_dir.as_ref().map(path)),
            ("disableexcludes", self.disable_excludes.clone()),
            ("releasever", self.releasever.clone()),
            (
                "installroot",
                Some(self.installroot.clone()).filter(|root| root != "/"),
            ),
        ] {
            options.extend(value.map(|value| format!("--{name}={value}")));
        }
        options
    }
}

/// The programs of the host, as this task uses them.
struct Host<'a> {
    cx: &'a Context,
    program: &'static str,
    module: &'a Dnf,
}

impl Host<'_> {
    fn without_names(&self, state: &str) -> Result<Outcome, Failure> {
        if self.module.autoremove && state == "absent" {
            return self.transact(&[&["autoremove"]]);
        }
        if self.module.update_cache {
            if !self.cx.check() {
                self.dnf(&["makecache"], &[])?
                    .check("cannot fetch the lists")?;
            }
            return Ok(done(false, Vec::new()).msg("Cache updated"));
        }
        Ok(nothing())
    }

    fn install(&self, names: &[&str]) -> Result<Outcome, Failure> {
        let mut missing = Vec::new();
        for name in names {
            if !self.installed(name)? {
                missing.push(*name);
            }
        }
        if missing.is_empty() {
            return Ok(nothing());
        }
        let command = [&["install"], missing.as_slice()].concat();
        self.transact(&[&command])
    }

    fn upgrade(&self, names: &[&str]) -> Result<Outcome, Failure> {
        if names.contains(&"*") {
            return self.transact(&[&["upgrade"]]);
        }
        let (mut there, mut missing) = (Vec::new(), Vec::new());
        for name in names {
            if self.installed(name)? {
                there.push(*name);
            } else if !self.module.update_only {
                missing.push(*name);
            }
        }
        let install = [&["install"], missing.as_slice()].concat();
        let upgrade = [&["upgrade"], there.as_slice()].concat();
        let mut commands: Vec<&[&str]> = Vec::new();
        if !missing.is_empty() {
            commands.push(&install);
        }
        if !there.is_empty() {
            commands.push(&upgrade);
        }
        self.transact(&commands)
    }

    fn remove(&self, names: &[&str]) -> Result<Outcome, Failure> {
        let mut there = Vec::new();
        for name in names {
            if name.contains(['*', '?', '[', '@']) || self.installed(name)? {
                there.push(*name);
            }
        }
        if there.is_empty() {
            return Ok(nothing());
        }
        let command = [&["remove"], there.as_slice()].concat();
        self.transact(&[&command])
    }

    /// Whether rpm knows it: a name, with version or not, a file that a package holds, or something that it provides.
    fn installed(&self, name: &str) -> Result<bool, Failure> {
        if name.starts_with('@') {
            return Ok(false);
        }
        let is_package = name.ends_with(".rpm");
        let name = if is_package && name.starts_with('/') {
            let output = self.rpm(&["-qp", "--qf", "%{NEVRA}", "--", name])?;
            output
                .check("Error occurred attempting remote rpm operation")?
                .stdout_text()
        } else {
            name.to_owned()
        };
        if is_package && name.contains("://") {
            return Ok(false);
        }
        let query = ["-q", "--quiet", "--", &name];
        Ok(self.rpm(&query)?.ok()
            || self
                .rpm(&["-q", "--quiet", "--whatprovides", "--", &name])?
                .ok())
    }

    /// Runs commands of dnf one after the other; in check mode asks what they would do.
    fn transact(&self, commands: &[&[&str]]) -> Result<Outcome, Failure> {
        let mut planned = Vec::new();
        let mut kept = Vec::new();
        for command in commands {
            let (command, plan) = self.plan(command)?;
            if !plan.is_empty() {
                planned.extend(plan.results());
                kept.push(command);
            }
        }
        if kept.is_empty() {
            return Ok(nothing());
        }
        if self.cx.check() || self.module.download_only {
            for command in kept.iter().filter(|_| !self.cx.check()) {
                let words: Vec<&str> = command.iter().map(String::as_str).collect();
                self.succeed(&words)?;
            }
            let results = planned.into_iter().map(|result| {
                if self.module.download_only {
                    result.replacen("Installed", "Downloaded", 1)
                } else {
                    result
                }
            });
            let outcome = done(true, results.collect());
            return Ok(if self.cx.check() {
                outcome.msg("Check mode: No changes made, but would have if not in check mode")
            } else {
                outcome
            });
        }
        let before = self.packages()?;
        for command in kept {
            let words: Vec<&str> = command.iter().map(String::as_str).collect();
            self.succeed(&words)?;
        }
        let after = self.packages()?;
        let new = after
            .difference(&before)
            .map(|name| format!("Installed: {name}"));
        let gone = before
            .difference(&after)
            .map(|name| format!("Removed: {name}"));
        let results: Vec<String> = new.chain(gone).collect();
        Ok(done(!results.is_empty(), results))
    }

    /// What a command would do, and the command without packages that would become older unasked.
    fn plan(&self, command: &[&str]) -> Result<(Vec<String>, Plan), Failure> {
        let mut command: Vec<&str> = command.to_vec();
        loop {
            let output = self.dnf(&command, &["--assumeno"])?;
            let text = output.stdout_text();
            let plan = Plan::parse(&text);
            let nothing = text.contains("Nothing to do") || text.contains("No packages marked");
            if plan.is_empty() && !output.ok() && !nothing {
                return Err(failed(output));
            }
            let names: Vec<&str> = plan.downgraded().collect();
            if self.module.allow_downgrade || names.is_empty() || command[0] != "install" {
                return Ok((command.iter().map(|&word| word.to_owned()).collect(), plan));
            }
            let count = command.len();
            command.retain(|word| {
                !names
                    .iter()
                    .any(|name| word.starts_with(&format!("{name}-")))
            });
            if command.len() == 1 || command.len() == count {
                return Ok((Vec::new(), Plan::default()));
            }
        }
    }

    fn succeed(&self, command: &[&str]) -> Result<Output, Failure> {
        let output = self.dnf(command, &["--assumeyes"])?;
        if output.ok() {
            return Ok(output);
        }
        Err(failed(output))
    }

    /// Runs dnf, waiting for another one.
    fn dnf(&self, command: &[&str], more: &[&str]) -> Result<Output, Failure> {
        let start = Instant::now();
        loop {
            let output = self
                .cx
                .process(self.program)
                .args(self.module.options(self.cx))
                .args(more)
                .args(command)
                .system()
                // The table is as wide as the terminal; names shouldn't be broken.
                .env("COLUMNS", "400")
                .run()?;
            if output.rc != LOCKED {
                return Ok(output);
            }
            if start.elapsed() >= Duration::from_secs(self.module.lock_timeout) {
                return Err(failed(output).during("dnf lockfile is held by another process"));
            }
            self.cx.sleep(Duration::from_secs(1))?;
        }
    }

    fn rpm(&self, args: &[&str]) -> Result<Output, Failure> {
        let root = format!("--root={}", self.module.installroot);
        let root = Some(root).filter(|_| self.module.installroot != "/");
        self.cx.process("rpm").args(root).args(args).system().run()
    }

    fn packages(&self) -> Result<BTreeSet<String>, Failure> {
        let output = self
            .rpm(&["-qa", "--qf", "%{NEVRA}\n"])?
            .check("cannot list the packages")?;
        Ok(output
            .stdout_text()
            .lines()
            .map(ToOwned::to_owned)
            .collect())
    }
}

fn nothing() -> Outcome {
    done(false, Vec::new()).msg("Nothing to do")
}

fn done(changed: bool, results: Vec<String>) -> Outcome {
    Outcome::changed(changed)
        .msg("")
        .with("rc", 0)
        .with("results", results)
}

/// What dnf says went wrong, in Ansible's words where something isn't there.
fn failed(output: Output) -> Failure {
    let said = output.stdout_text() + &output.stderr_text();
    let missing: Vec<Value> = unmatched(&said)
        .map(|name| format!("No package {name} available.").into())
        .collect();
    if !missing.is_empty() {
        return Failure::new("Failed to install some of the specified packages")
            .with("failures", missing)
            .with("rc", 1)
            .with("results", json!([]));
    }
    match output.check("dnf failed") {
        Err(failure) => failure,
        Ok(_) => Failure::new("dnf failed"),
    }
}
