//! `_unarchive`: puts the files of a tar back, each with its mode and owner.

use super::plan::{self, Item};
use crate::files::{self, Atomic, Attributes};
use crate::modules::rewrite::write_failure;
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Spec};
use rustix::fs::{CWD, Gid, Uid};
use serde::Deserialize;
use std::fs::{self, DirBuilder, Metadata, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The whole archive is judged before anything is written, so it has to fit into memory.
const MAX_SIZE: u64 = 256 << 20;

#[derive(Deserialize)]
pub struct Unarchive {
    allowed: Vec<String>,
    #[serde(default)]
    include: Vec<String>,
    dest: String,
}

impl Module for Unarchive {
    const SPEC: Spec = Spec::new(
        "_unarchive",
        "Puts the files of the tar `content` back. Returns `changed_files`. Refuses, before it writes anything, an archive with absolute paths, `..`, devices, links that lead out, or anything outside of the allowed directories.",
        &[
            Arg::new("allowed", Kind::List, "Directories that may be written.")
                .of(Kind::Path)
                .required(),
            Arg::new(
                "include",
                Kind::List,
                "Write only what is at or below these paths.",
            )
            .of(Kind::Path),
            Arg::new("dest", Kind::Path, "Directory that stands for the root.").default("/"),
        ],
    );

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let paths = |list: &[String]| list.iter().map(PathBuf::from).collect::<Vec<_>>();
        let allowed = paths(&self.allowed);
        if let Some(relative) = allowed.iter().find(|path| !path.is_absolute()) {
            return Err(Failure::new(format!(
                "allowed: {} is not an absolute path",
                relative.display()
            )));
        }
        let size = cx.blob_ref("content").map_or(0, |blob| blob.size);
        if size > MAX_SIZE {
            return Err(Failure::new(format!(
                "the archive has {size} bytes; more than {} MiB can't be put back at once",
                MAX_SIZE >> 20
            )));
        }
        let tar = cx.blob_bytes("content")?;
        let items = plan::read(&tar[..], &allowed, &paths(&self.include))?;
        drop(tar);
        let root = cx.expand(&self.dest);
        let place = Place {
            cx,
            root: &root,
            real: allowed.iter().map(|dir| real(&below(&root, dir))).collect(),
            allowed,
        };
        for item in &items {
            place.check(item)?;
        }
        let mut changed = Vec::new();
        for item in &items {
            cx.check_cancelled()?;
            if place.put(item)? {
                changed.push(item.path.to_string_lossy().into_owned());
            }
        }
        Ok(Outcome::changed(!changed.is_empty())
            .with("changed_files", changed)
            .with("count", items.len()))
    }
}

/// `/etc/x` below the root.
fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// A path without links; what isn't there yet hangs below what is.
fn real(path: &Path) -> PathBuf {
    match fs::canonicalize(path) {
        Ok(real) => real,
        Err(_) => match (path.parent(), path.file_name()) {
            (Some(above), Some(name)) => real(above).join(name),
            _ => path.to_path_buf(),
        },
    }
}

struct Place<'a> {
    cx: &'a Context,
    root: &'a Path,
    allowed: Vec<PathBuf>,
    /// The same on this host, without links.
    real: Vec<PathBuf>,
}

