//! One host: its connection and its agent, made when they are needed and made again after a loss.

use super::agent::{Agent, Streams};
use super::bootstrap::{self, BootFault};
use super::error::LinkError;
use super::pool::Shared;
use super::process;
use super::ssh::{Exit, Pipe, Ssh};
use super::target::{Connection, Target};
use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

/// How often another folder is tried after the agent couldn't be executed in one that looked right, and once more for a
/// closer look.
const BOOT_TRIES: usize = 7;

pub(super) struct Host {
    pub(super) target: Target,
    pool: Arc<Shared>,
    state: tokio::sync::Mutex<State>,
    /// How many attempts to connect have ended.
    attempts: AtomicU64,
}

#[derive(Default)]
struct State {
    carrier: Option<Carrier>,
    agent: Option<Arc<Agent>>,
    /// Why the last attempt failed: for those who waited for it.
    failed: Option<LinkError>,
}

/// What streams to a host are made of.
#[derive(Clone)]
pub(super) enum Carrier {
    Local,
    Ssh(Arc<Ssh>),
    Program,
}

impl Carrier {
    fn is_closed(&self) -> bool {
        matches!(self, Self::Ssh(ssh) if ssh.is_closed())
    }
}

impl Host {
    pub(super) fn new(target: Target, pool: Arc<Shared>) -> Self {
        Self {
            target,
            pool,
            state: tokio::sync::Mutex::default(),
            attempts: AtomicU64::new(0),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.target.name
    }

    pub(super) async fn carrier(&self) -> Result<Carrier, LinkError> {
        let seen = self.attempts.load(Ordering::SeqCst);
        let mut state = self.state.lock().await;
        self.ensure_carrier(&mut state, seen).await
    }

    pub(super) async fn agent(&self) -> Result<Arc<Agent>, LinkError> {
        let seen = self.attempts.load(Ordering::SeqCst);
        let mut state = self.state.lock().await;
        if let Some(agent) = state.agent.as_ref().filter(|agent| !agent.is_ended()) {
            return Ok(Arc::clone(agent));
        }
        let carrier = self.ensure_carrier(&mut state, seen).await?;
        let started = self.start_agent(&carrier).await;
        self.attempts.fetch_add(1, Ordering::SeqCst);
        match started {
            Ok(agent) => {
                let agent = Arc::new(agent);
                state.agent = Some(Arc::clone(&agent));
                Ok(agent)
            }
            Err(error) => {
                state.failed = Some(error.clone());
                Err(error)
            }
        }
    }

    /// Ends connection and agent.
    pub(super) async fn close(&self) {
        let mut state = self.state.lock().await;
        if let Some(agent) = state.agent.take() {
            agent.end();
        }
        state.failed = None;
        if let Some(Carrier::Ssh(ssh)) = state.carrier.take() {
            ssh.close().await;
        }
    }

    /// `seen`: how many attempts had ended when the caller began to wait. One that failed since then fails the caller
    /// too: fifty tasks that wait for a dead host wait once.
    async fn ensure_carrier(&self, state: &mut State, seen: u64) -> Result<Carrier, LinkError> {
        if let Some(carrier) = state
            .carrier
            .as_ref()
            .filter(|carrier| !carrier.is_closed())
        {
            if let (Some(error), true) =
                (&state.failed, self.attempts.load(Ordering::SeqCst) != seen)
            {
                return Err(error.clone());
            }
            return Ok(carrier.clone());
        }
        if let (Some(error), true) = (&state.failed, self.attempts.load(Ordering::SeqCst) != seen) {
            return Err(error.clone());
        }
        state.agent = None;
        let result = self.connect().await;
        self.attempts.fetch_add(1, Ordering::SeqCst);
        state.failed = result.as_ref().err().cloned();
        state.carrier = result.as_ref().ok().cloned();
        result
    }

    async fn connect(&self) -> Result<Carrier, LinkError> {
        let pool = &self.pool;
        match &self.target.connection {
            Connection::Local => Ok(Carrier::Local),
            Connection::Program(_) => Ok(Carrier::Program),
            Connection::Ssh(hops) => {
                let Some((last, before)) = hops.split_last() else {
                    return Err(self.config("there is no way to it"));
                };
                let _permit = pool.connects.acquire().await;
                let via = pool.bastion(self.name(), before).await?;
                // The agent's program is read and hashed while the host shakes hands.
                let (ssh, _) = tokio::join!(pool.hop(self.name(), last, via), pool.programs());
                Ok(Carrier::Ssh(Arc::new(ssh?)))
            }
        }
    }

    fn config(&self, message: &str) -> LinkError {
        LinkError::Config {
            host: self.name().to_owned(),
            message: message.to_owned(),
            hints: Vec::new(),
        }
    }

    fn no_agent(&self, reason: String) -> LinkError {
        LinkError::Agent {
            host: self.name().to_owned(),
            reason,
            stderr: String::new(),
        }
    }

    async fn start_agent(&self, carrier: &Carrier) -> Result<Agent, LinkError> {
        let limit = self.pool.settings.bootstrap_timeout;
        if let Carrier::Local = carrier {
            let Some(agent) = &self.pool.settings.local_agent else {
                return Err(self.no_agent("there is no program for connection: local".to_owned()));
            };
            let mut streams = RawStreams::of(process::local(self.name(), agent)?);
            return match bootstrap::boot(&mut streams.reader, &mut streams.writer, None, limit)
                .await
            {
                Ok(hello) => Ok(streams.start(self.name(), hello)),
                Err(fault) => Err(self.boot_error(fault, &streams, carrier)),
            };
        }
        let programs = self
            .pool
            .programs()
            .await
            .map_err(|reason| self.no_agent(reason))?;
        let (mut careful, mut skip) = (false, Vec::new());
        for _ in 0..BOOT_TRIES {
            let mut streams = self
                .open(carrier, &programs.command(careful, &skip))
                .await?;
            let booted = bootstrap::boot(
                &mut streams.reader,
                &mut streams.writer,
                Some(&programs),
                limit,
            );
            match booted.await {
                Ok(hello) => return Ok(streams.start(self.name(), hello)),
                // What was there isn't what was sent once (a torn write, somebody's file): look closely.
                Err(
                    BootFault::Ended {
                        ran_in: Some(_), ..
                    }
                    | BootFault::Broken(_),
                ) if !careful => careful = true,
                // It looked executable and wasn't (SELinux, fapolicyd): try the next folder.
                Err(BootFault::Ended {
                    ran_in: Some(folder),
                    ..
                }) if matches!(streams.settled_status().await, Some(126 | 127))
                    && bootstrap::is_plain(&folder)
                    && !skip.contains(&folder) =>
                {
                    skip.push(folder);
                }
                Err(fault) => {
                    streams.settled_status().await;
                    return Err(self.boot_error(fault, &streams, carrier));
                }
            }
        }
        let tried = skip
            .into_iter()
            .map(|folder| (folder, "cannot execute here".to_owned()))
            .collect();
        Err(LinkError::NoExec {
            host: self.name().to_owned(),
            tried,
        })
    }

    async fn open(&self, carrier: &Carrier, command: &str) -> Result<RawStreams, LinkError> {
        match (carrier, &self.target.connection) {
            (Carrier::Ssh(ssh), _) => Ok(RawStreams::of_pipe(
                ssh.start(command).await?,
                Arc::clone(ssh),
            )),
            (_, Connection::Program(program)) => Ok(RawStreams::of(process::ssh(
                self.name(),
                program,
                &[],
                Some(command),
            )?)),
            _ => Err(self.config("nothing leads to it")),
        }
    }

    fn boot_error(&self, fault: BootFault, streams: &RawStreams, carrier: &Carrier) -> LinkError {
        let host = self.name().to_owned();
        let stderr = streams.exit.stderr();
        match fault {
            BootFault::UnsupportedArch(arch) => {
                let known = self
                    .pool
                    .settings
                    .agents
                    .architectures()
                    .map(str::to_owned)
                    .collect();
                LinkError::UnsupportedArch { host, arch, known }
            }
            BootFault::NoFolder(tried) => {
                let full = |(_, reason): &(String, String)| {
                    reason.contains("No space left") || reason.contains("quota exceeded")
                };
                if tried.iter().any(full) {
                    LinkError::NoSpace { host, tried }
                } else {
                    LinkError::NoExec { host, tried }
                }
            }
            BootFault::Ended {
                ran_in: Some(folder),
                said,
            } => {
                let status = streams
                    .exit
                    .status()
                    .map_or(String::new(), |s| format!(" with status {s}"));
                LinkError::Agent {
                    host,
                    reason: format!("it ended at once{status} in {folder} {said}"),
                    stderr,
                }
            }
            BootFault::Ended { said, .. } => match (&self.target.connection, carrier) {
                (Connection::Program(program), _) if streams.exit.status() == Some(255) => {
                    process::ssh_error(&host, program, &stderr)
                }
                (_, Carrier::Ssh(ssh)) if ssh.is_closed() => LinkError::Lost {
                    host,
                    doing: "starting the agent".to_owned(),
                    reason: ssh.reason(),
                },
                (_, Carrier::Local) => LinkError::Agent {
                    host,
                    reason: format!("it ended without a word {said}"),
                    stderr,
                },
                _ => LinkError::NotShell {
                    host,
                    output: [said, stderr].join(" ").trim().to_owned(),
                },
            },
            BootFault::Silent { said } => {
                let limit = self.pool.settings.bootstrap_timeout.as_secs_f64();
                LinkError::Agent {
                    host,
                    reason: format!("the host said nothing for {limit} s {said}"),
                    stderr,
                }
            }
            BootFault::Broken(reason) => LinkError::Agent {
                host,
                reason,
                stderr,
            },
        }
    }
}

/// The streams of a command that should become an agent.
struct RawStreams {
    reader: Box<dyn AsyncRead + Send + Unpin>,
    writer: Box<dyn AsyncWrite + Send + Unpin>,
    exit: Exit,
    child: Option<process::Keep>,
    ssh: Option<Arc<Ssh>>,
}

impl RawStreams {
    fn of(process: process::Process) -> Self {
        Self {
            reader: Box::new(process.reader),
            writer: Box::new(process.writer),
            exit: process.exit,
            child: Some(process.child),
            ssh: None,
        }
    }

