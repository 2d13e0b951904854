//! `copy`: content, a file or a tree of the controller, or of the host itself.

use crate::content::place::Fault;
use crate::content::template::eval::json::{self, Style};
use crate::content::value::Value;
use crate::content::vault::is_encrypted;
use crate::play::call::Call;
use crate::play::done::{Done, Problem};
use crate::play::hands::{Blob, Blobs};
use crate::play::keep::as_text;
use futures::{StreamExt, TryStreamExt};
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How many directories, and then files, of a tree are under way at the same time.
const PARALLEL: usize = 32;
/// Bytes that tell a vault.
const MARK: u64 = 16;

pub(super) async fn run(call: &Call<'_>) -> Result<Done, Problem> {
    let mut args = call.json_args();
    if call.flag("remote_src", false) {
        return call.module("copy", args, Blobs::new()).await;
    }
    if let Some(content) = call
        .args
        .get("content")
        .filter(|content| !matches!(content, Value::None))
    {
        if call.text("src").is_some() {
            return Err(call
                .fault("copy: src and content exclude each other")
                .into());
        }
        let text = match content {
            Value::Dict(_) | Value::List(_) => python_json(call, content)?,
            other => as_text(other),
        };
        args.shift_remove("content");
        if is_preserve(&args) {
            // As in Ansible, where the content comes from a private file.
            args.insert("mode".to_owned(), "0600".into());
        }
        let blobs = Blobs::from([(
            "content".to_owned(),
            Blob::Bytes(Arc::from(text.into_bytes())),
        )]);
        return send(call, args, blobs).await;
    }
    let src = call
        .text("src")
        .ok_or_else(|| call.fault("copy: one of the arguments src and content is needed"))?;
    let path = call.find("files", src.trim_end_matches('/'), "src")?;
    args.shift_remove("src");
    if path.is_dir() {
        return tree(call, &path, src.ends_with('/'), args).await;
    }
    file(
        call,
        &path,
        args,
        &path.file_name().unwrap_or_default().to_string_lossy(),
    )
    .await
}

/// A structure as Ansible writes it: JSON as Python's `json.dumps` does.
fn python_json(call: &Call<'_>, content: &Value) -> Result<String, Problem> {
    let style = Style {
        indent: None,
        sort_keys: false,
        ensure_ascii: true,
        separators: None,
    };
    let written = json::dump(content, &style);
    Ok(written.map_err(|error| call.fault(format!("copy: content can't be written: {error}")))?)
}

/// A path of the controller, as results tell it.
pub(super) fn told(path: &Path) -> Json {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    path.display().to_string().into()
}

fn is_preserve(args: &Map<String, Json>) -> bool {
    args.get("mode").and_then(Json::as_str) == Some("preserve")
}

/// `mode: preserve` becomes the mode of the file here.
pub(super) fn keep_mode(
    call: &Call<'_>,
    path: &Path,
    args: &mut Map<String, Json>,
) -> Result<(), Fault> {
    if is_preserve(args) {
        let mode = std::fs::metadata(path)
            .map_err(|error| call.fault(format!("{} can't be read: {error}", path.display())))?
            .permissions()
            .mode();
        args.insert("mode".to_owned(), format!("{:04o}", mode & 0o7777).into());
    }
    Ok(())
}

/// One file.
async fn file(
    call: &Call<'_>,
    path: &Path,
    mut args: Map<String, Json>,
    name: &str,
) -> Result<Done, Problem> {
    keep_mode(call, path, &mut args)?;
    args.insert("_original_basename".to_owned(), name.into());
    args.insert("src".to_owned(), told(path));
    let blobs = Blobs::from([("content".to_owned(), content(call, path)?)]);
    let mut done = send(call, args, blobs).await?;
    // The new side of a difference is the file here.
    let diff = done.result.get_mut("diff");
    let content = diff.and_then(|diff| match diff {
        Json::Array(diffs) => diffs
            .iter_mut()
            .find(|diff| diff.get("after_header").is_some()),
        diff => Some(diff),
    });
    if let Some(header) = content.and_then(|diff| diff.get_mut("after_header")) {
        *header = told(path);
    }
    Ok(done)
}

/// What a file holds: of a vault (unless `decrypt: false`) what was encrypted, all others are streamed.
pub(super) fn content(call: &Call<'_>, path: &Path) -> Result<Blob, Fault> {
    let unreadable = |error| call.fault(format!("{} can't be read: {error}", path.display()));
    let mut start = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MARK).read_to_end(&mut start))
        .map_err(unreadable)?;
    if !is_encrypted(&start) || !call.flag("decrypt", true) {
        return Ok(Blob::File(path.to_owned()));
    }
    let plain = call.attempt.batch.run.request.vault.read(path);
    Ok(Blob::Bytes(plain.map_err(unreadable)??.into()))
}

