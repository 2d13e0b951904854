//! How long an agent takes for a `file` task that has nothing to change: `no_change AGENT COUNT`. Frames go through pipes,
//! one task after the other. Started by benches/no-change.
#![expect(
    clippy::print_stdout,
    reason = "a program that prints what it measured"
)]

use host::Task;
use host::wire::{Control, Decoder, Frame, MAGIC};
use serde_json::{Map, json};
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::Instant;

fn main() {
    let mut words = std::env::args().skip(1);
    let program = words.next().expect("usage: no_change AGENT COUNT");
    let count: u64 = words
        .next()
        .and_then(|word| word.parse().ok())
        .unwrap_or(2000);
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("file");
    std::fs::write(&file, "").expect("written");
    let mut args = Map::new();
    for (name, value) in [
        ("path", json!(file)),
        ("state", "file".into()),
        ("mode", "0640".into()),
        ("owner", "root".into()),
    ] {
        args.insert(name.to_owned(), value);
    }
    let task = Task {
        module: "file".to_owned(),
        args,
        ..Task::default()
    };
    let mut agent = Command::new(&program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the agent starts");
    let mut to = agent.stdin.take().expect("piped");
    let mut from = agent.stdout.take().expect("piped");
    let mut decoder = Decoder::new();
    to.write_all(MAGIC).expect("written");
    let mut next = || {
        let mut chunk = [0; 4096];
        loop {
            if let Some(frame) = decoder.next_frame().expect("sound frames") {
                return frame;
            }
            let read = from.read(&mut chunk).expect("readable");
            assert!(read > 0, "the agent ended");
            decoder.push(&chunk[..read]);
        }
    };
    next();
    let mut run = |id: u64| {
        let frame = Frame::Control(Control::Run {
            id,
            task: Box::new(task.clone()),
        });
        to.write_all(&frame.encode().expect("short"))
            .expect("written");
        match next() {
            Frame::Control(Control::Done { outcome, .. }) => outcome,
            other => panic!("{other:?}"),
        }
    };
    let first = run(1);
    assert!(!first.failed, "{first:?}");
    let begin = Instant::now();
    for id in 2..count + 2 {
        let outcome = run(id);
        assert!(!outcome.changed && !outcome.failed, "{outcome:?}");
    }
    let each = begin.elapsed().as_secs_f64() * 1000.0 / count as f64;
    let size = std::fs::metadata(&program).map_or(0, |meta| meta.len());
    println!(
        "{each:.3} ms for a file task without a change, {count} of them; the agent has {size} bytes"
    );
    drop(to);
    agent.wait().expect("it ends");
}
