//! One call of a module or action: its rendered arguments, and the host that it works on.

use super::attempt::Attempt;
use super::done::{Done, Problem};
use super::hands::{Blob, Blobs, Whereabouts};
use super::keep::{Rendered, as_text, boolean, names, render};
use super::view::fault;
use crate::content::inventory::{HostName, Var};
use crate::content::place::Fault;
use crate::content::playbook::{Keyword, module_of};
use crate::content::template::Templar;
use crate::content::value::Value;
use host::{Become, Task};
use indexmap::IndexMap;
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Variables that say how a host is reached.
const REACH: &[&str] = &[
    "ansible_host",
    "ansible_port",
    "ansible_user",
    "ansible_password",
    "ansible_private_key_file",
    "ansible_ssh_host",
    "ansible_ssh_port",
    "ansible_ssh_user",
    "ansible_ssh_pass",
    "ansible_ssh_password",
    "ansible_ssh_private_key_file",
    "ansible_ssh_args",
    "ansible_ssh_common_args",
    "ansible_ssh_extra_args",
    "ansible_ssh_host_key_checking",
    "ansible_host_key_checking",
    "ansible_ssh_retries",
    "ansible_ssh_timeout",
    "ansible_timeout",
    "ansible_ssh_executable",
    "kopsrun_host_key",
];

/// A call that is about to happen.
pub(super) struct Call<'a> {
    pub attempt: &'a Attempt,
    pub templar: &'a Templar,
    /// Variables of the loop.
    pub locals: &'a IndexMap<String, Value>,
    /// The module, also where the task holds a template in the place of its name.
    pub does: Arc<str>,
    /// Rendered; omitted ones left out.
    pub args: IndexMap<String, Value>,
    /// The rendered free-form line.
    pub free: Option<String>,
    delegated: Option<HostName>,
    pub check: bool,
    pub diff: bool,
}

impl<'a> Call<'a> {
    pub(super) fn new(
        attempt: &'a Attempt,
        templar: &'a Templar,
        locals: &'a IndexMap<String, Value>,
        to: Option<&str>,
    ) -> Result<Self, Fault> {
        let keep = Rendered {
            frame: &attempt.task.frame,
            templar,
        };
        let request = &attempt.batch.run.request;
        let mut call = Self {
            attempt,
            templar,
            locals,
            does: attempt.task.module.clone(),
            args: IndexMap::new(),
            free: None,
            delegated: None,
            check: keep.flag(Keyword::CheckMode)?.unwrap_or(request.check),
            diff: keep.flag(Keyword::Diff)?.unwrap_or(request.diff),
        };
        call.delegated = to.map(|name| call.known_name(name));
        call.find_module()?;
        call.render_args().map_err(|mut fault| {
            if fault.undefined {
                fault.message = format!(
                    "The task includes an option with an undefined variable.. {}",
                    fault.message
                );
            }
            fault
        })?;
        Ok(call)
    }

    /// Renders a templated name of a module.
    fn find_module(&mut self) -> Result<(), Fault> {
        let task = &self.attempt.task;
        if !task.action.contains("{{") {
            return Ok(());
        }
        let name = Var {
            value: Value::from(&*task.action),
            place: task.place.clone(),
        };
        let name = as_text(&render(self.templar, &name)?);
        let module = module_of(&name).ok_or_else(|| {
            self.fault(format!(
                "couldn't resolve module/action '{name}'. This often indicates a misspelling, missing collection, or \
                 incorrect module path."
            ))
        })?;
        self.does = Arc::from(module);
        Ok(())
    }

    /// An inventory name, also where only the address of an inventory host was given.
    fn known_name(&self, name: &str) -> HostName {
        let store = &self.attempt.batch.run.store;
        let inventory = store.inventory();
        if inventory.has_host(name) {
            return HostName::from(name);
        }
        let by_address = inventory.hosts().into_iter().find(|host| {
            let vars = store.vars(host);
            vars.get("ansible_host")
                .is_some_and(|var| as_text(&var.value) == name)
        });
        by_address.unwrap_or_else(|| HostName::from(name))
    }

