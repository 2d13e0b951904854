//! From inventory variables and ssh_config to a [`Target`].

mod rules;
mod texts;

use super::error::LinkError;
use super::raw_args::{self, RawArgs};
use super::settings::Settings;
use super::ssh_config::{self, Options, Query};
use super::target::{AlgorithmLists, Connection, Family, Hop, KeyFile, Program, Target};
use crate::secret::Secret;
use rules::{auth, host_key_rules};
use std::path::{Path, PathBuf};
use std::time::Duration;
use texts::{Tokens, jump_list, number, parse_jump, seconds};

/// Bastions that need bastions: deeper is a loop.
const MAX_HOPS: usize = 8;

type Vars<'a> = dyn Fn(&str) -> Option<String> + 'a;

impl Target {
    /// Decides how `name` is reached from `ansible_*` variables (already rendered) and ssh_config. Reads files, sends
    /// nothing. Options that our SSH can't honour lead to the ssh program, never to silence.
    pub fn resolve(name: &str, vars: &Vars<'_>, settings: &Settings) -> Result<Self, LinkError> {
        let connection = Resolver {
            name,
            vars,
            settings,
        }
        .connection()
        .map_err(|fault| LinkError::Config {
            host: name.to_owned(),
            message: fault.0,
            hints: fault.1,
        })?;
        Ok(Self {
            name: name.to_owned(),
            connection,
        })
    }
}

/// Message and hints.
struct Fault(String, Vec<String>);

impl From<String> for Fault {
    fn from(message: String) -> Self {
        Self(message, Vec::new())
    }
}

struct Resolver<'a> {
    name: &'a str,
    vars: &'a Vars<'a>,
    settings: &'a Settings,
}

/// What the inventory says, under Ansible's names.
struct Wanted {
    host: String,
    password: Option<Secret<String>>,
    /// Words of ansible_ssh_args, ansible_ssh_common_args and ansible_ssh_extra_args.
    words: Vec<String>,
    raw: RawArgs,
    /// What the variables say as options, which come first.
    options: Vec<(String, String)>,
    key: Option<PathBuf>,
}

