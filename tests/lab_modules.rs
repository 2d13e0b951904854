//! Modules that need several real machines, or one that breaks. Needs root and the lab; required, never skipped.

mod lab;

use lab::Lab;
use std::fs;

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
