//! The certificate that a port shows, whatever it is worth: nothing is sent there, and nothing is trusted.

use super::door::Door;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

const HANDSHAKE: Duration = Duration::from_secs(10);

/// The certificate (DER) that is shown at `address:port` as the host sees it; None where nobody listens or speaks TLS.
pub async fn shown(door: &dyn Door, address: &str, port: u16) -> Option<Vec<u8>> {
    let stream = timeout(HANDSHAKE, door.dial(address, port))
        .await
        .ok()?
        .ok()?;
    let look = Arc::new(Look {
        provider: Arc::new(ring::default_provider()),
        seen: Mutex::default(),
    });
    let config = ClientConfig::builder_with_provider(Arc::clone(&look.provider))
        .with_safe_default_protocol_versions()
        .ok()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&look) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").ok()?;
    // A server that wants a certificate of ours may end the handshake; it has shown its own by then.
    let _shown = timeout(
        HANDSHAKE,
        TlsConnector::from(Arc::new(config)).connect(name, stream),
    )
    .await;
    look.seen
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take()
}

/// Looks at the certificate and goes on.
#[derive(Debug)]
struct Look {
    provider: Arc<CryptoProvider>,
    seen: Mutex<Option<Vec<u8>>>,
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
