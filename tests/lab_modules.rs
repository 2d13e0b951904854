//! Modules that need several real machines, or one that breaks. Needs root and the lab; required, never skipped.

mod lab;

use lab::Lab;
use std::fs;
use std::time::{Duration, Instant};

const SYNCHRONIZE: &str = "\
- hosts: FIRST
  gather_facts: false
  remote_user: ops
  become: true
  tasks:
    - name: what would be pushed
      synchronize: {src: tree/, dest: /srv/tree, owner: false, group: false}
      check_mode: true
      register: told
    - stat: {path: /srv/tree}
      register: nothing
    - name: push
      synchronize: {src: tree/, dest: /srv/tree, owner: false, group: false}
      register: pushed
    - name: push again
      ansible.posix.synchronize: {src: tree/, dest: /srv/tree, owner: false, group: false}
      register: again
    - name: between two hosts
      synchronize: {src: /srv/tree, dest: /srv/copies, rsync_opts: [--exclude=big]}
      delegate_to: SECOND
      ignore_errors: true
      register: nothing_there
    - name: on one host
      synchronize: {src: /srv/tree/, dest: /srv/tree2}
      delegate_to: FIRST
    - name: pull
      synchronize: {src: /srv/tree2/, dest: pulled, mode: pull, owner: false, group: false}
    - name: pull again
      synchronize: {src: /srv/tree2/, dest: pulled, mode: pull, owner: false, group: false}
      register: pulled_again
    - assert:
        that:
          - told is changed and not nothing.stat.exists
          - pushed is changed and pushed.msg == told.msg
          - pushed.stdout_lines[1:] == ['cd+++++++++ ./', '<f+++++++++ a', '<f+++++++++ big', 'cd+++++++++ d/', '<f+++++++++ d/b']
          - again is not changed and pulled_again is not changed
          - nothing_there is failed
- hosts: SECOND
  gather_facts: false
  remote_user: root
  tasks:
    - name: from the other host
      synchronize: {src: /srv/tree, dest: /srv/copies, rsync_opts: [--exclude=big]}
      delegate_to: FIRST
";

#[test]
fn trees_go_between_controller_and_hosts_without_rsync() {
    let lab = Lab::hosts(2);
    let hosts = [lab.host(0).to_owned(), lab.host(1).to_owned()];
    lab.write("tree/a", "one\n");
    lab.write("tree/d/b", "two\n");
    // Longer than what is bundled, and nothing that could be compressed away.
    let noise: Vec<u8> = (0_u32..600_000)
        .flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    fs::write(lab.home().join("tree/big"), &noise).expect("written");
    let play = SYNCHRONIZE
        .replace("FIRST", &hosts[0])
        .replace("SECOND", &hosts[1]);
    lab.write("site.yml", &play);
    lab.succeed(&["play", "site.yml", "-v"]);
    let there = "cd /srv; cat tree/a copies/tree/d/b 2>&1; ls -A copies/tree 2>&1; stat -c %U tree/a; sha1sum <tree2/big";
    let sum = lab.ssh(&hosts[0], there);
    assert!(sum.contains("root\n"), "{sum}");
    let copied = lab.ssh(&hosts[1], "cd /srv/copies/tree; cat a d/b; ls -A");
    assert_eq!(copied, "one\ntwo\na\nd");
    let pulled = fs::read(lab.home().join("pulled/big")).expect("pulled");
    assert!(pulled == noise, "the bytes are the same");
    let none = lab.ssh(&hosts[0], "command -v rsync || echo none");
    assert_eq!(none, "none");
}

