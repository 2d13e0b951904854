//! Which algorithms are proposed to a host.

use super::known_hosts::{HostNames, KnownHosts, SUPPORTED};
use super::pattern;
use super::target::AlgorithmLists;
use russh::keys::Algorithm;
use russh::{Preferred, cipher, kex, mac};
use std::borrow::Cow;

/// AES-GCM first: every x86-64 and ARMv8 server does it in hardware, and it needs no separate MAC.
const CIPHERS: [cipher::Name; 6] = [
    cipher::AES_128_GCM,
    cipher::AES_256_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_128_CTR,
    cipher::AES_192_CTR,
    cipher::AES_256_CTR,
];

/// Our lists, cut and ordered by ssh_config's, with the algorithms of known keys first.
///
/// Errors when nothing would be left of a list: names what was asked for.
pub(super) fn preferred(
    lists: &AlgorithmLists,
    known: &KnownHosts,
    names: &HostNames,
) -> Result<Preferred, String> {
    let default = Preferred::default();
    let host_keys = select(&known.algorithms(names), lists.host_keys.as_deref(), |a| {
        a.to_string()
    })
    .ok_or_else(|| none_left("HostKeyAlgorithms", &lists.host_keys))?;
    let certificates: Vec<Algorithm> = if known.wants_certificate(names) {
        SUPPORTED.to_vec()
    } else {
        Vec::new()
    };
    // These two say something else than an algorithm; russh adds them itself only if they are in the list.
    let is_marker = |name: &kex::Name| {
        name.as_ref().starts_with("ext-info") || name.as_ref().starts_with("kex-strict")
    };
    let (markers, kexes): (Vec<_>, Vec<_>) = default.kex.iter().copied().partition(is_marker);
    let mut kexes = select(&kexes, lists.kex.as_deref(), |n| n.as_ref().to_owned())
        .ok_or_else(|| none_left("KexAlgorithms", &lists.kex))?;
    kexes.extend(markers);
    Ok(Preferred {
        kex: Cow::Owned(kexes),
        key: Cow::Owned(host_keys),
        host_key_certificates: Cow::Owned(certificates),
        cipher: select(&CIPHERS, lists.ciphers.as_deref(), |n| {
            n.as_ref().to_owned()
        })
        .map(Cow::Owned)
        .ok_or_else(|| none_left("Ciphers", &lists.ciphers))?,
        mac: select(&macs(&default), lists.macs.as_deref(), |n| {
            n.as_ref().to_owned()
        })
        .map(Cow::Owned)
        .ok_or_else(|| none_left("MACs", &lists.macs))?,
        compression: default.compression,
    })
}

fn macs(default: &Preferred) -> Vec<mac::Name> {
    default.mac.to_vec()
}

fn none_left(keyword: &str, list: &Option<String>) -> String {
    format!(
        "none of {keyword} {} is supported",
        list.as_deref().unwrap_or_default()
    )
}

/// As ssh_config(5): a plain list replaces, `-` removes, `^` moves to the front, `+` adds (nothing that we would have).
fn select<T: Clone>(ours: &[T], list: Option<&str>, name: impl Fn(&T) -> String) -> Option<Vec<T>> {
    let Some(list) = list else {
        return Some(ours.to_vec());
    };
    let (kind, patterns) = match list.chars().next() {
        Some(kind @ ('+' | '-' | '^')) => (kind, &list[1..]),
        _ => ('=', list),
    };
    let wanted = || {
        patterns
            .split(',')
            .flat_map(|pattern| {
                ours.iter()
                    .filter(|item| pattern::matches(pattern, &name(item)))
                    .cloned()
            })
            .collect::<Vec<_>>()
    };
    let is_wanted = |item: &&T| {
        patterns
            .split(',')
            .any(|pattern| pattern::matches(pattern, &name(item)))
    };
    let chosen: Vec<T> = match kind {
        '+' => ours.to_vec(),
        '-' => ours
            .iter()
            .filter(|item| !is_wanted(item))
            .cloned()
            .collect(),
        '^' => wanted()
            .into_iter()
            .chain(ours.iter().filter(|item| !is_wanted(item)).cloned())
            .collect(),
        _ => wanted(),
    };
    (!chosen.is_empty()).then_some(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ciphers(list: Option<&str>) -> Option<Vec<String>> {
        let names = select(&CIPHERS, list, |n| n.as_ref().to_owned())?;
        Some(names.iter().map(|n| n.as_ref().to_owned()).collect())
    }

    #[test]
    fn lists_replace_remove_and_move() {
        assert_eq!(ciphers(None).unwrap()[0], "aes128-gcm@openssh.com");
        assert_eq!(
            ciphers(Some("aes256-ctr,unknown,aes128-ctr")).unwrap(),
            ["aes256-ctr", "aes128-ctr"]
        );
        assert_eq!(
            ciphers(Some("^chacha20*")).unwrap()[0],
            "chacha20-poly1305@openssh.com"
        );
        assert_eq!(ciphers(Some("^chacha20*")).unwrap().len(), 6);
        assert_eq!(
            ciphers(Some("-*ctr,*gcm*")).unwrap(),
            ["chacha20-poly1305@openssh.com"]
        );
        assert_eq!(ciphers(Some("+3des-cbc")).unwrap().len(), 6);
        assert_eq!(ciphers(Some("3des-cbc")), None);
    }

    #[test]
    fn key_exchange_keeps_its_strict_mode() {
        let lists = AlgorithmLists {
            kex: Some("curve25519-sha256".to_owned()),
            ..AlgorithmLists::default()
        };
        let names = HostNames::new("n", 22, false);
        let preferred = preferred(&lists, &KnownHosts::default(), &names).unwrap();
        let kex: Vec<_> = preferred.kex.iter().map(|n| n.as_ref()).collect();
        assert!(kex.contains(&"kex-strict-c-v00@openssh.com"), "{kex:?}");
        assert_eq!(kex[0], "curve25519-sha256");
        assert!(preferred.host_key_certificates.is_empty());
    }
}
