//! Templates as Ansible 2.18 renders them: Jinja2's language over Python's values, lazy variables, trust per text.
//!
//! The classic mode of Ansible decides types: text that renders to a list, a dictionary or a boolean becomes one, a
//! lone `{{ variable }}` keeps a number or a boolean, everything else is text.
//!
//! Trust follows Ansible's rule for unsafe text, and is never laxer: what a template makes is data (never templated
//! again) as soon as one variable that it read holds text from elsewhere, or one piece that it printed is such text.
//! A container that is passed on whole keeps the trust of each of its texts.

mod about;
mod check;
#[cfg(test)]
mod engine_tests;
mod error;
pub mod eval;
pub mod filters;
mod formats;
pub mod globals;
mod lookups;
mod memo;
mod settings;
pub mod syntax;
mod templar;
#[cfg(test)]
mod testing;
mod tests;

pub use about::about;
pub use error::TemplateError;
pub use lookups::problem as lookup_problem;
pub use settings::{RunCommand, Scope, TemplateSettings};
pub use syntax::Options;
pub use templar::Templar;

/// Names of Ansible that are refused, with what to do instead: filters, tests and lookups. docs/language.md shows them.
pub const REFUSED: [(&str, &[(&str, &str)]); 3] = [
    ("filter", filters::REFUSED),
    ("test", tests::REFUSED),
    ("lookup", lookups::REFUSED),
];

/// "1 argument", "2 arguments".
fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}
