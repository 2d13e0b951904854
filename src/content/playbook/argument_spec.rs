//! Argument specifications of roles: `meta/argument_specs.yml`, or `argument_specs` of `meta/main.yml`. A task that checks
//! them stands before the tasks of the role.

use super::load::{Pass, RoleCall};
use super::setting::text;
use super::tree::{Args, Frame, Keywords, Task};
use crate::content::inventory::Var;
use crate::content::place::Fault;
use crate::content::value::Value;
use crate::content::yaml::Node;
use std::path::Path;
use std::sync::Arc;

/// What one entry point of a role takes.
pub(super) struct ArgumentSpec {
    /// The name of the task that checks it.
    title: String,
    /// The entry point.
    point: String,
    options: Var,
}

impl Pass<'_> {
    /// The specification of the entry point that is called; none when there is none or it isn't to be checked.
    pub(super) fn argument_spec(
        &mut self,
        path: &Path,
        call: &RoleCall,
        meta: &[Arc<Node>],
    ) -> Option<ArgumentSpec> {
        if call.unchecked {
            return None;
        }
        let own = ["yml", "yaml"]
            .iter()
            .map(|extension| path.join(format!("meta/argument_specs.{extension}")))
            .find(|file| file.is_file());
        let all = match own {
            Some(file) => vec![self.node(&file)?],
            None => meta.to_vec(),
        };
        let specs = all.iter().find_map(|node| node.get("argument_specs"))?;
        let from = call.tasks_from.as_deref().unwrap_or("main");
        let point = from
            .strip_suffix(".yml")
            .or_else(|| from.strip_suffix(".yaml"))
            .unwrap_or(from);
        let spec = specs.get(point)?;
        let options = spec.get("options")?;
        if options.as_map().is_none() {
            self.faults.push(
                Fault::new(format!(
                    "`options` is a mapping of names to what they take; this is {}",
                    options.describe()
                ))
                .at(&options.place),
            );
            return None;
        }
        let title = format!("Validating arguments against arg spec '{point}'");
        let title = match spec.get("short_description").and_then(Node::as_str) {
            Some(short) => format!("{title} - {short}"),
            None => title,
        };
        let options = super::setting::var(options);
        Some(ArgumentSpec {
            title,
            point: point.to_owned(),
            options: self.ok(options)?,
        })
    }

    /// The task that checks the arguments. Tagged `always`, as in Ansible.
    pub(super) fn checking(&self, spec: ArgumentSpec, frame: &Arc<Frame>) -> Task {
        let place = spec.options.place.clone();
        let word = |word: &str| Var {
            value: text(word),
            place: place.clone(),
        };
        let (name, tags) = (word(&spec.title), vec![word("always")]);
        let mut args = Args::default();
        args.map.insert("argument_spec".to_owned(), spec.options);
        if let Some(role) = frame.role() {
            let path = std::path::absolute(&role.path).unwrap_or_else(|_| role.path.clone());
            let context = Value::record([
                ("type", text("role")),
                ("name", text(&role.name)),
                ("argument_spec_name", text(&spec.point)),
                ("path", text(&path.to_string_lossy())),
            ]);
            let context = Var {
                value: context,
                place: place.clone(),
            };
            args.map.insert("validate_args_context".to_owned(), context);
        }
        let frame = Frame {
            keywords: Keywords {
                tags,
                ..Keywords::default()
            },
            parent: Some(Arc::clone(frame)),
            search: Arc::clone(&frame.search),
            includes: Arc::clone(&frame.includes),
            ..Frame::empty()
        };
        let action = "ansible.builtin.validate_argument_spec";
        let names = ("validate_argument_spec", action);
        Task::implied(self.loader.id(), name, names, args, frame)
    }
}
