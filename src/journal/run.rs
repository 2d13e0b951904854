//! One run on the disk: a directory with what it is (`meta.json`) and what happened (`events.jsonl`).

use super::event::{Event, Record, Sink};
use super::load::{self, LoadError};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};

/// What a run is, written once when it starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Meta {
    pub id: String,
    /// The verb: `play`, `replace-node`…
    pub command: String,
    /// What was typed after it, secrets replaced (see [`super::scrub`]).
    pub arguments: Vec<String>,
    /// Absolute paths, so that the run can be resumed from elsewhere.
    pub inventory: Vec<PathBuf>,
    pub user: String,
    pub host: String,
    pub pid: u32,
    pub version: String,
    pub started: Timestamp,
    /// What the command needs to go on: its settings, without secrets.
    #[serde(default)]
    pub options: Value,
}

impl Meta {
    /// A new identity for a run that starts now; the rest is what the caller knows.
    pub fn new(command: &str, arguments: &[String], inventory: Vec<PathBuf>) -> Self {
        let started = Timestamp::now();
        Self {
            id: new_id(started),
            command: command.to_owned(),
            arguments: super::scrub(arguments),
            inventory,
            user: String::new(),
            host: rustix::system::uname()
                .nodename()
                .to_string_lossy()
                .into_owned(),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started,
            options: Value::Null,
        }
    }
}

/// `20261120-224000-x7k2`: sorts by time, short enough to type.
fn new_id(now: Timestamp) -> String {
    use rand::Rng;
    // Without letters and digits that look alike.
    const LETTERS: &[u8] = b"abcdefghjkmnpqrstuvwxyz23456789";
    let mut rng = rand::rng();
    let tail: String = (0..4)
        .map(|_| char::from(LETTERS[rng.random_range(0..LETTERS.len())]))
        .collect();
    format!("{}-{tail}", now.strftime("%Y%m%d-%H%M%S"))
}

/// Who looks on while events are recorded: the terminal.
pub type Observer = Box<dyn Fn(&Record) + Send + Sync>;

/// A run that is being recorded. Holds a lock on its events file, so that it is known to be alive.
pub struct Run {
    dir: PathBuf,
    meta: Meta,
    writer: Mutex<Writer>,
    observer: Option<Observer>,
    /// Tells the syncing thread that a boundary was written; never waited for.
    boundary: mpsc::Sender<()>,
}

struct Writer {
    file: File,
    next: u64,
    /// The first write that failed; every later synced write reports it.
    broken: Option<io::Error>,
}

#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("run {id} is still going on")]
    Running { id: String },
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Load(#[from] LoadError),
}

impl RunError {
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Io {
            path: path.to_owned(),
            source,
        }
    }
}

impl Run {
    /// Make the directory `root/ID` (0700) and record that the run started.
    pub fn create(root: &Path, meta: Meta, observer: Option<Observer>) -> Result<Self, RunError> {
        let dir = root.join(&meta.id);
        let mut builder = DirBuilder::new();
        builder.mode(0o700);
        builder
            .recursive(true)
            .create(root)
            .map_err(RunError::io(root))?;
        builder
            .recursive(false)
            .create(&dir)
            .map_err(RunError::io(&dir))?;
        let path = dir.join("meta.json");
        write_whole(&path, &serde_json::to_vec_pretty(&meta).unwrap_or_default())
            .map_err(RunError::io(&path))?;
        let path = dir.join("events.jsonl");
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(RunError::io(&path))?;
        file.try_lock().map_err(|_| RunError::Running {
            id: meta.id.clone(),
        })?;
        sync_dir(&dir)
            .and_then(|()| sync_dir(root))
            .map_err(RunError::io(&dir))?;
        let run = Self::assemble(dir, meta, file, 0, observer);
        run.emit_synced(run.started_event())
            .map_err(RunError::io(&path))?;
        Ok(run)
    }

