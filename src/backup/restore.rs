//! Put certificates of a backup back where they were, with the mode and owner that they had.

use super::archive;
use super::certs::{BackupError, Set};
use super::manifest::{EntryKind, FileEntry, NodeArchive};
use crate::cluster::Hand;
use crate::journal::{Event, Level, Sink};
use indexmap::IndexMap;
use serde_json::json;
use std::collections::BTreeMap;
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
                    "certificates of another authority would cut the node off; take the right set (kopsrun backup certs --list)".to_owned(),
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

/// Put the chosen files of `set` back on the node. Returns the paths that changed.
pub async fn restore(
    set: &Set,
    hand: &Hand,
    live: &BTreeMap<String, String>,
    options: &RestoreOptions,
    sink: &dyn Sink,
) -> Result<Vec<String>, BackupError> {
    let (path, archive) = set.verified(&hand.name)?;
    if !options.force_ca {
        same_authorities(archive, live)?;
    }
    let mut changed = Vec::new();
    for entry in chosen(archive, &options.only) {
        if put(hand, &path, entry, options.check).await? {
            sink.emit(Event::Note {
                level: Level::Info,
                text: format!(
                    "{} {} ({} {}:{})",
                    if options.check {
                        "would write"
                    } else {
                        "wrote"
                    },
                    entry.path,
                    entry.mode,
                    entry.owner,
                    entry.group
                ),
                host: Some(hand.name.clone()),
            });
            changed.push(entry.path.clone());
        }
    }
    Ok(changed)
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
        EntryKind::Link => {
            json!({ "path": entry.path, "src": entry.target, "state": "link", "force": true })
        }
    };
    let mut task = hand.task("file", state);
    task.check = check;
    let outcome = hand.run(task, IndexMap::new()).await?;
    Ok(outcome.changed)
}
