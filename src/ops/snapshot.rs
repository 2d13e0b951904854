//! `etcd snapshot`: from which member, and what the cluster was like. `backup verify`: is a set still what it was?

use super::engine::Failure;
use super::site::Site;
use super::status;
use crate::backup::snapshot::{self, Source, check};
use crate::backup::{Set, manifest};
use crate::cluster::{Seen, View};
use crate::journal::{Event, Level, Sink};
use std::path::Path;

/// Take a snapshot into a new set.
pub async fn take(site: &Site, sink: &dyn Sink) -> Result<Set, Failure> {
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
    Ok(snapshot::take(&site.backups, &etcd, &source, sink).await?)
}

fn note(level: Level, text: String, host: Option<String>) -> Event {
    Event::Note { level, text, host }
}

/// The member to take it from: the healthy follower that has applied most, for the leader has enough to do; the leader
/// where there is none; without a majority whoever runs and has applied most. Never a learner.
fn source(view: &View) -> Result<Source, Failure> {
    let best = view
        .members
        .iter()
        .filter(|s| !s.member.learner)
        .filter_map(|s| Some((s, s.status.as_ref()?)))
        .max_by_key(|(s, status)| {
            let follower = view.leader != Some(s.member.id);
            (s.healthy(), follower, status.applied_index)
        });
    let Some((seen, status)) = best else {
        let failure =
            Failure::new("no member answers, so there is nothing to take a snapshot from");
        return Err(view.members.iter().fold(failure, |f, s| f.hint(down(s))).hint(
            "a data directory that is left on a disk can be copied; see member/snap/db below it",
        ));
    };
    let statuses = || view.members.iter().filter_map(|s| s.status.as_ref());
    Ok(Source {
        member: seen.member.clone(),
        cluster_id: view.cluster_id,
        etcd_version: status.version.clone(),
        // What this member has applied; a linearizable read of a healthy one has brought it up to the cluster.
        revision: status.revision,
        raft_index: statuses().map(|s| s.raft_index).max().unwrap_or_default(),
        without_majority: view.stale,
    })
}

fn down(seen: &Seen) -> String {
    match &seen.health {
        crate::cluster::Health::Sick { reason } => format!("{}: {reason}", seen.member.label()),
        _ => format!("{}: not started", seen.member.label()),
    }
}

/// Read everything in a set and compare it with the manifest. Returns what was found to be wrong, one sentence each.
pub fn verify(set: &Set) -> Vec<String> {
    let mut wrong = Vec::new();
    for archive in &set.manifest.nodes {
        if let Err(error) = set.verified(&archive.node) {
            wrong.push(error.to_string());
        }
    }
    for missing in &set.manifest.missing {
        wrong.push(format!("{} is missing: {}", missing.node, missing.reason));
    }
    if let Some(snapshot) = &set.manifest.snapshot {
        wrong.extend(snapshot_wrong(&set.dir, snapshot));
    }
    wrong
}

fn snapshot_wrong(dir: &Path, told: &manifest::Snapshot) -> Option<String> {
    let found = match check(&dir.join(&told.file)) {
        Ok(found) => found,
        Err(why) => return Some(format!("{}: {why}", told.file)),
    };
    let same =
        (found.size, &found.sha256, &found.summary) == (told.size, &told.sha256, &told.summary);
    (!same).then(|| {
        format!(
            "{} is a sound snapshot, but not the one of the manifest: SHA-256 {} where {} was expected",
            told.file, found.sha256, told.sha256
        )
    })
}
