//! The callbacks `profile_tasks` and `timer`: how long tasks and the whole run took.

use super::{Order, Task};
use crate::journal::{Event, Record};
use crate::ui::color::Tone;
use crate::ui::screen::Screen;
use indexmap::IndexMap;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::io::{self, Write};

/// Columns of a line of stars.
const WIDTH: usize = 79;

/// `profile_tasks`.
pub(super) struct Profile {
    settings: super::Profile,
    begun: Option<Timestamp>,
    last: Option<Timestamp>,
    current: Option<String>,
    /// By where they are written: a batch of hosts goes on with the clock of the one before.
    tasks: IndexMap<String, Timing>,
}

#[derive(Clone)]
struct Timing {
    name: String,
    path: Option<String>,
    started: Timestamp,
    /// Seconds.
    elapsed: f64,
}

impl Profile {
    pub(super) fn new(settings: super::Profile) -> Self {
        Self {
            settings,
            begun: None,
            last: None,
            current: None,
            tasks: IndexMap::new(),
        }
    }

    pub(super) fn draw<W: Write>(
        &mut self,
        record: &Record,
        task: &Task,
        screen: &mut Screen<W>,
    ) -> io::Result<()> {
        let now = record.time;
        self.begun.get_or_insert(now);
        match &record.event {
            Event::TaskStarted { .. } => {
                self.clock(now, screen)?;
                self.stop(now);
                let key = task.place.clone().unwrap_or_else(|| task.title());
                let timing = self.tasks.entry(key.clone()).or_insert_with(|| Timing {
                    name: task.title(),
                    path: task.path().map(str::to_owned),
                    started: now,
                    elapsed: 0.0,
                });
                timing.started = now;
                self.current = Some(key);
                Ok(())
            }
            Event::Stats { .. } => {
                self.clock(now, screen)?;
                screen.line(Tone::Plain, &format!("{} ", "=".repeat(WIDTH)))?;
                self.stop(now);
                self.list(screen)
            }
            _ => Ok(()),
        }
    }

    /// The line with the time, how long the task before took, and how long it all took.
    fn clock<W: Write>(&mut self, now: Timestamp, screen: &mut Screen<W>) -> io::Result<()> {
        if self.settings.summary_only {
            return Ok(());
        }
        let begun = self.begun.unwrap_or(now);
        let last = self.last.replace(now).unwrap_or(begun);
        let zoned = now.to_zoned(TimeZone::system());
        let line = format!(
            "{} ({})       {} ",
            zoned.strftime("%A %d %B %Y  %H:%M:%S %z"),
            clock(now.duration_since(last).as_secs_f64()),
            clock(now.duration_since(begun).as_secs_f64())
        );
        let stars = WIDTH.saturating_sub(line.chars().count()).max(3);
        screen.line(Tone::Plain, &format!("{line}{} ", "*".repeat(stars)))
    }

    fn stop(&mut self, now: Timestamp) {
        if let Some(timing) = self.current.take().and_then(|key| self.tasks.get_mut(&key)) {
            timing.elapsed += now.duration_since(timing.started).as_secs_f64();
        }
    }

    fn list<W: Write>(&self, screen: &mut Screen<W>) -> io::Result<()> {
        let mut tasks: Vec<&Timing> = self.tasks.values().collect();
        match self.settings.order {
            Order::None => {}
            Order::Descending => tasks.sort_by(|a, b| b.elapsed.total_cmp(&a.elapsed)),
            Order::Ascending => tasks.sort_by(|a, b| a.elapsed.total_cmp(&b.elapsed)),
        }
        tasks.truncate(self.settings.limit.unwrap_or(usize::MAX));
        for timing in tasks {
            let width = screen.columns.saturating_sub(9);
            let took = format!(" {:.02}s", timing.elapsed);
            let mut line = format!("{:-<width$}{took:->9}", format!("{} ", timing.name));
            if let (true, Some(path)) = (self.settings.paths, &timing.path) {
                line += &format!(
                    "\n{:-<columns$}",
                    format!("{path} "),
                    columns = screen.columns
                );
            }
            screen.line(Tone::Plain, &line)?;
        }
        Ok(())
    }
}

/// `hours:minutes:seconds.milliseconds`.
fn clock(seconds: f64) -> String {
    let millis = (seconds.max(0.0) * 1000.0) as u64;
    let (seconds, millis) = (millis / 1000, millis % 1000);
    let (minutes, seconds) = (seconds / 60, seconds % 60);
    format!(
        "{}:{:02}:{seconds:02}.{millis:03}",
        minutes / 60,
        minutes % 60
    )
}

/// `timer`.
#[derive(Default)]
pub(super) struct Timer {
    begun: Option<Timestamp>,
}

impl Timer {
    pub(super) fn draw<W: Write>(
        &mut self,
        record: &Record,
        screen: &mut Screen<W>,
    ) -> io::Result<()> {
        let begun = *self.begun.get_or_insert(record.time);
        if !matches!(record.event, Event::Stats { .. }) {
            return Ok(());
        }
        let seconds = record.time.duration_since(begun).as_secs().max(0);
        let line = format!(
            "Playbook run took {} days, {} hours, {} minutes, {} seconds",
            seconds / 86_400,
            seconds % 86_400 / 3600,
            seconds % 3600 / 60,
            seconds % 60
        );
        screen.line(Tone::Plain, &line)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn clocks_count_hours() {
        assert_eq!(super::clock(3723.0425), "1:02:03.042");
    }
}
