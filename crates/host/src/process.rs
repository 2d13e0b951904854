//! Starting programs: their output collected within bounds, the whole process group ended when the task is cancelled.

use crate::{Context, Failure};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, WaitId, WaitIdOptions};
use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// How much a program may write, standard output and standard error together.
pub const MAX_OUTPUT: usize = 64 * 1024 * 1024;

/// Where administrators' programs are, whatever PATH the login shell set.
const SYSTEM_PATH: &[&str] = &[
    "/usr/local/sbin",
    "/usr/sbin",
    "/sbin",
    "/usr/local/bin",
    "/usr/bin",
    "/bin",
];

/// A program about to be started, with the environment of the task.
pub struct Process<'a> {
    cx: &'a Context,
    command: Command,
    stdin: Option<Vec<u8>>,
}

/// What a program left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Exit code; minus the number of the signal that ended it.
    pub rc: i32,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

impl Output {
    pub fn ok(&self) -> bool {
        self.rc == 0
    }

    /// Standard output as text; what isn't UTF-8 is replaced.
    pub fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// A failure with `rc`, `stdout` and `stderr` unless the program ended with 0. `what` is what it was for.
    pub fn check(self, what: &str) -> Result<Self, Failure> {
        if self.ok() {
            return Ok(self);
        }
        let said = [self.stderr_text(), self.stdout_text()]
            .into_iter()
            .map(|text| text.trim().to_owned())
            .find(|text| !text.is_empty())
            .unwrap_or_else(|| format!("it ended with {}", self.rc));
        Err(Failure::new(format!("{what}: {said}"))
            .with("rc", self.rc)
            .with("stdout", self.stdout_text())
            .with("stderr", self.stderr_text()))
    }
}

impl<'a> Process<'a> {
    pub(crate) fn new(cx: &'a Context, program: &OsStr) -> Self {
        let mut command = Command::new(program);
        command.envs(&cx.environment);
        Self {
            cx,
            command,
            stdin: None,
        }
    }

    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(args);
        self
    }

    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    #[must_use]
    pub fn current_dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// What the program reads; nothing if not said.
    #[must_use]
    pub fn stdin(mut self, bytes: Vec<u8>) -> Self {
        self.stdin = Some(bytes);
        self
    }

    /// For programs whose words are parsed: English messages, and found in the system's directories as well.
    #[must_use]
    pub fn system(mut self) -> Self {
        self.command
            .env("LC_ALL", "C")
            .env("LANGUAGE", "C")
            .env("PATH", system_path(self.cx.environment.get("PATH")));
        self
    }

    /// Runs the program to its end. Any exit code is fine here; see [`Output::check`].
    ///
    /// Fails when it can't be started, when it writes more than [`MAX_OUTPUT`], and when the task is cancelled.
    pub fn run(mut self) -> Result<Output, Failure> {
        let name = self.command.get_program().to_string_lossy().into_owned();
        let dir = self.command.get_current_dir().map(Path::to_path_buf);
        self.command
            .process_group(0)
            .stdin(if self.stdin.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        self.cx.check_cancelled()?;
        let child = self
            .command
            .spawn()
            .map_err(|error| cannot_start(&name, dir.as_deref(), &error))?;
        let group = Pid::from_child(&child);
        self.cx.job.enter(group);
        let result = Collector::new(child, self.stdin.take()).and_then(Collector::run);
        self.cx.job.leave(group);
        self.cx.check_cancelled()?;
        match result {
            Ok(Ended::Normally(output)) => Ok(output),
            Ok(Ended::TooMuch) => Err(Failure::new(format!(
                "{name} was ended because it wrote more than {} MiB: redirect its output to a file",
                MAX_OUTPUT >> 20
            ))),
            Err(error) => Err(Failure::new(format!(
                "cannot read what {name} writes: {error}"
            ))),
        }
    }
}

