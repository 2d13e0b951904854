//! What a module sees of the world: how it is to run, its content, the programs that it starts.

use crate::process::{Process, find_program};
use crate::users;
use crate::wire::{Control, Frame, MAX_DATA, WINDOW, WireError};
use crate::{BlobRef, Failure, Task};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use rustix::process::{Pid, Signal, kill_process_group};
use sha1::{Digest, Sha1};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ffi::OsStr;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How one call of a module runs.
pub struct Context {
    check: bool,
    diff: bool,
    pub(crate) environment: BTreeMap<String, String>,
    blobs: Vec<BlobRef>,
    source: Source,
    pub(crate) job: Arc<Job>,
    warnings: Mutex<Vec<String>>,
}

/// Where content comes from and goes to.
enum Source {
    /// The controller, over frames.
    Channel(Arc<dyn Port>),
    /// Memory of this process: tests.
    Memory {
        blobs: HashMap<String, Vec<u8>>,
        sent: Mutex<Vec<u8>>,
    },
}

/// Something that takes frames, whole ones from many threads.
pub(crate) trait Port: Send + Sync {
    fn send(&self, frame: &Frame) -> Result<(), WireError>;
}

impl Context {
    pub(crate) fn over_channel(task: &Task, job: Arc<Job>, port: Arc<dyn Port>) -> Self {
        Self {
            check: task.check,
            diff: task.diff,
            environment: task.environment.clone(),
            blobs: task.blobs.clone(),
            source: Source::Channel(port),
            job,
            warnings: Mutex::default(),
        }
    }

    /// A context without a channel: blobs come from [`Self::add_blob`], what is sent is kept.
    pub fn local(check: bool, diff: bool) -> Self {
        Self {
            check,
            diff,
            environment: BTreeMap::new(),
            blobs: Vec::new(),
            source: Source::Memory {
                blobs: HashMap::new(),
                sent: Mutex::default(),
            },
            job: Arc::default(),
            warnings: Mutex::default(),
        }
    }

    /// Gives a local context the content of a blob.
    pub fn add_blob(&mut self, name: &str, content: Vec<u8>) {
        self.blobs.push(BlobRef {
            name: name.to_owned(),
            sha1: crate::files::hex(&Sha1::digest(&content)),
            size: content.len() as u64,
            inline: None,
        });
        if let Source::Memory { blobs, .. } = &mut self.source {
            blobs.insert(name.to_owned(), content);
        }
    }

    /// Makes a local context one whose controller can't give the content that it announced.
    #[cfg(test)]
    pub(crate) fn forget_blobs(&mut self) {
        if let Source::Memory { blobs, .. } = &mut self.source {
            blobs.clear();
        }
    }

    /// What a module sent through a local context.
    pub fn sent(&self) -> Vec<u8> {
        match &self.source {
            Source::Memory { sent, .. } => lock(sent).clone(),
            Source::Channel(_) => Vec::new(),
        }
    }

    /// Report what would change and change nothing.
    pub fn check(&self) -> bool {
        self.check
    }

    /// Return a diff of what changes.
    pub fn diff(&self) -> bool {
        self.diff
    }

    /// What the task adds to the environment.
    pub fn environment(&self) -> &BTreeMap<String, String> {
        &self.environment
    }

    /// Shown to the operator beside the result.
    pub fn warn(&self, text: impl Into<String>) {
        lock(&self.warnings).push(text.into());
    }

