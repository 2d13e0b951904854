use crate::Outcome;
use crate::modules::test::{check, mode, run, run_with, task};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

fn copy(dest: &Path, more: Value, content: &[u8]) -> Outcome {
    run_with("copy", args(dest, more), content)
}

fn args(dest: &Path, more: Value) -> Value {
    let mut args = json!({"dest": dest});
    let Value::Object(more) = more else {
        panic!("a dictionary")
    };
    args.as_object_mut().expect("one").extend(more);
    args
}

fn predict(dest: &Path, more: Value, content: &[u8]) -> Outcome {
    let mut cx = crate::Context::local(true, true);
    cx.add_blob("content", content.to_vec());
    crate::modules::run(&task("copy", args(dest, more)), &cx)
}

fn message(outcome: &Outcome) -> &str {
    outcome.data["msg"].as_str().expect("text")
}

#[test]
fn a_file_is_made_changed_and_left_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let dest = dir.path().join("a b\nü");
    let same = |content: &[u8], more: Value, changed| {
        let predicted = predict(&dest, more.clone(), content);
        let outcome = copy(&dest, more, content);
        assert!(!outcome.failed, "{outcome:?}");
        assert_eq!((predicted.changed, outcome.changed), (changed, changed));
        assert_eq!(fs::read(&dest).expect("there"), content);
        outcome
    };
    let outcome = same(b"one\n", json!({"mode": "0600"}), true);
    assert_eq!(outcome.data["mode"], "0600");
    assert_eq!(
        outcome.data["checksum"],
        crate::files::sha1(&dest).expect("readable")
    );
    same(b"one\n", json!({"mode": "0600"}), false);
    same(b"one\n", json!({"mode": "u+x"}), true);
    assert_eq!(mode(&dest), 0o700);
    let outcome = same(b"two\n", json!({}), true);
    assert_eq!(outcome.data["diff"][0]["before"], "one\n");
    assert_eq!(outcome.data["diff"][0]["after"], "two\n");
    assert_eq!(mode(&dest), 0o700);
    assert_eq!(fs::read_dir(dir.path()).expect("there").count(), 1);
}

#[test]
fn check_mode_writes_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let dest = dir.path().join("a");
    assert!(predict(&dest, json!({"backup": true}), b"x").changed);
    assert!(!dest.exists());
    fs::write(&dest, "old").expect("written");
    fs::set_permissions(&dest, fs::Permissions::from_mode(0o600)).expect("set");
    let outcome = predict(&dest, json!({"mode": "0644", "backup": true}), b"new");
    assert!(outcome.changed);
    assert_eq!(fs::read(&dest).expect("there"), b"old");
    assert_eq!(mode(&dest), 0o600);
    assert!(predict(&dest, json!({"mode": "0644"}), b"old").changed);
    assert_eq!(fs::read_dir(dir.path()).expect("there").count(), 1);
}

#[test]
fn a_directory_takes_the_file_under_its_name() {
    let dir = tempfile::tempdir().expect("a directory");
    let name = json!({"_original_basename": "../x.conf"});
    assert!(copy(dir.path(), name.clone(), b"1").changed);
    assert_eq!(fs::read(dir.path().join("x.conf")).expect("there"), b"1");
    let below = dir.path().join("new/er/");
    let text = format!("{}/", below.display());
    let mut args = name;
    args["dest"] = text.into();
    args["directory_mode"] = "0750".into();
    let outcome = run_with("copy", args, b"1");
    assert!(outcome.changed, "{outcome:?}");
    assert_eq!(fs::read(below.join("x.conf")).expect("there"), b"1");
    assert_eq!((mode(dir.path().join("new")), mode(&below)), (0o750, 0o750));
    let refused = copy(dir.path(), json!({}), b"1");
    assert!(message(&refused).contains("needs the name of a file"));
    let refused = copy(&dir.path().join("no/such/file"), json!({}), b"1");
    assert!(message(&refused).contains("destination directory"));
    fs::create_dir(dir.path().join("taken")).expect("made");
    let refused = copy(dir.path(), json!({"_original_basename": "taken"}), b"1");
    assert!(message(&refused).contains("is a directory"));
}

#[test]
fn a_link_becomes_a_file_unless_it_is_followed() {
    let dir = tempfile::tempdir().expect("a directory");
    let (file, link) = (dir.path().join("f"), dir.path().join("l"));
    fs::write(&file, "old").expect("written");
    symlink("f", &link).expect("a link");
    assert!(!copy(&link, json!({"follow": true}), b"old").changed);
    assert!(copy(&link, json!({"follow": true}), b"new").changed);
    assert!(link.is_symlink());
    assert_eq!(fs::read(&file).expect("there"), b"new");
    assert!(copy(&link, json!({}), b"new").changed);
    assert!(!link.is_symlink());
    symlink("nowhere", dir.path().join("d")).expect("a link");
    assert!(copy(&dir.path().join("d"), json!({"follow": true}), b"new").changed);
    assert_eq!(fs::read(dir.path().join("nowhere")).expect("there"), b"new");
}

