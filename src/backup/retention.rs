//! Which sets are kept: the last ones, then fewer and fewer of older ones. Pure.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use std::collections::BTreeSet;

/// How many sets are kept for which reason. Periods without a set aren't counted; they begin at midnight UTC and on
/// Mondays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Policy {
    pub last: usize,
    pub hourly: usize,
    pub daily: usize,
    pub weekly: usize,
    pub monthly: usize,
    /// The newest verified ones stay, so many, whatever else is said; with fewer of them nothing goes.
    pub verified: usize,
}

/// A set, as far as it decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub taken: Timestamp,
    pub verified: bool,
    /// It is of the cluster that is meant.
    pub ours: bool,
}

/// What becomes of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Kept, for these reasons.
    Keep(Vec<&'static str>),
    Remove,
    /// Another cluster's, or nobody knows whose: kept.
    Foreign,
}

/// What becomes of each set, in the order in which they are given.
pub fn plan(sets: &[Candidate], policy: &Policy) -> Vec<Fate> {
    let mut fates: Vec<Fate> = sets
        .iter()
        .map(|set| match set.ours {
            true => Fate::Keep(Vec::new()),
            false => Fate::Foreign,
        })
        .collect();
    let mut newest: Vec<usize> = (0..sets.len()).filter(|&i| sets[i].ours).collect();
    newest.sort_by_key(|&i| std::cmp::Reverse(sets[i].taken));
    let mut keep = |index: usize, why| {
        if let Fate::Keep(reasons) = &mut fates[index] {
            reasons.push(why);
        }
    };
    for &index in newest.iter().take(policy.last) {
        keep(index, "last");
    }
    let periods: [Rule; 4] = [
        (policy.hourly, "hourly", |t| (t.date(), t.hour())),
        (policy.daily, "daily", |t| (t.date(), 0)),
        (policy.weekly, "weekly", |t| (monday(t.date()), 0)),
        (policy.monthly, "monthly", |t| {
            (t.date().first_of_month(), 0)
        }),
    ];
    for (count, why, period) in periods {
        let mut seen = BTreeSet::new();
        for &index in &newest {
            let period = period(TimeZone::UTC.to_datetime(sets[index].taken));
            if seen.len() < count && seen.insert(period) {
                keep(index, why);
            }
        }
    }
    let verified: Vec<usize> = newest
        .iter()
        .copied()
        .filter(|&i| sets[i].verified)
        .collect();
    for &index in verified.iter().take(policy.verified) {
        keep(index, "verified");
    }
    if verified.len() < policy.verified {
        for &index in &newest {
            keep(index, "too few are verified");
        }
    }
    for fate in &mut fates {
        if matches!(fate, Fate::Keep(reasons) if reasons.is_empty()) {
            *fate = Fate::Remove;
        }
    }
    fates
}

