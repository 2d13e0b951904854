//! `filetree` and `collection_version`: directories of the controller.

use super::words;
use crate::content::template::TemplateError;
use crate::content::template::eval::args::Args;
use crate::content::template::eval::{Interp, Outcome};
use crate::content::value::{Key, Value};
use indexmap::IndexMap;
use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Everything below directories, each with its attributes; a path that an earlier directory has isn't given again.
pub(super) fn filetree(interp: &mut Interp, args: &mut Args) -> Outcome<Vec<Value>> {
    let (mut found, mut seen) = (Vec::new(), HashSet::new());
    for term in words(args)? {
        let settings = interp.templar.settings();
        let Some(root) = settings.find("files", term.trim_end_matches('/')) else {
            continue;
        };
        let root = std::path::absolute(&root).unwrap_or(root);
        below(&root, Path::new(""), &mut seen, &mut found)?;
    }
    Ok(found)
}

fn below(
    root: &Path,
    inside: &Path,
    seen: &mut HashSet<PathBuf>,
    found: &mut Vec<Value>,
) -> Outcome<()> {
    let dir = root.join(inside);
    let unreadable =
        |error| TemplateError::new(format!("{} can't be read: {error}", dir.display()));
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&dir).map_err(unreadable)? {
        names.push(entry.map_err(unreadable)?.file_name());
    }
    names.sort();
    let (dirs, files): (Vec<_>, Vec<_>) =
        names.into_iter().partition(|name| dir.join(name).is_dir());
    for name in dirs.iter().chain(&files) {
        let relative = inside.join(name);
        if seen.insert(relative.clone()) {
            found.push(attributes(root, &relative).map_err(unreadable)?);
        }
    }
    for name in dirs {
        // Links to directories are told and not followed.
        if !dir.join(&name).is_symlink() {
            below(root, &inside.join(name), seen, found)?;
        }
    }
    Ok(())
}

fn attributes(root: &Path, relative: &Path) -> std::io::Result<Value> {
    let path = root.join(relative);
    let meta = std::fs::symlink_metadata(&path)?;
    let shown = |path: &Path| Value::untrusted(path.to_string_lossy().into_owned());
    #[expect(
        clippy::cast_precision_loss,
        reason = "Python has these times as floats"
    )]
    let time = |seconds: i64, nanos: i64| Value::Float(seconds as f64 + nanos as f64 / 1e9);
    let (state, src) = if meta.is_symlink() {
        ("link", Some(shown(&std::fs::read_link(&path)?)))
    } else if meta.is_dir() {
        ("directory", None)
    } else {
        ("file", Some(shown(&path)))
    };
    let owner = host::users::user_by_id(meta.uid()).map(|user| Value::untrusted(user.name));
    let group = host::users::group_by_id(meta.gid()).map(|group| Value::untrusted(group.name));
    let (uid, gid) = (i64::from(meta.uid()), i64::from(meta.gid()));
    let mut all = vec![
        ("root", shown(root)),
        ("path", shown(relative)),
        ("state", Value::from(state)),
        ("uid", Value::Int(uid)),
        ("gid", Value::Int(gid)),
        ("owner", owner.unwrap_or(Value::Int(uid))),
        ("group", group.unwrap_or(Value::Int(gid))),
        (
            "mode",
            Value::from(format!("0{:03o}", meta.mode() & 0o7777)),
        ),
        ("size", Value::Int(i64::try_from(meta.len()).unwrap_or(0))),
        ("mtime", time(meta.mtime(), meta.mtime_nsec())),
        ("ctime", time(meta.ctime(), meta.ctime_nsec())),
    ];
    all.extend(src.map(|src| ("src", src)));
    let entries: IndexMap<Key, Value> = all
        .into_iter()
        .map(|(name, value)| (Key::from(name), value))
        .collect();
    Ok(Value::dict(entries))
}

/// Releases of collections that are on disk.
pub(super) fn collection_version(interp: &mut Interp, args: &mut Args) -> Outcome<Vec<Value>> {
    let absent = args.take("result_not_found").unwrap_or(Value::None);
    let unknown = args.take("result_no_version").unwrap_or_else(|| "*".into());
    let settings = interp.templar.settings();
    let mut dirs = vec![settings.playbook_dir.join("collections")];
    if let Some(paths) = settings.config.get("COLLECTIONS_PATHS") {
        dirs.extend(
            paths
                .iterate()?
                .iter()
                .map(|path| PathBuf::from(path.to_text())),
        );
    }
    let mut found = Vec::new();
    for name in words(args)? {
        let Some((namespace, own)) = name.split_once('.').filter(|(_, own)| !own.contains('.'))
        else {
            return Err(TemplateError::new(format!(
                "\"{name}\" is not a FQCN of a collection: it has the form namespace.name"
            )));
        };
        let inside = Path::new("ansible_collections").join(namespace).join(own);
        let dir = dirs
            .iter()
            .map(|dir| dir.join(&inside))
            .find(|dir| dir.is_dir());
        found.push(match dir {
            None => absent.clone(),
            Some(dir) => release(&dir).unwrap_or_else(|| unknown.clone()),
        });
    }
    Ok(found)
}

/// The release that the manifest of a collection names; of one that wasn't built, `galaxy.yml`.
fn release(dir: &Path) -> Option<Value> {
    if let Ok(text) = std::fs::read_to_string(dir.join("MANIFEST.json")) {
        let manifest: serde_json::Value = serde_json::from_str(&text).ok()?;
        return Some(Value::untrusted(
            manifest["collection_info"]["version"].as_str()?,
        ));
    }
    let path: std::sync::Arc<Path> = std::sync::Arc::from(dir.join("galaxy.yml"));
    let text = std::fs::read_to_string(&path).ok()?;
    let root = crate::content::yaml::parse_one(&text, &path, &mut Vec::new()).ok()?;
    Some(Value::untrusted(root.get("version")?.as_str()?))
}
