//! Speaking to etcd through the hosts: every call goes over a door, with certificates that were read from the host.

use super::door::Door;
use super::error::EtcdError;
use super::identity::{self, Credentials, Settings};
use super::member::{Health, Member, Seen, Status, View};
use etcd_client::{Channel, Client};
use futures::future::{join_all, select_ok};
use hyper_util::rt::TokioIo;
use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use tokio::time::timeout;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity, Uri};

/// How long a connection to a member may take.
const CONNECT: Duration = Duration::from_secs(4);
/// How long another host waits for a member's own host to get through first.
const HEAD_START: Duration = Duration::from_millis(400);
/// How long a host may take to hand out its settings and certificates.
const READ: Duration = Duration::from_secs(20);
/// How long one read may take before the member counts as sick. An election of kubespray's etcd takes 5 to 10 s, a
/// member that is well answers in milliseconds.
pub const HEALTH: Duration = Duration::from_secs(3);
/// How long one call that changes something may take; etcd itself gives up after 7 s or with kubespray's timings 15 s.
pub(super) const CALL: Duration = Duration::from_secs(20);

/// A host through which the cluster can be reached.
pub struct Gate {
    pub door: Arc<dyn Door>,
    pub settings: Settings,
    credentials: Credentials,
}

/// An etcd cluster as seen through its hosts.
pub struct Etcd {
    gates: Vec<Arc<Gate>>,
    /// Hosts through which it can't be reached, and why.
    pub closed: Vec<(String, String)>,
    /// Open connections by client URL.
    clients: Mutex<HashMap<String, Client>>,
    /// The gate that answered last; the next call begins there.
    last_good: AtomicUsize,
}

impl Etcd {
    /// Read settings and certificates on all hosts at once; works as long as one of them has them.
    pub async fn open(doors: Vec<Arc<dyn Door>>) -> Result<Self, EtcdError> {
        let read = join_all(doors.into_iter().map(|door| async move {
            let name = door.host().to_owned();
            match timeout(READ, gate(door)).await {
                Ok(Ok(gate)) => Ok(Arc::new(gate)),
                Ok(Err(reason)) => Err((name, reason)),
                Err(_) => Err((name, format!("no answer within {} s", READ.as_secs()))),
            }
        }))
        .await;
        let (mut gates, mut closed) = (Vec::new(), Vec::new());
        for result in read {
            match result {
                Ok(gate) => gates.push(gate),
                Err(reason) => closed.push(reason),
            }
        }
        if gates.is_empty() {
            return Err(EtcdError::NoWayIn { closed });
        }
        Ok(Self {
            gates,
            closed,
            clients: Mutex::default(),
            last_good: AtomicUsize::new(0),
        })
    }

    /// The hosts through which the cluster can be reached.
    pub fn gates(&self) -> impl Iterator<Item = &Gate> {
        self.gates.iter().map(AsRef::as_ref)
    }

    /// A client of the member with these URLs, through its own host or, when that is closed, through another.
    pub(super) async fn client(&self, urls: &[String]) -> Result<Client, EtcdError> {
        let url = urls
            .iter()
            .find(|u| !u.contains("127.0.0.1") && !u.contains("localhost"))
            .or(urls.first())
            .ok_or_else(|| {
                EtcdError::Unreachable("the member has no client URLs: it never started".to_owned())
            })?;
        if let Some(client) = self.clients.lock().await.get(url) {
            return Ok(client.clone());
        }
        let client = self.dial(url).await?;
        self.clients
            .lock()
            .await
            .insert(url.clone(), client.clone());
        Ok(client)
    }

    async fn dial(&self, url: &str) -> Result<Client, EtcdError> {
        let own = |gate: &Gate| gate.settings.client_urls().iter().any(|u| u == url);
        let mut order: Vec<&Arc<Gate>> = self.gates.iter().collect();
        order.sort_by_key(|gate| !own(gate));
        let tries = order.into_iter().take(3).enumerate().map(|(rank, gate)| {
            let wait = HEAD_START * u32::from(rank > 0);
            Box::pin(async move {
                tokio::time::sleep(wait).await;
                connect(gate, url).await
            })
        });
        select_ok(tries).await.map(|(client, _)| client)
    }

