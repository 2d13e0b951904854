//! `etcd snapshot`: from which member, and what the cluster was like. `backup verify`: is a set still what it was?

use super::engine::Failure;
use super::identity;
use super::site::Site;
use super::status;
use crate::backup::snapshot::{self, Source, check};
use crate::backup::{BackupError, Keys, Opened, Set, manifest};
use crate::cluster::{Etcd, Seen, View};
use crate::journal::{Event, Level, Sink};

/// Take a snapshot into a new set.
pub async fn take(site: &Site, sink: &dyn Sink) -> Result<Set, Failure> {
    let (etcd, source) = choose(site, sink).await?;
    let (set, _) = tokio::join!(
        snapshot::take(&site.backups, &etcd, &source, sink),
        identity::note_seen(site, &etcd, &source, sink)
    );
    Ok(set?)
}

/// The cluster, and the member that a snapshot should come from; what a person should know of either is told.
pub(super) async fn choose(site: &Site, sink: &dyn Sink) -> Result<(Etcd, Source), Failure> {
    let (etcd, closed) = status::open(site).await?;
    for (host, why) in closed {
        sink.emit(note(
            Level::Warning,
            format!("not reached: {why}"),
            Some(host),
        ));
    }
    let view = etcd.view().await?;
    for alarm in &view.alarms {
        sink.emit(note(
            Level::Warning,
            format!("etcd has raised an alarm: {alarm}"),
            None,
        ));
    }
    let source = source(&view)?;
    if source.without_majority {
        sink.emit(note(
            Level::Warning,
            "quorum is lost: writes that were accepted last may be missing from this snapshot"
                .to_owned(),
            None,
        ));
    }
    sink.emit(note(
        Level::Info,
        format!(
            "from {}, revision {}",
            source.member.label(),
            source.revision
        ),
        None,
    ));
    Ok((etcd, source))
}

fn note(level: Level, text: String, host: Option<String>) -> Event {
    Event::Note { level, text, host }
}

fn source(view: &View) -> Result<Source, Failure> {
    Source::of(view).ok_or_else(|| {
        let failure =
            Failure::new("no member answers, so there is nothing to take a snapshot from");
        view.members.iter().fold(failure, |f, s| f.hint(down(s))).hint(
            "a data directory that is left on a disk can be copied; see member/snap/db below it",
        )
    })
}

fn down(seen: &Seen) -> String {
    match &seen.health {
        crate::cluster::Health::Sick { reason } => format!("{}: {reason}", seen.member.label()),
        _ => format!("{}: not started", seen.member.label()),
    }
}

/// What was found in a set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// One sentence each; empty: the set is sound.
    pub wrong: Vec<String>,
    /// It couldn't be opened, so nothing is known of it.
    pub locked: bool,
}

/// Read everything in a set and compare it with the manifest. A set that is damaged loses its proof.
pub fn verify(set: &Set, keys: &Keys) -> Verdict {
    let mut verdict = Verdict::default();
    for archive in &set.manifest.nodes {
        if let Err(error) = set.verified(&archive.node, keys) {
            verdict.add(error);
        }
    }
    for missing in &set.manifest.missing {
        let text = format!("{} is missing: {}", missing.node, missing.reason);
        verdict.wrong.push(text);
    }
    if let Some(snapshot) = &set.manifest.snapshot
        && let Err(error) = open(set, snapshot, keys)
    {
        verdict.add(error);
    }
    if !verdict.wrong.is_empty()
        && !verdict.locked
        && let Err(error) = set.revoke()
    {
        verdict.add(error);
    }
    verdict
}

impl Verdict {
    fn add(&mut self, error: BackupError) {
        let sentence = match error {
            BackupError::Refused { message, hints } => {
                self.locked = true;
                std::iter::once(message)
                    .chain(hints)
                    .collect::<Vec<_>>()
                    .join("; ")
            }
            other => other.to_string(),
        };
        // What opens none of the files is told once.
        if !self.locked || self.wrong.is_empty() {
            self.wrong.push(sentence);
        }
    }
}

/// The snapshot of a set, after it was read page by page and compared with the manifest.
pub(super) fn open(
    set: &Set,
    told: &manifest::Snapshot,
    keys: &Keys,
) -> Result<Opened, BackupError> {
    let opened = set.open(&told.file, keys)?;
    let damaged = |reason: String| BackupError::Damaged {
        path: set.dir.join(&told.file),
        reason,
    };
    let found = check(opened.path()).map_err(|why| damaged(why.to_string()))?;
    if !found.members.is_empty() && !found.members.contains(&told.member_id) {
        return Err(damaged(format!(
            "it is of another cluster: the member {} that it was taken from is not one of its members ({})",
            told.member_id,
            found.members.join(", ")
        )));
    }
    let same =
        (found.size, &found.sha256, &found.summary) == (told.size, &told.sha256, &told.summary);
    match same {
        true => Ok(opened),
        false => Err(damaged(format!(
            "it is a sound snapshot, but not the one of the manifest: SHA-256 {} where {} was expected",
            found.sha256, told.sha256
        ))),
    }
}
