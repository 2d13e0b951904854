//! What reading finds: trees, and faults as people see them.

use super::*;
use crate::content::place::Fault;
use crate::content::value::Value;
use std::path::Path;
use std::sync::Arc;

/// Writes files below a directory: names and contents.
fn written(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("below the directory")).expect("made");
        std::fs::write(path, text).expect("written");
    }
    dir
}

fn read_in(dir: &Path) -> Result<Playbook, Vec<Fault>> {
    Loader::new(Settings {
        keywords: Vec::new(),
        strategy: Strategy::Linear,
        statics: Arc::default(),
        roles_path: Vec::new(),
        collections_path: Vec::new(),
        extra_vars: Arc::default(),
        vault: Arc::default(),
        library: Vec::new(),
        ansible: None,
        listing: false,
        render: Arc::new(|var, _| Ok(var.value.clone())),
    })
    .playbook(&dir.join("site.yml"))
}

fn read(files: &[(&str, &str)]) -> Playbook {
    let dir = written(files);
    match read_in(dir.path()) {
        Ok(playbook) => playbook,
        Err(faults) => panic!("{faults:?}"),
    }
}

/// Faults as `place: message [hint | hint]`, places relative to the directory.
fn faults(files: &[(&str, &str)]) -> Vec<String> {
    let dir = written(files);
    let Err(faults) = read_in(dir.path()) else {
        panic!("nothing was found wrong");
    };
    let real = dir.path().canonicalize().expect("there");
    let relative = |text: String| {
        text.replace(&format!("{}/", real.display()), "")
            .replace(&format!("{}/", dir.path().display()), "")
            .replace(&real.display().to_string(), ".")
    };
    faults
        .into_iter()
        .map(|fault| {
            let place = fault
                .place
                .as_ref()
                .map(|place| format!("{place}: "))
                .unwrap_or_default();
            relative(format!(
                "{place}{} [{}]",
                fault.message,
                fault.hints.join(" | ")
            ))
        })
        .collect()
}

fn one(site: &str) -> Vec<String> {
    faults(&[("site.yml", site)])
}

fn tasks(items: &[Item]) -> Vec<Arc<Task>> {
    items
        .iter()
        .flat_map(|item| match item {
            Item::Task(task) => vec![Arc::clone(task)],
            Item::Block(block) => tasks(&block.tasks),
            Item::RoleEnd(_) => Vec::new(),
        })
        .collect()
}

fn text(value: &Value) -> String {
    match value {
        Value::Str(text) => text.text.to_string(),
        _ => panic!("text was expected"),
    }
}

#[test]
fn arguments_are_read_in_every_way_of_writing_them() {
    let playbook = read(&[(
        "site.yml",
        "- hosts: all
  tasks:
    - ansible.builtin.command: uptime -p chdir=/tmp
    - shell:
        cmd: ls | wc
    - action: stat path=/etc/x
    - local_action: {module: stat, path: /etc/y}
    - command: ls
      args: {chdir: /var}
",
    )]);
    let tasks = tasks(&playbook.plays[0].tasks);
    let names: Vec<&str> = tasks.iter().map(|task| &*task.module).collect();
    assert_eq!(names, ["command", "shell", "stat", "stat", "command"]);
    assert_eq!(
        text(&tasks[0].args.free_form.as_ref().expect("a line").value),
        "uptime -p"
    );
    assert_eq!(
        text(&tasks[0].args.get("chdir").expect("taken out").value),
        "/tmp"
    );
    assert_eq!(
        text(&tasks[2].args.get("path").expect("split").value),
        "/etc/x"
    );
    let delegated = tasks[3].frame.get(Keyword::DelegateTo).expect("delegated");
    assert_eq!(text(&delegated.value), "localhost");
    assert_eq!(
        text(&tasks[4].args.get("chdir").expect("from args").value),
        "/var"
    );
    assert_eq!(
        tasks[0].place.to_string().rsplit('/').next(),
        Some("site.yml:3:7")
    );
}

