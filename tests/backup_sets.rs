//! `kopsrun backup create|list|show|verify|fetch|drill|prune` against real etcd on real machines. Needs root and the lab;
//! required, never skipped.

mod lab;

use lab::{Lab, mode};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// `kube-system` as Kubernetes stores it, with this id.
const UID: &str = "3f0f2a56-25ba-4d2a-a3c2-0f6b0a1d2c3e";
const NAMESPACE: &str = r"k8s\000\012\004\012\002v1\022\065\012\063\012\013kube-system\052\0443f0f2a56-25ba-4d2a-a3c2-0f6b0a1d2c3e";

/// Keys of a small Kubernetes, and files beside the certificates that only a complete set holds.
fn fill(lab: &Lab) {
    let script = format!(
        r#"set -e
        etcdctl() {{ ETCDCTL_API=3 /usr/local/bin/etcdctl --endpoints=https://127.0.0.1:2379 \
         --cacert=/etc/ssl/etcd/ssl/ca.pem --cert=/etc/ssl/etcd/ssl/admin-node1.pem \
         --key=/etc/ssl/etcd/ssl/admin-node1-key.pem "$@"; }}
        for n in $(seq 30); do etcdctl put /registry/pods/default/pod$n "first $n" >/dev/null; done
        for n in $(seq 10); do etcdctl put /registry/pods/default/pod$n "second $n" >/dev/null; done
        etcdctl del /registry/pods/default/pod30 >/dev/null
        printf '{NAMESPACE}' | etcdctl put /registry/namespaces/kube-system >/dev/null
        mkdir -p /etc/kubernetes/manifests
        printf 'spec:\n  containers:\n  - image: registry.k8s.io/kube-apiserver:v1.31.4\n' >/etc/kubernetes/manifests/kube-apiserver.yaml
        chmod 600 /etc/kubernetes/manifests/kube-apiserver.yaml"#
    );
    lab.run(&["sh", "node1", "bash", "-c", &script]);
}

fn backups(lab: &Lab) -> PathBuf {
    lab.state().join("backups")
}

/// Names of complete sets, the oldest first.
fn sets(lab: &Lab) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(backups(lab))
        .into_iter()
        .flatten()
        .map(|entry| {
            let name = entry.expect("an entry").file_name();
            name.into_string().expect("text")
        })
        .filter(|name| name.starts_with("cluster-"))
        .collect();
    names.sort();
    names
}

/// One more set, and its name.
fn create(lab: &Lab, more: &[&str]) -> String {
    let before = sets(lab);
    lab.succeed(&[&["backup", "create"], more].concat())
        .says(0, &["30 keys at revision", "3 nodes", "read back"]);
    let new = sets(lab).into_iter().find(|name| !before.contains(name));
    new.expect("a new set")
}

fn manifest(lab: &Lab, set: &str) -> Value {
    let text = fs::read(backups(lab).join(set).join("manifest.json")).expect("a manifest");
    serde_json::from_slice(&text).expect("JSON")
}

/// Nothing of a secret lies open anywhere in the set.
fn sealed(dir: &Path) -> bool {
    fs::read_dir(dir).expect("a set").all(|entry| {
        let path = entry.expect("an entry").path();
        let bytes = fs::read(&path).expect("read");
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        path.ends_with("manifest.json") || bytes.starts_with(b"age-encryption.org/v1\n")
    })
}

#[test]
fn a_set_holds_a_cluster_and_proves_it() {
    let lab = Lab::with_etcd("sets", "35");
    an_etcd_without_any_key_is_proven_too(&lab);
    fill(&lab);
    let plain = create(&lab, &[]);
    a_set_is_complete(&lab, &plain);
    sets_are_looked_into(&lab, &plain);
    encrypted_sets_open_with_their_key_only(&lab);
    a_drill_proves_what_can_be_restored(&lab, &plain);
    damaged_sets_are_never_verified(&lab, &plain);
    sets_of_other_clusters_are_never_verified(&lab, &plain);
    old_sets_go_by_rule(&lab, &plain);
}

