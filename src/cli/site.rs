//! What operations work with, put together from arguments, inventory and surroundings.

use super::args::{Connection, Escalation, Hosts, Records};
use super::context::Context;
use super::failure::{Failure, Kind};
use super::{connections, record};
use crate::backup::{Keys, keys};
use crate::content::inventory::Inventory;
use crate::content::template::{Scope, Templar, TemplateSettings};
use crate::content::value::Value;
use crate::journal::{Meta, Run};
use crate::link::Target;
use crate::ops::engine;
use crate::ops::site::{Consent, Nobody, Site};
use crate::play::{BecomeSettings, Links, Request, Source};
use crate::secret::Secret;
use clap::Args;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What every operation takes.
#[derive(Debug, Clone, Args)]
pub(super) struct Operation {
    #[command(flatten)]
    pub hosts: Hosts,
    #[command(flatten)]
    pub escalation: Escalation,
    #[command(flatten)]
    pub connection: Connection,
    #[command(flatten)]
    pub records: Records,
    /// Where archives of certificates are kept
    #[arg(long = "backups-dir", value_name = "DIR", env = "KOPSRUN_BACKUPS")]
    pub backups_dir: Option<PathBuf>,
    /// Identity file of age that opens encrypted backup sets; may be given several times
    #[arg(long = "identity", value_name = "FILE")]
    pub identities: Vec<PathBuf>,
    /// File that holds the passphrase of backup sets, in its first line
    #[arg(
        long = "passphrase-file",
        value_name = "FILE",
        env = "KOPSRUN_BACKUP_PASSPHRASE_FILE"
    )]
    pub passphrase_file: Option<PathBuf>,
}

impl Operation {
    pub(super) fn backups(&self, context: &Context) -> PathBuf {
        self.backups_dir
            .as_deref()
            .map_or_else(|| context.state().join("backups"), |dir| context.path(dir))
    }

    /// What opens encrypted sets.
    pub(super) fn backup_keys(&self, context: &Context) -> Result<Keys, Failure> {
        let mut keys = Keys::default();
        for file in &self.identities {
            let text = secret_file(&context.path(file))?;
            let found = keys::identities(text.expose()).map_err(|why| wrong(file, &why))?;
            keys.identities.extend(found);
        }
        if let Some(file) = &self.passphrase_file {
            let text = secret_file(&context.path(file))?;
            let line = text.expose().lines().next().unwrap_or_default();
            if line.is_empty() {
                return Err(wrong(file, "its first line is empty"));
            }
            keys.passphrase = Some(Secret::new(line.to_owned()));
        }
        Ok(keys)
    }

    /// Opens the record of a run, with the options that `kopsrun resume` needs.
    pub(super) fn begin(
        &self,
        command: &str,
        options: &impl Serialize,
        site: &Site,
        context: &Context,
    ) -> Result<Arc<Run>, Failure> {
        let sources = context.sources(&self.hosts)?;
        let mut meta = Meta::new(command, &context.typed, record::absolute(&sources));
        meta.user = record::user(context);
        meta.options = serde_json::to_value(options)
            .map_err(|error| Failure::new(Kind::Broken, error.to_string()))?;
        let observer = record::observer(context, false)?;
        Ok(Arc::new(Run::create(&site.runs, meta, Some(observer))?))
    }

    /// Everything that an operation needs, from what was typed and what the inventory says.
    pub(super) fn site(&self, context: &Context) -> Result<Site, Failure> {
        let inventory = context.inventory(&self.hosts)?;
        let pool = connections::pool(&self.connection, context)?;
        let become_settings = context.escalation(&self.connection, &self.escalation)?;
        let variables = Arc::new(Variables::new(&inventory, context));
        let (of_target, of_become) = (Arc::clone(&variables), Arc::clone(&variables));
        let target_pool = pool.clone();
        let (default_user, default_become) =
            (self.connection.user.clone(), become_settings.clone());
        let request = self.request(&inventory, become_settings, context);
        Ok(Site {
            target: Arc::new(move |host| {
                let variable = |name: &str| of_target.text(host, name);
                Target::resolve(host, &variable, target_pool.settings())
                    .map_err(engine::Failure::from)
            }),
            variable: Arc::new(move |host, name| variables.text(host, name)),
            escalate: Arc::new(move |host| {
                of_become.escalation(host, default_user.as_deref(), &default_become)
            }),
            connect: Arc::new(Links::new(pool.clone())),
            request,
            steps: None,
            runs: record::root(&self.records, context),
            locks: context.state().join("locks"),
            backups: self.backups(context),
            backup_keys: self.backup_keys(context)?,
            cluster: self.cluster(context)?,
            consent: if context.interactive {
                Arc::new(Terminal)
            } else {
                Arc::new(Nobody)
            },
            inventory,
            pool,
        })
    }

