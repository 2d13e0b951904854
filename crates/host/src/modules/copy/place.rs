//! Which file `dest` means, and the directories above it.

use super::Copy;
use crate::modules::ownership::{Changes, Ownership, Wanted};
use crate::{Context, Failure, files};
use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The file to write. A `dest` that ends with a slash is a directory, which is made when it isn't there.
pub(super) fn file(copy: &Copy, cx: &Context, wanted: &Wanted) -> Result<PathBuf, Failure> {
    let dest = cx.expand(&copy.dest);
    let is_dir = dest.is_dir();
    let ends_with_slash = copy.dest.ends_with('/');
    if !is_dir && !ends_with_slash {
        check_parent(cx, &dest)?;
        return Ok(dest);
    }
    let Some(name) = copy._original_basename.as_deref() else {
        return Err(Failure::new(format!(
            "{} is a directory: content needs the name of a file in it",
            dest.display()
        )));
    };
    // The name is one that the controller took from a path.
    let name = Path::new(name)
        .file_name()
        .ok_or_else(|| Failure::new(format!("{name:?} is no name of a file")))?;
    if !is_dir {
        make(cx, &dest, copy.directory_mode.as_deref(), wanted)?;
    }
    let file = dest.join(name);
    if file.is_dir() {
        return Err(Failure::new(format!(
            "{} is a directory; a file of that name can't be copied there",
            file.display()
        )));
    }
    Ok(file)
}

/// A file needs a directory to be in. In check mode an earlier task may be the one that makes it.
fn check_parent(cx: &Context, dest: &Path) -> Result<(), Failure> {
    let dir = files::parent(dest);
    match fs::metadata(dir) {
        Ok(meta) if meta.is_dir() => Ok(()),
        Ok(_) => Err(Failure::new(format!(
            "{} is not a directory",
            dir.display()
        ))),
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Failure::io("cannot look into", dir, &error))
        }
        Err(_) if cx.check() => {
            cx.warn(format!(
                "{} isn't there, unless an earlier task makes it",
                dir.display()
            ));
            Ok(())
        }
        Err(_) => Err(Failure::new(format!(
            "destination directory {} does not exist (make it with `file: state=directory`, or end dest with a slash)",
            dir.display()
        ))),
    }
}

/// Makes a directory and those above it that aren't there, each with the mode given and the owner of the file.
pub(super) fn make(
    cx: &Context,
    dir: &Path,
    mode: Option<&str>,
    wanted: &Wanted,
) -> Result<(), Failure> {
    if cx.check() || dir.is_dir() {
        return Ok(());
    }
    let above = files::parent(dir);
    if above != dir {
        make(cx, above, mode, wanted)?;
    }
    let failed = |error: &std::io::Error| Failure::io("cannot make the directory", dir, error);
    let own = Ownership::default().with_mode(mode.map(ToOwned::to_owned));
    let own = own.resolve(cx)?;
    match DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => {}
        // Files of a tree are copied side by side.
        Err(error) if error.kind() == ErrorKind::AlreadyExists && dir.is_dir() => return Ok(()),
        Err(error) => return Err(failed(&error)),
    }
    wanted
        .clone()
        .with_mode(own.directory_mode(dir))
        .apply(cx, dir, &mut Changes::default())?;
    files::sync_parent(dir).map_err(|error| failed(&error))
}
