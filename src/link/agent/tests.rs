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
        },
    )
}

fn task(module: &str, args: serde_json::Value) -> Task {
    Task {
        module: module.to_owned(),
        args: args.as_object().unwrap().clone(),
        ..Task::default()
    }
}

fn shell(line: &str) -> Task {
    task("shell", json!({ "_raw_params": line }))
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

/// A task that writes `content` to `dest` on the host.
fn copy(dest: &Path, content: &[u8]) -> Task {
    let mut copy = task("copy", json!({ "dest": dest, "mode": "0600" }));
    let sha1 = sha1::Digest::finalize(sha1::Digest::chain_update(
        <sha1::Sha1 as sha1::Digest>::new(),
        content,
    ));
    copy.blobs.push(BlobRef {
        name: "content".to_owned(),
        sha1: sha1.iter().map(|b| format!("{b:02x}")).collect(),
        size: content.len() as u64,
    });
    copy
}

#[tokio::test]
async fn content_travels_from_memory_and_from_files() {
    let folder = tempfile::tempdir().unwrap();
    let agent = agent().await;
    let content: Vec<u8> = (0..5_000_000u32).map(|i| (i * 7 >> 3) as u8).collect();
    let source = folder.path().join("source");
    std::fs::write(&source, &content).unwrap();
    for (name, blob) in [
        ("memory", Blob::Bytes(content.clone().into())),
        ("file", Blob::File(source.clone())),
    ] {
        let dest = folder.path().join(name);
        let blobs = IndexMap::from([("content".to_owned(), blob)]);
        let outcome = agent
            .run(copy(&dest, &content), Arc::new(blobs))
            .await
            .unwrap();
        assert!(!outcome.failed, "{name}: {outcome:?}");
        assert!(
            std::fs::read(&dest).unwrap() == content,
            "{name} arrived differently"
        );
    }
    std::fs::write(&source, "shorter").unwrap();
    let blobs = IndexMap::from([("content".to_owned(), Blob::File(source))]);
    let dest = folder.path().join("never");
    let outcome = agent
        .run(copy(&dest, &content), Arc::new(blobs))
        .await
        .unwrap();
    assert!(outcome.failed && !dest.exists(), "{outcome:?}");
    let outcome = agent
        .run(copy(&dest, &content), Arc::new(()))
        .await
        .unwrap();
    assert!(outcome.failed, "content that nobody has was taken");
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
