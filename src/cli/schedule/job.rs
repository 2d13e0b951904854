//! One run of a job: take a set, prove it, let old ones go, tell how it went.

use super::{broken, jobs, known};
use crate::backup;
use crate::cli::context::Context;
use crate::cli::failure::{Failure, Kind};
use crate::ops::schedule::{History, Job, metrics, put};
use jiff::Timestamp;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

pub(super) fn run(name: &str, context: &Context) -> Result<u8, Failure> {
    let jobs = jobs(context);
    let job = known(&jobs, name)?;
    let Some(_lock) = jobs.lock(name).map_err(broken)? else {
        return Err(Failure::new(
            Kind::Locked,
            format!("{name} is still running"),
        ));
    };
    let mut history = jobs.history(name);
    history.started = Some(Timestamp::now());
    let begin = Instant::now();
    let result = work(&job, &mut history, context);
    history.seconds = begin.elapsed().as_secs_f64();
    match &result {
        Ok(()) => {
            history.failures = 0;
            history.message = "done".to_owned();
        }
        Err((_, why)) => {
            history.failures += 1;
            history.message.clone_from(why);
        }
    }
    jobs.remember(name, &history).map_err(broken)?;
    if let Some(file) = &job.metrics {
        // Whoever collects them is another user.
        put(file, metrics(name, &history).as_bytes(), 0o644)
            .map_err(|e| Failure::new(Kind::Broken, format!("{}: {e}", file.display())))?;
    }
    match result {
        Ok(()) => {
            if let Some(url) = &job.ping {
                ping(url)?;
            }
            Ok(0)
        }
        Err((code, why)) => {
            context.print(&format!("{name} failed: {why}\n"))?;
            Ok(code)
        }
    }
}

/// The commands of the job in their order; the exit code and the name of the first that fails.
fn work(job: &Job, history: &mut History, context: &Context) -> Result<(), (u8, String)> {
    let command = |words: &[String]| {
        let failed = |code, why: String| (code, format!("{}: {why}", words[..2].join(" ")));
        match crate::cli::again(words, &job.directory) {
            Ok(0) => Ok(()),
            Ok(code) => Err(failed(code, format!("exit code {code}"))),
            Err(failure) => {
                let why = failure.faults.first().map(|f| f.message.clone());
                crate::cli::report(&failure, context);
                Err(failed(failure.kind.code(), why.unwrap_or_default()))
            }
        }
    };
    command(&job.create)?;
    history.succeeded = Some(Timestamp::now());
    describe(job, history, context);
    if let Some(words) = &job.drill {
        command(words)?;
        history.verified = Some(Timestamp::now());
    }
    // Old ones go only after a new one was taken, and proven where that was asked for.
    if let Some(words) = &job.prune {
        command(words)?;
    }
    Ok(())
}

/// What the newest set is like.
fn describe(job: &Job, history: &mut History, context: &Context) {
    let named = job
        .create
        .iter()
        .find_map(|word| word.strip_prefix("--backups-dir="));
    let root = named.map_or_else(|| context.state().join("backups"), PathBuf::from);
    let Ok(found) = backup::list(&root) else {
        return;
    };
    if let Some(set) = found.sets.last() {
        let manifest = &set.manifest;
        history.set = Some(manifest.set.clone());
        history.size = manifest.stored.iter().map(|s| s.size).sum();
        let snapshot = manifest.snapshot.as_ref();
        history.revision = snapshot.map_or(0, |s| s.summary.revision);
    }
}

/// By curl, and by its standard input: such URLs are secrets.
fn ping(url: &str) -> Result<(), Failure> {
    let failed = |why: String| Failure::new(Kind::Failed, format!("the ping failed: {why}"));
    let mut child = Command::new("curl")
        .args([
            "-fsS",
            "-m",
            "20",
            "--retry",
            "3",
            "-o",
            "/dev/null",
            "-K",
            "-",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(format!("curl: {error}")))?;
    let quoted = url.replace('\\', "\\\\").replace('"', "\\\"");
    if let Some(stdin) = child.stdin.as_mut() {
        writeln!(stdin, "url = \"{quoted}\"").map_err(|error| failed(error.to_string()))?;
    }
    let output = child
        .wait_with_output()
        .map_err(|error| failed(error.to_string()))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(failed(
            String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        )),
    }
}
