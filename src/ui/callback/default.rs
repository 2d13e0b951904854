//! The callback `default`.

use super::whole::said;
use super::{Settings, Task, label};
use crate::journal::{Counts, Delegate, Detail, Event, NO_HOSTS, NO_MORE_HOSTS, Poll, Status};
use crate::ui::color::Tone;
use crate::ui::screen::Screen;
use crate::ui::{diff, results};
use indexmap::IndexMap;
use serde_json::Value;
use std::io::{self, Write};

/// Lines of output of a failed command that are shown to whoever watches.
const TAIL: usize = 20;

/// Prints events as they come.
#[derive(Default)]
pub(super) struct Default {
    /// The banner of the task under way stands.
    bannered: bool,
    /// A run in check mode.
    check: bool,
    /// The results of items by host, for the one case in which Ansible prints them again.
    items: IndexMap<String, Vec<Value>>,
}

/// A result of a task or of one item.
struct Shown<'a> {
    host: &'a str,
    item: Option<&'a str>,
    status: Status,
    result: Value,
    delegate: &'a Delegate,
    detail: Detail,
}

impl Default {
    pub(super) fn draw<W: Write>(
        &mut self,
        event: &Event,
        task: &Task,
        settings: &Settings,
        screen: &mut Screen<W>,
    ) -> io::Result<()> {
        match event {
            Event::PlaybookStarted { path, plays, check } => {
                self.check = *check;
                self.playbook(path, *plays, settings, screen)
            }
            Event::PlayStarted { name, check, .. } => {
                let mark = mark(*check && settings.check_mode_markers);
                match name.trim() {
                    "" => screen.banner(&format!("PLAY{mark}")),
                    name => screen.banner(&format!("PLAY [{name}]{mark}")),
                }
            }
            Event::TaskStarted { .. } => {
                self.bannered = false;
                self.items.clear();
                if settings.display_skipped_hosts && settings.display_ok_hosts {
                    self.banner(task, settings, screen)?;
                }
                Ok(())
            }
            Event::HostStarted {
                host,
                task,
                handler,
            } if settings.show_per_host_start => {
                let kind = if *handler { "HANDLER" } else { "TASK" };
                let line = format!(" [started {kind}: {task} on {host}]");
                screen.line(Tone::Good, &line)
            }
            Event::HostResult { .. } => self.result(event, task, settings, screen),
            Event::LoopFinished { .. } => self.looped(event, task, settings, screen),
            Event::Included { path, hosts, item } => {
                let item = item.as_ref().map(|item| format!(" => (item={item})"));
                let line = format!(
                    "included: {path} for {}{}",
                    hosts.join(", "),
                    item.unwrap_or_default()
                );
                screen.line(Tone::Skipped, &line)
            }
            Event::Stats { hosts, custom } => self.recap(hosts, custom, settings, screen),
            other => aside(other, settings, screen),
        }
    }

    fn playbook<W: Write>(
        &mut self,
        path: &str,
        plays: usize,
        settings: &Settings,
        screen: &mut Screen<W>,
    ) -> io::Result<()> {
        if settings.format.verbosity > 1 {
            let name = path.rsplit('/').next().unwrap_or(path);
            screen.banner(&format!("PLAYBOOK: {name}"))?;
        }
        if self.check && settings.check_mode_markers {
            screen.banner("DRY RUN")?;
        }
        if settings.format.verbosity > 1 {
            screen.line(Tone::Verbose, &format!("{plays} plays in {path}"))?;
        }
        Ok(())
    }

    fn banner<W: Write>(
        &mut self,
        task: &Task,
        settings: &Settings,
        screen: &mut Screen<W>,
    ) -> io::Result<()> {
        if std::mem::replace(&mut self.bannered, true) {
            return Ok(());
        }
        let kind = if task.handler {
            "RUNNING HANDLER"
        } else {
            "TASK"
        };
        let arguments = task.arguments.as_ref();
        let arguments = arguments.filter(|_| settings.display_args);
        let arguments = arguments.map(|text| format!(" {text}")).unwrap_or_default();
        let mark = mark(task.check && settings.check_mode_markers);
        screen.banner(&format!("{kind} [{}{arguments}]{mark}", task.title()))?;
        if settings.format.verbosity > 1 {
            task_path(task, screen)?;
        }
        Ok(())
    }