    /// Forget a connection that failed, so that the next call makes a new one.
    pub(super) async fn forget(&self, urls: &[String]) {
        let mut clients = self.clients.lock().await;
        clients.retain(|url, _| !urls.contains(url));
    }

    /// Ask the members one after the other until one answers. Only for calls that may be repeated.
    pub(super) async fn any<T, F>(
        &self,
        what: &str,
        limit: Duration,
        call: impl Fn(Client) -> F,
    ) -> Result<T, EtcdError>
    where
        F: Future<Output = Result<T, etcd_client::Error>>,
    {
        let mut last = None;
        let first = self.last_good.load(Ordering::Relaxed);
        let order = (0..self.gates.len()).map(|i| (first + i) % self.gates.len());
        for (index, gate) in order.map(|i| (i, &self.gates[i])) {
            let urls = gate.settings.client_urls();
            let result = match self.client(&urls).await {
                Ok(client) => match timeout(limit, call(client)).await {
                    Ok(result) => result.map_err(|e| EtcdError::call(what, e)),
                    Err(_) => Err(EtcdError::timeout(what, limit)),
                },
                Err(error) => Err(error),
            };
            match result {
                Ok(value) => {
                    self.last_good.store(index, Ordering::Relaxed);
                    return Ok(value);
                }
                Err(error) if error.definite() => return Err(error),
                Err(error) => {
                    self.forget(&urls).await;
                    last = Some(error);
                }
            }
        }
        Err(last.unwrap_or_else(|| EtcdError::NoWayIn {
            closed: self.closed.clone(),
        }))
    }

    /// The member list that a majority agrees on: a linearizable read first, then the list of the same member.
    ///
    /// etcd 3.4 serves the list from what the member has applied; after the read that is everything committed.
    pub async fn members(&self) -> Result<Vec<Member>, EtcdError> {
        Ok(self.members_and_cluster().await?.1)
    }

    async fn members_and_cluster(&self) -> Result<(u64, Vec<Member>), EtcdError> {
        self.any("read the member list", HEALTH, |mut client| async move {
            client.get("health", None).await?;
            list(&mut client).await
        })
        .await
    }

    /// The member list of whoever answers; for a cluster that has lost its majority.
    async fn members_unconfirmed(&self) -> Result<(u64, Vec<Member>), EtcdError> {
        self.any("read the member list", HEALTH, |mut client| async move {
            list(&mut client).await
        })
        .await
    }

    /// Everything about the cluster, asked now, all members at once.
    pub async fn view(&self) -> Result<View, EtcdError> {
        // Without a majority the confirmed list takes its whole time to fail; everything else is asked meanwhile.
        let look = async {
            let (cluster_id, list) = self.members_unconfirmed().await?;
            let seen = join_all(list.into_iter().map(|m| self.look(m))).await;
            Ok::<_, EtcdError>((cluster_id, seen))
        };
        let (confirmed, seen) = tokio::join!(self.members_and_cluster(), look);
        let stale = confirmed.is_err();
        let (cluster_id, members) = match (confirmed, seen) {
            (Ok((id, list)), Ok((_, seen))) if list.iter().eq(seen.iter().map(|s| &s.member)) => {
                (id, seen)
            }
            // Whoever gave the other list hadn't heard of the latest change.
            (Ok((id, list)), _) => (id, join_all(list.into_iter().map(|m| self.look(m))).await),
            (Err(_), seen) => seen?,
        };
        let alarms = if stale {
            Vec::new()
        } else {
            self.alarms(&members).await?
        };
        Ok(View {
            cluster_id,
            leader: agreed_leader(&members),
            members,
            alarms,
            stale,
        })
    }

    /// One member's health and status.
    pub async fn look(&self, member: Member) -> Seen {
        if !member.started() {
            return Seen {
                member,
                health: Health::Unstarted,
                status: None,
            };
        }
        let (health, status) = match self.ask(&member).await {
            Ok((took, status)) if member.learner => {
                let _ = took;
                (Health::Learning, Some(status))
            }
            Ok((Some(took), status)) => (Health::Healthy { took }, Some(status)),
            Ok((None, status)) => (
                Health::Sick {
                    reason: format!(
                        "its etcd runs but answered no linearizable read within {} s",
                        HEALTH.as_secs()
                    ),
                },
                Some(status),
            ),
            Err(error) => {
                self.forget(&member.client_urls).await;
                let reason = error.to_string();
                (Health::Sick { reason }, None)
            }
        };
        Seen {
            member,
            health,
            status,
        }
    }

