//! `add_host` and `group_by`: hosts and groups that exist from here on.

use crate::play::call::Call;
use crate::play::done::{Done, Effect, Problem};
use crate::play::keep::as_text;
use serde_json::{Map, json};

/// Names under which `add_host` takes the host and its groups.
const NAMES: [&str; 3] = ["name", "hostname", "host"];
const GROUPS: [&str; 3] = ["groups", "group", "groupname"];

pub(super) fn add_host(call: &Call<'_>) -> Result<Done, Problem> {
    let name = NAMES
        .iter()
        .find_map(|name| call.text(name))
        .ok_or_else(|| call.fault("add_host: the argument name is missing"))?;
    let groups: Vec<String> = GROUPS.iter().flat_map(|group| call.list(group)).collect();
    let vars = call
        .args
        .iter()
        .filter(|(arg, _)| !NAMES.contains(&arg.as_str()) && !GROUPS.contains(&arg.as_str()))
        .map(|(arg, value)| (arg.clone(), value.clone()));
    let vars: indexmap::IndexMap<_, _> = vars.collect();
    if let Some(port) = vars.get("ansible_port")
        && as_text(port).parse::<u16>().is_err()
    {
        return Err(call
            .fault(format!("`{}` is not a port", as_text(port)))
            .into());
    }
    // At once: only then is known whether it changes anything.
    let batch = &call.attempt.batch;
    let shown = json!({
        "host_name": name,
        "groups": groups,
        "host_vars": vars.iter().map(|(name, value)| (name.clone(), value.to_json())).collect::<Map<_, _>>(),
    });
    let changed = batch.run.store.add_host(&name, &groups, vars)?;
    if changed {
        batch.add(&name);
    }
    Ok(Done::changed(changed).with("add_host", shown))
}

pub(super) fn group_by(call: &Call<'_>) -> Result<Done, Problem> {
    let clean = |name: &str| name.replace(' ', "-");
    let key = call
        .text("key")
        .ok_or_else(|| call.fault("group_by: the argument key is missing"))?;
    let mut parents = call.list("parents");
    if parents.is_empty() {
        parents.push("all".to_owned());
    }
    let parents: Vec<String> = parents.iter().map(|name| clean(name)).collect();
    let group = clean(&key);
    let store = &call.attempt.batch.run.store;
    let changed = store.would_join(&group, &parents, call.host());
    Ok(Done::changed(changed)
        .with("add_group", group.as_str())
        .with("parent_groups", parents.clone())
        .effect(Effect::GroupBy { group, parents }))
}