const ETCD: &str = "\
- hosts: etcd
  gather_facts: false
  remote_user: ops
  become: true
  tasks:
    - etcd_health: {wait: 60}
      register: well
    - etcd_snapshot: {dest: backups}
      check_mode: true
      register: told
      run_once: true
    - etcd_snapshot: {dest: backups}
      register: snapshot
      run_once: true
    - name: nobody of this name is there
      etcd_member: {name: nobody, state: absent}
      register: nobody
    - name: what would be added
      etcd_member: {peer_urls: ['https://10.99.0.99:2380']}
      check_mode: true
      register: would
      run_once: true
    - name: added by whoever comes first
      etcd_member: {peer_urls: ['https://10.99.0.99:2380']}
      register: added
    - name: one that doesn't run isn't promoted
      etcd_member: {peer_urls: ['https://10.99.0.99:2380'], state: promoted}
      register: refused
      ignore_errors: true
    - etcd_health: {}
      register: unwell
      ignore_errors: true
    - etcd_health: {require: quorum}
    - name: no second learner
      etcd_member: {peer_urls: ['https://10.99.0.98:2380']}
      register: second
      ignore_errors: true
    - name: removed by whoever comes first
      etcd_member: {peer_urls: ['https://10.99.0.99:2380'], state: absent}
      register: removed
    - cert_info: {paths: [/etc/ssl/etcd/ssl], expiring_within: 1, fail: true}
      register: certificates
    - assert:
        that:
          - well.voters.total == 3 and well.voters.healthy == 3 and well.voters.quorum == 2 and well.voters.tolerance == 1
          - well.leader in groups['etcd'] or well.leader is match('etcd')
          - told is changed and told.path is not defined and snapshot.key_count >= 0 and snapshot.member != well.leader
          - nobody is not changed
          - would is changed and would.voters.learners == 0
          - groups['etcd'] | map('extract', hostvars, ['added', 'changed']) | select | length == 1
          - groups['etcd'] | map('extract', hostvars, ['removed', 'changed']) | select | length == 1
          - refused is failed and \"doesn't answer\" in refused.msg
          - unwell is failed and 'never started' in unwell.msg
          - second is failed and 'learner' in second.msg
          - certificates.certificates | length >= 3 and certificates.days_left > 1
    - stat: {path: '{{ snapshot.path }}'}
      delegate_to: localhost
      become: false
      run_once: true
      register: file
    - assert: {that: [file.stat.size == snapshot.size]}
";

#[test]
fn plays_look_at_etcd_and_change_its_members_behind_the_same_gates() {
    let lab = Lab::with_etcd("modules", "35");
    lab.write("site.yml", ETCD);
    lab.succeed(&["play", "site.yml", "-v"]);
    // With a dead voter nothing is well, and no healthy one goes.
    lab.run(&["kill", "node3"]);
    let remove = "- hosts: node1\n  gather_facts: false\n  tasks:\n    - etcd_member: {name: \"{{ etcd_health.members | rejectattr('health', 'eq', 'sick') | map(attribute='name') | first }}\", state: absent}\n";
    // The dead one may have led: the others elect.
    let look = "    - etcd_health: {require: quorum, wait: 60}\n      register: etcd_health\n";
    lab.write(
        "remove.yml",
        &remove.replace("  tasks:\n", &format!("  tasks:\n{look}")),
    );
    lab.kopsrun(&["play", "remove.yml"])
        .says(2, &["1 voter(s) don't serve"]);
}

