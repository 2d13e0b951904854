use super::*;
use crate::journal::{Meta, Run, open};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// The world that steps change: which of them are true.
#[derive(Default)]
struct World {
    facts: BTreeSet<&'static str>,
    ran: Vec<String>,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Fault {
    #[default]
    None,
    /// Fails without an effect.
    Before,
    /// Fails although it had its effect.
    After,
    /// Says that it worked, and didn't.
    Lies,
    /// Looks and finds that it must not run.
    Blocked,
    /// Works, and can't be undone.
    Undo,
}

struct Fake {
    id: &'static str,
    world: Arc<Mutex<World>>,
    last: bool,
    fault: Fault,
}

impl Fake {
    fn world(&self) -> std::sync::MutexGuard<'_, World> {
        self.world.lock().expect("not poisoned")
    }
}

impl Step for Fake {
    fn id(&self) -> &'static str {
        self.id
    }

    fn title(&self) -> String {
        format!("Step {}", self.id)
    }

    fn sentence(&self) -> String {
        format!("does {}", self.id)
    }

    fn point_of_no_return(&self) -> bool {
        self.last
    }

    fn check(&self) -> BoxFuture<'_, Result<Check, Failure>> {
        let check = match self.world().facts.contains(self.id) {
            true => Check::Done("it is so".into()),
            false if self.fault == Fault::Blocked => Check::Blocked(Failure::new("no")),
            false => Check::Needed,
        };
        Box::pin(async move { Ok(check) })
    }

    fn run(&self) -> BoxFuture<'_, Result<(), Failure>> {
        let mut world = self.world();
        world.ran.push(self.id.to_owned());
        if !matches!(self.fault, Fault::Before | Fault::Lies) {
            world.facts.insert(self.id);
        }
        let result = match self.fault {
            Fault::Before | Fault::After => Err(Failure::new("it broke").hint("mend it")),
            _ => Ok(()),
        };
        Box::pin(async move { result })
    }

    fn undo(&self) -> Option<BoxFuture<'_, Result<String, Failure>>> {
        let result = match self.fault {
            Fault::Undo => Err(Failure::new("it stays")),
            _ => {
                let mut world = self.world();
                world.ran.push(format!("undo {}", self.id));
                world.facts.remove(self.id);
                Ok(String::new())
            }
        };
        Some(Box::pin(async move { result }))
    }
}

const IDS: [&str; 4] = ["a", "b", "c", "d"];

/// Four steps; c is the point of no return.
fn steps(world: &Arc<Mutex<World>>, fault: impl Fn(&str) -> Fault) -> Vec<Box<dyn Step>> {
    IDS.iter()
        .map(|id| {
            Box::new(Fake {
                id,
                world: Arc::clone(world),
                last: *id == "c",
                fault: fault(id),
            }) as Box<dyn Step>
        })
        .collect()
}

async fn play(root: &Path, steps: &[Box<dyn Step>]) -> Ended {
    let run = Run::create(root, Meta::new("test", &[], Vec::new()), None).expect("a run");
    let ended = super::run(steps, &run, &CancellationToken::new())
        .await
        .expect("recorded");
    let id = run.id().to_owned();
    drop(run);
    open(root, &id).expect("the record is legal");
    ended
}

fn ran(world: &Arc<Mutex<World>>) -> Vec<String> {
    world.lock().expect("not poisoned").ran.clone()
}

#[tokio::test]
async fn a_second_run_finds_everything_done() {
    let root = tempfile::tempdir().expect("a directory");
    let world = Arc::default();
    for _ in 0..2 {
        let ended = play(root.path(), &steps(&world, |_| Fault::None)).await;
        assert_eq!(ended.end, RunEnd::Done);
        assert_eq!(ran(&world), IDS);
    }
}

#[tokio::test]
async fn a_failure_before_the_point_of_no_return_unwinds() {
    for fault in [Fault::Before, Fault::Lies, Fault::Blocked] {
        let root = tempfile::tempdir().expect("a directory");
        let world = Arc::default();
        let ended = play(
            root.path(),
            &steps(&world, |id| if id == "b" { fault } else { Fault::None }),
        )
        .await;
        assert_eq!(ended.end, RunEnd::Unwound);
        assert!(world.lock().expect("not poisoned").facts.is_empty());
        let undone: Vec<String> = ran(&world)
            .into_iter()
            .filter(|r| r.starts_with("undo"))
            .collect();
        assert_eq!(undone, ["undo b", "undo a"]);
    }
}