    fn of_pipe(pipe: Pipe, ssh: Arc<Ssh>) -> Self {
        Self {
            reader: Box::new(pipe.reader),
            writer: pipe.writer,
            exit: pipe.exit,
            child: None,
            ssh: Some(ssh),
        }
    }

    /// The exit status, which comes a moment after the end of the stream, as the last words on standard error do.
    async fn settled_status(&mut self) -> Option<u32> {
        let exit = self.exit.clone();
        let child = &mut self.child;
        let settle = async {
            if let Some(child) = child
                && let Ok(status) = child.wait().await
            {
                exit.set_status(u32::try_from(status.code().unwrap_or(1)).unwrap_or(1));
                child.heard().await;
            }
            while exit.status().is_none() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        // A connection that broke gives none.
        drop(timeout(Duration::from_millis(500), settle).await);
        self.exit.status()
    }

    fn start(
        self,
        host: &str,
        (decoder, hello): (host::wire::Decoder, host::wire::Hello),
    ) -> Agent {
        let keep: Box<dyn Any + Send> = Box::new(self.child);
        Agent::start(
            host,
            Streams {
                reader: self.reader,
                writer: self.writer,
                decoder,
                hello,
                exit: self.exit,
                keep,
                ssh: self.ssh,
            },
        )
    }
}
