//! Everything that kopsrun takes from its surroundings, read once.

use super::args::{Connection, Escalation, Format, Hosts, Output, When};
use super::config::Config;
use super::failure::{Failure, Kind};
use super::machine;
use super::vault::secrets::{self, Asking, Secrets};
use super::{callbacks, programs, warnings};
use crate::content::inventory::{self, Broken, Inventory};
use crate::content::vault::Keyring;
use crate::play::BecomeSettings;
use crate::secret::Secret;
use crate::ui::human::Style;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use tokio_util::sync::CancellationToken;

/// The surroundings of one command.
pub(super) struct Context {
    pub environment: Arc<BTreeMap<String, String>>,
    /// What was typed after the verb, options that came before it included.
    pub typed: Vec<String>,
    /// ansible.cfg and ANSIBLE_* variables.
    pub config: Config,
    pub home: PathBuf,
    pub directory: PathBuf,
    pub format: Format,
    pub verbosity: u8,
    pub color: bool,
    /// Standard output is a terminal.
    pub terminal: bool,
    /// A person can answer questions.
    pub interactive: bool,
    /// Cancelled by Ctrl-C and SIGTERM.
    pub cancel: CancellationToken,
    keyring: OnceLock<Arc<Keyring>>,
    /// Asked for once, whoever needs it first.
    login_password: OnceLock<Option<Secret<String>>>,
    /// Warnings that were shown: each is shown once.
    pub warned: Mutex<BTreeSet<String>>,
}

impl Context {
    pub(super) fn new(output: &Output, typed: Vec<String>) -> Result<Self, Failure> {
        let environment: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let terminal = io::stdout().is_terminal();
        let directory = std::env::current_dir().map_err(|error| {
            Failure::new(
                Kind::Broken,
                format!("the current directory can't be read: {error}"),
            )
        })?;
        let home = environment
            .get("HOME")
            .map_or_else(|| PathBuf::from("/root"), PathBuf::from);
        let config = Config::load(&environment, &directory, &home)?;
        let color = match output.color {
            When::Always => true,
            When::Never => false,
            When::Auto if config.flag("ANSIBLE_FORCE_COLOR") => true,
            When::Auto
                if config
                    .given("ANSIBLE_NOCOLOR")
                    .is_some_and(|text| !text.is_empty()) =>
            {
                !config.flag("ANSIBLE_NOCOLOR")
                    && !config.is_from("ANSIBLE_NOCOLOR", "NO_COLOR")
                    && terminal
            }
            When::Auto => terminal,
        };
        let configured = config
            .integer("DEFAULT_VERBOSITY")
            .and_then(|level| u8::try_from(level).ok());
        let verbosity = output.verbose.max(configured.unwrap_or(0));
        Ok(Self {
            typed,
            home,
            directory,
            config,
            environment: Arc::new(environment),
            format: output.output,
            verbosity,
            color,
            terminal,
            interactive: io::stdin().is_terminal() && io::stderr().is_terminal(),
            cancel: CancellationToken::new(),
            keyring: OnceLock::new(),
            login_password: OnceLock::new(),
            warned: Mutex::default(),
        })
    }

    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.environment
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// How runs are drawn; those of plays by the callback that settings name, which may not be there.
    pub(super) fn style(&self, plays: bool) -> Result<Style, Failure> {
        let callbacks = match plays {
            true => callbacks::settings(self)?,
            false => callbacks::plain(self),
        };
        Ok(Style {
            color: self.color,
            terminal: self.terminal,
            columns: self.columns(),
            verbosity: self.verbosity,
            callbacks,
        })
    }

    /// Columns of standard output, one less than it has; those of Ansible where it is no terminal.
    fn columns(&self) -> usize {
        let asked = rustix::termios::tcgetwinsize(io::stdout()).ok();
        let asked = asked.filter(|_| self.terminal);
        asked
            .map_or(0, |size| usize::from(size.ws_col).saturating_sub(1))
            .max(warnings::COLUMNS)
    }

    /// Where state is kept that outlives a command: records of runs, facts, backups.
    ///
    /// `$XDG_STATE_HOME/kopsrun`, or `~/.local/state/kopsrun`.
    pub(super) fn state(&self) -> PathBuf {
        self.variable("XDG_STATE_HOME")
            .map_or_else(|| self.home.join(".local/state"), PathBuf::from)
            .join("kopsrun")
    }

    /// The inventory that was named; without a name, that of the settings, else the first of the usual ones.
    pub(super) fn inventory(&self, hosts: &Hosts) -> Result<Arc<Inventory>, Failure> {
        self.read_inventory(hosts, &self.sources(hosts)?, Broken::Fails)
    }

