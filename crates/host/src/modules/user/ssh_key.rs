//! The key that a user has for ssh: made by ssh-keygen when it isn't there.

use super::User;
use crate::files::random_hex;
use crate::{Context, Failure, Outcome, users};
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, chown};
use std::path::{Path, PathBuf};

impl User {
    fn key_file(&self, user: &users::User) -> PathBuf {
        let name = match &self.ssh_key_file {
            Some(file) => file.clone(),
            None => format!(".ssh/id_{}", self.ssh_key_type),
        };
        Path::new(&user.home).join(name)
    }

    /// Makes the key. Whether it had to be made.
    pub(super) fn make_key(
        &self,
        cx: &Context,
        user: Option<&users::User>,
    ) -> Result<bool, Failure> {
        let Some(user) = user else {
            // In check mode nobody is there yet.
            return Ok(true);
        };
        if !Path::new(&user.home).exists() && !cx.check() {
            return Err(Failure::new(format!(
                "User {} home directory does not exist: it is needed for an SSH key",
                self.name
            )));
        }
        let file = self.key_file(user);
        if file.exists() && !self.force {
            return Ok(false);
        }
        if cx.check() {
            return Ok(true);
        }
        let dir = crate::files::parent(&file);
        if !dir.exists() {
            DirBuilder::new()
                .mode(0o700)
                .create(dir)
                .and_then(|()| chown(dir, Some(user.uid), Some(user.gid)))
                .map_err(|error| Failure::io("cannot make the directory", dir, &error))?;
        }
        let old = [file.clone(), public(&file)];
        for file in old.iter().filter(|file| file.exists()) {
            fs::remove_file(file).map_err(|error| Failure::io("cannot remove", file, &error))?;
        }
        self.generate(cx, &file)?;
        for made in old {
            chown(&made, Some(user.uid), Some(user.gid))
                .map_err(|error| Failure::io("cannot give away", &made, &error))?;
        }
        Ok(true)
    }

    fn generate(&self, cx: &Context, file: &Path) -> Result<(), Failure> {
        let comment = match &self.ssh_key_comment {
            Some(comment) => comment.clone(),
            None => format!(
                "ansible-generated on {}",
                rustix::system::uname().nodename().to_string_lossy()
            ),
        };
        let mut process = cx.process("ssh-keygen").system().args([
            "-q",
            "-t",
            &self.ssh_key_type,
            "-C",
            &comment,
        ]);
        if let Some(bits) = self.ssh_key_bits.filter(|bits| *bits > 0) {
            process = process.args(["-b", &bits.to_string()]);
        }
        let asked = match &self.ssh_key_passphrase {
            None => process.args(["-N", ""]).arg("-f").arg(file).run()?,
            Some(passphrase) => {
                // ssh-keygen asks a program for the passphrase, so that it is in no list of processes.
                let ask = Ask::new(passphrase)?;
                process
                    .env("SSH_ASKPASS", &ask.0)
                    .env("SSH_ASKPASS_REQUIRE", "force")
                    .env("DISPLAY", "none")
                    .arg("-f")
                    .arg(file)
                    .run()?
            }
        };
        asked.check("cannot make the SSH key")?;
        Ok(())
    }

    /// What is told of a key.
    pub(super) fn describe_key(
        &self,
        cx: &Context,
        outcome: Outcome,
        user: &users::User,
    ) -> Outcome {
        let file = self.key_file(user);
        let public = public(&file);
        let Ok(text) = fs::read_to_string(&public) else {
            return outcome;
        };
        let print = cx
            .process("ssh-keygen")
            .arg("-l")
            .arg("-f")
            .arg(&file)
            .system()
            .run();
        let mut outcome = outcome
            .with("ssh_key_file", file.to_string_lossy())
            .with("ssh_public_key", text.trim());
        if let Ok(print) = print.and_then(|print| print.check("fingerprint")) {
            outcome = outcome.with("ssh_fingerprint", print.stdout_text().trim());
        }
        outcome
    }
}

fn public(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".pub");
    PathBuf::from(name)
}

/// A program, only for this user, that prints the passphrase; gone with the value.
struct Ask(PathBuf);

impl Ask {
    fn new(passphrase: &str) -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!(".kopsrun-ask-{}", random_hex()));
        let quoted = passphrase.replace('\'', "'\\''");
        let failed = |error: &std::io::Error| Failure::io("cannot write", &path, error);
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o700)
            .open(&path)
            .map_err(|error| failed(&error))?;
        let ask = Self(path.clone());
        std::io::Write::write_all(
            &mut file,
            format!("#!/bin/sh\nprintf '%s\\n' '{quoted}'\n").as_bytes(),
        )
        .map_err(|error| failed(&error))?;
        Ok(ask)
    }
}

impl Drop for Ask {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}
