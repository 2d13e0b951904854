use super::super::facts::{Place, Quorum};
use super::*;

fn machine(host: &str) -> Machine {
    Machine {
        place: Place {
            host: host.to_owned(),
            member: format!("etcd-{host}"),
            peer_urls: vec![format!("https://{host}:2380")],
        },
        version: Version::parse("3.5.16"),
        bumps: true,
        pod: false,
        free: Some(10 << 30),
    }
}

fn lost() -> Facts {
    Facts {
        set: "cluster-1".to_owned(),
        set_version: Version::parse("3.5.16"),
        set_revision: 100,
        set_size: 1 << 20,
        verified: true,
        foreign: None,
        quorum: None,
        machines: ["a", "b", "c"].map(machine).to_vec(),
        closed: Vec::new(),
        strangers: Vec::new(),
        seen_revision: 130,
        seen_where: "seen yesterday".to_owned(),
        raft_index: 1_000,
        earlier: None,
    }
}

fn refused(facts: &Facts, wishes: &Wishes, words: &[&str]) {
    let why = plan(facts, wishes, "t").expect_err("refused");
    let text = format!("{} {}", why.message, why.hints.join(" "));
    for word in words {
        assert!(text.contains(word), "no '{word}' in: {text}");
    }
}

#[test]
fn a_lost_cluster_is_restored_beyond_what_it_may_have_reached() {
    let plan = plan(&lost(), &Wishes::default(), "t").expect("a plan");
    assert_eq!(plan.intent.bump, Some(1_201));
    assert_eq!(plan.intent.revision, 1_301);
    assert_eq!(
        plan.intent.initial_cluster(),
        "etcd-a=https://a:2380,etcd-b=https://b:2380,etcd-c=https://c:2380"
    );
    assert!(
        plan.notes[0].starts_with("LOST: 30 changes"),
        "{:?}",
        plan.notes
    );
}

#[test]
fn without_the_tool_the_revision_is_raised_by_writing() {
    let mut facts = lost();
    facts.machines[1].bumps = false;
    let decided = plan(&facts, &Wishes::default(), "t").expect("a plan");
    assert_eq!(decided.intent.bump, None, "all members or none");
    assert_eq!(decided.intent.revision, 130 + 1_071);
    facts.raft_index = 50_000_000;
    let far = plan(&facts, &Wishes::default(), "t").expect("a plan");
    assert_eq!(far.intent.revision, 130 + MOST);
}

#[test]
fn with_a_quorum_nothing_is_restored() {
    let mut facts = lost();
    facts.quorum = Some(Quorum {
        cluster_id: 7,
        healthy: 2,
        voters: 3,
        unwell: vec!["etcd3".to_owned()],
    });
    let all = Wishes {
        unverified: true,
        other_cluster: true,
        fenced: Vec::new(),
    };
    refused(
        &facts,
        &all,
        &["has its quorum: 2 of 3", "etcd3", "kopsrun replace-node"],
    );
    // Unless it is the one that an earlier try has started.
    let begun = decide(&facts, "before");
    facts.quorum.as_mut().expect("set").cluster_id = begun.cluster_id();
    facts.earlier = Some(begun.clone());
    let going_on = plan(&facts, &Wishes::default(), "t").expect("a plan");
    assert!(going_on.running);
    assert_eq!(going_on.intent, begun);
    // For other members it would be another cluster.
    facts.machines.pop();
    refused(&facts, &all, &["has its quorum"]);
}

#[test]
fn an_earlier_try_is_gone_on_with() {
    let mut facts = lost();
    facts.earlier = Some(decide(&facts, "before"));
    facts.raft_index = 99_999;
    let again = plan(&facts, &Wishes::default(), "t").expect("a plan");
    assert_eq!(
        (again.intent.token.as_str(), again.running),
        ("before", false)
    );
    assert_eq!(again.intent.bump, Some(1_201), "all members the same");
    facts.set = "cluster-2".to_owned();
    let other = plan(&facts, &Wishes::default(), "t").expect("a plan");
    assert_eq!(other.intent.token, "t");
}

#[test]
fn what_would_do_harm_is_refused() {
    let wishes = Wishes::default();
    let with = |change: fn(&mut Facts)| {
        let mut facts = lost();
        change(&mut facts);
        facts
    };
    refused(
        &with(|f| f.verified = false),
        &wishes,
        &["not verified", "backup drill cluster-1", "--unverified"],
    );
    refused(
        &with(|f| f.foreign = Some("its CA".to_owned())),
        &wishes,
        &["another cluster: its CA", "--other-cluster"],
    );
    let unreachable = with(|f| {
        f.machines.pop();
        f.closed.push(("c".to_owned(), "no route".to_owned()));
    });
    refused(
        &unreachable,
        &wishes,
        &[
            "c can't be reached",
            "may still run: no route",
            "--fenced c",
        ],
    );
    let fenced = Wishes {
        fenced: vec!["c".to_owned()],
        ..Wishes::default()
    };
    let two = plan(&unreachable, &fenced, "t").expect("a plan");
    assert_eq!(two.intent.members.len(), 2);
    assert!(two.notes.iter().any(|n| n.contains("c is left out")));
    refused(
        &with(|f| f.strangers.push("etcd9".to_owned())),
        &wishes,
        &["etcd9", "no host of the inventory"],
    );
    refused(&with(|f| f.machines.clear()), &wishes, &["no host is left"]);
    refused(
        &with(|f| f.machines[0].pod = true),
        &wishes,
        &["static pod"],
    );
    refused(
        &with(|f| f.machines[2].version = None),
        &wishes,
        &["c has no etcd", "--programs"],
    );
    refused(
        &with(|f| f.machines[1].version = Version::parse("3.4.9")),
        &wishes,
        &["b has etcd 3.4.9", "3.5.16"],
    );
    refused(
        &with(|f| f.machines[1].free = Some(1 << 20)),
        &wishes,
        &["b has 1 MiB free", "needs 66"],
    );
}
