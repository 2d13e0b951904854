//! One SSH connection of our own: made, kept and used.
//!
//! The traps of the crate are dealt with here: Nagle is on by default, one channel that nobody reads stops all others
//! (so each has its own task that always reads), and the reader of known hosts can't be trusted.

mod auth;
mod pipe;
mod socket;

pub(super) use pipe::{Exit, Pipe};

use super::algorithms;
use super::error::LinkError;
use super::host_key::{HostKey, Inspected, Inspector};
use super::keys::KeyRing;
use super::pool::{ExecOutput, Tunnel};
use super::settings::Settings;
use super::target::Hop;
use russh::client::{self, DisconnectReason, Handle};
use russh::keys::PublicKeyOrCertificate;
use russh::{ChannelMsg, Disconnect};
use socket::{Heard, Socket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Enough for 640 Mbit/s at 200 ms.
const WINDOW: u32 = 16 * 1024 * 1024;
/// The most that the crate allows.
const PACKET: u32 = 65_535;

/// sshd drops connections at random above MaxStartups: tried again after a random part of these.
const RETRIES: [Duration; 5] = [
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(3),
];

/// How often a refused connection is tried again: most refusals are final, and people wait for the error.
const REFUSED: usize = 2;

/// A connection that is logged in. Dropping it ends it.
pub(super) struct Ssh {
    host: String,
    handle: Handle<Handler>,
    reason: Arc<Mutex<Option<String>>>,
    /// The bastion must live as long as what goes through it.
    _via: Option<Arc<Ssh>>,
}

/// What a connection needs from its surroundings.
pub(super) struct Surroundings<'a> {
    /// Name in the inventory, for errors.
    pub host: &'a str,
    pub settings: &'a Settings,
    pub keys: &'a Arc<KeyRing>,
    /// Handshakes with this address or bastion.
    pub handshakes: &'a Semaphore,
}

pub(super) struct Handler {
    inspector: Arc<Inspector>,
    inspected: Arc<Mutex<Inspected>>,
    reason: Arc<Mutex<Option<String>>>,
}

impl client::Handler for Handler {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        shown: &PublicKeyOrCertificate,
    ) -> Result<bool, russh::Error> {
        let inspector = Arc::clone(&self.inspector);
        let shown = match shown {
            PublicKeyOrCertificate::PublicKey { key, hash_alg } => {
                PublicKeyOrCertificate::PublicKey {
                    key: key.clone(),
                    hash_alg: *hash_alg,
                }
            }
            PublicKeyOrCertificate::Certificate(certificate) => {
                PublicKeyOrCertificate::Certificate(certificate.clone())
            }
        };
        let result = tokio::task::spawn_blocking(move || inspector.inspect(&shown))
            .await
            .map_err(std::io::Error::other)?;
        let accepted = result.error.is_none() && result.scanned.is_none();
        *lock(&self.inspected) = result;
        Ok(accepted)
    }

    async fn disconnected(
        &mut self,
        reason: DisconnectReason<russh::Error>,
    ) -> Result<(), russh::Error> {
        let (text, result) = match reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                (format!("the host said: {}", info.message), Ok(()))
            }
            DisconnectReason::Error(error) => (error.to_string(), Err(error)),
        };
        lock(&self.reason).get_or_insert(text);
        result
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Connects and logs in.
pub(super) async fn connect(
    hop: &Hop,
    via: Option<Arc<Ssh>>,
    inspector: Inspector,
    around: &Surroundings<'_>,
) -> Result<Ssh, LinkError> {
    let inspector = Arc::new(inspector);
    let inspected = Arc::default();
    let permit = around.handshakes.acquire().await;
    let (mut handle, reason) =
        handshake(around.host, hop, via.as_ref(), &inspector, &inspected).await?;
    let untrusted = lock(&inspected).untrusted;
    auth::log_in(&mut handle, hop, untrusted, around).await?;
    drop(permit);
    Ok(Ssh {
        host: around.host.to_owned(),
        handle,
        reason,
        _via: via,
    })
}

