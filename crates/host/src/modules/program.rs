//! Modules that kopsrun doesn't bring: programs of the controller that are run on the host by Ansible's conventions.
//!
//! Source of the conventions: <https://docs.ansible.com/ansible/latest/dev_guide/developing_program_flow_modules.html>.

use crate::files::{Scratch, write_new};
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Spec, words};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::VecDeque;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Pythons that a host may have, the best first.
const PYTHONS: &[&str] = &[
    "/usr/bin/python3",
    "/usr/libexec/platform-python",
    "python3",
    "python3.13",
    "python3.12",
    "python3.11",
    "python3.10",
    "python3.9",
    "python3.8",
];

/// How many programs are kept for the next task that runs one of them.
const KEPT: usize = 16;

/// Programs that came lately, by the checksum of their content.
static PROGRAMS: Mutex<VecDeque<(String, Arc<[u8]>)>> = Mutex::new(VecDeque::new());

/// Runs a module that is a program of its own.
#[derive(Deserialize)]
pub struct Program {
    style: String,
    args: Map<String, Value>,
    name: String,
    #[serde(default)]
    at: usize,
    interpreter: Option<String>,
    source: Option<String>,
}

impl Module for Program {
    const SPEC: Spec = Spec::new(
        "_program",
        "Runs a module that kopsrun doesn't bring.",
        &[
            Arg::new(
                "style",
                Kind::Str,
                "How it gets its arguments: in its text, in a file of JSON, or in a file of pairs.",
            )
            .choices(&["packed", "json", "pairs"])
            .required(),
            Arg::new("args", Kind::Raw, "Its arguments.").required(),
            Arg::new("name", Kind::Str, "Name of its file.").required(),
            Arg::new("at", Kind::Int, "Where in its text they belong."),
            Arg::new("interpreter", Kind::Str, "The Python that runs it."),
            Arg::new(
                "source",
                Kind::Str,
                "Its text, when it doesn't come as content.",
            ),
        ],
    );

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let program: Arc<[u8]> = match &self.source {
            Some(text) => Arc::from(text.as_bytes()),
            None => fetched(cx)?,
        };
        let output = if self.style == "packed" {
            let text = self.with_arguments(&program)?;
            // By standard input: arguments, which may hold secrets, are in no file and no list of processes.
            cx.process(self.python(cx)?).stdin(text).run()?
        } else {
            let place = Scratch::new(true).map_err(|error| {
                Failure::new(format!("there is no directory for the module: {error}"))
            })?;
            let path = place.join(self.file_name());
            write(&path, 0o700, &program)?;
            let args = place.join("args");
            write(&args, 0o600, self.argument_file().as_bytes())?;
            // Ansible too starts scripts of Python by the Python that it found.
            let process = if reads_python(&program) {
                cx.process(self.python(cx)?).arg(path)
            } else {
                cx.process(path)
            };
            process.arg(args).run()?
        };
        Ok(understood(output))
    }
}

fn write(path: &Path, mode: u32, mut content: &[u8]) -> Result<(), Failure> {
    write_new(path, mode, &mut content).map_err(|error| Failure::io("cannot write", path, &error))
}

impl Program {
    fn file_name(&self) -> &str {
        match self.name.rsplit('/').next() {
            Some(name) if !name.is_empty() && name != "args" => name,
            _ => "module",
        }
    }

    /// The text with the arguments in their place: JSON as a literal of Python.
    fn with_arguments(&self, program: &[u8]) -> Result<Vec<u8>, Failure> {
        let (before, after) = program
            .split_at_checked(self.at)
            .ok_or_else(|| Failure::new("the module's text is shorter than it was said to be"))?;
        let json = ascii(&json!({ "ANSIBLE_MODULE_ARGS": self.args }).to_string());
        let literal = format!("'{}'", json.replace('\\', "\\\\").replace('\'', "\\'"));
        Ok([before, literal.as_bytes(), after].concat())
    }

    fn argument_file(&self) -> String {
        if self.style == "json" {
            return Value::Object(self.args.clone()).to_string();
        }
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            Value::Bool(true) => "True".to_owned(),
            Value::Bool(false) => "False".to_owned(),
            Value::Null => "None".to_owned(),
            other => other.to_string(),
        };
        let pairs = self.args.iter();
        pairs
            .map(|(name, value)| format!("{name}={} ", words::quote(&text(value))))
            .collect()
    }

    fn python(&self, cx: &Context) -> Result<PathBuf, Failure> {
        if let Some(given) = &self.interpreter {
            return Ok(cx.expand(given));
        }
        let mut known = PYTHONS.iter();
        known
            .find_map(|name| match name.strip_prefix('/') {
                Some(_) => Some(PathBuf::from(name)).filter(|path| path.exists()),
                None => cx.find_program(name),
            })
            .ok_or_else(|| {
                Failure::new(format!(
                    "the module {} needs Python, and this host has none; set ansible_python_interpreter if it has",
                    self.name
                ))
            })
    }
}

/// True for a script whose first line names Python.
fn reads_python(program: &[u8]) -> bool {
    let first = program.split(|byte| *byte == b'\n').next();
    let first = String::from_utf8_lossy(first.unwrap_or_default());
    let mut words = first
        .strip_prefix("#!")
        .unwrap_or_default()
        .split_whitespace();
    words.any(|word| {
        let name = word.rsplit('/').next().unwrap_or_default();
        name.starts_with("python")
    })
}

