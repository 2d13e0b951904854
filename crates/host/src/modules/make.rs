//! `make`: targets of a Makefile.

use crate::{Arg, Context, Failure, Kind, Module, Outcome, Return, Rule, Spec};
use serde::Deserialize;
use serde_json::{Map, Value};

#[derive(Deserialize)]
pub struct Make {
    chdir: String,
    target: Option<String>,
    targets: Option<Vec<String>>,
    params: Option<Map<String, Value>>,
    file: Option<String>,
    make: Option<String>,
    jobs: Option<i64>,
}

impl Module for Make {
    const SPEC: Spec = Spec::new(
        "make",
        "Runs targets of a Makefile that make says are not up to date.",
        &[
            Arg::new("chdir", Kind::Path, "Where make runs.").required(),
            Arg::new(
                "target",
                Kind::Str,
                "The target; without it the first one of the file.",
            ),
            Arg::new("targets", Kind::List, "Several targets."),
            Arg::new(
                "params",
                Kind::Dict,
                "Variables for make; one without a value is only named.",
            ),
            Arg::new("file", Kind::Path, "Another Makefile."),
            Arg::new(
                "make",
                Kind::Path,
                "Another make; gmake or make if not said.",
            ),
            Arg::new("jobs", Kind::Int, "How many jobs run at the same time."),
        ],
    )
    .rules(&[Rule::Exclusive(&["target", "targets"])])
    .returns(&[
        Return::new("command", "The command line."),
        Return::new("stdout", "What make wrote; stderr too."),
        Return::new("chdir, target, targets, params, file, jobs", "As given."),
    ]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let make = match &self.make {
            Some(path) => cx.expand(path),
            None => ["gmake", "make"]
                .iter()
                .find_map(|name| cx.find_program(name))
                .ok_or_else(|| {
                    Failure::new("there is no program make on this host: install it first")
                })?,
        };
        let mut command = vec![make.to_string_lossy().into_owned()];
        if let Some(jobs) = self.jobs {
            command.extend(["-j".to_owned(), jobs.to_string()]);
        }
        if let Some(file) = &self.file {
            command.extend([
                "-f".to_owned(),
                cx.expand(file).to_string_lossy().into_owned(),
            ]);
        }
        command.extend(self.target.clone());
        command.extend(self.targets.iter().flatten().cloned());
        for (name, value) in self.params.iter().flatten() {
            let value = match value {
                Value::Null => None,
                Value::String(text) => Some(text.clone()),
                Value::Bool(true) => Some("True".to_owned()),
                Value::Bool(false) => Some("False".to_owned()),
                other => Some(other.to_string()),
            };
            command.push(match value {
                Some(value) if !value.is_empty() => format!("{name}={value}"),
                _ => name.clone(),
            });
        }
        let dir = cx.expand(&self.chdir);
        let start = |question: bool| {
            let process = cx.process(&command[0]).current_dir(&dir).system();
            let process = if question { process.arg("-q") } else { process };
            process.args(&command[1..]).run()
        };
        // -q: 0 is up to date, 1 isn't, more is a mistake.
        let asked = start(true)?;
        let changed = match asked.rc {
            0 => false,
            _ if cx.check() => asked.rc != 0,
            _ => true,
        };
        let done = if changed && !cx.check() {
            start(false)?.check("make failed")?
        } else {
            asked
        };
        Ok(Outcome::changed(changed)
            .with("stdout", done.stdout_text().trim_end_matches(['\r', '\n']))
            .with("stderr", done.stderr_text().trim_end_matches(['\r', '\n']))
            .with("command", command.join(" "))
            .with("chdir", self.chdir)
            .with("target", self.target)
            .with("targets", self.targets)
            .with("params", self.params)
            .with("file", self.file)
            .with("jobs", self.jobs))
    }
}
