//! What an archive would write: read and judged as a whole before anything is written.

use crate::{Failure, users};
use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use tar::{Archive, Entry, EntryType, Header};

/// One thing that an archive holds.
#[derive(Debug)]
pub(super) struct Item {
    /// Absolute, as it was on the host that was archived.
    pub(super) path: PathBuf,
    pub(super) kind: Kind,
    pub(super) mode: u32,
    pub(super) owner: u32,
    pub(super) group: u32,
}

#[derive(Debug)]
pub(super) enum Kind {
    Directory,
    File(Vec<u8>),
    Link(PathBuf),
}

/// Everything in the archive at or below `include` (all of it when that is empty), each of it at or below `allowed`.
pub(super) fn read(
    tar: impl Read,
    allowed: &[PathBuf],
    include: &[PathBuf],
) -> Result<Vec<Item>, Failure> {
    let broken =
        |error: std::io::Error| Failure::new(format!("the archive can't be read: {error}"));
    let mut archive = Archive::new(tar);
    let mut ids = Ids::default();
    let mut items = Vec::new();
    for entry in archive.entries().map_err(broken)? {
        items.extend(item(entry.map_err(broken)?, allowed, &mut ids)?);
    }
    check_as_a_whole(&items)?;
    items.retain(|item| include.is_empty() || is_below(&item.path, include));
    Ok(items)
}

fn refused(path: &Path, why: &str) -> Failure {
    Failure::new(format!(
        "the archive is refused, nothing was written: {} {why}",
        path.display()
    ))
}

fn is_below(path: &Path, dirs: &[PathBuf]) -> bool {
    dirs.iter().any(|dir| path.starts_with(dir))
}

fn item(
    mut entry: Entry<'_, impl Read>,
    allowed: &[PathBuf],
    ids: &mut Ids,
) -> Result<Option<Item>, Failure> {
    let broken =
        |error: std::io::Error| Failure::new(format!("the archive can't be read: {error}"));
    let name = entry.path().map_err(broken)?.into_owned();
    let header = entry.header().clone();
    let path = absolute(&name)?;
    if !is_below(&path, allowed) {
        return Err(refused(
            &path,
            "is outside of the directories that may be written",
        ));
    }
    let kind = match header.entry_type() {
        EntryType::Directory => Kind::Directory,
        EntryType::Regular | EntryType::Continuous => {
            let mut content = Vec::new();
            entry.read_to_end(&mut content).map_err(broken)?;
            Kind::File(content)
        }
        EntryType::Symlink => {
            let target = entry.link_name().map_err(broken)?;
            let target = target.ok_or_else(|| refused(&path, "is a link to nothing"))?;
            if !is_below(&lexical(&path, &target), allowed) {
                return Err(refused(
                    &path,
                    &format!(
                        "is a link to {}, outside of the directories that may be written",
                        target.display()
                    ),
                ));
            }
            Kind::Link(target.into_owned())
        }
        other => {
            return Err(refused(
                &path,
                &format!("is neither file, directory nor symbolic link ({other:?})"),
            ));
        }
    };
    let (owner, group) = ids.of(&header).map_err(broken)?;
    Ok(Some(Item {
        path,
        kind,
        mode: header.mode().map_err(broken)? & 0o7777,
        owner,
        group,
    }))
}

/// `etc/x` → `/etc/x`. A path that begins with a slash or climbs was not made by `_archive`.
fn absolute(name: &Path) -> Result<PathBuf, Failure> {
    let mut path = PathBuf::from("/");
    for part in name.components() {
        match part {
            Component::Normal(name) => path.push(name),
            Component::CurDir => {}
            _ => return Err(refused(name, "is an absolute path or climbs with ..")),
        }
    }
    Ok(path)
}

/// Where a link leads by its text alone.
fn lexical(link: &Path, target: &Path) -> PathBuf {
    let mut path = link.parent().unwrap_or(Path::new("/")).to_path_buf();
    for part in target.components() {
        match part {
            Component::RootDir | Component::Prefix(_) => path = PathBuf::from("/"),
            Component::ParentDir => {
                path.pop();
            }
            Component::CurDir => {}
            Component::Normal(name) => path.push(name),
        }
    }
    path
}

/// Nothing twice, and nothing below a link that the archive brings itself.
fn check_as_a_whole(items: &[Item]) -> Result<(), Failure> {
    let mut seen = HashSet::new();
    let links: HashSet<&Path> = items
        .iter()
        .filter(|item| matches!(item.kind, Kind::Link(_)))
        .map(|item| &*item.path)
        .collect();
    for item in items {
        if !seen.insert(&*item.path) {
            return Err(refused(&item.path, "is in it twice"));
        }
        if item
            .path
            .ancestors()
            .skip(1)
            .any(|above| links.contains(above))
        {
            return Err(refused(&item.path, "is below a link"));
        }
    }
    Ok(())
}

/// Owners by name, as they are numbered on this host; by number where the name is unknown here.
#[derive(Default)]
struct Ids {
    users: HashMap<String, Option<u32>>,
    groups: HashMap<String, Option<u32>>,
}

impl Ids {
    fn of(&mut self, header: &Header) -> std::io::Result<(u32, u32)> {
        let name =
            |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or(b"")).into_owned();
        let number = |id: u64| {
            u32::try_from(id)
                .map_err(|_| std::io::Error::other(format!("{id} is no user's number")))
        };
        let (user, group) = (
            name(header.username_bytes()),
            name(header.groupname_bytes()),
        );
        let user = self
            .users
            .entry(user)
            .or_insert_with_key(|name| users::user_by_name(name).map(|user| user.uid));
        let group = self
            .groups
            .entry(group)
            .or_insert_with_key(|name| users::group_by_name(name).map(|group| group.gid));
        Ok((
            user.map_or_else(|| number(header.uid()?), Ok)?,
            group.map_or_else(|| number(header.gid()?), Ok)?,
        ))
    }
}
