//! Writing an archive, and telling whether two of them hold the same.

use super::Format;
use super::targets::Member;
use crate::files::{self, random_hex};
use crate::{Context, Failure};
use sha1::{Digest, Sha1};
use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use tar::{Builder, EntryType, Header};

/// A directory for what is being made, removed with what is left in it.
pub(super) struct Room(PathBuf);

impl Room {
    pub(super) fn new(dir: &Path) -> Result<Self, Failure> {
        let path = dir.join(format!(".kopsrun-{}", random_hex()));
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(|error| Failure::io("cannot write in", dir, &error))?;
        Ok(Self(path))
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

/// Makes the archive; gives its path.
pub(super) fn write(
    cx: &Context,
    room: &Room,
    format: Format,
    plain: bool,
    members: &[Member],
) -> Result<PathBuf, Failure> {
    if format == Format::Zip {
        return zip(cx, room, members);
    }
    let raw = room.0.join("new");
    let failed = |error: &io::Error| Failure::io("cannot write the archive in", &room.0, error);
    let mut file = create(&raw).map_err(|error| failed(&error))?;
    if plain {
        for member in members {
            let mut input = File::open(&member.path)
                .map_err(|error| Failure::io("cannot read", &member.path, &error))?;
            io::copy(&mut input, &mut file).map_err(|error| failed(&error))?;
        }
    } else {
        let mut tar = Builder::new(io::BufWriter::new(&mut file));
        for member in members {
            cx.check_cancelled()?;
            append(&mut tar, member)?;
        }
        tar.into_inner()
            .and_then(|buffer| {
                buffer
                    .into_inner()
                    .map_err(io::IntoInnerError::into_error)
                    .map(drop)
            })
            .map_err(|error| failed(&error))?;
    }
    match format {
        Format::Packed(program, end) => {
            // -n: gzip shall not keep the name and time of a file that only it sees.
            let quiet: &[&str] = if program == "gzip" { &["-n"] } else { &[] };
            let output = program_of(cx, program)?
                .args(quiet)
                .arg("-f")
                .arg(&raw)
                .system()
                .run()?;
            output.check(&format!("{program} failed"))?;
            Ok(room.0.join(format!("new.{end}")))
        }
        _ => Ok(raw),
    }
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

fn program_of<'a>(cx: &'a Context, name: &str) -> Result<crate::Process<'a>, Failure> {
    let path = cx.find_program(name).ok_or_else(|| {
        let package = if name == "xz" { "xz-utils (or xz)" } else { name };
        Failure::new(format!("there is no {name} on this host, which this format needs: install the package {package}"))
    })?;
    Ok(cx.process(path))
}

fn append(tar: &mut Builder<io::BufWriter<&mut File>>, member: &Member) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::io("cannot archive", &member.path, &error);
    let meta = &member.meta;
    let mut header = Header::new_gnu();
    header.set_mode(meta.mode() & 0o7777);
    header.set_uid(meta.uid().into());
    header.set_gid(meta.gid().into());
    header.set_mtime(u64::try_from(meta.mtime()).unwrap_or(0));
    let user = crate::users::user_by_id(meta.uid()).map_or_else(String::new, |user| user.name);
    let group = crate::users::group_by_id(meta.gid()).map_or_else(String::new, |group| group.name);
    // A name that is too long for the format leaves the number.
    header.set_username(&user).ok();
    header.set_groupname(&group).ok();
    header.set_size(0);
    if meta.is_dir() {
        header.set_entry_type(EntryType::Directory);
        return tar
            .append_data(&mut header, &member.name, io::empty())
            .map_err(failed);
    }
    if meta.is_symlink() {
        header.set_entry_type(EntryType::Symlink);
        let target = fs::read_link(&member.path).map_err(failed)?;
        return tar
            .append_link(&mut header, &member.name, target)
            .map_err(failed);
    }
    if !meta.is_file() {
        return Ok(());
    }
    let file = File::open(&member.path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    header.set_entry_type(EntryType::Regular);
    header.set_size(size);
    // A file that grows meanwhile is taken as long as it was, one that shrinks is an error: the header is written.
    let mut exact = Counted {
        input: file.take(size),
        left: size,
    };
    tar.append_data(&mut header, &member.name, &mut exact)
        .map_err(failed)
}

struct Counted {
    input: io::Take<File>,
    left: u64,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.left -= count as u64;
        if count == 0 && self.left > 0 && !buffer.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "it became shorter while it was read",
            ));
        }
        Ok(count)
    }
}

/// By the host's zip, which reads the names and follows links.
fn zip(cx: &Context, room: &Room, members: &[Member]) -> Result<PathBuf, Failure> {
    let new = room.0.join("new.zip");
    let mut names = Vec::new();
    for member in members {
        let name = member.name.as_os_str().as_bytes();
        if name.contains(&b'\n') {
            return Err(Failure::new(format!(
                "{:?}: zip can't take names with line breaks",
                member.path
            )));
        }
        names.extend_from_slice(name);
        names.push(b'\n');
    }
    let Some(first) = members.first() else {
        // The end of a zip without members.
        let mut empty = b"PK\x05\x06".to_vec();
        empty.resize(22, 0);
        fs::write(&new, empty).map_err(|error| Failure::io("cannot write", &new, &error))?;
        return Ok(new);
    };
    let depth = first.name.components().count();
    let root = first.path.ancestors().nth(depth).unwrap_or(Path::new("/"));
    let output = program_of(cx, "zip")?
        .args(["-q", "-X"])
        .arg(&new)
        .arg("-@")
        .current_dir(root)
        .stdin(names)
        .system()
        .run()?;
    output.check("zip failed")?;
    Ok(new)
}

