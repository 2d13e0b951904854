//! `pip`: packages of Python, by the pip of the host or of a virtual environment.

use crate::{Arg, Context, Failure, Kind, Module, Outcome, Output, Return, Rule, Spec, words};
use serde::Deserialize;
use serde_json::Value;
use std::cmp::Ordering;
use std::path::{Path, PathBuf};

#[derive(Deserialize)]
pub struct Pip {
    name: Option<Vec<String>>,
    version: Option<String>,
    requirements: Option<String>,
    state: String,
    virtualenv: Option<String>,
    virtualenv_command: String,
    virtualenv_python: Option<String>,
    virtualenv_site_packages: bool,
    executable: Option<String>,
    extra_args: Option<String>,
    editable: bool,
    chdir: Option<String>,
    umask: Option<String>,
    break_system_packages: bool,
}

impl Module for Pip {
    const SPEC: Spec = Spec::new(
        "pip",
        "Installs and removes packages of Python.",
        &[
            Arg::new(
                "name",
                Kind::List,
                "Packages, with versions (a==1, a>=1,<2), paths, or URLs.",
            ),
            Arg::new("version", Kind::Str, "Version of the one package."),
            Arg::new(
                "requirements",
                Kind::Str,
                "A file of requirements on the host.",
            ),
            Arg::new(
                "state",
                Kind::Str,
                "Installed, newest, installed again, not there.",
            )
            .choices(&["absent", "forcereinstall", "latest", "present"])
            .default("present"),
            Arg::new(
                "virtualenv",
                Kind::Path,
                "A virtual environment, made if it isn't there.",
            ),
            Arg::new(
                "virtualenv_command",
                Kind::Path,
                "What makes it. Where there is no virtualenv, python3 -m venv does.",
            )
            .default("virtualenv"),
            Arg::new(
                "virtualenv_python",
                Kind::Str,
                "The Python in it; only for virtualenv.",
            ),
            Arg::new(
                "virtualenv_site_packages",
                Kind::Bool,
                "It sees the packages of the system.",
            )
            .default("no"),
            Arg::new(
                "executable",
                Kind::Path,
                "The pip: a path, or a name as pip3.11.",
            ),
            Arg::new("extra_args", Kind::Str, "More arguments of pip."),
            Arg::new("editable", Kind::Bool, "Install in place, for development.").default("no"),
            Arg::new("chdir", Kind::Path, "The directory to be in."),
            Arg::new("umask", Kind::Str, "The umask meanwhile, octal."),
            Arg::new(
                "break_system_packages",
                Kind::Bool,
                "Also where the system's own package manager is in charge.",
            )
            .default("no"),
        ],
    )
    .rules(&[
        Rule::OneOf(&["name", "requirements"]),
        Rule::Exclusive(&["name", "requirements"]),
        Rule::Exclusive(&["executable", "virtualenv"]),
    ])
    .returns(&[
        Return::new("cmd", "What pip was called with."),
        Return::new(
            "name",
            "As given; so are version, state, requirements and virtualenv.",
        ),
        Return::new("stdout", "What pip wrote; stderr likewise."),
    ]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let names = self.names()?;
        let mut said = String::new();
        if let Some(env) = self.virtualenv.as_ref().map(|path| cx.expand(path))
            && !env.join("bin/activate").exists()
        {
            if cx.check() {
                return Ok(Outcome::changed(true));
            }
            said += &self.make(cx, &env)?;
        }
        let pip = self.program(cx)?;
        if cx.check() {
            return self.told(cx, &pip, &names);
        }
        let command = self.command(&pip, &names)?;
        let from_repository = names.iter().any(|name| is_from_repository(name))
            || self
                .requirements
                .as_ref()
                .is_some_and(|path| has_repository(&self.place(cx).join(path)));
        let before = from_repository.then(|| self.frozen(cx, &pip)).transpose()?;
        let output = self.start(cx, &command)?;
        said += &output.stdout_text();
        if !output.ok() {
            // Removing what a list of requirements names and isn't there is fine.
            let message = format!("stdout: {said}\n:stderr: {}", output.stderr_text());
            return Err(Failure::new(message)
                .with("cmd", command)
                .with("rc", output.rc));
        }
        let changed = match before {
            _ if self.state == "absent" => said.contains("Successfully uninstalled"),
            Some(before) => before != self.frozen(cx, &pip)?,
            None => said.contains("Successfully installed"),
        };
        Ok(Outcome::changed(changed)
            .with("cmd", command)
            .with("name", self.name.clone().map_or(Value::Null, Into::into))
            .with(
                "version",
                self.version.clone().map_or(Value::Null, Into::into),
            )
            .with("state", self.state.as_str())
            .with(
                "requirements",
                self.requirements.clone().map_or(Value::Null, Into::into),
            )
            .with(
                "virtualenv",
                self.virtualenv.clone().map_or(Value::Null, Into::into),
            )
            .with("stdout", said)
            .with("stderr", output.stderr_text()))
    }
}