/// It is at revision 1, and nothing in its snapshot says so.
fn an_etcd_without_any_key_is_proven_too(lab: &Lab) {
    lab.succeed(&["backup", "create"]).says(0, &["0 keys"]);
    lab.succeed(&["backup", "drill"])
        .says(0, &["VERIFIED", "0 keys"]);
    let set = sets(lab).pop().expect("a set");
    fs::remove_dir_all(backups(lab).join(set)).expect("removed");
}

/// A ConfigMap as Kubernetes stores it.
const CONFIG_MAP: &str = r"k8s\000\012\017\012\002v1\022\011ConfigMap\022\043\012\023\012\010settings\032\007default\022\014\012\004mode\022\004safe";

/// What would be lost, and single objects, without an etcd.
fn sets_are_looked_into(lab: &Lab, plain: &str) {
    let put = format!(
        "printf '{CONFIG_MAP}' >/tmp/value; {ETCDCTL} put /registry/configmaps/default/settings </tmp/value; \
         {ETCDCTL} del /registry/pods/default/pod1; {ETCDCTL} put /registry/pods/default/pod2 third"
    );
    lab.run(&["sh", "node1", "bash", "-c", &put]);
    let new = create(lab, &[]);
    let words = ["backup", "diff", &new, plain, "--keys"];
    let lost = lab.kopsrun(&words);
    lost.says(
        2,
        &[
            "configmaps  1     0    0",
            "pods        0     1    1",
            "- /registry/configmaps/default/settings",
            "+ /registry/pods/default/pod1",
            "~ /registry/pods/default/pod2",
        ],
    );
    let pods = lab.kopsrun(&["backup", "diff", &new, plain, "--only", "pods"]);
    assert!(!pods.stdout.contains("configmaps"), "{pods}");
    lab.succeed(&["backup", "diff", plain, plain])
        .says(0, &["the same keys"]);

    lab.succeed(&["backup", "cat", &new, "configmaps/default/settings"])
        .says(
            0,
            &[
                "kind: ConfigMap",
                "namespace: default",
                "mode: safe",
                "version: 1",
            ],
        );
    let raw = lab.succeed(&[
        "backup",
        "cat",
        plain,
        "/registry/pods/default/pod2",
        "--raw",
    ]);
    assert_eq!(raw.stdout, "second 2");
    lab.succeed(&["backup", "cat", plain, "namespaces/kube-system"])
        .says(0, &[UID, "raw: "]);
    lab.kopsrun(&["backup", "cat", plain, "configmaps/default/settings"])
        .says(5, &["has no key"]);
    lab.kopsrun(&["backup", "cat", plain, "pods/default/pod"])
        .says(5, &["there is /registry/pods/default/pod1"]);

    let back = format!(
        "{ETCDCTL} del /registry/configmaps/default/settings; {ETCDCTL} put /registry/pods/default/pod1 'second 1'"
    );
    lab.run(&["sh", "node1", "bash", "-c", &back]);
    fs::remove_dir_all(backups(lab).join(new)).expect("removed");
}

const ETCDCTL: &str = "ETCDCTL_API=3 /usr/local/bin/etcdctl --endpoints=https://127.0.0.1:2379 \
     --cacert=/etc/ssl/etcd/ssl/ca.pem --cert=/etc/ssl/etcd/ssl/admin-node1.pem --key=/etc/ssl/etcd/ssl/admin-node1-key.pem";

