//! `lineinfile`: one line is in a file, or isn't.

use super::{Edited, SHARED, bare, ended, is_in, line_pattern, lines};
use crate::modules::ownership::Ownership;
use crate::modules::rewrite::Rewrite;
use crate::regex::{Regex, Replacement};
use crate::spec::join;
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Return, Rule, Spec};
use serde::Deserialize;

#[derive(Deserialize)]
pub struct Lineinfile {
    path: String,
    state: String,
    regexp: Option<String>,
    search_string: Option<String>,
    line: Option<String>,
    insertafter: Option<String>,
    insertbefore: Option<String>,
    backrefs: bool,
    create: bool,
    firstmatch: bool,
    #[serde(flatten)]
    ownership: Ownership,
    #[serde(flatten)]
    rewrite: Rewrite,
}

const ARGS: [Arg; 21] = join(
    [
        Arg::new("state", Kind::Str, "Whether the line is to be there.")
            .choices(&["absent", "present"])
            .default("present"),
        Arg::new(
            "regexp",
            Kind::Str,
            "Expression (Python's) for the line to replace, the last one that fits; for absent: all of them go.",
        )
        .aliases(&["regex"]),
        Arg::new(
            "search_string",
            Kind::Str,
            "The same as a plain text that the line holds.",
        ),
        Arg::new("line", Kind::Str, "The line.").aliases(&["value"]),
        Arg::new(
            "insertafter",
            Kind::Str,
            "Where a line goes that isn't there: after the last line that fits this expression, or EOF.",
        ),
        Arg::new(
            "insertbefore",
            Kind::Str,
            "Where a line goes that isn't there: before the last line that fits this expression, or BOF.",
        ),
        Arg::new(
            "backrefs",
            Kind::Bool,
            "The line may name groups of regexp; where that doesn't fit, nothing happens.",
        )
        .default("no"),
        Arg::new("create", Kind::Bool, "Make a file that isn't there.").default("no"),
        Arg::new(
            "firstmatch",
            Kind::Bool,
            "The first line that fits counts, not the last.",
        )
        .default("no"),
    ],
    SHARED,
);

const EMPTY: &str = "is an empty string, which will match every line in the file. This may have unintended \
                     consequences, such as replacing the last line in the file rather than appending.";

impl Module for Lineinfile {
    const SPEC: Spec = Spec::new("lineinfile", "Keeps one line in a text file.", &ARGS)
        .rules(&[
            Rule::Exclusive(&["insertbefore", "insertafter"]),
            Rule::Exclusive(&["regexp", "search_string"]),
            Rule::Exclusive(&["backrefs", "search_string"]),
        ])
        .returns(&[
            Return::new("msg", "What was done."),
            Return::new("backup", "The copy of the old file, with backup."),
            Return::new("found", "With state absent: how many lines went."),
        ]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        if self.regexp.as_deref() == Some("") {
            cx.warn(format!("The regular expression {EMPTY} If this is desired, use '^' to match every line in the file and avoid this warning."));
        }
        if self.search_string.as_deref() == Some("") {
            cx.warn(format!("The search string {EMPTY}"));
        }
        if self.state == "absent" {
            self.absent(cx)
        } else {
            self.present(cx)
        }
    }
}

/// What a line is looked for by.
enum Search<'a> {
    Regex(Regex),
    Text(&'a str),
    Nothing,
}

impl Search<'_> {
    fn fits(&self, line: &[u8]) -> Result<bool, Failure> {
        Ok(match self {
            Self::Regex(regex) => is_in(regex, line)?,
            Self::Text(text) => {
                let text = text.as_bytes();
                text.is_empty() || line.windows(text.len()).any(|part| part == text)
            }
            Self::Nothing => false,
        })
    }
}

/// Where a line goes that isn't in the file.
enum Place {
    Start,
    End,
    /// Behind the line that fits.
    After(Regex),
    Before(Regex),
}

/// What the file says about where the line belongs.
enum Spot {
    /// In the place of this one.
    Replace(usize),
    Insert(usize),
    Append,
}

