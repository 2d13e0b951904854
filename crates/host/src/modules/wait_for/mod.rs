//! `wait_for`: until a port answers or not or has no connections, or a file is there or not, or holds some text.

mod drained;

use super::ownership::describe;
use crate::regex::{Flags, Regex};
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Return, Rule, Spec, users};
use drained::Wanted;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::fs;
use std::io::Read;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

#[derive(Deserialize)]
pub struct WaitFor {
    host: String,
    port: Option<u16>,
    path: Option<String>,
    search_regex: Option<String>,
    state: String,
    delay: u64,
    sleep: u64,
    timeout: u64,
    connect_timeout: u64,
    active_connection_states: Vec<String>,
    exclude_hosts: Option<Vec<String>>,
    msg: Option<String>,
}

impl Module for WaitFor {
    const SPEC: Spec = Spec::new(
        "wait_for",
        "Waits for a port or a file.",
        &[
            Arg::new(
                "host",
                Kind::Str,
                "Address or name, as the host resolves it.",
            )
            .default("127.0.0.1"),
            Arg::new("port", Kind::Int, "TCP port."),
            Arg::new("path", Kind::Path, "File."),
            Arg::new(
                "search_regex",
                Kind::Str,
                "Text in the file, or sent by the port.",
            ),
            Arg::new(
                "state",
                Kind::Str,
                "What to wait for. drained: the port of this host has no connections.",
            )
            .choices(&["started", "present", "stopped", "absent", "drained"])
            .default("started"),
            Arg::new("delay", Kind::Int, "Seconds before the first look.").default("0"),
            Arg::new("sleep", Kind::Int, "Seconds between two looks, at most.").default("1"),
            Arg::new("timeout", Kind::Int, "Seconds before it fails.").default("300"),
            Arg::new("connect_timeout", Kind::Int, "Seconds for one connection.").default("5"),
            Arg::new(
                "active_connection_states",
                Kind::List,
                "For state drained: the states of connections that count.",
            )
            .default("ESTABLISHED,FIN_WAIT1,FIN_WAIT2,SYN_RECV,SYN_SENT,TIME_WAIT"),
            Arg::new(
                "exclude_hosts",
                Kind::List,
                "For state drained: names or addresses whose connections don't count.",
            ),
            Arg::new("msg", Kind::Str, "What to say when the time is over."),
        ],
    )
    .rules(&[
        Rule::Exclusive(&["port", "path"]),
        Rule::If("state", "drained", &["port"]),
    ])
    .without_check_mode()
    .returns(&[
        Return::new("elapsed", "Seconds that it took."),
        Return::new(
            "match_groups, match_groupdict",
            "What the groups of search_regex caught.",
        ),
        Return::new(
            "owner, group, uid, gid, mode, size, state",
            "Whose the file is, its mode, its length and its kind.",
        ),
    ]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        self.check()?;
        let flags = Flags {
            multi_line: true,
            ..Flags::default()
        };
        let regex = self
            .search_regex
            .as_deref()
            .map(|text| Regex::bytes(text, flags))
            .transpose()
            .map_err(|error| Failure::new(format!("Invalid regular expression: {error}")))?;
        let drained = match (self.state.as_str(), self.port) {
            ("drained", Some(port)) => {
                let excluded = self.exclude_hosts.iter().flatten();
                Some(Wanted::new(
                    resolve(&self.host),
                    port,
                    excluded.flat_map(|host| resolve(host)).collect(),
                    &self.active_connection_states,
                )?)
            }
            _ => None,
        };
        let start = Instant::now();
        cx.sleep(Duration::from_secs(self.delay))?;
        let limit = Duration::from_secs(self.timeout);
        if self.port.is_none() && self.path.is_none() {
            cx.sleep(limit)?;
            return Ok(self.outcome(cx, start, Map::new()));
        }
        let wanted = matches!(self.state.as_str(), "started" | "present");
        let mut pause = Duration::from_millis(50);
        loop {
            let left = limit.saturating_sub(start.elapsed());
            let seen = match &drained {
                Some(wanted) => (!wanted.none()).then(Map::new),
                // Whether something is gone is no matter of what it says.
                None => self.look(cx, regex.as_ref().filter(|_| wanted), left)?,
            };
            match seen {
                Some(groups) if wanted => return Ok(self.outcome(cx, start, groups)),
                None if !wanted => return Ok(self.outcome(cx, start, Map::new())),
                _ => {}
            }
            let left = limit.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Err(
                    Failure::new(self.timeout_message()).with("elapsed", start.elapsed().as_secs())
                );
            }
            cx.sleep(pause.min(left))?;
            // Whoever waits for a service likes to know soon.
            pause = (pause * 2).min(Duration::from_secs(self.sleep).max(Duration::from_millis(50)));
        }
    }
}

