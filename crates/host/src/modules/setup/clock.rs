//! `date_time`.

use super::{Facts, put};
use jiff::Zoned;
use jiff::tz::TimeZone;
use serde_json::json;

pub(super) fn collect(facts: &mut Facts) {
    let now = Zoned::now();
    let utc = now.with_time_zone(TimeZone::UTC);
    let local = |format: &str| now.strftime(format).to_string();
    let date_time = json!({
        "year": local("%Y"),
        "month": local("%m"),
        "weekday": local("%A"),
        "weekday_number": local("%w"),
        "weeknumber": local("%W"),
        "day": local("%d"),
        "hour": local("%H"),
        "minute": local("%M"),
        "second": local("%S"),
        "epoch": now.timestamp().as_second().to_string(),
        "epoch_int": now.timestamp().as_second().to_string(),
        "date": local("%Y-%m-%d"),
        "time": local("%H:%M:%S"),
        "iso8601_micro": utc.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string(),
        "iso8601": utc.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "iso8601_basic": local("%Y%m%dT%H%M%S%6f"),
        "iso8601_basic_short": local("%Y%m%dT%H%M%S"),
        "tz": local("%Z"),
        "tz_dst": local("%Z"),
        "tz_offset": local("%z"),
    });
    put(facts, "date_time", date_time);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_their_shapes() {
        let mut facts = Facts::new();
        collect(&mut facts);
        let time = &facts["ansible_date_time"];
        let fits = |key: &str, pattern: &str| {
            let text = time[key].as_str().expect("text");
            assert!(crate::globs::fnmatch(pattern, text), "{key}: {text}");
        };
        fits("date", "[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]");
        fits("time", "[0-2][0-9]:[0-5][0-9]:[0-6][0-9]");
        fits("iso8601", "????-??-??T??:??:??Z");
        fits("iso8601_micro", "????-??-??T??:??:??.??????Z");
        fits("tz_offset", "[+-]????");
    }
}
