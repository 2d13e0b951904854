//! `--syntax-check`, `--list-hosts`, `--list-tasks`, `--list-tags`: written as ansible-playbook writes them.

use super::context::Context;
use super::failure::Failure;
use super::warnings;
use crate::content::value::text_repr;
use crate::play::{self, Listing, PlayListing, Request};
use std::collections::BTreeSet;
use std::fmt::Write;

/// What is listed; nothing means a check of the syntax.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub hosts: bool,
    pub tasks: bool,
    pub tags: bool,
}

/// Loads everything, and lists what was asked for; connects to nothing.
pub(super) fn look(request: &Request, wanted: Look, context: &Context) -> Result<u8, Failure> {
    let listings = play::list(request)?;
    let checks = !(wanted.hosts || wanted.tasks || wanted.tags);
    for warning in listings.iter().flat_map(|listing| &listing.warnings) {
        // What can't be run yet is of no interest to who lists; a check tells each once, by its first place.
        if warning.unsupported && !checks {
            continue;
        }
        let at = warning.place.as_ref().map(|place| format!(" ({place})"));
        warnings::show_of(&warning.message, &at.unwrap_or_default(), context);
    }
    let text: String = listings
        .iter()
        .map(|listing| playbook(listing, wanted))
        .collect();
    context.print(&text)?;
    Ok(0)
}

fn playbook(listing: &Listing, wanted: Look) -> String {
    let mut text = format!("\nplaybook: {}\n", listing.playbook.display());
    if wanted.hosts || wanted.tasks || wanted.tags {
        for (index, play) in listing.plays.iter().enumerate() {
            text.push_str(&of_play(index + 1, play, wanted));
        }
    }
    text
}

fn of_play(number: usize, play: &PlayListing, wanted: Look) -> String {
    let mut text = format!(
        "\n  play #{number} ({}): {}\tTAGS: [{}]\n",
        play.patterns.join(","),
        play.name,
        play.tags.join(",")
    );
    if wanted.hosts {
        let _infallible = writeln!(
            text,
            "    pattern: [{}]\n    hosts ({}):",
            quoted(&play.patterns),
            play.hosts.len()
        );
        text.extend(play.hosts.iter().map(|host| format!("      {host}\n")));
    }
    if wanted.tasks {
        text.push_str("    tasks:\n");
        for task in &play.tasks {
            let role = task.role.iter().map(|role| format!("{role} : "));
            let role: String = role.collect();
            let tags = task.tags.join(", ");
            let _infallible = writeln!(text, "      {role}{}\tTAGS: [{tags}]", task.name);
        }
    }
    if wanted.tags {
        let of_tasks = play.tasks.iter().flat_map(|task| &task.tags);
        let all: BTreeSet<&str> = of_tasks.chain(&play.tags).map(String::as_str).collect();
        let all: Vec<&str> = all.into_iter().collect();
        let _infallible = writeln!(text, "      TASK TAGS: [{}]", all.join(", "));
    }
    text
}

/// As Python prints the items of a list of texts.
fn quoted(texts: &[String]) -> String {
    let mut printed = String::new();
    for (index, text) in texts.iter().enumerate() {
        printed.push_str(if index == 0 { "" } else { ", " });
        text_repr(text, &mut printed);
    }
    printed
}
