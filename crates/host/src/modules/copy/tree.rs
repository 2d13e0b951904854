//! `remote_src`: a file or a tree of the host, copied on the host.

use super::place::{self, make};
use super::{Copy, Source};
use crate::modules::ownership::{Changes, Wanted, describe};
use crate::{Context, Failure, Outcome, files};
use serde_json::Value;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

pub(super) fn run(copy: &Copy, cx: &Context) -> Result<Outcome, Failure> {
    let text = copy
        .src
        .as_deref()
        .ok_or_else(|| Failure::new("remote_src: true needs a src on the host"))?;
    let src = cx.expand(text);
    let meta = fs::metadata(&src).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Failure::new(format!("source {} not found", src.display())),
        _ => Failure::io("cannot read the source", &src, &error),
    })?;
    let outcome = if meta.is_dir() {
        tree(copy, cx, &src, text.ends_with('/'))?
    } else if meta.is_file() {
        let name = src.file_name().unwrap_or_default().to_string_lossy();
        one(copy, cx, &src, &name)?
    } else {
        return Err(Failure::new(format!(
            "source {} is neither a file nor a directory",
            src.display()
        )));
    };
    Ok(outcome.with("src", src.to_string_lossy()))
}

fn one(copy: &Copy, cx: &Context, src: &Path, name: &str) -> Result<Outcome, Failure> {
    let meta =
        fs::metadata(src).map_err(|error| Failure::io("cannot read the source", src, &error))?;
    let wanted = copy.wanted(cx, Some(&meta))?;
    let named = Copy {
        _original_basename: Some(name.to_owned()),
        ..copy.clone()
    };
    let dest = place::file(&named, cx, &wanted)?;
    copy.file(cx, &mut Source::file(src)?, &dest, &wanted)
}

fn tree(copy: &Copy, cx: &Context, src: &Path, content_only: bool) -> Result<Outcome, Failure> {
    let mut dest = cx.expand(&copy.dest);
    if fs::metadata(&dest).is_ok_and(|meta| !meta.is_dir()) {
        return Err(Failure::new(format!(
            "{} is a directory and can't be copied over the file {}",
            src.display(),
            dest.display()
        )));
    }
    if !content_only {
        dest.push(src.file_name().unwrap_or_default());
    }
    if fs::canonicalize(&dest)
        .ok()
        .zip(fs::canonicalize(src).ok())
        .is_some_and(|(dest, src)| dest.starts_with(src))
    {
        return Err(Failure::new(format!(
            "{} can't be copied into itself ({})",
            src.display(),
            dest.display()
        )));
    }
    let mut walk = Walk {
        copy,
        cx,
        changed: false,
        diffs: Vec::new(),
    };
    walk.dir(src, &dest)?;
    let mut outcome = Outcome::changed(walk.changed)
        .with("dest", copy.dest.as_str())
        .with("checksum", Value::Null)
        .with("md5sum", Value::Null);
    outcome.data.extend(describe(&dest));
    if cx.diff() && !walk.diffs.is_empty() {
        outcome = outcome.with("diff", walk.diffs);
    }
    Ok(outcome)
}

struct Walk<'a> {
    copy: &'a Copy,
    cx: &'a Context,
    changed: bool,
    diffs: Vec<Value>,
}

impl Walk<'_> {
    fn dir(&mut self, src: &Path, dest: &Path) -> Result<(), Failure> {
        let failed = |error: std::io::Error| Failure::io("cannot read the directory", src, &error);
        let meta = fs::metadata(src).map_err(failed)?;
        self.make(&meta, dest)?;
        let mut names = fs::read_dir(src)
            .and_then(|entries| {
                entries
                    .map(|entry| entry.map(|entry| entry.file_name()))
                    .collect::<Result<Vec<OsString>, _>>()
            })
            .map_err(failed)?;
        names.sort();
        for name in names {
            self.cx.check_cancelled()?;
            self.entry(&src.join(&name), &dest.join(&name))?;
        }
        Ok(())
    }

    fn make(&mut self, source: &Metadata, dest: &Path) -> Result<(), Failure> {
        let own = self
            .copy
            .ownership
            .with_mode(self.copy.directory_mode.clone());
        if !dest.is_dir() {
            self.changed = true;
            let mode = match &own.mode {
                Some(mode) => mode.clone(),
                None => format!("{:04o}", source.mode() & 0o7777),
            };
            return make(self.cx, dest, Some(&mode), &own.resolve(self.cx)?);
        }
        let mut changes = Changes::of(dest);
        self.changed |= own.resolve(self.cx)?.apply(self.cx, dest, &mut changes)?;
        Ok(())
    }

    fn entry(&mut self, src: &Path, dest: &Path) -> Result<(), Failure> {
        let failed = |error: std::io::Error| Failure::io("cannot read the source", src, &error);
        let itself = fs::symlink_metadata(src).map_err(failed)?;
        if itself.is_symlink() && !self.copy.local_follow {
            return self.link(&fs::read_link(src).map_err(failed)?, dest);
        }
        let meta = fs::metadata(src).map_err(failed)?;
        if meta.is_dir() {
            return self.dir(src, dest);
        }
        if !meta.is_file() {
            return Err(Failure::new(format!(
                "{} is neither a file nor a directory",
                src.display()
            )));
        }
        let wanted: Wanted = self
            .copy
            .wanted(self.cx, Some(&meta))?
            .or_mode(meta.mode() & 0o7777);
        let outcome = self
            .copy
            .file(self.cx, &mut Source::file(src)?, dest, &wanted)?;
        self.changed |= outcome.changed;
        if let Some(Value::Array(diffs)) = outcome.data.get("diff") {
            self.diffs.extend(diffs.iter().cloned());
        }
        Ok(())
    }

    fn link(&mut self, content: &PathBuf, dest: &Path) -> Result<(), Failure> {
        if fs::read_link(dest).is_ok_and(|now| now == *content) {
            return Ok(());
        }
        self.changed = true;
        if self.cx.check() {
            return Ok(());
        }
        files::symlink(content, dest)
            .map_err(|error| Failure::io("cannot make the link", dest, &error))
    }
}
