//! `mount`: file systems, now and in fstab.

mod fstab;
mod now;

use crate::files::{self, Attributes};
use crate::modules::rewrite;
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Return, Rule, Spec};
use fstab::Entry;
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Deserialize)]
pub struct Mount {
    path: String,
    src: Option<String>,
    fstype: Option<String>,
    opts: Option<String>,
    opts_no_log: bool,
    boot: bool,
    dump: String,
    passno: String,
    fstab: Option<String>,
    backup: bool,
    state: String,
}

const FSTAB: &str = "/etc/fstab";

impl Module for Mount {
    const SPEC: Spec = Spec::new(
        "mount",
        "Mounts and unmounts file systems, and keeps their lines in fstab.",
        &[
            Arg::new("path", Kind::Path, "The mount point; none for swap.").aliases(&["name"]).required(),
            Arg::new("src", Kind::Path, "The device, UUID=…, HOST:/DIR, or the directory of a bind mount."),
            Arg::new("fstype", Kind::Str, "The file system: ext4, nfs, none for a bind mount."),
            Arg::new("opts", Kind::Str, "Options; defaults if not said."),
            Arg::new("opts_no_log", Kind::Bool, "The options aren't returned and not shown in a diff.").default("no"),
            Arg::new("boot", Kind::Bool, "Mount at boot; otherwise noauto joins the options.").default("yes"),
            Arg::new("dump", Kind::Str, "Whether dump saves it (fstab(5)).").default("0"),
            Arg::new("passno", Kind::Str, "When it is checked at boot (fstab(5)).").default("0"),
            Arg::new("fstab", Kind::Path, "Another file than /etc/fstab."),
            Arg::new("backup", Kind::Bool, "Keep the old fstab, with the time in its name.").default("no"),
            Arg::new(
                "state",
                Kind::Str,
                "present, absent_from_fstab: only in fstab; mounted: in both; unmounted: fstab stays; absent: in neither, and the directory goes; remounted: mount again with the options; ephemeral: mounted without fstab.",
            )
            .choices(&[
                "absent", "absent_from_fstab", "mounted", "present", "unmounted", "remounted", "ephemeral",
            ])
            .required(),
        ],
    )
    .rules(&[
        Rule::If("state", "mounted", &["src", "fstype"]),
        Rule::If("state", "present", &["src", "fstype"]),
        Rule::If("state", "ephemeral", &["src", "fstype"]),
    ])
    .returns(&[
        Return::new("name", "The mount point."),
        Return::new("src", "As in fstab; so are fstype, opts, dump, passno, boot and fstab, if they were given."),
        Return::new("backup_file", "The copy of fstab, with backup when it changed; else empty."),
    ]);

    fn run(mut self, cx: &Context) -> Result<Outcome, Failure> {
        let src = self.src.map(|src| cx.expand(&src));
        self.src = src.map(|src| src.to_string_lossy().into_owned());
        let work = Work {
            point: self.point(cx),
            fstab: cx.expand(self.fstab.as_deref().unwrap_or(FSTAB)),
            mount: &self,
            cx,
        };
        let outcome = match self.state.as_str() {
            "present" => work.edit(true)?,
            "absent_from_fstab" => work.edit(false)?,
            "mounted" => work.mounted()?,
            "unmounted" => work.unmounted()?,
            "absent" => work.absent()?,
            "remounted" => work.remounted()?,
            _ => work.ephemeral()?,
        };
        Ok(self.describe(outcome, &work))
    }
}

impl Mount {
    /// Without a slash at its end, which neither the kernel nor fstab has.
    fn point(&self, cx: &Context) -> PathBuf {
        let path = cx.expand(&self.path);
        let text = path.to_string_lossy();
        match text.trim_end_matches('/') {
            "" => PathBuf::from("/"),
            plain => PathBuf::from(plain),
        }
    }

    /// The options as fstab has them.
    fn options(&self) -> String {
        let mut options = self.opts.clone().unwrap_or_else(|| "defaults".to_owned());
        if !self.boot && !options.split(',').any(|option| option == "noauto") {
            options.push_str(",noauto");
        }
        options
    }

    fn entry(&self, point: &Path) -> Entry {
        Entry {
            src: self.src.clone().unwrap_or_default(),
            point: point.to_string_lossy().into_owned(),
            fstype: self.fstype.clone().unwrap_or_default(),
            opts: self.options(),
            dump: self.dump.clone(),
            passno: self.passno.clone(),
        }
    }

