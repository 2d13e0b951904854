//! Moments in certificates: `20300101000000Z`, or `+3650d` from now.

use super::der;
use crate::Failure;
use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(Timestamp);

/// Reads one: `YYYYMMDDHHMMSSZ`, also without seconds or with two digits of the year, or weeks, days, hours, minutes and
/// seconds from now.
pub(super) fn moment(text: &str) -> Result<Moment, Failure> {
    let wrong = || {
        Failure::new(format!(
            "The time spec \"{text}\" is invalid: it is YYYYMMDDHHMMSSZ, or a difference from now as +2w3d4h5m6s"
        ))
    };
    if let Some(rest) = text.strip_prefix(['+', '-']) {
        let seconds = seconds(rest).ok_or_else(wrong)?;
        let sign = if text.starts_with('-') { -1 } else { 1 };
        // Whole seconds: certificates have no others.
        let now = Timestamp::from_second(Timestamp::now().as_second()).map_err(|_| wrong())?;
        return now
            .checked_add(SignedDuration::from_secs(sign * seconds))
            .map(Moment)
            .map_err(|_| wrong());
    }
    let digits = text
        .strip_suffix('Z')
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
        .ok_or_else(wrong)?;
    let full = match digits.len() {
        14 => digits.to_owned(),
        12 if digits.starts_with("19") || digits.starts_with("20") => format!("{digits}00"),
        12 => format!("{}{digits}", if digits < "5" { "20" } else { "19" }),
        _ => return Err(wrong()),
    };
    let parsed = DateTime::strptime("%Y%m%d%H%M%S", &full).map_err(|_| wrong())?;
    parsed
        .to_zoned(TimeZone::UTC)
        .map(|zoned| Moment(zoned.timestamp()))
        .map_err(|_| wrong())
}

fn seconds(text: &str) -> Option<i64> {
    let (mut sum, mut number) = (0_i64, String::new());
    for letter in text.chars() {
        let unit = match letter {
            '0'..='9' => {
                number.push(letter);
                continue;
            }
            'w' => 7 * 24 * 3600,
            'd' => 24 * 3600,
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        sum = sum.checked_add(number.parse::<i64>().ok()?.checked_mul(unit)?)?;
        number.clear();
    }
    (number.is_empty() && !text.is_empty()).then_some(sum)
}

impl Moment {
    /// Seconds since 1970.
    pub(super) fn seconds(self) -> i64 {
        self.0.as_second()
    }

    pub(super) fn text(self) -> String {
        self.0
            .to_zoned(TimeZone::UTC)
            .strftime("%Y%m%d%H%M%SZ")
            .to_string()
    }

    /// As RFC 5280, 4.1.2.5, has it: two digits of the year until 2049.
    pub(super) fn write(self) -> Vec<u8> {
        let text = self.text();
        if text.as_str() < "2050" {
            return der::item(der::UTC_TIME, &text.as_bytes()[2..]);
        }
        der::item(der::TIME, text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_and_written() {
        assert_eq!(
            moment("20300102030405Z").expect("sound").text(),
            "20300102030405Z"
        );
        assert_eq!(
            moment("203001020304Z").expect("sound").text(),
            "20300102030400Z"
        );
        assert_eq!(
            moment("490102030405Z").expect("sound").text(),
            "20490102030405Z"
        );
        assert_eq!(
            moment("500102030405Z").expect("sound").text(),
            "19500102030405Z"
        );
        assert_eq!(
            moment("20500101000000Z").expect("sound").write()[0],
            der::TIME
        );
        assert!(moment("+1d").expect("sound") > moment("+23h59m").expect("sound"));
        assert!(moment("-1w").expect("sound") < moment("+0s").expect("sound"));
        for wrong in [
            "",
            "+",
            "+1",
            "1d",
            "tomorrow",
            "20301301000000Z",
            "+9999999999999999999w",
        ] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }
}
