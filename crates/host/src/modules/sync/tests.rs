use super::{Entry, Kind, Manifest, order};
use crate::modules::test::{run, task};
use crate::{Context, Outcome};
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

fn archive() -> Value {
    json!({"recursive": true, "links": true, "perms": true, "times": true, "owner": true, "group": true})
}

fn entry(name: &str, kind: &str) -> Value {
    json!({"name": name, "kind": kind, "size": 1, "mtime": [1, 0], "mode": 0o644, "uid": 0, "gid": 0, "target": "/etc"})
}

fn put(dest: &Path, entries: &[Value]) -> Outcome {
    let manifest = json!({"entries": entries, "single": false});
    let mut options = archive();
    options["owner"] = false.into();
    options["group"] = false.into();
    run(
        "_sync_put",
        json!({"dest": dest, "manifest": manifest, "options": options}),
    )
}

/// What the controller does between two ends.
fn sync(src: &str, dest: &Path, options: &Value) -> Outcome {
    let listed = run("_sync_list", json!({"src": src, "options": options}));
    assert!(!listed.failed, "{listed:?}");
    let manifest = &listed.data["manifest"];
    let mut args = json!({"dest": dest, "manifest": manifest, "options": options, "plan": true});
    let planned = run("_sync_put", args.clone());
    assert!(!planned.failed, "{planned:?}");
    let need = planned.data["need"].as_array().expect("a list").clone();
    let names: Vec<&Value> = need
        .iter()
        .map(|index| &manifest["entries"][index.as_u64().expect("a number") as usize]["name"])
        .collect();
    let cx = Context::local(false, false);
    let read = crate::modules::run(
        &task("_sync_read", json!({"src": src, "names": names})),
        &cx,
    );
    assert!(!read.failed, "{read:?}");
    args["plan"] = false.into();
    args["bundled"] = need.into();
    let mut at_dest = Context::local(false, false);
    at_dest.add_blob("bundle", cx.sent());
    crate::modules::run(&task("_sync_put", args), &at_dest)
}

#[test]
fn any_bytes_are_names_and_a_second_time_nothing_changes() {
    let dir = tempfile::tempdir().expect("a directory");
    let (src, dest) = (dir.path().join("s"), dir.path().join("t"));
    fs::create_dir_all(src.join("d/empty")).expect("made");
    let odd = OsStr::from_bytes(b"a\nb\xff\xfe c");
    fs::write(src.join(odd), b"\0\xff").expect("written");
    fs::write(src.join("d/big"), vec![7; 700_000]).expect("written");
    symlink(OsStr::from_bytes(b"to\xff"), src.join("l")).expect("a link");
    let from = format!("{}/", src.display());
    let done = sync(&from, &dest, &archive());
    assert!(done.changed && !done.failed, "{done:?}");
    assert_eq!(fs::read(dest.join(odd)).expect("there"), b"\0\xff");
    assert_eq!(fs::read(dest.join("d/big")).expect("there").len(), 700_000);
    assert_eq!(
        fs::read_link(dest.join("l"))
            .expect("a link")
            .as_os_str()
            .as_bytes(),
        b"to\xff"
    );
    let times = |dir: &Path| fs::metadata(dir.join("d")).expect("there").mtime();
    assert_eq!(times(&src), times(&dest));
    let again = sync(&from, &dest, &archive());
    assert!(
        !again.changed && again.data["lines"] == json!([]),
        "{again:?}"
    );
}

#[test]
fn another_hosts_list_cannot_lead_out_of_the_directory() {
    let dir = tempfile::tempdir().expect("a directory");
    let (inside, outside) = (dir.path().join("in"), dir.path().join("out"));
    fs::create_dir_all(&inside).expect("made");
    fs::create_dir_all(&outside).expect("made");
    symlink(&outside, inside.join("l")).expect("a link");
    for entries in [
        vec![entry("../out/x", "directory")],
        vec![entry("..", "directory"), entry("../out", "directory")],
        vec![entry("/tmp/kopsrun-x", "directory")],
        vec![entry("l/x", "directory")],
        vec![entry("l", "link"), entry("l/x", "directory")],
        vec![
            entry("d", "directory"),
            entry("d", "link"),
            entry("d/x", "directory"),
        ],
        vec![
            entry("d", "directory"),
            entry("d//x", "directory"),
            entry("d/./x", "link"),
        ],
    ] {
        let done = put(&inside, &entries);
        assert!(done.failed, "{entries:?} {done:?}");
        assert_eq!(
            fs::read_dir(&outside).expect("there").count(),
            0,
            "{entries:?}"
        );
    }
    // A link of the destination in the place of a directory is replaced, not followed.
    let done = put(
        &inside,
        &[entry("l", "directory"), entry("l/x", "directory")],
    );
    assert!(!done.failed, "{done:?}");
    assert_eq!(fs::read_dir(&outside).expect("there").count(), 0);
    assert!(inside.join("l/x").is_dir());
}

#[test]
fn files_that_do_not_come_whole_leave_the_old_ones() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("a"), "old").expect("written");
    let manifest = json!({"entries": [entry("a", "file"), entry("b", "file")], "single": false});
    let args = json!({
        "dest": dir.path(), "manifest": manifest, "options": {"recursive": true, "delete": true}, "bundled": [0, 1],
    });
    let mut cx = Context::local(false, false);
    let mut bundle = 1_u64.to_be_bytes().to_vec();
    bundle.push(b'n');
    bundle.extend(9_u64.to_be_bytes());
    bundle.push(b'n');
    cx.add_blob("bundle", bundle);
    let done = crate::modules::run(&task("_sync_put", args), &cx);
    assert!(done.failed, "{done:?}");
    assert_eq!(fs::read(dir.path().join("a")).expect("there"), b"old");
    assert_eq!(fs::read_dir(dir.path()).expect("there").count(), 1);
}

#[test]
fn the_order_is_rsyncs() {
    let entry = |name: &str, kind| Entry {
        name: name.to_owned(),
        kind,
        size: 0,
        mtime: (0, 0),
        mode: 0,
        uid: 0,
        gid: 0,
        user: String::new(),
        group: String::new(),
        target: None,
        sum: None,
    };
    let mut manifest = Manifest {
        entries: vec![
            entry("b/x", Kind::File),
            entry("a", Kind::Directory),
            entry("b", Kind::Directory),
            entry("a/z/q", Kind::File),
            entry("z", Kind::File),
            entry(".", Kind::Directory),
            entry("a/z", Kind::Directory),
            entry("a/zz", Kind::File),
        ],
        single: false,
        own_rules: Vec::new(),
    };
    manifest.entries.sort_by(order);
    let names: Vec<&str> = manifest.entries.iter().map(|entry| &*entry.name).collect();
    assert_eq!(names, [".", "z", "a", "a/zz", "a/z", "a/z/q", "b", "b/x"]);
}
