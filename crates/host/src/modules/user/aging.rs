//! When passwords and users end: /etc/shadow (shadow(5)), changed by chage and usermod.

use super::User;
use crate::{Context, Failure};
use std::fs;

/// Seconds in a day: shadow counts days since 1970.
const DAY: f64 = 86400.0;

/// A line of /etc/shadow. What this process may not read is not there.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Shadow {
    /// The hash; `None` when the user has no line, or it can't be read.
    pub(super) hash: Option<String>,
    min: Option<i64>,
    max: Option<i64>,
    warn: Option<i64>,
    inactive: Option<i64>,
    expires: Option<i64>,
}

impl Shadow {
    pub(super) fn of(user: &str) -> Self {
        let text = fs::read_to_string("/etc/shadow").unwrap_or_default();
        text.lines()
            .find_map(|line| Self::parse(line, user))
            .unwrap_or_default()
    }

    fn parse(line: &str, user: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split(':').collect();
        let number = |at: usize| fields.get(at).and_then(|field| field.parse().ok());
        (fields[0] == user).then(|| Self {
            hash: fields.get(1).map(|hash| (*hash).to_owned()),
            min: number(3),
            max: number(4),
            warn: number(5),
            inactive: number(6),
            expires: number(7),
        })
    }
}

/// `2030-01-31`, as useradd and usermod take it; empty for never.
fn date(seconds: f64) -> Result<String, Failure> {
    if seconds < 0.0 {
        return Ok(String::new());
    }
    let time = jiff::Timestamp::from_second(seconds as i64).map_err(|_| {
        Failure::new(format!(
            "Invalid value for 'expires' {seconds}: it is seconds since 1970"
        ))
    })?;
    Ok(time.strftime("%Y-%m-%d").to_string())
}

impl User {
    /// Options of useradd and usermod for the day when the user ends. `old` is the shadow of a user that is there.
    pub(super) fn expiry(&self, old: Option<&Shadow>) -> Result<Vec<String>, Failure> {
        let mut options = Vec::new();
        if let Some(seconds) = self.expires {
            let wanted = (seconds >= 0.0).then_some((seconds / DAY) as i64);
            let is = old.map(|old| old.expires);
            let differs = match (is, wanted) {
                (None, wanted) => wanted.is_some(),
                (Some(is), None) => is.is_some_and(|day| day >= 0),
                (Some(is), Some(wanted)) => is != Some(wanted),
            };
            if differs {
                options.extend(["--expiredate".to_owned(), date(seconds)?]);
            }
        }
        if let Some(days) = self.password_expire_account_disable
            && old.is_none_or(|old| old.inactive != Some(days))
        {
            options.extend(["--inactive".to_owned(), days.to_string()]);
        }
        Ok(options)
    }

    /// Sets for how long a password counts. Whether it had to change.
    pub(super) fn age(&self, cx: &Context, old: &Shadow) -> Result<bool, Failure> {
        let mut options = Vec::new();
        for (option, wanted, is) in [
            ("--maxdays", self.password_expire_max, old.max),
            ("--mindays", self.password_expire_min, old.min),
            ("--warndays", self.password_expire_warn, old.warn),
        ] {
            if let Some(days) = wanted.filter(|days| Some(*days) != is) {
                options.extend([option.to_owned(), days.to_string()]);
            }
        }
        if options.is_empty() {
            return Ok(false);
        }
        if !cx.check() {
            cx.process("chage")
                .args(&options)
                .arg(&self.name)
                .system()
                .run()?
                .check("cannot set for how long the password counts")?;
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_shadow() {
        let shadow = Shadow::parse("a:!x:19000:1:90:7::20000:", "a").expect("of a");
        assert_eq!(
            (shadow.min, shadow.max, shadow.warn),
            (Some(1), Some(90), Some(7))
        );
        assert_eq!((shadow.inactive, shadow.expires), (None, Some(20000)));
        assert_eq!(Shadow::parse("a:!x:19000:1:90:7::20000:", "b"), None);
        assert_eq!(date(86400.0 * 20000.0).expect("a day"), "2024-10-04");
        assert_eq!(date(-1.0).expect("never"), "");
    }
}
