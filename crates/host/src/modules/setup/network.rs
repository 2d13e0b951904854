//! Interfaces, their addresses, the way out.

use super::{Facts, put, read};
use crate::Context;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with,
};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;

/// An address of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Address {
    interface: String,
    ip: IpAddr,
    prefix: u8,
    scope: &'static str,
    broadcast: Option<Ipv4Addr>,
}

/// Addresses that the kernel itself answers to, as `ip route` lists them; empty where there is no ip.
pub(super) fn reachable(cx: &Context, facts: &mut Facts) {
    let of = |family: &str| -> Vec<String> {
        let args = [family, "route", "show", "table", "local"];
        let text = cx
            .process("ip")
            .args(args)
            .system()
            .run()
            .map(|output| output.stdout_text());
        let text = text.unwrap_or_default();
        let local = text.lines().filter_map(|line| line.strip_prefix("local "));
        local
            .filter_map(|rest| rest.split(' ').next())
            .map(ToOwned::to_owned)
            .collect()
    };
    put(
        facts,
        "locally_reachable_ips",
        json!({"ipv4": of("-4"), "ipv6": of("-6")}),
    );
}

pub(super) fn collect(facts: &mut Facts) {
    let names = interfaces();
    let mut addresses = ipv4_addresses(&names);
    addresses.extend(ipv6_addresses(
        &read("/proc/net/if_inet6").unwrap_or_default(),
    ));
    let mut all4 = Vec::new();
    let mut all6 = Vec::new();
    let mut described = BTreeMap::new();
    for name in names.values() {
        let own: Vec<&Address> = addresses
            .iter()
            .filter(|address| address.interface == *name)
            .collect();
        for address in &own {
            match address.ip {
                IpAddr::V4(ip) if !ip.is_loopback() => all4.push(ip.to_string()),
                IpAddr::V6(ip) if !ip.is_loopback() => all6.push(ip.to_string()),
                _ => {}
            }
        }
        described.insert(name.clone(), describe(name, &own));
    }
    let way4 = default_route(true, &addresses, &described);
    let way6 = default_route(false, &addresses, &described);
    put(
        facts,
        "interfaces",
        names.values().cloned().collect::<Vec<_>>(),
    );
    put(facts, "all_ipv4_addresses", all4);
    put(facts, "all_ipv6_addresses", all6);
    put(facts, "default_ipv4", way4);
    put(facts, "default_ipv6", way6);
    for (name, value) in described {
        // A name that templates can use.
        put(facts, &name.replace(['-', ':', '.'], "_"), value);
    }
}

/// Names of the interfaces by their number.
fn interfaces() -> BTreeMap<u32, String> {
    fs::read_dir("/sys/class/net")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let index = read(entry.path().join("ifindex"))?.parse().ok()?;
            Some((index, entry.file_name().to_string_lossy().into_owned()))
        })
        .collect()
}

fn describe(name: &str, addresses: &[&Address]) -> Map<String, Value> {
    let dir = Path::new("/sys/class/net").join(name);
    let text = |file: &str| read(dir.join(file));
    let mut interface = Map::new();
    let mut add = |key: &str, value: Value| {
        interface.insert(key.to_owned(), value);
    };
    add("device", name.into());
    if let Some(mac) = text("address").filter(|mac| mac != "00:00:00:00:00:00") {
        add("macaddress", mac.into());
    }
    if let Some(mtu) = text("mtu").and_then(|mtu| mtu.parse::<u32>().ok()) {
        add("mtu", mtu.into());
    }
    let flags = text("flags")
        .and_then(|flags| u32::from_str_radix(flags.trim_start_matches("0x"), 16).ok())
        .unwrap_or(0);
    add(
        "active",
        (text("operstate").is_some_and(|state| state != "down") && flags & 1 != 0).into(),
    );
    add("promisc", (flags & 0x100 != 0).into());
    add("type", kind_of(&dir).into());
    if let Some(name) = fs::read_link(dir.join("device"))
        .ok()
        .as_deref()
        .and_then(Path::file_name)
    {
        add("pciid", name.to_string_lossy().into());
    }
    if let Some(speed) = text("speed").and_then(|speed| speed.parse::<i64>().ok()) {
        add("speed", speed.into());
    }
    let mut first = true;
    let mut more = Vec::new();
    let mut six = Vec::new();
    for address in addresses {
        match address.ip {
            IpAddr::V4(ip) => {
                let value = describe_ipv4(ip, address);
                if std::mem::take(&mut first) {
                    add("ipv4", value);
                } else {
                    more.push(value);
                }
            }
            IpAddr::V6(ip) => six.push(json!({"address": ip.to_string(), "prefix": address.prefix.to_string(), "scope": address.scope})),
        }
    }
    if !more.is_empty() {
        add("ipv4_secondaries", more.into());
    }
    if !six.is_empty() {
        add("ipv6", six.into());
    }
    interface
}

