use super::*;
use indexmap::IndexMap;
use serde_json::json;
use std::time::Duration;
use tokio::time::timeout;

/// An agent in threads of this process.
async fn agent() -> Agent {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    std::thread::spawn(move || host::serve(theirs.try_clone().unwrap(), theirs));
    ours.set_nonblocking(true).unwrap();
    let (mut reader, writer) = tokio::net::UnixStream::from_std(ours).unwrap().into_split();
    let mut decoder = Decoder::new();
    let mut buffer = [0; 4096];
    let hello = loop {
        if let Some(frame) = decoder.next_frame().unwrap() {
            let Frame::Control(Control::Hello(hello)) = frame else {
                panic!("not hello: {frame:?}");
            };
            break hello;
        }
        let count = reader.read(&mut buffer).await.unwrap();
        assert!(count > 0, "the agent ended");
        decoder.push(&buffer[..count]);
    };
    Agent::start(
        "node1",
        Streams {
            reader: Box::new(reader),
            writer: Box::new(writer),
            decoder,
            hello,
            exit: Exit::default(),
            keep: Box::new(()),
            ssh: None,
        },
    )
}

fn task(module: &str, args: &serde_json::Value) -> Task {
    Task {
        module: module.to_owned(),
        args: args.as_object().unwrap().clone(),
        ..Task::default()
    }
}

fn shell(line: &str) -> Task {
    task("shell", &json!({ "_raw_params": line }))
}

#[tokio::test]
async fn tasks_run_at_the_same_time() {
    let agent = agent().await;
    let started = std::time::Instant::now();
    let all = (0..8).map(|i| agent.run(shell(&format!("sleep 0.5; echo {i}")), Arc::new(())));
    for (i, outcome) in futures::future::join_all(all).await.into_iter().enumerate() {
        assert_eq!(outcome.unwrap().data["stdout"], i.to_string());
    }
    assert!(
        started.elapsed() < Duration::from_secs(3),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn a_dropped_task_is_cancelled_on_the_host() {
    let folder = tempfile::tempdir().unwrap();
    let agent = agent().await;
    let file = folder.path().join("done");
    let line = format!("sleep 1; touch {}", file.display());
    let short = timeout(
        Duration::from_millis(200),
        agent.run(shell(&line), Arc::new(())),
    );
    assert!(short.await.is_err());
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(
        !file.exists(),
        "the command went on after its task was dropped"
    );
    assert!(agent.run(shell("true"), Arc::new(())).await.is_ok());
}

#[tokio::test]
async fn an_agent_that_ends_loses_its_tasks() {
    let agent = agent().await;
    let running = agent.run(shell("sleep 5"), Arc::new(()));
    let (outcome, ()) = tokio::join!(running, async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        agent.end();
    });
    let error = outcome.unwrap_err();
    assert!(error.is_lost(), "{error}");
    assert!(agent.is_ended());
    assert!(
        agent
            .run(shell("true"), Arc::new(()))
            .await
            .unwrap_err()
            .is_lost()
    );
}

/// The other side of a stream, which says what a test wants it to.
struct FakeHost(std::os::unix::net::UnixStream);

impl FakeHost {
    fn next(&mut self) -> Frame {
        host::wire::read_frame(&mut self.0)
            .unwrap()
            .expect("the controller ended the stream")
    }

    fn say(&mut self, frame: &Frame) {
        host::wire::write_frame(&mut self.0, frame).unwrap();
    }

    /// The id of the next task; credit for the one before may still come.
    fn task(&mut self) -> u64 {
        loop {
            match self.next() {
                Frame::Control(Control::Run { id, .. }) => return id,
                Frame::Control(Control::More { .. }) => {}
                other => panic!("no task: {other:?}"),
            }
        }
    }

    fn done(&mut self, id: u64) {
        self.say(&Frame::Control(Control::Done {
            id,
            outcome: Outcome::default(),
        }));
    }
}

/// An agent whose other side is `script`.
async fn fake(script: impl FnOnce(FakeHost) + Send + 'static) -> Agent {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    std::thread::spawn(move || {
        let mut theirs = theirs;
        std::io::Write::write_all(&mut theirs, MAGIC).unwrap();
        assert!(host::wire::read_magic(&mut theirs).unwrap());
        script(FakeHost(theirs));
    });
    ours.set_nonblocking(true).unwrap();
    let (reader, writer) = tokio::net::UnixStream::from_std(ours).unwrap().into_split();
    let hello = Hello {
        version: String::new(),
        pid: 1,
        uid: 0,
        user: String::new(),
        machine: String::new(),
    };
    let (reader, writer, decoder) = (Box::new(reader), Box::new(writer), Decoder::new());
    Agent::start(
        "node1",
        Streams {
            reader,
            writer,
            decoder,
            hello,
            exit: Exit::default(),
            keep: Box::new(()),
            ssh: None,
        },
    )
}

fn content() -> Vec<u8> {
    (0..5_000_000u32)
        .map(|i| (i.wrapping_mul(7) >> 3) as u8)
        .collect()
}

