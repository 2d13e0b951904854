//! The callback `junit`: a file in JUnit's XML for every playbook, with a test case for each task on each host.

use super::whole::Whole;
use super::{Settings, Task};
use crate::journal::{Event, Record, Status};
use jiff::Timestamp;
use serde_json::Value;
use std::fmt::Write as _;
use std::io;
use std::path::Path;

/// Collects test cases until the recap.
pub(super) struct Junit {
    settings: super::Junit,
    playbook: String,
    play: String,
    started: Option<Timestamp>,
    cases: Vec<Case>,
}

struct Case {
    /// `setup` and its kin.
    gathers: bool,
    name: String,
    class: Option<String>,
    /// Seconds.
    took: f64,
    end: End,
}

enum End {
    Ok(String),
    Failed { message: String, output: String },
    Skipped(String),
}

impl Junit {
    pub(super) fn new(settings: super::Junit) -> Self {
        Self {
            settings,
            playbook: String::new(),
            play: String::new(),
            started: None,
            cases: Vec::new(),
        }
    }

    pub(super) fn take(
        &mut self,
        record: &Record,
        whole: Option<&Whole>,
        task: &Task,
        settings: &Settings,
    ) -> io::Result<()> {
        match &record.event {
            Event::PlaybookStarted { path, .. } => {
                let stem = Path::new(path).file_stem().unwrap_or_default();
                self.playbook = stem.to_string_lossy().into_owned();
            }
            Event::PlayStarted { name, .. } => self.play.clone_from(name),
            Event::TaskStarted { .. } => self.started = Some(record.time),
            Event::Included { path, .. } => {
                let end = End::Ok(path.clone());
                self.add("include", task, record.time, end);
            }
            Event::Stats { .. } => return self.write(record.time),
            _ => {}
        }
        if let Some(whole) = whole {
            let end = self.end(whole, task, settings);
            self.add(&whole.host, task, record.time, end);
        }
        Ok(())
    }

    fn title(&self, task: &Task) -> String {
        let arguments = task.arguments.as_ref();
        match arguments.filter(|text| !text.is_empty() && !self.settings.hide_task_arguments) {
            Some(arguments) => format!("{} {arguments}", task.title()),
            None => task.title(),
        }
    }

    fn end(&self, whole: &Whole, task: &Task, settings: &Settings) -> End {
        let result = &whole.result;
        let mut failed = match whole.status {
            Status::Skipped => {
                let reason = result.get("skip_reason").and_then(Value::as_str);
                return End::Skipped(reason.unwrap_or("skipped").to_owned());
            }
            Status::Ok => false,
            Status::Changed => self.settings.fail_on_change,
            Status::Ignored => self.settings.fail_on_ignore,
            Status::Failed | Status::Rescued | Status::Unreachable => true,
        };
        let title = self.title(task);
        if failed && title.contains("EXPECTED FAILURE") {
            failed = false;
        } else if title.contains("TOGGLE RESULT") {
            failed = !failed;
        }
        let output = settings.format.result(result, false, Some(0));
        if !failed {
            return End::Ok(output);
        }
        let message = match result.get("msg") {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => format!("rc={}", result.get("rc").unwrap_or(&Value::from(0))),
        };
        End::Failed { message, output }
    }

    fn add(&mut self, host: &str, task: &Task, now: Timestamp, end: End) {
        let title = self.title(task);
        let counts = matches!(end, End::Failed { .. });
        if !counts && !title.starts_with(&self.settings.test_case_prefix) {
            return;
        }
        let started = self.started.unwrap_or(now);
        self.cases.push(Case {
            gathers: task.is("setup") || task.is("gather_facts"),
            name: format!("[{host}] {}: {title}", self.play),
            class: task.path().map(|path| self.class(path)),
            took: now.duration_since(started).as_secs_f64(),
            end,
        });
    }