impl WaitFor {
    fn check(&self) -> Result<(), Failure> {
        let refuse = |words: &str| Err(Failure::new(words).with("elapsed", 0));
        match (&self.path, self.state.as_str()) {
            (Some(_), state @ ("stopped" | "drained")) => refuse(&format!(
                "state={state} should only be used for checking a port in the wait_for module"
            )),
            (_, state) if self.exclude_hosts.is_some() && state != "drained" => {
                refuse("exclude_hosts should only be with state=drained")
            }
            _ => Ok(()),
        }
    }

    /// The groups of the expression when what is meant is there; `None` when it isn't.
    fn look(
        &self,
        cx: &Context,
        regex: Option<&Regex>,
        left: Duration,
    ) -> Result<Option<Map<String, Value>>, Failure> {
        if let Some(path) = &self.path {
            let path = cx.expand(path);
            let Some(regex) = regex else {
                return match path.metadata() {
                    Ok(_) => Ok(Some(Map::new())),
                    Err(error) if is_gone(&error) || self.state == "absent" => Ok(None),
                    Err(error) => Err(Failure::io("Failed to stat", &path, &error)),
                };
            };
            return match fs::read(&path) {
                Ok(content) => search(regex, &content),
                Err(error) if is_gone(&error) => Ok(None),
                Err(error) => Err(Failure::io("cannot read", &path, &error)),
            };
        }
        let limit = Duration::from_secs(self.connect_timeout)
            .min(left)
            .max(Duration::from_millis(10));
        let port = self.port.unwrap_or_default();
        for address in resolve(&self.host) {
            if let Ok(stream) = TcpStream::connect_timeout(&SocketAddr::new(address, port), limit) {
                return match regex {
                    None => Ok(Some(Map::new())),
                    Some(regex) => listen(stream, regex, left),
                };
            }
        }
        Ok(None)
    }

    fn outcome(&self, cx: &Context, start: Instant, groups: Map<String, Value>) -> Outcome {
        let positional: Vec<Value> = groups
            .get("")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let named: Map<String, Value> = groups
            .into_iter()
            .filter(|(name, _)| !name.is_empty())
            .collect();
        let mut outcome = Outcome::ok()
            .with("state", self.state.clone())
            .with("port", self.port)
            .with("path", self.path.clone())
            .with("search_regex", self.search_regex.clone())
            .with("match_groups", positional)
            .with("match_groupdict", named)
            .with("elapsed", start.elapsed().as_secs());
        if let Some(path) = self.path.as_ref().map(|path| cx.expand(path)) {
            outcome.data.extend(describe(&path));
        }
        outcome
    }

    fn timeout_message(&self) -> String {
        if let Some(message) = &self.msg {
            return message.clone();
        }
        let wanted = matches!(self.state.as_str(), "started" | "present");
        let what = match (&self.path, self.port) {
            (Some(path), _) if self.search_regex.is_none() && wanted => format!("file {path}"),
            (Some(path), _) => path.clone(),
            (None, port) => format!("{}:{}", self.host, port.unwrap_or_default()),
        };
        match (&self.search_regex, self.state.as_str()) {
            (Some(regex), _) if wanted => {
                format!("Timeout when waiting for search string {regex} in {what}")
            }
            _ if wanted => format!("Timeout when waiting for {what}"),
            (_, "drained") => format!("Timeout when waiting for {what} to drain"),
            _ if self.path.is_some() => format!("Timeout when waiting for {what} to be absent."),
            _ => format!("Timeout when waiting for {what} to stop."),
        }
    }
}

fn is_gone(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::NotFound
}

/// The groups of a match: the positional ones under the empty name.
fn search(regex: &Regex, content: &[u8]) -> Result<Option<Map<String, Value>>, Failure> {
    let found = regex
        .find(content)
        .map_err(|error| Failure::new(format!("search_regex takes too long: {error}")))?;
    Ok(found.map(|found| {
        let text = |span: Option<(usize, usize)>| {
            span.map_or(Value::Null, |(from, to)| {
                String::from_utf8_lossy(&content[from..to]).into()
            })
        };
        let names = regex.groups();
        let mut groups = Map::new();
        let positional = (1..names.len()).map(|group| text(found.span(group)));
        groups.insert(String::new(), positional.collect());
        for name in names.into_iter().flatten() {
            groups.insert(name.to_owned(), text(found.span_of(name)));
        }
        groups
    }))
}

