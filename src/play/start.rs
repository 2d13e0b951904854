//! From a request to runs: everything is read and checked first.

use super::facts::Cache;
use super::hands::{Connect, Sums};
use super::hosts::Recap;
use super::request::{PlayError, Request, Source, Summary};
use super::run::Run;
use super::stats::Stats;
use super::store::{Store, lock};
use super::tags::Tags;
use super::view::fault;
use crate::content::inventory::{Unknown, Var, Vars};
use crate::content::place::{Fault, Place};
use crate::content::playbook::{Keyword, Loader, Play, Settings, Strategy};
use crate::content::template::{Templar, TemplateSettings};
use crate::content::value::Value;
use crate::content::vars::{HostScope, Learned};
use crate::journal::{Event, Level, Sink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tokio::sync::Semaphore;

/// The variables that `-e` gives.
pub(super) fn extra_vars(request: &Request) -> Arc<Vars> {
    let place = Place::file(Path::new("-e"));
    let vars = request.extra_vars.iter().map(|(name, value)| {
        let value = value.clone();
        let place = place.clone();
        (name.clone(), Var { value, place })
    });
    Arc::new(vars.collect())
}

/// Reads playbooks as the request says, to run them.
pub(super) fn loader(request: &Request, extra: &Arc<Vars>) -> Loader {
    reader(request, extra, false)
}

/// The same, perhaps only to list what they hold.
pub(super) fn reader(request: &Request, extra: &Arc<Vars>, listing: bool) -> Loader {
    let environment = Arc::clone(&request.environment);
    let vault = Arc::clone(&request.vault);
    let native = request.native;
    Loader::new(Settings {
        statics: statics(request),
        roles_path: request.roles_path.clone(),
        collections_path: request.collections_path.clone(),
        extra_vars: Arc::clone(extra),
        vault: Arc::clone(&request.vault),
        keywords: keywords(request),
        strategy: strategy(request),
        library: request.library.clone(),
        ansible: request.ansible.clone(),
        listing,
        render: Arc::new(move |var, layers| {
            let scope = HostScope {
                magic: Vec::new(),
                extra: Arc::new(Vars::new()),
                frame: None,
                play: None,
                files: layers.clone(),
                roles: Arc::from([]),
                learned: Arc::new(Learned::default()),
                inventory: Arc::new(Vars::new()),
                connection: None,
                settings: Arc::default(),
            };
            let settings = TemplateSettings {
                environment: Arc::clone(&environment),
                vault: Arc::clone(&vault),
                native,
                ..TemplateSettings::default()
            };
            Templar::new(Arc::new(scope), Arc::new(settings))
                .render(&var.value)
                .map_err(|error| fault(error).at(&var.place))
        }),
    })
}

/// What ansible.cfg says of plays that don't say it themselves.
fn keywords(request: &Request) -> Vec<(Keyword, Var)> {
    let place = Place::file(Path::new("ansible.cfg"));
    let settings = [
        ("ANY_ERRORS_FATAL", Keyword::AnyErrorsFatal),
        ("DEFAULT_NO_LOG", Keyword::NoLog),
        ("TASK_TIMEOUT", Keyword::Timeout),
    ];
    let set = settings.into_iter().filter_map(|(name, keyword)| {
        let value = request.config.get(name)?.clone();
        let place = place.clone();
        value.truthy().then_some((keyword, Var { value, place }))
    });
    set.collect()
}

fn strategy(request: &Request) -> Strategy {
    let name = request.config.get("DEFAULT_STRATEGY").map(Value::to_text);
    let name = name.as_deref().and_then(|name| name.rsplit('.').next());
    match name.map(|name| name.strip_prefix("mitogen_").unwrap_or(name)) {
        Some("free") => Strategy::Free,
        Some("host_pinned") => Strategy::HostPinned,
        _ => Strategy::Linear,
    }
}

/// Magic variables that need no host.
fn statics(request: &Request) -> Arc<Vars> {
    let place = Place::file(Path::new("the command line"));
    let all = [
        ("groups", super::store::groups(&request.inventory)),
        ("ansible_version", super::view::version()),
        ("ansible_check_mode", Value::Bool(request.check)),
        ("ansible_diff_mode", Value::Bool(request.diff)),
        (
            "ansible_verbosity",
            Value::Int(i64::from(request.verbosity)),
        ),
    ];
    let vars = all.into_iter().map(|(name, value)| {
        let place = place.clone();
        (name.to_owned(), Var { value, place })
    });
    Arc::new(vars.collect())
}

/// A playbook that was read and found right.
struct Ready {
    /// The playbook, as it was given.
    path: Option<PathBuf>,
    loader: Loader,
    dir: PathBuf,
    plays: Vec<Arc<Play>>,
    warnings: Vec<Fault>,
}

/// Reads everything, checks it, and runs it.
pub(super) async fn run(
    request: &Request,
    connect: Arc<dyn Connect>,
    sink: Arc<dyn Sink>,
) -> Result<Summary, PlayError> {
    let extra = extra_vars(request);
    let ready = read(request, &extra).map_err(PlayError::Refused)?;
    let width = request.width();
    // Facts, added hosts and failures go on from one playbook to the next.
    let store = Arc::new(Store::new(Arc::clone(&request.inventory)));
    let recap = Arc::new(Recap::default());
    let stats = Arc::new(Stats::default());
    let sums = Arc::new(Sums::default());
    let mut waiting = request.start_at.is_some();
    let mut outcome = Ok(true);
    for one in ready {
        let run = Arc::new(Run {
            request: request.clone(),
            connect: Arc::clone(&connect),
            sink: Arc::clone(&sink),
            loader: one.loader,
            store: Arc::clone(&store),
            recap: Arc::clone(&recap),
            extra: Arc::clone(&extra),
            dir: one.dir,
            beside: Mutex::default(),
            tags: Tags::new(&request.tags, &request.skip_tags),
            forks: Arc::new(Semaphore::new(width)),
            width,
            cache: Cache::of(&request.facts),
            sums: Arc::clone(&sums),
            stats: Arc::clone(&stats),
            warned: Mutex::default(),
            waiting: Mutex::new(waiting),
            broken: Mutex::default(),
            steps: Mutex::new(request.step.is_some()),
        });
        for warning in &one.warnings {
            let at = warning.place.as_ref().map(|place| format!(" ({place})"));
            run.warn(&format!("{}{}", warning.message, at.unwrap_or_default()));
        }
        run.load_facts();
        if let Some(path) = &one.path {
            sink.emit(Event::PlaybookStarted {
                path: path.display().to_string(),
                plays: one.plays.len(),
                check: request.check,
            });
        }
        outcome = run.plays(&one.plays).await;
        waiting = *lock(&run.waiting);
        if outcome.is_ok() {
            let hosts = recap.table(&store.inventory().hosts());
            if let Some(path) = &one.path {
                super::retry::write(path, request, &recap, sink.as_ref());
            }
            let custom = stats.all();
            sink.emit(Event::Stats { hosts, custom });
        }
        if !matches!(outcome, Ok(true)) || recap.exit_code() != 0 {
            break;
        }
    }
    let summary = Summary {
        hosts: recap.table(&store.inventory().hosts()),
        exit_code: recap.exit_code(),
        interrupted: request.cancel.is_cancelled(),
    };
    outcome?;
    if waiting && !summary.interrupted {
        let wanted = request.start_at.as_deref().unwrap_or_default();
        sink.emit(Event::Note {
            level: Level::Error,
            text: format!(
                "No matching task \"{wanted}\" found. Note: --start-at-task can only follow static includes."
            ),
            host: None,
        });
    }
    Ok(summary)
}

/// Everything that the request names, or every fault in it.
fn read(request: &Request, extra: &Arc<Vars>) -> Result<Vec<Ready>, Vec<Fault>> {
    let (mut ready, mut faults) = (Vec::new(), Vec::new());
    let select = |pattern: &str, unknown| {
        let inventory = &request.inventory;
        inventory.select(pattern, request.limit.as_deref(), unknown)
    };
    match &request.source {
        Source::Playbooks(paths) => {
            for path in paths {
                let loader = loader(request, extra);
                match loader.playbook(path) {
                    Ok(playbook) => ready.push(Ready {
                        path: Some(path.clone()),
                        loader,
                        dir: playbook.dir,
                        plays: playbook.plays,
                        warnings: playbook.warnings,
                    }),
                    Err(mut found) => faults.append(&mut found),
                }
            }
            // A limit that leaves nobody is a mistake of the person who typed it.
            let nobody = select("all", Unknown::Warn).is_ok_and(|left| left.hosts.is_empty());
            if request.limit.is_some() && nobody {
                faults.extend(select("all", Unknown::Fault).err());
            }
        }
        Source::Task {
            pattern,
            module,
            args,
        } => {
            let loader = loader(request, extra);
            let dir = request.working_directory.clone();
            match super::adhoc::plays(&loader, pattern, module, args, &dir) {
                Ok(plays) => ready.push(Ready {
                    path: None,
                    loader,
                    dir,
                    plays,
                    warnings: Vec::new(),
                }),
                Err(mut found) => faults.append(&mut found),
            }
            faults.extend(select(pattern, Unknown::Fault).err());
        }
    }
    if faults.is_empty() {
        Ok(ready)
    } else {
        Err(faults)
    }
}
