//! What a port shows whose certificate isn't judged: the certificate itself, or whether somebody answers at all. Nothing
//! secret is sent there, and nothing is trusted.

use super::door::Door;
use crate::link::Tunnel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

const HANDSHAKE: Duration = Duration::from_secs(10);

/// The certificate (DER) that is shown at `address:port` as the host sees it; None where nobody listens or speaks TLS.
pub async fn shown(door: &dyn Door, address: &str, port: u16) -> Option<Vec<u8>> {
    let look = Arc::new(Look::new());
    // A server that wants a certificate of ours may end the handshake; it has shown its own by then.
    drop(greet(door, address, port, &look).await);
    look.seen
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take()
}

/// The status of `GET path` by HTTPS at `address:port`, as the host sees it; None where no HTTP is answered.
pub async fn status(door: &dyn Door, address: &str, port: u16, path: &str) -> Option<u16> {
    let mut stream = greet(door, address, port, &Arc::new(Look::new())).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let answer = timeout(HANDSHAKE, async {
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut line = Vec::new();
        // `HTTP/1.1 200`
        while line.len() < 12 {
            let mut rest = [0; 12];
            let left = 12 - line.len();
            let count = stream.read(&mut rest[..left]).await.ok()?;
            line.extend_from_slice(&rest[..count]);
            if count == 0 {
                return None;
            }
        }
        String::from_utf8(line).ok()
    });
    let line = answer.await.ok()??;
    line.strip_prefix("HTTP/1.")?.get(2..)?.parse().ok()
}

async fn greet(
    door: &dyn Door,
    address: &str,
    port: u16,
    look: &Arc<Look>,
) -> Option<TlsStream<Tunnel>> {
    let stream = timeout(HANDSHAKE, door.dial(address, port))
        .await
        .ok()?
        .ok()?;
    let config = ClientConfig::builder_with_provider(Arc::clone(&look.provider))
        .with_safe_default_protocol_versions()
        .ok()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(look) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").ok()?;
    let connector = TlsConnector::from(Arc::new(config));
    timeout(HANDSHAKE, connector.connect(name, stream))
        .await
        .ok()?
        .ok()
}

/// Looks at the certificate and goes on.
#[derive(Debug)]
struct Look {
    provider: Arc<CryptoProvider>,
    seen: Mutex<Option<Vec<u8>>>,
}

impl Look {
    fn new() -> Self {
        Self {
            provider: Arc::new(ring::default_provider()),
            seen: Mutex::default(),
        }
    }
}

impl ServerCertVerifier for Look {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(end_entity.to_vec());
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
