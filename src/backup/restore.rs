//! Put certificates of a backup back where they were, with the mode and owner that they had.

use super::archive;
use super::error::BackupError;
use super::keys::Keys;
use super::manifest::{EntryKind, FileEntry, NodeArchive};
use super::sets::Set;
use crate::cluster::Hand;
use crate::journal::{Event, Level, Sink};
use indexmap::IndexMap;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What a restore is asked to do.
#[derive(Debug, Clone, Default)]
pub struct RestoreOptions {
    /// Report what would change and change nothing.
    pub check: bool,
    /// Only what is at or below these paths; empty: everything.
    pub only: Vec<String>,
    /// Go on although the certificate authority isn't the live one.
    pub force_ca: bool,
    /// What opens the set when it is encrypted.
    pub keys: Keys,
}

/// Refuse an archive whose certificate authorities aren't those that the cluster uses now.
///
/// `live` are SHA-256 of public keys by path, as read from other nodes. An authority that isn't live anywhere says
/// nothing; one that differs at the same path does.
pub fn same_authorities(
    archive: &NodeArchive,
    live: &BTreeMap<String, String>,
) -> Result<(), BackupError> {
    for (path, backed_up) in archive.authorities() {
        if let Some(now) = live.get(path)
            && now != backed_up
        {
            return Err(BackupError::Refused {
                message: format!(
                    "the backup of {} is of another certificate authority: {path} has the key {} there and {} in the cluster",
                    archive.node,
                    short(backed_up),
                    short(now)
                ),
                hints: vec![
                    "certificates of another authority would cut the node off; take the right set (kopsrun backup list, then --set)".to_owned(),
                    "if the authority is being put back on purpose: --force-ca".to_owned(),
                ],
            });
        }
    }
    Ok(())
}

fn short(fingerprint: &str) -> &str {
    fingerprint.get(..16).unwrap_or(fingerprint)
}

/// The entries that a restore would write, in the order in which they have to be written.
pub fn chosen<'a>(archive: &'a NodeArchive, only: &[String]) -> Vec<&'a FileEntry> {
    let mut chosen: Vec<&FileEntry> = archive
        .files
        .iter()
        .filter(|f| only.is_empty() || only.iter().any(|o| Path::new(&f.path).starts_with(o)))
        .collect();
    chosen.sort_by(|a, b| a.path.cmp(&b.path));
    chosen
}

/// Why a restore ended early, and what it had written by then. Every file is either as it was or as in the backup.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Halfway {
    pub error: BackupError,
    pub written: Vec<String>,
}

/// Put the chosen files of `set` back on the node. Returns the paths that changed.
pub async fn restore(
    set: &Set,
    hand: &Hand,
    live: &BTreeMap<String, String>,
    options: &RestoreOptions,
    sink: &dyn Sink,
) -> Result<Vec<String>, Halfway> {
    let mut changed = Vec::new();
    match write(set, hand, live, options, sink, &mut changed).await {
        Ok(()) => Ok(changed),
        Err(error) => Err(Halfway {
            error,
            written: if options.check { Vec::new() } else { changed },
        }),
    }
}

async fn write(
    set: &Set,
    hand: &Hand,
    live: &BTreeMap<String, String>,
    options: &RestoreOptions,
    sink: &dyn Sink,
    changed: &mut Vec<String>,
) -> Result<(), BackupError> {
    let (opened, archive) = set.verified(&hand.name, &options.keys)?;
    let path = opened.path();
    if !options.force_ca {
        same_authorities(archive, live)?;
    }
    let chosen = chosen(archive, &options.only);
    for parent in parents(&chosen) {
        open_way(hand, parent, options.check).await?;
    }
    for entry in chosen {
        if put(hand, path, entry, options.check).await? {
            let did = if options.check {
                "would write"
            } else {
                "wrote"
            };
            sink.emit(Event::Note {
                level: Level::Info,
                text: format!(
                    "{did} {} ({} {}:{})",
                    entry.path, entry.mode, entry.owner, entry.group
                ),
                host: Some(hand.name.clone()),
            });
            changed.push(entry.path.clone());
        }
    }
    Ok(())
}

/// Directories above the entries that the archive itself doesn't hold: a new machine has none of them.
fn parents<'a>(chosen: &[&'a FileEntry]) -> BTreeSet<&'a Path> {
    let held: BTreeSet<&Path> = chosen.iter().map(|entry| Path::new(&entry.path)).collect();
    chosen
        .iter()
        .filter_map(|entry| Path::new(&entry.path).parent())
        .filter(|parent| !held.contains(parent))
        .collect()
}

/// Makes a directory that isn't there, open to all as those above certificates are; one that is there stays as it is.
async fn open_way(hand: &Hand, path: &Path, check: bool) -> Result<(), BackupError> {
    let mut look = hand.task("file", json!({ "path": path, "state": "directory" }));
    look.check = true;
    if hand.run(look, IndexMap::new()).await?.changed && !check {
        let args = json!({ "path": path, "state": "directory", "mode": "0755" });
        hand.run(hand.task("file", args), IndexMap::new()).await?;
    }
    Ok(())
}

async fn put(
    hand: &Hand,
    archive: &Path,
    entry: &FileEntry,
    check: bool,
) -> Result<bool, BackupError> {
    let state = match entry.kind {
        EntryKind::File => {
            let bytes =
                archive::content(archive, &entry.path).map_err(|source| BackupError::Io {
                    path: archive.to_owned(),
                    source,
                })?;
            let changed = hand
                .write(
                    &entry.path,
                    bytes.expose(),
                    [&entry.mode, &entry.owner, &entry.group],
                    check,
                )
                .await?;
            return Ok(changed);
        }
        EntryKind::Directory => json!({
            "path": entry.path, "state": "directory",
            "mode": entry.mode, "owner": entry.owner, "group": entry.group,
        }),
        EntryKind::Link => json!({
            "path": entry.path, "src": entry.target, "state": "link", "force": true,
            "owner": entry.owner, "group": entry.group, "follow": false,
        }),
    };
    let mut task = hand.task("file", state);
    task.check = check;
    let outcome = hand.run(task, IndexMap::new()).await?;
    Ok(outcome.changed)
}