    pub(crate) fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.warnings))
    }

    /// A program to start, found in PATH unless it has a slash.
    pub fn process(&self, program: impl AsRef<OsStr>) -> Process<'_> {
        Process::new(self, program.as_ref())
    }

    /// The full path of a program, looked for in PATH and in the directories of system programs.
    pub fn find_program(&self, name: &str) -> Option<PathBuf> {
        find_program(self.environment.get("PATH"), name)
    }

    /// A path with `~`, `~user` and `$NAME` expanded, as Ansible does for arguments of type path.
    pub fn expand(&self, path: &str) -> PathBuf {
        let mut text = path.to_owned();
        if let Some(rest) = path.strip_prefix('~') {
            let (user, rest) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let home = if user.is_empty() {
                self.variable("HOME")
            } else {
                None
            };
            let home = home.or_else(|| {
                let user = if user.is_empty() {
                    users::user_by_id(rustix::process::geteuid().as_raw())
                } else {
                    users::user_by_name(user)
                };
                user.map(|user| user.home)
            });
            if let Some(home) = home {
                text = home + rest;
            }
        }
        PathBuf::from(expand_variables(&text, |name| self.variable(name)))
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.environment
            .get(name)
            .cloned()
            .or_else(|| std::env::var(name).ok())
    }

    /// Size and checksum of a blob, known before it travels: equal content never has to.
    pub fn blob_ref(&self, name: &str) -> Option<&BlobRef> {
        self.blobs.iter().find(|blob| blob.name == name)
    }

    /// The content of a blob, asked for now and checked against its checksum at its end. One at a time.
    pub fn blob(&self, name: &str) -> Result<Blob, Failure> {
        let mut wanted = self
            .blob_ref(name)
            .ok_or_else(|| Failure::new(format!("the task brought no content named {name}")))?
            .clone();
        let input: Box<dyn Read + Send> = match &self.source {
            _ if wanted.inline.is_some() => {
                let text = wanted.inline.take().unwrap_or_default();
                let content = BASE64.decode(text).map_err(|error| {
                    Failure::new(format!("the content named {name} is damaged: {error}"))
                })?;
                Box::new(io::Cursor::new(content))
            }
            Source::Memory { blobs, .. } => Box::new(io::Cursor::new(
                blobs.get(name).cloned().unwrap_or_default(),
            )),
            Source::Channel(port) => {
                let frame = Frame::Control(Control::Need {
                    id: self.job.id,
                    name: name.to_owned(),
                });
                port.send(&frame).map_err(|error| lost(&error))?;
                Box::new(Incoming {
                    job: Arc::clone(&self.job),
                    port: Arc::clone(port),
                    unacknowledged: 0,
                })
            }
        };
        Ok(Blob {
            input,
            left: wanted.size,
            wanted,
            hasher: Some(Sha1::new()),
        })
    }

    /// The content of a blob in memory; for content that is text.
    pub fn blob_bytes(&self, name: &str) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        self.blob(name)?
            .read_to_end(&mut bytes)
            .map_err(|error| Failure::new(format!("cannot receive {name}: {error}")))?;
        Ok(bytes)
    }

    /// Streams content to the controller, before the outcome. Waits while the controller can't take more.
    pub fn send(&self, bytes: &[u8]) -> Result<(), Failure> {
        match &self.source {
            Source::Memory { sent, .. } => lock(sent).extend_from_slice(bytes),
            Source::Channel(port) => {
                for piece in bytes.chunks(MAX_DATA) {
                    self.job.spend(piece.len() as u64)?;
                    let frame = Frame::Data(self.job.id, piece.to_vec());
                    port.send(&frame).map_err(|error| lost(&error))?;
                }
            }
        }
        Ok(())
    }

    /// Whether the task was cancelled. Modules that wait ask this between two looks.
    pub fn cancelled(&self) -> bool {
        lock(&self.job.state).cancelled
    }

    /// The same as a failure.
    pub fn check_cancelled(&self) -> Result<(), Failure> {
        if self.cancelled() {
            Err(cancelled())
        } else {
            Ok(())
        }
    }

    /// Waits, unless the task is cancelled meanwhile.
    pub fn sleep(&self, time: Duration) -> Result<(), Failure> {
        let state = lock(&self.job.state);
        let (state, _) = self
            .job
            .wake
            .wait_timeout_while(state, time, |state| !state.cancelled)
            .unwrap_or_else(PoisonError::into_inner);
        if state.cancelled {
            Err(cancelled())
        } else {
            Ok(())
        }
    }
}

fn cancelled() -> Failure {
    Failure::new("cancelled")
}

fn lost(error: &WireError) -> Failure {
    Failure::new(format!("the channel to the controller broke: {error}"))
}

/// Expands `$NAME` and `${NAME}`; what isn't set stays as it is written, as in Python's `expandvars`.
fn expand_variables(text: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut done = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        done.push_str(&rest[..at]);
        let tail = &rest[at + 1..];
        let (name, length) = match tail
            .strip_prefix('{')
            .and_then(|inner| inner.find('}').map(|end| &inner[..end]))
        {
            Some(name) => (name, name.len() + 2),
            None => {
                let end = tail
                    .find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
                    .unwrap_or(tail.len());
                (&tail[..end], end)
            }
        };
        match value(name).filter(|_| !name.is_empty()) {
            Some(value) => done.push_str(&value),
            None => done.push_str(&rest[at..at + 1 + length]),
        }
        rest = &tail[length..];
    }
    done + rest
}

/// The content of a blob as it arrives.
pub struct Blob {
    input: Box<dyn Read + Send>,
    wanted: BlobRef,
    left: u64,
    hasher: Option<Sha1>,
}

impl Blob {
    pub fn size(&self) -> u64 {
        self.wanted.size
    }
}

impl Read for Blob {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.left == 0 {
            if let Some(hasher) = self.hasher.take() {
                let got = crate::files::hex(&hasher.finalize());
                if got != self.wanted.sha1 {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        format!(
                            "its checksum is {got}, not {} as announced",
                            self.wanted.sha1
                        ),
                    ));
                }
            }
            return Ok(0);
        }
        let most = buffer
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let count = self.input.read(&mut buffer[..most])?;
        if count == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "it ended early",
            ));
        }
        self.left -= count as u64;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&buffer[..count]);
        }
        Ok(count)
    }
}