    fn class(&self, path: &str) -> String {
        let mut class = match &self.settings.relative_to {
            Some(base) => relative(Path::new(path), base),
            None => path.to_owned(),
        };
        if self.settings.by_task_class
            && let Some((file, line)) = class.rsplit_once(':')
            && file.ends_with(".yml")
            && line.bytes().all(|byte| byte.is_ascii_digit())
        {
            class = file.trim_end_matches(".yml").to_owned();
        }
        class
    }

    fn write(&mut self, now: Timestamp) -> io::Result<()> {
        let mut cases = std::mem::take(&mut self.cases);
        if !self.settings.include_setup_tasks {
            cases.retain(|case| !case.gathers);
        }
        let seconds = now.as_microsecond() as f64 / 1e6;
        std::fs::create_dir_all(&self.settings.dir)?;
        let name = format!("{}-{seconds:.6}.xml", self.playbook);
        // Whoever collects reports must not find half of one.
        let (target, fresh) = (
            self.settings.dir.join(&name),
            self.settings.dir.join(format!(".{name}.new")),
        );
        std::fs::write(&fresh, document(&self.playbook, &cases))?;
        std::fs::rename(fresh, target)
    }
}

/// One path as seen from another.
fn relative(path: &Path, base: &Path) -> String {
    let (path, base): (Vec<_>, Vec<_>) = (path.components().collect(), base.components().collect());
    let common = path.iter().zip(&base).take_while(|(a, b)| a == b).count();
    let up = base[common..].iter().map(|_| "..".into());
    let down = path[common..]
        .iter()
        .map(|part| part.as_os_str().to_string_lossy());
    let parts: Vec<std::borrow::Cow<'_, str>> = up.chain(down).collect();
    parts.join("/")
}

fn document(playbook: &str, cases: &[Case]) -> String {
    let count = |is: fn(&End) -> bool| cases.iter().filter(|case| is(&case.end)).count();
    let failures = count(|end| matches!(end, End::Failed { .. }));
    let skipped = count(|end| matches!(end, End::Skipped(_)));
    let time: f64 = cases.iter().map(|case| case.took).sum();
    let head = format!("disabled=\"0\" errors=\"0\" failures=\"{failures}\"");
    let tests = format!("tests=\"{}\" time=\"{time}\"", cases.len());
    let mut out = format!(
        "<?xml version=\"1.0\" ?>\n<testsuites {head} {tests}>\n\t<testsuite {head} name=\"{}\" skipped=\"{skipped}\" \
         {tests}>\n",
        escaped(playbook)
    );
    for case in cases {
        one(&mut out, case);
    }
    out.push_str("\t</testsuite>\n</testsuites>\n");
    out
}

fn one(out: &mut String, case: &Case) {
    let class = case.class.as_ref();
    let class = class.map(|class| format!("classname=\"{}\" ", escaped(class)));
    let _ = writeln!(
        out,
        "\t\t<testcase {}name=\"{}\" time=\"{}\">",
        class.unwrap_or_default(),
        escaped(&case.name),
        case.took
    );
    let _ = match &case.end {
        End::Ok(output) => writeln!(out, "\t\t\t<system-out>{}</system-out>", escaped(output)),
        End::Skipped(reason) => writeln!(out, "\t\t\t<skipped>{}</skipped>", escaped(reason)),
        End::Failed { message, output } => writeln!(
            out,
            "\t\t\t<failure message=\"{}\" type=\"failure\">{}</failure>",
            escaped(message),
            escaped(output)
        ),
    };
    out.push_str("\t\t</testcase>\n");
}

/// Text as XML holds it; characters that it can't hold are replaced.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            c if (c as u32) < 0x20 => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_seen_from_a_directory() {
        let base = Path::new("/srv/plays/roles");
        assert_eq!(
            relative(Path::new("/srv/plays/site.yml:3"), base),
            "../site.yml:3"
        );
        assert_eq!(
            relative(Path::new("/srv/plays/roles/a.yml:3"), base),
            "a.yml:3"
        );
    }

    #[test]
    fn markup_in_names_is_text() {
        assert_eq!(
            escaped("a<b> & \"c\"\u{1}"),
            "a&lt;b&gt; &amp; &quot;c&quot;\u{fffd}"
        );
    }
}
