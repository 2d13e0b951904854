//! Starting the agent on a host with one command: it runs the program that is there already, found by its hash, or
//! receives it on standard input.
//!
//! The folder must be ours and able to execute, and so must the file. What is received is checked by gzip's own sum, and
//! without gzip by its hash. A file that is there is hashed only after it didn't start (`careful`): else the command forks
//! nothing, because hashing five megabytes took as long as all the rest that a log-in costs the host.

use super::settings::{AgentProgram, Agents};
use flate2::Compression;
use flate2::write::GzEncoder;
use host::wire::{Control, Decoder, Frame, Hello};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::OnceLock;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// What the script's own lines begin with.
const MARK: &str = "kopsrun-boot ";

/// How much a host may say before it must have said something that we understand.
const MOST_NOISE: usize = 64 * 1024;

/// The part of the script that doesn't depend on the programs. It runs under any POSIX shell; it has no single quote,
/// no newline and no exclamation mark, so that csh, fish and zsh hand it on as it is.
///
/// The search works with a umask and a locale of its own; the agent, and what tasks make, get the login's (`$o`, `$l`).
/// `q DIR` runs the program if it is there, by what the shell can see without forking. `t DIR` tries one folder and only
/// returns when it can't be used. `$h` is the wanted SHA-256, `$v` is set when files are to be hashed, `$skip` holds
/// folders that failed before, `$r` collects reasons as `DIR=REASON|`.
const FUNCTIONS: &str = concat!(
    "k() { sha256sum < \"$1\" 2>/dev/null || openssl dgst -sha256 -r < \"$1\" 2>&1; }; ",
    "n() { r=\"$r$d=$1|\"; }; ",
    "x() { if [ -x \"$f\" ]; then echo \"kopsrun-boot run $d\"; if [ \"$o\" ]; then umask $o; ",
    "if [ -n \"$l\" ]; then LC_ALL=$l; else unset LC_ALL; fi; fi; exec \"$f\" --stdio; fi; }; ",
    "q() { d=$1; f=$d/agent-$h; case \"$v $skip \" in *\" $d \"* | v*) return;; esac; if [ -L \"$d\" ]; then return; fi; ",
    "if [ -O \"$d\" ] && [ -f \"$f\" ] && [ -O \"$f\" ]; then x; fi; }; ",
    "t() { d=$1; f=$d/agent-$h; ",
    "case \" $skip \" in *\" $d \"*) n \"cannot execute here\"; return;; esac; ",
    "if [ -L \"$d\" ]; then n \"is a symbolic link\"; return; fi; ",
    "if [ -d \"$d\" ]; then :; else e=$(mkdir -p \"$d\" 2>&1) || { n \"$e\"; return; }; fi; ",
    "if [ -O \"$d\" ]; then :; else n \"belongs to somebody else\"; return; fi; ",
    "case $(ls -ld \"$d\") in drwx------*) ;; *) chmod 700 \"$d\" || { n \"mode is not 0700\"; return; };; esac; ",
    "if [ -f \"$f\" ] && [ -O \"$f\" ]; then case ${v:-$h}$(if [ \"$v\" ]; then k \"$f\"; fi) in v$h* | $h) ",
    "x; n \"mounted noexec\"; return;; esac; fi; ",
    "p=$d/t.$$; e=$({ : > \"$p\"; } 2>&1) || { n \"$e\"; return; }; chmod 700 \"$p\"; ",
    "if [ -x \"$p\" ]; then :; else rm -f \"$p\"; n \"mounted noexec\"; return; fi; ",
    "echo \"kopsrun-boot need $a $z $d\"; read -r c || exit 0; ",
    "e=$({ head -c \"$c\" | { $u > \"$p\"; s=$?; cat > /dev/null; exit $s; }; } 2>&1) ",
    "|| { rm -f \"$p\"; n \"$e\"; return; }; ",
    "case $z$v in gz) ;; *) case $(k \"$p\") in $h*) ;; *) e=$(k \"$p\"); rm -f \"$p\"; ",
    "n \"damaged on the way: $e\"; return;; esac;; esac; ",
    "rm -f \"$d\"/agent-*; mv -f \"$p\" \"$f\" || { n \"cannot rename\"; return; }; ",
    "find \"$d\" -name \"t.*\" -mtime +0 -exec rm -f {} + 2>/dev/null; ",
    "x; n \"cannot execute here\"; }; ",
    "b=${XDG_CACHE_HOME:-$HOME/.cache}/kopsrun; ",
);

