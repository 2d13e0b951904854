//! `fetch`: a file of the host to the controller.

use crate::play::call::Call;
use crate::play::done::{Done, Problem};
use crate::play::view::absolute;
use serde_json::{Map, Value as Json};
use sha1::{Digest, Sha1};
use std::fs::Permissions;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

pub(super) async fn run(call: &Call<'_>) -> Result<Done, Problem> {
    let src = call
        .text("src")
        .ok_or_else(|| call.fault("fetch: the argument src is missing"))?;
    let dest = call
        .text("dest")
        .ok_or_else(|| call.fault("fetch: the argument dest is missing"))?;
    if call.check {
        return Ok(Done::skipped("check mode")
            .with("msg", "check mode not (yet) supported for this module"));
    }
    let target = target(call, &src, &dest);
    let parent = target.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent)
        .map_err(|error| call.fault(format!("{} can't be made: {error}", parent.display())))?;
    let before = checksum(&target);
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let beside = parent.join(format!(".{name}.{}.{}", call.host(), std::process::id()));
    let mut args = Map::new();
    args.insert("src".to_owned(), src.as_str().into());
    args.insert(
        "fail_on_missing".to_owned(),
        call.flag("fail_on_missing", true).into(),
    );
    let task = call.task("fetch", args)?;
    let at = call.whereabouts()?;
    let run = &call.attempt.batch.run;
    let outcome = match run.connect.fetch(&at, task, beside.clone()).await {
        Ok(outcome) => outcome,
        Err(lost) => {
            drop(std::fs::remove_file(&beside));
            return Err(lost.into());
        }
    };
    let mut done = Done::from_outcome(outcome);
    if done.is_failed() || !done.result.contains_key("checksum") {
        drop(std::fs::remove_file(&beside));
        done.result.insert("changed".to_owned(), false.into());
        return Ok(done);
    }
    keep(call, done, &src, &beside, &target, before.as_deref())
}

/// Puts the fetched file in its place when its content is right and new.
fn keep(
    call: &Call<'_>,
    mut done: Done,
    src: &str,
    beside: &Path,
    target: &Path,
    before: Option<&str>,
) -> Result<Done, Problem> {
    let got = checksum(beside);
    let theirs = done
        .result
        .get("checksum")
        .and_then(Json::as_str)
        .map(str::to_owned);
    if call.flag("validate_checksum", true) && theirs.is_some() && theirs != got {
        drop(std::fs::remove_file(beside));
        return Ok(Done::failed("checksum mismatch")
            .with("file", src)
            .with("checksum", got)
            .with("remote_checksum", theirs));
    }
    let changed = before != got.as_deref();
    let mode = done.result.shift_remove("mode");
    let placed = if changed {
        keep_mode(beside, target, mode.as_ref().and_then(Json::as_str))
            .and_then(|()| place(beside, target))
    } else {
        std::fs::remove_file(beside)
    };
    placed.map_err(|error| {
        drop(std::fs::remove_file(beside));
        call.fault(format!("{} can't be written: {error}", target.display()))
    })?;
    done.result.insert("changed".to_owned(), changed.into());
    done.result.insert(
        "dest".to_owned(),
        absolute(target).display().to_string().into(),
    );
    if changed {
        // Ansible never knows the one, and this is how the other is called where it does.
        done.result.insert("remote_md5sum".to_owned(), Json::Null);
        let theirs = theirs.or_else(|| got.clone());
        done.result
            .insert("remote_checksum".to_owned(), theirs.into());
    } else {
        done.result.insert("file".to_owned(), src.into());
    }
    done.result.insert("checksum".to_owned(), got.into());
    Ok(done)
}

/// `dest/HOST/src`, or with `flat` the destination itself.
fn target(call: &Call<'_>, src: &str, dest: &str) -> PathBuf {
    let base = Path::new(dest);
    let base = if base.is_absolute() {
        base.to_owned()
    } else {
        call.attempt.batch.run.dir.join(base)
    };
    if call.flag("flat", false) {
        return if dest.ends_with('/') {
            base.join(Path::new(src).file_name().unwrap_or_default())
        } else {
            base
        };
    }
    // A name with .. would leave the host's directory.
    let inside: PathBuf = Path::new(src)
        .components()
        .filter(|part| matches!(part, std::path::Component::Normal(_)))
        .collect();
    base.join(&**call.host()).join(inside)
}

/// The mode of the file that was there, else that of the host's file as far as the umask allows: a key stays private.
fn keep_mode(beside: &Path, target: &Path, theirs: Option<&str>) -> std::io::Result<()> {
    let mode = match std::fs::metadata(target) {
        Ok(old) => old.permissions().mode(),
        Err(_) => {
            let theirs = theirs.and_then(|mode| u32::from_str_radix(mode, 8).ok());
            theirs.unwrap_or(0o600) & !host::files::umask()
        }
    };
    std::fs::set_permissions(beside, Permissions::from_mode(mode))
}

fn place(beside: &Path, target: &Path) -> std::io::Result<()> {
    std::fs::File::open(beside)?.sync_all()?;
    std::fs::rename(beside, target)?;
    std::fs::File::open(target.parent().unwrap_or(Path::new(".")))?.sync_all()
}

fn checksum(path: &Path) -> Option<String> {
    let mut file = std::fs::File::open(path).ok()?;
    let mut hash = Sha1::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer).ok()? {
            0 => {
                return Some(
                    hash.finalize()
                        .iter()
                        .map(|byte| format!("{byte:02x}"))
                        .collect(),
                );
            }
            read => hash.update(&buffer[..read]),
        }
    }
}
