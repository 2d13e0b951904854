//! `backup diff` and `backup cat`: what is in snapshots, without an etcd.

use super::engine::Failure;
use super::snapshot;
use crate::backup::snapshot::objects::{self, Difference, Entry, Looked};
use crate::backup::{Keys, Opened, Set};
use std::collections::BTreeMap;

/// What restoring `second` instead of `first` would take away, bring and change, by Kubernetes' resources.
pub fn diff(
    first: &Set,
    second: &Set,
    keys: &Keys,
) -> Result<BTreeMap<String, Difference>, Failure> {
    let (a, b) = (open(first, keys)?, open(second, keys)?);
    objects::diff(a.path(), b.path()).map_err(|why| Failure::new(why.to_string()))
}

/// One key of a set: as etcd names it, or without `/registry/` before it.
pub fn cat(set: &Set, key: &str, keys: &Keys) -> Result<Entry, Failure> {
    let opened = open(set, keys)?;
    let bare = key.trim_start_matches('/');
    let wanted = [
        key.to_owned(),
        format!("/registry/{bare}"),
        format!("/{bare}"),
    ];
    let wanted = wanted.map(String::into_bytes);
    let looked = objects::find(opened.path(), &wanted);
    match looked.map_err(|why| Failure::new(why.to_string()))? {
        Looked::Found(entry) => Ok(*entry),
        Looked::Near(near) => {
            let failure = Failure::new(format!("{} has no key {key}", set.manifest.set));
            Err(match near.as_slice() {
                [] => failure.hint(format!(
                    "kopsrun backup show {} lists what there is",
                    set.manifest.set
                )),
                near => near
                    .iter()
                    .fold(failure, |f, key| f.hint(format!("there is {key}"))),
            })
        }
    }
}

fn open(set: &Set, keys: &Keys) -> Result<Opened, Failure> {
    let told = set.manifest.snapshot.as_ref().ok_or_else(|| {
        Failure::new(format!("{} holds no snapshot of etcd", set.manifest.set))
            .hint("kopsrun backup list shows which sets have keys")
    })?;
    Ok(snapshot::open(set, told, keys)?)
}
