//! Draws the events of a run for people: plays as ansible-playbook prints them, operations as numbered steps.

use super::color::{Paint, Tone};
use super::{adhoc, diff, json, plan};
use crate::journal::{Counts, Event, Level, Outcome, Record, RunEnd, Status};
use indexmap::IndexMap;
use serde_json::Value;
use std::io::{self, Write};

/// Columns of a banner, as in Ansible when its output is no terminal.
const BANNER: usize = 79;
/// Lines of output of a failed command that are shown.
const TAIL: usize = 20;

/// How much is drawn.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    pub color: bool,
    /// Progress is drawn over itself.
    pub terminal: bool,
    /// 1: also the results of tasks that went well.
    pub verbosity: u8,
}

/// Draws one record after the other.
pub struct Human<W> {
    out: W,
    paint: Paint,
    style: Style,
    /// The module of the task under way: `debug` is drawn in full.
    module: Option<String>,
    /// The run is a task by itself (`kopsrun exec`): what it printed is what was asked for.
    ad_hoc: bool,
    steps: usize,
    step: usize,
    /// A progress line stands and must be cleared before the next line.
    progress: bool,
}

impl<W: Write> Human<W> {
    pub fn new(out: W, style: Style) -> Self {
        Self {
            out,
            paint: Paint { on: style.color },
            style,
            module: None,
            ad_hoc: false,
            steps: 0,
            step: 0,
            progress: false,
        }
    }

    /// Draws one record. Fails when the output can't be written, as on a closed pipe.
    pub fn draw(&mut self, record: &Record) -> io::Result<()> {
        if let Event::Progress {
            text, done, total, ..
        } = &record.event
        {
            return self.progress(text, *done, *total);
        }
        self.clear_progress()?;
        match &record.event {
            Event::RunStarted { id, command, .. } => {
                self.ad_hoc = command == "exec";
                self.run_started(id, command)?;
            }
            Event::RunResumed { user, host, .. } => {
                self.line(Tone::Dim, &format!("resumed by {user} on {host}"))?;
            }
            Event::PlayStarted { .. } | Event::Stats { .. } if self.ad_hoc => {}
            Event::PlayStarted { name, .. } => self.banner(&format!("PLAY [{name}]"))?,
            Event::TaskStarted {
                name,
                module,
                role,
                handler,
                ..
            } => {
                self.module.clone_from(module);
                if !self.ad_hoc {
                    self.task_banner(name, role.as_deref(), *handler)?;
                }
            }
            Event::HostResult { .. } if self.ad_hoc => {
                let text = adhoc::draw(&record.event, self.module.as_deref(), self.paint);
                self.out.write_all(text.as_bytes())?;
            }
            Event::HostResult { .. } => self.result(&record.event)?,
            Event::Stats { hosts } => self.recap(hosts)?,
            Event::Plan {
                title,
                notes,
                steps,
            } => {
                self.steps = steps.len();
                self.step = 0;
                let text = plan::draw(title, notes, steps, self.paint);
                self.out.write_all(text.as_bytes())?;
            }
            Event::StepStarted { title, .. } => {
                self.step += 1;
                let number = format!("[{}/{}]", self.step, self.steps.max(self.step));
                self.line(Tone::Strong, &format!("{number} {title}"))?;
            }
            Event::StepSucceeded {
                outcome,
                message,
                duration,
                ..
            } => {
                self.step_succeeded(*outcome, message.as_deref(), *duration)?;
            }
            Event::StepFailed { message, hints, .. } => {
                self.line(Tone::Bad, &format!("      failed: {message}"))?;
                self.hints(hints)?;
            }
            Event::UndoStarted { title, .. } => {
                self.line(Tone::Warning, &format!("undoing: {title}"))?;
            }
            Event::UndoFinished { message, .. } => {
                self.line(
                    Tone::Plain,
                    &format!("      undone{}", tail(message.as_deref())),
                )?;
            }
            Event::UndoFailed { message, hints, .. } => {
                self.line(Tone::Bad, &format!("      could not be undone: {message}"))?;
                self.hints(hints)?;
            }
            Event::Note { level, text, host } => self.note(*level, text, host.as_deref())?,
            Event::Progress { .. } => {}
            Event::RunFinished {
                end, message, next, ..
            } => self.finished(*end, message.as_deref(), next)?,
        }
        self.out.flush()
    }

