//! What etcd keeps in its database: revisions, keys, Kubernetes' resources.
//!
//! Every change of a key is a pair in the bucket `key`: its revision (main and sub, big-endian, and a `t` at the end when
//! the key was deleted) and an mvccpb.KeyValue (etcd server/storage/mvcc, `revision.go` and `kvstore.go`).

use super::bolt::{Unsound, Visit};
use crate::cluster::protobuf;
use crc::{CRC_32_ISCSI, Crc, Table};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

static CASTAGNOLI: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISCSI);

pub(super) const KEYS: &[u8] = b"key";
const META: &[u8] = b"meta";
const MEMBERS: &[u8] = b"members";
/// Field 1 of mvccpb.KeyValue.
const KEY: u64 = 1;

/// A database in figures.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The latest revision.
    pub revision: i64,
    /// Pairs in all buckets, as `etcdutl snapshot status` counts keys.
    pub pairs: u64,
    /// Keys that exist at the latest revision.
    pub keys: u64,
    /// The hash that `etcdutl snapshot status` prints, in hexadecimal.
    pub hash: String,
    /// The raft index up to which entries were applied, where the file says it.
    pub consistent_index: Option<u64>,
    /// Keys at the latest revision by what they are: `pods`, `deployments`…; keys that aren't Kubernetes' by `other`.
    pub resources: BTreeMap<String, u64>,
}

/// Counts and hashes what it is shown.
pub struct Reader {
    summary: Summary,
    digest: crc::Digest<'static, u32, Table<16>>,
    bucket: Vec<u8>,
    /// Hashes of the keys that exist at the revision that was read last; whole keys would be too many for the memory.
    alive: HashSet<u64>,
    hashing: RandomState,
    resources: HashMap<String, u64>,
    /// Ids of the members that the file lists, in hexadecimal.
    members: Vec<String>,
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            summary: Summary::default(),
            digest: CASTAGNOLI.digest(),
            bucket: Vec::new(),
            alive: HashSet::new(),
            hashing: RandomState::new(),
            resources: HashMap::new(),
            members: Vec::new(),
        }
    }
}

impl Visit for Reader {
    fn bucket(&mut self, name: &[u8]) {
        name.clone_into(&mut self.bucket);
        self.digest.update(name);
    }

    fn pair(&mut self, key: &[u8], value: &[u8]) -> Result<(), Unsound> {
        self.digest.update(key);
        self.digest.update(value);
        self.summary.pairs += 1;
        match self.bucket.as_slice() {
            KEYS => self.revision(key, value),
            META if key == b"consistent_index" => {
                let index = value.try_into().map(u64::from_be_bytes);
                self.summary.consistent_index = index.ok();
                Ok(())
            }
            MEMBERS => {
                self.members.push(String::from_utf8_lossy(key).into_owned());
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl Reader {
    /// Members that the file lists so far; etcd names them by their ids.
    pub fn members(&self) -> &[String] {
        &self.members
    }

    fn revision(&mut self, revision: &[u8], value: &[u8]) -> Result<(), Unsound> {
        let (main, deleted) = parse(revision)?;
        self.summary.revision = main;
        let Some(found) = change(main, deleted, value)? else {
            return Ok(());
        };
        let (key, deleted) = (found.key, found.deleted);
        let hash = self.hashing.hash_one(key);
        let changed = match deleted {
            true => self.alive.remove(&hash),
            false => self.alive.insert(hash),
        };
        if changed {
            let count = self.resources.entry(resource(key)).or_default();
            *count = if deleted { *count - 1 } else { *count + 1 };
        }
        Ok(())
    }

    /// The figures, when everything was read.
    pub fn finish(mut self) -> Result<Summary, Unsound> {
        if self.bucket.is_empty() {
            return Err(Unsound::new("there is no bucket in it: it is not etcd's"));
        }
        self.summary.keys = self.alive.len() as u64;
        self.summary.hash = format!("{:x}", self.digest.finalize());
        self.summary.resources = self.resources.into_iter().filter(|(_, n)| *n > 0).collect();
        Ok(self.summary)
    }
}

/// A change of a key.
pub(super) struct Change<'a> {
    pub(super) revision: i64,
    pub(super) deleted: bool,
    pub(super) key: &'a [u8],
    /// mvccpb.KeyValue.
    pub(super) fields: protobuf::Fields<'a>,
}

/// The main revision, and whether the key was deleted with it.
fn parse(revision: &[u8]) -> Result<(i64, bool), Unsound> {
    let wrong = || {
        Unsound::new(format!(
            "'{}' is not a revision of etcd",
            revision.escape_ascii()
        ))
    };
    let (main, rest) = revision.split_at_checked(8).ok_or_else(wrong)?;
    let deleted = match (rest.first(), rest.len(), rest.last()) {
        (Some(b'_'), 9, _) => false,
        (Some(b'_'), 10, Some(b't')) => true,
        _ => return Err(wrong()),
    };
    let main = main.try_into().map(i64::from_be_bytes);
    Ok((main.map_err(|_| wrong())?, deleted))
}

/// None: what `etcdutl snapshot restore --bump-revision` leaves, a revision without a key, so that the next one lies beyond
/// it (etcdutl/snapshot/v3_snapshot.go, `unsafeBumpBucketsRevision`).
fn change(revision: i64, deleted: bool, value: &[u8]) -> Result<Option<Change<'_>>, Unsound> {
    if value.is_empty() && !deleted {
        return Ok(None);
    }
    let unread = || Unsound::new(format!("the value at revision {revision} can't be read"));
    let fields = protobuf::fields(value).ok_or_else(unread)?;
    let key = fields.bytes(KEY).ok_or_else(unread)?;
    Ok(Some(Change {
        revision,
        deleted,
        key,
        fields,
    }))
}

/// The change that a pair of the bucket of keys is.
pub(super) fn read<'a>(revision: &[u8], value: &'a [u8]) -> Result<Option<Change<'a>>, Unsound> {
    let (main, deleted) = parse(revision)?;
    change(main, deleted, value)
}