fn a_set_is_complete(lab: &Lab, set: &str) {
    let told = manifest(lab, set);
    assert_eq!(told["cluster"]["kube_system_uid"], UID);
    assert_eq!(told["kubernetes_version"], "v1.31.4");
    assert_eq!(
        told["cluster"]["etcd_cluster_id"],
        told["snapshot"]["cluster_id"]
    );
    let authorities = told["cluster"]["authorities"].as_object().expect("a map");
    assert!(
        authorities.contains_key("/etc/ssl/etcd/ssl/ca.pem"),
        "{told:#}"
    );
    assert_eq!(
        told["snapshot"]["members"]
            .as_array()
            .expect("members")
            .len(),
        3
    );
    assert!(told["snapshot"]["raft_index"].as_u64().expect("a number") > 40);
    assert!(told["snapshot"]["hash_kv"]["hash"].is_u64(), "{told:#}");
    let files = |node: usize| -> Vec<&str> {
        let files = told["nodes"][node]["files"].as_array().expect("files");
        files.iter().filter_map(|f| f["path"].as_str()).collect()
    };
    for node in 0..3 {
        for path in [
            "/etc/etcd.env",
            "/etc/systemd/system/etcd.service",
            "/etc/ssl/etcd/ssl/ca.pem",
            "/etc/kubernetes/ssl/sa.key",
        ] {
            assert!(files(node).contains(&path), "node {node}: {path}");
        }
    }
    lab.succeed(&["backup", "list"])
        .says(0, &[set, "unverified"]);
    lab.succeed(&["backup", "show", set])
        .says(0, &[UID, "29 pods", "v1.31.4", "unverified", "node3"]);
    lab.succeed(&["backup", "verify"]).says(0, &["sound"]);
    lab.kopsrun(&["backup", "show", "cluster-nope"])
        .says(4, &["there is no backup set cluster-nope"]);

    let out = lab.home().join("out");
    let to = out.to_str().expect("text");
    lab.succeed(&["backup", "fetch", set, "--to", to]);
    let programs = lab.run(&["fetch-etcd", "35"]);
    let mut status = std::process::Command::new(Path::new(programs.trim()).join("etcdutl"));
    lab::finish(
        status
            .args(["snapshot", "status", "-w", "json"])
            .arg(out.join("snapshot.db")),
    )
    .says(0, &["\"revision\":"]);
    let tar = lab::finish(
        std::process::Command::new("tar")
            .arg("-xOf")
            .arg(out.join("node2.tar"))
            .arg("etc/etcd.env"),
    );
    assert_eq!(tar.stdout.trim_end(), lab.ssh("node2", "cat /etc/etcd.env"));
    assert_eq!(mode(&out.join("node2.tar")), 0o600);

    // Certificates come back out of a complete set; settings aren't touched by that.
    lab.ssh(
        "node3",
        "rm /etc/kubernetes/ssl/sa.key; echo '# mine' >>/etc/etcd.env",
    );
    lab.succeed(&["restore", "certs", "node3", "--yes"])
        .says(0, &["1 files changed", set]);
    assert_eq!(lab.ssh("node3", "tail -n 1 /etc/etcd.env"), "# mine");
}

fn encrypted_sets_open_with_their_key_only(lab: &Lab) {
    // Keys of the documentation of age and of a stranger.
    lab.write(
        "key.txt",
        "# a key\nAGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33\n",
    );
    let recipient = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";
    lab.kopsrun(&["backup", "create", "--recipient", "age1nonsense"])
        .says(4, &["'age1nonsense' is not a public key of age"]);
    let set = create(lab, &["--recipient", recipient]);
    assert!(sealed(&backups(lab).join(&set)));
    lab.kopsrun(&["backup", "verify", &set]).says(
        2,
        &["NOT READ", "encrypted and no key was given", "--identity"],
    );
    lab.succeed(&["backup", "verify", &set, "--identity", "key.txt"])
        .says(0, &["sound"]);

    lab.write("phrase", "correct horse battery staple\n");
    lab.write("other", "wrong horse\n");
    let set = create(lab, &["--passphrase-file", "phrase"]);
    assert!(sealed(&backups(lab).join(&set)));
    lab.kopsrun(&["backup", "verify", &set, "--passphrase-file", "other"])
        .says(2, &["the passphrase doesn't fit"]);
    lab.kopsrun(&["backup", "verify", &set, "--identity", "key.txt"])
        .says(2, &["the key doesn't fit"]);
    lab.succeed(&["backup", "verify", &set, "--passphrase-file", "phrase"])
        .says(0, &["sound"]);
    let left = fs::read_dir(backups(lab)).expect("sets").flatten();
    let left: Vec<_> = left
        .filter(|e| e.file_name().to_string_lossy().ends_with(".part"))
        .collect();
    assert!(left.is_empty(), "plain files are left: {left:?}");
}

