//! Members of an etcd cluster and what they say of themselves.

use super::quorum::Voters;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One line of the member list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    #[serde(with = "hex")]
    pub id: u64,
    /// Empty until the member has started for the first time.
    pub name: String,
    pub peer_urls: Vec<String>,
    pub client_urls: Vec<String>,
    pub learner: bool,
}

impl Member {
    /// It has started at least once and told the others its name. Says nothing of its health.
    pub fn started(&self) -> bool {
        !self.name.is_empty()
    }

    /// The name, or the peer URL of one that has no name yet.
    pub fn label(&self) -> &str {
        match (self.name.as_str(), self.peer_urls.first()) {
            ("", Some(url)) => url,
            ("", None) => "(no name)",
            (name, _) => name,
        }
    }
}

/// Member ids are shown as etcdctl shows them.
mod hex {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(id: &u64, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&format!("{id:x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        let text = String::deserialize(from)?;
        u64::from_str_radix(&text, 16).map_err(serde::de::Error::custom)
    }
}

/// What a member answers when it is asked for its status. Sizes are bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Status {
    pub version: String,
    /// Id of the member that it takes for the leader; 0: it knows none.
    pub leader: u64,
    pub raft_term: u64,
    pub raft_index: u64,
    pub applied_index: u64,
    pub revision: i64,
    pub db_size: i64,
    pub db_in_use: i64,
    pub learner: bool,
    pub errors: Vec<String>,
}

/// How well a member is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "health")]
pub enum Health {
    /// It answered a linearizable read, so a majority agrees with it.
    Healthy {
        #[serde(rename = "took_seconds", serialize_with = "seconds")]
        took: Duration,
    },
    /// A learner that answers; it serves no linearizable reads.
    Learning,
    /// In the list, and never started.
    Unstarted,
    Sick {
        reason: String,
    },
}

fn seconds<S: serde::Serializer>(took: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(took.as_secs_f64())
}

/// One member as it was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Seen {
    #[serde(flatten)]
    pub member: Member,
    #[serde(flatten)]
    pub health: Health,
    pub status: Option<Status>,
}

impl Seen {
    pub fn healthy(&self) -> bool {
        matches!(self.health, Health::Healthy { .. })
    }
}

/// The whole cluster at one moment, never from a cache.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct View {
    pub cluster_id: u64,
    pub members: Vec<Seen>,
    /// Id of the leader on which all healthy members agree.
    pub leader: Option<u64>,
    /// `NOSPACE on node1`, `CORRUPT on node2`.
    pub alarms: Vec<String>,
    /// No majority confirmed the member list: it may be old.
    pub stale: bool,
}

impl View {
    pub fn voters(&self) -> Voters {
        let voters = self.members.iter().filter(|s| !s.member.learner);
        Voters {
            total: voters.clone().count(),
            healthy: voters.filter(|s| s.healthy()).count(),
            learners: self.members.iter().filter(|s| s.member.learner).count(),
        }
    }

    pub fn by_id(&self, id: u64) -> Option<&Seen> {
        self.members.iter().find(|s| s.member.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_written_as_etcdctl_writes_them() {
        let member = Member {
            id: 0x8e9e_05c5_2164_694d,
            name: String::new(),
            peer_urls: vec!["https://10.0.0.3:2380".into()],
            client_urls: Vec::new(),
            learner: true,
        };
        let text = serde_json::to_string(&member).expect("json");
        assert!(text.contains(r#""id":"8e9e05c52164694d""#), "{text}");
        assert_eq!(serde_json::from_str::<Member>(&text).expect("back"), member);
        assert_eq!(member.label(), "https://10.0.0.3:2380");
    }
}
