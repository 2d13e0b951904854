//! Where step files are: the operator's own come first, the built-in ones are laid out beside the record of the run.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The step files of this version, by their path in the project.
const BUILT_IN: &[(&str, &str)] = &[
    (
        "playbooks/replace-node.yml",
        include_str!("../../playbooks/replace-node.yml"),
    ),
    (
        "roles/etcd_member/defaults/main.yml",
        include_str!("../../roles/etcd_member/defaults/main.yml"),
    ),
    (
        "roles/etcd_member/tasks/main.yml",
        include_str!("../../roles/etcd_member/tasks/main.yml"),
    ),
    (
        "roles/etcd_member/tasks/fence.yml",
        include_str!("../../roles/etcd_member/tasks/fence.yml"),
    ),
    (
        "roles/etcd_member/tasks/prepare.yml",
        include_str!("../../roles/etcd_member/tasks/prepare.yml"),
    ),
    (
        "roles/etcd_member/tasks/start.yml",
        include_str!("../../roles/etcd_member/tasks/start.yml"),
    ),
    (
        "roles/etcd_member/templates/etcd.env.j2",
        include_str!("../../roles/etcd_member/templates/etcd.env.j2"),
    ),
    (
        "roles/etcd_member/templates/etcd.service.j2",
        include_str!("../../roles/etcd_member/templates/etcd.service.j2"),
    ),
];

/// The path of a step file, with its roles beside it.
pub fn locate(own: Option<&Path>, run: &Path, name: &str) -> io::Result<PathBuf> {
    if let Some(path) = own.map(|dir| dir.join("playbooks").join(name))
        && path.is_file()
    {
        return Ok(path);
    }
    let root = run.join("steps");
    for (path, content) in BUILT_IN {
        let path = root.join(path);
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir)?;
        }
        if fs::read(&path).is_ok_and(|there| there == content.as_bytes()) {
            continue;
        }
        fs::write(&path, content)?;
    }
    Ok(root.join("playbooks").join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_files_are_laid_out_and_own_ones_win() {
        let run = tempfile::tempdir().expect("a directory");
        let path = locate(None, run.path(), "replace-node.yml").expect("laid out");
        assert!(
            path.is_file()
                && run
                    .path()
                    .join("steps/roles/etcd_member/tasks/main.yml")
                    .is_file()
        );
        let own = tempfile::tempdir().expect("a directory");
        fs::create_dir(own.path().join("playbooks")).expect("made");
        fs::write(own.path().join("playbooks/replace-node.yml"), "[]").expect("written");
        let path = locate(Some(own.path()), run.path(), "replace-node.yml").expect("found");
        assert!(path.starts_with(own.path()));
    }
}
