//! `kopsrun vault` and ansible-vault open each other's files and values.
#![allow(
    clippy::disallowed_methods,
    reason = "tests read the environment of the machine that they run on"
)]

mod oracle;

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

struct World {
    dir: tempfile::TempDir,
}

impl World {
    /// Two password files, a script that prints the second password, and a client script that knows two ids.
    fn new() -> Self {
        let world = Self {
            dir: tempfile::tempdir().expect("a directory"),
        };
        world.write("p1", "first password\n");
        world.write("p2", "  second \n");
        world.write("p2.sh", "#!/bin/sh\necho second\n");
        world.write(
            "keys-client.sh",
            "#!/bin/sh\n[ \"$1\" = --vault-id ] || exit 9\ncase $2 in dev) echo 'first password';; prod) echo second;; *) exit 2;; esac\n",
        );
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("written");
        if text.starts_with("#!") {
            let mode = fs::Permissions::from_mode(0o755);
            fs::set_permissions(self.path(name), mode).expect("a mode");
        }
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect("a file")
    }

    fn run(&self, program: &Path, args: &[&str], input: &str) -> Output {
        let mut child = Command::new(program)
            .args(args)
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir.path())
            .env("LC_ALL", "C.UTF-8")
            .env("EDITOR", self.path("editor.sh"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut stdin = child.stdin.take().expect("piped");
        // Whoever needs no input may be gone already.
        let _closed = stdin.write_all(input.as_bytes());
        drop(stdin);
        child.wait_with_output().expect("it ends")
    }

    fn ours(&self, args: &[&str], input: &str) -> Output {
        let mut all = vec!["vault"];
        all.extend(args);
        self.run(Path::new(env!("CARGO_BIN_EXE_kopsrun")), &all, input)
    }

    fn theirs(&self, args: &[&str], input: &str) -> Output {
        self.run(&oracle::program("ansible-vault"), args, input)
    }
}

fn text(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {error}", output.status);
    String::from_utf8(output.stdout.clone()).expect("text")
}

/// The exit code, and what was said.
fn failed(output: &Output) -> (i32, String) {
    assert!(!output.status.success());
    let code = output.status.code().expect("it wasn't killed");
    (code, String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn files_go_both_ways() {
    let world = World::new();
    let plain = "a: 1\nb: \u{e4}\n";
    for (name, secret) in [
        ("plain.yml", "p1"),
        ("labelled.yml", "dev@p1"),
        ("script.yml", "prod@p2.sh"),
        ("client.yml", "prod@keys-client.sh"),
    ] {
        let id = ["--vault-id", secret];
        world.write(name, plain);
        text(&world.ours(&["encrypt", name, id[0], id[1]], ""));
        let sealed = world.read(name);
        assert!(sealed.starts_with("$ANSIBLE_VAULT;1."), "{sealed}");
        assert_eq!(
            text(&world.theirs(&["view", name, id[0], id[1]], "")),
            plain
        );
        text(&world.theirs(&["decrypt", name, id[0], id[1]], ""));
        assert_eq!(world.read(name), plain);

        text(&world.theirs(&["encrypt", name, id[0], id[1]], ""));
        let header = |text: &str| text.lines().next().map(str::to_owned);
        assert_eq!(header(&world.read(name)), header(&sealed));
        assert_eq!(world.read(name).len(), sealed.len());
        assert_eq!(text(&world.ours(&["view", name, id[0], id[1]], "")), plain);
        text(&world.ours(&["decrypt", name, id[0], id[1]], ""));
        assert_eq!(world.read(name), plain);
    }
}

#[test]
fn standard_input_and_output_go_both_ways() {
    let world = World::new();
    let args = ["encrypt", "--vault-id", "p1", "--output", "-"];
    let sealed = text(&world.ours(&args, "hello"));
    let args = ["decrypt", "--vault-id", "p1", "--output", "-"];
    assert_eq!(text(&world.theirs(&args, &sealed)), "hello");
    assert_eq!(text(&world.ours(&args, &sealed)), "hello");
}

#[test]
fn values_go_both_ways() {
    let world = World::new();
    let args = [
        "encrypt_string",
        "--vault-id",
        "dev@p1",
        "--stdin-name",
        "v",
    ];
    let shape = |text: &str| {
        let lines = text.lines().map(|line| match line.trim_start().len() {
            length
                if line
                    .trim_start()
                    .starts_with(|c: char| c.is_ascii_hexdigit()) =>
            {
                format!("{}{length}", &line[..line.len() - length])
            }
            _ => line.to_owned(),
        });
        lines.collect::<Vec<_>>()
    };
    let (ours, theirs) = (world.ours(&args, "s3cret"), world.theirs(&args, "s3cret"));
    assert_eq!(shape(&text(&ours)), shape(&text(&theirs)));
    let args = [
        "encrypt_string",
        "--vault-id",
        "dev@p1",
        "-n",
        "one",
        "x",
        "y",
    ];
    let (ours, theirs) = (world.ours(&args, ""), world.theirs(&args, ""));
    assert_eq!(shape(&text(&ours)), shape(&text(&theirs)));
    // Ansible reads what we wrote.
    world.write(
        "vars.yml",
        &text(&world.ours(
            &[
                "encrypt-string",
                "--vault-id",
                "dev@p1",
                "-n",
                "v",
                "from us",
            ],
            "",
        )),
    );
    let args = [
        "localhost",
        "-m",
        "debug",
        "-a",
        "msg={{ v }}",
        "-e",
        "@vars.yml",
        "--vault-id",
        "dev@p1",
    ];
    let shown = text(&world.run(&oracle::program("ansible"), &args, ""));
    assert!(shown.contains("\"msg\": \"from us\""), "{shown}");
}

#[test]
fn rekeyed_files_open_with_the_new_password_only() {
    let world = World::new();
    world.write("a", "one");
    world.write("b", "two");
    text(&world.theirs(&["encrypt", "a", "b", "--vault-id", "p1"], ""));
    let args = [
        "rekey",
        "a",
        "b",
        "--vault-id",
        "p1",
        "--new-vault-id",
        "prod@p2",
    ];
    text(&world.ours(&args, ""));
    assert!(
        world
            .read("a")
            .starts_with("$ANSIBLE_VAULT;1.2;AES256;prod\n")
    );
    assert_eq!(
        text(&world.theirs(&["view", "b", "--vault-id", "prod@p2"], "")),
        "two\n"
    );
    let (code, said) = failed(&world.ours(&["view", "b", "--vault-id", "p1"], ""));
    assert_eq!(code, 1);
    assert!(
        said.contains("no vault secrets were found that could decrypt"),
        "{said}"
    );
}

#[test]
fn an_editor_changes_what_a_vault_holds() {
    let world = World::new();
    world.write(
        "editor.sh",
        "#!/bin/sh\nstat -c '%a' \"$1\" > mode\necho added >> \"$1\"\n",
    );
    world.write("f.yml", "first\n");
    text(&world.theirs(&["encrypt", "f.yml", "--vault-id", "dev@p1"], ""));
    fs::set_permissions(world.path("f.yml"), fs::Permissions::from_mode(0o640)).expect("a mode");
    text(&world.ours(&["edit", "f.yml", "--vault-id", "dev@p1"], ""));
    assert_eq!(world.read("mode"), "600\n");
    assert!(
        world
            .read("f.yml")
            .starts_with("$ANSIBLE_VAULT;1.2;AES256;dev\n")
    );
    let mode = fs::metadata(world.path("f.yml"))
        .expect("there")
        .permissions();
    assert_eq!(mode.mode() & 0o777, 0o640);
    let view = ["view", "f.yml", "--vault-id", "dev@p1"];
    assert_eq!(text(&world.theirs(&view, "")), "first\nadded\n");
    // Nothing changed: the file stays as it is to the byte.
    world.write("editor.sh", "#!/bin/sh\n");
    let before = world.read("f.yml");
    text(&world.ours(&["edit", "f.yml", "--vault-id", "dev@p1"], ""));
    assert_eq!(world.read("f.yml"), before);
    // An editor that fails changes nothing.
    world.write("editor.sh", "#!/bin/sh\necho lost > \"$1\"\nexit 3\n");
    failed(&world.ours(&["edit", "f.yml", "--vault-id", "dev@p1"], ""));
    assert_eq!(world.read("f.yml"), before);
    world.write("editor.sh", "#!/bin/sh\necho made > \"$1\"\n");
    text(&world.ours(&["create", "new.yml", "--vault-id", "p1"], ""));
    let mode = fs::metadata(world.path("new.yml"))
        .expect("there")
        .permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    assert_eq!(
        text(&world.theirs(&["view", "new.yml", "--vault-id", "p1"], "")),
        "made\n"
    );
}

#[test]
fn what_is_wrong_has_ansibles_exit_codes_and_words() {
    let world = World::new();
    world.write("f", "x");
    text(&world.ours(&["encrypt", "f", "--vault-id", "p1"], ""));
    world.write("plain", "x");
    world.write("empty", "\n");
    world.write("bad.sh", "#!/bin/sh\nexit 4\n");
    for args in [
        &["encrypt", "f", "--vault-id", "p1"][..],
        &["view", "plain", "--vault-id", "p1"],
        &["view", "f", "--vault-id", "p2"],
        &["view", "f", "--vault-id", "nowhere"],
        &["view", "f", "--vault-id", "empty"],
        &["view", "f", "--vault-id", "bad.sh"],
        &["view", "f", "--vault-id", "x@keys-client.sh"],
        &["view", "missing", "--vault-id", "p1"],
        &[
            "encrypt",
            "plain",
            "--vault-id",
            "a@p1",
            "--vault-id",
            "b@p2",
        ],
        &[
            "encrypt",
            "plain",
            "--vault-id",
            "a@p1",
            "--encrypt-vault-id",
            "z",
        ],
    ] {
        let (code, said) = failed(&world.ours(args, ""));
        assert_eq!(code, failed(&world.theirs(args, "")).0, "{args:?}: {said}");
        assert!(
            !said.contains("first password") && !said.contains("second"),
            "{said}"
        );
    }
    // Whatever failed, the files are as they were, and nothing is left beside them.
    assert_eq!(world.read("plain"), "x");
    let names = fs::read_dir(world.dir.path()).expect("there");
    let left = names.flatten().filter(|entry| {
        entry
            .file_name()
            .to_string_lossy()
            .contains("kopsrun-vault")
    });
    assert_eq!(left.count(), 0);
}