#[test]
fn arguments_that_forbid_it_keep_the_old_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let dest = dir.path().join("a");
    fs::write(&dest, "old").expect("written");
    let outcome = copy(&dest, json!({"force": false, "mode": "0600"}), b"new");
    assert!(!outcome.changed && !outcome.failed);
    assert!(copy(&dest, json!({"checksum": "0".repeat(40)}), b"new").failed);
    assert!(copy(&dest, json!({"validate": "false %s"}), b"new").failed);
    assert!(copy(&dest, json!({"owner": "nobody-of-this-name"}), b"new").failed);
    assert!(run("copy", json!({"dest": dest})).failed);
    assert_eq!(fs::read(&dest).expect("there"), b"old");
    let outcome = copy(
        &dest,
        json!({"backup": true, "validate": "grep -q new %s"}),
        b"new",
    );
    let backup = outcome.data["backup_file"].as_str().expect("a backup");
    assert_eq!(fs::read(backup).expect("there"), b"old");
}

#[test]
fn the_content_is_asked_for_only_when_it_differs() {
    let dir = tempfile::tempdir().expect("a directory");
    let dest = dir.path().join("a");
    fs::write(&dest, "same").expect("written");
    let mut cx = crate::Context::local(false, false);
    cx.add_blob("content", b"same".to_vec());
    cx.forget_blobs();
    let run = |cx: &crate::Context| crate::modules::run(&task("copy", json!({"dest": dest})), cx);
    let outcome = run(&cx);
    assert!(!outcome.failed && !outcome.changed, "{outcome:?}");
    fs::write(&dest, "other").expect("written");
    let outcome = run(&cx);
    assert!(
        message(&outcome).contains("nothing was changed"),
        "{outcome:?}"
    );
    assert_eq!(fs::read(&dest).expect("there"), b"other");
    assert_eq!(fs::read_dir(dir.path()).expect("there").count(), 1);
}

#[test]
fn files_of_the_host_are_copied_with_their_mode() {
    let dir = tempfile::tempdir().expect("a directory");
    let (src, dest) = (dir.path().join("s"), dir.path().join("d"));
    fs::write(&src, "x").expect("written");
    fs::set_permissions(&src, fs::Permissions::from_mode(0o751)).expect("set");
    let args = json!({"remote_src": true, "src": src, "dest": dest, "mode": "preserve"});
    assert!(check("copy", args.clone()).changed);
    assert!(run("copy", args.clone()).changed);
    assert_eq!(mode(&dest), 0o751);
    assert!(!run("copy", args).changed);
    let outcome = run(
        "copy",
        json!({"remote_src": true, "src": "/no/such", "dest": dest}),
    );
    assert_eq!(message(&outcome), "source /no/such not found");
}

#[test]
fn trees_of_the_host_are_copied() {
    let dir = tempfile::tempdir().expect("a directory");
    let (src, dest) = (dir.path().join("s"), dir.path().join("d"));
    fs::create_dir_all(src.join("a/b")).expect("made");
    fs::write(src.join("a/b/f"), "x").expect("written");
    fs::set_permissions(src.join("a"), fs::Permissions::from_mode(0o750)).expect("set");
    symlink("b/f", src.join("a/l")).expect("a link");
    let text = format!("{}/", src.display());
    let args = json!({"remote_src": true, "src": text, "dest": dest, "local_follow": false});
    assert!(check("copy", args.clone()).changed);
    assert!(!dest.exists());
    assert!(run("copy", args.clone()).changed);
    assert_eq!(fs::read(dest.join("a/b/f")).expect("there"), b"x");
    assert_eq!(
        fs::read_link(dest.join("a/l")).expect("a link"),
        Path::new("b/f")
    );
    assert_eq!(mode(dest.join("a")), 0o750);
    let again = run("copy", args);
    assert!(!again.changed && !again.failed, "{again:?}");
    assert!(
        run(
            "copy",
            json!({"remote_src": true, "src": src, "dest": dest})
        )
        .changed
    );
    assert!(dest.join("s/a/b/f").exists());
    let into = json!({"remote_src": true, "src": src, "dest": src.join("a")});
    fs::create_dir(src.join("a/s")).expect("made");
    assert!(message(&run("copy", into)).contains("into itself"));
}

#[test]
fn content_and_templates_are_copied_the_same_way() {
    let dir = tempfile::tempdir().expect("a directory");
    let dest = dir.path().join("a");
    assert!(run("copy", json!({"dest": dest, "content": {"a": 1}})).changed);
    assert_eq!(fs::read(&dest).expect("there"), b"{\"a\":1}");
    let inode = fs::metadata(&dest).expect("there").ino();
    let template = json!({"dest": dest, "src": "a.j2", "mode": "0640"});
    assert!(run_with("template", template.clone(), b"new").changed);
    assert!(!run_with("template", template, b"new").changed);
    assert_eq!(
        (mode(&dest), fs::read(&dest).expect("there")),
        (0o640, b"new".to_vec())
    );
    assert_ne!(inode, fs::metadata(&dest).expect("there").ino());
}
