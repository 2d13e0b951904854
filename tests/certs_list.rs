//! `kopsrun certs list` on real machines with real etcd. Needs root and the lab; required, never skipped.

mod lab;

use lab::Lab;
use serde_json::Value;

/// Keys in all forms that OpenSSL and Go write, a kubeconfig with one inside, and things that are wrong.
const MAKE: &str = r#"set -e; cd /etc/kubernetes/ssl
sign() { openssl req -new -x509 -key $1.key -subj /CN=$1 -days $2 -out $1.crt 2>/dev/null; chmod 600 $1.key; }
openssl genrsa -traditional -out pkcs1.key 2048 2>/dev/null; sign pkcs1 400
openssl ecparam -name prime256v1 -genkey -noout -out sec1.key; sign sec1 400
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out pkcs8.key 2>/dev/null; sign pkcs8 400
openssl genpkey -algorithm ED25519 -out ed.key; sign ed 20
openssl genpkey -algorithm ED25519 -out near.key; sign near 3
openssl genpkey -algorithm ED25519 -out open.key; sign open 400; chmod 644 open.key
openssl genpkey -algorithm ED25519 -out other.key; sign other 400; cp ed.key other.key; chmod 600 other.key
printf 'users:\n- user:\n    client-certificate-data: %s\n    client-key-data: %s\n' "$(base64 -w0 sec1.crt)" "$(base64 -w0 sec1.key)" >/etc/kubernetes/admin.conf
chmod 600 /etc/kubernetes/admin.conf"#;

#[test]
fn certificates_are_found_wherever_they_are() {
    let lab = Lab::with_etcd("certslist", "35");
    let well = lab.succeed(&["certs", "list"]);
    well.says(
        0,
        &[
            "CN=etcd-ca",
            "CN=etcd-member-node2",
            "tls://10.99.0.13:2380",
            "on disk",
            "fits",
        ],
    );
    assert!(
        !well.stdout.contains("MISMATCH") && !well.stdout.contains("unread"),
        "{well}"
    );

    lab.run(&["sh", "node1", "bash", "-c", MAKE]);
    let list = lab.kopsrun(&["certs", "list", "-l", "node1"]);
    list.says(
        2,
        &[
            "CRITICAL",
            "soon",
            "MISMATCH",
            "other.crt: the key beside it is another certificate's",
            "open.crt: everybody can read its key (mode 0644)",
            "/etc/kubernetes/admin.conf#client-certificate-data",
        ],
    );
    let json = lab.kopsrun(&["certs", "list", "-l", "node1", "--output", "json"]);
    let json: Value = serde_json::from_str(&json.stdout).expect("JSON");
    let all = json["certificates"].as_array().expect("a list");
    let of = |place: &str| {
        let place = format!("/etc/kubernetes/{place}");
        all.iter()
            .find(|c| c["place"] == place.as_str())
            .expect("found")
    };
    for (place, key, state) in [
        ("ssl/pkcs1.crt", "match", "fine"),
        ("ssl/sec1.crt", "match", "fine"),
        ("ssl/pkcs8.crt", "match", "fine"),
        ("ssl/ed.crt", "match", "warning"),
        ("ssl/near.crt", "match", "critical"),
        ("ssl/other.crt", "mismatch", "fine"),
        ("admin.conf#client-certificate-data", "match", "fine"),
    ] {
        assert_eq!(
            (&of(place)["key"], &of(place)["state"]),
            (&key.into(), &state.into()),
            "{place}"
        );
    }
    assert_eq!(all[0]["subject"], "CN=near", "the first to end comes first");
    assert!(!list.text().contains("PRIVATE"));

    // A process that still shows what isn't on the disk any more; etcd reads its files anew for each connection.
    let serve = "cd /etc/kubernetes/ssl && openssl req -x509 -newkey rsa:2048 -nodes -keyout old.key -out old.crt -subj /CN=old -days 400 2>/dev/null \
        && systemd-run -q --unit=old --working-directory=$PWD openssl s_server -accept 6443 -key old.key -cert old.crt -quiet \
        && for n in $(seq 100); do openssl s_client -connect 127.0.0.1:6443 </dev/null >/dev/null 2>&1 && break; sleep 0.2; done; rm old.key old.crt";
    lab.run(&["sh", "node2", "bash", "-c", serve]);
    lab.kopsrun(&["certs", "list", "-l", "node2", "--bad"])
        .says(2, &["tls://127.0.0.1:6443: it isn't on the disk any more"]);
    lab.run(&["kill", "node3"]);
    lab.kopsrun(&["certs", "list", "-l", "node3"])
        .says(2, &["node3 can't be read"]);
}
