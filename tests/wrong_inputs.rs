//! What people get wrong, through the whole binary: the exit code, the place, what was expected and what to do. Nothing is
//! connected to; hosts are this machine. (Keys, users and hosts that can't be reached are in lab_verbs.rs.)

use std::path::Path;
use std::process::{Command, Output, Stdio};

const INVENTORY: &str = "\
all:
  hosts:
    a: {ansible_connection: local}
    b: {ansible_connection: local}
  children:
    etcd: {hosts: {a: }}
";

struct Case {
    dir: tempfile::TempDir,
}

struct Said {
    code: i32,
    text: String,
}

/// Files of a directory that kopsrun is started in.
fn case(files: &[(&str, &str)]) -> Case {
    let case = Case {
        dir: tempfile::tempdir().expect("a directory"),
    };
    for (name, text) in [("inventory.yml", INVENTORY)].iter().chain(files) {
        let path = case.dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("below")).expect("made");
        std::fs::write(path, text).expect("written");
    }
    case
}

/// A play of these tasks on host a.
fn tasks(tasks: &str) -> Case {
    let head = "- hosts: a\n  gather_facts: false\n  vars: {packages: []}\n  tasks:\n";
    case(&[("site.yml", &format!("{head}{tasks}"))])
}

impl Case {
    fn add(self, name: &str, text: &str) -> Self {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("below")).expect("made");
        std::fs::write(path, text).expect("written");
        self
    }

    fn kopsrun(&self, words: &[&str]) -> Said {
        let Output {
            status,
            stdout,
            stderr,
        } = Command::new(env!("CARGO_BIN_EXE_kopsrun"))
            .args(words)
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.dir.path())
            .stdin(Stdio::null())
            .output()
            .expect("kopsrun starts");
        let text = [stdout, stderr].concat();
        Said {
            code: status.code().unwrap_or(-1),
            text: String::from_utf8_lossy(&text).into_owned(),
        }
    }

    fn play(&self) -> Said {
        self.kopsrun(&["play", "site.yml"])
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }
}

impl Said {
    #[track_caller]
    fn says(&self, code: i32, words: &[&str]) -> &Self {
        assert_eq!(self.code, code, "{}", self.text);
        for word in words {
            assert!(self.text.contains(word), "no '{word}' in: {}", self.text);
        }
        self
    }

    /// Refused before anything ran.
    #[track_caller]
    fn refused(&self, words: &[&str]) {
        self.says(4, words);
        assert!(!self.text.contains("TASK ["), "a task ran: {}", self.text);
    }
}

#[test]
fn inventories() {
    let case = tasks("    - ping:\n");
    let play = |inventory: &str| case.kopsrun(&["play", "site.yml", "-i", inventory]);
    // As in Ansible what can't be read is a warning, unless settings say otherwise.
    play("nowhere.yml").says(0, &["nowhere.yml", "No such file", "Unable to parse"]);
    std::fs::remove_file(case.path().join("inventory.yml")).expect("removed");
    // As in Ansible a play may be for this machine alone; other verbs need to know of hosts.
    case.play().says(0, &["only implicit localhost"]);
    case.kopsrun(&["replace-node", "a"]).refused(&[
        "no inventory",
        "-i inventory.yml",
        "KOPSRUN_INVENTORY",
    ]);
    let case = case.add("tab.yml", "all:\n  hosts:\n\ta:\n");
    let listed = case.kopsrun(&["inventory", "--list", "-i", "tab.yml"]);
    listed.says(
        0,
        &["tab.yml:3:1", "isn't valid YAML", "allows only spaces"],
    );
    let case = case.add("list.yml", "all:\n  hosts: [a, b]\n");
    case.kopsrun(&["inventory", "--list", "-i", "list.yml"])
        .says(
            0,
            &[
                "list.yml:2:10",
                "must be a mapping, this is a list",
                "write `a:`",
            ],
        );
    let case = case.add("bad.ini", "[all]\na\n[etcd:chidren]\nall\n");
    case.kopsrun(&["inventory", "--list", "-i", "bad.ini"])
        .says(0, &["bad.ini:3", "chidren"]);
    case.kopsrun(&["replace-node", "a", "-i", "bad.ini"])
        .refused(&["bad.ini:3", "chidren"]);
}

