//! `uri`: a request, and what was answered.

use super::{ARGS, Connection, Request, Response, Scratch, disposition, file_name};
use crate::files::sha1;
use crate::modules::ownership::{self, Changes, Ownership, describe};
use crate::modules::rewrite::{Content, Rewrite};
use crate::spec::join;
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Return, Spec, globs};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

#[derive(Deserialize)]
pub struct Uri {
    dest: Option<String>,
    method: String,
    body: Option<Value>,
    body_format: String,
    src: Option<String>,
    remote_src: bool,
    return_content: bool,
    follow_redirects: String,
    status_code: Vec<i64>,
    timeout: u64,
    creates: Option<String>,
    removes: Option<String>,
    unix_socket: Option<String>,
    #[serde(flatten)]
    connection: Connection,
    #[serde(flatten)]
    ownership: Ownership,
}

const OWN: [Arg; 13] = [
    Arg::new(
        "dest",
        Kind::Path,
        "File that the content is written to, or directory for it.",
    ),
    Arg::new("method", Kind::Str, "Method of HTTP.").default("GET"),
    Arg::new(
        "body",
        Kind::Raw,
        "What is sent: text, or with a body_format a mapping or list.",
    ),
    Arg::new("body_format", Kind::Str, "How the body is written.")
        .choices(&["form-urlencoded", "json", "raw", "form-multipart"])
        .default("raw"),
    Arg::new(
        "src",
        Kind::Path,
        "File of the host that is sent; needs remote_src.",
    ),
    Arg::new("remote_src", Kind::Bool, "src is on the host.").default("no"),
    Arg::new("return_content", Kind::Bool, "Return what was answered.").default("no"),
    Arg::new(
        "follow_redirects",
        Kind::Str,
        "Go where the server points to; safe: only for GET and HEAD.",
    )
    .choices(&["all", "no", "none", "safe", "urllib2", "yes"])
    .default("safe"),
    Arg::new("status_code", Kind::List, "Answers that are right.")
        .of(Kind::Int)
        .default("200"),
    Arg::new(
        "timeout",
        Kind::Int,
        "Seconds to connect, and without a byte.",
    )
    .default("30"),
    Arg::new("creates", Kind::Path, "Don't ask when this is there."),
    Arg::new("removes", Kind::Path, "Don't ask when this isn't there."),
    Arg::new("unix_socket", Kind::Path, "Socket to ask through."),
];

const ALL: [Arg; 40] = join::<21, 19, 40>(join::<13, 8, 21>(OWN, ownership::ARGS), ARGS);

impl Module for Uri {
    const SPEC: Spec = Spec::new(
        "uri",
        "Asks a web service, with the curl of the host.",
        &ALL,
    )
    .without_check_mode()
    .returns(&[
        Return::new(
            "status, msg, url, redirected, elapsed",
            "What the server answered, from where, and in how many seconds.",
        ),
        Return::new(
            "content, json",
            "The body, with return_content; json where it is JSON.",
        ),
        Return::new("cookies, cookies_string", "What the server set."),
        Return::new("path", "The file, with dest."),
    ]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        for (path, wanted) in [(&self.creates, true), (&self.removes, false)] {
            let Some(path) = path else {
                continue;
            };
            let there = !globs::glob(&cx.expand(path).to_string_lossy()).is_empty();
            if there == wanted {
                let state = if there { "exists" } else { "does not exist" };
                let text = format!("skipped, since '{path}' {state}");
                return Ok(Outcome::ok().with("stdout", text.as_str()).msg(text));
            }
        }
        let scratch = Scratch::new()?;
        let output = scratch.file("content");
        let (body, kind) = self.body(cx)?;
        let headers = kind.map(|kind| ("Content-Type", kind.to_owned()));
        let safe = ["GET", "HEAD"].contains(&self.method.as_str());
        let response = self.connection.send(
            cx,
            &Request {
                method: &self.method,
                body: body.as_deref(),
                headers: headers.into_iter().collect(),
                follow: match self.follow_redirects.as_str() {
                    "all" | "yes" => true,
                    "no" | "none" => false,
                    _ => safe,
                },
                timeout: self.timeout,
                unix_socket: self.unix_socket.as_deref(),
                output: &output,
            },
        )?;
        self.answer(cx, &response, &output)
    }
}

impl Uri {
    /// What is sent, and its type.
    fn body(&self, cx: &Context) -> Result<(Option<Vec<u8>>, Option<&'static str>), Failure> {
        if let Some(src) = &self.src {
            if self.body.is_some() {
                return Err(Failure::new("only one of body and src can be given"));
            }
            if !self.remote_src {
                return Err(Failure::new(
                    "uri: src of the controller isn't supported: copy it to the host first and say remote_src: true, or give body: \"{{ lookup('file', …) }}\"",
                ));
            }
            let path = cx.expand(src);
            let bytes =
                fs::read(&path).map_err(|error| Failure::io("cannot read", &path, &error))?;
            return Ok((Some(bytes), None));
        }
        let Some(body) = &self.body else {
            return Ok((None, None));
        };
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Ok(match self.body_format.as_str() {
            "json" => (Some(text(body).into_bytes()), Some("application/json")),
            "form-urlencoded" => (
                Some(form(body)?.into_bytes()),
                Some("application/x-www-form-urlencoded"),
            ),
            "form-multipart" => {
                return Err(Failure::new(
                    "uri: body_format form-multipart isn't supported: use `command: curl -F …`",
                ));
            }
            _ => (Some(text(body).into_bytes()), None),
        })
    }

