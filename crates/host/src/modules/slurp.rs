//! `slurp`: the content of a file, as Base64.

use crate::{Arg, Context, Failure, Kind, Module, Outcome, Return, Spec};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use std::fs::File;
use std::io::Read;

/// Longer files are fetched, not slurped: the content is a variable of the controller.
const MAX_SIZE: u64 = 32 << 20;

#[derive(Deserialize)]
pub struct Slurp {
    src: String,
}

impl Module for Slurp {
    const SPEC: Spec = Spec::new(
        "slurp",
        "Reads a file of the host.",
        &[Arg::new("src", Kind::Path, "The file.")
            .aliases(&["path"])
            .required()],
    )
    .returns(&[
        Return::new("content", "The content in Base64."),
        Return::new("encoding", "base64."),
        Return::new("source", "The file."),
    ]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let path = cx.expand(&self.src);
        let file = File::open(&path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                Failure::new(format!("file not found: {}", path.display()))
            }
            std::io::ErrorKind::PermissionDenied => Failure::new(format!(
                "file is not readable: {} (does the task need `become: true`?)",
                path.display()
            )),
            _ => Failure::io("unable to slurp file:", &path, &error),
        })?;
        if file.metadata().is_ok_and(|meta| meta.is_dir()) {
            return Err(Failure::new(format!(
                "source is a directory and must be a file: {}",
                path.display()
            )));
        }
        let mut content = Vec::new();
        // Files of /proc don't know their size.
        file.take(MAX_SIZE + 1)
            .read_to_end(&mut content)
            .map_err(|error| Failure::io("unable to slurp file:", &path, &error))?;
        if content.len() as u64 > MAX_SIZE {
            return Err(Failure::new(format!(
                "{} is longer than {} MiB: use fetch, which writes it to a file",
                path.display(),
                MAX_SIZE >> 20
            )));
        }
        Ok(Outcome::ok()
            .with("content", STANDARD.encode(content))
            .with("encoding", "base64")
            .with("source", path.to_string_lossy().into_owned()))
    }
}

#[cfg(test)]
mod tests {
    use crate::modules::test::run;
    use serde_json::json;

    #[test]
    fn a_file_comes_back() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("a");
        std::fs::write(&file, b"\xff\0a").expect("written");
        let outcome = run("slurp", json!({"path": file}));
        assert_eq!(outcome.data["content"], "/wBh");
        assert!(!outcome.changed && !outcome.failed);
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let message = |args| {
            run("slurp", args).data["msg"]
                .as_str()
                .expect("text")
                .to_owned()
        };
        assert_eq!(
            message(json!({"src": "/no/such"})),
            "file not found: /no/such"
        );
        assert!(message(json!({"src": "/etc"})).contains("is a directory"));
        assert!(message(json!({"src": "/dev/zero"})).contains("use fetch"));
    }
}
