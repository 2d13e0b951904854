//! Points in time as Python prints what PyYAML makes of them.

/// A timestamp of YAML as `str(datetime)` has it: `2001-12-14t21:59:43.10-5` becomes `2001-12-14 21:59:43.100000-05:00`.
/// A date stays as it is.
pub fn printed(text: &str) -> String {
    let Some(at) = text.find(['T', 't', ' ', '\t']) else {
        return text.to_owned();
    };
    let (date, rest) = text.split_at(at);
    let rest = rest.trim_start_matches(['T', 't', ' ', '\t']);
    let end = rest
        .find(|c: char| !matches!(c, '0'..='9' | ':' | '.'))
        .unwrap_or(rest.len());
    let (time, zone) = rest.split_at(end);
    let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
    let padded = |parts: &str, mark: char| {
        let parts = parts.split(mark).map(|part| format!("{part:0>2}"));
        parts.collect::<Vec<_>>().join(&mark.to_string())
    };
    let mut out = format!("{} {}", padded(date, '-'), padded(time, ':'));
    let micros = format!("{:0<6}", fraction.chars().take(6).collect::<String>());
    if micros != "000000" {
        out.push('.');
        out.push_str(&micros);
    }
    out.push_str(&offset(zone.trim()));
    out
}

/// `Z` is `+00:00`, `-5` is `-05:00`; nothing stays nothing.
fn offset(zone: &str) -> String {
    let Some(rest) = zone.strip_prefix(['+', '-']) else {
        let utc = if zone.is_empty() { "" } else { "+00:00" };
        return utc.to_owned();
    };
    let (hours, minutes) = rest.split_once(':').unwrap_or((rest, "00"));
    let nothing = |part: &str| part.chars().all(|c| c == '0');
    let sign = match &zone[..1] {
        "-" if nothing(hours) && nothing(minutes) => "+",
        sign => sign,
    };
    format!("{sign}{hours:0>2}:{minutes:0>2}")
}

#[cfg(test)]
mod tests {
    use super::printed;

    #[test]
    fn points_in_time_print_as_in_python() {
        for (written, expected) in [
            ("2001-12-14", "2001-12-14"),
            (
                "2001-12-14t21:59:43.10-05:00",
                "2001-12-14 21:59:43.100000-05:00",
            ),
            ("2001-1-4 1:59:43 Z", "2001-01-04 01:59:43+00:00"),
            ("2001-12-14 21:59:43.000 -5", "2001-12-14 21:59:43-05:00"),
            ("2001-12-14   21:59:43", "2001-12-14 21:59:43"),
        ] {
            assert_eq!(printed(written), expected);
        }
    }
}