/// Data frames of one task, as a stream.
struct Incoming {
    job: Arc<Job>,
    port: Arc<dyn Port>,
    unacknowledged: u64,
}

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = lock(&self.job.state);
        loop {
            if state.cancelled {
                return Err(io::Error::new(
                    io::ErrorKind::ConnectionAborted,
                    "cancelled",
                ));
            }
            if let Some(message) = &state.missing {
                return Err(io::Error::other(message.clone()));
            }
            if !state.received.is_empty() {
                break;
            }
            state = self
                .job
                .wake
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let count = state.received.read(buffer)?;
        drop(state);
        self.unacknowledged += count as u64;
        if self.unacknowledged >= WINDOW / 4 {
            let bytes = std::mem::take(&mut self.unacknowledged);
            self.port.send(&Frame::Control(Control::More {
                id: self.job.id,
                bytes,
            }))?;
        }
        Ok(count)
    }
}

/// The side of a running task that the reader of the channel sees.
#[derive(Default)]
pub(crate) struct Job {
    pub(crate) id: u64,
    state: Mutex<State>,
    wake: Condvar,
}

struct State {
    cancelled: bool,
    /// Process groups that run for this task.
    groups: Vec<Pid>,
    received: VecDeque<u8>,
    missing: Option<String>,
    /// How many bytes may still be sent.
    credit: u64,
}

impl Default for State {
    fn default() -> Self {
        Self {
            cancelled: false,
            groups: Vec::new(),
            received: VecDeque::new(),
            missing: None,
            credit: WINDOW,
        }
    }
}

impl Job {
    pub(crate) fn new(id: u64) -> Self {
        Self {
            id,
            ..Self::default()
        }
    }

    /// Registers a process group, which ends with the task.
    pub(crate) fn enter(&self, group: Pid) {
        let mut state = lock(&self.state);
        state.groups.push(group);
        if state.cancelled {
            kill_process_group(group, Signal::KILL).ok();
        }
    }

    pub(crate) fn leave(&self, group: Pid) {
        lock(&self.state).groups.retain(|known| *known != group);
    }

    /// Ends what the task runs: asked first, forced after `patience`.
    pub(crate) fn cancel(self: &Arc<Self>, patience: Duration) {
        let running = {
            let mut state = lock(&self.state);
            state.cancelled = true;
            state.groups.clone()
        };
        self.wake.notify_all();
        if running.is_empty() {
            return;
        }
        for group in running {
            kill_process_group(group, Signal::TERM).ok();
        }
        let job = Arc::clone(self);
        std::thread::spawn(move || {
            std::thread::sleep(patience);
            for group in &lock(&job.state).groups {
                kill_process_group(*group, Signal::KILL).ok();
            }
        });
    }

    /// Data for this task. What exceeds the window is a broken peer: the transfer fails, memory stays bounded.
    pub(crate) fn receive(&self, data: &[u8]) {
        let mut state = lock(&self.state);
        if state.received.len() as u64 + data.len() as u64 > WINDOW {
            state.missing = Some("more data came than was asked for".to_owned());
        } else {
            state.received.extend(data);
        }
        drop(state);
        self.wake.notify_all();
    }

    pub(crate) fn miss(&self, message: String) {
        lock(&self.state).missing = Some(message);
        self.wake.notify_all();
    }

    pub(crate) fn allow(&self, bytes: u64) {
        let mut state = lock(&self.state);
        state.credit = state.credit.saturating_add(bytes);
        drop(state);
        self.wake.notify_all();
    }

    fn spend(&self, bytes: u64) -> Result<(), Failure> {
        let mut state = lock(&self.state);
        while state.credit < bytes && !state.cancelled {
            state = self
                .wake
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if state.cancelled {
            return Err(cancelled());
        }
        state.credit -= bytes;
        Ok(())
    }
}

/// A thread that panicked while it held a lock left plain data: go on with it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_expand_as_in_ansible() {
        let mut cx = Context::local(false, false);
        cx.environment
            .insert("HOME".to_owned(), "/home/x".to_owned());
        cx.environment.insert("D".to_owned(), "/data".to_owned());
        assert_eq!(cx.expand("~/a"), PathBuf::from("/home/x/a"));
        assert_eq!(cx.expand("~root/a"), PathBuf::from("/root/a"));
        assert_eq!(
            cx.expand("$D/${D}x/$NOT_SET_HERE$"),
            PathBuf::from("/data//datax/$NOT_SET_HERE$")
        );
    }

    #[test]
    fn a_blob_is_checked_at_its_end() {
        let mut cx = Context::local(false, false);
        cx.add_blob("content", b"hello".to_vec());
        assert_eq!(cx.blob_bytes("content"), Ok(b"hello".to_vec()));
        cx.blobs[0].sha1 = "0".repeat(40);
        let failure = cx.blob_bytes("content").expect_err("it differs");
        assert!(failure.message.contains("checksum"), "{failure}");
        assert!(cx.blob("other").is_err());
    }

    #[test]
    fn more_data_than_the_window_fails_the_transfer() {
        let job = Job::new(1);
        job.receive(&vec![0; WINDOW as usize]);
        assert!(lock(&job.state).missing.is_none());
        job.receive(&[0]);
        assert!(lock(&job.state).missing.is_some());
    }
}
