//! Packages on real machines, from a repository that the test makes there: no network. Needs root and the lab; required,
//! never skipped.

mod lab;

use lab::Lab;

/// Makes the packages `kr-*` and a repository of them in /srv/repo, the host's only one.
const REPOSITORY: &str = r#"
set -e
mkdir -p /srv/repo && cd /srv/repo
make() { # name version fields postinst kilobytes
  d=/srv/build; rm -rf $d; mkdir -p $d/DEBIAN $d/etc/$1 $d/usr/share/$1
  echo "$1 $2" >$d/usr/share/$1/version; echo setting >$d/etc/$1/setting; echo /etc/$1/setting >$d/DEBIAN/conffiles
  [ -z "$5" ] || head -c ${5}k /dev/urandom >$d/usr/share/$1/data
  { printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: a <a@example.org>\n' $1 $2; printf "$3"; echo 'Description: a test'; } >$d/DEBIAN/control
  [ -z "$4" ] || { printf '#!/bin/sh\n%s\n' "$4" >$d/DEBIAN/postinst; chmod 755 $d/DEBIAN/postinst; }
  dpkg-deb -Znone --root-owner-group -b $d $1_$2_all.deb >/dev/null; rm -rf $d
}
make kr-a 1.0; make kr-a 1.1; make kr-a 2.0; make kr-lib 1.0; make kr-b 1.0 'Depends: kr-lib\n'
make kr-rec 1.0 'Recommends: kr-lib\n'; make kr-bad 1.0 '' '[ -e /srv/mended ]'; make kr-conflict 1.0 'Conflicts: kr-a\n'
make kr-virt 1.0 'Provides: kr-thing\n'; make kr-slow 1.0 '' 'while [ ! -e /srv/go ]; do sleep 0.1; done'
make kr-policy 1.0 '' '/usr/sbin/policy-rc.d x start; echo $? >/srv/policy'; make kr-big 1.0 '' '' 3000
for f in *.deb; do dpkg-deb -f $f; echo "Filename: ./$f"; echo "Size: $(stat -c %s $f)"; echo "SHA256: $(sha256sum $f | cut -d' ' -f1)"; echo; done >Packages
rm -f /etc/apt/sources.list.d/*; echo 'deb [trusted=yes] file:/srv/repo ./' >/etc/apt/sources.list
rm -rf /var/lib/apt/lists/*
"#;

fn host(lab: &Lab) -> &str {
    lab.ssh(lab.host(0), REPOSITORY);
    lab.host(0)
}

fn play(lab: &Lab, tasks: &str) -> lab::Ran {
    lab.write(
        "site.yml",
        &format!("- hosts: all\n  gather_facts: false\n  tasks:\n{tasks}"),
    );
    lab.kopsrun(&["play", "site.yml"])
}

/// A task of apt three times, in check mode, for real and once more; `changed` says whether the first two change it.
fn step(arguments: &str, changed: bool, more: &str) -> String {
    let (yes, now) = (
        changed,
        if changed {
            "is changed"
        } else {
            "is not changed"
        },
    );
    format!(
        "    - apt: {{{arguments}}}\n      check_mode: true\n      diff: true\n      register: told\n    \
         - apt: {{{arguments}}}\n      register: done\n    \
         - apt: {{{arguments}}}\n      register: again\n    \
         - assert:\n        that: ['told.changed == {yes}', 'done {now}', 'again is not changed'{more}]\n"
    )
}

#[test]
fn packages_come_and_go_and_a_second_run_changes_nothing() {
    let lab = Lab::hosts(1);
    let host = host(&lab);
    let mut tasks = "    - apt: {update_cache: true}\n      register: lists\n    \
        - assert: {that: [lists is changed, lists.cache_updated, lists.cache_update_time > 1700000000]}\n    \
        - apt: {update_cache: true, cache_valid_time: 3600}\n      register: lists\n    \
        - assert: {that: [lists is not changed, not lists.cache_updated]}\n"
        .to_owned();
    let installed = ", '\"kr-a\" in told.diff.prepared', '\"Inst kr-a\" in told.stdout', '\"Setting up kr-a\" in done.stdout'";
    for (arguments, changed, more) in [
        ("name: kr-a=1.0", true, installed),
        ("name: kr-a", false, ""),
        ("name: 'kr-a>=1.0'", false, ""),
        ("name: kr-a=1.*", true, ""),
        ("name: 'kr-a>=1.2'", true, ""),
        ("name: kr-a=1.0, allow_downgrade: true", true, ""),
        ("name: kr-a, state: latest", true, ""),
        ("name: kr-b, only_upgrade: true", false, ""),
        ("name: kr-b", true, ""),
        ("name: kr-b, state: absent", true, ""),
        (
            "autoremove: true",
            true,
            ", '\"Remv kr-lib\" in told.stdout'",
        ),
        ("name: kr-rec, install_recommends: false", true, ""),
        ("name: kr-thing", true, ""),
        ("name: 'kr-[bl]*'", true, ""),
        (
            "name: 'kr-[br]*', state: absent, autoremove: true, purge: true",
            true,
            "",
        ),
        (
            "deb: /srv/repo/kr-rec_1.0_all.deb, install_recommends: false",
            true,
            "",
        ),
        ("deb: 'file:///srv/repo/kr-b_1.0_all.deb'", true, ""),
        ("name: 'kr-*', state: absent, purge: true", true, ""),
        ("name: kr-policy, policy_rc_d: 101", true, ""),
    ] {
        // The pattern of the middle holds a package that can't be configured before /srv/mended is there.
        tasks += &step(arguments, changed, more);
    }
    lab.ssh(host, "touch /srv/mended /srv/go");
    play(&lab, &tasks).says(0, &["failed=0"]);
    assert_eq!(
        lab.ssh(
            host,
            "cat /srv/policy; ls /usr/sbin/policy-rc.d* 2>&1 || true"
        ),
        "101\nls: cannot access '/usr/sbin/policy-rc.d*': No such file or directory"
    );
    assert_eq!(
        lab.ssh(host, "dpkg-query -Wf '${Package} ' 'kr-*'; ls -d /etc/kr-*"),
        "kr-policy /etc/kr-policy"
    );

    // All packages at once, and what is downloaded.
    let tasks = "    - apt: {name: kr-a=1.0}\n".to_owned()
        + &step("upgrade: dist", true, ", '\"kr-a\" in done.msg'")
        + "    - apt: {name: kr-a=1.1, allow_downgrade: true}\n"
        + &step("upgrade: true", true, "")
        + "    - apt: {name: kr-a=1.1, allow_downgrade: true}\n"
        + &step("name: '*', state: latest", true, "")
        + "    - file: {path: /var/cache/apt/archives/old_1_all.deb, state: touch}\n    - apt: {clean: true}\n      register: cleaned\n    \
           - assert: {that: [cleaned is changed]}\n    - apt: {autoclean: true}\n      register: cleaned\n    \
           - assert: {that: [cleaned is not changed]}\n    - package: {name: kr-a, state: present}\n      register: there\n    \
           - assert: {that: [there is not changed]}\n    - dpkg_selections: {name: kr-a, selection: hold}\n      register: held\n    \
           - apt: {name: kr-a=1.0, allow_downgrade: true}\n      ignore_errors: true\n      register: refused\n    \
           - apt: {name: kr-a=1.0, allow_downgrade: true, allow_change_held_packages: true}\n      register: done\n    \
           - assert: {that: [held is changed, refused is failed, done is changed]}\n    \
           - package_facts:\n    - assert: {that: [\"ansible_facts.packages['kr-a'] == [{'name': 'kr-a', 'version': '1.0', 'arch': 'all', 'category': '', 'origin': '', 'source': 'apt'}]\"]}\n";
    play(&lab, &tasks).says(0, &["failed=0"]);
    assert_eq!(lab.ssh(host, "ls /var/cache/apt/archives"), "lock\npartial");
}

#[test]
fn what_goes_wrong_is_told_and_leaves_what_was_there() {
    let lab = Lab::small_hosts(1, "32m");
    let host = host(&lab);
    play(&lab, "    - apt: {update_cache: true, name: kr-a=2.0}\n").says(0, &["changed=1"]);
    for (arguments, said) in [
        (
            "name: kr-none",
            "No package matching 'kr-none' is available",
        ),
        (
            "name: kr-a=7",
            "no available installation candidate for kr-a=7",
        ),
        ("name: kr-a=1.0", "--allow-downgrades"),
        (
            "name: kr-conflict, fail_on_autoremove: true",
            "Packages need to be removed but remove is disabled",
        ),
        (
            "deb: /srv/repo/kr-a_1.0_all.deb",
            "A later version is already installed",
        ),
        (
            "name: kr-bad",
            "post-installation script subprocess returned error exit status 1",
        ),
    ] {
        play(&lab, &format!("    - apt: {{{arguments}}}\n")).says(2, &[said]);
    }
    // A package that couldn't be configured is tried again, and goes away.
    play(&lab, "    - apt: {name: kr-bad, state: absent}\n").says(0, &["changed=1"]);
    play(&lab, "    - apt: {name: kr-bad}\n").says(2, &["exit status 1"]);
    lab.ssh(host, "touch /srv/mended");
    play(&lab, "    - apt: {state: fixed}\n").says(0, &["changed=1"]);
    assert_eq!(
        lab.ssh(
            host,
            "dpkg-query -Wf '${Package}=${Version} ${Status}\n' kr-a kr-bad"
        ),
        "kr-a=2.0 install ok installed\nkr-bad=1.0 install ok installed"
    );

    // Another dpkg at work.
    lab.ssh(host, "setsid apt-get -y install kr-slow >/srv/log 2>&1 </dev/null & until [ -e /var/lib/dpkg/info/kr-slow.postinst ]; do sleep 0.1; done");
    play(&lab, "    - apt: {name: kr-b, lock_timeout: 1}\n").says(
        2,
        &[
            "Failed to lock apt for exclusive operation within 1 seconds",
            "held by process",
            "(apt-get)",
        ],
    );
    lab.ssh(
        host,
        "(sleep 1; touch /srv/go) >/dev/null 2>&1 </dev/null &",
    );
    play(&lab, "    - apt: {name: kr-b}\n").says(0, &["changed=1"]);

    // No room for the package: nothing of it stays, and later there is.
    lab.ssh(
        host,
        "dd if=/dev/zero of=/fill bs=64k 2>/dev/null; sync; truncate -s -1M /fill",
    );
    play(&lab, "    - apt: {name: kr-big}\n").says(2, &["'apt-get install -- kr-big=1.0' failed"]);
    assert_eq!(
        lab.ssh(
            host,
            "ls -d /usr/share/kr-big/data 2>&1; dpkg-query -Wf '${Version}' kr-a"
        ),
        "ls: cannot access '/usr/share/kr-big/data': No such file or directory\n2.0"
    );
    lab.ssh(host, "rm /fill");
    play(&lab, "    - apt: {name: kr-big}\n").says(0, &["changed=1"]);

    // A repository that can't be reached fails the task and leaves the lists.
    lab.ssh(
        host,
        "echo 'deb [trusted=yes] http://127.0.0.1:1/ x main' >>/etc/apt/sources.list",
    );
    play(
        &lab,
        "    - apt: {update_cache: true, update_cache_retries: 1}\n",
    )
    .says(
        2,
        &["Failed to update apt cache after 1 retries", "127.0.0.1"],
    );
    play(&lab, "    - apt: {name: kr-rec}\n").says(0, &["changed=1"]);
}

#[test]
fn sources_of_packages_come_and_go() {
    let lab = Lab::hosts(1);
    let host = host(&lab);
    let repo = "deb [trusted=yes] file:/srv/repo  ./";
    let tasks = format!(
        "    - file: {{path: /etc/apt/sources.list, state: absent}}
    - apt_repository: {{repo: '{repo}'}}
      check_mode: true
      diff: true
      register: told
    - apt_repository: {{repo: '{repo}', mode: '0640'}}
      register: done
    - apt_repository: {{repo: '{repo}'}}
      register: again
    - assert:
        that:
        - told is changed and done is changed and again is not changed
        - told.sources_added == ['/etc/apt/sources.list.d/file_srv_repo.list'] and told.sources_added == done.sources_added
        - told.diff[0].after == 'deb [trusted=yes] file:/srv/repo ./\\n'
    - apt: {{name: kr-a}}
    - apt_repository: {{repo: 'deb [trusted=yes] http://127.0.0.1:1/ a b', update_cache_retries: 0}}
      register: unreachable
      ignore_errors: true
    - assert: {{that: [unreachable is failed]}}
    - apt_repository: {{repo: '{repo}', state: absent, update_cache: false}}
      register: removed
    - assert: {{that: [removed.sources_removed == done.sources_added]}}
    - deb822_repository: {{name: Our repo, uris: 'file:/srv/repo', suites: ./, trusted: true}}
      register: new
    - apt: {{name: kr-lib, update_cache: true}}
    - deb822_repository: {{name: Our repo, uris: 'file:/srv/repo', suites: ./, trusted: true}}
      register: same
    - assert: {{that: [new is changed, same is not changed, new.dest == '/etc/apt/sources.list.d/our-repo.sources']}}
"
    );
    play(&lab, &tasks).says(0, &["failed=0", "ignored=1"]);
    assert_eq!(
        lab.ssh(
            host,
            "ls /etc/apt/sources.list.d; cat /etc/apt/sources.list.d/*"
        ),
        "our-repo.sources\nX-Repolib-Name: Our repo\nSuites: ./\nTrusted: yes\nTypes: deb\nURIs: file:/srv/repo"
    );
}
