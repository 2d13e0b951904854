//! `wait_for`: until a port answers or not, or a file is there or not, or holds some text.

use crate::{Arg, Context, Failure, Kind, Module, Outcome, Return, Rule, Spec, users};
use fancy_regex::Regex;
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
    active_connection_states: Option<Vec<String>>,
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
            Arg::new("state", Kind::Str, "What to wait for.")
                .choices(&["started", "present", "stopped", "absent", "drained"])
                .default("started"),
            Arg::new("delay", Kind::Int, "Seconds before the first look.").default("0"),
            Arg::new("sleep", Kind::Int, "Seconds between two looks, at most.").default("1"),
            Arg::new("timeout", Kind::Int, "Seconds before it fails.").default("300"),
            Arg::new("connect_timeout", Kind::Int, "Seconds for one connection.").default("5"),
            Arg::new(
                "active_connection_states",
                Kind::List,
                "For state drained, which isn't supported.",
            ),
            Arg::new(
                "exclude_hosts",
                Kind::List,
                "For state drained, which isn't supported.",
            ),
            Arg::new("msg", Kind::Str, "What to say when the time is over."),
        ],
    )
    .rules(&[Rule::Exclusive(&["port", "path"])])
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
        if self.state == "drained"
            || self.active_connection_states.is_some()
            || self.exclude_hosts.is_some()
        {
            return Err(Failure::new(
                "wait_for: the state drained (and what belongs to it) isn't supported",
            ));
        }
        let regex = self
            .search_regex
            .as_deref()
            .map(|text| Regex::new(&format!("(?m){text}")))
            .transpose()
            .map_err(|error| Failure::new(format!("search_regex can't be read: {error}")))?;
        let start = Instant::now();
        cx.sleep(Duration::from_secs(self.delay))?;
        let limit = Duration::from_secs(self.timeout);
        if self.port.is_none() && self.path.is_none() {
            cx.sleep(limit)?;
            return Ok(self.outcome(start, Map::new()));
        }
        let wanted = matches!(self.state.as_str(), "started" | "present");
        let mut pause = Duration::from_millis(50);
        loop {
            let seen = self.look(cx, regex.as_ref(), limit.saturating_sub(start.elapsed()))?;
            match seen {
                Some(groups) if wanted => return Ok(self.outcome(start, groups)),
                None if !wanted => return Ok(self.outcome(start, Map::new())),
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
                return Ok(path.exists().then(Map::new));
            };
            return match fs::read(&path) {
                Ok(content) => search(regex, &content),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
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
                    Some(regex) => listen(stream, regex, limit),
                };
            }
        }
        Ok(None)
    }

    fn outcome(&self, start: Instant, groups: Map<String, Value>) -> Outcome {
        let positional: Vec<Value> = groups
            .get("")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let named: Map<String, Value> = groups
            .into_iter()
            .filter(|(name, _)| !name.is_empty())
            .collect();
        Outcome::ok()
            .with("state", self.state.clone())
            .with("port", self.port)
            .with("path", self.path.clone())
            .with("search_regex", self.search_regex.clone())
            .with("match_groups", positional)
            .with("match_groupdict", named)
            .with("elapsed", start.elapsed().as_secs())
    }

    fn timeout_message(&self) -> String {
        if let Some(message) = &self.msg {
            return message.clone();
        }
        let what = match (&self.path, self.port) {
            (Some(path), _) => path.clone(),
            (None, port) => format!("{}:{}", self.host, port.unwrap_or_default()),
        };
        match (&self.search_regex, self.state.as_str()) {
            (Some(regex), "started" | "present") => {
                format!("Timeout when waiting for search string {regex} in {what}")
            }
            (_, "started" | "present") => format!("Timeout when waiting for {what}"),
            (_, state) => format!("Timeout when waiting for {what} to be {state}"),
        }
    }
}

/// The groups of a match: the positional ones under the empty name.
fn search(regex: &Regex, content: &[u8]) -> Result<Option<Map<String, Value>>, Failure> {
    let text = String::from_utf8_lossy(content).into_owned();
    let found = regex
        .captures(text.as_str())
        .map_err(|error| Failure::new(format!("search_regex takes too long: {error}")))?;
    Ok(found.map(|found| {
        let mut groups = Map::new();
        let group = |index| {
            found
                .get(index)
                .map_or(Value::Null, |part| part.as_str().into())
        };
        groups.insert(String::new(), (1..found.len()).map(group).collect());
        for (index, name) in regex.capture_names().enumerate() {
            if let Some(name) = name {
                groups.insert(name.to_owned(), group(index));
            }
        }
        groups
    }))
}

/// Reads what a port says until the expression fits, at most 64 KiB.
fn listen(
    mut stream: TcpStream,
    regex: &Regex,
    limit: Duration,
) -> Result<Option<Map<String, Value>>, Failure> {
    let start = Instant::now();
    let mut said = Vec::new();
    let mut chunk = [0; 1024];
    while start.elapsed() < limit && said.len() < 64 * 1024 {
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
        assert_eq!(outcome.data["msg"], "Timeout when waiting for /no/such");
    }

    #[test]
    fn drained_is_refused_by_name() {
        let outcome = run("wait_for", json!({"port": 1, "state": "drained"}));
        assert!(
            outcome.data["msg"]
                .as_str()
                .expect("text")
                .contains("drained")
        );
    }
}
