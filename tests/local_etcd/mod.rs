//! A real etcd cluster with TLS on this machine's loopback, one process a member, for tests of `cluster`.
#![allow(
    clippy::disallowed_methods,
    reason = "settings of tests come from the environment"
)]

use futures::future::BoxFuture;
use kopsrun::cluster::door::Door;
use kopsrun::link::Tunnel;
use kopsrun::secret::Secret;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The files and settings of one member, and its process while it runs.
pub struct Node {
    pub name: String,
    pub client: u16,
    pub peer: u16,
    pub data: PathBuf,
    files: BTreeMap<String, PathBuf>,
    child: Option<Child>,
}

pub struct Cluster {
    pub dir: tempfile::TempDir,
    pub nodes: Vec<Node>,
    issuer: Issuer<'static, KeyPair>,
}

fn etcd() -> PathBuf {
    let given = std::env::var_os("KOPSRUN_ETCD").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    given
        .into_iter()
        .chain(std::env::split_paths(&path).map(|p| p.join("etcd")))
        .find(|p| p.is_file())
        .expect("etcd is needed in PATH or as KOPSRUN_ETCD (`make test` installs it)")
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((LOOPBACK, 0)).expect("a free port");
    listener.local_addr().expect("its address").port()
}

impl Cluster {
    /// Start `count` members that form a new cluster.
    pub fn start(count: usize) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "etcd-ca");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        let ca = params.self_signed(&key).expect("a CA");
        fs::write(dir.path().join("ca.pem"), ca.pem()).expect("written");
        let issuer = Issuer::new(params, key);
        let mut cluster = Self {
            dir,
            nodes: Vec::new(),
            issuer,
        };
        for n in 1..=count {
            cluster.prepare(&format!("node{n}"));
        }
        let all = cluster.initial();
        for n in 0..count {
            cluster.run(n, &all, "new");
        }
        cluster
    }

    /// Certificates, ports and settings of a further member that isn't started yet.
    pub fn prepare(&mut self, name: &str) -> usize {
        let home = self.dir.path().join(format!("{name}-{}", self.nodes.len()));
        fs::create_dir(&home).expect("a directory");
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.subject_alt_names = vec![SanType::IpAddress(LOOPBACK)];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        fs::write(home.join("cert.pem"), certificate.pem()).expect("written");
        fs::write(home.join("key.pem"), key.serialize_pem()).expect("written");
        let ssl = "/etc/ssl/etcd/ssl";
        let files = BTreeMap::from([
            (format!("{ssl}/ca.pem"), self.dir.path().join("ca.pem")),
            (format!("{ssl}/admin-{name}.pem"), home.join("cert.pem")),
            (format!("{ssl}/admin-{name}-key.pem"), home.join("key.pem")),
            ("/etc/etcd.env".to_owned(), home.join("etcd.env")),
        ]);
        self.nodes.push(Node {
            name: name.to_owned(),
            client: free_port(),
            peer: free_port(),
            data: home.join("data"),
            files,
            child: None,
        });
        self.nodes.len() - 1
    }

    pub fn initial(&self) -> String {
        let pairs: Vec<String> = self
            .nodes
            .iter()
            .map(|n| format!("{}={}", n.name, n.peer_url()))
            .collect();
        pairs.join(",")
    }

    /// Start member `n` as its settings say.
    pub fn run(&mut self, n: usize, initial: &str, state: &str) {
        let ca = self.dir.path().join("ca.pem").display().to_string();
        let node = &mut self.nodes[n];
        let (cert, key) = (node.file("admin", ".pem"), node.file("admin", "-key.pem"));
        let settings = [
            ("NAME", node.name.clone()),
            ("DATA_DIR", node.data.display().to_string()),
            ("LISTEN_PEER_URLS", node.peer_url()),
            ("LISTEN_CLIENT_URLS", node.client_url()),
            ("INITIAL_ADVERTISE_PEER_URLS", node.peer_url()),
            ("ADVERTISE_CLIENT_URLS", node.client_url()),
            ("INITIAL_CLUSTER", initial.to_owned()),
            ("INITIAL_CLUSTER_STATE", state.to_owned()),
            ("CERT_FILE", cert.clone()),
            ("KEY_FILE", key.clone()),
            ("TRUSTED_CA_FILE", ca.clone()),
            ("CLIENT_CERT_AUTH", "true".to_owned()),
            ("PEER_CERT_FILE", cert),
            ("PEER_KEY_FILE", key),
            ("PEER_TRUSTED_CA_FILE", ca),
            ("PEER_CLIENT_CERT_AUTH", "true".to_owned()),
        ];
        let text: String = settings
            .iter()
            .map(|(k, v)| format!("ETCD_{k}={v}\n"))
            .collect();
        fs::write(&node.files["/etc/etcd.env"], text).expect("written");
        let log = fs::File::create(node.data.with_file_name("log")).expect("a log");
        let child = Command::new(etcd())
            .envs(settings.iter().map(|(k, v)| (format!("ETCD_{k}"), v)))
            .env("ETCD_UNSUPPORTED_ARCH", std::env::consts::ARCH)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("etcd starts");
        node.child = Some(child);
    }

    /// Power loss.
    pub fn kill(&mut self, n: usize) {
        if let Some(mut child) = self.nodes[n].child.take() {
            child.kill().expect("killed");
            child.wait().expect("gone");
        }
    }

    pub fn doors(&self) -> Vec<Arc<dyn Door>> {
        self.nodes
            .iter()
            .map(|n| {
                Arc::new(Local {
                    name: n.name.clone(),
                    files: n.files.clone(),
                }) as Arc<dyn Door>
            })
            .collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for n in 0..self.nodes.len() {
            self.kill(n);
        }
    }
}

impl Node {
    fn file(&self, kind: &str, end: &str) -> String {
        let path = format!("/etc/ssl/etcd/ssl/{kind}-{}{end}", self.name);
        self.files[&path].display().to_string()
    }

    pub fn peer_url(&self) -> String {
        format!("https://127.0.0.1:{}", self.peer)
    }

    pub fn client_url(&self) -> String {
        format!("https://127.0.0.1:{}", self.client)
    }

    /// The first bytes of its write-ahead log.
    pub fn log_head(&self) -> Vec<u8> {
        let dir = self.data.join("member/wal");
        let mut logs: Vec<PathBuf> = fs::read_dir(dir)
            .expect("a log")
            .map(|e| e.expect("an entry").path())
            .collect();
        logs.retain(|p| p.extension().is_some_and(|e| e == "wal"));
        logs.sort();
        let mut head = fs::read(Path::new(&logs[0])).expect("read");
        head.truncate(kopsrun::cluster::wal::ENOUGH);
        head
    }
}

/// A host that is this machine.
struct Local {
    name: String,
    files: BTreeMap<String, PathBuf>,
}

impl Door for Local {
    fn host(&self) -> &str {
        &self.name
    }

    fn read<'a>(&'a self, path: &'a str) -> BoxFuture<'a, io::Result<Option<Secret<Vec<u8>>>>> {
        let content = match self.files.get(path).map(fs::read) {
            None => Ok(None),
            Some(Err(e)) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Some(content) => content.map(|c| Some(Secret::new(c))),
        };
        Box::pin(async move { content })
    }

    fn dial<'a>(&'a self, address: &'a str, port: u16) -> BoxFuture<'a, io::Result<Tunnel>> {
        Box::pin(async move {
            let stream = tokio::net::TcpStream::connect((address, port)).await?;
            Ok(Box::new(stream) as Tunnel)
        })
    }
}
