//! What is known before anything is decided, and what is decided once and for all tries of one restore.

use crate::cluster::ids;
use crate::cluster::throwaway::Version;
use serde::{Deserialize, Serialize};

/// A member of the cluster to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Name in the inventory.
    pub host: String,
    /// Name of the member.
    pub member: String,
    pub peer_urls: Vec<String>,
}

/// Written down before the first change; a later try of the same restore goes on with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    pub set: String,
    /// Makes the new cluster another one than the old, for its members too.
    pub token: String,
    pub members: Vec<Place>,
    /// By how much etcd's tool raises the revision; none: it can't.
    pub bump: Option<u64>,
    /// The revision that the new cluster has to have reached before it is used.
    pub revision: i64,
}

impl Intent {
    pub fn member_id(&self, place: &Place) -> u64 {
        ids::member_id(&place.peer_urls, &self.token)
    }

    pub fn cluster_id(&self) -> u64 {
        let members: Vec<u64> = self.members.iter().map(|m| self.member_id(m)).collect();
        ids::cluster_id(&members)
    }

    /// `name=url` of all members, as etcd wants it.
    pub fn initial_cluster(&self) -> String {
        let pairs = self.members.iter().flat_map(|m| {
            m.peer_urls
                .iter()
                .map(move |url| format!("{}={url}", m.member))
        });
        pairs.collect::<Vec<_>>().join(",")
    }
}

/// A host on which a member is to live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    pub place: Place,
    /// Of the program there, or of the one that will be brought.
    pub version: Option<Version>,
    /// The program there, or the one that will be brought, can raise the revision while restoring.
    pub bumps: bool,
    /// etcd is a static pod there.
    pub pod: bool,
    /// Free bytes where the data go; none: not known.
    pub free: Option<u64>,
}

/// A majority that answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quorum {
    pub cluster_id: u64,
    pub healthy: usize,
    pub voters: usize,
    /// Members that are unwell.
    pub unwell: Vec<String>,
}

/// Everything that decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    pub set: String,
    pub set_version: Option<Version>,
    pub set_revision: i64,
    /// Size of the unpacked snapshot.
    pub set_size: u64,
    /// A drill has proven the set.
    pub verified: bool,
    /// Why the set isn't known to be of this cluster.
    pub foreign: Option<String>,
    pub quorum: Option<Quorum>,
    pub machines: Vec<Machine>,
    /// Hosts of the group that can't be entered, and why.
    pub closed: Vec<(String, String)>,
    /// Members of the set that are on no host of the inventory.
    pub strangers: Vec<String>,
    /// The highest revision that anybody knows of, and where from.
    pub seen_revision: i64,
    pub seen_where: String,
    pub raft_index: u64,
    /// What an earlier try of the same restore had decided.
    pub earlier: Option<Intent>,
}

/// What the person said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wishes {
    /// Hosts and members that are off for certain.
    pub fenced: Vec<String>,
    pub unverified: bool,
    pub other_cluster: bool,
}
