//! kill -9 of kopsrun at every step boundary and inside long steps, then the same command or `resume`.

use crate::cluster::Cluster;
use crate::lab::Lab;
use serde_json::Value;
use std::fs;
use std::time::{Duration, Instant};

/// When kopsrun is killed: so many milliseconds after this event (of this step) is in its record.
type Moment = (&'static str, &'static str, u64);

const MOMENTS: [Moment; 28] = [
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

/// The newest record has this event.
pub fn recorded(lab: &Lab, event: &str, step: &str) -> bool {
    let Some(run) = lab.runs().pop() else {
        return false;
    };
    let text = fs::read_to_string(run.join("events.jsonl")).unwrap_or_default();
    text.lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .any(|e| e["event"] == event && (step.is_empty() || e["step"] == step))
}

/// Starts a replacement and kills it at the moment; false if it came to its end before.
fn killed(cluster: &Cluster, (event, step, after): Moment) -> bool {
    let earlier = cluster.lab.runs().len();
    let mut child = cluster.lab.start(&["replace-node", "node3", "--yes"]);
    let begin = Instant::now();
    while cluster.lab.runs().len() == earlier || !recorded(&cluster.lab, event, step) {
        if child.try_wait().expect("a child").is_some() {
            return false;
        }
        assert!(
            begin.elapsed() < Duration::from_secs(60),
            "no {event} {step}"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(Duration::from_millis(after));
    let ended = child.try_wait().expect("a child").is_some();
    child.kill().expect("SIGKILL");
    child.wait().expect("it ends");
    !ended
}

#[test]
fn whenever_it_is_killed_the_next_run_finishes_the_job() {
    let cluster = Cluster::start("kills", "35");
    let mut kills = 0;
    for (n, moment) in MOMENTS.into_iter().enumerate() {
        let when = format!("killed {} ms after {} {}", moment.2, moment.0, moment.1);
        cluster.lose("node3");
        if killed(&cluster, moment) {
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