impl Pip {
    /// What pip is given. A list of arguments was split at commas, so `a>=1` and `<2` belong together again.
    fn names(&self) -> Result<Vec<String>, Failure> {
        let mut names: Vec<String> = Vec::new();
        for part in self
            .name
            .iter()
            .flatten()
            .map(|part| part.trim())
            .filter(|part| !part.is_empty())
        {
            match names.last_mut() {
                Some(last) if part.starts_with(['<', '>', '=', '!', '~']) => {
                    last.push(',');
                    last.push_str(part);
                }
                _ => names.push(part.to_owned()),
            }
        }
        if let Some(version) = &self.version {
            let [name] = &mut names[..] else {
                return Err(Failure::new(
                    "'version' argument is ambiguous when installing multiple package distributions. Please specify version restrictions next to each package in 'name' argument.",
                ));
            };
            if name.contains(['<', '>', '=', '!', '~']) {
                return Err(Failure::new(
                    "The 'version' argument conflicts with any version specifier provided along with a package name. Please keep the version specifier, but remove the 'version' argument.",
                ));
            }
            *name = format!("{name}=={version}");
        }
        Ok(names)
    }

    fn place(&self, cx: &Context) -> PathBuf {
        self.chdir
            .as_ref()
            .map_or_else(std::env::temp_dir, |path| cx.expand(path))
    }

    fn start(&self, cx: &Context, command: &[String]) -> Result<Output, Failure> {
        let shell = ["-c", "umask \"$1\"; shift; exec \"$@\"", "sh"];
        let process = match &self.umask {
            Some(umask) => cx.process("/bin/sh").args(shell).arg(umask).args(command),
            None => cx.process(&command[0]).args(&command[1..]),
        };
        let process = if self.break_system_packages {
            process.env("PIP_BREAK_SYSTEM_PACKAGES", "1")
        } else {
            process
        };
        process.system().current_dir(self.place(cx)).run()
    }

    /// Makes the virtual environment; what that said.
    fn make(&self, cx: &Context, env: &Path) -> Result<String, Failure> {
        let mut command = words::split(&self.virtualenv_command)?;
        let program = command.first().cloned().unwrap_or_default();
        if program == "virtualenv" && cx.find_program("virtualenv").is_none() {
            command = ["python3", "-m", "venv"].map(ToOwned::to_owned).to_vec();
        }
        let is_venv = command
            .iter()
            .any(|word| word == "venv" || word.ends_with("pyvenv"));
        match &self.virtualenv_python {
            Some(_) if is_venv => {
                return Err(Failure::new(
                    "virtualenv_python should not be used when using the venv module or pyvenv as virtualenv_command",
                ));
            }
            Some(python) => command.push(format!("-p{python}")),
            None => {}
        }
        if self.virtualenv_site_packages {
            command.push("--system-site-packages".to_owned());
        }
        command.push(env.to_string_lossy().into_owned());
        let output = self.start(cx, &command)?;
        let output = output.check("cannot make the virtual environment (virtualenv_command)")?;
        Ok(output.stdout_text())
    }

    fn program(&self, cx: &Context) -> Result<PathBuf, Failure> {
        if let Some(env) = &self.virtualenv {
            let bin = cx.expand(env).join("bin");
            let found = ["pip3", "pip"]
                .map(|name| bin.join(name))
                .into_iter()
                .find(|path| path.exists());
            return found
                .ok_or_else(|| Failure::new(format!("there is no pip in {}", bin.display())));
        }
        if let Some(executable) = &self.executable {
            if executable.contains('/') {
                return Ok(cx.expand(executable));
            }
            return cx.find_program(executable).ok_or_else(|| {
                Failure::new(format!(
                    "Unable to find any of {executable} to use.  pip needs to be installed."
                ))
            });
        }
        ["pip3", "pip"]
            .iter()
            .find_map(|name| cx.find_program(name))
            .ok_or_else(|| {
                Failure::new("Unable to find any of pip3, pip to use.  pip needs to be installed.")
            })
    }

