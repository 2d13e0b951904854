//! From the data of a stopped member to a proven set.

use super::choose::Survivor;
use super::{Options, seal};
use crate::backup::manifest::{HashKv, Snapshot};
use crate::backup::snapshot::{FILE, check};
use crate::backup::{Origin, Scratch};
use crate::cluster::HandError;
use crate::cluster::throwaway::{Throwaway, Version};
use crate::journal::{Event, Level, Run, Sink};
use crate::ops::backup::{self, Create};
use crate::ops::drill;
use crate::ops::engine::Failure;
use crate::ops::parts::Parts;
use crate::ops::site::Site;
use indexmap::IndexMap;
use serde_json::json;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long etcd may take to end.
const ENDING: Duration = Duration::from_secs(180);
const PAUSE: Duration = Duration::from_millis(500);
const STEP_FILE: &str = "restore-etcd.yml";

/// The name of the set.
pub(super) async fn rescue(
    site: &Site,
    run: &Arc<Run>,
    options: &Options,
    survivor: &Survivor,
) -> Result<String, Failure> {
    let name = &survivor.host.hand.name;
    part(site, run, name, "stop").await?;
    let begin = Instant::now();
    while survivor.host.running().await?.etcd {
        if begin.elapsed() > ENDING {
            return Err(Failure::new(format!(
                "etcd still runs on {name}, {} s after it was stopped",
                ENDING.as_secs()
            )));
        }
        tokio::time::sleep(PAUSE).await;
    }
    let version = survivor.host.machine.version.ok_or_else(|| {
        Failure::new(format!("{name} has no etcd with etcdutl or etcdctl"))
            .hint("name a directory of this machine that holds them: --programs DIR")
    })?;
    let place = Scratch::new(&site.backups)?;
    copy(survivor, place.path()).await?;
    let programs_dir = Scratch::new(&site.backups)?;
    let wanted = drill::Wanted {
        configured: options.programs.clone(),
        path: options.path.clone(),
    };
    let programs =
        drill::programs(site, version, &wanted, programs_dir.path(), run.as_ref()).await?;
    let failed = |error: &dyn std::fmt::Display| {
        Failure::new(format!("etcd doesn't start from the data of {name}: {error}"))
            .hint("take those of another host: --from HOST; or restore a backup: kopsrun restore etcd SET")
    };
    let mut etcd = Throwaway::revive(&programs, place.path())
        .await
        .map_err(|error| failed(&error))?;
    let path = place.path().join(FILE);
    let taken = etcd.snapshot(&path).await;
    let told = match taken {
        Ok(()) => describe(survivor, &mut etcd, &path, version).await,
        Err(error) => Err(failed(&error)),
    };
    etcd.stop().await;
    let told = told?;
    run.emit(Event::Note {
        level: Level::Info,
        text: format!(
            "the data of {name} have {} keys at revision {}",
            told.summary.keys, told.summary.revision
        ),
        host: None,
    });
    let create = Create {
        hosts: survivor.hosts.clone(),
        more: Vec::new(),
        seal: seal(site),
    };
    let origin = Origin::File {
        path: &path,
        told: Box::new(told),
    };
    let set = backup::of(site, &create, origin, None, run.as_ref()).await?;
    drill::drill(site, &set, &wanted, run.as_ref()).await?;
    Ok(set.manifest.set)
}

/// Start what was stopped.
pub(super) async fn start_again(
    site: &Site,
    run: &Arc<Run>,
    survivor: &Survivor,
) -> Result<String, Failure> {
    let name = &survivor.host.hand.name;
    part(site, run, name, "start").await?;
    part(site, run, name, "control-plane").await?;
    Ok(format!("etcd of {name} runs again, as before"))
}

async fn part(site: &Site, run: &Arc<Run>, host: &str, part: &str) -> Result<(), Failure> {
    let parts = Parts {
        site,
        run,
        file: STEP_FILE,
    };
    parts.run(host, part, IndexMap::new()).await
}

/// The member's directory below `dir/data`, which nobody else can read.
async fn copy(survivor: &Survivor, dir: &Path) -> Result<(), Failure> {
    let hand = &survivor.host.hand;
    let io = |error: std::io::Error| {
        Failure::new(format!(
            "the data of {} can't be copied: {error}",
            hand.name
        ))
    };
    let tar = dir.join("data.tar");
    let file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&tar)
        .map_err(io)?;
    let mut file = tokio::fs::File::from_std(file);
    let below = format!("{}/member", survivor.host.data_dir);
    let task = hand.task("_archive", json!({ "paths": [below] }));
    let outcome = hand
        .link
        .fetch(task, &mut file)
        .await
        .map_err(HandError::from)?;
    if outcome.failed {
        return Err(hand.refused("_archive", &outcome).into());
    }
    file.sync_all().await.map_err(io)?;
    let (tar, data) = (tar, dir.join("data"));
    let prefix = below.trim_start_matches('/').to_owned();
    let unpack = move || -> std::io::Result<()> {
        std::fs::create_dir(&data)?;
        let mut archive = tar::Archive::new(std::fs::File::open(&tar)?);
        for entry in archive.entries()? {
            let mut entry = entry?;
            let path = entry.path()?.into_owned();
            let Ok(rest) = path.strip_prefix(&prefix) else {
                continue;
            };
            let kind = entry.header().entry_type();
            let to = data.join("member").join(rest);
            if kind.is_dir() {
                std::fs::create_dir_all(&to)?;
            } else if kind.is_file() {
                if let Some(dir) = to.parent() {
                    std::fs::create_dir_all(dir)?;
                }
                let mut file = std::fs::OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(&to)?;
                std::io::copy(&mut entry, &mut file)?;
            }
        }
        std::fs::remove_file(&tar)
    };
    tokio::task::spawn_blocking(unpack)
        .await
        .map_err(|error| Failure::new(error.to_string()))?
        .map_err(io)
}

/// What the manifest of the set will say of the snapshot.
async fn describe(
    survivor: &Survivor,
    etcd: &mut Throwaway,
    path: &Path,
    version: Version,
) -> Result<Snapshot, Failure> {
    let file = path.to_owned();
    let checked = tokio::task::spawn_blocking(move || check(&file))
        .await
        .map_err(|error| Failure::new(error.to_string()))?
        .map_err(|why| Failure::new(format!("the snapshot of the copy isn't sound: {why}")))?;
    let hash = etcd.hash_kv(checked.summary.revision).await.ok();
    Ok(Snapshot {
        file: FILE.to_owned(),
        size: checked.size,
        sha256: checked.sha256,
        cluster_id: format!("{:x}", survivor.identity.cluster),
        member_id: format!("{:x}", survivor.identity.member),
        member: survivor.host.machine.place.member.clone(),
        etcd_version: version.to_string(),
        revision_before: checked.summary.revision,
        raft_index: survivor.position.index,
        without_majority: true,
        hash_kv: hash.map(|(hash, compact_revision)| HashKv {
            revision: checked.summary.revision,
            compact_revision,
            hash,
        }),
        summary: checked.summary,
        members: survivor.members.clone(),
    })
}
