//! Points in time and spans between them, as Python's `datetime` and `timedelta`.

use crate::content::template::TemplateError;
use crate::content::template::eval::Outcome;
use crate::content::template::eval::args::{Args, required};
use crate::content::template::eval::objects::downcast;
use crate::content::value::{Mistake, Object, Value};
use jiff::civil::DateTime;
use jiff::{Timestamp, Zoned};
use std::any::Any;

/// A local time without a zone, as Ansible uses everywhere.
#[derive(Debug)]
pub struct Moment(pub DateTime);

/// A span of time in microseconds.
#[derive(Debug)]
pub struct Duration(pub i64);

impl Object for Moment {
    fn type_name(&self) -> &'static str {
        "datetime"
    }

    fn get(&self, key: &Value) -> Option<Value> {
        let time = self.0;
        Some(Value::Int(match key.as_str()? {
            "year" => time.year().into(),
            "month" => time.month().into(),
            "day" => time.day().into(),
            "hour" => time.hour().into(),
            "minute" => time.minute().into(),
            "second" => time.second().into(),
            "microsecond" => (time.subsec_nanosecond() / 1000).into(),
            _ => return None,
        }))
    }

    fn print(&self) -> Option<String> {
        Some(self.iso(' '))
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl Moment {
    fn iso(&self, separator: char) -> String {
        let micros = self.0.subsec_nanosecond() / 1000;
        let seconds = self.0.strftime("%H:%M:%S");
        let date = self.0.strftime("%Y-%m-%d");
        if micros == 0 {
            format!("{date}{separator}{seconds}")
        } else {
            format!("{date}{separator}{seconds}.{micros:06}")
        }
    }
}

impl Object for Duration {
    fn type_name(&self) -> &'static str {
        "timedelta"
    }

    fn get(&self, key: &Value) -> Option<Value> {
        let day = 86_400_000_000;
        let (days, rest) = (self.0.div_euclid(day), self.0.rem_euclid(day));
        Some(Value::Int(match key.as_str()? {
            "days" => days,
            "seconds" => rest / 1_000_000,
            "microseconds" => rest % 1_000_000,
            _ => return None,
        }))
    }

    fn print(&self) -> Option<String> {
        let part = |name: &str| self.get(&name.into()).and_then(|value| value.as_int());
        let (days, seconds, micros) = (part("days")?, part("seconds")?, part("microseconds")?);
        let mut text = String::new();
        if days != 0 {
            let plural = if days.abs() == 1 { "" } else { "s" };
            text = format!("{days} day{plural}, ");
        }
        text += &format!(
            "{}:{:02}:{:02}",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60
        );
        if micros != 0 {
            text += &format!(".{micros:06}");
        }
        Some(text)
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

pub fn has_method(value: &Value, name: &str) -> bool {
    (downcast::<Moment>(value).is_some()
        && matches!(
            name,
            "strftime" | "isoformat" | "timestamp" | "date" | "weekday" | "isoweekday"
        ))
        || (downcast::<Duration>(value).is_some() && name == "total_seconds")
}

pub fn method(receiver: &Value, name: &str, args: Args) -> Outcome {
    if let Some(Duration(micros)) = downcast(receiver) {
        args.none(name)?;
        return Ok(Value::Float(seconds(*micros)));
    }
    let Some(moment) = downcast::<Moment>(receiver) else {
        return Err(TemplateError::new(format!(
            "'{}' object has no attribute '{name}'",
            receiver.type_name()
        )));
    };
    match name {
        "strftime" => {
            let [format] = args.bind(name, ["format"])?;
            let format = required(name, "format", format)?.to_text();
            Ok(Value::from(strftime(&local(moment.0)?, &format)?))
        }
        "isoformat" => {
            let [separator] = args.bind(name, ["sep"])?;
            let separator = separator.and_then(|text| text.to_text().chars().next());
            Ok(Value::from(moment.iso(separator.unwrap_or('T'))))
        }
        "timestamp" => {
            args.none(name)?;
            Ok(Value::Float(seconds(
                local(moment.0)?.timestamp().as_microsecond(),
            )))
        }
        "date" => {
            args.none(name)?;
            Ok(Value::from(moment.0.strftime("%Y-%m-%d").to_string()))
        }
        _ => {
            args.none(name)?;
            let weekday = moment.0.weekday();
            let day = if name == "weekday" {
                weekday.to_monday_zero_offset()
            } else {
                weekday.to_monday_one_offset()
            };
            Ok(Value::Int(day.into()))
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "as Python counts seconds")]
fn seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}

fn local(time: DateTime) -> Outcome<Zoned> {
    time.to_zoned(jiff::tz::TimeZone::system())
        .map_err(|error| TemplateError::new(format!("this time doesn't exist: {error}")))
}

/// `now(utc=False, fmt=None)`.
pub fn now(args: Args) -> Outcome {
    let [utc, format] = args.bind("now", ["utc", "fmt"])?;
    let utc = utc.is_some_and(|utc| utc.truthy());
    let zone = if utc {
        jiff::tz::TimeZone::UTC
    } else {
        jiff::tz::TimeZone::system()
    };
    let now = Timestamp::now().to_zoned(zone);
    match format.filter(|format| format.truthy()) {
        Some(format) => Ok(Value::from(strftime(&now, &format.to_text())?)),
        None => Ok(Value::object(Moment(now.datetime()))),
    }
}

/// A time in the words of a format, as C's `strftime`; what it doesn't know stays as it is.
pub fn strftime(time: &Zoned, format: &str) -> Outcome<String> {
    let mut out = String::new();
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let mut chars = rest[at + 1..].chars();
        let flag = chars
            .clone()
            .next()
            .filter(|c| matches!(c, '-' | '_' | '0' | '^'));
        if flag.is_some() {
            chars.next();
        }
        let Some(kind) = chars.next() else {
            out.push('%');
            rest = "";
            break;
        };
        let end = rest.len() - chars.as_str().len();
        match kind {
            'f' => out.push_str(&format!("{:06}", time.subsec_nanosecond() / 1000)),
            'c' => out.push_str(&time.strftime("%a %b %e %H:%M:%S %Y").to_string()),
            'x' => out.push_str(&time.strftime("%m/%d/%y").to_string()),
            'X' => out.push_str(&time.strftime("%H:%M:%S").to_string()),
            '%' => out.push('%'),
            _ => {
                let piece = &rest[at..end];
                match jiff::fmt::strtime::format(piece, time) {
                    Ok(text) => out.push_str(&text),
                    Err(_) => out.push_str(piece),
                }
            }
        }
        rest = &rest[end..];
    }
    out.push_str(rest);
    Ok(out)
}

/// A moment read by a format, as Python's `strptime`.
pub fn strptime(text: &str, format: &str) -> Outcome {
    DateTime::strptime(format, text)
        .or_else(|_| {
            jiff::civil::Date::strptime(format, text)
                .map(|date| date.to_datetime(jiff::civil::Time::midnight()))
        })
        .map(|time| Value::object(Moment(time)))
        .map_err(|_| {
            TemplateError::new(format!(
                "time data '{text}' does not match format '{format}'"
            ))
        })
}

/// The span between two moments; None when they aren't moments.
pub fn between(one: &Value, other: &Value) -> Option<Result<Value, Mistake>> {
    let (one, other) = (downcast::<Moment>(one)?, downcast::<Moment>(other)?);
    let zone = jiff::tz::TimeZone::UTC;
    let micros = |time: DateTime| {
        time.to_zoned(zone.clone())
            .map(|time| time.timestamp().as_microsecond())
    };
    Some(match (micros(one.0), micros(other.0)) {
        (Ok(one), Ok(other)) => Ok(Value::object(Duration(one - other))),
        _ => Err(Mistake::new("the time is out of range")),
    })
}
