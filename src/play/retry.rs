//! Retry files: the hosts on which a playbook failed, one a line, for `--limit @FILE`.

use super::hosts::Recap;
use super::request::{Request, Retry};
use crate::journal::{Event, Level, Sink};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Writes the file where the request wants one and hosts failed, and tells how it is used.
pub(super) fn write(playbook: &Path, request: &Request, recap: &Recap, sink: &dyn Sink) {
    let hosts = recap.lost_or_failed();
    let Some(path) = path(playbook, &request.retry).filter(|_| !hosts.is_empty()) else {
        return;
    };
    let list: String = hosts.iter().map(|host| format!("{host}\n")).collect();
    let (level, text) = match store(&path, &list) {
        Ok(()) => (
            Level::Info,
            format!("\tto retry, use: --limit @{}", path.display()),
        ),
        Err(error) => (
            Level::Warning,
            format!(
                "Could not create retry file '{}'.         {error}",
                path.display()
            ),
        ),
    };
    sink.emit(Event::Note {
        level,
        text,
        host: None,
    });
}

fn path(playbook: &Path, retry: &Retry) -> Option<PathBuf> {
    let playbook = std::path::absolute(playbook).ok()?;
    let dir = match retry {
        Retry::Never => return None,
        Retry::BesidePlaybook => playbook.parent()?.to_owned(),
        Retry::In(dir) => dir.clone(),
    };
    let name = playbook.file_stem()?.to_string_lossy();
    Some(dir.join(format!("{name}.retry")))
}

/// Beside its place first, so that nobody finds half of a list.
fn store(path: &Path, list: &str) -> std::io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(dir)?;
    let fresh = path.with_extension("retry.new");
    let mut file = std::fs::File::create(&fresh)?;
    file.write_all(list.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(fresh, path)
}