    /// Go on with a run whose process ended; returns it with all that was recorded before.
    pub fn reopen(
        root: &Path,
        id: &str,
        user: &str,
        observer: Option<Observer>,
    ) -> Result<(Self, Vec<Record>), RunError> {
        let dir = root.join(id);
        let path = dir.join("events.jsonl");
        let file = OpenOptions::new()
            .append(true)
            .open(&path)
            .map_err(RunError::io(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(RunError::Running { id: id.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(RunError::Io { path, source }),
        }
        let meta = load::meta(&dir)?;
        let loaded = load::events(&path)?;
        // A torn last line was never synced, so nobody acted on it: the record ends before it.
        file.set_len(loaded.whole).map_err(RunError::io(&path))?;
        let run = Self::assemble(dir, meta, file, loaded.records.len() as u64, observer);
        run.emit_synced(Event::RunResumed {
            user: user.to_owned(),
            host: rustix::system::uname()
                .nodename()
                .to_string_lossy()
                .into_owned(),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        })
        .map_err(RunError::io(&path))?;
        Ok((run, loaded.records))
    }

    fn assemble(
        dir: PathBuf,
        meta: Meta,
        file: File,
        next: u64,
        observer: Option<Observer>,
    ) -> Self {
        let (boundary, wake) = mpsc::channel::<()>();
        // Its own opening of the file: a clone would share the lock and hold it a moment too long.
        if let Ok(twin) = File::open(dir.join("events.jsonl")) {
            // Ends when the run is dropped, because the sender goes with it.
            std::thread::spawn(move || {
                while wake.recv().is_ok() {
                    while wake.try_recv().is_ok() {}
                    // A disk that fails here fails the next synced write too, which reports it.
                    drop(twin.sync_data());
                }
            });
        }
        Self {
            dir,
            meta,
            writer: Mutex::new(Writer {
                file,
                next,
                broken: None,
            }),
            observer,
            boundary,
        }
    }

    fn started_event(&self) -> Event {
        let m = &self.meta;
        Event::RunStarted {
            id: m.id.clone(),
            command: m.command.clone(),
            arguments: m.arguments.clone(),
            inventory: m
                .inventory
                .iter()
                .map(|p| p.display().to_string())
                .collect(),
            user: m.user.clone(),
            host: m.host.clone(),
            pid: m.pid,
            version: m.version.clone(),
        }
    }

    pub fn id(&self) -> &str {
        &self.meta.id
    }

    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// The directory of the run, for files that belong to it.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Keep a file with the run, complete and on the disk when this returns.
    pub fn keep(&self, name: &str, content: &[u8]) -> io::Result<()> {
        write_whole(&self.dir.join(name), content)
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Append under the lock, so that the order in the file is the order that the observer sees.
    fn append(&self, event: Event) -> MutexGuard<'_, Writer> {
        let mut writer = self.writer();
        let record = Record {
            seq: writer.next,
            time: Timestamp::now(),
            event,
        };
        writer.next += 1;
        writer.write(&record);
        if let Some(observer) = &self.observer {
            observer(&record);
        }
        writer
    }
}

impl Writer {
    fn write(&mut self, record: &Record) {
        if self.broken.is_some() {
            return;
        }
        let mut line = match serde_json::to_vec(record) {
            Ok(line) => line,
            Err(e) => return self.broken = Some(e.into()),
        };
        line.push(b'\n');
        if let Err(e) = self.file.write_all(&line) {
            self.broken = Some(e);
        }
    }
}

impl Sink for Run {
    fn emit(&self, event: Event) {
        let boundary = matches!(event, Event::TaskStarted { .. } | Event::Stats { .. });
        drop(self.append(event));
        if boundary {
            // Nobody listens only while the run ends.
            self.boundary.send(()).ok();
        }
    }

    fn emit_synced(&self, event: Event) -> io::Result<()> {
        let writer = self.append(event);
        match &writer.broken {
            Some(e) => Err(io::Error::new(
                e.kind(),
                format!("{}: {e}", self.dir.display()),
            )),
            None => writer.file.sync_data(),
        }
    }
}

impl Sink for Arc<Run> {
    fn emit(&self, event: Event) {
        self.as_ref().emit(event);
    }

    fn emit_synced(&self, event: Event) -> io::Result<()> {
        self.as_ref().emit_synced(event)
    }
}

/// Write a file that is complete when it appears: beside it, synced, renamed.
pub(super) fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let part = path.with_extension("part");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&part)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&part, path)?;
    path.parent().map_or(Ok(()), sync_dir)
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
