//! Archives of tar.

use super::{Archive, Format};
use crate::{Failure, Output};
use std::ffi::OsString;

/// The names in the archive, as they are unpacked.
pub(super) fn names(archive: &Archive<'_>) -> Result<Vec<String>, Failure> {
    let (_, output) = call(
        archive,
        &[
            "--list",
            "--show-transformed-names",
            "--quoting-style=literal",
        ],
    )?;
    let output = output.check(&format!("cannot list {}", archive.src.display()))?;
    let text = output.stdout_text();
    Ok(text
        .lines()
        .filter(|name| !name.is_empty())
        .map(ToOwned::to_owned)
        .collect())
}

/// Whether all of it is there as it would be unpacked. Owners and modes that the task sets are its own affair.
pub(super) fn is_unpacked(archive: &Archive<'_>) -> Result<bool, Failure> {
    let (_, output) = call(archive, &["--diff", "--show-transformed-names"])?;
    let root = rustix::process::geteuid().is_root();
    let own = &archive.task.ownership;
    let excused = |line: &str| {
        line.ends_with(": Uid differs") && (!root || own.owner.is_some())
            || line.ends_with(": Gid differs") && (!root || own.group.is_some())
            || line.ends_with(": Mode differs") && own.mode.is_some()
            || line.ends_with(": Cannot stat: Permission denied")
            // A directory of which strip-components leaves nothing.
            || line.contains("tar: : ")
            // What follows when anything differed.
            || line.contains("Exiting with failure status")
    };
    let said = output.stdout_text() + &output.stderr_text();
    let differs = said
        .lines()
        .any(|line| !line.trim().is_empty() && !excused(line));
    Ok(output.ok() || !differs)
}

pub(super) fn unpack(archive: &Archive<'_>) -> Result<(Vec<String>, Output), Failure> {
    let mut options = vec!["--extract"];
    if archive.task.keep_newer {
        options.push("--keep-newer-files");
    }
    call(archive, &options)
}

/// Runs tar; the command as people would write it, and what it said.
fn call(archive: &Archive<'_>, options: &[&str]) -> Result<(Vec<String>, Output), Failure> {
    let task = archive.task;
    let mut args: Vec<OsString> = options.iter().map(OsString::from).collect();
    args.push("--directory".into());
    args.push(archive.dest.into());
    args.extend(
        match archive.format {
            Format::Gzip => Some("--gzip"),
            Format::Bzip2 => Some("--bzip2"),
            Format::Xz => Some("--xz"),
            Format::Zstd => Some("--zstd"),
            _ => None,
        }
        .map(OsString::from),
    );
    args.extend(task.extra_opts.iter().flatten().map(OsString::from));
    for (name, value) in [
        ("owner", &task.ownership.owner),
        ("group", &task.ownership.group),
    ] {
        if let Some(value) = value {
            args.push(format!("--{name}={value}").into());
        }
    }
    for pattern in task.exclude.iter().flatten() {
        args.push(format!("--exclude={pattern}").into());
    }
    args.push("--file".into());
    args.push(archive.src.into());
    args.extend(task.include.iter().flatten().map(OsString::from));
    let program = archive.program("tar")?;
    let mut command = vec![program.to_string_lossy().into_owned()];
    command.extend(args.iter().map(|arg| arg.to_string_lossy().into_owned()));
    let output = archive.cx.process(program).args(args).system().run()?;
    Ok((command, output))
}
