//! When a job runs: as systemd's calendar says it (systemd.time(7)), so that a run that was missed is caught up.

use serde::{Deserialize, Serialize};

/// A calendar expression, and how far apart runs may be spread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// `OnCalendar=`.
    pub calendar: String,
    /// Seconds of `RandomizedDelaySec=`: many controllers don't begin in one moment.
    pub jitter: u64,
    /// The five fields of a crontab, where there is such a line.
    pub cron: Option<String>,
}

/// Longer delays help nobody.
const MOST_JITTER: u64 = 1800;

impl Timing {
    /// `15m`, `6h`, `1d`, `1w`: minutes that divide an hour, hours that divide a day.
    ///
    /// # Errors
    /// The calendar has no such rhythm.
    pub fn every(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "'{text}' is no rhythm of the calendar: minutes that divide an hour (15m), hours that divide a day (6h), 1d or 1w are"
            )
        };
        let unit = text.chars().last().ok_or_else(wrong)?;
        let count: u64 = text
            .strip_suffix(unit)
            .and_then(|n| n.parse().ok())
            .filter(|n| *n > 0)
            .ok_or_else(wrong)?;
        let (calendar, cron, seconds) = match (unit, count) {
            ('m', n) if n < 60 && 60 % n == 0 => (
                format!("*-*-* *:00/{n}:00"),
                format!("*/{n} * * * *"),
                n * 60,
            ),
            ('h', n) if n < 24 && 24 % n == 0 => (
                format!("*-*-* 00/{n}:00:00"),
                format!("0 */{n} * * *"),
                n * 3600,
            ),
            ('h', 24) | ('d', 1) => ("*-*-* 00:00:00".to_owned(), "0 0 * * *".to_owned(), 86_400),
            ('d', 7) | ('w', 1) => (
                "Mon *-*-* 00:00:00".to_owned(),
                "0 0 * * 1".to_owned(),
                604_800,
            ),
            _ => return Err(wrong()),
        };
        Ok(Self {
            calendar,
            jitter: (seconds / 10).min(MOST_JITTER),
            cron: Some(cron),
        })
    }

    /// A calendar expression of systemd, taken as it is; systemd itself judges it.
    pub fn calendar(text: &str) -> Self {
        Self {
            calendar: text.to_owned(),
            jitter: 300,
            cron: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rhythms_become_calendars() {
        for (text, calendar, cron, jitter) in [
            ("15m", "*-*-* *:00/15:00", "*/15 * * * *", 90),
            ("6h", "*-*-* 00/6:00:00", "0 */6 * * *", 1800),
            ("1d", "*-*-* 00:00:00", "0 0 * * *", 1800),
            ("24h", "*-*-* 00:00:00", "0 0 * * *", 1800),
            ("1w", "Mon *-*-* 00:00:00", "0 0 * * 1", 1800),
        ] {
            let timing = Timing::every(text).expect("a rhythm");
            assert_eq!(timing.calendar, calendar);
            assert_eq!(timing.cron.as_deref(), Some(cron));
            assert_eq!(timing.jitter, jitter, "{text}");
        }
        for text in [
            "", "h", "0h", "7h", "25m", "60m", "3d", "6", "6 h", "-6h", "é",
        ] {
            assert!(Timing::every(text).is_err(), "{text}");
        }
    }
}
