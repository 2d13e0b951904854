//! `command`: a program with its arguments, without a shell. `shell`: a command line for a shell.

use crate::{Arg, Context, Failure, Kind, Module, Outcome, Return, Rule, Spec, globs, words};
use jiff::Zoned;
use serde::Deserialize;
use serde_json::Value;

const CHDIR: Arg = Arg::new("chdir", Kind::Path, "Directory to run in.");
const CREATES: Arg = Arg::new(
    "creates",
    Kind::Path,
    "Don't run when this file or pattern exists.",
);
const REMOVES: Arg = Arg::new(
    "removes",
    Kind::Path,
    "Run only when this file or pattern exists.",
);
const CMD: Arg = Arg::new("cmd", Kind::Str, "The command line, instead of free form.");
const STDIN: Arg = Arg::new("stdin", Kind::Str, "What the command reads.");
const NEWLINE: Arg = Arg::new(
    "stdin_add_newline",
    Kind::Bool,
    "End the standard input with a line break.",
)
.default("yes");
const STRIP: Arg = Arg::new(
    "strip_empty_ends",
    Kind::Bool,
    "Leave out line breaks at the end of the output.",
)
.default("yes");

/// Arguments of both modules, and of `script`.
#[derive(Deserialize)]
pub(super) struct Common {
    _raw_params: Option<String>,
    cmd: Option<String>,
    chdir: Option<String>,
    creates: Option<String>,
    removes: Option<String>,
    stdin: Option<String>,
    stdin_add_newline: bool,
    strip_empty_ends: bool,
}

#[derive(Deserialize)]
pub struct Command {
    #[serde(flatten)]
    common: Common,
    argv: Option<Vec<String>>,
    expand_argument_vars: bool,
}

#[derive(Deserialize)]
pub struct Shell {
    #[serde(flatten)]
    common: Common,
    executable: Option<String>,
}

/// What `command` and `shell` return.
const RETURNS: &[Return] = &[
    Return::new("cmd", "What ran."),
    Return::new("rc", "Its exit code."),
    Return::new(
        "stdout, stdout_lines, stderr, stderr_lines",
        "What it wrote.",
    ),
    Return::new("start, end, delta", "When it ran, and how long."),
    Return::new("msg", "Why it failed, or what was skipped."),
];

impl Module for Command {
    const SPEC: Spec = Spec::new(
        "command",
        "Runs a program without a shell.",
        &[
            CMD,
            Arg::new(
                "argv",
                Kind::List,
                "The program and its arguments, instead of a line.",
            ),
            CHDIR,
            CREATES,
            REMOVES,
            STDIN,
            NEWLINE,
            STRIP,
            Arg::new(
                "expand_argument_vars",
                Kind::Bool,
                "Expand ~ and $NAME in the arguments.",
            )
            .default("yes"),
        ],
    )
    .free_form()
    .rules(&[
        Rule::Exclusive(&["_raw_params", "cmd", "argv"]),
        Rule::OneOf(&["_raw_params", "cmd", "argv"]),
    ])
    .returns(RETURNS);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let mut argv = match (&self.argv, self.common.line()) {
            (Some(argv), _) => argv.clone(),
            (None, line) => words::split(line)?,
        };
        let shown = Value::from(argv.clone());
        if self.expand_argument_vars {
            for word in &mut argv {
                *word = cx.expand(word).to_string_lossy().into_owned();
            }
        }
        if argv.first().is_none_or(String::is_empty) {
            return Err(Failure::new("no command given").with("rc", 256));
        }
        self.common.run(cx, &argv, &shown)
    }
}

impl Module for Shell {
    const SPEC: Spec = Spec::new(
        "shell",
        "Runs a command line in a shell.",
        &[
            CMD,
            CHDIR,
            CREATES,
            REMOVES,
            Arg::new(
                "executable",
                Kind::Path,
                "The shell, with its full path; /bin/sh if not said.",
            ),
            STDIN,
            NEWLINE,
            STRIP,
        ],
    )
    .free_form()
    .rules(&[
        Rule::Exclusive(&["_raw_params", "cmd"]),
        Rule::OneOf(&["_raw_params", "cmd"]),
    ])
    .returns(RETURNS);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let line = self.common.line();
        if line.trim().is_empty() {
            return Err(Failure::new("no command given").with("rc", 256));
        }
        let shell = self.executable.as_deref().unwrap_or("/bin/sh");
        let argv = [shell.to_owned(), "-c".to_owned(), line.to_owned()];
        self.common.run(cx, &argv, &Value::from(line))
    }
}

