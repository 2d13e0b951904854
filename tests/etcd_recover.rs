//! `kopsrun etcd recover` and `etcd coldstart` on real machines with real etcd. Needs root and the lab; required, never
//! skipped.

#![allow(
    clippy::print_stdout,
    reason = "how long a recovery took is worth knowing"
)]

mod lab;

use lab::Lab;

const NODES: [&str; 3] = ["node1", "node2", "node3"];

fn keys(lab: &Lab, host: &str) -> Vec<String> {
    let keys = lab.etcdctl(host, &["get", "", "--from-key", "--keys-only"]);
    keys.split_whitespace().map(str::to_owned).collect()
}

/// The data of a member are gone, the machine lives on.
fn lose(lab: &Lab, host: &str) {
    let script = "systemctl kill -s KILL etcd; systemctl stop etcd; rm -rf /var/lib/etcd/*; systemctl reset-failed etcd || true";
    lab.run(&["sh", host, "sh", "-c", script]);
}

/// k0sctl#561: after a full stop, a tool that starts one controller and waits for it waits for ever.
#[test]
fn members_of_a_stopped_cluster_are_started_together() {
    let lab = Lab::with_etcd("coldstart", "35");
    lab.etcdctl("node1", &["put", "before", "kept"]);
    lab.succeed(&["etcd", "coldstart", "--yes"])
        .says(0, &["already true", "3 of 3 voters serve"]);
    for host in NODES {
        lab.run(&["sh", host, "systemctl", "disable", "-q", "--now", "etcd"]);
    }
    lab.kopsrun(&["etcd", "coldstart", "--plan"])
        .says(0, &["node1, node2, node3", "nothing was changed"]);
    lab.kopsrun(&["etcd", "coldstart"])
        .says(5, &["not confirmed"]);
    // Data of a majority are no reason to lose any.
    lab.kopsrun(&["etcd", "recover", "--yes"])
        .says(5, &["are a majority", "kopsrun etcd coldstart"]);
    lab.run(&["kill", "node3"]);
    let done = lab.succeed(&["etcd", "coldstart", "--yes"]);
    done.says(
        0,
        &[
            "node3 can't be reached, and is left out",
            "2 of 3 voters serve, 0 more",
        ],
    );
    println!("two of three members started in {:?}", done.took);
    let kept = lab.etcdctl("node2", &["get", "before", "--print-value-only"]);
    assert_eq!(kept.trim(), "kept");
    assert_eq!(lab.ssh("node1", "systemctl is-enabled etcd"), "enabled");
    // Fewer than a majority are not begun with: recover is for them.
    lose(&lab, "node2");
    lab.kopsrun(&["etcd", "coldstart", "--yes"])
        .says(5, &["1 of 3 hosts", "2 are needed", "kopsrun etcd recover"]);
}

/// The survivor's keys are all there, on two members that serve, and old data lie aside.
#[track_caller]
fn is_recovered(lab: &Lab, wanted: &[String], when: &str) {
    for host in &NODES[..2] {
        assert_eq!(keys(lab, host), wanted, "{when}: {host}");
        let enabled = lab.ssh(host, "systemctl is-enabled etcd; ls /var/lib/etcd");
        assert!(enabled.starts_with("enabled"), "{when}: {host}: {enabled}");
    }
    let old = lab.attempt(&["etcdctl", "node1", "get", "key0", "--rev", "3"]);
    assert!(old.text().contains("compacted"), "{when}: {old}");
}

#[test]
fn a_lost_quorum_is_recovered_from_the_data_of_a_survivor() {
    let lab = Lab::with_etcd("recover", "35");
    let mut wanted = Vec::new();
    for number in 0..5 {
        let key = format!("key{number}");
        lab.etcdctl("node1", &["put", &key, "kept"]);
        wanted.push(key);
    }
    lab.kopsrun(&["etcd", "recover", "--yes"])
        .says(5, &["has its quorum: 3 of 3"]);
    lab.run(&["kill", "node3"]);
    // The last that was acknowledged by a majority, never in any backup.
    lab.etcdctl("node1", &["put", "key5", "kept"]);
    wanted.push("key5".to_owned());
    lose(&lab, "node2");
    lab.kopsrun(&["etcd", "recover", "--yes"]).says(
        5,
        &["node3 can't be reached", "may still run", "--fenced node3"],
    );
    let fenced = ["etcd", "recover", "--fenced", "node3"];
    lab.kopsrun(&[&fenced[..], &["--plan"]].concat())
        .says(0, &["node1: its log goes to entry", "nothing was changed"]);
    assert_eq!(
        lab.ssh("node1", "systemctl is-active etcd || true"),
        "active"
    );
    let yes = [&fenced[..], &["--yes"]].concat();
    let done = lab.kopsrun(&yes);
    done.says(
        0,
        &[
            "the data of node1 have 6 keys",
            "VERIFIED",
            "2 members serve the same 6 keys",
        ],
    );
    println!("recovered from a survivor in {:?}", done.took);
    is_recovered(&lab, &wanted, "at once");
    let list = lab.succeed(&["backup", "list"]).stdout;
    assert_eq!(
        list.matches("VERIFIED").count(),
        2,
        "before and after: {list}"
    );

    let mut kills = 0;
    for (n, moment) in [
        ("step_started", "rescue", 200),
        ("step_started", "rescue", 1200),
        ("step_succeeded", "rescue", 0),
        ("step_started", "aside", 100),
        ("step_succeeded", "restore", 0),
        ("step_started", "start", 300),
    ]
    .into_iter()
    .enumerate()
    {
        let when = format!("killed {} ms after {} {}", moment.2, moment.0, moment.1);
        let key = format!("more{n}");
        lab.etcdctl("node1", &["put", &key, "kept"]);
        wanted.push(key);
        lose(&lab, "node2");
        kills += usize::from(lab.kill_at(&yes, moment));
        let again = match n % 2 {
            0 => lab.kopsrun(&yes),
            _ => lab.kopsrun(&["resume", "last", "--yes"]),
        };
        println!("{when}: then {:?}", again.took);
        assert_eq!(again.code, 0, "{when}: {again}");
        is_recovered(&lab, &wanted, &when);
    }
    assert!(kills >= 5, "only {kills} runs were killed before their end");
}

/// The survivor itself was killed, its log torn as it was, and its etcd has no etcdutl.
#[test]
fn data_of_a_killed_member_of_3_4_are_enough() {
    let lab = Lab::with_etcd("recover34", "34");
    for number in 0..20 {
        lab.etcdctl("node2", &["put", &format!("key{number:02}"), "kept"]);
    }
    let wanted = keys(&lab, "node2");
    assert_eq!(wanted.len(), 20);
    lose(&lab, "node1");
    lab.run(&["sh", "node2", "systemctl", "kill", "-s", "KILL", "etcd"]);
    lab.run(&["sh", "node2", "systemctl", "stop", "etcd"]);
    lose(&lab, "node3");
    let done = lab.kopsrun(&["etcd", "recover", "--yes"]);
    done.says(
        0,
        &[
            "the data of node2 have 20 keys",
            "3 members serve the same 20 keys",
        ],
    );
    println!("recovered from a killed survivor in {:?}", done.took);
    for host in NODES {
        assert_eq!(keys(&lab, host), wanted, "{host}");
    }
    lab.kopsrun(&["etcd", "recover", "--yes"])
        .says(5, &["has its quorum: 3 of 3"]);
}