/// The program's content, from the last task that ran it or from the controller.
fn fetched(cx: &Context) -> Result<Arc<[u8]>, Failure> {
    let wanted = cx.blob_ref("content").map(|blob| blob.sha1.clone());
    let wanted = wanted.ok_or_else(|| Failure::new("the task brought no program"))?;
    let lock = || PROGRAMS.lock().unwrap_or_else(PoisonError::into_inner);
    let kept = lock().iter().find(|(sha1, _)| *sha1 == wanted).cloned();
    if let Some((_, content)) = kept {
        return Ok(content);
    }
    let mut content = Vec::new();
    cx.blob("content")?
        .read_to_end(&mut content)
        .map_err(|error| Failure::new(format!("the module didn't arrive: {error}")))?;
    let content: Arc<[u8]> = content.into();
    let mut kept = lock();
    kept.push_back((wanted, Arc::clone(&content)));
    if kept.len() > KEPT {
        kept.pop_front();
    }
    Ok(content)
}

/// JSON with nothing outside of ASCII: what Python reads is the same in every locale.
fn ascii(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for letter in json.chars() {
        if letter.is_ascii() {
            out.push(letter);
        } else {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    out
}

/// What a program printed as the result of its task.
fn understood(output: crate::process::Output) -> Outcome {
    let stdout = output.stdout_text();
    let Some(mut data) = result_in(&stdout) else {
        return failure(&output, &stdout);
    };
    // What it was called with is for the eyes of its author.
    data.retain(|name, _| name != "invocation" && !name.starts_with("_ansible_"));
    let mut flag = |name: &str| data.shift_remove(name).is_some_and(|value| truth(&value));
    let (changed, skipped) = (flag("changed"), flag("skipped"));
    let failed = match data.shift_remove("failed") {
        Some(value) => truth(&value),
        None => data
            .get("rc")
            .is_some_and(|rc| *rc != json!(0) && *rc != json!("0")),
    };
    Outcome {
        changed,
        failed,
        skipped,
        data,
        ..Outcome::default()
    }
}

/// The JSON object in what was printed: from the first line that begins with a brace, to where it ends.
fn result_in(stdout: &str) -> Option<Map<String, Value>> {
    let mut at = 0;
    let begin = stdout.split_inclusive('\n').find_map(|line| {
        let here = at;
        at += line.len();
        line.trim_start().starts_with('{').then_some(here)
    })?;
    serde_json::Deserializer::from_str(&stdout[begin..])
        .into_iter::<Map<String, Value>>()
        .next()?
        .ok()
}

fn truth(value: &Value) -> bool {
    match value {
        Value::Bool(value) => *value,
        Value::Null => false,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(entries) => !entries.is_empty(),
    }
}

/// A program that printed no result.
fn failure(output: &crate::process::Output, stdout: &str) -> Outcome {
    let stderr = output.stderr_text();
    let missing = output.rc == 127 || stderr.contains("No such file or directory");
    let message = if missing && stdout.is_empty() {
        "The module failed to execute correctly, you probably need to set the interpreter.\nSee stdout/stderr for the exact error"
    } else {
        "MODULE FAILURE: No start of json char found\nSee stdout/stderr for the exact error"
    };
    let mut outcome = Outcome::ok()
        .msg(message)
        .with("module_stdout", stdout)
        .with("module_stderr", stderr.as_str())
        .with("rc", output.rc);
    if stderr.starts_with("Traceback") {
        outcome = outcome.with("exception", stderr);
    }
    outcome.failed = true;
    outcome
}

#[cfg(test)]
mod tests {
    use crate::modules::test::run_with;
    use serde_json::{Value, json};

    fn run(style: &str, text: &str, args: Value) -> crate::Outcome {
        let at = text.find("ARGS").unwrap_or_default();
        let text = text.replacen("ARGS", "", 1);
        let task = json!({ "style": style, "args": args, "name": "mine", "at": at });
        run_with("_program", task, text.as_bytes())
    }

    #[test]
    fn python_reads_its_arguments_as_they_were() {
        let text = "import json, sys\nargs = json.loads(ARGS)\nprint('noise')\nprint(json.dumps({'changed': True, 'got': args}))\nprint('more')\n";
        let args = json!({"a": "it's \\ \"quoted\"\n", "b": [1, null, true], "c": "\u{1f600}é"});
        let done = run("packed", text, args.clone());
        assert!(done.changed && !done.failed, "{done:?}");
        assert_eq!(done.data["got"]["ANSIBLE_MODULE_ARGS"], args);
    }

    #[test]
    fn other_programs_get_a_file() {
        let json = "#!/bin/sh\nprintf '{\"changed\": 1, \"args\": %s}' \"$(cat $1)\"\n";
        let done = run("json", json, json!({"a": [1]}));
        assert!(
            done.changed && done.data["args"]["a"] == json!([1]),
            "{done:?}"
        );
        let pairs = "#!/bin/sh\n. $1\necho \"{\\\"rc\\\": 3, \\\"said\\\": \\\"$a/$b\\\"}\"\n";
        let done = run("pairs", pairs, json!({"a": "two words", "b": true}));
        assert!(done.failed && !done.changed, "{done:?}");
        assert_eq!(done.data["said"], "two words/True");
    }

    #[test]
    fn scripts_of_python_are_started_by_the_python_there_is() {
        let text = "#!/no/such/python\nimport json, sys\nprint(json.dumps({'got': open(sys.argv[1]).read()}))\n";
        let done = run("pairs", text, json!({"a": 1}));
        assert_eq!(done.data["got"], "a=1 ", "{done:?}");
    }

    #[test]
    fn programs_that_print_no_result_fail_with_what_they_said() {
        let done = run(
            "json",
            "#!/bin/sh\necho no; echo why >&2; exit 4\n",
            json!({}),
        );
        assert!(done.failed);
        assert_eq!(done.data["rc"], 4);
        assert_eq!(
            (&done.data["module_stdout"], &done.data["module_stderr"]),
            (&json!("no\n"), &json!("why\n"))
        );
    }
}
