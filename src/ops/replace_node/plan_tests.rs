use super::super::facts::Place;
use super::*;
use crate::cluster::wal::Identity;
use crate::cluster::{Status, View};
use proptest::prelude::*;
use std::time::Duration;

const CLUSTER: u64 = 77;

fn place(n: u64) -> Place {
    Place {
        host: format!("node{n}"),
        member: format!("etcd{n}"),
        peer_url: format!("https://10.0.0.{n}:2380"),
        client_url: format!("https://10.0.0.{n}:2379"),
    }
}

fn seen(n: u64, health: Health) -> Seen {
    let p = place(n);
    Seen {
        member: Member {
            id: n,
            name: p.member,
            peer_urls: vec![p.peer_url],
            client_urls: vec![p.client_url],
            learner: health == Health::Learning,
        },
        status: matches!(health, Health::Healthy { .. } | Health::Learning).then(|| Status {
            version: "3.5.16".into(),
            leader: 1,
            applied_index: 100,
            ..Status::default()
        }),
        health,
    }
}

fn well() -> Health {
    Health::Healthy {
        took: Duration::from_millis(2),
    }
}

fn dead() -> Health {
    Health::Sick {
        reason: "connection refused".into(),
    }
}

/// Three members with the third one's machine wiped; `states` are the healths of node1, node2…
fn facts(states: &[Health]) -> Facts {
    Facts {
        node: place(3),
        home: place(3),
        view: View {
            cluster_id: CLUSTER,
            members: (1..).zip(states).map(|(n, h)| seen(n, h.clone())).collect(),
            leader: Some(1),
            alarms: Vec::new(),
            stale: states.iter().filter(|h| **h == well()).count() < states.len() / 2 + 1,
        },
        hosts: Hosts(
            (1..=states.len() as u64)
                .map(|n| (n, format!("node{n}")))
                .collect(),
        ),
        term_stable: true,
        machine: Machine::Reachable {
            running: false,
            data: Data::None,
        },
        certificates: Certificates::Backup("20261120".into()),
        earlier: None,
        static_pod: false,
    }
}

fn actions(plan: &Plan) -> Vec<Action> {
    plan.steps
        .iter()
        .filter(|s| !s.done)
        .map(|s| s.action)
        .collect()
}

fn refusal(facts: &Facts, wishes: Wishes) -> String {
    let failure = plan(facts, wishes).expect_err("refused");
    assert!(
        !failure.hints.is_empty() || failure.message.contains("kubeadm"),
        "{failure:?}"
    );
    std::iter::once(failure.message)
        .chain(failure.hints)
        .collect::<Vec<_>>()
        .join("\n")
}

use Action::*;

#[test]
fn a_dead_member_goes_first_and_comes_back_as_a_learner() {
    let plan = plan(&facts(&[well(), well(), dead()]), Wishes::default()).expect("a plan");
    assert_eq!(plan.branch, Branch::RemoveFirst);
    assert_eq!(
        actions(&plan),
        [
            Fence, Prepare, Certify, Remove, AddLearner, Start, CatchUp, Promote, Verify
        ]
    );
    let bears: Vec<(usize, usize, i64)> = plan
        .steps
        .iter()
        .filter(|s| matches!(s.action, Fence | Remove | AddLearner | Promote))
        .map(|s| (s.after.voters, s.after.learners, s.after.tolerance))
        .collect();
    assert_eq!(bears, [(3, 0, 0), (2, 0, 0), (2, 1, 0), (3, 0, 1)]);
}

#[test]
fn a_lost_quorum_is_refused_with_what_to_do() {
    let text = refusal(&facts(&[well(), dead(), dead()]), Wishes::default());
    assert!(
        text.contains("quorum is lost: 1 of 3 voters run, 2 are needed"),
        "{text}"
    );
    assert!(
        text.contains("down: etcd2 on node2 (connection refused)"),
        "{text}"
    );
    assert!(
        text.contains("bring back 1 of them") && text.contains("snapshot"),
        "{text}"
    );
}

#[test]
fn with_one_dead_a_healthy_one_is_left_alone_whatever_is_wished() {
    let facts = facts(&[well(), dead(), well()]);
    for wishes in [
        Wishes::default(),
        Wishes {
            in_place: true,
            discard_data: true,
        },
    ] {
        let text = refusal(&facts, wishes);
        assert!(
            text.contains("another member is dead: etcd2 on node2"),
            "{text}"
        );
        assert!(text.contains("kopsrun replace-node node2"), "{text}");
    }
}