fn cannot_start(name: &str, dir: Option<&Path>, error: &io::Error) -> Failure {
    let reason = match (error.kind(), dir) {
        (_, Some(dir)) if !dir.is_dir() => format!("{} is not a directory", dir.display()),
        (ErrorKind::NotFound, _) => {
            "there is no such program (or its interpreter is missing)".to_owned()
        }
        (ErrorKind::PermissionDenied, _) => "it can't be executed by this user".to_owned(),
        _ => error.to_string(),
    };
    Failure::new(format!("cannot start {name}: {reason}"))
        .with("rc", error.raw_os_error().unwrap_or(2))
        .with("cmd", name)
        .with("stdout", "")
        .with("stderr", "")
}

/// PATH of the task, or of this process, and the system's directories behind it.
fn system_path(of_task: Option<&String>) -> OsString {
    let of_task = of_task.map(OsString::from);
    let mut dirs: Vec<PathBuf> = of_task
        .or_else(|| std::env::var_os("PATH"))
        .map(|path| std::env::split_paths(&path).collect())
        .unwrap_or_default();
    for dir in SYSTEM_PATH {
        if !dirs.iter().any(|known| known == Path::new(dir)) {
            dirs.push(PathBuf::from(dir));
        }
    }
    // Splitting gave no part with a colon in it.
    std::env::join_paths(dirs).unwrap_or_default()
}

/// The full path of a program, looked for in PATH (the task's, if it sets one) and in the system's directories.
pub(crate) fn find_program(of_task: Option<&String>, name: &str) -> Option<PathBuf> {
    std::env::split_paths(&system_path(of_task))
        .map(|dir| dir.join(name))
        .find(|path| {
            path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
        })
}

enum Ended {
    Normally(Output),
    TooMuch,
}

/// Feeds a program and collects what it writes, without blocking on either.
struct Collector {
    child: Child,
    stdin: Vec<u8>,
    written: usize,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    chunk: Vec<u8>,
}

impl Collector {
    fn new(child: Child, stdin: Option<Vec<u8>>) -> io::Result<Self> {
        let this = Self {
            child,
            stdin: stdin.unwrap_or_default(),
            written: 0,
            stdout: Vec::new(),
            stderr: Vec::new(),
            chunk: vec![0; 64 * 1024],
        };
        if let Some(pipe) = &this.child.stdin {
            unblock(pipe)?;
        }
        if let Some(pipe) = &this.child.stdout {
            unblock(pipe)?;
        }
        if let Some(pipe) = &this.child.stderr {
            unblock(pipe)?;
        }
        Ok(this)
    }

    fn run(mut self) -> io::Result<Ended> {
        // A process that went to the background keeps the pipes open: once the program itself has ended, only what
        // is already written counts.
        let mut ended = false;
        loop {
            self.feed()?;
            let mut open = false;
            open |= Self::drain(&mut self.child.stdout, &mut self.stdout, &mut self.chunk)?;
            open |= Self::drain(&mut self.child.stderr, &mut self.stderr, &mut self.chunk)?;
            if self.stdout.len() + self.stderr.len() > MAX_OUTPUT {
                let group = Pid::from_child(&self.child);
                rustix::process::kill_process_group(group, rustix::process::Signal::KILL).ok();
                self.child.wait()?;
                return Ok(Ended::TooMuch);
            }
            if !open || ended {
                break;
            }
            if !self.wait_for_pipes()? {
                ended = has_ended(&self.child, false);
            }
        }
        has_ended(&self.child, true);
        let status = self.child.wait()?;
        let rc = status
            .code()
            .or(status.signal().map(|signal| -signal))
            .unwrap_or(-1);
        Ok(Ended::Normally(Output {
            rc,
            stdout: self.stdout,
            stderr: self.stderr,
        }))
    }

