use super::*;
use crate::cluster::{Health, Status};

fn seen(id: u64, healthy: bool, learner: bool) -> Seen {
    let name = format!("etcd{id}");
    Seen {
        member: Member {
            id,
            peer_urls: vec![format!("https://10.0.0.{id}:2380")],
            client_urls: vec![format!("https://10.0.0.{id}:2379")],
            name,
            learner,
        },
        health: match (healthy, learner) {
            (true, true) => Health::Learning,
            (true, false) => Health::Healthy {
                took: Duration::from_millis(1),
            },
            _ => Health::Sick {
                reason: "no answer".to_owned(),
            },
        },
        status: healthy.then(|| Status {
            applied_index: 10_000,
            revision: 500,
            db_size: 100 << 20,
            db_in_use: 40 << 20,
            ..Status::default()
        }),
    }
}

/// Voters, of which the first so many are healthy; the first one leads.
fn cluster(voters: u64, healthy: u64) -> View {
    View {
        cluster_id: 1,
        members: (1..=voters)
            .map(|id| seen(id, id <= healthy, false))
            .collect(),
        leader: Some(1),
        ..View::default()
    }
}

fn refused(view: &View, deed: &Deed, words: &str) {
    let why = judge(view, deed).expect_err("refused");
    let text = format!("{} {}", why.message, why.hints.join(" "));
    assert!(text.contains(words), "no '{words}' in: {text}");
}

fn remove_member(id: u64) -> Deed {
    Deed::Remove(format!("etcd{id}"))
}

#[test]
fn nothing_changes_without_a_quorum() {
    let lost = cluster(3, 1);
    for deed in [
        remove_member(3),
        Deed::Compact { keep: 0 },
        Deed::Add("https://x:2380".into()),
    ] {
        refused(&lost, &deed, "quorum is lost: 1 of 3");
    }
}

/// RKE and kubeadm remove members without asking for the quorum; here no removal ever costs it.
#[test]
fn no_removal_costs_the_quorum_or_its_last_reserve() {
    for total in 1..=7 {
        for healthy in 1..=total {
            let view = cluster(total, healthy);
            for id in 1..=total {
                let Ok(plan) = judge(&view, &remove_member(id)) else {
                    continue;
                };
                let left = if id <= healthy { healthy - 1 } else { healthy };
                assert!(left > (total - 1) / 2, "{healthy} of {total}, without {id}");
                assert!(id > healthy || total > 3, "a healthy one of {total}");
                let leads = plan[0].contains("leadership away");
                assert_eq!(leads, id == 1, "{plan:?}");
            }
        }
    }
    refused(
        &cluster(3, 3),
        &remove_member(2),
        "replace-node NODE --with",
    );
    refused(&cluster(5, 4), &remove_member(2), "another member is dead");
    assert!(
        judge(&cluster(3, 2), &remove_member(3)).is_ok(),
        "a dead one"
    );
}

/// `grep node1` finds node10 too.
#[test]
fn names_are_whole_names() {
    let mut view = cluster(5, 5);
    refused(
        &view,
        &Deed::Remove("etcd".into()),
        "there is no member etcd",
    );
    refused(&view, &Deed::Remove("0".into()), "there are etcd1 (1)");
    view.members[4].member.name = "etcd1".to_owned();
    refused(&view, &remove_member(1), "several members are called etcd1");
    assert!(judge(&view, &Deed::Remove("5".into())).is_ok(), "by id");
}

#[test]
fn learners_come_one_at_a_time_and_level() {
    let url = Deed::Add("https://10.0.0.9:2380".into());
    assert!(judge(&cluster(3, 3), &url).is_ok());
    refused(&cluster(3, 2), &url, "etcd3 is unwell");
    refused(
        &cluster(3, 3),
        &Deed::Add("10.0.0.9".into()),
        "is not a peer URL",
    );
    refused(
        &cluster(3, 3),
        &Deed::Add("https://10.0.0.2:2380".into()),
        "belongs to etcd2",
    );
    let mut view = cluster(3, 3);
    view.members.push(seen(4, true, true));
    refused(&view, &url, "there is a learner already");
    let promotion = Deed::Promote("etcd4".into());
    assert!(judge(&view, &promotion).expect("level")[1].contains("4 voters, 4 healthy, 3 needed"));
    view.members[3]
        .status
        .as_mut()
        .expect("alive")
        .applied_index = 8_999;
    refused(&view, &promotion, "1001 entries behind");
    view.members[3].status = None;
    refused(&view, &promotion, "would count as dead");
    refused(&view, &Deed::Promote("etcd1".into()), "is a voter");
    refused(&view, &Deed::MoveLeader("etcd4".into()), "can't lead");
}

