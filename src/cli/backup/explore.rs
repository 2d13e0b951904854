//! `kopsrun backup diff` and `backup cat`: what is in snapshots, without an etcd.

use super::named;
use crate::backup::snapshot::objects::{Difference, Entry};
use crate::cli::args::Format;
use crate::cli::context::Context;
use crate::cli::failure::{Failure, Kind};
use crate::cli::site::Operation;
use crate::cluster::kubernetes;
use crate::content::value::Value;
use crate::content::yaml::to_nice_yaml;
use crate::ops::explore;
use crate::ui::table::Table;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::io::Write;

const DIFF: &str = "\
Examples:
  kopsrun backup diff cluster-20261121-093000 cluster-20261120-093000
  kopsrun backup diff cluster-20261121-093000 cluster-20261120-093000 --keys --only deployments

Read from the newer set to the older one it says what would be lost by restoring the older one. Exit code 0: the same keys
with the same values; exit code 2: they differ.";

/// Compare the keys of two sets, by Kubernetes' resources
#[derive(Debug, Args)]
#[command(after_help = DIFF)]
pub(super) struct Diff {
    /// The set that is compared with
    first: String,
    /// The set that is compared
    second: String,
    /// Name every key
    #[arg(long)]
    keys: bool,
    /// Only this resource (pods, deployments, certificates.cert-manager.io…); may be given several times
    #[arg(long = "only", value_name = "RESOURCE")]
    only: Vec<String>,
    #[command(flatten)]
    operation: Operation,
}

const CAT: &str = "\
Examples:
  kopsrun backup cat cluster-20261121-093000 configmaps/default/settings
  kopsrun backup cat cluster-20261121-093000 /registry/secrets/default/token --raw >token.bin

Values of Kubernetes' protobuf are shown as YAML: kind, names, labels, annotations, the content of ConfigMaps and Secrets, and
of other objects the bytes. Secrets are shown as they are. Values that Kubernetes has encrypted stay encrypted.";

/// Print one object of a set
#[derive(Debug, Args)]
#[command(after_help = CAT)]
pub(super) struct Cat {
    /// Name of the set
    set: String,
    /// The key, as etcd names it; /registry/ before it may be left away
    key: String,
    /// The bytes of the value, as they are
    #[arg(long)]
    raw: bool,
    #[command(flatten)]
    operation: Operation,
}

pub(super) fn diff(args: &Diff, context: &Context) -> Result<u8, Failure> {
    let first = named(&args.operation, &args.first, context)?;
    let second = named(&args.operation, &args.second, context)?;
    let keys = args.operation.backup_keys(context)?;
    let mut found = explore::diff(&first, &second, &keys)?;
    found.retain(|resource, _| args.only.is_empty() || args.only.contains(resource));
    match context.format {
        Format::Json => context.print_json(&json!({
            "first": args.first, "second": args.second, "resources": found,
        }))?,
        Format::Text => context.print(&table(&found, args.keys))?,
    }
    Ok(if found.is_empty() {
        0
    } else {
        Kind::Failed.code()
    })
}

fn table(found: &BTreeMap<String, Difference>, keys: bool) -> String {
    if found.is_empty() {
        return "the same keys with the same values\n".to_owned();
    }
    let mut table = Table::new(["RESOURCE", "GONE", "NEW", "CHANGED"]);
    for (resource, one) in found {
        table.row([
            resource.clone(),
            one.removed.len().to_string(),
            one.added.len().to_string(),
            one.changed.len().to_string(),
        ]);
    }
    let mut text = table.text();
    for one in found.values().filter(|_| keys) {
        for (sign, keys) in [('-', &one.removed), ('+', &one.added), ('~', &one.changed)] {
            for key in keys {
                text.push_str(&format!("{sign} {key}\n"));
            }
        }
    }
    text
}

pub(super) fn cat(args: &Cat, context: &Context) -> Result<u8, Failure> {
    let set = named(&args.operation, &args.set, context)?;
    let keys = args.operation.backup_keys(context)?;
    let entry = explore::cat(&set, &args.key, &keys)?;
    if args.raw {
        // A reader that went away has had enough.
        let _closed = std::io::stdout().lock().write_all(&entry.value);
        return Ok(0);
    }
    let document = document(&entry);
    match context.format {
        Format::Json => context.print_json(&document)?,
        Format::Text => {
            let yaml = to_nice_yaml(&Value::from_json(&document))
                .map_err(|fault| Failure::new(Kind::Broken, fault.message))?;
            context.print(&yaml)?;
        }
    }
    Ok(0)
}

fn document(entry: &Entry) -> Json {
    let mut document = json!({
        "key": String::from_utf8_lossy(&entry.key),
        "revision": entry.revision,
        "created_revision": entry.created,
        "version": entry.version,
    });
    if let Some(object) = kubernetes::object(&entry.value) {
        document["object"] = json!(object);
        match object.data.is_empty() {
            true => document["raw"] = json!(STANDARD.encode(&entry.value)),
            false => {
                let data = object.data.iter();
                document["data"] = data
                    .map(|(name, value)| (name.clone(), text(value)))
                    .collect();
            }
        }
        return document;
    }
    if let Some(how) = encrypted(&entry.value) {
        document["encrypted"] = json!(how);
        document["raw"] = json!(STANDARD.encode(&entry.value));
        return document;
    }
    // Custom resources are JSON.
    match serde_json::from_slice::<Json>(&entry.value) {
        Ok(value) if value.is_object() => document["object"] = value,
        _ => document["value"] = text(&entry.value),
    }
    document
}

/// Text as it is, other bytes by their base64.
fn text(bytes: &[u8]) -> Json {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => json!(text),
        _ => json!({ "base64": STANDARD.encode(bytes) }),
    }
}

/// `aescbc v1 key1` of `k8s:enc:aescbc:v1:key1:…`.
fn encrypted(value: &[u8]) -> Option<String> {
    let rest = value.strip_prefix(b"k8s:enc:")?;
    let words: Vec<String> = rest
        .split(|byte| *byte == b':')
        .take(3)
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect();
    Some(words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: &[u8]) -> Json {
        document(&Entry {
            key: b"/registry/x/a/b".to_vec(),
            revision: 7,
            created: 3,
            version: 2,
            value: value.to_vec(),
        })
    }

    #[test]
    fn values_are_shown_by_their_form() {
        assert_eq!(
            shown(b"{\"kind\": \"Certificate\"}")["object"]["kind"],
            "Certificate"
        );
        assert_eq!(shown(b"plain")["value"], "plain");
        assert_eq!(shown(&[0xff, 0])["value"]["base64"], "/wA=");
        let hidden = shown(b"k8s:enc:aescbc:v1:key1:\x01\x02");
        assert_eq!(hidden["encrypted"], "aescbc v1 key1");
        assert_eq!(hidden["revision"], 7);
    }
}
