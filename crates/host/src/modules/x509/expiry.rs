//! `cert_info`, kopsrun's own: the certificates of a host, and which of them end soon.

use super::document::Document;
use super::extensions::describe;
use super::key::fingerprints;
use super::names::{Subject, long};
use super::oids::SUBJECT;
use super::time::moment;
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Return, Spec, globs};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Longer files hold no certificate.
const MAX_SIZE: u64 = 1 << 20;

#[derive(Deserialize)]
pub struct CertInfo {
    paths: Vec<String>,
    recurse: bool,
    expiring_within: i64,
    fail: bool,
}

impl Module for CertInfo {
    const SPEC: Spec = Spec::new(
        "cert_info",
        "Tells about the certificates of a host, and which of them end soon. Keys and other files are passed over.",
        &[
            Arg::new("paths", Kind::List, "Files, directories and patterns.").of(Kind::Path).aliases(&["path"]).required(),
            Arg::new("recurse", Kind::Bool, "Also what is in directories of directories.").default("no"),
            Arg::new("expiring_within", Kind::Int, "Days that count as soon.").default("30"),
            Arg::new("fail", Kind::Bool, "Fail when one ends soon or has ended.").default("no"),
        ],
    )
    .returns(&[
        Return::new("certificates", "In order of their ends, each with path, subject, issuer, sans, ca, not_before, not_after, days_left, expired, expiring and sha256; of a file with several the first."),
        Return::new("expiring", "Paths of those that end soon or have ended."),
        Return::new("days_left", "Of the one that ends first; none where there are no certificates."),
    ]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let mut files = BTreeSet::new();
        for path in &self.paths {
            let full = cx.expand(path);
            let found = globs::glob(&full.to_string_lossy());
            if found.is_empty() && !path.contains(['*', '?', '[']) {
                return Err(Failure::new(format!("{} isn't there", full.display())));
            }
            for path in found {
                self.add(&path, true, &mut files)?;
            }
        }
        let mut all = Vec::new();
        for path in &files {
            cx.check_cancelled()?;
            all.extend(self.read(path)?);
        }
        all.sort_by_key(|certificate| certificate["days_left"].as_i64());
        let soon: Vec<Value> = all
            .iter()
            .filter(|certificate| certificate["expiring"] == true)
            .map(|certificate| certificate["path"].clone())
            .collect();
        let first = all
            .first()
            .map_or(Value::Null, |first| first["days_left"].clone());
        let outcome = Outcome::ok()
            .with("certificates", all)
            .with("expiring", soon.clone())
            .with("days_left", first);
        if self.fail && !soon.is_empty() {
            let paths: Vec<&str> = soon.iter().filter_map(Value::as_str).collect();
            let message = format!(
                "within {} days end: {}",
                self.expiring_within,
                paths.join(", ")
            );
            return Err(Failure {
                message,
                data: outcome.data,
            });
        }
        Ok(outcome)
    }
}

impl CertInfo {
    fn add(&self, path: &Path, named: bool, files: &mut BTreeSet<PathBuf>) -> Result<(), Failure> {
        let failed = |error: std::io::Error| Failure::io("cannot read", path, &error);
        // Links are followed to files, not to directories: they could lead in a circle.
        let meta = if named {
            fs::metadata(path)
        } else {
            fs::symlink_metadata(path)
        };
        let meta = match meta {
            Ok(meta) if meta.is_symlink() => match fs::metadata(path) {
                Ok(there) if there.is_file() => there,
                _ => return Ok(()),
            },
            Ok(meta) => meta,
            Err(error) => return Err(failed(error)),
        };
        if meta.is_file() && meta.len() <= MAX_SIZE {
            files.insert(path.to_path_buf());
        }
        if meta.is_dir() && (named || self.recurse) {
            for entry in fs::read_dir(path).map_err(failed)? {
                self.add(&entry.map_err(failed)?.path(), false, files)?;
            }
        }
        Ok(())
    }

    /// None for a file that holds no certificate.
    fn read(&self, path: &Path) -> Result<Option<Value>, Failure> {
        let bytes = fs::read(path).map_err(|error| Failure::io("cannot read", path, &error))?;
        let text = String::from_utf8_lossy(&bytes);
        if !text.contains("-----BEGIN CERTIFICATE-----") {
            return Ok(None);
        }
        let broken = |failure: Failure| failure.during(format!("{} can't be read", path.display()));
        let certificate = Document::certificate(&text).map_err(broken)?;
        let seconds =
            moment(&certificate.not_after).map_err(broken)?.seconds() - moment("+0s")?.seconds();
        let days = seconds.div_euclid(24 * 3600);
        let about = describe(&certificate);
        let ca = about["basic_constraints"]
            .as_array()
            .is_some_and(|list| list.contains(&"CA:TRUE".into()));
        let sans = match &about["subject_alt_name"] {
            Value::Null => json!([]),
            names => names.clone(),
        };
        Ok(Some(json!({
            "path": path.to_string_lossy(),
            "subject": line(&certificate.subject), "issuer": line(&certificate.issuer),
            "sans": sans, "ca": ca,
            "not_before": certificate.not_before, "not_after": certificate.not_after,
            "days_left": days, "expired": seconds < 0, "expiring": days < self.expiring_within,
            "sha256": fingerprints(&certificate.bytes)["sha256"],
        })))
    }
}

/// `CN=etcd-ca, O=x`.
fn line(subject: &Subject) -> String {
    let short = |oid: &str| {
        let known = SUBJECT.iter().find(|(known, ..)| *known == oid);
        known.map_or_else(|| long(oid), |(_, short, _)| (*short).to_owned())
    };
    let parts: Vec<String> = subject
        .iter()
        .map(|(oid, value)| format!("{}={value}", short(oid)))
        .collect();
    parts.join(", ")
}
