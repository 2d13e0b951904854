//! Steps that look at or shape a machine.

use super::facts::{Branch, Data};
use super::machine;
use super::work::{Work, is_new};
use crate::backup::{self, RestoreOptions};
use crate::cluster::door::Door;
use crate::cluster::{Hand, Health, Seen};
use crate::ops::engine::{Check, Failure};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, Instant};

/// How long a member may take from its start until it has told its name: an election may come in between.
const START: Duration = Duration::from_secs(90);
const PAUSE: Duration = Duration::from_millis(200);
/// Where kubespray keeps certificates of etcd.
const CERTIFICATES: &str = "/etc/ssl/etcd/ssl";

/// Done: nothing of an earlier member runs or lies on the machine of the new one.
pub(super) async fn check_fence(work: &Work) -> Result<Check, Failure> {
    let look = work.look().await?;
    let view = work.etcd.view().await?;
    let new = work.newcomer().await?;
    let data = look.data();
    if is_new(data, new.as_ref()) {
        return Ok(Check::Done(
            "the data there are the new member's own".to_owned(),
        ));
    }
    match data {
        Data::None if !look.running => {
            return Ok(Check::Done(
                "no etcd runs there and there are no data".to_owned(),
            ));
        }
        // It was started a moment ago and hasn't written its log yet.
        Data::None | Data::Unreadable if look.running && new.is_some() => {
            return Ok(Check::Done("the new member is starting".to_owned()));
        }
        Data::Of(identity) if view.by_id(identity.member).is_some_and(Seen::healthy) => {
            return Ok(Check::Blocked(Failure::new(format!(
                "{} runs a healthy member ({:x}); it isn't stopped",
                work.home.host, identity.member
            ))));
        }
        _ => {}
    }
    Ok(Check::Needed)
}

pub(super) async fn fence(work: &Work) -> Result<(), Failure> {
    work.shape(&work.home.host, "fence", &[]).await
}

pub(super) async fn check_prepared(work: &Work) -> Result<Check, Failure> {
    Ok(match work.unprepared().await? {
        None => Check::Done("program, settings and service are in place".to_owned()),
        Some(_) => Check::Needed,
    })
}

pub(super) async fn prepare(work: &Work) -> Result<(), Failure> {
    let look = work.look().await?;
    let mut more = Vec::new();
    if look.program.is_none()
        || (work.donor.version.is_some() && look.program != work.donor.version)
    {
        // The operator may name a program with -e etcd_binary=PATH.
        if !work.site.request.extra_vars.contains_key("etcd_binary") {
            more.push(("etcd_binary", bring_program(work).await?));
        }
    }
    work.shape(&work.home.host, "prepare", &more).await
}

/// The program of a healthy member, brought here: the new one then is the same to the byte.
async fn bring_program(work: &Work) -> Result<String, Failure> {
    let path = work.run.dir().join("etcd");
    let part = work.run.dir().join("etcd.part");
    let io = |e: std::io::Error| Failure::new(format!("{}: {e}", part.display()));
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o700)
        .open(&part)
        .map_err(io)?;
    let mut file = tokio::fs::File::from_std(file);
    let task = work
        .donor_hand
        .task("fetch", json!({ "src": work.donor.program }));
    work.progress(
        "prepare",
        format!("bringing etcd from {}", work.donor.host),
        None,
        None,
    );
    let outcome = work.donor_hand.link.fetch(task, &mut file).await?;
    if outcome.failed {
        return Err(work.donor_hand.refused("fetch", &outcome).into());
    }
    file.sync_all().await.map_err(io)?;
    std::fs::rename(&part, &path).map_err(io)?;
    Ok(path.display().to_string())
}

/// Done: all files that the settings name are there, and those of the backup are as they were.
pub(super) async fn check_certificates(work: &Work) -> Result<Check, Failure> {
    let missing = absent(work).await?;
    if !missing.is_empty() {
        return Ok(match &work.set {
            Some(_) => Check::Needed,
            None => Check::Blocked(
                Failure::new(format!("certificates are missing: {}", missing.join(", ")))
                    .hint("take backups while nodes are well: kopsrun backup certs"),
            ),
        });
    }
    let Some(set) = &work.set else {
        return Ok(Check::Done("they are on the machine".to_owned()));
    };
    let (_opened, archive) = set
        .verified(&work.home.host, &work.site.backup_keys)
        .map_err(backup_failure)?;
    for entry in backup::chosen(archive, &[CERTIFICATES.to_owned()]) {
        if entry.sha256.is_empty() {
            continue;
        }
        let there = read(&work.hand, &entry.path).await?;
        let hash: Option<String> = there.map(|c| backup::hex(&Sha256::digest(c.expose())));
        if hash.as_ref() != Some(&entry.sha256) {
            return Ok(Check::Needed);
        }
    }
    Ok(Check::Done(format!(
        "as in the backup {}",
        set.manifest.set
    )))
}

