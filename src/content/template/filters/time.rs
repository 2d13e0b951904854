//! Filters of points in time.

use super::{Filter, filter};
use crate::content::template::TemplateError;
use crate::content::template::eval::args::{Args, flag, required, text_of};
use crate::content::template::eval::{Interp, Outcome};
use crate::content::template::globals::time;
use crate::content::value::Value;

pub(super) const FILTERS: &[Filter] = &[
    filter(
        "strftime",
        strftime,
        ("'%Y-%m-%d' | strftime(0, utc=true)", "'1970-01-01'"),
    ),
    filter(
        "to_datetime",
        to_datetime,
        (
            "('2024-03-01 00:00:00' | to_datetime).strftime('%d.%m.')",
            "'01.03.'",
        ),
    ),
];

fn strftime(interp: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [second, utc] = args.bind("strftime", ["second", "utc"])?;
    let zone = if flag(utc.as_ref(), false)? {
        jiff::tz::TimeZone::UTC
    } else {
        jiff::tz::TimeZone::system()
    };
    let stamp = match second {
        None | Some(Value::None) => {
            interp.trail.changing = true;
            jiff::Timestamp::now()
        }
        Some(second) => {
            let seconds = match &second {
                Value::Str(text) => text.text.trim().parse().ok(),
                other => other.to_float(),
            };
            let wrong = || {
                TemplateError::new(format!(
                    "Invalid value for epoch value ({})",
                    second.to_text()
                ))
            };
            #[expect(clippy::cast_possible_truncation, reason = "jiff checks the range")]
            let seconds = seconds.ok_or_else(wrong)?.floor() as i64;
            jiff::Timestamp::from_second(seconds).map_err(|_| wrong())?
        }
    };
    let text = time::strftime(&stamp.to_zoned(zone), &text_of(value)?)?;
    Ok(Value::from(text))
}

fn to_datetime(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [format] = args.bind("to_datetime", ["format"])?;
    let format = match format {
        Some(format) => text_of(&format)?,
        None => "%Y-%m-%d %H:%M:%S".to_owned(),
    };
    let text = text_of(&required("to_datetime", "string", Some(value.clone()))?)?;
    time::strptime(&text, &format)
}
