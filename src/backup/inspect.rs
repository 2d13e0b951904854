//! Every certificate in a tar of a node: in PEM files, inside of kubeconfigs, with the keys that belong to them. In memory.

use super::certificate::CertificateInfo;
use super::keypair::public_key;
use crate::secret::Secret;
use base64::Engine as _;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Read};
use tar::{Archive, EntryType};
use x509_parser::pem::Pem;

/// Files that are longer hold something else.
const LONGEST: u64 = 1 << 20;

/// Whether the private key that belongs to a certificate was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// It lies there, and fits.
    Match,
    /// It lies there, and is another certificate's.
    Mismatch,
    /// It lies there in a form that isn't read here.
    Unread,
    /// There is none, as for authorities of others.
    None,
}

/// A certificate and where it was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    /// The file, and inside of a kubeconfig the entry behind a `#`.
    pub place: String,
    #[serde(flatten)]
    pub certificate: CertificateInfo,
    pub key: KeyState,
    /// Octal permissions of the file that holds the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_mode: Option<String>,
}

/// What kopsrun has put beside a file before it wrote a new one (`certs renew`): of no account any more.
pub const BEFORE: &str = ".before-";

/// A file of a node.
pub struct Content {
    pub mode: u32,
    /// Name, or number where the node knew none.
    pub owner: String,
    pub group: String,
    pub bytes: Secret<Vec<u8>>,
}

/// The small files in the tar by their absolute path, without those that are of no account any more.
pub fn files(tar: &[u8]) -> io::Result<BTreeMap<String, Content>> {
    let mut files = BTreeMap::new();
    let name = |name: Option<&[u8]>, id: u64| match name.map(String::from_utf8_lossy) {
        Some(name) if !name.is_empty() => name.into_owned(),
        _ => id.to_string(),
    };
    for entry in Archive::new(tar).entries()? {
        let mut entry = entry?;
        let header = entry.header().clone();
        if header.entry_type() != EntryType::Regular || header.size()? > LONGEST {
            continue;
        }
        let path = format!("/{}", entry.path()?.display());
        if path.contains(BEFORE) {
            continue;
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        let content = Content {
            mode: header.mode()? & 0o7777,
            owner: name(header.username_bytes(), header.uid()?),
            group: name(header.groupname_bytes(), header.gid()?),
            bytes: Secret::new(bytes),
        };
        files.insert(path, content);
    }
    Ok(files)
}

/// All certificates in the tar, ordered by path.
pub fn certificates(tar: &[u8]) -> io::Result<Vec<Found>> {
    let files = files(tar)?;
    let mut found = Vec::new();
    for (path, content) in &files {
        of_file(path, content, &files, &mut found);
    }
    Ok(found)
}

fn of_file(
    path: &str,
    content: &Content,
    files: &BTreeMap<String, Content>,
    found: &mut Vec<Found>,
) {
    let text = String::from_utf8_lossy(content.bytes.expose());
    if path.ends_with(".conf") || path.ends_with("/.kube/config") {
        kubeconfig(path, content.mode, &text, found);
        return;
    }
    if !text.contains("-----BEGIN CERTIFICATE-----") {
        return;
    }
    let beside = key_names(path)
        .into_iter()
        .find_map(|name| files.get(&name))
        .unwrap_or(content);
    for (index, (certificate, bits)) in CertificateInfo::all(content.bytes.expose())
        .into_iter()
        .enumerate()
    {
        // The first one is the key's; those behind it are its authorities.
        let (key, mode) = match index {
            0 => fits(beside.bytes.expose(), &bits, beside.mode),
            _ => (KeyState::None, None),
        };
        found.push(Found {
            place: path.to_owned(),
            certificate,
            key,
            key_mode: mode,
        });
    }
}

/// `x.pem` → `x-key.pem`, `x.crt` → `x.key`, as kubespray and kubeadm name them.
pub fn key_names(path: &str) -> Vec<String> {
    [(".pem", "-key.pem"), (".crt", ".key")]
        .iter()
        .filter_map(|(end, key)| Some(format!("{}{key}", path.strip_suffix(end)?)))
        .collect()
}

fn fits(pem: &[u8], bits: &[u8], mode: u32) -> (KeyState, Option<String>) {
    let block = Pem::iter_from_buffer(pem)
        .filter_map(Result::ok)
        .find(|p| p.label.ends_with("PRIVATE KEY"));
    let Some(block) = block else {
        return (KeyState::None, None);
    };
    let contents = Secret::new(block.contents);
    let state = match public_key(&block.label, contents.expose()) {
        None => KeyState::Unread,
        Some(key) if key == bits => KeyState::Match,
        Some(_) => KeyState::Mismatch,
    };
    (state, Some(format!("{mode:04o}")))
}

/// Certificates that a kubeconfig carries itself. Those of files that it names are found as files.
fn kubeconfig(path: &str, mode: u32, text: &str, found: &mut Vec<Found>) {
    let values = |name: &str| -> Vec<Secret<Vec<u8>>> {
        text.lines()
            .filter_map(|line| {
                let line = line.trim().trim_start_matches("- ");
                let value = line.strip_prefix(name)?.strip_prefix(':')?;
                let value = value.trim().trim_matches(['"', '\'']);
                let engine = base64::engine::general_purpose::STANDARD;
                engine.decode(value).ok().map(Secret::new)
            })
            .collect()
    };
    let keys = values("client-key-data");
    for (name, of_client) in [
        ("certificate-authority-data", false),
        ("client-certificate-data", true),
    ] {
        for (index, pem) in values(name).iter().enumerate() {
            let all = CertificateInfo::all(pem.expose());
            let Some((certificate, bits)) = all.into_iter().next() else {
                continue;
            };
            let own = keys.get(index).filter(|_| of_client);
            let (key, key_mode) = own.map_or((KeyState::None, None), |key| {
                fits(key.expose(), &bits, mode)
            });
            found.push(Found {
                place: format!("{path}#{name}"),
                certificate,
                key,
                key_mode,
            });
        }
    }
}
