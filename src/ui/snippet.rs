//! Draws a fault where it was written: the line, a mark under the place, and what to do.

use crate::content::place::Fault;
use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use std::ops::Range;

/// How many lines are shown before and after the line that is meant.
const CONTEXT: usize = 2;

/// Text of a fault for a person, ending with a line break.
///
/// The file is read again here, so that values need not carry their source; a file that is gone by now is named
/// without its line.
pub fn draw(fault: &Fault, color: bool) -> String {
    drawn(fault, Level::ERROR, color)
}

/// The same for what a run goes on with.
pub fn draw_warning(fault: &Fault, color: bool) -> String {
    drawn(fault, Level::WARNING, color)
}

fn drawn(fault: &Fault, level: Level<'static>, color: bool) -> String {
    let mut group = Group::with_title(level.primary_title(fault.message.clone()));
    let source = fault
        .place
        .as_ref()
        .filter(|place| place.line > 0)
        .and_then(|place| Some((place, std::fs::read_to_string(&place.file).ok()?)));
    match (&source, &fault.place) {
        (Some((place, text)), _) => {
            let (excerpt, first_line, span) =
                excerpt(text, place.line as usize, place.column as usize);
            group = group.element(
                Snippet::source(excerpt)
                    .line_start(first_line)
                    .path(place.file.display().to_string())
                    .fold(false)
                    .annotation(AnnotationKind::Primary.span(span)),
            );
        }
        (None, Some(place)) => {
            group = group.element(Level::NOTE.message(format!("in {place}")));
        }
        (None, None) => {}
    }
    for hint in &fault.hints {
        group = group.element(Level::HELP.message(hint.clone()));
    }
    let renderer = if color {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let mut text = renderer.decor_style(DecorStyle::Ascii).render(&[group]);
    text.push('\n');
    text
}

/// The lines around `line` (from 1), the number of the first of them, and the bytes of the excerpt to mark.
fn excerpt(text: &str, line: usize, column: usize) -> (String, usize, Range<usize>) {
    let lines: Vec<&str> = text.lines().collect();
    let line = line.clamp(1, lines.len().max(1));
    let first = line.saturating_sub(CONTEXT).max(1);
    let last = (line + CONTEXT).min(lines.len());
    let mut excerpt = String::new();
    let mut span = 0..0;
    for number in first..=last {
        let content = lines.get(number - 1).copied().unwrap_or_default();
        if number == line {
            let start = content
                .char_indices()
                .nth(column.saturating_sub(1))
                .map_or(content.len(), |(at, _)| at);
            let token = content[start..]
                .char_indices()
                .find(|(_, c)| c.is_whitespace())
                .map_or(content.len() - start, |(at, _)| at);
            span = excerpt.len() + start..excerpt.len() + start + token.max(1);
        }
        excerpt.push_str(content);
        excerpt.push('\n');
    }
    span.end = span.end.min(excerpt.len().max(span.start));
    (excerpt, first, span)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::place::Place;
    use std::path::Path;
    use std::sync::Arc;

    #[test]
    fn shows_the_line_and_the_hint() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("site.yml");
        std::fs::write(
            &path,
            "- hosts: all\n  tasks:\n    - copyy: {}\n    - ping:\n",
        )
        .unwrap();
        let file: Arc<Path> = Arc::from(path.as_path());
        let fault = Fault::new("there is no module `copyy`")
            .at(&Place::new(&file, 3, 7))
            .hint("did you mean `copy`?");
        let text = draw(&fault, false).replace(path.to_str().unwrap(), "site.yml");
        insta::assert_snapshot!(text, @r"
        error: there is no module `copyy`
         --> site.yml:3:7
          |
        1 | - hosts: all
        2 |   tasks:
        3 |     - copyy: {}
          |       ^^^^^^
        4 |     - ping:
          |
          = help: did you mean `copy`?
        ");
    }

    #[test]
    fn a_place_past_the_end_of_its_file_is_still_drawn() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("short.yml");
        std::fs::write(&path, "").unwrap();
        let file: Arc<Path> = Arc::from(path.as_path());
        assert!(
            draw(
                &Fault::new("nothing here").at(&Place::new(&file, 9, 9)),
                false
            )
            .contains("nothing here")
        );
    }
}