/// Files that etcd's settings name and that the machine lacks.
async fn absent(work: &Work) -> Result<Vec<String>, Failure> {
    let mut missing = Vec::new();
    for (name, path) in work.environment().await? {
        if name.ends_with("_FILE") && !path.is_empty() && read(&work.hand, &path).await?.is_none() {
            missing.push(path);
        }
    }
    missing.sort();
    missing.dedup();
    Ok(missing)
}

async fn read(hand: &Hand, path: &str) -> Result<Option<crate::secret::Secret<Vec<u8>>>, Failure> {
    hand.read(path)
        .await
        .map_err(|e| Failure::new(format!("{}: {e}", hand.name)))
}

fn backup_failure(error: backup::BackupError) -> Failure {
    match error {
        backup::BackupError::Refused { message, hints } => Failure { message, hints },
        other => Failure::new(other.to_string()),
    }
}

pub(super) async fn certify(work: &Work) -> Result<(), Failure> {
    let Some(set) = &work.set else {
        return Ok(());
    };
    let options = RestoreOptions {
        only: vec![CERTIFICATES.to_owned()],
        keys: work.site.backup_keys.clone(),
        ..RestoreOptions::default()
    };
    // Compared with the live authority when the plan was made.
    let live = BTreeMap::new();
    backup::restore(set, &work.hand, &live, &options, &work.run)
        .await
        .map(drop)
        .map_err(|halfway| backup_failure(halfway.error))
}

/// Done: the new member has told its name and answers.
pub(super) async fn check_started(work: &Work) -> Result<Check, Failure> {
    let Some(new) = work.newcomer().await? else {
        return Ok(Check::Blocked(Failure::new(
            "the new member is not in the list any more",
        )));
    };
    if !new.started() {
        return Ok(Check::Needed);
    }
    let seen = work.etcd.look(new).await;
    Ok(match seen.health {
        Health::Healthy { .. } | Health::Learning => {
            Check::Done("it has joined and answers".to_owned())
        }
        Health::Sick { .. } | Health::Unstarted => Check::Needed,
    })
}

pub(super) async fn start(work: &Work) -> Result<(), Failure> {
    // Data that aren't the newcomer's would keep it from joining, or worse.
    if !matches!(check_fence(work).await?, Check::Done(_)) {
        return Err(Failure::new(format!(
            "the data directory on {} holds data of an earlier member",
            work.home.host
        )));
    }
    work.shape(&work.home.host, "start", &[]).await?;
    let (begin, mut said) = (Instant::now(), 0);
    while !matches!(check_started(work).await?, Check::Done(_)) {
        if begin.elapsed() > START {
            return Err(didnt_start(work).await);
        }
        work.go_on()?;
        let waited = begin.elapsed().as_secs();
        if waited > said {
            said = waited;
            let text = format!("waiting for {} to join ({waited} s)", work.home.host);
            work.progress("start", text, None, None);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

async fn didnt_start(work: &Work) -> Failure {
    let log = work
        .hand
        .script("journalctl -u etcd.service -n 5 -o cat --no-pager 2>/dev/null; exit 0")
        .await
        .unwrap_or_default();
    let mut failure = Failure::new(format!(
        "etcd on {} didn't join within {} s",
        work.home.host,
        START.as_secs()
    ));
    for line in log.lines() {
        failure = failure.hint(format!("its log: {line}"));
    }
    failure
}

/// A learner's process and data are of no use once the learner is removed. A voter is left alone.
pub(super) async fn undo_start(work: &Work) -> Result<String, Failure> {
    if work.newcomer().await?.is_some_and(|m| !m.learner) {
        return Ok("it is a voter, so it is left running".to_owned());
    }
    let look = work.look().await?;
    if !look.running && look.data() == Data::None {
        return Ok("nothing runs there".to_owned());
    }
    work.shape(&work.home.host, "fence", &[]).await?;
    Ok("etcd was stopped and its data moved aside".to_owned())
}

/// Done: the removed member's etcd is stopped, or its machine is out of reach and out of the cluster.
pub(super) async fn check_retired(work: &Work) -> Result<Check, Failure> {
    let Some(hand) = &work.old_hand else {
        return Ok(Check::Done(format!(
            "{} can't be reached; its member is removed, so its etcd can't take part any more",
            work.node.host
        )));
    };
    let look = machine::look(hand, work.donor.data_dir(), &work.donor.program).await?;
    Ok(match look.data() {
        Data::None if !look.running => {
            Check::Done("no etcd runs there and there are no data".to_owned())
        }
        Data::Of(identity)
            if work
                .etcd
                .members()
                .await?
                .iter()
                .any(|m| m.id == identity.member) =>
        {
            Check::Blocked(Failure::new(format!(
                "{} runs a member of the cluster",
                work.node.host
            )))
        }
        _ => Check::Needed,
    })
}

pub(super) async fn retire(work: &Work) -> Result<(), Failure> {
    debug_assert!(
        work.branch == Branch::LearnerFirst,
        "only a member elsewhere is retired"
    );
    work.shape(&work.node.host, "fence", &[]).await
}
