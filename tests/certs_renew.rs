//! `kopsrun certs renew` on real machines with real etcd, while a client writes. Needs root and the lab; required, never
//! skipped.

#![allow(
    clippy::print_stdout,
    reason = "how long a renewal took is worth knowing"
)]

mod lab;

use lab::{Lab, Ran};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const NODES: [&str; 3] = ["node1", "node2", "node3"];
const SSL: &str = "/etc/ssl/etcd/ssl";

/// A client that writes twice a second through a connection of its own each time, to each member in turn, and remembers
/// what was acknowledged.
struct Writer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(Vec<usize>, Vec<String>)>,
}

impl Writer {
    fn start(lab: &Arc<Lab>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (lab, ended) = (Arc::clone(lab), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let (mut acknowledged, mut failed) = (Vec::new(), Vec::new());
            for number in 0.. {
                if ended.load(Ordering::SeqCst) {
                    break;
                }
                let begin = Instant::now();
                let (key, value) = (format!("write/{number}"), number.to_string());
                let ran = lab.attempt(&["etcdctl", NODES[number % 3], "put", &key, &value]);
                match ran.code {
                    0 => acknowledged.push(number),
                    _ => failed.push(format!("{number}: {ran}")),
                }
                std::thread::sleep(Duration::from_millis(500).saturating_sub(begin.elapsed()));
            }
            (acknowledged, failed)
        });
        Self { stop, thread }
    }

    /// Everything that was acknowledged is there, and no write was refused. How many there were.
    #[track_caller]
    fn lost_nothing(self, lab: &Lab) -> usize {
        self.stop.store(true, Ordering::SeqCst);
        let (acknowledged, failed) = self.thread.join().expect("the writer");
        assert!(
            failed.is_empty(),
            "writes were refused: {}",
            failed.join("\n")
        );
        for host in NODES {
            let there = lab.run(&["etcdctl", host, "get", "--prefix", "write/"]);
            let lines: Vec<&str> = there.lines().collect();
            let kept: BTreeMap<&str, &str> =
                lines.chunks(2).map(|pair| (pair[0], pair[1])).collect();
            for number in &acknowledged {
                let value = kept.get(format!("write/{number}").as_str());
                assert_eq!(value, Some(&number.to_string().as_str()), "{host}");
            }
        }
        acknowledged.len()
    }
}

/// Serial number, end and public key of a certificate on a host.
fn certificate(lab: &Lab, host: &str, path: &str) -> [String; 3] {
    let text = lab.ssh(
        host,
        &format!("openssl x509 -in {path} -noout -serial -enddate; openssl x509 -in {path} -noout -pubkey | sha256sum"),
    );
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.try_into().expect("three lines")
}

fn renew(lab: &Lab, more: &[&str]) -> Ran {
    lab.kopsrun(&[&["certs", "renew", "--yes"], more].concat())
}

/// Everything is signed by the authority, every copy is the same, every key fits.
#[track_caller]
fn is_whole(lab: &Lab, when: &str) {
    let check = format!(
        "cd {SSL}; for c in member-*.pem admin-*.pem node-*.pem; do case $c in *-key.pem) continue;; esac; \
         openssl verify -CAfile ca.pem $c >/dev/null || echo \"$c isn't signed\"; \
         [ \"$(openssl x509 -in $c -noout -pubkey)\" = \"$(openssl pkey -in ${{c%.pem}}-key.pem -pubout)\" ] || echo \"$c has another key\"; \
         done; cat $(ls member-*.pem admin-*.pem node-*.pem | grep -v key) | sha256sum"
    );
    let told = NODES.map(|host| lab.ssh(host, &check));
    assert!(told[0].lines().count() == 1, "{when}: {}", told[0]);
    assert!(told[1] == told[0] && told[2] == told[0], "{when}: {told:?}");
    lab.kopsrun(&["certs", "list", "--bad"]).says(0, &[]);
}

