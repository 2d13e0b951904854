//! Whose backup it is: told by what a cluster keeps over its life.

use super::manifest::NodeArchive;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What tells one cluster from another.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// etcd's id of the cluster in hexadecimal. A restore gives a new one.
    pub etcd_cluster_id: String,
    /// SHA-256 of the public keys of certificate authorities, by the path of their certificate.
    #[serde(default)]
    pub authorities: BTreeMap<String, String>,
    /// Of the namespace kube-system: Kubernetes' own way to name a cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kube_system_uid: Option<String>,
}

/// Whether two fingerprints are of one cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match {
    Same,
    /// They aren't, for this reason.
    Other(String),
}

/// Authorities that tell clusters apart: etcd's and Kubernetes' own, where kubespray and kubeadm keep them. What lies
/// elsewhere may be an authority that a whole company trusts.
pub const AUTHORITIES: &[&str] = &[
    "/etc/ssl/etcd/ssl/ca.pem",
    "/etc/kubernetes/pki/etcd/ca.crt",
    "/etc/kubernetes/ssl/etcd/ca.crt",
    "/etc/kubernetes/ssl/ca.crt",
    "/etc/kubernetes/pki/ca.crt",
];

impl Fingerprint {
    /// Compare with the cluster that is meant. `earlier` are ids that it had before it was restored.
    ///
    /// The namespace's id decides where both have one; then authorities: one that differs is another cluster. Without
    /// either, only etcd's id is left.
    pub fn compare(&self, meant: &Self, earlier: &BTreeSet<String>) -> Match {
        if let (Some(ours), Some(theirs)) = (&self.kube_system_uid, &meant.kube_system_uid)
            && ours != theirs
        {
            return Match::Other(format!(
                "its namespace kube-system has the id {ours}, that of this cluster {theirs}"
            ));
        }
        for (path, ours) in &self.authorities {
            if let Some(theirs) = meant.authorities.get(path)
                && ours != theirs
            {
                return Match::Other(format!(
                    "its certificate authority {path} has the key {}, that of this cluster {}",
                    short(ours),
                    short(theirs)
                ));
            }
        }
        let named = self.kube_system_uid.is_some() && self.kube_system_uid == meant.kube_system_uid;
        let known = self.etcd_cluster_id == meant.etcd_cluster_id
            || earlier.contains(&self.etcd_cluster_id);
        match named || known {
            true => Match::Same,
            false => Match::Other(format!(
                "its etcd has the cluster id {}, that of this cluster is {}",
                self.etcd_cluster_id, meant.etcd_cluster_id
            )),
        }
    }
}

/// The authorities that tell clusters apart, from archives of nodes. An error: nodes have different ones at one path.
pub fn authorities(nodes: &[NodeArchive]) -> Result<BTreeMap<String, String>, String> {
    let mut found: BTreeMap<String, (String, String)> = BTreeMap::new();
    for node in nodes {
        for (path, key) in node.authorities() {
            if !AUTHORITIES.contains(&path) {
                continue;
            }
            let (first, of) = found
                .entry(path.to_owned())
                .or_insert_with(|| (key.to_owned(), node.node.clone()));
            if first != key {
                return Err(format!(
                    "{path} is not the same authority on {of} and on {}",
                    node.node
                ));
            }
        }
    }
    Ok(found
        .into_iter()
        .map(|(path, (key, _))| (path, key))
        .collect())
}

fn short(key: &str) -> &str {
    key.get(..16).unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(id: &str, ca: Option<&str>, uid: Option<&str>) -> Fingerprint {
        Fingerprint {
            etcd_cluster_id: id.to_owned(),
            authorities: ca
                .map(|key| (AUTHORITIES[0].to_owned(), key.to_owned()))
                .into_iter()
                .collect(),
            kube_system_uid: uid.map(str::to_owned),
        }
    }

    #[test]
    fn clusters_are_told_apart() {
        let none = BTreeSet::new();
        let live = print("a1", Some("ca"), Some("uid"));
        let same = |other: &Fingerprint| other.compare(&live, &none) == Match::Same;
        assert!(same(&live));
        assert!(
            same(&print("b2", Some("ca"), Some("uid"))),
            "restored since"
        );
        assert!(same(&print("a1", None, None)));
        assert!(
            !same(&print("b2", Some("ca"), None)),
            "one authority for two clusters"
        );
        assert!(!same(&print("a1", Some("other"), Some("uid"))));
        assert!(!same(&print("a1", Some("ca"), Some("other"))));
        let earlier = BTreeSet::from(["b2".to_owned()]);
        assert_eq!(
            print("b2", Some("ca"), None).compare(&live, &earlier),
            Match::Same
        );
    }
}
