//! etcd as kubeadm sets it up: flags in the manifest of a static pod, certificates in its own places, no settings and no
//! programs on the host. The process is real; systemd runs it in place of a kubelet. Needs root and the lab; required, never
//! skipped.

mod lab;

use lab::Lab;

/// From kubespray's layout to kubeadm's, with the same data and authority.
const CONVERT: &str = r#"set -e; h=$(hostname); old=/etc/ssl/etcd/ssl; new=/etc/kubernetes/pki/etcd
systemctl disable -q --now etcd
install -d -m 700 $new /opt/pod; install -d /etc/kubernetes/manifests
install -m 644 $old/ca.pem $new/ca.crt; install -m 600 $old/ca-key.pem $new/ca.key
for n in server peer healthcheck-client; do
  install -m 644 $old/member-$h.pem $new/$n.crt; install -m 600 $old/member-$h-key.pem $new/$n.key; done
mv /usr/local/bin/etcd /opt/pod/etcd; rm -f /usr/local/bin/etcdctl /usr/local/bin/etcdutl
. /etc/etcd.env
flags="--name=$ETCD_NAME --data-dir=/var/lib/etcd --advertise-client-urls=$ETCD_ADVERTISE_CLIENT_URLS
--initial-advertise-peer-urls=$ETCD_INITIAL_ADVERTISE_PEER_URLS --initial-cluster=$ETCD_INITIAL_CLUSTER
--listen-client-urls=$ETCD_LISTEN_CLIENT_URLS --listen-peer-urls=$ETCD_LISTEN_PEER_URLS --client-cert-auth=true
--peer-client-cert-auth=true --trusted-ca-file=$new/ca.crt --cert-file=$new/server.crt --key-file=$new/server.key
--peer-trusted-ca-file=$new/ca.crt --peer-cert-file=$new/peer.crt --peer-key-file=$new/peer.key"
{ printf 'apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - command:\n    - etcd\n'
  for flag in $flags; do echo "    - $flag"; done; } >/etc/kubernetes/manifests/etcd.yaml
chmod 600 /etc/kubernetes/manifests/etcd.yaml
rm -rf /etc/etcd.env /etc/ssl/etcd /etc/systemd/system/etcd.service; systemctl daemon-reload
systemd-run -q --unit=pod-etcd -p Restart=always /opt/pod/etcd $flags"#;

#[test]
fn an_etcd_of_kubeadm_is_looked_at_backed_up_and_renewed() {
    let lab = Lab::with_etcd("pods", "35");
    for key in ["one", "two"] {
        lab.run(&["etcdctl", "node1", "put", key, "kept"]);
    }
    for host in ["node1", "node2", "node3"] {
        lab.run(&["sh", host, "bash", "-c", CONVERT]);
    }
    let begin = std::time::Instant::now();
    while lab.kopsrun(&["etcd", "quorum"]).code != 0 {
        assert!(begin.elapsed().as_secs() < 120, "it doesn't serve again");
        std::thread::sleep(std::time::Duration::from_millis(300));
    }
    lab.succeed(&["etcd", "hashkv"]).says(0, &["the same data"]);
    lab.succeed(&["etcd", "move-leader", "etcd2", "--yes"])
        .says(0, &["etcd2"]);
    lab.succeed(&["etcd", "defrag", "--yes"]);
    lab.succeed(&["backup", "create"])
        .says(0, &["2 keys at revision", "3 nodes"]);
    let programs = lab.run(&["fetch-etcd", "35"]);
    lab.succeed(&["backup", "drill", "--programs", programs.trim()])
        .says(0, &["VERIFIED", "2 keys"]);
    lab.succeed(&["certs", "check", "node2"]).says(
        0,
        &[
            "pki/etcd/server.crt: in order",
            "pki/etcd/peer.crt: in order",
        ],
    );
    lab.succeed(&["certs", "renew", "--only", "etcd", "--yes"])
        .says(
            0,
            &[
                "certificates in 9 files on 3 hosts are new",
                "3 of 3 voters",
            ],
        );
    lab.succeed(&["certs", "list", "--bad"]);
    // What isn't done is refused by name, and says what can be done.
    let list = lab.succeed(&["backup", "list"]).stdout;
    let set = list
        .split_whitespace()
        .find(|word| word.starts_with("cluster-"));
    for host in ["node2", "node3"] {
        lab.run(&["sh", host, "systemctl", "stop", "pod-etcd"]);
    }
    lab.kopsrun(&["restore", "etcd", set.expect("a set"), "--yes"])
        .says(5, &["is a static pod", "kopsrun backup fetch"]);
    lab.kopsrun(&["etcd", "recover", "--yes"])
        .says(5, &["is a static pod"]);
    lab.kopsrun(&["etcd", "coldstart", "--yes"])
        .says(5, &["is a static pod: its kubelet starts it"]);
}