    fn render_args(&mut self) -> Result<(), Fault> {
        let task = &self.attempt.task;
        self.args = self.defaults(&self.does)?;
        if let Some(whole) = &task.args.whole {
            let value = render(self.templar, whole)?;
            let Value::Dict(entries) = &value else {
                return Err(Fault::new(format!(
                    "invalid or malformed argument: '{}'",
                    as_text(&value)
                ))
                .hint("Arguments that a template gives come as a mapping of names to values.")
                .at(&whole.place));
            };
            let entries = entries
                .read()
                .map(|entries| entries.clone())
                .unwrap_or_default();
            for (name, value) in entries {
                self.args.insert(as_text(&name.0), value);
            }
        }
        for (name, var) in &task.args.map {
            let raw = matches!((&*self.does, name.as_str()), ("assert", "that"))
                || matches!((&*self.does, name.as_str()), ("debug", "var"));
            let value = if raw {
                var.value.clone()
            } else {
                render(self.templar, var)?
            };
            if !Templar::is_omit(&value) {
                self.args.insert(name.clone(), without_omitted(value));
            }
        }
        if let Some(line) = &task.args.free_form {
            self.free = Some(as_text(&render(self.templar, line)?));
        }
        Ok(())
    }

    /// Arguments that `module_defaults` gives a module.
    pub(super) fn defaults(&self, module: &str) -> Result<IndexMap<String, Value>, Fault> {
        let frame = &self.attempt.task.frame;
        let levels = frame.defaults().into_iter();
        let levels: Vec<Value> = levels
            .map(|var| render(self.templar, var))
            .collect::<Result<_, _>>()?;
        let mut found = frame.default_groups().arguments(&levels, module);
        found.retain(|_, value| !Templar::is_omit(value));
        Ok(found)
    }

    pub(super) fn host(&self) -> &HostName {
        &self.attempt.host
    }

    /// The same call without its arguments and its delegation: for what concerns the host itself.
    pub(super) fn at_home(&self) -> Self {
        Self {
            attempt: self.attempt,
            templar: self.templar,
            locals: self.locals,
            does: self.does.clone(),
            args: IndexMap::new(),
            free: None,
            delegated: None,
            check: self.check,
            diff: self.diff,
        }
    }

    pub(super) fn delegated_to(&self) -> Option<&str> {
        self.delegated.as_deref()
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.args
            .get(name)
            .filter(|value| !matches!(value, Value::None))
            .map(as_text)
    }

    /// A variable of the host that is worked on, as text.
    pub(super) fn variable(&self, name: &str) -> Result<Option<String>, Fault> {
        let (_, templar) = self.there();
        Ok(variable(&templar, name)?.map(|value| as_text(&value)))
    }

    pub(super) fn flag(&self, name: &str, default: bool) -> bool {
        self.args.get(name).and_then(boolean).unwrap_or(default)
    }

    pub(super) fn list(&self, name: &str) -> Vec<String> {
        self.args.get(name).map(names).unwrap_or_default()
    }

    /// The place of an argument, or of the task.
    pub(super) fn place(&self, name: &str) -> &crate::content::place::Place {
        self.attempt
            .task
            .args
            .get(name)
            .map_or(&self.attempt.task.place, |var| &var.place)
    }

    pub(super) fn fault(&self, message: impl Into<String>) -> Fault {
        Fault::new(message).at(&self.attempt.task.place)
    }

    /// Arguments for a module.
    pub(super) fn json_args(&self) -> Map<String, Json> {
        let mut args: Map<String, Json> = self
            .args
            .iter()
            .map(|(name, value)| (name.clone(), value.to_json()))
            .collect();
        if let Some(free) = &self.free {
            args.insert("_raw_params".to_owned(), free.as_str().into());
        }
        args
    }

    /// Where files that the task names may be, nearest first.
    pub(super) fn candidates(&self, folder: &str, name: &str) -> Vec<PathBuf> {
        let path = Path::new(name);
        if path.is_absolute() {
            return vec![path.to_owned()];
        }
        let mut found = Vec::new();
        let own = self.attempt.task.frame.search.iter().cloned();
        let dirs = own.chain([self.attempt.batch.play.dir()]);
        for dir in dirs {
            let mut bases = vec![dir.clone()];
            // From the tasks of a role, its other folders are one level up.
            if dir.ends_with("tasks") || dir.ends_with("handlers") {
                bases.extend(dir.parent().map(Path::to_owned));
            }
            for base in bases {
                for candidate in [base.join(folder).join(path), base.join(path)] {
                    if !found.contains(&candidate) {
                        found.push(candidate);
                    }
                }
            }
        }
        found
    }