    fn describe(&self, outcome: Outcome, work: &Work<'_>) -> Outcome {
        let mut outcome = outcome
            .with("name", work.point.to_string_lossy())
            .with("dump", self.dump.as_str())
            .with("passno", self.passno.as_str())
            .with("boot", if self.boot { "yes" } else { "no" });
        if !outcome.data.contains_key("backup_file") {
            outcome = outcome.with("backup_file", "");
        }
        outcome = outcome.with("fstab", work.fstab.to_string_lossy());
        if !self.opts_no_log {
            outcome = outcome.with("opts", self.options());
        }
        for (name, value) in [("src", &self.src), ("fstype", &self.fstype)] {
            if let Some(value) = value {
                outcome = outcome.with(name, value.as_str());
            }
        }
        outcome
    }
}

/// One call.
struct Work<'a> {
    mount: &'a Mount,
    cx: &'a Context,
    point: PathBuf,
    fstab: PathBuf,
}

impl Work<'_> {
    /// Brings fstab to have the entry, or to have none of the mount point.
    fn edit(&self, present: bool) -> Result<Outcome, Failure> {
        let old = rewrite::read(&self.fstab)?;
        let before = String::from_utf8(old.clone().unwrap_or_default())
            .map_err(|_| Failure::new(format!("{} is not UTF-8", self.fstab.display())))?;
        let entry = self.mount.entry(&self.point);
        let after = if present {
            fstab::with(&before, &entry)
        } else {
            fstab::without(&before, &entry)
        };
        let changed = after != before;
        let mut outcome = Outcome::changed(changed);
        if changed && self.cx.diff() && !self.mount.opts_no_log {
            outcome = outcome.diff(&self.fstab.to_string_lossy(), &before, &after);
        }
        if changed && !self.cx.check() {
            if self.mount.backup && old.is_some() {
                let backup = rewrite::keep_copy(&self.fstab)?;
                outcome = outcome.with("backup_file", backup.to_string_lossy());
            }
            let attributes = Attributes {
                mode: old.is_none().then_some(0o644),
                ..Attributes::default()
            };
            files::write(&self.fstab, after.as_bytes(), attributes).map_err(|error| {
                rewrite::write_failure(&self.fstab, after.len() as u64, old.is_some(), &error)
            })?;
        }
        Ok(outcome)
    }

    fn is_mounted(&self) -> Result<bool, Failure> {
        Ok(now::at(&self.point)?.is_some())
    }

    fn mounted(&self) -> Result<Outcome, Failure> {
        let is_new = !self.point.exists();
        if is_new && !self.cx.check() {
            fs::create_dir_all(&self.point)
                .map_err(|error| Failure::io("cannot make the directory", &self.point, &error))?;
        }
        let before = rewrite::read(&self.fstab)?;
        let mut outcome = match self.edit(true) {
            Ok(outcome) => outcome,
            Err(failure) => return Err(self.take_away(is_new, failure)),
        };
        let mounted = self.is_mounted()?;
        let edited = outcome.changed;
        let result = match (mounted, edited) {
            (true, false) => return Ok(outcome),
            _ if self.cx.check() => Ok(()),
            (true, true) => self.remount(),
            (false, _) => self.by_fstab(),
        };
        outcome.changed = true;
        match result {
            Ok(()) => Ok(outcome),
            Err(failure) => {
                if edited {
                    self.restore(before.as_deref())?;
                }
                Err(self.take_away(is_new && !mounted, failure))
            }
        }
    }

    /// A line that can't be mounted would stop the host at its next start: fstab is as it was.
    fn restore(&self, before: Option<&[u8]>) -> Result<(), Failure> {
        let done = match before {
            Some(text) => files::write(&self.fstab, text, Attributes::default()),
            None => fs::remove_file(&self.fstab),
        };
        done.map_err(|error| Failure::io("cannot restore", &self.fstab, &error))
    }

    /// A directory that was made for a mount that failed goes again.
    fn take_away(&self, is_new: bool, failure: Failure) -> Failure {
        if is_new {
            drop(fs::remove_dir(&self.point));
        }
        failure
    }

    fn unmounted(&self) -> Result<Outcome, Failure> {
        if !self.is_mounted()? {
            return Ok(Outcome::ok());
        }
        self.unmount()?;
        Ok(Outcome::changed(true))
    }

    fn absent(&self) -> Result<Outcome, Failure> {
        let outcome = self.edit(false)?;
        // As in Ansible: what isn't in fstab stays mounted (state: unmounted is for that).
        if !outcome.changed || self.cx.check() {
            return Ok(outcome);
        }
        if self.is_mounted()? {
            self.unmount()?;
        }
        if self.point.is_dir() {
            fs::remove_dir(&self.point).map_err(|error| {
                Failure::io(
                    "Error rmdir: cannot remove the mount point",
                    &self.point,
                    &error,
                )
            })?;
        }
        Ok(outcome)
    }

    fn remounted(&self) -> Result<Outcome, Failure> {
        if !self.cx.check() {
            self.remount()?;
        }
        Ok(Outcome::changed(true))
    }

    /// Mounts without fstab. Another source that is mounted there stays.
    fn ephemeral(&self) -> Result<Outcome, Failure> {
        let src = self.mount.src.as_deref().unwrap_or_default();
        let there = now::at(&self.point)?;
        if let Some(there) = &there
            && !there.is_of(src)
        {
            return Err(Failure::new(format!(
                "Ephemeral mount point {} is already mounted with a different source than {src}: {}; unmount it first",
                self.point.display(),
                there.source
            )));
        }
        if self.cx.check() {
            return Ok(Outcome::changed(true));
        }
        if there.is_some() {
            self.remount()?;
            return Ok(Outcome::changed(true));
        }
        let is_new = !self.point.exists();
        fs::create_dir_all(&self.point)
            .map_err(|error| Failure::io("cannot make the directory", &self.point, &error))?;
        let mut process = self.cx.process("mount").system();
        if let Some(fstype) = &self.mount.fstype {
            process = process.args(["-t", fstype]);
        }
        if let Some(opts) = &self.mount.opts {
            process = process.args(["-o", opts]);
        }
        let done = process.arg("--").arg(src).arg(&self.point).run()?;
        done.check(&format!("Error mounting {}", self.point.display()))
            .map_err(|failure| self.take_away(is_new, failure))?;
        Ok(Outcome::changed(true))
    }

    /// Mounts as fstab says.
    fn by_fstab(&self) -> Result<(), Failure> {
        let mut process = self.cx.process("mount").system();
        if self.fstab != Path::new(FSTAB) {
            process = process.arg("--fstab").arg(&self.fstab);
        }
        process
            .arg("--")
            .arg(&self.point)
            .run()?
            .check(&format!("Error mounting {}", self.point.display()))?;
        Ok(())
    }

    /// With the options of the task; where the file system can't be remounted, it is unmounted and mounted.
    fn remount(&self) -> Result<(), Failure> {
        let mut options = "remount".to_owned();
        if let Some(opts) = &self.mount.opts {
            options.push(',');
            options.push_str(opts);
        }
        let mut process = self.cx.process("mount").system().args(["-o", &options]);
        if self.mount.state != "ephemeral" && self.fstab != Path::new(FSTAB) {
            process = process.arg("--fstab").arg(&self.fstab);
        }
        let output = process.arg("--").arg(&self.point).run()?;
        if output.ok() {
            return Ok(());
        }
        let why = format!("Error remounting {}", self.point.display());
        if self.mount.state == "ephemeral" {
            return output.check(&why).map(drop);
        }
        self.unmount()?;
        self.by_fstab().map_err(|failure| failure.during(why))
    }

    fn unmount(&self) -> Result<(), Failure> {
        if self.cx.check() {
            return Ok(());
        }
        self.cx
            .process("umount")
            .system()
            .arg("--")
            .arg(&self.point)
            .run()?
            .check(&format!("Error unmounting {}", self.point.display()))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::modules::test::{check, run};
    use serde_json::json;

    #[test]
    fn lines_of_fstab_come_change_and_go() {
        let dir = tempfile::tempdir().expect("a directory");
        let fstab = dir.path().join("fstab");
        std::fs::write(&fstab, "# devices\n/dev/a / ext4 defaults 0 1\n").expect("written");
        let args = |state: &str, opts: &str| json!({"path": "/mnt/x y/", "src": "LABEL=d", "fstype": "xfs", "opts": opts, "fstab": fstab, "state": state});
        assert!(check("mount", args("present", "ro")).changed);
        assert!(run("mount", args("present", "ro")).changed);
        assert!(!run("mount", args("present", "ro")).changed);
        assert!(run("mount", args("present", "rw")).changed);
        assert_eq!(
            std::fs::read_to_string(&fstab).expect("there"),
            "# devices\n/dev/a / ext4 defaults 0 1\nLABEL=d /mnt/x\\040y xfs rw 0 0\n"
        );
        assert!(run("mount", args("absent_from_fstab", "rw")).changed);
        assert!(!run("mount", args("absent", "rw")).changed);
        assert!(!run("mount", args("unmounted", "rw")).changed);
        assert!(
            run(
                "mount",
                json!({"path": "/x", "state": "mounted", "fstab": fstab})
            )
            .failed
        );
    }
}
