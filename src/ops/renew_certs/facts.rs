//! Which certificates there are, who signed them, and which of them are to be made anew. Pure.

use crate::cluster::reissue::Issued;
use crate::ops::engine::Failure;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How far the clocks of nodes may be apart.
pub(super) const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Realm {
    Etcd,
    Kubernetes,
}

/// What the person asked for. Kept in the run, so that it can be resumed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// Hosts whose files are written.
    pub hosts: Vec<String>,
    /// Files and directories beside the usual ones.
    pub paths: Vec<String>,
    /// Only certificates of one realm.
    pub only: Option<Realm>,
    /// Only those that end within so many days.
    pub within: Option<i64>,
    /// How many days new ones last; none: as long as the old ones.
    pub days: Option<i64>,
    /// Show the plan and change nothing.
    pub plan_only: bool,
    /// Don't ask before the first change.
    pub yes: bool,
}

/// Written down before the first change: another try knows by it which certificates are new.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Intent {
    pub(super) options: Options,
    /// When all certificates of this renewal begin; to the second.
    pub(super) begin: Timestamp,
}

/// Where a certificate lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) host: String,
    /// The file; a kubeconfig carries it inside.
    pub(super) path: String,
    /// Mode, owner and group of the file.
    pub(super) rights: [String; 3],
}

/// A certificate that may sign, and the host and file that hold its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Authority {
    pub(super) issued: Issued,
    pub(super) host: String,
    pub(super) path: String,
    pub(super) key: String,
}

impl Authority {
    pub(super) fn realm(&self) -> Realm {
        match self.path.contains("etcd") {
            true => Realm::Etcd,
            false => Realm::Kubernetes,
        }
    }
}

/// A certificate that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leaf {
    pub(super) place: Place,
    pub(super) issued: Issued,
}

/// A certificate to be made anew: one, however many files it lies in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// The newest that there is.
    pub(super) issued: Issued,
    pub(super) authority: Authority,
    pub(super) places: Vec<Place>,
    pub(super) not_after: Timestamp,
    /// It is new already: an earlier try made it.
    pub(super) made: bool,
}

/// What will be done, and what a person has to know first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) targets: Vec<Target>,
    pub(super) notes: Vec<String>,
}

/// Choose. `now` is when it is judged what ends soon.
pub(super) fn plan(
    leaves: Vec<Leaf>,
    authorities: &[Authority],
    intent: &Intent,
    now: Timestamp,
) -> Result<Plan, Failure> {
    let options = &intent.options;
    let mut groups: BTreeMap<String, Vec<Leaf>> = BTreeMap::new();
    for leaf in leaves {
        let group = groups.entry(leaf.issued.identity.clone()).or_default();
        group.push(leaf);
    }
    let (mut targets, mut notes) = (Vec::new(), Vec::new());
    for group in groups.into_values() {
        let newest = group.iter().max_by_key(|leaf| leaf.issued.not_before);
        let Some(newest) = newest.map(|leaf| leaf.issued.clone()) else {
            continue;
        };
        let places: Vec<Place> = group
            .into_iter()
            .map(|leaf| leaf.place)
            .filter(|place| options.hosts.contains(&place.host))
            .collect();
        let Some(first) = places.first() else {
            continue;
        };
        let made = newest.not_before == intent.begin;
        let limit = options.within.map(|days| now + hours(days));
        if !made && limit.is_some_and(|limit| newest.not_after > limit) {
            continue;
        }
        let signer = authorities.iter().find(|a| newest.signed_by(&a.issued));
        let Some(authority) = signer else {
            // Those of somebody else's authority, self-signed ones.
            notes.push(format!(
                "stays as it is: '{}' ({} on {}), because the key of its authority '{}' lies on no host",
                newest.subject, first.path, first.host, newest.issuer
            ));
            continue;
        };
        if options.only.is_some_and(|only| only != authority.realm()) {
            continue;
        }
        let not_after = end(&newest, authority, intent, now)?;
        targets.push(Target {
            authority: authority.clone(),
            issued: newest,
            places,
            not_after,
            made,
        });
    }
    targets.sort_by(|a, b| {
        (a.authority.realm(), &a.issued.subject).cmp(&(b.authority.realm(), &b.issued.subject))
    });
    notes.splice(0..0, told(&targets));
    Ok(Plan { targets, notes })
}

fn hours(days: i64) -> SignedDuration {
    SignedDuration::from_hours(days.clamp(0, 36_500) * 24)
}

/// As long as the old one lasted, or as was asked; never beyond the authority.
fn end(
    old: &Issued,
    authority: &Authority,
    intent: &Intent,
    now: Timestamp,
) -> Result<Timestamp, Failure> {
    let last = authority.issued.not_after;
    if last <= now {
        return Err(Failure::new(format!(
            "the authority '{}' has ended on {}: nothing that it signs is accepted",
            authority.issued.subject,
            last.strftime("%F")
        ))
        .hint("the authority itself has to be replaced first, on all nodes"));
    }
    let length = match intent.options.days {
        Some(days) => hours(days),
        None => old.not_after.duration_since(old.not_before),
    };
    let wanted = (intent.begin + SKEW).checked_add(length);
    Ok(wanted.map_or(last, |wanted| wanted.min(last)))
}

fn told(targets: &[Target]) -> Vec<String> {
    let line = |target: &Target| {
        let realm = match target.authority.realm() {
            Realm::Etcd => "etcd",
            Realm::Kubernetes => "Kubernetes",
        };
        let copies = match target.places.len() {
            1 => format!("{} on {}", target.places[0].path, target.places[0].host),
            count => format!("{} in {count} files", target.places[0].path),
        };
        let day = |at: Timestamp| at.strftime("%F").to_string();
        match target.made {
            true => format!(
                "{realm}: '{}' ({copies}) was made anew by an earlier try, until {}",
                target.issued.subject,
                day(target.issued.not_after)
            ),
            false => format!(
                "{realm}: '{}' ({copies}) ends {}, then {}",
                target.issued.subject,
                day(target.issued.not_after),
                day(target.not_after)
            ),
        }
    };
    targets.iter().map(line).collect()
}

#[cfg(test)]
#[path = "facts_tests.rs"]
mod tests;
