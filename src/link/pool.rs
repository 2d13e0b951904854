//! Links to hosts: one connection a host, shared by everybody who works on it.

use super::agent::{Agent, Streams};
use super::blobs::BlobSource;
use super::bootstrap::{self, BootFault, Programs};
use super::error::LinkError;
use super::host_key::Inspector;
use super::keys::KeyRing;
use super::process;
use super::settings::Settings;
use super::ssh::{self, Exit, Pipe, Ssh, Surroundings, lock};
use super::target::{Connection, Hop, Program, Target};
use std::any::Any;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::timeout;

/// How many hosts share one connection to a bastion: one host that takes its bytes slowly slows these down and no
/// others.
const HOSTS_PER_BASTION: usize = 16;

/// How often another folder is tried after the agent couldn't be executed in one that looked right.
const BOOT_TRIES: usize = 6;

/// All connections of one run. Clones share them.
#[derive(Clone)]
pub struct Pool(Arc<Shared>);

struct Shared {
    settings: Settings,
    keys: Arc<KeyRing>,
    questions: Arc<Mutex<()>>,
    connects: Semaphore,
    /// By address or bastion.
    handshakes: Mutex<HashMap<String, Arc<Semaphore>>>,
    /// By the way to them and the share of hosts.
    bastions: Mutex<HashMap<String, Bastion>>,
    /// Hosts behind each bastion, in the order in which they came.
    behind: Mutex<HashMap<String, Vec<String>>>,
    links: Mutex<HashMap<String, Link>>,
    programs: OnceCell<Result<Arc<Programs>, String>>,
}

/// A bastion's connection, or the place where it is being made.
type Bastion = Arc<tokio::sync::Mutex<Option<Arc<Ssh>>>>;

/// One host. Clones share the connection; after a loss the next use makes a new one.
#[derive(Clone)]
pub struct Link(Arc<Host>);

struct Host {
    target: Target,
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
enum Carrier {
    Local,
    Ssh(Arc<Ssh>),
    Program,
}

impl Carrier {
    fn is_closed(&self) -> bool {
        matches!(self, Self::Ssh(ssh) if ssh.is_closed())
    }
}

/// What a command gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecOutput {
    /// Exit status; 128 + number when a signal ended it.
    pub rc: i32,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

/// A byte stream through a host.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}
pub type Tunnel = Box<dyn Stream>;

impl Pool {
    pub fn new(settings: Settings) -> Self {
        Self(Arc::new(Shared {
            connects: Semaphore::new(settings.parallel.max(1)),
            settings,
            keys: Arc::default(),
            questions: Arc::default(),
            handshakes: Mutex::default(),
            bastions: Mutex::default(),
            behind: Mutex::default(),
            links: Mutex::default(),
            programs: OnceCell::new(),
        }))
    }

    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// The link to a host, connected and logged in; the agent starts with the first task.
    pub async fn link(&self, target: &Target) -> Result<Link, LinkError> {
        let link = self.lazy_link(target);
        link.0.carrier().await?;
        Ok(link)
    }

    /// The link to a host that connects with its first use.
    pub fn lazy_link(&self, target: &Target) -> Link {
        // Secrets don't show in Debug; a host whose password changes within a run isn't another host.
        let key = format!("{target:?}");
        let mut links = lock(&self.0.links);
        let new = || {
            Link(Arc::new(Host {
                target: target.clone(),
                pool: Arc::clone(&self.0),
                state: tokio::sync::Mutex::default(),
                attempts: AtomicU64::new(0),
            }))
        };
        links.entry(key).or_insert_with(new).clone()
    }

    pub(super) fn questions(&self) -> &Arc<Mutex<()>> {
        &self.0.questions
    }