    /// The file of the controller that an argument names.
    pub(super) fn find(&self, folder: &str, name: &str, arg: &str) -> Result<PathBuf, Fault> {
        let candidates = self.candidates(folder, name);
        if let Some(path) = candidates.iter().find(|path| path.exists()) {
            return Ok(path.clone());
        }
        let listed: Vec<String> = candidates
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        Err(
            Fault::new(format!("`{name}` is not there on the controller"))
                .at(self.place(arg))
                .hint(format!("It was looked for as {}.", listed.join(", "))),
        )
    }

    /// Templates of the host that is worked on: the one delegated to, or the task's own.
    fn there(&self) -> (HostName, Templar) {
        match &self.delegated {
            None => (self.host().clone(), self.templar.clone()),
            Some(name) => {
                let batch = &self.attempt.batch;
                let templar = batch.templar(&self.attempt.view, name);
                (name.clone(), templar.with(self.locals.clone()))
            }
        }
    }

    /// How the host that is worked on is reached.
    pub(super) fn whereabouts(&self) -> Result<Whereabouts, Fault> {
        let (name, templar) = self.there();
        let keep = Rendered {
            frame: &self.attempt.task.frame,
            templar: &templar,
        };
        let request = &self.attempt.batch.run.request;
        let variable = |name: &str| variable(&templar, name);
        let mut vars = Vec::new();
        for name in REACH {
            if let Some(value) = variable(name)? {
                vars.push(((*name).to_owned(), as_text(&value)));
            }
        }
        let known = |vars: &[(String, String)], names: &[&str]| {
            vars.iter().any(|(name, _)| names.contains(&name.as_str()))
        };
        if !known(&vars, &["ansible_user", "ansible_ssh_user"])
            && let Some(user) = keep
                .text(Keyword::RemoteUser)?
                .or_else(|| request.remote_user.clone())
        {
            vars.push(("ansible_user".to_owned(), user));
        }
        if !known(&vars, &["ansible_port", "ansible_ssh_port"])
            && let Some(port) = keep.text(Keyword::Port)?
        {
            vars.push(("ansible_port".to_owned(), port));
        }
        let implicit =
            &*name == "localhost" && !self.attempt.batch.run.store.inventory().has_host(&name);
        let connection = match variable("ansible_connection")? {
            Some(value) => as_text(&value),
            None if implicit => "local".to_owned(),
            None => match keep.text(Keyword::Connection)? {
                Some(connection) => connection,
                None => request
                    .connection
                    .clone()
                    .unwrap_or_else(|| "ssh".to_owned()),
            },
        };
        let connection = match connection.as_str() {
            "local" | "ansible.builtin.local" => "local",
            "ssh" | "smart" | "paramiko" | "paramiko_ssh" | "ansible.builtin.ssh" => "ssh",
            other => {
                return Err(self
                    .fault(format!("the connection `{other}` is not supported"))
                    .hint("Known are `ssh` and `local`."));
            }
        };
        Ok(Whereabouts {
            name: name.to_string(),
            connection: connection.to_owned(),
            vars,
        })
    }