#[tokio::test]
async fn the_live_state_wins_over_a_lost_answer() {
    for id in IDS {
        let root = tempfile::tempdir().expect("a directory");
        let world = Arc::default();
        let ended = play(
            root.path(),
            &steps(&world, |i| if i == id { Fault::After } else { Fault::None }),
        )
        .await;
        assert_eq!(ended.end, RunEnd::Done, "{id}");
    }
}

#[tokio::test]
async fn after_the_point_of_no_return_it_is_stuck_and_keeps_what_is_before() {
    let root = tempfile::tempdir().expect("a directory");
    let world = Arc::default();
    let broken = steps(&world, |id| {
        if id == "d" {
            Fault::Before
        } else {
            Fault::None
        }
    });
    let ended = play(root.path(), &broken).await;
    assert_eq!(ended.end, RunEnd::Stuck);
    let (step, failure) = ended.failure.expect("a failure");
    assert_eq!(
        (step.as_str(), failure.hints),
        ("d", vec!["mend it".to_owned()])
    );
    assert_eq!(ran(&world), ["a", "b", "c", "d", "undo d"]);
    // Mended, the same command goes on from there.
    let ended = play(root.path(), &steps(&world, |_| Fault::None)).await;
    assert_eq!(ended.end, RunEnd::Done);
}

#[tokio::test]
async fn a_point_of_no_return_without_effect_was_not_passed() {
    let root = tempfile::tempdir().expect("a directory");
    let world = Arc::default();
    let broken = steps(&world, |id| {
        if id == "c" {
            Fault::Before
        } else {
            Fault::None
        }
    });
    let ended = play(root.path(), &broken).await;
    assert_eq!(ended.end, RunEnd::Unwound);
    assert!(world.lock().expect("not poisoned").facts.is_empty());
}

#[tokio::test]
async fn what_cannot_be_undone_is_named() {
    let root = tempfile::tempdir().expect("a directory");
    let world = Arc::default();
    let broken = steps(&world, |id| match id {
        "a" => Fault::Undo,
        "b" => Fault::Before,
        _ => Fault::None,
    });
    let ended = play(root.path(), &broken).await;
    assert_eq!(ended.end, RunEnd::Stuck);
    assert_eq!(ended.failure.expect("a failure").0, "a");
}

#[tokio::test]
async fn a_stop_between_steps_takes_the_same_path() {
    let root = tempfile::tempdir().expect("a directory");
    let world: Arc<Mutex<World>> = Arc::default();
    let run = Run::create(root.path(), Meta::new("test", &[], Vec::new()), None).expect("a run");
    let stop = CancellationToken::new();
    stop.cancel();
    let ended = super::run(&steps(&world, |_| Fault::None), &run, &stop)
        .await
        .expect("recorded");
    assert_eq!(ended.end, RunEnd::Interrupted);
    assert!(ran(&world).is_empty());
}

/// k0sctl: a member that doesn't leave is a warning, and its node is wiped. kubeadm reset does the same.
#[tokio::test]
async fn k0sctl_wipes_the_node_of_a_member_that_did_not_leave() {
    let root = tempfile::tempdir().expect("a directory");
    let world = Arc::default();
    // a leaves the cluster, b and what follows clear its disk.
    let broken = steps(&world, |id| {
        if id == "a" {
            Fault::Before
        } else {
            Fault::None
        }
    });
    let ended = play(root.path(), &broken).await;
    assert_eq!(ended.failure.expect("a failure").0, "a");
    let cleared = ran(&world).into_iter().any(|step| !step.ends_with('a'));
    assert!(!cleared, "nothing is cleared after it");
}

/// RKE: after a removal that failed, a cluster that answers is taken for success.
#[tokio::test]
async fn rke_reports_a_failed_removal_as_done() {
    for fault in [Fault::Before, Fault::Lies] {
        let root = tempfile::tempdir().expect("a directory");
        let world = Arc::default();
        let ended = play(
            root.path(),
            &steps(&world, |id| if id == "c" { fault } else { Fault::None }),
        )
        .await;
        assert_ne!(ended.end, RunEnd::Done);
        assert_eq!(ended.failure.expect("a failure").0, "c");
    }
}
