//! INI files as Python's `configparser` reads and writes them.

use indexmap::IndexMap;

/// What decides how a file is read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Names keep their capitals.
    pub case_sensitive: bool,
    /// A name may stand alone.
    pub no_value: bool,
}

/// The section whose entries all others have, too.
const DEFAULT: &str = "DEFAULT";

type Section = IndexMap<String, Option<String>>;

/// Sections with their own entries, in order.
#[derive(Debug, Default)]
pub struct Ini {
    defaults: Section,
    pub sections: IndexMap<String, Section>,
}

/// Reads a file.
///
/// # Errors
/// The line that can't be read, and why: an entry before the first section, a line without a name, a section or a name
/// that stands twice.
pub fn read(text: &str, options: Options) -> Result<Ini, String> {
    let mut ini = Ini::default();
    let mut section: Option<String> = None;
    let mut open: Option<(String, usize)> = None;
    for (number, line) in (1..).zip(text.lines()) {
        let trimmed = line.trim();
        let indent = line.len() - line.trim_start().len();
        if trimmed.starts_with(['#', ';']) {
            continue;
        }
        if let (Some((name, above)), Some(current)) = (&open, &section)
            && (trimmed.is_empty() || indent > *above)
        {
            if let Some(Some(value)) = ini.section_mut(current).get_mut(name) {
                value.push('\n');
                value.push_str(trimmed);
            }
            continue;
        }
        if trimmed.is_empty() {
            continue;
        }
        if let Some(name) = trimmed
            .strip_prefix('[')
            .and_then(|rest| Some(rest.split_at(rest.find(']')?).0))
        {
            if ini.sections.contains_key(name) {
                return Err(format!(
                    "line {number}: Duplicate section in the file: '{name}'"
                ));
            }
            if name != DEFAULT {
                ini.sections.insert(name.to_owned(), Section::new());
            }
            section = Some(name.to_owned());
            open = None;
            continue;
        }
        let Some(current) = &section else {
            return Err(format!(
                "line {number}: an entry stands before the first section"
            ));
        };
        let (name, value) = match trimmed.find(['=', ':']) {
            Some(at) => (
                trimmed[..at].trim_end(),
                Some(trimmed[at + 1..].trim().to_owned()),
            ),
            None if options.no_value => (trimmed, None),
            None => return Err(format!("line {number}: there is no '=' in `{trimmed}`")),
        };
        let name = if options.case_sensitive {
            name.to_owned()
        } else {
            name.to_lowercase()
        };
        if ini
            .section_mut(current)
            .insert(name.clone(), value)
            .is_some()
        {
            return Err(format!(
                "line {number}: Duplicate option in '{current}': '{name}'"
            ));
        }
        open = Some((name, indent));
    }
    ini.trim();
    Ok(ini)
}

impl Ini {
    fn section_mut(&mut self, name: &str) -> &mut Section {
        if name == DEFAULT {
            return &mut self.defaults;
        }
        self.sections.entry(name.to_owned()).or_default()
    }

    /// Values of several lines don't end with empty ones.
    fn trim(&mut self) {
        let sections = self.sections.values_mut().chain([&mut self.defaults]);
        for value in sections.flat_map(|section| section.values_mut()).flatten() {
            value.truncate(value.trim_end().len());
        }
    }

    pub fn defaults(&self) -> &Section {
        &self.defaults
    }

    /// All entries of a section, those of `DEFAULT` included; None when there is no such section.
    pub fn entries(&self, name: &str) -> Option<Section> {
        let own = if name == DEFAULT {
            None
        } else {
            Some(self.sections.get(name)?)
        };
        let mut all = self.defaults.clone();
        all.extend(
            own.into_iter()
                .flatten()
                .map(|(name, value)| (name.clone(), value.clone())),
        );
        Some(all)
    }

    /// A value in which `%(name)s` stands for other entries of its section and `%%` for a percent sign.
    ///
    /// # Errors
    /// A reference to what isn't there, or to itself, and a lone percent sign.
    pub fn interpolated(section: &Section, value: &str, depth: u32) -> Result<String, String> {
        if depth > 10 {
            return Err("values refer to each other without an end".to_owned());
        }
        let mut out = String::new();
        let mut rest = value;
        while let Some(at) = rest.find('%') {
            out.push_str(&rest[..at]);
            let after = &rest[at + 1..];
            if let Some(after) = after.strip_prefix('%') {
                out.push('%');
                rest = after;
                continue;
            }
            let reference = after
                .strip_prefix('(')
                .and_then(|inner| inner.split_once(")s"));
            let Some((name, after)) = reference else {
                return Err(format!(
                    "'%' must be followed by '%' or '(', found: `{}`",
                    &rest[at..]
                ));
            };
            let Some(found) = section
                .get(&name.to_lowercase())
                .or_else(|| section.get(name))
            else {
                return Err(format!(
                    "there is no '{name}' that `%({name})s` could stand for"
                ));
            };
            out.push_str(&Self::interpolated(
                section,
                found.as_deref().unwrap_or_default(),
                depth + 1,
            )?);
            rest = after;
        }
        out.push_str(rest);
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_as_python_reads_them() {
        let text = "[DEFAULT]\nbase = /srv\n\n[a]\nName : %(base)s/x\nlong = one\n  two\n\n; note\nempty =\n[b]\n";
        let ini = read(text, Options::default()).expect("it is an INI file");
        let a = ini.entries("a").expect("the section is there");
        assert_eq!(
            Ini::interpolated(&a, a["name"].as_deref().expect("a value"), 0).as_deref(),
            Ok("/srv/x")
        );
        assert_eq!(a["long"].as_deref(), Some("one\ntwo"));
        assert_eq!(a["empty"].as_deref(), Some(""));
        assert_eq!(ini.entries("b").map(|b| b.len()), Some(1));
        assert!(ini.entries("c").is_none());
    }

    #[test]
    fn mistakes_name_their_line() {
        for (text, number) in [
            ("x = 1\n", 1),
            ("[a]\nx = 1\nx = 2\n", 3),
            ("[a]\nalone\n", 2),
            ("[a]\n[a]\n", 2),
        ] {
            let error = read(text, Options::default()).expect_err(text);
            assert!(error.starts_with(&format!("line {number}:")), "{error}");
        }
    }
}
