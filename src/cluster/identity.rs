//! Who an etcd member is according to its own host: name, URLs, and where its certificates lie.

use super::door::Door;
use crate::secret::Secret;
use std::collections::BTreeMap;
use std::io;

/// Where kubespray and packages keep etcd's settings, and where kubeadm keeps its manifest.
const ENVIRONMENT: &[&str] = &["/etc/etcd.env", "/etc/etcd/etcd.env", "/etc/default/etcd"];
const MANIFEST: &str = "/etc/kubernetes/manifests/etcd.yaml";

/// etcd's settings on one host, as `ETCD_…` without the prefix. Flags of a manifest are spelled the same way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// The file that they came from.
    pub file: String,
    pub values: BTreeMap<String, String>,
}

impl Settings {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values
            .get(name)
            .map(String::as_str)
            .filter(|v| !v.is_empty())
    }

    pub fn name(&self) -> Option<&str> {
        self.get("NAME")
    }

    pub fn data_dir(&self) -> Option<&str> {
        self.get("DATA_DIR")
    }

    pub fn client_urls(&self) -> Vec<String> {
        self.list("ADVERTISE_CLIENT_URLS")
    }

    pub fn peer_urls(&self) -> Vec<String> {
        self.list("INITIAL_ADVERTISE_PEER_URLS")
    }

    fn list(&self, name: &str) -> Vec<String> {
        self.get(name)
            .map(|urls| urls.split(',').map(|u| u.trim().to_owned()).collect())
            .unwrap_or_default()
    }

    /// `name=url` pairs of the initial cluster: what this host was told of the others when it was set up.
    pub fn initial_cluster(&self) -> Vec<(String, String)> {
        self.list("INITIAL_CLUSTER")
            .iter()
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, url)| (name.to_owned(), url.to_owned()))
            .collect()
    }
}

/// An environment file as systemd reads it: `NAME=value`, comments, optional quotes.
fn parse_environment(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.starts_with(['#', ';']))
        .filter_map(|line| line.split_once('='))
        .filter_map(|(name, value)| {
            let name = name.trim().strip_prefix("ETCD_")?;
            let value = value.trim();
            let bare = ['"', '\'']
                .iter()
                .find_map(|q| value.strip_prefix(*q)?.strip_suffix(*q))
                .unwrap_or(value);
            Some((name.to_owned(), bare.to_owned()))
        })
        .collect()
}

/// The flags in a static pod manifest: list items of the form `- --name=value`.
fn parse_manifest(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .filter_map(|line| line.trim().strip_prefix("- --"))
        .filter_map(|flag| flag.split_once('='))
        .map(|(name, value)| {
            let name = name.replace('-', "_").to_ascii_uppercase();
            (name, value.trim_matches(['"', '\'']).to_owned())
        })
        .collect()
}

/// etcd's settings on a host; `None` where no etcd was ever set up.
pub async fn settings(door: &dyn Door) -> io::Result<Option<Settings>> {
    for path in ENVIRONMENT.iter().copied().chain([MANIFEST]) {
        let Some(content) = door.read(path).await? else {
            continue;
        };
        let text = String::from_utf8_lossy(content.expose()).into_owned();
        let values = if path == MANIFEST {
            parse_manifest(&text)
        } else {
            parse_environment(&text)
        };
        if values.contains_key("NAME") {
            return Ok(Some(Settings {
                file: path.to_owned(),
                values,
            }));
        }
    }
    Ok(None)
}

/// What a client needs to speak to etcd, in memory only.
#[derive(Debug, Clone)]
pub struct Credentials {
    pub ca: Secret<Vec<u8>>,
    pub certificate: Secret<Vec<u8>>,
    pub key: Secret<Vec<u8>>,
}

/// Read the first complete set of CA, client certificate and key on a host.
///
/// The administrator's certificate comes first (kubespray), then kubeadm's health check client, then the member's own,
/// which etcd accepts from clients too as long as it may be used for client authentication.
pub async fn credentials(door: &dyn Door, settings: &Settings) -> io::Result<Option<Credentials>> {
    for [ca, certificate, key] in candidates(door.host(), settings) {
        let Some(ca) = door.read(&ca).await? else {
            continue;
        };
        let Some(certificate) = door.read(&certificate).await? else {
            continue;
        };
        let Some(key) = door.read(&key).await? else {
            continue;
        };
        return Ok(Some(Credentials {
            ca,
            certificate,
            key,
        }));
    }
    Ok(None)
}

fn candidates(host: &str, settings: &Settings) -> Vec<[String; 3]> {
    let kubespray = "/etc/ssl/etcd/ssl";
    let kubeadm = "/etc/kubernetes/pki/etcd";
    let pair = |stem: String| {
        [
            format!("{kubespray}/ca.pem"),
            format!("{stem}.pem"),
            format!("{stem}-key.pem"),
        ]
    };
    let mut found = vec![
        pair(format!("{kubespray}/admin-{host}")),
        [
            format!("{kubeadm}/ca.crt"),
            format!("{kubeadm}/healthcheck-client.crt"),
            format!("{kubeadm}/healthcheck-client.key"),
        ],
    ];
    if let (Some(ca), Some(certificate), Some(key)) = (
        settings.get("TRUSTED_CA_FILE"),
        settings.get("CERT_FILE"),
        settings.get("KEY_FILE"),
    ) {
        found.push([ca.to_owned(), certificate.to_owned(), key.to_owned()]);
    }
    found.push(pair(format!("{kubespray}/member-{host}")));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_files_are_read_as_systemd_does() {
        let values = parse_environment(
            "# Environment file for etcd v3.5\nETCD_NAME=etcd3\n ETCD_DATA_DIR=\"/var/lib/etcd\"\n\
             ETCD_INITIAL_CLUSTER=etcd1=https://10.0.0.1:2380,etcd3=https://10.0.0.3:2380\n; x\nETCDCTL_API=3\n",
        );
        let settings = Settings {
            file: "/etc/etcd.env".into(),
            values,
        };
        assert_eq!(settings.name(), Some("etcd3"));
        assert_eq!(settings.data_dir(), Some("/var/lib/etcd"));
        assert_eq!(
            settings.initial_cluster(),
            [
                ("etcd1".to_owned(), "https://10.0.0.1:2380".to_owned()),
                ("etcd3".to_owned(), "https://10.0.0.3:2380".to_owned())
            ]
        );
        assert_eq!(settings.get("CTL_API"), None);
    }

    #[test]
    fn manifests_of_kubeadm_say_the_same() {
        let values = parse_manifest(
            "spec:\n  containers:\n  - command:\n    - etcd\n    - --name=cp1\n    \
             - --advertise-client-urls=https://10.0.0.1:2379\n    - --cert-file=/etc/kubernetes/pki/etcd/server.crt\n",
        );
        assert_eq!(values["NAME"], "cp1");
        assert_eq!(values["ADVERTISE_CLIENT_URLS"], "https://10.0.0.1:2379");
        assert_eq!(values["CERT_FILE"], "/etc/kubernetes/pki/etcd/server.crt");
    }
}
