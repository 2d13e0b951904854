//! Writing keys down: under a lock, through a temporary file, so that no reader ever sees half a file.

use super::line::{Names, fields, hashed_name};
use russh::keys::PublicKey;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Adds a line for `name` unless there is one with this key. Devices (`/dev/null`) are left alone.
pub(in crate::link) fn append(
    file: &Path,
    name: &str,
    key: &PublicKey,
    hash: bool,
) -> io::Result<()> {
    edit(file, |text| {
        if holds(text, name, key) {
            return None;
        }
        let mut text = text.to_owned();
        push_line(&mut text, name, key, hash);
        Some(text)
    })
}

/// Makes `key` the only one for `name`: other lines lose the name, in all `files`; the first file gets the key.
/// Patterns and lines with a marker stay.
pub(in crate::link) fn replace(
    files: &[PathBuf],
    name: &str,
    key: &PublicKey,
    hash: bool,
) -> io::Result<()> {
    for (index, file) in files.iter().enumerate() {
        if index > 0 && !file.exists() {
            continue;
        }
        edit(file, |text| {
            let mut kept: String = text
                .lines()
                .filter_map(|line| without(line, name))
                .collect();
            if index == 0 {
                push_line(&mut kept, name, key, hash);
            }
            Some(kept)
        })?;
    }
    Ok(())
}

/// The line without the name; None when nothing is left of it.
fn without(line: &str, name: &str) -> Option<String> {
    let whole = Some(format!("{line}\n"));
    let Some(found) = fields(line).filter(|f| f.marker.is_none()) else {
        return whole;
    };
    match Names::parse(found.names) {
        None => whole,
        Some(Names::Patterns(_)) => {
            let rest: Vec<_> = found
                .names
                .split(',')
                .filter(|n| !n.eq_ignore_ascii_case(name))
                .collect();
            if rest.iter().all(|n| n.starts_with('!')) {
                return None;
            }
            if rest.len() == found.names.split(',').count() {
                return whole;
            }
            Some(format!("{} {}\n", rest.join(","), found.rest))
        }
        Some(Names::Hashed { .. }) => {
            let line_is_for =
                super::Line::parse(line, Path::new(""), 0).is_some_and(|l| l.is_for(name));
            if line_is_for { None } else { whole }
        }
    }
}

fn holds(text: &str, name: &str, key: &PublicKey) -> bool {
    text.lines()
        .filter_map(|line| super::Line::parse(line, Path::new(""), 0))
        .any(|line| {
            line.marker.is_none() && line.is_for(name) && line.key.key_data() == key.key_data()
        })
}

fn push_line(text: &mut String, name: &str, key: &PublicKey, hash: bool) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    let bare = PublicKey::new(key.key_data().clone(), "");
    let key = bare.to_openssh().unwrap_or_default();
    let name = if hash {
        hashed_name(name)
    } else {
        name.to_owned()
    };
    text.push_str(&format!("{name} {key}\n"));
}

/// Replaces the content of a file by what `change` makes of it, if it makes something.
fn edit(file: &Path, change: impl FnOnce(&str) -> Option<String>) -> io::Result<()> {
    // A symbolic link stays one: its target is replaced.
    let file = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let folder = file
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    if !folder.exists() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    let metadata = match fs::metadata(&file) {
        Ok(metadata) if !metadata.is_file() => return Ok(()),
        Ok(metadata) => Some(metadata),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    // Locked is the folder: the file itself is another one after every change.
    let lock = File::open(folder)?;
    lock.lock()?;
    let old = match fs::read(&file) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error),
    };
    let Some(new) = change(&old).filter(|new| *new != old) else {
        return Ok(());
    };
    write_beside(&file, folder, metadata.as_ref(), new.as_bytes())?;
    lock.sync_all()
}

fn write_beside(
    file: &Path,
    folder: &Path,
    like: Option<&fs::Metadata>,
    content: &[u8],
) -> io::Result<()> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let temporary = folder.join(format!(".{name}.{:016x}", rand::random::<u64>()));
    let mode = like.map_or(0o600, |m| m.mode() & 0o777);
    let write = || -> io::Result<()> {
        let mut out = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&temporary)?;
        if let Some(like) = like {
            // Somebody else's file (root writes a user's): keep its owner, as far as we may.
            drop(std::os::unix::fs::fchown(
                &out,
                Some(like.uid()),
                Some(like.gid()),
            ));
        }
        out.write_all(content)?;
        out.sync_all()?;
        fs::rename(&temporary, file)
    };
    write().inspect_err(|_| drop(fs::remove_file(&temporary)))
}