fn with_blob(size: u64) -> Task {
    let mut copy = task("copy", &json!({}));
    copy.blobs.push(BlobRef {
        name: "content".to_owned(),
        sha1: String::new(),
        size,
        inline: None,
    });
    copy
}

/// Asks for a blob and takes it on credit; what came instead, when it can't be had.
fn ask_for_blob(host: &mut FakeHost, size: usize) -> Result<Vec<u8>, String> {
    let id = host.task();
    host.say(&Frame::Control(Control::Need {
        id,
        name: "content".to_owned(),
    }));
    let mut got = Vec::new();
    let mut allowed = WINDOW as usize;
    let result = loop {
        if got.len() == size {
            break Ok(got);
        }
        match host.next() {
            Frame::Data(of, bytes) => {
                assert_eq!(of, id);
                got.extend_from_slice(&bytes);
                assert!(got.len() <= allowed, "more was sent than was allowed");
                if got.len() + MAX_DATA > allowed {
                    allowed += 300_000;
                    host.say(&Frame::Control(Control::More { id, bytes: 300_000 }));
                }
            }
            Frame::Control(Control::Missing { message, .. }) => break Err(message),
            other => panic!("{other:?}"),
        }
    };
    host.done(id);
    result
}

#[tokio::test]
async fn content_travels_from_memory_and_from_files_within_its_credit() {
    let content = content();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &content).unwrap();
    for blob in [
        Blob::Bytes(content.clone().into()),
        Blob::File(file.path().to_owned()),
    ] {
        let expected = content.clone();
        let agent = fake(move |mut host| {
            assert!(
                ask_for_blob(&mut host, expected.len()).unwrap() == expected,
                "it arrived differently"
            );
            // A second task, so that a panic above is seen.
            let id = host.task();
            host.done(id);
        })
        .await;
        let blobs = IndexMap::from([("content".to_owned(), blob)]);
        agent
            .run(with_blob(content.len() as u64), Arc::new(blobs))
            .await
            .unwrap();
        agent.run(shell("true"), Arc::new(())).await.unwrap();
    }
}

#[tokio::test]
async fn content_that_cannot_be_had_is_told_to_the_host() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "shorter").unwrap();
    for (blob, part) in [
        (
            Some(Blob::File(file.path().to_owned())),
            "has 7 bytes and had 9",
        ),
        (Some(Blob::File("/nonexistent".into())), "No such file"),
        (Some(Blob::Bytes(Arc::from(&b"other"[..]))), "size"),
        (None, "no content named content"),
    ] {
        let agent = fake(move |mut host| {
            let message = ask_for_blob(&mut host, 9).unwrap_err();
            assert!(message.contains(part), "{message}");
            let id = host.task();
            host.done(id);
        })
        .await;
        let blobs: IndexMap<_, _> = blob
            .map(|blob| ("content".to_owned(), blob))
            .into_iter()
            .collect();
        agent.run(with_blob(9), Arc::new(blobs)).await.unwrap();
        agent.run(shell("true"), Arc::new(())).await.unwrap();
    }
}

/// Sends `bytes` on credit, as an agent does that fetches.
fn send(host: &mut FakeHost, bytes: &[u8]) {
    let id = host.task();
    let mut allowed = WINDOW as usize;
    for part in bytes.chunks(MAX_DATA) {
        while allowed < part.len() {
            match host.next() {
                Frame::Control(Control::More { bytes, .. }) => allowed += bytes as usize,
                other => panic!("{other:?}"),
            }
        }
        allowed -= part.len();
        host.say(&Frame::Data(id, part.to_vec()));
    }
    host.done(id);
}

#[tokio::test]
async fn what_is_fetched_comes_whole_and_before_the_end() {
    let sent = content();
    let agent = fake(move |mut host| {
        send(&mut host, &sent);
        // Nobody takes these; the credit comes all the same.
        send(&mut host, &sent);
        while host::wire::read_frame(&mut host.0).is_ok_and(|frame| frame.is_some()) {}
    })
    .await;
    let mut got = Vec::new();
    agent
        .fetch(task("fetch", &json!({})), &mut got)
        .await
        .unwrap();
    assert!(got == content());
    agent.run(shell("true"), Arc::new(())).await.unwrap();
}

#[test]
fn refusals_are_told_apart() {
    let error = |kind| {
        let refusal = Refusal {
            kind,
            message: "because".to_owned(),
        };
        refused("node1", "running copy", &refusal)
    };
    assert!(matches!(
        error(RefusalKind::SudoPasswordWrong),
        LinkError::SudoPassword { .. }
    ));
    assert!(matches!(
        error(RefusalKind::NoSudo),
        LinkError::NoSudo { .. }
    ));
    assert!(matches!(
        error(RefusalKind::NoProgram),
        LinkError::NoExec { .. }
    ));
    assert!(error(RefusalKind::Lost).is_lost());
    assert!(error(RefusalKind::SudoNotAllowed).advice()[0].contains("sudoers"));
}
