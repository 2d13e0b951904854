//! `fetch`: the bytes of a file, streamed to the controller, which writes them.

use crate::{Arg, Context, Failure, Kind, Module, Outcome, Spec, files};
use md5::Md5;
use serde::Deserialize;
use sha1::{Digest, Sha1};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;

#[derive(Deserialize)]
pub struct Fetch {
    src: String,
    fail_on_missing: bool,
}

impl Module for Fetch {
    /// What the host does of it; where the file goes is the controller's matter.
    const SPEC: Spec = Spec::new(
        "fetch",
        "Sends a file of the host.",
        &[
            Arg::new("src", Kind::Path, "The file.").required(),
            Arg::new(
                "fail_on_missing",
                Kind::Bool,
                "Fail when the file isn't there.",
            )
            .default("yes"),
        ],
    )
    .without_check_mode();

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let path = cx.expand(&self.src);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if self.fail_on_missing {
                    return Err(Failure::new(format!(
                        "the remote file does not exist: {}",
                        path.display()
                    ))
                    .with("file", path.to_string_lossy()));
                }
                return Ok(Outcome::ok()
                    .msg("the remote file does not exist, not transferring, ignored")
                    .with("file", path.to_string_lossy()));
            }
            Err(error) => return Err(Failure::io("cannot read", &path, &error)),
        };
        let failed = |error| Failure::io("cannot read", &path, &error);
        let meta = file.metadata().map_err(failed)?;
        if !meta.is_file() {
            let message = if meta.is_dir() {
                "remote file is a directory, fetch cannot work on directories"
            } else {
                "remote file is not a regular file"
            };
            if self.fail_on_missing {
                return Err(Failure::new(message).with("file", path.to_string_lossy()));
            }
            return Ok(Outcome::ok()
                .msg(format!("{message}, not transferring, ignored"))
                .with("file", path.to_string_lossy()));
        }
        // What is hashed is what is sent, also when the file grows meanwhile.
        let mut hasher = Sha1::new();
        let mut md5 = Md5::default();
        let mut size = 0;
        let mut buffer = vec![0; 256 * 1024];
        loop {
            let count = match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(failed(error)),
            };
            hasher.update(&buffer[..count]);
            md5.update(&buffer[..count]);
            cx.send(&buffer[..count])?;
            size += count as u64;
        }
        Ok(Outcome::changed(true)
            .with("checksum", files::hex(&hasher.finalize()))
            .with("md5sum", files::hex(&md5.finalize()))
            .with("mode", format!("{:04o}", meta.mode() & 0o777))
            .with("size", size)
            .with("src", path.to_string_lossy()))
    }
}

#[cfg(test)]
mod tests {
    use crate::Context;
    use crate::modules::test::{run, task};
    use serde_json::json;

    #[test]
    fn the_bytes_are_sent_and_their_checksum_is_told() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("a\nb");
        let content: Vec<u8> = (0..600_000_u32).flat_map(u32::to_le_bytes).collect();
        std::fs::write(&file, &content).expect("written");
        let cx = Context::local(false, false);
        let outcome = crate::modules::run(&task("fetch", json!({"src": file})), &cx);
        assert!(outcome.changed && !outcome.failed, "{outcome:?}");
        assert_eq!(cx.sent(), content);
        assert_eq!(outcome.data["size"], content.len());
        assert_eq!(
            outcome.data["checksum"],
            crate::files::sha1(&file).expect("readable")
        );
    }

    #[test]
    fn what_is_missing_fails_unless_that_is_fine() {
        let missing = run("fetch", json!({"src": "/no/such"}));
        assert!(missing.failed);
        assert_eq!(
            missing.data["msg"],
            "the remote file does not exist: /no/such"
        );
        let missing = run(
            "fetch",
            json!({"src": "/no/such", "fail_on_missing": false}),
        );
        assert!(!missing.failed && !missing.changed);
        assert!(run("fetch", json!({"src": "/etc"})).failed);
    }
}
