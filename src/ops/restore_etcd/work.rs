//! What all steps share, and those that work on the hosts: stopped, prepared, old data aside, new data in place.

use super::facts::Intent;
use super::host::Host;
use crate::backup::{self, Opened, RestoreOptions, Seen, Set};
use crate::cluster::door::Door;
use crate::content::value::Value;
use crate::journal::{Event, Level, Run, Silent, Sink};
use crate::ops::drill;
use crate::ops::engine::{Check, Failure};
use crate::ops::parts::Parts;
use crate::ops::replace_node::Data;
use crate::ops::site::Site;
use futures::future::{join_all, try_join_all};
use indexmap::IndexMap;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// The name of the step file.
const STEP_FILE: &str = "restore-etcd.yml";
/// How long processes may take to end once nothing starts them any more.
const ENDING: Duration = Duration::from_secs(180);
pub(super) const PAUSE: Duration = Duration::from_secs(1);

/// What all steps share.
pub(super) struct Work {
    pub(super) site: Site,
    pub(super) run: Arc<Run>,
    pub(super) set: Set,
    pub(super) snapshot: Opened,
    pub(super) hosts: Vec<Host>,
    pub(super) intent: Intent,
    pub(super) known: Option<Seen>,
    /// Where etcd for the last drill is looked for.
    pub(super) programs: drill::Wanted,
    pub(super) verified: RwLock<Option<String>>,
    pub(super) stop: CancellationToken,
}

impl Work {
    pub(super) fn check_step_file(&self) -> Result<(), Failure> {
        let Some(host) = self.hosts.first() else {
            return Ok(());
        };
        for part in [
            "stop",
            "prepare",
            "aside",
            "restore",
            "start",
            "control-plane",
        ] {
            self.parts().check(&host.hand.name, part, self.vars(host))?;
        }
        Ok(())
    }

