use super::certificate::CertificateInfo;
use super::manifest::{EntryKind, Manifest, NodeArchive};
use super::*;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use tar::{Builder, EntryType, Header};

fn authority() -> String {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "etcd-ca");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.self_signed(&key).expect("signed").pem()
}

fn header(kind: EntryType, mode: u32, size: usize) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size as u64);
    header.set_username("etcd").expect("a name");
    header.set_uid(105);
    header.set_gid(0);
    header
}

/// A set with the archive of node3, as `take` leaves it.
fn set(root: &Path, ca: &str) -> Set {
    let dir = root.join("certs-1");
    fs::create_dir_all(&dir).expect("a directory");
    let path = dir.join("node3.tar");
    let mut tar = Builder::new(fs::File::create(&path).expect("a file"));
    let mut add = |kind, mode, name: &str, content: &[u8]| {
        tar.append_data(&mut header(kind, mode, content.len()), name, content)
            .expect("added");
    };
    add(EntryType::Directory, 0o750, "etc/ssl/etcd/ssl", b"");
    add(
        EntryType::Regular,
        0o644,
        "etc/ssl/etcd/ssl/ca.pem",
        ca.as_bytes(),
    );
    add(
        EntryType::Regular,
        0o600,
        "etc/ssl/etcd/ssl/member-node3-key.pem",
        b"secret",
    );
    tar.finish().expect("finished");
    drop(tar);
    let (sha256, size) = super::archive::digest(&path).expect("hashed");
    let manifest = Manifest {
        version: 1,
        set: "certs-1".into(),
        taken: "2026-11-20T00:00:00Z".parse().expect("a time"),
        paths: vec!["/etc/ssl/etcd/ssl".into()],
        nodes: vec![NodeArchive {
            node: "node3".into(),
            archive: "node3.tar".into(),
            sha256,
            size,
            files: super::archive::entries(&path).expect("read"),
        }],
        missing: Vec::new(),
        snapshot: None,
        cluster: None,
        kubernetes_version: None,
        stored: Vec::new(),
    };
    fs::write(
        dir.join("manifest.json"),
        serde_json::to_vec(&manifest).expect("json"),
    )
    .expect("written");
    Set { dir, manifest }
}

#[test]
fn an_archive_is_described_to_the_letter() {
    let root = tempfile::tempdir().expect("a directory");
    set(root.path(), &authority());
    let found = newest(root.path(), "node3", None).expect("found");
    let (opened, archive) = found.verified("node3", &Keys::default()).expect("whole");
    let path = opened.path();
    let dir = archive.file("/etc/ssl/etcd/ssl").expect("the directory");
    assert_eq!(
        (
            dir.kind,
            dir.mode.as_str(),
            dir.owner.as_str(),
            dir.group.as_str()
        ),
        (EntryKind::Directory, "0750", "etcd", "0")
    );
    let key = archive
        .file("/etc/ssl/etcd/ssl/member-node3-key.pem")
        .expect("the key");
    assert_eq!(
        (key.mode.as_str(), key.size, key.certificate.as_ref()),
        ("0600", 6, None)
    );
    let content = super::archive::content(path, &key.path).expect("read");
    assert_eq!(content.expose(), b"secret");
    assert_eq!(
        archive.authorities().into_keys().collect::<Vec<_>>(),
        ["/etc/ssl/etcd/ssl/ca.pem"]
    );
    let order: Vec<&str> = chosen(archive, &["/etc/ssl/etcd/ssl".to_owned()])
        .iter()
        .map(|f| f.path.as_str())
        .collect();
    assert_eq!(
        order[0], "/etc/ssl/etcd/ssl",
        "the directory before what is in it"
    );
    assert_eq!(
        chosen(archive, &["/etc/ssl/etcd/ss".to_owned()]).len(),
        0,
        "paths, not prefixes"
    );
}

#[test]
fn a_changed_archive_is_refused() {
    let root = tempfile::tempdir().expect("a directory");
    let set = set(root.path(), &authority());
    let path = set.dir.join("node3.tar");
    let mut bytes = fs::read(&path).expect("read");
    let at = bytes
        .windows(6)
        .position(|w| w == b"secret")
        .expect("the key");
    bytes[at] = b'S';
    fs::write(&path, bytes).expect("written");
    let error = set
        .verified("node3", &Keys::default())
        .expect_err("refused")
        .to_string();
    assert!(error.contains("changed or damaged"), "{error}");
}

