//! What `play` and `exec` share: filling a request, running it under a record, and ending with Ansible's exit codes.

use super::args::{Connection, Escalation, Run};
use super::callbacks;
use super::connections;
use super::context::Context;
use super::extra_vars;
use super::failure::{Failure, Kind};
use super::profile::{self, Wanted};
use super::{programs, record, warnings};
use crate::content::ansible::Installed;
use crate::content::inventory::{Inventory, Unknown};
use crate::content::place::Cause;
use crate::journal::{self, Event, RunEnd, Sink};
use crate::play::profile::Profile;
use crate::play::{
    self, Asker, FactSettings, Gathering, Links, PlayError, Request, Source, Summary, Tell,
};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Puts what all runs share into a request.
pub(super) fn fill(
    request: &mut Request,
    run: &Run,
    connection: &Connection,
    escalation: &Escalation,
    context: &Context,
) -> Result<(), Failure> {
    extensions(context)?;
    request.extra_vars = extra_vars::parse(&run.extra_vars, context)?;
    request.check = run.check;
    request.diff = run.diff || context.config.flag("DIFF_ALWAYS");
    request.vault = context.keyring();
    request.forks = Some(context.forks(connection.forks));
    request.escalate = context.escalation(connection, escalation)?;
    let user = connection.user.clone();
    request.remote_user = user.or_else(|| context.config.given("DEFAULT_REMOTE_USER"));
    let kind = connection.connection.clone();
    request.connection = kind.or_else(|| context.config.given("DEFAULT_TRANSPORT"));
    request.roles_path = roles_path(context);
    request.collections_path = collections_path(context);
    let python = ansible_python(context);
    if context.config.flag("COLLECTIONS_SCAN_SYS_PATH") {
        let installed = installed_collections(&python);
        request.collections_path.extend(installed);
    }
    request.ansible = Some(Arc::new(ansible(python, request, context)));
    request.facts = facts(context);
    request.verbosity = context.verbosity;
    // A listing has no use for a callback that isn't there; a run refuses it.
    let output = callbacks::settings(context).unwrap_or_else(|_| callbacks::plain(context));
    request.tell = Tell {
        starts: output.show_per_host_start,
        arguments: output.display_args || output.junit.is_some(),
    };
    request.command = Some(programs::shell());
    request.native = context.config.flag("DEFAULT_JINJA2_NATIVE");
    request.merge_hashes = context.merge_hashes();
    request.config_file.clone_from(&context.config.file);
    request.config = Arc::new(context.config.values());
    request.environment = Arc::clone(&context.environment);
    request.working_directory.clone_from(&context.directory);
    request.asker = context
        .interactive
        .then(|| Arc::new(Terminal) as Arc<dyn Asker>);
    request.cancel = context.cancel.clone();
    Ok(())
}

/// Extensions of Jinja2 that are always on.
const EXTENSIONS: [&str; 4] = [
    "jinja2.ext.do",
    "jinja2.ext.loopcontrols",
    "jinja2.ext.with_",
    "jinja2.ext.autoescape",
];

/// Refuses extensions of Jinja2 that templates can't have here.
fn extensions(context: &Context) -> Result<(), Failure> {
    let named = context.config.list("DEFAULT_JINJA2_EXTENSIONS");
    let unknown = named
        .iter()
        .find(|name| !EXTENSIONS.contains(&name.as_str()));
    match unknown {
        None => Ok(()),
        Some(name) => Err(Failure::new(
            Kind::Usage,
            format!("jinja2_extensions: {name} isn't supported"),
        )
        .hint("jinja2.ext.do and jinja2.ext.loopcontrols are always on; there are no others.")),
    }
}

/// What a pattern that matches nothing means: `host_pattern_mismatch`.
fn mismatch(warnings: &[String], context: &Context) -> Result<(), Failure> {
    let meant = context.config.text("HOST_PATTERN_MISMATCH");
    for warning in warnings {
        match meant.as_str() {
            "ignore" => {}
            "error" => return Err(Failure::new(Kind::Error, warning)),
            _ => warnings::show(warning, context),
        }
    }
    Ok(())
}

