//! `kopsrun config`: which settings hold, where they come from, and which were set for nothing.

use super::table::{Kind, SETTINGS, Setting};
use super::{Config as Settings, Origin, is_true};
use crate::cli::args::Format;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use clap::{Args, Subcommand};
use serde_json::{Value as Json, json};
use std::fmt::Write;

const EXAMPLES: &str = "\
Examples:
  kopsrun config dump
  kopsrun config dump --only-changed
  ANSIBLE_CONFIG=site/ansible.cfg kopsrun config dump --output json";

/// Said of what isn't a setting of ansible-core 2.18.
const UNKNOWN: &str = "ansible-core has no such setting.";

/// Show the settings of ansible.cfg and ANSIBLE_* variables that hold, and those that are ignored
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Config {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, Clone, Subcommand)]
enum What {
    /// Every setting that kopsrun honours, with its value and origin; then those that were set and are ignored
    Dump {
        /// Only settings that differ from their default
        #[arg(long = "only-changed", visible_alias = "changed-only")]
        only_changed: bool,
    },
}

pub(in crate::cli) fn run(args: &Config, context: &Context) -> Result<u8, Failure> {
    let only_changed = matches!(args.what, Some(What::Dump { only_changed: true }));
    let config = &context.config;
    let shown: Vec<&Setting> = SETTINGS
        .iter()
        .filter(|setting| !only_changed || config.origin(setting.name) != Origin::Default)
        .collect();
    if context.format == Format::Json {
        context.print_json(&document(&shown, config))?;
        return Ok(0);
    }
    let file = config.file.as_ref();
    let file = file.map_or("None".to_owned(), |path| path.display().to_string());
    let mut text = format!("CONFIG_FILE() = {file}\n");
    for setting in shown {
        let origin = config.origin(setting.name);
        let value = shown_value(setting, config);
        let _infallible = writeln!(text, "{}({origin}) = {value}", setting.name);
    }
    if !config.ignored.is_empty() {
        text.push_str("\nIgnored:\n");
    }
    for ignored in &config.ignored {
        let reason = ignored.reason.unwrap_or(UNKNOWN);
        let _infallible = writeln!(text, "  {} ({}): {reason}", ignored.name, ignored.origin);
    }
    context.print(&text)?;
    Ok(0)
}

fn document(shown: &[&Setting], config: &Settings) -> Json {
    let settings: Vec<Json> = shown
        .iter()
        .map(|setting| {
            json!({
                "name": setting.name,
                "value": value(setting, config),
                "origin": config.origin(setting.name).to_string(),
            })
        })
        .collect();
    let ignored: Vec<Json> = config
        .ignored
        .iter()
        .map(|ignored| {
            let reason = ignored.reason.unwrap_or(UNKNOWN);
            json!({ "name": ignored.name, "origin": ignored.origin.to_string(), "reason": reason })
        })
        .collect();
    let file = config.file.as_ref().map(|path| path.display().to_string());
    json!({ "file": file, "settings": settings, "ignored": ignored })
}

fn value(setting: &Setting, config: &Settings) -> Json {
    let text = config.text(setting.name);
    let paths = || {
        let paths = config.paths(setting.name);
        let paths = paths.iter().map(|path| path.display().to_string());
        paths.collect::<Vec<_>>()
    };
    match setting.kind {
        Kind::Bool => is_true(&text).into(),
        Kind::Integer => config.integer(setting.name).into(),
        Kind::List => config.list(setting.name).into(),
        Kind::PathSpec | Kind::PathList => paths().into(),
        Kind::Path => match config.path(setting.name) {
            Some(path) => path.display().to_string().into(),
            None => Json::Null,
        },
        _ if text.is_empty() => Json::Null,
        _ => text.into(),
    }
}

/// As Python prints it, which is how `ansible-config dump` shows values.
fn shown_value(setting: &Setting, config: &Settings) -> String {
    match value(setting, config) {
        Json::Null => "None".to_owned(),
        Json::Bool(true) => "True".to_owned(),
        Json::Bool(false) => "False".to_owned(),
        Json::String(text) => text,
        Json::Array(items) => {
            let items = items.iter().filter_map(Json::as_str);
            let mut printed = String::from("[");
            for (index, item) in items.enumerate() {
                printed.push_str(if index == 0 { "" } else { ", " });
                crate::content::value::text_repr(item, &mut printed);
            }
            printed + "]"
        }
        other => other.to_string(),
    }
}
