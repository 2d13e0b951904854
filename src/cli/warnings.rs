//! Warnings as Ansible shows them: on standard error, each once.

use super::context::Context;
use crate::content::place::Fault;
use crate::ui::wrap;
use std::io::{self, IsTerminal};
use std::sync::PoisonError;

/// Columns where standard error is no terminal.
pub(super) const COLUMNS: usize = 79;

/// `[WARNING]: text`, wrapped to the width of the terminal.
pub(super) fn show(text: &str, context: &Context) {
    show_of(text, "", context);
}

/// The same with more behind it, where it is shown for the first time.
pub(super) fn show_of(text: &str, more: &str, context: &Context) {
    let mut warned = context
        .warned
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if !warned.insert(text.to_owned()) {
        return;
    }
    let columns = if io::stderr().is_terminal() {
        columns(context)
    } else {
        COLUMNS
    };
    let wrapped = wrap::fill(&format!("[WARNING]: {text}{more}"), columns);
    if context.color && io::stderr().is_terminal() {
        eprintln!("\x1b[1;35m{wrapped}\x1b[0m");
    } else {
        eprintln!("{wrapped}");
    }
}

fn columns(context: &Context) -> usize {
    let set = context
        .variable("COLUMNS")
        .and_then(|text| text.parse().ok());
    let asked = || rustix::termios::tcgetwinsize(io::stderr()).ok();
    set.or_else(|| asked().map(|size| usize::from(size.ws_col).saturating_sub(1)))
        .filter(|columns| *columns > 0)
        .unwrap_or(COLUMNS)
}

/// What a file of people says wrongly, as a warning: with its place and its line.
pub(super) fn show_fault(fault: &Fault, context: &Context) {
    if fault.place.is_none() {
        return show(&fault.message, context);
    }
    let new = context
        .warned
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(format!("{:?}{}", fault.place, fault.message));
    if new {
        eprint!("{}", crate::ui::snippet::draw_warning(fault, context.color));
    }
}
