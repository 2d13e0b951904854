//! Hands on hosts through links.

use super::hands::{Blobs, Connect, Exec, Lost, Tunnel, Whereabouts};
use super::profile::{Doing, Profile};
use super::store::lock;
use crate::link::{Link, LinkError, Pool, Target};
use futures::future::BoxFuture;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The links of a pool. How a host is reached is worked out once for each set of its variables.
pub struct Links {
    pool: Pool,
    targets: Mutex<HashMap<Whereabouts, Arc<Target>>>,
    profile: Option<Arc<Profile>>,
}

impl Links {
    pub fn new(pool: Pool) -> Self {
        Self {
            pool,
            targets: Mutex::default(),
            profile: None,
        }
    }

    /// Notes there how long hosts took to be reached, to start their agents, and to do what they were told.
    #[must_use]
    pub fn profiled(self, profile: Option<Arc<Profile>>) -> Self {
        Self { profile, ..self }
    }

    fn target(&self, at: &Whereabouts) -> Result<Arc<Target>, LinkError> {
        if let Some(target) = lock(&self.targets).get(at) {
            return Ok(Arc::clone(target));
        }
        let variable = |name: &str| {
            if name == "ansible_connection" {
                return Some(at.connection.clone());
            }
            at.vars
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, value)| value.clone())
        };
        let target = Arc::new(Target::resolve(&at.name, &variable, self.pool.settings())?);
        lock(&self.targets).insert(at.clone(), Arc::clone(&target));
        Ok(target)
    }

    async fn link(&self, at: &Whereabouts) -> Result<Link, LinkError> {
        let target = self.target(at)?;
        let Some(profile) = &self.profile else {
            return self.pool.link(&target).await;
        };
        let begun = Instant::now();
        let link = self.pool.link(&target).await?;
        profile.note(Doing::Connect, &at.name, "", begun, Duration::ZERO);
        Ok(link)
    }

    /// The agent's start, on its own; without a profile it happens with the first task.
    async fn start(&self, at: &Whereabouts, link: &Link) -> Result<(), LinkError> {
        if let Some(profile) = &self.profile {
            let begun = Instant::now();
            link.hello().await?;
            profile.note(Doing::Agent, &at.name, "", begun, Duration::ZERO);
        }
        Ok(())
    }

    fn remote(&self, at: &Whereabouts, begun: Instant, own: Duration) {
        if let Some(profile) = &self.profile {
            profile.note(Doing::Remote, &at.name, "", begun, own);
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "called by map_err")]
fn lost(error: LinkError) -> Lost {
    Lost {
        reachable: matches!(
            error,
            LinkError::NoSudo { .. } | LinkError::SudoPassword { .. } | LinkError::Content { .. }
        ),
        hints: error.advice(),
        message: error.to_string(),
    }
}

impl Connect for Links {
    fn run<'a>(
        &'a self,
        at: &'a Whereabouts,
        task: host::Task,
        blobs: Blobs,
    ) -> BoxFuture<'a, Result<host::Outcome, Lost>> {
        Box::pin(async move {
            let link = self.link(at).await.map_err(lost)?;
            self.start(at, &link).await.map_err(lost)?;
            let begun = Instant::now();
            let result = link.run(task, blobs).await.map_err(lost);
            let took = result.as_ref().map_or(0, |outcome| outcome.micros);
            self.remote(at, begun, Duration::from_micros(took));
            result
        })
    }

    fn fetch<'a>(
        &'a self,
        at: &'a Whereabouts,
        task: host::Task,
        into: PathBuf,
    ) -> BoxFuture<'a, Result<host::Outcome, Lost>> {
        Box::pin(async move {
            let link = self.link(at).await.map_err(lost)?;
            let here = |error: std::io::Error| Lost {
                message: format!("{} can't be written: {error}", into.display()),
                hints: Vec::new(),
                reachable: true,
            };
            let mut file = tokio::fs::OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&into)
                .await
                .map_err(here)?;
            self.start(at, &link).await.map_err(lost)?;
            let begun = Instant::now();
            let outcome = link.fetch(task, &mut file).await.map_err(lost)?;
            self.remote(at, begun, Duration::from_micros(outcome.micros));
            tokio::io::AsyncWriteExt::flush(&mut file)
                .await
                .map_err(here)?;
            file.sync_all().await.map_err(here)?;
            Ok(outcome)
        })
    }

    fn exec<'a>(
        &'a self,
        at: &'a Whereabouts,
        command: String,
        stdin: Option<Vec<u8>>,
    ) -> BoxFuture<'a, Result<Exec, Lost>> {
        Box::pin(async move {
            let link = self.link(at).await.map_err(lost)?;
            let begun = Instant::now();
            let output = link.exec(&command, stdin.as_deref()).await.map_err(lost)?;
            self.remote(at, begun, Duration::ZERO);
            Ok(Exec {
                rc: output.rc,
                stdout: output.stdout,
                stderr: output.stderr,
            })
        })
    }

    fn reach<'a>(
        &'a self,
        at: &'a Whereabouts,
        within: Option<Duration>,
    ) -> BoxFuture<'a, Result<(), Lost>> {
        Box::pin(async move {
            let linked = async {
                let link = self.link(at).await?;
                // A connection isn't yet a host that works: the agent has to answer.
                let ping = host::Task {
                    module: "ping".to_owned(),
                    ..host::Task::default()
                };
                link.run(ping, ()).await.map(drop)
            };
            let Some(within) = within else {
                return linked.await.map_err(lost);
            };
            match tokio::time::timeout(within, linked).await {
                Ok(found) => found.map_err(lost),
                Err(_) => Err(Lost {
                    message: format!(
                        "{} didn't answer within {} seconds",
                        at.name,
                        within.as_secs()
                    ),
                    hints: Vec::new(),
                    reachable: false,
                }),
            }
        })
    }

    fn dial<'a>(
        &'a self,
        at: &'a Whereabouts,
        address: &'a str,
        port: u16,
    ) -> BoxFuture<'a, Result<Tunnel, Lost>> {
        Box::pin(async move {
            let link = self.link(at).await.map_err(lost)?;
            link.tunnel(address, port).await.map_err(lost)
        })
    }

    fn reset<'a>(&'a self, at: &'a Whereabouts) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            if let Ok(link) = self.link(at).await {
                link.close().await;
            }
        })
    }
}
