//! `get_url` and `uri`: requests that the host makes, by its own curl. The agent has no TLS and asks no name service;
//! curl has both, with the certificates and proxies that the host is set up for.

pub(super) mod download;
pub(super) mod get_url;
#[cfg(test)]
mod tests;
pub(super) mod uri;

use crate::files::random_hex;
use crate::{Arg, Context, Failure, Kind};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// How both modules talk to servers, as a part of their arguments (`#[serde(flatten)]`).
#[derive(Deserialize)]
struct Connection {
    url: String,
    #[serde(default)]
    headers: Map<String, Value>,
    url_username: Option<String>,
    url_password: Option<String>,
    validate_certs: bool,
    client_cert: Option<String>,
    client_key: Option<String>,
    ca_path: Option<String>,
    ciphers: Option<Vec<String>>,
    use_proxy: bool,
    use_netrc: bool,
    use_gssapi: bool,
    http_agent: String,
    decompress: bool,
    force: bool,
}

/// The arguments, for specifications.
const ARGS: [Arg; 19] = [
    Arg::new(
        "url",
        Kind::Str,
        "What to ask for: http, https, ftp or file.",
    )
    .required(),
    Arg::new("headers", Kind::Dict, "Headers of the request."),
    Arg::new("url_username", Kind::Str, "User name.").aliases(&["username", "user"]),
    Arg::new("url_password", Kind::Str, "Password.").aliases(&["password"]),
    Arg::new(
        "force_basic_auth",
        Kind::Bool,
        "Has no effect: the password is sent at once anyway.",
    )
    .default("no"),
    Arg::new(
        "validate_certs",
        Kind::Bool,
        "Check the certificate of the server.",
    )
    .default("yes"),
    Arg::new(
        "client_cert",
        Kind::Path,
        "Certificate of the client, PEM; may hold the key.",
    ),
    Arg::new("client_key", Kind::Path, "Key of the client, PEM."),
    Arg::new("ca_path", Kind::Path, "Certificates of authorities, PEM."),
    Arg::new("ciphers", Kind::List, "Ciphers, as OpenSSL names them."),
    Arg::new(
        "use_proxy",
        Kind::Bool,
        "Use the proxies of the environment.",
    )
    .default("yes"),
    Arg::new("use_netrc", Kind::Bool, "Use the passwords in ~/.netrc.").default("yes"),
    Arg::new("use_gssapi", Kind::Bool, "Isn't supported.").default("no"),
    Arg::new("http_agent", Kind::Str, "What the client calls itself.").default("ansible-httpget"),
    Arg::new("decompress", Kind::Bool, "Unpack what comes compressed.").default("yes"),
    Arg::new(
        "force",
        Kind::Bool,
        "No cached answer; for a file: download it again.",
    )
    .default("no"),
    Arg::new(
        "unredirected_headers",
        Kind::List,
        "Headers that aren't sent to where a redirection leads. Passwords never are.",
    ),
    Arg::new("_original_basename", Kind::Str, "Set by the controller."),
    Arg::new(
        "unsafe_writes",
        Kind::Bool,
        "Overwrite a file that can't be replaced.",
    )
    .default("no"),
];

/// What is asked besides.
struct Request<'a> {
    method: &'a str,
    body: Option<&'a [u8]>,
    /// Headers that the module adds unless the task has them.
    headers: Vec<(&'static str, String)>,
    follow: bool,
    /// Seconds to connect, and without a byte.
    timeout: u64,
    unix_socket: Option<&'a str>,
    /// Where the content goes; its directory exists.
    output: &'a Path,
}

/// What came back.
#[derive(Debug)]
struct Response {
    /// -1 when there was no answer.
    status: i64,
    /// `OK`, `Not Found`; why there was no answer.
    reason: String,
    /// Names in small letters with `_`, as Ansible returns them.
    headers: Map<String, Value>,
    cookies: Vec<(String, String)>,
    /// After redirections.
    url: String,
    redirected: bool,
    size: u64,
    /// Whole seconds.
    elapsed: u64,
}

