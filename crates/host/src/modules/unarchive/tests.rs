use crate::modules::test::{check, mode, run, run_with};
use serde_json::json;
use std::fs;
use std::process::Command;
use tempfile::TempDir;

/// s/a, s/b/c packed by a program into `name`.
fn packed(name: &str, program: &str, options: &[&str]) -> TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    fs::create_dir_all(dir.path().join("s/b")).expect("made");
    fs::create_dir(dir.path().join("d")).expect("made");
    fs::write(dir.path().join("s/a"), "one\n").expect("written");
    fs::write(dir.path().join("s/b/c"), "two\n").expect("written");
    let done = Command::new(program)
        .current_dir(dir.path())
        .args(options)
        .args([name, "s"])
        .status()
        .expect("it starts");
    assert!(done.success());
    dir
}

#[test]
fn archives_are_unpacked_once() {
    for (name, program, options, handler) in [
        ("x.tar", "tar", &["-cf"][..], "TarArchive"),
        ("x.tgz", "tar", &["-czf"], "TgzArchive"),
        ("x.tar.xz", "tar", &["-cJf"], "TarXzArchive"),
        ("x.zip", "python3", &["-m", "zipfile", "-c"], "ZipArchive"),
    ] {
        if handler == "ZipArchive" && Command::new("unzip").output().is_err() {
            continue;
        }
        let dir = packed(name, program, options);
        let args = json!({"src": dir.path().join(name), "dest": dir.path().join("d"), "remote_src": true, "mode": "0750"});
        let c = dir.path().join("d/s/b/c");
        assert!(
            check("unarchive", args.clone()).changed && !c.exists(),
            "{name}"
        );
        let done = run("unarchive", args.clone());
        assert!(done.changed && !done.failed, "{name}: {done:?}");
        assert_eq!(
            (&done.data["handler"], &done.data["extract_results"]["rc"]),
            (&json!(handler), &json!(0))
        );
        assert_eq!(
            (fs::read(&c).expect("there"), mode(&c)),
            (b"two\n".to_vec(), 0o750)
        );
        let again = run("unarchive", args.clone());
        assert!(!again.changed && !again.failed, "{name}: {again:?}");
        fs::write(&c, "2\n").expect("written");
        assert!(run("unarchive", args).changed, "{name}");
        assert_eq!(fs::read(&c).expect("there"), b"two\n");
    }
}

#[test]
fn parts_and_options() {
    let dir = packed("x.tgz", "tar", &["-czf"]);
    let dest = dir.path().join("d");
    let base = json!({"src": dir.path().join("x.tgz"), "dest": dest, "remote_src": true});
    let with = |key: &str, value: serde_json::Value| {
        let mut args = base.clone();
        args[key] = value;
        args
    };
    let done = run("unarchive", with("creates", json!(dest)));
    assert!(!done.changed && !done.failed, "{done:?}");
    let mut args = with("extra_opts", json!(["--strip-components=1"]));
    args["list_files"] = true.into();
    let done = run("unarchive", args.clone());
    assert!(
        dest.join("b/c").exists() && !dest.join("s").exists(),
        "{done:?}"
    );
    assert!(
        done.data["files"]
            .as_array()
            .is_some_and(|files| files.contains(&json!("b/c"))),
        "{done:?}"
    );
    assert!(!run("unarchive", args).changed);
    run("unarchive", with("exclude", json!(["s/b"])));
    assert!(dest.join("s/a").exists() && !dest.join("s/b").exists());
    assert!(run("unarchive", with("dest", json!("/no/such"))).failed);
    assert!(run("unarchive", with("src", json!("/etc/passwd"))).failed);
}

#[test]
fn an_archive_of_the_controller() {
    let dir = packed("x.tgz", "tar", &["-czf"]);
    let content = fs::read(dir.path().join("x.tgz")).expect("there");
    let done = run_with(
        "unarchive",
        json!({"src": "x.tgz", "dest": dir.path().join("d")}),
        &content,
    );
    assert!(
        done.changed && dir.path().join("d/s/b/c").exists(),
        "{done:?}"
    );
    assert!(
        run(
            "unarchive",
            json!({"src": "x.tgz", "dest": dir.path().join("d")})
        )
        .failed
    );
}