/// Where roles are looked for after those beside the playbook.
fn roles_path(context: &Context) -> Vec<PathBuf> {
    context.config.paths("DEFAULT_ROLES_PATH")
}

/// Where collections are looked for after those beside the playbook.
fn collections_path(context: &Context) -> Vec<PathBuf> {
    context.config.paths("COLLECTIONS_PATHS")
}

/// What is installed with the Python of ansible-core: the collections of the package `ansible`.
fn installed_collections(python: &Path) -> Vec<PathBuf> {
    let Some(lib) = python
        .parent()
        .and_then(|bin| Some(bin.parent()?.join("lib")))
    else {
        return Vec::new();
    };
    let versions = std::fs::read_dir(&lib).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = versions
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("python3"))
        .flat_map(|entry| ["site-packages", "dist-packages"].map(|name| entry.path().join(name)))
        .map(|packages| packages.join("ansible_collections"))
        .filter(|dir| dir.is_dir())
        .collect();
    found.sort();
    found
}

/// What runs `ansible-playbook`, or else the Python that PATH finds.
fn ansible_python(context: &Context) -> PathBuf {
    let path = context.environment.get("PATH").cloned().unwrap_or_default();
    std::env::split_paths(&path)
        .find_map(|dir| interpreter(&dir.join("ansible-playbook")))
        .unwrap_or_else(|| PathBuf::from("python3"))
}

/// The ansible-core of this machine.
fn ansible(python: PathBuf, request: &Request, context: &Context) -> Installed {
    let mut collections: Vec<PathBuf> = match &request.source {
        Source::Playbooks(playbooks) => playbooks
            .iter()
            .filter_map(|playbook| Some(playbook.parent()?.join("collections")))
            .collect(),
        _ => vec![context.directory.join("collections")],
    };
    collections.extend(request.collections_path.iter().cloned());
    // Ansible takes no relative paths.
    let whole = |dir: PathBuf| std::path::absolute(&dir).unwrap_or(dir);
    let collections = collections.into_iter().map(whole).collect();
    Installed::new(python, collections)
}

/// The Python that a script names in its first line.
fn interpreter(script: &Path) -> Option<PathBuf> {
    let mut first = String::new();
    let file = std::fs::File::open(script).ok()?.take(256);
    BufReader::new(file).read_line(&mut first).ok()?;
    let python = first.strip_prefix("#!")?.split_whitespace().next()?;
    python.contains("python").then(|| PathBuf::from(python))
}

/// When facts are gathered, and the cache that settings name. Ansible's own default keeps none.
pub(super) fn facts(context: &Context) -> FactSettings {
    let config = &context.config;
    let gathering = match config.text("DEFAULT_GATHERING").as_str() {
        "smart" => Gathering::Smart,
        "explicit" => Gathering::Explicit,
        _ => Gathering::Implicit,
    };
    let seconds = config.integer("CACHE_PLUGIN_TIMEOUT");
    let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok());
    let cache = config.text("CACHE_PLUGIN");
    let kept = cache.ends_with("jsonfile");
    if !kept && !cache.ends_with("memory") {
        let text = format!(
            "the fact cache {cache} is written in Python; facts are kept for this run only (fact_caching = jsonfile keeps them)"
        );
        warnings::show(&text, context);
    }
    let folder = config.path("CACHE_PLUGIN_CONNECTION");
    FactSettings {
        gathering,
        cache: kept.then(|| folder.unwrap_or_else(|| own_facts(context))),
        prefix: config.text("CACHE_PLUGIN_PREFIX"),
        ttl: Duration::from_secs(seconds.unwrap_or(0)),
        flush: false,
    }
}

