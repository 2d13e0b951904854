//! Facts, read now from the set, the hosts and whoever still answers. Nothing is changed here.

use super::Options;
use super::facts::{Facts, Intent, Quorum};
use super::host::{self, Host};
use super::{COMMAND, INTENT};
use crate::backup::certificate::CertificateInfo;
use crate::backup::fingerprint::AUTHORITIES;
use crate::backup::{self, Archived, Fingerprint, Found, Known, Opened, Seen, Set};
use crate::cluster::door::Door;
use crate::cluster::identity as settings_of;
use crate::cluster::throwaway::{Programs, Version};
use crate::cluster::{Etcd, Hand, Health};
use crate::journal::{self, Run, RunEnd, State};
use crate::ops::engine::Failure;
use crate::ops::replace_node::Data;
use crate::ops::replace_node::GROUP;
use crate::ops::site::Site;
use crate::ops::{drill, identity, recover, snapshot};
use futures::future::join_all;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long members may take to elect a leader before their quorum counts as lost.
const ELECTION: Duration = Duration::from_secs(20);

/// What the steps work with.
pub(super) struct Ground {
    pub(super) set: Set,
    /// The plain snapshot, compared with the manifest.
    pub(super) snapshot: Opened,
    /// Hosts on which members are to live.
    pub(super) hosts: Vec<Host>,
    pub(super) facts: Facts,
    pub(super) known: Option<Seen>,
}

pub(super) async fn gather(site: &Site, options: &Options, run: &Run) -> Result<Ground, Failure> {
    let set = find(site, &options.set)?;
    let told = set.manifest.snapshot.clone().ok_or_else(|| {
        Failure::new(format!("{} holds no snapshot of etcd", options.set))
            .hint("kopsrun backup list shows which sets have keys")
    })?;
    let snapshot = opened(site, &set).await?;
    let group = site.inventory.group_hosts(GROUP).unwrap_or_default();
    if group.is_empty() {
        return Err(Failure::new(format!(
            "the inventory has no group '{GROUP}' with hosts in it"
        )));
    }
    let connected = join_all(group.iter().map(|name| site.host(name))).await;
    let (mut hands, mut closed): (Vec<Hand>, Vec<(String, String)>) = Default::default();
    for (name, result) in group.iter().zip(connected) {
        match result {
            Ok(hand) => hands.push(hand),
            Err(why) => closed.push((name.to_string(), Failure::from(why).message)),
        }
    }
    // A host that is said to be off and answers isn't off.
    if let Some(hand) = hands
        .iter()
        .find(|h| options.wishes.fenced.contains(&h.name))
    {
        return Err(Failure::new(format!(
            "{} is named as fenced, but it can be entered: it isn't off",
            hand.name
        ))
        .hint("leave --fenced away: its etcd is stopped and its data are moved aside like the others'"));
    }
    let mut hosts = Vec::new();
    for hand in &hands {
        hosts.push(one(site, &set, hand).await?);
    }
    bring(options, run, &mut hosts).await?;
    let (quorum, alive) = quorum(&hands).await;
    let known = Known::read(&site.backups)?.0.remove(&site.cluster);
    let foreign = foreign(&set, known.as_ref(), &hosts).await;
    let peers = peers(site, &set, &hosts, &closed).await;
    let shut: Vec<String> = closed
        .iter()
        .flat_map(|(host, _)| addresses(site, host))
        .collect();
    let strangers = told
        .members
        .iter()
        .filter(|m| {
            !m.peer_urls
                .iter()
                .any(|url| peers.contains(url) || is_at(url, &shut))
        })
        .map(|m| m.name.clone())
        .collect();
    let (seen_revision, seen_where) = last_seen(&told, known.as_ref(), &alive);
    let indices = alive.iter().map(|(_, _, index)| *index);
    let raft_index = indices
        .chain(known.as_ref().map(|seen| seen.raft_index))
        .chain([told.raft_index])
        .max()
        .unwrap_or_default();
    let facts = Facts {
        set: set.manifest.set.clone(),
        set_version: Version::parse(&told.etcd_version),
        set_revision: told.summary.revision,
        set_size: told.size,
        verified: set.mark().is_some(),
        foreign,
        quorum,
        machines: hosts.iter().map(|h| h.machine.clone()).collect(),
        closed,
        strangers,
        seen_revision,
        seen_where,
        raft_index,
        earlier: earlier(site, run)?,
    };
    Ok(Ground {
        set,
        snapshot,
        hosts,
        facts,
        known,
    })
}

fn find(site: &Site, name: &str) -> Result<Set, Failure> {
    let Found { sets, damaged } = backup::list(&site.backups)?;
    if let Some((_, error)) = damaged.into_iter().find(|(set, _)| set == name) {
        return Err(Failure::new(format!("{name} can't be restored: {error}")));
    }
    let found = sets.into_iter().find(|set| set.manifest.set == name);
    found.ok_or_else(|| {
        Failure::new(format!("there is no backup set {name}"))
            .hint("list them: kopsrun backup list")
    })
}

