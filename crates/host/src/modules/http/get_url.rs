//! `get_url`: a file from a server.

use super::{ARGS, Connection, Request, Response, Scratch, disposition, file_name};
use crate::files;
use crate::modules::ownership::{self, Changes, Ownership, describe};
use crate::modules::rewrite::{Content, Rewrite};
use crate::spec::join;
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Return, Spec};
use serde::Deserialize;
use sha2::Digest;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

#[derive(Deserialize)]
pub struct GetUrl {
    dest: String,
    checksum: String,
    timeout: u64,
    tmp_dest: Option<String>,
    #[serde(flatten)]
    connection: Connection,
    #[serde(flatten)]
    ownership: Ownership,
    #[serde(flatten)]
    rewrite: Rewrite,
}

const OWN: [Arg; 6] = [
    Arg::new("dest", Kind::Path, "File, or directory that it goes into.").required(),
    Arg::new(
        "checksum",
        Kind::Str,
        "ALGORITHM:HASH or ALGORITHM:URL of a list of them (md5, sha1, sha224, sha256, sha384, sha512).",
    )
    .default(""),
    Arg::new("timeout", Kind::Int, "Seconds to connect, and without a byte.").default("10"),
    Arg::new("tmp_dest", Kind::Path, "Directory for the file while it comes."),
    Arg::new("backup", Kind::Bool, "Keep the old file, with the time in its name.").default("no"),
    Arg::new("validate", Kind::Str, "Command that checks the new content; %s is its file."),
];

const ALL: [Arg; 33] = join::<14, 19, 33>(join::<6, 8, 14>(OWN, ownership::ARGS), ARGS);

impl Module for GetUrl {
    const SPEC: Spec = Spec::new(
        "get_url",
        "Downloads a file to the host, with the curl of the host.",
        &ALL,
    )
    .returns(&[
        Return::new(
            "dest, src, url",
            "The file, the temporary one, and the address after redirections.",
        ),
        Return::new(
            "checksum_src, checksum_dest, md5sum",
            "Of what came, and of what was there.",
        ),
        Return::new(
            "status_code, msg, elapsed",
            "What the server answered, and in how many seconds.",
        ),
        Return::new("backup_file", "The copy of the old file, with backup."),
        Return::new("secontext", "The context of SELinux, where that is on."),
        Return::new(
            "owner, group, uid, gid, mode, size, state",
            "Whose the file is, its mode, its length and its kind.",
        ),
    ]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let dest = cx.expand(&self.dest);
        let expected = self.expected(cx)?;
        let mut since = None;
        if !dest.is_dir() && dest.exists() {
            let same = match &expected {
                Some(expected) => Some(expected.fits(&dest)?),
                None => None,
            };
            if same == Some(true) {
                return self.keep(cx, &dest);
            }
            // Without a hash the server is asked whether its file is newer.
            if same.is_none() && !self.connection.force {
                since = modified(&dest);
            }
        }
        self.download(cx, &dest, expected.as_ref(), since)
    }
}

impl GetUrl {
    /// The file is there and stays.
    fn keep(&self, cx: &Context, dest: &Path) -> Result<Outcome, Failure> {
        let mut changes = Changes::of(dest);
        let changed = self.ownership.resolve(cx)?.apply(cx, dest, &mut changes)?;
        let outcome = Outcome::changed(changed)
            .msg("file already exists")
            .with("url", self.connection.url.as_str())
            .with("elapsed", 0);
        Ok(self.described(outcome, dest))
    }

    fn described(&self, mut outcome: Outcome, dest: &Path) -> Outcome {
        outcome
            .data
            .insert("dest".to_owned(), dest.to_string_lossy().into());
        outcome.data.extend(describe(dest));
        outcome
    }

    fn ask(
        &self,
        cx: &Context,
        connection: &Connection,
        method: &str,
        output: &Path,
        since: Option<String>,
    ) -> Result<Response, Failure> {
        let response = connection.send(
            cx,
            &Request {
                method,
                body: None,
                headers: since
                    .map(|time| ("If-Modified-Since", time))
                    .into_iter()
                    .collect(),
                follow: true,
                timeout: self.timeout,
                unix_socket: None,
                output,
            },
        )?;
        // 206 comes for a header Range of the task.
        if [200, 206, 304].contains(&response.status) {
            return Ok(response);
        }
        let reason = if response.status < 0 {
            response.reason.clone()
        } else {
            format!("HTTP Error {}: {}", response.status, response.reason)
        };
        Err(Failure::new(format!(
            "Request failed: {}",
            reason.trim_start_matches("Request failed: ")
        ))
        .with("response", reason)
        .with("status_code", response.status)
        .with("url", connection.url.as_str())
        .with("dest", self.dest.as_str())
        .with("elapsed", response.elapsed))
    }

