//! Draws the events of a run for people: plays as ansible-playbook prints them, operations as numbered steps.

use super::callback::{Callbacks, Settings};
use super::color::{Paint, Tone};
use super::screen::Screen;
use super::{adhoc, plan};
use crate::journal::{Event, Level, NO_HOSTS, NO_MORE_HOSTS, Outcome, Record, RunEnd};
use std::io::{self, Write};

/// How runs are drawn.
#[derive(Debug, Clone)]
pub struct Style {
    pub color: bool,
    /// Progress is drawn over itself.
    pub terminal: bool,
    /// Width of banners.
    pub columns: usize,
    /// 1: also the results of tasks that went well.
    pub verbosity: u8,
    /// How plays are drawn.
    pub callbacks: Settings,
}

/// Draws one record after the other.
pub struct Human<W> {
    screen: Screen<W>,
    paint: Paint,
    style: Style,
    callbacks: Callbacks,
    /// The run is a task by itself (`kopsrun exec`): what it printed is what was asked for.
    ad_hoc: bool,
    /// The run is of plays only.
    plays: bool,
    steps: usize,
    step: usize,
    /// A progress line stands and must be cleared before the next line.
    progress: bool,
}

impl<W: Write> Human<W> {
    /// Warnings, and failures where the settings of callbacks want it, go to `err`.
    pub fn new(out: W, err: Box<dyn Write + Send>, style: Style) -> Self {
        let paint = Paint { on: style.color };
        Self {
            screen: Screen {
                out,
                err,
                paint,
                columns: style.columns,
            },
            paint,
            callbacks: Callbacks::new(style.callbacks.clone()),
            style,
            ad_hoc: false,
            plays: false,
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
                self.plays = command == "play";
                self.run_started(id, command)?;
            }
            Event::RunResumed { user, host, .. } => {
                self.line(Tone::Dim, &format!("resumed by {user} on {host}"))?;
            }
            Event::HostResult { .. } if self.ad_hoc => {
                let text = adhoc::draw(&record.event, self.callbacks.module(), self.paint);
                self.screen.out.write_all(text.as_bytes())?;
            }
            Event::PlaybookStarted { .. }
            | Event::PlayStarted { .. }
            | Event::TaskStarted { .. }
            | Event::HostStarted { .. }
            | Event::HostResult { .. }
            | Event::LoopFinished { .. }
            | Event::Included { .. }
            | Event::Retrying { .. }
            | Event::Polled { .. }
            | Event::Notified { .. }
            | Event::Asked { .. }
            | Event::Stats { .. } => match self.ad_hoc {
                true => self.callbacks.follow(&record.event),
                false => self.callbacks.draw(record, &mut self.screen)?,
            },
            Event::Note { text, .. } if text == NO_HOSTS || text == NO_MORE_HOSTS => {
                if !self.ad_hoc {
                    self.callbacks.draw(record, &mut self.screen)?;
                }
            }
            Event::Plan {
                title,
                notes,
                steps,
            } => {
                self.steps = steps.len();
                self.step = 0;
                let text = plan::draw(title, notes, steps, self.paint);
                self.screen.out.write_all(text.as_bytes())?;
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
        self.screen.out.flush()
    }

    fn line(&mut self, tone: Tone, text: &str) -> io::Result<()> {
        writeln!(self.screen.out, "{}", self.paint.text(tone, text))
    }

    fn run_started(&mut self, id: &str, command: &str) -> io::Result<()> {
        if command != "play" && (self.style.verbosity > 0 || command != "exec") {
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

    fn hints(&mut self, hints: &[String]) -> io::Result<()> {
        for hint in hints {
            self.line(Tone::Plain, &format!("  hint: {hint}"))?;
        }
        Ok(())
    }

    fn note(&mut self, level: Level, text: &str, host: Option<&str>) -> io::Result<()> {
        let (prefix, tone) = match level {
            Level::Debug if self.style.verbosity < 3 => return Ok(()),
            Level::Debug => ("", Tone::Dim),
            Level::Info => ("", Tone::Plain),
            Level::Warning => ("[WARNING]: ", Tone::Warning),
            Level::Error => ("error: ", Tone::Bad),
        };
        let host = host.map(|host| format!("{host}: ")).unwrap_or_default();
        // As Ansible, which keeps its standard output for what plays say.
        if level == Level::Warning && (self.plays || self.ad_hoc) {
            return self.screen.error(tone, &format!("{prefix}{host}{text}"));
        }
        if level == Level::Error && self.plays {
            return self.screen.error(tone, &format!("[ERROR]: {host}{text}"));
        }
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
        write!(self.screen.out, "\r\x1b[2K      {text}{share}")?;
        self.progress = true;
        self.screen.out.flush()
    }

    fn clear_progress(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.progress) {
            write!(self.screen.out, "\r\x1b[2K")?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Counts, Status};
    use indexmap::IndexMap;
    use serde_json::{Value, json};

    fn quiet() -> Style {
        Style {
            color: false,
            terminal: false,
            columns: 79,
            verbosity: 0,
            callbacks: Settings::default(),
        }
    }

    fn drawn(events: Vec<Event>) -> String {
        let mut out = Vec::new();
        let mut human = Human::new(&mut out, Box::new(io::sink()), quiet());
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
            delegate: Default::default(),
            detail: Default::default(),
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
                check: false,
                place: None,
            },
            Event::TaskStarted {
                name: "restart".into(),
                module: Some("command".into()),
                action: None,
                check: false,
                arguments: None,
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
                custom: IndexMap::new(),
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