impl Common {
    fn line(&self) -> &str {
        self._raw_params
            .as_deref()
            .or(self.cmd.as_deref())
            .unwrap_or_default()
    }

    pub(super) fn run(
        &self,
        cx: &Context,
        argv: &[String],
        shown: &Value,
    ) -> Result<Outcome, Failure> {
        let outcome = |changed: bool| Outcome::changed(changed).with("cmd", shown.clone());
        if let Some((reason, short)) = self.needless(cx) {
            let verb = if cx.check() { "Would" } else { "Did" };
            return Ok(timed(outcome(false), &Zoned::now())
                .with("rc", 0)
                .with("stdout", short)
                .with("stderr", "")
                .msg(format!("{verb} not run command since {reason}")));
        }
        let dir = self.chdir.as_deref().map(|dir| cx.expand(dir));
        if let Some(dir) = dir.as_ref().filter(|dir| !dir.is_dir()) {
            return Err(Failure::new(format!(
                "Unable to change directory before execution: {} is not a directory",
                dir.display()
            ))
            .with("cmd", shown.clone())
            .with("rc", Value::Null));
        }
        if cx.check() {
            let mut would = outcome(self.creates.is_some() || self.removes.is_some());
            // Nothing tells whether a command changes anything.
            would.skipped = self.creates.is_none() && self.removes.is_none();
            return Ok(timed(would, &Zoned::now())
                .with("rc", 0)
                .with("stdout", "")
                .with("stderr", "")
                .msg("Command would have run if not in check mode"));
        }
        let start = Zoned::now();
        let mut process = cx.process(&argv[0]).args(&argv[1..]);
        if let Some(dir) = dir {
            process = process.current_dir(dir);
        }
        if let Some(text) = &self.stdin {
            let end = if self.stdin_add_newline { "\n" } else { "" };
            process = process.stdin(format!("{text}{end}").into_bytes());
        }
        let output = process
            .run()
            .map_err(|failure| failure.with("cmd", as_line(shown)))?;
        let mut done = timed(outcome(true), &start)
            .with("rc", output.rc)
            .with("stdout", self.stripped(output.stdout_text()))
            .with("stderr", self.stripped(output.stderr_text()))
            .msg("");
        if output.rc != 0 {
            done.failed = true;
            done = done.msg("non-zero return code");
        }
        Ok(done)
    }

    /// Why the command need not run, if it needn't: a sentence and what Ansible puts into `stdout`.
    pub(super) fn needless(&self, cx: &Context) -> Option<(String, String)> {
        if let Some(path) = self.creates.as_deref().filter(|path| self.exists(cx, path)) {
            return Some((
                format!("'{path}' exists"),
                format!("skipped, since {path} exists"),
            ));
        }
        let path = self
            .removes
            .as_deref()
            .filter(|path| !self.exists(cx, path))?;
        Some((
            format!("'{path}' does not exist"),
            format!("skipped, since {path} does not exist"),
        ))
    }

    /// Whether what `creates` names is there.
    pub(super) fn creates_is_there(&self, cx: &Context) -> bool {
        let creates = self.creates.as_deref();
        creates.is_some_and(|path| self.exists(cx, path))
    }

    fn exists(&self, cx: &Context, pattern: &str) -> bool {
        let inside = self.chdir.as_deref().map(|dir| cx.expand(dir));
        let pattern = inside.unwrap_or_default().join(cx.expand(pattern));
        !globs::glob(&pattern.to_string_lossy()).is_empty()
    }

    fn stripped(&self, text: String) -> String {
        if self.strip_empty_ends {
            text.trim_end_matches(['\r', '\n']).to_owned()
        } else {
            text
        }
    }
}

/// Adds `start`, `end` and `delta` as Python prints them.
fn timed(outcome: Outcome, start: &Zoned) -> Outcome {
    let end = Zoned::now();
    let taken = end.duration_since(start).as_micros().max(0);
    let (seconds, micros) = (taken / 1_000_000, taken % 1_000_000);
    outcome
        .with("start", start.strftime("%Y-%m-%d %H:%M:%S.%6f").to_string())
        .with("end", end.strftime("%Y-%m-%d %H:%M:%S.%6f").to_string())
        .with(
            "delta",
            format!(
                "{}:{:02}:{:02}.{micros:06}",
                seconds / 3600,
                seconds / 60 % 60,
                seconds % 60
            ),
        )
}