    /// Whose agent runs the call.
    fn escalate(&self) -> Result<Option<Become>, Fault> {
        let (_, templar) = self.there();
        let keep = Rendered {
            frame: &self.attempt.task.frame,
            templar: &templar,
        };
        let defaults = &self.attempt.batch.run.request.escalate;
        let variable = |name: &str| variable(&templar, name);
        let wanted = match variable("ansible_become")? {
            Some(value) => boolean(&value).unwrap_or(false),
            None => keep.flag(Keyword::Become)?.unwrap_or(defaults.enabled),
        };
        if !wanted {
            return Ok(None);
        }
        let pick = |name: &str,
                    keyword: Keyword,
                    default: &Option<String>,
                    last: &str|
         -> Result<String, Fault> {
            Ok(match variable(name)? {
                Some(value) => as_text(&value),
                None => keep
                    .text(keyword)?
                    .or_else(|| default.clone())
                    .unwrap_or_else(|| last.to_owned()),
            })
        };
        let user = pick(
            "ansible_become_user",
            Keyword::BecomeUser,
            &defaults.user,
            "root",
        )?;
        let method = pick(
            "ansible_become_method",
            Keyword::BecomeMethod,
            &defaults.method,
            "sudo",
        )?;
        let method = method.rsplit('.').next().unwrap_or_default().to_owned();
        if !matches!(method.as_str(), "sudo" | "su") {
            return Err(self
                .fault(format!(
                    "becoming another user by `{method}` is not supported"
                ))
                .hint("Known are `sudo` and `su`."));
        }
        let mut password = None;
        for name in [
            "ansible_become_password",
            "ansible_become_pass",
            if method == "su" {
                "ansible_su_pass"
            } else {
                "ansible_sudo_pass"
            },
        ] {
            if let Some(value) = variable(name)? {
                password = Some(as_text(&value));
                break;
            }
        }
        let password = password.or_else(|| {
            defaults
                .password
                .as_ref()
                .map(|secret| secret.expose().clone())
        });
        let detail = |what: &str, keyword: Keyword, default: &Option<String>| {
            for name in [
                format!("ansible_become_{what}"),
                format!("ansible_{method}_{what}"),
            ] {
                if let Some(value) = variable(&name)? {
                    return Ok(Some(as_text(&value)));
                }
            }
            let written = keep.text(keyword)?.or_else(|| default.clone());
            Ok::<_, Fault>(written.filter(|text| !text.is_empty()))
        };
        let exe = detail("exe", Keyword::BecomeExe, &defaults.exe)?;
        let flags = detail("flags", Keyword::BecomeFlags, &defaults.flags)?;
        Ok(Some(Become {
            user,
            method,
            password,
            exe,
            flags,
        }))
    }

    fn gathers(&self) -> bool {
        matches!(&*self.does, "setup" | "gather_facts")
    }

    /// Those entries of an environment that can be rendered.
    fn without_facts(&self, var: &Var) -> Value {
        let Value::Dict(entries) = &var.value else {
            return Value::None;
        };
        let entries = entries.read().map(|entries| entries.clone());
        let known = entries.unwrap_or_default().into_iter();
        let known = known.filter_map(|(name, value)| {
            let place = var.place.clone();
            Some((name, render(self.templar, &Var { value, place }).ok()?))
        });
        Value::dict(known.collect())
    }

    /// `environment`, inner ones over outer ones.
    fn environment(&self) -> Result<BTreeMap<String, String>, Fault> {
        let mut all = BTreeMap::new();
        for var in self.attempt.task.frame.environments() {
            let value = match render(self.templar, var) {
                Ok(value) => value,
                // As in Ansible: a play's environment that needs facts is left out where they are gathered.
                Err(fault) if self.gathers() && fault.message.contains("ansible_env") => {
                    self.without_facts(var)
                }
                Err(fault) => return Err(fault),
            };
            let Value::Dict(entries) = &value else {
                if matches!(value, Value::None) || as_text(&value).is_empty() {
                    continue;
                }
                // As in Ansible, which doesn't fail for it.
                self.attempt.batch.run.warn(&format!(
                    "could not parse environment value, skipping: {}",
                    value.repr()
                ));
                continue;
            };
            let entries = entries
                .read()
                .map(|entries| entries.clone())
                .unwrap_or_default();
            for (name, value) in entries {
                if !Templar::is_omit(&value) {
                    all.insert(as_text(&name.0), as_text(&value));
                }
            }
        }
        Ok(all)
    }

    /// The task as the agent gets it.
    pub(super) fn task(&self, module: &str, args: Map<String, Json>) -> Result<Task, Fault> {
        Ok(Task {
            module: module.to_owned(),
            args,
            check: self.check,
            diff: self.diff,
            environment: self.environment()?,
            escalate: self.escalate()?,
            blobs: Vec::new(),
        })
    }

    /// Arguments that are wrong: a failure in Ansible's words, with ours beside it.
    pub(super) fn refused(&self, error: host::ArgError) -> Done {
        let at = error
            .arg
            .as_deref()
            .map_or(&self.attempt.task.place, |arg| self.place(arg));
        let fault = Fault::new(error.words.clone()).at(at).hint(error.message);
        Done {
            fault: Some(fault),
            ..Done::failed(error.words)
        }
    }

    /// `shell` in the shell that `ansible_shell_executable` or the setting `executable` names.
    fn with_shell(
        &self,
        module: &str,
        mut args: Map<String, Json>,
    ) -> Result<Map<String, Json>, Fault> {
        if module == "shell" && args.get("executable").is_none_or(Json::is_null) {
            let named = self.variable("ansible_shell_executable")?;
            let settings = &self.attempt.batch.run.request.config;
            let set = settings.get("DEFAULT_EXECUTABLE").map(as_text);
            if let Some(shell) = named
                .or(set)
                .filter(|shell| !matches!(&**shell, "" | "/bin/sh"))
            {
                args.insert("executable".to_owned(), shell.into());
            }
        }
        Ok(args)
    }

