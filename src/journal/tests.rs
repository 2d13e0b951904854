use super::*;
use std::fs;
use std::io::Write;
use std::path::Path;

fn start(root: &Path) -> Run {
    let meta = Meta::new("replace-node", &["node3".to_owned()], Vec::new());
    Run::create(root, meta, None).expect("a run")
}

fn step(name: &str) -> Event {
    Event::StepStarted {
        step: name.into(),
        title: name.into(),
    }
}

fn done(name: &str) -> Event {
    Event::StepSucceeded {
        step: name.into(),
        outcome: Outcome::Done,
        message: None,
        duration: 0.1,
    }
}

fn finished() -> Event {
    Event::RunFinished {
        end: RunEnd::Done,
        exit_code: 0,
        message: None,
        next: Vec::new(),
    }
}

#[test]
fn a_run_reads_back_as_it_was_recorded() {
    let root = tempfile::tempdir().expect("a directory");
    let run = start(root.path());
    let id = run.id().to_owned();
    for event in [step("a"), done("a"), finished()] {
        run.emit_synced(event).expect("written");
    }
    assert_eq!(
        list(root.path()).expect("listed")[0].state,
        State::Ended(RunEnd::Done)
    );
    drop(run);
    let (meta, records) = open(root.path(), "last").expect("opens");
    assert_eq!(meta.id, id);
    assert_eq!(records.len(), 4);
    assert_eq!(records[2].event, done("a"));
}

#[test]
fn a_killed_run_is_known_as_such_and_goes_on_after_a_torn_line() {
    let root = tempfile::tempdir().expect("a directory");
    let run = start(root.path());
    let id = run.id().to_owned();
    run.emit_synced(step("a")).expect("written");
    assert_eq!(list(root.path()).expect("listed")[0].state, State::Running);
    assert!(!is_dead(root.path(), &id));
    let refused = Run::reopen(root.path(), &id, "me", None)
        .err()
        .expect("refused");
    assert_eq!(refused.to_string(), format!("run {id} is still going on"));
    drop(run);
    let events = root.path().join(&id).join("events.jsonl");
    let mut file = fs::OpenOptions::new()
        .append(true)
        .open(&events)
        .expect("opens");
    file.write_all(br#"{"seq":2,"time":"2026-"#).expect("torn");
    assert_eq!(list(root.path()).expect("listed")[0].state, State::Killed);
    assert!(is_dead(root.path(), &id));
    let (run, before) = Run::reopen(root.path(), &id, "me", None).expect("reopens");
    assert_eq!(before.len(), 2);
    for event in [step("a"), done("a"), finished()] {
        run.emit_synced(event).expect("written");
    }
    drop(run);
    let (_, records) = open(root.path(), &id).expect("opens");
    assert_eq!(records.len(), 6);
}

/// What can't have happened, and the words that say so.
#[test]
fn illegal_transitions_are_refused() {
    let undo = |name: &str| Event::UndoStarted {
        step: name.into(),
        title: name.into(),
    };
    let cases: Vec<(Vec<Event>, &str)> = vec![
        (vec![done("a")], "step a ended but was not going on"),
        (
            vec![step("a"), done("b")],
            "step b ended but was not going on",
        ),
        (vec![step("a"), step("b")], "step a has not ended yet"),
        (
            vec![step("a"), done("a"), step("a")],
            "step a started twice",
        ),
        (vec![undo("a")], "step a undone but never started"),
        (
            vec![finished(), step("a")],
            "an event after the end of the run",
        ),
        (vec![step("a"), finished()], "step a has not ended yet"),
        (
            vec![step("a"), done("a"), undo("a"), done("a")],
            "step a ended but was not going on",
        ),
    ];
    for (events, reason) in cases {
        let root = tempfile::tempdir().expect("a directory");
        let run = start(root.path());
        for event in events {
            run.emit(event);
        }
        drop(run);
        let error = open(root.path(), "last").expect_err("refused").to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn a_missing_event_is_noticed() {
    let root = tempfile::tempdir().expect("a directory");
    let run = start(root.path());
    run.emit(step("a"));
    run.emit(done("a"));
    let path = run.dir().join("events.jsonl");
    drop(run);
    let text = fs::read_to_string(&path).expect("read");
    let cut: Vec<&str> = text
        .lines()
        .enumerate()
        .filter(|(i, _)| *i != 1)
        .map(|(_, l)| l)
        .collect();
    fs::write(&path, cut.join("\n") + "\n").expect("written");
    let error = open(root.path(), "last").expect_err("refused").to_string();
    assert!(error.contains("event 2 where 1 follows"), "{error}");
}

#[test]
fn the_second_run_is_told_who_holds_the_lock() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut meta = Meta::new("replace-node", &["node3".to_owned()], Vec::new());
    meta.user = "ada".into();
    let first = Lock::take(dir.path(), "/x/inventory.yml", &Holder::of(&meta)).expect("taken");
    assert_eq!(first.left_by, None);
    let error =
        Lock::take(dir.path(), "/x/inventory.yml", &Holder::of(&meta)).expect_err("refused");
    let text = error.to_string();
    assert!(
        text.contains("'kopsrun replace-node node3' of ada@"),
        "{text}"
    );
    assert!(
        text.contains(&meta.id) && text.contains("since 2"),
        "{text}"
    );
    Lock::take(dir.path(), "another", &Holder::of(&meta)).expect("another cluster is free");
    drop(first);
    let second =
        Lock::take(dir.path(), "/x/inventory.yml", &Holder::of(&meta)).expect("free again");
    assert_eq!(second.left_by, None, "an orderly end leaves no name");
}

#[test]
fn a_lock_left_by_a_dead_run_is_taken_over_and_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let holder = Holder::of(&Meta::new("play", &[], Vec::new()));
    fs::write(
        dir.path().join("c.lock"),
        serde_json::to_vec(&holder).expect("json"),
    )
    .expect("written");
    let lock = Lock::take(dir.path(), "c", &holder).expect("taken");
    assert_eq!(lock.left_by.as_ref(), Some(&holder));
}

#[test]
fn secrets_are_not_written_down() {
    let given = [
        "-e",
        "db_password=x user=me",
        "--become-password",
        "y",
        "--vault-password-file",
        "f",
        "node3",
    ];
    let given: Vec<String> = given.iter().map(|s| (*s).to_owned()).collect();
    assert_eq!(
        scrub(&given),
        [
            "-e",
            "db_password=*** user=me",
            "--become-password",
            "***",
            "--vault-password-file",
            "f",
            "node3"
        ]
    );
    assert_eq!(scrub(&[r#"{"api_token": "x"}"#.to_owned()]), ["{***}"]);
}

#[test]
fn runs_of_one_second_are_in_the_order_of_their_beginnings() {
    let root = tempfile::tempdir().expect("a directory");
    let begun: Vec<String> = (0..8).map(|_| start(root.path()).id().to_owned()).collect();
    let listed: Vec<String> = list(root.path())
        .expect("runs")
        .into_iter()
        .map(|run| run.meta.id)
        .collect();
    assert_eq!(listed, begun);
}
