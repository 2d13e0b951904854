//! Lookups: `lookup('file', 'x')`, `query('fileglob', '*.conf')` and the loops `with_…`.

mod chance;
mod collections;
mod files;
mod gather;
mod password;
mod sequence;
mod tables;
mod tree;
mod url;
mod variables;

use super::eval::args::{Args, text_of};
use super::eval::{Interp, Outcome};
use super::filters::short;
use super::{TemplateError, eval};
use crate::content::nearest::nearest;
use crate::content::value::{Mistake, Value};
pub(super) use files::FOLDER;

type Run = fn(&mut Interp, &mut Args) -> Outcome<Vec<Value>>;

const LOOKUPS: &[(&str, Run)] = &[
    ("collection_version", tree::collection_version),
    ("config", variables::config),
    ("csvfile", tables::csvfile),
    ("dependent", gather::dependent),
    ("dict", collections::dict),
    ("env", variables::env),
    ("file", files::file),
    ("filetree", tree::filetree),
    ("fileglob", files::fileglob),
    ("first_found", files::first_found),
    ("get_path", |interp, args| {
        gather::as_filter("get_path", interp, args)
    }),
    ("index_of", |interp, args| {
        gather::as_filter("index_of", interp, args)
    }),
    ("indexed_items", collections::indexed_items),
    ("ini", tables::entries),
    ("inventory_hostnames", variables::inventory_hostnames),
    ("items", collections::items),
    ("lines", files::lines),
    ("list", collections::list),
    ("merge_variables", gather::merge_variables),
    ("nested", collections::nested),
    ("cartesian", collections::nested),
    ("flattened", collections::flattened),
    ("password", password::password),
    ("pipe", files::pipe),
    ("random_choice", collections::random_choice),
    ("random_string", chance::random_string),
    ("sequence", sequence::sequence),
    ("subelements", collections::subelements),
    ("template", files::template),
    ("to_paths", |interp, args| {
        gather::as_filter("to_paths", interp, args)
    }),
    ("together", collections::together),
    ("url", url::url),
    ("unvault", files::unvault),
    ("varnames", variables::varnames),
    ("vars", variables::vars),
];

/// Lookups of Ansible and of its collections that this program doesn't have, and what to do instead. The table in
/// docs/language.md is made from this one.
pub const REFUSED: &[(&str, &str)] = &[
    (
        "bitwarden",
        "It asks a store of secrets; read the secret in a task.",
    ),
    (
        "bitwarden_secrets_manager",
        "It asks a store of secrets; read the secret in a task.",
    ),
    (
        "credstash",
        "It asks a store of secrets; read the secret in a task.",
    ),
    (
        "cyberarkpassword",
        "It asks a store of secrets; read the secret in a task.",
    ),
    (
        "dsv",
        "It asks a store of secrets; read the secret in a task.",
    ),
    (
        "keyring",
        "It asks a store of secrets; read the secret in a task.",
    ),
    (
        "lastpass",
        "It asks a store of secrets; read the secret in a task.",
    ),
    (
        "manifold",
        "It asks a store of secrets; read the secret in a task.",
    ),
    (
        "onepassword",
        "It asks a store of secrets; read the secret in a task.",
    ),
    (
        "onepassword_doc",
        "It asks a store of secrets; read the secret in a task.",
    ),
    (
        "onepassword_raw",
        "It asks a store of secrets; read the secret in a task.",
    ),
    (
        "onepassword_ssh_key",
        "It asks a store of secrets; read the secret in a task.",
    ),
    (
        "passwordstore",
        "It asks a store of secrets; read the secret in a task.",
    ),
    (
        "revbitspss",
        "It asks a store of secrets; read the secret in a task.",
    ),
    (
        "tss",
        "It asks a store of secrets; read the secret in a task.",
    ),
    (
        "chef_databag",
        "It asks another service; read the value in a task.",
    ),
    (
        "consul_kv",
        "It asks another service; read the value in a task.",
    ),
    ("etcd", "It asks another service; read the value in a task."),
    (
        "etcd3",
        "It asks another service; read the value in a task.",
    ),
    (
        "github_app_access_token",
        "It asks another service; read the value in a task.",
    ),
    (
        "hiera",
        "It asks another service; read the value in a task.",
    ),
    (
        "lmdb_kv",
        "It asks another service; read the value in a task.",
    ),
    (
        "redis",
        "It asks another service; read the value in a task.",
    ),
    ("dig", "It asks DNS; run `dig` in a task."),
    ("dnstxt", "It asks DNS; run `dig` in a task."),
    ("gpg_fingerprint", "Use `gpg --show-keys` in a task."),
    ("kustomize", "Run `kubectl kustomize` in a task."),
    ("k8s", "Run `kubectl get` in a task."),
    ("random_pet", "Use `random` on a list of names."),
    ("random_words", "Use `random` on a list of words."),
    ("shelvefile", "It reads a format of Python."),
    ("validate", "Use `validate_argument_spec` and `assert`."),
];