    fn download(
        &self,
        cx: &Context,
        dest: &Path,
        expected: Option<&Checksum>,
        since: Option<String>,
    ) -> Result<Outcome, Failure> {
        let scratch = Scratch::new()?;
        let method = if cx.check() { "HEAD" } else { "GET" };
        let temporary = match &self.tmp_dest {
            Some(dir) => cx
                .expand(dir)
                .join(format!(".kopsrun-{}", files::random_hex())),
            None => scratch.file("content"),
        };
        let response = self.ask(cx, &self.connection, method, &temporary, since);
        let result =
            response.and_then(|response| self.place(cx, dest, expected, &response, &temporary));
        // In the directory of the task it isn't removed with the others.
        fs::remove_file(&temporary).ok();
        result
    }

    fn place(
        &self,
        cx: &Context,
        dest: &Path,
        expected: Option<&Checksum>,
        response: &Response,
        temporary: &Path,
    ) -> Result<Outcome, Failure> {
        let dest = self.named(dest, response)?;
        let outcome = Outcome::ok()
            .with("url", self.connection.url.as_str())
            .with("status_code", response.status)
            .with("elapsed", response.elapsed)
            .msg(format!(
                "{} ({} bytes)",
                if response.reason.is_empty() {
                    "OK"
                } else {
                    &response.reason
                },
                response
                    .header("content_length")
                    .parse()
                    .unwrap_or(response.size)
            ));
        let wanted = self.ownership.resolve(cx)?;
        let mut changes = Changes::of(&dest);
        if response.status == 304 {
            let mut outcome = outcome;
            outcome.changed = wanted.apply(cx, &dest, &mut changes)?;
            return Ok(self.described(outcome, &dest));
        }
        if cx.check() {
            self.rewrite.would(&dest)?;
            // What the content will be isn't known before it is here.
            let mut outcome = outcome;
            outcome.changed = true;
            return Ok(self.described(outcome, &dest));
        }
        // An empty answer makes no file.
        if !temporary.exists() {
            fs::write(temporary, b"")
                .map_err(|error| Failure::io("cannot write", temporary, &error))?;
        }
        if let Some(expected) = expected
            && !expected.fits(temporary)?
        {
            return Err(Failure::new(format!(
                "The checksum for {} did not match {}; it was {}.",
                dest.display(),
                expected.hash,
                expected.of(temporary)?
            )));
        }
        let failed = |error: std::io::Error| Failure::io("cannot read", temporary, &error);
        let new = files::sha1(temporary).map_err(failed)?;
        let old = fs::symlink_metadata(&dest).ok();
        let before = if old.as_ref().is_some_and(fs::Metadata::is_file) {
            files::sha1(&dest).ok()
        } else {
            None
        };
        let mut outcome = outcome
            .with("checksum_src", new.as_str())
            .with("checksum_dest", before.clone())
            .with("md5sum", files::md5(temporary).map_err(failed)?);
        if before.as_deref() != Some(&new) {
            let mut input = File::open(temporary).map_err(failed)?;
            let size = input.metadata().map_err(failed)?.len();
            let mut content = Content {
                input: &mut input,
                size,
            };
            let attributes = wanted.attributes(old.as_ref());
            if let Some(backup) = self.rewrite.put(cx, &dest, attributes, &mut content)? {
                outcome = outcome.with("backup_file", backup.to_string_lossy());
            }
            outcome.changed = true;
        }
        outcome.changed |= wanted.apply(cx, &dest, &mut changes)?;
        Ok(self.described(outcome, &dest))
    }

    /// The file that is meant; in a directory its name is the server's or that in the URL.
    fn named(&self, dest: &Path, response: &Response) -> Result<PathBuf, Failure> {
        if !dest.is_dir() {
            let dir = files::parent(dest);
            if dir.is_dir() {
                return Ok(dest.to_path_buf());
            }
            return Err(Failure::new(format!(
                "Destination {} does not exist (make it with `file: state=directory`)",
                dir.display()
            )));
        }
        let name = disposition(response.header("content_disposition"))
            .or_else(|| file_name(&response.url))
            .unwrap_or("index.html");
        Ok(dest.join(name))
    }