impl Response {
    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }
}

/// A directory for one request that nobody else can open, removed with it.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new() -> Result<Self, Failure> {
        let dir = std::env::temp_dir().join(format!(".kopsrun-{}", random_hex()));
        DirBuilder::new()
            .mode(0o700)
            .create(&dir)
            .map_err(|error| Failure::io("cannot make the directory", &dir, &error))?;
        Ok(Self(dir))
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing more can be done about what can't be removed.
        fs::remove_dir_all(&self.0).ok();
    }
}

impl Connection {
    /// Makes the request. That nobody answers isn't a failure yet; see [`Response::status`].
    fn send(&self, cx: &Context, request: &Request<'_>) -> Result<Response, Failure> {
        if self.use_gssapi {
            return Err(Failure::new(
                "use_gssapi isn't supported: use url_username, or a client certificate",
            ));
        }
        let curl = cx.find_program("curl").ok_or_else(|| {
            Failure::new(
                "there is no curl on this host, which makes the requests: install the package curl",
            )
        })?;
        let scratch = Scratch::new()?;
        let config = self.config(cx, request, &scratch)?;
        // Passwords and headers go in by standard input, never where others can see them.
        let output = cx
            .process(curl)
            .args(["--disable", "--config", "-"])
            .stdin(config.into_bytes())
            .run()?;
        let head = fs::read(scratch.file("head")).unwrap_or_default();
        let mut response = read_head(&String::from_utf8_lossy(&head));
        let told = output.stdout_text();
        let mut told = told.lines();
        let mut number = || {
            told.next()
                .and_then(|line| line.trim().parse::<f64>().ok())
                .unwrap_or(0.0)
        };
        let (status, redirects, size, time) = (number(), number(), number(), number());
        response.url = told.next().unwrap_or(&self.url).to_owned();
        response.redirected = redirects > 0.0;
        response.size = size as u64;
        response.elapsed = time as u64;
        response.status = status as i64;
        let local = ["file:", "ftp:"]
            .iter()
            .any(|scheme| self.url.starts_with(scheme));
        if output.ok() && local {
            response.status = 200;
            "OK".clone_into(&mut response.reason);
        } else if !output.ok() {
            let said = output.stderr_text();
            response.status = -1;
            response.reason = format!(
                "Request failed: {}",
                said.trim().trim_start_matches("curl: ")
            );
        }
        Ok(response)
    }

    /// The request as a configuration file of curl.
    fn config(
        &self,
        cx: &Context,
        request: &Request<'_>,
        scratch: &Scratch,
    ) -> Result<String, Failure> {
        let mut config = Config::default();
        config.flag("silent");
        config.flag("show-error");
        config.flag("globoff");
        config.set("url", &self.url);
        config.set("output", &request.output.to_string_lossy());
        config.set("dump-header", &scratch.file("head").to_string_lossy());
        config.set(
            "write-out",
            "%{http_code}\n%{num_redirects}\n%{size_download}\n%{time_total}\n%{url_effective}\n",
        );
        let timeout = request.timeout.max(1).to_string();
        config.set("connect-timeout", &timeout);
        config.set("speed-limit", "1");
        config.set("speed-time", &timeout);
        match request.method {
            "HEAD" => config.flag("head"),
            "GET" if request.body.is_none() => {}
            other => config.set("request", other),
        }
        if request.follow {
            config.flag("location");
            config.set("max-redirs", "10");
        }
        if let Some(body) = request.body {
            let file = scratch.file("body");
            fs::write(&file, body).map_err(|error| Failure::io("cannot write", &file, &error))?;
            config.set("data-binary", &format!("@{}", file.display()));
        }
        if self.decompress {
            config.flag("compressed");
        }
        if !self.validate_certs {
            config.flag("insecure");
        }
        if !self.use_proxy {
            config.set("noproxy", "*");
        }
        if self.use_netrc {
            config.flag("netrc-optional");
        }
        if let Some(user) = &self.url_username {
            let password = self.url_password.as_deref().unwrap_or_default();
            config.set("user", &format!("{user}:{password}"));
        }
        if let Some(ciphers) = &self.ciphers {
            config.set("ciphers", &ciphers.join(":"));
        }
        for (name, path) in [
            ("cert", &self.client_cert),
            ("key", &self.client_key),
            ("cacert", &self.ca_path),
        ] {
            if let Some(path) = path {
                config.set(name, &cx.expand(path).to_string_lossy());
            }
        }
        if let Some(socket) = request.unix_socket {
            config.set("unix-socket", &cx.expand(socket).to_string_lossy());
        }
        config.set("user-agent", &self.http_agent);
        self.add_headers(request, &mut config);
        Ok(config.0)
    }