    fn feed(&mut self) -> io::Result<()> {
        while let Some(pipe) = &mut self.child.stdin {
            if self.written == self.stdin.len() {
                self.child.stdin = None;
                break;
            }
            match pipe.write(&self.stdin[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // It doesn't want to read all of it, which is its right.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => self.child.stdin = None,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads what is there, at most about 1 MiB at a time. `false` at the end of the stream.
    fn drain<R: Read>(
        pipe: &mut Option<R>,
        into: &mut Vec<u8>,
        chunk: &mut [u8],
    ) -> io::Result<bool> {
        let Some(stream) = pipe else {
            return Ok(false);
        };
        for _ in 0..16 {
            match stream.read(chunk) {
                Ok(0) => {
                    *pipe = None;
                    return Ok(false);
                }
                Ok(count) => into.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Waits until a pipe can be used, at most 100 ms. `false` when none can.
    fn wait_for_pipes(&self) -> io::Result<bool> {
        let mut fds = Vec::with_capacity(3);
        if let Some(pipe) = &self.child.stdin {
            fds.push(PollFd::new(pipe, PollFlags::OUT));
        }
        if let Some(pipe) = &self.child.stdout {
            fds.push(PollFd::new(pipe, PollFlags::IN));
        }
        if let Some(pipe) = &self.child.stderr {
            fds.push(PollFd::new(pipe, PollFlags::IN));
        }
        let limit = rustix::event::Timespec {
            tv_sec: 0,
            tv_nsec: 100_000_000,
        };
        match poll(&mut fds, Some(&limit)) {
            Ok(ready) => Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }
}

fn unblock(pipe: &impl AsFd) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(pipe)?;
    rustix::fs::fcntl_setfl(pipe, flags | rustix::fs::OFlags::NONBLOCK)?;
    Ok(())
}

/// Whether the program has ended, without reaping it: its number stays its own, so that killing it stays safe.
fn has_ended(child: &Child, wait: bool) -> bool {
    let mut options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    if !wait {
        options |= WaitIdOptions::NOHANG;
    }
    loop {
        match rustix::process::waitid(WaitId::Pid(Pid::from_child(child)), options) {
            Ok(status) => return status.is_some(),
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn sh(cx: &Context, script: &str) -> Result<Output, Failure> {
        cx.process("/bin/sh").arg("-c").arg(script).run()
    }

    #[test]
    fn output_and_exit_codes_come_back() {
        let cx = Context::local(false, false);
        let output = sh(&cx, "echo out; echo err >&2; exit 3").expect("it runs");
        assert_eq!(
            (output.rc, &output.stdout[..], &output.stderr[..]),
            (3, &b"out\n"[..], &b"err\n"[..])
        );
        assert_eq!(sh(&cx, "kill -9 $$").expect("it runs").rc, -9);
        let failure = output.check("cannot do it").expect_err("3 is not 0");
        assert_eq!(failure.message, "cannot do it: err");
    }

    #[test]
    fn input_longer_than_a_pipe_goes_through_and_unread_input_is_no_error() {
        let cx = Context::local(false, false);
        let big = vec![b'x'; 1 << 20];
        let output = cx.process("cat").stdin(big.clone()).run().expect("it runs");
        assert_eq!(output.stdout.len(), big.len());
        assert_eq!(cx.process("true").stdin(big).run().expect("it runs").rc, 0);
    }

    #[test]
    fn a_process_in_the_background_does_not_hold_the_task() {
        let cx = Context::local(false, false);
        let start = Instant::now();
        let output = sh(&cx, "sleep 20 & echo $!").expect("it runs");
        assert!(start.elapsed() < Duration::from_secs(5));
        let pid: i32 = output.stdout_text().trim().parse().expect("a number");
        assert!(
            Path::new(&format!("/proc/{pid}")).exists(),
            "it was meant to go on"
        );
        let pid = Pid::from_raw(pid).expect("not 0");
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("killed");
    }

    #[test]
    fn a_flood_is_ended() {
        let failure = sh(&Context::local(false, false), "yes").expect_err("too much");
        assert!(failure.message.contains("64 MiB"), "{failure}");
    }

    #[test]
    fn what_cannot_start_says_why() {
        let cx = Context::local(false, false);
        let failure = cx
            .process("no-such-program")
            .run()
            .expect_err("there is none");
        assert!(failure.message.contains("no such program"), "{failure}");
        let failure = cx
            .process("true")
            .current_dir("/no/such")
            .run()
            .expect_err("there is none");
        assert!(
            failure.message.contains("/no/such is not a directory"),
            "{failure}"
        );
    }
}