    /// The connection to the last of these bastions; None when there are none.
    pub(super) async fn bastion(
        &self,
        host: &str,
        hops: &[Hop],
    ) -> Result<Option<Arc<Ssh>>, LinkError> {
        self.0.bastion(host, hops).await
    }
}

impl Shared {
    async fn bastion(&self, host: &str, hops: &[Hop]) -> Result<Option<Arc<Ssh>>, LinkError> {
        let mut via: Option<Arc<Ssh>> = None;
        let mut way = String::new();
        for (index, hop) in hops.iter().enumerate() {
            way.push_str(&format!("{hop:?} "));
            // Connections to the last bastion are shared by some hosts, those before by all.
            let share = if index + 1 == hops.len() {
                self.share(&way, host)
            } else {
                0
            };
            let place = Arc::clone(
                lock(&self.bastions)
                    .entry(format!("{way}#{share}"))
                    .or_default(),
            );
            let mut place = place.lock().await;
            let ready = place.as_ref().filter(|ssh| !ssh.is_closed()).cloned();
            let ssh = match ready {
                Some(ssh) => ssh,
                None => self
                    .hop(host, hop, via)
                    .await
                    .map(Arc::new)
                    .map_err(|error| LinkError::Jump {
                        host: host.to_owned(),
                        via: format!("{}@{}", hop.user, hop.alias),
                        source: Box::new(error),
                    })?,
            };
            *place = Some(Arc::clone(&ssh));
            via = Some(ssh);
        }
        Ok(via)
    }

    /// Which of several connections to the same bastion this host takes.
    fn share(&self, way: &str, host: &str) -> usize {
        let mut behind = lock(&self.behind);
        let hosts = behind.entry(way.to_owned()).or_default();
        let position = hosts
            .iter()
            .position(|known| known == host)
            .unwrap_or_else(|| {
                hosts.push(host.to_owned());
                hosts.len() - 1
            });
        position / HOSTS_PER_BASTION
    }

    async fn hop(&self, host: &str, hop: &Hop, via: Option<Arc<Ssh>>) -> Result<Ssh, LinkError> {
        let inspector = Inspector::new(host, hop, &self.settings, &self.questions)?;
        let most = self.settings.parallel_per_address.max(1);
        let handshakes = Arc::clone(
            lock(&self.handshakes)
                .entry(ssh::address(hop))
                .or_insert_with(|| Arc::new(Semaphore::new(most))),
        );
        let around = Surroundings {
            host,
            settings: &self.settings,
            keys: &self.keys,
            handshakes: &handshakes,
        };
        ssh::connect(hop, via, inspector, &around).await
    }

    async fn programs(&self) -> Result<Arc<Programs>, String> {
        let agents = self.settings.agents.clone();
        self.programs
            .get_or_init(|| async move {
                tokio::task::spawn_blocking(move || Programs::load(&agents).map(Arc::new))
                    .await
                    .unwrap_or_else(|error| Err(error.to_string()))
            })
            .await
            .clone()
    }
}

impl Host {
    fn name(&self) -> &str {
        &self.target.name
    }

    async fn carrier(&self) -> Result<Carrier, LinkError> {
        let seen = self.attempts.load(Ordering::SeqCst);
        let mut state = self.state.lock().await;
        self.ensure_carrier(&mut state, seen).await
    }

