//! Which member's data go furthest, and whether recovering from them is the right thing. Nothing is changed here.

use super::{Options, Rescued};
use crate::backup::Known;
use crate::backup::manifest::MemberThen;
use crate::backup::snapshot;
use crate::cluster::door::Door;
use crate::cluster::quorum::quorum;
use crate::cluster::wal::{self, Identity, Position};
use crate::cluster::{Etcd, Hand, identity};
use crate::ops::certificates;
use crate::ops::engine::Failure;
use crate::ops::replace_node::machine::quote;
use crate::ops::replace_node::{Data, GROUP};
use crate::ops::restore_etcd::gather;
use crate::ops::restore_etcd::host::{self, Host};
use crate::ops::site::Site;
use crate::ops::status;
use futures::future::join_all;
use std::io::Read;
use std::sync::Arc;

/// A host with data of the cluster.
pub(super) struct Survivor {
    pub(super) host: Host,
    pub(super) identity: Identity,
    pub(super) position: Position,
    /// Everybody that the cluster had, as far as it is known.
    pub(super) members: Vec<MemberThen>,
    /// Hosts of the group that can be entered.
    pub(super) hosts: Vec<String>,
}

pub(super) async fn choose(
    site: &Site,
    options: &Options,
) -> Result<(Survivor, Vec<String>), Failure> {
    let group = site.inventory.group_hosts(GROUP).unwrap_or_default();
    if group.is_empty() {
        return Err(Failure::new(format!(
            "the inventory has no group '{GROUP}' with hosts in it"
        )));
    }
    let connected = join_all(group.iter().map(|name| site.host(name))).await;
    let mut hands: Vec<Hand> = Vec::new();
    for (name, result) in group.iter().zip(connected) {
        match result {
            Ok(hand) => hands.push(hand),
            Err(_) if options.fenced.iter().any(|fenced| fenced == name.as_ref()) => {}
            Err(why) => {
                return Err(Failure::new(format!(
                    "{name} can't be reached, and its etcd may still run: {}",
                    Failure::from(why).message
                ))
                .hint("its data may go further than those of the others")
                .hint(format!(
                    "bring it back; or, if it is lost or off for certain: --fenced {name}"
                )));
            }
        }
    }
    if let (Some(quorum), _) = gather::quorum(&hands).await {
        return Err(Failure::new(format!(
            "the cluster has its quorum: {} of {} voters are healthy, so nothing has to be recovered",
            quorum.healthy, quorum.voters
        ))
        .hint("replace what is broken instead: kopsrun replace-node NODE"));
    }
    let mut found = Vec::new();
    for hand in &hands {
        if let Some((host, identity)) = data(hand).await? {
            let position = position(&host).await?;
            found.push((host, identity, position));
        }
    }
    let notes: Vec<String> = found
        .iter()
        .map(|(host, _, at)| {
            format!(
                "{}: its log goes to entry {} of term {}, of which it knew {} to be agreed on",
                host.hand.name, at.index, at.term, at.commit
            )
        })
        .collect();
    let all: Vec<(String, Identity, Position)> = found
        .iter()
        .map(|(host, identity, at)| (host.hand.name.clone(), *identity, *at))
        .collect();
    let index = furthest(&all, options.from.as_deref())?;
    if all.len() >= quorum(group.len()) && options.from.is_none() {
        let names: Vec<&str> = all.iter().map(|(host, ..)| host.as_str()).collect();
        return Err(Failure::new(format!(
            "{} have data of the cluster, and are a majority: started together they lose nothing",
            names.join(", ")
        ))
        .hint("start them: kopsrun etcd coldstart")
        .hint(format!(
            "if that fails, take the data that go furthest: --from {}",
            all[index].0
        )));
    }
    let members = members(&hands, &found[index].0).await;
    let known: Vec<String> = group
        .iter()
        .flat_map(|host| gather::addresses(site, host))
        .collect();
    let own: Vec<String> = found
        .iter()
        .flat_map(|(host, ..)| host.settings.peer_urls())
        .collect();
    let stranger = members.iter().find(|member| {
        let here = |url: &String| own.contains(url) || gather::is_at(url, &known);
        !member.peer_urls.iter().any(here) && !options.fenced.contains(&member.name)
    });
    if let Some(member) = stranger {
        return Err(Failure::new(format!(
            "the member {} of the cluster is on no host of the inventory, and may still run",
            member.name
        ))
        .hint(format!(
            "add its host to the group; or, when it is off for certain: --fenced {}",
            member.name
        )));
    }
    let (host, identity, position) = found.swap_remove(index);
    let mut told = notes;
    told.push(format!(
        "all that is in the log of {} counts as agreed on from then on; what the others may have had beyond it is lost",
        host.hand.name
    ));
    let survivor = Survivor {
        host,
        identity,
        position,
        members,
        hosts: hands.into_iter().map(|hand| hand.name).collect(),
    };
    Ok((survivor, told))
}

