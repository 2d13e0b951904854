//! Check mode on a real machine: it says what the run then does, changes nothing, and a second run changes nothing. For
//! modules whose state is more than files; all others do the same beside Ansible's own (`tests/modules`). Needs root and
//! the lab; required, never skipped.

mod lab;

use lab::Lab;
use std::fmt::Write as _;

/// What the tasks work with.
const PREPARED: &str = r#"
set -e
printf '[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n' >/usr/lib/systemd/system/kr.service
printf '#!/bin/sh\n' >/srv/one; cp -a /srv/one /srv/two; chmod +x /srv/one /srv/two; mkdir /srv/mnt
systemctl daemon-reload
"#;

/// All that a task might change: files but for logs and caches, mounts, units, and settings of the kernel.
const STATE: &str = r#"{ find / -xdev \( -path /var/log -o -path /var/cache -o -path /var/tmp -o -path /tmp -o -path /root/.cache \) -prune -o \( -type d -printf '%p %m %U:%G\n' -o -printf '%p %m %U:%G %s %T@ %l\n' \) | sort; grep /srv /proc/mounts; systemctl show kr.service -p ActiveState -p UnitFileState; sysctl -n net.ipv4.ip_forward net.ipv4.conf.all.log_martians; hostname; dpkg --get-selections; } | sha1sum"#;

/// Each a module with its arguments; all change something.
const TASKS: &[&str] = &[
    "service: {name: kr, state: started, enabled: true}",
    "service: {name: kr, state: stopped, enabled: false}",
    "systemd_service: {name: kr.service, state: started}",
    "systemd: {name: kr, state: stopped, masked: true}",
    "systemd: {name: kr, masked: false}",
    "alternatives: {name: krtool, link: /usr/local/bin/krtool, path: /srv/one, priority: 10}",
    "alternatives: {name: krtool, link: /usr/local/bin/krtool, path: /srv/two, priority: 5}",
    "alternatives: {name: krtool, path: /srv/one, state: auto}",
    "alternatives: {name: krtool, path: /srv/one, state: absent}",
    "mount: {path: /srv/mnt, src: kr, fstype: tmpfs, opts: size=1m, state: mounted}",
    "mount: {path: /srv/mnt, state: unmounted}",
    "mount: {path: /srv/mnt, src: kr, fstype: tmpfs, opts: 'size=1m,mode=0700', state: present}",
    "mount: {path: /srv/mnt, state: absent}",
    "sysctl: {name: net.ipv4.conf.all.log_martians, value: '1', sysctl_set: true, sysctl_file: /etc/sysctl.d/kr.conf}",
    "sysctl: {name: net.ipv4.conf.all.log_martians, state: absent, sysctl_file: /etc/sysctl.d/kr.conf, reload: false}",
    "hostname: {name: other1, use: systemd}",
    "group: {name: krgroup, gid: 4242}",
    "user: {name: kruser, uid: 4242, group: krgroup, home: /srv/kruser, shell: /bin/sh, comment: one}",
    "user: {name: kruser, comment: two, append: true, groups: [adm], password_lock: true}",
    "authorized_key: {user: kruser, key: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIO7JHqpqQhKcHxmqTeNJiFpHxFCGWUwzSDYjDZDvHOMA kr'}",
    "user: {name: kruser, state: absent, remove: true}",
    "group: {name: krgroup, state: absent}",
    "dpkg_selections: {name: bash, selection: hold}",
    "dpkg_selections: {name: bash, selection: install}",
    "deb822_repository: {name: kr, types: deb, uris: 'http://127.0.0.1:1/', suites: [a], components: [b]}",
    "deb822_repository: {name: kr, state: absent}",
    "apt_repository: {repo: 'deb http://127.0.0.1:1/ a b', filename: kr, update_cache: false}",
    "apt_repository: {repo: 'deb http://127.0.0.1:1/ a b', filename: kr, update_cache: false, state: absent}",
    "timezone: {name: Etc/GMT-3}",
    "cron: {name: kr, minute: '5', job: 'true', cron_file: kr, user: root}",
    "cron: {name: kr, cron_file: kr, user: root, state: absent}",
];

#[test]
fn check_mode_says_what_the_run_does_and_changes_nothing() {
    let lab = Lab::hosts(1);
    let host = lab.host(0);
    lab.ssh(host, PREPARED);
    let mut play = "- hosts: all\n  gather_facts: false\n  tasks:\n".to_owned();
    for task in TASKS {
        write!(
            play,
            "    - shell: |\n        {STATE}\n      register: before\n      changed_when: false\n    \
             - {task}\n      check_mode: true\n      diff: true\n      register: told\n    \
             - shell: |\n        {STATE}\n      register: after\n      changed_when: false\n    \
             - {task}\n      diff: true\n      register: done\n    \
             - {task}\n      register: again\n    \
             - name: \"{task}\"\n      assert:\n        quiet: true\n        that:\n          \
             - before.stdout == after.stdout\n          - told is changed\n          - done is changed\n          \
             - again is not changed\n          - told.diff | default == done.diff | default\n",
        )
        .expect("memory");
    }
    lab.write("site.yml", &play);
    lab.succeed(&["play", "site.yml"]);
}
