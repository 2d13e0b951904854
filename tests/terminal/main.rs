//! What people are asked on a terminal: the same dialogues with Ansible and with kopsrun.
#![allow(
    clippy::disallowed_methods,
    reason = "tests start programs and read their own environment"
)]

#[path = "../oracle/mod.rs"]
mod oracle;

use std::fs;
use std::path::Path;
use std::process::Command;

const DIALOGUE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/terminal/dialogue.py");

const QUESTIONS: &str = r#"
- hosts: localhost
  gather_facts: false
  vars_prompt:
    - {name: shown, prompt: Shown, private: false}
    - {name: preset, default: before}
    - {name: twice, prompt: Twice, confirm: true}
    - {name: raw, prompt: Raw, private: false, unsafe: true}
  tasks:
    - debug: msg="{{ shown }} {{ preset }} {{ twice }} {{ raw }}"
"#;

const STEPS: &str = r#"
- hosts: localhost
  gather_facts: false
  tasks:
    - debug: msg=one
    - {name: second, debug: {msg: two}}
    - debug: msg=three
    - debug: msg=four
"#;

const SECRETS: &str = r#"
- hosts: localhost
  gather_facts: false
  vars_files: [vault.yml]
  tasks:
    - debug: var=inside
"#;

/// What the terminal showed: both programs get the same files, words and answers.
struct Shown {
    theirs: String,
    ours: String,
}

fn shown(answers: &[(&str, &str)], words: &[&str]) -> Shown {
    let theirs = oracle::program(words[0]);
    let ours = env!("CARGO_BIN_EXE_kopsrun");
    Shown {
        theirs: dialogue(answers, &[theirs.to_str().expect("a path")], words),
        ours: dialogue(answers, &[ours, words[0]], words),
    }
}

fn dialogue(answers: &[(&str, &str)], program: &[&str], words: &[&str]) -> String {
    let dir = tempfile::tempdir().expect("a directory");
    lay_out(dir.path());
    let done = Command::new(oracle::program("python"))
        .arg(DIALOGUE)
        .args(answers.iter().flat_map(|(wait, typed)| [wait, typed]))
        .arg("--")
        .args(program)
        .args(&words[1..])
        .current_dir(dir.path())
        .env_clear()
        .envs([("LC_ALL", "C.UTF-8"), ("USER", "root"), ("TERM", "dumb")])
        .envs([("ANSIBLE_NOCOLOR", "1"), ("PAGER", "cat")])
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", dir.path())
        .output()
        .expect("the virtualenv's python");
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    String::from_utf8_lossy(&done.stdout).into_owned()
}

fn lay_out(dir: &Path) {
    let write = |name: &str, text: &str| fs::write(dir.join(name), text).expect("a file");
    write("inventory.ini", "localhost ansible_connection=local\n");
    write("questions.yml", QUESTIONS);
    write("steps.yml", STEPS);
    write("secrets.yml", SECRETS);
    write("password", "opens\n");
    write("vault.yml", "inside: told\n");
    let words = ["vault", "encrypt", "--vault-password-file", "password"];
    let done = Command::new(env!("CARGO_BIN_EXE_kopsrun"))
        .args(words)
        .arg("vault.yml")
        .current_dir(dir)
        .output()
        .expect("kopsrun was built");
    assert!(done.status.success(), "{done:?}");
}

/// Plays with an inventory of this machine.
fn same(answers: &[(&str, &str)], words: &[&str]) {
    let shown = shown(answers, words);
    assert_eq!(shown.ours, shown.theirs, "{words:?}");
    assert!(
        shown.ours.contains(" 0 answers not asked for"),
        "{}",
        shown.ours
    );
}

#[test]
fn variables_are_asked_for() {
    let answers = [
        ("Shown: ", "{{ 1 + 1 }}\\n"),
        (r"preset \[before\]: ", "\\n"),
        ("Twice: ", "one\\n"),
        ("confirm Twice: ", "other\\n"),
        ("Twice: ", "one\\n"),
        ("confirm Twice: ", "one\\n"),
        ("Raw: ", "{{ 2 }}\\n"),
    ];
    same(
        &answers,
        &["ansible-playbook", "-i", "inventory.ini", "questions.yml"],
    );
}

#[test]
fn steps_are_confirmed() {
    let answers = [
        ("debug.*: ", "y\\n"),
        ("second.*: ", "n\\n"),
        ("debug.*: ", "c\\n"),
    ];
    same(
        &answers,
        &[
            "ansible-playbook",
            "-i",
            "inventory.ini",
            "--step",
            "steps.yml",
        ],
    );
}

#[test]
fn passwords_are_asked_for_in_order() {
    let words = [
        "ansible-playbook",
        "-i",
        "inventory.ini",
        "-k",
        "-K",
        "steps.yml",
    ];
    same(&[("SSH password: ", "a\\n"), ("BECOME.*: ", "\\n")], &words);
    let words = ["ansible-playbook", "-i", "inventory.ini", "-K", "steps.yml"];
    same(&[("BECOME password: ", "b\\n")], &words);
}

#[test]
fn vaults_are_opened() {
    let run = ["ansible-playbook", "-i", "inventory.ini", "secrets.yml"];
    let opens = [("assword.*: ", "opens\\n")];
    same(&opens, &[&run[..], &["--ask-vault-pass"]].concat());
    same(&opens, &[&run[..], &["--vault-id", "dev@prompt"]].concat());
    same(&opens, &["ansible-vault", "view", "vault.yml"]);
    let renewed = [
        ("Vault password: ", "opens\\n"),
        ("New Vault password: ", "new\\n"),
        ("Confirm New Vault password: ", "new\\n"),
    ];
    same(&renewed, &["ansible-vault", "rekey", "vault.yml"]);

    let shown = shown(
        &[("assword: ", "wrong\\n")],
        &[&run[..], &["--ask-vault-pass"]].concat(),
    );
    for text in [&shown.theirs, &shown.ours] {
        assert!(text.contains("Decryption failed"), "{text}");
        assert!(!text.contains("TASK"), "nothing is run: {text}");
        assert!(!text.contains("exit 0"), "{text}");
    }
}
