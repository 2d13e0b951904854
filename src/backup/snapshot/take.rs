//! A snapshot into a set of its own: streamed beside its place, read back, then named.

use super::check::check;
use crate::backup::error::BackupError;
use crate::backup::manifest::{HashKv, Manifest, MemberThen, Snapshot};
use crate::backup::sets::{Part, Set, finish, private_file};
use crate::cluster::{Etcd, Member, Seen, View};
use crate::journal::{Event, Sink};
use jiff::Timestamp;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Name of the file in a set.
pub const FILE: &str = "snapshot.db";
/// How often the progress is told.
const TELL: Duration = Duration::from_millis(500);

/// What the snapshot is of, as it was just before.
#[derive(Debug, Clone)]
pub struct Source {
    pub member: Member,
    pub cluster_id: u64,
    pub etcd_version: String,
    /// The revision that the cluster had reached.
    pub revision: i64,
    /// The highest raft index of all members.
    pub raft_index: u64,
    pub without_majority: bool,
    pub members: Vec<MemberThen>,
}

impl Source {
    /// The member to take it from: the healthy follower that has applied most, for the leader has enough to do; the
    /// leader where there is none; without a majority whoever runs and has applied most. Never a learner. None when
    /// nobody answers.
    pub fn of(view: &View) -> Option<Self> {
        let best = view
            .members
            .iter()
            .filter(|s| !s.member.learner)
            .filter_map(|s| Some((s, s.status.as_ref()?)))
            .max_by_key(|(s, status)| {
                let follower = view.leader != Some(s.member.id);
                (s.healthy(), follower, status.applied_index)
            });
        let (seen, status) = best?;
        let statuses = || view.members.iter().filter_map(|s| s.status.as_ref());
        Some(Self {
            member: seen.member.clone(),
            cluster_id: view.cluster_id,
            etcd_version: status.version.clone(),
            // What this member has applied; a linearizable read of a healthy one has brought it up to the cluster.
            revision: status.revision,
            raft_index: statuses().map(|s| s.raft_index).max().unwrap_or_default(),
            members: view.members.iter().map(then).collect(),
            without_majority: view.stale,
        })
    }
}

/// A member as a manifest has it.
pub fn then(seen: &Seen) -> MemberThen {
    let status = seen.status.as_ref();
    MemberThen {
        name: seen.member.name.clone(),
        id: format!("{:x}", seen.member.id),
        peer_urls: seen.member.peer_urls.clone(),
        learner: seen.member.learner,
        version: status.map(|s| s.version.clone()),
        raft_index: status.map(|s| s.raft_index),
    }
}

/// Take a snapshot from the member into a new set under `root`. The set appears only when the file is on the disk and was
/// found sound.
pub async fn take(
    root: &Path,
    etcd: &Etcd,
    source: &Source,
    sink: &dyn Sink,
) -> Result<Set, BackupError> {
    let taken = Timestamp::now();
    let made = Part::new(root, "etcd", taken)?;
    let Part { set, dir, part, .. } = &made;
    let manifest = Manifest {
        version: 1,
        set: set.clone(),
        taken,
        paths: Vec::new(),
        nodes: Vec::new(),
        missing: Vec::new(),
        snapshot: Some(snapshot_into(part, etcd, source, sink).await?),
        cluster: None,
        kubernetes_version: None,
        stored: Vec::new(),
    };
    finish(root, part, dir, &manifest)?;
    Ok(Set {
        dir: dir.clone(),
        manifest,
    })
}

/// Take a snapshot into a directory, read it back, and say what it is.
pub(in crate::backup) async fn snapshot_into(
    dir: &Path,
    etcd: &Etcd,
    source: &Source,
    sink: &dyn Sink,
) -> Result<Snapshot, BackupError> {
    let path = dir.join(FILE);
    let mut file = tokio::fs::File::from_std(private_file(&path)?);
    let meter = Meter::new(sink);
    etcd.snapshot(&source.member, &mut file, &|done, total| {
        meter.tell(done, total);
    })
    .await
    .map_err(BackupError::Snapshot)?;
    file.sync_all().await.map_err(BackupError::io(&path))?;
    drop(file);
    let read = path.clone();
    let checked = tokio::task::spawn_blocking(move || check(&read))
        .await
        .map_err(std::io::Error::other)
        .map_err(BackupError::io(&path))?;
    let unsound = |reason| BackupError::Unsound {
        member: source.member.label().to_owned(),
        reason,
    };
    let checked = checked.map_err(|why| unsound(why.to_string()))?;
    // A keyspace without any key begins at revision 1, and nothing in the file says so.
    if checked.summary.revision.max(1) < source.revision {
        return Err(unsound(format!(
            "its latest revision is {}, but the cluster had reached {} before",
            checked.summary.revision, source.revision
        )));
    }
    let hash_kv = hash(etcd, source, checked.summary.revision).await;
    Ok(Snapshot {
        file: FILE.to_owned(),
        size: checked.size,
        sha256: checked.sha256,
        cluster_id: format!("{:x}", source.cluster_id),
        member_id: format!("{:x}", source.member.id),
        member: source.member.label().to_owned(),
        etcd_version: source.etcd_version.clone(),
        revision_before: source.revision,
        raft_index: source.raft_index,
        without_majority: source.without_majority,
        summary: checked.summary,
        members: source.members.clone(),
        hash_kv,
    })
}

/// None: the member has compacted the revision away since, or can't say without a majority.
async fn hash(etcd: &Etcd, source: &Source, revision: i64) -> Option<HashKv> {
    let (hash, compact_revision) = etcd.hash_kv(&source.member, revision).await.ok()?;
    Some(HashKv {
        revision,
        compact_revision,
        hash,
    })
}

/// Tells how far it is, now and then, with the rate.
struct Meter<'a> {
    sink: &'a dyn Sink,
    begin: Instant,
    told: Mutex<Instant>,
}

impl<'a> Meter<'a> {
    fn new(sink: &'a dyn Sink) -> Self {
        let begin = Instant::now();
        Self {
            sink,
            begin,
            told: Mutex::new(begin),
        }
    }

    fn tell(&self, done: u64, total: u64) {
        let mut told = self
            .told
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if told.elapsed() < TELL && done < total {
            return;
        }
        *told = Instant::now();
        let mib = |bytes: u64| bytes as f64 / 1_048_576.0;
        let rate = mib(done) / self.begin.elapsed().as_secs_f64().max(0.001);
        self.sink.emit(Event::Progress {
            step: None,
            text: format!("{:.1} of {:.1} MiB, {rate:.1} MiB/s", mib(done), mib(total)),
            done: Some(done),
            total: Some(total),
        });
    }
}
