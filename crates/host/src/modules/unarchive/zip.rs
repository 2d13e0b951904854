//! Archives of zip. What is in one is read from its directory; unpacking is done by unzip.

use super::Archive;
use crate::{Failure, Output, globs};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// The longest directory of an archive that is read.
const MAX_DIRECTORY: u64 = 64 << 20;

/// A file or directory of the archive.
struct Member {
    name: String,
    crc: u32,
    size: u64,
}

pub(super) fn names(archive: &Archive<'_>) -> Result<Vec<String>, Failure> {
    Ok(members(archive)?
        .into_iter()
        .map(|member| member.name)
        .collect())
}

/// Whether all files are there with the archive's content.
pub(super) fn is_unpacked(archive: &Archive<'_>) -> Result<bool, Failure> {
    for member in members(archive)? {
        let path = archive.dest.join(member.name.trim_start_matches('/'));
        let same = match fs::metadata(&path) {
            Ok(meta) if member.name.ends_with('/') => meta.is_dir(),
            Ok(meta) => {
                meta.is_file()
                    && meta.len() == member.size
                    && crc(&path).is_ok_and(|crc| crc == member.crc)
            }
            Err(_) => false,
        };
        if !same {
            return Ok(false);
        }
    }
    Ok(true)
}

pub(super) fn unpack(archive: &Archive<'_>) -> Result<(Vec<String>, Output), Failure> {
    let task = archive.task;
    let program = archive.program("unzip")?;
    let mut args = vec![if task.keep_newer { "-uo" } else { "-o" }.to_owned()];
    args.extend(task.extra_opts.iter().flatten().cloned());
    args.push(archive.src.to_string_lossy().into_owned());
    args.extend(task.include.iter().flatten().cloned());
    if let Some(exclude) = &task.exclude {
        args.push("-x".to_owned());
        args.extend(exclude.iter().cloned());
    }
    args.push("-d".to_owned());
    args.push(archive.dest.to_string_lossy().into_owned());
    let mut command = vec![program.to_string_lossy().into_owned()];
    command.extend(args.iter().cloned());
    let output = archive.cx.process(program).args(args).system().run()?;
    Ok((command, output))
}

/// What the task wants of the archive.
fn members(archive: &Archive<'_>) -> Result<Vec<Member>, Failure> {
    let all = read(archive.src)
        .map_err(|error| Failure::io("cannot read the archive", archive.src, &error))?;
    let fits = |patterns: &Option<Vec<String>>, name: &str| {
        patterns
            .as_ref()
            .is_some_and(|all| all.iter().any(|pattern| globs::fnmatch(pattern, name)))
    };
    let task = archive.task;
    Ok(all
        .into_iter()
        .filter(|member| task.include.is_none() || fits(&task.include, &member.name))
        .filter(|member| !fits(&task.exclude, &member.name))
        .collect())
}

/// The central directory, which ends the file (PKWARE's APPNOTE 4.3.12, 4.3.16).
fn read(path: &Path) -> io::Result<Vec<Member>> {
    let broken = || {
        io::Error::new(
            io::ErrorKind::InvalidData,
            "no zip, or one of more than 4 GiB",
        )
    };
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let tail_at = length.saturating_sub(22 + 0xffff);
    file.seek(SeekFrom::Start(tail_at))?;
    let mut tail = Vec::new();
    file.by_ref().take(22 + 0xffff).read_to_end(&mut tail)?;
    let end = tail
        .windows(4)
        .rposition(|window| window == b"PK\x05\x06")
        .ok_or_else(broken)?;
    let end = tail.get(end..end + 22).ok_or_else(broken)?;
    let (size, start) = (number(end, 12, 4), number(end, 16, 4));
    if size > MAX_DIRECTORY || start + size > length {
        return Err(broken());
    }
    file.seek(SeekFrom::Start(start))?;
    let mut directory = Vec::new();
    file.take(size).read_to_end(&mut directory)?;
    let mut rest = &directory[..];
    let mut members = Vec::new();
    while rest.starts_with(b"PK\x01\x02") {
        let head = rest.get(..46).ok_or_else(broken)?;
        let length = |at| usize::try_from(number(head, at, 2)).unwrap_or(usize::MAX);
        let (name, extra, comment) = (length(28), length(30), length(32));
        let bytes = rest.get(46..46 + name).ok_or_else(broken)?;
        members.push(Member {
            name: String::from_utf8_lossy(bytes).into_owned(),
            crc: u32::try_from(number(head, 16, 4)).map_err(|_| broken())?,
            size: number(head, 24, 4),
        });
        rest = rest.get(46 + name + extra + comment..).ok_or_else(broken)?;
    }
    Ok(members)
}

/// A little-endian number.
fn number(bytes: &[u8], at: usize, length: usize) -> u64 {
    bytes[at..at + length]
        .iter()
        .rev()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// CRC-32 of a file, as zip has it.
fn crc(path: &Path) -> io::Result<u32> {
    let table: Vec<u32> = (0..256)
        .map(|byte| {
            (0..8).fold(byte, |crc, _| {
                if crc & 1 == 1 {
                    0xedb8_8320 ^ (crc >> 1)
                } else {
                    crc >> 1
                }
            })
        })
        .collect();
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 64 * 1024];
    let mut crc = !0_u32;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(!crc),
            count => {
                for byte in &buffer[..count] {
                    crc = table[((crc ^ u32::from(*byte)) & 0xff) as usize] ^ (crc >> 8);
                }
            }
        }
    }
}
