//! `yum_repository`: a section of a file in /etc/yum.repos.d.

use crate::files::{self, Attributes};
use crate::modules::ownership::{self, Changes, Ownership};
use crate::spec::join;
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Rule, Spec};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::fs;

#[derive(Deserialize)]
pub struct YumRepository {
    name: String,
    file: Option<String>,
    state: String,
    reposdir: String,
    description: Option<String>,
    #[serde(flatten)]
    ownership: Ownership,
    #[serde(flatten)]
    options: Map<String, Value>,
}

const fn text(name: &'static str, doc: &'static str) -> Arg {
    Arg::new(name, Kind::Str, doc)
}

const fn flag(name: &'static str, doc: &'static str) -> Arg {
    Arg::new(name, Kind::Bool, doc)
}

const fn list(name: &'static str, doc: &'static str) -> Arg {
    Arg::new(name, Kind::List, doc)
}

/// Arguments that aren't options of the section.
const OWN: [Arg; 6] = [
    text("name", "Name of the section.").required(),
    text(
        "file",
        "Name of the file without .repo; that of the section if not said.",
    ),
    text("state", "Whether it is there.")
        .choices(&["absent", "present"])
        .default("present"),
    Arg::new("reposdir", Kind::Path, "Directory of the file.").default("/etc/yum.repos.d"),
    text(
        "description",
        "Name for people, the option name; needed where state is present.",
    ),
    flag(
        "unsafe_writes",
        "Has no effect: the file is replaced as a whole.",
    )
    .default("no"),
];

const OPTIONS: [Arg; 45] = [
    flag(
        "async",
        "Packages are fetched in parallel; newer systems don't know it.",
    ),
    text("bandwidth", "Bytes a second that there are."),
    list("baseurl", "URLs of the repository."),
    text("cost", "What it costs, compared with others."),
    flag("countme", "The host is counted by who runs the repository."),
    text(
        "deltarpm_metadata_percentage",
        "When lists of differences are too big.",
    ),
    text("deltarpm_percentage", "When differences are too big."),
    flag("enabled", "It is used."),
    flag("enablegroups", "Its groups of packages can be used."),
    list("exclude", "Packages that aren't taken from it.").aliases(&["excludepkgs"]),
    text("failovermethod", "How URLs are chosen.").choices(&["roundrobin", "priority"]),
    text("gpgcakey", "URL of the key of an authority."),
    flag("gpgcheck", "Packages need a signature."),
    list("gpgkey", "URLs of keys."),
    text("http_caching", "What caches on the way may keep.").choices(&["all", "packages", "none"]),
    text("include", "Another file of settings."),
    list("includepkgs", "The only packages that are taken from it."),
    text("ip_resolve", "Version of the internet protocol.")
        .choices(&["4", "6", "IPv4", "IPv6", "whatever"]),
    flag("keepalive", "Connections are used again."),
    text("keepcache", "Fetched packages are kept.").choices(&["0", "1"]),
    text("metadata_expire", "Seconds for which its lists are good."),
    text(
        "metadata_expire_filter",
        "For which commands older lists are good enough.",
    )
    .choices(&[
        "never",
        "read-only:past",
        "read-only:present",
        "read-only:future",
    ]),
    text("metalink", "URL of a metalink."),
    text("mirrorlist", "URL of a list of mirrors."),
    text(
        "mirrorlist_expire",
        "Seconds for which the list of mirrors is good.",
    ),
    flag("module_hotfixes", "Modules don't hide its packages."),
    text("password", "Password."),
    text("priority", "1 to 99; the lowest wins."),
    flag("protect", "Others don't update its packages."),
    text("proxy", "URL of a proxy, or _none_."),
    text("proxy_password", "Password of the proxy."),
    text("proxy_username", "User of the proxy."),
    flag("repo_gpgcheck", "Its lists need a signature."),
    text("retries", "How often fetching is tried."),
    flag("s3_enabled", "It lies on S3."),
    flag("skip_if_unavailable", "It may be unreachable."),
    flag(
        "ssl_check_cert_permissions",
        "Certificates must be readable.",
    ),
    text("sslcacert", "Directory of authorities.").aliases(&["ca_cert"]),
    text("sslclientcert", "Certificate of the client.").aliases(&["client_cert"]),
    text("sslclientkey", "Key of the client.").aliases(&["client_key"]),
    flag("sslverify", "The server's certificate is checked.").aliases(&["validate_certs"]),
    text("throttle", "Bytes a second at most."),
    text("timeout", "Seconds for a connection."),
    text("ui_repoid_vars", "Variables that are shown with the name."),
    text("username", "User."),
];