    fn result<W: Write>(
        &mut self,
        event: &Event,
        task: &Task,
        settings: &Settings,
        screen: &mut Screen<W>,
    ) -> io::Result<()> {
        let Event::HostResult {
            host,
            item,
            status,
            message,
            result,
            diff: changes,
            delegate,
            detail,
            place,
            hints,
            ..
        } = event
        else {
            return Ok(());
        };
        if item.is_some() {
            let items = self.items.entry(host.clone()).or_default();
            items.push(result.clone());
        }
        let changes = changes.as_ref().filter(|_| !settings.without_diff);
        if let (Status::Changed, Some(changes)) = (status, changes) {
            let text = diff::draw(changes, settings.format, screen.paint);
            if !text.is_empty() {
                self.banner(task, settings, screen)?;
                screen.line(Tone::Plain, &text)?;
            }
        }
        let shown = Shown {
            host,
            item: item.as_deref(),
            status: *status,
            result: said(result.clone(), message.as_deref(), *status),
            delegate,
            detail: *detail,
        };
        if task.is_include() && *status == Status::Ok {
            return match item {
                Some(_) => Ok(()),
                None => self.banner(task, settings, screen),
            };
        }
        self.line(shown, task, settings, screen)?;
        // Whoever watches is told more; what programs read is what Ansible prints.
        if settings.advice && is_bad(*status) {
            advise(result, place.as_deref(), hints, screen)?;
        }
        if *status == Status::Ignored && item.is_none() {
            screen.line(Tone::Skipped, "...ignoring")?;
        }
        Ok(())
    }

    fn line<W: Write>(
        &mut self,
        shown: Shown<'_>,
        task: &Task,
        settings: &Settings,
        screen: &mut Screen<W>,
    ) -> io::Result<()> {
        let hidden = match shown.status {
            Status::Ok => !settings.display_ok_hosts,
            Status::Skipped => !settings.display_skipped_hosts,
            _ => false,
        };
        if hidden {
            return Ok(());
        }
        self.banner(task, settings, screen)?;
        let mut result = shown.result;
        if let (Status::Skipped, Some(map)) = (shown.status, result.as_object_mut()) {
            map.shift_remove("results");
        }
        let label = label(shown.host, shown.delegate);
        if shown.status != Status::Skipped {
            warn(&mut result, screen)?;
        }
        if task.is("debug") {
            result = results::of_debug(&result);
        }
        let dumped = |result: &Value| {
            settings
                .format
                .result(result, shown.detail == Detail::Always, None)
        };
        let bad = is_bad(shown.status);
        let lost = result.get("unreachable") == Some(&Value::Bool(true));
        let head = match (shown.status, shown.item) {
            (Status::Ok, None) => format!("ok: [{label}]"),
            (Status::Ok, Some(item)) => format!("ok: [{label}] => (item={item})"),
            (Status::Changed, None) => format!("changed: [{label}]"),
            (Status::Changed, Some(item)) => format!("changed: [{label}] => (item={item})"),
            (Status::Skipped, None) => format!("skipping: [{}]", shown.host),
            (Status::Skipped, Some(item)) => {
                format!("skipping: [{}] => (item={item}) ", shown.host)
            }
            (_, Some(item)) => format!("failed: [{label}] (item={item})"),
            (_, None) if lost => format!("fatal: [{label}]: UNREACHABLE!"),
            (_, None) => format!("fatal: [{label}]: FAILED!"),
        };
        let tone = match shown.status {
            Status::Ok => Tone::Good,
            Status::Changed => Tone::Changed,
            Status::Skipped => Tone::Skipped,
            _ if lost && shown.item.is_none() => Tone::Unreachable,
            _ => Tone::Bad,
        };
        if !bad {
            let verbose = match shown.detail {
                Detail::Always => true,
                Detail::Normal => settings.format.verbosity > 0,
                Detail::Never => false,
            };
            if verbose {
                return screen.line(tone, &format!("{head} => {}", dumped(&result)));
            }
            return screen.line(tone, &head);
        }
        let path = settings.show_task_path_on_failure && settings.format.verbosity < 2;
        if path && !lost && shown.item.is_none() {
            task_path(task, screen)?;
        }
        let line = format!("{head} => {}", dumped(&result));
        if settings.display_failed_stderr {
            return screen.error(tone, &line);
        }
        screen.line(tone, &line)
    }

