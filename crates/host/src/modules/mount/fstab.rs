//! The lines of fstab (fstab(5)).

/// One line, with blanks as they are.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) src: String,
    pub(super) point: String,
    pub(super) fstype: String,
    pub(super) opts: String,
    pub(super) dump: String,
    pub(super) passno: String,
}

impl Entry {
    /// `None` for comments and lines of another number of fields.
    fn parse(line: &str) -> Option<Self> {
        let text = line.trim();
        if text.is_empty() || text.starts_with('#') {
            return None;
        }
        let mut fields = text.split_whitespace();
        let entry = Self {
            src: plain(fields.next()?),
            point: plain(fields.next()?),
            fstype: plain(fields.next()?),
            // A field that is left out differs from one that is given, as in Ansible: the line is completed.
            opts: plain(fields.next().unwrap_or_default()),
            dump: fields.next().unwrap_or_default().to_owned(),
            passno: fields.next().unwrap_or_default().to_owned(),
        };
        fields
            .next()
            .is_none_or(|more| more.starts_with('#'))
            .then_some(entry)
    }

    fn text(&self) -> String {
        format!(
            "{} {} {} {} {} {}\n",
            escaped(&self.src),
            escaped(&self.point),
            escaped(&self.fstype),
            escaped(&self.opts),
            self.dump,
            self.passno
        )
    }

    /// Whether a line is about the same: the same mount point, of swap the same device.
    fn is_for(&self, wanted: &Self) -> bool {
        let swap = self.point == "none" && self.fstype == "swap" && !wanted.src.is_empty();
        self.point == wanted.point && (!swap || self.src == wanted.src)
    }
}

/// `a b` → `a\040b`.
fn escaped(field: &str) -> String {
    field
        .replace('\\', "\\134")
        .replace(' ', "\\040")
        .replace('\t', "\\011")
        .replace('\n', "\\012")
}

/// `a\040b` → `a b`.
pub(super) fn plain(field: &str) -> String {
    let bytes = field.as_bytes();
    let mut text = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = field
            .get(at + 1..at + 4)
            .and_then(|code| u8::from_str_radix(code, 8).ok());
        match code {
            Some(code) if bytes[at] == b'\\' => {
                text.push(code);
                at += 4;
            }
            _ => {
                text.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// The text with the entry: in the place of the line of its mount point, else at the end.
pub(super) fn with(text: &str, wanted: &Entry) -> String {
    let mut new = String::with_capacity(text.len() + 128);
    let mut found = false;
    for line in text.split_inclusive('\n') {
        match Entry::parse(line) {
            Some(entry) if entry.is_for(wanted) => {
                found = true;
                if entry == *wanted {
                    new.push_str(line);
                } else {
                    new.push_str(&wanted.text());
                }
            }
            _ => new.push_str(line),
        }
    }
    if !found {
        if !new.is_empty() && !new.ends_with('\n') {
            new.push('\n');
        }
        new.push_str(&wanted.text());
    }
    new
}

/// The text without the lines of the mount point.
pub(super) fn without(text: &str, wanted: &Entry) -> String {
    let is_other = |line: &&str| !Entry::parse(line).is_some_and(|entry| entry.is_for(wanted));
    text.split_inclusive('\n').filter(is_other).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swap_is_known_by_its_device() {
        let text = "/dev/a none swap sw 0 0\n/dev/b none swap sw 0 0\n\\\\srv\\040x /m cifs ro\n";
        let wanted = |src: &str| Entry {
            src: src.to_owned(),
            point: "none".to_owned(),
            fstype: "swap".to_owned(),
            opts: "sw".to_owned(),
            dump: "0".to_owned(),
            passno: "0".to_owned(),
        };
        assert_eq!(with(text, &wanted("/dev/b")), text);
        assert!(with(text, &wanted("/dev/c")).ends_with("/dev/c none swap sw 0 0\n"));
        assert_eq!(without(text, &wanted("/dev/a")).lines().count(), 2);
        assert_eq!(plain("a\\040b\\"), "a b\\");
        assert_eq!(plain(&escaped("a b\t\\")), "a b\t\\");
    }
}