/// Of a program that couldn't be started Ansible tells one line, not a list.
fn as_line(shown: &Value) -> Value {
    let Value::Array(words) = shown else {
        return shown.clone();
    };
    let quoted: Vec<String> = words
        .iter()
        .filter_map(Value::as_str)
        .map(crate::words::quote)
        .collect();
    quoted.join(" ").into()
}

#[cfg(test)]
mod tests {
    use crate::modules::test::{check, run};
    use serde_json::json;

    #[test]
    fn a_command_runs_without_a_shell() {
        let outcome = run("command", json!({"_raw_params": "echo 'a  b' $HOME ';' x"}));
        let home = std::env::var("HOME").expect("set");
        assert_eq!(outcome.data["stdout"], format!("a  b {home} ; x"));
        assert_eq!(
            outcome.data["cmd"],
            json!(["echo", "a  b", "$HOME", ";", "x"])
        );
        assert_eq!(
            (outcome.changed, outcome.failed, &outcome.data["rc"]),
            (true, false, &json!(0))
        );
        for key in ["start", "end", "delta", "stderr", "msg"] {
            assert!(outcome.data.contains_key(key), "{key}");
        }
        let outcome = run(
            "command",
            json!({"argv": ["echo", "$HOME"], "expand_argument_vars": false}),
        );
        assert_eq!(outcome.data["stdout"], "$HOME");
    }

    #[test]
    fn failures_are_told_apart() {
        let outcome = run("command", json!({"cmd": "sh -c 'echo oops >&2; exit 7'"}));
        assert!(outcome.failed && outcome.changed);
        assert_eq!(outcome.data["msg"], "non-zero return code");
        assert_eq!(
            (&outcome.data["rc"], &outcome.data["stderr"]),
            (&json!(7), &json!("oops"))
        );
        let outcome = run("command", json!({"cmd": "no-such-program"}));
        assert_eq!((outcome.failed, &outcome.data["rc"]), (true, &json!(2)));
        assert!(run("command", json!({})).failed);
        assert!(run("command", json!({"cmd": "a", "argv": ["b"]})).failed);
        assert!(run("command", json!({"cmd": "echo 'a"})).failed);
    }

    #[test]
    fn creates_and_removes_decide_whether_it_runs() {
        let outcome = run("command", json!({"cmd": "false", "creates": "/etc/pass*"}));
        assert_eq!((outcome.changed, outcome.failed), (false, false));
        assert_eq!(outcome.data["stdout"], "skipped, since /etc/pass* exists");
        assert_eq!(
            outcome.data["msg"],
            "Did not run command since '/etc/pass*' exists"
        );
        let outcome = run("command", json!({"cmd": "false", "removes": "/no/such"}));
        assert!(!outcome.changed);
        let outcome = run(
            "command",
            json!({"cmd": "true", "creates": "nope", "chdir": "/etc"}),
        );
        assert!(outcome.changed);
        let outcome = run(
            "command",
            json!({"cmd": "false", "creates": "passwd", "chdir": "/etc"}),
        );
        assert!(!outcome.changed);
    }

    #[test]
    fn check_mode_runs_nothing() {
        let outcome = check("command", json!({"cmd": "false"}));
        assert!(outcome.skipped && !outcome.changed && !outcome.failed);
        let outcome = check("command", json!({"cmd": "false", "removes": "/etc/passwd"}));
        assert!(!outcome.skipped && outcome.changed);
    }

    #[test]
    fn a_shell_reads_the_line() {
        let outcome = run(
            "shell",
            json!({"_raw_params": "cat; echo $((1+1)) | tr 2 3", "stdin": "in"}),
        );
        assert_eq!(outcome.data["stdout"], "in\n3");
        assert_eq!(outcome.data["cmd"], "cat; echo $((1+1)) | tr 2 3");
        let outcome = run(
            "shell",
            json!({"cmd": "[[ a == a ]] && pwd", "executable": "/bin/bash", "chdir": "/usr"}),
        );
        assert_eq!(outcome.data["stdout"], "/usr");
        let outcome = run(
            "shell",
            json!({"cmd": "printf 'a\n\n'", "strip_empty_ends": false}),
        );
        assert_eq!(outcome.data["stdout"], "a\n\n");
    }
}
