//! Facts: the cache (one JSON file a host, as Ansible's `jsonfile`), and what `kopsrun facts` does.

use super::hands::Connect;
use super::request::{FactSettings, PlayError, Request, Source, Summary};
use super::run::Run;
use crate::content::inventory::{HostName, Unknown};
use crate::content::value::Value;
use crate::journal::Sink;
use indexmap::IndexMap;
use serde_json::{Map, Value as Json};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// A directory with one file for each host.
#[derive(Debug, Clone)]
pub struct Cache {
    dir: PathBuf,
    /// Begins the names of all files.
    prefix: String,
    /// Older files count as absent. Zero: they never get old.
    ttl: Duration,
}

/// A host's facts in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub host: String,
    pub age: Duration,
    /// Too old to be used.
    pub stale: bool,
}

impl Cache {
    /// The cache of a request, when it has one.
    pub fn of(settings: &FactSettings) -> Option<Self> {
        settings.cache.as_ref().map(|dir| Self {
            dir: dir.clone(),
            prefix: settings.prefix.clone(),
            ttl: settings.ttl,
        })
    }

    pub fn new(dir: &Path, prefix: &str, ttl: Duration) -> Self {
        Self {
            dir: dir.to_owned(),
            prefix: prefix.to_owned(),
            ttl,
        }
    }

    /// A name with a slash can't leave the directory.
    fn file(&self, host: &str) -> PathBuf {
        let name = format!("{}{host}", self.prefix).replace('/', "_");
        match name.as_str() {
            "." | ".." => self.dir.join(format!("_{name}")),
            _ => self.dir.join(name),
        }
    }

    /// The facts of a host; none when there are none, or too old ones. A file that isn't JSON is an error.
    pub fn load(&self, host: &str) -> io::Result<Option<Map<String, Json>>> {
        let path = self.file(host);
        match self.age(&path) {
            Ok(age) if self.is_stale(age) => return Ok(None),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        }
        match serde_json::from_slice(&fs::read(&path)?) {
            Ok(Json::Object(facts)) => Ok(Some(facts)),
            Ok(_) => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "it doesn't hold facts",
            )),
            Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        }
    }

    /// Writes the facts of a host: beside, then in place, readable by the operator only.
    pub fn save(&self, host: &str, facts: &IndexMap<String, Value>) -> io::Result<()> {
        use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.dir)?;
        let path = self.file(host);
        let beside = self.dir.join(format!(
            ".{}.{}",
            path.file_name().unwrap_or_default().to_string_lossy(),
            std::process::id()
        ));
        let all: Map<String, Json> = facts
            .iter()
            .map(|(name, value)| (name.clone(), value.to_json()))
            .collect();
        let write = || {
            let mut file = fs::OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&beside)?;
            file.write_all(&serde_json::to_vec_pretty(&all)?)?;
            file.sync_all()?;
            fs::rename(&beside, &path)
        };
        let written = write();
        if written.is_err() {
            drop(fs::remove_file(&beside));
        }
        written?;
        fs::File::open(&self.dir)?.sync_all()
    }

    /// Forgets the facts of a host. True when there were some.
    pub fn clear(&self, host: &str) -> io::Result<bool> {
        match fs::remove_file(self.file(host)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// All hosts in the cache, by name.
    pub fn list(&self) -> io::Result<Vec<Entry>> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some(host) = name.strip_prefix(&self.prefix).map(str::to_owned) else {
                continue;
            };
            if name.starts_with('.') || !entry.file_type()?.is_file() {
                continue;
            }
            let age = self.age(&entry.path())?;
            found.push(Entry {
                host,
                age,
                stale: self.is_stale(age),
            });
        }
        found.sort_by(|a, b| a.host.cmp(&b.host));
        Ok(found)
    }

    fn age(&self, path: &Path) -> io::Result<Duration> {
        let written = fs::metadata(path)?.modified()?;
        Ok(SystemTime::now()
            .duration_since(written)
            .unwrap_or_default())
    }

    fn is_stale(&self, age: Duration) -> bool {
        !self.ttl.is_zero() && age > self.ttl
    }
}