/// The folders, in the order in which they are tried.
const SEARCH: &str = concat!(
    "if command -v gzip > /dev/null 2>&1; then z=gz; u=\"gzip -dc\"; else z=raw; u=cat; fi; ",
    "t \"$b\"; i=$(id -u); ",
    "t /var/tmp/kopsrun-$i; t /run/user/$i/kopsrun; t /dev/shm/kopsrun-$i; t /tmp/kopsrun-$i; ",
    "echo \"kopsrun-boot fail $r\" | tr \"\\n\" \" \"; echo",
);

/// Agent programs, read and hashed once.
#[derive(Debug, Default)]
pub(super) struct Programs {
    programs: Vec<Prepared>,
}

#[derive(Debug)]
struct Prepared {
    arch: String,
    bytes: Vec<u8>,
    sha256: String,
    gzipped: OnceLock<Vec<u8>>,
}

impl Programs {
    /// Blocking: reads files. The error names the file.
    pub(super) fn load(agents: &Agents) -> Result<Self, String> {
        let mut programs = Vec::new();
        for (arch, program) in agents.iter() {
            let bytes = match program {
                AgentProgram::Embedded(bytes) => bytes.to_vec(),
                AgentProgram::File(path) => std::fs::read(path)
                    .map_err(|error| format!("agent program {}: {error}", path.display()))?,
            };
            let sha256 = Sha256::digest(&bytes)
                .iter()
                .fold(String::new(), |mut hex, byte| {
                    write!(hex, "{byte:02x}").expect("a String takes all");
                    hex
                });
            programs.push(Prepared {
                arch: arch.to_owned(),
                bytes,
                sha256,
                gzipped: OnceLock::new(),
            });
        }
        if programs.is_empty() {
            return Err(
                "this kopsrun carries no agent program; build one with `cargo xtask agent`"
                    .to_owned(),
            );
        }
        Ok(Self { programs })
    }

    /// The command for a login shell of any kind. `careful`: a program that is there already is hashed before it runs.
    pub(super) fn command(&self, careful: bool, skip: &[String]) -> String {
        let mut cases = String::new();
        for program in &self.programs {
            let others = match program.arch.as_str() {
                "x86_64" => "|amd64",
                "aarch64" => "|arm64",
                _ => "",
            };
            write!(
                cases,
                "{}{others}) a={}; h={};; ",
                program.arch, program.arch, program.sha256
            )
            .expect("a String takes all");
        }
        // A program that is there must be for this machine: with one alone there is nothing to ask.
        let quick = match &self.programs[..] {
            [only] => format!("h={}; q \"$b\"; ", only.sha256),
            _ => String::new(),
        };
        format!(
            "exec /bin/sh -c 'v={}; skip=\"{}\"; {FUNCTIONS}{quick}\
             o=$(umask); l=$LC_ALL; LC_ALL=C; export LC_ALL; umask 077; m=$(uname -m); \
             case $m in {cases}*) echo \"kopsrun-boot arch $m\"; exit 0;; esac; {SEARCH}'",
            if careful { "v" } else { "" },
            skip.join(" ")
        )
    }

    fn payload(&self, arch: &str, gzip: bool) -> Option<&[u8]> {
        let program = self.programs.iter().find(|p| p.arch == arch)?;
        if !gzip {
            return Some(&program.bytes);
        }
        Some(program.gzipped.get_or_init(|| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(&program.bytes).expect("memory takes all");
            encoder.finish().expect("memory takes all")
        }))
    }
}

/// Why there is no agent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BootFault {
    /// The stream ended; what the host said so far.
    Ended {
        said: String,
        ran_in: Option<String>,
    },
    /// Nothing came within the time limit.
    Silent {
        said: String,
    },
    UnsupportedArch(String),
    /// No folder could be used: each with its reason.
    NoFolder(Vec<(String, String)>),
    Broken(String),
}