/// The plain snapshot of a set of which every file was compared with the manifest.
async fn opened(site: &Site, set: &Set) -> Result<Opened, Failure> {
    let (of, keys) = (set.clone(), site.backup_keys.clone());
    let work = move || {
        let verdict = snapshot::verify(&of, &keys);
        let nodes_missing = of.manifest.missing.len();
        // What a partial set lacks is told where it is needed.
        if verdict.wrong.len() > nodes_missing {
            return Err(Failure::new(format!(
                "{} can't be restored: {}",
                of.manifest.set,
                verdict.wrong.join("; ")
            )));
        }
        let told = of.manifest.snapshot.as_ref();
        let told = told.ok_or_else(|| Failure::new("there is no snapshot of etcd in it"))?;
        Ok(snapshot::open(&of, told, &keys)?)
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Failure::new(error.to_string()))?
}

/// One host: its settings, or those that it had; what runs and lies there.
async fn one(site: &Site, set: &Set, hand: &Hand) -> Result<Host, Failure> {
    let failed = |error: std::io::Error| Failure::new(format!("{}: {error}", hand.name));
    let there = settings_of::settings(hand).await.map_err(failed)?;
    let archived = match &there {
        Some(_) => None,
        None => archived(site, set, &hand.name)?,
    };
    let (settings, from) = match (there, &archived) {
        (Some(settings), _) => (Some(settings), hand as &dyn Door),
        (None, Some(door)) => (
            settings_of::settings(door).await.map_err(failed)?,
            door as &dyn Door,
        ),
        (None, None) => (None, hand as &dyn Door),
    };
    let settings = settings.ok_or_else(|| {
        Failure::new(format!(
            "{} has no settings of etcd, and {} holds none of it",
            hand.name, set.manifest.set
        ))
        .hint("restore on the other hosts (take it out of the group), then: kopsrun replace-node OLD --with NEW")
    })?;
    let unit = from
        .read(host::UNIT)
        .await
        .map_err(failed)?
        .map(|text| String::from_utf8_lossy(text.expose()).into_owned());
    host::look(hand, settings, unit.as_deref(), archived.is_some()).await
}

fn archived(site: &Site, set: &Set, node: &str) -> Result<Option<Archived>, Failure> {
    if set.manifest.node(node).is_none() {
        return Ok(None);
    }
    let (tar, _) = set.verified(node, &site.backup_keys)?;
    Ok(Some(Archived {
        node: node.to_owned(),
        tar,
    }))
}

/// Programs for hosts that lack them: from the directory that was named, or from a host that has them.
async fn bring(options: &Options, run: &Run, hosts: &mut [Host]) -> Result<(), Failure> {
    if hosts.iter().all(|h| h.machine.version.is_some()) {
        return Ok(());
    }
    let found = match &options.programs {
        Some(dir) => Programs::find(dir).await,
        None => {
            let dir = run.dir().join("programs");
            std::fs::create_dir_all(&dir)
                .map_err(|e| Failure::new(format!("{}: {e}", dir.display())))?;
            let donor = hosts.iter().find(|h| h.machine.version.is_some());
            match donor {
                Some(donor) => drill::bring(&donor.hand, &dir).await?,
                None => None,
            }
        }
    };
    let Some(programs) = found else {
        // The gates say which host lacks them.
        return Ok(());
    };
    let bumps = programs.bumps().await;
    for host in hosts.iter_mut().filter(|h| h.machine.version.is_none()) {
        host.take(&programs, bumps);
    }
    Ok(())
}

/// What a member that still answers says: its name, revision, raft index.
pub(in crate::ops) type Alive = (String, i64, u64);

