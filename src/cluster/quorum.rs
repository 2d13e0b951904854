//! The arithmetic of etcd's membership: what a cluster can bear, before, during and after a change. Pure.
//!
//! A majority of all voters, dead ones included, has to agree on everything (Raft, section 5.2). Learners don't count.

use std::fmt;

/// Members of a cluster, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Voters {
    /// Voters in the member list, dead or alive.
    pub total: usize,
    /// Voters that answer a linearizable read.
    pub healthy: usize,
    pub learners: usize,
}

/// One change of the membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    RemoveHealthy,
    RemoveDead,
    AddLearner,
    RemoveLearner,
    /// A learner becomes a voter; it has been seen to follow, so it counts as healthy.
    Promote,
}

/// Why a change is not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsafe {
    /// There is no majority now: nothing can be committed, membership changes included.
    QuorumLost { healthy: usize, quorum: usize },
    /// There would be none afterwards.
    WouldLoseQuorum { healthy: usize, quorum: usize },
    /// Another voter is dead. A healthy one isn't touched then, and etcd refuses to add members.
    OtherDead { dead: usize },
    /// etcd allows one learner; one that nobody explains stops everything.
    LearnerPresent,
    /// One voter would be left, and with it the only copy of the data.
    LastCopy,
    /// There is nothing of the kind that the change is about.
    NoneToChange,
}

/// The smallest majority of `voters`.
pub const fn quorum(voters: usize) -> usize {
    voters / 2 + 1
}

impl Voters {
    pub const fn quorum(self) -> usize {
        quorum(self.total)
    }

    pub const fn dead(self) -> usize {
        self.total.saturating_sub(self.healthy)
    }

    /// How many more healthy voters can be lost while a majority stays. Negative: it is lost already.
    pub const fn tolerance(self) -> i64 {
        self.healthy.cast_signed() as i64 - self.quorum().cast_signed() as i64
    }

    pub const fn has_quorum(self) -> bool {
        self.tolerance() >= 0
    }

    const fn lost(self) -> Unsafe {
        Unsafe::QuorumLost {
            healthy: self.healthy,
            quorum: self.quorum(),
        }
    }

    /// The counts after one change, whether it is wise or not.
    pub fn apply(self, change: Change) -> Result<Self, Unsafe> {
        let mut after = self;
        let missing = match change {
            Change::RemoveHealthy => self.healthy == 0,
            Change::RemoveDead => self.dead() == 0,
            Change::Promote | Change::RemoveLearner => self.learners == 0,
            Change::AddLearner => false,
        };
        if missing {
            return Err(Unsafe::NoneToChange);
        }
        match change {
            Change::RemoveHealthy => {
                after.total -= 1;
                after.healthy -= 1;
            }
            Change::RemoveDead => after.total -= 1,
            Change::AddLearner => after.learners += 1,
            Change::RemoveLearner => after.learners -= 1,
            Change::Promote => {
                after.learners -= 1;
                after.total += 1;
                after.healthy += 1;
            }
        }
        Ok(after)
    }

    /// The counts after one change that keeps a majority before and after it.
    pub fn step(self, change: Change) -> Result<Self, Unsafe> {
        if !self.has_quorum() {
            return Err(self.lost());
        }
        let after = self.apply(change)?;
        if after.healthy == 0 || !after.has_quorum() {
            return Err(Unsafe::WouldLoseQuorum {
                healthy: after.healthy,
                quorum: after.quorum(),
            });
        }
        Ok(after)
    }
}

/// The counts after each change of a sequence; refused at the first that would not be safe.
pub fn curve(start: Voters, changes: &[Change]) -> Result<Vec<Voters>, Unsafe> {
    let mut now = start;
    changes
        .iter()
        .map(|change| {
            now = now.step(*change)?;
            Ok(now)
        })
        .collect()
}

