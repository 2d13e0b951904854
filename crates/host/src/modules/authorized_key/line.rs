//! Lines of an authorized_keys file (sshd(8), AUTHORIZED_KEYS FILE FORMAT).

/// What a key can begin with.
const TYPES: &[&str] = &[
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp384-cert-v01@openssh.com",
    "ecdsa-sha2-nistp521",
    "ecdsa-sha2-nistp521-cert-v01@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "sk-ssh-ed25519@openssh.com",
    "sk-ssh-ed25519-cert-v01@openssh.com",
    "ssh-dss",
    "ssh-dss-cert-v01@openssh.com",
    "ssh-ed25519",
    "ssh-ed25519-cert-v01@openssh.com",
    "ssh-rsa",
    "ssh-rsa-cert-v01@openssh.com",
    "ssh-xmss-cert-v01@openssh.com",
    "ssh-xmss@openssh.com",
];

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Line {
    Key(Key),
    /// A comment, an empty line, or something that isn't understood: it stays as it is.
    Other(String),
}

/// One public key.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Key {
    /// `no-pty`, `from="a,b"`.
    pub(super) options: Vec<String>,
    kind: String,
    blob: String,
    pub(super) comment: String,
}

impl Key {
    /// `[OPTIONS] TYPE BLOB [COMMENT]`; `None` for what isn't a key.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let line = line.trim().replace("\\#", "#");
        let words: Vec<&str> = line.split_whitespace().collect();
        if line.starts_with('#') {
            return None;
        }
        let at = words.iter().position(|word| TYPES.contains(word))?;
        // Blanks in a command are a part of it.
        let before = words[at].as_ptr() as usize - line.as_ptr() as usize;
        Some(Self {
            options: options(line[..before].trim_end()),
            kind: words[at].to_owned(),
            blob: (*words.get(at + 1)?).to_owned(),
            comment: words[at + 2..].join(" "),
        })
    }

    fn text(&self) -> String {
        let mut text = self.options.join(",");
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&format!("{} {}", self.kind, self.blob));
        if !self.comment.is_empty() {
            text.push(' ');
            text.push_str(&self.comment);
        }
        text
    }
}

impl Line {
    /// Whether it holds the same key, whatever its options and its comment are.
    pub(super) fn is(&self, key: &Key) -> bool {
        matches!(self, Self::Key(known) if known.blob == key.blob)
    }

    /// Whether it holds the same key with the same options, in any order, and the same comment.
    pub(super) fn says(&self, key: &Key) -> bool {
        let sorted = |key: &Key| {
            let mut options = key.options.clone();
            options.sort();
            options
        };
        matches!(self, Self::Key(known) if known.kind == key.kind && known.comment == key.comment && sorted(known) == sorted(key))
    }
}

/// Options of a key, separated by commas that aren't in quotes.
pub(super) fn options(text: &str) -> Vec<String> {
    let mut options = vec![String::new()];
    let mut quoted = false;
    let mut before = ' ';
    for letter in text.chars() {
        match letter {
            '"' if before != '\\' => quoted = !quoted,
            ',' if !quoted => {
                options.push(String::new());
                before = letter;
                continue;
            }
            _ => {}
        }
        before = letter;
        if let Some(option) = options.last_mut() {
            option.push(letter);
        }
    }
    options.retain(|option| !option.trim().is_empty());
    options
}

pub(super) fn read(text: &str) -> Vec<Line> {
    text.lines()
        .map(|line| Key::parse(line).map_or_else(|| Line::Other(line.to_owned()), Line::Key))
        .collect()
}

pub(super) fn written(lines: &[Line]) -> String {
    lines
        .iter()
        .map(|line| match line {
            Line::Key(key) => key.text() + "\n",
            Line::Other(text) => format!("{text}\n"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_keep_their_quotes_and_commas() {
        assert_eq!(
            options("no-pty,command=\"a, b\",from=\"x\\\"y,z\""),
            ["no-pty", "command=\"a, b\"", "from=\"x\\\"y,z\""]
        );
        let key = Key::parse("command=\"echo a  b\" ssh-rsa AAAA c d").expect("a key");
        assert_eq!(key.text(), "command=\"echo a  b\" ssh-rsa AAAA c d");
        assert!(Key::parse("# ssh-rsa AAAA").is_none() && Key::parse("ssh-rsa").is_none());
    }
}
