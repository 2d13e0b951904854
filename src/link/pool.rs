//! Links to hosts: one connection a host, shared by everybody who works on it.

use super::blobs::BlobSource;
use super::bootstrap::Programs;
use super::error::LinkError;
use super::host::{Carrier, Host};
use super::host_key::Inspector;
use super::keys::KeyRing;
use super::process;
use super::settings::Settings;
use super::ssh::{self, Ssh, Surroundings, lock};
use super::target::{Connection, Hop, Program, Target};
use russh::ChannelOpenFailure;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OnceCell, Semaphore};

/// How many hosts share one connection to a bastion: one host that takes its bytes slowly slows these down and no
/// others.
const HOSTS_PER_BASTION: usize = 16;

/// All connections of one run. Clones share them.
#[derive(Clone)]
pub struct Pool(Arc<Shared>);

pub(super) struct Shared {
    pub(super) settings: Settings,
    keys: Arc<KeyRing>,
    questions: Arc<Mutex<()>>,
    /// Hosts that are being connected to.
    pub(super) connects: Semaphore,
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
        let new = || Link(Arc::new(Host::new(target.clone(), Arc::clone(&self.0))));
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
    pub(super) async fn bastion(
        &self,
        host: &str,
        hops: &[Hop],
    ) -> Result<Option<Arc<Ssh>>, LinkError> {
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

    pub(super) async fn hop(
        &self,
        host: &str,
        hop: &Hop,
        via: Option<Arc<Ssh>>,
    ) -> Result<Ssh, LinkError> {
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

    pub(super) async fn programs(&self) -> Result<Arc<Programs>, String> {
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
                        russh::Error::ChannelOpenFailure(ChannelOpenFailure::ConnectFailed) => {
                            failed("no connection".to_owned())
                        }
                        russh::Error::ChannelOpenFailure(
                            ChannelOpenFailure::AdministrativelyProhibited,
                        ) => failed("sshd allows no tunnel".to_owned()),
                        other => failed(format!("no tunnel ({other})")),
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
                    .map_err(|error| failed(format!("no connection ({error})")))?;
                socket
                    .set_nodelay(true)
                    .map_err(|error| failed(format!("no connection ({error})")))?;
                Ok(Box::new(socket))
            }
        }
    }

    /// Ends the connection; the next use makes a new one. Tasks that are under way are lost.
    pub async fn close(&self) {
        self.0.close().await;
    }
}
