//! An etcd cluster of the lab, looked at with etcdctl: what kopsrun says of it is not asked.

use crate::lab::{Lab, Ran};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const KEY: &str = "canary";
const VALUE: &str = "written before the disaster";

/// One member as `etcdctl member list` shows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    pub id: u64,
    pub name: String,
    pub learner: bool,
    pub started: bool,
}

/// Three members on node1, node2 and node3, with data in them and a backup of all certificates.
pub struct Cluster {
    pub lab: Lab,
}

impl Cluster {
    pub fn start(name: &str, version: &str) -> Self {
        Self::with(Lab::with_etcd(name, version))
    }

    pub fn with(lab: Lab) -> Self {
        let cluster = Self { lab };
        cluster.etcdctl("node1", &["put", KEY, VALUE]);
        cluster.lab.succeed(&["backup", "certs"]);
        cluster
    }

    /// What etcdctl prints on `host`. It gives up after five seconds, which the election after a death may outlast on a
    /// busy machine: then it is asked again, for a minute.
    #[track_caller]
    pub fn etcdctl(&self, host: &str, words: &[&str]) -> String {
        let words = [&["etcdctl", host], words].concat();
        let begin = Instant::now();
        loop {
            let ran = self.lab.attempt(&words);
            if ran.code == 0 {
                return ran.stdout;
            }
            let late = begin.elapsed() > Duration::from_secs(60);
            assert!(!late, "lab {words:?}: {ran}");
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    /// The list as the member of `via` has it.
    pub fn members(&self, via: &str) -> BTreeSet<Member> {
        let text = self.etcdctl(via, &["member", "list", "-w", "json"]);
        let list: Value = serde_json::from_str(&text).expect("JSON");
        list["members"]
            .as_array()
            .expect("a list of members")
            .iter()
            .map(|m| Member {
                id: m["ID"].as_u64().expect("an id"),
                name: m["name"].as_str().unwrap_or_default().to_owned(),
                learner: m["isLearner"].as_bool().unwrap_or(false),
                started: m["clientURLs"]
                    .as_array()
                    .is_some_and(|urls| !urls.is_empty()),
            })
            .collect()
    }

    /// Three started voters, one on each of these hosts; each serves the data by a linearizable read of its own; nothing of
    /// kopsrun's is left in the store.
    #[track_caller]
    pub fn is_whole(&self, hosts: [&str; 3], when: &str) {
        let members = self.members(hosts[0]);
        assert_eq!(members.len(), 3, "{when}: {members:?}");
        assert!(
            members.iter().all(|m| m.started && !m.learner),
            "{when}: {members:?}"
        );
        for host in hosts {
            let value = self.etcdctl(host, &["get", KEY, "--print-value-only"]);
            assert_eq!(value.trim_end(), VALUE, "{when}: on {host}");
        }
        let left = self.etcdctl(hosts[0], &["get", "--prefix", "/kopsrun", "--keys-only"]);
        assert_eq!(left.trim(), "", "{when}: keys are left");
    }

    /// Everything of etcd is gone from the machine, which itself lives on: as `lab replace`, in less time and with the old
    /// host key.
    pub fn lose(&self, host: &str) {
        let erase = "systemctl kill -s KILL etcd; systemctl disable -q --now etcd 2>/dev/null; \
             rm -rf /var/lib/etcd* /etc/ssl/etcd /etc/etcd.env /etc/systemd/system/etcd.service /usr/local/bin/etcd; \
             systemctl daemon-reload; systemctl reset-failed";
        self.lab.run(&["sh", host, "sh", "-c", erase]);
    }

    /// Replace the member of `node`; nobody is asked.
    pub fn replace(&self, node: &str, more: &[&str]) -> Ran {
        let words = [&["replace-node", node, "--yes"], more].concat();
        self.lab.kopsrun(&words)
    }
}