fn kind_of(dir: &Path) -> &'static str {
    if dir.join("bridge").is_dir() {
        return "bridge";
    }
    if dir.join("bonding").is_dir() {
        return "bonding";
    }
    match read(dir.join("type")).as_deref() {
        Some("1") => "ether",
        Some("32") => "infiniband",
        Some("512") => "ppp",
        Some("772") => "loopback",
        Some("65534") => "tunnel",
        _ => "unknown",
    }
}

fn describe_ipv4(ip: Ipv4Addr, address: &Address) -> Value {
    let mask = mask_of(address.prefix);
    json!({
        "address": ip.to_string(),
        "broadcast": address.broadcast.map_or_else(String::new, |broadcast| broadcast.to_string()),
        "netmask": mask.to_string(),
        "network": (ip & mask).to_string(),
        "prefix": address.prefix.to_string(),
    })
}

fn mask_of(prefix: u8) -> Ipv4Addr {
    Ipv4Addr::from(
        u32::MAX
            .checked_shl(32 - u32::from(prefix.min(32)))
            .unwrap_or(0),
    )
}

/// `default_ipv4` or `default_ipv6`: the address with which packets leave, its interface and gateway. Empty when
/// there is no way out.
fn default_route(
    four: bool,
    addresses: &[Address],
    described: &BTreeMap<String, Map<String, Value>>,
) -> Map<String, Value> {
    let routes = if four {
        ipv4_gateways(&read("/proc/net/route").unwrap_or_default())
    } else {
        ipv6_gateways(&read("/proc/net/ipv6_route").unwrap_or_default())
    };
    // No packet is sent: the kernel only chooses a source. These are the addresses that Ansible asks for.
    let (from, to) = if four {
        ("0.0.0.0:0", "8.8.8.8:53")
    } else {
        ("[::]:0", "[2404:6800:400a:800::1012]:53")
    };
    let source = || -> Option<IpAddr> {
        let socket = UdpSocket::bind(from.parse::<SocketAddr>().ok()?).ok()?;
        socket.connect(to.parse::<SocketAddr>().ok()?).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    let found = source().and_then(|ip| addresses.iter().find(|address| address.ip == ip));
    let mut way = Map::new();
    let Some(address) = found else {
        return way;
    };
    // The route with the lowest metric, of the interface that the address is on if it has one.
    let route = routes
        .iter()
        .filter(|route| route.interface == address.interface)
        .min_by_key(|route| route.metric)
        .or_else(|| routes.iter().min_by_key(|route| route.metric));
    let interface = route.map_or(&address.interface, |route| &route.interface);
    way.insert("interface".to_owned(), interface.clone().into());
    way.insert("address".to_owned(), address.ip.to_string().into());
    if let Some(route) = route {
        way.insert("gateway".to_owned(), route.gateway.clone().into());
    }
    match address.ip {
        IpAddr::V4(ip) => {
            if let Value::Object(more) = describe_ipv4(ip, address) {
                way.extend(more);
            }
            way.insert("alias".to_owned(), interface.clone().into());
        }
        IpAddr::V6(_) => {
            way.insert("prefix".to_owned(), address.prefix.to_string().into());
            way.insert("scope".to_owned(), address.scope.into());
        }
    }
    for key in ["macaddress", "mtu", "type"] {
        if let Some(value) = described.get(interface).and_then(|known| known.get(key)) {
            way.insert(key.to_owned(), value.clone());
        }
    }
    way
}

#[derive(Debug, PartialEq, Eq)]
struct Gateway {
    interface: String,
    gateway: String,
    metric: u32,
}

/// The default routes of /proc/net/route: numbers are hexadecimal, in the byte order of the machine.
fn ipv4_gateways(text: &str) -> Vec<Gateway> {
    const IS_GATEWAY: u32 = 2;
    text.lines()
        .skip(1)
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [
                interface,
                destination,
                gateway,
                flags,
                _,
                _,
                metric,
                mask,
                ..,
            ] = fields[..]
            else {
                return None;
            };
            let hex = |text: &str| u32::from_str_radix(text, 16).ok();
            if hex(destination)? != 0 || hex(mask)? != 0 || hex(flags)? & IS_GATEWAY == 0 {
                return None;
            }
            Some(Gateway {
                interface: interface.to_owned(),
                gateway: Ipv4Addr::from(hex(gateway)?.to_ne_bytes()).to_string(),
                metric: metric.parse().ok()?,
            })
        })
        .collect()
}