    /// The end of a loop: its items have told nearly all.
    fn looped<W: Write>(
        &mut self,
        event: &Event,
        task: &Task,
        settings: &Settings,
        screen: &mut Screen<W>,
    ) -> io::Result<()> {
        let Event::LoopFinished {
            host,
            status,
            result,
            delegate,
            ..
        } = event
        else {
            return Ok(());
        };
        let items = self.items.shift_remove(host).unwrap_or_default();
        let whole = |result| Shown {
            host,
            item: None,
            status: *status,
            result,
            delegate,
            detail: Detail::Normal,
        };
        let lost = result.get("unreachable") == Some(&Value::Bool(true));
        match status {
            // Without the results of its items it is a result as any other.
            _ if result.get("censored").is_some() => {
                self.line(whole(result.clone()), task, settings, screen)?;
            }
            Status::Ok | Status::Changed => {
                return match task.is_include() {
                    true => self.banner(task, settings, screen),
                    false => Ok(()),
                };
            }
            // A debug task shows its message alone, and so not that there were items.
            Status::Failed | Status::Rescued | Status::Ignored if task.is("debug") && !lost => {
                self.line(whole(result.clone()), task, settings, screen)?;
            }
            Status::Skipped => {
                self.line(whole(result.clone()), task, settings, screen)?;
            }
            _ if lost => {
                let mut result = result.clone();
                if let Some(map) = result.as_object_mut() {
                    map.insert("results".to_owned(), items.into());
                }
                self.line(whole(result), task, settings, screen)?;
            }
            _ => {}
        }
        if *status == Status::Ignored {
            screen.line(Tone::Skipped, "...ignoring")?;
        }
        Ok(())
    }

    fn recap<W: Write>(
        &mut self,
        hosts: &IndexMap<String, Counts>,
        custom: &IndexMap<String, Value>,
        settings: &Settings,
        screen: &mut Screen<W>,
    ) -> io::Result<()> {
        screen.banner("PLAY RECAP")?;
        let mut hosts: Vec<_> = hosts.iter().collect();
        hosts.sort_by(|one, other| one.0.cmp(other.0));
        for (host, counts) in hosts {
            let line = recap_line(host, *counts, screen);
            screen.line(Tone::Plain, &line)?;
        }
        screen.line(Tone::Plain, "")?;
        if settings.show_custom_stats && !custom.is_empty() {
            custom_stats(custom, settings, screen)?;
        }
        if self.check && settings.check_mode_markers {
            screen.banner("DRY RUN")?;
        }
        Ok(())
    }
}

fn mark(check: bool) -> &'static str {
    if check { " [CHECK MODE]" } else { "" }
}

fn is_bad(status: Status) -> bool {
    !matches!(status, Status::Ok | Status::Changed | Status::Skipped)
}

/// Lines that are no result.
fn aside<W: Write>(event: &Event, settings: &Settings, screen: &mut Screen<W>) -> io::Result<()> {
    match event {
        Event::Retrying {
            host,
            task: name,
            left,
            result,
            detail,
            delegate,
        } => {
            let label = label(host, delegate);
            let mut line = format!("FAILED - RETRYING: [{label}]: {name} ({left} retries left).");
            let always = *detail == Detail::Always;
            if settings.format.verbosity > 2 || always {
                let result = settings.format.result(result, always, None);
                line += &format!("Result was: {result}");
            }
            screen.line(Tone::Debug, &line)
        }
        Event::Polled { host, jid, state } => {
            let line = match state {
                Poll::Running => format!("ASYNC POLL on {host}: jid={jid} started=1 finished=0"),
                Poll::Ok => format!("ASYNC OK on {host}: jid={jid}"),
                Poll::Failed => format!("ASYNC FAILED on {host}: jid={jid}"),
            };
            screen.line(Tone::Debug, &line)
        }
        Event::Asked { question } => screen.banner(question),
        Event::Notified { handler, host } if settings.format.verbosity > 1 => screen.line(
            Tone::Verbose,
            &format!("NOTIFIED HANDLER {handler} for {host}"),
        ),
        Event::Note { text, .. } if text == NO_HOSTS => {
            screen.line(Tone::Skipped, "skipping: no hosts matched")
        }
        Event::Note { text, .. } if text == NO_MORE_HOSTS => screen.banner("NO MORE HOSTS LEFT"),
        _ => Ok(()),
    }
}