    pub(super) fn parts(&self) -> Parts<'_> {
        Parts {
            site: &self.site,
            run: &self.run,
            file: STEP_FILE,
        }
    }

    pub(super) async fn part(&self, host: &Host, part: &str) -> Result<(), Failure> {
        self.parts()
            .run(&host.hand.name, part, self.vars(host))
            .await
    }

    /// One part on these hosts at once.
    pub(super) async fn parts_on(&self, hosts: Vec<&Host>, part: &str) -> Result<(), Failure> {
        let all = join_all(hosts.into_iter().map(|host| self.part(host, part))).await;
        all.into_iter().collect()
    }

    /// What the parts are told. Text from hosts: data, never templated.
    fn vars(&self, host: &Host) -> IndexMap<String, Value> {
        let place = host.place();
        let restoring = format!("{}/restoring-{}", host.data_dir, self.intent.token);
        let mut command = vec![
            host.restorer.clone(),
            "snapshot".to_owned(),
            "restore".to_owned(),
            format!("{restoring}.db"),
            format!("--name={}", place.member),
            format!("--initial-cluster={}", self.intent.initial_cluster()),
            format!("--initial-cluster-token={}", self.intent.token),
            format!(
                "--initial-advertise-peer-urls={}",
                place.peer_urls.join(",")
            ),
            format!("--data-dir={restoring}"),
        ];
        if let Some(bump) = self.intent.bump {
            command.push(format!("--bump-revision={bump}"));
            command.push("--mark-compacted".to_owned());
        }
        let programs: Vec<Json> = host
            .bring
            .iter()
            .map(|(src, dest)| json!({ "src": src, "dest": dest }))
            .collect();
        let known = [
            ("etcd_user", json!(host.user)),
            ("etcd_data_dir", json!(host.data_dir)),
            ("etcd_environment_file", json!(host.settings.file)),
            ("etcd_programs", json!(programs)),
            ("etcd_aside", json!(self.aside(host))),
            ("etcd_snapshot", json!(self.snapshot.path())),
            ("etcd_restoring", json!(restoring)),
            ("etcd_restore_command", json!(command)),
            ("etcd_environment", json!(self.environment())),
        ];
        known
            .into_iter()
            .map(|(name, value)| (name.to_owned(), Value::from_json(&value)))
            .collect()
    }

    /// Where the data that are there go in this run.
    fn aside(&self, host: &Host) -> String {
        format!("{}/member.before-{}", host.data_dir, self.run.id())
    }

    /// Settings that name the new cluster. etcd reads them only with an empty directory; people read them always.
    fn environment(&self) -> [String; 3] {
        [
            format!("ETCD_INITIAL_CLUSTER={}", self.intent.initial_cluster()),
            format!("ETCD_INITIAL_CLUSTER_TOKEN={}", self.intent.token),
            "ETCD_INITIAL_CLUSTER_STATE=existing".to_owned(),
        ]
    }

    pub(super) fn note(&self, level: Level, text: String) {
        self.run.emit(Event::Note {
            level,
            text,
            host: None,
        });
    }

    pub(super) fn go_on(&self) -> Result<(), Failure> {
        match self.stop.is_cancelled() {
            true => Err(Failure::new("stopped by the operator")),
            false => Ok(()),
        }
    }

    /// The data there are those of the new cluster.
    fn is_ours(&self, host: &Host, data: Data) -> bool {
        matches!(data, Data::Of(identity)
            if identity.member == self.intent.member_id(host.place())
                && identity.cluster == self.intent.cluster_id())
    }

    /// Hosts whose data aren't those of the new cluster yet, and what lies there.
    async fn behind(&self) -> Result<Vec<(&Host, Data)>, Failure> {
        let data = try_join_all(self.hosts.iter().map(Host::data_now)).await?;
        let all = self.hosts.iter().zip(data);
        Ok(all
            .filter(|(host, data)| !self.is_ours(host, *data))
            .collect())
    }

    // --- stop

    /// Who runs that has to be stopped: everybody, until all data are the new cluster's.
    pub(super) async fn check_stopped(&self) -> Result<Check, Failure> {
        if self.behind().await?.is_empty() {
            return Ok(Check::Done(
                "all data are those of the new cluster".to_owned(),
            ));
        }
        Ok(match self.still_running().await? {
            Some(_) => Check::Needed,
            None => Check::Done("no process runs, no port answers".to_owned()),
        })
    }

    /// Somebody who runs, in words.
    async fn still_running(&self) -> Result<Option<String>, Failure> {
        let running = try_join_all(self.hosts.iter().map(Host::running)).await?;
        for (host, running) in self.hosts.iter().zip(running) {
            let name = &host.hand.name;
            if running.etcd {
                return Ok(Some(format!("etcd runs on {name}")));
            }
            if let Some(part) = running.control_plane.first() {
                return Ok(Some(format!("{part} runs on {name}")));
            }
        }
        let ports = join_all(self.hosts.iter().map(Host::listening)).await;
        Ok(ports
            .into_iter()
            .flatten()
            .next()
            .map(|url| format!("somebody answers at {url}")))
    }

    pub(super) async fn stop_all(&self) -> Result<(), Failure> {
        self.parts_on(self.hosts.iter().collect(), "stop").await?;
        let begin = Instant::now();
        while let Some(who) = self.still_running().await? {
            if begin.elapsed() > ENDING {
                return Err(Failure::new(format!(
                    "{who} still, {} s after it was stopped",
                    ENDING.as_secs()
                ))
                .hint("stop it by hand; two clusters at one address destroy each other's data"));
            }
            self.go_on()?;
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Start again what ran; only with the old data in place.
    pub(super) async fn undo_stop(&self) -> Result<String, Failure> {
        let data = try_join_all(self.hosts.iter().map(Host::data_now)).await?;
        let old: Vec<&Host> = self
            .hosts
            .iter()
            .zip(data)
            .filter(|(host, data)| matches!(data, Data::Of(_)) && !self.is_ours(host, *data))
            .map(|(host, _)| host)
            .collect();
        let names: Vec<&str> = old.iter().map(|h| h.hand.name.as_str()).collect();
        let told = format!("started as before: {}", names.join(", "));
        self.parts_on(old, "start").await?;
        self.parts_on(self.hosts.iter().collect(), "control-plane")
            .await?;
        Ok(told)
    }

    // --- prepare

    pub(super) async fn check_prepared(&self) -> Result<Check, Failure> {
        for host in &self.hosts {
            if let Some(what) = self.unprepared(host).await? {
                self.note(Level::Info, format!("{} lacks {what}", host.hand.name));
                return Ok(Check::Needed);
            }
        }
        Ok(Check::Done(
            "programs, settings and certificates are in place".to_owned(),
        ))
    }

    async fn unprepared(&self, host: &Host) -> Result<Option<&'static str>, Failure> {
        use crate::ops::replace_node::machine;
        let look = machine::look(&host.hand, &host.data_dir, &host.program).await?;
        if look.program.is_none() {
            return Ok(Some("etcd"));
        }
        if !look.directory {
            return Ok(Some("the data directory"));
        }
        if !look.unit {
            return Ok(Some("the service"));
        }
        let tool = host
            .hand
            .script(&format!(
                "[ -x {} ] && echo yes; exit 0",
                machine::quote(&host.restorer)
            ))
            .await?;
        if tool.trim() != "yes" {
            return Ok(Some("the program that restores"));
        }
        for name in ["TRUSTED_CA_FILE", "CERT_FILE", "KEY_FILE"] {
            if let Some(path) = host.settings.get(name)
                && host
                    .hand
                    .read(path)
                    .await
                    .map_err(|e| Failure::new(e.to_string()))?
                    .is_none()
            {
                return Ok(Some("certificates"));
            }
        }
        Ok(None)
    }

    /// The machine, then what the set holds of it.
    pub(super) async fn prepare(&self) -> Result<(), Failure> {
        let mut lacking = Vec::new();
        for host in &self.hosts {
            if self.unprepared(host).await?.is_some() {
                lacking.push(host);
            }
        }
        for host in &lacking {
            self.files_of_set(host).await?;
        }
        self.parts_on(lacking, "prepare").await
    }

    /// Certificates, and on a bare machine the settings and the service too. Owners are names: users come first.
    async fn files_of_set(&self, host: &Host) -> Result<(), Failure> {
        let name = &host.hand.name;
        if self.set.manifest.node(name).is_none() {
            return Err(Failure::new(format!(
                "{name} lacks certificates, and {} holds none of it",
                self.set.manifest.set
            )));
        }
        self.part(host, "prepare").await?;
        let mut only: Vec<String> = backup::PATHS.iter().map(|&p| p.to_owned()).collect();
        if host.bare {
            only.push(host.settings.file.clone());
            only.push(super::host::UNIT.to_owned());
        }
        let options = RestoreOptions {
            check: false,
            only,
            // Whose set it is was judged before, by more than the authority.
            force_ca: true,
            keys: self.site.backup_keys.clone(),
        };
        let written = backup::restore(&self.set, &host.hand, &BTreeMap::new(), &options, &Silent)
            .await
            .map_err(|halfway| Failure::from(halfway.error))?;
        self.note(
            Level::Info,
            format!("{} files of the set went to {name}", written.len()),
        );
        Ok(())
    }

    // --- aside

    pub(super) async fn check_aside(&self) -> Result<Check, Failure> {
        let left = self.behind().await?;
        Ok(match left.iter().find(|(_, data)| *data != Data::None) {
            Some(_) => Check::Needed,
            None => Check::Done("no old data are in the way".to_owned()),
        })
    }

    pub(super) async fn move_aside(&self) -> Result<(), Failure> {
        self.must_be_stopped().await?;
        let behind = self.behind().await?;
        let old = behind.into_iter().filter(|(_, data)| *data != Data::None);
        self.parts_on(old.map(|(host, _)| host).collect(), "aside")
            .await
    }

    async fn must_be_stopped(&self) -> Result<(), Failure> {
        match self.still_running().await? {
            Some(who) => Err(Failure::new(format!("{who}, which was stopped before"))),
            None => Ok(()),
        }
    }

    /// A copy of the snapshot that is in place already makes room for the data that were there.
    pub(super) async fn undo_aside(&self) -> Result<String, Failure> {
        self.must_be_stopped().await?;
        self.parts_on(self.hosts.iter().collect(), "back").await?;
        Ok("the data that were there are back".to_owned())
    }

    // --- restore

    pub(super) async fn check_restored(&self) -> Result<Check, Failure> {
        Ok(match self.behind().await?.is_empty() {
            true => Check::Done(format!(
                "the data of {:x} are in place",
                self.intent.cluster_id()
            )),
            false => Check::Needed,
        })
    }

    pub(super) async fn restore(&self) -> Result<(), Failure> {
        self.must_be_stopped().await?;
        let behind = self.behind().await?;
        self.parts_on(
            behind.into_iter().map(|(host, _)| host).collect(),
            "restore",
        )
        .await
    }
}