/// The default routes of /proc/net/ipv6_route.
fn ipv6_gateways(text: &str) -> Vec<Gateway> {
    text.lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [destination, "00", _, _, next, metric, .., interface] = fields[..] else {
                return None;
            };
            let (destination, next) = (parse_ipv6(destination)?, parse_ipv6(next)?);
            if !destination.is_unspecified() || next.is_unspecified() {
                return None;
            }
            Some(Gateway {
                interface: interface.to_owned(),
                gateway: next.to_string(),
                metric: u32::from_str_radix(metric, 16).ok()?,
            })
        })
        .collect()
}

fn parse_ipv6(hex: &str) -> Option<Ipv6Addr> {
    (hex.len() == 32).then_some(())?;
    u128::from_str_radix(hex, 16).ok().map(Ipv6Addr::from)
}

/// The lines of /proc/net/if_inet6.
fn ipv6_addresses(text: &str) -> Vec<Address> {
    text.lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [ip, _, prefix, scope, _, interface] = fields[..] else {
                return None;
            };
            Some(Address {
                interface: interface.to_owned(),
                ip: parse_ipv6(ip)?.into(),
                prefix: u8::from_str_radix(prefix, 16).ok()?,
                scope: match scope {
                    "10" => "host",
                    "20" => "link",
                    "40" => "site",
                    _ => "global",
                },
                broadcast: None,
            })
        })
        .collect()
}

/// Asks the kernel over netlink (whose protocol 0 is routing): /proc doesn't tell which interface has which IPv4 address.
fn ipv4_addresses(names: &BTreeMap<u32, String>) -> Vec<Address> {
    let mut addresses = Vec::new();
    let Ok(socket) = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        None,
    ) else {
        return addresses;
    };
    if send(&socket, &address_request(), SendFlags::empty()).is_err() {
        return addresses;
    }
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let Ok((count, _)) = recv(&socket, &mut buffer[..], RecvFlags::empty()) else {
            return addresses;
        };
        if count == 0 || parse_messages(&buffer[..count], names, &mut addresses) {
            return addresses;
        }
    }
}

const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;

/// A netlink message: give me all IPv4 addresses.
fn address_request() -> Vec<u8> {
    const REQUEST_DUMP: u16 = 0x301;
    const AF_INET: u8 = 2;
    let mut message = Vec::new();
    message.extend(24u32.to_ne_bytes());
    message.extend(RTM_GETADDR.to_ne_bytes());
    message.extend(REQUEST_DUMP.to_ne_bytes());
    message.extend([0; 8]);
    message.extend([AF_INET, 0, 0, 0, 0, 0, 0, 0]);
    message
}

