//! `kopsrun etcd members|add|remove|promote|move-leader|defrag|compact|alarms|hashkv|quorum` against real etcd on real machines.
//! Needs root and the lab; required, never skipped.

mod lab;

use lab::Lab;
use serde_json::Value;
use std::time::{Duration, Instant};

/// A database of 16 MiB, which a test can fill.
fn small(lab: &Lab) {
    for host in ["node1", "node2", "node3"] {
        let script = "sed -i 's/^ETCD_QUOTA_BACKEND_BYTES=.*/ETCD_QUOTA_BACKEND_BYTES=16777216/' /etc/etcd.env; systemctl restart etcd";
        lab.run(&["sh", host, "sh", "-c", script]);
    }
    well(lab);
}

/// Wait until all members are; elections take their time on a busy machine.
#[track_caller]
fn well(lab: &Lab) {
    let begin = Instant::now();
    loop {
        let ran = lab.kopsrun(&["etcd", "status"]);
        if ran.text().contains("3 of 3 voters healthy") {
            return;
        }
        let late = begin.elapsed() > Duration::from_secs(180);
        assert!(!late, "{ran}");
        std::thread::sleep(Duration::from_millis(500));
    }
}

fn leader(lab: &Lab) -> String {
    let status = lab.kopsrun(&["etcd", "status", "--output", "json"]);
    let status: Value = serde_json::from_str(&status.stdout).expect("JSON");
    let members = status["view"]["members"].as_array().expect("members");
    let leader = status["view"]["leader"].as_u64().expect("a leader");
    let found = members
        .iter()
        .find(|m| m["id"] == format!("{leader:x}"))
        .expect("the leader");
    found["name"].as_str().expect("a name").to_owned()
}

#[test]
fn members_are_changed_where_the_quorum_bears_it() {
    let lab = Lab::with_etcd("members", "35");
    small(&lab);
    lab.succeed(&["etcd", "members"])
        .says(0, &["etcd1", "https://10.99.0.13:2380"]);
    lab.succeed(&["etcd", "hashkv"])
        .says(0, &["the same data at revision"]);
    lab.succeed(&["etcd", "quorum"]).says(
        0,
        &[
            "3 of 3 voters healthy, 2 needed, 1 more may fail",
            "any 1 of the healthy members may crash",
        ],
    );
    lab.succeed(&["etcd", "quorum", "--crashes", "2"])
        .says(0, &["the quorum goes with: etcd1 + etcd2"]);
    lab.succeed(&["etcd", "alarms"]).says(0, &["no alarm"]);

    let other = if leader(&lab) == "etcd2" {
        "etcd3"
    } else {
        "etcd2"
    };
    lab.kopsrun(&["etcd", "move-leader", other])
        .says(5, &["not confirmed"]);
    lab.succeed(&["etcd", "move-leader", other, "--yes"])
        .says(0, &["leads"]);
    assert_eq!(leader(&lab), other);
    lab.kopsrun(&["etcd", "remove", "etcd1", "--yes"])
        .says(5, &["is healthy, and 2 voters would be left"]);
    lab.kopsrun(&["etcd", "remove", "etcd9", "--yes"])
        .says(5, &["there is no member etcd9"]);

    space_is_won_back(&lab);
    learners_come_and_go(&lab);

    lab.run(&["kill", "node3"]);
    lab.kopsrun(&["etcd", "add", "https://10.99.0.14:2380", "--yes"])
        .says(5, &["etcd3 is unwell"]);
    lab.kopsrun(&["etcd", "defrag", "--yes"])
        .says(5, &["etcd3 is unwell"]);
    lab.succeed(&["etcd", "remove", "etcd3", "--check"])
        .says(0, &["would:", "2 voters, 2 healthy"]);
    lab.succeed(&["etcd", "remove", "etcd3", "--yes"])
        .says(0, &["is removed"]);
    let members = lab.succeed(&["etcd", "members"]).stdout;
    assert!(!members.contains("etcd3"), "{members}");
}

fn space_is_won_back(lab: &Lab) {
    let fill = r#"etcdctl() { ETCDCTL_API=3 /usr/local/bin/etcdctl --endpoints=https://127.0.0.1:2379 --cacert=/etc/ssl/etcd/ssl/ca.pem \
        --cert=/etc/ssl/etcd/ssl/admin-node1.pem --key=/etc/ssl/etcd/ssl/admin-node1-key.pem "$@"; }
        for n in $(seq 60); do head -c 700000 /dev/urandom | base64 -w0 | etcdctl put big 2>&1 | grep -q 'space exceeded' && exit 0; done; exit 1"#;
    lab.run(&["sh", "node1", "bash", "-c", fill]);
    lab.kopsrun(&["etcd", "alarms"]).says(2, &["NOSPACE"]);
    lab.kopsrun(&["etcd", "alarms", "--disarm", "--yes"])
        .says(2, &["would come back", "kopsrun etcd defrag"]);
    lab.succeed(&["etcd", "compact", "--keep", "0", "--yes"])
        .says(0, &["the history begins at revision"]);
    lab.succeed(&["etcd", "defrag", "--free", "10", "--yes"])
        .says(0, &["3 databases are rewritten"]);
    lab.succeed(&["etcd", "defrag", "--free", "90", "--yes"])
        .says(0, &["nothing to do"]);
    lab.succeed(&["etcd", "alarms", "--disarm", "--yes"])
        .says(0, &["no alarm is left"]);
    lab.run(&["etcdctl", "node1", "put", "again", "writable"]);
    lab.succeed(&["etcd", "hashkv"]).says(0, &["the same data"]);
}

fn learners_come_and_go(lab: &Lab) {
    let url = "https://10.99.0.14:2380";
    lab.kopsrun(&["etcd", "add", "10.99.0.14", "--yes"])
        .says(5, &["is not a peer URL"]);
    lab.succeed(&["etcd", "add", url, "--yes"])
        .says(0, &["is the learner"]);
    lab.kopsrun(&["etcd", "add", "https://10.99.0.15:2380", "--yes"])
        .says(5, &["there is a learner already"]);
    let list = lab.succeed(&["etcd", "members", "--output", "json"]);
    let list: Value = serde_json::from_str(&list.stdout).expect("JSON");
    let found = list
        .as_array()
        .expect("members")
        .iter()
        .find(|m| m["learner"] == true);
    let id = found.expect("the learner")["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    lab.kopsrun(&["etcd", "promote", &id, "--yes"])
        .says(5, &["would count as dead"]);
    lab.succeed(&["etcd", "remove", &id, "--yes"])
        .says(0, &["is removed"]);
    well(lab);
}
