//! Every keyword of Ansible's playbooks, and where it may stand.

use super::tree::Keyword;
use crate::content::nearest::nearest;
use crate::content::place::{Fault, Place};

/// Where a keyword stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    Play = 1,
    Role = 2,
    Block = 4,
    Task = 8,
    Handler = 16,
    ImportPlaybook = 32,
}

impl On {
    fn name(self) -> &'static str {
        match self {
            Self::Play => "a play",
            Self::Role => "a role entry",
            Self::Block => "a block",
            Self::Task => "a task",
            Self::Handler => "a handler",
            Self::ImportPlaybook => "import_playbook",
        }
    }
}

const P: u8 = On::Play as u8;
const R: u8 = On::Role as u8;
const B: u8 = On::Block as u8;
const T: u8 = On::Task as u8 | On::Handler as u8;
const H: u8 = On::Handler as u8;
const I: u8 = On::ImportPlaybook as u8;
const ALL: u8 = P | R | B | T;

/// The word that is written for a keyword.
pub fn word_of(keyword: Keyword) -> &'static str {
    let is = |means: &Means| matches!(means, Inherited(found) if *found == keyword);
    KEYWORDS
        .iter()
        .find(|(_, _, means)| is(means))
        .map_or("", |(word, ..)| word)
}

/// What the value of a keyword is, once its templates are rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    Switch,
    Number,
    Text,
}

/// Kinds of values as ansible-core declares them.
pub fn holds(keyword: Keyword) -> Holds {
    match keyword {
        Keyword::BecomeExe
        | Keyword::BecomeFlags
        | Keyword::BecomeMethod
        | Keyword::BecomeUser
        | Keyword::Connection
        | Keyword::DelegateTo
        | Keyword::RemoteUser => Holds::Text,
        Keyword::Port | Keyword::Throttle | Keyword::Timeout => Holds::Number,
        Keyword::AnyErrorsFatal
        | Keyword::Become
        | Keyword::CheckMode
        | Keyword::DelegateFacts
        | Keyword::Diff
        | Keyword::IgnoreErrors
        | Keyword::IgnoreUnreachable
        | Keyword::NoLog
        | Keyword::RunOnce => Holds::Switch,
    }
}

/// What is done with a keyword.
#[derive(Clone, Copy)]
enum Means {
    /// Reaches down to tasks as it is.
    Inherited(Keyword),
    /// Has a field of its own.
    Own,
}

use Means::{Inherited, Own};

const KEYWORDS: &[(&str, u8, Means)] = &[
    ("action", T, Own),
    ("always", B, Own),
    ("any_errors_fatal", ALL, Inherited(Keyword::AnyErrorsFatal)),
    ("args", T, Own),
    ("async", T, Own),
    ("become", ALL, Inherited(Keyword::Become)),
    ("become_exe", ALL, Inherited(Keyword::BecomeExe)),
    ("become_flags", ALL, Inherited(Keyword::BecomeFlags)),
    ("become_method", ALL, Inherited(Keyword::BecomeMethod)),
    ("become_user", ALL, Inherited(Keyword::BecomeUser)),
    ("block", B, Own),
    ("changed_when", T, Own),
    ("check_mode", ALL, Inherited(Keyword::CheckMode)),
    ("collections", ALL, Own),
    ("connection", ALL, Inherited(Keyword::Connection)),
    ("debugger", ALL, Own),
    ("delay", T, Own),
    (
        "delegate_facts",
        R | B | T,
        Inherited(Keyword::DelegateFacts),
    ),
    ("delegate_to", R | B | T, Inherited(Keyword::DelegateTo)),
    ("diff", ALL, Inherited(Keyword::Diff)),
    ("environment", ALL, Own),
    ("fact_path", P, Own),
    ("failed_when", T, Own),
    ("force_handlers", P, Own),
    ("gather_facts", P, Own),
    ("gather_subset", P, Own),
    ("gather_timeout", P, Own),
    ("handlers", P, Own),
    ("hosts", P, Own),
    ("ignore_errors", ALL, Inherited(Keyword::IgnoreErrors)),
    (
        "ignore_unreachable",
        ALL,
        Inherited(Keyword::IgnoreUnreachable),
    ),
    ("import_playbook", I, Own),
    ("listen", H, Own),
    ("local_action", T, Own),
    ("loop", T, Own),
    ("loop_control", T, Own),
    ("max_fail_percentage", P, Own),
    ("module_defaults", ALL, Own),
    ("name", ALL | I, Own),
    ("no_log", ALL, Inherited(Keyword::NoLog)),
    ("notify", B | T, Own),
    ("order", P, Own),
    ("poll", T, Own),
    ("port", ALL, Inherited(Keyword::Port)),
    ("post_tasks", P, Own),
    ("pre_tasks", P, Own),
    ("register", T, Own),
    ("remote_user", ALL, Inherited(Keyword::RemoteUser)),
    ("rescue", B, Own),
    ("retries", T, Own),
    ("role", R, Own),
    ("roles", P, Own),
    ("run_once", ALL, Inherited(Keyword::RunOnce)),
    ("serial", P, Own),
    ("strategy", P, Own),
    ("tags", ALL | I, Own),
    ("tasks", P, Own),
    ("throttle", ALL, Inherited(Keyword::Throttle)),
    ("timeout", ALL, Inherited(Keyword::Timeout)),
    ("until", T, Own),
    ("user", P, Inherited(Keyword::RemoteUser)),
    ("vars", ALL | I, Own),
    ("vars_files", P, Own),
    ("vars_prompt", P, Own),
    ("when", R | B | T | I, Own),
];

