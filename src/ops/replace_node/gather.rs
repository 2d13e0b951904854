//! Facts, read now from hosts and cluster. Nothing is changed here, except that a confirmed host key is written down.

use super::Options;
use super::environment::{self, address};
use super::facts::{Certificates, Facts, Hosts, Intent, Machine, Place};
use super::machine;
use super::plan::{enough_run, quorum_lost};
use super::work::Donor;
use crate::backup::certificate::CertificateInfo;
use crate::backup::{self, Set};
use crate::cluster::door::Door;
use crate::cluster::identity::Settings;
use crate::cluster::{Etcd, Hand, Member, View};
use crate::journal::{Event, Level, Run, RunEnd, Sink, State};
use crate::link::{self, LinkError};
use crate::ops::engine::Failure;
use crate::ops::site::{LinkFailure, Site};
use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The group of the inventory whose hosts run etcd.
pub const GROUP: &str = "etcd";
/// How long the voters may take to elect a leader; etcd's own time limit for an election is a tenth of it.
const ELECTION: Duration = Duration::from_secs(15);
/// A certificate that ends sooner isn't put to use.
const LEAST_VALIDITY: SignedDuration = SignedDuration::from_hours(24);

/// The way into the cluster, and what came of connecting to each host.
pub(super) struct Ground {
    pub(super) etcd: Arc<Etcd>,
    pub(super) hands: BTreeMap<String, Hand>,
    /// Hosts that couldn't be entered.
    pub(super) closed: BTreeMap<String, Failure>,
    /// The new machine shows a key that nobody has confirmed.
    new_key: Option<Machine>,
}