/// Where Kubernetes keeps a resource: /registry/pods/NAMESPACE/NAME, /registry/GROUP/PLURAL/…, and for nodes, services
/// and endpoints names from its first days (kubernetes pkg/registry, `storage_factory.go`).
pub(super) fn resource(key: &[u8]) -> String {
    let text = String::from_utf8_lossy(key);
    let mut parts = text.split('/').skip(1);
    if parts.next() != Some("registry") {
        return "other".to_owned();
    }
    match (parts.next(), parts.next()) {
        (Some("minions"), _) => "nodes".to_owned(),
        (Some("services"), Some("specs")) => "services".to_owned(),
        (Some("services"), Some("endpoints")) => "endpoints".to_owned(),
        // The group of a custom resource has a dot.
        (Some(group), Some(plural)) if group.contains('.') => format!("{plural}.{group}"),
        (Some(plural), _) => plural.to_owned(),
        (None, _) => "other".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_say_what_they_are() {
        for (key, what) in [
            ("/registry/pods/kube-system/dns", "pods"),
            ("/registry/minions/node1", "nodes"),
            ("/registry/services/specs/default/kubernetes", "services"),
            (
                "/registry/services/endpoints/default/kubernetes",
                "endpoints",
            ),
            (
                "/registry/cert-manager.io/certificates/a/b",
                "certificates.cert-manager.io",
            ),
            ("/registry/deployments/a/b", "deployments"),
            ("/kopsrun/lock", "other"),
            ("canary", "other"),
            ("", "other"),
        ] {
            assert_eq!(resource(key.as_bytes()), what, "{key}");
        }
    }

    fn value(key: &str) -> Vec<u8> {
        [
            &[0x0a, u8::try_from(key.len()).expect("short")],
            key.as_bytes(),
        ]
        .concat()
    }

    fn revision(main: i64, deleted: bool) -> Vec<u8> {
        let mut bytes = [&main.to_be_bytes()[..], b"_", &0i64.to_be_bytes()].concat();
        if deleted {
            bytes.push(b't');
        }
        bytes
    }

    #[test]
    fn deleted_keys_are_not_counted() {
        let mut reader = Reader::default();
        reader.bucket(KEYS);
        for (main, key, deleted) in [
            (2, "/registry/pods/a/one", false),
            (3, "/registry/pods/a/two", false),
            (4, "/registry/pods/a/one", false),
            (5, "/registry/pods/a/one", true),
            (6, "/registry/pods/a/gone", true),
        ] {
            reader
                .pair(&revision(main, deleted), &value(key))
                .expect("well-formed");
        }
        let summary = reader.finish().expect("read");
        assert_eq!((summary.revision, summary.pairs, summary.keys), (6, 5, 1));
        assert_eq!(summary.resources, BTreeMap::from([("pods".to_owned(), 1)]));
    }

    #[test]
    fn a_raised_revision_has_no_key() {
        let mut reader = Reader::default();
        reader.bucket(KEYS);
        let key = value("/registry/pods/a/one");
        reader.pair(&revision(2, false), &key).expect("well-formed");
        reader.pair(&revision(900, false), b"").expect("raised");
        let summary = reader.finish().expect("read");
        assert_eq!((summary.revision, summary.pairs, summary.keys), (900, 2, 1));
    }

    #[test]
    fn what_is_no_revision_is_told() {
        for bytes in [&b"short"[..], b"12345678-12345678", b"12345678_12345678x"] {
            let mut reader = Reader::default();
            reader.bucket(KEYS);
            let found = reader.pair(bytes, &value("a"));
            assert!(found.is_err(), "{}", bytes.escape_ascii());
        }
    }
}