#[test]
fn databases_are_rewritten_when_it_pays_the_leader_last() {
    let all = Deed::Defragment {
        member: None,
        free: 50,
    };
    let plan = judge(&cluster(3, 3), &all).expect("well");
    assert_eq!(plan.len(), 3);
    assert!(plan[2].contains("etcd1"), "{plan:?}");
    refused(&cluster(3, 2), &all, "etcd3 is unwell");
    let strict = Deed::Defragment {
        member: None,
        free: 70,
    };
    assert!(judge(&cluster(3, 3), &strict).expect("well").is_empty());
}

#[test]
fn alarms_of_corruption_stay() {
    let mut view = cluster(3, 3);
    view.alarms.push("CORRUPT on etcd2".to_owned());
    refused(&view, &Deed::Disarm { corrupt: false }, "doesn't mend them");
    assert!(judge(&view, &Deed::Disarm { corrupt: true }).is_ok());
}

/// What other tools do wrong, each named after who does.
mod defects_of_peers {
    use super::*;

    /// A member that never comes up then counts for the quorum.
    #[test]
    fn rke_adds_a_voter_at_once() {
        let plan = judge(&cluster(3, 3), &Deed::Add("https://10.0.0.9:2380".into()));
        let plan = plan.expect("well");
        assert!(
            plan[0].contains("as a learner, which doesn't count"),
            "{plan:?}"
        );
        assert!(plan[1].contains("then 3 voters"), "{plan:?}");
    }

    /// `grep $hostname` in the member list.
    #[test]
    fn kubekey_removes_node10_where_node1_is_meant() {
        let mut view = cluster(5, 4);
        view.members[0].member.name = "node10".to_owned();
        view.members[4].member.name = "node1".to_owned();
        let plan = judge(&view, &Deed::Remove("node1".into())).expect("the dead one");
        assert!(plan[0].contains("node1 (5)"), "{plan:?}");
        view.members[4].member.name = "node2".to_owned();
        refused(
            &view,
            &Deed::Remove("node1".into()),
            "there is no member node1",
        );
    }

    /// `has_quorum = healthy >= unhealthy`, and then the data of the others are wiped.
    #[test]
    fn kubespray_takes_two_of_four_for_a_quorum() {
        refused(
            &cluster(4, 2),
            &remove_member(4),
            "quorum is lost: 2 of 4 voters serve, 3 are needed",
        );
    }

    /// Its restart handler takes half of the members at once: of four, two.
    #[test]
    fn kubespray_restarts_more_members_than_may_fail() {
        for members in 1..=7 {
            let voters = cluster(members, members).voters();
            let half = i64::try_from(members / 2).expect("small");
            let even = members % 2 == 0;
            assert_eq!(voters.tolerance() < half, even, "{members}");
        }
        let one = Deed::Defragment {
            member: None,
            free: 0,
        };
        refused(&cluster(4, 3), &one, "etcd4 is unwell");
    }

    /// One failed look schedules a removal, and nobody asks for the quorum before the next.
    #[test]
    fn kubeone_removes_one_member_after_the_other() {
        let view = cluster(5, 3);
        assert!(judge(&view, &remove_member(5)).is_ok(), "dead, with quorum");
        let mut then = cluster(4, 2);
        then.members[0].member.name = "etcd1".to_owned();
        refused(&then, &remove_member(4), "quorum is lost");
        refused(&view, &remove_member(1), "2 other members are dead");
    }

    /// On a long log that may be a million entries behind.
    #[test]
    fn etcd_promotes_a_learner_at_ninety_percent() {
        let mut view = cluster(3, 3);
        view.members.push(seen(4, true, true));
        let index = |view: &mut View, member: usize, index: u64| {
            view.members[member]
                .status
                .as_mut()
                .expect("alive")
                .applied_index = index;
        };
        index(&mut view, 0, 10_000_000);
        index(&mut view, 3, 9_900_000);
        refused(
            &view,
            &Deed::Promote("etcd4".into()),
            "100000 entries behind",
        );
    }

    /// Its own check counts members that have a name, dead or not.
    #[test]
    fn etcd_takes_a_started_member_for_a_healthy_one() {
        // Three voters with names, of which one is dead: without another one there is no quorum.
        let view = cluster(3, 2);
        refused(&view, &remove_member(2), "2 voters would be left");
    }
}