    fn add_headers(&self, request: &Request<'_>, config: &mut Config) {
        for (name, value) in &self.headers {
            let value = match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            // A colon alone would mean: leave this header out.
            let header = if value.is_empty() {
                format!("{name};")
            } else {
                format!("{name}: {value}")
            };
            config.set("header", &header);
        }
        let has = |name: &str| {
            self.headers
                .keys()
                .any(|known| known.eq_ignore_ascii_case(name))
        };
        if self.force {
            config.set("header", "Cache-Control: no-cache");
        }
        for (name, value) in &request.headers {
            if !has(name) {
                config.set("header", &format!("{name}: {value}"));
            }
        }
    }
}

#[derive(Default)]
struct Config(String);

impl Config {
    fn flag(&mut self, name: &str) {
        self.0.push_str(name);
        self.0.push('\n');
    }

    fn set(&mut self, name: &str, value: &str) {
        self.0.push_str(&format!("{name} = \""));
        for letter in value.chars() {
            match letter {
                '"' | '\\' => self.0.extend(['\\', letter]),
                '\n' => self.0.push_str("\\n"),
                '\r' => self.0.push_str("\\r"),
                '\t' => self.0.push_str("\\t"),
                other => self.0.push(other),
            }
        }
        self.0.push_str("\"\n");
    }
}

/// The head of the last answer; those before it were redirections or proxies.
fn read_head(text: &str) -> Response {
    let text = text.replace("\r\n", "\n");
    let last = text
        .rsplit("\n\n")
        .find(|head| head.starts_with("HTTP/"))
        .unwrap_or_default();
    let mut lines = last.lines();
    let reason = lines.next().and_then(|line| line.splitn(3, ' ').nth(2));
    let mut headers = Map::new();
    let mut cookies = Vec::new();
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let name = name.to_lowercase().replace('-', "_");
        let value = value.trim();
        if name == "set_cookie"
            && let Some((name, value)) = value
                .split(';')
                .next()
                .and_then(|pair| pair.split_once('='))
        {
            cookies.push((name.trim().to_owned(), value.trim().to_owned()));
        }
        let all = match headers.get(&name).and_then(Value::as_str) {
            Some(before) => format!("{before}, {value}"),
            None => value.to_owned(),
        };
        headers.insert(name, all.into());
    }
    Response {
        status: -1,
        reason: reason.unwrap_or_default().trim().to_owned(),
        headers,
        cookies,
        url: String::new(),
        redirected: false,
        size: 0,
        elapsed: 0,
    }
}

/// The last part of a URL's path.
fn file_name(url: &str) -> Option<&str> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.split(['?', '#']).next()?.split_once('/')?.1;
    path.rsplit('/').next().filter(|name| !name.is_empty())
}

/// The name that the server gives the content, without any directory.
fn disposition(header: &str) -> Option<&str> {
    let value = header
        .split(';')
        .map(str::trim)
        .find_map(|part| part.strip_prefix("filename="))?;
    let name = value.trim_matches('"').rsplit('/').next()?;
    (!name.is_empty() && name != "." && name != "..").then_some(name)
}