impl Lineinfile {
    fn search(&self) -> Result<Search<'_>, Failure> {
        Ok(match (&self.regexp, &self.search_string) {
            (Some(regexp), _) => Search::Regex(line_pattern("regexp", regexp)?),
            (None, Some(text)) => Search::Text(text),
            (None, None) => Search::Nothing,
        })
    }

    fn place(&self) -> Result<Place, Failure> {
        Ok(
            match (self.insertafter.as_deref(), self.insertbefore.as_deref()) {
                (Some("BOF"), _) | (_, Some("BOF")) => Place::Start,
                (Some("EOF"), _) | (None, None) => Place::End,
                (Some(pattern), _) => Place::After(line_pattern("insertafter", pattern)?),
                (None, Some(pattern)) => Place::Before(line_pattern("insertbefore", pattern)?),
            },
        )
    }

    fn present(&self, cx: &Context) -> Result<Outcome, Failure> {
        if self.backrefs && self.regexp.is_none() {
            return Err(Failure::new("regexp is required with backrefs=true"));
        }
        let Some(line) = self.line.as_deref() else {
            return Err(Failure::new("line is required with state=present"));
        };
        let (search, place) = (self.search()?, self.place()?);
        let file = Edited::open_or_create(cx, &self.path, self.create, "Destination")?;
        let mut lines = lines(file.content());
        let said = self.put(&mut lines, line, &search, &place)?;
        let after = said.map(|_| lines.concat());
        let done = file.finish(
            cx,
            after.as_deref(),
            said.unwrap_or_default(),
            &self.ownership,
            &self.rewrite,
        )?;
        let backup = done.backup.unwrap_or_default();
        Ok(done.outcome.with("backup", backup.to_string_lossy()))
    }

    /// Puts the line where it belongs; what was done, if anything was.
    fn put(
        &self,
        lines: &mut Vec<Vec<u8>>,
        line: &str,
        search: &Search<'_>,
        place: &Place,
    ) -> Result<Option<&'static str>, Failure> {
        let found = self.target(lines, search)?;
        let spot = match found {
            Some(at) => Spot::Replace(at),
            None => match self.spot(lines, line.as_bytes(), place)? {
                // Without a match there are no groups to fill in.
                Spot::Insert(_) | Spot::Append if self.backrefs => return Ok(None),
                spot => spot,
            },
        };
        let new = match (found, search) {
            (Some(at), Search::Regex(regex)) if self.backrefs => expanded(regex, &lines[at], line)?,
            _ => line.as_bytes().to_vec(),
        };
        let new = match spot {
            Spot::Replace(_) => ended(&new),
            _ => [&new[..], b"\n"].concat(),
        };
        match spot {
            Spot::Replace(at) if lines[at] == new => Ok(None),
            Spot::Replace(at) => {
                lines[at] = new;
                Ok(Some("line replaced"))
            }
            Spot::Insert(at) => {
                // The line before may be the last one and end without a line feed.
                if let Some(last) = at.checked_sub(1).and_then(|at| lines.get_mut(at)) {
                    *last = ended(last);
                }
                lines.insert(at, new);
                Ok(Some("line added"))
            }
            Spot::Append => {
                if let Some(last) = lines.last_mut()
                    && !last.ends_with(b"\r")
                {
                    *last = ended(last);
                }
                lines.push(new);
                Ok(Some("line added"))
            }
        }
    }

    /// The line that the search means.
    fn target(&self, lines: &[Vec<u8>], search: &Search<'_>) -> Result<Option<usize>, Failure> {
        let mut target = None;
        for (at, line) in lines.iter().enumerate() {
            if search.fits(line)? {
                target = Some(at);
                if self.firstmatch {
                    break;
                }
            }
        }
        Ok(target)
    }

    /// Where the line is, or is to be, when nothing was searched for or found.
    fn spot(&self, lines: &[Vec<u8>], line: &[u8], place: &Place) -> Result<Spot, Failure> {
        let (mut same, mut anchor) = (None, None);
        for (at, known) in lines.iter().enumerate() {
            if bare(known) == line {
                same = Some(at);
                continue;
            }
            let fits = match place {
                Place::After(regex) => is_in(regex, known)?.then_some(at + 1),
                Place::Before(regex) => is_in(regex, known)?.then_some(at),
                Place::Start | Place::End => None,
            };
            if fits.is_some() {
                anchor = fits;
                if self.firstmatch {
                    break;
                }
            }
        }
        if let Some(at) = same {
            return Ok(Spot::Replace(at));
        }
        Ok(match (place, anchor) {
            (Place::Start, _) => Spot::Insert(0),
            // The line that follows the first match may be this one already.
            (Place::After(_), Some(at)) if lines.get(at).is_some_and(|next| bare(next) == line) => {
                Spot::Replace(at)
            }
            (_, Some(at)) => Spot::Insert(at),
            (_, None) => Spot::Append,
        })
    }

    fn absent(&self, cx: &Context) -> Result<Outcome, Failure> {
        let search = self.search()?;
        if self.line.is_none() && matches!(search, Search::Nothing) {
            return Err(Failure::new(
                "one of line, search_string, or regexp is required with state=absent",
            ));
        }
        let file = Edited::open(cx, &self.path)?;
        if file.before.is_none() {
            return Ok(Outcome::ok().msg("file not present"));
        }
        let line = self.line.as_deref().unwrap_or_default().as_bytes();
        let (mut kept, mut found) = (Vec::new(), 0);
        for known in lines(file.content()) {
            let goes = match search {
                Search::Nothing => bare(&known) == line,
                _ => search.fits(&known)?,
            };
            if goes {
                found += 1;
            } else {
                kept.extend(known);
            }
        }
        let done = file.finish(
            cx,
            (found > 0).then_some(&kept[..]),
            &format!("{found} line(s) removed"),
            &self.ownership,
            &self.rewrite,
        )?;
        let backup = done.backup.unwrap_or_default();
        Ok(done
            .outcome
            .with("found", found)
            .with("backup", backup.to_string_lossy()))
    }
}

/// The line with the groups of what it replaces.
fn expanded(regex: &Regex, old: &[u8], line: &str) -> Result<Vec<u8>, Failure> {
    let replacement = Replacement::parse(line, regex)
        .map_err(|error| Failure::new(format!("line can't be expanded: {error}: {line}")))?;
    let found = regex.find(old).map_err(Failure::new)?;
    Ok(found.map_or_else(Vec::new, |found| found.expand(&replacement)))
}