    fn line(&mut self, tone: Tone, text: &str) -> io::Result<()> {
        writeln!(self.out, "{}", self.paint.text(tone, text))
    }

    fn banner(&mut self, title: &str) -> io::Result<()> {
        let stars = BANNER.saturating_sub(title.chars().count()).max(3);
        writeln!(
            self.out,
            "\n{} {}",
            self.paint.text(Tone::Strong, title),
            "*".repeat(stars)
        )
    }

    fn task_banner(&mut self, name: &str, role: Option<&str>, handler: bool) -> io::Result<()> {
        let kind = if handler { "RUNNING HANDLER" } else { "TASK" };
        match role {
            Some(role) => self.banner(&format!("{kind} [{role} : {name}]")),
            None => self.banner(&format!("{kind} [{name}]")),
        }
    }

    fn run_started(&mut self, id: &str, command: &str) -> io::Result<()> {
        if self.style.verbosity > 0 || command != "play" && command != "exec" {
            self.line(Tone::Dim, &format!("run {id}"))?;
        }
        Ok(())
    }

    fn step_succeeded(
        &mut self,
        outcome: Outcome,
        message: Option<&str>,
        duration: f64,
    ) -> io::Result<()> {
        match outcome {
            Outcome::Done => self.line(
                Tone::Good,
                &format!("      done in {duration:.1} s{}", tail(message)),
            ),
            Outcome::AlreadyTrue => self.line(
                Tone::Skipped,
                &format!("      already true{}", tail(message)),
            ),
        }
    }

    fn result(&mut self, event: &Event) -> io::Result<()> {
        let Event::HostResult {
            host,
            item,
            status,
            message,
            result,
            diff,
            delegated_to,
            place,
            hints,
            ..
        } = event
        else {
            return Ok(());
        };
        if let Some(diff) = diff {
            let text = diff::draw(diff, self.paint);
            self.out.write_all(text.as_bytes())?;
        }
        let (word, tone) = match status {
            Status::Ok => ("ok", Tone::Good),
            Status::Changed => ("changed", Tone::Changed),
            Status::Skipped => ("skipping", Tone::Skipped),
            Status::Failed | Status::Rescued | Status::Ignored if item.is_some() => {
                ("failed", Tone::Bad)
            }
            Status::Failed | Status::Rescued | Status::Ignored | Status::Unreachable => {
                ("fatal", Tone::Bad)
            }
        };
        let mut line = match delegated_to {
            Some(delegate) => format!("{word}: [{host} -> {delegate}]"),
            None => format!("{word}: [{host}]"),
        };
        let bad = !matches!(status, Status::Ok | Status::Changed | Status::Skipped);
        if let Some(item) = item {
            let arrow = if bad { "" } else { " =>" };
            let behind = if *status == Status::Skipped { " " } else { "" };
            line.push_str(&format!("{arrow} (item={item}){behind}"));
        }
        match status {
            Status::Failed | Status::Rescued | Status::Ignored => {
                if item.is_none() {
                    line.push_str(": FAILED!");
                }
                line.push_str(&why(message.as_deref(), result));
            }
            Status::Unreachable => {
                line.push_str(": UNREACHABLE!");
                line.push_str(&why(message.as_deref(), result));
            }
            Status::Ok | Status::Changed if self.module.as_deref() == Some("debug") => {
                line.push_str(&format!(" => {}", indented(result)));
            }
            Status::Ok | Status::Changed | Status::Skipped if self.style.verbosity > 0 => {
                line.push_str(&format!(" => {}", json::one_line(result)));
            }
            _ => {}
        }
        self.line(tone, &line)?;
        // Whoever watches is told more; what programs read is what Ansible prints.
        if bad && self.style.terminal {
            self.output_of(result)?;
            if let Some(place) = place {
                self.line(Tone::Plain, &format!("  task at {place}"))?;
            }
            self.hints(hints)?;
        }
        if *status == Status::Ignored {
            self.line(Tone::Skipped, "...ignoring")?;
        }
        Ok(())
    }