#[test]
fn blocks_and_imports_pass_keywords_down() {
    let playbook = read(&[
        (
            "site.yml",
            "- hosts: all
  become: true
  tags: play
  tasks:
    - block:
        - import_tasks: more.yml
          when: inner
      when: outer
      tags: [block]
      become: false
",
        ),
        ("more.yml", "- debug: msg=x\n  tags: own\n"),
    ]);
    let tasks = tasks(&playbook.plays[0].tasks);
    let frame = &tasks[0].frame;
    let conditions: Vec<String> = frame
        .conditions()
        .iter()
        .map(|var| text(&var.value))
        .collect();
    assert_eq!(conditions, ["outer", "inner"]);
    let tags: Vec<String> = frame.tags().iter().map(|var| text(&var.value)).collect();
    assert_eq!(tags, ["play", "block", "own"]);
    assert!(matches!(
        frame.get(Keyword::Become).expect("set").value,
        Value::Bool(false)
    ));
}

#[test]
fn roles_bring_dependencies_handlers_and_layers() {
    let playbook = read(&[
        (
            "site.yml",
            "- hosts: all\n  roles:\n    - {role: app, level: 80, vars: {v: entry}, tags: [t]}\n",
        ),
        ("roles/app/tasks/main.yml", "- debug: msg=app\n"),
        (
            "roles/app/handlers/main.yml",
            "- name: restart app\n  debug: msg=h\n",
        ),
        ("roles/app/defaults/main.yml", "d: app\n"),
        ("roles/app/vars/main/a.yml", "v: file\n"),
        ("roles/app/vars/main/b.yml", "w: file\n"),
        (
            "roles/app/meta/main.yml",
            "dependencies:\n  - role: base\n    level: 3\n",
        ),
        ("roles/base/tasks/main.yaml", "- debug: msg=base\n"),
        ("roles/base/vars/main.yml", "w: base\nx: base\n"),
        (
            "roles/base/handlers/main.yml",
            "- name: restart base\n  debug: msg=h\n",
        ),
    ]);
    let play = &playbook.plays[0];
    let roles: Vec<String> = tasks(&play.role_tasks)
        .iter()
        .map(|task| task.frame.role().expect("in a role").name.to_string())
        .collect();
    assert_eq!(roles, ["base", "app"]);
    let handlers: Vec<String> = play
        .handlers
        .iter()
        .map(|task| text(&task.name.as_ref().expect("named").value))
        .collect();
    assert_eq!(handlers, ["restart base", "restart app"]);
    let app = &play.roles[0];
    let find = |layers: &Layers, name: &str| {
        layers
            .iter()
            .find_map(|layer| layer.get(name))
            .map(|var| text(&var.value))
    };
    assert_eq!(find(&app.vars, "v").as_deref(), Some("entry"));
    assert_eq!(find(&app.vars, "w").as_deref(), Some("file"));
    assert_eq!(find(&app.vars, "x").as_deref(), Some("base"));
    assert_eq!(find(&app.exports, "v").as_deref(), Some("file"));
    assert!(app.params.iter().any(|layer| layer.contains_key("level")));
    // A dependency inherits the tags of what depends on it.
    assert_eq!(tasks(&play.role_tasks)[0].frame.tags().len(), 1);
}

#[test]
fn a_module_that_is_not_there_is_named_with_its_neighbours() {
    assert_eq!(
        one("- hosts: all\n  tasks:\n    - name: x\n      comand: uptime\n"),
        ["site.yml:4:7: the module `comand` is not known [Did you mean `command`?]"]
    );
    assert_eq!(
        one("- hosts: all\n  tasks:\n    - acme.cloud.server: {name: x}\n"),
        [
            "site.yml:3:7: the module `acme.cloud.server` is not known [It is neither one that kopsrun brings (`kopsrun doc -l`), nor in a library/ or collection on this machine; Ansible's own are found when ansible-core is installed here.]"
        ]
    );
    assert_eq!(
        one("- hosts: all\n  tasks:\n    - ufw: {state: enabled}\n"),
        [
            "site.yml:3:7: the module `ufw` is not supported [Its rules fight with those of Kubernetes; use the module `iptables`.]"
        ]
    );
}

