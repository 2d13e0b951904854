//! Agents and commands in child processes: `connection: local`, and the ssh program where our own SSH can't do what was
//! asked for.

use super::error::LinkError;
use super::pool::{ExecOutput, Tunnel};
use super::settings::LocalAgent;
use super::ssh::Exit;
use super::target::Program;
use crate::secret::Secret;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// How long the end of standard error may take after that of the child.
const STDERR: Duration = Duration::from_secs(1);

/// A child and its streams; dropping it ends the child.
pub(super) struct Process {
    pub reader: ChildStdout,
    pub writer: ChildStdin,
    pub exit: Exit,
    pub child: Keep,
}

/// What must live as long as the child's streams are used.
pub(super) struct Keep {
    child: Child,
    /// Ends when standard error was read to its end.
    said: tokio::task::JoinHandle<()>,
    _ask: Option<AskPass>,
}

impl Keep {
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Waits for the end of standard error, which may come after that of the child. A process that was left behind may
    /// hold it open for ever, so this has an end of its own.
    pub(super) async fn heard(&mut self) {
        if !self.said.is_finished() {
            drop(tokio::time::timeout(STDERR, &mut self.said).await);
        }
    }
}

/// Starts a child whose standard error is kept for messages.
fn spawn(mut command: Command, ask: Option<AskPass>) -> io::Result<Process> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        // Ctrl-C at the terminal is for kopsrun, which ends its tasks in order.
        .process_group(0)
        .spawn()?;
    let missing = || io::Error::other("the child has no streams");
    let reader = child.stdout.take().ok_or_else(missing)?;
    let writer = child.stdin.take().ok_or_else(missing)?;
    let mut errors = child.stderr.take().ok_or_else(missing)?;
    let exit = Exit::default();
    let kept = exit.clone();
    let said = tokio::spawn(async move {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = errors.read(&mut buffer).await {
            kept.add_stderr(&buffer[..count]);
        }
    });
    Ok(Process {
        reader,
        writer,
        exit,
        child: Keep {
            child,
            said,
            _ask: ask,
        },
    })
}

pub(super) fn local(host: &str, agent: &LocalAgent) -> Result<Process, LinkError> {
    let mut command = Command::new(&agent.program);
    command.args(&agent.args);
    spawn(command, None).map_err(|error| LinkError::Agent {
        host: host.to_owned(),
        reason: format!("{}: {error}", agent.program.display()),
        stderr: String::new(),
    })
}

/// `ssh … DESTINATION COMMAND`.
pub(super) fn ssh(
    host: &str,
    program: &Program,
    extra: &[String],
    remote: Option<&str>,
) -> Result<Process, LinkError> {
    let cannot = |reason: String| LinkError::Config {
        host: host.to_owned(),
        message: format!(
            "{} is needed for {}: {reason}",
            program.ssh.display(),
            program.because
        ),
        hints: vec![
            "install openssh-client, or use options that kopsrun honours itself".to_owned(),
        ],
    };
    let ask = match &program.password {
        Some(password) => Some(AskPass::new(password).map_err(|error| cannot(error.to_string()))?),
        None => None,
    };
    let mut command = Command::new(&program.ssh);
    command.args(extra).args(&program.args).args(remote);
    if let Some(ask) = &ask {
        command
            .env("SSH_ASKPASS", ask.script())
            .env("SSH_ASKPASS_REQUIRE", "force")
            .env("DISPLAY", ":0");
    }
    spawn(command, ask).map_err(|error| cannot(error.to_string()))
}

/// Runs a command to its end.
pub(super) async fn exec(mut process: Process, stdin: Option<&[u8]>) -> io::Result<ExecOutput> {
    let send = async {
        if let Some(stdin) = stdin {
            // A command may end without reading.
            drop(process.writer.write_all(stdin).await);
        }
        drop(process.writer.shutdown().await);
        drop(process.writer);
    };
    let mut stdout = Vec::new();
    let receive = process.reader.read_to_end(&mut stdout);
    let ((), received) = tokio::join!(send, receive);
    received?;
    let status = process.child.wait().await?;
    process.child.heard().await;
    let rc = status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    Ok(ExecOutput {
        rc,
        stdout,
        stderr: process.exit.stderr().into_bytes(),
    })
}

