//! What is not done, why, and what can be done instead.

use crate::cluster::Cluster;

#[test]
fn nothing_is_done_that_the_cluster_cannot_bear() {
    let cluster = Cluster::start("refuse", "34");
    let before = cluster.members("node1");
    cluster
        .replace("node9", &[])
        .says(5, &["node9 is not in the inventory", "node1, node2, node3"]);
    cluster.replace("node3", &[]).says(
        5,
        &["the member of node3 is healthy", "--in-place", "--with"],
    );

    cluster.lab.ssh("node2", "systemctl stop etcd");
    cluster.replace("node3", &["--in-place"]).says(
        5,
        &[
            "another member is dead: etcd2 on node2",
            "kopsrun replace-node node2",
        ],
    );
    assert_eq!(cluster.members("node1"), before);
    // Its data are all there: it is not thrown away either.
    cluster
        .replace("node2", &[])
        .says(5, &["node2 still has the data", "systemctl restart etcd"]);
    assert_eq!(cluster.members("node1"), before);

    cluster.lab.ssh("node3", "systemctl stop etcd");
    for node in ["node2", "node3"] {
        cluster.replace(node, &[]).says(
            5,
            &[
                "quorum is lost: 1 of 3 voters run, 2 are needed",
                "etcd2 on node2",
                "etcd3 on node3",
            ],
        );
    }
    cluster.lab.ssh("node2", "systemctl start etcd");
    cluster.lab.ssh("node3", "systemctl start etcd");
    assert_eq!(cluster.members("node1"), before);
    cluster.is_whole(["node1", "node2", "node3"], "at the end");
}
