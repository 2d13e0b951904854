//! A throwaway etcd on the controller, started from a snapshot: the only proof that a snapshot can be restored. Or from the
//! copy of a member's data, to get a snapshot of them when there is no quorum that could give one.
//!
//! It listens on Unix sockets in its own private directory, so nobody else on the machine can read what it serves.

use super::error::EtcdError;
use etcd_client::{Channel, Client, CompactionOptions, GetOptions};
use hyper_util::rt::TokioIo;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};
use tonic::transport::Endpoint;

/// How long unpacking may take; etcd hashes and rewrites the whole file.
const RESTORE: Duration = Duration::from_secs(1800);
/// How long it may take to serve its first read; a large database is read whole.
const READY: Duration = Duration::from_secs(600);
const CALL: Duration = Duration::from_secs(300);
const PAUSE: Duration = Duration::from_millis(100);
/// The number of the process, in its directory.
pub const PID_FILE: &str = "pid";
const SOCKET: &str = "client:1";
const PEER: &str = "unix://peer:1";

/// Programs of one version of etcd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Programs {
    pub etcd: PathBuf,
    /// `etcdutl`, or before 3.5 `etcdctl`: what turns a snapshot into a data directory.
    pub restorer: PathBuf,
    pub version: Version,
}

/// `3.5.16`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    pub major: u32,
    pub minor: u32,
    pub patch: u32,
}