#[test]
fn options_of_rsync_that_mean_nothing_here_are_refused_where_they_stand() {
    let play = |more: &str| {
        one(&format!(
            "- hosts: all\n  tasks:\n    - synchronize: {{src: x, dest: /y, {more}}}\n"
        ))
    };
    assert_eq!(
        play("rsync_opts: [--link-dest=/z]"),
        [
            "site.yml:3:39: synchronize: rsync_opts: --link-dest=/z isn't supported (`kopsrun doc synchronize` lists those that are) []"
        ]
    );
    assert_eq!(
        play("dest_port: 23"),
        [
            "site.yml:3:39: synchronize doesn't take dest_port here: the play's own connection is used; its port is `ansible_port`. []"
        ]
    );
}

#[test]
fn an_argument_that_is_not_there_is_told_with_those_that_are() {
    let found = one("- hosts: all\n  tasks:\n    - stat:\n        path: /x\n        folow: true\n");
    assert_eq!(found.len(), 1);
    assert!(
        found[0].starts_with(
            "site.yml:5:9: stat has no argument folow; did you mean follow? (it takes "
        ),
        "{found:?}"
    );
    let missing = one("- hosts: all\n  tasks:\n    - stat: {}\n");
    assert!(missing[0].contains("path is missing"), "{missing:?}");
    assert_eq!(
        one("- hosts: all\n  tasks:\n    - debug: just text\n"),
        [
            "site.yml:3:14: `just text` is not an argument of `debug` [Write `debug: msg=just text` or a mapping below the module.]"
        ]
    );
}

#[test]
fn keywords_that_are_wrong_or_come_later_are_refused_by_name() {
    assert_eq!(
        one("- hosts: all\n  taks: []\n"),
        ["site.yml:2:3: `taks` is not a keyword of a play [Did you mean `tags` or `tasks`?]"]
    );
    assert_eq!(
        one("- hosts: all\n  tasks:\n    - command: ls\n      becom: true\n"),
        ["site.yml:4:7: `becom` is not a keyword of a task [Did you mean `become`?]"]
    );
    let later = one(
        "- hosts: all\n  strategy: debug\n  become_exe: x\n  tasks:\n    - command: ls\n      debugger: always\n",
    );
    assert_eq!(later.len(), 2, "{later:?}");
    assert!(
        later[0].starts_with("site.yml:2:13: the strategy `debug` is not supported"),
        "{later:?}"
    );
    assert!(
        later[1].starts_with("site.yml:6:17: `debugger: always` is not supported"),
        "{later:?}"
    );
}

#[test]
fn what_meta_can_do_is_told() {
    assert_eq!(
        one("- hosts: all\n  tasks:\n    - meta: flush_handler\n"),
        ["site.yml:3:13: `meta: flush_handler` is not known [Did you mean `flush_handlers`?]"]
    );
    assert_eq!(
        one("- hosts: all\n  tasks:\n    - meta: end_role\n"),
        [
            "site.yml:3:13: `meta: end_role` stands outside of the tasks of a role [Use `meta: end_host` or a condition here.]"
        ]
    );
}

#[test]
fn every_fault_is_found_not_only_the_first() {
    let found = faults(&[
        (
            "site.yml",
            "- hosts: all\n  roles: [missing]\n  tasks:\n    - comand: ls\n    - command: ls\n      stat: {path: /x}\n    - import_tasks: more.yml\n- task: x\n",
        ),
        ("more.yml", "- debg: {}\n"),
    ]);
    let heads: Vec<&str> = found
        .iter()
        .map(|line| line.split(" [").next().unwrap_or_default())
        .collect();
    assert_eq!(
        heads,
        [
            "site.yml:2:11: the role `missing` is not there",
            "site.yml:4:7: the module `comand` is not known",
            "site.yml:6:7: one task names several modules: command, stat",
            "more.yml:1:3: the module `debg` is not known",
            "site.yml:8:3: a play needs `hosts:`",
        ]
    );
}