const FAULTS: &str = r#"
- hosts: all
  gather_facts: false
  tasks:
    - name: what breaks later
      shell: |
        mkdir -p /srv/ro /srv/there /srv/gone /srv/odd/sub
        echo old | tee /srv/there/file /srv/gone/file >/srv/ro/file
        mount -t tmpfs none /srv/ro && echo old >/srv/ro/file && mount -o remount,ro /srv/ro
        printf '#!/bin/sh\nrm -rf /srv/gone\n' >/srv/vanish
        chmod +x /srv/vanish
        printf '[Service]\nType=oneshot\nExecStart=/bin/sh -c "echo nothing works; exit 3"\n' >/run/systemd/system/broken.service
        printf '[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n' >/usr/lib/systemd/system/plain.service
        : >"/srv/odd/$(printf 'a\377b')"
        : >"/srv/odd/sub/$(printf 'line\nbreak')"
    - name: a file system that can't be written to
      copy: {content: new, dest: /srv/ro/file}
      register: read_only
      ignore_errors: true
    - name: a directory that goes while the file is on its way
      copy: {content: new, dest: /srv/gone/file, validate: /srv/vanish %s}
      register: gone
      ignore_errors: true
    - name: a service, twice
      service: {name: plain, state: started, enabled: true}
      register: plain
      loop: [first, second]
    - name: a service that is masked, as only systemd can
      service: {name: plain, state: stopped, enabled: false, masked: true, daemon_reload: true}
      register: masked
    - name: a service that doesn't start
      systemd: {name: broken.service, state: started, daemon_reload: true}
      register: broken
      ignore_errors: true
    - name: output that is no text
      shell: printf 'a\000\377z'; printf '\376' >&2
      register: binary
      changed_when: false
    - name: names that are no text
      find: {paths: /srv/odd, recurse: true}
      register: odd
    - name: modes below them
      file: {path: /srv/odd, state: directory, recurse: true, mode: 'u=rwX,go='}
    - name: 100 MiB of output
      command: head -c 104857600 /dev/zero
      register: flood
      ignore_errors: true
    - name: just not too much of it
      shell: head -c 60000000 /dev/zero | tr '\0' x
      register: much
      changed_when: false
      no_log: true
    - name: memory of the agent
      shell: awk '/VmHWM/ {print int($2 / 1024)}' /proc/$PPID/status
      register: agent
      changed_when: false
    - name: memory of the controller
      shell: awk '/VmHWM/ {print int($2 / 1024)}' /proc/$(awk '/^PPid/ {print $2}' /proc/$PPID/status)/status
      delegate_to: localhost
      register: controller
      changed_when: false
    - assert:
        that:
          - read_only is failed and 'read-only' in read_only.msg
          - gone is failed and gone.msg is search('/srv/gone')
          - plain.results | map(attribute='changed') | list == [true, false]
          - plain.results[0].status.ActiveState is defined and masked is changed
          - broken is failed and 'broken.service' in broken.msg
          - binary is not failed and binary.stdout is search('^a') and binary.stdout is search('z$')
          - odd.matched == 2
          - flood is failed and '64 MiB' in flood.msg
          - much.stdout | length == 60000000
          - agent.stdout | int < 400 and controller.stdout | int < 1200
    - shell: cat /srv/ro/file /srv/there/file; ls -A /srv/ro /srv/there; test ! -e /srv/gone
      register: left
      changed_when: false
    - assert:
        that:
          - left.stdout == 'old\nold\n/srv/ro:\nfile\n\n/srv/there:\nfile'
"#;

#[test]
fn what_breaks_is_told_and_leaves_what_was_there() {
    let lab = Lab::hosts(1);
    lab.write("site.yml", FAULTS);
    lab.succeed(&["play", "site.yml"]);
}

/// Waits until a command on the host succeeds.
fn wait_until(lab: &Lab, host: &str, command: &str) {
    let until = Instant::now() + Duration::from_secs(60);
    while lab.attempt(&["ssh", host, command]).code != 0 {
        assert!(Instant::now() < until, "never: {command}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_copy_whose_agent_or_connection_dies_leaves_the_old_file() {
    let lab = Lab::hosts(1);
    let host = lab.host(0).to_owned();
    // A check that doesn't end: the new content is on the disk then, and doesn't count yet.
    lab.ssh(
        &host,
        "echo old >/srv/file; printf '#!/bin/sh\\necho $PPID >/srv/agent\\nexec sleep 600\\n' >/srv/slow; chmod +x /srv/slow",
    );
    let copy = [
        "exec",
        "all",
        "-m",
        "copy",
        "-a",
        "content=new dest=/srv/file validate='/srv/slow %s'",
    ];
    for end in [
        "kill -9 $(cat /srv/agent)",
        // The sshd of the session is above the agent.
        "kill -9 $(awk '/^PPid/ {print $2}' /proc/$(cat /srv/agent)/status)",
    ] {
        lab.ssh(&host, "rm -f /srv/agent");
        let running = lab.start(&copy);
        wait_until(&lab, &host, "test -s /srv/agent");
        lab.ssh(&host, end);
        let output = running.wait_with_output().expect("it ends");
        let text = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert_ne!(output.status.code(), Some(0), "{text}");
        assert!(
            text.contains("lost") || text.contains("UNREACHABLE"),
            "{text}"
        );
        assert_eq!(lab.ssh(&host, "cat /srv/file"), "old", "{text}");
    }
    lab.succeed(&[
        "exec",
        "all",
        "-m",
        "copy",
        "-a",
        "content=new dest=/srv/file",
    ]);
    assert_eq!(lab.ssh(&host, "cat /srv/file"), "new");
}