#[test]
fn a_healthy_member_is_replaced_only_on_request() {
    let mut facts = facts(&[well(), well(), well()]);
    facts.machine = Machine::Reachable {
        running: true,
        data: Data::Of(Identity {
            member: 3,
            cluster: CLUSTER,
        }),
    };
    let text = refusal(&facts, Wishes::default());
    assert!(
        text.contains("is healthy") && text.contains("--with NEWNODE"),
        "{text}"
    );

    let wishes = Wishes {
        in_place: true,
        ..Wishes::default()
    };
    let in_place = plan(&facts, wishes).expect("a plan");
    assert_eq!(in_place.branch, Branch::InPlace);
    assert_eq!(actions(&in_place)[..2], [Remove, Fence]);
    assert_eq!(
        in_place.steps.iter().map(|s| s.after.tolerance).min(),
        Some(0)
    );

    facts.view.leader = Some(3);
    let leader = plan(&facts, wishes).expect("a plan");
    assert_eq!(actions(&leader)[..2], [MoveLeader, Remove]);
}

#[test]
fn another_machine_joins_before_the_healthy_one_leaves() {
    let mut facts = facts(&[well(), well(), well()]);
    facts.home = place(6);
    let plan = plan(&facts, Wishes::default()).expect("a plan");
    assert_eq!(plan.branch, Branch::LearnerFirst);
    assert_eq!(
        actions(&plan),
        [
            Fence, Prepare, Certify, AddLearner, Start, CatchUp, Promote, Remove, Retire, Verify
        ]
    );
    assert_eq!(plan.steps.iter().map(|s| s.after.tolerance).min(), Some(1));
}

#[test]
fn in_place_is_refused_where_nothing_may_fail() {
    for states in [vec![well()], vec![well(), well()]] {
        let mut facts = facts(&states);
        facts.node = place(1);
        facts.home = place(1);
        let text = refusal(
            &facts,
            Wishes {
                in_place: true,
                discard_data: true,
            },
        );
        assert!(text.contains("add a member first"), "{text}");
    }
}

