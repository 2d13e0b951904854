//! What this machine can do at once.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Hosts for each processor: they wait most of the time.
const PER_PROCESSOR: usize = 64;

/// How many hosts work at the same time when nobody says: more with more processors, and no more than half of the files
/// that may be open.
pub(super) fn forks() -> usize {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    limited(processors, usize::try_from(files).unwrap_or(usize::MAX))
}

fn limited(processors: usize, files: usize) -> usize {
    let most = (files / 2).clamp(1, 1000);
    (processors * PER_PROCESSOR).min(most)
}

/// A connection is an open file and stays open for the run: a thousand of them are more than shells allow at first, and
/// less than they may be asked for.
pub(super) fn open_many_files() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current < limit.maximum || limit.maximum.is_none() && limit.current.is_some() {
        let more = Rlimit {
            current: limit.maximum,
            ..limit
        };
        // Where it isn't allowed, connections fail one by one and say so.
        setrlimit(Resource::Nofile, more).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::limited;

    #[test]
    fn few_files_or_processors_mean_few_hosts() {
        assert_eq!(limited(1, 1_000_000), 64);
        assert_eq!(limited(2, 1_000_000), 128);
        assert_eq!(limited(64, 1_000_000), 1000);
        assert_eq!(limited(8, 256), 128);
        assert_eq!(limited(1, 1), 1);
    }
}