/// Where facts are kept when no setting names a folder. Ansible refuses `jsonfile` without one.
pub(super) fn own_facts(context: &Context) -> PathBuf {
    context.state().join("facts")
}

/// Runs the plays and records how they ended.
pub(super) fn run(
    mut request: Request,
    connection: &Connection,
    record: journal::Run,
    wanted: &Wanted,
    context: &Context,
) -> Result<u8, Failure> {
    let pool = connections::pool(connection, context)?;
    let profile = (!wanted.is_nothing()).then(Arc::<Profile>::default);
    request.profile.clone_from(&profile);
    let record = Arc::new(record);
    super::block_on(context, async {
        let sink: Arc<dyn Sink> = Arc::clone(&record) as Arc<dyn Sink>;
        let links = Links::new(pool).profiled(profile.clone());
        let result = play::run(&request, Arc::new(links), sink).await;
        let code = finish(result, record.as_ref())?;
        if let Some(profile) = &profile {
            profile::tell(profile, wanted, record.as_ref(), context)?;
        }
        Ok(code)
    })
}

/// Records the end, and gives Ansible's exit code.
pub(super) fn finish(result: Result<Summary, PlayError>, record: &dyn Sink) -> Result<u8, Failure> {
    let (end, exit_code) = match &result {
        Ok(summary) if summary.interrupted => (RunEnd::Interrupted, Kind::Interrupted.code()),
        Ok(summary) if summary.exit_code == 0 => (RunEnd::Done, 0),
        Ok(summary) => (RunEnd::Failed, summary.exit_code),
        Err(error @ PlayError::Refused(_)) => (RunEnd::Refused, error.exit_code()),
        Err(error @ PlayError::Stopped(_)) => (RunEnd::Failed, error.exit_code()),
    };
    let finished = Event::RunFinished {
        end,
        exit_code,
        message: None,
        next: Vec::new(),
    };
    record.emit_synced(finished).map_err(record::unwritable)?;
    result.map(|_| exit_code).map_err(Failure::from)
}

impl From<PlayError> for Failure {
    fn from(error: PlayError) -> Self {
        match error {
            PlayError::Refused(faults) => Failure {
                kind: match faults.first().map(|fault| fault.cause) {
                    Some(Cause::Absent) => Kind::Broken,
                    Some(Cause::Choice) => Kind::Usage,
                    _ => Kind::Input,
                },
                faults,
            },
            PlayError::Stopped(fault) => Failure {
                kind: Kind::Broken,
                faults: vec![fault],
            },
        }
    }
}

/// Refuses a pattern and a limit that leave no host, as Ansible's commands do before they start.
pub(super) fn some_hosts(
    inventory: &Inventory,
    pattern: &str,
    limit: Option<&str>,
    context: &Context,
) -> Result<(), Failure> {
    if inventory.hosts().is_empty() {
        if context.config.flag("LOCALHOST_WARNING") {
            let text = "provided hosts list is empty, only localhost is available. Note that the implicit localhost \
                        does not match 'all'";
            warnings::show(text, context);
        }
        return Ok(());
    }
    let selection = inventory.select(pattern, limit, Unknown::Warn)?;
    mismatch(&selection.warnings, context)?;
    if selection.hosts.is_empty() {
        let message =
            "Specified inventory, host pattern and/or --limit leaves us with no hosts to target.";
        let mut failure = Failure::new(Kind::Error, message);
        // Which name is wrong, and what it may have meant.
        if let Err(fault) = inventory.select(pattern, limit, Unknown::Fault) {
            failure = fault.hints.into_iter().fold(failure, Failure::hint);
        }
        return Err(failure);
    }
    Ok(())
}

/// The person at this terminal.
struct Terminal;

impl Asker for Terminal {
    fn ask(&self, question: &str, echo: bool) -> io::Result<String> {
        if !echo {
            return rpassword::prompt_password(question);
        }
        write!(io::stderr(), "{question}")?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        Ok(answer.trim_end_matches(['\r', '\n']).to_owned())
    }
}