#[test]
fn all_certificates_of_etcd_are_renewed_while_a_client_writes() {
    let lab = Arc::new(Lab::with_etcd("certsrenew", "35"));
    let member = format!("{SSL}/member-node2.pem");
    let before = certificate(&lab, "node2", &member);
    let modes = "stat -c '%n %a %U %G' /etc/ssl/etcd/ssl/*.pem";
    let rights = lab.ssh("node2", modes);
    let pid = lab.ssh("node2", "systemctl show -p MainPID etcd");

    let plan = lab.succeed(&["certs", "renew", "--only", "etcd", "--plan"]);
    plan.says(
        0,
        &[
            "CN=etcd-member-node2",
            "in 3 files",
            "nothing was changed",
            "3 of 3 voters",
        ],
    );
    assert_eq!(certificate(&lab, "node2", &member), before);
    lab.kopsrun(&["certs", "renew"]).says(5, &["not confirmed"]);
    lab.succeed(&["certs", "renew", "--within", "30", "--yes"])
        .says(0, &["no certificate to be made anew"]);

    lab.succeed(&["backup", "certs"]);
    lab.succeed(&["certs", "diff"]).says(0, &["0 of "]);
    lab.succeed(&["certs", "check", "node2"]).says(
        0,
        &["member-node2.pem: in order", "apiserver.crt: in order"],
    );

    let writer = Writer::start(&lab);
    let done = renew(&lab, &["--only", "etcd", "--days", "700"]);
    done.says(
        0,
        &[
            "9 certificates in 27 files on 3 hosts are new",
            "3 of 3 voters",
        ],
    );
    let count = writer.lost_nothing(&lab);
    println!("renewed in {:?}, {count} writes meanwhile", done.took);
    let after = certificate(&lab, "node2", &member);
    assert!(after[0] != before[0] && after[1] != before[1], "{after:?}");
    assert_eq!(after[2], before[2], "the key stays");
    assert_eq!(lab.ssh("node2", modes), rights);
    assert_eq!(
        lab.ssh("node2", "systemctl show -p MainPID etcd"),
        pid,
        "no restart"
    );
    is_whole(&lab, "renewed");
    // The old one is kept, and is of no account.
    let kept = lab.ssh("node2", &format!("ls {member}.before-*"));
    assert_eq!(certificate(&lab, "node2", &kept), before);
    let list = lab.succeed(&["certs", "list"]);
    assert!(!list.stdout.contains("before-"), "{list}");
    let changed = lab.kopsrun(&["certs", "diff", "-l", "node2"]);
    changed.says(2, &["member-node2.pem: end: 21", "9 of "]);
    assert!(!changed.stdout.contains("key"), "{changed}");
    another_address_is_noticed(&lab);
    // Members that start anew find each other.
    lab.run(&["sh", "node2", "systemctl", "restart", "etcd"]);
    lab.succeed(&["etcd", "status"]);
    kills(&lab);
    an_unwell_cluster_is_refused(&lab);
}

/// Before the member moves there: the certificates don't serve at the address that the inventory names now.
fn another_address_is_noticed(lab: &Lab) {
    let text = std::fs::read_to_string(lab.inventory()).expect("an inventory");
    let other = text.replacen("node2:", "node2:\n      access_ip: 10.99.0.99", 1);
    assert_ne!(text, other);
    std::fs::write(lab.inventory(), &other).expect("written");
    lab.kopsrun(&["certs", "check", "node2"]).says(
        2,
        &["member-node2.pem: it isn't made out to 10.99.0.99, but to "],
    );
    // Without its machine, the backup is judged.
    let set = lab.kopsrun(&["backup", "list"]).stdout;
    let set = set
        .split_whitespace()
        .find(|word| word.starts_with("certs-"));
    lab.kopsrun(&["certs", "check", "node2", "--set", set.expect("a set")])
        .says(2, &["isn't made out to 10.99.0.99"]);
    std::fs::write(lab.inventory(), &text).expect("written");
}

/// Killed at any moment: all writes go on, and the next run ends it.
fn kills(lab: &Arc<Lab>) {
    for (n, (event, step, after)) in [
        ("plan", "", 0),
        ("step_started", "renew-node1", 150),
        ("step_started", "renew-node1", 400),
        ("step_succeeded", "renew-node1", 0),
        ("step_started", "renew-node2", 300),
        ("step_started", "verify", 0),
    ]
    .into_iter()
    .enumerate()
    {
        let when = format!("killed {after} ms after {event} {step}");
        let writer = Writer::start(lab);
        let words = ["certs", "renew", "--only", "etcd", "--yes"];
        let killed = lab.kill_at(&words, (event, step, after));
        let again = match n % 2 {
            0 => renew(lab, &["--only", "etcd"]),
            _ => lab.kopsrun(&["resume", "last", "--yes"]),
        };
        assert_eq!(again.code, 0, "{when}: {again}");
        let count = writer.lost_nothing(lab);
        println!("{when} ({killed}): then {:?}, {count} writes", again.took);
        is_whole(lab, &when);
    }
}

fn an_unwell_cluster_is_refused(lab: &Lab) {
    lab.run(&["kill", "node3"]);
    renew(lab, &[]).says(5, &["node3 can't be read", "--limit 'all:!node3'"]);
    // The dead one may have led: the others elect.
    lab.etcdctl("node1", &["put", "elected", "yes"]);
    renew(lab, &["--limit", "all:!node3"]).says(0, &["unwell already", "2 of 3 voters"]);
    lab.run(&["kill", "node2"]);
    renew(lab, &["--limit", "node1"]).says(5, &["etcd has no quorum"]);
}