/// What a word is at a place where keywords stand.
pub enum Word {
    Inherited(Keyword),
    Own(&'static str),
    /// Not a keyword here: a module, a loop, a role's parameter, or a mistake.
    Other,
}

/// Recognises a keyword.
pub fn recognise(name: &str, on: On) -> Word {
    let known = KEYWORDS.iter().find(|(known, ..)| *known == name);
    match known.filter(|(_, scopes, _)| scopes & on as u8 != 0) {
        Some((_, _, Inherited(keyword))) => Word::Inherited(*keyword),
        Some((known, _, Own)) => Word::Own(known),
        None => Word::Other,
    }
}

/// The fault for a word that means nothing here, with what may have been meant.
pub fn unknown(name: &str, on: On, others: &[&str], place: &Place) -> Fault {
    let fault = Fault::new(format!("`{name}` is not a keyword of {}", on.name())).at(place);
    if let Some((_, scopes, _)) = KEYWORDS.iter().find(|(known, ..)| *known == name) {
        let homes: Vec<&str> = [On::Play, On::Role, On::Block, On::Task, On::Handler]
            .into_iter()
            .filter(|home| scopes & *home as u8 != 0)
            .map(On::name)
            .collect();
        if !homes.is_empty() {
            return fault.hint(format!("It belongs to {}.", homes.join(", ")));
        }
    }
    let known = KEYWORDS
        .iter()
        .filter(|(_, scopes, _)| scopes & on as u8 != 0)
        .map(|(known, ..)| *known);
    let near = nearest(name, known.chain(others.iter().copied()), 3);
    if near.is_empty() {
        return fault.hint(format!(
            "Keywords here are {}.",
            KEYWORDS
                .iter()
                .filter(|(_, scopes, _)| scopes & on as u8 != 0)
                .map(|(known, ..)| *known)
                .collect::<Vec<_>>()
                .join(", ")
        ));
    }
    fault.hint(format!("Did you mean `{}`?", near.join("` or `")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn place() -> Place {
        Place::file(Path::new("site.yml"))
    }

    #[test]
    fn the_table_is_sorted_and_has_no_twins() {
        assert!(KEYWORDS.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn a_keyword_at_the_wrong_place_is_told_where_it_belongs() {
        let fault = unknown("serial", On::Task, &[], &place());
        assert_eq!(fault.message, "`serial` is not a keyword of a task");
        assert_eq!(fault.hints, ["It belongs to a play."]);
        assert_eq!(
            unknown("becom", On::Block, &[], &place()).hints,
            ["Did you mean `become`?"]
        );
    }
}
