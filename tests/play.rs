//! What the runner does beside Ansible's language: words of errors, limits, secrets, interruption, facts.

mod harness;

use harness::{Here, Kept};
use kopsrun::content::inventory::Inventory;
use kopsrun::content::value::Value;
use kopsrun::journal::{Event, Sink, Status};
use kopsrun::play::{FactSettings, Gathering, PlayError, Request, Source, Summary, facts};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A directory with an inventory of four hosts and the files of a case.
struct Case {
    dir: tempfile::TempDir,
    request: Request,
    here: Arc<Here>,
}

struct Ran {
    events: Vec<Event>,
    outcome: Result<Summary, PlayError>,
}

fn case(files: &[(&str, &str)]) -> Case {
    let dir = tempfile::tempdir().expect("a directory");
    let all = [(
        "hosts.ini",
        "[all]\na\nb\nc\nd\ndown\n[all:vars]\nansible_connection=local\n",
    )];
    for (name, text) in all.iter().chain(files) {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("below")).expect("made");
        std::fs::write(path, text).expect("written");
    }
    let inventory = Inventory::load(&[dir.path().join("hosts.ini")]).expect("right");
    let source = Source::Playbooks(vec![dir.path().join("site.yml")]);
    Case {
        request: Request::new(source, Arc::new(inventory)),
        here: Arc::default(),
        dir,
    }
}

impl Case {
    async fn run(&self) -> Ran {
        let kept = Arc::new(Kept::default());
        let sink: Arc<dyn Sink> = kept.clone();
        let outcome = kopsrun::play::run(&self.request, self.here.clone(), sink).await;
        Ran {
            events: kept.events(),
            outcome,
        }
    }

    /// Text without the directory of the case.
    fn relative(&self, text: &str) -> String {
        let real = self.dir.path().canonicalize().expect("there");
        text.replace(&format!("{}/", real.display()), "")
            .replace(&format!("{}/", self.dir.path().display()), "")
    }

    /// Failures as `place: message [hints]`.
    fn failures(&self, ran: &Ran) -> Vec<String> {
        ran.events
            .iter()
            .filter_map(|event| match event {
                Event::HostResult {
                    status: Status::Failed | Status::Unreachable,
                    message,
                    place,
                    hints,
                    ..
                } => Some(self.relative(&format!(
                    "{}: {} [{}]",
                    place.as_deref().unwrap_or_default(),
                    message.as_deref().unwrap_or_default(),
                    hints.join(" | ")
                ))),
                _ => None,
            })
            .collect()
    }

    fn refusal(&self, ran: Ran) -> (u8, Vec<String>) {
        let error = ran.outcome.expect_err("something is wrong");
        let told = error
            .faults()
            .iter()
            .map(|fault| {
                let place = fault
                    .place
                    .as_ref()
                    .map(|place| format!("{place}: "))
                    .unwrap_or_default();
                self.relative(&format!(
                    "{place}{} [{}]",
                    fault.message,
                    fault.hints.join(" | ")
                ))
            })
            .collect();
        (error.exit_code(), told)
    }
}