/// A majority, if there is one; else whoever still runs.
pub(in crate::ops) async fn quorum(hands: &[Hand]) -> (Option<Quorum>, Vec<Alive>) {
    let begin = Instant::now();
    let (mut alive, mut majority) = (Vec::new(), 1);
    for tries in 1.. {
        let doors = hands
            .iter()
            .map(|hand| Arc::new(hand.clone()) as Arc<dyn Door>)
            .collect();
        let Ok(etcd) = Etcd::open(doors).await else {
            break;
        };
        if let Ok(view) = etcd.view().await {
            let voters = view.voters();
            if !view.stale && voters.has_quorum() {
                let unwell = view.members.iter().filter(|s| !s.healthy());
                let found = Quorum {
                    cluster_id: view.cluster_id,
                    healthy: voters.healthy,
                    voters: voters.total,
                    unwell: unwell.map(|s| s.member.label().to_owned()).collect(),
                };
                return (Some(found), Vec::new());
            }
            majority = voters.quorum();
            alive = view
                .members
                .iter()
                .filter(|seen| !matches!(seen.health, Health::Unstarted))
                .filter_map(|seen| Some((seen, seen.status.as_ref()?)))
                .map(|(seen, s)| (seen.member.label().to_owned(), s.revision, s.raft_index))
                .collect();
        }
        // With fewer processes than a majority nobody can be elected; one may just be starting, so they are asked again.
        if begin.elapsed() > ELECTION || (alive.len() < majority && tries > 2) {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    (None, alive)
}

/// Why the set isn't known to be of this cluster.
async fn foreign(set: &Set, known: Option<&Seen>, hosts: &[Host]) -> Option<String> {
    if let Some(seen) = known {
        return identity::belongs(set, seen).err();
    }
    let mut print = Fingerprint::default();
    for host in hosts {
        if let Some(Data::Of(identity)) = host.data {
            print.etcd_cluster_id = format!("{:x}", identity.cluster);
        }
        for path in AUTHORITIES {
            if let Ok(Some(content)) = host.hand.read(path).await
                && let Some(info) = CertificateInfo::read(content.expose())
            {
                let entry = print.authorities.entry((*path).to_owned());
                entry.or_insert(info.spki_sha256);
            }
        }
    }
    if print == Fingerprint::default() {
        return Some(
            "nothing says which cluster this is: no host has data or certificates, and it was never seen from here"
                .to_owned(),
        );
    }
    let here = Seen {
        fingerprint: print,
        ..Seen::default()
    };
    identity::belongs(set, &here).err()
}

/// Peer URLs of all hosts of the group, of those that can't be entered as the set has them.
async fn peers(
    site: &Site,
    set: &Set,
    hosts: &[Host],
    closed: &[(String, String)],
) -> BTreeSet<String> {
    let mut urls: BTreeSet<String> = hosts
        .iter()
        .flat_map(|h| h.machine.place.peer_urls.clone())
        .collect();
    for (host, _) in closed {
        if let Ok(Some(door)) = archived(site, set, host)
            && let Ok(Some(settings)) = settings_of::settings(&door).await
        {
            urls.extend(settings.peer_urls());
        }
    }
    urls
}

/// Addresses and names by which the inventory knows a host.
pub(in crate::ops) fn addresses(site: &Site, host: &str) -> Vec<String> {
    let variables = [
        "etcd_access_address",
        "etcd_address",
        "access_ip",
        "ip",
        "ansible_host",
    ];
    let told = variables
        .iter()
        .filter_map(|name| (site.variable)(host, name));
    told.chain([host.to_owned()]).collect()
}

/// The URL is at one of these addresses.
pub(in crate::ops) fn is_at(url: &str, addresses: &[String]) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.rsplit_once(':').map_or(rest, |(host, _)| host);
    let host = host.trim_matches(['[', ']']);
    addresses.iter().any(|address| address == host)
}

/// The highest revision that anybody knows of, and who.
fn last_seen(
    told: &backup::manifest::Snapshot,
    known: Option<&Seen>,
    alive: &[Alive],
) -> (i64, String) {
    let mut all: BTreeMap<i64, String> = BTreeMap::new();
    all.insert(
        told.summary.revision,
        "which is that of the set itself".to_owned(),
    );
    if let Some(seen) = known {
        let when = seen.at.strftime("%Y-%m-%d %H:%M:%S UTC");
        all.insert(seen.revision, format!("seen from here at {when}"));
    }
    for (member, revision, _) in alive {
        all.insert(*revision, format!("which {member} has now"));
    }
    all.pop_last().unwrap_or_default()
}

/// What the newest restore that came to no end had decided.
fn earlier(site: &Site, run: &Run) -> Result<Option<Intent>, Failure> {
    let runs = journal::list(&site.runs).map_err(|e| Failure::new(e.to_string()))?;
    let unfinished = runs.into_iter().rev().find(|other| {
        [COMMAND, recover::COMMAND].contains(&other.meta.command.as_str())
            && other.meta.inventory == run.meta().inventory
            && site.runs.join(&other.meta.id).join(INTENT).exists()
    });
    let Some(other) = unfinished else {
        return Ok(None);
    };
    if other.state == State::Ended(RunEnd::Done) {
        return Ok(None);
    }
    let text = std::fs::read(site.runs.join(&other.meta.id).join(INTENT));
    Ok(text
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok()))
}

impl Host {
    /// A program and one that restores come from this machine.
    fn take(&mut self, programs: &Programs, bumps: bool) {
        let dir = self.program.rsplit_once('/').map_or("", |(dir, _)| dir);
        let name = programs.restorer.file_name().unwrap_or_default();
        self.restorer = format!("{dir}/{}", name.to_string_lossy());
        self.bring = vec![
            (programs.etcd.clone(), self.program.clone()),
            (programs.restorer.clone(), self.restorer.clone()),
        ];
        self.machine.version = Some(programs.version);
        self.machine.bumps = bumps;
    }
}
