//! `cluster` against a real etcd with TLS.

mod local_etcd;

use kopsrun::cluster::{Etcd, Health, LeaseError, Leased, View, wal};
use local_etcd::Cluster;
use std::sync::Arc;
use std::time::{Duration, Instant};

async fn open(cluster: &Cluster) -> Arc<Etcd> {
    Arc::new(Etcd::open(cluster.doors()).await.expect("a way in"))
}

/// Wait until the cluster looks as wanted.
async fn until(etcd: &Etcd, what: &str, wanted: impl Fn(&View) -> bool) -> View {
    let begin = Instant::now();
    let mut last = None;
    while begin.elapsed() < Duration::from_secs(60) {
        match etcd.view().await {
            Ok(view) if wanted(&view) => return view,
            other => last = Some(other),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("not within a minute: {what}; last seen: {last:#?}");
}

fn id(view: &View, name: &str) -> u64 {
    let seen = view.members.iter().find(|s| s.member.name == name);
    seen.expect("a member of that name").member.id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_member_is_replaced_by_a_learner() {
    let mut cluster = Cluster::start(3);
    let etcd = open(&cluster).await;
    let view = until(&etcd, "three healthy members", |v| {
        v.voters().healthy == 3 && v.leader.is_some()
    })
    .await;
    assert!(!view.stale && view.alarms.is_empty());
    assert!(view.members.iter().all(|s| {
        s.status
            .as_ref()
            .is_some_and(|t| t.version.starts_with("3."))
    }));
    etcd.put("/canary", b"alive").await.expect("written");
    let old = id(&view, "node3");
    let identity = wal::identity(&cluster.nodes[2].log_head()).expect("an identity");
    assert_eq!((identity.member, identity.cluster), (old, view.cluster_id));

    cluster.kill(2);
    let view = until(&etcd, "one sick member", |v| {
        v.voters().healthy == 2 && v.leader.is_some()
    })
    .await;
    let sick = view.by_id(old).expect("still listed");
    assert!(matches!(sick.health, Health::Sick { .. }), "{sick:?}");
    assert_eq!(view.voters().tolerance(), 0);

    etcd.remove(old).await.expect("removed");
    etcd.remove(old).await.expect("removed twice is removed");
    let n = cluster.prepare("node3");
    let url = [cluster.nodes[n].peer_url()];
    let new = etcd.add_learner(&url).await.expect("added");
    assert_eq!(etcd.add_learner(&url).await.expect("added twice"), new);
    let taken = etcd
        .add_learner(&[cluster.nodes[0].peer_url()])
        .await
        .expect_err("refused");
    assert!(
        taken.to_string().contains("belongs to member node1"),
        "{taken}"
    );

    let members: Vec<String> = [0, 1, n]
        .map(|i| format!("{}={}", cluster.nodes[i].name, cluster.nodes[i].peer_url()))
        .into();
    cluster.run(n, &members.join(","), "existing");
    let etcd = open(&cluster).await;
    until(&etcd, "a learner that answers", |v| {
        v.by_id(new).is_some_and(|s| s.health == Health::Learning)
    })
    .await;
    etcd.promote(new).await.expect("promoted");
    etcd.promote(new).await.expect("promoted twice");
    let view = until(&etcd, "three voters", |v| {
        v.voters().healthy == 3 && v.leader.is_some()
    })
    .await;
    assert_eq!((view.voters().total, view.voters().learners), (3, 0));
    let members: Vec<_> = view.members.iter().map(|s| s.member.clone()).collect();
    let (revision, same) = etcd.same_data(&members).await.expect("hashes");
    assert!(same && revision > 1);
    assert_eq!(
        etcd.get("/canary").await.expect("read").as_deref(),
        Some(&b"alive"[..])
    );

    let target = view
        .members
        .iter()
        .map(|s| s.member.id)
        .find(|id| Some(*id) != view.leader)
        .expect("a follower");
    etcd.move_leader(target).await.expect("moved");
    until(&etcd, "the new leader", |v| v.leader == Some(target)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lock_is_held_by_one_and_goes_with_its_holder() {
    let cluster = Cluster::start(1);
    let etcd = open(&cluster).await;
    until(&etcd, "a leader", |v| v.leader.is_some()).await;
    let nobody = |_: &str| false;
    let mut first = Leased::take(Arc::clone(&etcd), "run a".into(), nobody)
        .await
        .expect("free");
    first.confirm().await.expect("still ours");
    let second = Leased::take(Arc::clone(&etcd), "run b".into(), nobody).await;
    assert!(matches!(&second, Err(LeaseError::Held(by)) if by == "run a"));
    // The holder died without giving it back, and we know it: no waiting.
    let begin = Instant::now();
    drop(first);
    let third = Leased::take(Arc::clone(&etcd), "run c".into(), |held| held == "run a")
        .await
        .expect("taken over");
    assert!(begin.elapsed() < Duration::from_secs(5));
    third.release().await;
    let again = Leased::take(Arc::clone(&etcd), "run d".into(), nobody)
        .await
        .expect("free after release");
    again.release().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_majority_the_view_says_so() {
    let mut cluster = Cluster::start(3);
    let etcd = open(&cluster).await;
    until(&etcd, "three healthy members", |v| v.voters().healthy == 3).await;
    cluster.kill(1);
    cluster.kill(2);
    let view = until(&etcd, "no majority", |v| v.stale && v.voters().healthy == 0).await;
    assert_eq!((view.voters().total, view.leader), (3, None));
    let error = etcd.put("/x", b"y").await.expect_err("no majority");
    assert!(!error.definite(), "{error}");
}

#[tokio::test]
async fn no_way_in_names_every_host_and_why() {
    let mut cluster = Cluster::start(0);
    cluster.prepare("node1");
    let error = Etcd::open(cluster.doors()).await.err().expect("no way in");
    assert_eq!(
        error.to_string(),
        "no host gives access to etcd: node1 (no etcd is set up there)"
    );
}
