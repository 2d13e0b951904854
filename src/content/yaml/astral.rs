//! Characters above U+FFFF: the libyaml that PyYAML is built with escapes them (`\U0001F600`), ours writes them as they
//! are. They travel through the emitter as two control characters that take as many bytes (4) and, escaped, as many
//! columns (10), and are put back afterwards.

/// How such characters are disguised in one document.
#[derive(Default)]
pub struct Disguise {
    /// The two characters, and how the emitter escapes them. None: there is nothing to disguise.
    pair: Option<(String, String)>,
    /// The characters, in the order in which they are emitted.
    hidden: Vec<char>,
}

fn is_astral(c: char) -> bool {
    u32::from(c) > 0xFFFF
}

impl Disguise {
    /// A disguise that none of these texts contains.
    pub fn for_texts(texts: &[&str]) -> Self {
        if !texts.iter().any(|text| text.contains(is_astral)) {
            return Self::default();
        }
        let candidates = ['\u{fffe}', '\u{ffff}'].into_iter().flat_map(|first| {
            ('\u{1}'..='\u{6}')
                .chain('\u{e}'..='\u{1a}')
                .map(move |second| {
                    let escaped =
                        format!("\\u{:04X}\\x{:02X}", u32::from(first), u32::from(second));
                    (format!("{first}{second}"), escaped)
                })
        });
        let mut candidates = candidates.filter(|(raw, escaped)| {
            !texts
                .iter()
                .any(|text| text.contains(raw.as_str()) || text.contains(escaped.as_str()))
        });
        Self {
            pair: candidates.next(),
            hidden: Vec::new(),
        }
    }

    /// The text to emit next.
    pub fn hide(&mut self, text: &str) -> String {
        let Some((raw, _)) = &self.pair else {
            return text.to_owned();
        };
        let mut hidden = String::with_capacity(text.len());
        for c in text.chars() {
            if is_astral(c) {
                hidden.push_str(raw);
                self.hidden.push(c);
            } else {
                hidden.push(c);
            }
        }
        hidden
    }

    /// What was emitted, with the characters escaped as PyYAML's libyaml does.
    pub fn reveal(&self, output: String) -> String {
        let Some((_, escaped)) = &self.pair else {
            return output;
        };
        let mut parts = output.split(escaped.as_str());
        let mut text = parts.next().unwrap_or_default().to_owned();
        for (part, c) in parts.zip(&self.hidden) {
            text.push_str(&format!("\\U{:08X}", u32::from(*c)));
            text.push_str(part);
        }
        text
    }
}
