//! A file that another module needs from a server.

use super::{Connection, Request};
use crate::{Context, Failure};
use serde_json::Map;
use std::path::Path;

/// Seconds to connect, and without a byte.
const TIMEOUT: u64 = 30;

/// Downloads `url` to `into`, whose directory exists.
///
/// Fails with Ansible's words for it when nobody answers, and for any status but a success.
pub(in crate::modules) fn download(
    cx: &Context,
    url: &str,
    validate_certs: bool,
    into: &Path,
) -> Result<(), Failure> {
    let connection = Connection {
        url: url.to_owned(),
        headers: Map::new(),
        url_username: None,
        url_password: None,
        validate_certs,
        client_cert: None,
        client_key: None,
        ca_path: None,
        ciphers: None,
        use_proxy: true,
        use_netrc: true,
        use_gssapi: false,
        http_agent: "ansible-httpget".to_owned(),
        decompress: true,
        force: false,
    };
    let request = Request {
        method: "GET",
        body: None,
        headers: Vec::new(),
        follow: true,
        timeout: TIMEOUT,
        unix_socket: None,
        output: into,
    };
    let response = connection.send(cx, &request)?;
    if response.status == 200 {
        return Ok(());
    }
    let status = match response.status {
        -1 => String::new(),
        status => format!("HTTP Error {status}: "),
    };
    Err(Failure::new(format!(
        "Failure downloading {url}, {status}{}",
        response.reason
    )))
}
