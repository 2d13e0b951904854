//! `synchronize`: trees compared and brought to be equal by what rsync goes by, without rsync.
//!
//! `_sync_list` tells what there is at the source, `_sync_put` compares that with the destination and says which files it
//! needs, `_sync_read` gives their content, and `_sync_put` with that content brings the destination up to date. The
//! controller carries it from one to the other. The rules are those of rsync(1), version 3.2.

mod compare;
mod delete;
mod list;
mod names;
mod place;
mod put;
mod read;
mod rules;
#[cfg(test)]
mod tests;

pub use list::List;
pub use put::Put;
pub use read::Read;
pub use rules::Rule;

use crate::Failure;
use crate::encoding::Encoding;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// What is carried over and by what things count as equal, in the words of rsync's options.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    pub recursive: bool,
    pub dirs: bool,
    pub links: bool,
    pub copy_links: bool,
    pub perms: bool,
    pub times: bool,
    pub owner: bool,
    pub group: bool,
    pub devices: bool,
    pub checksum: bool,
    pub size_only: bool,
    pub ignore_times: bool,
    pub existing: bool,
    pub ignore_existing: bool,
    pub update: bool,
    pub delete: bool,
    pub delete_excluded: bool,
    pub numeric_ids: bool,
    pub omit_dir_times: bool,
    pub force: bool,
    /// Files come to their places one by one, not together at the end.
    pub at_once: bool,
    /// Modes that the source is taken to have: `D755`, `F644`, `u+w`.
    pub chmod: Vec<String>,
    /// `USER:GROUP` that the source is taken to belong to.
    pub chown: Option<String>,
    /// The first that fits decides.
    pub rules: Vec<Rule>,
}

/// What a name stands for at the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    File,
    Directory,
    Link,
    /// A pipe, a socket or a device.
    Other,
}

/// One name of the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Relative, with `/` between its parts, `.` for the directory itself; bytes that aren't UTF-8 as
    /// [`Encoding::decode_all`] writes them.
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) size: u64,
    /// Seconds, and nanoseconds beyond them.
    pub(crate) mtime: (i64, i64),
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) user: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) group: String,
    /// Of a link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<String>,
    /// SHA-1 in hexadecimal, where files are compared by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sum: Option<String>,
}

/// All that a source holds, in rsync's order, and the rules of its directories.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) entries: Vec<Entry>,
    /// The source is one file (or link) and no directory.
    pub(crate) single: bool,
    /// Rules of `.rsync-filter` files, by the directory that they stand in.
    #[serde(default)]
    pub(crate) own_rules: Vec<(String, Vec<Rule>)>,
}

/// Reads a name or a link's target; a failure for those that can't be carried.
pub(crate) fn text_of(name: &OsStr) -> Result<String, Failure> {
    Encoding::Utf8
        .decode_all(name.as_bytes())
        .map_err(|why| Failure::new(format!("{}: {why}", name.to_string_lossy())))
}

/// The path that a name from a manifest means below a directory. What isn't plainly below it is refused: the manifest is
/// another host's word.
pub fn below(root: &Path, name: &str) -> Result<PathBuf, Failure> {
    let relative = path_of(name)?;
    if relative == Path::new(".") {
        return Ok(root.to_path_buf());
    }
    let plain = relative
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    if !plain || relative.as_os_str().is_empty() {
        return Err(Failure::new(format!(
            "the source told of the name {name:?}, which leads out of the directory"
        )));
    }
    Ok(root.join(relative))
}

/// The bytes of a name or a link's target.
pub(crate) fn path_of(text: &str) -> Result<PathBuf, Failure> {
    let bytes = Encoding::Utf8.encode_all(text)?;
    Ok(PathBuf::from(OsStr::from_bytes(&bytes)))
}

/// rsync's order: in each directory first what is no directory, then directories with all below them, each by bytes.
pub(crate) fn order(one: &Entry, other: &Entry) -> Ordering {
    order_of(
        (&one.name, one.kind == Kind::Directory),
        (&other.name, other.kind == Kind::Directory),
    )
}

pub(crate) fn order_of(one: (&str, bool), other: (&str, bool)) -> Ordering {
    if one.0 == "." || other.0 == "." {
        return (other.0 == ".").cmp(&(one.0 == "."));
    }
    let (mut left, mut right) = (one.0.split('/').peekable(), other.0.split('/').peekable());
    loop {
        let (Some(a), Some(b)) = (left.next(), right.next()) else {
            return one.0.len().cmp(&other.0.len());
        };
        // What has more parts is inside of a directory of this name.
        let dirs = (
            left.peek().is_some() || one.1,
            right.peek().is_some() || other.1,
        );
        if a != b {
            return dirs
                .0
                .cmp(&dirs.1)
                .then_with(|| a.as_bytes().cmp(b.as_bytes()));
        }
    }
}