    fn answer(&self, cx: &Context, response: &Response, output: &Path) -> Result<Outcome, Failure> {
        let kind = response.header("content_type").to_lowercase();
        let is_json = kind
            .split(';')
            .next()
            .is_some_and(|kind| kind.contains("json") || kind.trim().ends_with("javascript"));
        let mut outcome = Outcome::ok();
        outcome.data.extend(response.headers.clone());
        let status = if response.status < 0 {
            response.reason.clone()
        } else if response.status >= 400 {
            format!("HTTP Error {}: {}", response.status, response.reason)
        } else {
            let size = response.header("content_length");
            let size = if size.is_empty() { "unknown" } else { size };
            format!("{} ({size} bytes)", response.reason)
        };
        let cookies: Map<String, Value> = response
            .cookies
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().into()))
            .collect();
        let line: Vec<String> = response
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        outcome = outcome
            .with("status", response.status)
            .with("url", response.url.as_str())
            .with("redirected", response.redirected)
            .with("elapsed", response.elapsed)
            .with("cookies", cookies)
            .with("cookies_string", line.join("; "))
            .msg(status.as_str());
        let fine = self.status_code.contains(&response.status);
        if is_json || self.return_content {
            let bytes = fs::read(output).unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes);
            if is_json && let Ok(json) = serde_json::from_str::<Value>(&text) {
                outcome = outcome.with("json", json);
            }
            if self.return_content {
                outcome = outcome.with("content", text.into_owned());
            }
        }
        if !fine {
            let codes: Vec<String> = self.status_code.iter().map(ToString::to_string).collect();
            let mut failure = Failure::new(format!(
                "Status code was {} and not [{}]: {status}",
                response.status,
                codes.join(", ")
            ));
            outcome.data.remove("msg");
            failure.data = outcome.data;
            return Err(failure);
        }
        match &self.dest {
            Some(dest) => self.keep(cx, outcome, response, &cx.expand(dest), output),
            None => Ok(outcome),
        }
    }

    /// Writes the content to `dest`.
    fn keep(
        &self,
        cx: &Context,
        mut outcome: Outcome,
        response: &Response,
        dest: &Path,
        output: &Path,
    ) -> Result<Outcome, Failure> {
        let dest: PathBuf = if dest.is_dir() {
            let name = disposition(response.header("content_disposition"))
                .or_else(|| file_name(&response.url))
                .unwrap_or("index.html");
            dest.join(name)
        } else {
            dest.to_path_buf()
        };
        if !output.exists() {
            fs::write(output, b"").map_err(|error| Failure::io("cannot write", output, &error))?;
        }
        let failed = |error: std::io::Error| Failure::io("cannot read", output, &error);
        let new = sha1(output).map_err(failed)?;
        let old = fs::symlink_metadata(&dest).ok();
        let wanted = self.ownership.resolve(cx)?;
        if !dest.is_file() || sha1(&dest).ok().as_deref() != Some(&new) {
            let mut input = File::open(output).map_err(failed)?;
            let size = input.metadata().map_err(failed)?.len();
            let mut content = Content {
                input: &mut input,
                size,
            };
            Rewrite::default().put(cx, &dest, wanted.attributes(old.as_ref()), &mut content)?;
            outcome.changed = true;
        }
        outcome.changed |= wanted.apply(cx, &dest, &mut Changes::default())?;
        outcome
            .data
            .insert("path".to_owned(), dest.to_string_lossy().into());
        outcome.data.extend(describe(&dest));
        Ok(outcome)
    }
}

/// `a=1&b=x+y` of a mapping or of pairs; text is taken as it is.
fn form(body: &Value) -> Result<String, Failure> {
    let mut pairs = Vec::new();
    let wrong = || {
        Failure::new("a body of body_format form-urlencoded is a mapping, a list of pairs, or text")
    };
    let mut add = |name: &str, value: &Value| {
        let values = match value {
            Value::Array(values) => values.clone(),
            one => vec![one.clone()],
        };
        for value in values {
            let text = match &value {
                Value::String(text) => text.clone(),
                Value::Bool(true) => "True".to_owned(),
                Value::Bool(false) => "False".to_owned(),
                other => other.to_string(),
            };
            pairs.push(format!("{}={}", encoded(name), encoded(&text)));
        }
    };
    match body {
        Value::String(text) => return Ok(text.clone()),
        Value::Object(entries) => entries.iter().for_each(|(name, value)| add(name, value)),
        Value::Array(items) => {
            for item in items {
                match item.as_array().map(Vec::as_slice) {
                    Some([Value::String(name), value]) => add(name, value),
                    _ => return Err(wrong()),
                }
            }
        }
        _ => return Err(wrong()),
    }
    Ok(pairs.join("&"))
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b' ' => "+".to_owned(),
            plain if plain.is_ascii_alphanumeric() || b"_.-~".contains(&plain) => {
                char::from(plain).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}
