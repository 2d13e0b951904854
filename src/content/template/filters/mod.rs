//! Filters: a file for each kind, one line for each filter in the table of its file.
//!
//! The example in a filter's line is what documents it, and is run as its test.

mod ansible;
mod bcrypt;
mod certificates;
mod dicts;
mod encoding;
mod general;
mod inside;
mod jmespath;
mod keys;
mod lists;
mod network;
mod numbers;
mod passwords;
mod patch;
mod paths;
mod pick;
mod pprint;
mod random;
mod regex;
mod subnets;
mod tables;
mod text;
mod time;
mod vault;
mod windows;
mod wrap;
mod yaml;

pub use dicts::subelement_pairs;
pub use network::{Net, is_address};
pub use paths::files;
pub use regex::{Flags, Pattern};

use super::TemplateError;
use super::eval::args::Args;
use super::eval::{Interp, Outcome};
use crate::content::nearest::nearest;
use crate::content::value::{Mistake, Text, Value};
use std::collections::HashMap;
use std::sync::LazyLock;

type Run = fn(&mut Interp, &Value, Args) -> Outcome;

/// One filter.
pub struct Filter {
    pub name: &'static str,
    run: Run,
    /// An expression, and how its value prints.
    #[cfg_attr(not(test), expect(dead_code, reason = "read by the tests"))]
    example: (&'static str, &'static str),
}

/// A line of a table.
const fn filter(name: &'static str, run: Run, example: (&'static str, &'static str)) -> Filter {
    Filter { name, run, example }
}

const TABLES: [&[Filter]; 26] = [
    ansible::FILTERS,
    certificates::FILTERS,
    dicts::FILTERS,
    encoding::FILTERS,
    general::FILTERS,
    inside::FILTERS,
    jmespath::FILTERS,
    keys::FILTERS,
    lists::FILTERS,
    network::FILTERS,
    numbers::FILTERS,
    passwords::FILTERS,
    patch::FILTERS,
    paths::FILTERS,
    pick::FILTERS,
    pprint::FILTERS,
    random::FILTERS,
    regex::FILTERS,
    subnets::FILTERS,
    tables::FILTERS,
    text::FILTERS,
    time::FILTERS,
    vault::FILTERS,
    windows::FILTERS,
    wrap::FILTERS,
    yaml::FILTERS,
];

/// Other names of filters.
const ALIASES: [(&str, &str); 4] = [
    ("d", "default"),
    ("e", "escape"),
    ("count", "length"),
    ("json", "to_json"),
];

/// Filters of Ansible and of its collections that this program doesn't have, and what to do instead. The table in
/// docs/language.md is made from this one.
pub const REFUSED: &[(&str, &str)] = &[
    ("urlize", "It makes HTML, which no configuration needs."),
    (
        "hashids_decode",
        "It needs a Python library; keep the number beside its name.",
    ),
    (
        "hashids_encode",
        "It needs a Python library; keep the number beside its name.",
    ),
    (
        "jc",
        "It needs a Python library; ask the command for JSON and use `from_json`.",
    ),
    (
        "json_diff",
        "It needs a Python library; compare the two values with `==`.",
    ),
    (
        "reveal_ansible_type",
        "The classes of Python don't exist here; use `type_debug`.",
    ),
    (
        "to_prettytable",
        "It makes text for people; use `to_nice_yaml`.",
    ),
    (
        "from_xml",
        "Ask for JSON, or read the file with the module `community.general.xml`.",
    ),
    ("to_xml", "Write XML with the module `template`."),
    ("consolidate", "Use `combine` and `dict2items`."),
    (
        "param_list_compare",
        "Use `union`, `difference` and `intersect`.",
    ),
    (
        "fact_diff",
        "Compare the two values with `==`, or let the module `template` show the difference.",
    ),
    ("validate", "Use `validate_argument_spec` and `assert`."),
    ("gpg_fingerprint", "Use `gpg --show-keys` in a task."),
    ("openssl_csr_info", "Use `openssl req` in a task."),
    ("openssl_privatekey_info", "Use `openssl pkey` in a task."),
    (
        "openssl_publickey_info",
        "Use `openssl pkey -pubin` in a task.",
    ),
    ("x509_crl_info", "Use `openssl crl` in a task."),
    (
        "parse_cli",
        "It reads the output of network devices, which aren't hosts here.",
    ),
    (
        "parse_cli_textfsm",
        "It reads the output of network devices, which aren't hosts here.",
    ),
    (
        "parse_xml",
        "It reads the output of network devices, which aren't hosts here.",
    ),
    (
        "comp_type5",
        "It is for network devices, which aren't hosts here.",
    ),
    (
        "hash_salt",
        "It is for network devices, which aren't hosts here.",
    ),
    (
        "pop_ace",
        "It is for network devices, which aren't hosts here.",
    ),
    (
        "type5_pw",
        "It is for network devices, which aren't hosts here.",
    ),
    (
        "vlan_expander",
        "It is for network devices, which aren't hosts here.",
    ),
    (
        "vlan_parser",
        "It is for network devices, which aren't hosts here.",
    ),
];