/// Runs a command line on this machine.
pub(super) async fn exec_local(
    host: &str,
    line: &str,
    stdin: Option<&[u8]>,
) -> Result<ExecOutput, LinkError> {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(line);
    let failed = |error: io::Error| LinkError::Lost {
        host: host.to_owned(),
        doing: "running a command".to_owned(),
        reason: error.to_string(),
    };
    exec(spawn(command, None).map_err(failed)?, stdin)
        .await
        .map_err(failed)
}

/// What ssh said when it ended, as one of our errors. Only called when it failed before the host's shell ran.
pub(super) fn ssh_error(host: &str, program: &Program, said: &str) -> LinkError {
    let (name, address) = (host.to_owned(), program.address.clone());
    let reason = said
        .lines()
        .last()
        .unwrap_or("it ended without a word")
        .to_owned();
    let fingerprint = said
        .split_whitespace()
        .find(|w| w.starts_with("SHA256:"))
        .unwrap_or("")
        .trim_end_matches('.');
    let has = |text: &str| said.contains(text);
    if has("Bad configuration option") || has("command-line line") || has("command-line: line") {
        LinkError::Config {
            host: name,
            message: format!("ssh doesn't understand its options: {reason}"),
            hints: vec![
                "look at ansible_ssh_common_args, ansible_ssh_extra_args, --ssh-common-args and ~/.ssh/config"
                    .to_owned(),
            ],
        }
    } else if has("REMOTE HOST IDENTIFICATION HAS CHANGED") {
        LinkError::HostKeyChanged {
            host: name,
            name: address,
            expected: Vec::new(),
            algorithm: "key".into(),
            fingerprint: fingerprint.to_owned(),
        }
    } else if has("Host key verification failed") {
        LinkError::UnknownHostKey {
            host: name,
            name: address,
            algorithm: "key".into(),
            fingerprint: fingerprint.to_owned(),
            files: Vec::new(),
        }
    } else if has("Permission denied") || has("Too many authentication failures") {
        LinkError::AuthFailed {
            host: name,
            user: program.user.clone(),
            tried: vec![format!("the ssh program ({reason})")],
            offered: Vec::new(),
            notes: Box::default(),
        }
    } else if has("Connection refused") {
        LinkError::Refused {
            host: name,
            address,
        }
    } else if has("timed out") {
        LinkError::Timeout {
            host: name,
            address,
            limit: program.connect_timeout,
        }
    } else {
        LinkError::Unreachable {
            host: name,
            address,
            reason: format!("ssh: {reason}"),
        }
    }
}

/// Gives a password to ssh without argv, environment or a file that keeps it: ssh calls a script, which reads a pipe.
struct AskPass {
    folder: PathBuf,
}

impl AskPass {
    fn new(password: &Secret<String>) -> io::Result<Self> {
        let folder = PathBuf::from(format!("/tmp/kopsrun-ask-{:016x}", rand::random::<u64>()));
        std::fs::DirBuilder::new().mode(0o700).create(&folder)?;
        let ask = Self { folder };
        let pipe = ask.folder.join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            0o600.into(),
            0,
        )?;
        let mut script = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o700)
            .open(ask.script())?;
        // Only a question for a password is answered; one for a host key isn't.
        script.write_all(
            b"#!/bin/sh\ncase \"$1\" in *assword*|*assphrase*) exec cat \"${0%/*}/pipe\";; esac\nexit 1\n",
        )?;
        drop(script);
        let password = password.clone();
        // Opening waits for the script, and ends when the folder's owner gives up by opening it too.
        std::thread::spawn(move || {
            if let Ok(mut pipe) = std::fs::OpenOptions::new().write(true).open(&pipe) {
                drop(
                    pipe.write_all(password.expose().as_bytes())
                        .and_then(|()| pipe.write_all(b"\n")),
                );
            }
        });
        Ok(ask)
    }

    fn script(&self) -> PathBuf {
        self.folder.join("ask")
    }
}

impl Drop for AskPass {
    fn drop(&mut self) {
        // Lets a thread go that still waits for a reader.
        let open = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::NONBLOCK;
        drop(rustix::fs::open(self.folder.join("pipe"), open, 0.into()));
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// A child's streams as a socket (`ssh -W`).
struct ChildStream(Process);

pub(super) fn tunnel(process: Process) -> Tunnel {
    Box::new(ChildStream(process))
}

impl AsyncRead for ChildStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.reader).poll_read(cx, buf)
    }
}

impl AsyncWrite for ChildStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0.writer).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.writer).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.writer).poll_shutdown(cx)
    }
}
