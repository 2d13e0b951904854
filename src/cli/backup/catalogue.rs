//! `kopsrun backup list`, `show` and `fetch`: what there is, what is in it, and out with it.

use super::{named, whole};
use crate::backup::manifest::{Encryption, Snapshot};
use crate::backup::{self, Found, Set};
use crate::cli::args::Format;
use crate::cli::context::Context;
use crate::cli::failure::{Failure, Kind};
use crate::cli::site::Operation;
use crate::ops::fetch;
use crate::ui::table::Table;
use clap::Args;
use std::fmt::Write as _;
use std::path::PathBuf;

/// List the sets; VERIFIED are those from which a throwaway etcd was started (backup drill)
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    operation: Operation,
}

/// Show what a set holds
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  kopsrun backup show cluster-20261121-093000")]
pub(super) struct Show {
    /// Name of the set
    set: String,
    #[command(flatten)]
    operation: Operation,
}

/// Write the plain files of a set into a directory: the snapshot, and a tar of each node
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  kopsrun backup fetch cluster-20261121-093000 --to /root/out --node node1 --identity key.txt"
)]
pub(super) struct Fetch {
    /// Name of the set
    set: String,
    /// The directory; it is made, and readable for you alone
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Only the archives of these nodes, without the snapshot; may be given several times
    #[arg(long = "node", value_name = "NODE")]
    nodes: Vec<String>,
    #[command(flatten)]
    operation: Operation,
}

fn broken(error: impl ToString) -> Failure {
    Failure::new(Kind::Broken, error.to_string())
}

/// The manifest, with the proof of the set.
fn document(set: &Set) -> Result<serde_json::Value, Failure> {
    let mut document = serde_json::to_value(&set.manifest).map_err(broken)?;
    document["verified"] = serde_json::to_value(set.mark()).map_err(broken)?;
    Ok(document)
}

pub(super) fn list(args: &List, context: &Context) -> Result<u8, Failure> {
    let Found { sets, damaged } = backup::list(&args.operation.backups(context)).map_err(broken)?;
    if context.format == Format::Json {
        let all: Result<Vec<_>, _> = sets.iter().map(document).collect();
        context.print_json(&all?.into())?;
        return whole(damaged);
    }
    let mut table = Table::new([
        "SET", "TAKEN", "NODES", "REVISION", "KEYS", "STATE", "MISSING",
    ]);
    for set in &sets {
        let manifest = &set.manifest;
        let missing = manifest.missing.iter().map(|m| m.node.as_str());
        table.row([
            manifest.set.clone(),
            manifest.taken.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
            manifest.nodes.len().to_string(),
            of_snapshot(set, |s| s.summary.revision.to_string()),
            of_snapshot(set, |s| s.summary.keys.to_string()),
            state(set).to_owned(),
            missing.collect::<Vec<_>>().join(" "),
        ]);
    }
    context.print(&if sets.is_empty() {
        "no archives yet\n".to_owned()
    } else {
        table.text()
    })?;
    whole(damaged)
}

fn state(set: &Set) -> &'static str {
    match (&set.manifest.snapshot, set.mark()) {
        (None, _) => "",
        (Some(_), None) => "unverified",
        (Some(_), Some(_)) => "VERIFIED",
    }
}

fn of_snapshot(set: &Set, figure: impl Fn(&Snapshot) -> String) -> String {
    set.manifest
        .snapshot
        .as_ref()
        .map(figure)
        .unwrap_or_default()
}

pub(super) fn show(args: &Show, context: &Context) -> Result<u8, Failure> {
    let set = named(&args.operation, &args.set, context)?;
    match context.format {
        Format::Json => context.print_json(&document(&set)?)?,
        Format::Text => context.print(&text(&set).map_err(broken)?)?,
    }
    Ok(0)
}

fn text(set: &Set) -> Result<String, std::fmt::Error> {
    let manifest = &set.manifest;
    let mut out = String::new();
    let line = |out: &mut String, name: &str, value: String| writeln!(out, "{name:<12}{value}");
    line(&mut out, "set", manifest.set.clone())?;
    line(&mut out, "taken", manifest.taken.to_string())?;
    line(&mut out, "place", set.dir.display().to_string())?;
    line(
        &mut out,
        "encrypted",
        match manifest.encryption() {
            None => "no".to_owned(),
            Some(Encryption::Recipients) => "for public keys of age".to_owned(),
            Some(Encryption::Passphrase) => "with a passphrase".to_owned(),
        },
    )?;
    if let Some(print) = &manifest.cluster {
        line(&mut out, "cluster", print.etcd_cluster_id.clone())?;
        if let Some(uid) = &print.kube_system_uid {
            line(&mut out, "kube-system", uid.clone())?;
        }
        for (path, key) in &print.authorities {
            line(&mut out, "authority", format!("{key} {path}"))?;
        }
    }
    if let Some(version) = &manifest.kubernetes_version {
        line(&mut out, "kubernetes", version.clone())?;
    }
    if let Some(s) = &manifest.snapshot {
        line(
            &mut out,
            "snapshot",
            format!(
                "{} keys at revision {}, {:.1} MiB, from {} (etcd {})",
                s.summary.keys,
                s.summary.revision,
                s.size as f64 / 1_048_576.0,
                s.member,
                s.etcd_version
            ),
        )?;
        line(&mut out, "raft index", s.raft_index.to_string())?;
        for (what, count) in &s.summary.resources {
            line(&mut out, "", format!("{count:>7} {what}"))?;
        }
        line(
            &mut out,
            "state",
            match set.mark() {
                None => "unverified: kopsrun backup drill proves it".to_owned(),
                Some(mark) => format!(
                    "VERIFIED {} with etcd {}, ready after {:.1} s",
                    mark.at.strftime("%Y-%m-%d %H:%M:%S UTC"),
                    mark.etcd_version,
                    mark.seconds
                ),
            },
        )?;
    }
    for node in &manifest.nodes {
        line(
            &mut out,
            "node",
            format!("{}: {} files and directories", node.node, node.files.len()),
        )?;
    }
    for node in &manifest.missing {
        line(
            &mut out,
            "MISSING",
            format!("{}: {}", node.node, node.reason),
        )?;
    }
    Ok(out)
}

pub(super) fn fetch(args: &Fetch, context: &Context) -> Result<u8, Failure> {
    let set = named(&args.operation, &args.set, context)?;
    let keys = args.operation.backup_keys(context)?;
    let written = fetch::fetch(&set, &context.path(&args.to), &args.nodes, &keys)?;
    let lines: String = written
        .iter()
        .map(|path| format!("{}\n", path.display()))
        .collect();
    context.print(&lines)?;
    Ok(0)
}
