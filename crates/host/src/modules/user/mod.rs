//! `user`: users of the host.

mod aging;
mod ssh_key;

use crate::{Arg, Context, Failure, Kind, Module, Outcome, Return, Spec, users};
use aging::Shadow;
use serde::Deserialize;
use std::collections::BTreeSet;

#[derive(Deserialize)]
pub struct User {
    name: String,
    state: String,
    uid: Option<u32>,
    non_unique: bool,
    group: Option<String>,
    groups: Option<Vec<String>>,
    append: bool,
    comment: Option<String>,
    home: Option<String>,
    create_home: bool,
    move_home: bool,
    shell: Option<String>,
    skeleton: Option<String>,
    system: bool,
    password: Option<String>,
    update_password: String,
    password_lock: Option<bool>,
    remove: bool,
    force: bool,
    local: bool,
    seuser: Option<String>,
    umask: Option<String>,
    uid_min: Option<u32>,
    uid_max: Option<u32>,
    expires: Option<f64>,
    password_expire_max: Option<i64>,
    password_expire_min: Option<i64>,
    password_expire_warn: Option<i64>,
    password_expire_account_disable: Option<i64>,
    generate_ssh_key: bool,
    ssh_key_bits: Option<u32>,
    ssh_key_type: String,
    ssh_key_file: Option<String>,
    ssh_key_comment: Option<String>,
    ssh_key_passphrase: Option<String>,
}

impl Module for User {
    const SPEC: Spec = Spec::new(
        "user",
        "Adds, changes and removes users.",
        &[
            Arg::new("name", Kind::Str, "The user.")
                .aliases(&["user"])
                .required(),
            Arg::new("state", Kind::Str, "There or not.")
                .choices(&["present", "absent"])
                .default("present"),
            Arg::new("uid", Kind::Int, "The number."),
            Arg::new(
                "non_unique",
                Kind::Bool,
                "The number may be another user's too.",
            )
            .default("no"),
            Arg::new("group", Kind::Str, "The primary group, which exists."),
            Arg::new(
                "groups",
                Kind::List,
                "The other groups; an empty list for none.",
            ),
            Arg::new("append", Kind::Bool, "Keep groups that aren't listed.").default("no"),
            Arg::new("comment", Kind::Str, "The full name."),
            Arg::new("home", Kind::Path, "The home directory."),
            Arg::new(
                "create_home",
                Kind::Bool,
                "Make the home directory of a new user.",
            )
            .aliases(&["createhome"])
            .default("yes"),
            Arg::new(
                "move_home",
                Kind::Bool,
                "Move the home directory when it changes.",
            )
            .default("no"),
            Arg::new("shell", Kind::Path, "The login shell."),
            Arg::new(
                "skeleton",
                Kind::Path,
                "What a new home directory starts with.",
            ),
            Arg::new(
                "system",
                Kind::Bool,
                "With a number for system users, when it is new.",
            )
            .default("no"),
            Arg::new("password", Kind::Str, "The hash of the password."),
            Arg::new("update_password", Kind::Str, "When to set the password.")
                .choices(&["always", "on_create"])
                .default("always"),
            Arg::new("password_lock", Kind::Bool, "No login by password."),
            Arg::new(
                "remove",
                Kind::Bool,
                "With state absent: also home directory and mail.",
            )
            .default("no"),
            Arg::new(
                "force",
                Kind::Bool,
                "With state absent: even when logged in; with generate_ssh_key: instead of the key that is there.",
            )
            .default("no"),
            Arg::new("local", Kind::Bool, "Only in this host's files: luseradd and its like, of libuser.").default("no"),
            Arg::new("seuser", Kind::Str, "User of SELinux for the login."),
            Arg::new("umask", Kind::Str, "umask for the new home directory."),
            Arg::new("uid_min", Kind::Int, "Smallest number for a new user."),
            Arg::new("uid_max", Kind::Int, "Greatest number for a new user."),
            Arg::new("expires", Kind::Float, "When the user ends, in seconds since 1970; negative: never."),
            Arg::new("password_expire_max", Kind::Int, "Days for which a password counts."),
            Arg::new("password_expire_min", Kind::Int, "Days between two changes of the password."),
            Arg::new("password_expire_warn", Kind::Int, "Days of warning before a password ends."),
            Arg::new(
                "password_expire_account_disable",
                Kind::Int,
                "Days after the end of the password until the user can't log in.",
            ),
            Arg::new("generate_ssh_key", Kind::Bool, "Make a key for ssh, unless there is one.").default("no"),
            Arg::new("ssh_key_bits", Kind::Int, "Length of the key."),
            Arg::new("ssh_key_type", Kind::Str, "Type of the key.").default("rsa"),
            Arg::new("ssh_key_file", Kind::Path, "File of the key, in the home directory unless absolute."),
            Arg::new("ssh_key_comment", Kind::Str, "Comment of the key: ansible-generated on HOST."),
            Arg::new("ssh_key_passphrase", Kind::Str, "Passphrase of the key."),
        ],
    )
    .returns(&[
        Return::new("name, state", "As given."),
        Return::new("uid, group, comment, home, shell", "Of a user that is there; uid and group are numbers."),
        Return::new("groups, append, move_home, force, remove", "As given, where they count."),
        Return::new("create_home, system", "As given, of a new user."),
        Return::new("password", "NOT_LOGGING_PASSWORD, if one was given."),
        Return::new("ssh_key_file, ssh_fingerprint, ssh_public_key", "The key, with generate_ssh_key."),
    ]);

