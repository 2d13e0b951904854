//! One node: its files, what its etcd shows, and the processes that read the files.

use super::facts::{Place, Target};
use super::gather::{certificate, replaced};
use super::processes;
use super::work::Work;
use crate::backup::inspect::BEFORE;
use crate::cluster::door::Door;
use crate::cluster::reissue::Issued;
use crate::cluster::{Hand, identity, tls};
use crate::ops::engine::{Check, Failure};
use crate::ops::replace_node::machine::quote;
use crate::secret::Secret;
use indexmap::IndexMap;
use serde_json::json;
use std::time::{Duration, Instant};

/// How long etcd may take to show a new certificate: it reads its files for every connection.
const SHOWN: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(300);

impl Work {
    fn places<'a>(&'a self, host: &'a str) -> impl Iterator<Item = (&'a Target, &'a Place)> {
        self.targets.iter().flat_map(move |target| {
            let here = target.places.iter().filter(move |place| place.host == host);
            here.map(move |place| (target, place))
        })
    }

    fn paths<'a>(&'a self, host: &'a str) -> Vec<&'a str> {
        self.places(host)
            .map(|(_, place)| place.path.as_str())
            .collect()
    }

    async fn content(&self, place: &Place) -> Result<Secret<Vec<u8>>, Failure> {
        let hand = self.hand(&place.host)?;
        let content = hand.read(&place.path).await;
        content
            .map_err(|error| Failure::new(format!("{}: {error}", place.host)))?
            .ok_or_else(|| {
                Failure::new(format!("{}: {} is gone", place.host, place.path))
                    .hint("somebody else changes these files")
            })
    }

    /// What isn't as it should be on a node yet; none: nothing.
    pub(super) async fn left(&self, host: &str) -> Result<Option<String>, Failure> {
        let hand = self.hand(host)?;
        for (_, place) in self.places(host) {
            let content = self.content(place).await?;
            if !certificate(content.expose()).is_some_and(|issued| self.is_new(&issued)) {
                return Ok(Some(format!("{} is the old one", place.path)));
            }
        }
        if let Some(url) = self.behind(hand).await? {
            return Ok(Some(format!("{url} shows an old certificate")));
        }
        let old = processes::old(hand, &self.paths(host)).await?;
        Ok(old
            .first()
            .map(|old| format!("{} has read the old certificate", old.name)))
    }

    /// An address at which the etcd of this node shows another certificate than that of its file, although its file is one
    /// of those that were made anew. Where nobody answers, nothing is shown.
    async fn behind(&self, hand: &Hand) -> Result<Option<String>, Failure> {
        let failed = |error: std::io::Error| Failure::new(format!("{}: {error}", hand.name));
        let Some(settings) = identity::settings(hand).await.map_err(failed)? else {
            return Ok(None);
        };
        for (file, urls) in [
            ("CERT_FILE", settings.client_urls()),
            ("PEER_CERT_FILE", settings.peer_urls()),
        ] {
            let Some(path) = settings.get(file) else {
                continue;
            };
            if !self.paths(&hand.name).contains(&path) {
                continue;
            }
            let content = hand.read(path).await.map_err(failed)?;
            let wanted = content.and_then(|content| Issued::read(content.expose()));
            for url in urls {
                let Some((address, port)) = url
                    .strip_prefix("https://")
                    .and_then(|rest| rest.trim_end_matches('/').rsplit_once(':'))
                else {
                    continue;
                };
                let Ok(port) = port.parse() else { continue };
                let shown = tls::shown(hand, address.trim_matches(['[', ']']), port).await;
                if let (Some(shown), Some(wanted)) = (shown, &wanted)
                    && shown != wanted.der
                {
                    return Ok(Some(url));
                }
            }
        }
        Ok(None)
    }

    pub(super) async fn check_node(&self, host: &str) -> Result<Check, Failure> {
        Ok(match self.left(host).await? {
            Some(_) => Check::Needed,
            None => {
                let count = self.places(host).count();
                let health = self.health.gate(false).await?;
                Check::Done(format!("{count} files hold the new certificates; {health}"))
            }
        })
    }

    pub(super) async fn renew(&self, host: &str) -> Result<(), Failure> {
        let hand = self.hand(host)?;
        // All of them before the first is written: what can't be signed changes nothing.
        let mut new = Vec::new();
        for (target, place) in self.places(host) {
            new.push((place, self.successor(target).await?));
        }
        self.health.gate(false).await?;
        self.go_on()?;
        for (place, new) in &new {
            self.put(hand, place, new).await?;
        }
        let begin = Instant::now();
        while let Some(url) = self.behind(hand).await? {
            if begin.elapsed() > SHOWN {
                return Err(Failure::new(format!(
                    "{host}: {url} still shows the old certificate, {} s after the new one was put in place",
                    SHOWN.as_secs()
                ))
                .hint("etcd reads its files for every connection: does it use others than its settings name?"));
            }
            tokio::time::sleep(PAUSE).await;
        }
        self.reload(host).await?;
        self.health.gate(false).await.map(drop)
    }

    async fn reload(&self, host: &str) -> Result<(), Failure> {
        let hand = self.hand(host)?;
        let paths = self.paths(host);
        let old = processes::old(hand, &paths).await?;
        if old.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = old.iter().map(|old| old.name.as_str()).collect();
        self.note(host, format!("restarting {}", names.join(", ")));
        processes::replace(hand, &paths).await
    }

    /// One file: the old one is kept beside, the new one takes its place by a rename.
    async fn put(&self, hand: &Hand, place: &Place, new: &Issued) -> Result<(), Failure> {
        let content = self.content(place).await?;
        let there = certificate(content.expose());
        if there.as_ref() == Some(new) {
            return Ok(());
        }
        let of_it = there.is_some_and(|there| there.identity == new.identity);
        let text = replaced(content.expose(), new).map(Secret::new);
        let (true, Some(text)) = (of_it, text) else {
            return Err(Failure::new(format!(
                "{}: {} was changed meanwhile",
                hand.name, place.path
            ))
            .hint("find out who else renews certificates here, then run this again"));
        };
        let before = self.before(place);
        let args = json!({ "argv": ["cp", "-p", "--", place.path, before], "creates": before });
        hand.run(hand.task("command", args), IndexMap::new())
            .await?;
        let [mode, owner, group] = &place.rights;
        hand.write(&place.path, text.expose(), [mode, owner, group], false)
            .await?;
        Ok(())
    }

    fn before(&self, place: &Place) -> String {
        format!("{}{BEFORE}{}", place.path, self.run.id())
    }

    /// Old certificates come back, unless the new ones serve: those stay.
    pub(super) async fn undo(&self, host: &str) -> Result<String, Failure> {
        if let Ok(Check::Done(_)) = self.check_node(host).await {
            return Ok("its new certificates are in order and stay".to_owned());
        }
        let hand = self.hand(host)?;
        let mut count = 0;
        for (_, place) in self.places(host) {
            let (path, before) = (quote(&place.path), quote(&self.before(place)));
            let args = json!({ "_raw_params":
                format!("cmp -s {before} {path} || {{ cp -p -- {before} {path}.back && mv -fT -- {path}.back {path}; }}"),
                "removes": self.before(place) });
            let outcome = hand.run(hand.task("shell", args), IndexMap::new()).await?;
            count += usize::from(outcome.changed);
        }
        if count == 0 {
            return Ok("nothing was changed there".to_owned());
        }
        // Files have the times that they had, so whoever has read the new ones meanwhile doesn't show: those that were
        // ended for them have read a certificate that is good too.
        Ok(format!("{count} files hold the old certificates again"))
    }
}