    /// Runs a module on the host.
    pub(super) async fn module(
        &self,
        module: &str,
        args: Map<String, Json>,
        blobs: Blobs,
    ) -> Result<Done, Problem> {
        if let Some(spec) = host::spec(module) {
            if self.check && !spec.check_mode {
                return Ok(Done::skipped("check mode").with(
                    "msg",
                    format!("remote module ({module}) does not support check mode"),
                ));
            }
            if let Err(error) = host::normalise(spec, &args) {
                return Ok(self.refused(error));
            }
        }
        let args = self.with_shell(module, args)?;
        let mut task = self.task(module, args)?;
        let sums = &self.attempt.batch.run.sums;
        for (name, blob) in &blobs {
            let found = sums.reference(name, blob, blobs.len() == 1).await;
            task.blobs.push(found.map_err(|error| {
                let what = match blob {
                    Blob::File(path) => path.display().to_string(),
                    Blob::Bytes(_) => name.clone(),
                };
                self.fault(format!("{what} can't be read: {error}"))
            })?);
        }
        let at = self.whereabouts()?;
        let batch = &self.attempt.batch;
        let outcome = batch.run.connect.run(&at, task, blobs).await?;
        Ok(self.learn(module, Done::from_outcome(outcome)))
    }

    /// Runs a module on the controller, as the user of kopsrun: what it is given doesn't reach the host.
    pub(super) async fn on_controller(&self, module: &str) -> Result<Done, Problem> {
        let args = self.json_args();
        if let Some(Err(error)) = host::spec(module).map(|spec| host::normalise(spec, &args)) {
            return Ok(self.refused(error));
        }
        let mut task = self.task(module, args)?;
        task.escalate = None;
        let (here, connect) = (Whereabouts::controller(), &self.attempt.batch.run.connect);
        let outcome = connect.run(&here, task, Blobs::new()).await?;
        Ok(Done::from_outcome(outcome))
    }

    /// Facts that modules return become facts of the host.
    fn learn(&self, module: &str, mut done: Done) -> Done {
        if let Some(Json::Object(facts)) = done.result.get("ansible_facts") {
            let facts = facts
                .iter()
                .map(|(name, value)| (name.clone(), Value::from_json(value)))
                .chain((module == "setup").then(|| ("module_setup".to_owned(), Value::Bool(true))))
                .collect();
            done = done.effect(super::done::Effect::Facts(facts));
        }
        done
    }
}

/// A variable, rendered; none when it isn't defined or is empty.
fn variable(templar: &Templar, name: &str) -> Result<Option<Value>, Fault> {
    let Some(value) = templar.variable(name).map_err(fault)? else {
        return Ok(None);
    };
    let absent = Templar::is_omit(&value) || matches!(&value, Value::None | Value::Undefined(_));
    Ok((!absent).then_some(value))
}

/// Containers without what was omitted.
fn without_omitted(value: Value) -> Value {
    match &value {
        Value::Dict(entries) => {
            let entries = entries
                .read()
                .map(|entries| entries.clone())
                .unwrap_or_default();
            if !entries.values().any(holds_omitted) {
                return value;
            }
            let kept = entries
                .into_iter()
                .filter(|(_, value)| !Templar::is_omit(value))
                .map(|(name, value)| (name, without_omitted(value)));
            Value::dict(kept.collect())
        }
        Value::List(items) => {
            let items = items.read().map(|items| items.clone()).unwrap_or_default();
            if !items.iter().any(holds_omitted) {
                return value;
            }
            let kept = items
                .into_iter()
                .filter(|value| !Templar::is_omit(value))
                .map(without_omitted);
            Value::list(kept.collect())
        }
        _ => value,
    }
}

fn holds_omitted(value: &Value) -> bool {
    Templar::is_omit(value)
        || match value {
            Value::Dict(entries) => entries
                .read()
                .is_ok_and(|entries| entries.values().any(holds_omitted)),
            Value::List(items) => items
                .read()
                .is_ok_and(|items| items.iter().any(holds_omitted)),
            _ => false,
        }
}
