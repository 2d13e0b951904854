//! `modprobe`: modules of the kernel, now and at boot.

use crate::files::{self, Attributes};
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Return, Spec};
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Deserialize)]
pub struct Modprobe {
    name: String,
    state: String,
    params: String,
    persistent: String,
}

impl Module for Modprobe {
    const SPEC: Spec = Spec::new(
        "modprobe",
        "Loads and unloads modules of the kernel, and keeps what is loaded at boot.",
        &[
            Arg::new("name", Kind::Str, "The module.").required(),
            Arg::new("state", Kind::Str, "Loaded or not.")
                .choices(&["absent", "present"])
                .default("present"),
            Arg::new("params", Kind::Str, "Parameters, as modprobe takes them.").default(""),
            Arg::new(
                "persistent",
                Kind::Str,
                "Whether it is loaded at boot (/etc/modules-load.d, /etc/modprobe.d); disabled: as it is.",
            )
            .choices(&["disabled", "present", "absent"])
            .default("disabled"),
        ],
    )
.returns(&[Return::new("name, params, state", "As given.")]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let mut changed = false;
        let loaded = is_loaded(&self.name);
        let wanted = self.state == "present";
        if loaded != wanted {
            changed = true;
            if !cx.check() {
                self.load(cx, wanted)?;
            }
        }
        let boot = Boot {
            root: Path::new("/etc"),
            name: &self.name,
            params: &self.params,
        };
        changed |= match self.persistent.as_str() {
            "present" => boot.keep(cx)?,
            "absent" => boot.forget(cx)?,
            _ => false,
        };
        Ok(Outcome::changed(changed)
            .with("name", self.name)
            .with("params", self.params)
            .with("state", self.state))
    }
}

impl Modprobe {
    fn load(&self, cx: &Context, wanted: bool) -> Result<(), Failure> {
        let mut process = cx.process("modprobe").system();
        if !wanted {
            process = process.arg("-r");
        }
        let params = crate::words::split(&self.params)?;
        process = process.arg(&self.name);
        if wanted {
            process = process.args(params);
        }
        let what = if wanted { "load" } else { "unload" };
        process
            .run()?
            .check(&format!("cannot {what} the kernel module {}", self.name))?;
        Ok(())
    }
}

/// Loaded, or a part of this kernel. Both `-` and `_` are written.
fn is_loaded(name: &str) -> bool {
    let plain = |name: &str| name.replace('-', "_");
    let name = plain(name);
    let loaded = fs::read_to_string("/proc/modules").unwrap_or_default();
    if loaded
        .lines()
        .filter_map(|line| line.split(' ').next())
        .any(|known| plain(known) == name)
    {
        return true;
    }
    let release = rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned();
    let builtin = fs::read_to_string(format!("/lib/modules/{release}/modules.builtin"));
    builtin.unwrap_or_default().lines().any(|line| {
        let file = line.rsplit('/').next().unwrap_or_default();
        let known = file.split(".ko").next().unwrap_or_default();
        plain(known) == name
    })
}

/// The files that say what is loaded at boot.
struct Boot<'a> {
    /// /etc, or what stands for it.
    root: &'a Path,
    name: &'a str,
    params: &'a str,
}

impl Boot<'_> {
    fn load_dir(&self) -> PathBuf {
        self.root.join("modules-load.d")
    }

    fn options_dir(&self) -> PathBuf {
        self.root.join("modprobe.d")
    }

    /// Whether a line of modules-load.d names the module.
    fn names(&self, line: &str) -> bool {
        line.split(['#', ';']).next().unwrap_or_default().trim_end() == self.name
    }

    /// Whether a line of modprobe.d has parameters for the module; which.
    fn options<'l>(&self, line: &'l str) -> Option<&'l str> {
        let rest = line.strip_prefix("options")?.strip_prefix([' ', '\t'])?;
        let rest = rest.trim_start().strip_prefix(self.name)?;
        let params = rest.strip_prefix([' ', '\t'])?;
        Some(params.trim())
    }

    fn keep(&self, cx: &Context) -> Result<bool, Failure> {
        let mut changed = false;
        let named = any_line(&self.load_dir(), |line| self.names(line))?;
        if !named {
            changed = true;
            self.write(cx, &self.load_dir(), &format!("{}\n", self.name))?;
        }
        let given = any_line(&self.options_dir(), |line| {
            self.options(line)
                .is_some_and(|params| params == self.params)
        })?;
        let others = any_line(&self.options_dir(), |line| self.options(line).is_some())?;
        if self.params.is_empty() && !others || given {
            return Ok(changed);
        }
        comment_out(cx, &self.options_dir(), |line| self.options(line).is_some())?;
        if !self.params.is_empty() {
            let line = format!("options {} {}\n", self.name, self.params);
            self.write(cx, &self.options_dir(), &line)?;
        }
        Ok(true)
    }

    fn forget(&self, cx: &Context) -> Result<bool, Failure> {
        let mut changed = comment_out(cx, &self.load_dir(), |line| self.names(line))?;
        changed |= comment_out(cx, &self.options_dir(), |line| self.options(line).is_some())?;
        Ok(changed)
    }

    /// Writes the module's own file in a directory.
    fn write(&self, cx: &Context, dir: &Path, text: &str) -> Result<(), Failure> {
        if cx.check() {
            return Ok(());
        }
        let file = dir.join(format!("{}.conf", self.name));
        let failed = |error: &std::io::Error| Failure::io("cannot write", &file, error);
        fs::create_dir_all(dir).map_err(|error| failed(&error))?;
        let attributes = Attributes {
            mode: Some(0o644),
            ..Attributes::default()
        };
        files::write(&file, text.as_bytes(), attributes).map_err(|error| failed(&error))
    }
}

