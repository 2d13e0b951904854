//! `backup drill`: a throwaway etcd is started from a set and asked; only then the set is VERIFIED.

use super::engine::Failure;
use super::site::Site;
use super::{identity, snapshot, status};
use crate::backup::manifest::Snapshot;
use crate::backup::{Mark, Scratch, Set};
use crate::cluster::throwaway::{Programs, Throwaway, Version};
use crate::cluster::{Hand, HandError};
use crate::journal::{Event, Level, Sink};
use futures::future::join_all;
use jiff::Timestamp;
use serde_json::json;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Where etcd is taken from.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Directories of the controller: the one that was configured, then those of PATH.
    pub configured: Option<PathBuf>,
    pub path: Vec<PathBuf>,
}

/// Start etcd from the set and compare what it serves. A set that fails loses the proof that it had.
pub async fn drill(
    site: &Site,
    set: &Set,
    wanted: &Wanted,
    sink: &dyn Sink,
) -> Result<Mark, Failure> {
    let told = set
        .manifest
        .snapshot
        .as_ref()
        .ok_or_else(|| Failure::new("there is no snapshot of etcd in it"))?;
    sound(site, set).await?;
    match identity::meant(site).await? {
        Some(seen) => identity::belongs(set, &seen).map_err(|why| {
            Failure::new(format!("it is of another cluster: {why}"))
                .hint("drill it with the inventory of its own cluster")
        })?,
        None => note(
            sink,
            Level::Warning,
            "the cluster can't be reached and was never seen from here: whose set it is isn't checked".to_owned(),
        ),
    }
    let programs_dir = Scratch::new(&site.backups)?;
    let of = Version::parse(&told.etcd_version).ok_or_else(|| {
        Failure::new(format!(
            "the version of etcd in the set can't be read: '{}'",
            told.etcd_version
        ))
    })?;
    let programs = programs(site, of, wanted, programs_dir.path(), sink).await?;
    note(
        sink,
        Level::Info,
        format!(
            "starting etcd {} of {}",
            programs.version,
            programs.etcd.display()
        ),
    );
    match serve(site, set, told, &programs).await {
        Ok((seconds, hash_compared)) => {
            let mark = Mark {
                at: Timestamp::now(),
                manifest_sha256: set.manifest_sha256()?,
                etcd_version: programs.version.to_string(),
                revision: told.summary.revision,
                keys: told.summary.keys,
                hash_compared,
                seconds,
            };
            set.set_mark(&mark)?;
            Ok(mark)
        }
        Err(why) => {
            set.revoke()?;
            Err(why)
        }
    }
}

/// Every file of the set is what the manifest says, the archives of nodes too: a cluster isn't restored from etcd alone.
async fn sound(site: &Site, set: &Set) -> Result<(), Failure> {
    let (of, keys) = (set.clone(), site.backup_keys.clone());
    let verdict = tokio::task::spawn_blocking(move || snapshot::verify(&of, &keys))
        .await
        .map_err(|error| Failure::new(error.to_string()))?;
    match verdict.wrong.as_slice() {
        [] => Ok(()),
        wrong => Err(Failure::new(wrong.join("; "))),
    }
}

/// Start it, compare, and say how long it took until it served and whether hashes were compared.
async fn serve(
    site: &Site,
    set: &Set,
    told: &Snapshot,
    programs: &Programs,
) -> Result<(f64, bool), Failure> {
    let begin = Instant::now();
    let (of, name, keys) = (set.clone(), told.file.clone(), site.backup_keys.clone());
    let opened = tokio::task::spawn_blocking(move || of.open(&name, &keys))
        .await
        .map_err(|error| Failure::new(error.to_string()))??;
    let place = Scratch::new(&site.backups)?;
    let failed = |error: &dyn std::fmt::Display| {
        Failure::new(format!("etcd can't be restored from the set: {error}"))
    };
    let mut etcd = Throwaway::start(programs, opened.path(), place.path())
        .await
        .map_err(|error| failed(&error))?;
    let seconds = begin.elapsed().as_secs_f64();
    let compared = compare(&mut etcd, told, programs.version).await;
    etcd.stop().await;
    Ok((seconds, compared?))
}

