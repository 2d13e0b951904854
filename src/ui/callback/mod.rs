//! Plays as Ansible's callback plugins print them: one for standard output, and others beside it.

mod default;
mod json;
mod junit;
mod minimal;
mod oneline;
mod profile;
mod whole;

use super::results::Format;
use super::screen::Screen;
use crate::journal::{Delegate, Event, Record};
use std::io::{self, Write};
use std::path::PathBuf;

/// The plugin that prints plays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Kind {
    #[default]
    Default,
    Minimal,
    Oneline,
    /// One document at the end.
    Json,
    /// Nothing.
    Null,
}

/// Settings of callbacks, as Ansible names them.
#[derive(Debug, Clone)]
pub struct Settings {
    pub kind: Kind,
    pub format: Format,
    pub display_skipped_hosts: bool,
    pub display_ok_hosts: bool,
    pub display_failed_stderr: bool,
    pub show_custom_stats: bool,
    pub show_per_host_start: bool,
    pub check_mode_markers: bool,
    pub show_task_path_on_failure: bool,
    /// Banners show the arguments of tasks.
    pub display_args: bool,
    /// `default_without_diff`.
    pub without_diff: bool,
    pub timer: bool,
    pub profile: Option<Profile>,
    pub junit: Option<Junit>,
    /// Whoever watches is told more than Ansible tells.
    pub advice: bool,
}

/// The callback `profile_tasks`.
#[derive(Debug, Clone, Copy)]
pub struct Profile {
    /// How many tasks are listed; None: all.
    pub limit: Option<usize>,
    pub order: Order,
    /// Without the line before every task.
    pub summary_only: bool,
    /// Where the task was written is listed too.
    pub paths: bool,
}

/// How `profile_tasks` sorts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    None,
    Descending,
    Ascending,
}

/// The callback `junit`, which writes one file for a playbook.
#[derive(Debug, Clone)]
pub struct Junit {
    pub dir: PathBuf,
    /// Cut from the beginning of the paths of tasks.
    pub relative_to: Option<PathBuf>,
    /// Suites by the file of the playbook, else one for each role or play.
    pub by_task_class: bool,
    pub fail_on_change: bool,
    pub fail_on_ignore: bool,
    pub include_setup_tasks: bool,
    pub hide_task_arguments: bool,
    pub test_case_prefix: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            kind: Kind::Default,
            format: Format::default(),
            display_skipped_hosts: true,
            display_ok_hosts: true,
            display_failed_stderr: false,
            show_custom_stats: false,
            show_per_host_start: false,
            check_mode_markers: false,
            show_task_path_on_failure: false,
            display_args: false,
            without_diff: false,
            timer: false,
            profile: None,
            junit: None,
            advice: false,
        }
    }
}

/// Everything that prints one run.
pub struct Callbacks {
    settings: Settings,
    task: Task,
    collector: whole::Collector,
    main: Main,
    profile: Option<profile::Profile>,
    timer: Option<profile::Timer>,
    junit: Option<junit::Junit>,
}

enum Main {
    Default(default::Default),
    Minimal,
    Oneline,
    Json(Box<json::Document>),
    Null,
}

/// The task under way.
#[derive(Debug, Clone, Default)]
struct Task {
    name: String,
    module: Option<String>,
    /// The module as it was written.
    action: Option<String>,
    role: Option<String>,
    handler: bool,
    check: bool,
    arguments: Option<String>,
    /// `file:line:column`.
    place: Option<String>,
}

impl Task {
    /// `role : name`, as banners show it.
    fn title(&self) -> String {
        match &self.role {
            Some(role) => format!("{role} : {}", self.name),
            None => self.name.clone(),
        }
    }

    fn is(&self, module: &str) -> bool {
        self.module.as_deref() == Some(module)
    }

    fn is_include(&self) -> bool {
        self.is("include_tasks") || self.is("include_role")
    }

    /// Modules whose output matters, not the result.
    fn is_command(&self) -> bool {
        ["command", "shell", "raw", "script"]
            .iter()
            .any(|name| self.is(name))
    }

    /// `file:line`.
    fn path(&self) -> Option<&str> {
        let place = self.place.as_deref()?;
        place.rsplit_once(':').map(|(path, _)| path)
    }
}

impl Callbacks {
    pub fn new(settings: Settings) -> Self {
        let main = match settings.kind {
            Kind::Default => Main::Default(default::Default::default()),
            Kind::Minimal => Main::Minimal,
            Kind::Oneline => Main::Oneline,
            Kind::Json => Main::Json(Box::default()),
            Kind::Null => Main::Null,
        };
        Self {
            main,
            task: Task::default(),
            collector: whole::Collector::default(),
            profile: settings.profile.map(profile::Profile::new),
            timer: settings.timer.then(profile::Timer::default),
            junit: settings.junit.clone().map(junit::Junit::new),
            settings,
        }
    }

    /// The module of the task under way.
    pub fn module(&self) -> Option<&str> {
        self.task.module.as_deref()
    }

    /// Keeps what later events are about.
    pub fn follow(&mut self, event: &Event) {
        if let Event::TaskStarted {
            name,
            module,
            action,
            role,
            handler,
            check,
            arguments,
            place,
            ..
        } = event
        {
            self.task = Task {
                name: name.clone(),
                module: module.clone(),
                action: action.clone(),
                role: role.clone(),
                handler: *handler,
                check: *check,
                arguments: arguments.clone(),
                place: place.clone(),
            };
        }
    }

    /// Prints one record of a play.
    pub fn draw<W: Write>(&mut self, record: &Record, screen: &mut Screen<W>) -> io::Result<()> {
        self.follow(&record.event);
        let (task, settings) = (&self.task, &self.settings);
        let whole = self.collector.take(&record.event);
        if let Some(junit) = &mut self.junit {
            junit.take(record, whole.as_ref(), task, settings)?;
        }
        match (&mut self.main, whole) {
            (Main::Default(default), _) => default.draw(&record.event, task, settings, screen)?,
            (Main::Minimal, Some(whole)) => minimal::draw(&whole, task, settings, screen)?,
            (Main::Oneline, Some(whole)) => oneline::draw(&whole, task, settings, screen)?,
            (Main::Json(document), whole) => {
                document.take(record, whole, task, settings, screen)?;
            }
            (Main::Minimal | Main::Oneline | Main::Null, _) => {}
        }
        if let Some(profile) = &mut self.profile {
            profile.draw(record, task, screen)?;
        }
        if let Some(timer) = &mut self.timer {
            timer.draw(record, screen)?;
        }
        Ok(())
    }
}

/// The host of a result, with the one that the task is delegated to.
fn label(host: &str, delegate: &Delegate) -> String {
    match (&delegate.name, &delegate.address) {
        (Some(name), Some(address)) if name != host => format!("{host} -> {name}({address})"),
        (Some(name), None) if name != host => format!("{host} -> {name}"),
        _ => host.to_owned(),
    }
}
