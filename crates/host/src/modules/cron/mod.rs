//! `cron`: jobs and variables of a crontab, a user's own or a file of /etc/cron.d.

mod table;

use crate::files::{self, Attributes, random_hex};
use crate::modules::rewrite;
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Return, Spec, users};
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};
use table::{Table, job_line};

#[derive(Deserialize)]
pub struct Cron {
    name: String,
    user: Option<String>,
    job: Option<String>,
    cron_file: Option<String>,
    state: String,
    backup: bool,
    minute: String,
    hour: String,
    day: String,
    month: String,
    weekday: String,
    special_time: Option<String>,
    disabled: bool,
    env: bool,
    insertafter: Option<String>,
    insertbefore: Option<String>,
}

impl Module for Cron {
    const SPEC: Spec = Spec::new(
        "cron",
        "Keeps jobs and variables in a crontab. A job is known by its name, which stands in a comment before it.",
        &[
            Arg::new("name", Kind::Str, "Name of the job, or of the variable with env.").required(),
            Arg::new("user", Kind::Str, "Whose crontab; in a cron_file, as whom the job runs."),
            Arg::new("job", Kind::Str, "The command, or the value of the variable.")
                .aliases(&["value"]),
            Arg::new(
                "cron_file",
                Kind::Path,
                "A file with a column for the user instead of a crontab; below /etc/cron.d unless absolute.",
            ),
            Arg::new("state", Kind::Str, "Whether it is there.")
                .choices(&["absent", "present"])
                .default("present"),
            Arg::new(
                "backup",
                Kind::Bool,
                "Keep a copy of what was there, in the directory for temporary files.",
            )
            .default("no"),
            Arg::new("minute", Kind::Str, "0-59, *, */2 and so on.").default("*"),
            Arg::new("hour", Kind::Str, "0-23.").default("*"),
            Arg::new("day", Kind::Str, "Day of the month, 1-31.").aliases(&["dom"]).default("*"),
            Arg::new("month", Kind::Str, "1-12.").default("*"),
            Arg::new("weekday", Kind::Str, "0-6, from Sunday.").aliases(&["dow"]).default("*"),
            Arg::new("special_time", Kind::Str, "A name instead of a time.").choices(&[
                "reboot", "yearly", "annually", "monthly", "weekly", "daily", "hourly",
            ]),
            Arg::new("disabled", Kind::Bool, "Comment the job out.").default("no"),
            Arg::new("env", Kind::Bool, "It is a variable, not a job.").default("no"),
            Arg::new("insertafter", Kind::Str, "A new variable stands after this one."),
            Arg::new("insertbefore", Kind::Str, "A new variable stands before this one."),
        ],
    )
    .returns(&[
        Return::new("jobs", "Names of the jobs that are there afterwards."),
        Return::new("envs", "Names of the variables that are there afterwards."),
        Return::new("cron_file", "The file, if one was given."),
        Return::new("backup_file", "The copy, with backup when something changed."),
    ]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        self.check()?;
        let place = self.place(cx);
        let before = place.read(cx)?;
        let mut table = Table::parse(&before);
        let mut changed = if self.env {
            self.variable(&mut table)?
        } else {
            self.task(cx, &mut table)
        };
        // cron ignores a last line that doesn't end.
        changed |= !before.is_empty() && !before.ends_with(['\n', '\r']);
        let after = table.text();
        let gone = matches!(place, Place::File(_))
            && !self.env
            && self.state == "absent"
            && changed
            && after.trim().is_empty();
        let mut outcome = Outcome::changed(changed)
            .with("jobs", table.jobs())
            .with("envs", table.variables());
        if let Place::File(_) = &place {
            outcome = outcome.with("cron_file", self.cron_file.clone());
        }
        if !changed {
            return Ok(outcome);
        }
        if gone {
            outcome = outcome.with("state", "absent");
        }
        if cx.diff() {
            let header = place.header();
            let to = if gone {
                "/dev/null".to_owned()
            } else {
                header.clone()
            };
            outcome = outcome.with(
                "diff",
                serde_json::json!({"before_header": header, "after_header": to, "before": before, "after": after}),
            );
        }
        if cx.check() {
            return Ok(outcome);
        }
        if self.backup {
            let backup = std::env::temp_dir().join(format!("crontab{}", &random_hex()[..8]));
            put(&backup, &before, 0o600)?;
            outcome = outcome.with("backup_file", backup.to_string_lossy());
        }
        match &place {
            Place::File(path) if gone => {
                fs::remove_file(path)
                    .map_err(|error| Failure::io("cannot remove", path, &error))?;
            }
            Place::File(path) => put(path, &after, 0o644)?,
            Place::Of(user) => install(cx, user.as_deref(), &after)?,
        }
        Ok(outcome)
    }
}

