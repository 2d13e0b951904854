//! `script`: a script of the controller, run on the host and removed again.

use super::command::Common;
use crate::files::{Scratch, write_new};
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Spec, words};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::io;
use std::path::Path;

#[derive(Deserialize)]
pub struct Script {
    _raw_params: Option<String>,
    cmd: Option<String>,
    #[serde(default)]
    _original_basename: Option<String>,
    chdir: Option<String>,
    creates: Option<String>,
    removes: Option<String>,
    executable: Option<String>,
}

impl Module for Script {
    const SPEC: Spec = Spec::new(
        "script",
        "Runs a script of the controller on the host.",
        &[
            Arg::new(
                "cmd",
                Kind::Str,
                "The script and its arguments, instead of free form.",
            ),
            Arg::new("chdir", Kind::Path, "Directory to run in."),
            Arg::new(
                "creates",
                Kind::Path,
                "Don't run when this file or pattern exists.",
            ),
            Arg::new(
                "removes",
                Kind::Path,
                "Run only when this file or pattern exists.",
            ),
            Arg::new(
                "executable",
                Kind::Str,
                "The program that runs it, instead of its first line.",
            ),
            Arg::new(
                "decrypt",
                Kind::Bool,
                "Decrypt a script that is in a vault.",
            )
            .default("yes"),
            Arg::new(
                "_original_basename",
                Kind::Str,
                "Name of the script; kopsrun sets it.",
            ),
        ],
    )
    .free_form();

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let common: Common = serde_json::from_value(Value::Object(self.common_args()))
            .map_err(|error| Failure::new(format!("script: {error}")))?;
        if common.needless(cx).is_some() {
            let reason = match (&self.creates, &self.removes) {
                (Some(path), _) if common.creates_is_there(cx) => {
                    format!("{path} exists, matching creates option")
                }
                (_, path) => {
                    let path = path.as_deref().unwrap_or_default();
                    format!("{path} does not exist, matching removes option")
                }
            };
            let mut skipped = Outcome::ok().msg(reason);
            skipped.skipped = true;
            return Ok(skipped);
        }
        if cx.check() {
            let guarded = self.creates.is_some() || self.removes.is_some();
            let mut would = Outcome::changed(guarded);
            would.skipped = !guarded;
            return Ok(would.msg("Check mode is not supported for this task."));
        }
        let name = self._original_basename.as_deref().unwrap_or("script");
        let place = Scratch::new(self.executable.is_none()).map_err(|error| {
            Failure::new(format!("there is no directory for the script: {error}"))
        })?;
        let path = place.join(name.rsplit('/').next().unwrap_or("script"));
        write(cx, &path).map_err(|error| Failure::io("cannot write", &path, &error))?;
        let quoted = words::quote(&path.to_string_lossy());
        let rest = self._raw_params.or(self.cmd).unwrap_or_default();
        let line = match &self.executable {
            Some(program) => format!("{program} {quoted} {rest}"),
            None => format!("{quoted} {rest}"),
        };
        let argv = [
            "/bin/sh".to_owned(),
            "-c".to_owned(),
            line.trim_end().to_owned(),
        ];
        let mut outcome = common.run(cx, &argv, &Value::Null)?;
        for name in ["cmd", "start", "end", "delta"] {
            outcome.data.shift_remove(name);
        }
        Ok(outcome)
    }
}

impl Script {
    fn common_args(&self) -> Map<String, Value> {
        let texts = [
            ("chdir", &self.chdir),
            ("creates", &self.creates),
            ("removes", &self.removes),
        ];
        texts
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value.clone()?.into())))
            .chain([
                ("stdin_add_newline".to_owned(), true.into()),
                ("strip_empty_ends".to_owned(), false.into()),
            ])
            .collect()
    }
}

fn write(cx: &Context, path: &Path) -> io::Result<()> {
    let mut input = cx.blob("content").map_err(io::Error::other)?;
    write_new(path, 0o700, &mut input)
}

#[cfg(test)]
mod tests {
    use crate::modules::test::{check, run_with};
    use serde_json::json;

    const SAY: &[u8] = b"#!/bin/sh\necho \"$1 from ${0##*/}\"\necho $0 >&2\nexit $2\n";

    #[test]
    fn scripts_run_with_their_arguments_and_leave_nothing() {
        let args = json!({"_raw_params": "'two words' 0", "_original_basename": "say.sh"});
        let done = run_with("script", args, SAY);
        assert!(done.changed && !done.failed, "{done:?}");
        assert_eq!(done.data["stdout"], "two words from say.sh\n");
        let place = done.data["stderr"].as_str().expect("text").trim();
        assert!(
            place.ends_with("/say.sh") && !std::path::Path::new(place).exists(),
            "{place}"
        );
        let failed = run_with("script", json!({"_raw_params": "x 3"}), SAY);
        assert!(failed.failed);
        assert_eq!(
            (&failed.data["rc"], &failed.data["msg"]),
            (&json!(3), &json!("non-zero return code"))
        );
        let other = json!({"_raw_params": "", "executable": "cat"});
        let shown = run_with("script", other, b"no program\n");
        assert_eq!(shown.data["stdout"], "no program\n", "{shown:?}");
    }

    #[test]
    fn guards_are_looked_at_first() {
        let creates = json!({"_raw_params": "x 0", "creates": "/etc/passwd"});
        let skipped = run_with("script", creates, SAY);
        assert!(skipped.skipped && !skipped.changed, "{skipped:?}");
        let removes = json!({"_raw_params": "x 0", "removes": "/nowhere/*"});
        assert!(run_with("script", removes, SAY).skipped);
        assert!(check("script", json!({"_raw_params": "x 0"})).skipped);
        assert!(
            check(
                "script",
                json!({"_raw_params": "x 0", "creates": "/nowhere/x"})
            )
            .changed
        );
    }
}
