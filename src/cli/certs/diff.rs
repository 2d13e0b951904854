//! `kopsrun certs diff`: what has changed since a backup.

use crate::cli::args::Format;
use crate::cli::block_on;
use crate::cli::context::Context;
use crate::cli::failure::{Failure, Kind};
use crate::cli::site::Operation;
use crate::content::inventory::Unknown;
use crate::ops::check_certs;
use clap::Args;

const EXAMPLES: &str = "\
Examples:
  kopsrun certs diff -i inventory.yml
  kopsrun certs diff certs-20261120-224000 -l node3 -i inventory.yml

Exit code 0: all files are as in the set. Exit code 2: some are not, or a node can't be read.";

/// Compare the certificates and keys of nodes with a backup set
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Diff {
    /// The set; otherwise the newest that has the first of the nodes
    set: Option<String>,
    #[command(flatten)]
    operation: Operation,
}

pub(super) fn run(args: &Diff, context: &Context) -> Result<u8, Failure> {
    let site = args.operation.site(context)?;
    let limit = args.operation.hosts.limit.as_deref();
    let chosen = site.inventory.select("all", limit, Unknown::Fault)?;
    let hosts: Vec<String> = chosen.hosts.iter().map(ToString::to_string).collect();
    block_on(context, async {
        let compared = check_certs::diff(&site, &hosts, args.set.as_deref()).await?;
        let code = match compared.differences.is_empty() && compared.unread.is_empty() {
            true => 0,
            false => Kind::Failed.code(),
        };
        match context.format {
            Format::Json => {
                let document = serde_json::to_value(&compared)
                    .map_err(|e| Failure::new(Kind::Broken, e.to_string()))?;
                context.print_json(&document)?;
            }
            Format::Text => {
                let mut text = String::new();
                for one in &compared.differences {
                    text.push_str(&format!(
                        "{}: {}: {}\n",
                        one.node,
                        one.path,
                        one.what.join("; ")
                    ));
                }
                for (node, why) in &compared.unread {
                    text.push_str(&format!("{node} can't be read: {why}\n"));
                }
                text.push_str(&format!(
                    "{} of {} files differ from {}\n",
                    compared.differences.len(),
                    compared.files,
                    compared.set
                ));
                context.print(&text)?;
            }
        }
        Ok(code)
    })
}
