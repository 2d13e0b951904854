//! `get_certificate`: what a port shows, by the host's openssl.

use super::der;
use super::document::{Document, Extension};
use super::key::no_openssl;
use super::names::{Subject, short};
use super::oids::{EXTENSIONS, signature};
use super::output::BACKEND;
use super::time::moment;
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Return, Spec};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::net::IpAddr;

/// The exit code of `timeout` for what it ended.
const TIMED_OUT: i32 = 124;

#[derive(Deserialize)]
pub struct GetCertificate {
    host: String,
    port: u16,
    ca_cert: Option<String>,
    server_name: Option<String>,
    proxy_host: Option<String>,
    proxy_port: u16,
    starttls: Option<String>,
    timeout: u64,
    ciphers: Option<Vec<String>>,
    asn1_base64: bool,
}

impl Module for GetCertificate {
    const SPEC: Spec = Spec::new(
        "get_certificate",
        "Tells about the certificate that a port shows. The host's openssl (1.1.1 or newer) asks for it.",
        &[
            Arg::new("host", Kind::Str, "Name or address of the server.").required(),
            Arg::new("port", Kind::Int, "Its port.").required(),
            Arg::new("ca_cert", Kind::Path, "File of certificates, one of which must have signed it; without it everything goes."),
            Arg::new("server_name", Kind::Str, "The name that the server is asked for, instead of host."),
            Arg::new("proxy_host", Kind::Str, "Proxy to go through."),
            Arg::new("proxy_port", Kind::Int, "The proxy's port.").default("8080"),
            Arg::new("starttls", Kind::Str, "The protocol that comes before TLS.").choices(&["mysql"]),
            Arg::new("timeout", Kind::Int, "Seconds until it fails.").default("10"),
            Arg::new("ciphers", Kind::List, "Ciphers that are offered, as openssl names them."),
            Arg::new("asn1_base64", Kind::Bool, "Contents of extensions are written in base64; results can't hold bytes.").default("yes"),
            BACKEND,
        ],
    )
    .without_check_mode()
    .without(&[
        ("tls_ctx_options", "they are settings of Python's ssl."),
        ("get_certificate_chain", "openssl doesn't print the chain that it verified."),
    ])
    .returns(&[
        Return::new("cert", "The certificate, as PEM."),
        Return::new("subject, issuer", "By short names."),
        Return::new("not_before, not_after, expired", "When it holds."),
        Return::new("extensions", "Each with name, critical and asn1_data."),
        Return::new("serial_number, signature_algorithm, version", "A number beyond 64 bits as digits; the version counts from 0."),
    ]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        if !self.asn1_base64 {
            return Err(Failure::new(
                "asn1_base64: false isn't supported: results can't hold bytes",
            ));
        }
        let text = self.shown(cx)?;
        let certificate = Document::certificate(&text)
            .map_err(|failure| failure.during("the certificate can't be read"))?;
        let extensions: Value = certificate.extensions.iter().map(extension).collect();
        Ok(Outcome::ok()
            .with("cert", der::to_pem("CERTIFICATE", &certificate.bytes))
            .with("subject", by_name(&certificate.subject))
            .with("issuer", by_name(&certificate.issuer))
            .with("expired", moment(&certificate.not_after)? < moment("+0s")?)
            .with("not_before", certificate.not_before.as_str())
            .with("not_after", certificate.not_after.as_str())
            .with("extensions", extensions)
            .with("serial_number", der::number(&certificate.serial))
            .with("signature_algorithm", signature(&certificate.algorithm))
            .with("version", certificate.version - 1))
    }
}

impl GetCertificate {
    /// What openssl prints of the handshake: the server's own certificate is the only one in it.
    fn shown(&self, cx: &Context) -> Result<String, Failure> {
        if let Some(path) = &self.ca_cert
            && !cx.expand(path).is_file()
        {
            return Err(Failure::new("ca_cert file does not exist"));
        }
        let failed = |why: &str| {
            let way = match &self.proxy_host {
                Some(proxy) => format!("via proxy {proxy}:{} ", self.proxy_port),
                None => String::new(),
            };
            Failure::new(format!(
                "Failed to get cert {way}from {}:{}, error: {why}",
                self.host, self.port
            ))
        };
        let mut args = vec!["s_client".to_owned(), "-connect".to_owned()];
        args.push(address(&self.host, self.port));
        match self.server_name.as_ref().unwrap_or(&self.host) {
            // A name of a server is never an address (RFC 6066, 3).
            name if name.parse::<IpAddr>().is_ok() => args.push("-noservername".to_owned()),
            name => args.extend(["-servername".to_owned(), name.clone()]),
        }
        if let Some(path) = &self.ca_cert {
            let path = cx.expand(path).to_string_lossy().into_owned();
            let strict = ["-verify_return_error", "-no-CApath", "-CAfile"];
            args.extend(strict.map(ToOwned::to_owned));
            args.push(path);
        }
        if let Some(proxy) = &self.proxy_host {
            args.extend(["-proxy".to_owned(), address(proxy, self.proxy_port)]);
        }
        for (name, value) in [
            ("-starttls", self.starttls.clone()),
            ("-cipher", self.ciphers.as_ref().map(|list| list.join(":"))),
        ] {
            args.extend(value.into_iter().flat_map(|value| [name.to_owned(), value]));
        }
        let openssl = cx.find_program("openssl").ok_or_else(no_openssl)?;
        let output = cx
            .process("timeout")
            .system()
            .arg(self.timeout.to_string())
            .arg(openssl)
            .args(&args)
            .run()?;
        if output.rc == TIMED_OUT {
            return Err(failed("timed out"));
        }
        let said = output.stderr_text();
        let reason = |line: &&str| {
            ["verify error:", "connect:", "error:", "errno"]
                .iter()
                .any(|word| line.contains(word))
        };
        let why = said.lines().find(reason).or(said.lines().next());
        if output.ok() {
            return Ok(output.stdout_text());
        }
        Err(failed(why.unwrap_or("no certificate was shown")))
    }
}

fn address(host: &str, port: u16) -> String {
    match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}

fn by_name(subject: &Subject) -> Map<String, Value> {
    subject
        .iter()
        .map(|(oid, value)| (short(oid), value.as_str().into()))
        .collect()
}

fn extension(extension: &Extension) -> Value {
    let known = EXTENSIONS.iter().find(|(oid, _)| *oid == extension.oid);
    json!({
        "critical": extension.critical,
        "asn1_data": BASE64.encode(&extension.value),
        "name": known.map_or(extension.oid.as_str(), |(_, name)| name),
    })
}