    fn run(mut self, cx: &Context) -> Result<Outcome, Failure> {
        for path in [&mut self.home, &mut self.shell].into_iter().flatten() {
            *path = cx.expand(path).to_string_lossy().into_owned();
        }
        let old = users::user_by_name(&self.name);
        let mut changed = match (&old, self.state.as_str()) {
            (None, "absent") => false,
            (Some(_), "absent") => self.delete(cx)?,
            (None, _) => self.add(cx)?,
            (Some(old), _) => self.modify(cx, old)?,
        };
        let now = users::user_by_name(&self.name);
        if self.generate_ssh_key && self.state == "present" {
            changed |= self.make_key(cx, now.as_ref())?;
        }
        Ok(self.outcome(cx, changed, old.is_some(), now.as_ref()))
    }
}

impl User {
    fn add(&self, cx: &Context) -> Result<bool, Failure> {
        let mut arguments = Vec::new();
        let mut option = |name: &str, value: &Option<String>| {
            if let Some(value) = value {
                arguments.extend([name.to_owned(), value.clone()]);
            }
        };
        option("--uid", &self.uid.map(|uid| uid.to_string()));
        option("--gid", &self.group);
        option(
            "--groups",
            &self.groups.as_ref().map(|groups| groups.join(",")),
        );
        option("--comment", &self.comment);
        option("--home-dir", &self.home);
        option("--shell", &self.shell);
        if self.create_home {
            option("--skel", &self.skeleton);
        }
        arguments.push(
            if self.create_home {
                "--create-home"
            } else {
                "--no-create-home"
            }
            .to_owned(),
        );
        if self.group.is_none() && users::group_by_name(&self.name).is_some() {
            // useradd refuses to make a group that is there already.
            arguments.extend(["--gid".to_owned(), self.name.clone()]);
        }
        if self.system {
            arguments.push("--system".to_owned());
        }
        for (name, value) in [
            ("UMASK", self.umask.clone()),
            ("UID_MIN", self.uid_min.map(|uid| uid.to_string())),
            ("UID_MAX", self.uid_max.map(|uid| uid.to_string())),
        ] {
            if let Some(value) = value {
                arguments.extend(["--key".to_owned(), format!("{name}={value}")]);
            }
        }
        if let Some(seuser) = &self.seuser {
            arguments.extend(["--selinux-user".to_owned(), seuser.clone()]);
        }
        arguments.extend(self.expiry(None)?);
        if self.uid.is_some() && self.non_unique {
            arguments.push("--non-unique".to_owned());
        }
        self.call(cx, "useradd", arguments)?;
        if let Some(password) = &self.password {
            self.set_password(cx, password)?;
        }
        if self.password_lock == Some(true) {
            self.call(cx, "usermod", vec!["--lock".to_owned()])?;
        }
        if !cx.check() {
            self.age(cx, &Shadow::of(&self.name))?;
        }
        Ok(true)
    }