/// The files of a directory of configuration, in order.
fn files_of(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    files
}

fn read(file: &Path) -> Result<String, Failure> {
    let bytes = fs::read(file).map_err(|error| Failure::io("cannot read", file, &error))?;
    String::from_utf8(bytes).map_err(|_| Failure::new(format!("{} is not UTF-8", file.display())))
}

fn any_line(dir: &Path, fits: impl Fn(&str) -> bool) -> Result<bool, Failure> {
    for file in files_of(dir) {
        if read(&file)?.lines().any(&fits) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Puts a `#` before lines. Whether there were any.
fn comment_out(cx: &Context, dir: &Path, fits: impl Fn(&str) -> bool) -> Result<bool, Failure> {
    let mut changed = false;
    for file in files_of(dir) {
        let text = read(&file)?;
        if !text.lines().any(&fits) {
            continue;
        }
        changed = true;
        let new: String = text
            .split_inclusive('\n')
            .map(|line| {
                let mark = if fits(line.trim_end_matches('\n')) {
                    "#"
                } else {
                    ""
                };
                format!("{mark}{line}")
            })
            .collect();
        if !cx.check() {
            files::write(&file, new.as_bytes(), Attributes::default())
                .map_err(|error| Failure::io("cannot write", &file, &error))?;
        }
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::test::run;
    use serde_json::json;

    #[test]
    fn what_is_loaded_at_boot_is_kept_and_forgotten() {
        let dir = tempfile::tempdir().expect("a directory");
        let boot = |params| Boot {
            root: dir.path(),
            name: "br_netfilter",
            params,
        };
        let (real, check) = (Context::local(false, false), Context::local(true, false));
        assert_eq!(boot("").keep(&check), Ok(true));
        assert!(!dir.path().join("modules-load.d").exists());
        assert_eq!(boot("").keep(&real), Ok(true));
        assert_eq!(boot("").keep(&real), Ok(false));
        let load = dir.path().join("modules-load.d/br_netfilter.conf");
        assert_eq!(fs::read_to_string(&load).expect("there"), "br_netfilter\n");
        assert_eq!(boot("a=1").keep(&real), Ok(true));
        assert_eq!(boot("a=1").keep(&real), Ok(false));
        let options = dir.path().join("modprobe.d/br_netfilter.conf");
        assert_eq!(
            fs::read_to_string(&options).expect("there"),
            "options br_netfilter a=1\n"
        );
        assert_eq!(boot("").keep(&real), Ok(true));
        assert_eq!(
            fs::read_to_string(&options).expect("there"),
            "#options br_netfilter a=1\n"
        );
        fs::write(&load, "nf_conntrack\nbr_netfilter # why\n").expect("written");
        assert_eq!(boot("").keep(&real), Ok(false));
        assert_eq!(boot("").forget(&real), Ok(true));
        assert_eq!(boot("").forget(&real), Ok(false));
        assert_eq!(
            fs::read_to_string(&load).expect("there"),
            "nf_conntrack\n#br_netfilter # why\n"
        );
    }

    #[test]
    fn a_module_that_is_not_there() {
        let outcome = run(
            "modprobe",
            json!({"name": "no_such_module_anywhere", "state": "absent"}),
        );
        assert!(!outcome.changed && !outcome.failed, "{outcome:?}");
        let outcome = run("modprobe", json!({"name": "no_such_module_anywhere"}));
        assert!(outcome.failed, "{outcome:?}");
    }
}
