//! What the plan rests on. Plain data, so that every situation can be made in a test.

use crate::cluster::wal;
use crate::cluster::{Member, View};
use crate::ops::engine::Failure;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything that was seen, at one moment.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The node whose member is replaced.
    pub node: Place,
    /// Where the new member will live: the same node, or the one of `--with`.
    pub home: Place,
    pub view: View,
    pub hosts: Hosts,
    /// Two looks at the cluster, a moment apart, saw the same raft term.
    pub term_stable: bool,
    /// The machine of `home`.
    pub machine: Machine,
    pub certificates: Certificates,
    /// What an interrupted run on the same node had set out to do.
    pub earlier: Option<Intent>,
    /// etcd is a static pod of kubeadm's.
    pub static_pod: bool,
}

/// By a member's id, the name in the inventory of the host that it lives on, as far as there is one.
#[derive(Debug, Clone, Default)]
pub struct Hosts(pub BTreeMap<u64, String>);

impl Hosts {
    /// What commands take: the host's name; the member's own name when no host of the inventory has it.
    pub fn host<'a>(&'a self, member: &'a Member) -> &'a str {
        self.0
            .get(&member.id)
            .map_or(member.label(), String::as_str)
    }

    /// What people read: the member's name, and its host where that is named otherwise.
    pub fn call(&self, member: &Member) -> String {
        match (member.label(), self.host(member)) {
            (label, host) if label == host => label.to_owned(),
            (label, host) => format!("{label} on {host}"),
        }
    }
}

/// A host as a place for a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Name in the inventory.
    pub host: String,
    /// Name of its member.
    pub member: String,
    pub peer_url: String,
    pub client_url: String,
}

impl Place {
    /// The member that lives here: by its address, which is unique, and otherwise by its name.
    pub fn find<'a>(&self, members: impl IntoIterator<Item = &'a Member>) -> Option<&'a Member> {
        let mut by_name = None;
        for member in members {
            if member.peer_urls.contains(&self.peer_url) {
                return Some(member);
            }
            if member.name == self.member {
                by_name = Some(member);
            }
        }
        by_name
    }
}

/// What is known of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Machine {
    Unreachable(Failure),
    /// It shows a host key that nobody has confirmed yet.
    NewKey {
        shown: String,
        expected: Vec<String>,
    },
    Reachable {
        /// An etcd process runs there.
        running: bool,
        data: Data,
    },
}

/// What lies in the data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Data {
    /// No directory, or an empty one.
    None,
    /// Written by this member.
    Of(wal::Identity),
    /// Something, and it can't be told whose.
    Unreadable,
}

/// Where the certificates of the new member come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Certificates {
    /// They lie on the machine already and fit.
    OnMachine,
    /// A backup set has them, and they fit. The text names the set.
    Backup(String),
    Missing(Failure),
}

/// What a run set out to do, kept in its record so that a later one recognises its own traces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    pub node: String,
    pub home: String,
    /// Id of the member that was to go, in hexadecimal; none when it was gone already.
    pub old: Option<String>,
    pub branch: Branch,
}

/// The order in which members change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Branch {
    /// The old member is dead or gone: remove it, then add the new one.
    RemoveFirst,
    /// The old member is healthy and the new one has another address: add, promote, then remove.
    LearnerFirst,
    /// The old member is healthy and has to go first, because the new one needs its address.
    InPlace,
}