/// Reads what a port says until the expression fits, at most 1 MiB.
fn listen(
    mut stream: TcpStream,
    regex: &Regex,
    limit: Duration,
) -> Result<Option<Map<String, Value>>, Failure> {
    let start = Instant::now();
    let mut said = Vec::new();
    let mut chunk = [0; 1024];
    while start.elapsed() < limit && said.len() < 1 << 20 {
        let left = limit
            .saturating_sub(start.elapsed())
            .max(Duration::from_millis(10));
        if stream.set_read_timeout(Some(left)).is_err() {
            return Ok(None);
        }
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => break,
            Ok(count) => said.extend_from_slice(&chunk[..count]),
        }
        if let Some(groups) = search(regex, &said)? {
            return Ok(Some(groups));
        }
    }
    Ok(None)
}

/// The addresses of a host; of a name by the program getent, as no name service may be called here.
fn resolve(host: &str) -> Vec<IpAddr> {
    if let Ok(address) = host.trim_matches(['[', ']']).parse() {
        return vec![address];
    }
    let answer = users::getent("ahosts", host).unwrap_or_default();
    let mut addresses: Vec<IpAddr> = answer
        .lines()
        .filter_map(|line| line.split_whitespace().next()?.parse().ok())
        .collect();
    addresses.dedup();
    addresses
}

#[cfg(test)]
mod tests {
    use crate::modules::test::run;
    use serde_json::json;
    use std::io::Write;
    use std::net::TcpListener;
    use std::thread;
    use std::time::Duration;

    #[test]
    fn a_port_is_waited_for_and_its_greeting_read() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let port = listener.local_addr().expect("bound").port();
        for host in ["127.0.0.1", "localhost"] {
            let outcome = run(
                "wait_for",
                json!({"host": host, "port": port, "timeout": 5}),
            );
            assert!(!outcome.failed, "{outcome:?}");
        }
        thread::spawn(move || {
            for stream in listener.incoming() {
                stream
                    .expect("accepted")
                    .write_all(b"SSH-2.0-Open\r\n")
                    .ok();
            }
        });
        let outcome = run(
            "wait_for",
            json!({"port": port, "search_regex": "SSH-(?P<v>[0-9.]+)-(\\w+)", "timeout": 5}),
        );
        assert_eq!(outcome.data["match_groups"], json!(["2.0", "Open"]));
        assert_eq!(outcome.data["match_groupdict"], json!({"v": "2.0"}));
        let outcome = run(
            "wait_for",
            json!({"port": port, "state": "stopped", "timeout": 0}),
        );
        assert!(outcome.failed);
    }

    #[test]
    fn a_file_that_comes_later_is_seen() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("f");
        let later = file.clone();
        let writer = thread::spawn(move || {
            thread::sleep(Duration::from_millis(120));
            std::fs::write(later, "a\nready 7\n").expect("written");
        });
        let outcome = run(
            "wait_for",
            json!({"path": file, "search_regex": "^ready (\\d)", "timeout": 10}),
        );
        writer.join().expect("no panic");
        assert_eq!(outcome.data["match_groups"], json!(["7"]));
        let outcome = run("wait_for", json!({"path": "/no/such", "state": "absent"}));
        assert!(!outcome.failed);
        let outcome = run("wait_for", json!({"path": "/no/such", "timeout": 0}));
        assert_eq!(
            outcome.data["msg"],
            "Timeout when waiting for file /no/such"
        );
    }

    #[test]
    fn a_port_drains_when_its_connections_are_gone() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let address = listener.local_addr().expect("bound");
        let port = address.port();
        let client = std::net::TcpStream::connect_timeout(&address, Duration::from_secs(5));
        let client = client.expect("connected");
        let (served, _) = listener.accept().expect("accepted");
        let drained = |more: serde_json::Value| {
            let mut args = json!({"port": port, "state": "drained", "timeout": 0, "active_connection_states": ["ESTABLISHED"]});
            args.as_object_mut()
                .expect("a mapping")
                .extend(more.as_object().expect("a mapping").clone());
            run("wait_for", args)
        };
        let outcome = drained(json!({}));
        let told = format!("Timeout when waiting for 127.0.0.1:{port} to drain");
        assert_eq!(outcome.data["msg"], told);
        assert!(!drained(json!({"exclude_hosts": ["127.0.0.1"]})).failed);
        drop(client);
        drop(served);
        assert!(!drained(json!({"timeout": 10})).failed);
        assert!(
            run(
                "wait_for",
                json!({"path": "/a", "state": "drained", "port": 1})
            )
            .failed
        );
        assert!(run("wait_for", json!({"port": 1, "exclude_hosts": ["a"]})).failed);
    }
}