    /// The same for commands that may work on this machine alone, as Ansible's do: without any inventory there is
    /// only the implicit localhost.
    pub(super) fn inventory_or_none(&self, hosts: &Hosts) -> Result<Arc<Inventory>, Failure> {
        let sources = self.named_sources(hosts);
        let broken = if self.config.flag("INVENTORY_ANY_UNPARSED_IS_FAILED") {
            Broken::Fails
        } else if self.config.flag("INVENTORY_UNPARSED_IS_FAILED") {
            Broken::FailsWhenAll
        } else {
            Broken::Warns
        };
        let inventory = self.read_inventory(hosts, &sources, broken);
        let inventory = inventory.map_err(|failure| Failure {
            // The code of ansible-playbook for sources that may not be broken.
            kind: Kind::Error,
            ..failure
        })?;
        let nothing = sources.is_empty() || inventory.nothing_read;
        if nothing && self.config.flag("INVENTORY_UNPARSED_WARNING") {
            warnings::show(
                "No inventory was parsed, only implicit localhost is available",
                self,
            );
        }
        Ok(inventory)
    }

    fn read_inventory(
        &self,
        hosts: &Hosts,
        sources: &[PathBuf],
        broken: Broken,
    ) -> Result<Arc<Inventory>, Failure> {
        let settings = inventory::Settings {
            vault: self.unlock(&hosts.secrets)?,
            ignored_ends: self.config.list("INVENTORY_IGNORE_EXTS"),
            ignored_patterns: self.config.list("INVENTORY_IGNORE_PATTERNS"),
            merge: self.merge_hashes(),
            broken,
            program: Some(programs::runner(self)),
        };
        let inventory = Arc::new(Inventory::load_with(sources, settings)?);
        for warning in &inventory.warnings {
            warnings::show_fault(warning, self);
        }
        Ok(inventory)
    }

    /// `hash_behaviour=merge`.
    pub(super) fn merge_hashes(&self) -> bool {
        self.config.text("DEFAULT_HASH_BEHAVIOUR") == "merge"
    }

    /// The secrets of vaults; people are asked once.
    pub(super) fn unlock(&self, secrets: &Secrets) -> Result<Arc<Keyring>, Failure> {
        if let Some(ring) = self.keyring.get() {
            return Ok(Arc::clone(ring));
        }
        let ring = Arc::new(secrets::load(secrets, Asking::Never, self)?);
        Ok(Arc::clone(self.keyring.get_or_init(|| ring)))
    }

    /// The secrets that were unlocked; none before that.
    pub(super) fn keyring(&self) -> Arc<Keyring> {
        self.keyring.get().cloned().unwrap_or_default()
    }

    pub(super) fn sources(&self, hosts: &Hosts) -> Result<Vec<PathBuf>, Failure> {
        let sources = self.named_sources(hosts);
        if sources.is_empty() {
            return Err(Failure::new(
                Kind::Input,
                "no inventory: kopsrun doesn't know which hosts there are",
            )
            .hint("name one: -i inventory.yml (a file, a directory, or \"host1,host2,\"), or set KOPSRUN_INVENTORY")
            .hint("inventory.example/ in the source holds one to start from"));
        }
        Ok(sources)
    }

    pub(super) fn named_sources(&self, hosts: &Hosts) -> Vec<PathBuf> {
        const USUAL: [&str; 5] = [
            "inventory.yml",
            "inventory.yaml",
            "inventory.ini",
            "inventory/hosts.yml",
            "inventory",
        ];
        if !hosts.inventory.is_empty() {
            let typed = hosts.inventory.iter();
            return typed.map(|path| self.path(path)).collect();
        }
        if let Some(text) = self.config.given("DEFAULT_HOST_LIST") {
            // A list of hosts (`h1,h2,`) isn't a list of paths.
            let list = text.contains(',')
                && !text
                    .split(',')
                    .any(|path| self.directory.join(path.trim()).exists());
            return if list {
                vec![PathBuf::from(text)]
            } else {
                self.config.paths("DEFAULT_HOST_LIST")
            };
        }
        let usual = USUAL.iter().map(PathBuf::from);
        let system = std::iter::once(PathBuf::from("/etc/ansible/hosts"));
        let found = usual.chain(system).find(|path| path.exists());
        found.into_iter().collect()
    }

