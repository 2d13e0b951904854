//! What `etcd status` shows.

use super::engine::Failure;
use super::replace_node::GROUP;
use super::site::Site;
use crate::cluster::door::Door;
use crate::cluster::{Etcd, Hand, Seen, View, holder};
use crate::journal::Holder;
use futures::future::join_all;
use serde::Serialize;
use std::sync::Arc;

/// The cluster now, and what kept it from being seen better.
#[derive(Debug, Serialize)]
pub struct Status {
    pub view: View,
    /// Hosts of the group through which the cluster can't be reached, and why.
    pub closed: Vec<(String, String)>,
    /// Who works on the cluster.
    pub lock: Option<Holder>,
}

/// Look at the cluster through all hosts of the group `etcd`. Changes nothing and needs no lock.
pub async fn etcd(site: &Site) -> Result<Status, Failure> {
    let (etcd, closed) = open(site).await?;
    let mut view = etcd.view().await?;
    let name = |s: &Seen| s.member.label().to_owned();
    view.members.sort_by_cached_key(name);
    let held = match view.stale {
        // Without a majority nobody can hold it, and asking takes its time.
        true => None,
        false => holder(&etcd).await.unwrap_or_default(),
    };
    Ok(Status {
        view,
        closed,
        lock: held.and_then(|text| serde_json::from_str(&text).ok()),
    })
}

/// Hands on the hosts of the group `etcd` that can be entered.
pub(super) async fn hands(site: &Site) -> Vec<Hand> {
    let group = site.inventory.group_hosts(GROUP).unwrap_or_default();
    let connected = join_all(group.iter().map(|name| site.host(name))).await;
    connected.into_iter().filter_map(Result::ok).collect()
}

/// A way into the cluster through the hosts of the group `etcd`, and the hosts that gave none, with the reason.
pub(super) async fn open(site: &Site) -> Result<(Etcd, Vec<(String, String)>), Failure> {
    let group = site.inventory.group_hosts(GROUP).unwrap_or_default();
    if group.is_empty() {
        return Err(Failure::new(format!(
            "the inventory has no group '{GROUP}' with hosts in it"
        )));
    }
    let connected = join_all(group.iter().map(|name| site.host(name))).await;
    let (mut doors, mut closed) = (Vec::new(), Vec::new());
    for (name, result) in group.iter().zip(connected) {
        match result {
            Ok(hand) => doors.push(Arc::new(hand) as Arc<dyn Door>),
            Err(why) => closed.push((name.to_string(), Failure::from(why).message)),
        }
    }
    let etcd = Etcd::open(doors).await.map_err(|error| {
        let failure = Failure::from(error);
        closed
            .iter()
            .fold(failure, |f, (host, why)| f.hint(format!("{host}: {why}")))
    })?;
    closed.extend(etcd.closed.iter().cloned());
    Ok((etcd, closed))
}