    /// How long a linearizable read took (none: it failed), and the status.
    async fn ask(&self, member: &Member) -> Result<(Option<Duration>, Status), EtcdError> {
        let mut reader = self.client(&member.client_urls).await?;
        let mut asker = reader.clone();
        let begin = Instant::now();
        let read = async {
            if member.learner {
                return None;
            }
            match timeout(HEALTH, reader.get("health", None)).await {
                // A refusal by etcd's own access control was agreed on by a majority too.
                Ok(Err(e)) => EtcdError::call("read", e)
                    .is_denied()
                    .then(|| begin.elapsed()),
                Ok(Ok(_)) => Some(begin.elapsed()),
                _ => None,
            }
        };
        let (took, status) = tokio::join!(read, timeout(HEALTH, asker.status()));
        let status = status
            .map_err(|_| EtcdError::timeout("read its status", HEALTH))?
            .map_err(|e| EtcdError::call("read its status", e))?;
        Ok((took, read_status(&status)))
    }

    async fn alarms(&self, members: &[Seen]) -> Result<Vec<String>, EtcdError> {
        use etcd_client::{AlarmAction, AlarmType};
        let response = self
            .any("read the alarms", HEALTH, |mut client| async move {
                client.alarm(AlarmAction::Get, AlarmType::None, None).await
            })
            .await?;
        let label = |id: u64| {
            members
                .iter()
                .find(|s| s.member.id == id)
                .map_or_else(|| format!("{id:x}"), |s| s.member.label().to_owned())
        };
        Ok(response
            .alarms()
            .iter()
            .filter(|a| a.alarm() != AlarmType::None)
            .map(|a| {
                let kind = match a.alarm() {
                    AlarmType::Nospace => "NOSPACE",
                    AlarmType::Corrupt => "CORRUPT",
                    AlarmType::None => "",
                };
                format!("{kind} on {}", label(a.member_id()))
            })
            .collect())
    }

    /// The value of a key, read through the majority.
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, EtcdError> {
        let response = self
            .any("read a key", HEALTH, |mut client| async move {
                client.get(key, None).await
            })
            .await?;
        Ok(response.kvs().first().map(|kv| kv.value().to_vec()))
    }

    /// Write a key; repeated with another member when the first one loses it, which is harmless for the same value.
    pub async fn put(&self, key: &str, value: &[u8]) -> Result<(), EtcdError> {
        self.any("write a key", CALL, |mut client| async move {
            client.put(key, value, None).await
        })
        .await
        .map(drop)
    }

    /// A key as one member has it, read through the majority: proof that this member serves the data.
    pub async fn get_from(&self, member: &Member, key: &str) -> Result<Option<Vec<u8>>, EtcdError> {
        let mut client = self.client(&member.client_urls).await?;
        let response = timeout(CALL, client.get(key, None))
            .await
            .map_err(|_| EtcdError::timeout("read a key", CALL))?
            .map_err(|e| EtcdError::call("read a key", e))?;
        Ok(response.kvs().first().map(|kv| kv.value().to_vec()))
    }

    /// The revision that a majority has reached.
    pub async fn revision(&self) -> Result<i64, EtcdError> {
        let response = self
            .any("read the revision", HEALTH, |mut client| async move {
                client.get("health", None).await
            })
            .await?;
        Ok(response
            .header()
            .map_or(0, etcd_client::ResponseHeader::revision))
    }

    /// Hash of all keys and their history up to `revision` on one member, and the revision that history begins at.
    pub async fn hash_kv(&self, member: &Member, revision: i64) -> Result<(u32, i64), EtcdError> {
        let mut client = self.client(&member.client_urls).await?;
        let response = timeout(CALL, client.hash_kv(revision))
            .await
            .map_err(|_| EtcdError::timeout("hash the keys", CALL))?
            .map_err(|e| EtcdError::call("hash the keys", e))?;
        Ok((response.hash(), response.compact_version()))
    }
}

