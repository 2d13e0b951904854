//! Lines of sources.list(5).

/// One line of a list of sources.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    /// `deb [OPTIONS] URI SUITE COMPONENT…` with single blanks; `None` for any other line.
    pub(super) source: Option<String>,
    /// Not commented out.
    pub(super) enabled: bool,
    comment: String,
    /// As it stands in the file.
    pub(super) text: String,
}

impl Line {
    pub(super) fn parse(text: &str) -> Self {
        let trimmed = text.trim();
        let bare = trimmed.trim_start_matches('#');
        let enabled = bare.len() == trimmed.len();
        let (words, comment) = bare.split_once('#').unwrap_or((bare, ""));
        let words: Vec<&str> = words.split_whitespace().collect();
        let is_source = matches!(words.first(), Some(&("deb" | "deb-src"))) && words.len() > 1;
        Self {
            source: is_source.then(|| words.join(" ")),
            enabled,
            comment: comment.trim().to_owned(),
            text: text.to_owned(),
        }
    }

    /// The same line, not commented out.
    pub(super) fn written(&self) -> String {
        let source = self.source.as_deref().unwrap_or_default();
        if self.comment.is_empty() {
            source.to_owned()
        } else {
            format!("{source} # {}", self.comment)
        }
    }
}

/// The name of the file that a source gets: its URI without the scheme and user, with `_` for what isn't a letter.
pub(super) fn file_name(source: &str) -> String {
    let mut rest = source
        .trim_start_matches("deb-src")
        .trim_start_matches("deb")
        .trim_start();
    if let Some(options) = rest.strip_prefix('[') {
        rest = options.split_once(']').map_or(options, |(_, rest)| rest);
    }
    let uri = rest.split_whitespace().next().unwrap_or_default();
    let uri = uri.split_once("://").map_or(uri, |(_, uri)| uri);
    let uri = uri.rsplit_once('@').map_or(uri, |(_, uri)| uri);
    let words: Vec<&str> = uri
        .split(|letter: char| !letter.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    words.join("_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read() {
        for (text, source, enabled, written) in [
            (
                "deb   [arch=amd64  trusted=yes] http://a/  b   c ",
                Some("deb [arch=amd64 trusted=yes] http://a/ b c"),
                true,
                "deb [arch=amd64 trusted=yes] http://a/ b c",
            ),
            (
                "#deb http://a b # why",
                Some("deb http://a b"),
                false,
                "deb http://a b # why",
            ),
            (
                "## deb-src http://a b",
                Some("deb-src http://a b"),
                false,
                "deb-src http://a b",
            ),
            ("# words", None, false, ""),
            ("", None, true, ""),
            ("deb", None, true, ""),
        ] {
            let line = Line::parse(text);
            assert_eq!(
                (line.source.as_deref(), line.enabled),
                (source, enabled),
                "{text}"
            );
            if source.is_some() {
                assert_eq!(line.written(), written, "{text}");
            }
        }
    }

    #[test]
    fn files_are_named_as_ansible_names_them() {
        for (source, name) in [
            (
                "deb [arch=amd64] http://archive.example.com/ubuntu/ hardy main",
                "archive_example_com_ubuntu",
            ),
            (
                "deb-src http://user:pw@archive.example.com/x/ stable/",
                "archive_example_com_x",
            ),
            ("deb [trusted=yes] file:/srv/repo3 ./", "file_srv_repo3"),
        ] {
            assert_eq!(file_name(source), name);
        }
    }
}
