//! A small model of cluster and machine: every plan is carried out step by step, stopped after each step and in the
//! middle of it, and planned again from what is true then.

use super::super::facts::{Branch, Certificates, Data, Facts, Hosts, Intent, Machine, Place};
use super::{Action, Plan, Wishes, plan};
use crate::cluster::wal::Identity;
use crate::cluster::{Health, Member, Seen, Status, View};
use std::time::Duration;

const CLUSTER: u64 = 7;

#[derive(Clone, Debug)]
struct Peer {
    id: u64,
    host: u64,
    learner: bool,
    started: bool,
    alive: bool,
}

#[derive(Clone, Debug)]
struct Model {
    peers: Vec<Peer>,
    leader: u64,
    next: u64,
    /// The machine of the new member.
    home: u64,
    running: bool,
    data: Data,
    certified: bool,
    /// Written down by the run that is interrupted.
    intent: Option<Intent>,
}

fn place(n: u64) -> Place {
    Place {
        host: format!("node{n}"),
        member: format!("node{n}"),
        peer_url: format!("https://10.0.0.{n}:2380"),
        client_url: format!("https://10.0.0.{n}:2379"),
    }
}

impl Model {
    /// Voters on node1, node2…; node `node` is the one to replace, dead on a wiped machine or healthy.
    fn new(count: u64, home: u64, node_alive: bool) -> Self {
        let node = 3;
        Self {
            peers: (1..=count)
                .map(|n| Peer {
                    id: 100 + n,
                    host: n,
                    learner: false,
                    started: true,
                    alive: n != node || node_alive,
                })
                .collect(),
            leader: if node_alive { 103 } else { 101 },
            next: 200,
            home,
            running: node_alive && home == node,
            data: match node_alive && home == node {
                true => Data::Of(Identity {
                    member: 103,
                    cluster: CLUSTER,
                }),
                false => Data::None,
            },
            certified: false,
            intent: None,
        }
    }

    fn facts(&self) -> Facts {
        let seen = |p: &Peer| Seen {
            member: Member {
                id: p.id,
                name: if p.started {
                    place(p.host).member
                } else {
                    String::new()
                },
                peer_urls: vec![place(p.host).peer_url],
                client_urls: vec![place(p.host).client_url],
                learner: p.learner,
            },
            status: p.alive.then(|| Status {
                version: "3.4.23".into(),
                ..Status::default()
            }),
            health: match (p.started, p.alive, p.learner) {
                (false, ..) => Health::Unstarted,
                (_, false, _) => Health::Sick {
                    reason: "refused".into(),
                },
                (_, _, true) => Health::Learning,
                (_, _, false) => Health::Healthy {
                    took: Duration::from_millis(1),
                },
            },
        };
        Facts {
            node: place(3),
            home: place(self.home),
            view: View {
                cluster_id: CLUSTER,
                members: self.peers.iter().map(seen).collect(),
                leader: Some(self.leader),
                alarms: Vec::new(),
                stale: false,
            },
            hosts: Hosts::default(),
            term_stable: true,
            machine: Machine::Reachable {
                running: self.running,
                data: self.data,
            },
            certificates: match self.certified {
                true => Certificates::OnMachine,
                false => Certificates::Backup("set".into()),
            },
            earlier: self.intent.clone(),
            static_pod: false,
        }
    }

    fn newcomer(&mut self, old: Option<u64>) -> &mut Peer {
        let home = self.home;
        let found = self
            .peers
            .iter_mut()
            .find(|p| p.host == home && Some(p.id) != old);
        found.expect("a new member")
    }

    fn tolerance(&self) -> i64 {
        self.facts().view.voters().tolerance()
    }

