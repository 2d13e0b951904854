//! The bytes under SSH: TCP, or a channel of a bastion.

use super::super::error::LinkError;
use super::super::pool::Tunnel;
use super::super::target::{Family, Hop};
use super::{Ssh, address, lock};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

/// Opens the way to a hop.
pub(super) async fn open(
    host: &str,
    hop: &Hop,
    via: Option<&Arc<Ssh>>,
) -> Result<Tunnel, LinkError> {
    let limit = hop.connect_timeout;
    let opening = async {
        match via {
            Some(via) => through(host, hop, via).await,
            None => tcp(host, hop).await,
        }
    };
    timeout(limit, opening).await.unwrap_or_else(|_| {
        Err(LinkError::Timeout {
            host: host.to_owned(),
            address: address(hop),
            limit,
        })
    })
}

async fn through(host: &str, hop: &Hop, via: &Arc<Ssh>) -> Result<Tunnel, LinkError> {
    via.tunnel(&hop.address, hop.port).await.map_err(|error| {
        let reason = match error {
            _ if via.is_closed() => format!("the bastion is gone: {}", via.reason()),
            russh::Error::ChannelOpenFailure(
                russh::ChannelOpenFailure::AdministrativelyProhibited,
            ) => "the bastion doesn't allow it (AllowTcpForwarding, PermitOpen)".to_owned(),
            russh::Error::ChannelOpenFailure(_) => "the bastion can't connect to it".to_owned(),
            other => format!("through the bastion: {other}"),
        };
        LinkError::Unreachable {
            host: host.to_owned(),
            address: address(hop),
            reason,
        }
    })
}

async fn tcp(host: &str, hop: &Hop) -> Result<Tunnel, LinkError> {
    let unreachable = |reason: String| LinkError::Unreachable {
        host: host.to_owned(),
        address: address(hop),
        reason,
    };
    let found = lookup_host((hop.address.as_str(), hop.port))
        .await
        .map_err(|error| unreachable(format!("the name can't be resolved: {error}")))?;
    let addresses: Vec<SocketAddr> = found
        .filter(|a| match hop.family {
            None => true,
            Some(Family::V4) => a.is_ipv4(),
            Some(Family::V6) => a.is_ipv6(),
        })
        .collect();
    let mut last = unreachable("the name has no address".to_owned());
    for one in addresses {
        match TcpStream::connect(one).await {
            Ok(socket) => {
                // Nagle costs 40 ms per small frame.
                socket
                    .set_nodelay(true)
                    .map_err(|error| unreachable(error.to_string()))?;
                return Ok(Box::new(socket));
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                last = LinkError::Refused {
                    host: host.to_owned(),
                    address: address(hop),
                };
            }
            Err(error) => last = unreachable(error.to_string()),
        }
    }
    Err(last)
}

/// What came from the other side so far, watched from outside of the crate that reads it.
#[derive(Clone, Default)]
pub(super) struct Heard(Arc<Mutex<Vec<u8>>>);

impl Heard {
    fn note(&self, bytes: &[u8]) {
        let mut first = lock(&self.0);
        let room = 512usize.saturating_sub(first.len());
        first.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    pub(super) fn anything(&self) -> bool {
        !lock(&self.0).is_empty()
    }

    /// It said that it speaks SSH.
    pub(super) fn version(&self) -> bool {
        lock(&self.0).windows(4).any(|w| w == b"SSH-")
    }

    /// What it said instead of SSH, else `otherwise`.
    pub(super) fn said(&self, otherwise: &str) -> String {
        let first = lock(&self.0);
        let text: String = String::from_utf8_lossy(&first)
            .chars()
            .filter(|c| !c.is_control())
            .take(120)
            .collect();
        if text.is_empty() {
            otherwise.to_owned()
        } else {
            format!("it says {text:?}")
        }
    }
}

/// A stream whose first bytes are noted.
pub(super) struct Socket {
    inner: Tunnel,
    heard: Heard,
}

impl Socket {
    pub(super) fn new(inner: Tunnel, heard: Heard) -> Self {
        Self { inner, heard }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.inner).poll_read(cx, buf);
        self.heard.note(&buf.filled()[before..]);
        result
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
