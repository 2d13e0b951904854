//! What would run, without a connection: hosts, tasks and tags of every play.

use super::keep::{as_text, render};
use super::request::{PlayError, Request, Source};
use super::start::{extra_vars, loader};
use super::tags::{self, Tags};
use super::view::fault;
use crate::content::inventory::{Unknown, Var};
use crate::content::playbook::{Item, Play, Task};
use crate::content::template::Templar;
use crate::content::value::Value;
use crate::content::vars::{HostScope, Learned};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

/// One playbook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    pub playbook: PathBuf,
    pub plays: Vec<PlayListing>,
}

/// One play.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlayListing {
    pub name: String,
    pub pattern: String,
    pub hosts: Vec<String>,
    pub tags: Vec<String>,
    /// Tasks that the tags let run; dynamic includes as one task.
    pub tasks: Vec<TaskListing>,
    /// Tags of all of its tasks.
    pub task_tags: Vec<String>,
}

/// One task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskListing {
    pub name: String,
    pub role: Option<String>,
    pub tags: Vec<String>,
    pub place: String,
}

/// Reads and checks the playbooks of a request and says what would run. `--syntax-check` is this without the result.
pub fn list(request: &Request) -> Result<Vec<Listing>, PlayError> {
    let extra = extra_vars(request);
    let Source::Playbooks(paths) = &request.source else {
        return Ok(Vec::new());
    };
    let (mut listings, mut faults) = (Vec::new(), Vec::new());
    for path in paths {
        match loader(request, &extra).playbook(path) {
            Ok(playbook) => {
                let mut plays = Vec::new();
                for play in &playbook.plays {
                    match play_listing(request, play) {
                        Ok(listing) => plays.push(listing),
                        Err(fault) => faults.push(fault),
                    }
                }
                listings.push(Listing {
                    playbook: path.clone(),
                    plays,
                });
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
    play: &Play,
) -> Result<PlayListing, crate::content::place::Fault> {
    let scope = HostScope {
        magic: Vec::new(),
        extra: extra_vars(request),
        frame: None,
        play: Some(Arc::clone(&play.frame)),
        files: Vec::new(),
        roles: Arc::from([]),
        learned: Arc::new(Learned::default()),
        inventory: Arc::default(),
        settings: Arc::default(),
    };
    let templar = Templar::new(Arc::new(scope), Arc::default());
    // What only hosts know stays as it is written.
    let text = |var: &Var| as_text(&render(&templar, var).unwrap_or_else(|_| var.value.clone()));
    let pattern = match templar.render(&play.hosts.value).map_err(fault) {
        Ok(Value::List(items)) => {
            let items = items.read().map(|items| items.clone()).unwrap_or_default();
            items.iter().map(as_text).collect::<Vec<_>>().join(",")
        }
        Ok(other) => as_text(&other),
        Err(fault) => return Err(fault.at(&play.hosts.place)),
    };
    let selection = request
        .inventory
        .select(&pattern, request.limit.as_deref(), Unknown::Warn)
        .map_err(|fault| fault.at(&play.hosts.place))?;
    let wanted = Tags::new(&request.tags, &request.skip_tags);
    let mut all = BTreeSet::new();
    let mut tasks = Vec::new();
    let mut visit = |task: &Task| {
        let has = tags::of(&task.frame, |var| {
            Ok(render(&templar, var).unwrap_or_else(|_| var.value.clone()))
        })
        .unwrap_or_default();
        if &*task.module == "meta" || !wanted.choose(&has) {
            return;
        }
        all.extend(has.iter().cloned());
        tasks.push(TaskListing {
            name: task
                .name
                .as_ref()
                .map(text)
                .filter(|name| !name.is_empty())
                .unwrap_or_else(|| unnamed(task).to_string()),
            role: task.frame.role().map(|role| role.name.to_string()),
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
        name: play.name.as_ref().map_or_else(|| pattern.clone(), text),
        pattern,
        hosts: selection.hosts.iter().map(ToString::to_string).collect(),
        tags: own.into_iter().collect(),
        tasks,
        task_tags: all.into_iter().collect(),
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
            Item::Block(block) => {
                for section in [&block.tasks, &block.rescue, &block.always] {
                    walk(section, visit);
                }
            }
            Item::RoleEnd(_) => {}
        }
    }
}