/// Collections whose names may stand before a filter's or test's own.
const COLLECTIONS: [&str; 8] = [
    "ansible.builtin.",
    "ansible.legacy.",
    "ansible.utils.",
    "ansible.netcommon.",
    "ansible.posix.",
    "community.general.",
    "community.crypto.",
    "kubernetes.core.",
];

/// The name without its collection.
pub fn short(name: &str) -> &str {
    let prefix = COLLECTIONS
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix));
    prefix.unwrap_or(name)
}

static TABLE: LazyLock<HashMap<&'static str, &'static Filter>> = LazyLock::new(|| {
    let filters = TABLES.iter().flat_map(|table| table.iter());
    let mut table: HashMap<&str, &Filter> = filters.map(|filter| (filter.name, filter)).collect();
    for (alias, name) in ALIASES {
        if let Some(filter) = table.get(name).copied() {
            table.insert(alias, filter);
        }
    }
    table
});

fn find(name: &str) -> Option<&'static Filter> {
    // Some names are those of different filters in different collections: the full name first.
    TABLE.get(name).or_else(|| TABLE.get(short(name))).copied()
}

/// Why a name is no filter; None when it is one.
pub fn problem(name: &str) -> Option<TemplateError> {
    if find(name).is_some() {
        return None;
    }
    let own = short(name);
    if let Some((_, advice)) = REFUSED.iter().find(|(refused, _)| *refused == own) {
        return Some(
            TemplateError::new(format!("the filter '{name}' isn't supported")).hint(*advice),
        );
    }
    let error = TemplateError::new(format!("there is no filter named '{name}'"));
    let near = nearest(own, TABLE.keys().copied(), 3);
    Some(if near.is_empty() {
        error
    } else {
        let near: Vec<String> = near.iter().map(|name| format!("`{name}`")).collect();
        error.hint(format!("Did you mean {}?", near.join(" or ")))
    })
}

/// True for filters whose text is never taken for a list or a dictionary.
fn writes_text(name: &str) -> bool {
    matches!(
        name,
        "string" | "to_json" | "to_nice_json" | "to_yaml" | "to_nice_yaml" | "ppretty" | "json"
    )
}

/// Filters that know what to do with something undefined.
fn takes_undefined(name: &str) -> bool {
    matches!(name, "default" | "d" | "mandatory" | "type_debug")
}

/// Applies a filter by name.
pub fn apply(interp: &mut Interp, name: &str, value: Value, args: Args) -> Outcome {
    let Some(filter) = find(name) else {
        return Err(problem(name)
            .unwrap_or_else(|| TemplateError::new(format!("there is no filter named '{name}'"))));
    };
    let value = match value {
        Value::Undefined(missing) if !takes_undefined(filter.name) => {
            if !missing.lenient {
                return Err(Mistake::undefined(&missing).into());
            }
            Value::from("")
        }
        other => other,
    };
    let result = (filter.run)(interp, &value, args)?;
    Ok(match result {
        Value::Str(text) if writes_text(filter.name) => Value::Str(Text {
            stays_text: true,
            ..text
        }),
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::template::testing::templar;

    #[test]
    fn every_example_holds() {
        let templar = templar(&serde_json::json!({}));
        for filter in TABLES.iter().flat_map(|table| table.iter()) {
            let (expression, expected) = filter.example;
            match templar.expr(expression) {
                Ok(value) => assert_eq!(value.repr(), expected, "{expression}"),
                Err(error) => panic!("{expression}: {error} {:?}", error.hints),
            }
        }
    }

    #[test]
    fn no_name_stands_twice() {
        let mut names: Vec<&str> = TABLES
            .iter()
            .flat_map(|table| table.iter())
            .map(|f| f.name)
            .collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(count, names.len());
        assert!(REFUSED.iter().all(|(name, _)| !names.contains(name)));
    }

    #[test]
    fn unknown_filters_name_what_was_meant() {
        let error = problem("regex_replac").unwrap();
        assert!(
            error.hints[0].contains("`regex_replace`"),
            "{:?}",
            error.hints
        );
        assert!(
            problem("community.general.jc")
                .unwrap()
                .message
                .contains("isn't supported")
        );
        assert!(problem("ansible.builtin.combine").is_none());
    }
}
