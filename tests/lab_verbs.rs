//! `exec`, `facts`, `runs`, `resume` and Ctrl-C on real machines, as an operator uses them. Needs root and the lab;
//! required, never skipped.

mod lab;

use lab::{Lab, PASSWORD};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::process::Child;
use std::time::{Duration, Instant};

#[test]
fn exec_prints_as_ansible_does_and_ends_with_its_codes() {
    let lab = Lab::hosts(2);
    let (one, two) = (lab.host(0).to_owned(), lab.host(1).to_owned());
    let exec = |words: &[&str]| lab.kopsrun(&[&["exec"], words].concat());
    let said = exec(&["all", "-a", "echo hello"]);
    said.says(0, &[&format!("{one} | CHANGED | rc=0 >>\nhello\n")]);
    assert!(!said.stdout.contains("PLAY"), "{said}");
    let pong =
        format!("{one} | SUCCESS => {{\n    \"changed\": false,\n    \"ping\": \"pong\"\n}}\n");
    exec(&[&one, "-m", "ping"]).says(0, &[&pong]);
    let line = "echo out; echo err >&2; exit 3";
    let failed = format!("{one} | FAILED | rc=3 >>\nout\nerr\nnon-zero return code\n");
    exec(&[&one, "-m", "shell", "-a", line]).says(2, &[&failed]);
    exec(&["all:!nobody", "-m", "ping"]).says(4, &["`nobody` is neither"]);
    exec(&["nobody", "-m", "ping"]).says(4, &["`nobody` is neither a host nor a group"]);
    exec(&[&format!("all:!{two}"), "-m", "ping"]).says(0, &[&one]);

    let json = exec(&["all", "-a", "echo hello", "--output", "json"]);
    let events: Vec<Value> = json
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("one object a line"))
        .collect();
    let results: Vec<&Value> = events
        .iter()
        .filter(|event| event["event"] == "host_result")
        .collect();
    assert_eq!(results.len(), 2, "{json}");
    assert!(
        results
            .iter()
            .all(|result| result["result"]["stdout"] == "hello"),
        "{json}"
    );
    assert_eq!(events.last().expect("an end")["exit_code"], 0, "{json}");

    lab.run(&["kill", &two]);
    exec(&["all", "-m", "ping", "-T", "2"])
        .says(4, &[&format!("{two} | UNREACHABLE! =>"), &pong, "hint:"]);
    // Failed and unreachable together: unreachable wins, as in Ansible.
    exec(&["all", "-a", "false", "-T", "2"]).says(4, &["FAILED | rc=1", "UNREACHABLE"]);
}

#[test]
fn tasks_run_with_the_logins_umask_and_locale() {
    let lab = Lab::hosts(1);
    let host = lab.host(0).to_owned();
    let shell = "umask; echo \"all=$LC_ALL\"";
    for user in ["root", "ops"] {
        let user = format!("ansible_user={user}");
        let ran = lab.kopsrun(&["exec", "all", "-m", "shell", "-a", shell, "-e", &user]);
        ran.says(0, &["0022", "all=\n"]);
    }
    lab.succeed(&[
        "exec",
        "all",
        "-m",
        "file",
        "-a",
        "path=/srv/a/b state=directory",
    ]);
    lab.succeed(&[
        "exec",
        "all",
        "-m",
        "copy",
        "-a",
        "content=x dest=/srv/a/file",
    ]);
    lab.succeed(&["exec", "all", "-a", "touch /srv/a/touched", "-b"]);
    assert_eq!(
        lab.ssh(
            &host,
            "stat -c %a /srv/a /srv/a/b /srv/a/file /srv/a/touched ~/.cache/kopsrun"
        ),
        "755\n755\n644\n644\n700"
    );
}

