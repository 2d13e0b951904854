//! `kopsrun play` and `exec` on real machines. Needs root and the lab; required, never skipped.

mod lab;

use lab::{Lab, PASSWORD};
use std::time::Duration;

const TEN_TASKS: &str = "\
- hosts: all
  gather_facts: false
  tasks:
    - name: directory
      file: {path: /srv/ten, state: directory, mode: '0750'}
    - name: content
      copy: {content: \"hello {{ inventory_hostname }}\\n\", dest: /srv/ten/hello, mode: '0640'}
    - name: template
      template: {src: conf.j2, dest: /srv/ten/conf}
    - name: look
      stat: {path: /srv/ten/conf}
      register: conf
    - name: size
      assert: {that: [conf.stat.exists, conf.stat.size > 5]}
    - name: command
      command: cat /srv/ten/hello
      register: said
      changed_when: false
    - name: each has its own
      assert: {that: [\"said.stdout == 'hello ' + inventory_hostname\"]}
    - name: shell
      shell: id -un | tr a-z A-Z
      register: me
      changed_when: false
    - name: as another user
      command: id -un
      become: true
      become_user: ops
      register: other
      changed_when: false
    - name: both
      assert: {that: [\"me.stdout == 'ROOT'\", \"other.stdout == 'ops'\"]}
";

#[test]
fn ten_tasks_on_three_hosts_and_nothing_to_do_the_second_time() {
    let lab = Lab::hosts(3);
    lab.write("site.yml", TEN_TASKS);
    lab.write("templates/conf.j2", "name = {{ inventory_hostname }}\n");
    lab.write("conf.j2", "name = {{ inventory_hostname }}\n");
    let first = lab.succeed(&["play", "site.yml"]);
    for host in lab.names() {
        assert_eq!(
            lab.ssh(
                host,
                "cat /srv/ten/hello /srv/ten/conf; stat -c %a /srv/ten /srv/ten/hello"
            ),
            format!("hello {host}\nname = {host}\n750\n640")
        );
    }
    assert!(first.stdout.contains("changed=3"), "{first}");
    let second = lab.succeed(&["play", "site.yml"]);
    assert_eq!(second.stdout.matches("changed=0").count(), 3, "{second}");
    let python = lab.ssh(lab.host(0), "command -v python3 python || echo none");
    assert_eq!(python, "none", "Python ran nowhere, as there is none");
}

#[test]
fn becomes_root_with_a_password_and_without() {
    let lab = Lab::hosts(1);
    let who = |user: &str, method: &str, extra: &[&str]| {
        let method = format!("ansible_become_method={method}");
        let mut words = vec!["exec", "all", "-m", "command", "-a", "id -un", "-b", "-v"];
        words.extend(["-e", &method]);
        let user = format!("ansible_user={user}");
        words.extend(["-e", user.as_str()]);
        words.extend(extra);
        lab.kopsrun(&words)
    };
    let password = format!("ansible_become_password={PASSWORD}");
    who("ops", "sudo", &[]).says(0, &["root"]);
    who("opspw", "sudo", &["-e", &password]).says(0, &["root"]);
    who("opspw", "su", &["-e", &password]).says(0, &["root"]);
    let refused = who("opspw", "sudo", &["-e", "ansible_become_password=wrong"]);
    assert_ne!(refused.code, 0, "{refused}");
    assert!(!refused.text().contains(PASSWORD), "{refused}");
}

#[test]
fn a_changed_host_key_stops_it_with_both_fingerprints() {
    let lab = Lab::hosts(1);
    let host = lab.host(0).to_owned();
    lab.run(&["replace", &host]);
    let ran = lab.kopsrun(&["exec", "all", "-m", "ping"]);
    ran.says(4, &["HAS CHANGED", "expected", "got"]);
    assert!(ran.text().matches("SHA256:").count() >= 2, "{ran}");
    lab.succeed(&["exec", "all", "-m", "ping", "--accept-new-host-key", &host]);
    lab.succeed(&["exec", "all", "-m", "ping"]);
}

#[test]
fn an_unreachable_host_doesnt_hold_up_the_others() {
    let lab = Lab::hosts(2);
    lab.run(&["kill", lab.host(1)]);
    let ran = lab.kopsrun(&["exec", "all", "-m", "ping", "-T", "2"]);
    ran.says(4, &["UNREACHABLE!", "SUCCESS"]);
    assert!(ran.took < Duration::from_secs(15), "{ran}");
}

#[test]
fn a_full_disk_leaves_the_old_file_as_it_was() {
    let lab = Lab::small_hosts(1, "24m");
    let host = lab.host(0).to_owned();
    lab.succeed(&[
        "exec",
        "all",
        "-m",
        "copy",
        "-a",
        "content=old dest=/srv/file",
    ]);
    lab.ssh(
        &host,
        "dd if=/dev/zero of=/srv/filler bs=64k 2>/dev/null || true; sync",
    );
    std::fs::write(lab.home().join("big"), vec![b'x'; 1 << 20]).expect("a file");
    let ran = lab.kopsrun(&["exec", "all", "-m", "copy", "-a", "src=big dest=/srv/file"]);
    assert_ne!(ran.code, 0, "{ran}");
    assert!(ran.text().contains("no space left"), "{ran}");
    assert_eq!(
        lab.ssh(&host, "cat /srv/file; ls -A /srv | sort | tr '\\n' ' '"),
        "oldfile filler"
    );
}

#[test]
fn a_host_that_hangs_runs_into_the_time_limit() {
    let lab = Lab::hosts(2);
    let host = lab.host(0).to_owned();
    lab.run(&["freeze", &host]);
    let ran = lab.kopsrun(&["exec", "all", "-m", "ping", "-T", "2"]);
    lab.run(&["thaw", &host]);
    ran.says(4, &["UNREACHABLE!", "SUCCESS"]);
    assert!(ran.took < Duration::from_secs(20), "{ran}");
}
