//! `replace`: everything in a file that fits an expression becomes something else.

use super::{Edited, SHARED};
use crate::encoding::Encoding;
use crate::modules::ownership::Ownership;
use crate::modules::rewrite::Rewrite;
use crate::regex::{Flags, Regex, Replacement};
use crate::spec::join;
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Return, Spec};
use serde::Deserialize;
use std::ops::Range;

#[derive(Deserialize)]
pub struct Replace {
    path: String,
    regexp: String,
    replace: String,
    after: Option<String>,
    before: Option<String>,
    encoding: String,
    #[serde(flatten)]
    ownership: Ownership,
    #[serde(flatten)]
    rewrite: Rewrite,
}

const ARGS: [Arg; 17] = join(
    [
        Arg::new(
            "regexp",
            Kind::Str,
            "Expression (Python's); ^ and $ are the ends of lines.",
        )
        .required(),
        Arg::new(
            "replace",
            Kind::Str,
            "What it becomes; \\1 and \\g<name> are its groups.",
        )
        .default(""),
        Arg::new("after", Kind::Str, "Only what follows this expression."),
        Arg::new("before", Kind::Str, "Only what precedes this expression."),
        Arg::new("encoding", Kind::Str, "Encoding of the file.").default("utf-8"),
    ],
    SHARED,
);

impl Module for Replace {
    const SPEC: Spec = Spec::new(
        "replace",
        "Replaces what fits an expression in a text file.",
        &ARGS,
    )
    .returns(&[
        Return::new("msg", "How many were replaced."),
        Return::new("backup_file", "The copy of the old file, with backup."),
        Return::new("rc", "0."),
    ]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let encoding = Encoding::named(&self.encoding)?;
        let flags = Flags {
            multi_line: true,
            ..Flags::default()
        };
        let regex = pattern("regexp", &self.regexp, flags)?;
        let replacement = Replacement::parse(&self.replace, &regex).map_err(|error| {
            Failure::new(format!("Unable to process replace due to error: {error}"))
        })?;
        let file = Edited::open(cx, &self.path)?;
        let Some(content) = &file.before else {
            let text = format!("Path {} does not exist !", file.path.display());
            return Err(Failure::new(text).with("rc", 257));
        };
        let content = encoding.decode_all(content).map_err(|error| {
            Failure::new(format!(
                "Unable to read the contents of {}: {error}",
                file.path.display()
            ))
        })?;
        let Some(section) = self.section(&content)? else {
            let text = format!(
                "Pattern for before/after params did not match the given file: {}",
                self.section_pattern().unwrap_or_default()
            );
            return Ok(Outcome::ok().with("rc", 0).msg(text));
        };
        let old = &content[section.clone()];
        let (new, count) = regex.replace_all(old, &replacement).map_err(Failure::new)?;
        let after = (count > 0 && new != old)
            .then(|| {
                let all = [&content[..section.start], &new, &content[section.end..]].concat();
                encoding.encode_all(&all)
            })
            .transpose()?;
        let done = file.finish(
            cx,
            after.as_deref(),
            &format!("{count} replacements made"),
            &self.ownership,
            &self.rewrite,
        )?;
        let mut outcome = done.outcome.with("rc", 0);
        if let (Some(after), Some(shown)) = (&after, outcome.data.get_mut("diff"))
            && encoding != Encoding::Utf8
        {
            shown[0]["before"] = content.as_str().into();
            shown[0]["after"] = encoding.decode(after).unwrap_or_default().into();
        }
        Ok(match done.backup {
            Some(backup) => outcome.with("backup_file", backup.to_string_lossy()),
            None => outcome,
        })
    }
}

impl Replace {
    /// What of the file is looked at, as an expression; `None` for all of it.
    fn section_pattern(&self) -> Option<String> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        match (given(&self.after), given(&self.before)) {
            (Some(after), Some(before)) => Some(format!("{after}(?P<subsection>.*?){before}")),
            (Some(after), None) => Some(format!("{after}(?P<subsection>.*)")),
            (None, Some(before)) => Some(format!("(?P<subsection>.*){before}")),
            (None, None) => None,
        }
    }

    fn section(&self, content: &str) -> Result<Option<Range<usize>>, Failure> {
        let Some(text) = self.section_pattern() else {
            return Ok(Some(0..content.len()));
        };
        let flags = Flags {
            dot_all: true,
            ..Flags::default()
        };
        let found = pattern("after and before", &text, flags)?
            .find(content.as_bytes())
            .map_err(Failure::new)?;
        Ok(found.and_then(|found| {
            let (from, to) = found.span_of("subsection")?;
            Some(from..to)
        }))
    }
}

fn pattern(name: &str, text: &str, flags: Flags) -> Result<Regex, Failure> {
    Regex::text(text, flags)
        .map_err(|error| Failure::new(format!("{name} is no regular expression: {error}: {text}")))
}