    fn modify(&self, cx: &Context, old: &users::User) -> Result<bool, Failure> {
        let mut arguments = Vec::new();
        let mut option = |name: &str, wanted: Option<String>, is: &str| {
            if let Some(wanted) = wanted.filter(|wanted| wanted != is) {
                arguments.extend([name.to_owned(), wanted]);
            }
        };
        option(
            "--uid",
            self.uid.map(|uid| uid.to_string()),
            &old.uid.to_string(),
        );
        option("--comment", self.comment.clone(), &old.gecos);
        option("--shell", self.shell.clone(), &old.shell);
        option("--home", self.home.clone(), &old.home);
        if let Some(group) = &self.group {
            let gid = users::gid_of(group)
                .ok_or_else(|| Failure::new(format!("Group {group} does not exist")))?;
            option("--gid", Some(gid.to_string()), &old.gid.to_string());
        }
        if arguments.iter().any(|argument| argument == "--home") && self.move_home {
            arguments.push("--move-home".to_owned());
        }
        if arguments.iter().any(|argument| argument == "--uid") && self.non_unique {
            arguments.push("--non-unique".to_owned());
        }
        arguments.extend(self.group_change(old)?);
        let shadow = Shadow::of(&self.name);
        arguments.extend(self.expiry(Some(&shadow))?);
        if let Some(seuser) = self.seuser.as_ref().filter(|_| !arguments.is_empty()) {
            arguments.extend(["--selinux-user".to_owned(), seuser.clone()]);
        }
        let hash = shadow.hash.clone();
        let locked = hash.as_ref().map(|hash| hash.starts_with('!'));
        match (self.password_lock, locked) {
            (Some(true), Some(false)) => arguments.push("--lock".to_owned()),
            (Some(false), Some(true)) => arguments.push("--unlock".to_owned()),
            _ => {}
        }
        let mut changed = !arguments.is_empty();
        if changed {
            self.call(cx, "usermod", arguments)?;
        }
        let bare = |hash: &str| hash.trim_start_matches('!').to_owned();
        let wanted = self
            .password
            .as_deref()
            .filter(|_| self.update_password == "always");
        if let Some(password) =
            wanted.filter(|password| hash.as_deref().map(bare) != Some(bare(password)))
        {
            self.set_password(cx, password)?;
            changed = true;
        }
        changed |= self.age(cx, &shadow)?;
        Ok(changed)
    }

    /// Options for usermod when the other groups aren't those that are asked for.
    fn group_change(&self, old: &users::User) -> Result<Vec<String>, Failure> {
        let Some(groups) = &self.groups else {
            return Ok(Vec::new());
        };
        let mut wanted = BTreeSet::new();
        for group in groups.iter().filter(|group| !group.is_empty()) {
            let group = users::group_by_name(group)
                .or_else(|| users::group_by_id(group.parse().ok()?))
                .ok_or_else(|| Failure::new(format!("Group {group} does not exist")))?;
            // The primary group needs no entry.
            if group.gid != old.gid {
                wanted.insert(group.name);
            }
        }
        let is: BTreeSet<String> = users::groups_with(&self.name)
            .into_iter()
            .map(|group| group.name)
            .collect();
        let same = if self.append {
            wanted.is_subset(&is)
        } else {
            wanted == is
        };
        if same {
            return Ok(Vec::new());
        }
        let list = wanted.into_iter().collect::<Vec<_>>().join(",");
        let mut options = vec!["--groups".to_owned(), list];
        if self.append {
            options.insert(0, "--append".to_owned());
        }
        Ok(options)
    }

    fn delete(&self, cx: &Context) -> Result<bool, Failure> {
        let mut arguments = Vec::new();
        if self.force {
            arguments.push("--force".to_owned());
        }
        if self.remove {
            arguments.push("--remove".to_owned());
        }
        self.call(cx, "userdel", arguments)?;
        Ok(true)
    }