/// Sends content as the host's `copy` takes it. `src`, where it is from here, is told again when the host is changed.
pub(super) async fn send(
    call: &Call<'_>,
    mut args: Map<String, Json>,
    blobs: Blobs,
) -> Result<Done, Problem> {
    let src = args.shift_remove("src");
    let mut done = call.module("copy", args, blobs).await?;
    if let Some(src) = src.filter(|_| done.is_changed() && !call.check) {
        done.result.insert("src".to_owned(), src);
    }
    Ok(done)
}

/// A directory: with a slash at its end its content, otherwise the directory itself.
async fn tree(
    call: &Call<'_>,
    root: &Path,
    content_only: bool,
    args: Map<String, Json>,
) -> Result<Done, Problem> {
    let dest = call.text("dest").unwrap_or_default();
    let mut base = PathBuf::from(&dest);
    if !content_only {
        base.push(root.file_name().unwrap_or_default());
    }
    let (mut dirs, mut files) = (vec![PathBuf::new()], Vec::new());
    walk(root, Path::new(""), &mut dirs, &mut files)
        .map_err(|error| call.fault(format!("{} can't be read: {error}", root.display())))?;
    let mut changed = match directories(call, &base, dirs, &args).await? {
        done if done.is_failed() => return Ok(done),
        done => done.is_changed(),
    };
    let mut shared = args;
    shared.shift_remove("directory_mode");
    let (base, shared) = (&base, &shared);
    let copies = files.into_iter().map(|relative| async move {
        let mut args = shared.clone();
        args.insert(
            "dest".to_owned(),
            base.join(&relative).to_string_lossy().into_owned().into(),
        );
        let name = relative
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        file(call, &root.join(&relative), args, &name).await
    });
    let results: Vec<Done> = futures::stream::iter(copies)
        .buffered(PARALLEL)
        .try_collect()
        .await?;
    if let Some(failed) = results.iter().position(Done::is_failed) {
        return Ok(results.into_iter().nth(failed).unwrap_or_default());
    }
    changed |= results.iter().any(Done::is_changed);
    let slash = if dest.ends_with('/') { "" } else { "/" };
    Ok(Done::changed(changed).with("dest", dest + slash).with(
        "src",
        format!("{}{}", root.display(), if content_only { "/" } else { "" }),
    ))
}

/// Makes the directories of a tree, those of one depth at the same time. The first failure, else whether any changed.
async fn directories(
    call: &Call<'_>,
    base: &Path,
    dirs: Vec<PathBuf>,
    args: &Map<String, Json>,
) -> Result<Done, Problem> {
    let mut levels: BTreeMap<usize, Vec<PathBuf>> = BTreeMap::new();
    for dir in dirs {
        levels.entry(dir.iter().count()).or_default().push(dir);
    }
    let mut changed = false;
    for level in levels.into_values() {
        let made = level.into_iter().map(|dir| {
            let mut ours = Map::new();
            for name in ["owner", "group"] {
                if let Some(value) = args.get(name) {
                    ours.insert(name.to_owned(), value.clone());
                }
            }
            if let Some(mode) = args.get("directory_mode") {
                ours.insert("mode".to_owned(), mode.clone());
            }
            let path = base.join(dir).to_string_lossy().into_owned();
            ours.insert("path".to_owned(), path.into());
            ours.insert("state".to_owned(), "directory".into());
            call.module("file", ours, Blobs::new())
        });
        let results: Vec<Done> = futures::stream::iter(made)
            .buffered(PARALLEL)
            .try_collect()
            .await?;
        changed |= results.iter().any(Done::is_changed);
        if let Some(failed) = results.into_iter().find(Done::is_failed) {
            return Ok(failed);
        }
    }
    Ok(Done::changed(changed))
}

/// Directories and files below, in order of name, relative to the root. Links are followed.
fn walk(
    root: &Path,
    below: &Path,
    dirs: &mut Vec<PathBuf>,
    files: &mut Vec<PathBuf>,
) -> std::io::Result<()> {
    let mut names = std::fs::read_dir(root.join(below))?
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<Result<Vec<_>, _>>()?;
    names.sort();
    for name in names {
        let relative = below.join(name);
        if std::fs::metadata(root.join(&relative))?.is_dir() {
            dirs.push(relative.clone());
            walk(root, &relative, dirs, files)?;
        } else {
            files.push(relative);
        }
    }
    Ok(())
}