impl Resolver<'_> {
    fn var(&self, names: &[&str]) -> Option<String> {
        names
            .iter()
            .find_map(|name| (self.vars)(name))
            .filter(|value| !value.is_empty())
            .or_else(|| {
                let variables = &self.settings.variables;
                names.iter().find_map(|name| variables.get(*name).cloned())
            })
    }

    fn connection(&self) -> Result<Connection, Fault> {
        match self
            .var(&["ansible_connection"])
            .as_deref()
            .map(|c| c.trim_start_matches("ansible.builtin."))
        {
            Some("local") => return Ok(Connection::Local),
            None | Some("ssh" | "smart" | "paramiko" | "paramiko_ssh") => {}
            Some(other) => {
                let hint = "kopsrun knows the connections ssh and local".to_owned();
                return Err(Fault(
                    format!("the connection {other} is not supported"),
                    vec![hint],
                ));
            }
        }
        let wanted = self.wanted()?;
        let mut unhonoured = wanted.raw.unhonoured.clone();
        if let Some(program) = self.var(&["ansible_ssh_executable"]) {
            unhonoured.push(format!("ansible_ssh_executable {program}"));
        }
        let mut options = Options::default();
        for (keyword, value) in &wanted.options {
            options.set(keyword, vec![value.clone()]);
        }
        for (keyword, args) in &wanted.raw.options {
            options.set(keyword, args.clone());
        }
        let mut way = Way {
            resolver: self,
            config_file: wanted.raw.config_file.as_deref(),
            hops: Vec::new(),
            unhonoured,
        };
        way.add(&wanted.host, options, None, 0)?;
        let Way {
            mut hops,
            unhonoured,
            ..
        } = way;
        let last = hops
            .last_mut()
            .ok_or_else(|| "no way to the host".to_owned())?;
        self.finish(last, &wanted);
        if unhonoured.is_empty() {
            return Ok(Connection::Ssh(hops));
        }
        let last = last.clone();
        Ok(Connection::Program(self.program(
            &wanted,
            &last,
            &unhonoured,
        )))
    }

    fn wanted(&self) -> Result<Wanted, Fault> {
        let settings = self.settings;
        let mut options = Vec::new();
        let mut option = |keyword: &str, value: Option<String>| {
            options.extend(value.map(|value| (keyword.to_owned(), value)));
        };
        option("port", self.var(&["ansible_port", "ansible_ssh_port"]));
        let user = self.var(&["ansible_user", "ansible_ssh_user"]);
        option("user", user.or_else(|| settings.user.clone()));
        option(
            "connecttimeout",
            self.var(&["ansible_ssh_timeout", "ansible_timeout"]),
        );
        let checking = self.var(&["ansible_ssh_host_key_checking", "ansible_host_key_checking"]);
        option(
            "stricthostkeychecking",
            checking.filter(|v| is_no(v)).map(|_| "no".to_owned()),
        );
        let key = self.var(&["ansible_ssh_private_key_file", "ansible_private_key_file"]);
        let key = key
            .map(|key| self.tilde(&key))
            .or_else(|| settings.private_key.clone());
        let mut words = Vec::new();
        for name in [
            "ansible_ssh_args",
            "ansible_ssh_common_args",
            "ansible_ssh_extra_args",
        ] {
            let Some(text) = self.var(&[name]) else {
                continue;
            };
            words.extend(
                ssh_config::split_shell(&text).map_err(|message| format!("{name}: {message}"))?,
            );
        }
        let raw =
            raw_args::parse(&words).map_err(|message| format!("ansible_ssh_*_args: {message}"))?;
        let password = self
            .var(&[
                "ansible_password",
                "ansible_ssh_pass",
                "ansible_ssh_password",
            ])
            .map(Secret::new);
        Ok(Wanted {
            host: self
                .var(&["ansible_host", "ansible_ssh_host"])
                .unwrap_or_else(|| self.name.to_owned()),
            password: password.or_else(|| settings.password.clone()),
            words,
            raw,
            options,
            key,
        })
    }

    /// What holds for the host itself and not for bastions.
    fn finish(&self, hop: &mut Hop, wanted: &Wanted) {
        hop.auth.password.clone_from(&wanted.password);
        if let Some(path) = &wanted.key {
            hop.auth.keys.retain(|key| key.path != *path);
            hop.auth.keys.insert(
                0,
                KeyFile {
                    path: path.clone(),
                    required: true,
                },
            );
        }
        for key in &mut hop.auth.keys {
            key.required |= wanted
                .raw
                .options
                .iter()
                .any(|(k, v)| k == "identityfile" && self.tilde(&v[0]) == key.path);
        }
        if self.settings.accept_new.contains(self.name) {
            hop.host_key.replace = true;
        }
    }

    fn program(&self, wanted: &Wanted, hop: &Hop, unhonoured: &[String]) -> Program {
        let mut args = vec!["-T".to_owned()];
        let mut option = |text: String| args.extend(["-o".to_owned(), text]);
        for (keyword, value) in &wanted.options {
            option(format!("{keyword}={value}"));
        }
        if let Some(key) = &wanted.key {
            option(format!("IdentityFile=\"{}\"", key.display()));
        }
        // A second question would find nobody who answers.
        let asks = if wanted.password.is_none() {
            "BatchMode=yes"
        } else {
            "NumberOfPasswordPrompts=1"
        };
        option(asks.to_owned());
        if hop.host_key.replace {
            option("StrictHostKeyChecking=accept-new".to_owned());
        }
        if let (Some(file), None) = (&self.settings.ssh_config, &wanted.raw.config_file) {
            args.extend(["-F".to_owned(), file.display().to_string()]);
        }
        args.extend(wanted.words.iter().cloned());
        args.extend([
            "-o".to_owned(),
            format!("ConnectTimeout={}", hop.connect_timeout.as_secs().max(1)),
        ]);
        args.extend(["--".to_owned(), wanted.host.clone()]);
        let ssh = self.var(&["ansible_ssh_executable"]).map(PathBuf::from);
        Program {
            ssh: ssh.unwrap_or_else(|| self.settings.ssh_program.clone()),
            args,
            address: format!("{}:{}", hop.address, hop.port),
            user: hop.user.clone(),
            because: unhonoured.join(", "),
            connect_timeout: hop.connect_timeout,
            password: wanted.password.clone(),
        }
    }

    fn tilde(&self, path: &str) -> PathBuf {
        tilde(path, &self.settings.home)
    }
}

fn is_no(value: &str) -> bool {
    matches!(
        value.to_ascii_lowercase().as_str(),
        "false" | "no" | "off" | "0" | "n" | "f"
    )
}

