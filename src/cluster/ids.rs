//! The ids that etcd gives to a new cluster and its members: they follow from addresses and a token, so it is known before
//! the start whose data a directory must hold (etcd server/etcdserver/api/membership: `computeMemberId`, `genID`).

use sha1::{Digest, Sha1};

/// The id of a member of a new cluster.
pub fn member_id(peer_urls: &[String], token: &str) -> u64 {
    let mut urls = peer_urls.to_vec();
    urls.sort();
    first(&Sha1::digest(format!("{}{token}", urls.concat())))
}

/// The id of a new cluster with these members.
pub fn cluster_id(members: &[u64]) -> u64 {
    let mut ids = members.to_vec();
    ids.sort_unstable();
    let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_be_bytes()).collect();
    first(&Sha1::digest(bytes))
}

fn first(sum: &[u8]) -> u64 {
    sum.iter()
        .take(8)
        .fold(0, |id, byte| id << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The cluster that `etcd` makes without any arguments, as every etcdctl shows it.
    #[test]
    fn ids_are_those_of_etcd() {
        let member = member_id(&["http://localhost:2380".to_owned()], "etcd-cluster");
        assert_eq!(format!("{member:x}"), "8e9e05c52164694d");
        assert_eq!(format!("{:x}", cluster_id(&[member])), "cdf818194e3a8c32");
    }
}
