//! What would run, without a connection: hosts, tasks and tags of every play.

use super::keep::{as_text, render};
use super::prompt::unanswered;
use super::request::{PlayError, Request, Source};
use super::start::{extra_vars, reader};
use super::store::groups;
use super::tags::{self, Tags};
use super::view::{fault, magic, play_templar};
use crate::content::inventory::{Unknown, Var};
use crate::content::place::Fault;
use crate::content::playbook::{Item, Loader, Play, Task};
use crate::content::value::{Value, read};
use std::path::PathBuf;
use std::sync::Arc;

/// One playbook.
#[derive(Debug, Clone)]
pub struct Listing {
    pub playbook: PathBuf,
    pub plays: Vec<PlayListing>,
    /// What is suspicious, and what kopsrun can't run.
    pub warnings: Vec<Fault>,
}

/// One play.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlayListing {
    pub name: String,
    /// Its `hosts:`, rendered: one pattern, or a list of them.
    pub patterns: Vec<String>,
    pub hosts: Vec<String>,
    pub tags: Vec<String>,
    /// Tasks that the tags let run; dynamic includes as one task. Without those of `rescue` and `always`, as
    /// ansible-playbook lists them.
    pub tasks: Vec<TaskListing>,
}

/// One task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskListing {
    /// As it was written, templates included; its module where it has no name.
    pub name: String,
    pub role: Option<String>,
    /// Its own and those around it, the play's included; sorted.
    pub tags: Vec<String>,
    pub place: String,
}

/// Reads and checks the playbooks of a request and says what would run. `--syntax-check` is this without the result.
/// Modules that Ansible has and kopsrun hasn't are warnings here: only running them is refused.
pub fn list(request: &Request) -> Result<Vec<Listing>, PlayError> {
    let extra = extra_vars(request);
    let Source::Playbooks(paths) = &request.source else {
        return Ok(Vec::new());
    };
    let (mut listings, mut faults) = (Vec::new(), Vec::new());
    for path in paths {
        let loader = reader(request, &extra, true);
        match loader.playbook(path) {
            Ok(playbook) => {
                let mut listing = Listing {
                    playbook: path.clone(),
                    plays: Vec::new(),
                    warnings: playbook.warnings,
                };
                for play in &playbook.plays {
                    match play_listing(request, &loader, play, &mut listing.warnings) {
                        Ok(play) => listing.plays.push(play),
                        Err(fault) => faults.push(fault),
                    }
                }
                listings.push(listing);
            }
            Err(mut found) => faults.append(&mut found),
        }
    }
    if faults.is_empty() {
        Ok(listings)
    } else {
        Err(PlayError::Refused(faults))
    }
}

fn play_listing(
    request: &Request,
    loader: &Loader,
    play: &Play,
    warnings: &mut Vec<Fault>,
) -> Result<PlayListing, Fault> {
    let extra = extra_vars(request);
    let play = &unanswered(play, &extra);
    let inventory = &request.inventory;
    let magic = magic(request, inventory, groups(inventory), &play.dir());
    let templar = play_templar(request, magic, extra, loader, play);
    // What only hosts know stays as it is written.
    let text = |var: &Var| as_text(&render(&templar, var).unwrap_or_else(|_| var.value.clone()));
    let mut patterns = Vec::new();
    for written in &play.patterns {
        match templar.render(&written.value).map_err(fault) {
            Ok(Value::List(items)) => patterns.extend(read(&items).iter().map(as_text)),
            Ok(other) => patterns.push(as_text(&other)),
            Err(fault) => return Err(fault.at(&written.place)),
        }
    }
    let pattern = patterns.join(",");
    let selection = inventory
        .select(&pattern, request.limit.as_deref(), Unknown::Warn)
        .map_err(|fault| fault.at(&play.hosts.place))?;
    warnings.extend(selection.warnings.into_iter().map(Fault::new));
    let wanted = Tags::new(&request.tags, &request.skip_tags);
    let mut tasks = Vec::new();
    let mut visit = |task: &Task| {
        let has = tags::of(&task.frame, |var| {
            Ok(render(&templar, var).unwrap_or_else(|_| var.value.clone()))
        })
        .unwrap_or_default();
        if !wanted.choose(&has) {
            return;
        }
        let name = task.name.as_ref().map(|name| as_text(&name.value));
        let name = name.filter(|name| !name.is_empty());
        let role = task.frame.role().map(|role| role.name.to_string());
        tasks.push(TaskListing {
            // An `include_role` says which role in its own way.
            role: role.filter(|_| name.is_some() && &*task.module != "include_role"),
            name: name.unwrap_or_else(|| task.action.to_string()),
            tags: has.into_iter().collect(),
            place: task.place.to_string(),
        });
    };
    for items in [
        &play.pre_tasks,
        &play.role_tasks,
        &play.tasks,
        &play.post_tasks,
    ] {
        walk(items, &mut visit);
    }
    let own = tags::of(&play.frame, |var| render(&templar, var)).unwrap_or_default();
    Ok(PlayListing {
        name: text(&play.name),
        patterns,
        hosts: selection.hosts.iter().map(ToString::to_string).collect(),
        tags: own.into_iter().collect(),
        tasks,
    })
}

/// What stands for the name of a task that has none: its module, and which role an `include_role` includes.
pub(super) fn unnamed(task: &Task) -> Arc<str> {
    let role = task.args.get("name").or_else(|| task.args.get("role"));
    match role {
        Some(role) if &*task.module == "include_role" => {
            Arc::from(format!("{} : {}", task.action, as_text(&role.value)))
        }
        _ => Arc::clone(&task.action),
    }
}

fn walk(items: &[Item], visit: &mut dyn FnMut(&Task)) {
    for item in items {
        match item {
            Item::Task(task) => visit(task),
            Item::Block(block) => walk(&block.tasks, visit),
            Item::RoleEnd(_) => {}
        }
    }
}
