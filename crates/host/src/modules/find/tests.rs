use crate::modules::test::run;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use tempfile::TempDir;

/// a.log (6 bytes, 0600), b.txt, .hidden, link → b.txt, loop → ., sub/c.log, sub/deep/d.log
fn tree() -> TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    let at = |name: &str| dir.path().join(name);
    fs::create_dir_all(at("sub/deep")).expect("made");
    for (name, text) in [
        ("a.log", "key=1\n"),
        ("b.txt", "x key=2\r\nend"),
        (".hidden", ""),
        ("sub/c.log", ""),
        ("sub/deep/d.log", "key=3"),
    ] {
        fs::write(at(name), text).expect("written");
    }
    symlink("b.txt", at("link")).expect("a link");
    symlink(".", at("sub/loop")).expect("a link");
    fs::set_permissions(at("a.log"), fs::Permissions::from_mode(0o600)).expect("set");
    dir
}

/// Names that are found, relative, in order.
fn found(dir: &TempDir, args: Value) -> Vec<String> {
    let mut args = args;
    args["paths"] = dir.path().to_string_lossy().into();
    let done = run("find", args.clone());
    assert!(!done.failed && !done.changed, "{args}: {done:?}");
    let files = done.data["files"].as_array().expect("a list");
    assert_eq!(done.data["matched"], files.len());
    let top = format!("{}/", dir.path().display());
    files
        .iter()
        .map(|file| file["path"].as_str().expect("text").replace(&top, ""))
        .collect()
}

#[test]
fn what_fits_is_found() {
    let dir = tree();
    for (args, names) in [
        (json!({}), vec!["a.log", "b.txt"]),
        (json!({"hidden": true}), vec![".hidden", "a.log", "b.txt"]),
        (
            json!({"recurse": true, "patterns": "*.log"}),
            vec!["a.log", "sub/c.log", "sub/deep/d.log"],
        ),
        (
            json!({"recurse": true, "patterns": ["*.log"], "depth": 2}),
            vec!["a.log", "sub/c.log"],
        ),
        (
            json!({"recurse": true, "patterns": "*.log", "excludes": "c*,d*"}),
            vec!["a.log"],
        ),
        (
            json!({"patterns": "^.\\.(log|md)$", "use_regex": true}),
            vec!["a.log"],
        ),
        (
            json!({"file_type": "directory", "recurse": true}),
            vec!["sub", "sub/deep"],
        ),
        (
            json!({"file_type": "link", "recurse": true, "follow": true}),
            vec!["link", "sub/loop"],
        ),
        (
            json!({"file_type": "any", "limit": 3}),
            vec!["a.log", "b.txt", "link"],
        ),
        (json!({"contains": "key="}), vec!["a.log"]),
        (json!({"contains": ".*key"}), vec!["a.log", "b.txt"]),
        (
            json!({"contains": "2\nend$", "read_whole_file": true}),
            vec!["b.txt"],
        ),
        (json!({"size": "7"}), vec!["b.txt"]),
        (json!({"size": "-1k", "patterns": "a*"}), vec!["a.log"]),
        (json!({"age": "-1h"}), vec!["a.log", "b.txt"]),
        (json!({"age": "1h"}), vec![]),
        (json!({"mode": "0600"}), vec!["a.log"]),
        (json!({"mode": "u=rw"}), vec!["a.log"]),
        (json!({"mode": "0004", "exact_mode": false}), vec!["b.txt"]),
    ] {
        assert_eq!(found(&dir, args.clone()), names, "{args}");
    }
}

#[test]
fn what_is_found_is_described() {
    let dir = tree();
    let args = json!({"path": dir.path(), "patterns": "a.log", "get_checksum": true});
    let file = run("find", args).data["files"][0].clone();
    assert_eq!(
        (&file["mode"], &file["size"], &file["isreg"]),
        (&json!("0600"), &json!(6), &json!(true))
    );
    assert_eq!(file["checksum"].as_str().map(str::len), Some(40));
}

#[test]
fn directories_that_are_not_there_are_told() {
    let done = run("find", json!({"paths": "/no/such,/etc/hostname"}));
    assert!(!done.failed, "{done:?}");
    assert_eq!(
        done.data["msg"],
        "Not all paths examined, check warnings for details"
    );
    assert_eq!(
        done.data["skipped_paths"]["/no/such"],
        "'/no/such' is not a directory"
    );
    assert_eq!(done.data["warnings"].as_array().map(Vec::len), Some(2));
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (args, part) in [
        (json!({"age": "3 days"}), "failed to process age"),
        (json!({"size": "k"}), "failed to process size"),
        (json!({"limit": 0}), "limit cannot be 0"),
        (json!({"mode": 420}), "not a string"),
        (json!({"contains": "("}), "no regular expression"),
        (
            json!({"patterns": "(", "use_regex": true}),
            "no regular expression",
        ),
    ] {
        let mut args = args;
        args["paths"] = "/etc".into();
        let done = run("find", args.clone());
        let said = done.data["msg"].as_str().unwrap_or_default();
        assert!(done.failed && said.contains(part), "{args}: {said}");
    }
}
