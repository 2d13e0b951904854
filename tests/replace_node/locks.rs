//! Two runs on one cluster at the same time.

use crate::cluster::Cluster;
use crate::lab::finish;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill")
        .args([&format!("-{name}"), &child.id().to_string()])
        .status();
    assert!(sent.expect("kill runs").success(), "{name} was sent");
}

/// k0sctl takes no lock in `apply`; that of Talos protects the look before an upgrade alone.
#[test]
fn the_second_run_is_refused_and_told_who_holds_the_lock() {
    let cluster = Cluster::start("locks", "35");
    cluster.lose("node3");
    let first = cluster.lab.start(&["replace-node", "node3", "--yes"]);
    let begin = Instant::now();
    while !cluster.lab.recorded("step_started", "prepare") {
        assert!(
            begin.elapsed() < Duration::from_secs(60),
            "it doesn't begin"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
    signal(&first, "STOP");

    let pid = first.id().to_string();
    cluster
        .replace("node3", &[])
        .says(6, &["replace-node", &pid, "since"]);
    // Another controller knows nothing of the file lock here; the cluster itself tells it.
    let elsewhere = tempfile::tempdir().expect("a directory");
    let mut other = cluster.lab.command(&["replace-node", "node3", "--yes"]);
    finish(other.env("XDG_STATE_HOME", elsewhere.path()))
        .says(6, &["the cluster is locked by", "replace-node", "since"]);

    signal(&first, "CONT");
    let ended = first.wait_with_output().expect("it ends");
    let told = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success(), "the first goes on: {told}");
    cluster.is_whole(["node1", "node2", "node3"], "after both");
}
