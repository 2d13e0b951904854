//! `kopsrun backup create`: a complete set.

use super::{begin, finish, hosts};
use crate::backup::{PublicKey, Seal, Set, keys};
use crate::cli::block_on;
use crate::cli::context::Context;
use crate::cli::failure::{Failure, Kind};
use crate::cli::site::{Operation, wrong};
use crate::ops::backup;
use clap::Args;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  kopsrun backup create -i inventory.yml
  kopsrun backup create -i inventory.yml --recipient age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p
  kopsrun backup create -i inventory.yml --passphrase-file ~/.backup-passphrase
  kopsrun backup drill -i inventory.yml

A set holds a snapshot of etcd, and of each node its certificates and keys, the settings and the service of etcd, manifests
of static pods, kubeconfigs and the configuration of encryption. It is compressed, and appears only after it was read back.
It holds private keys: encrypt it wherever others can read the place where it is kept.";

/// Take a complete backup set: etcd, certificates, keys and settings of all nodes
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Create {
    /// Encrypt for this public key of age; may be given several times
    #[arg(
        long = "recipient",
        value_name = "KEY",
        conflicts_with = "passphrase_file"
    )]
    recipients: Vec<String>,
    /// Encrypt for the public keys in this file, one a line
    #[arg(
        long = "recipients-file",
        value_name = "FILE",
        conflicts_with = "passphrase_file"
    )]
    recipients_file: Option<PathBuf>,
    /// A file or directory of the nodes to archive beside the usual ones; may be given several times
    #[arg(long = "path", value_name = "PATH")]
    more: Vec<String>,
    #[command(flatten)]
    operation: Operation,
}

pub(super) fn run(args: &Create, context: &Context) -> Result<u8, Failure> {
    let seal = seal(args, context)?;
    let site = args.operation.site(context)?;
    let what = backup::Create {
        hosts: hosts(&site, &args.operation)?,
        more: args.more.clone(),
        seal,
    };
    let record = begin("backup create", &args.operation, context)?;
    block_on(context, async {
        let taken = backup::create(&site, &what, &record).await;
        finish(&record, taken, sentence)
    })
}

fn seal(args: &Create, context: &Context) -> Result<Seal, Failure> {
    let mut recipients: Vec<PublicKey> = Vec::new();
    for key in &args.recipients {
        let found = keys::recipients(key).map_err(|_| {
            Failure::new(Kind::Input, format!("'{key}' is not a public key of age"))
                .hint("it begins with age1; keys of SSH and of plugins aren't taken")
        })?;
        recipients.extend(found);
    }
    if let Some(file) = &args.recipients_file {
        let path = context.path(file);
        let text =
            std::fs::read_to_string(&path).map_err(|error| wrong(&path, &error.to_string()))?;
        recipients.extend(keys::recipients(&text).map_err(|why| wrong(&path, &why))?);
        if recipients.is_empty() {
            return Err(wrong(&path, "there is no public key in it"));
        }
    }
    let passphrase = args.operation.backup_keys(context)?.passphrase;
    Ok(match (recipients.is_empty(), passphrase) {
        (false, _) => Seal::Recipients(recipients),
        (true, Some(passphrase)) => Seal::Passphrase(passphrase),
        (true, None) => Seal::Open,
    })
}

fn sentence(set: &Set) -> String {
    let manifest = &set.manifest;
    let size: u64 = manifest.stored.iter().map(|s| s.size).sum();
    let keys = manifest.snapshot.as_ref().map_or_else(String::new, |s| {
        format!(
            "{} keys at revision {}, ",
            s.summary.keys, s.summary.revision
        )
    });
    let encrypted = match manifest.encryption() {
        Some(_) => ", encrypted",
        None => "",
    };
    format!(
        "{keys}{} nodes, {:.1} MiB{encrypted}; read back: {}",
        manifest.nodes.len(),
        size as f64 / 1_048_576.0,
        set.dir.display()
    )
}