impl Module for YumRepository {
    const SPEC: Spec = Spec::new(
        "yum_repository",
        "Keeps a repository of yum and dnf in a file. Returns repo and state.",
        &join::<6, 53, 59>(OWN, join::<45, 8, 53>(OPTIONS, ownership::ARGS)),
    )
    .rules(&[Rule::If("state", "present", &["description"])]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let dir = cx.expand(&self.reposdir);
        if !dir.is_dir() {
            return Err(Failure::new(format!(
                "Repo directory '{}' does not exist.",
                dir.display()
            )));
        }
        let name = self.file.as_deref().unwrap_or(&self.name);
        let path = dir.join(format!("{name}.repo"));
        let before = match fs::read(&path) {
            Ok(bytes) => Sections::parse(&String::from_utf8_lossy(&bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Sections::default(),
            Err(error) => return Err(Failure::io("cannot read", &path, &error)),
        };
        let mut after = before.clone();
        after.remove(&self.name);
        if self.state == "present" {
            after.0.push((self.name.clone(), self.section()?));
        }
        let (old, new) = (before.sorted(), after.sorted());
        let mut changed = old != new;
        let wanted = self.ownership.resolve(cx)?;
        if changed && !cx.check() {
            let attributes: Attributes = wanted.attributes(fs::metadata(&path).ok().as_ref());
            let written = if after.0.is_empty() {
                fs::remove_file(&path)
            } else {
                files::write(&path, after.text().as_bytes(), attributes)
            };
            written.map_err(|error| Failure::io("cannot write", &path, &error))?;
        }
        if path.exists() {
            changed |= wanted.apply(cx, &path, &mut Changes::default())?;
        }
        let outcome = Outcome::changed(changed)
            .with("repo", self.name.as_str())
            .with("state", self.state.as_str());
        if cx.diff() && old != new {
            return Ok(outcome.diff(&path.to_string_lossy(), &old, &new));
        }
        Ok(outcome)
    }
}

impl YumRepository {
    /// The options of the section, in the order of their names.
    fn section(&self) -> Result<Vec<(String, String)>, Failure> {
        let from = ["baseurl", "mirrorlist", "metalink"];
        if !from.iter().any(|name| self.options.contains_key(*name)) {
            return Err(Failure::new(
                "state is present but any of the following are missing: baseurl, mirrorlist, metalink",
            ));
        }
        let mut options: Vec<(String, String)> = self
            .options
            .iter()
            .filter(|(name, _)| OPTIONS.iter().any(|option| option.name == *name))
            .map(|(name, value)| (name.clone(), written(name, value)))
            .chain(
                self.description
                    .clone()
                    .map(|text| ("name".to_owned(), text)),
            )
            .collect();
        options.sort();
        Ok(options)
    }
}

fn written(name: &str, value: &Value) -> String {
    match value {
        Value::Bool(yes) => u8::from(*yes).to_string(),
        Value::Array(items) => {
            let words: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
            words.join(if name == "baseurl" || name == "gpgkey" {
                "\n"
            } else {
                " "
            })
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A file of sections, as Python's configparser reads and writes it: without its comments.
#[derive(Clone, Default)]
struct Sections(Vec<(String, Vec<(String, String)>)>);

impl Sections {
    fn parse(text: &str) -> Self {
        let mut sections: Vec<(String, Vec<(String, String)>)> = Vec::new();
        for line in text.lines() {
            let bare = line.trim();
            if bare.is_empty() || bare.starts_with(['#', ';']) {
                continue;
            }
            if let Some(name) = bare
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'))
            {
                sections.push((name.to_owned(), Vec::new()));
                continue;
            }
            let Some((_, options)) = sections.last_mut() else {
                continue;
            };
            if line.starts_with([' ', '\t'])
                && let Some((_, value)) = options.last_mut()
            {
                value.push('\n');
                value.push_str(bare);
                continue;
            }
            let at = bare.find(['=', ':']).unwrap_or(bare.len());
            let value = bare.get(at + 1..).unwrap_or_default().trim();
            options.push((bare[..at].trim().to_lowercase(), value.to_owned()));
        }
        Self(sections)
    }

    fn remove(&mut self, name: &str) {
        self.0.retain(|(known, _)| known != name);
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for (name, options) in &self.0 {
            text += &format!("[{name}]\n");
            for (name, value) in options {
                text += &format!("{name} = {}\n", value.replace('\n', "\n\t"));
            }
            text.push('\n');
        }
        text
    }

    /// For comparing: sections and options in the order of their names.
    fn sorted(&self) -> String {
        let mut sections = self.0.clone();
        sections.sort();
        let mut text = String::new();
        for (name, mut options) in sections {
            options.sort();
            text += &format!("[{name}]\n");
            for (name, value) in options {
                text += &format!("{name} = {value}\n");
            }
            text.push('\n');
        }
        text
    }
}