async fn gate(door: Arc<dyn Door>) -> Result<Gate, String> {
    let settings = identity::settings(door.as_ref())
        .await
        .map_err(|e| e.to_string())?
        .ok_or("no etcd is set up there")?;
    let credentials = identity::credentials(door.as_ref(), &settings)
        .await
        .map_err(|e| e.to_string())?
        .ok_or("no client certificate for etcd was found there")?;
    if settings.client_urls().is_empty() {
        return Err(format!("{} names no client URL", settings.file));
    }
    Ok(Gate {
        door,
        settings,
        credentials,
    })
}

async fn connect(gate: &Arc<Gate>, url: &str) -> Result<Client, EtcdError> {
    let fail = |reason: String| EtcdError::Unreachable(format!("{url}: {reason}"));
    let uri: Uri = url.parse().map_err(|e| fail(format!("not a URL: {e}")))?;
    let host = uri
        .host()
        .ok_or_else(|| fail("no host in the URL".to_owned()))?
        .trim_matches(['[', ']'])
        .to_owned();
    let port = uri.port_u16().unwrap_or(2379);
    let address = format!("{host}:{port}");
    let tls = uri.scheme_str() == Some("https");
    let mut endpoint = Endpoint::from(uri)
        .http2_keep_alive_interval(Duration::from_secs(5))
        .keep_alive_timeout(Duration::from_secs(5));
    if tls {
        let c = &gate.credentials;
        endpoint = endpoint
            .tls_config(
                ClientTlsConfig::new()
                    .ca_certificate(Certificate::from_pem(c.ca.expose()))
                    .identity(Identity::from_pem(c.certificate.expose(), c.key.expose()))
                    .domain_name(host.clone()),
            )
            .map_err(|e| fail(EtcdError::chain(&e)))?;
    }
    let door = Arc::clone(&gate.door);
    let connector = tower::service_fn(move |_: Uri| {
        let (door, host) = (Arc::clone(&door), host.clone());
        async move { door.dial(&host, port).await.map(TokioIo::new) }
    });
    let channel = timeout(CONNECT, endpoint.connect_with_connector(connector))
        .await
        .map_err(|_| fail(format!("no connection within {} s", CONNECT.as_secs())))?
        .map_err(|e| match e.source().map(EtcdError::chain) {
            // The door's own words name the address.
            Some(reason) if reason.contains(&address) => EtcdError::Unreachable(reason),
            Some(reason) => fail(reason),
            None => fail(e.to_string()),
        })?;
    Client::from_channel(Channel::Tonic(channel), None)
        .await
        .map_err(|e| fail(e.to_string()))
}

async fn list(client: &mut Client) -> Result<(u64, Vec<Member>), etcd_client::Error> {
    let response = client.member_list().await?;
    let cluster = response
        .header()
        .map_or(0, etcd_client::ResponseHeader::cluster_id);
    let members = response.members().iter().map(read_member).collect();
    Ok((cluster, members))
}

pub(super) fn read_member(m: &etcd_client::Member) -> Member {
    Member {
        id: m.id(),
        name: m.name().to_owned(),
        peer_urls: m.peer_urls().to_vec(),
        client_urls: m.client_urls().to_vec(),
        learner: m.is_learner(),
    }
}

fn read_status(s: &etcd_client::StatusResponse) -> Status {
    Status {
        version: s.version().to_owned(),
        leader: s.leader(),
        raft_term: s.raft_term(),
        raft_index: s.raft_index(),
        applied_index: s.raft_applied_index(),
        revision: s.header().map_or(0, etcd_client::ResponseHeader::revision),
        db_size: s.db_size(),
        db_in_use: s.raft_used_db_size(),
        learner: s.is_learner(),
        errors: s.errors().to_vec(),
    }
}

/// The leader that all healthy members name, if they name the same one.
fn agreed_leader(members: &[Seen]) -> Option<u64> {
    let mut named = members
        .iter()
        .filter(|s| s.healthy())
        .filter_map(|s| s.status.as_ref())
        .map(|s| s.leader);
    let first = named.next().filter(|id| *id != 0)?;
    named.all(|id| id == first).then_some(first)
}
