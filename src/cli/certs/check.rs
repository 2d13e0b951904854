//! `kopsrun certs check`: do a node's certificates serve a member at its addresses?

use crate::cli::args::Format;
use crate::cli::block_on;
use crate::cli::context::Context;
use crate::cli::failure::{Failure, Kind};
use crate::cli::site::Operation;
use crate::ops::check_certs;
use clap::Args;

const EXAMPLES: &str = "\
Examples:
  kopsrun certs check node3 -i inventory.yml
  kopsrun certs check node3 --set certs-20261120-224000 -i inventory.yml

The names in the certificates of etcd and of the API server are compared with the node's addresses in the inventory and in
etcd's settings, before the member is replaced. A node that can't be entered is judged by its newest backup. Exit code 2: a
certificate lacks an address, ends within a day, or is another authority's.";

/// Check that the certificates of a node are made out to its addresses
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Check {
    /// The node, as the inventory names it
    node: String,
    /// Judge those of this backup set
    #[arg(long, value_name = "SET")]
    set: Option<String>,
    #[command(flatten)]
    operation: Operation,
}

pub(super) fn run(args: &Check, context: &Context) -> Result<u8, Failure> {
    let site = args.operation.site(context)?;
    if !site.inventory.has_host(&args.node) {
        return Err(Failure::new(
            Kind::Input,
            format!("the inventory has no host '{}'", args.node),
        ));
    }
    block_on(context, async {
        let checked = check_certs::check(&site, &args.node, args.set.as_deref()).await?;
        match context.format {
            Format::Json => {
                let document = serde_json::to_value(&checked)
                    .map_err(|e| Failure::new(Kind::Broken, e.to_string()))?;
                context.print_json(&document)?;
            }
            Format::Text => {
                let mut text = format!("{}, as {} has them:\n", checked.node, checked.from);
                for certificate in &checked.certificates {
                    match certificate.wrong.as_slice() {
                        [] => text.push_str(&format!("  {}: in order\n", certificate.path)),
                        wrong => {
                            text.push_str(&format!(
                                "  {}: {}\n",
                                certificate.path,
                                wrong.join("; ")
                            ));
                        }
                    }
                }
                context.print(&text)?;
            }
        }
        Ok(if checked.bad() {
            Kind::Failed.code()
        } else {
            0
        })
    })
}