/// Reads one datagram of messages; `true` when it was the last.
fn parse_messages(
    mut bytes: &[u8],
    names: &BTreeMap<u32, String>,
    addresses: &mut Vec<Address>,
) -> bool {
    while let (Some(length), Some(kind)) = (u32_at(bytes, 0), u16_at(bytes, 4)) {
        let length = length as usize;
        if matches!(kind, NLMSG_DONE | NLMSG_ERROR) {
            return true;
        }
        let Some(message) = bytes.get(16..length) else {
            return true;
        };
        if kind == RTM_NEWADDR {
            addresses.extend(parse_address(message, names));
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    false
}

fn parse_address(message: &[u8], names: &BTreeMap<u32, String>) -> Option<Address> {
    const IFA_ADDRESS: u16 = 1;
    const IFA_LOCAL: u16 = 2;
    const IFA_BROADCAST: u16 = 4;
    let prefix = *message.get(1)?;
    let interface = names.get(&u32_at(message, 4)?)?.clone();
    let (mut address, mut local, mut broadcast) = (None, None, None);
    let mut rest = message.get(8..)?;
    while let (Some(length), Some(kind)) = (u16_at(rest, 0), u16_at(rest, 2)) {
        let length = usize::from(length);
        let ip = rest
            .get(4..length)?
            .first_chunk::<4>()
            .map(|bytes| Ipv4Addr::from(*bytes));
        match kind {
            IFA_ADDRESS => address = ip,
            IFA_LOCAL => local = ip,
            IFA_BROADCAST => broadcast = ip,
            _ => {}
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    // On point-to-point links the address is the other side's.
    let ip = local.or(address)?.into();
    Some(Address {
        interface,
        ip,
        prefix,
        scope: "global",
        broadcast,
    })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub(super) fn dns(facts: &mut Facts) {
    let mut dns: Map<String, Value> = Map::new();
    for line in read("/etc/resolv.conf").unwrap_or_default().lines() {
        let mut words = line.split_whitespace();
        let rest =
            |words: std::str::SplitWhitespace<'_>| words.map(Value::from).collect::<Vec<_>>();
        match words.next() {
            Some("nameserver") => {
                let servers = dns
                    .entry("nameservers")
                    .or_insert_with(|| Vec::<Value>::new().into());
                if let (Value::Array(servers), Some(server)) = (servers, words.next()) {
                    servers.push(server.into());
                }
            }
            Some("domain") => {
                dns.insert("domain".to_owned(), words.next().unwrap_or_default().into());
            }
            Some("search") => {
                dns.insert("search".to_owned(), rest(words).into());
            }
            Some("sortlist") => {
                dns.insert("sortlist".to_owned(), rest(words).into());
            }
            Some("options") => {
                let options = words
                    .map(|word| match word.split_once(':') {
                        Some((name, value)) => (name.to_owned(), value.into()),
                        None => (word.to_owned(), true.into()),
                    })
                    .collect::<Map<_, _>>();
                dns.insert("options".to_owned(), options.into());
            }
            _ => {}
        }
    }
    put(facts, "dns", dns);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_read() {
        let text = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n\
            eth0 00000000 0102A8C0 0003 0 0 100 00000000 0 0 0\n\
            eth0 0002A8C0 00000000 0001 0 0 100 00FFFFFF 0 0 0\n";
        let expected = if cfg!(target_endian = "little") {
            "192.168.2.1"
        } else {
            "1.2.168.192"
        };
        let found = ipv4_gateways(text);
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].gateway.as_str(), found[0].metric),
            (expected, 100)
        );
        let text = "00000000000000000000000000000000 00 00000000000000000000000000000000 00 \
            fe800000000000000000000000000001 00000400 00000001 00000000 00000003 eth0\n";
        assert_eq!(ipv6_gateways(text)[0].gateway, "fe80::1");
    }

    #[test]
    fn ipv6_addresses_have_scopes() {
        let found = ipv6_addresses("fe80000000000000025056fffe000001 02 40 20 80 eth0\nbad line\n");
        assert_eq!(
            (
                found[0].ip.to_string().as_str(),
                found[0].prefix,
                found[0].scope
            ),
            ("fe80::250:56ff:fe00:1", 64, "link")
        );
    }

    #[test]
    fn the_kernel_tells_the_addresses_of_this_machine() {
        let names = interfaces();
        let found = ipv4_addresses(&names);
        assert!(
            found.iter().any(|address| address.interface == "lo"
                && address.ip.is_loopback()
                && address.prefix == 8),
            "{found:?}"
        );
    }

    #[test]
    fn masks() {
        assert_eq!(mask_of(24), Ipv4Addr::new(255, 255, 255, 0));
        assert_eq!(mask_of(0), Ipv4Addr::UNSPECIFIED);
        assert_eq!(mask_of(32), Ipv4Addr::BROADCAST);
    }

    proptest::proptest! {
        #[test]
        fn no_datagram_panics(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..120)) {
            parse_messages(&bytes, &BTreeMap::from([(1, "lo".to_owned())]), &mut Vec::new());
        }
    }
}