/// What was rescued before is still all that there is: the data of that host haven't gone further since, as they would in a
/// cluster that came back by other means.
pub(super) async fn is_all(site: &Site, rescued: &Rescued) -> Result<bool, Failure> {
    let hand = site.host(&rescued.host).await?;
    Ok(match data(&hand).await? {
        Some((host, identity)) if identity.cluster == rescued.cluster => {
            position(&host).await?.index <= rescued.index
        }
        // Those of the cluster that was made of the set: once it was verified, others may write to it. While it serves, what
        // is left to do is done; when it is lost in its turn, its own data count.
        Some((_, identity)) => {
            let known = Known::read(&site.backups)?.0.remove(&site.cluster);
            let id = format!("{:x}", identity.cluster);
            known.is_none_or(|seen| seen.fingerprint.etcd_cluster_id != id)
                || gather::quorum(&status::hands(site).await).await.0.is_some()
        }
        // Moved aside.
        None => true,
    })
}

/// Pure: the index of the one whose log goes furthest, or of the one that was named.
fn furthest(all: &[(String, Identity, Position)], named: Option<&str>) -> Result<usize, Failure> {
    if let Some(named) = named {
        return all
            .iter()
            .position(|(host, ..)| host == named)
            .ok_or_else(|| Failure::new(format!("{named} has no data of etcd that can be read")));
    }
    let best = all.iter().enumerate().max_by_key(|(_, (.., at))| *at);
    let Some((index, (first, identity, _))) = best else {
        return Err(Failure::new("no host has data of etcd that can be read")
            .hint("restore a backup: kopsrun backup list, then kopsrun restore etcd SET"));
    };
    let other = all
        .iter()
        .find(|(_, other, _)| other.cluster != identity.cluster);
    match other {
        Some((host, other, _)) => Err(Failure::new(format!(
            "the data of {first} are of the cluster {:x}, those of {host} of {:x}",
            identity.cluster, other.cluster
        ))
        .hint(format!("name the host whose data count: --from {first}"))),
        None => Ok(index),
    }
}

/// The host, when it has the data of a member.
async fn data(hand: &Hand) -> Result<Option<(Host, Identity)>, Failure> {
    let failed = |error: std::io::Error| Failure::new(format!("{}: {error}", hand.name));
    let Some(settings) = identity::settings(hand).await.map_err(failed)? else {
        return Ok(None);
    };
    let unit = hand.read(host::UNIT).await.map_err(failed)?;
    let unit = unit.map(|text| String::from_utf8_lossy(text.expose()).into_owned());
    let host = host::look(hand, settings, unit.as_deref(), false).await?;
    if host.machine.pod {
        return Err(Failure::new(format!(
            "etcd of {} is a static pod, which isn't recovered yet",
            hand.name
        ))
        .hint("its data can be copied from the node while the manifest is moved away; see etcd's --force-new-cluster"));
    }
    Ok(match host.data {
        Some(Data::Of(identity)) => Some((host, identity)),
        _ => None,
    })
}

/// How far the log of a host goes: its last two files, which a crash may have cut at any byte.
async fn position(host: &Host) -> Result<Position, Failure> {
    let script = format!(
        "ls {}/member/wal/*.wal 2>/dev/null | tail -n 2; exit 0",
        quote(&host.data_dir)
    );
    let names = host.hand.script(&script).await?;
    let names: Vec<&str> = names.lines().map(str::trim).collect();
    let tar = certificates::fetch(&host.hand, &names).await?;
    let unreadable = |error: std::io::Error| {
        Failure::new(format!(
            "the log of {} can't be read: {error}",
            host.hand.name
        ))
    };
    let mut files = Vec::new();
    for entry in tar::Archive::new(tar.expose().as_slice())
        .entries()
        .map_err(unreadable)?
    {
        let mut bytes = Vec::new();
        entry
            .map_err(unreadable)?
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
        files.push(bytes);
    }
    let files: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
    Ok(wal::position(&files))
}

/// All members as whoever runs lists them, else as the host was told at its beginning.
async fn members(hands: &[Hand], host: &Host) -> Vec<MemberThen> {
    let doors = hands
        .iter()
        .map(|hand| Arc::new(hand.clone()) as Arc<dyn Door>)
        .collect();
    if let Ok(etcd) = Etcd::open(doors).await
        && let Ok(view) = etcd.view().await
    {
        return view.members.iter().map(snapshot::then).collect();
    }
    let told = host.settings.initial_cluster().into_iter();
    told.map(|(name, url)| MemberThen {
        name,
        id: String::new(),
        peer_urls: vec![url],
        learner: false,
        version: None,
        raft_index: None,
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, cluster: u64, term: u64, index: u64) -> (String, Identity, Position) {
        let position = Position {
            term,
            index,
            commit: 0,
        };
        (name.to_owned(), Identity { member: 1, cluster }, position)
    }

    #[test]
    fn the_log_of_the_highest_term_goes_furthest() {
        let all = [
            host("a", 1, 3, 900),
            host("b", 1, 4, 100),
            host("c", 1, 4, 99),
        ];
        assert_eq!(furthest(&all, None).ok(), Some(1));
        assert_eq!(furthest(&all, Some("c")).ok(), Some(2));
        let none = furthest(&[], None).expect_err("nobody");
        assert!(none.hints[0].contains("restore etcd"));
        let two = [host("a", 1, 3, 900), host("b", 2, 4, 100)];
        let why = furthest(&two, None).expect_err("two clusters");
        assert!(why.message.contains("of the cluster 2") && why.hints[0].contains("--from b"));
    }
}
