//! Colours, and only where a terminal shows them.

/// What a line means; each has the colour that Ansible gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Good,
    Changed,
    Bad,
    Skipped,
    Unreachable,
    /// What only people who look for mistakes want to know.
    Debug,
    Verbose,
    Warning,
    Strong,
    Dim,
}

/// Paints text, or leaves it as it is.
#[derive(Debug, Clone, Copy)]
pub struct Paint {
    pub on: bool,
}

impl Paint {
    /// Every line of the text on its own, as Ansible paints it.
    pub fn text(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Plain => return text.to_owned(),
            Tone::Good => "0;32",
            Tone::Changed => "0;33",
            Tone::Bad => "0;31",
            Tone::Skipped => "0;36",
            Tone::Unreachable => "1;31",
            Tone::Debug => "1;30",
            Tone::Verbose => "0;34",
            Tone::Warning => "1;35",
            Tone::Strong => "1",
            Tone::Dim => "2",
        };
        if !self.on {
            return text.to_owned();
        }
        let lines = text.split('\n');
        let lines: Vec<String> = lines
            .map(|line| format!("\x1b[{code}m{line}\x1b[0m"))
            .collect();
        lines.join("\n")
    }
}