#[test]
fn another_user_is_become_or_it_says_what_is_missing() {
    let lab = Lab::hosts(1);
    let who = |user: &str, extra: &[&str]| {
        let user = format!("ansible_user={user}");
        lab.kopsrun(&[&["exec", "all", "-a", "id -un", "-e", &user][..], extra].concat())
    };
    let right = format!("ansible_become_password={PASSWORD}");
    let wrong = "ansible_become_password=wrong";
    who("ops", &[]).says(0, &["rc=0 >>\nops\n"]);
    who("ops", &["-b"]).says(0, &["rc=0 >>\nroot\n"]);
    who("opspw", &["-b", "-e", &right]).says(0, &["rc=0 >>\nroot\n"]);
    who("opspw", &["-b"]).says(2, &["needs a password", "--ask-become-pass"]);
    who("opspw", &["-b", "-e", wrong]).says(2, &["doesn't accept the password"]);
    let su = ["-b", "--become-method", "su"];
    who("opspw", &[&su[..], &["-e", &right]].concat()).says(0, &["rc=0 >>\nroot\n"]);
    who("opspw", &[&su[..], &["-e", wrong]].concat()).says(2, &["doesn't accept the password"]);
    who("opspw", &su).says(2, &["asks for that user's password"]);
    who("root", &["-b", "--become-user", "nosuch"]).says(2, &["there is no user"]);
    who("root", &["-b", "--become-method", "doas"])
        .says(2, &["`doas` is not supported", "`sudo` and `su`"]);
    who("ghost", &[]).says(4, &["ghost could not log in", "ansible_user"]);
}

#[test]
fn keys_that_cannot_be_used_are_named() {
    let lab = Lab::hosts(1);
    let key = lab.home().join("key");
    let path = key.to_str().expect("a path");
    let generate = |options: &[&str]| {
        let status = std::process::Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-f", path])
            .args(options)
            .status();
        assert!(status.expect("ssh-keygen").success());
    };
    let with = format!("ansible_ssh_private_key_file={path}");
    let ping = || lab.kopsrun(&["exec", "all", "-m", "ping", "-e", &with]);
    ping().says(4, &["UNREACHABLE", path, "No such file"]);
    generate(&["-N", "a passphrase"]);
    ping().says(4, &["UNREACHABLE", path, "passphrase"]);
    std::fs::remove_file(&key).expect("removed");
    std::fs::write(&key, "-----BEGIN OPENSSH PRIVATE KEY-----\nnonsense\n").expect("written");
    ping().says(4, &["UNREACHABLE", path]);
}