#[test]
fn yaml_of_playbooks() {
    let case = tasks("    - ping:\n   - ping:\n");
    case.play().refused(&[
        "site.yml:6:4",
        "while parsing",
        "check the indentation",
        "   - ping:",
    ]);
    tasks("    - debug: {msg: {{ packages }}}\n")
        .play()
        .refused(&["site.yml:5:"]);
    tasks("    - debug:\n        msg: {{ packages }}\n")
        .play()
        .refused(&["site.yml:6:14", "quote"]);
    case.kopsrun(&["play", "missing.yml"])
        .says(1, &["missing.yml could not be found", "No such file"]);
}

#[test]
fn hosts_and_nodes_that_are_not_there() {
    let case = tasks("    - ping:\n");
    case.kopsrun(&["exec", "a:nodes", "-a", "true"]).refused(&[
        "`nodes` is neither a host nor a group",
        "the inventory knows all, ungrouped, etcd, a, b",
    ]);
    case.kopsrun(&["play", "site.yml", "-l", "ect*:nodes"])
        .says(1, &["leaves us with no hosts", "the inventory knows"]);
    case.kopsrun(&["play", "site.yml", "-l", "@limits"])
        .refused(&["limits"]);
    case.kopsrun(&["restore", "certs", "node9"])
        .refused(&["no host 'node9'"]);
    case.kopsrun(&["replace-node", "node9", "--yes"])
        .says(5, &["node9 is not in the inventory", "'etcd' are: a"]);
}

#[test]
fn modules_and_arguments() {
    tasks("    - coppy: {src: a, dest: /b}\n").play().refused(&[
        "site.yml:5:7",
        "the module `coppy` is not known",
        "Did you mean `copy`?",
        "^^^^^",
    ]);
    tasks("    - copy: {src: a, dst: /b}\n").play().refused(&[
        "site.yml:5:22",
        "no argument dst; did you mean dest?",
        "it takes",
    ]);
    tasks("    - copy: {src: a}\n")
        .play()
        .refused(&["site.yml:5:", "the argument dest is missing"]);
    tasks("    - file: {path: /x, state: dir}\n")
        .play()
        .refused(&[
            "site.yml:5:24",
            "must be one of absent, directory",
            "got \"dir\"",
        ]);
    tasks("    - ping:\n      wehn: true\n").play().refused(&[
        "site.yml:6:7",
        "`wehn` is not a keyword",
        "`when`",
    ]);
    tasks("    - name: nothing\n")
        .play()
        .refused(&["site.yml:5:7", "no module or action"]);
    let script = "from ansible.module_utils.basic import AnsibleModule\n";
    tasks("    - mine: {a: 1}\n")
        .add("library/mine.py", script)
        .play()
        .refused(&[
            "site.yml:5:7",
            "the module `mine` can't be run: it is written in Python",
            "library/mine.py",
            "ansible-core is installed on this machine",
        ]);
    let case = tasks("");
    case.kopsrun(&["exec", "a", "-m", "pingg"])
        .refused(&["`pingg` is not known", "`ping`"]);
    case.kopsrun(&["exec", "a", "-m", "copy", "-a", "content=x dst=/y"])
        .refused(&["no argument dst", "dest"]);
}

#[test]
fn undefined_variables() {
    let failed = tasks("    - debug:\n        msg: \"install {{ pakages }}\"\n").play();
    failed.says(
        2,
        &[
            "'pakages' is undefined",
            "site.yml:6:14",
            "similar name: `packages`",
        ],
    );
    let far = tasks("    - debug: {msg: \"{{ wholly_other }}\"}\n").play();
    far.says(
        2,
        &["'wholly_other' is undefined", "site.yml:5:20", "default("],
    );
    let condition = tasks("    - ping:\n      when: pakages | length > 0\n").play();
    condition.says(
        2,
        &[
            "The conditional check 'pakages | length > 0' failed",
            "'pakages' is undefined",
            "site.yml:6:13",
        ],
    );
    let deep =
        tasks("    - debug: {msg: \"{{ here.thre }}\"}\n      vars: {here: {there: 1}}\n").play();
    deep.says(2, &["thre", "site.yml:5:20", "`here.there`"]);
}