    /// By standard input: arguments are visible to everybody.
    fn set_password(&self, cx: &Context, hash: &str) -> Result<(), Failure> {
        if hash.contains('\n') || hash.contains(':') {
            return Err(Failure::new(
                "password must be one hash, without colons and line breaks",
            ));
        }
        if !cx.check() {
            cx.process("chpasswd")
                .arg("--encrypted")
                .stdin(format!("{}:{hash}\n", self.name).into_bytes())
                .system()
                .run()?
                .check("cannot set the password")?;
        }
        Ok(())
    }

    fn call(&self, cx: &Context, program: &str, mut arguments: Vec<String>) -> Result<(), Failure> {
        arguments.extend(["--".to_owned(), self.name.clone()]);
        change(cx, program, self.local, &self.name, &arguments)
    }

    fn outcome(
        &self,
        cx: &Context,
        changed: bool,
        was_there: bool,
        now: Option<&users::User>,
    ) -> Outcome {
        let mut outcome = Outcome::changed(changed)
            .with("name", self.name.clone())
            .with("state", self.state.clone());
        if self.state == "absent" {
            if was_there {
                outcome = outcome
                    .with("force", self.force)
                    .with("remove", self.remove);
            }
            return outcome;
        }
        if was_there {
            outcome = outcome
                .with("append", self.append)
                .with("move_home", self.move_home);
        } else {
            outcome = outcome
                .with("create_home", self.create_home)
                .with("system", self.system);
        }
        if let Some(groups) = &self.groups {
            outcome = outcome.with("groups", groups.join(","));
        }
        if self.password.is_some() {
            outcome = outcome.with("password", "NOT_LOGGING_PASSWORD");
        }
        let Some(user) = now else {
            return outcome;
        };
        outcome = outcome
            .with("uid", user.uid)
            .with("group", user.gid)
            .with("comment", user.gecos.clone())
            .with("home", user.home.clone())
            .with("shell", user.shell.clone());
        if self.generate_ssh_key {
            outcome = self.describe_key(cx, outcome, user);
        }
        outcome
    }
}

/// Runs a program that changes a user or a group, but for check mode.
pub(super) fn change(
    cx: &Context,
    program: &str,
    local: bool,
    name: &str,
    arguments: &[String],
) -> Result<(), Failure> {
    if !cx.check() {
        let program = local_program(cx, program, local)?;
        cx.process(&program)
            .args(arguments)
            .system()
            .run()?
            .check(&format!("{program} {name}"))?;
    }
    Ok(())
}

/// `useradd`, or what does the same in the host's files alone: `luseradd` (libuser).
fn local_program(cx: &Context, program: &str, local: bool) -> Result<String, Failure> {
    if !local {
        return Ok(program.to_owned());
    }
    let name = format!("l{program}");
    if cx.find_program(&name).is_none() {
        return Err(Failure::new(format!(
            "local: true needs the program {name} of libuser, which this host doesn't have"
        )));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use crate::modules::test::check;
    use serde_json::json;

    #[test]
    fn what_would_change_is_told_without_changing_it() {
        let root = |more: serde_json::Value| {
            let mut args = json!({"name": "root"});
            args.as_object_mut()
                .expect("a dictionary")
                .extend(more.as_object().expect("a dictionary").clone());
            check("user", args)
        };
        assert!(!root(json!({})).changed);
        assert!(!root(json!({"uid": 0, "group": "root", "home": "/root", "groups": []})).changed);
        assert!(root(json!({"shell": "/bin/no-such"})).changed);
        assert!(!root(json!({"groups": "root", "append": true})).changed);
        assert!(root(json!({"groups": "daemon"})).changed);
        assert!(root(json!({"state": "absent"})).changed);
        assert!(root(json!({"group": "kopsrun-no-such"})).failed);
        assert!(check("user", json!({"name": "kopsrun-no-such"})).changed);
        assert!(
            !check(
                "user",
                json!({"name": "kopsrun-no-such", "state": "absent"})
            )
            .changed
        );
    }
}