fn a_drill_proves_what_can_be_restored(lab: &Lab, plain: &str) {
    // What was written and forgotten since doesn't matter: the hash is that of the snapshot.
    lab.run(&[
        "etcdctl",
        "node1",
        "put",
        "/registry/pods/default/pod1",
        "later",
    ]);
    let programs = lab.run(&["fetch-etcd", "35"]);
    lab.succeed(&["backup", "drill", plain, "--programs", programs.trim()])
        .says(0, &["VERIFIED", "30 keys", "the member's hash"]);
    lab.succeed(&["backup", "list"])
        .says(0, &["VERIFIED", "unverified"]);
    lab.succeed(&["backup", "show", plain])
        .says(0, &["VERIFIED 20", "with etcd 3.5"]);
    // Without programs here those of a node are taken; the newest set is the one with a passphrase.
    lab.kopsrun(&["backup", "drill"])
        .says(2, &["is NOT verified", "no key was given"]);
    lab.succeed(&["backup", "drill", "--passphrase-file", "phrase"])
        .says(0, &["VERIFIED", "30 keys", "the member's hash"]);
    lab.kopsrun(&["backup", "drill", plain, "--programs", "/nowhere"])
        .says(2, &["no etcd 3.5", "--programs DIR"]);
    let old = lab.run(&["fetch-etcd", "34"]);
    lab.kopsrun(&["backup", "drill", plain, "--programs", old.trim()])
        .says(2, &["doesn't start from it: 3.4"]);
    nothing_runs_on();
    a_killed_drill_leaves_nothing(lab, plain);
}