    /// Writes text to standard output. A reader that went away is no error.
    pub(super) fn print(&self, text: &str) -> Result<(), Failure> {
        match io::stdout().lock().write_all(text.as_bytes()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::new(
                Kind::Broken,
                format!("standard output can't be written: {error}"),
            )),
            _ => Ok(()),
        }
    }

    /// Writes a document for machines, over several lines.
    pub(super) fn print_json(&self, document: &serde_json::Value) -> Result<(), Failure> {
        self.print(&format!("{document:#}\n"))
    }

    /// Asks for a secret on the terminal.
    pub(super) fn ask_secret(&self, prompt: &str) -> Result<Secret<String>, Failure> {
        if !self.interactive {
            return Err(Failure::new(
                Kind::Input,
                format!("{prompt} can't be asked for: there is no terminal"),
            )
            .hint("give it as a variable from a protected file: -e @secrets.yml"));
        }
        rpassword::prompt_password(format!("{prompt}: "))
            .map(Secret::new)
            .map_err(|error| Failure::new(Kind::Broken, format!("{prompt} can't be read: {error}")))
    }

    /// The login password, from a file or a person.
    pub(super) fn login_password(
        &self,
        args: &Connection,
    ) -> Result<Option<Secret<String>>, Failure> {
        if let Some(known) = self.login_password.get() {
            return Ok(known.clone());
        }
        let config = &self.config;
        let file = args.connection_password_file.as_deref();
        let file = file.map(|path| self.path(path));
        let file = file.or_else(|| config.path("CONNECTION_PASSWORD_FILE"));
        let password = match file {
            Some(file) if !args.ask_pass => Some(secrets::password_file(&file)?),
            _ if self.asks_login(args) => Some(self.ask_secret("SSH password")?),
            _ => None,
        };
        Ok(self.login_password.get_or_init(|| password).clone())
    }

    fn asks_login(&self, args: &Connection) -> bool {
        args.ask_pass || self.config.flag("DEFAULT_ASK_PASS")
    }

    /// How users are changed on hosts. Passwords are asked for, that of the login first, as Ansible does.
    pub(super) fn escalation(
        &self,
        connection: &Connection,
        args: &Escalation,
    ) -> Result<BecomeSettings, Failure> {
        let config = &self.config;
        let login = self.login_password(connection)?;
        let file = args
            .become_password_file
            .as_deref()
            .map(|path| self.path(path));
        let file = file.or_else(|| config.path("BECOME_PASSWORD_FILE"));
        let ask = args.ask_become_pass || config.flag("DEFAULT_BECOME_ASK_PASS");
        let password = match file {
            Some(file) if !args.ask_become_pass => Some(secrets::password_file(&file)?),
            _ if ask && self.asks_login(connection) => {
                let typed = self.ask_secret("BECOME password[defaults to SSH password]")?;
                login.filter(|_| typed.expose().is_empty()).or(Some(typed))
            }
            _ if ask => Some(self.ask_secret("BECOME password")?),
            _ => None,
        };
        let typed = |typed: &Option<String>, name| typed.clone().or_else(|| config.given(name));
        Ok(BecomeSettings {
            enabled: args.escalate || config.flag("DEFAULT_BECOME"),
            user: typed(&args.become_user, "DEFAULT_BECOME_USER"),
            method: typed(&args.become_method, "DEFAULT_BECOME_METHOD"),
            password,
            exe: config.given("DEFAULT_BECOME_EXE"),
            flags: config.given("DEFAULT_BECOME_FLAGS"),
        })
    }

    /// How many hosts work at the same time: as typed, as settings say, else what this machine can do.
    pub(super) fn forks(&self, typed: Option<usize>) -> usize {
        let configured = self.config.given("DEFAULT_FORKS");
        let configured = configured.and_then(|forks| forks.trim().parse().ok());
        typed.or(configured).unwrap_or_else(machine::forks).max(1)
    }

    /// A path as it was typed, with `~` resolved.
    pub(super) fn path(&self, typed: &Path) -> PathBuf {
        match typed.strip_prefix("~") {
            Ok(rest) => self.home.join(rest),
            Err(_) => typed.to_owned(),
        }
    }
}

/// Cancels on Ctrl-C and SIGTERM; a second Ctrl-C ends the process at once.
pub(super) fn watch_signals(cancel: CancellationToken) -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        let mut asked = false;
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if asked {
                // The operator insists; the journal is synced at every step, so nothing is lost.
                #[expect(
                    clippy::exit,
                    reason = "the second Ctrl-C ends the process without waiting for anything"
                )]
                std::process::exit(Kind::Interrupted.code().into());
            }
            asked = true;
            cancel.cancel();
            let _closed = writeln!(
                io::stderr(),
                "\nstopping: tasks are ended on their hosts, a step of an operation is finished first; Ctrl-C again ends at once"
            );
        }
    });
    Ok(())
}
