//! Blocks with their rescue and always sections, and the ends of roles.

use super::batch::{Batch, Section};
use super::done::Done;
use super::hosts::Standing;
use super::run::Stop;
use super::store::lock;
use crate::content::inventory::HostName;
use crate::content::playbook::{Block, Role, Task};
use std::sync::Arc;

impl Batch {
    /// A block on those of its hosts that are active.
    pub(super) async fn block(
        self: &Arc<Self>,
        block: &Block,
        hosts: &[HostName],
        section: Section,
    ) -> Result<(), Stop> {
        let inner = Section {
            rescuable: section.rescuable || !block.rescue.is_empty(),
        };
        self.items(&block.tasks, hosts, inner).await?;
        let failed = self.roster.failed(hosts);
        if !block.rescue.is_empty() && !failed.is_empty() {
            for host in &failed {
                if let Standing::Failed(failure) = self.roster.get(host) {
                    let learned = self.run.store.learned(host);
                    if let Some(task) = failure.task {
                        // What was written there is data now, not templates.
                        learned.set("ansible_failed_task", task.distrusted());
                    }
                    if let Some(result) = failure.result {
                        learned.set("ansible_failed_result", result);
                    }
                }
                self.roster.set(host, Standing::Active);
                self.run.recap.forgive(host);
            }
            self.items(&block.rescue, &failed, section).await?;
        }
        self.roster.settle(hosts);
        if !block.always.is_empty() {
            let present = self.roster.present(hosts);
            let failures: Vec<(HostName, Standing)> = present
                .iter()
                .map(|host| (host.clone(), self.roster.get(host)))
                .filter(|(_, standing)| matches!(standing, Standing::Failed(_)))
                .collect();
            for (host, _) in &failures {
                self.roster.set(host, Standing::Active);
                lock(&self.cleared).remove(host);
            }
            self.items(&block.always, &present, section).await?;
            for (host, standing) in failures {
                let cleared = lock(&self.cleared).contains(&host);
                if !cleared && matches!(self.roster.get(&host), Standing::Active) {
                    self.roster.set(&host, standing);
                    self.run.recap.fail(&host);
                }
            }
        }
        Ok(())
    }

    /// Those that `meta: end_role` took out of the role are back; for the others it has run.
    pub(super) fn role_end(&self, role: &Arc<Role>, hosts: &[HostName]) {
        for host in hosts {
            if matches!(self.roster.get(host), Standing::RoleEnded(ended) if Arc::ptr_eq(&ended, role))
            {
                self.roster.set(host, Standing::Active);
            }
        }
        let hosts = &self.roster.active(hosts);
        let touched = lock(&self.touched);
        let mut completed = lock(&self.completed);
        for host in hosts {
            let key = (role.identity.clone(), host.clone());
            if touched.contains(&key) {
                completed.insert(key);
            }
        }
    }

    /// Hosts on which the role of the task hasn't run yet.
    pub(super) fn role_pending(&self, task: &Task, hosts: &[HostName]) -> Vec<HostName> {
        let Some(role) = task.frame.role().filter(|_| !task.handler) else {
            return hosts.to_vec();
        };
        let completed = lock(&self.completed);
        hosts
            .iter()
            .filter(|host| {
                let key = (role.identity.clone(), (*host).clone());
                role.allow_duplicates || !completed.contains(&key)
            })
            .cloned()
            .collect()
    }

    /// A role has run on a host when one of its tasks did: skipped ones don't count, as in Ansible.
    pub(super) fn touch(&self, task: &Task, host: &HostName, done: &Done) {
        if let Some(role) = task.frame.role()
            && !task.handler
            && !done.unreachable
            && !done.is_skipped()
        {
            lock(&self.touched).insert((role.identity.clone(), host.clone()));
        }
    }
}
