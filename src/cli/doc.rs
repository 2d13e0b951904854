//! `kopsrun doc`: what modules and actions take, from the specifications that also check it.

use super::args::Format;
use super::context::Context;
use super::failure::{Failure, Kind};
use crate::content::playbook::{documented, near_modules};
use crate::ui::table::Table;
use clap::Args;
use host::{Arg, Rule, Spec};
use serde_json::{Value, json};

const EXAMPLES: &str = "\
Examples:
  kopsrun doc -l
  kopsrun doc copy ansible.posix.sysctl
  kopsrun --output json doc uri";

/// Show which modules there are, and what they take
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Doc {
    /// All modules and actions, one a line
    #[arg(short, long, conflicts_with = "modules")]
    list: bool,
    /// Names, with or without their collection
    #[arg(value_name = "MODULE", required_unless_present = "list")]
    modules: Vec<String>,
}

pub(super) fn run(args: &Doc, context: &Context) -> Result<u8, Failure> {
    if args.list {
        return list(context);
    }
    let mut specs = Vec::new();
    for name in &args.modules {
        specs.push(find(name)?);
    }
    match context.format {
        Format::Json => context.print_json(&specs.iter().map(|spec| json_of(spec)).collect())?,
        Format::Text => {
            let texts: Vec<String> = specs.iter().map(|spec| text_of(spec)).collect();
            context.print(&texts.join("\n"))?;
        }
    }
    Ok(0)
}

fn list(context: &Context) -> Result<u8, Failure> {
    let mut specs = documented();
    specs.sort_by_key(|spec| spec.name);
    if context.format == Format::Json {
        context.print_json(
            &specs
                .iter()
                .map(|spec| json!({"name": spec.name, "doc": spec.doc}))
                .collect(),
        )?;
        return Ok(0);
    }
    let mut table = Table::new(["MODULE", "WHAT IT DOES"]);
    for spec in specs {
        table.row([spec.name.to_owned(), spec.doc.to_owned()]);
    }
    context.print(&table.text())?;
    Ok(0)
}

fn find(name: &str) -> Result<&'static Spec, Failure> {
    let short = name.rsplit('.').next().unwrap_or(name);
    documented()
        .into_iter()
        .find(|spec| spec.name == short || spec.aliases.contains(&short))
        .ok_or_else(|| {
            let near = near_modules(short);
            let hint = if near.is_empty() {
                "`kopsrun doc -l` lists all".to_owned()
            } else {
                format!("did you mean {}?", near.join(" or "))
            };
            Failure::new(
                Kind::Input,
                format!("there is no module named {name}: {hint}"),
            )
        })
}

fn text_of(spec: &Spec) -> String {
    let mut text = format!("{}\n  {}\n", spec.name.to_uppercase(), spec.doc);
    if !spec.aliases.is_empty() {
        text.push_str(&format!("  Also called {}.\n", spec.aliases.join(", ")));
    }
    if spec.free_form {
        text.push_str("  Takes a line of free form as well.\n");
    }
    if !spec.check_mode {
        text.push_str("  Skipped in check mode.\n");
    }
    for rule in spec.rules {
        text.push_str(&format!("  {}\n", sentence(rule)));
    }
    text.push('\n');
    for arg in shown(spec) {
        let mut facts = vec![kind_of(arg)];
        if arg.required {
            facts.push("required".to_owned());
        }
        if let Some(default) = arg.default.filter(|default| !default.is_empty()) {
            facts.push(format!("default {default}"));
        }
        if !arg.choices.is_empty() {
            facts.push(format!("one of {}", arg.choices.join(", ").escape_debug()));
        }
        if !arg.aliases.is_empty() {
            facts.push(format!("also {}", arg.aliases.join(", ")));
        }
        text.push_str(&format!(
            "  {} ({})\n      {}\n",
            arg.name,
            facts.join("; "),
            arg.doc
        ));
    }
    if !spec.returns.is_empty() {
        text.push_str("\n  Returns\n");
        for key in spec.returns {
            text.push_str(&format!("  {}\n      {}\n", key.name, key.doc));
        }
    }
    text.push_str(&example(spec));
    text
}