/// A drill that is killed leaves its etcd; the next one ends it.
fn a_killed_drill_leaves_nothing(lab: &Lab, plain: &str) {
    let mut drill = lab.start(&["backup", "drill", plain]);
    let begin = std::time::Instant::now();
    let started = || {
        let entries = fs::read_dir(backups(lab)).expect("sets").flatten();
        entries.into_iter().any(|e| e.path().join("pid").exists())
    };
    while !started() {
        assert!(begin.elapsed().as_secs() < 120, "no etcd was started");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    drill.kill().expect("SIGKILL");
    drill.wait().expect("ended");
    lab.succeed(&["backup", "drill", plain])
        .says(0, &["VERIFIED"]);
    nothing_runs_on();
}

/// No throwaway etcd outlives its drill.
fn nothing_runs_on() {
    let processes = fs::read_dir("/proc").expect("processes").flatten();
    let left: Vec<_> = processes
        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
        .filter(|line| line.windows(13).any(|part| part == b"unix://peer:1"))
        .collect();
    assert!(left.is_empty());
}

/// The set isn't VERIFIED, says why, and can't be verified.
fn refused(lab: &Lab, set: &str, code: i32, words: &[&str]) {
    lab.kopsrun(&["backup", "drill", set]).says(code, words);
    let list = lab.kopsrun(&["backup", "list"]).stdout;
    let line = list.lines().find(|line| line.contains(set));
    assert!(
        line.is_none_or(|line| !line.contains("VERIFIED")),
        "{words:?}: {list}"
    );
}

fn damaged_sets_are_never_verified(lab: &Lab, set: &str) {
    let dir = backups(lab).join(set);
    let spoiled = |name: &str, bytes: &[u8], words: &[&str]| {
        let path = dir.join(name);
        let whole = fs::read(&path).expect("read");
        fs::write(&path, bytes).expect("written");
        refused(lab, set, 2, &[&["NOT verified"], words].concat());
        fs::write(&path, whole).expect("written");
    };
    let snapshot = fs::read(dir.join("snapshot.db.zst")).expect("read");
    let mut flipped = snapshot.clone();
    flipped[snapshot.len() / 2] ^= 1;
    spoiled("snapshot.db.zst", &flipped, &["changed or damaged"]);
    spoiled(
        "snapshot.db.zst",
        &snapshot[..snapshot.len() - 1],
        &["cut off"],
    );
    spoiled(
        "snapshot.db.zst",
        &[&snapshot[..], b"x"].concat(),
        &["something was added"],
    );
    let other = fs::read(dir.join("node2.tar.zst")).expect("read");
    spoiled(
        "node1.tar.zst",
        &other,
        &["it holds what belongs to node2.tar.zst", "swapped"],
    );
    let archive = dir.join("node3.tar.zst");
    let aside = dir.join("aside");
    fs::rename(&archive, &aside).expect("moved");
    refused(lab, set, 2, &["node3.tar.zst: it is missing"]);
    fs::rename(&aside, &archive).expect("moved");
    let manifest = dir.join("manifest.json");
    fs::rename(&manifest, &aside).expect("moved");
    refused(lab, set, 5, &["there is no manifest"]);
    lab.kopsrun(&["backup", "list"])
        .says(2, &[set, "there is no manifest"]);
    fs::rename(&aside, &manifest).expect("moved");
    lab.succeed(&["backup", "drill", set])
        .says(0, &["VERIFIED"]);
    // A manifest that was touched isn't the one that was proven.
    let text = fs::read_to_string(&manifest).expect("read");
    fs::write(&manifest, format!("{text}\n")).expect("written");
    lab.succeed(&["backup", "show", set])
        .says(0, &["unverified"]);
}

/// A database of another etcd, with keys in it.
fn stranger(lab: &Lab) -> PathBuf {
    let programs = PathBuf::from(lab.run(&["fetch-etcd", "35"]).trim());
    let dir = lab.home().join("stranger");
    fs::create_dir(&dir).expect("made");
    let mut etcd = std::process::Command::new(programs.join("etcd"));
    let url = "unix://c:1";
    etcd.args([
        "--data-dir",
        "data",
        "--listen-client-urls",
        url,
        "--advertise-client-urls",
        url,
    ]);
    etcd.args([
        "--listen-peer-urls",
        "unix://p:1",
        "--initial-advertise-peer-urls",
        "unix://p:1",
    ]);
    etcd.args(["--initial-cluster", "default=unix://p:1"]);
    etcd.stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    let mut child = etcd.current_dir(&dir).spawn().expect("etcd starts");
    let etcdctl = |words: &[&str]| {
        let mut command = std::process::Command::new(programs.join("etcdctl"));
        command
            .args(["--endpoints", url])
            .args(words)
            .env("ETCDCTL_API", "3");
        lab::finish(command.current_dir(&dir))
    };
    for tries in 0.. {
        if etcdctl(&["put", "a", "b"]).code == 0 {
            break;
        }
        assert!(tries < 30, "the other etcd doesn't start");
    }
    etcdctl(&["snapshot", "save", "snapshot.db"]).says(0, &[]);
    child.kill().expect("killed");
    child.wait().expect("ended");
    dir.join("snapshot.db")
}

fn sets_of_other_clusters_are_never_verified(lab: &Lab, set: &str) {
    let dir = backups(lab).join(set);
    let path = dir.join("manifest.json");
    let told = manifest(lab, set);
    let write = |told: &Value| {
        fs::write(&path, serde_json::to_vec(told).expect("JSON")).expect("written");
    };
    // Another cluster's manifest is honest about it.
    for (pointer, value, words) in [
        (
            "/cluster/kube_system_uid",
            "ffff",
            "kube-system has the id ffff",
        ),
        (
            "/cluster/authorities/~1etc~1ssl~1etcd~1ssl~1ca.pem",
            "0000",
            "certificate authority /etc/ssl/etcd/ssl/ca.pem has the key 0000",
        ),
    ] {
        let mut other = told.clone();
        *other.pointer_mut(pointer).expect("it is there") = value.into();
        write(&other);
        refused(lab, set, 2, &["it is of another cluster", words]);
    }
    // Another cluster's snapshot in this set, with every hash as it should be.
    let db = stranger(lab);
    let found = kopsrun::backup::snapshot::check(&db).expect("sound");
    let packed = zstd::encode_all(fs::File::open(&db).expect("there"), 3).expect("packed");
    let mut other = told.clone();
    let digest = |bytes: &[u8]| -> String {
        use sha2::Digest;
        let sum = sha2::Sha256::digest(bytes);
        sum.iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let stored = other["stored"].as_array_mut().expect("a list");
    let stored = stored
        .iter_mut()
        .find(|s| s["of"] == "snapshot.db")
        .expect("there");
    stored["size"] = packed.len().into();
    stored["sha256"] = digest(&packed).into();
    other["snapshot"]["size"] = found.size.into();
    other["snapshot"]["sha256"] = found.sha256.clone().into();
    other["snapshot"]["summary"] = serde_json::to_value(&found.summary).expect("JSON");
    let whole = fs::read(dir.join("snapshot.db.zst")).expect("read");
    fs::write(dir.join("snapshot.db.zst"), &packed).expect("written");
    write(&other);
    refused(
        lab,
        set,
        2,
        &[
            "it is of another cluster: the member",
            "is not one of its members",
        ],
    );
    fs::write(dir.join("snapshot.db.zst"), whole).expect("written");
    write(&told);
    lab.succeed(&["backup", "drill", set])
        .says(0, &["VERIFIED"]);
}

fn old_sets_go_by_rule(lab: &Lab, plain: &str) {
    let [first, sealed, phrase] = &sets(lab)[..] else {
        panic!("three sets: {:?}", sets(lab));
    };
    assert_eq!(first, plain);
    // One of another cluster, older than all.
    let other = backups(lab).join("cluster-20200101-000000");
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .arg(backups(lab).join(plain))
        .arg(&other)
        .status();
    assert!(copied.expect("cp").success());
    let mut told = manifest(lab, plain);
    told["set"] = "cluster-20200101-000000".into();
    told["taken"] = "2020-01-01T00:00:00Z".into();
    told["cluster"]["kube_system_uid"] = "ffff".into();
    fs::write(
        other.join("manifest.json"),
        serde_json::to_vec(&told).expect("JSON"),
    )
    .expect("written");

    lab.kopsrun(&["backup", "prune"])
        .says(5, &["nothing says which sets are kept"]);
    lab.succeed(&[
        "backup",
        "prune",
        "--keep-last",
        "1",
        "--keep-verified",
        "3",
    ])
    .says(0, &["too few are verified", "nothing goes"]);
    let dry = [
        "backup",
        "prune",
        "--keep-last",
        "1",
        "--keep-verified",
        "2",
        "--dry-run",
    ];
    lab.succeed(&dry).says(
        0,
        &[
            "REMOVE",
            "another cluster's: its namespace kube-system has the id ffff",
        ],
    );
    assert_eq!(sets(lab).len(), 4, "nothing went");
    lab.succeed(&dry[..6])
        .says(0, &[&format!("removed {sealed}")]);
    assert_eq!(sets(lab), ["cluster-20200101-000000", plain, phrase]);
}
