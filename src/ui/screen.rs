//! Where callbacks write: standard output and standard error, with the colours and the width of the terminal.

use super::color::{Paint, Tone};
use std::io::{self, Write};

/// Both outputs of a command.
pub struct Screen<W> {
    pub out: W,
    pub err: Box<dyn Write + Send>,
    pub paint: Paint,
    /// Width of banners.
    pub columns: usize,
}

impl<W: Write> Screen<W> {
    /// Writes text as a line of its own; a line end that it brings is enough.
    pub fn line(&mut self, tone: Tone, text: &str) -> io::Result<()> {
        write_line(&mut self.out, self.paint, tone, text)
    }

    /// The same on standard error.
    pub fn error(&mut self, tone: Tone, text: &str) -> io::Result<()> {
        write_line(&mut self.err, self.paint, tone, text)
    }

    /// A title in front of stars, after an empty line.
    pub fn banner(&mut self, title: &str) -> io::Result<()> {
        let title = title.trim();
        let stars = self.columns.saturating_sub(width(title)).max(3);
        let line = format!("\n{title} {}", "*".repeat(stars));
        self.line(Tone::Plain, &line)
    }
}

fn write_line(out: &mut impl Write, paint: Paint, tone: Tone, text: &str) -> io::Result<()> {
    let text = paint.text(tone, text);
    match text.ends_with('\n') {
        true => write!(out, "{text}"),
        false => writeln!(out, "{text}"),
    }
}

/// Columns that a text takes: wide characters of East Asia and pictures take two, marks on others none.
fn width(text: &str) -> usize {
    let one = |c: char| match c as u32 {
        0..=0x1f | 0x7f..=0x9f | 0x300..=0x36f | 0x200b..=0x200f | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f
        | 0x2e80..=0x303e
        | 0x3041..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1f64f
        | 0x1f900..=0x1f9ff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    };
    text.chars().map(one).sum()
}
