//! What is mounted: /proc/self/mountinfo (proc(5)).

use super::fstab::plain;
use crate::Failure;
use std::fs;
use std::path::{Path, PathBuf};

const FILE: &str = "/proc/self/mountinfo";

/// One mount.
pub(super) struct Mounted {
    pub(super) source: String,
    /// The directory of the file system that is seen at the mount point: `/`, of a bind mount another.
    root: String,
}

impl Mounted {
    /// Whether it is a mount of this source: a device by any of its names, or a directory.
    pub(super) fn is_of(&self, src: &str) -> bool {
        let real = |path: &str| fs::canonicalize(path).unwrap_or_else(|_| PathBuf::from(path));
        self.source == src
            || real(&self.source) == real(&device(src))
            || real(src) == Path::new(&self.root)
    }
}

/// The file that `UUID=…` and the like mean.
fn device(src: &str) -> String {
    for (tag, dir) in [
        ("UUID=", "by-uuid"),
        ("LABEL=", "by-label"),
        ("PARTUUID=", "by-partuuid"),
        ("PARTLABEL=", "by-partlabel"),
    ] {
        if let Some(name) = src.strip_prefix(tag) {
            return format!("/dev/disk/{dir}/{}", name.trim_matches('"'));
        }
    }
    src.to_owned()
}

/// What is mounted there last, on top of all others.
pub(super) fn at(point: &Path) -> Result<Option<Mounted>, Failure> {
    let text = fs::read(FILE).map_err(|error| Failure::io("cannot read", FILE, &error))?;
    let point = fs::canonicalize(point).unwrap_or_else(|_| point.to_path_buf());
    Ok(find(&String::from_utf8_lossy(&text), &point))
}

fn find(text: &str, point: &Path) -> Option<Mounted> {
    text.lines().rev().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mut fields = before.split(' ').skip(3);
        let root = plain(fields.next()?);
        if Path::new(&plain(fields.next()?)) != point {
            return None;
        }
        let source = plain(after.split(' ').nth(1)?);
        Some(Mounted { source, root })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_on_top_counts() {
        let text = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
            30 22 0:5 / /mnt/a\\040b rw shared:1 - tmpfs one rw\n\
            31 22 0:6 /srv /mnt/a\\040b rw shared:1 master:2 - ext4 /dev/sdb rw\n";
        let found = find(text, Path::new("/mnt/a b")).expect("mounted");
        assert_eq!(
            (found.source.as_str(), found.root.as_str()),
            ("/dev/sdb", "/srv")
        );
        assert!(found.is_of("/dev/sdb") && !found.is_of("one"));
        assert!(find(text, Path::new("/mnt")).is_none());
        assert!(at(Path::new("/proc")).expect("read").is_some());
    }
}