    /// The last lines that a failed command wrote.
    fn output_of(&mut self, result: &Value) -> io::Result<()> {
        for stream in ["stdout", "stderr"] {
            let text = result
                .get(stream)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .trim_end();
            if text.is_empty() {
                continue;
            }
            let lines: Vec<&str> = text.lines().collect();
            let left_out = lines.len().saturating_sub(TAIL);
            let more = if left_out > 0 {
                format!(" (the last {TAIL} of {} lines)", lines.len())
            } else {
                String::new()
            };
            self.line(Tone::Plain, &format!("  {stream}{more}:"))?;
            for line in &lines[left_out..] {
                self.line(Tone::Plain, &format!("    {line}"))?;
            }
        }
        Ok(())
    }

    fn hints(&mut self, hints: &[String]) -> io::Result<()> {
        for hint in hints {
            self.line(Tone::Plain, &format!("  hint: {hint}"))?;
        }
        Ok(())
    }

    fn recap(&mut self, hosts: &IndexMap<String, Counts>) -> io::Result<()> {
        self.banner("PLAY RECAP")?;
        for (host, c) in hosts {
            let tone = match (c.failed + c.unreachable, c.changed) {
                (0, 0) => Tone::Good,
                (0, _) => Tone::Changed,
                _ => Tone::Bad,
            };
            let name = self.paint.text(tone, &format!("{host:<26}"));
            writeln!(
                self.out,
                "{name} : ok={:<4} changed={:<4} unreachable={:<4} failed={:<4} skipped={:<4} rescued={:<4} ignored={:<4}",
                c.ok, c.changed, c.unreachable, c.failed, c.skipped, c.rescued, c.ignored
            )?;
        }
        writeln!(self.out)
    }

    fn note(&mut self, level: Level, text: &str, host: Option<&str>) -> io::Result<()> {
        let (prefix, tone) = match level {
            Level::Debug if self.style.verbosity < 2 => return Ok(()),
            Level::Debug => ("", Tone::Dim),
            Level::Info => ("", Tone::Plain),
            Level::Warning => ("[WARNING]: ", Tone::Warning),
            Level::Error => ("error: ", Tone::Bad),
        };
        let host = host.map(|host| format!("{host}: ")).unwrap_or_default();
        let indent = if self.step > 0 && prefix.is_empty() {
            "      "
        } else {
            ""
        };
        self.line(tone, &format!("{indent}{prefix}{host}{text}"))
    }

    fn progress(&mut self, text: &str, done: Option<u64>, total: Option<u64>) -> io::Result<()> {
        if !self.style.terminal {
            return Ok(());
        }
        let share = match (done, total) {
            (Some(done), Some(total)) if total > 0 => format!(" {done}/{total}"),
            _ => String::new(),
        };
        write!(self.out, "\r\x1b[2K      {text}{share}")?;
        self.progress = true;
        self.out.flush()
    }

    fn clear_progress(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.progress) {
            write!(self.out, "\r\x1b[2K")?;
        }
        Ok(())
    }

    fn finished(&mut self, end: RunEnd, message: Option<&str>, next: &[String]) -> io::Result<()> {
        let (word, tone) = match end {
            RunEnd::Done => ("done", Tone::Good),
            RunEnd::Refused => ("refused, nothing was changed", Tone::Bad),
            RunEnd::Unwound => ("failed, and what had been done was undone", Tone::Bad),
            RunEnd::Stuck => ("STUCK half-way: a decision is needed", Tone::Bad),
            RunEnd::Failed => ("failed", Tone::Bad),
            RunEnd::Interrupted => ("interrupted", Tone::Warning),
        };
        // A play that went through has said so in its recap.
        if self.steps > 0 || end == RunEnd::Interrupted || message.is_some() || !next.is_empty() {
            match message {
                Some(message) => self.line(tone, &format!("{word}: {message}"))?,
                None => self.line(tone, word)?,
            }
        }
        if !next.is_empty() {
            self.line(Tone::Plain, "How to go on:")?;
            for step in next {
                self.line(Tone::Plain, &format!("  - {step}"))?;
            }
        }
        Ok(())
    }
}

fn tail(message: Option<&str>) -> String {
    message
        .map(|message| format!(": {message}"))
        .unwrap_or_default()
}