#[test]
fn every_gate_of_the_cluster_holds() {
    type Spoil = fn(&mut Facts);
    let cases: Vec<(&str, Spoil)> = vec![
        ("alarm: NOSPACE on node1", |f| {
            f.view.alarms.push("NOSPACE on node1".into());
        }),
        ("different leaders", |f| f.view.leader = None),
        ("leadership changed", |f| f.term_stable = false),
        ("static pod of kubeadm", |f| f.static_pod = true),
        ("more than one minor version apart", |f| {
            if let Some(status) = &mut f.view.members[0].status {
                status.version = "3.3.27".into();
            }
        }),
        ("20000 entries behind", |f| {
            if let Some(status) = &mut f.view.members[0].status {
                status.applied_index = 20_100;
            }
        }),
        ("is a learner that this run knows nothing of", |f| {
            f.view.members.push(seen(9, Health::Learning));
        }),
        ("can't be worked on: refused", |f| {
            f.machine = Machine::Unreachable(Failure::new("refused"));
        }),
        ("its etcd is stopped".trim_start_matches("its "), |f| {
            f.machine = Machine::Reachable {
                running: false,
                data: Data::Of(Identity {
                    member: 3,
                    cluster: CLUSTER,
                }),
            };
        }),
        ("holds something that isn't of this member", |f| {
            f.machine = Machine::Reachable {
                running: false,
                data: Data::Of(Identity {
                    member: 3,
                    cluster: 1,
                }),
            };
            f.view.members[2].member.id = 4;
        }),
        ("no backup", |f| {
            f.certificates = Certificates::Missing(Failure::new("no backup").hint("take one"));
        }),
    ];
    for (words, change) in cases {
        let mut facts = facts(&[well(), well(), dead()]);
        change(&mut facts);
        let text = refusal(&facts, Wishes::default());
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn neighbouring_minor_versions_are_fine() {
    let mut facts = facts(&[well(), well(), dead()]);
    if let Some(status) = &mut facts.view.members[0].status {
        status.version = "3.4.23".into();
    }
    assert!(plan(&facts, Wishes::default()).is_ok());
}

/// Killed at any moment, the same command finds its own traces and goes on.
#[test]
fn interrupted_runs_go_on_where_they_stopped() {
    let gone = facts(&[well(), well()]);
    let plan_of = |f: &Facts| plan(f, Wishes::default()).expect("a plan");
    assert_eq!(
        actions(&plan_of(&gone)),
        [
            Fence, Prepare, Certify, AddLearner, Start, CatchUp, Promote, Verify
        ]
    );

    let mut added = facts(&[well(), well(), Health::Unstarted]);
    added.view.members[2].member.learner = true;
    added.view.members[2].member.name.clear();
    added.certificates = Certificates::OnMachine;
    assert_eq!(
        actions(&plan_of(&added)),
        [Fence, Prepare, Start, CatchUp, Promote, Verify]
    );

    let mut started = facts(&[well(), well(), Health::Learning]);
    started.machine = Machine::Reachable {
        running: true,
        data: Data::Of(Identity {
            member: 3,
            cluster: CLUSTER,
        }),
    };
    started.certificates = Certificates::OnMachine;
    assert_eq!(
        actions(&plan_of(&started)),
        [Fence, Prepare, CatchUp, Promote, Verify]
    );

    let mut promoted = facts(&[well(), well(), well()]);
    promoted.machine = started.machine;
    promoted.earlier = Some(Intent {
        node: "node3".into(),
        home: "node3".into(),
        old: Some("99".into()),
        branch: Branch::RemoveFirst,
    });
    assert_eq!(actions(&plan_of(&promoted)), [Verify]);
}

#[test]
fn a_learner_whose_disk_was_lost_again_is_removed_first() {
    let mut facts = facts(&[well(), well(), dead()]);
    facts.view.members[2].member.learner = true;
    let plan = plan(&facts, Wishes::default()).expect("a plan");
    assert_eq!(actions(&plan)[..4], [Fence, Prepare, Certify, Remove]);
    assert_eq!(plan.steps.iter().map(|s| s.after.voters).min(), Some(2));
    assert_eq!(plan.steps.last().map(|s| s.after.voters), Some(3));
}

#[test]
fn a_member_that_came_back_is_not_taken_for_the_new_one() {
    let mut facts = facts(&[well(), well(), well()]);
    facts.earlier = Some(Intent {
        node: "node3".into(),
        home: "node3".into(),
        old: Some("3".into()),
        branch: Branch::RemoveFirst,
    });
    assert!(refusal(&facts, Wishes::default()).contains("is healthy"));
}

#[test]
fn names_that_are_part_of_others_are_not_mixed_up() {
    let mut facts = facts(&[well(), well(), dead()]);
    facts.view.members[0].member.name = "etcd33".into();
    let plan = plan(&facts, Wishes::default()).expect("a plan");
    assert_eq!(plan.old.map(|m| m.id), Some(3));
}

#[test]
fn a_new_host_key_is_shown_before_anything_is_looked_at() {
    let mut facts = facts(&[well(), well(), dead()]);
    facts.machine = Machine::NewKey {
        shown: "SHA256:new".into(),
        expected: vec!["SHA256:old".into()],
    };
    let plan = plan(&facts, Wishes::default()).expect("a plan");
    assert_eq!(actions(&plan)[0], ConfirmHostKey);
    assert!(
        plan.notes
            .iter()
            .any(|n| n.contains("SHA256:new") && n.contains("SHA256:old"))
    );
}

fn health() -> impl Strategy<Value = Health> {
    prop_oneof![3 => Just(well()), 1 => Just(dead()), 1 => Just(Health::Learning), 1 => Just(Health::Unstarted)]
}

proptest! {
    /// Whatever the cluster looks like: a plan never goes below the majority, never touches a healthy member that
    /// nobody gave up, and ends with every voter healthy and no learner.
    #[test]
    fn plans_are_safe(
        states in prop::collection::vec(health(), 1..8),
        node in 1u64..9,
        elsewhere: bool,
        in_place: bool,
        discard_data: bool,
    ) {
        let mut facts = facts(&states);
        facts.node = place(node);
        facts.home = if elsewhere { place(50) } else { place(node) };
        if let Ok(plan) = plan(&facts, Wishes { in_place, discard_data }) {
            prop_assert!(plan.steps.iter().all(|s| s.after.tolerance >= 0));
            let healthy = plan.old.as_ref().and_then(|m| facts.view.by_id(m.id)).is_some_and(Seen::healthy);
            if healthy {
                prop_assert!(in_place || elsewhere);
            }
            let end = plan.steps.last().expect("steps").after;
            prop_assert_eq!((end.learners, end.healthy), (0, end.voters));
            prop_assert_eq!(plan.steps.last().map(|s| s.action), Some(Verify));
        }
    }
}