    async fn agent(&self) -> Result<Arc<Agent>, LinkError> {
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
                Ok(Carrier::Ssh(Arc::new(
                    pool.hop(self.name(), last, via).await?,
                )))
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
        let mut skip = Vec::new();
        for _ in 0..BOOT_TRIES {
            let mut streams = self.open(carrier, &programs.command(&skip)).await?;
            let booted = bootstrap::boot(
                &mut streams.reader,
                &mut streams.writer,
                Some(&programs),
                limit,
            );
            match booted.await {
                Ok(hello) => return Ok(streams.start(self.name(), hello)),
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

    /// The exit status, which comes a moment after the end of the stream.
    async fn settled_status(&mut self) -> Option<u32> {
        let exit = self.exit.clone();
        let child = &mut self.child;
        let settle = async {
            if let Some(child) = child
                && let Some(status) = child.wait().await
            {
                exit.set_status(u32::try_from(status.code().unwrap_or(1)).unwrap_or(1));
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
        let keep: Box<dyn Any + Send> = Box::new((self.child, self.ssh));
        Agent::start(
            host,
            Streams {
                reader: self.reader,
                writer: self.writer,
                decoder,
                hello,
                exit: self.exit,
                keep,
            },
        )
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Link({})", self.name())
    }
}

impl Link {
    /// Name in the inventory.
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// Runs one task in the agent; many may run at the same time. Dropping the future cancels the task on the host.
    ///
    /// `Lost` means that nobody knows how far the task got. The next call makes a new connection.
    pub async fn run(
        &self,
        task: host::Task,
        blobs: impl BlobSource,
    ) -> Result<host::Outcome, LinkError> {
        self.0.agent().await?.run(task, Arc::new(blobs)).await
    }

    /// Runs a task that streams a file back into `into`.
    pub async fn fetch(
        &self,
        task: host::Task,
        into: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<host::Outcome, LinkError> {
        self.0.agent().await?.fetch(task, into).await
    }

    /// The agent's name of itself: who the login user is, and on what machine. Starts the agent.
    pub async fn hello(&self) -> Result<host::wire::Hello, LinkError> {
        Ok(self.0.agent().await?.hello.clone())
    }

    /// Runs a command line by the login shell, without the agent.
    pub async fn exec(&self, command: &str, stdin: Option<&[u8]>) -> Result<ExecOutput, LinkError> {
        match (self.0.carrier().await?, &self.0.target.connection) {
            (Carrier::Ssh(ssh), _) => ssh.exec(command, stdin).await,
            (Carrier::Program, Connection::Program(program)) => {
                self.exec_by_program(program, command, stdin).await
            }
            _ => process::exec_local(self.name(), command, stdin).await,
        }
    }

    async fn exec_by_program(
        &self,
        program: &Program,
        command: &str,
        stdin: Option<&[u8]>,
    ) -> Result<ExecOutput, LinkError> {
        let process = process::ssh(self.name(), program, &[], Some(command))?;
        let output = process::exec(process, stdin)
            .await
            .map_err(|error| LinkError::Lost {
                host: self.name().to_owned(),
                doing: "running a command".to_owned(),
                reason: error.to_string(),
            })?;
        // 255 is ssh's own, unless the command says it too: then it has said something, or nothing at all.
        let said = String::from_utf8_lossy(&output.stderr);
        if output.rc == 255 && output.stdout.is_empty() && !said.trim().is_empty() {
            return Err(process::ssh_error(self.name(), program, said.trim()));
        }
        Ok(output)
    }

    /// A TCP connection made by the host.
    pub async fn tunnel(&self, address: &str, port: u16) -> Result<Tunnel, LinkError> {
        let to = format!("{address}:{port}");
        let failed = |reason: String| LinkError::Tunnel {
            host: self.name().to_owned(),
            address: to.clone(),
            reason,
        };
        match (self.0.carrier().await?, &self.0.target.connection) {
            (Carrier::Ssh(ssh), _) => {
                ssh.tunnel(address, port)
                    .await
                    .map_err(|error| match error {
                        _ if ssh.is_closed() => LinkError::Lost {
                            host: self.name().to_owned(),
                            doing: format!("opening a tunnel to {to}"),
                            reason: ssh.reason(),
                        },
                        russh::Error::ChannelOpenFailure(kind) => {
                            failed(format!("the host can't connect to {to}: {kind:?}"))
                        }
                        other => failed(format!("no tunnel to {to}: {other}")),
                    })
            }
            (Carrier::Program, Connection::Program(program)) => {
                let extra = ["-W".to_owned(), to.clone()];
                Ok(process::tunnel(process::ssh(
                    self.name(),
                    program,
                    &extra,
                    None,
                )?))
            }
            _ => {
                let socket = tokio::net::TcpStream::connect((address, port));
                let socket = socket
                    .await
                    .map_err(|error| failed(format!("can't connect to {to}: {error}")))?;
                socket
                    .set_nodelay(true)
                    .map_err(|error| failed(error.to_string()))?;
                Ok(Box::new(socket))
            }
        }
    }

    /// Ends the connection; the next use makes a new one. Tasks that are under way are lost.
    pub async fn close(&self) {
        let mut state = self.0.state.lock().await;
        if let Some(agent) = state.agent.take() {
            agent.end();
        }
        state.failed = None;
        if let Some(Carrier::Ssh(ssh)) = state.carrier.take() {
            ssh.close().await;
        }
    }
}