/// A period by its first day and hour.
type Period = (Date, i8);
/// How many periods, their name, and in which one a time lies.
type Rule = (usize, &'static str, fn(DateTime) -> Period);

fn monday(date: Date) -> Date {
    let days = i64::from(date.weekday().to_monday_zero_offset());
    date.saturating_sub(jiff::Span::new().days(days))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(taken: &str, verified: bool) -> Candidate {
        Candidate {
            taken: taken.parse().expect("a time"),
            verified,
            ours: true,
        }
    }

    #[test]
    fn older_sets_thin_out() {
        let sets = [
            set("2026-11-01T10:00:00Z", true),
            set("2026-11-20T01:00:00Z", false),
            set("2026-11-20T23:00:00Z", true),
            set("2026-11-21T08:00:00Z", false),
            set("2026-11-21T08:30:00Z", false),
        ];
        let policy = Policy {
            last: 1,
            daily: 2,
            monthly: 1,
            verified: 2,
            ..Policy::default()
        };
        assert_eq!(
            plan(&sets, &policy),
            [
                Fate::Keep(vec!["verified"]),
                Fate::Remove,
                Fate::Keep(vec!["daily", "verified"]),
                Fate::Remove,
                Fate::Keep(vec!["last", "daily", "monthly"]),
            ]
        );
        assert_eq!(
            monday("2026-11-22".parse().expect("a Sunday")).to_string(),
            "2026-11-16"
        );
    }

    fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
        let one = (0i64..200 * 86_400, any::<bool>(), prop::bool::weighted(0.8));
        let one = one.prop_map(|(seconds, verified, ours)| Candidate {
            taken: Timestamp::from_second(1_790_000_000 + seconds).expect("a time"),
            verified,
            ours,
        });
        prop::collection::vec(one, 0..60)
    }

    fn policies() -> impl Strategy<Value = Policy> {
        (
            0usize..5,
            0usize..5,
            0usize..5,
            0usize..5,
            0usize..5,
            0usize..5,
        )
            .prop_map(|(last, hourly, daily, weekly, monthly, verified)| Policy {
                last,
                hourly,
                daily,
                weekly,
                monthly,
                verified,
            })
    }

    fn left(sets: &[Candidate], policy: &Policy) -> Vec<Candidate> {
        let fates = plan(sets, policy);
        let kept = sets
            .iter()
            .zip(fates)
            .filter(|(_, fate)| *fate != Fate::Remove);
        kept.map(|(set, _)| set.clone()).collect()
    }

    /// By the text of the day or month, not by the code under test.
    fn newest_of_each(sets: &[Candidate], letters: usize, count: usize) -> Vec<Timestamp> {
        let mut ours: Vec<Timestamp> = sets.iter().filter(|s| s.ours).map(|s| s.taken).collect();
        ours.sort_by(|a, b| b.cmp(a));
        let mut seen: Vec<String> = Vec::new();
        ours.retain(|taken| {
            let period = taken.to_string()[..letters].to_owned();
            let new = !seen.contains(&period) && seen.len() < count;
            seen.push(period);
            seen.dedup();
            new
        });
        ours
    }

    proptest! {
        #[test]
        fn nothing_goes_that_has_to_stay(sets in candidates(), policy in policies()) {
            let kept = left(&sets, &policy);
            let count = |sets: &[Candidate], what: fn(&Candidate) -> bool| sets.iter().filter(|s| what(s)).count();
            prop_assert_eq!(count(&kept, |s| !s.ours), count(&sets, |s| !s.ours), "another cluster's");
            let verified: fn(&Candidate) -> bool = |s| s.ours && s.verified;
            prop_assert!(count(&kept, verified) >= policy.verified.min(count(&sets, verified)));
            if count(&sets, verified) < policy.verified {
                prop_assert_eq!(&kept, &sets);
            }
            for (letters, wanted) in [(20, policy.last), (13, policy.hourly), (10, policy.daily), (7, policy.monthly)] {
                for taken in newest_of_each(&sets, letters, wanted) {
                    prop_assert!(kept.iter().any(|s| s.ours && s.taken == taken), "{}: {}", letters, taken);
                }
            }
        }

        #[test]
        fn the_second_time_nothing_goes(sets in candidates(), policy in policies()) {
            let kept = left(&sets, &policy);
            prop_assert_eq!(left(&kept, &policy), kept);
        }

        #[test]
        fn whoever_keeps_more_loses_no_more(sets in candidates(), policy in policies(), more in 0usize..4) {
            let larger = Policy { last: policy.last + more, weekly: policy.weekly + more, ..policy };
            let (few, many) = (left(&sets, &policy), left(&sets, &larger));
            prop_assert!(few.iter().all(|set| many.contains(set)));
        }

        #[test]
        fn what_goes_has_no_reason_to_stay(sets in candidates(), policy in policies()) {
            let ours = sets.iter().filter(|s| s.ours).count();
            let kept = left(&sets, &policy).iter().filter(|s| s.ours).count();
            let verified = sets.iter().filter(|s| s.ours && s.verified).count();
            let most = policy.last + policy.hourly + policy.daily + policy.weekly + policy.monthly + policy.verified;
            prop_assert!(verified < policy.verified || kept <= most.min(ours));
        }
    }
}
