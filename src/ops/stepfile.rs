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
    (
        "playbooks/restore-etcd.yml",
        include_str!("../../playbooks/restore-etcd.yml"),
    ),
    (
        "roles/etcd_restore/defaults/main.yml",
        include_str!("../../roles/etcd_restore/defaults/main.yml"),
    ),
    (
        "roles/etcd_restore/tasks/main.yml",
        include_str!("../../roles/etcd_restore/tasks/main.yml"),
    ),
    (
        "roles/etcd_restore/tasks/stop.yml",
        include_str!("../../roles/etcd_restore/tasks/stop.yml"),
    ),
    (
        "roles/etcd_restore/tasks/prepare.yml",
        include_str!("../../roles/etcd_restore/tasks/prepare.yml"),
    ),
    (
        "roles/etcd_restore/tasks/aside.yml",
        include_str!("../../roles/etcd_restore/tasks/aside.yml"),
    ),
    (
        "roles/etcd_restore/tasks/back.yml",
        include_str!("../../roles/etcd_restore/tasks/back.yml"),
    ),
    (
        "roles/etcd_restore/tasks/restore.yml",
        include_str!("../../roles/etcd_restore/tasks/restore.yml"),
    ),
    (
        "roles/etcd_restore/tasks/start.yml",
        include_str!("../../roles/etcd_restore/tasks/start.yml"),
    ),
    (
        "roles/etcd_restore/tasks/control-plane.yml",
        include_str!("../../roles/etcd_restore/tasks/control-plane.yml"),
    ),
];

/// A step file and where its roles are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepFile {
    pub playbook: PathBuf,
    pub roles: PathBuf,
}

impl StepFile {
    fn below(root: &Path, name: &str) -> Self {
        Self {
            playbook: root.join("playbooks").join(name),
            roles: root.join("roles"),
        }
    }
}

/// Find a step file.
pub fn locate(own: Option<&Path>, run: &Path, name: &str) -> io::Result<StepFile> {
    if let Some(file) = own.map(|dir| StepFile::below(dir, name))
        && file.playbook.is_file()
    {
        return Ok(file);
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
    Ok(StepFile::below(&root, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_files_are_laid_out_and_own_ones_win() {
        let run = tempfile::tempdir().expect("a directory");
        let file = locate(None, run.path(), "replace-node.yml").expect("laid out");
        assert!(file.playbook.is_file() && file.roles.join("etcd_member/tasks/main.yml").is_file());
        let own = tempfile::tempdir().expect("a directory");
        fs::create_dir(own.path().join("playbooks")).expect("made");
        fs::write(own.path().join("playbooks/replace-node.yml"), "[]").expect("written");
        let file = locate(Some(own.path()), run.path(), "replace-node.yml").expect("found");
        assert!(file.playbook.starts_with(own.path()));
    }
}
