//! What ends with a whole cluster.

use crate::cluster::Cluster;
use crate::lab::Lab;
use std::time::{Duration, Instant};

const ALL: [&str; 3] = ["node1", "node2", "node3"];

fn another_machine_takes_the_place(version: &str) {
    let cluster = Cluster::start(&format!("replace{version}"), version);
    let before = cluster.members("node1");
    cluster.lab.run(&["replace", "node3"]);

    // Nothing is believed of a machine with another key, and both keys are shown.
    let refused = cluster.replace("node3", &[]);
    refused.says(5, &["--accept-new-host-key node3", "known was"]);
    assert_eq!(
        refused.text().matches("SHA256:").count() % 2,
        0,
        "{refused}"
    );
    cluster
        .replace("node3", &["--accept-new-host-key", "node2"])
        .says(5, &["--accept-new-host-key node3"]);
    let stopped = cluster.lab.kopsrun(&["exec", "node3", "-m", "ping"]);
    stopped.says(4, &["SHA256:"]);
    assert_eq!(cluster.members("node1"), before, "nothing was changed");

    let planned = cluster.lab.succeed(&["replace-node", "node3", "--plan"]);
    planned.says(
        0,
        &[
            "SHA256:",
            "remove the dead member of node3",
            "add a learner",
            "make node3 a voter",
            "nothing was changed",
        ],
    );
    assert_eq!(cluster.members("node1"), before, "a plan changes nothing");

    let done = cluster.replace("node3", &["--accept-new-host-key", "node3"]);
    done.says(0, &["3 voters, all healthy, 1 more may fail"]);
    println!("replace-node with etcd {version}: {:?}", done.took);
    cluster.is_whole(ALL, "after the replacement");
    let old: Vec<_> = before
        .difference(&cluster.members("node1"))
        .cloned()
        .collect();
    assert_eq!(old.len(), 1, "one member went: {old:?}");

    // The key is known now, and the machine is one of the cluster's.
    cluster.lab.succeed(&["exec", "node3", "-m", "ping"]);
    let unchanged = cluster.members("node1");
    cluster
        .replace("node3", &[])
        .says(5, &["is healthy", "nothing was changed"]);
    assert_eq!(cluster.members("node1"), unchanged);
}

#[test]
fn another_machine_takes_the_place_of_a_dead_member_3_4() {
    another_machine_takes_the_place("34");
}

#[test]
fn another_machine_takes_the_place_of_a_dead_member_3_5() {
    another_machine_takes_the_place("35");
}

/// A cluster of three and a fourth host that has certificates and no member.
fn with_a_spare(name: &str) -> Cluster {
    let four = ["node1", "node2", "node3", "node4"];
    let lab = Lab::of(name, &four);
    lab.run(&[&["etcd", "35"], &four[..]].concat());
    lab.write_inventory();
    let cluster = Cluster::with(lab);
    let spare = cluster
        .members("node1")
        .into_iter()
        .find(|m| m.name == "etcd4")
        .expect("a fourth member");
    // etcd changes no members until all have been connected for five seconds.
    let id = format!("{:x}", spare.id);
    let begin = Instant::now();
    while cluster
        .lab
        .attempt(&["etcdctl", "node1", "member", "remove", &id])
        .code
        != 0
    {
        assert!(begin.elapsed() < Duration::from_secs(30), "{id} stays");
        std::thread::sleep(Duration::from_millis(300));
    }
    cluster.lab.ssh(
        "node4",
        "systemctl disable --now etcd; rm -rf /var/lib/etcd",
    );
    cluster
}

#[test]
fn a_member_moves_to_another_machine_and_back_from_a_dead_one() {
    let cluster = with_a_spare("with");
    let moved = cluster.replace("node3", &["--with", "node4"]);
    moved.says(0, &["3 voters, all healthy"]);
    cluster.is_whole(["node1", "node2", "node4"], "after the move");
    let active = "systemctl is-active etcd || true";
    assert_ne!(cluster.lab.ssh("node3", active), "active");

    cluster.lab.run(&["kill", "node4"]);
    let back = cluster.replace("node4", &["--with", "node3"]);
    back.says(0, &["3 voters, all healthy"]);
    cluster.is_whole(ALL, "after node4 was lost");
}

#[test]
fn a_healthy_member_is_set_up_anew_only_on_request() {
    let cluster = Cluster::start("inplace", "35");
    let before = cluster.members("node1");
    // Whoever leads: one of the two has to give the leadership away.
    for node in ["node2", "node3"] {
        cluster
            .replace(node, &["--in-place"])
            .says(0, &["3 voters"]);
        cluster.is_whole(ALL, node);
    }
    assert_eq!(before.intersection(&cluster.members("node1")).count(), 1);
}

#[test]
fn the_leader_is_replaced_the_moment_it_dies() {
    let cluster = Cluster::start("leader", "35");
    let leader = ALL
        .into_iter()
        .find(|host| {
            let text = cluster.etcdctl(host, &["endpoint", "status", "-w", "fields"]);
            let field = |name: &str| {
                let line = text.lines().find(|l| l.contains(name));
                line.and_then(|l| l.split(':').nth(1))
                    .map(str::trim)
                    .map(str::to_owned)
            };
            field("\"MemberID\"") == field("\"Leader\"")
        })
        .expect("a leader");
    cluster.lose(leader);
    // No leader now: the others elect one within a second or two, which is waited for.
    cluster
        .replace(leader, &[])
        .says(0, &["3 voters, all healthy"]);
    cluster.is_whole(ALL, "after the leader died");
}