/// Whether two archives of a format hold the same. One that can't be read is another.
pub(super) fn same(
    cx: &Context,
    room: &Room,
    format: Format,
    plain: bool,
    new: &Path,
    old: &Path,
) -> Result<bool, Failure> {
    if format == Format::Zip {
        return Ok(zip_content(new).is_some_and(|content| Some(content) == zip_content(old)));
    }
    let unpack = |archive: &Path, name: &str| -> Result<Option<PathBuf>, Failure> {
        let Format::Packed(program, end) = format else {
            return Ok(Some(archive.to_path_buf()));
        };
        let copy = room.0.join(format!("{name}.{end}"));
        fs::copy(archive, &copy).map_err(|error| Failure::io("cannot read", archive, &error))?;
        let output = program_of(cx, program)?
            .args(["-d", "-f"])
            .arg(&copy)
            .system()
            .run()?;
        Ok(output.ok().then(|| room.0.join(name)))
    };
    let Some(before) = unpack(old, "before")? else {
        return Ok(false);
    };
    let Some(after) = unpack(new, "after")? else {
        return Ok(false);
    };
    let failed = |error| Failure::io("cannot read", &after, &error);
    if plain {
        let sum = |path: &Path| files::sha1(path);
        return Ok(sum(&before).map_err(failed)? == sum(&after).map_err(failed)?);
    }
    Ok(tar_content(&after)
        .is_ok_and(|content| tar_content(&before).is_ok_and(|old| old == content)))
}

/// What a tar holds, in any order.
fn tar_content(path: &Path) -> io::Result<BTreeSet<(Vec<u8>, String)>> {
    let mut content = BTreeSet::new();
    for entry in tar::Archive::new(File::open(path)?).entries()? {
        let mut entry = entry?;
        let name = entry.path_bytes().into_owned();
        let name = name.strip_suffix(b"/").unwrap_or(&name).to_vec();
        let link = entry.link_name_bytes().map(|link| link.into_owned());
        let header = entry.header();
        let about = format!(
            "{:?} {:o} {} {} {} {link:?}",
            header.entry_type(),
            header.mode()? & 0o7777,
            header.uid()?,
            header.gid()?,
            header.mtime()?
        );
        let mut sum = Sha1::new();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let count = entry.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            sum.update(&buffer[..count]);
        }
        content.insert((name, format!("{about} {}", files::hex(&sum.finalize()))));
    }
    Ok(content)
}

/// Names, checksums and modes in the directory at the end of a zip (APPNOTE.TXT 4.3.12). None for what is no zip of the
/// plain kind.
fn zip_content(path: &Path) -> Option<BTreeSet<(Vec<u8>, u32, u32)>> {
    let bytes = fs::read(path).ok()?;
    let number = |at: usize, length: usize| -> Option<usize> {
        let part = bytes.get(at..at + length)?;
        Some(
            part.iter()
                .rev()
                .fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
        )
    };
    let end = (0..bytes.len().checked_sub(21)?)
        .rev()
        .find(|at| bytes[*at..].starts_with(b"PK\x05\x06"))?;
    let (count, mut at) = (number(end + 10, 2)?, number(end + 16, 4)?);
    let mut content = BTreeSet::new();
    for _ in 0..count {
        if !bytes.get(at..)?.starts_with(b"PK\x01\x02") {
            return None;
        }
        let lengths = [
            number(at + 28, 2)?,
            number(at + 30, 2)?,
            number(at + 32, 2)?,
        ];
        let name = bytes.get(at + 46..at + 46 + lengths[0])?.to_vec();
        let sum = u32::try_from(number(at + 16, 4)?).ok()?;
        let mode = u32::try_from(number(at + 38, 4)?).ok()? >> 16;
        content.insert((name, sum, mode));
        at += 46 + lengths.iter().sum::<usize>();
    }
    Some(content)
}

/// Puts a new archive in its place, with mode and owner of the one that it replaces.
pub(super) fn place(new: &Path, dest: &Path) -> Result<(), Failure> {
    let target = files::resolve(dest).map_err(|error| Failure::io("cannot write", dest, &error))?;
    let failed = |error: io::Error| Failure::io("cannot write", dest, &error);
    let old = fs::metadata(&target).ok();
    let mode = old
        .as_ref()
        .map_or(0o666 & !files::umask(), |old| old.mode() & 0o7777);
    let file = File::open(new).map_err(failed)?;
    if let Some(old) = &old {
        // Who may write the archive need not be its owner.
        std::os::unix::fs::fchown(&file, Some(old.uid()), Some(old.gid())).ok();
    }
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))
        .map_err(failed)?;
    file.sync_all().map_err(failed)?;
    fs::rename(new, &target).map_err(failed)?;
    files::sync_parent(&target).map_err(failed)
}
