use crate::Outcome;
use crate::modules::test::{check, mode, run};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

fn args(path: &Path, more: Value) -> Value {
    let mut args = json!({"path": path});
    let Value::Object(more) = more else {
        panic!("a dictionary")
    };
    args.as_object_mut().expect("one").extend(more);
    args
}

/// Runs it in check mode, then really, and says what both found.
fn apply(path: &Path, more: Value) -> Outcome {
    let predicted = check("file", args(path, more.clone()));
    let outcome = run("file", args(path, more));
    assert!(!outcome.failed, "{outcome:?}");
    assert_eq!(predicted.changed, outcome.changed, "check mode is right");
    outcome
}

fn refused(path: &Path, more: Value) -> String {
    let outcome = run("file", args(path, more));
    assert!(outcome.failed, "{outcome:?}");
    outcome.data["msg"].as_str().expect("text").to_owned()
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
}

#[test]
fn directories_are_made_with_those_above() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("a b/c\nd/ü");
    let wanted = json!({"state": "directory", "mode": "0750"});
    assert!(check("file", args(&path, wanted.clone())).changed);
    assert!(!dir.path().join("a b").exists());
    let outcome = apply(&path, wanted.clone());
    assert!(outcome.changed);
    assert_eq!(outcome.data["diff"]["before"]["state"], "absent");
    assert_eq!((mode(&path), mode(dir.path().join("a b"))), (0o750, 0o750));
    assert!(!apply(&path, wanted).changed);
    assert!(apply(&path, json!({"mode": "u=rwx,go="})).changed);
    assert_eq!(mode(&path), 0o700);
    fs::write(dir.path().join("f"), "").expect("written");
    assert!(
        refused(&dir.path().join("f"), json!({"state": "directory"}))
            .contains("already exists as a file")
    );
    assert!(
        refused(&dir.path().join("f/g"), json!({"state": "directory"})).contains("cannot stat")
    );
}

#[test]
fn a_new_directory_keeps_the_group_bit_unless_a_mode_is_given() {
    let dir = tempfile::tempdir().expect("a directory");
    set_mode(dir.path(), 0o2755);
    apply(&dir.path().join("a"), json!({"state": "directory"}));
    assert_eq!(mode(dir.path().join("a")), 0o2755);
    apply(
        &dir.path().join("b"),
        json!({"state": "directory", "mode": "0755"}),
    );
    assert_eq!(mode(dir.path().join("b")), 0o755);
}

#[test]
fn recursion_gives_files_and_directories_their_modes() {
    let dir = tempfile::tempdir().expect("a directory");
    let root = dir.path().join("r");
    fs::create_dir_all(root.join("a/b")).expect("made");
    for name in ["a/f", "a/b/g"] {
        fs::write(root.join(name), "").expect("written");
        set_mode(&root.join(name), 0o600);
    }
    let outside = dir.path().join("outside");
    fs::write(&outside, "").expect("written");
    set_mode(&outside, 0o600);
    symlink("../../outside", root.join("a/l")).expect("a link");
    symlink("..", root.join("a/up")).expect("a link");
    let wanted =
        json!({"state": "directory", "recurse": true, "mode": "u=rwX,g=rX,o=", "follow": false});
    assert!(apply(&root, wanted.clone()).changed);
    assert_eq!(
        (mode(root.join("a/b")), mode(root.join("a/b/g"))),
        (0o750, 0o640)
    );
    assert_eq!(mode(&outside), 0o600);
    assert!(!apply(&root, wanted.clone()).changed);
    let mut wanted = wanted;
    wanted["follow"] = true.into();
    assert!(apply(&root, wanted.clone()).changed);
    assert_eq!(mode(&outside), 0o640);
    assert!(!apply(&root, wanted).changed);
    assert!(refused(&root.join("a/f"), json!({"recurse": true})).contains("recurse needs"));
}

#[test]
fn files_are_touched() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("f");
    let kept = json!({"state": "touch", "mode": "0600", "access_time": "preserve", "modification_time": "preserve"});
    assert!(apply(&path, kept.clone()).changed);
    assert_eq!(
        (mode(&path), fs::read(&path).expect("there").len()),
        (0o600, 0)
    );
    assert!(!apply(&path, kept).changed);
    assert!(apply(&path, json!({"state": "touch"})).changed);
    let at = json!({"modification_time": "2001-02-03", "modification_time_format": "%Y-%m-%d"});
    assert!(apply(&path, at.clone()).changed);
    assert!(!apply(&path, at).changed);
    assert!(fs::metadata(&path).expect("there").mtime() < 1_000_000_000);
    assert!(
        refused(&dir.path().join("no/f"), json!({"state": "touch"})).contains("does not exist")
    );
    assert!(refused(&path, json!({"access_time": "yesterday"})).contains("not a time"));
}

