//! Parts of Kubernetes' control plane read their certificates when they start. They are ended, and whoever runs them (the
//! kubelet, systemd) starts them again; which of them are older than their certificates shows without any record.

use crate::cluster::{Hand, tls};
use crate::ops::engine::Failure;
use crate::ops::replace_node::machine::quote;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How long a part may take to be there again.
const AGAIN: Duration = Duration::from_secs(240);
const PAUSE: Duration = Duration::from_secs(1);
/// Times of files and processes are known to about a second.
const BLUR: i64 = 2;
const API: u16 = 6443;
const API_SERVER: &str = "kube-apiserver";

/// Which part reads this file; none for those that people and programs of their own use.
pub(super) fn reader(path: &str) -> Option<&'static str> {
    let name = path.rsplit('/').next().unwrap_or_default();
    // The kernel keeps 15 letters of a name.
    if name.starts_with("controller-manager") || name.starts_with("kube-controller-manager") {
        Some("kube-controller")
    } else if name.starts_with("scheduler") || name.starts_with("kube-scheduler") {
        Some("kube-scheduler")
    } else if name.contains("apiserver") || name.starts_with("front-proxy") {
        Some(API_SERVER)
    } else {
        None
    }
}

/// A process that is older than a certificate that it reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Old {
    pub(super) name: String,
    pid: u32,
}

/// Processes that read one of these files and are older than it. One that doesn't run reads nothing.
pub(super) async fn old(hand: &Hand, paths: &[&str]) -> Result<Vec<Old>, Failure> {
    let read: Vec<(&str, &str)> = paths
        .iter()
        .filter_map(|&path| Some((path, reader(path)?)))
        .collect();
    if read.is_empty() {
        return Ok(Vec::new());
    }
    let files: Vec<String> = read.iter().map(|(path, _)| quote(path)).collect();
    let script = format!(
        r#"now=$(date +%s); up=$(cut -d. -f1 /proc/uptime); hz=$(getconf CLK_TCK 2>/dev/null || echo 100)
for c in /proc/[0-9]*/comm; do n=; read -r n 2>/dev/null <"$c"; case $n in
kube-apiserver|kube-controller|kube-scheduler) p=${{c%/comm}}; p=${{p#/proc/}}
s=$(sed 's/.*) //' "/proc/$p/stat" 2>/dev/null | cut -d' ' -f20); [ -n "$s" ] && echo "process $n $p $((now - up + s / hz))";;
esac; done
for f in {}; do [ -e "$f" ] && echo "file $(stat -c %Y "$f") $f"; done
exit 0"#,
        files.join(" ")
    );
    let text = hand.script(&script).await?;
    Ok(judge(&text, &read))
}

fn judge(text: &str, read: &[(&str, &str)]) -> Vec<Old> {
    let (mut files, mut processes) = (Vec::new(), Vec::new());
    for line in text.lines().map(str::trim) {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["process", name, pid, started] => {
                if let (Ok(pid), Ok(started)) = (pid.parse(), started.parse::<i64>()) {
                    processes.push((name, pid, started));
                }
            }
            ["file", at, path] => {
                if let Ok(at) = at.parse::<i64>() {
                    files.push((path, at));
                }
            }
            _ => {}
        }
    }
    let newest = |name: &str| {
        let of = |path: &str| read.iter().any(|(p, n)| *p == path && *n == name);
        files
            .iter()
            .filter(|(path, _)| of(path))
            .map(|(_, at)| *at)
            .max()
    };
    processes
        .into_iter()
        .filter(|(name, _, started)| newest(name).is_some_and(|at| *started <= at + BLUR))
        .map(|(name, pid, _)| Old {
            name: name.to_owned(),
            pid,
        })
        .collect()
}

/// End these processes and wait until others are there in their place, and the API server says that it is ready.
pub(super) async fn replace(hand: &Hand, paths: &[&str]) -> Result<(), Failure> {
    let begin = Instant::now();
    // A process that starts now would look older than the files.
    tokio::time::sleep(Duration::from_secs(BLUR.unsigned_abs() + 2)).await;
    let first = old(hand, paths).await?;
    let names: BTreeSet<&String> = first.iter().map(|old| &old.name).collect();
    for process in &first {
        let script = format!("kill {} 2>/dev/null; exit 0", process.pid);
        hand.script(&script).await?;
    }
    loop {
        let Some(why) = missing(hand, paths, &names).await? else {
            return Ok(());
        };
        if begin.elapsed() > AGAIN {
            return Err(Failure::new(format!(
                "{}: {why}, {} s after it was ended to take its new certificate",
                hand.name,
                AGAIN.as_secs()
            ))
            .hint("see why its kubelet doesn't start it: journalctl -u kubelet on the node"));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Who isn't there as it should be.
async fn missing(
    hand: &Hand,
    paths: &[&str],
    names: &BTreeSet<&String>,
) -> Result<Option<String>, Failure> {
    if let Some(old) = old(hand, paths).await?.first() {
        return Ok(Some(format!("the old {} still runs", old.name)));
    }
    let script = r#"for c in /proc/[0-9]*/comm; do n=; read -r n 2>/dev/null <"$c"; echo "$n"; done; exit 0"#;
    let running = hand.script(script).await?;
    let gone = names
        .iter()
        .find(|name| !running.lines().any(|line| line.trim() == name.as_str()));
    if let Some(name) = gone {
        return Ok(Some(format!("{name} doesn't run again yet")));
    }
    if !names.iter().any(|name| *name == API_SERVER) {
        return Ok(None);
    }
    Ok(match tls::status(hand, "127.0.0.1", API, "/readyz").await {
        // Where nobody may ask without a name, an answer is all there is.
        Some(200 | 401 | 403) => None,
        Some(status) => Some(format!(
            "the API server isn't ready: /readyz gives {status}"
        )),
        None => Some(format!("the API server doesn't answer at port {API}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_older_than_their_files_are_found() {
        let read = [
            ("/etc/kubernetes/ssl/apiserver.crt", API_SERVER),
            ("/etc/kubernetes/scheduler.conf", "kube-scheduler"),
        ];
        let text = "process kube-apiserver 10 1000\nprocess kube-scheduler 11 1000\nprocess kube-controller 12 1000\n\
                    file 1100 /etc/kubernetes/ssl/apiserver.crt\nfile 900 /etc/kubernetes/scheduler.conf\n";
        let old = judge(text, &read);
        assert_eq!(old.len(), 1);
        assert_eq!((old[0].name.as_str(), old[0].pid), (API_SERVER, 10));
        assert!(judge("file 1100 /etc/kubernetes/ssl/apiserver.crt", &read).is_empty());
    }

    #[test]
    fn every_file_of_kubeadm_has_its_reader() {
        for (path, name) in [
            (
                "/etc/kubernetes/ssl/apiserver-kubelet-client.crt",
                Some(API_SERVER),
            ),
            (
                "/etc/kubernetes/pki/apiserver-etcd-client.crt",
                Some(API_SERVER),
            ),
            (
                "/etc/kubernetes/pki/front-proxy-client.crt",
                Some(API_SERVER),
            ),
            (
                "/etc/kubernetes/controller-manager.conf",
                Some("kube-controller"),
            ),
            ("/etc/kubernetes/scheduler.conf", Some("kube-scheduler")),
            ("/etc/kubernetes/admin.conf", None),
            ("/etc/ssl/etcd/ssl/member-node1.pem", None),
        ] {
            assert_eq!(reader(path), name, "{path}");
        }
    }
}