impl Version {
    /// From `3.5.16`, or from the first line of `etcd --version`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.lines().next()?.trim();
        let text = text.rsplit(' ').next()?.trim_start_matches('v');
        let mut numbers = text.split(['.', '-', '+']).map(str::parse);
        let mut next = || numbers.next()?.ok();
        Some(Self {
            major: next()?,
            minor: next()?,
            patch: next()?,
        })
    }

    /// Whether this etcd may start from data of `other`: the same minor version or the next one.
    pub fn takes(self, other: Self) -> bool {
        self.major == other.major && (self.minor == other.minor || self.minor == other.minor + 1)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl Programs {
    /// The programs in a directory; None where etcd or the one that restores isn't there or doesn't run.
    pub async fn find(dir: &Path) -> Option<Self> {
        let etcd = dir.join("etcd");
        let restorer = ["etcdutl", "etcdctl"]
            .iter()
            .map(|name| dir.join(name))
            .find(|path| path.is_file())?;
        let output = Command::new(&etcd)
            .arg("--version")
            .env_clear()
            .stdin(Stdio::null())
            .output()
            .await
            .ok()?;
        let version = Version::parse(&String::from_utf8_lossy(&output.stdout))?;
        Some(Self {
            etcd,
            restorer,
            version,
        })
    }
}

impl Programs {
    /// Whether it can raise the revision while restoring (3.5.13 and later, 3.6).
    pub async fn bumps(&self) -> bool {
        let output = Command::new(&self.restorer)
            .args(["snapshot", "restore", "--help"])
            .env_clear()
            .env("ETCDCTL_API", "3")
            .stdin(Stdio::null())
            .output()
            .await;
        output.is_ok_and(|o| String::from_utf8_lossy(&o.stdout).contains("bump-revision"))
    }
}

/// A running throwaway etcd. It ends when this is dropped.
pub struct Throwaway {
    child: Child,
    client: Client,
}

/// Why a snapshot can't be served.
#[derive(Debug, thiserror::Error)]
pub enum ThrowawayError {
    #[error("{0}: {1}")]
    Io(String, io::Error),
    /// The program said this.
    #[error("{program} failed: {said}")]
    Failed { program: String, said: String },
    #[error(transparent)]
    Etcd(#[from] EtcdError),
}

impl Throwaway {
    /// Restore `snapshot` below `dir`, an empty private directory, and start etcd from it. Returns when it has served a
    /// linearizable read.
    pub async fn start(
        programs: &Programs,
        snapshot: &Path,
        dir: &Path,
    ) -> Result<Self, ThrowawayError> {
        restore(programs, snapshot, dir).await?;
        Self::launch(programs, dir, &[]).await
    }

    /// Start etcd as the only member of the data that lie in `data` below `dir`, the copy of a member's data directory. All
    /// that is in its log counts as agreed on then.
    pub async fn revive(programs: &Programs, dir: &Path) -> Result<Self, ThrowawayError> {
        Self::launch(programs, dir, &["--force-new-cluster"]).await
    }

    async fn launch(
        programs: &Programs,
        dir: &Path,
        more: &[&str],
    ) -> Result<Self, ThrowawayError> {
        let io = |what: &Path| {
            let what = what.display().to_string();
            move |error| ThrowawayError::Io(what, error)
        };
        let log = dir.join("log");
        let out = File::create(&log).map_err(io(&log))?;
        let errors = out.try_clone().map_err(io(&log))?;
        let client = format!("unix://{SOCKET}");
        let mut child = Command::new(&programs.etcd)
            .args(["--name", "drill", "--data-dir", "data"])
            .args(["--listen-client-urls", &client])
            .args(["--advertise-client-urls", &client])
            .args(["--listen-peer-urls", PEER])
            .args(["--initial-advertise-peer-urls", PEER])
            .args(["--initial-cluster", &format!("drill={PEER}")])
            .args(more)
            .current_dir(dir)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(errors)
            .kill_on_drop(true)
            .spawn()
            .map_err(io(&programs.etcd))?;
        if let Some(pid) = child.id() {
            let path = dir.join(PID_FILE);
            fs::write(&path, pid.to_string()).map_err(io(&path))?;
        }
        let begin = Instant::now();
        loop {
            if let Some(status) = child.try_wait().map_err(io(&programs.etcd))? {
                let text = fs::read_to_string(&log).unwrap_or_default();
                return Err(ThrowawayError::Failed {
                    program: format!("etcd ({status})"),
                    said: last_lines(&text),
                });
            }
            if let Ok(client) = connect(dir).await
                && let Ok(Ok(_)) = timeout(READY, client.clone().get("health", None)).await
            {
                return Ok(Self { child, client });
            }
            if begin.elapsed() > READY {
                return Err(EtcdError::timeout("serve a read from the snapshot", READY).into());
            }
            sleep(PAUSE).await;
        }
    }

    /// The revision, and how many keys there are at it; read linearizably.
    pub async fn count(&mut self) -> Result<(i64, u64), EtcdError> {
        let options = GetOptions::new().with_all_keys().with_count_only();
        let found = timeout(CALL, self.client.get("", Some(options)))
            .await
            .map_err(|_| EtcdError::timeout("count the keys", CALL))?
            .map_err(|e| EtcdError::call("count the keys", e))?;
        let revision = found
            .header()
            .map_or(0, etcd_client::ResponseHeader::revision);
        Ok((revision, found.count().unsigned_abs()))
    }

    /// etcd's hash of keys and history up to `revision`, and where the history begins.
    pub async fn hash_kv(&mut self, revision: i64) -> Result<(u32, i64), EtcdError> {
        let found = timeout(CALL, self.client.hash_kv(revision))
            .await
            .map_err(|_| EtcdError::timeout("hash the keys", CALL))?
            .map_err(|e| EtcdError::call("hash the keys", e))?;
        Ok((found.hash(), found.compact_version()))
    }

    /// Forget the history before `revision`, as the member that is compared with has done since.
    pub async fn compact(&mut self, revision: i64) -> Result<(), EtcdError> {
        let options = CompactionOptions::new().with_physical();
        timeout(CALL, self.client.compact(revision, Some(options)))
            .await
            .map_err(|_| EtcdError::timeout("compact the history", CALL))?
            .map_err(|e| EtcdError::call("compact the history", e))
            .map(drop)
    }

    /// Write its database to `into`, a checksum behind it, as `etcdctl snapshot save` does.
    pub async fn snapshot(&mut self, into: &Path) -> Result<(), ThrowawayError> {
        const WHAT: &str = "take a snapshot";
        let failed = |error| ThrowawayError::Io(into.display().to_string(), error);
        let mut file = tokio::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(into)
            .await
            .map_err(failed)?;
        let late = |_| EtcdError::timeout(WHAT, CALL);
        let mut stream = timeout(CALL, self.client.snapshot())
            .await
            .map_err(late)?
            .map_err(|e| EtcdError::call(WHAT, e))?;
        while let Some(piece) = timeout(CALL, stream.message())
            .await
            .map_err(late)?
            .map_err(|e| EtcdError::call(WHAT, e))?
        {
            file.write_all(piece.blob()).await.map_err(failed)?;
        }
        file.flush().await.map_err(failed)?;
        file.sync_all().await.map_err(failed)
    }

    /// End it and wait until it is gone.
    pub async fn stop(mut self) {
        let _gone_already = self.child.kill().await;
    }
}

async fn restore(programs: &Programs, snapshot: &Path, dir: &Path) -> Result<(), ThrowawayError> {
    let name = programs.restorer.display().to_string();
    let mut command = Command::new(&programs.restorer);
    command
        .args(["snapshot", "restore"])
        .arg(snapshot)
        .args(["--data-dir", "data", "--name", "drill"])
        .args(["--initial-cluster", &format!("drill={PEER}")])
        .args(["--initial-advertise-peer-urls", PEER])
        .args(["--initial-cluster-token", "kopsrun-drill"])
        .current_dir(dir)
        .env_clear()
        .env("ETCDCTL_API", "3")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = timeout(RESTORE, command.output())
        .await
        .map_err(|_| EtcdError::timeout("restore the snapshot", RESTORE))?
        .map_err(|error| ThrowawayError::Io(name.clone(), error))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(ThrowawayError::Failed {
        program: name,
        said: last_lines(&said),
    })
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let from = lines.len().saturating_sub(3);
    lines[from..].join(" | ")
}

async fn connect(dir: &Path) -> Result<Client, EtcdError> {
    let fail = |error: String| EtcdError::Unreachable(error);
    // The name of a socket may have 108 bytes at most, and directories are longer: through the open directory it is short.
    let open = std::sync::Arc::new(File::open(dir).map_err(|e| fail(e.to_string()))?);
    let connector = tower::service_fn(move |_: tonic::transport::Uri| {
        let open = std::sync::Arc::clone(&open);
        async move {
            let path = format!("/proc/self/fd/{}/{SOCKET}", open.as_raw_fd());
            UnixStream::connect(path).await.map(TokioIo::new)
        }
    });
    let channel = Endpoint::from_static("http://drill")
        .connect_with_connector(connector)
        .await
        .map_err(|e| fail(EtcdError::chain(&e)))?;
    Client::from_channel(Channel::Tonic(channel), None)
        .await
        .map_err(|e| fail(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_compared() {
        let version = |text: &str| Version::parse(text).expect("a version");
        let old = version("etcd Version: 3.4.23\nGit SHA: x\n");
        assert_eq!(old.to_string(), "3.4.23");
        assert_eq!(version("3.6.0-rc.1").minor, 6);
        let new = version("v3.5.16");
        assert!(new.takes(old) && new.takes(new) && old.takes(old));
        assert!(!old.takes(new) && !version("3.6.1").takes(old));
        assert_eq!(Version::parse("etcd"), None);
    }
}
