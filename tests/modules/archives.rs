//! What archives hold: two that were written by different programs differ in every byte and mean the same.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

/// Programs that unpack to standard output, by the end of a name.
const PACKED: &[(&str, &str)] = &[
    ("gz", "gzip"),
    ("tgz", "gzip"),
    ("bz2", "bzip2"),
    ("xz", "xz"),
];

/// The content of an archive or compressed file as text; none for other files, and for those that can't be read.
pub fn listed(path: &Path) -> Option<String> {
    let end = path.extension()?.to_str()?;
    if end == "zip" {
        return zip(path);
    }
    let raw = match PACKED.iter().find(|(known, _)| *known == end) {
        Some((_, program)) => output(Command::new(program).arg("-dc").arg(path))?,
        None if end == "tar" => std::fs::read(path).ok()?,
        None => return None,
    };
    if !raw.is_empty() && raw.iter().all(|byte| *byte == 0) {
        return Some("tar of {}".to_owned());
    }
    if raw.get(257..262) != Some(b"ustar") {
        return Some(format!("compressed {:?}", String::from_utf8_lossy(&raw)));
    }
    let mut lines = BTreeSet::new();
    for entry in tar::Archive::new(&raw[..]).entries().ok()? {
        let mut entry = entry.ok()?;
        let mut content = String::new();
        entry.read_to_string(&mut content).ok()?;
        let header = entry.header();
        lines.insert(format!(
            "{} {:?} {:o} {}:{} {:?} {content:?}",
            entry
                .path()
                .ok()?
                .display()
                .to_string()
                .trim_end_matches('/'),
            header.entry_type(),
            header.mode().ok()? & 0o7777,
            header.uid().ok()?,
            header.gid().ok()?,
            entry.link_name().ok()?,
        ));
    }
    Some(format!("tar of {lines:?}"))
}

fn zip(path: &Path) -> Option<String> {
    let names = output(Command::new("unzip").arg("-Z1").arg(path))?;
    let names: BTreeSet<String> = String::from_utf8(names)
        .ok()?
        .lines()
        .map(str::to_owned)
        .collect();
    let mut lines = Vec::new();
    for name in names {
        let content = output(Command::new("unzip").arg("-p").arg(path).arg(&name))?;
        lines.push(format!("{name} {:?}", String::from_utf8_lossy(&content)));
    }
    Some(format!("zip of {lines:?}"))
}

fn output(command: &mut Command) -> Option<Vec<u8>> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output.status.success().then_some(output.stdout)
}