    fn request(
        &self,
        inventory: &Arc<Inventory>,
        escalate: BecomeSettings,
        context: &Context,
    ) -> Request {
        let mut request = Request::new(Source::Playbooks(Vec::new()), Arc::clone(inventory));
        request.forks = Some(context.forks(self.connection.forks));
        request.escalate = escalate;
        request.remote_user.clone_from(&self.connection.user);
        request.connection.clone_from(&self.connection.connection);
        request.facts.cache = Some(context.state().join("facts"));
        request.verbosity = context.verbosity;
        request.environment = Arc::clone(&context.environment);
        request.working_directory.clone_from(&context.directory);
        request.cancel = context.cancel.clone();
        request
    }

    /// The cluster is named by its inventory: two runs on the same one exclude each other.
    fn cluster(&self, context: &Context) -> Result<String, Failure> {
        let names = context.sources(&self.hosts)?;
        let names = names.iter().map(|path| {
            path.canonicalize()
                .unwrap_or_else(|_| path.clone())
                .display()
                .to_string()
        });
        Ok(names.collect::<Vec<_>>().join(","))
    }
}

fn secret_file(path: &Path) -> Result<Secret<String>, Failure> {
    std::fs::read_to_string(path)
        .map(Secret::new)
        .map_err(|error| wrong(path, &error.to_string()))
}

pub(super) fn wrong(path: &Path, why: &str) -> Failure {
    Failure::new(Kind::Input, format!("{}: {why}", path.display()))
}

/// Variables of the inventory, rendered when they are asked for.
struct Variables {
    inventory: Arc<Inventory>,
    settings: Arc<TemplateSettings>,
}

impl Variables {
    fn new(inventory: &Arc<Inventory>, context: &Context) -> Self {
        let settings = TemplateSettings {
            playbook_dir: context.directory.clone(),
            environment: Arc::clone(&context.environment),
            ..TemplateSettings::default()
        };
        Self {
            inventory: Arc::clone(inventory),
            settings: Arc::new(settings),
        }
    }

    fn text(&self, host: &str, name: &str) -> Option<String> {
        let vars = self
            .inventory
            .vars(host)
            .into_iter()
            .map(|(name, var)| (name, var.value))
            .collect();
        let templar = Templar::new(Arc::new(HostVars(vars)), Arc::clone(&self.settings));
        templar
            .variable(name)
            .ok()
            .flatten()
            .map(|value| value.to_text())
    }

    /// How root is reached; none where the login user is root already.
    fn escalation(
        &self,
        host: &str,
        user: Option<&str>,
        typed: &BecomeSettings,
    ) -> Option<host::Become> {
        let login = self
            .text(host, "ansible_user")
            .or_else(|| user.map(str::to_owned));
        if login.as_deref() == Some("root") {
            return None;
        }
        let wanted = self
            .text(host, "ansible_become")
            .is_some_and(|text| text.eq_ignore_ascii_case("true"));
        if !typed.enabled && !wanted && login.is_none() {
            return None;
        }
        let password = self
            .text(host, "ansible_become_password")
            .or_else(|| self.text(host, "ansible_become_pass"));
        Some(host::Become {
            user: "root".to_owned(),
            method: typed
                .method
                .clone()
                .or_else(|| self.text(host, "ansible_become_method"))
                .unwrap_or_else(|| "sudo".to_owned()),
            password: password.or_else(|| {
                typed
                    .password
                    .as_ref()
                    .map(|secret| secret.expose().clone())
            }),
            exe: self
                .text(host, "ansible_become_exe")
                .or_else(|| typed.exe.clone()),
            flags: self
                .text(host, "ansible_become_flags")
                .or_else(|| typed.flags.clone()),
        })
    }
}

struct HostVars(BTreeMap<String, Value>);

impl Scope for HostVars {
    fn get(&self, name: &str) -> Option<Value> {
        self.0.get(name).cloned()
    }

    fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}

/// Asks at the terminal.
struct Terminal;

impl Consent for Terminal {
    fn ask(&self, question: &str, details: &[String]) -> bool {
        let details: String = details.iter().map(|line| format!("  {line}\n")).collect();
        let mut answer = String::new();
        write!(io::stderr(), "{details}{question} Type yes to go on: ")
            .and_then(|()| io::stdin().read_line(&mut answer))
            .is_ok()
            && answer.trim() == "yes"
    }
}

impl From<engine::Failure> for Failure {
    fn from(failure: engine::Failure) -> Self {
        failure
            .hints
            .into_iter()
            .fold(Failure::new(Kind::Refused, failure.message), Failure::hint)
    }
}
