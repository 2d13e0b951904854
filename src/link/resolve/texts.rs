//! Texts of ssh_config: tokens, times, bastions.

use super::{Fault, tilde};
use crate::link::settings::Settings;
use crate::link::ssh_config::Options;
use std::path::PathBuf;
use std::time::Duration;

/// What `%h` and its like stand for.
pub(super) struct Tokens<'a> {
    pub(super) alias: &'a str,
    pub(super) address: String,
    pub(super) port: u16,
    pub(super) user: &'a str,
    pub(super) settings: &'a Settings,
    /// Texts with tokens or variables that only the ssh program knows.
    pub(super) unknown: Vec<String>,
}

impl Tokens<'_> {
    pub(super) fn expand(&mut self, text: &str) -> String {
        let mut out = String::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            if c == '$' && chars.as_str().starts_with('{') {
                self.unknown.push(text.to_owned());
            }
            if c != '%' {
                out.push(c);
                continue;
            }
            match chars.next() {
                Some('%') => out.push('%'),
                Some('h') => out.push_str(&self.address),
                Some('n') => out.push_str(self.alias),
                Some('p') => out.push_str(&self.port.to_string()),
                Some('r') => out.push_str(self.user),
                Some('u') => out.push_str(&self.settings.local_user),
                Some('d') => out.push_str(&self.settings.home.display().to_string()),
                _ => self.unknown.push(text.to_owned()),
            }
        }
        out
    }

    pub(super) fn path(&mut self, text: &str) -> PathBuf {
        let expanded = self.expand(text);
        tilde(&expanded, &self.settings.home)
    }
}

pub(super) fn number<T: std::str::FromStr>(
    options: &Options,
    keyword: &str,
    default: T,
) -> Result<T, Fault> {
    match options.one(keyword) {
        None => Ok(default),
        Some(text) => text
            .parse()
            .map_err(|_| Fault::from(format!("{keyword} is no number: {text}"))),
    }
}

/// Seconds, or times as in sshd_config(5) (`1m30s`).
pub(super) fn seconds(options: &Options, keyword: &str) -> Result<Option<Duration>, Fault> {
    let Some(text) = options.one(keyword).filter(|text| *text != "none") else {
        return Ok(None);
    };
    let bad = || Fault::from(format!("{keyword} is no time: {text}"));
    let mut total = 0u64;
    let mut digits = String::new();
    for c in text.chars().chain(['s']) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        let unit = match c.to_ascii_lowercase() {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return Err(bad()),
        };
        // The `s` that was added behind a unit stands alone.
        if !digits.is_empty() {
            let value: u64 = digits.parse().map_err(|_| bad())?;
            total = value
                .checked_mul(unit)
                .and_then(|v| v.checked_add(total))
                .ok_or_else(bad)?;
            digits.clear();
        }
    }
    Ok(Some(Duration::from_secs(total)))
}

pub(super) fn jump_list(text: &str) -> Vec<String> {
    if text.eq_ignore_ascii_case("none") {
        return Vec::new();
    }
    text.split(',')
        .map(|jump| jump.trim().to_owned())
        .filter(|jump| !jump.is_empty())
        .collect()
}

/// Options that a bastion's own text sets.
pub(super) type Set = Vec<(&'static str, String)>;

/// `[user@]host[:port]` or `ssh://[user@]host[:port]`, with IPv6 addresses in brackets.
pub(super) fn parse_jump(text: &str) -> Result<(String, Set), Fault> {
    let rest = text
        .strip_prefix("ssh://")
        .unwrap_or(text)
        .trim_end_matches('/');
    let mut set = Vec::new();
    let host = match rest.rsplit_once('@') {
        Some((user, host)) => {
            set.push(("user", user.to_owned()));
            host
        }
        None => rest,
    };
    let (host, port) = match host.strip_prefix('[').and_then(|h| h.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None => match host.split_once(':') {
            Some((name, port)) if !port.contains(':') => (name, Some(port)),
            _ => (host, None),
        },
    };
    if host.is_empty() || host.starts_with('-') {
        return Err(format!("ProxyJump doesn't name a host: {text}").into());
    }
    if let Some(port) = port {
        port.parse::<u16>()
            .map_err(|_| format!("ProxyJump has no port {port}"))?;
        set.push(("port", port.to_owned()));
    }
    Ok((host.to_owned(), set))
}