/// Connect to all hosts of the group and to the new machine.
pub(super) async fn connect(site: &Site, options: &Options, run: &Run) -> Result<Ground, Failure> {
    let group = site.inventory.group_hosts(GROUP).unwrap_or_default();
    if group.is_empty() {
        return Err(Failure::new(format!("the inventory has no group '{GROUP}' with hosts in it"))
            .hint("kopsrun finds the members through the hosts of this group, as kubespray's inventories have it"));
    }
    for name in [options.node.as_str(), options.home()] {
        if !site.inventory.has_host(name) {
            let known: Vec<&str> = group.iter().map(AsRef::as_ref).collect();
            return Err(
                Failure::new(format!("{name} is not in the inventory")).hint(format!(
                    "hosts of the group '{GROUP}' are: {}",
                    known.join(", ")
                )),
            );
        }
    }
    let mut names: Vec<String> = group.iter().map(ToString::to_string).collect();
    for name in [options.node.clone(), options.home().to_owned()] {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let mut new_key = None;
    let mut hands = BTreeMap::new();
    let mut closed: BTreeMap<String, Failure> = BTreeMap::new();
    let connected = join_all(names.iter().map(|name| site.host(name))).await;
    for (name, result) in names.into_iter().zip(connected) {
        let result = match result {
            Err(LinkFailure::Link(error)) if name == options.home() && about_key(&error) => {
                match host_key(site, options, run, &name).await? {
                    None => site.host(&name).await,
                    Some(machine) => {
                        new_key = Some(machine);
                        Err(LinkFailure::Link(error))
                    }
                }
            }
            other => other,
        };
        match result {
            Ok(hand) => drop(hands.insert(name, hand)),
            Err(why) => drop(closed.insert(name, why.into())),
        }
    }
    let doors = hands
        .values()
        .map(|hand| Arc::new(hand.clone()) as Arc<dyn Door>)
        .collect();
    let etcd = Etcd::open(doors).await.map_err(|error| {
        let mut failure = Failure::from(error);
        for (host, why) in &closed {
            failure = failure.hint(format!("{host}: {}", why.message));
        }
        failure
    })?;
    Ok(Ground {
        etcd: Arc::new(etcd),
        hands,
        closed,
        new_key,
    })
}

fn about_key(error: &LinkError) -> bool {
    matches!(
        error,
        LinkError::HostKeyChanged { .. } | LinkError::UnknownHostKey { .. }
    )
}

/// Show the machine's key and write it down when it is confirmed: by a flag, by the inventory or by the person.
async fn host_key(
    site: &Site,
    options: &Options,
    run: &Run,
    name: &str,
) -> Result<Option<Machine>, Failure> {
    let target = (site.target)(name)?;
    let key = link::scan_host_key(&target, &site.pool).await?;
    let expected: Vec<String> = match &key.verdict {
        link::Verdict::Known => return Ok(None),
        link::Verdict::Revoked => {
            return Err(Failure::new(format!(
                "{name} shows a host key that is revoked: {}",
                key.fingerprint
            ))
            .hint("don't connect: make new host keys on the machine's console"));
        }
        link::Verdict::Unknown => Vec::new(),
        link::Verdict::Changed(known) => known.iter().map(|k| k.fingerprint.clone()).collect(),
    };
    let pinned = (site.variable)(name, "kopsrun_host_key");
    let shown = format!("{} {}", key.algorithm, key.fingerprint);
    let by = if options.accept_new_host_key {
        "--accept-new-host-key"
    } else if pinned.as_deref() == Some(key.fingerprint.as_str()) {
        "the inventory (kopsrun_host_key)"
    } else if options.plan_only {
        return Ok(Some(Machine::NewKey { shown, expected }));
    } else {
        let details = vec![
            format!("the machine at {} shows the host key  {shown}", key.name),
            match expected.as_slice() {
                [] => "no key was known for it".to_owned(),
                known => format!(
                    "known was                               {}",
                    known.join(", ")
                ),
            },
            "compare it on the machine's console: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"
                .to_owned(),
        ];
        let asked = site
            .ask(format!("Is this the new machine of {name}?"), details)
            .await;
        if !asked {
            return Err(unconfirmed(name, &shown, &expected));
        }
        "the operator"
    };
    link::replace_known_host(&target, &key)?;
    run.emit(Event::Note {
        level: Level::Info,
        text: format!(
            "new host key {shown} confirmed by {by}{}",
            match expected.as_slice() {
                [] => String::new(),
                known => format!("; known was {}", known.join(", ")),
            }
        ),
        host: Some(name.to_owned()),
    });
    Ok(None)
}

fn unconfirmed(name: &str, shown: &str, expected: &[String]) -> Failure {
    let known = match expected {
        [] => "no key was known".to_owned(),
        known => format!("known was {}", known.join(", ")),
    };
    Failure::new(format!(
        "the machine of {name} shows a host key that nobody has confirmed: {shown}; {known}"
    ))
    .hint("compare it on the machine's console: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub")
    .hint(format!(
        "it is the new machine? --accept-new-host-key {name}"
    ))
}

/// Returns when a majority answers. An election is waited for: the death of the leader, which may be why we were called,
/// is followed by one.
pub(super) async fn majority(site: &Site, ground: &Ground) -> Result<(), Failure> {
    let until = Instant::now() + ELECTION;
    loop {
        let view = ground.etcd.view().await?;
        if !view.stale {
            return Ok(());
        }
        if !enough_run(&view) || Instant::now() > until {
            let members: Vec<Member> = view.members.iter().map(|s| s.member.clone()).collect();
            return Err(quorum_lost(&view, &ground.hosts(site, &members)));
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// Two looks at the cluster, a moment apart.
pub(super) async fn view(etcd: &Etcd) -> Result<(View, bool), Failure> {
    let first = etcd.view().await?;
    tokio::time::sleep(Duration::from_millis(150)).await;
    let second = etcd.view().await?;
    let term = |view: &View| {
        view.members
            .iter()
            .filter_map(|s| s.status.as_ref())
            .map(|s| s.raft_term)
            .max()
    };
    let stable = term(&first) == term(&second) && first.leader == second.leader;
    Ok((second, stable))
}

impl Ground {
    /// A healthy member's settings, other than those of the node in question.
    pub(super) async fn donor(
        &self,
        view: &View,
        options: &Options,
    ) -> Result<(Donor, Hand), Failure> {
        let healthy = |settings: &Settings| {
            let urls = settings.client_urls();
            view.members
                .iter()
                .any(|s| s.healthy() && s.member.client_urls.iter().any(|u| urls.contains(u)))
        };
        let gate = self
            .etcd
            .gates()
            .filter(|g| g.door.host() != options.node && g.door.host() != options.home())
            .find(|g| healthy(&g.settings))
            .ok_or_else(|| {
                let mut failure =
                    Failure::new("no other host with a healthy member can be entered");
                for (host, why) in &self.closed {
                    failure = failure.hint(format!("{host}: {}", why.message));
                }
                failure
            })?;
        let host = gate.door.host().to_owned();
        let hand = self
            .hands
            .get(&host)
            .cloned()
            .ok_or_else(|| Failure::new(format!("{host} is gone")))?;
        let unit = gate
            .door
            .read("/etc/systemd/system/etcd.service")
            .await
            .map_err(|e| Failure::new(e.to_string()))?
            .map(|text| String::from_utf8_lossy(text.expose()).into_owned())
            .unwrap_or_default();
        let (program, user) = Donor::read_unit(&unit);
        let program = program.unwrap_or_else(|| "/usr/bin/etcd".to_owned());
        let data_dir = gate
            .settings
            .data_dir()
            .unwrap_or("/var/lib/etcd")
            .to_owned();
        let look = machine::look(&hand, &data_dir, &program).await?;
        let donor = Donor {
            host,
            settings: gate.settings.clone(),
            unit,
            program,
            version: look.program,
            user: user.unwrap_or_else(|| "root".to_owned()),
        };
        Ok((donor, hand))
    }

    /// Where a host's member lives, from its own settings, from those of the others, or from the inventory.
    pub(super) fn place(
        &self,
        site: &Site,
        host: &str,
        members: &[Member],
    ) -> Result<Place, Failure> {
        if let Some(gate) = self.etcd.gates().find(|g| g.door.host() == host) {
            let s = &gate.settings;
            if let (Some(name), Some(peer), Some(client)) =
                (s.name(), s.peer_urls().first(), s.client_urls().first())
            {
                return Ok(Place {
                    host: host.to_owned(),
                    member: name.to_owned(),
                    peer_url: peer.clone(),
                    client_url: client.clone(),
                });
            }
        }
        let name = (site.variable)(host, "etcd_member_name");
        let inventory = [
            "etcd_access_address",
            "etcd_address",
            "access_ip",
            "ip",
            "ansible_host",
        ]
        .iter()
        .filter_map(|variable| (site.variable)(host, variable))
        .chain([host.to_owned()])
        .find(|a| a.parse::<IpAddr>().is_ok());
        let told = self.etcd.gates().flat_map(|g| g.settings.initial_cluster());
        let listed = members
            .iter()
            .flat_map(|m| m.peer_urls.iter().map(|u| (m.name.clone(), u.clone())));
        let known = listed.chain(told).find(|(member, url)| match &inventory {
            Some(ip) => address(url).as_deref() == Some(ip),
            None => member == name.as_deref().unwrap_or(host),
        });
        let pattern = self.etcd.gates().find_map(|g| {
            Some((
                g.settings.peer_urls().first()?.clone(),
                g.settings.client_urls().first()?.clone(),
            ))
        });
        let (peer, client) =
            pattern.ok_or_else(|| Failure::new("no member's addresses are known"))?;
        let (member, peer_url) = match (known, inventory) {
            (Some((member, url)), _) if !member.is_empty() => (member, url),
            (Some((_, url)), _) => (name.unwrap_or_else(|| host.to_owned()), url),
            (None, Some(ip)) => (
                name.unwrap_or_else(|| host.to_owned()),
                with_host(&peer, &ip),
            ),
            (None, None) => {
                return Err(Failure::new(format!(
                    "the address of {host} as a member is not known"
                ))
                .hint(format!(
                    "set `ip` or `ansible_host` of {host} in the inventory to an IP address"
                )));
            }
        };
        let client_url = address(&peer_url)
            .map(|ip| with_host(&client, &ip))
            .unwrap_or_default();
        Ok(Place {
            host: host.to_owned(),
            member,
            peer_url,
            client_url,
        })
    }

    /// The inventory's hosts of these members, by the members' ids.
    fn hosts(&self, site: &Site, members: &[Member]) -> Hosts {
        let group = site.inventory.group_hosts(GROUP).unwrap_or_default();
        let known = group.iter().filter_map(|host| {
            let place = self.place(site, host, members).ok()?;
            Some((place.find(members)?.id, host.to_string()))
        });
        Hosts(known.collect())
    }

    pub(super) async fn machine(&self, options: &Options, donor: &Donor) -> Machine {
        if let Some(machine) = &self.new_key {
            return machine.clone();
        }
        let Some(hand) = self.hands.get(options.home()) else {
            let why = self.closed.get(options.home()).cloned();
            return Machine::Unreachable(why.unwrap_or_else(|| Failure::new("not connected")));
        };
        match machine::look(hand, donor.data_dir(), &donor.program).await {
            Ok(look) => look.machine(),
            Err(error) => Machine::Unreachable(error.into()),
        }
    }

    /// Where usable certificates of the new member are.
    pub(super) async fn certificates(
        &self,
        site: &Site,
        home: &Place,
        donor: &Donor,
        donor_hand: &Hand,
    ) -> Result<(Certificates, Option<Set>), Failure> {
        let ca_path = donor
            .settings
            .get("TRUSTED_CA_FILE")
            .unwrap_or("/etc/ssl/etcd/ssl/ca.pem");
        let authority = information(donor_hand, ca_path).await?.ok_or_else(|| {
            Failure::new(format!(
                "{} has no certificate authority at {ca_path}",
                donor.host
            ))
        })?;
        let wanted = environment::environment(&donor.settings, &donor.host, home, "");
        let files: Vec<&String> = wanted
            .iter()
            .filter(|(name, path)| name.ends_with("_FILE") && !path.is_empty())
            .map(|(_, path)| path)
            .collect();
        if let Some(hand) = self.hands.get(&home.host)
            && on_machine(hand, &files, home, &authority, ca_path).await?
        {
            return Ok((Certificates::OnMachine, None));
        }
        Ok(match from_backup(site, home, &files, &authority, ca_path) {
            Ok(set) => (Certificates::Backup(set.manifest.set.clone()), Some(set)),
            Err(why) => (Certificates::Missing(why), None),
        })
    }
}

/// The same URL with another host.
fn with_host(url: &str, host: &str) -> String {
    let old = address(url).unwrap_or_default();
    let bracket = |a: &str| {
        if a.contains(':') {
            format!("[{a}]")
        } else {
            a.to_owned()
        }
    };
    url.replacen(&bracket(&old), &bracket(host), 1)
}

async fn information(hand: &Hand, path: &str) -> Result<Option<CertificateInfo>, Failure> {
    let content = hand
        .read(path)
        .await
        .map_err(|e| Failure::new(e.to_string()))?;
    Ok(content.and_then(|c| CertificateInfo::read(c.expose())))
}

async fn on_machine(
    hand: &Hand,
    files: &[&String],
    home: &Place,
    authority: &CertificateInfo,
    ca_path: &str,
) -> Result<bool, Failure> {
    for path in files {
        let content = hand
            .read(path)
            .await
            .map_err(|e| Failure::new(e.to_string()))?;
        let Some(content) = content else {
            return Ok(false);
        };
        if let Some(info) = CertificateInfo::read(content.expose())
            && unfit(path, &info, home, authority, ca_path).is_some()
        {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Why a certificate can't be used for the member at `home`.
fn unfit(
    path: &str,
    info: &CertificateInfo,
    home: &Place,
    authority: &CertificateInfo,
    ca_path: &str,
) -> Option<String> {
    if info.not_after < Timestamp::now() + LEAST_VALIDITY {
        return Some(format!("{path} ends on {}", info.not_after.strftime("%F")));
    }
    if path == ca_path {
        return (info.spki_sha256 != authority.spki_sha256)
            .then(|| format!("{path} is of another authority than the live one"));
    }
    if info.issuer != authority.subject {
        return Some(format!(
            "{path} was signed by '{}', the live authority is '{}'",
            info.issuer, authority.subject
        ));
    }
    let addresses = [&home.peer_url, &home.client_url];
    let mut addresses = addresses.into_iter().filter_map(|url| address(url));
    let lacking = addresses.find(|address| !info.ca && !info.covers(address))?;
    Some(format!(
        "{path} isn't made out to {lacking}, but to {}",
        info.sans.join(", ")
    ))
}

fn from_backup(
    site: &Site,
    home: &Place,
    files: &[&String],
    authority: &CertificateInfo,
    ca_path: &str,
) -> Result<Set, Failure> {
    let missing = |why: String| {
        Failure::new(format!("there are no usable certificates for {}: {why}", home.host))
            .hint("take backups while nodes are well: kopsrun backup certs")
            .hint(format!(
                "without a backup: make a certificate for {} with the etcd authority and put it on the machine, \
                 then run this again; it is found there",
                home.host
            ))
    };
    let set =
        backup::newest(&site.backups, &home.host, None).map_err(|e| missing(e.to_string()))?;
    let name = set.manifest.set.clone();
    let (_opened, archive) = set
        .verified(&home.host, &site.backup_keys)
        .map_err(|e| missing(e.to_string()))?;
    for path in files {
        let Some(entry) = archive.file(path) else {
            return Err(missing(format!("{path} is not in the backup {name}")));
        };
        if let Some(info) = &entry.certificate
            && let Some(why) = unfit(path, info, home, authority, ca_path)
        {
            return Err(missing(format!("in the backup {name}, {why}")));
        }
    }
    Ok(set)
}

/// What the latest run on this node set out to do, if it didn't get to its end.
pub(super) fn earlier(root: &Path, me: &str, options: &Options) -> Option<Intent> {
    let runs = crate::journal::list(root).ok()?;
    let intents = runs
        .iter()
        .rev()
        .filter(|r| r.meta.command == super::COMMAND)
        .filter_map(|r| {
            let text = std::fs::read(root.join(&r.meta.id).join(super::INTENT)).ok()?;
            Some((r, serde_json::from_slice::<Intent>(&text).ok()?))
        })
        .find(|(_, intent)| intent.node == options.node);
    let (run, intent) = intents?;
    (run.meta.id == me || run.state != State::Ended(RunEnd::Done)).then_some(intent)
}

/// All facts, with what the steps need besides.
pub(super) async fn facts(
    site: &Site,
    options: &Options,
    run: &Run,
    ground: &Ground,
) -> Result<(Facts, Donor, Hand, Option<Set>), Failure> {
    let (view, term_stable) = view(&ground.etcd).await?;
    let members: Vec<Member> = view.members.iter().map(|s| s.member.clone()).collect();
    let node = ground.place(site, &options.node, &members)?;
    let home = ground.place(site, options.home(), &members)?;
    let (donor, hand) = ground.donor(&view, options).await?;
    let machine = ground.machine(options, &donor).await;
    let hosts = ground.hosts(site, &members);
    let (certificates, set) = ground.certificates(site, &home, &donor, &hand).await?;
    let facts = Facts {
        static_pod: donor.settings.file.starts_with("/etc/kubernetes/"),
        earlier: earlier(&site.runs, run.id(), options),
        node,
        home,
        view,
        hosts,
        term_stable,
        machine,
        certificates,
    };
    Ok((facts, donor, hand, set))
}