#[test]
fn templates() {
    tasks("    - debug: {msg: \"{{ packages | lenght }}\"}\n")
        .play()
        .refused(&["site.yml:5:20", "no filter named 'lenght'", "`length`"]);
    tasks("    - debug: {msg: \"{% if packages %}x\"}\n")
        .play()
        .refused(&["site.yml:5:20", "endif"]);
    tasks("    - ping:\n      when: packages is defind\n")
        .play()
        .refused(&["site.yml:6:13", "'defind'", "`is defined`"]);
    tasks("    - ping:\n      when: packages ==\n")
        .play()
        .refused(&["site.yml:6:13", "expected an expression"]);
    let file = |text: &str| {
        tasks("    - template: {src: conf.j2, dest: /nowhere/out}\n")
            .add("templates/conf.j2", text)
            .play()
    };
    file("one\n{% for x in packages %}\ntwo\n").refused(&["templates/conf.j2:3", "endfor"]);
    file("one\ntwo {{ packages | uper }}\n").refused(&[
        "templates/conf.j2:2:",
        "'uper'",
        "`upper`",
    ]);
    file("#jinja2: trim_blocks: False\none {{ pakages }}\n").says(
        2,
        &[
            "templates/conf.j2:2:",
            "'pakages' is undefined",
            "`packages`",
            "site.yml:5:",
        ],
    );
    file("one\n{{ 1 // 0 }}\n").says(2, &["templates/conf.j2:2:", "zero"]);
    tasks("    - template: {src: cnf.j2, dest: /nowhere/out}\n")
        .add("templates/conf.j2", "")
        .play()
        .says(
            2,
            &["`cnf.j2` is not there", "site.yml:5:23", "templates/cnf.j2"],
        );
}

#[test]
fn circles() {
    tasks("    - import_tasks: one.yml\n")
        .add("one.yml", "- import_tasks: two.yml\n")
        .add("two.yml", "- import_tasks: one.yml\n")
        .play()
        .refused(&[
            "circular",
            "one.yml -> ",
            "two.yml:1:17",
            "`include_tasks` with a condition",
        ]);
    tasks("    - include_tasks: one.yml\n")
        .add("one.yml", "- include_tasks: two.yml\n")
        .add("two.yml", "- include_tasks: one.yml\n")
        .play()
        .says(
            2,
            &[
                "circular include",
                "two.yml:1:",
                "a condition has to end the circle",
            ],
        );
    case(&[("site.yml", "- import_playbook: site.yml\n")])
        .play()
        .refused(&["circular", "site.yml:1:"]);
    tasks(
        "    - debug: {msg: \"{{ one }}\"}\n      vars: {one: \"{{ two }}\", two: \"{{ one }}\"}\n",
    )
    .play()
    .says(2, &["site.yml:6:37", "recursive loop", "one -> two -> one"]);
    case(&[
        ("site.yml", "- hosts: a\n  roles: [one]\n"),
        ("roles/one/meta/main.yml", "dependencies: [two]\n"),
        ("roles/two/meta/main.yml", "dependencies: [one]\n"),
        ("roles/one/tasks/main.yml", "- ping:\n"),
        ("roles/two/tasks/main.yml", "- ping:\n"),
    ])
    .play()
    .refused(&["one", "two"]);
}

#[test]
fn extra_variables_and_options() {
    let case = tasks("    - ping:\n");
    let with = |vars: &str| case.kopsrun(&["play", "site.yml", "-e", vars]);
    with("@none.yml").says(1, &["none.yml", "No such file"]);
    with("{bad").refused(&["-e", "isn't valid YAML"]);
    with("/vars.yml").says(5, &["'/vars.yml' with '@'"]);
    case.kopsrun(&["play", "site.yml", "--no-such"])
        .says(2, &["--no-such", "--help"]);
    case.kopsrun(&["plya", "site.yml"])
        .says(2, &["plya", "play"]);
}

#[test]
fn machines_get_the_same_in_json() {
    let said = tasks("    - coppy: {src: a, dest: /b}\n")
        .kopsrun(&["play", "site.yml", "--output", "json"]);
    let last = said.text.trim_end().lines().last().expect("a line");
    let error: serde_json::Value = serde_json::from_str(last).expect("one object");
    assert_eq!((said.code, &error["error"]["code"]), (4, &4.into()));
    let fault = &error["error"]["faults"][0];
    assert_eq!(fault["place"], "site.yml:5:7", "{error}");
    assert_eq!(fault["hints"][0], "Did you mean `copy`?", "{error}");
}

#[test]
fn nothing_runs_without_a_record() {
    let case = tasks("    - ping:\n").add("runs", "a file where a directory is needed");
    let said = case.kopsrun(&["play", "site.yml", "--runs-dir", "runs"]);
    said.says(1, &["runs", "--runs-dir", "KOPSRUN_RUNS"]);
    assert!(!said.text.contains("TASK ["), "{}", said.text);
}