impl Run {
    /// Reads what the cache knows of every host of the inventory, or forgets it when that was asked for.
    pub(super) fn load_facts(&self) {
        let Some(cache) = &self.cache else { return };
        let inventory = self.store.inventory();
        // As in Ansible: `--limit` says whose facts are forgotten.
        let limited = self.request.limit.as_deref().and_then(|limit| {
            let selected = inventory.select("all", Some(limit), Unknown::Warn);
            Some(selected.ok()?.hosts)
        });
        let hosts: Vec<HostName> = inventory.hosts();
        for host in hosts {
            if self.request.facts.flush
                && limited.as_ref().is_none_or(|in_it| in_it.contains(&host))
            {
                if let Err(error) = cache.clear(&host) {
                    self.warn(&format!("facts of {host} can't be forgotten: {error}"));
                }
                continue;
            }
            match cache.load(&host) {
                Ok(Some(facts)) => {
                    let facts = facts
                        .iter()
                        .map(|(name, value)| (name.clone(), Value::from_json(value)));
                    self.store.learned(&host).add_facts(facts);
                }
                Ok(None) => {}
                Err(error) => self.warn(&format!(
                    "facts of {host} in the cache can't be read: {error}"
                )),
            }
        }
    }
}

/// Gathers the facts of the hosts of a pattern into the cache that the request names.
pub async fn gather(
    request: &Request,
    pattern: &str,
    connect: Arc<dyn Connect>,
    sink: Arc<dyn Sink>,
) -> Result<Summary, PlayError> {
    let mut request = request.clone();
    request.source = Source::Task {
        pattern: pattern.to_owned(),
        module: "setup".to_owned(),
        args: String::new(),
    };
    super::run(&request, connect, sink).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(name: &str) -> IndexMap<String, Value> {
        IndexMap::from([("ansible_hostname".to_owned(), Value::from(name))])
    }

    #[test]
    fn facts_come_back_until_they_are_old_or_cleared() {
        let dir = tempfile::tempdir().expect("a directory");
        let cache = Cache::new(&dir.path().join("facts"), "", Duration::from_secs(60));
        assert!(cache.load("node1").expect("no file is fine").is_none());
        cache.save("node1", &facts("one")).expect("written");
        cache
            .save("../node2", &facts("two"))
            .expect("written inside");
        let back = cache.load("node1").expect("read").expect("there");
        assert_eq!(back["ansible_hostname"], "one");
        let names: Vec<String> = cache
            .list()
            .expect("listed")
            .into_iter()
            .map(|entry| entry.host)
            .collect();
        assert_eq!(
            names,
            [".._node2", "node1"]
                .into_iter()
                .filter(|name| !name.starts_with('.'))
                .collect::<Vec<_>>()
        );
        let old = SystemTime::now() - Duration::from_secs(120);
        fs::File::open(cache.file("node1"))
            .and_then(|file| file.set_modified(old))
            .expect("aged");
        assert!(cache.load("node1").expect("read").is_none());
        assert!(cache.list().expect("listed")[0].stale);
        assert!(
            Cache::new(&dir.path().join("facts"), "", Duration::ZERO)
                .load("node1")
                .expect("read")
                .is_some()
        );
        assert!(cache.clear("node1").expect("removed"));
        assert!(!cache.clear("node1").expect("nothing left"));
    }

    #[test]
    fn a_broken_file_is_an_error_and_stays() {
        let dir = tempfile::tempdir().expect("a directory");
        let cache = Cache::new(dir.path(), "", Duration::ZERO);
        fs::write(dir.path().join("node1"), "{torn").expect("written");
        assert_eq!(
            cache.load("node1").map_err(|error| error.kind()),
            Err(io::ErrorKind::InvalidData)
        );
        assert!(dir.path().join("node1").exists());
    }
}