/// The same revision, the same number of keys, the same hash as the member had. False: there is no hash to compare with.
async fn compare(etcd: &mut Throwaway, told: &Snapshot, version: Version) -> Result<bool, Failure> {
    let (revision, keys) = etcd.count().await?;
    // An etcd without any key is at revision 1, and there is no pair in the snapshot that says so.
    if (revision, keys) != (told.summary.revision.max(1), told.summary.keys) {
        return Err(Failure::new(format!(
            "the restored etcd serves {keys} keys at revision {revision}, the set has {} at {}",
            told.summary.keys, told.summary.revision
        )));
    }
    let same_minor = Version::parse(&told.etcd_version).is_some_and(|v| v.minor == version.minor);
    let Some(then) = told.hash_kv.filter(|_| same_minor) else {
        return Ok(false);
    };
    let (mut hash, mut begin) = etcd.hash_kv(then.revision).await?;
    if begin < then.compact_revision {
        // The member had forgotten some of its history between the snapshot and the hash.
        etcd.compact(then.compact_revision).await?;
        (hash, begin) = etcd.hash_kv(then.revision).await?;
    }
    if begin != then.compact_revision {
        return Ok(false);
    }
    match hash == then.hash {
        true => Ok(true),
        false => Err(Failure::new(format!(
            "the keys differ: etcd's hash at revision {} is {hash} where the member {} had {}",
            then.revision, told.member, then.hash
        ))),
    }
}

/// Programs that fit data of this version: of its own minor version, else of the next one. Looked for in the configured
/// directory, in PATH, then on the nodes.
pub(super) async fn programs(
    site: &Site,
    of: Version,
    wanted: &Wanted,
    into: &Path,
    sink: &dyn Sink,
) -> Result<Programs, Failure> {
    let mut found = Vec::new();
    for dir in wanted.configured.iter().chain(&wanted.path) {
        if let Some(programs) = Programs::find(dir).await {
            found.push(programs);
        }
    }
    let exact = |p: &&Programs| (p.version.major, p.version.minor) == (of.major, of.minor);
    if let Some(programs) = found.iter().find(exact) {
        return Ok(programs.clone());
    }
    if wanted.configured.is_none() {
        found.extend(from_nodes(site, into, sink).await);
    }
    let fits = |p: &&Programs| p.version.takes(of);
    if let Some(programs) = found.iter().find(exact).or(found.iter().find(fits)) {
        return Ok(programs.clone());
    }
    let there: Vec<String> = found
        .iter()
        .map(|p| format!("{} in {}", p.version, p.etcd.display()))
        .collect();
    Err(Failure::new(match there.as_slice() {
        [] => format!(
            "no etcd {}.{} with etcdutl or etcdctl beside it was found",
            of.major, of.minor
        ),
        there => format!(
            "the data are of etcd {of}; what was found doesn't start from it: {}",
            there.join(", ")
        ),
    })
    .hint("name a directory that holds etcd and etcdutl (before 3.5: etcdctl): --programs DIR"))
}

/// The programs of the first node that gives them, brought here.
async fn from_nodes(site: &Site, into: &Path, sink: &dyn Sink) -> Option<Programs> {
    for hand in status::hands(site).await {
        match bring(&hand, into).await {
            Ok(Some(programs)) => return Some(programs),
            Ok(None) => {}
            Err(error) => note(
                sink,
                Level::Info,
                format!("no programs from {}: {}", hand.name, error.message),
            ),
        }
    }
    None
}

/// Copies of the programs of a host, in `into`; None where it lacks one.
pub(super) async fn bring(hand: &Hand, into: &Path) -> Result<Option<Programs>, Failure> {
    let script = "for d in /usr/local/bin /usr/bin /opt/bin; do if [ -x $d/etcd ]; then \
         for p in etcd etcdutl etcdctl; do [ -x $d/$p ] && echo $d/$p; done; exit 0; fi; done; exit 0";
    let paths = hand.script(script).await?;
    let names: Vec<&str> = paths.lines().map(str::trim).collect();
    // One of the two that restore is enough.
    let restorer = ["etcdutl", "etcdctl"]
        .iter()
        .find_map(|name| names.iter().find(|p| p.ends_with(&format!("/{name}"))));
    let (Some(etcd), Some(restorer)) = (names.first(), restorer) else {
        return Ok(None);
    };
    let both = [*etcd, *restorer];
    join_all(both.map(|path| bring_one(hand, path, into)))
        .await
        .into_iter()
        .collect::<Result<Vec<()>, Failure>>()?;
    Ok(Programs::find(into).await)
}

async fn bring_one(hand: &Hand, from: &str, into: &Path) -> Result<(), Failure> {
    let to = into.join(from.rsplit('/').next().unwrap_or(from));
    let io = |e: std::io::Error| Failure::new(format!("{}: {e}", to.display()));
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o700)
        .open(&to)
        .map_err(io)?;
    let mut file = tokio::fs::File::from_std(file);
    let task = hand.task("fetch", json!({ "src": from }));
    let outcome = hand
        .link
        .fetch(task, &mut file)
        .await
        .map_err(HandError::from)?;
    if outcome.failed {
        return Err(hand.refused("fetch", &outcome).into());
    }
    file.sync_all().await.map_err(io)
}

fn note(sink: &dyn Sink, level: Level, text: String) {
    sink.emit(Event::Note {
        level,
        text,
        host: None,
    });
}
