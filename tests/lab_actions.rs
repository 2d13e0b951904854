//! `script`, `reboot` and tasks in the background on real machines. Needs root and the lab; required, never skipped.

mod lab;

use lab::Lab;
use std::time::{Duration, Instant};

fn play(lab: &Lab, tasks: &str) -> lab::Ran {
    lab.write(
        "site.yml",
        &format!("- hosts: all\n  gather_facts: false\n  tasks:\n{tasks}"),
    );
    lab.kopsrun(&["play", "site.yml"])
}

#[test]
fn a_host_restarts_and_comes_back() {
    let lab = Lab::hosts(2);
    let (one, two) = (lab.host(0).to_owned(), lab.host(1).to_owned());
    let boot = |host: &str| {
        lab.ssh(
            host,
            "cat /proc/1/environ /proc/sys/kernel/random/boot_id | tr -d '\\0'; stat -c %Y /proc/1",
        )
    };
    let before = boot(&one);
    let tasks = format!(
        "    - reboot: {{reboot_timeout: 60, boot_time_command: stat -c %Z /proc/1}}\n      when: inventory_hostname == '{one}'\n      register: r\n    \
         - assert: {{that: [r.rebooted, r.changed, r.elapsed < 60]}}\n      when: r is not skipped\n    - ping:\n"
    );
    let ran = play(&lab, &tasks);
    ran.says(
        0,
        &[
            &format!("changed: [{one}]"),
            &format!("skipping: [{two}]"),
            "unreachable=0",
        ],
    );
    assert_ne!(boot(&one), before, "{ran}");
    let check = lab.kopsrun(&["exec", &two, "-m", "reboot", "--check"]);
    check.says(0, &["CHANGED", "\"rebooted\": true"]);
    // A command that doesn't restart anything runs into the limit, and says what was seen.
    let ran = play(
        &lab,
        "    - reboot: {reboot_command: 'true', reboot_timeout: 3}\n",
    );
    ran.says(
        2,
        &["Timed out waiting for last boot time check (timeout=3)"],
    );
    let ran = play(
        &lab,
        "    - reboot: {reboot_command: 'echo no >&2; false'}\n",
    );
    ran.says(2, &["Reboot command failed. Error was: 'no'"]);
    let here = play(
        &lab,
        "    - reboot:\n      connection: local\n      vars: {ansible_connection: local}\n",
    );
    here.says(2, &["would reboot the control node"]);
}

#[test]
fn tasks_go_on_without_the_controller() {
    let lab = Lab::hosts(1);
    let host = lab.host(0).to_owned();
    let began = Instant::now();
    let tasks = "    - shell: sleep 4; id -un >/srv/done
      async: 60
      poll: 0
      become: true
      become_user: ops
    - file: {path: /srv, mode: '1777'}
";
    play(&lab, tasks).says(0, &["changed=2"]);
    assert!(
        began.elapsed() < Duration::from_secs(4),
        "it was waited for: {:?}",
        began.elapsed()
    );
    let job = lab.ssh(&host, "ls ~ops/.ansible_async");
    assert_eq!(
        lab.ssh(&host, "stat -c '%a %U' ~ops/.ansible_async/j*"),
        "600 ops"
    );
    assert_eq!(
        lab.ssh(&host, "cat /srv/done 2>/dev/null || echo not yet"),
        "not yet"
    );
    // The next run finds it again.
    let tasks = format!(
        "    - async_status: {{jid: {job}}}\n      become: true\n      become_user: ops\n      register: r\n      until: r is finished\n      \
         retries: 30\n      delay: 1\n    - assert: {{that: [r.rc == 0, r.finished == 1]}}\n"
    );
    play(&lab, &tasks).says(0, &["failed=0"]);
    assert_eq!(lab.ssh(&host, "cat /srv/done"), "ops");
    assert_eq!(
        lab.ssh(&host, "ps ax -o args= | grep '[a]gent-[0-9a-f]' || true"),
        "",
        "it ends with its task"
    );

    // What takes too long is ended, with all that it started.
    let ran = play(
        &lab,
        "    - shell: sleep 3337; true\n      async: 2\n      poll: 1\n",
    );
    ran.says(2, &["Job reached maximum time limit of 2 seconds"]);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(
        lab.ssh(&host, "ps ax -o args= | grep '[s]leep 3337' || true"),
        ""
    );
    // A result is there as soon as the task ends, however long the poll; nothing is left in the directory.
    let began = Instant::now();
    play(
        &lab,
        "    - command: 'echo quick'\n      async: 60\n      poll: 30\n",
    )
    .says(0, &["changed=1"]);
    assert!(
        began.elapsed() < Duration::from_secs(15),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(lab.ssh(&host, "ls ~/.ansible_async"), "");
    play(
        &lab,
        "    - copy: {content: x, dest: /srv/x}\n      async: 5\n",
    )
    .says(
        2,
        &["async is not supported for this task", "site.yml:5:14"],
    );
    lab.write(
        "site.yml",
        "- hosts: all\n  gather_facts: false\n  tasks:\n    - command: 'true'\n      async: 5\n",
    );
    lab.kopsrun(&["play", "site.yml", "--check"])
        .says(2, &["check mode and async cannot be used on same task"]);
}

#[test]
fn scripts_run_as_whom_they_should_and_leave_nothing() {
    let lab = Lab::hosts(1);
    let host = lab.host(0).to_owned();
    lab.write(
        "files/who.sh",
        "#!/bin/bash\nid -un; echo \"$1\"; dirname \"$0\" >/tmp/place\n",
    );
    let tasks = "    - script: who.sh 'two words'
      become: true
      become_user: ops
      register: r
    - assert: {that: [\"r.stdout_lines == ['ops', 'two words']\", r.changed]}
";
    play(&lab, tasks).says(0, &["failed=0"]);
    let left = "ls -d $(cat /tmp/place) 2>/dev/null; ls -A /var/tmp /tmp /dev/shm | grep kopsrun-script || true";
    assert_eq!(lab.ssh(&host, left), "");
    // Where nothing can be executed, the next directory is taken.
    lab.ssh(&host, "mount -t tmpfs -o noexec tmpfs /var/tmp");
    play(&lab, tasks).says(0, &["failed=0"]);
    assert!(lab.ssh(&host, "cat /tmp/place").starts_with("/tmp/"));
    play(&lab, "    - script: nowhere.sh\n")
        .says(2, &["`nowhere.sh` is not there", "files/nowhere.sh"]);
}
