//! Private keys, requests and certificates: `openssl_privatekey`, `openssl_csr`, `x509_certificate`, their `_pipe` twins
//! without files, `get_certificate` and what tells of them.
//!
//! Keys are made, read and used by the host's openssl: no cryptography is linked into the agent, and keys of any kind that
//! the host knows are fine. What is signed is written here (DER), because openssl's own way, by texts of configuration,
//! can't express all of it and would have to be kept from reading more than it should.

mod certificate;
mod csr;
mod der;
mod document;
mod expiry;
mod extensions;
mod info;
mod key;
mod names;
mod oids;
mod output;
mod port;
mod privatekey;
#[cfg(test)]
mod tests;
mod time;

pub use certificate::{Certificate, CertificatePipe};
pub use csr::{Request, RequestPipe};
pub use expiry::CertInfo;
pub use info::{CertificateInfo, RequestInfo};
pub use port::GetCertificate;
pub use privatekey::{PrivateKey, PrivateKeyInfo, PrivateKeyPipe};