impl Cron {
    fn check(&self) -> Result<(), Failure> {
        let refuse = |text: &str| Err(Failure::new(text));
        let present = self.state == "present";
        let fields = [
            &self.minute,
            &self.hour,
            &self.day,
            &self.month,
            &self.weekday,
        ];
        if self.special_time.is_some() && fields.iter().any(|field| *field != "*") {
            return refuse(
                "special_time takes the place of minute, hour, day, month and weekday: give one or the others",
            );
        }
        if self.cron_file.is_some() && present && self.user.is_none() {
            return refuse("cron_file needs user: its lines say as whom a job runs");
        }
        if present && self.job.is_none() {
            return refuse("job is needed to add a job or a variable (state: present)");
        }
        if (self.insertafter.is_some() || self.insertbefore.is_some()) && !(self.env && present) {
            return refuse(
                "insertafter and insertbefore are for variables: env: true, state: present",
            );
        }
        if self.insertafter.is_some() && self.insertbefore.is_some() {
            return refuse("only one of insertafter and insertbefore can be given");
        }
        if self.env && self.name.contains(' ') {
            return refuse("the name of a variable has no blanks");
        }
        Ok(())
    }

    fn place(&self, cx: &Context) -> Place {
        let Some(file) = &self.cron_file else {
            return Place::Of(self.user.clone());
        };
        let path = Path::new("/etc/cron.d").join(cx.expand(file));
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if !name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "_-".contains(letter))
        {
            cx.warn(format!(
                "Filename portion of cron_file ({name:?}) should consist solely of upper- and lower-case letters, digits, underscores, and hyphens: cron leaves others out"
            ));
        }
        Place::File(path)
    }

    /// The line of the job.
    fn line(&self) -> String {
        let user = self.cron_file.as_ref().and(self.user.as_deref());
        let job = self.job.as_deref().unwrap_or_default();
        let job = job.trim_matches(['\r', '\n']);
        let time = match &self.special_time {
            Some(name) => format!("@{name}"),
            None => format!(
                "{} {} {} {} {}",
                self.minute, self.hour, self.day, self.month, self.weekday
            ),
        };
        job_line(self.disabled, &time, user, job)
    }

    fn task(&self, cx: &Context, table: &mut Table) -> bool {
        if self.state == "absent" {
            return table.remove_job(&self.name);
        }
        if self
            .job
            .as_deref()
            .is_some_and(|job| job.trim_matches(['\r', '\n']).contains(['\r', '\n']))
        {
            cx.warn("Job should not contain line breaks");
        }
        table.put_job(&self.name, &self.line())
    }

    fn variable(&self, table: &mut Table) -> Result<bool, Failure> {
        if self.state == "absent" {
            return Ok(table.remove_variable(&self.name));
        }
        let line = format!(
            "{}=\"{}\"",
            self.name,
            self.job.as_deref().unwrap_or_default()
        );
        let beside = match (&self.insertafter, &self.insertbefore) {
            (Some(name), _) => Some((name.as_str(), 1)),
            (None, Some(name)) => Some((name.as_str(), 0)),
            (None, None) => None,
        };
        table
            .put_variable(&self.name, &line, beside)
            .map_err(|name| Failure::new(format!("Variable named '{name}' not found.")))
    }
}

/// Where the lines are.
enum Place {
    /// The crontab of this user, or of whom the task runs as.
    Of(Option<String>),
    File(PathBuf),
}

impl Place {
    fn header(&self) -> String {
        match self {
            Self::File(path) => path.to_string_lossy().into_owned(),
            Self::Of(Some(user)) => user.clone(),
            Self::Of(None) => "crontab".to_owned(),
        }
    }

    fn read(&self, cx: &Context) -> Result<String, Failure> {
        let user = match self {
            Self::File(path) => {
                let bytes = rewrite::read(path)?.unwrap_or_default();
                return String::from_utf8(bytes)
                    .map_err(|_| Failure::new(format!("{} is not UTF-8", path.display())));
            }
            Self::Of(user) => user.as_deref(),
        };
        let output = crontab(cx, user)?.arg("-l").system().run()?;
        // 1: there is none yet, or cron doesn't know the user.
        if output.rc > 1 || (output.rc == 1 && !output.stderr_text().contains("no crontab")) {
            output.check("cannot read the crontab")?;
            return Ok(String::new());
        }
        let text = if output.rc == 0 {
            output.stdout_text()
        } else {
            String::new()
        };
        Ok(table::without_header(&text))
    }
}

/// The program of cron, for a user.
fn crontab<'c>(cx: &'c Context, user: Option<&str>) -> Result<crate::Process<'c>, Failure> {
    let program = cx.find_program("crontab").ok_or_else(|| {
        Failure::new(
            "there is no program crontab on this host: install cron first, or give cron_file",
        )
    })?;
    let process = cx.process(program);
    let Some(user) = user else {
        return Ok(process);
    };
    let me = rustix::process::geteuid().as_raw();
    Ok(match users::user_by_name(user) {
        Some(known) if known.uid == me => process,
        _ => process.args(["-u", user]),
    })
}

fn install(cx: &Context, user: Option<&str>, text: &str) -> Result<(), Failure> {
    crontab(cx, user)?
        .arg("-")
        .stdin(text.as_bytes().to_vec())
        .system()
        .run()?
        .check("cannot install the crontab; the old one stays")?;
    Ok(())
}

fn put(path: &Path, text: &str, mode: u32) -> Result<(), Failure> {
    let attributes = Attributes {
        mode: Some(mode),
        ..Attributes::default()
    };
    files::write(path, text.as_bytes(), attributes)
        .map_err(|error| rewrite::write_failure(path, text.len() as u64, path.exists(), &error))
}