/// Whether one voter may be removed for good.
pub fn may_remove(now: Voters, dead: bool) -> Result<Voters, Unsafe> {
    if !dead && now.dead() > 0 {
        return Err(Unsafe::OtherDead { dead: now.dead() });
    }
    now.step(if dead {
        Change::RemoveDead
    } else {
        Change::RemoveHealthy
    })
}

/// The changes that replace one voter, in the safest order that is possible.
///
/// Dead: it goes first, because etcd adds nothing while a voter is down. Healthy: the new one is promoted before the
/// old one goes, unless both have the same address, where the old one has to go first.
pub fn replacement(dead: bool, same_address: bool) -> &'static [Change] {
    match (dead, same_address) {
        (true, _) => &[Change::RemoveDead, Change::AddLearner, Change::Promote],
        (false, false) => &[Change::AddLearner, Change::Promote, Change::RemoveHealthy],
        (false, true) => &[Change::RemoveHealthy, Change::AddLearner, Change::Promote],
    }
}

/// Whether one voter may be replaced, and the counts after each change of [`replacement`].
pub fn may_replace(now: Voters, dead: bool, same_address: bool) -> Result<Vec<Voters>, Unsafe> {
    if !now.has_quorum() {
        return Err(now.lost());
    }
    if now.learners > 0 {
        return Err(Unsafe::LearnerPresent);
    }
    let others = now.dead().saturating_sub(usize::from(dead));
    if others > 0 {
        return Err(Unsafe::OtherDead { dead: others });
    }
    if !dead && same_address && now.total == 2 {
        return Err(Unsafe::LastCopy);
    }
    curve(now, replacement(dead, same_address))
}

impl fmt::Display for Unsafe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::QuorumLost { healthy, quorum } => write!(
                f,
                "quorum is lost: {healthy} healthy, {quorum} needed, so etcd accepts no change of members"
            ),
            Self::WouldLoseQuorum { healthy, quorum } => write!(
                f,
                "quorum would be lost: {healthy} healthy would be left where {quorum} are needed"
            ),
            Self::OtherDead { dead: 1 } => write!(f, "another member is dead"),
            Self::OtherDead { dead } => write!(f, "{dead} other members are dead"),
            Self::LearnerPresent => write!(f, "there is a learner that belongs to something else"),
            Self::LastCopy => write!(
                f,
                "one member would be left, and with it the only copy of the data"
            ),
            Self::NoneToChange => write!(f, "there is no such member"),
        }
    }
}

impl std::error::Error for Unsafe {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn voters(total: usize, healthy: usize) -> Voters {
        Voters {
            total,
            healthy,
            learners: 0,
        }
    }

    /// Every cluster up to nine voters.
    fn all() -> impl Iterator<Item = Voters> {
        (1..=9).flat_map(|total| (0..=total).map(move |healthy| voters(total, healthy)))
    }

    #[test]
    fn quorums_are_those_of_etcds_table() {
        let table: Vec<usize> = (1..=9).map(quorum).collect();
        assert_eq!(table, [1, 2, 2, 3, 3, 4, 4, 5, 5]);
        let tolerance: Vec<i64> = (1..=9).map(|n| voters(n, n).tolerance()).collect();
        assert_eq!(tolerance, [0, 0, 1, 1, 2, 2, 3, 3, 4]);
    }

    /// Kubespray counts two of four as a majority; nobody else should.
    #[test]
    fn two_of_four_is_no_majority() {
        assert!(!voters(4, 2).has_quorum());
        assert!(voters(4, 3).has_quorum());
    }

    #[test]
    fn curves_of_three_voters_are_those_of_the_book() {
        let tolerances = |dead, same_address, healthy| -> Vec<i64> {
            may_replace(voters(3, healthy), dead, same_address)
                .expect("allowed")
                .into_iter()
                .map(Voters::tolerance)
                .collect()
        };
        assert_eq!(tolerances(true, true, 2), [0, 0, 1]);
        assert_eq!(tolerances(false, false, 3), [1, 1, 1]);
        assert_eq!(tolerances(false, true, 3), [0, 0, 1]);
    }

