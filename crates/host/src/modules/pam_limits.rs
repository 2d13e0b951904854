//! `pam_limits`: what users may use, in limits.conf(5).

use crate::files::{self, Attributes};
use crate::modules::rewrite;
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Return, Rule, Spec};
use serde::Deserialize;
use std::path::Path;

#[derive(Deserialize)]
pub struct PamLimits {
    domain: String,
    limit_type: String,
    limit_item: String,
    value: String,
    backup: bool,
    use_min: bool,
    use_max: bool,
    dest: String,
    comment: String,
}

impl Module for PamLimits {
    const SPEC: Spec = Spec::new(
        "pam_limits",
        "Keeps a limit of users in limits.conf.",
        &[
            Arg::new(
                "domain",
                Kind::Str,
                "User, @group, * or a range of numbers.",
            )
            .required(),
            Arg::new("limit_type", Kind::Str, "hard, soft, or - for both.")
                .choices(&["hard", "soft", "-"])
                .required(),
            Arg::new("limit_item", Kind::Str, "What is limited.")
                .choices(&[
                    "core",
                    "data",
                    "fsize",
                    "memlock",
                    "nofile",
                    "rss",
                    "stack",
                    "cpu",
                    "nproc",
                    "as",
                    "maxlogins",
                    "maxsyslogins",
                    "priority",
                    "locks",
                    "sigpending",
                    "msgqueue",
                    "nice",
                    "rtprio",
                    "chroot",
                ])
                .required(),
            Arg::new(
                "value",
                Kind::Str,
                "A number, or unlimited, infinity or -1.",
            )
            .required(),
            Arg::new(
                "backup",
                Kind::Bool,
                "Keep the old file, with the time in its name.",
            )
            .default("no"),
            Arg::new("use_min", Kind::Bool, "A smaller limit stays.").default("no"),
            Arg::new("use_max", Kind::Bool, "A greater limit stays.").default("no"),
            Arg::new("dest", Kind::Path, "The file.").default("/etc/security/limits.conf"),
            Arg::new("comment", Kind::Str, "Comment at the end of the line.").default(""),
        ],
    )
    .rules(&[Rule::Exclusive(&["use_min", "use_max"])])
    .returns(&[
        Return::new("msg", "The line of the limit."),
        Return::new(
            "backup_file",
            "The copy, with backup when something changed.",
        ),
    ]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        self.check()?;
        let path = cx.expand(&self.dest);
        let old = rewrite::read(&path)?;
        if old.is_none() && !files::parent(&path).is_dir() {
            return Err(Failure::new(format!(
                "directory {} is not present",
                files::parent(&path).display()
            )));
        }
        let before = String::from_utf8(old.clone().unwrap_or_default())
            .map_err(|_| Failure::new(format!("{} is not UTF-8", path.display())))?;
        let (after, line) = self.edited(&before);
        let changed = after != before;
        let mut outcome = Outcome::changed(changed).msg(line);
        if changed && cx.diff() {
            outcome = outcome.diff(&path.to_string_lossy(), &before, &after);
        }
        if changed && !cx.check() {
            if self.backup && old.is_some() {
                let backup = rewrite::keep_copy(&path)?;
                outcome = outcome.with("backup_file", backup.to_string_lossy());
            }
            write(&path, &after, old.is_some())?;
        }
        Ok(outcome)
    }
}

impl PamLimits {
    fn check(&self) -> Result<(), Failure> {
        let any = ["unlimited", "infinity", "-1"].contains(&&*self.value);
        let number = self.value.parse::<i64>();
        let is_fine = if ["nice", "priority"].contains(&&*self.limit_item) {
            number.is_ok_and(|number| (-20..=19).contains(&number))
        } else {
            any || number.is_ok_and(|number| number >= 0)
        };
        if is_fine {
            return Ok(());
        }
        Err(Failure::new(format!(
            "Argument value is not valid: {:?}; it is unlimited, infinity, -1, or a number from 0 (for nice and priority: from -20 to 19)",
            self.value
        )))
    }

    /// The file with the limit, and its line.
    fn edited(&self, text: &str) -> (String, String) {
        let mut new = String::with_capacity(text.len() + 80);
        let mut said = None;
        for line in text.split_inclusive('\n') {
            let (bare, comment) = line.split_once('#').unwrap_or((line, ""));
            let fields: Vec<&str> = bare.split_whitespace().collect();
            let is_it = !line.starts_with('#')
                && fields.len() == 4
                && fields[..3] == [&*self.domain, &*self.limit_type, &*self.limit_item];
            if !is_it {
                new.push_str(line);
                continue;
            }
            // A second line of the same limit goes.
            if said.is_some() {
                continue;
            }
            let value = self.chosen(fields[3]);
            // As in Ansible a comment alone is no reason for a change.
            if value == fields[3] {
                new.push_str(line);
                said = Some(line.to_owned());
                continue;
            }
            let comment = if self.comment.is_empty() {
                comment.trim()
            } else {
                &*self.comment
            };
            let line = self.line(&value, comment);
            new.push_str(&line);
            said = Some(line);
        }
        let line = said.unwrap_or_else(|| {
            let line = self.line(&self.value, &self.comment);
            if !new.is_empty() && !new.ends_with('\n') {
                new.push('\n');
            }
            new.push_str(&line);
            line
        });
        (new, line)
    }

    fn line(&self, value: &str, comment: &str) -> String {
        let comment = if comment.is_empty() {
            String::new()
        } else {
            format!("\t#{comment}")
        };
        format!(
            "{}\t{}\t{}\t{value}{comment}\n",
            self.domain, self.limit_type, self.limit_item
        )
    }

    /// Of what is there and what is asked for, the one that counts.
    fn chosen(&self, is: &str) -> String {
        let number = |text: &str| {
            text.parse::<i64>()
                .ok()
                .filter(|number| *number >= 0 || !is_any(text))
                .unwrap_or(i64::MAX)
        };
        let stays = (self.use_max && number(is) >= number(&self.value))
            || (self.use_min && number(is) <= number(&self.value));
        if stays {
            is.to_owned()
        } else {
            self.value.clone()
        }
    }
}

/// No limit at all.
fn is_any(value: &str) -> bool {
    ["unlimited", "infinity", "-1"].contains(&value)
}

fn write(path: &Path, text: &str, there: bool) -> Result<(), Failure> {
    let attributes = Attributes {
        mode: (!there).then_some(0o644),
        ..Attributes::default()
    };
    files::write(path, text.as_bytes(), attributes)
        .map_err(|error| rewrite::write_failure(path, text.len() as u64, there, &error))
}