/// What failed: the whole result as Ansible prints it.
fn why(message: Option<&str>, result: &Value) -> String {
    let mut shown = result.clone();
    if let Some(map) = shown.as_object_mut() {
        for key in ["failed", "diff", "invocation"] {
            map.shift_remove(key);
        }
        for stream in ["stdout", "stderr"] {
            let lines = map.get(stream).and_then(Value::as_str).map(lines_of);
            if let Some(lines) = lines {
                map.insert(format!("{stream}_lines"), lines);
            }
        }
        if let (Some(message), false) = (message, map.contains_key("msg")) {
            map.insert("msg".into(), message.into());
        }
        map.sort_keys();
        return format!(" => {}", json::one_line(&shown));
    }
    message
        .map(|message| format!(" => {message}"))
        .unwrap_or_default()
}

/// The lines of an output, as results carry them beside the text.
fn lines_of(text: &str) -> Value {
    text.lines().map(Value::from).collect()
}

/// A dictionary over several lines, four spaces deep, as the debug task shows it.
fn indented(result: &Value) -> String {
    let mut shown = result.clone();
    if let Some(map) = shown.as_object_mut() {
        let variable = |name: &str| map.get(name).and_then(Value::as_str).map(str::to_owned);
        let of_loop = [variable("ansible_loop_var"), variable("ansible_index_var")];
        let common = [
            "changed",
            "failed",
            "skipped",
            "ansible_loop_var",
            "ansible_index_var",
        ];
        for key in common
            .into_iter()
            .chain(of_loop.iter().flatten().map(String::as_str))
        {
            map.shift_remove(key);
        }
    }
    json::indented(&shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const QUIET: Style = Style {
        color: false,
        terminal: false,
        verbosity: 0,
    };

    fn drawn(events: Vec<Event>) -> String {
        let mut out = Vec::new();
        let mut human = Human::new(&mut out, QUIET);
        for (seq, event) in events.into_iter().enumerate() {
            let time = "2026-11-20T22:40:00Z".parse().unwrap();
            human
                .draw(&Record {
                    seq: seq as u64,
                    time,
                    event,
                })
                .unwrap();
        }
        String::from_utf8(out).unwrap()
    }

    fn result(status: Status, result: Value) -> Event {
        Event::HostResult {
            host: "node1".into(),
            task: "restart".into(),
            item: None,
            status,
            message: None,
            result,
            diff: None,
            delegated_to: None,
            place: Some("site.yml:4:7".into()),
            hints: vec![],
            duration: 0.1,
        }
    }

    #[test]
    fn a_play_looks_as_in_ansible() {
        let text = drawn(vec![
            Event::PlayStarted {
                name: "all".into(),
                hosts: vec!["node1".into()],
                place: None,
            },
            Event::TaskStarted {
                name: "restart".into(),
                module: Some("command".into()),
                role: Some("etcd".into()),
                handler: false,
                hosts: 1,
                place: None,
            },
            result(Status::Changed, json!({})),
            result(
                Status::Failed,
                json!({"rc": 1, "msg": "non-zero return code", "stderr": "no such unit\n"}),
            ),
            Event::Stats {
                hosts: IndexMap::from([(
                    "node1".to_owned(),
                    Counts {
                        ok: 1,
                        failed: 1,
                        ..Counts::default()
                    },
                )]),
            },
        ]);
        insta::assert_snapshot!(text, @r#"
        PLAY [all] *********************************************************************

        TASK [etcd : restart] **********************************************************
        changed: [node1]
        fatal: [node1]: FAILED! => {"msg": "non-zero return code", "rc": 1, "stderr": "no such unit\n", "stderr_lines": ["no such unit"]}

        PLAY RECAP *********************************************************************
        node1                      : ok=1    changed=0    unreachable=0    failed=1    skipped=0    rescued=0    ignored=0
        "#);
    }

    #[test]
    fn a_stuck_run_says_how_to_go_on() {
        let text = drawn(vec![Event::RunFinished {
            end: RunEnd::Stuck,
            exit_code: 3,
            message: Some("the new member does not catch up".into()),
            next: vec!["kopsrun resume 7".into()],
        }]);
        insta::assert_snapshot!(text, @r"
        STUCK half-way: a decision is needed: the new member does not catch up
        How to go on:
          - kopsrun resume 7
        ");
    }

    #[test]
    fn progress_is_left_out_where_no_terminal_is() {
        let progress = Event::Progress {
            step: None,
            text: "waiting".into(),
            done: None,
            total: None,
        };
        assert_eq!(drawn(vec![progress]), "");
    }
}