impl Place<'_> {
    fn path(&self, item: &Item) -> PathBuf {
        below(self.root, &item.path)
    }

    /// Refuses what links of this host would lead out, and what is in the way.
    fn check(&self, item: &Item) -> Result<(), Failure> {
        let path = self.path(item);
        let refused = |why: String| {
            Failure::new(format!(
                "the archive is refused, nothing was written: {} {why}",
                item.path.display()
            ))
        };
        let above = real(files::parent(&path));
        let itself = above.join(path.file_name().unwrap_or_default());
        // An allowed directory may be a link of this host itself.
        if !self.real.iter().any(|dir| itself.starts_with(dir))
            && !self.allowed.contains(&item.path)
        {
            return Err(refused(format!("would be written to {}", itself.display())));
        }
        let old = match fs::symlink_metadata(&path) {
            Ok(old) => old,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Failure::io("cannot stat", &path, &error)),
        };
        let fits = match item.kind {
            plan::Kind::Directory => old.is_dir() || path.is_dir(),
            plan::Kind::File(_) | plan::Kind::Link(_) => old.is_file() || old.is_symlink(),
        };
        if fits {
            Ok(())
        } else {
            Err(refused("is something else on this host".to_owned()))
        }
    }

    /// Says whether anything had to change.
    fn put(&self, item: &Item) -> Result<bool, Failure> {
        let path = self.path(item);
        let old = fs::symlink_metadata(&path).ok();
        match &item.kind {
            plan::Kind::Directory => self.directory(item, &path),
            plan::Kind::File(content) => self.file(item, &path, old.as_ref(), content),
            plan::Kind::Link(target) => self.link(item, &path, old.as_ref(), target),
        }
    }

    fn directory(&self, item: &Item, path: &Path) -> Result<bool, Failure> {
        let failed = |error: io::Error| Failure::io("cannot make the directory", path, &error);
        let old = fs::metadata(path).ok();
        if old.as_ref().is_some_and(|old| is_as_wanted(item, old)) {
            return Ok(false);
        }
        if self.cx.check() {
            return Ok(true);
        }
        if old.is_none() {
            self.above(path)?;
            DirBuilder::new().mode(0o700).create(path).map_err(failed)?;
        }
        std::os::unix::fs::chown(path, Some(item.owner), Some(item.group)).map_err(failed)?;
        fs::set_permissions(path, Permissions::from_mode(item.mode)).map_err(failed)?;
        files::sync_parent(path).map_err(failed)?;
        Ok(true)
    }

    fn file(
        &self,
        item: &Item,
        path: &Path,
        old: Option<&Metadata>,
        content: &[u8],
    ) -> Result<bool, Failure> {
        let size = content.len() as u64;
        let same = old.is_some_and(|old| {
            is_as_wanted(item, old)
                && old.is_file()
                && old.size() == size
                && fs::read(path).is_ok_and(|now| now == content)
        });
        if same {
            return Ok(false);
        }
        if self.cx.check() {
            return Ok(true);
        }
        self.above(path)?;
        let attributes = Attributes {
            mode: Some(item.mode),
            owner: Some(item.owner),
            group: Some(item.group),
        };
        Atomic::replace(path, attributes)
            .and_then(|mut file| {
                file.write_all(content)?;
                file.commit()
            })
            .map_err(|error| write_failure(path, size, old.is_some(), &error))?;
        Ok(true)
    }

    fn link(
        &self,
        item: &Item,
        path: &Path,
        old: Option<&Metadata>,
        target: &Path,
    ) -> Result<bool, Failure> {
        let failed = |error: io::Error| Failure::io("cannot make the link", path, &error);
        let is_there = fs::read_link(path).is_ok_and(|now| now == target);
        if is_there && old.is_some_and(|old| (old.uid(), old.gid()) == (item.owner, item.group)) {
            return Ok(false);
        }
        if self.cx.check() {
            return Ok(true);
        }
        self.above(path)?;
        if !is_there {
            files::symlink(target, path).map_err(failed)?;
        }
        rustix::fs::chownat(
            CWD,
            path,
            Some(Uid::from_raw(item.owner)),
            Some(Gid::from_raw(item.group)),
            rustix::fs::AtFlags::SYMLINK_NOFOLLOW,
        )
        .map_err(|error| failed(error.into()))?;
        Ok(true)
    }

    /// Directories above that the archive doesn't bring itself.
    fn above(&self, path: &Path) -> Result<(), Failure> {
        let above = files::parent(path);
        if above.is_dir() {
            return Ok(());
        }
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(above)
            .map_err(|error| Failure::io("cannot make the directory", above, &error))
    }
}

fn is_as_wanted(item: &Item, now: &Metadata) -> bool {
    (now.mode() & 0o7777, now.uid(), now.gid()) == (item.mode, item.owner, item.group)
}
