use crate::modules::test::{check, mode, run};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

fn snapshot(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(dir)
        .expect("there")
        .map(|entry| entry.expect("an entry").path())
        .map(|path| {
            (
                path.display().to_string(),
                fs::read(&path).expect("readable"),
            )
        })
        .collect();
    files.sort();
    files
}

/// Once in check mode, twice for real: the first run does what check mode said, the second nothing.
fn twice(dir: &Path, module: &str, args: &Value) {
    let before = snapshot(dir);
    let told = check(module, args.clone());
    assert!(told.changed && !told.failed, "{module}: {told:?}");
    assert_eq!(
        snapshot(dir),
        before,
        "{module}: check mode changes nothing"
    );
    let done = run(module, args.clone());
    assert!(done.changed && !done.failed, "{module}: {done:?}");
    let after = snapshot(dir);
    for again in [check(module, args.clone()), run(module, args.clone())] {
        assert!(!again.changed && !again.failed, "{module}: {again:?}");
    }
    assert_eq!(snapshot(dir), after, "{module}: nothing the second time");
}

#[test]
fn a_ca_signs_for_keys_of_all_kinds() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = |name: &str| dir.path().join(name);
    twice(
        dir.path(),
        "openssl_privatekey",
        &json!({"path": path("ca.key"), "type": "ECC", "curve": "secp384r1"}),
    );
    assert_eq!(mode(path("ca.key")), 0o600);
    let request = json!({
        "path": path("ca.csr"), "privatekey_path": path("ca.key"), "common_name": "ca", "use_common_name_for_san": false,
        "basic_constraints": ["CA:TRUE"], "basic_constraints_critical": true, "key_usage": ["keyCertSign"],
    });
    twice(dir.path(), "openssl_csr", &request);
    let own = json!({
        "path": path("ca.crt"), "csr_path": path("ca.csr"), "privatekey_path": path("ca.key"), "provider": "selfsigned",
    });
    twice(dir.path(), "x509_certificate", &own);
    for (name, key) in [
        ("rsa", json!({"size": 2048, "passphrase": "a b'c\"$x"})),
        ("ed", json!({"type": "Ed25519"})),
        (
            "ec",
            json!({"type": "ECC", "curve": "secp256r1", "format": "pkcs8"}),
        ),
    ] {
        let mut args = key.clone();
        args["path"] = json!(path(&format!("{name}.key")));
        twice(dir.path(), "openssl_privatekey", &args);
        let mut request = json!({
            "path": path(&format!("{name}.csr")), "privatekey_path": args["path"], "common_name": name,
            "subject_alt_name": [format!("DNS:{name}"), "IP:10.0.0.1"], "extended_key_usage": ["serverAuth"],
        });
        if let Some(passphrase) = key.get("passphrase") {
            request["privatekey_passphrase"] = passphrase.clone();
        }
        twice(dir.path(), "openssl_csr", &request);
        let certificate = json!({
            "path": path(&format!("{name}.crt")), "csr_path": request["path"], "provider": "ownca",
            "ownca_path": path("ca.crt"), "ownca_privatekey_path": path("ca.key"), "ownca_not_after": "+30d",
        });
        twice(dir.path(), "x509_certificate", &certificate);
        let verified = std::process::Command::new("openssl")
            .args(["verify", "-CAfile"])
            .args([path("ca.crt"), path(&format!("{name}.crt"))])
            .output()
            .expect("openssl");
        assert!(verified.status.success(), "{name}: {verified:?}");
        let told = run(
            "x509_certificate_info",
            json!({"path": certificate["path"], "valid_at": {"soon": "+29d", "late": "+31d"}}),
        );
        assert_eq!(
            told.data["valid_at"],
            json!({"soon": true, "late": false}),
            "{told:?}"
        );
        assert_eq!(told.data["issuer"], json!({"commonName": "ca"}));
    }
    // Another key, and the certificate of the old one doesn't count any more.
    let key = json!({"path": path("ed.key"), "type": "Ed25519", "force": true, "backup": true});
    let kept = run("openssl_privatekey", key);
    let backup = kept.data["backup_file"]
        .as_str()
        .expect("a backup")
        .to_owned();
    assert_eq!(mode(&backup), 0o600);
    let request = json!({
        "path": path("ed.csr"), "privatekey_path": path("ed.key"), "common_name": "ed",
        "subject_alt_name": ["DNS:ed", "IP:10.0.0.1"], "extended_key_usage": ["serverAuth"],
    });
    twice(dir.path(), "openssl_csr", &request);
}

#[test]
fn what_openssl_says_of_a_key_is_told_and_the_key_is_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let key = dir.path().join("key");
    fs::write(
        &key,
        "-----BEGIN PRIVATE KEY-----\nSECRETSECRET\n-----END PRIVATE KEY-----\n",
    )
    .expect("written");
    let csr = run(
        "openssl_csr",
        json!({"path": dir.path().join("csr"), "privatekey_path": key}),
    );
    assert!(
        csr.failed && !format!("{csr:?}").contains("SECRET"),
        "{csr:?}"
    );
    for regenerate in ["never", "fail", "partial_idempotence"] {
        let refused = run(
            "openssl_privatekey",
            json!({"path": key, "size": 2048, "regenerate": regenerate}),
        );
        assert!(refused.failed, "{refused:?}");
    }
    assert!(fs::read_to_string(&key).expect("there").contains("SECRET"));
    let made = run(
        "openssl_privatekey",
        json!({"path": key, "type": "Ed25519"}),
    );
    assert!(made.changed && !made.failed, "{made:?}");
    assert!(!format!("{made:?}").contains("PRIVATE KEY"));
    let ca = run(
        "x509_certificate",
        json!({"path": dir.path().join("c"), "provider": "ownca"}),
    );
    assert!(ca.failed, "{ca:?}");
}

#[test]
fn certificates_that_end_soon_are_told_in_order() {
    let dir = tempfile::tempdir().expect("a directory");
    let key = dir.path().join("key");
    run(
        "openssl_privatekey",
        json!({"path": key, "type": "Ed25519"}),
    );
    for (name, end) in [("later", "+90d"), ("soon", "+10d1h"), ("sub/over", "+1s")] {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().expect("below")).expect("made");
        let made = run(
            "x509_certificate",
            json!({"path": path, "privatekey_path": key, "provider": "selfsigned", "selfsigned_not_before": "-1d", "selfsigned_not_after": end}),
        );
        assert!(!made.failed, "{made:?}");
    }
    let told = run("cert_info", json!({"path": dir.path()}));
    assert_eq!(told.data["days_left"], 10, "{told:?}");
    assert_eq!(told.data["expiring"], json!([dir.path().join("soon")]));
    let all = run(
        "cert_info",
        json!({"paths": [dir.path().join("*")], "recurse": true, "fail": true}),
    );
    assert!(
        all.failed && all.data["certificates"].as_array().map(Vec::len) == Some(3),
        "{all:?}"
    );
    assert!(run("cert_info", json!({"path": "/no/such"})).failed);
}
