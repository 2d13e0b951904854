//! Run records, the events in them, and the lock on a cluster. A leaf: it knows nothing of the other rooms.
//!
//! The stream of events is the product: the terminal, `runs show`, `resume` and every report read the same one.

mod event;
mod load;
mod lock;
mod run;
#[cfg(test)]
mod tests;

pub use event::{
    Counts, Delegate, Detail, Event, Level, NO_HOSTS, NO_MORE_HOSTS, Outcome, PlannedStep, Poll,
    Record, RunEnd, Silent, Sink, Status, Tolerance,
};
pub use load::{LoadError, State, Summary, find, is_dead, list, open};
pub use lock::{Holder, Lock, LockError};
pub use run::{Meta, Observer, Run, RunError};

/// Arguments as they may be written down: values of names that sound secret become `***`.
pub fn scrub(arguments: &[String]) -> Vec<String> {
    let mut hide_next = false;
    arguments
        .iter()
        .map(|argument| {
            if std::mem::take(&mut hide_next) && !argument.starts_with('-') {
                return "***".to_owned();
            }
            hide_next = argument.starts_with("--") && !argument.contains('=') && secret(argument);
            scrub_pairs(argument)
        })
        .collect()
}

/// `name=value` and `"name": "value"` inside one argument (`-e 'a=1 password=x'`).
fn scrub_pairs(argument: &str) -> String {
    if argument.trim_start().starts_with('{') {
        return match secret(argument) {
            true => "{***}".to_owned(),
            false => argument.to_owned(),
        };
    }
    argument
        .split_inclusive(' ')
        .map(|word| match word.split_once('=') {
            Some((name, value)) if secret(name) => {
                format!("{name}=***{}", if value.ends_with(' ') { " " } else { "" })
            }
            _ => word.to_owned(),
        })
        .collect()
}

fn secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    // `--vault-password-file` and `--private-key` name files, which are no secrets.
    !name.ends_with("file")
        && [
            "password",
            "passwd",
            "secret",
            "token",
            "passphrase",
            "become_pass",
            "_pass",
        ]
        .iter()
        .any(|word| name.contains(word))
}