#[test]
fn circles_are_told_with_their_chain() {
    assert_eq!(
        faults(&[
            (
                "site.yml",
                "- hosts: all\n  tasks:\n    - import_tasks: a.yml\n"
            ),
            ("a.yml", "- import_tasks: b.yml\n"),
            ("b.yml", "- import_tasks: a.yml\n"),
        ]),
        [
            "b.yml:1:17: circular import_tasks: a.yml -> b.yml -> a.yml [An import always happens; use `include_tasks` with a condition that ends the circle.]"
        ]
    );
    assert_eq!(
        faults(&[
            ("site.yml", "- import_playbook: other.yml\n"),
            ("other.yml", "- import_playbook: site.yml\n"),
        ]),
        [
            "other.yml:1:20: circular import_playbook: site.yml -> other.yml -> site.yml [A playbook can't import itself, not even through others.]"
        ]
    );
    assert_eq!(
        faults(&[
            ("site.yml", "- hosts: all\n  roles: [a]\n"),
            ("roles/a/meta/main.yml", "dependencies: [b]\n"),
            ("roles/b/meta/main.yml", "dependencies: [a]\n"),
        ]),
        [
            "roles/b/meta/main.yml:1:16: circular use of roles: roles/a/tasks/main -> roles/b/tasks/main -> roles/a/tasks/main [A role can't need itself, not even through others.]"
        ]
    );
}

#[test]
fn wrong_shapes_are_told_in_words() {
    assert_eq!(
        one("hosts: all\n"),
        [
            "site.yml:1:1: a playbook is a list of plays; this is a mapping [Start each play with `- hosts: …`.]"
        ]
    );
    assert_eq!(
        one("- name: x\n  command: ls\n"),
        [
            "site.yml:1:3: a play needs `hosts:` [This looks like a task. A playbook is a list of plays; tasks go below `tasks:` of one.]"
        ]
    );
    assert_eq!(
        one("- hosts: all\n  tasks:\n    - command: ls\n      register: a-b\n"),
        [
            "site.yml:4:17: `register` needs the name of a variable [Names of variables have letters, digits and underscores and don't start with a digit.]"
        ]
    );
    let syntax = one("- hosts: all\n  tasks:\n  - debug: msg=a\n   bad: x\n");
    assert!(syntax[0].starts_with("site.yml:4:"), "{syntax:?}");
}

#[test]
fn templates_of_tasks_are_told_before_anything_runs() {
    let site = "\
- hosts: all
  tasks:
    - debug: {msg: \"{{ a | uper }}\"}
    - ping:
      when: b is definde
    - template: {src: motd.j2, dest: /etc/motd}
    - block:
        - debug: {msg: \"{{ a | uper }}\"}
      rescue:
        - debug: {msg: saved}
    - debug: {msg: \"{{ a | uper }}\"}
      ignore_errors: true
    - assert: {that: \"a ==\"}
    - template: {src: \"{{ name }}.j2\", dest: /x}
";
    let found = faults(&[("site.yml", site), ("templates/motd.j2", "a\n{% if b %}\n")]);
    assert_eq!(found.len(), 4, "{found:#?}");
    for (fault, start) in found.iter().zip([
        "site.yml:3:20: there is no filter named 'uper' (line 1, column",
        "site.yml:5:13: there is no test named 'definde'",
        "templates/motd.j2:2:",
        "site.yml:13:22: ",
    ]) {
        assert!(
            fault.starts_with(start),
            "{fault} doesn't start with {start}"
        );
    }
}

#[test]
fn modules_that_are_left_out_are_documented() {
    let text = include_str!("../../../docs/modules.md");
    for (name, hint) in super::modules::REFUSED {
        let row = format!("| `{name}` | {hint} |");
        assert!(text.contains(&row), "docs/modules.md: {row}");
        assert!(super::modules::resolve(name).is_none(), "{name} is there");
    }
}
