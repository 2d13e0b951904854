use crate::modules::test::{mode, task};
use crate::{Context, Outcome};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use tar::{Builder, EntryType, Header};

fn archive(paths: &Value) -> (Outcome, Vec<u8>) {
    let cx = Context::local(false, false);
    let outcome = crate::modules::run(&task("_archive", json!({"paths": paths})), &cx);
    (outcome, cx.sent())
}

fn unarchive(tar: &[u8], args: Value, check: bool) -> Outcome {
    let mut cx = Context::local(check, false);
    cx.add_blob("content", tar.to_vec());
    crate::modules::run(&task("_unarchive", args), &cx)
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
}

fn message(outcome: &Outcome) -> &str {
    assert!(outcome.failed, "{outcome:?}");
    outcome.data["msg"].as_str().expect("text")
}

#[test]
fn a_tree_goes_out_and_comes_back_as_it_was() {
    let dir = tempfile::tempdir().expect("a directory");
    let pki = dir.path().join("pki");
    let long = "long-".repeat(45);
    fs::create_dir_all(pki.join("etcd")).expect("made");
    fs::write(pki.join("ca.key"), b"secret\0\xff").expect("written");
    fs::write(pki.join("etcd").join(&long), b"x").expect("written");
    fs::write(pki.join("etcd/a\nb"), b"").expect("written");
    symlink("../ca.key", pki.join("etcd/ca.key")).expect("a link");
    set_mode(&pki.join("ca.key"), 0o600);
    set_mode(&pki.join("etcd"), 0o750);
    let (outcome, tar) = archive(&json!([pki, "/no/such", pki.join("etcd")]));
    assert!(!outcome.failed && !outcome.changed, "{outcome:?}");
    assert_eq!(outcome.data["missing"], json!(["/no/such"]));
    assert_eq!(outcome.data["size"], tar.len());
    let files = outcome.data["files"].as_array().expect("a list");
    assert_eq!(files.len(), 6);
    assert_eq!(files[1]["mode"], "0600");
    assert_eq!(files[1]["size"], 8);

    let root = dir.path().join("root");
    let allowed = json!({"allowed": [pki], "dest": root});
    assert!(unarchive(&tar, allowed.clone(), true).changed);
    assert!(!root.exists());
    let outcome = unarchive(&tar, allowed.clone(), false);
    assert_eq!(outcome.data["count"], 6, "{outcome:?}");
    let back = root.join(pki.strip_prefix("/").expect("absolute"));
    assert_eq!(
        fs::read(back.join("ca.key")).expect("there"),
        b"secret\0\xff"
    );
    assert_eq!(mode(back.join("ca.key")), 0o600);
    assert_eq!(mode(back.join("etcd")), 0o750);
    assert!(back.join("etcd").join(&long).exists() && back.join("etcd/a\nb").exists());
    assert_eq!(
        fs::read_link(back.join("etcd/ca.key")).expect("a link"),
        Path::new("../ca.key")
    );

    let again = unarchive(&tar, allowed, false);
    assert!(!again.changed && !again.failed, "{again:?}");
    set_mode(&back.join("ca.key"), 0o644);
    let only = json!({"allowed": [pki], "dest": root, "include": [pki.join("ca.key")]});
    assert!(unarchive(&tar, only.clone(), true).changed);
    let mended = unarchive(&tar, only, false);
    assert_eq!(mended.data["changed_files"], json!([pki.join("ca.key")]));
    assert_eq!(mode(back.join("ca.key")), 0o600);
}

#[test]
fn private_modules_are_nobodys_to_name() {
    assert!(crate::spec("_archive").is_none());
    assert!(crate::specs().all(|spec| !spec.name.starts_with('_')));
}

/// An archive with one entry whose name is not checked by the writer.
fn one(name: &str, kind: EntryType, link: &str) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_uid(rustix::process::geteuid().as_raw().into());
    header.set_gid(rustix::process::getegid().as_raw().into());
    header.set_size(0);
    header.set_cksum();
    let mut tar = Builder::new(Vec::new());
    tar.append(&header, &b""[..]).expect("in memory");
    tar.into_inner().expect("in memory")
}

#[test]
fn archives_that_reach_further_than_allowed_are_refused_whole() {
    let dir = tempfile::tempdir().expect("a directory");
    let refuse = |tar: &[u8]| {
        let args = json!({"allowed": ["/etc/pki"], "dest": dir.path()});
        message(&unarchive(tar, args, false)).to_owned()
    };
    let (file, link) = (EntryType::Regular, EntryType::Symlink);
    assert!(refuse(&one("/etc/pki/a", file, "")).contains("absolute path"));
    assert!(refuse(&one("etc/pki/../shadow", file, "")).contains("climbs"));
    assert!(refuse(&one("etc/shadow", file, "")).contains("outside"));
    assert!(refuse(&one("etc/pkiX/a", file, "")).contains("outside"));
    assert!(refuse(&one("etc/pki/a", link, "/etc/shadow")).contains("is a link to /etc/shadow"));
    assert!(refuse(&one("etc/pki/a", link, "../shadow")).contains("is a link to"));
    assert!(refuse(&one("etc/pki/a", EntryType::Link, "etc/pki/b")).contains("neither file"));
    assert!(refuse(&one("etc/pki/a", EntryType::Char, "")).contains("neither file"));
    let mut two = one("etc/pki/a", link, "b");
    two.truncate(512);
    two.extend(one("etc/pki/a/c", file, ""));
    assert!(refuse(&two).contains("below a link"));
    let mut twice = one("etc/pki/a", file, "");
    twice.truncate(512);
    twice.extend(one("etc/pki/a", file, ""));
    assert!(refuse(&twice).contains("twice"));
    assert!(refuse(b"not a tar").contains("can't be read"));
    assert_eq!(fs::read_dir(dir.path()).expect("there").count(), 0);
}

#[test]
fn links_of_the_host_lead_nothing_astray() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::create_dir_all(dir.path().join("etc/pki")).expect("made");
    fs::create_dir(dir.path().join("out")).expect("made");
    symlink("../../out", dir.path().join("etc/pki/d")).expect("a link");
    let args = json!({"allowed": ["/etc/pki"], "dest": dir.path()});
    let refused = unarchive(
        &one("etc/pki/d/a", EntryType::Regular, ""),
        args.clone(),
        false,
    );
    assert!(message(&refused).contains("would be written to"));
    // A link in the place of a file is replaced, not followed.
    symlink("../../out/x", dir.path().join("etc/pki/f")).expect("a link");
    assert!(
        unarchive(
            &one("etc/pki/f", EntryType::Regular, ""),
            args.clone(),
            false
        )
        .changed
    );
    assert!(dir.path().join("etc/pki/f").is_file() && !dir.path().join("etc/pki/f").is_symlink());
    assert_eq!(
        fs::read_dir(dir.path().join("out")).expect("there").count(),
        0
    );
    fs::create_dir(dir.path().join("etc/pki/g")).expect("made");
    let refused = unarchive(&one("etc/pki/g", EntryType::Regular, ""), args, false);
    assert!(message(&refused).contains("something else"));
}
