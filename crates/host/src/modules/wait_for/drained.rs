//! Connections of a port, as the kernel lists them in /proc/net/tcp and tcp6.

use crate::Failure;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// States as the kernel numbers them.
const STATES: &[(&str, &str)] = &[
    ("ESTABLISHED", "01"),
    ("SYN_SENT", "02"),
    ("SYN_RECV", "03"),
    ("FIN_WAIT1", "04"),
    ("FIN_WAIT2", "05"),
    ("TIME_WAIT", "06"),
];

/// Which connections count.
pub(super) struct Wanted {
    pub(super) local: Vec<IpAddr>,
    pub(super) port: u16,
    /// Other ends that don't count.
    pub(super) excluded: Vec<IpAddr>,
    states: Vec<&'static str>,
}

impl Wanted {
    pub(super) fn new(
        local: Vec<IpAddr>,
        port: u16,
        excluded: Vec<IpAddr>,
        states: &[String],
    ) -> Result<Self, Failure> {
        let number = |name: &String| {
            let known = STATES.iter().find(|(known, _)| known == name);
            known.map(|(_, number)| *number).ok_or_else(|| {
                Failure::new(format!("unknown active_connection_state ({name}) defined"))
                    .with("elapsed", 0)
            })
        };
        Ok(Self {
            local,
            port,
            excluded,
            states: states.iter().map(number).collect::<Result<_, _>>()?,
        })
    }

    /// Whether there is none of them now.
    pub(super) fn none(&self) -> bool {
        ["/proc/net/tcp", "/proc/net/tcp6"]
            .iter()
            .filter_map(|file| fs::read_to_string(file).ok())
            .all(|table| table.lines().skip(1).all(|line| !self.counts(line)))
    }

    fn counts(&self, line: &str) -> bool {
        let mut words = line.split_whitespace().skip(1);
        let (Some((local, port)), Some((remote, _)), Some(state)) = (
            words.next().and_then(end),
            words.next().and_then(end),
            words.next(),
        ) else {
            return false;
        };
        // Of all addresses of this family; 0.0.0.0 of IPv4 that came to a socket of IPv6 too.
        let every = match local.to_canonical() {
            IpAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::from(Ipv6Addr::UNSPECIFIED),
        };
        port == self.port
            && self.states.contains(&state)
            && !self.excluded.contains(&remote.to_canonical())
            && (self.local.contains(&local.to_canonical()) || self.local.contains(&every))
    }
}

/// `0100007F:1F90`: an address in words of four bytes as they lie in memory, and a port.
fn end(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let words: Option<Vec<[u8; 4]>> = (0..address.len() / 8)
        .map(|at| {
            let word = address.get(at * 8..at * 8 + 8)?;
            Some(u32::from_str_radix(word, 16).ok()?.to_ne_bytes())
        })
        .collect();
    let bytes = words?.concat();
    let address = match <[u8; 4]>::try_from(&*bytes) {
        Ok(four) => IpAddr::from(four),
        Err(_) => IpAddr::from(<[u8; 16]>::try_from(&*bytes).ok()?),
    };
    Some((address, port))
}

#[cfg(test)]
#[cfg(target_endian = "little")]
mod tests {
    use super::*;

    #[test]
    fn connections_are_counted_by_both_ends_and_state() {
        let wanted = |local: &str, excluded: &[&str]| {
            let parse = |text: &&str| text.parse().expect("an address");
            let excluded = excluded.iter().map(parse).collect();
            Wanted::new(
                vec![parse(&local)],
                8080,
                excluded,
                &["ESTABLISHED".to_owned()],
            )
            .expect("known states")
        };
        let four = "  1: 0100007F:1F90 0200000A:D431 01 00000000:00000000 00:00000000";
        let mapped =
            "  1: 0000000000000000FFFF00000100007F:1F90 0000000000000000FFFF00000200000A:D431 01 0";
        for line in [four, mapped] {
            assert!(wanted("127.0.0.1", &[]).counts(line), "{line}");
            assert!(wanted("0.0.0.0", &["10.0.0.3"]).counts(line), "{line}");
            assert!(!wanted("0.0.0.0", &["10.0.0.2"]).counts(line), "{line}");
            assert!(!wanted("10.0.0.2", &[]).counts(line), "{line}");
        }
        assert!(!wanted("127.0.0.1", &[]).counts(&four.replace(" 01 ", " 0A ")));
        assert!(!wanted("127.0.0.1", &[]).counts(&four.replace("1F90", "1F91")));
        assert!(Wanted::new(Vec::new(), 1, Vec::new(), &["OPEN".to_owned()]).is_err());
    }
}
