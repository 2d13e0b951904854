//! `backup fetch`: the plain files of a set, into a directory.

use super::engine::Failure;
use super::snapshot;
use crate::backup::{Keys, Set};
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Write the archives of `nodes` (none named: of all, and the snapshot) below `to`. What is there already is not replaced.
pub fn fetch(set: &Set, to: &Path, nodes: &[String], keys: &Keys) -> Result<Vec<PathBuf>, Failure> {
    let failed =
        |path: &Path, error: io::Error| Failure::new(format!("{}: {error}", path.display()));
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(to)
        .map_err(|e| failed(to, e))?;
    let mut written = Vec::new();
    let mut put = |name: &str, from: &Path| {
        let path = to.join(name);
        copy(from, &path).map_err(|e| failed(&path, e))?;
        written.push(path);
        Ok::<_, Failure>(())
    };
    if nodes.is_empty()
        && let Some(told) = &set.manifest.snapshot
    {
        let opened = snapshot::open(set, told, keys)?;
        put(&told.file, opened.path())?;
    }
    let all = set.manifest.nodes.iter().map(|archive| &archive.node);
    for node in if nodes.is_empty() {
        all.collect::<Vec<_>>()
    } else {
        nodes.iter().collect()
    } {
        let (opened, archive) = set.verified(node, keys)?;
        put(&archive.archive, opened.path())?;
    }
    Ok(written)
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut into = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)?;
    io::copy(&mut File::open(from)?, &mut into)?;
    into.sync_all()
}
