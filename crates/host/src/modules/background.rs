//! Tasks that go on without the controller (`async`), and `async_status`, which asks how they are.
//!
//! A task that goes on is run by an agent of its own, in a session of its own, which nobody talks to any more: it ends
//! when the task does or when its time is over, and leaves the result in a file, where Ansible puts it too.

use crate::wire::{Control, Frame, MAGIC, write_frame};
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Return, Spec, Task, files};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::fs::{self, DirBuilder};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const DIR: Arg = Arg::new(
    "_async_dir",
    Kind::Path,
    "Directory of the files with results.",
)
.default("~/.ansible_async");
/// How often a waiting `async_status` looks.
const LOOK: Duration = Duration::from_millis(200);

/// Starts a task that goes on by itself.
#[derive(Deserialize)]
pub struct Background {
    module: String,
    args: Map<String, Value>,
    limit: u64,
    _async_dir: String,
}

impl Module for Background {
    const SPEC: Spec = Spec::new(
        "_background",
        "Starts another module and doesn't wait for it.",
        &[
            Arg::new("module", Kind::Str, "The module.").required(),
            Arg::new("args", Kind::Raw, "Its arguments.").required(),
            Arg::new("limit", Kind::Int, "Seconds that it may take.").required(),
            DIR,
        ],
    )
    .without_check_mode();

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let dir = cx.expand(&self._async_dir);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&dir)
            .map_err(|error| Failure::io("cannot make", &dir, &error))?;
        let task = Task {
            module: self.module,
            args: self.args,
            environment: cx.environment().clone(),
            ..Task::default()
        };
        let (jid, file) = launch(task, self.limit, &dir)
            .map_err(|error| Failure::new(format!("the task can't go on by itself: {error}")))?;
        Ok(Outcome::changed(true)
            .with("ansible_job_id", jid)
            .with("started", 1)
            .with("finished", 0)
            .with("results_file", file.to_string_lossy()))
    }
}

/// Starts this program once more, with the arguments that make it an agent, and gives it its one task.
fn launch(task: Task, limit: u64, dir: &Path) -> io::Result<(String, PathBuf)> {
    let mut child = Command::new("/proc/self/exe")
        .args(std::env::args_os().skip(1))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let number = u64::from_str_radix(&files::random_hex()[..10], 16).unwrap_or_default();
    let jid = format!("j{:012}.{}", number % 1_000_000_000_000, child.id());
    let file = dir.join(&jid);
    let begun = json!({ "started": 1, "finished": 0, "ansible_job_id": jid });
    let told = keep(&file, &begun).and_then(|()| {
        let mut input = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        input.write_all(MAGIC)?;
        let alone = Control::Alone {
            seconds: limit,
            file: file.to_string_lossy().into_owned(),
            jid: jid.clone(),
        };
        write_frame(&mut input, &Frame::Control(alone))?;
        write_frame(
            &mut input,
            &Frame::Control(Control::Run {
                id: 1,
                task: Box::new(task),
            }),
        )?;
        Ok(())
    });
    if let Err(error) = told {
        child.kill().ok();
        child.wait().ok();
        return Err(error);
    }
    // Its end is noticed for as long as this process lives; later it is the init's.
    std::thread::spawn(move || child.wait());
    Ok((jid, file))
}

/// Writes a file of results: whole, and for its owner only, because results may hold secrets.
pub(crate) fn keep(file: &Path, result: &Value) -> io::Result<()> {
    let attributes = files::Attributes {
        mode: Some(0o600),
        ..files::Attributes::default()
    };
    files::write(file, result.to_string().as_bytes(), attributes)
}

/// Asks how such a task is.
#[derive(Deserialize)]
pub struct AsyncStatus {
    jid: String,
    mode: String,
    _wait: f64,
    _async_dir: String,
}

impl Module for AsyncStatus {
    const SPEC: Spec = Spec::new(
        "async_status",
        "Tells whether a task that was started with async has ended, and its result.",
        &[
            Arg::new("jid", Kind::Str, "The job, as ansible_job_id names it.").required(),
            Arg::new(
                "mode",
                Kind::Str,
                "Ask, or remove the file with the result.",
            )
            .choices(&["status", "cleanup"])
            .default("status"),
            Arg::new("_wait", Kind::Float, "Seconds to wait for the end.").default("0"),
            DIR,
        ],
    )
    .returns(&[
        Return::new("ansible_job_id", "The job."),
        Return::new("started, finished", "1 or 0."),
        Return::new("erased", "With mode cleanup: the file that is gone."),
        Return::new(
            "stdout, stderr",
            "And all else that the task returned, once it has finished.",
        ),
    ]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let file = self.file(cx)?;
        if self.mode == "cleanup" {
            return match fs::remove_file(&file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    Err(Failure::io("cannot remove", &file, &error))
                }
                _ => Ok(Outcome::ok()
                    .with("ansible_job_id", self.jid)
                    .with("erased", file.to_string_lossy())),
            };
        }
        let until = Instant::now() + Duration::from_secs_f64(self._wait.clamp(0.0, 3600.0));
        loop {
            let result = self.result(&file)?;
            let ended = result.get("finished") != Some(&json!(0));
            if ended || Instant::now() >= until {
                return Ok(self.outcome(&file, result, ended));
            }
            cx.sleep(LOOK)?;
        }
    }
}