#[test]
fn an_archive_of_another_authority_is_refused() {
    let root = tempfile::tempdir().expect("a directory");
    let (ours, other) = (authority(), authority());
    let set = set(root.path(), &ours);
    let archive = set.manifest.node("node3").expect("there");
    let live = |pem: &str| {
        let info = CertificateInfo::read(pem.as_bytes()).expect("a certificate");
        BTreeMap::from([("/etc/ssl/etcd/ssl/ca.pem".to_owned(), info.spki_sha256)])
    };
    assert!(same_authorities(archive, &live(&ours)).is_ok());
    assert!(same_authorities(archive, &BTreeMap::new()).is_ok());
    let error = same_authorities(archive, &live(&other))
        .expect_err("refused")
        .to_string();
    assert!(error.contains("another certificate authority"), "{error}");
}

#[test]
fn unfinished_sets_do_not_show() {
    let root = tempfile::tempdir().expect("a directory");
    let hidden = root.path().join(".certs-2.part");
    fs::create_dir(&hidden).expect("made");
    fs::write(hidden.join("manifest.json"), "{}").expect("written");
    assert!(list(root.path()).expect("listed").sets.is_empty());
    assert_eq!(
        newest(root.path(), "node3", None)
            .expect_err("none")
            .to_string(),
        "there is no backup set with node3 in it"
    );
}

#[test]
fn a_damaged_set_hides_no_other_and_is_not_passed_over() {
    let root = tempfile::tempdir().expect("a directory");
    set(root.path(), &authority());
    let damaged = |name: &str| {
        let dir = root.path().join(name);
        fs::create_dir(&dir).expect("made");
        fs::write(dir.join("manifest.json"), "{").expect("written");
    };
    damaged("certs-0");
    let found = list(root.path()).expect("listed");
    assert_eq!((found.sets.len(), found.damaged.len()), (1, 1));
    assert!(newest(root.path(), "node3", None).is_ok(), "an older one");
    damaged("certs-2");
    let error = newest(root.path(), "node3", None).expect_err("refused");
    let BackupError::Refused { message, hints } = error else {
        panic!("{error}");
    };
    assert!(message.contains("certs-2 can't be read"), "{message}");
    assert!(hints[0].contains("certs-1"), "{hints:?}");
    assert!(newest(root.path(), "node3", Some("certs-1")).is_ok());
}

#[tokio::test]
async fn what_a_killed_backup_left_is_swept_away_and_a_running_one_is_not() {
    let root = tempfile::tempdir().expect("a directory");
    let (dead, live) = (
        root.path().join(".certs-1.part"),
        root.path().join(".certs-2.part"),
    );
    for dir in [&dead, &live] {
        fs::create_dir(dir).expect("made");
        fs::write(dir.join("node1.tar.part"), "key").expect("written");
    }
    let lock = fs::File::open(&live).expect("opened");
    lock.lock().expect("locked");
    let error = take(root.path(), &[], Vec::new(), &Nothing).await;
    assert!(matches!(error, Err(BackupError::Nothing(_))));
    assert!(!dead.exists() && live.exists());
    let left: Vec<_> = fs::read_dir(root.path()).expect("read").collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

/// Hears nothing.
struct Nothing;

impl crate::journal::Sink for Nothing {
    fn emit(&self, _event: crate::journal::Event) {}

    fn emit_synced(&self, _event: crate::journal::Event) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_path_that_climbs_out_is_refused() {
    let root = tempfile::tempdir().expect("a directory");
    let path = root.path().join("x.tar");
    let mut tar = Builder::new(fs::File::create(&path).expect("a file"));
    let mut evil = header(EntryType::Regular, 0o644, 1);
    let name = b"../etc/passwd";
    evil.as_old_mut().name[..name.len()].copy_from_slice(name);
    evil.set_cksum();
    tar.append(&evil, &b"x"[..]).expect("added");
    tar.finish().expect("finished");
    drop(tar);
    let error = super::archive::entries(&path)
        .expect_err("refused")
        .to_string();
    assert!(error.contains("leads out of the archive"), "{error}");
}