    fn command(&self, pip: &Path, names: &[String]) -> Result<Vec<String>, Failure> {
        let flags: &[&str] = match self.state.as_str() {
            "absent" => &["uninstall", "-y"],
            "latest" => &["install", "-U"],
            "forcereinstall" => &["install", "-U", "--force-reinstall"],
            _ => &["install"],
        };
        let mut command = vec![pip.to_string_lossy().into_owned()];
        command.extend(flags.iter().map(|&flag| flag.to_owned()));
        if let Some(extra) = &self.extra_args {
            command.extend(words::split(extra)?);
        }
        for name in names {
            if self.editable && self.state != "absent" {
                command.push("-e".to_owned());
            }
            command.push(name.clone());
        }
        if let Some(file) = &self.requirements {
            command.extend(["-r".to_owned(), file.clone()]);
        }
        Ok(command)
    }

    fn frozen(&self, cx: &Context, pip: &Path) -> Result<String, Failure> {
        let command = [pip.to_string_lossy().into_owned(), "freeze".to_owned()];
        Ok(self
            .start(cx, &command)?
            .check("pip freeze failed")?
            .stdout_text())
    }

    /// What would change. Ansible's rule: whatever can't be told from a list of packages would.
    fn told(&self, cx: &Context, pip: &Path, names: &[String]) -> Result<Outcome, Failure> {
        let open = self.extra_args.is_some()
            || self.requirements.is_some()
            || self.state == "latest"
            || self.state == "forcereinstall"
            || names
                .iter()
                .any(|name| is_from_repository(name) || name.contains(['/', '@']) || name == ".");
        if open {
            return Ok(Outcome::changed(true));
        }
        let command = [
            pip.to_string_lossy().into_owned(),
            "list".to_owned(),
            "--format=freeze".to_owned(),
        ];
        let output = self.start(cx, &command)?.check("pip list failed")?;
        let text = output.stdout_text();
        let there = names.iter().filter(|name| satisfied(&text, name)).count();
        let changed = match self.state.as_str() {
            "absent" => there > 0,
            _ => there < names.len(),
        };
        Ok(Outcome::changed(changed)
            .with("cmd", command.join(" "))
            .with("stdout", text)
            .with("stderr", output.stderr_text()))
    }
}

fn is_from_repository(name: &str) -> bool {
    ["git+", "hg+", "svn+", "bzr+"]
        .iter()
        .any(|scheme| name.contains(scheme))
}

/// Whether a file of requirements names something from a repository of sources.
fn has_repository(path: &Path) -> bool {
    std::fs::read_to_string(path).is_ok_and(|text| text.lines().any(is_from_repository))
}

/// Whether a list of `name==version` holds a package in a version that fits.
fn satisfied(list: &str, requirement: &str) -> bool {
    let end = requirement
        .find(['<', '>', '=', '!', '~', '[', ' ', ';'])
        .unwrap_or(requirement.len());
    let wanted = canonical(&requirement[..end]);
    let version = list
        .lines()
        .filter_map(|line| line.trim().split_once("=="))
        .find(|(name, _)| canonical(name) == wanted)
        .map(|(_, version)| version);
    let bounds = requirement[end..]
        .split(']')
        .next_back()
        .unwrap_or_default();
    version.is_some_and(|version| {
        bounds
            .split(',')
            .map(str::trim)
            .filter(|bound| !bound.is_empty())
            .all(|bound| fits(version, bound))
    })
}

/// Names of packages differ in letters and dashes only by habit.
fn canonical(name: &str) -> String {
    name.trim().to_lowercase().replace(['_', '.'], "-")
}

/// Whether a version keeps one bound (`>=1.2`, `==1.*`, `~=1.4`).
fn fits(version: &str, bound: &str) -> bool {
    let digits = bound
        .find(|letter: char| letter.is_ascii_digit())
        .unwrap_or(bound.len());
    let (operator, other) = bound.split_at(digits);
    let other = other.trim();
    let order = compare(version, other);
    let begins = |prefix: &str| version == prefix || version.starts_with(&format!("{prefix}."));
    match operator.trim() {
        "==" => match other.strip_suffix(".*") {
            Some(prefix) => begins(prefix),
            None => order == Ordering::Equal,
        },
        "!=" => match other.strip_suffix(".*") {
            Some(prefix) => !begins(prefix),
            None => order != Ordering::Equal,
        },
        ">=" => order != Ordering::Less,
        "<=" => order != Ordering::Greater,
        ">" => order == Ordering::Greater,
        "<" => order == Ordering::Less,
        "~=" => {
            let prefix = other.rsplit_once('.').map_or(other, |(prefix, _)| prefix);
            order != Ordering::Less && begins(prefix)
        }
        _ => version == other,
    }
}