impl AsyncStatus {
    /// Only names of jobs: nothing outside of the directory is read or removed.
    fn file(&self, cx: &Context) -> Result<PathBuf, Failure> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '_';
        if self.jid.is_empty() || self.jid.starts_with('.') || !self.jid.chars().all(plain) {
            return Err(Failure::new(format!(
                "{:?} is not the id of a job",
                self.jid
            )));
        }
        Ok(cx.expand(&self._async_dir).join(&self.jid))
    }

    fn result(&self, file: &Path) -> Result<Map<String, Value>, Failure> {
        let missing = |why: String| {
            Failure::new(why)
                .with("ansible_job_id", self.jid.clone())
                .with("started", 1)
                .with("finished", 1)
        };
        let text = fs::read(file).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => missing("could not find job".to_owned()),
            _ => Failure::io("cannot read", file, &error),
        })?;
        serde_json::from_slice(&text)
            .map_err(|error| missing(format!("Could not parse job output: {error}")))
    }

    fn outcome(&self, file: &Path, result: Map<String, Value>, ended: bool) -> Outcome {
        let flag = |name: &str| result.get(name).and_then(Value::as_bool) == Some(true);
        let mut outcome = Outcome {
            changed: ended && flag("changed"),
            failed: ended && flag("failed"),
            skipped: ended && flag("skipped"),
            data: result.clone(),
            ..Outcome::default()
        };
        for name in ["changed", "failed", "skipped"] {
            outcome.data.shift_remove(name);
        }
        if !ended {
            outcome = outcome.with("stdout", "").with("stderr", "");
        }
        outcome
            .with("ansible_job_id", self.jid.clone())
            .with("started", 1)
            .with("finished", u8::from(ended))
            .with("results_file", file.to_string_lossy())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::test::run;

    fn status(dir: &Path, jid: &str, more: &[(&str, &str)]) -> Outcome {
        let mut args = json!({ "jid": jid, "_async_dir": dir });
        for (name, value) in more {
            args[*name] = (*value).into();
        }
        run("async_status", args)
    }

    #[test]
    fn jobs_are_asked_and_cleaned_up() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("j1.2");
        keep(&file, &json!({ "started": 1, "finished": 0 })).expect("written");
        assert_eq!(crate::modules::test::mode(&file), 0o600);
        let running = status(dir.path(), "j1.2", &[]);
        assert_eq!(
            (running.failed, &running.data["finished"]),
            (false, &json!(0))
        );
        keep(
            &file,
            &json!({ "changed": true, "failed": true, "rc": 3, "msg": "no" }),
        )
        .expect("written");
        let ended = status(dir.path(), "j1.2", &[]);
        assert!(ended.failed && ended.changed);
        assert_eq!(
            (&ended.data["finished"], &ended.data["rc"]),
            (&json!(1), &json!(3))
        );
        assert!(!status(dir.path(), "j1.2", &[("mode", "cleanup")]).failed);
        assert!(!file.exists());
        assert_eq!(
            status(dir.path(), "j1.2", &[]).data["msg"],
            "could not find job"
        );
    }

    #[test]
    fn only_names_of_jobs_are_taken() {
        let dir = tempfile::tempdir().expect("a directory");
        for jid in ["", "..", "../x", "/etc/passwd", "a b"] {
            assert!(
                status(dir.path(), jid, &[("mode", "cleanup")]).failed,
                "{jid}"
            );
        }
    }

    #[test]
    fn waiting_ends_with_the_job() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("j1.2");
        keep(&file, &json!({ "finished": 0 })).expect("written");
        let later = file.clone();
        let job = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(300));
            keep(&later, &json!({ "rc": 0 })).expect("written");
        });
        let began = Instant::now();
        assert_eq!(
            status(dir.path(), "j1.2", &[("_wait", "20")]).data["finished"],
            1
        );
        assert!(began.elapsed() < Duration::from_secs(5));
        job.join().expect("ended");
    }
}