#[test]
fn facts_are_gathered_shown_used_and_cleared() {
    let lab = Lab::hosts(2);
    let (one, two) = (lab.host(0).to_owned(), lab.host(1).to_owned());
    let facts = |words: &[&str]| lab.kopsrun(&[&["facts"], words].concat());
    // Plays keep facts where settings say so, as in Ansible; without a folder of the settings' in kopsrun's own.
    let dir = lab.state().join("facts");
    lab.write("ansible.cfg", "[defaults]\nfact_caching = jsonfile\n");
    facts(&[]).says(0, &["no facts are cached"]);
    facts(&["--gather", "all"]).says(0, &[]);
    facts(&[]).says(0, &[&one, &two, "AGE", "fresh"]);
    let shown = facts(&["--show", &two]);
    let shown: Value = serde_json::from_str(&shown.stdout).expect("JSON");
    assert_eq!(shown["ansible_hostname"], two.as_str());
    assert_eq!(lab::mode(&dir), 0o700);
    assert_eq!(lab::mode(&dir.join(&two)), 0o600);

    // What is known of a host that is down serves a play on another.
    let play = format!(
        "- hosts: all\n  gather_facts: false\n  tasks:\n    - debug: {{msg: \"knows {{{{ hostvars['{two}'].ansible_hostname }}}}\"}}\n"
    );
    lab.write("site.yml", &play);
    lab.run(&["kill", &two]);
    let limited =
        |more: &[&str]| lab.kopsrun(&[&["play", "site.yml", "--limit", &one], more].concat());
    limited(&[]).says(0, &[&format!("knows {two}")]);
    limited(&["--flush-cache"]).says(0, &[&format!("knows {two}")]);
    facts(&["--show", &one]).says(
        4,
        &["no fresh facts", &format!("kopsrun facts --gather {one}")],
    );
    let old = std::time::SystemTime::now() - Duration::from_secs(86_500);
    std::fs::File::open(dir.join(&two))
        .and_then(|file| file.set_modified(old))
        .expect("aged");
    facts(&[]).says(0, &["1 d 0 h", "too old"]);
    limited(&[]).says(2, &["ansible_hostname"]);
    facts(&["--clear", &two]).says(0, &[&format!("{two}: forgotten")]);
    facts(&["--clear", &two]).says(0, &["nothing was known"]);
    facts(&["--clear", "nobody"]).says(4, &["`nobody` is neither"]);
    // A file that was torn (by something else: ours are renamed into place) is told, and gathered anew.
    std::fs::write(dir.join(&one), "{\"torn").expect("written");
    facts(&["--show", &one]).says(1, &[]);
    limited(&[]).says(2, &["can't be read"]);
    facts(&["--gather", &one]).says(0, &[]);
    facts(&["--show", &one]).says(0, &["ansible_hostname"]);
    let left: Vec<_> = std::fs::read_dir(&dir)
        .expect("read")
        .flatten()
        .map(|e| e.file_name())
        .collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

const SLOW: &str = "\
- hosts: all
  gather_facts: false
  tasks:
    - command: touch /srv/before
    - shell: trap '' TERM; while ! test -e /srv/go; do sleep 0.2; done; echo sleeper
    - copy: {content: done, dest: /srv/after}
";

/// What still runs of a play on a host.
fn running(lab: &Lab, host: &str) -> String {
    lab.ssh(
        host,
        "ps ax -o args= | grep -e '[s]leeper' -e '[a]gent-[0-9a-f]' || true",
    )
}

fn started(lab: &Lab) -> Child {
    let child = lab.start(&["play", "site.yml"]);
    let until = Instant::now() + Duration::from_secs(20);
    while !lab
        .names()
        .iter()
        .all(|host| running(lab, host).contains("sleeper"))
    {
        assert!(
            Instant::now() < until,
            "the play doesn't get to its second task"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    child
}

fn ended(lab: &Lab) {
    let until = Instant::now() + Duration::from_secs(10);
    for host in lab.names() {
        while !running(lab, host).is_empty() {
            assert!(
                Instant::now() < until,
                "left over on {host}: {}",
                running(lab, host)
            );
            std::thread::sleep(Duration::from_millis(200));
        }
        let left = lab.ssh(host, "ls -A /tmp /var/tmp | grep -i kops || true; ls ~/.cache/kopsrun | grep -v ^agent- || true");
        assert_eq!(left, "", "left over on {host}");
    }
}

#[test]
fn ctrl_c_ends_what_runs_on_the_hosts() {
    let lab = Lab::hosts(2);
    lab.write("site.yml", SLOW);
    for signal in [Signal::INT, Signal::TERM] {
        let child = started(&lab);
        let began = Instant::now();
        kill_process(Pid::from_child(&child), signal).expect("sent");
        let output = child.wait_with_output().expect("ended");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(99), "{text}");
        assert!(
            began.elapsed() < Duration::from_secs(8),
            "{:?}",
            began.elapsed()
        );
        assert!(
            text.contains("interrupted") && text.contains("PLAY RECAP"),
            "{text}"
        );
        ended(&lab);
        lab.bare(&["runs"]).says(0, &["interrupted"]);
        lab.bare(&["runs", "show", "last"])
            .says(0, &["interrupted", "play site.yml"]);
    }
    let last = lab.runs().pop().expect("a record");
    let events = std::fs::read_to_string(last.join("events.jsonl")).expect("read");
    let end: Value = serde_json::from_str(events.lines().last().expect("an end")).expect("JSON");
    assert_eq!(
        (&end["event"], &end["exit_code"]),
        (&"run_finished".into(), &99.into())
    );
    assert!(
        lab.names()
            .iter()
            .all(|host| lab.ssh(host, "test -e /srv/after || echo no") == "no")
    );
}

#[test]
fn a_killed_play_is_gone_on_with_and_a_running_one_is_not() {
    let lab = Lab::hosts(1);
    let host = lab.host(0).to_owned();
    lab.write("site.yml", SLOW);
    let mut child = started(&lab);
    lab.bare(&["runs"]).says(0, &["running"]);
    lab.bare(&["resume", "last"])
        .says(6, &["is still going on"]);
    child.kill().expect("killed");
    child.wait().expect("ended");
    ended(&lab);
    lab.bare(&["runs"]).says(0, &["killed: resume it"]);
    lab.ssh(&host, "touch /srv/go");
    // From anywhere: the record knows where it was typed.
    lab.bare(&["resume", "last"])
        .says(0, &["again, in", "play site.yml", "failed=0"]);
    assert_eq!(lab.ssh(&host, "cat /srv/after"), "done");
    lab.bare(&["resume", "last"])
        .says(5, &["nothing to go on with"]);
    lab.bare(&["resume", "nosuch"]).says(4, &["nosuch"]);
    lab.kopsrun(&["play", "missing.yml", "-e", "password=secret"])
        .says(1, &["missing.yml"]);
    lab.kopsrun(&["exec", "all", "-a", "false", "-e", "db_password=secret"])
        .says(2, &[]);
    let secret = lab.bare(&["resume", "last"]);
    secret.says(5, &["held secrets", "***"]);
    assert!(!secret.text().contains("=secret"), "{secret}");
}

#[test]
fn what_an_inventory_means_is_shown() {
    let lab = Lab::hosts(2);
    let host = lab.host(0).to_owned();
    let show = |words: &[&str]| lab.kopsrun(&[&["inventory"], words].concat());
    let graph = show(&["--graph"]);
    graph.says(0, &["@all:\n", "@kube_node:", &format!("|--{host}\n")]);
    assert!(graph.stdout.ends_with('\n'), "{graph}");
    let list: Value = serde_json::from_str(&show(&["--list"]).stdout).expect("JSON");
    assert!(
        list["_meta"]["hostvars"][&host]["ansible_host"].is_string(),
        "{list}"
    );
    let vars: Value = serde_json::from_str(&show(&["--host", &host]).stdout).expect("JSON");
    assert_eq!(vars["ansible_user"], "root", "{vars}");
    show(&["--host", "nobody"]).says(4, &["`nobody` is neither", "the inventory knows"]);
    show(&["--graph", "nogroup"]).says(4, &["nogroup"]);
    show(&["--hosts-of", &format!("all:!{host}")]).says(0, &[lab.host(1)]);
}

#[test]
fn bastions_and_options_that_only_ssh_knows() {
    let lab = Lab::hosts(3);
    let address = |index: usize| lab.run(&["ip", lab.host(index)]).trim().to_owned();
    let (one, two, three) = (address(0), address(1), address(2));
    let vars = lab.kopsrun(&["inventory", "--host", lab.host(0)]);
    let vars: Value = serde_json::from_str(&vars.stdout).expect("JSON");
    let key = vars["ansible_ssh_private_key_file"]
        .as_str()
        .expect("a key")
        .to_owned();
    let known = lab.known_hosts();
    let common = format!(
        "User root\n  IdentityFile {key}\n  UserKnownHostsFile {}",
        known.display()
    );
    lab.write(
        ".ssh/config",
        &format!(
            "Host first\n  HostName {one}\nHost second\n  HostName {two}\n  ProxyJump first\n\
             Host third\n  HostName {three}\n  ProxyJump second\nHost *\n  {common}\n"
        ),
    );
    let from = |words: &[&str]| {
        let words = [
            &[
                "exec",
                "all",
                "-m",
                "shell",
                "-a",
                "echo from $SSH_CONNECTION",
            ],
            words,
        ]
        .concat();
        lab.bare(&words)
    };
    // Each hop is seen to come from the one before.
    from(&["-i", "third,"]).says(0, &["third | CHANGED", &format!("from {two} ")]);
    let jump = "ansible_ssh_common_args='-o ProxyJump=first'";
    from(&["-i", "second,", "-e", jump]).says(0, &[&format!("from {one} ")]);
    let command = format!(
        "{{\"ansible_ssh_common_args\": \"-F none -i {key} -l root -o UserKnownHostsFile={known} -o ProxyCommand='ssh -F none -i {key} -o \
         UserKnownHostsFile={known} -W %h:%p root@{one}'\", \"ansible_host\": \"{three}\"}}",
        known = known.display()
    );
    from(&["-i", "third,", "-e", &command]).says(0, &[&format!("from {one} ")]);
    let wrong = "ansible_ssh_common_args='-o Nonsense=yes'";
    from(&["-i", "first,", "-e", wrong]).says(4, &["nonsense", "ansible_ssh_common_args"]);
    lab.run(&["kill", lab.host(1)]);
    from(&["-i", "third,", "-T", "3"]).says(4, &["third", "second"]);
    from(&["-i", "first,"]).says(0, &["first | CHANGED"]);
}