    /// What a step leaves behind; `half`: it was killed on the way.
    fn carry_out(&mut self, action: Action, plan: &Plan, half: bool) {
        let old = plan.old.as_ref().map(|m| m.id);
        match action {
            Action::Fence => {
                self.running = false;
                if !half {
                    self.data = Data::None;
                }
            }
            Action::Certify => self.certified = !half,
            Action::MoveLeader => {
                let other = self.peers.iter().find(|p| Some(p.id) != old && !p.learner);
                self.leader = other.expect("another voter").id;
            }
            Action::Remove if !half => {
                self.peers.retain(|p| Some(p.id) != old);
                self.leader = self.peers[0].id;
            }
            Action::AddLearner if !half => {
                self.next += 1;
                let (id, host) = (self.next, self.home);
                self.peers.push(Peer {
                    id,
                    host,
                    learner: true,
                    started: false,
                    alive: false,
                });
            }
            Action::Start => {
                self.running = true;
                let peer = self.newcomer(old);
                if half {
                    // The process is there, its log isn't yet.
                    self.data = Data::Unreadable;
                } else {
                    (peer.started, peer.alive) = (true, true);
                    let id = peer.id;
                    self.data = Data::Of(Identity {
                        member: id,
                        cluster: CLUSTER,
                    });
                }
            }
            Action::Promote if !half => self.newcomer(old).learner = false,
            _ => {}
        }
    }

    /// Carry out what is left to do; every state on the way is looked at.
    fn finish(mut self, wishes: Wishes, interruptions: u32, worst: &mut i64) {
        let plan = plan(&self.facts(), wishes)
            .unwrap_or_else(|why| panic!("refused to go on: {why} {:?}\n{self:#?}", why.hints));
        self.intent = Some(plan.intent(&self.facts()));
        for step in plan.steps.iter().filter(|s| !s.done) {
            if interruptions > 0 {
                for half in [false, true] {
                    let mut killed = self.clone();
                    killed.carry_out(step.action, &plan, half);
                    killed.finish(wishes, interruptions - 1, worst);
                }
            }
            self.carry_out(step.action, &plan, false);
            *worst = self.tolerance().min(*worst);
            assert_eq!(
                self.tolerance(),
                step.after.tolerance,
                "the plan foretells it: {step:?}"
            );
        }
        assert!(
            self.peers
                .iter()
                .all(|p| p.alive && p.started && !p.learner),
            "{self:#?}"
        );
        assert!(
            self.peers
                .iter()
                .any(|p| p.host == self.home && p.id >= 200),
            "{self:#?}"
        );
        assert_eq!(
            self.peers.iter().filter(|p| p.host == 3).count(),
            usize::from(self.home == 3)
        );
    }
}

/// Run it without interruptions, and killed twice at any two moments.
fn always_ends_well(model: &Model, wishes: Wishes, branch: Branch, least: i64) {
    let first = plan(&model.facts(), wishes).expect("a plan");
    assert_eq!(first.branch, branch);
    let before = model.peers.len();
    let mut worst = i64::MAX;
    model.clone().finish(wishes, 2, &mut worst);
    assert_eq!(worst, least);
    assert_eq!(model.peers.len(), before);
}

#[test]
fn a_dead_member_comes_back_however_often_it_is_interrupted() {
    always_ends_well(
        &Model::new(3, 3, false),
        Wishes::default(),
        Branch::RemoveFirst,
        0,
    );
    always_ends_well(
        &Model::new(5, 3, false),
        Wishes::default(),
        Branch::RemoveFirst,
        1,
    );
}

#[test]
fn a_healthy_member_moves_however_often_it_is_interrupted() {
    always_ends_well(
        &Model::new(3, 6, true),
        Wishes::default(),
        Branch::LearnerFirst,
        1,
    );
    always_ends_well(
        &Model::new(5, 6, true),
        Wishes::default(),
        Branch::LearnerFirst,
        2,
    );
}

#[test]
fn a_dead_member_moves_to_another_machine() {
    always_ends_well(
        &Model::new(3, 6, false),
        Wishes::default(),
        Branch::RemoveFirst,
        0,
    );
}

#[test]
fn a_member_is_set_up_anew_in_place_however_often_it_is_interrupted() {
    let wishes = Wishes {
        in_place: true,
        ..Wishes::default()
    };
    always_ends_well(&Model::new(3, 3, true), wishes, Branch::InPlace, 0);
    always_ends_well(&Model::new(5, 3, true), wishes, Branch::InPlace, 1);
}
