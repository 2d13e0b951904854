//! `kopsrun backup certs` and `restore certs` on real machines. Needs root and the lab; required, never skipped.

mod lab;

use lab::{Lab, Ran};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

/// Certificates as kubespray lays them, with modes and owners that are no defaults.
const MAKE: &str = "set -e; cd /root; mkdir -p /etc/ssl/etcd/ssl /etc/kubernetes/ssl
cp ca.pem /etc/ssl/etcd/ssl/ca.pem; echo key-of-$(hostname) >/etc/ssl/etcd/ssl/member-key.pem
echo manager >/etc/kubernetes/ssl/sa.key; ln -sfn ssl /etc/kubernetes/pki
chown -R ops:root /etc/ssl/etcd/ssl; chmod 750 /etc/ssl/etcd/ssl; chmod 640 /etc/ssl/etcd/ssl/*
chmod 600 /etc/kubernetes/ssl/sa.key; chmod 711 /etc/kubernetes/ssl";

/// Everything below, with type, mode, owner, link and content.
const LOOK: &str = "cd /etc; find ssl/etcd kubernetes -printf '%p %y %m %u:%g %l\\n' | sort;
find ssl/etcd kubernetes -type f | sort | xargs -r sha256sum";

fn authority(name: &str) -> String {
    format!(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN={name} \
         -addext basicConstraints=critical,CA:true -keyout /dev/null -out /dev/stdout 2>/dev/null"
    )
}

/// Two machines of one cluster: the same authority, own keys.
fn cluster() -> Lab {
    let lab = Lab::hosts(2);
    let ca = lab.ssh(lab.host(0), &authority("etcd-ca"));
    for host in lab.names() {
        lab.ssh(host, &format!("echo '{ca}' >/root/ca.pem"));
        lab.ssh(host, MAKE);
    }
    lab
}

fn sets(lab: &Lab) -> Vec<PathBuf> {
    let backups = lab.state().join("backups");
    let mut sets: Vec<PathBuf> = fs::read_dir(backups)
        .into_iter()
        .flatten()
        .map(|entry| entry.expect("an entry").path())
        .collect();
    sets.sort();
    sets
}

fn restore(lab: &Lab, host: &str, more: &[&str]) -> Ran {
    lab.kopsrun(&[&["restore", "certs", host], more].concat())
}

#[test]
fn certificates_come_back_to_a_new_machine_with_mode_and_owner() {
    let lab = cluster();
    let host = lab.host(1).to_owned();
    let before = lab.ssh(&host, LOOK);
    lab.succeed(&["backup", "certs"]);
    let [set] = &sets(&lab)[..] else {
        panic!("one set: {:?}", sets(&lab));
    };
    let mode = |path: &PathBuf| fs::metadata(path).expect("there").permissions().mode() & 0o7777;
    assert_eq!(mode(set), 0o700);
    assert_eq!(mode(&lab.state().join("backups")), 0o700);
    for entry in fs::read_dir(set).expect("read") {
        assert_eq!(mode(&entry.expect("an entry").path()), 0o600);
    }
    lab.succeed(&["backup", "list"])
        .says(0, &["NODES", "2", "UTC"]);
    // As a new machine is: nothing there.
    lab.ssh(&host, "rm -rf /etc/ssl/etcd /etc/kubernetes");
    restore(&lab, &host, &["--check"]).says(0, &["would write", "6 files would change"]);
    assert_eq!(
        lab.ssh(
            &host,
            "ls -d /etc/ssl/etcd /etc/kubernetes 2>/dev/null || true"
        ),
        ""
    );
    restore(&lab, &host, &[]).says(5, &["not confirmed", "--yes"]);
    restore(&lab, &host, &["--yes"]).says(0, &["6 files changed"]);
    assert_eq!(lab.ssh(&host, LOOK), before);
    restore(&lab, &host, &["--yes"]).says(0, &["0 files changed"]);
    // What differs in mode, owner or content comes back; what isn't in the backup stays.
    lab.ssh(
        &host,
        "cd /etc/ssl/etcd/ssl; chmod 644 ca.pem; chown root member-key.pem; echo junk >>/etc/kubernetes/ssl/sa.key; touch own",
    );
    restore(&lab, &host, &["--yes", "--only", "/etc/ssl/etcd/ssl"]).says(0, &["2 files changed"]);
    restore(&lab, &host, &["--yes"]).says(0, &["1 files changed"]);
    lab.ssh(&host, "rm /etc/ssl/etcd/ssl/own");
    assert_eq!(lab.ssh(&host, LOOK), before);
}

#[test]
fn what_would_do_harm_is_refused_and_says_what_to_do() {
    let lab = cluster();
    let (other, host) = (lab.host(0).to_owned(), lab.host(1).to_owned());
    restore(&lab, &host, &["--yes"]).says(5, &["no backup set", "kopsrun backup certs"]);
    lab.succeed(&["backup", "certs"]);
    let set = sets(&lab).remove(0);
    lab.ssh(&host, "echo broken >/etc/ssl/etcd/ssl/member-key.pem");
    let before = lab.ssh(&host, LOOK);

    restore(&lab, "node9", &["--yes"]).says(4, &["no host 'node9'"]);
    restore(&lab, &host, &["--yes", "--set", "nope"])
        .says(5, &["no backup set 'nope'", "there are certs-"]);

    let archive = set.join(format!("{host}.tar"));
    let whole = fs::read(&archive).expect("read");
    let mut damaged = whole.clone();
    damaged[2000] ^= 1;
    fs::write(&archive, damaged).expect("written");
    restore(&lab, &host, &["--yes"]).says(5, &["changed or damaged", "--set NAME"]);
    fs::write(&archive, whole).expect("written");

    let manifest = fs::read_to_string(set.join("manifest.json")).expect("read");
    fs::write(
        set.join("manifest.json"),
        manifest.replace("\"0640\"", "\"0666\""),
    )
    .expect("written");
    restore(&lab, &host, &["--yes"]).says(5, &["its files are not those of the manifest"]);
    fs::write(set.join("manifest.json"), "{").expect("written");
    restore(&lab, &host, &["--yes"]).says(5, &["can't be read", "manifest.json"]);
    lab.kopsrun(&["backup", "list"]).says(2, &["is damaged"]);
    fs::write(set.join("manifest.json"), manifest).expect("written");

    let ca = lab.ssh(&other, &authority("another"));
    lab.ssh(&other, &format!("echo '{ca}' >/etc/ssl/etcd/ssl/ca.pem"));
    restore(&lab, &host, &["--yes"]).says(5, &["another certificate authority", "--force-ca"]);
    assert_eq!(
        lab.ssh(&host, LOOK),
        before,
        "nothing was changed by any of these"
    );
    restore(&lab, &host, &["--yes", "--force-ca"]).says(0, &["1 files changed"]);

    lab.run(&["kill", &host]);
    restore(&lab, &host, &["--yes", "--force-ca", "-T", "2"]).says(4, &[&host, "try again"]);
    lab.kopsrun(&["backup", "certs", "-T", "2"])
        .says(2, &["PARTIAL", &host]);
}

#[test]
fn a_backup_or_restore_that_is_killed_leaves_nothing_half_written() {
    let lab = cluster();
    let host = lab.host(1).to_owned();
    // Big enough that kills hit the middle.
    lab.ssh(
        &host,
        "for i in $(seq 30); do head -c 300000 /dev/urandom >/etc/kubernetes/ssl/big-$i.key; done",
    );
    lab.succeed(&["backup", "certs"]);
    let good = lab.ssh(&host, LOOK);
    for moment in [150, 250, 350, 500, 700] {
        let mut child = lab.start(&["backup", "certs"]);
        std::thread::sleep(Duration::from_millis(moment));
        child.kill().expect("killed");
        child.wait().expect("ended");
    }
    for set in sets(&lab) {
        let hidden = set
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        assert!(
            hidden || set.join("manifest.json").exists(),
            "{}",
            set.display()
        );
    }
    lab.succeed(&["backup", "certs"]);
    let parts = sets(&lab)
        .iter()
        .filter(|set| set.to_string_lossy().contains(".part"))
        .count();
    assert_eq!(
        parts, 0,
        "what was left behind is swept away by the next one"
    );

    let files = "cd /etc; find ssl/etcd kubernetes -type f | sort | xargs -r sha256sum | cut -d' ' -f1 | sort -u";
    let (known, mut cut) = (lab.ssh(&host, files), 0);
    for moment in [150, 300, 450, 600, 900] {
        lab.ssh(&host, "find /etc/ssl/etcd /etc/kubernetes -type f -delete");
        let mut child = lab.start(&["restore", "certs", &host, "--yes"]);
        std::thread::sleep(Duration::from_millis(moment));
        child.kill().expect("killed");
        child.wait().expect("ended");
        // The agent ends with its channel; what it was writing is then gone.
        std::thread::sleep(Duration::from_millis(300));
        let now = lab.ssh(&host, files);
        cut += usize::from(now != known);
        for hash in now.lines() {
            assert!(known.contains(hash), "a half-written file: {now}");
        }
    }
    assert!(cut > 0, "no kill came early enough to cut a restore short");
    restore(&lab, &host, &["--yes"]).says(0, &["done"]);
    assert_eq!(lab.ssh(&host, LOOK), good);
}