fn task_path<W: Write>(task: &Task, screen: &mut Screen<W>) -> io::Result<()> {
    match task.path() {
        Some(path) => screen.line(Tone::Debug, &format!("task path: {path}")),
        None => Ok(()),
    }
}

/// Warnings of a module go to standard error, and not into the result that is shown.
fn warn<W: Write>(result: &mut Value, screen: &mut Screen<W>) -> io::Result<()> {
    let Some(map) = result.as_object_mut() else {
        return Ok(());
    };
    let nothing =
        |value: &Value| matches!(value, Value::Null) || value.as_array().is_some_and(Vec::is_empty);
    if map.get("warnings").is_some_and(|value| !nothing(value)) {
        let warnings = map.shift_remove("warnings");
        let warnings = warnings.as_ref().and_then(Value::as_array);
        for warning in warnings.into_iter().flatten().filter_map(Value::as_str) {
            screen.error(Tone::Warning, &format!("[WARNING]: {warning}"))?;
        }
    }
    if map.get("deprecations").is_some_and(|value| !nothing(value)) {
        map.shift_remove("deprecations");
    }
    Ok(())
}

fn recap_line<W: Write>(host: &str, c: Counts, screen: &Screen<W>) -> String {
    let tone = match (c.failed + c.unreachable, c.changed) {
        (0, 0) => Tone::Good,
        (0, _) => Tone::Changed,
        _ => Tone::Bad,
    };
    let name = if screen.paint.on {
        format!("{:<37}", screen.paint.text(tone, host))
    } else {
        format!("{host:<26}")
    };
    let figure = |name: &str, count: u32, tone: Tone| {
        let text = format!("{name}={count:<4}");
        if count == 0 {
            text
        } else {
            screen.paint.text(tone, &text)
        }
    };
    format!(
        "{name} : {} {} {} {} {} {} {}",
        figure("ok", c.ok, Tone::Good),
        figure("changed", c.changed, Tone::Changed),
        figure("unreachable", c.unreachable, Tone::Unreachable),
        figure("failed", c.failed, Tone::Bad),
        figure("skipped", c.skipped, Tone::Skipped),
        figure("rescued", c.rescued, Tone::Good),
        figure("ignored", c.ignored, Tone::Warning)
    )
}

/// What `set_stats` kept: by host, and for the run.
fn custom_stats<W: Write>(
    custom: &IndexMap<String, Value>,
    settings: &Settings,
    screen: &mut Screen<W>,
) -> io::Result<()> {
    const RUN: &str = "_run";
    let dumped = |value: &Value| {
        let text = settings.format.plain(value, false, Some(1));
        text.replace('\n', "")
    };
    screen.banner("CUSTOM STATS: ")?;
    let mut names: Vec<&String> = custom.keys().filter(|name| *name != RUN).collect();
    names.sort();
    for name in names {
        screen.line(Tone::Plain, &format!("\t{name}: {}", dumped(&custom[name])))?;
    }
    if let Some(run) = custom.get(RUN) {
        screen.line(Tone::Plain, "")?;
        screen.line(Tone::Plain, &format!("\tRUN: {}", dumped(run)))?;
    }
    screen.line(Tone::Plain, "")
}

/// The last lines that a failed command wrote, where the task stands and what can be done.
fn advise<W: Write>(
    result: &Value,
    place: Option<&str>,
    hints: &[String],
    screen: &mut Screen<W>,
) -> io::Result<()> {
    for stream in ["stdout", "stderr"] {
        let text = result.get(stream).and_then(Value::as_str);
        let text = text.unwrap_or_default().trim_end();
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
        screen.line(Tone::Plain, &format!("  {stream}{more}:"))?;
        for line in &lines[left_out..] {
            screen.line(Tone::Plain, &format!("    {line}"))?;
        }
    }
    if let Some(place) = place {
        screen.line(Tone::Plain, &format!("  task at {place}"))?;
    }
    for hint in hints {
        screen.line(Tone::Plain, &format!("  hint: {hint}"))?;
    }
    Ok(())
}