fn said(ran: &Ran) -> Vec<String> {
    ran.events
        .iter()
        .filter_map(|event| match event {
            Event::HostResult {
                host,
                message: Some(message),
                status: Status::Ok,
                ..
            } => Some(format!("{host}: {message}")),
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn nothing_starts_when_anything_is_wrong() {
    let case = case(&[(
        "site.yml",
        "- hosts: a\n  gather_facts: false\n  tasks:\n    - command: 'true'\n- hosts: a\n  tasks:\n    - comand: x\n",
    )]);
    let (code, told) = case.refusal(case.run().await);
    assert_eq!(code, 4);
    assert_eq!(
        told,
        ["site.yml:7:7: the module `comand` is not known [Did you mean `command`?]"]
    );
    assert!(case.here.tasks.lock().expect("fine").is_empty());
}

#[tokio::test]
async fn a_limit_that_names_nobody_is_refused() {
    let mut case = case(&[(
        "site.yml",
        "- hosts: all\n  gather_facts: false\n  tasks: []\n",
    )]);
    case.request.limit = Some("nodde3".to_owned());
    let (code, told) = case.refusal(case.run().await);
    assert_eq!(code, 4);
    assert!(told[0].contains("nodde3"), "{told:?}");
}

#[tokio::test]
async fn a_handler_that_is_not_there_is_named_with_its_neighbours() {
    let case = case(&[(
        "site.yml",
        "- hosts: a\n  gather_facts: false\n  tasks:\n    - command: 'true'\n      notify: restart ectd\n  handlers:\n    - name: restart etcd\n      debug:\n",
    )]);
    let (code, told) = case.refusal(case.run().await);
    assert_eq!(code, 1);
    assert_eq!(
        told,
        [
            "site.yml:5:15: no handler is named `restart ectd`, and none listens to it [Did you mean `restart etcd`?]"
        ]
    );
}

#[tokio::test]
async fn a_circular_include_fails_with_its_chain() {
    let case = case(&[
        (
            "site.yml",
            "- hosts: a\n  gather_facts: false\n  tasks:\n    - include_tasks: loop.yml\n",
        ),
        ("loop.yml", "- include_tasks: loop.yml\n"),
    ]);
    let ran = case.run().await;
    let failures = case.failures(&ran);
    assert_eq!(
        failures,
        [
            "loop.yml:1:3: circular include: loop.yml -> loop.yml [It was inside itself 64 times; a condition has to end the circle.]"
        ]
    );
    assert_eq!(ran.outcome.expect("ran").exit_code, 2);
}

#[tokio::test]
async fn includes_may_come_back_while_a_condition_ends_them() {
    let case = case(&[
        (
            "site.yml",
            "- hosts: a\n  gather_facts: false\n  tasks:\n    - include_tasks: loop.yml\n      vars: {left: 3}\n",
        ),
        (
            "loop.yml",
            "- debug: {msg: \"{{ left }}\"}\n- set_fact: {next: \"{{ left | int - 1 }}\"}\n- include_tasks: loop.yml\n  vars: {left: \"{{ next }}\"}\n  when: next | int > 0\n",
        ),
    ]);
    let ran = case.run().await;
    assert_eq!(
        ran.outcome.as_ref().expect("ran").exit_code,
        0,
        "{:?}",
        case.failures(&ran)
    );
    assert_eq!(said(&ran).len(), 3);
}

#[tokio::test]
async fn an_include_that_is_not_there_says_where_it_was_looked_for() {
    let case = case(&[
        (
            "site.yml",
            "- hosts: a\n  gather_facts: false\n  tasks:\n    - include_tasks: mian.yml\n",
        ),
        ("main.yml", "[]\n"),
    ]);
    let ran = case.run().await;
    let failures = case.failures(&ran);
    assert!(
        failures[0].starts_with("site.yml:4:22: the file `mian.yml` is not there [Did you mean `main.yml`? | It was looked for as "),
        "{failures:?}"
    );
}

#[tokio::test]
async fn a_name_to_start_at_that_is_not_there_runs_nothing() {
    let mut case = case(&[(
        "site.yml",
        "- hosts: a\n  gather_facts: false\n  tasks:\n    - {name: one, debug: {msg: 1}}\n    - {name: two, debug: {msg: 2}}\n    - {name: three, debug: {msg: 3}}\n",
    )]);
    case.request.start_at = Some("two".to_owned());
    assert_eq!(said(&case.run().await), ["a: 2", "a: 3"]);
    case.request.start_at = Some("four".to_owned());
    let ran = case.run().await;
    assert!(said(&ran).is_empty());
    assert!(ran.events.iter().any(|event| matches!(
        event,
        Event::Note { text, .. } if text.starts_with("No matching task \"four\" found.")
    )));
}

/// Answers in order, and the questions that they were for.
struct Answers(std::sync::Mutex<(Vec<&'static str>, Vec<String>)>);

impl kopsrun::play::Asker for Answers {
    fn ask(&self, question: &str, _echo: bool) -> std::io::Result<String> {
        let mut both = self.0.lock().expect("nobody panicked");
        both.1.push(question.to_owned());
        Ok(both.0.remove(0).to_owned())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_are_run_when_somebody_says_so() {
    let mut case = case(&[(
        "site.yml",
        "- hosts: a\n  gather_facts: false\n  tasks:\n    - {name: one, debug: {msg: 1}}\n    - {name: two, debug: {msg: 2}}\n    - {name: three, debug: {msg: 3}}\n    - {name: four, debug: {msg: 4}}\n",
    )]);
    let answers = Arc::new(Answers(std::sync::Mutex::new((
        vec!["y", "", "Continue"],
        Vec::new(),
    ))));
    case.request.step = Some(Arc::clone(&answers) as Arc<dyn kopsrun::play::Asker>);
    assert_eq!(said(&case.run().await), ["a: 1", "a: 3", "a: 4"]);
    let asked = &answers.0.lock().expect("nobody panicked").1;
    assert_eq!(asked.len(), 3);
    assert_eq!(asked[0], "Perform task: TASK: one (N)o/(y)es/(c)ontinue: ");
}

#[tokio::test(flavor = "multi_thread")]
async fn forks_and_throttle_bound_what_runs_at_the_same_time() {
    let mut case = case(&[(
        "site.yml",
        "- hosts: a:b:c:d\n  gather_facts: false\n  tasks:\n    - command: sleep 0.15\n",
    )]);
    case.run().await.outcome.expect("ran");
    assert_eq!(case.here.running.lock().expect("fine").1, 4);
    case.here = Arc::default();
    case.request.forks = Some(2);
    case.run().await.outcome.expect("ran");
    assert_eq!(case.here.running.lock().expect("fine").1, 2);
    let throttled = self::case(&[(
        "site.yml",
        "- hosts: a:b:c:d\n  gather_facts: false\n  tasks:\n    - command: sleep 0.05\n      throttle: 1\n",
    )]);
    throttled.run().await.outcome.expect("ran");
    assert_eq!(throttled.here.running.lock().expect("fine").1, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn interrupting_ends_the_run_at_once_and_says_so() {
    let case = case(&[(
        "site.yml",
        "- hosts: a\n  gather_facts: false\n  tasks:\n    - command: sleep 4\n    - command: 'true'\n",
    )]);
    let cancel = case.request.cancel.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        cancel.cancel();
    });
    let started = Instant::now();
    let ran = case.run().await;
    assert!(started.elapsed() < Duration::from_secs(2));
    assert!(ran.outcome.expect("told").interrupted);
    assert!(matches!(ran.events.last(), Some(Event::Stats { .. })));
    assert_eq!(case.here.tasks.lock().expect("fine").len(), 1);
}

#[tokio::test]
async fn tasks_that_only_the_controller_thinks_about_reach_no_host() {
    let case = case(&[(
        "site.yml",
        "- hosts: all\n  gather_facts: false\n  tasks:\n    - set_fact: {x: 1}\n    - assert: {that: x == 1}\n    - command: 'true'\n      when: x == 2\n    - debug: {msg: here}\n",
    )]);
    let ran = case.run().await;
    assert_eq!(ran.outcome.expect("ran").exit_code, 0);
    assert!(case.here.tasks.lock().expect("fine").is_empty());
}

#[tokio::test]
async fn secrets_are_in_no_event() {
    let mut case = case(&[(
        "site.yml",
        "- hosts: a
  gather_facts: false
  vars: {ansible_become_password: hunter2}
  tasks:
    - command: echo hunter2
      no_log: true
      loop: [hunter2]
    - debug: {msg: hunter2}
      no_log: true
    - command: /bin/sh -c 'echo hunter2; exit 3'
      no_log: true
      ignore_errors: true
    - fail: {msg: hunter2}
      no_log: true
",
    )]);
    case.request.escalate.enabled = false;
    let ran = case.run().await;
    let told = serde_json::to_string(&ran.events).expect("events are JSON");
    assert!(!told.contains("hunter2"), "{told}");
    assert!(told.contains("the output has been hidden"), "{told}");
}

#[tokio::test]
async fn become_connection_and_environment_reach_the_host_as_they_are_set() {
    let mut case = case(&[(
        "site.yml",
        "- hosts: a
  gather_facts: false
  become: true
  become_user: etcd
  environment: {OUTER: '1', BOTH: outer}
  vars: {ansible_user: admin, ansible_port: 2222}
  tasks:
    - command: 'true'
      become_method: su
      environment: {BOTH: inner}
    - command: 'true'
      become: false
      delegate_to: b
      vars: {ansible_user: other}
",
    )]);
    case.request.check = true;
    case.run().await.outcome.expect("ran");
    let tasks = case.here.tasks.lock().expect("fine");
    let (at, task) = &tasks[0];
    let who = task.escalate.as_ref().expect("another user");
    assert_eq!((who.user.as_str(), who.method.as_str()), ("etcd", "su"));
    assert_eq!(task.environment["OUTER"], "1");
    assert_eq!(task.environment["BOTH"], "inner");
    assert!(task.check);
    assert_eq!(at.connection, "local");
    assert!(
        at.vars
            .contains(&("ansible_user".to_owned(), "admin".to_owned()))
    );
    assert!(
        at.vars
            .contains(&("ansible_port".to_owned(), "2222".to_owned()))
    );
    let (at, task) = &tasks[1];
    assert_eq!(at.name, "b");
    assert!(task.escalate.is_none());
    assert!(
        at.vars
            .contains(&("ansible_user".to_owned(), "other".to_owned()))
    );
}

#[tokio::test]
async fn text_from_hosts_is_never_a_template_nor_a_connection_variable() {
    let case = case(&[(
        "site.yml",
        "- hosts: a
  gather_facts: false
  tasks:
    - command: {argv: [echo, \"{{ '{{' }} 1 + 1 }}\"]}
      register: r
    - debug: {msg: \"{{ r.stdout }}\"}
",
    )]);
    let ran = case.run().await;
    assert_eq!(said(&ran), ["a: {{ 1 + 1 }}"], "{:?}", case.failures(&ran));
}

#[tokio::test]
async fn facts_are_kept_for_runs_that_are_limited_to_other_hosts() {
    let mut case = case(&[
        ("gather.yml", "- hosts: a\n  tasks: []\n"),
        (
            "site.yml",
            "- hosts: a:b\n  tasks:\n    - debug: {msg: \"{{ hostvars['a'].ansible_facts.system }} {{ hostvars['a'].ansible_system }} {{ ansible_facts.system }}\"}\n",
        ),
    ]);
    let cache = case.dir.path().join("facts");
    case.request.facts = FactSettings {
        gathering: Gathering::Smart,
        cache: Some(cache.clone()),
        ..FactSettings::default()
    };
    case.request.source = Source::Playbooks(vec![case.dir.path().join("gather.yml")]);
    case.run().await.outcome.expect("ran");
    let listed = facts::Cache::new(&cache, "", Duration::from_secs(60))
        .list()
        .expect("listed");
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].host.as_str(), listed[0].stale), ("a", false));
    case.request.source = Source::Playbooks(vec![case.dir.path().join("site.yml")]);
    case.request.limit = Some("b".to_owned());
    let ran = case.run().await;
    assert_eq!(
        said(&ran),
        ["b: Linux Linux Linux"],
        "{:?}",
        case.failures(&ran)
    );
    // Smart: a second run asks no host.
    case.here = Arc::default();
    case.request.limit = None;
    case.run().await.outcome.expect("ran");
    assert!(case.here.tasks.lock().expect("fine").is_empty());
    // Unless the cache was flushed.
    case.request.facts.flush = true;
    case.run().await.outcome.expect("ran");
    assert_eq!(case.here.tasks.lock().expect("fine").len(), 2);
}

#[tokio::test]
async fn one_task_runs_on_a_pattern() {
    let mut case = case(&[]);
    case.request.source = Source::Task {
        pattern: "b,c".to_owned(),
        module: "command".to_owned(),
        args: "echo {{ inventory_hostname }}".to_owned(),
    };
    case.request.working_directory = PathBuf::from("/");
    let ran = case.run().await;
    assert_eq!(ran.outcome.as_ref().expect("ran").exit_code, 0);
    let out: Vec<String> = ran
        .events
        .iter()
        .filter_map(|event| match event {
            Event::HostResult { result, .. } => Some(result["stdout"].as_str()?.to_owned()),
            _ => None,
        })
        .collect();
    assert_eq!(out.len(), 2);
    assert!(out.contains(&"b".to_owned()) && out.contains(&"c".to_owned()));
    case.request.source = Source::Task {
        pattern: "nodde".to_owned(),
        module: "comand".to_owned(),
        args: String::new(),
    };
    let (code, told) = case.refusal(case.run().await);
    assert_eq!(code, 4);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("Did you mean `command`?"), "{told:?}");
}

#[tokio::test]
async fn an_undefined_variable_is_named_with_its_place() {
    let case = case(&[(
        "site.yml",
        "- hosts: a\n  gather_facts: false\n  tasks:\n    - debug: {msg: \"{{ etcd_addres }}\"}\n",
    )]);
    let ran = case.run().await;
    let failures = case.failures(&ran);
    assert!(failures[0].starts_with("site.yml:4:20: "), "{failures:?}");
    assert!(
        failures[0].contains("'etcd_addres' is undefined"),
        "{failures:?}"
    );
    assert_eq!(ran.outcome.expect("ran").exit_code, 2);
}

#[tokio::test]
async fn a_condition_that_can_not_be_decided_shows_itself() {
    let case = case(&[(
        "site.yml",
        "- hosts: a\n  gather_facts: false\n  tasks:\n    - command: 'true'\n      when: not_there\n",
    )]);
    let ran = case.run().await;
    let failures = case.failures(&ran);
    assert!(
        failures[0].starts_with(
            "site.yml:5:13: The conditional check 'not_there' failed. The error was: error while evaluating conditional (not_there): 'not_there' is undefined"
        ),
        "{failures:?}"
    );
}

/// Many hosts and tasks: a bound on what the controller itself costs, far above what it takes.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_hosts_cost_little() {
    let hosts: Vec<String> = (0..100)
        .map(|n| format!("node{n} ansible_connection=local"))
        .collect();
    let mut tasks = String::new();
    for n in 0..50 {
        tasks.push_str(&format!("    - set_fact: {{v{n}: \"{{{{ inventory_hostname }}}}-{n}\"}}\n      when: v is defined\n"));
    }
    let case = case(&[
        ("hosts.ini", &hosts.join("\n")),
        (
            "site.yml",
            &format!("- hosts: all\n  gather_facts: false\n  vars: {{v: 1}}\n  tasks:\n{tasks}"),
        ),
    ]);
    let started = Instant::now();
    let summary = case.run().await.outcome.expect("ran");
    assert_eq!(summary.hosts.len(), 100);
    assert_eq!(summary.hosts["node99"].ok, 50);
    let each = started.elapsed() / 5000;
    assert!(
        each < Duration::from_millis(3),
        "{each:?} for a host and task"
    );
}

#[tokio::test]
async fn extra_variables_win_over_everything() {
    let mut case = case(&[(
        "site.yml",
        "- hosts: a\n  gather_facts: false\n  vars: {x: play}\n  tasks:\n    - set_fact: {x: fact}\n    - debug: {msg: \"{{ x }}\"}\n      vars: {x: task}\n",
    )]);
    case.request
        .extra_vars
        .insert("x".to_owned(), Value::from("extra"));
    assert_eq!(said(&case.run().await), ["a: extra"]);
}

#[tokio::test]
async fn a_host_that_is_lost_is_told_once_and_leaves() {
    let case = case(&[(
        "site.yml",
        "- hosts: a:down\n  gather_facts: false\n  tasks:\n    - command: 'true'\n    - command: 'true'\n- hosts: down\n  gather_facts: false\n  tasks:\n    - command: 'true'\n",
    )]);
    let ran = case.run().await;
    assert_eq!(
        case.failures(&ran),
        ["site.yml:4:7: down doesn't answer []"]
    );
    let summary = ran.outcome.expect("ran");
    assert_eq!(summary.exit_code, 4);
    assert_eq!(summary.hosts["down"].unreachable, 1);
    assert_eq!(summary.hosts["a"].ok, 2);
}

#[test]
fn listing_shows_what_would_run() {
    let mut case = case(&[(
        "site.yml",
        "- name: first\n  hosts: a:b\n  tags: [p]\n  tasks:\n    - {name: one, debug: {msg: 1}, tags: [x]}\n    - {name: two, debug: {msg: 2}, tags: [y]}\n    - {debug: {msg: 3}, tags: [never]}\n",
    )]);
    let listed = kopsrun::play::list(&case.request).expect("right");
    let play = &listed[0].plays[0];
    assert_eq!(play.hosts, ["a", "b"]);
    let names: Vec<&str> = play.tasks.iter().map(|task| task.name.as_str()).collect();
    assert_eq!(names, ["one", "two"]);
    assert_eq!(play.tasks[1].tags, ["p", "y"]);
    case.request.tags = vec!["y".to_owned()];
    let listed = kopsrun::play::list(&case.request).expect("right");
    assert_eq!(listed[0].plays[0].tasks.len(), 1);
}
