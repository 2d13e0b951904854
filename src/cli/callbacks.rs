//! The settings of callbacks: which of them print a run, and how.

use super::context::Context;
use super::failure::{Failure, Kind as Why};
use super::warnings;
use crate::ui::callback::{Junit, Kind, Order, Profile, Settings};
use crate::ui::results::Format;

/// Callbacks for standard output, by their short names.
const KNOWN: &str =
    "default, minimal, oneline, json, yaml, debug, null, skippy, default_without_diff";

/// Those of common collections that draw what the default one tells in another way.
const FOREIGN: &[&str] = &[
    "actionable",
    "counter_enabled",
    "dense",
    "diy",
    "full_skip",
    "selective",
    "stderr",
    "unixy",
];

/// What the settings and the command line say about output.
pub(super) fn settings(context: &Context) -> Result<Settings, Failure> {
    let config = &context.config;
    let pretty = config.given("pretty_results");
    let mut settings = Settings {
        kind: Kind::Default,
        format: Format {
            yaml: config.text("result_format") == "yaml",
            headed: false,
            sections: false,
            pretty: pretty.map(|_| config.flag("pretty_results")),
            verbosity: context.verbosity,
        },
        display_skipped_hosts: config.flag("display_skipped_hosts"),
        display_ok_hosts: config.flag("display_ok_hosts"),
        display_failed_stderr: config.flag("display_failed_stderr"),
        show_custom_stats: config.flag("show_custom_stats"),
        show_per_host_start: config.flag("show_per_host_start"),
        check_mode_markers: config.flag("check_mode_markers"),
        show_task_path_on_failure: config.flag("show_task_path_on_failure"),
        display_args: config.flag("DISPLAY_ARGS_TO_STDOUT"),
        without_diff: false,
        timer: false,
        profile: None,
        junit: None,
        advice: context.terminal,
    };
    main(&mut settings, context)?;
    for name in config.list("CALLBACKS_ENABLED") {
        beside(&mut settings, &name, context);
    }
    Ok(settings)
}

/// For everything that is more than plays.
pub(super) fn plain(context: &Context) -> Settings {
    Settings {
        format: Format {
            verbosity: context.verbosity,
            ..Format::default()
        },
        advice: context.terminal,
        ..Settings::default()
    }
}

/// The callback for standard output.
fn main(settings: &mut Settings, context: &Context) -> Result<(), Failure> {
    let name = context.config.text("DEFAULT_STDOUT_CALLBACK");
    let plain = |settings: &mut Settings, kind| {
        settings.kind = kind;
        settings.format.yaml = false;
        settings.format.pretty = None;
    };
    match name.as_str() {
        "default" | "ansible.builtin.default" => {}
        "minimal" | "ansible.builtin.minimal" => plain(settings, Kind::Minimal),
        "oneline" | "ansible.builtin.oneline" => plain(settings, Kind::Oneline),
        "json" | "ansible.posix.json" => settings.kind = Kind::Json,
        "null" | "community.general.null" => settings.kind = Kind::Null,
        "yaml" | "community.general.yaml" => settings.format.headed = true,
        "debug" | "ansible.posix.debug" => settings.format.sections = true,
        "skippy" | "ansible.posix.skippy" => settings.display_skipped_hosts = false,
        "default_without_diff" | "community.general.default_without_diff" => {
            settings.without_diff = true;
        }
        other if FOREIGN.contains(&other.rsplit('.').next().unwrap_or(other)) => warnings::show(
            &format!(
                "the callback {other} is written in Python; the default one is used instead, which tells the same"
            ),
            context,
        ),
        other => {
            return Err(Failure::new(
                Why::Error,
                format!("Invalid callback for stdout specified: {other}"),
            )
            .hint(format!(
                "Callbacks are programs in Python; kopsrun brings {KNOWN}."
            )));
        }
    }
    Ok(())
}

/// A callback beside the one for standard output. What isn't known is told and left out, as in Ansible.
fn beside(settings: &mut Settings, name: &str, context: &Context) {
    let config = &context.config;
    match name {
        "timer" | "ansible.posix.timer" => settings.timer = true,
        "profile_tasks" | "ansible.posix.profile_tasks" => {
            settings.profile = Some(Profile {
                limit: config
                    .text("profile_tasks_output_limit")
                    .trim()
                    .parse()
                    .ok(),
                order: match config.text("profile_tasks_sort_order").as_str() {
                    "ascending" => Order::Ascending,
                    "none" => Order::None,
                    _ => Order::Descending,
                },
                summary_only: config.flag("profile_tasks_summary_only"),
                paths: context.verbosity > 1,
            });
        }
        "junit" | "ansible.builtin.junit" => {
            let dir = config.path("junit_output_dir");
            settings.junit = Some(Junit {
                dir: dir.unwrap_or_else(|| context.home.join(".ansible.log")),
                relative_to: config.path("junit_task_relative_path"),
                by_task_class: config.flag("junit_task_class"),
                fail_on_change: config.flag("junit_fail_on_change"),
                fail_on_ignore: config.flag("junit_fail_on_ignore"),
                include_setup_tasks: config.flag("junit_include_setup_tasks_in_report"),
                hide_task_arguments: config.flag("junit_hide_task_arguments"),
                test_case_prefix: config.text("junit_test_case_prefix"),
            });
        }
        other => warnings::show(
            &format!(
                "the callback {other} is a program in Python and isn't run; kopsrun brings profile_tasks, timer and junit"
            ),
            context,
        ),
    }
}