/// The key that a server shows; the connection ends there.
pub(super) async fn scan(
    host: &str,
    hop: &Hop,
    via: Option<Arc<Ssh>>,
    inspector: Inspector,
) -> Result<HostKey, LinkError> {
    let inspected = Arc::default();
    match handshake(host, hop, via.as_ref(), &Arc::new(inspector), &inspected).await {
        Err(error) => lock(&inspected).scanned.take().ok_or(error),
        Ok(_) => Err(LinkError::NotSsh {
            host: host.to_owned(),
            address: address(hop),
            reason: "it shows no host key".to_owned(),
        }),
    }
}

type Shaken = (Handle<Handler>, Arc<Mutex<Option<String>>>);

/// TCP, banner and key exchange, again when sshd is too busy to answer.
async fn handshake(
    host: &str,
    hop: &Hop,
    via: Option<&Arc<Ssh>>,
    inspector: &Arc<Inspector>,
    inspected: &Arc<Mutex<Inspected>>,
) -> Result<Shaken, LinkError> {
    let mut retries = RETRIES.iter();
    loop {
        let heard = Heard::default();
        let reason = Arc::default();
        let handler = Handler {
            inspector: Arc::clone(inspector),
            inspected: Arc::clone(inspected),
            reason: Arc::clone(&reason),
        };
        let attempt = exchange(host, hop, via, handler, &heard);
        let error = match attempt.await {
            Ok(handle) => return Ok((handle, reason)),
            Err(error) => error,
        };
        if let Some(error) = lock(inspected).error.take() {
            return Err(error);
        }
        // Dropped before it could say who it is: the sign of a server with too many logins at once.
        let dropped = matches!(error, LinkError::NotSsh { .. }) && !heard.version();
        // Of an sshd that starts, or of a full queue of connections.
        let refused =
            matches!(error, LinkError::Refused { .. }) && retries.len() > RETRIES.len() - REFUSED;
        match retries.next().filter(|_| dropped || refused) {
            Some(pause) => tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.5))).await,
            None => return Err(error),
        }
    }
}

async fn exchange(
    host: &str,
    hop: &Hop,
    via: Option<&Arc<Ssh>>,
    handler: Handler,
    heard: &Heard,
) -> Result<Handle<Handler>, LinkError> {
    let inspector = Arc::clone(&handler.inspector);
    let preferred = algorithms::preferred(&hop.algorithms, &inspector.known, &inspector.names)
        .map_err(|message| LinkError::Config {
            host: host.to_owned(),
            message,
            hints: vec!["name one that kopsrun supports, or remove the option".to_owned()],
        })?;
    let config = Arc::new(client::Config {
        preferred,
        window_size: WINDOW,
        maximum_packet_size: PACKET,
        channel_buffer_size: 1024,
        keepalive_interval: (!hop.alive_interval.is_zero()).then_some(hop.alive_interval),
        keepalive_max: hop.alive_count,
        nodelay: true,
        ..client::Config::default()
    });
    let socket = socket::open(host, hop, via).await?;
    let stream = Socket::new(socket, heard.clone());
    // A person who is asked about a host key takes longer than a network.
    let limit = hop.connect_timeout;
    let shaking = client::connect_stream(config, stream, handler);
    tokio::pin!(shaking);
    loop {
        match timeout(limit, &mut shaking).await {
            Ok(result) => return result.map_err(|error| exchange_error(host, hop, heard, error)),
            Err(_) if inspector.is_busy() => {}
            Err(_) if !heard.anything() => {
                return Err(LinkError::Frozen {
                    host: host.to_owned(),
                    address: address(hop),
                    limit,
                });
            }
            Err(_) => {
                return Err(LinkError::Timeout {
                    host: host.to_owned(),
                    address: address(hop),
                    limit,
                });
            }
        }
    }
}

fn exchange_error(host: &str, hop: &Hop, heard: &Heard, error: russh::Error) -> LinkError {
    let host = host.to_owned();
    match error {
        russh::Error::NoCommonAlgo { kind, ours, theirs } => LinkError::NoCommonAlgorithm {
            host,
            kind: match kind {
                russh::AlgorithmKind::Kex => "key exchange",
                russh::AlgorithmKind::Key => "host key",
                russh::AlgorithmKind::Cipher => "cipher",
                russh::AlgorithmKind::Compression => "compression",
                russh::AlgorithmKind::Mac => "MAC",
            }
            .to_owned(),
            ours,
            theirs,
        },
        error if heard.version() => LinkError::Unreachable {
            host,
            address: address(hop),
            reason: format!("key exchange: {error}"),
        },
        error => LinkError::NotSsh {
            host,
            address: address(hop),
            reason: heard.said(&error.to_string()),
        },
    }
}

