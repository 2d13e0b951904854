//! How hosts stand in a play, and the recap.

use super::store::lock;
use crate::content::inventory::HostName;
use crate::content::playbook::Role;
use crate::content::value::Value;
use crate::journal::Counts;
use indexmap::IndexMap;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

/// How a host stands in the play that runs.
#[derive(Clone, Default)]
pub(super) enum Standing {
    #[default]
    Active,
    /// A task failed; what `rescue` sees of it.
    Failed(Failure),
    Unreachable,
    /// `meta: end_host` and the like: done, and not failed.
    Ended,
    /// `meta: end_role`: goes on after the role.
    RoleEnded(Arc<Role>),
}

/// The task that failed and its result.
#[derive(Clone, Default)]
pub(super) struct Failure {
    /// The failure of a `run_once` task on another host: the rescue of the block around doesn't take it.
    pub shared: bool,
    pub task: Option<Value>,
    pub result: Option<Value>,
}

/// The hosts of a batch.
pub(super) struct Roster {
    standings: Mutex<HashMap<HostName, Standing>>,
}

impl Roster {
    pub(super) fn new(hosts: &[HostName]) -> Self {
        let standings = hosts
            .iter()
            .map(|host| (host.clone(), Standing::Active))
            .collect();
        Self {
            standings: Mutex::new(standings),
        }
    }

    pub(super) fn get(&self, host: &HostName) -> Standing {
        lock(&self.standings).get(host).cloned().unwrap_or_default()
    }

    pub(super) fn set(&self, host: &HostName, standing: Standing) {
        lock(&self.standings).insert(host.clone(), standing);
    }

    /// Those that still run tasks.
    pub(super) fn active(&self, hosts: &[HostName]) -> Vec<HostName> {
        self.those(hosts, |standing| matches!(standing, Standing::Active))
    }

    /// From here on a shared failure is one as any other.
    pub(super) fn settle(&self, hosts: &[HostName]) {
        let mut standings = lock(&self.standings);
        for host in hosts {
            if let Some(Standing::Failed(failure)) = standings.get_mut(host) {
                failure.shared = false;
            }
        }
    }

    /// Those that a rescue takes over.
    pub(super) fn failed(&self, hosts: &[HostName]) -> Vec<HostName> {
        self.those(
            hosts,
            |standing| matches!(standing, Standing::Failed(failure) if !failure.shared),
        )
    }

    /// Those for which `always` runs: failed ones too.
    pub(super) fn present(&self, hosts: &[HostName]) -> Vec<HostName> {
        self.those(hosts, |standing| {
            matches!(standing, Standing::Active | Standing::Failed(_))
        })
    }

    /// Those that `ansible_play_hosts` names: neither failed nor unreachable nor ended.
    pub(super) fn remaining(&self, hosts: &[HostName]) -> Vec<HostName> {
        self.those(hosts, |standing| {
            matches!(standing, Standing::Active | Standing::RoleEnded(_))
        })
    }

    /// Those that are not unreachable.
    pub(super) fn reachable(&self, hosts: &[HostName]) -> Vec<HostName> {
        self.those(hosts, |standing| !matches!(standing, Standing::Unreachable))
    }

    fn those(&self, hosts: &[HostName], is: impl Fn(&Standing) -> bool) -> Vec<HostName> {
        let standings = lock(&self.standings);
        hosts
            .iter()
            .filter(|host| standings.get(*host).is_some_and(&is))
            .cloned()
            .collect()
    }
}

/// What holds from play to play.
#[derive(Default)]
pub(super) struct Recap {
    counts: Mutex<HashMap<HostName, Counts>>,
    failed: Mutex<HashSet<HostName>>,
    unreachable: Mutex<HashSet<HostName>>,
}

impl Recap {
    pub(super) fn count(&self, host: &HostName, change: impl FnOnce(&mut Counts)) {
        change(lock(&self.counts).entry(host.clone()).or_default());
    }

    pub(super) fn fail(&self, host: &HostName) {
        lock(&self.failed).insert(host.clone());
    }

    pub(super) fn lose(&self, host: &HostName) {
        lock(&self.unreachable).insert(host.clone());
    }

    /// A rescue or `meta: clear_host_errors` brought it back.
    pub(super) fn forgive(&self, host: &HostName) {
        lock(&self.failed).remove(host);
        lock(&self.unreachable).remove(host);
    }

    pub(super) fn has_failed(&self, host: &HostName) -> bool {
        lock(&self.failed).contains(host)
    }

    pub(super) fn is_lost(&self, host: &HostName) -> bool {
        lock(&self.unreachable).contains(host)
    }

    /// Hosts that are out for the rest of the run.
    pub(super) fn out(&self) -> usize {
        lock(&self.failed).len() + lock(&self.unreachable).len()
    }

    /// Hosts that failed or weren't reached, by name.
    pub(super) fn lost_or_failed(&self) -> Vec<HostName> {
        let failed = lock(&self.failed).clone();
        let mut hosts: Vec<HostName> = lock(&self.unreachable).union(&failed).cloned().collect();
        hosts.sort();
        hosts
    }

    pub(super) fn failed_count(&self) -> usize {
        lock(&self.failed).len()
    }

    /// The recap, hosts in the given order first.
    pub(super) fn table(&self, order: &[HostName]) -> IndexMap<String, Counts> {
        let counts = lock(&self.counts);
        let mut table: IndexMap<String, Counts> = order
            .iter()
            .filter_map(|host| Some((host.to_string(), *counts.get(host)?)))
            .collect();
        let mut others: Vec<&HostName> = counts
            .keys()
            .filter(|host| !table.contains_key(&***host))
            .collect();
        others.sort();
        for host in others {
            table.insert(host.to_string(), counts[host]);
        }
        table
    }

    /// Ansible's: unreachable hosts count more than failed ones.
    pub(super) fn exit_code(&self) -> u8 {
        if !lock(&self.unreachable).is_empty() {
            4
        } else if !lock(&self.failed).is_empty() {
            2
        } else {
            0
        }
    }
}
