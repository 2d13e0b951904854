//! The lists of packages: how old they are, and fetching them.

use super::command::AptGet;
use crate::{Context, Failure};
use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const LISTS: &str = "/var/lib/apt/lists";

/// How often fetching is tried again, and how long at most it is waited in between.
#[derive(Clone, Copy)]
pub(in crate::modules) struct Retries {
    pub(in crate::modules) count: u64,
    /// Seconds.
    pub(in crate::modules) max_delay: u64,
}

/// When the lists were fetched, in seconds since 1970 (0: never), and how long ago that is.
pub(super) fn age() -> (u64, Duration) {
    // Images come with an empty directory that looks young.
    let any = fs::read_dir(LISTS)
        .into_iter()
        .flatten()
        .flatten()
        .any(|entry| entry.file_name().to_string_lossy().contains("_Packages"));
    if !any {
        return (0, Duration::MAX);
    }
    let fetched = ["/var/lib/apt/periodic/update-success-stamp", LISTS]
        .iter()
        .filter_map(|path| fs::metadata(path).ok()?.modified().ok())
        .max()
        .unwrap_or(UNIX_EPOCH);
    let since = fetched
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    // Lists from the future are not old.
    let age = SystemTime::now().duration_since(fetched);
    (since, age.unwrap_or_default())
}

/// Fetches the lists. A repository that can't be reached is a failure, as in Ansible and not as for apt-get, which
/// goes on with the lists that it has.
pub(in crate::modules) fn update(
    cx: &Context,
    apt: &AptGet,
    retries: Retries,
) -> Result<(), Failure> {
    let mut tried = 0;
    loop {
        let output = apt.run(cx, &["update"])?;
        let said = output.stderr_text();
        let trouble: Vec<&str> = said
            .lines()
            .filter(|line| line.starts_with("E: ") || line.starts_with("W: Failed to fetch"))
            .collect();
        if output.ok() && trouble.is_empty() {
            return Ok(());
        }
        if tried >= retries.count {
            let said = if trouble.is_empty() {
                said.trim().to_owned()
            } else {
                trouble.join("; ")
            };
            return Err(Failure::new(format!(
                "Failed to update apt cache after {} retries: {said}",
                retries.count
            ))
            .with("rc", output.rc)
            .with("stderr", output.stderr_text()));
        }
        let delay = (1_u64 << tried.min(16)).min(retries.max_delay);
        tried += 1;
        cx.sleep(Duration::from_secs(delay))?;
    }
}