pub(super) fn address(hop: &Hop) -> String {
    if hop.address.contains(':') {
        format!("[{}]:{}", hop.address, hop.port)
    } else {
        format!("{}:{}", hop.address, hop.port)
    }
}

impl Ssh {
    pub(super) fn is_closed(&self) -> bool {
        self.handle.is_closed()
    }

    /// Why the connection ended, if anybody said.
    pub(super) fn said(&self) -> Option<String> {
        lock(&self.reason).clone()
    }

    /// Why the connection ended, as far as anybody said.
    pub(super) fn reason(&self) -> String {
        self.said()
            .unwrap_or_else(|| "the connection was closed".to_owned())
    }

    fn lost(&self, doing: &str, error: &russh::Error) -> LinkError {
        let reason = if self.is_closed() {
            self.reason()
        } else {
            error.to_string()
        };
        LinkError::Lost {
            host: self.host.clone(),
            doing: doing.to_owned(),
            reason,
        }
    }

    /// Starts a command; its three streams and its exit.
    pub(super) async fn start(&self, command: &str) -> Result<Pipe, LinkError> {
        let lost = |error: russh::Error| self.lost("starting a command", &error);
        let channel = self.handle.channel_open_session().await.map_err(lost)?;
        // Not waiting for the answer saves a round trip; a refusal closes the channel.
        channel.exec(false, command).await.map_err(lost)?;
        Ok(Pipe::new(channel))
    }

    pub(super) async fn exec(
        &self,
        command: &str,
        stdin: Option<&[u8]>,
    ) -> Result<ExecOutput, LinkError> {
        let lost = |error: russh::Error| self.lost("running a command", &error);
        let channel = self.handle.channel_open_session().await.map_err(lost)?;
        channel.exec(false, command).await.map_err(lost)?;
        let (mut read, write) = channel.split();
        let send = async {
            // The command may end without reading: that isn't an error.
            if let Some(stdin) = stdin {
                drop(write.data(stdin).await);
            }
            drop(write.eof().await);
        };
        let receive = async {
            let mut output = ExecOutput {
                rc: -1,
                ..ExecOutput::default()
            };
            while let Some(message) = read.wait().await {
                match message {
                    ChannelMsg::Data { data } => output.stdout.extend_from_slice(&data),
                    ChannelMsg::ExtendedData { data, .. } => output.stderr.extend_from_slice(&data),
                    ChannelMsg::ExitStatus { exit_status } => output.rc = exit_status as i32,
                    ChannelMsg::ExitSignal { signal_name, .. } => {
                        output.rc = 128 + signal_number(&signal_name);
                    }
                    _ => {}
                }
            }
            output
        };
        tokio::pin!(send, receive);
        let output = tokio::select! {
            output = &mut receive => output,
            () = &mut send => receive.await,
        };
        if output.rc < 0 {
            return Err(self.lost("running a command", &russh::Error::Disconnect));
        }
        Ok(output)
    }

    /// A TCP connection made by the host.
    pub(super) async fn tunnel(&self, address: &str, port: u16) -> Result<Tunnel, russh::Error> {
        let channel = self
            .handle
            .channel_open_direct_tcpip(address, u32::from(port), "127.0.0.1", 0)
            .await?;
        Ok(Box::new(Pipe::new(channel).into_stream()))
    }

    pub(super) async fn close(&self) {
        // It may be gone already.
        drop(
            self.handle
                .disconnect(Disconnect::ByApplication, "", "")
                .await,
        );
    }
}

fn signal_number(signal: &russh::Sig) -> i32 {
    match signal {
        russh::Sig::HUP => 1,
        russh::Sig::INT => 2,
        russh::Sig::QUIT => 3,
        russh::Sig::ILL => 4,
        russh::Sig::ABRT => 6,
        russh::Sig::FPE => 8,
        russh::Sig::KILL => 9,
        russh::Sig::USR1 => 10,
        russh::Sig::SEGV => 11,
        russh::Sig::PIPE => 13,
        russh::Sig::ALRM => 14,
        russh::Sig::TERM => 15,
        russh::Sig::Custom(_) => 0,
    }
}
