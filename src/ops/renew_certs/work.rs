//! What all steps share; the new certificates, signed where the key of their authority lies.

use super::facts::{Intent, Target};
use super::health::Health;
use crate::cluster::Hand;
use crate::cluster::reissue::Issued;
use crate::journal::{Event, Level, Run, Sink};
use crate::ops::engine::{Check, Failure};
use crate::ops::replace_node::machine::quote;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};
use tokio_util::sync::CancellationToken;

pub(super) struct Work {
    pub(super) run: Arc<Run>,
    pub(super) hands: BTreeMap<String, Hand>,
    pub(super) targets: Vec<Target>,
    /// New certificates by identity.
    pub(super) signed: tokio::sync::Mutex<BTreeMap<String, Issued>>,
    pub(super) intent: Intent,
    pub(super) health: Health,
    /// What the last step found.
    pub(super) done: RwLock<Option<String>>,
    pub(super) stop: CancellationToken,
}

impl Work {
    pub(super) fn hand(&self, host: &str) -> Result<&Hand, Failure> {
        self.hands
            .get(host)
            .ok_or_else(|| Failure::new(format!("{host} is not connected")))
    }

    pub(super) fn note(&self, host: &str, text: String) {
        self.run.emit(Event::Note {
            level: Level::Info,
            text,
            host: Some(host.to_owned()),
        });
    }

    pub(super) fn go_on(&self) -> Result<(), Failure> {
        match self.stop.is_cancelled() {
            true => Err(Failure::new("stopped by the operator")),
            false => Ok(()),
        }
    }

    /// The certificate was made by this renewal.
    pub(super) fn is_new(&self, issued: &Issued) -> bool {
        issued.not_before == self.intent.begin
    }

    /// The new certificate in place of this one: the same for all files that hold it.
    pub(super) async fn successor(&self, target: &Target) -> Result<Issued, Failure> {
        if target.made {
            return Ok(target.issued.clone());
        }
        let mut signed = self.signed.lock().await;
        if let Some(new) = signed.get(&target.issued.identity) {
            return Ok(new.clone());
        }
        let new = self.sign(target).await?;
        signed.insert(target.issued.identity.clone(), new.clone());
        Ok(new)
    }

    /// By the openssl of the host that holds the authority's key, which stays there.
    async fn sign(&self, target: &Target) -> Result<Issued, Failure> {
        let authority = &target.authority;
        let hand = self.hand(&authority.host)?;
        let renewal = target
            .issued
            .renewal(&authority.issued, self.intent.begin, target.not_after)
            .map_err(Failure::new)?;
        let script = format!(
            "command -v openssl >/dev/null || {{ echo 'no openssl'; exit 0; }}\n\
             echo {} | openssl base64 -d -A | openssl dgst -sha256 -sign {} -passin pass: | openssl base64 -A\nexit 0",
            quote(&STANDARD.encode(&renewal.to_sign)),
            quote(&authority.key)
        );
        let answer = hand.script(&script).await?;
        if answer.trim() == "no openssl" {
            return Err(Failure::new(format!(
                "{} holds the key of '{}', but has no openssl to sign with it",
                authority.host, authority.issued.subject
            ))
            .hint("install openssl there"));
        }
        let signature = STANDARD.decode(answer.trim()).unwrap_or_default();
        let new = renewal.finish(&signature, &authority.issued);
        new.ok_or_else(|| {
            Failure::new(format!(
                "{} on {} doesn't sign as '{}' does: it is encrypted, or another authority's",
                authority.key, authority.host, authority.issued.subject
            ))
        })
    }

    // --- verify

    pub(super) async fn check_verified(&self) -> Result<Check, Failure> {
        let told = self.done.read();
        let told = told.unwrap_or_else(std::sync::PoisonError::into_inner);
        Ok(told.clone().map_or(Check::Needed, Check::Done))
    }

    pub(super) async fn verify(&self) -> Result<(), Failure> {
        let hosts: std::collections::BTreeSet<&String> = self
            .targets
            .iter()
            .flat_map(|target| target.places.iter().map(|place| &place.host))
            .collect();
        for host in &hosts {
            if let Some(why) = self.left(host).await? {
                return Err(Failure::new(format!("{host}: {why}")));
            }
        }
        let health = self.health.gate(true).await?;
        let first = self.targets.iter().map(|target| match target.made {
            true => target.issued.not_after,
            false => target.not_after,
        });
        let sentence = format!(
            "{} certificates in {} files on {} hosts are new, the first of them ends on {}; {health}",
            self.targets.len(),
            self.targets.iter().map(|t| t.places.len()).sum::<usize>(),
            hosts.len(),
            first
                .min()
                .map_or_else(String::new, |at| at.strftime("%F").to_string())
        );
        let mut done = self
            .done
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        *done = Some(sentence);
        Ok(())
    }
}