/// All of them have ended, and so has the cluster: nobody connects to anybody.
#[test]
fn a_cluster_whose_certificates_have_ended_comes_back() {
    let lab = Lab::with_etcd("certsended", "35");
    lab.run(&["etcdctl", "node1", "put", "before", "kept"]);
    let end = format!(
        "set -e; mkdir -p /tmp/ca; cd {SSL}; : >/tmp/ca/db; echo 01 >/tmp/ca/serial
         printf '[ca]\\ndefault_ca=d\\n[d]\\ndatabase=/tmp/ca/db\\nserial=/tmp/ca/serial\\nnew_certs_dir=/tmp/ca\\ndefault_md=sha256\\npolicy=p\\ncopy_extensions=copyall\\nunique_subject=no\\n[p]\\ncommonName=supplied\\n' >/tmp/ca/conf
         for c in member-*.pem admin-*.pem node-*.pem; do case $c in *-key.pem) continue;; esac
         openssl x509 -x509toreq -copy_extensions copyall -in $c -signkey ${{c%.pem}}-key.pem -out /tmp/ca/req 2>/dev/null
         openssl ca -batch -notext -config /tmp/ca/conf -cert ca.pem -keyfile ca-key.pem -startdate 20240101000000Z \
           -enddate 20250101000000Z -in /tmp/ca/req -out /tmp/ca/new 2>/dev/null; cat /tmp/ca/new >$c; done
         systemctl restart --no-block etcd"
    );
    for host in NODES {
        lab.run(&["sh", host, "bash", "-c", &end]);
    }
    lab.kopsrun(&["etcd", "status"]).says(4, &[]);
    let done = renew(&lab, &["--only", "etcd"]);
    done.says(
        0,
        &[
            "have ended",
            "9 certificates in 27 files",
            "3 of 3 voters are healthy",
        ],
    );
    println!(
        "a cluster with ended certificates serves again after {:?}",
        done.took
    );
    let kept = lab.run(&["etcdctl", "node2", "get", "before", "--print-value-only"]);
    assert_eq!(kept.trim(), "kept");
    is_whole(&lab, "ended");
}

/// A real TLS server by the name of the API server, which systemd starts again as a kubelet would.
#[test]
fn the_control_plane_takes_its_new_certificates() {
    let lab = Lab::with_etcd("certskube", "35");
    let serve = "set -e; cp /usr/bin/openssl /usr/local/bin/kube-apiserver; cd /etc/kubernetes/ssl
        systemd-run -q --unit=api -p Restart=always -p RestartSec=2 --working-directory=$PWD /usr/local/bin/kube-apiserver s_server \
          -accept 6443 -cert apiserver.crt -key apiserver.key -www -quiet
        openssl req -newkey rsa:2048 -nodes -keyout a.key -subj /O=kubeadm:cluster-admins/CN=kubernetes-admin 2>/dev/null |
          openssl x509 -req -CA ca.crt -CAkey ca.key -days 30 -out a.crt 2>/dev/null
        printf 'users:\n- name: admin\n  user:\n    client-certificate-data: %s\n    client-key-data: %s\n' \
          \"$(base64 -w0 a.crt)\" \"$(base64 -w0 a.key)\" >/etc/kubernetes/admin.conf
        rm a.crt a.key; chmod 600 /etc/kubernetes/admin.conf; mkdir -p /root/.kube; cp /etc/kubernetes/admin.conf /root/.kube/config";
    for host in &NODES[..2] {
        lab.run(&["sh", host, "bash", "-c", serve]);
    }
    let pid = |host: &str| lab.ssh(host, "systemctl show -p MainPID --value api");
    let before = [pid("node1"), pid("node2")];
    let done = renew(&lab, &["--only", "kubernetes", "--within", "60"]);
    // Of each of the two nodes its own: admin.conf and its copy.
    done.says(0, &["2 certificates in 4 files on 2 hosts"]);
    assert_eq!(
        [pid("node1"), pid("node2")],
        before,
        "nothing that runs reads it"
    );
    lab.kopsrun(&["certs", "list", "--bad"])
        .says(0, &["kubernetes-admin"]);

    let done = renew(&lab, &["--only", "kubernetes", "--days", "365"]);
    done.says(0, &["restarting kube-apiserver", "front-proxy"]);
    println!("the control plane of three nodes in {:?}", done.took);
    assert!(pid("node1") != before[0] && pid("node2") != before[1]);
    let shown = "openssl s_client -connect 127.0.0.1:6443 </dev/null 2>/dev/null | openssl x509 -noout -serial";
    let disk = "openssl x509 -in /etc/kubernetes/ssl/apiserver.crt -noout -serial";
    for host in &NODES[..2] {
        assert_eq!(lab.ssh(host, shown), lab.ssh(host, disk), "{host}");
    }
    assert_eq!(
        lab.ssh("node2", "stat -c '%a %U' /etc/kubernetes/admin.conf"),
        "600 root"
    );
}