/// A task with what has to be given.
fn example(spec: &Spec) -> String {
    let needed: Vec<&Arg> = shown(spec).filter(|arg| arg.required).collect();
    if needed.is_empty() {
        return String::new();
    }
    let mut text = format!("\n  - name: a task\n    {}:\n", spec.name);
    for arg in needed {
        let value = arg.choices.first().copied().unwrap_or("…");
        text.push_str(&format!("      {}: {value}\n", arg.name));
    }
    text
}

/// What people give; names that begin with an underscore are the program's own.
fn shown(spec: &Spec) -> impl Iterator<Item = &'static Arg> + use<> {
    let mut args: Vec<&Arg> = spec
        .args
        .iter()
        .filter(|arg| !arg.name.starts_with('_'))
        .collect();
    args.sort_by_key(|arg| (!arg.required, arg.name));
    args.into_iter()
}

fn kind_of(arg: &Arg) -> String {
    let word = |kind: host::Kind| match kind {
        host::Kind::Str => "text",
        host::Kind::Path => "path",
        host::Kind::Bool => "bool",
        host::Kind::Int => "int",
        host::Kind::Float => "float",
        host::Kind::List => "list",
        host::Kind::Dict => "dict",
        host::Kind::Raw => "any",
        host::Kind::Mode => "mode",
    };
    match arg.kind {
        host::Kind::List => format!("list of {}", word(arg.elements)),
        other => word(other).to_owned(),
    }
}

fn sentence(rule: &Rule) -> String {
    match rule {
        Rule::OneOf(names) => format!("One of these is needed: {}.", names.join(", ")),
        Rule::Exclusive(names) => format!("Only one of these can be given: {}.", names.join(", ")),
        Rule::Together(names) => format!("These belong together: {}.", names.join(", ")),
        Rule::If(name, value, needed) => format!("{name}: {value} needs {}.", needed.join(" and ")),
    }
}

fn json_of(spec: &Spec) -> Value {
    let args: serde_json::Map<String, Value> = shown(spec)
        .map(|arg| {
            let about = json!({
                "type": kind_of(arg), "required": arg.required, "default": arg.default,
                "choices": arg.choices, "aliases": arg.aliases, "doc": arg.doc,
            });
            (arg.name.to_owned(), about)
        })
        .collect();
    let rules: Vec<String> = spec.rules.iter().map(sentence).collect();
    let returns: serde_json::Map<String, Value> = spec
        .returns
        .iter()
        .flat_map(|key| {
            key.name
                .split(", ")
                .map(|name| (name.to_owned(), key.doc.into()))
        })
        .collect();
    json!({
        "name": spec.name, "doc": spec.doc, "aliases": spec.aliases, "free_form": spec.free_form,
        "check_mode": spec.check_mode, "rules": rules, "args": args, "returns": returns,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_module_is_documented() {
        let specs = documented();
        assert!(specs.len() > 50, "{}", specs.len());
        for spec in specs {
            let text = text_of(spec);
            assert!(
                spec.doc.ends_with('.') && text.contains(spec.doc),
                "{}",
                spec.name
            );
            for arg in spec.args {
                assert!(!arg.doc.is_empty(), "{}: {}", spec.name, arg.name);
            }
            assert_eq!(json_of(spec)["name"], spec.name);
        }
    }

    #[test]
    fn one_module_as_people_see_it() {
        let Ok(spec) = find("ansible.builtin.dpkg_selections") else {
            panic!("there is one")
        };
        insta::assert_snapshot!(text_of(spec), @r"
        DPKG_SELECTIONS
          Selects what dpkg does with a package.

          name (text; required)
              The package.
          selection (text; required; one of install, hold, deinstall, purge)
              The selection.

          - name: a task
            dpkg_selections:
              name: …
              selection: install
        ");
        assert!(find("kopy").is_err());
    }
}