/// Why a name is no lookup; None when it is one.
pub fn problem(name: &str) -> Option<TemplateError> {
    let own = short(name);
    if LOOKUPS.iter().any(|(known, _)| *known == own) {
        return None;
    }
    if let Some((_, advice)) = REFUSED.iter().find(|(refused, _)| *refused == own) {
        let message = format!("the lookup '{name}' isn't supported");
        return Some(TemplateError::new(message).hint(*advice));
    }
    let error = TemplateError::new(format!("there is no lookup named '{name}'"));
    let known = LOOKUPS.iter().map(|(known, _)| *known);
    Some(match nearest(own, known, 1).first() {
        Some(near) => error.hint(format!("Did you mean `{near}`?")),
        None => error,
    })
}

/// Runs a lookup by name on its terms.
pub fn run(interp: &mut Interp, name: &str, args: &mut Args) -> Outcome<Vec<Value>> {
    let own = short(name);
    match LOOKUPS.iter().find(|(known, _)| *known == own) {
        Some((_, run)) => run(interp, args),
        None => Err(problem(name)
            .unwrap_or_else(|| TemplateError::new(format!("there is no lookup named '{name}'")))),
    }
}

/// Arguments with names that a lookup doesn't know are passed over, as Ansible does.
///
/// `lookup()` joins text with commas and gives a single value as it is; `query()` gives a list. What is found is
/// data: it is never templated.
pub fn call(interp: &mut Interp, mut args: Args, mut want_list: bool) -> Outcome {
    if args.positional.is_empty() {
        return Err(TemplateError::new("lookup() needs the name of a lookup"));
    }
    let name = text_of(&args.positional.remove(0))?;
    want_list = args.take_flag("wantlist", want_list);
    let errors = args.take("errors").map(|errors| errors.to_text());
    let trusted = interp.templar.settings().trust_lookups;
    let allow_unsafe = args.take_flag("allow_unsafe", trusted);
    for term in &args.positional {
        if let Value::Undefined(missing) = term {
            return Err(Mistake::undefined(missing).into());
        }
    }
    // As Ansible does: templates in the terms are rendered, tuples become lists.
    args.positional = interp.rendered(args.positional)?;
    for term in &args.positional {
        eval::output::Survey::of(term)?;
    }
    let found = match run(interp, &name, &mut args) {
        Ok(found) => found,
        Err(error) if error.is_undefined() || problem(&name).is_some() => return Err(error),
        Err(_) if matches!(errors.as_deref(), Some("ignore" | "warn")) => {
            return Ok(if want_list {
                Value::list(Vec::new())
            } else {
                Value::None
            });
        }
        Err(mut error) => {
            error.message = format!("lookup '{name}': {}", error.message);
            return Err(error);
        }
    };
    let found: Vec<Value> = if allow_unsafe {
        found
    } else {
        if !found.is_empty() {
            interp.taint();
        }
        found.iter().map(Value::distrusted).collect()
    };
    if want_list || found.is_empty() {
        return Ok(Value::list(found));
    }
    let texts: Option<Vec<&str>> = found.iter().map(Value::as_str).collect();
    Ok(match texts {
        Some(texts) if allow_unsafe => Value::from(texts.join(",")),
        Some(_) if found.len() == 1 => found[0].clone(),
        Some(texts) => Value::untrusted(texts.join(",")),
        None if found.len() == 1 => found[0].clone(),
        None => Value::list(found),
    })
}

/// The terms as text.
fn words(args: &Args) -> Outcome<Vec<String>> {
    let mut words = Vec::new();
    for term in &args.positional {
        match term {
            Value::List(_) | Value::Tuple(_) => {
                for item in term.iterate()? {
                    words.push(text_of(&item)?);
                }
            }
            other => words.push(text_of(other)?),
        }
    }
    Ok(words)
}

/// The terms of a lookup that works on lists: the arguments, or the items of the only one.
fn terms(args: &Args) -> Vec<Value> {
    args.positional.clone()
}