    fn expected(&self, cx: &Context) -> Result<Option<Checksum>, Failure> {
        if self.checksum.is_empty() {
            return Ok(None);
        }
        let (algorithm, value) = self.checksum.split_once(':').ok_or_else(|| {
            Failure::new("The checksum parameter has to be in format <algorithm>:<checksum>")
        })?;
        let algorithm = algorithm.trim().to_lowercase();
        let value = value.trim();
        if !ALGORITHMS.contains(&algorithm.as_str()) {
            return Err(Failure::new(format!(
                "checksum: the algorithm {algorithm:?} isn't known (known: {})",
                ALGORITHMS.join(", ")
            )));
        }
        let is_url = ["http://", "https://", "ftp://", "file://"]
            .iter()
            .any(|scheme| value.starts_with(scheme));
        let hash = if is_url {
            self.listed(cx, value)?
        } else {
            value.to_lowercase()
        };
        if hash.is_empty() || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Failure::new(format!(
                "The checksum format is invalid: {hash:?}"
            )));
        }
        Ok(Some(Checksum { algorithm, hash }))
    }

    /// The hash of the file in a list of hashes.
    fn listed(&self, cx: &Context, url: &str) -> Result<String, Failure> {
        let scratch = Scratch::new()?;
        let output = scratch.file("list");
        let connection = self.connection.elsewhere(url);
        self.ask(cx, &connection, "GET", &output, None)?;
        let text = fs::read_to_string(&output)
            .map_err(|error| Failure::new(format!("the list {url} can't be read: {error}")))?;
        let name = file_name(&self.connection.url).unwrap_or_default();
        find_hash(&text, name).ok_or_else(|| {
            Failure::new(format!(
                "Unable to find a checksum for file '{name}' in '{url}'"
            ))
        })
    }
}

impl Connection {
    /// The same way to another place.
    fn elsewhere(&self, url: &str) -> Self {
        Self {
            url: url.to_owned(),
            headers: self.headers.clone(),
            url_username: self.url_username.clone(),
            url_password: self.url_password.clone(),
            client_cert: self.client_cert.clone(),
            client_key: self.client_key.clone(),
            ca_path: self.ca_path.clone(),
            ciphers: self.ciphers.clone(),
            http_agent: self.http_agent.clone(),
            ..*self
        }
    }
}

/// When a file was changed, as HTTP writes times.
fn modified(file: &Path) -> Option<String> {
    let time = fs::metadata(file).and_then(|meta| meta.modified()).ok()?;
    let time = jiff::Timestamp::try_from(time).ok()?;
    Some(time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
}

/// Lines of `HASH  NAME` (also `*NAME` and `./NAME`), or nothing but one hash.
pub(super) fn find_hash(text: &str, name: &str) -> Option<String> {
    let lines: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split_whitespace().collect())
        .filter(|words: &Vec<&str>| !words.is_empty())
        .collect();
    let found = match &lines[..] {
        [only] if only.len() == 1 => only[0],
        _ => lines.iter().find_map(|words| match words[..] {
            [hash, file] => {
                let file = file.strip_prefix('*').unwrap_or(file);
                (file.strip_prefix("./").unwrap_or(file) == name).then_some(hash)
            }
            _ => None,
        })?,
    };
    Some(found.to_lowercase())
}

const ALGORITHMS: &[&str] = &["md5", "sha1", "sha224", "sha256", "sha384", "sha512"];

struct Checksum {
    algorithm: String,
    /// Hexadecimal, small letters.
    hash: String,
}

impl Checksum {
    fn fits(&self, file: &Path) -> Result<bool, Failure> {
        Ok(self.of(file)? == self.hash)
    }

    fn of(&self, file: &Path) -> Result<String, Failure> {
        match self.algorithm.as_str() {
            "md5" => digest::<md5::Md5>(file),
            "sha224" => digest::<sha2::Sha224>(file),
            "sha256" => digest::<sha2::Sha256>(file),
            "sha384" => digest::<sha2::Sha384>(file),
            "sha512" => digest::<sha2::Sha512>(file),
            _ => files::sha1(file),
        }
        .map_err(|error| Failure::io("cannot read", file, &error))
    }
}

fn digest<D: Digest>(file: &Path) -> std::io::Result<String> {
    let mut hasher = D::new();
    let mut input = File::open(file)?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match input.read(&mut buffer)? {
            0 => return Ok(files::hex(&hasher.finalize())),
            count => hasher.update(&buffer[..count]),
        }
    }
}
