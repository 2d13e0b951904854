//! Single objects of a snapshot, and what differs between two, read from the files alone.

use super::bolt::{Store, Unsound, Visit};
use super::check::SEAL;
use super::keyspace::{KEYS, read, resource};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

/// Fields of mvccpb.KeyValue.
const CREATED: u64 = 2;
const VERSION: u64 = 4;
const VALUE: u64 = 5;
/// So many keys are named where one isn't found.
const NEAR: usize = 8;

/// A key at the latest revision of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub key: Vec<u8>,
    /// When it was written last, and first.
    pub revision: i64,
    pub created: i64,
    /// How often it was written since it was created.
    pub version: i64,
    pub value: Vec<u8>,
}

/// What was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Looked {
    Found(Box<Entry>),
    /// It isn't there; keys that contain the text are.
    Near(Vec<String>),
}

/// The first of these keys that exists in a sound snapshot.
///
/// # Errors
/// The file can't be read as a snapshot.
pub fn find(path: &Path, wanted: &[Vec<u8>]) -> Result<Looked, Unsound> {
    let mut finder = Finder {
        keys: false,
        wanted,
        found: vec![None; wanted.len()],
        near: BTreeMap::new(),
    };
    walk(path, &mut finder)?;
    Ok(match finder.found.into_iter().flatten().next() {
        Some(entry) => Looked::Found(Box::new(entry)),
        None => Looked::Near(finder.near.into_keys().take(NEAR).collect()),
    })
}

fn walk(path: &Path, visit: &mut dyn Visit) -> Result<(), Unsound> {
    let reading = |e: std::io::Error| Unsound::Reading(e.to_string());
    let file = File::open(path).map_err(reading)?;
    let size = file.metadata().map_err(reading)?.len();
    Store::open(file, size.saturating_sub(SEAL))?.walk(visit)
}

struct Finder<'a> {
    /// The bucket of keys is being read.
    keys: bool,
    wanted: &'a [Vec<u8>],
    found: Vec<Option<Entry>>,
    near: BTreeMap<String, ()>,
}

impl Visit for Finder<'_> {
    fn bucket(&mut self, name: &[u8]) {
        self.keys = name == KEYS;
    }

    fn pair(&mut self, key: &[u8], value: &[u8]) -> Result<(), Unsound> {
        let Some(change) = (if self.keys { read(key, value)? } else { None }) else {
            return Ok(());
        };
        if let Some(index) = self.wanted.iter().position(|wanted| wanted == change.key) {
            let number = |tag| change.fields.number(tag).unwrap_or_default().cast_signed();
            self.found[index] = (!change.deleted).then(|| Entry {
                key: change.key.to_vec(),
                revision: change.revision,
                created: number(CREATED),
                version: number(VERSION),
                value: change.fields.bytes(VALUE).unwrap_or_default().to_vec(),
            });
            return Ok(());
        }
        let text = String::from_utf8_lossy(change.key);
        let part = self.wanted.first().map(|w| String::from_utf8_lossy(w));
        if part.is_some_and(|part| text.contains(part.trim_matches('/'))) {
            match change.deleted {
                true => drop(self.near.remove(text.as_ref())),
                false => drop(self.near.insert(text.into_owned(), ())),
            }
        }
        Ok(())
    }
}

/// How two snapshots differ in one resource of Kubernetes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Keys that only the first has.
    pub removed: Vec<String>,
    /// Keys that only the second has.
    pub added: Vec<String>,
    /// Keys with another value.
    pub changed: Vec<String>,
}

/// By resource, from the first snapshot to the second; what is equal isn't named. Memory grows with the keys, not with the
/// values.
///
/// # Errors
/// A file can't be read as a snapshot.
pub fn diff(first: &Path, second: &Path) -> Result<BTreeMap<String, Difference>, Unsound> {
    let then = latest(first)?;
    let mut now = latest(second)?;
    let mut found: BTreeMap<String, Difference> = BTreeMap::new();
    for (key, value) in then {
        let text = String::from_utf8_lossy(&key).into_owned();
        match now.remove(&key) {
            Some(other) if other == value => {}
            Some(_) => found.entry(resource(&key)).or_default().changed.push(text),
            None => found.entry(resource(&key)).or_default().removed.push(text),
        }
    }
    for key in now.into_keys() {
        let text = String::from_utf8_lossy(&key).into_owned();
        found.entry(resource(&key)).or_default().added.push(text);
    }
    Ok(found)
}

/// Hashes of the values of all keys at the latest revision.
fn latest(path: &Path) -> Result<BTreeMap<Vec<u8>, [u8; 16]>, Unsound> {
    let mut all = Latest::default();
    walk(path, &mut all)?;
    Ok(all.values)
}

#[derive(Default)]
struct Latest {
    keys: bool,
    values: BTreeMap<Vec<u8>, [u8; 16]>,
}

impl Visit for Latest {
    fn bucket(&mut self, name: &[u8]) {
        self.keys = name == KEYS;
    }

    fn pair(&mut self, key: &[u8], value: &[u8]) -> Result<(), Unsound> {
        let Some(change) = (if self.keys { read(key, value)? } else { None }) else {
            return Ok(());
        };
        if change.deleted {
            self.values.remove(change.key);
            return Ok(());
        }
        let hash = Sha256::digest(change.fields.bytes(VALUE).unwrap_or_default());
        let mut half = [0; 16];
        half.copy_from_slice(&hash[..16]);
        self.values.insert(change.key.to_vec(), half);
        Ok(())
    }
}
