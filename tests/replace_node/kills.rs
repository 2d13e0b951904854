//! kill -9 of kopsrun at every step boundary and inside long steps, then the same command or `resume`.

use crate::cluster::Cluster;
use crate::lab::Moment;

const MOMENTS: [Moment<'_>; 28] = [
    ("run_started", "", 0),
    ("run_started", "", 100),
    ("plan", "", 0),
    ("step_started", "fence", 0),
    ("step_succeeded", "fence", 0),
    ("step_started", "prepare", 0),
    ("step_started", "prepare", 120),
    ("step_started", "prepare", 300),
    ("step_started", "prepare", 500),
    ("step_started", "prepare", 700),
    ("step_succeeded", "prepare", 0),
    ("step_started", "certificates", 0),
    ("step_started", "certificates", 60),
    ("step_succeeded", "certificates", 0),
    ("step_started", "remove-member", 0),
    ("step_started", "remove-member", 150),
    ("step_succeeded", "remove-member", 0),
    ("step_started", "add-learner", 0),
    ("step_succeeded", "add-learner", 0),
    ("step_started", "start", 0),
    ("step_started", "start", 100),
    ("step_started", "start", 250),
    ("step_started", "start", 450),
    ("step_succeeded", "start", 0),
    ("step_succeeded", "catch-up", 0),
    ("step_started", "promote", 0),
    ("step_succeeded", "promote", 0),
    ("step_started", "verify", 0),
];

#[test]
fn whenever_it_is_killed_the_next_run_finishes_the_job() {
    let cluster = Cluster::start("kills", "35");
    let mut kills = 0;
    for (n, moment) in MOMENTS.into_iter().enumerate() {
        let when = format!("killed {} ms after {} {}", moment.2, moment.0, moment.1);
        cluster.lose("node3");
        if cluster
            .lab
            .kill_at(&["replace-node", "node3", "--yes"], moment)
        {
            kills += 1;
        }
        let again = match n % 2 {
            0 => cluster.replace("node3", &[]),
            _ => cluster.lab.kopsrun(&["resume", "last", "--yes"]),
        };
        println!("{when}: then {:?}", again.took);
        assert_eq!(again.code, 0, "{when}: {again}");
        cluster.is_whole(["node1", "node2", "node3"], &when);
    }
    assert!(
        kills >= 25,
        "only {kills} runs were killed before their end"
    );
}
