//! `group`: groups of the host.

use super::user::change;
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Return, Spec, users};
use serde::Deserialize;

#[derive(Deserialize)]
pub struct Group {
    name: String,
    gid: Option<u32>,
    state: String,
    system: bool,
    non_unique: bool,
    force: bool,
    local: bool,
    gid_min: Option<u32>,
    gid_max: Option<u32>,
}

impl Module for Group {
    const SPEC: Spec = Spec::new(
        "group",
        "Adds, changes and removes groups.",
        &[
            Arg::new("name", Kind::Str, "The group.").required(),
            Arg::new("gid", Kind::Int, "Its number."),
            Arg::new("state", Kind::Str, "There or not.")
                .choices(&["present", "absent"])
                .default("present"),
            Arg::new(
                "system",
                Kind::Bool,
                "With a number for system groups, when it is new.",
            )
            .default("no"),
            Arg::new(
                "non_unique",
                Kind::Bool,
                "The number may be another group's too.",
            )
            .default("no"),
            Arg::new(
                "force",
                Kind::Bool,
                "With state absent: even if it is somebody's primary group.",
            )
            .default("no"),
            Arg::new(
                "local",
                Kind::Bool,
                "Only in this host's files: lgroupadd and its like, of libuser.",
            )
            .default("no"),
            Arg::new("gid_min", Kind::Int, "Smallest number for a new group."),
            Arg::new("gid_max", Kind::Int, "Greatest number for a new group."),
        ],
    )
    .returns(&[
        Return::new("name, state", "As given."),
        Return::new(
            "gid, system",
            "Its number, and as given: of a group that is there.",
        ),
    ]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let old = users::group_by_name(&self.name);
        let mut arguments: Vec<String> = Vec::new();
        let program = match (&old, self.state.as_str()) {
            (None, "absent") => return Ok(self.outcome(false)),
            (Some(_), "absent") => {
                if self.force {
                    arguments.push("--force".to_owned());
                }
                "groupdel"
            }
            (Some(group), _) if self.gid.is_none_or(|gid| gid == group.gid) => {
                return Ok(self.outcome(false));
            }
            (Some(_), _) => "groupmod",
            (None, _) => {
                if self.system {
                    arguments.push("--system".to_owned());
                }
                for (name, value) in [("GID_MIN", self.gid_min), ("GID_MAX", self.gid_max)] {
                    if let Some(value) = value {
                        arguments.extend(["--key".to_owned(), format!("{name}={value}")]);
                    }
                }
                "groupadd"
            }
        };
        if let (Some(gid), true) = (self.gid, program != "groupdel") {
            arguments.extend(["--gid".to_owned(), gid.to_string()]);
            if self.non_unique {
                arguments.push("--non-unique".to_owned());
            }
        }
        arguments.extend(["--".to_owned(), self.name.clone()]);
        change(cx, program, self.local, &self.name, &arguments)?;
        Ok(self.outcome(true))
    }
}

impl Group {
    fn outcome(&self, changed: bool) -> Outcome {
        let outcome = Outcome::changed(changed)
            .with("name", self.name.clone())
            .with("state", self.state.clone());
        match users::group_by_name(&self.name) {
            Some(group) => outcome.with("gid", group.gid).with("system", self.system),
            None => outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::modules::test::check;
    use serde_json::json;

    #[test]
    fn what_would_change_is_told_without_changing_it() {
        assert!(!check("group", json!({"name": "root"})).changed);
        assert!(!check("group", json!({"name": "root", "gid": 0})).changed);
        assert!(check("group", json!({"name": "root", "gid": 4242})).changed);
        assert!(check("group", json!({"name": "kopsrun-no-such"})).changed);
        assert!(
            !check(
                "group",
                json!({"name": "kopsrun-no-such", "state": "absent"})
            )
            .changed
        );
        assert!(check("group", json!({"name": "root", "state": "absent"})).changed);
    }
}
