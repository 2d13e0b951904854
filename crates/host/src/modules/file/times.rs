//! `modification_time` and `access_time`.

use super::File;
use crate::modules::ownership::Changes;
use crate::{Context, Failure};
use jiff::civil::DateTime;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, utimensat};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Time {
    Preserve,
    Now,
    /// Seconds since 1970.
    At(i64),
}

/// Which times a path gets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Times {
    modification: Time,
    access: Time,
}

impl Times {
    pub(super) fn new(file: &File, state: &str) -> Result<Self, Failure> {
        let default = if state == "touch" {
            Time::Now
        } else {
            Time::Preserve
        };
        let read = |name: &str, text: &Option<String>, format: &str| match text {
            None => Ok(default),
            Some(text) => parse(name, text, format),
        };
        Ok(Self {
            modification: read(
                "modification_time",
                &file.modification_time,
                &file.modification_time_format,
            )?,
            access: read("access_time", &file.access_time, &file.access_time_format)?,
        })
    }

    /// Sets the times that differ, or says in check mode that it would. `now` always differs.
    pub(super) fn apply(
        &self,
        cx: &Context,
        path: &Path,
        changes: &mut Changes,
    ) -> Result<bool, Failure> {
        let failed = |error: &std::io::Error| {
            Failure::io(
                "error while updating modification or access time of",
                path,
                error,
            )
        };
        if (self.modification, self.access) == (Time::Preserve, Time::Preserve) {
            return Ok(false);
        }
        let meta = fs::symlink_metadata(path).map_err(|error| failed(&error))?;
        let mut one = |key: &str, wanted, now: (i64, i64)| match wanted {
            Time::At(seconds) if (seconds, 0) != now => {
                changes.add(key, now.0 as f64 + now.1 as f64 / 1e9, seconds as f64);
                Some(Timespec {
                    tv_sec: seconds,
                    tv_nsec: 0,
                })
            }
            Time::Now => {
                let seconds = jiff::Timestamp::now().as_second();
                changes.add(key, now.0 as f64 + now.1 as f64 / 1e9, seconds as f64);
                Some(Timespec {
                    tv_sec: 0,
                    tv_nsec: UTIME_NOW,
                })
            }
            _ => None,
        };
        let modification = one(
            "mtime",
            self.modification,
            (meta.mtime(), meta.mtime_nsec()),
        );
        let access = one("atime", self.access, (meta.atime(), meta.atime_nsec()));
        if modification.is_none() && access.is_none() {
            return Ok(false);
        }
        if !cx.check() {
            let keep = Timespec {
                tv_sec: 0,
                tv_nsec: UTIME_OMIT,
            };
            let times = Timestamps {
                last_access: access.unwrap_or(keep),
                last_modification: modification.unwrap_or(keep),
            };
            utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|error| failed(&error.into()))?;
        }
        Ok(true)
    }
}

fn parse(name: &str, text: &str, format: &str) -> Result<Time, Failure> {
    match text {
        "preserve" => return Ok(Time::Preserve),
        "now" => return Ok(Time::Now),
        _ => {}
    }
    let read = strtime::parse(format, text).and_then(|time| {
        // A format without a time of day means midnight, as in Python.
        let date = time.to_date()?;
        let datetime = time.to_datetime().unwrap_or(DateTime::from(date));
        datetime.to_zoned(TimeZone::system())
    });
    read.map(|time| Time::At(time.timestamp().as_second()))
        .map_err(|error| {
            Failure::new(format!(
                "{name}: {text:?} is not a time in the format {format:?}: {error}"
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_their_format() {
        let seconds = |text: &str, format: &str| match parse("t", text, format) {
            Ok(Time::At(seconds)) => seconds,
            other => panic!("{other:?}"),
        };
        let start = seconds("197001020000.00", super::super::TIME_FORMAT);
        assert_eq!(seconds("1970-01-02", "%Y-%m-%d"), start);
        assert_eq!(
            seconds("197001020000.07", super::super::TIME_FORMAT),
            start + 7
        );
        assert_eq!(parse("t", "now", ""), Ok(Time::Now));
        let failure = parse("access_time", "today", "%Y").expect_err("no year");
        assert!(failure.message.starts_with("access_time: \"today\""));
    }
}
