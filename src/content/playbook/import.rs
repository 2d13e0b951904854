//! Static imports: their tasks stand where the import was.

use super::load::{Pass, RoleCall};
use super::task::{Cx, Draft};
use super::tree::{Args, Frame, Item, Task};
use crate::content::inventory::Var;
use crate::content::nearest::nearest;
use crate::content::place::{Fault, Place};
use crate::content::yaml::Node;
use std::path::{Path, PathBuf};
use std::sync::Arc;

impl Pass<'_> {
    /// The tasks of a file in the place of the import.
    pub(super) fn import_tasks(
        &mut self,
        node: &Node,
        draft: Draft,
        args: &Args,
        cx: &Cx,
    ) -> Vec<Item> {
        let Some(target) = args
            .free_form
            .as_ref()
            .or_else(|| args.get("file"))
            .cloned()
        else {
            self.faults
                .push(Fault::new("`import_tasks` needs a file").at(&node.place));
            return Vec::new();
        };
        if self.loops_at_import(&draft, "import_tasks", "include_tasks") {
            return Vec::new();
        }
        let inside = cx.inside(draft.keywords);
        let Some(name) = self.static_text(&target, Some(&inside)) else {
            return Vec::new();
        };
        let path = find_tasks(&name, &cx.search, &self.dir, cx.handlers);
        let path = match path {
            Ok(path) => path,
            Err(looked) => {
                self.faults
                    .push(missing_file(&name, &looked, &target.place));
                return Vec::new();
            }
        };
        let listen = draft.listen;
        let items = self.task_file(&path, &cx.frame, &inside, cx.handlers, Some(&target.place));
        if listen.is_empty() {
            return items;
        }
        items
            .into_iter()
            .map(|item| also_listen(item, &listen))
            .collect()
    }

    /// Reads a file of tasks. `around` is what includes it, for finding circles; `inside` is what the tasks inherit.
    pub(super) fn task_file(
        &mut self,
        path: &Path,
        around: &Frame,
        inside: &Arc<Frame>,
        handlers: bool,
        imported_at: Option<&Place>,
    ) -> Vec<Item> {
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if let Some(place) = imported_at
            && let Some(first) = around.includes.iter().position(|step| *step == real)
        {
            let chain: Vec<String> = around.includes[first..]
                .iter()
                .chain([&real])
                .map(|step| step.display().to_string())
                .collect();
            self.faults.push(
                Fault::new(format!("circular import_tasks: {}", chain.join(" -> ")))
                    .at(place)
                    .hint("An import always happens; use `include_tasks` with a condition that ends the circle."),
            );
            return Vec::new();
        }
        let Some(node) = self.node(path) else {
            return Vec::new();
        };
        let includes: Vec<PathBuf> = around.includes.iter().cloned().chain([real]).collect();
        let frame = Arc::new(Frame {
            parent: Some(Arc::clone(inside)),
            search: Arc::clone(&inside.search),
            includes: Arc::from(includes),
            ..Frame::empty()
        });
        self.items(&node, &Cx::of_file(&frame, path, handlers))
    }

    pub(super) fn import_role(
        &mut self,
        node: &Node,
        draft: Draft,
        args: &Args,
        cx: &Cx,
    ) -> Vec<Item> {
        if self.loops_at_import(&draft, "import_role", "include_role") {
            return Vec::new();
        }
        let Some(name) = args.get("name").or_else(|| args.get("role")).cloned() else {
            self.faults
                .push(Fault::new("`import_role` needs the name of a role").at(&node.place));
            return Vec::new();
        };
        let inside = cx.inside(draft.keywords);
        let mut call = RoleCall {
            public: true,
            ..RoleCall::default()
        };
        for (field, slot) in [
            ("tasks_from", &mut call.tasks_from),
            ("vars_from", &mut call.vars_from),
            ("defaults_from", &mut call.defaults_from),
            ("handlers_from", &mut call.handlers_from),
        ] {
            if let Some(var) = args.get(field) {
                *slot = self.static_text(var, Some(&inside));
            }
        }
        let mut flag = |name: &str, default: bool| {
            let given = args.get(name);
            given.map_or(Some(default), |var| self.static_flag(var, Some(&inside)))
        };
        call.allow_duplicates = flag("allow_duplicates", true);
        call.unchecked = flag("rolespec_validate", true) == Some(false);
        call.public = flag("public", true).unwrap_or(true);
        let Some(mut loaded) = self.imported_role(call, name, &inside) else {
            return Vec::new();
        };
        let items = std::mem::take(&mut loaded.tasks);
        self.imported.push(loaded);
        items
    }

    fn loops_at_import(&mut self, draft: &Draft, import: &str, include: &str) -> bool {
        let Some((_, terms)) = &draft.looping else {
            return false;
        };
        self.faults.push(
            Fault::new(format!("`{import}` can't loop"))
                .at(&terms.place)
                .hint(format!("Use `{include}`, which happens at run time.")),
        );
        true
    }
}

/// The file of an include: in the folder of the tasks that name it, the roles around, the playbook's directory. The
/// error is where it was looked for.
pub fn find_tasks(
    name: &str,
    search: &[PathBuf],
    dir: &Path,
    handlers: bool,
) -> Result<PathBuf, Vec<PathBuf>> {
    let folder = if handlers { "handlers" } else { "tasks" };
    let mut places: Vec<PathBuf> = Vec::new();
    // The directory of the file itself comes last in `search`, and counts first here.
    for place in search.iter().rev() {
        places.push(place.clone());
        places.push(place.join(folder));
        // Handlers of a role may include its tasks.
        if handlers {
            places.push(place.join("tasks"));
            if place.file_name().is_some_and(|name| name == "handlers") {
                places.push(place.with_file_name("tasks"));
            }
        }
    }
    places.push(dir.to_owned());
    let candidates: Vec<PathBuf> = places.iter().map(|place| place.join(name)).collect();
    match candidates.iter().find(|file| file.is_file()) {
        Some(file) => Ok(file.clone()),
        None => Err(candidates),
    }
}

/// The fault for a file of tasks that isn't there.
pub fn missing_file(name: &str, looked: &[PathBuf], place: &Place) -> Fault {
    let fault = Fault::new(format!("the file `{name}` is not there"))
        .at(place)
        .absent();
    let listed: Vec<String> = looked
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let wanted = Path::new(name)
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or(name);
    let names: Vec<String> = looked
        .iter()
        .filter_map(|path| std::fs::read_dir(path.parent()?).ok())
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    let near = nearest(wanted, names.iter().map(String::as_str), 2);
    let fault = if near.is_empty() {
        fault
    } else {
        fault.hint(format!("Did you mean `{}`?", near.join("` or `")))
    };
    fault.hint(format!("It was looked for as {}.", listed.join(", ")))
}

fn also_listen(item: Item, listen: &[Var]) -> Item {
    match item {
        Item::Task(task) => {
            let mut task = Task::clone(&task);
            task.listen.extend_from_slice(listen);
            Item::Task(Arc::new(task))
        }
        other => other,
    }
}