/// Versions by their numbers; one with letters behind (`1.0rc1`) comes before the same without.
fn compare(a: &str, b: &str) -> Ordering {
    let parts = |text: &str| -> Vec<(u64, String)> {
        text.split(['.', '-', '+'])
            .map(|part| {
                let end = part
                    .find(|letter: char| !letter.is_ascii_digit())
                    .unwrap_or(part.len());
                (part[..end].parse().unwrap_or(0), part[end..].to_owned())
            })
            .collect()
    };
    let (a, b) = (parts(a), parts(b));
    for at in 0..a.len().max(b.len()) {
        let none = (0, String::new());
        let (left, right) = (a.get(at).unwrap_or(&none), b.get(at).unwrap_or(&none));
        let order =
            left.0
                .cmp(&right.0)
                .then_with(|| match (left.1.is_empty(), right.1.is_empty()) {
                    (true, false) => Ordering::Greater,
                    (false, true) => Ordering::Less,
                    _ => left.1.cmp(&right.1),
                });
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::test::{check, run};
    use serde_json::json;
    use std::os::unix::fs::PermissionsExt;

    /// As pip 23 writes it.
    const LIST: &str = "idna==3.4\npip==23.2.1\nruamel.yaml==0.17.0rc1\n";

    #[test]
    fn requirements_are_compared_with_what_is_there() {
        for (requirement, expected) in [
            ("idna", true),
            ("Idna==3.4", true),
            ("idna==3.4.0", true),
            ("idna==3.*", true),
            ("idna>3.4", false),
            ("idna>=3.4,<4", true),
            ("idna>=3.10", false),
            ("idna~=3.2", true),
            ("idna~=3.4.1", false),
            ("idna!=3.4", false),
            ("idna[extra]>=1", true),
            ("ruamel_yaml>=0.17.0", false),
            ("six", false),
        ] {
            assert_eq!(satisfied(LIST, requirement), expected, "{requirement}");
        }
    }

    #[test]
    fn pip_is_called_as_ansible_calls_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let pip = dir.path().join("pip");
        // A stand-in for pip: it answers as pip 23 does when something is installed.
        let script = "#!/bin/sh\n# A stand-in for pip.\ncase $1 in list) echo idna==3.4;; uninstall) echo '  Successfully uninstalled idna-3.4';; *) echo Successfully installed idna-3.6; umask;; esac\n";
        std::fs::write(&pip, script).expect("written");
        std::fs::set_permissions(&pip, std::fs::Permissions::from_mode(0o755)).expect("set");
        let pip = pip.to_string_lossy().into_owned();
        let args = |more: Value| {
            let mut args = json!({"executable": pip});
            let entries = more.as_object().cloned().unwrap_or_default();
            args.as_object_mut().expect("a mapping").extend(entries);
            args
        };
        for (given, words, checked) in [
            (
                json!({"name": "idna>=3.4,<4"}),
                vec!["install", "idna>=3.4,<4"],
                false,
            ),
            (
                json!({"name": "idna", "version": "3.6"}),
                vec!["install", "idna==3.6"],
                true,
            ),
            (
                json!({"name": ["a", "idna"], "state": "latest"}),
                vec!["install", "-U", "a", "idna"],
                true,
            ),
            (
                json!({"name": "idna", "state": "forcereinstall", "extra_args": "-i 'a b'"}),
                vec!["install", "-U", "--force-reinstall", "-i", "a b", "idna"],
                true,
            ),
            (
                json!({"name": "idna", "state": "absent"}),
                vec!["uninstall", "-y", "idna"],
                true,
            ),
            (
                json!({"requirements": "r.txt", "chdir": "/tmp"}),
                vec!["install", "-r", "r.txt"],
                true,
            ),
            (
                json!({"name": "/x", "editable": true, "umask": "0077"}),
                vec!["install", "-e", "/x"],
                true,
            ),
        ] {
            let done = run("pip", args(given.clone()));
            assert!(done.changed, "{given}: {done:?}");
            let expected: Vec<&str> = std::iter::once(pip.as_str()).chain(words).collect();
            assert_eq!(done.data["cmd"], json!(expected));
            if given.get("umask").is_some() {
                assert!(
                    done.data["stdout"]
                        .as_str()
                        .is_some_and(|text| text.ends_with("0077\n"))
                );
            }
            assert_eq!(
                check("pip", args(given.clone())).changed,
                checked,
                "{given}"
            );
        }
        for (given, said) in [
            (json!({}), "name"),
            (json!({"name": "a", "requirements": "b"}), "requirements"),
            (json!({"name": ["a", "b"], "version": "1"}), "ambiguous"),
            (
                json!({"name": "a==1", "version": "1"}),
                "conflicts with any version specifier",
            ),
        ] {
            let outcome = run("pip", args(given));
            let msg = outcome.data["msg"].as_str().expect("text");
            assert!(outcome.failed && msg.contains(said), "{msg}");
        }
    }
}
