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
