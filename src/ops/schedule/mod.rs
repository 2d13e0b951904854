//! Scheduled backups: what is done when, where that is written down, how it went.
//!
//! A job is a file of the state directory; systemd or cron only says when. Every run takes a set, proves it, lets old ones go,
//! and tells how it went in a file for node_exporter.

mod timing;
mod units;

pub use timing::Timing;
pub use units::{Unit, crontab, units};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// What is done, as words of kopsrun's own command line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    pub name: String,
    pub timing: Timing,
    /// Where it was set up; relative names are meant from here.
    pub directory: PathBuf,
    /// `backup create …`, and what comes after it: one command line each.
    pub create: Vec<String>,
    #[serde(default)]
    pub drill: Option<Vec<String>>,
    #[serde(default)]
    pub prune: Option<Vec<String>>,
    /// For node_exporter's textfile collector.
    #[serde(default)]
    pub metrics: Option<PathBuf>,
    /// Asked for after each success; whoever waits for it notices when it doesn't come.
    #[serde(default)]
    pub ping: Option<String>,
}

/// How a job went so far. Times are of the last run that came so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    pub started: Option<Timestamp>,
    /// A set was taken.
    pub succeeded: Option<Timestamp>,
    /// And proven.
    pub verified: Option<Timestamp>,
    pub seconds: f64,
    /// Failures since the last success.
    pub failures: u64,
    pub set: Option<String>,
    /// Bytes of the set on the disk.
    pub size: u64,
    pub revision: i64,
    pub message: String,
}

/// Jobs below one directory.
#[derive(Debug, Clone)]
pub struct Jobs(pub PathBuf);

impl Jobs {
    fn path(&self, name: &str, kind: &str) -> PathBuf {
        self.0.join(format!("{name}.{kind}"))
    }

    /// Letters, digits and dashes: it becomes a part of the names of units and files.
    pub fn valid(name: &str) -> bool {
        !name.is_empty()
            && name.len() <= 64
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !name.starts_with('-')
    }

    pub fn write(&self, job: &Job) -> io::Result<()> {
        self.put(
            &self.path(&job.name, "json"),
            &serde_json::to_vec_pretty(job)?,
        )
    }

    pub fn read(&self, name: &str) -> io::Result<Job> {
        let text = fs::read(self.path(name, "json"))?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// All jobs by name.
    pub fn list(&self) -> io::Result<Vec<Job>> {
        let entries = match fs::read_dir(&self.0) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut jobs = Vec::new();
        for entry in entries {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if let Some(name) = name.strip_suffix(".json").filter(|n| Self::valid(n)) {
                jobs.push(self.read(name)?);
            }
        }
        jobs.sort_by(|a: &Job, b| a.name.cmp(&b.name));
        Ok(jobs)
    }

    pub fn history(&self, name: &str) -> History {
        let text = fs::read(self.path(name, "history")).ok();
        text.and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default()
    }

    pub fn remember(&self, name: &str, history: &History) -> io::Result<()> {
        self.put(
            &self.path(name, "history"),
            &serde_json::to_vec_pretty(history)?,
        )
    }

    pub fn remove(&self, name: &str) -> io::Result<()> {
        for kind in ["json", "history", "lock"] {
            match fs::remove_file(self.path(name, kind)) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        Ok(())
    }

    /// Held while the job runs; None: it runs already.
    pub fn lock(&self, name: &str) -> io::Result<Option<File>> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.0)?;
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.path(name, "lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn put(&self, path: &Path, text: &[u8]) -> io::Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.0)?;
        put(path, text, 0o600)
    }
}

/// Write a file whole or not at all.
pub fn put(path: &Path, text: &[u8], mode: u32) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let new = dir.join(format!(".{name}.{}", std::process::id()));
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&new)?;
    // Whatever the process masks: metrics are read by another user.
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    File::open(dir)?.sync_all()
}

/// The history as node_exporter's textfile collector reads it.
pub fn metrics(name: &str, history: &History) -> String {
    let time = |at: Option<Timestamp>| at.map_or(0.0, |at| at.as_second() as f64);
    let all: [(&str, &str, f64); 7] = [
        (
            "last_success_timestamp_seconds",
            "When a backup set was last taken",
            time(history.succeeded),
        ),
        (
            "last_verified_timestamp_seconds",
            "When a set was last proven by a drill",
            time(history.verified),
        ),
        (
            "last_start_timestamp_seconds",
            "When the job last began",
            time(history.started),
        ),
        (
            "duration_seconds",
            "How long the last run took",
            history.seconds,
        ),
        (
            "failures",
            "Runs that failed since the last success",
            history.failures as f64,
        ),
        (
            "set_size_bytes",
            "Size of the last set on the disk",
            history.size as f64,
        ),
        (
            "set_revision",
            "Revision of etcd in the last set",
            history.revision as f64,
        ),
    ];
    all.iter()
        .map(|(metric, help, value)| {
            format!(
                "# HELP kopsrun_backup_{metric} {help}\n# TYPE kopsrun_backup_{metric} gauge\n\
                 kopsrun_backup_{metric}{{job=\"{name}\"}} {value}\n"
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_kept_and_run_once_at_a_time() {
        let dir = tempfile::tempdir().expect("a directory");
        let jobs = Jobs(dir.path().join("schedules"));
        assert!(jobs.list().expect("none").is_empty());
        let job = Job {
            name: "etcd-backup".to_owned(),
            timing: Timing::every("6h").expect("a time"),
            directory: "/root".into(),
            create: vec!["backup".into(), "create".into()],
            drill: None,
            prune: None,
            metrics: None,
            ping: None,
        };
        jobs.write(&job).expect("written");
        assert_eq!(jobs.list().expect("one"), [job]);
        let held = jobs.lock("etcd-backup").expect("locked");
        assert!(held.is_some() && jobs.lock("etcd-backup").expect("asked").is_none());
        let history = History {
            failures: 2,
            revision: 7,
            ..History::default()
        };
        jobs.remember("etcd-backup", &history).expect("written");
        assert_eq!(jobs.history("etcd-backup"), history);
        let text = metrics("etcd-backup", &history);
        assert!(
            text.contains("kopsrun_backup_failures{job=\"etcd-backup\"} 2\n"),
            "{text}"
        );
        jobs.remove("etcd-backup").expect("removed");
        assert!(jobs.list().expect("none").is_empty());
        for name in ["", "-x", "a/b", "a b", "a.b", "é"] {
            assert!(!Jobs::valid(name), "{name}");
        }
    }
}
