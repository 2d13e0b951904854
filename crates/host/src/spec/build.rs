//! Building specifications, as constants beside the code of each module.

use crate::{Arg, Kind, Return, Rule, Spec};

impl Arg {
    pub const fn new(name: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self {
            name,
            aliases: &[],
            kind,
            elements: Kind::Str,
            required: false,
            default: None,
            choices: &[],
            doc: documentation(doc),
        }
    }

    #[must_use]
    pub const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    #[must_use]
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// The value of an absent argument, as a person would write it (`"no"`, `"5"`, `"a,b"`).
    #[must_use]
    pub const fn default(mut self, value: &'static str) -> Self {
        self.default = Some(value);
        self
    }

    #[must_use]
    pub const fn choices(mut self, choices: &'static [&'static str]) -> Self {
        self.choices = choices;
        self
    }

    /// The type of each element of a list; strings if not said.
    #[must_use]
    pub const fn of(mut self, elements: Kind) -> Self {
        self.elements = elements;
        self
    }

    pub(super) fn answers_to(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
    }
}

/// Arguments of a module and those that it shares with others, in one list of `ALL`.
pub(crate) const fn join<const A: usize, const B: usize, const ALL: usize>(
    own: [Arg; A],
    shared: [Arg; B],
) -> [Arg; ALL] {
    assert!(A + B == ALL, "the length of the list is that of both");
    let mut all = [own[0]; ALL];
    let mut at = 0;
    while at < ALL {
        all[at] = if at < A { own[at] } else { shared[at - A] };
        at += 1;
    }
    all
}

/// Documentation is for the controller: the agent is built without these words, which nobody reads on a host.
const fn documentation(text: &'static str) -> &'static str {
    if cfg!(feature = "docs") { text } else { "" }
}

impl Return {
    pub const fn new(name: &'static str, doc: &'static str) -> Self {
        Self { name, doc }
    }
}

impl Spec {
    pub const fn new(name: &'static str, doc: &'static str, args: &'static [Arg]) -> Self {
        Self {
            name,
            aliases: &[],
            args,
            free_form: false,
            rules: &[],
            check_mode: true,
            left_out: &[],
            returns: &[],
            doc: documentation(doc),
        }
    }

    #[must_use]
    pub const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// Takes a command line (`command: uptime`), found in `_raw_params`.
    #[must_use]
    pub const fn free_form(mut self) -> Self {
        self.free_form = true;
        self
    }

    #[must_use]
    pub const fn rules(mut self, rules: &'static [Rule]) -> Self {
        self.rules = rules;
        self
    }

    /// Refuses arguments by name, with the reason.
    #[must_use]
    pub const fn without(mut self, left_out: &'static [(&'static str, &'static str)]) -> Self {
        if cfg!(feature = "docs") {
            self.left_out = left_out;
        }
        self
    }

    /// What the result holds beside `changed`, `failed` and `msg`.
    #[must_use]
    pub const fn returns(mut self, returns: &'static [Return]) -> Self {
        if cfg!(feature = "docs") {
            self.returns = returns;
        }
        self
    }

    /// The module is skipped in check mode.
    #[must_use]
    pub const fn without_check_mode(mut self) -> Self {
        self.check_mode = false;
        self
    }

    pub(super) fn known(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.args.iter().map(|arg| arg.name).collect();
        names.sort_unstable();
        names
    }
}
