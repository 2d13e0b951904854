//! Everything that kopsrun takes from its surroundings, read once.

use super::args::{Escalation, Format, Hosts, Output, When};
use super::failure::{Failure, Kind};
use crate::content::inventory::Inventory;
use crate::play::BecomeSettings;
use crate::secret::Secret;
use crate::ui::human::Style;
use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The surroundings of one command.
pub(super) struct Context {
    pub environment: Arc<BTreeMap<String, String>>,
    /// What was typed after the verb, options that came before it included.
    pub typed: Vec<String>,
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
}

impl Context {
    pub(super) fn new(output: &Output, typed: Vec<String>) -> Result<Self, Failure> {
        let environment: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let terminal = io::stdout().is_terminal();
        let color = match output.color {
            When::Always => true,
            When::Never => false,
            When::Auto => terminal && environment.get("NO_COLOR").is_none_or(String::is_empty),
        };
        let directory = std::env::current_dir().map_err(|error| {
            Failure::new(
                Kind::Broken,
                format!("the current directory can't be read: {error}"),
            )
        })?;
        Ok(Self {
            typed,
            home: environment
                .get("HOME")
                .map_or_else(|| PathBuf::from("/root"), PathBuf::from),
            directory,
            environment: Arc::new(environment),
            format: output.output,
            verbosity: output.verbose,
            color,
            terminal,
            interactive: io::stdin().is_terminal() && io::stderr().is_terminal(),
            cancel: CancellationToken::new(),
        })
    }

    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.environment
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    pub(super) fn style(&self) -> Style {
        Style {
            color: self.color,
            terminal: self.terminal,
            verbosity: self.verbosity,
        }
    }

    /// Where state is kept that outlives a command: records of runs, facts, backups.
    ///
    /// `$XDG_STATE_HOME/kopsrun`, or `~/.local/state/kopsrun`.
    pub(super) fn state(&self) -> PathBuf {
        self.variable("XDG_STATE_HOME")
            .map_or_else(|| self.home.join(".local/state"), PathBuf::from)
            .join("kopsrun")
    }

    /// The inventory that was named; without a name, the first of the usual ones that is there.
    pub(super) fn inventory(&self, hosts: &Hosts) -> Result<Arc<Inventory>, Failure> {
        Ok(Arc::new(Inventory::load(&self.sources(hosts)?)?))
    }

    pub(super) fn sources(&self, hosts: &Hosts) -> Result<Vec<PathBuf>, Failure> {
        const USUAL: [&str; 5] = [
            "inventory.yml",
            "inventory.yaml",
            "inventory.ini",
            "inventory/hosts.yml",
            "inventory",
        ];
        if !hosts.inventory.is_empty() {
            return Ok(hosts.inventory.clone());
        }
        USUAL.iter().map(PathBuf::from).find(|path| path.exists()).map(|path| vec![path]).ok_or_else(|| {
            Failure::new(Kind::Input, "no inventory: kopsrun doesn't know which hosts there are")
                .hint("name one: -i inventory.yml (a file, a directory, or \"host1,host2,\"), or set KOPSRUN_INVENTORY")
                .hint("inventory.example/ in the source holds one to start from")
        })
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

    pub(super) fn escalation(&self, args: &Escalation) -> Result<BecomeSettings, Failure> {
        let password = args
            .ask_become_pass
            .then(|| self.ask_secret("BECOME password"))
            .transpose()?;
        Ok(BecomeSettings {
            enabled: args.escalate,
            user: args.become_user.clone(),
            method: args.become_method.clone(),
            password,
        })
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
