//! `url`: what an address holds, asked by the controller's own curl.

use super::words;
use crate::content::template::TemplateError;
use crate::content::template::eval::args::{Args, int_of};
use crate::content::template::eval::{Interp, Outcome};
use crate::content::value::Value;
use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Seconds after which a request has failed.
const TIMEOUT: i64 = 10;

/// Lines of what the addresses hold; with `split_lines=false` the whole text.
pub(super) fn url(interp: &mut Interp, args: &mut Args) -> Outcome<Vec<Value>> {
    let split = args.take_flag("split_lines", true);
    let options = options(args)?;
    interp.trail.changing = true;
    let settings = interp.templar.settings();
    let Some(run) = &settings.command else {
        return Err(TemplateError::new(
            "commands of the controller can't be run here",
        ));
    };
    let folder = settings.environment.get("TMPDIR");
    let folder = folder.map_or_else(|| PathBuf::from("/tmp"), PathBuf::from);
    let mut found = Vec::new();
    for address in words(args)? {
        let mut config = options.clone();
        line(&mut config, "url", &address)?;
        let file = Config::write(&folder, &config)?;
        let command = format!("curl --config '{}'", file.0.display());
        let text = run(&command, &settings.playbook_dir).map_err(|why| {
            TemplateError::new(format!("Failed lookup url for {address} : {why}"))
                .hint("The controller's curl asks; is it installed, and does the address answer?")
        })?;
        match split {
            true => found.extend(text.lines().map(Value::untrusted)),
            false => found.push(Value::untrusted(text)),
        }
    }
    Ok(found)
}

/// The arguments as lines of a configuration of curl: passwords and headers don't reach its command line.
fn options(args: &mut Args) -> Outcome<String> {
    let mut config = String::from("silent\nshow-error\nfail\ngloboff\n");
    let mut text = |name: &str| {
        let value = args
            .take(name)
            .filter(|value| !matches!(value, Value::None));
        value.map(|value| value.to_text())
    };
    let (user, password) = (text("username"), text("password"));
    if let Some(user) = user {
        line(
            &mut config,
            "user",
            &format!("{user}:{}", password.unwrap_or_default()),
        )?;
    }
    let agent = text("http_agent").unwrap_or_else(|| "ansible-httpget".to_owned());
    line(&mut config, "user-agent", &agent)?;
    for (name, option) in [
        ("unix_socket", "unix-socket"),
        ("ca_path", "cacert"),
        ("client_cert", "cert"),
        ("client_key", "key"),
    ] {
        if let Some(value) = text(name) {
            line(&mut config, option, &value)?;
        }
    }
    if !matches!(
        text("follow_redirects").as_deref(),
        Some("none" | "no" | "False")
    ) {
        config.push_str("location\n");
    }
    for (name, default, option) in [
        ("validate_certs", false, "insecure\n"),
        ("use_proxy", false, "noproxy = \"*\"\n"),
        ("force", true, "header = \"Cache-Control: no-cache\"\n"),
    ] {
        if args.take_flag(name, !default) == default {
            config.push_str(option);
        }
    }
    // They say how urllib does what curl does anyway.
    for name in ["force_basic_auth", "use_netrc", "unredirected_headers"] {
        args.take(name);
    }
    let seconds = match args.take("timeout") {
        Some(seconds) => int_of("timeout", &seconds)?,
        None => TIMEOUT,
    };
    let _infallible = writeln!(config, "max-time = {seconds}");
    let headers = args.take("headers").and_then(|headers| headers.entries());
    for (name, value) in headers.unwrap_or_default() {
        line(
            &mut config,
            "header",
            &format!("{}: {}", name.0.to_text(), value.to_text()),
        )?;
    }
    Ok(config)
}

/// `option = "value"`, in curl's quoting.
fn line(config: &mut String, option: &str, value: &str) -> Outcome<()> {
    if value.contains(['\n', '\r', '\0']) {
        return Err(TemplateError::new(format!(
            "url: a line break can't stand in the {option}"
        )));
    }
    let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
    let _infallible = writeln!(config, "{option} = \"{quoted}\"");
    Ok(())
}

/// A configuration on disk that only its owner reads; gone when it is dropped.
struct Config(PathBuf);

impl Config {
    fn write(folder: &Path, text: &str) -> Outcome<Self> {
        let mark: u64 = rand::random();
        let path = folder.join(format!("kopsrun-url.{mark:016x}"));
        let failed = |error: std::io::Error| {
            TemplateError::new(format!("{} can't be written: {error}", path.display()))
        };
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        let config = Self(path.clone());
        file.write_all(text.as_bytes()).map_err(failed)?;
        Ok(config)
    }
}

impl Drop for Config {
    fn drop(&mut self) {
        // A file that is gone already is what is wanted.
        drop(std::fs::remove_file(&self.0));
    }
}