fn tilde(path: &str, home: &Path) -> PathBuf {
    match path.strip_prefix("~/") {
        Some(rest) => home.join(rest),
        None if path == "~" => home.to_owned(),
        None => PathBuf::from(path),
    }
}

/// The bastions and the host, built from the host backwards.
struct Way<'a> {
    resolver: &'a Resolver<'a>,
    config_file: Option<&'a Path>,
    hops: Vec<Hop>,
    unhonoured: Vec<String>,
}

impl Way<'_> {
    /// Adds everything that leads to `alias`, then `alias` itself. `jumps` overrides its own ProxyJump.
    fn add(
        &mut self,
        alias: &str,
        mut options: Options,
        jumps: Option<&[String]>,
        depth: usize,
    ) -> Result<(), Fault> {
        if depth > MAX_HOPS {
            let hint = "a bastion's own ProxyJump leads back to it: write `ProxyJump none` for it"
                .to_owned();
            return Err(Fault(
                format!("more than {MAX_HOPS} bastions on the way to {alias}"),
                vec![hint],
            ));
        }
        self.read_files(alias, &mut options)?;
        let own: Vec<String>;
        let jumps = match jumps {
            Some(jumps) => jumps,
            None => {
                own = options.one("proxyjump").map(jump_list).unwrap_or_default();
                &own
            }
        };
        if let Some((last, rest)) = jumps.split_last() {
            let (name, set) = parse_jump(last)?;
            let mut jump_options = Options::default();
            for (keyword, value) in set {
                jump_options.set(keyword, vec![value]);
            }
            let explicit = (!rest.is_empty()).then_some(rest);
            self.add(&name, jump_options, explicit, depth + 1)?;
        }
        self.unhonoured.append(&mut options.unhonoured);
        let hop = self.hop(alias, &options)?;
        self.hops.push(hop);
        Ok(())
    }

    fn read_files(&self, alias: &str, options: &mut Options) -> Result<(), Fault> {
        let settings = self.resolver.settings;
        let query = Query {
            original: alias,
            local_user: &settings.local_user,
            home: &settings.home,
        };
        let user_folder = settings.home.join(".ssh");
        match self.config_file.or(settings.ssh_config.as_deref()) {
            Some(file) if file.as_os_str() == "none" => Ok(()),
            Some(file) => ssh_config::read(
                &tilde(&file.to_string_lossy(), &settings.home),
                true,
                &user_folder,
                &query,
                options,
            ),
            None => ssh_config::read(
                &user_folder.join("config"),
                false,
                &user_folder,
                &query,
                options,
            )
            .and_then(|()| {
                let file = &settings.system_ssh_config;
                let folder = file.parent().unwrap_or(Path::new("/"));
                ssh_config::read(file, false, folder, &query, options)
            }),
        }
        .map_err(Fault::from)
    }

    fn hop(&mut self, alias: &str, options: &Options) -> Result<Hop, Fault> {
        let settings = self.resolver.settings;
        let user = options
            .one("user")
            .unwrap_or(&settings.local_user)
            .to_owned();
        let port = number(options, "port", 22)?;
        let mut tokens = Tokens {
            alias,
            address: alias.to_owned(),
            port,
            user: &user,
            settings,
            unknown: Vec::new(),
        };
        let address = match options.one("hostname") {
            Some(text) => tokens.expand(text),
            None => alias.to_owned(),
        };
        tokens.address.clone_from(&address);
        let hop = Hop {
            alias: alias.to_owned(),
            auth: auth(options, &mut tokens),
            host_key: host_key_rules(options, &mut tokens)?,
            algorithms: AlgorithmLists {
                ciphers: options.one("ciphers").map(str::to_owned),
                macs: options.one("macs").map(str::to_owned),
                kex: options.one("kexalgorithms").map(str::to_owned),
                host_keys: options.one("hostkeyalgorithms").map(str::to_owned),
            },
            family: match options.one("addressfamily") {
                Some("inet") => Some(Family::V4),
                Some("inet6") => Some(Family::V6),
                _ => None,
            },
            connect_timeout: seconds(options, "connecttimeout")?
                .unwrap_or(settings.connect_timeout),
            alive_interval: seconds(options, "serveraliveinterval")?
                .unwrap_or(Duration::from_secs(15)),
            alive_count: number(options, "serveralivecountmax", 3)?,
            address,
            port,
            user: user.clone(),
        };
        self.unhonoured.append(&mut tokens.unknown);
        Ok(hop)
    }
}

#[cfg(test)]
mod tests;
