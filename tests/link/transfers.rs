//! Files that are longer than what may be under way: there and back, whole, in little memory.

use crate::sshd::{Sshd, agent_file, stdout, task};
use host::BlobRef;
use indexmap::IndexMap;
use kopsrun::link::{Blob, Link};
use serde_json::json;
use sha1::{Digest, Sha1};
use std::fmt::Write as _;
use std::path::Path;

const MIB: usize = 1 << 20;

/// What an agent may use at most, whatever it copies; a file of these tests is larger.
const AGENT_KIB: usize = 32 * 1024;

/// Bytes that don't repeat; with `text` they are lines of digits, which compress.
fn content(length: usize, text: bool) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut bytes = Vec::with_capacity(length + 32);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        if text {
            let mut line = String::new();
            writeln!(line, "{state}").expect("memory");
            bytes.extend_from_slice(line.as_bytes());
        } else {
            bytes.extend_from_slice(&state.to_ne_bytes());
        }
    }
    bytes.truncate(length);
    bytes
}

fn sha1(bytes: &[u8]) -> String {
    Sha1::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Writes `blob`, which has this content, to `dest` with `copy` or `template`; and once more.
async fn put(link: &Link, module: &str, blob: &Blob, content: &[u8], dest: &Path) {
    let mut call = task(module, &json!({"dest": dest, "mode": "0640", "src": "x"}));
    call.diff = true;
    call.blobs = vec![BlobRef {
        name: "content".to_owned(),
        sha1: sha1(content),
        size: content.len() as u64,
        ..BlobRef::default()
    }];
    for changed in [true, false] {
        let blobs = IndexMap::from([("content".to_owned(), blob.clone())]);
        let outcome = link.run(call.clone(), blobs).await.expect("it answers");
        assert!(!outcome.failed, "{outcome:?}");
        assert_eq!(outcome.changed, changed);
        assert_eq!(outcome.data["checksum"], sha1(content));
    }
    assert!(
        std::fs::read(dest).expect("there") == content,
        "other bytes"
    );
}

/// The largest size that the agent ever had, in KiB.
async fn agent_peak(link: &Link) -> usize {
    let line = stdout(link, "grep VmHWM /proc/$PPID/status").await;
    let number = line.split_whitespace().nth(1).expect("VmHWM: N kB");
    number.parse().expect("a number")
}

async fn there_and_back(text: bool) {
    agent_file();
    let sshd = Sshd::usual();
    let link = sshd.link().await.expect("it answers");
    let content = content(50 * MIB + 12_345, text);
    let dir = tempfile::tempdir().expect("a directory");
    let src = dir.path().join("src");
    std::fs::write(&src, &content).expect("written");
    let dest = dir.path().join("dest");
    put(&link, "copy", &Blob::File(src), &content, &dest).await;
    let back = dir.path().join("back");
    let mut into = tokio::fs::File::create(&back).await.expect("made");
    let outcome = link
        .fetch(task("fetch", &json!({"src": dest})), &mut into)
        .await
        .expect("it answers");
    assert!(!outcome.failed, "{outcome:?}");
    into.sync_all().await.expect("written");
    assert_eq!(outcome.data["checksum"], sha1(&content));
    assert!(
        std::fs::read(&back).expect("there") == content,
        "other bytes"
    );
    let peak = agent_peak(&link).await;
    assert!(peak < AGENT_KIB, "the agent had {peak} KiB");
}

#[tokio::test]
async fn fifty_megabytes_that_do_not_compress() {
    there_and_back(false).await;
}

#[tokio::test]
async fn fifty_megabytes_that_compress() {
    there_and_back(true).await;
}

#[tokio::test]
async fn a_template_longer_than_the_window() {
    let sshd = Sshd::usual();
    let link = sshd.link().await.expect("it answers");
    let dir = tempfile::tempdir().expect("a directory");
    let content = content(3 * MIB, true);
    let blob = Blob::Bytes(content.clone().into());
    let dest = dir.path().join("rendered");
    put(&link, "template", &blob, &content, &dest).await;
}