    #[test]
    fn two_voters_never_lose_a_live_one_first() {
        assert_eq!(
            may_replace(voters(2, 2), false, true),
            Err(Unsafe::LastCopy)
        );
        assert!(may_replace(voters(2, 2), false, false).is_ok());
        assert_eq!(
            may_replace(voters(1, 1), false, true),
            Err(Unsafe::WouldLoseQuorum {
                healthy: 0,
                quorum: 1
            })
        );
        assert_eq!(
            may_replace(voters(2, 1), true, true),
            Err(Unsafe::QuorumLost {
                healthy: 1,
                quorum: 2
            })
        );
    }

    #[test]
    fn with_one_dead_a_second_is_not_replaced() {
        assert_eq!(
            may_replace(voters(3, 2), false, true),
            Err(Unsafe::OtherDead { dead: 1 })
        );
        assert_eq!(
            may_replace(voters(5, 3), true, true),
            Err(Unsafe::OtherDead { dead: 1 })
        );
    }

    #[test]
    fn a_foreign_learner_stops_it() {
        let now = Voters {
            learners: 1,
            ..voters(3, 2)
        };
        assert_eq!(may_replace(now, true, true), Err(Unsafe::LearnerPresent));
    }

    /// For every cluster up to nine: what is allowed never passes through a state without a majority, ends with as
    /// many voters as before, and leaves nobody worse off than before.
    #[test]
    fn every_allowed_replacement_keeps_the_majority() {
        let mut allowed = 0;
        for now in all() {
            for (dead, same) in [(true, true), (true, false), (false, true), (false, false)] {
                if (dead && now.dead() == 0) || (!dead && now.healthy == 0) {
                    continue;
                }
                let Ok(states) = may_replace(now, dead, same) else {
                    continue;
                };
                allowed += 1;
                assert!(states.iter().all(|s| s.has_quorum()), "{now:?}");
                let end = states[states.len() - 1];
                assert_eq!((end.total, end.learners), (now.total, 0), "{now:?}");
                assert_eq!(end.healthy, end.total, "{now:?}");
                if !dead && !same {
                    let least = states.iter().map(|s| s.tolerance()).min();
                    assert!(
                        least >= Some(now.tolerance()),
                        "learner first costs nothing: {now:?}"
                    );
                }
            }
        }
        assert_eq!(
            allowed,
            9 + 7 + 7 * 2,
            "learner first, in place, dead by either address"
        );
    }

    #[test]
    fn nothing_is_allowed_without_a_majority() {
        for now in all().filter(|n| !n.has_quorum()) {
            for dead in [true, false] {
                assert!(may_remove(now, dead).is_err(), "{now:?}");
                assert!(may_replace(now, dead, true).is_err(), "{now:?}");
            }
        }
    }

    #[test]
    fn removing_a_dead_voter_never_costs_tolerance() {
        for now in all().filter(|n| n.has_quorum() && n.dead() > 0) {
            let after = may_remove(now, true).expect("allowed");
            assert!(after.tolerance() >= now.tolerance(), "{now:?}");
        }
    }

    fn change() -> impl Strategy<Value = Change> {
        prop_oneof![
            Just(Change::RemoveHealthy),
            Just(Change::RemoveDead),
            Just(Change::AddLearner),
            Just(Change::RemoveLearner),
            Just(Change::Promote),
        ]
    }

    proptest! {
        /// Any walk of allowed steps stays in sensible counts with a majority.
        #[test]
        fn walks_stay_safe(total in 1usize..12, dead in 0usize..12, changes in prop::collection::vec(change(), 0..40)) {
            let mut now = voters(total, total.saturating_sub(dead));
            for change in changes {
                if let Ok(after) = now.step(change) {
                    prop_assert!(now.has_quorum() && after.has_quorum());
                    prop_assert!(after.healthy <= after.total && after.healthy > 0);
                    now = after;
                }
            }
        }
    }
}