#[test]
fn what_is_there_gets_its_attributes_and_what_is_not_fails() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("f");
    assert!(refused(&path, json!({})).contains("is absent, cannot continue"));
    fs::write(&path, "x").expect("written");
    set_mode(&path, 0o644);
    assert!(!apply(&path, json!({"mode": 0o644})).changed);
    assert!(apply(&path, json!({"mode": "0600"})).changed);
    assert!(refused(dir.path(), json!({"state": "file"})).contains("is directory"));
    assert!(refused(&path, json!({"src": "/x"})).contains("src needs state"));
    assert!(refused(&path, json!({"mode": "rw"})).contains("mode must be"));
    let link = dir.path().join("l");
    symlink("f", &link).expect("a link");
    assert!(apply(&link, json!({"state": "file", "mode": "0644"})).changed);
    assert_eq!(mode(&path), 0o644);
}

#[test]
fn what_shall_be_absent_goes() {
    let dir = tempfile::tempdir().expect("a directory");
    let root = dir.path().join("r");
    fs::create_dir_all(root.join("a")).expect("made");
    fs::write(root.join("a/f"), "").expect("written");
    let outside = dir.path().join("outside");
    fs::create_dir(&outside).expect("made");
    fs::write(outside.join("kept"), "").expect("written");
    symlink("../outside", root.join("l")).expect("a link");
    let gone = json!({"state": "absent"});
    let predicted = check("file", args(&root, gone.clone()));
    assert_eq!(
        predicted.data["diff"]["before"]["path_content"]["files"]
            .as_array()
            .map(Vec::len),
        Some(2)
    );
    assert!(root.join("a/f").exists());
    assert!(apply(&root, gone.clone()).changed);
    assert!(!root.exists() && outside.join("kept").exists());
    assert!(!apply(&root, gone.clone()).changed);
    symlink("outside", dir.path().join("l")).expect("a link");
    assert!(apply(&dir.path().join("l"), gone.clone()).changed);
    assert!(outside.join("kept").exists());
    assert!(!apply(&outside.join("kept/below"), gone.clone()).changed);
    assert!(refused(Path::new("/"), gone).contains("refusing"));
}

#[test]
fn symbolic_links_are_made_and_changed() {
    let dir = tempfile::tempdir().expect("a directory");
    let (file, link) = (dir.path().join("f"), dir.path().join("l"));
    fs::write(&file, "x").expect("written");
    let to = |src: &str| json!({"state": "link", "src": src});
    assert!(apply(&link, to("f")).changed);
    assert!(!apply(&link, to("f")).changed);
    assert!(refused(&link, to("nowhere")).contains("does not exist"));
    let forced = json!({"state": "link", "src": "nowhere", "force": true});
    let outcome = apply(&link, forced.clone());
    assert_eq!(outcome.data["diff"]["before"]["src"], "f");
    assert_eq!(fs::read_link(&link).expect("a link"), Path::new("nowhere"));
    assert!(!apply(&link, forced).changed);
    assert!(refused(&file, to("l")).contains("src file does not exist"));
    assert!(refused(&file, to(".")).contains("refusing to convert"));
    assert!(refused(&dir.path().join("new"), json!({"state": "link"})).contains("src is required"));
    fs::create_dir(dir.path().join("d")).expect("made");
    fs::write(dir.path().join("d/f"), "").expect("written");
    let over = json!({"state": "link", "src": "../f", "force": true});
    assert!(refused(&dir.path().join("d"), over.clone()).contains("not empty"));
    fs::remove_file(dir.path().join("d/f")).expect("removed");
    assert!(apply(&dir.path().join("d"), over).changed);
    assert!(dir.path().join("d").is_symlink());
    // The mode is that of what the link leads to.
    let outcome = apply(&link, json!({"state": "link", "src": "f", "mode": "0600"}));
    assert!(outcome.changed && mode(&file) == 0o600);
}

#[test]
fn hard_links_are_made_and_changed() {
    let dir = tempfile::tempdir().expect("a directory");
    let (file, link) = (dir.path().join("f"), dir.path().join("l"));
    fs::write(&file, "x").expect("written");
    let to = |force| json!({"state": "hard", "src": file, "force": force});
    assert!(apply(&link, to(false)).changed);
    assert!(!apply(&link, to(false)).changed);
    assert_eq!(fs::metadata(&link).expect("there").nlink(), 2);
    fs::remove_file(&link).expect("removed");
    fs::write(&link, "other").expect("written");
    assert!(refused(&link, to(false)).contains("refusing to convert"));
    assert!(apply(&link, to(true)).changed);
    assert_eq!(fs::read(&link).expect("there"), b"x");
    assert_eq!(fs::read_dir(dir.path()).expect("there").count(), 2);
    assert!(refused(&link, json!({"state": "hard", "src": "/no/such"})).contains("does not exist"));
}