/// Speaks with the script, or with an agent that is started directly, until the agent says hello.
pub(super) async fn boot(
    reader: &mut (dyn AsyncRead + Send + Unpin),
    writer: &mut (dyn AsyncWrite + Send + Unpin),
    programs: Option<&Programs>,
    limit: Duration,
) -> Result<(Decoder, Hello), BootFault> {
    let mut decoder = Decoder::new();
    let mut lines = Lines::default();
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let count = match timeout(limit, reader.read(&mut buffer)).await {
            Err(_) => {
                return Err(BootFault::Silent {
                    said: lines.noise(),
                });
            }
            Ok(Ok(0) | Err(_)) => {
                return Err(BootFault::Ended {
                    said: lines.noise(),
                    ran_in: lines.ran_in,
                });
            }
            Ok(Ok(count)) => count,
        };
        decoder.push(&buffer[..count]);
        match decoder.next_frame() {
            Ok(Some(Frame::Control(Control::Hello(hello)))) => return Ok((decoder, hello)),
            Ok(Some(_)) => {
                return Err(BootFault::Broken(
                    "the agent's first frame is no hello".to_owned(),
                ));
            }
            Err(error) => return Err(BootFault::Broken(error.to_string())),
            Ok(None) => {}
        }
        if decoder.started() {
            continue;
        }
        for line in lines.push(&buffer[..count]) {
            if let Some((arch, gzip)) = needed(&line) {
                let payload = programs.and_then(|p| p.payload(arch, gzip));
                let Some(payload) = payload else {
                    return Err(BootFault::Broken(format!(
                        "the host asks for an agent that there isn't: {line}"
                    )));
                };
                // An error here is an end of the stream, which the next read tells with more words.
                drop(upload(writer, payload, limit).await);
            } else if let Some(fault) = lines.heed(&line) {
                return Err(fault);
            }
        }
    }
}

fn needed(line: &str) -> Option<(&str, bool)> {
    let mut words = line.strip_prefix("need ")?.split(' ');
    let arch = words.next()?;
    Some((arch, words.next()? == "gz"))
}

async fn upload(
    writer: &mut (dyn AsyncWrite + Send + Unpin),
    payload: &[u8],
    limit: Duration,
) -> io::Result<()> {
    writer
        .write_all(format!("{}\n", payload.len()).as_bytes())
        .await?;
    for part in payload.chunks(64 * 1024) {
        timeout(limit, writer.write_all(part))
            .await
            .map_err(io::Error::other)??;
    }
    writer.flush().await
}

/// The script's lines among what a login shell may print.
#[derive(Debug, Default)]
struct Lines {
    text: Vec<u8>,
    noise: Vec<u8>,
    ran_in: Option<String>,
}

impl Lines {
    /// Takes bytes; gives the script's lines that became whole.
    fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        self.text.extend_from_slice(bytes);
        let mut found = Vec::new();
        while let Some(end) = self.text.iter().position(|b| *b == b'\n') {
            let rest = self.text.split_off(end + 1);
            let line = std::mem::replace(&mut self.text, rest);
            match String::from_utf8_lossy(&line).trim_end().strip_prefix(MARK) {
                Some(line) => found.push(line.to_owned()),
                None if self.noise.len() < MOST_NOISE => self.noise.extend_from_slice(&line),
                None => {}
            }
        }
        found
    }

    fn heed(&mut self, line: &str) -> Option<BootFault> {
        if let Some(folder) = line.strip_prefix("run ") {
            self.ran_in = Some(folder.to_owned());
        } else if let Some(arch) = line.strip_prefix("arch ") {
            return Some(BootFault::UnsupportedArch(arch.to_owned()));
        } else if let Some(reasons) = line.strip_prefix("fail ") {
            let each = reasons
                .split('|')
                .filter_map(|one| one.trim().split_once('='));
            return Some(BootFault::NoFolder(
                each.map(|(d, r)| (d.to_owned(), r.to_owned())).collect(),
            ));
        }
        None
    }

    fn noise(&self) -> String {
        let mut all = self.noise.clone();
        all.extend_from_slice(&self.text);
        let text = String::from_utf8_lossy(&all);
        text.trim()
            .chars()
            .filter(|c| !c.is_control() || *c == '\n')
            .take(400)
            .collect()
    }
}

/// A folder that may be named in the next script: nothing in it means anything to a shell.
pub(super) fn is_plain(folder: &str) -> bool {
    folder.starts_with('/')
        && folder
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"/._-".contains(&b))
}

#[cfg(test)]
mod tests;
