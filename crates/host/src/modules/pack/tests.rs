use crate::modules::test::{check, mode, run};
use serde_json::json;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

#[test]
fn check_mode_says_what_a_run_does_and_leaves_everything() {
    let dir = tempfile::tempdir().expect("a directory");
    let (src, dest) = (dir.path().join("s"), dir.path().join("a.tgz"));
    fs::create_dir_all(src.join("d")).expect("made");
    fs::write(src.join("d/x"), "1").expect("written");
    symlink("x", src.join("d/l")).expect("a link");
    let args = json!({"path": src, "dest": dest});
    let told = check("archive", args.clone());
    assert!(told.changed && !dest.exists(), "{told:?}");
    let done = run("archive", args.clone());
    assert!(done.changed && !done.failed, "{done:?}");
    assert_eq!(done.data["archived"].as_array().map(Vec::len), Some(3));
    for outcome in [check("archive", args.clone()), run("archive", args.clone())] {
        assert!(!outcome.changed && !outcome.failed, "{outcome:?}");
    }
    // What is replaced keeps its mode; what holds something else is replaced.
    fs::set_permissions(&dest, fs::Permissions::from_mode(0o600)).expect("set");
    fs::write(src.join("d/x"), "2").expect("written");
    assert!(check("archive", args.clone()).changed);
    assert!(run("archive", args).changed);
    assert_eq!(mode(&dest), 0o600);
    assert_eq!(fs::read_dir(dir.path()).expect("there").count(), 2);
}

#[test]
fn an_archive_inside_of_what_it_holds_does_not_hold_itself() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("x"), "1").expect("written");
    let args = json!({"path": dir.path(), "dest": dir.path().join("a.tar"), "format": "tar"});
    let done = run("archive", args.clone());
    assert_eq!(
        done.data["archived"].as_array().map(Vec::len),
        Some(1),
        "{done:?}"
    );
    let again = run("archive", args.clone());
    assert_eq!(
        again.data["archived"].as_array().map(Vec::len),
        Some(1),
        "{again:?}"
    );
    let mut gone = args;
    gone["remove"] = true.into();
    let refused = run("archive", gone);
    assert!(
        refused.failed && dir.path().join("x").exists(),
        "{refused:?}"
    );
}
