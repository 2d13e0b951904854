//! Filters of IP addresses and networks, as in the collection `ansible.utils`.

use super::text::like;
use super::{Filter, filter};
use crate::content::template::TemplateError;
use crate::content::template::eval::args::{Args, int_of, required, text_of};
use crate::content::template::eval::{Interp, Outcome};
use crate::content::value::Value;
use num_bigint::BigInt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(super) const FILTERS: &[Filter] = &[
    filter(
        "ipaddr",
        ipaddr,
        ("'192.168.1.5/24' | ipaddr('network')", "'192.168.1.0'"),
    ),
    filter("ipv4", ipv4, ("['10.0.0.1', '::1'] | ipv4", "['10.0.0.1']")),
    filter("ipv6", ipv6, ("['10.0.0.1', '::1'] | ipv6", "['::1']")),
    filter("ipwrap", ipwrap, ("'fe80::1' | ipwrap", "'[fe80::1]'")),
    filter(
        "ipsubnet",
        ipsubnet,
        ("'10.0.0.0/8' | ipsubnet(16, 1)", "'10.1.0.0/16'"),
    ),
    filter("ipmath", ipmath, ("'10.0.0.1' | ipmath(5)", "'10.0.0.6'")),
];

/// An address with the size of its network.
#[derive(Clone, Copy)]
pub struct Net {
    pub(crate) value: u128,
    pub(crate) v6: bool,
    pub(crate) prefix: u32,
    /// Written with `/`.
    pub(crate) sized: bool,
}

impl Net {
    /// An address or network as it is written; None when it isn't one.
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Self::of_number(text.parse().ok()?);
        }
        let (address, size) = match text.split_once('/') {
            Some((address, size)) => (address, Some(size)),
            None => (text, None),
        };
        let (value, v6) = match address.parse().ok()? {
            IpAddr::V4(address) => (u128::from(u32::from(address)), false),
            IpAddr::V6(address) => (u128::from(address), true),
        };
        let bits = if v6 { 128 } else { 32 };
        let prefix = match size {
            None => bits,
            Some(size) => match size.parse::<u32>() {
                Ok(prefix) if prefix <= bits => prefix,
                Ok(_) => return None,
                Err(_) => mask_prefix(size, v6)?,
            },
        };
        Some(Self {
            value,
            v6,
            prefix,
            sized: size.is_some(),
        })
    }

    pub(crate) fn of_value(value: &Value) -> Option<Self> {
        match value {
            Value::Str(text) => Self::parse(&text.text),
            Value::Int(_) | Value::BigInt(_) => {
                let whole = value.to_bigint()?;
                Self::of_number(u128::try_from(whole).ok()?)
            }
            _ => None,
        }
    }

    fn of_number(number: u128) -> Option<Self> {
        let v6 = number > u128::from(u32::MAX);
        Some(Self {
            value: number,
            v6,
            prefix: if v6 { 128 } else { 32 },
            sized: false,
        })
    }

    fn bits(self) -> u32 {
        if self.v6 { 128 } else { 32 }
    }

    fn host_bits(self) -> u32 {
        self.bits() - self.prefix
    }

    pub(crate) fn hosts(self) -> u128 {
        1u128
            .checked_shl(self.host_bits())
            .map_or(u128::MAX, |size| size - 1)
    }

    pub(crate) fn network(self) -> u128 {
        self.value & !self.hosts()
    }

    pub(crate) fn last(self) -> u128 {
        self.network() | self.hosts()
    }

    pub(crate) fn show(self, value: u128) -> String {
        if self.v6 {
            Ipv6Addr::from(value).to_string()
        } else {
            Ipv4Addr::from(u32::try_from(value).unwrap_or(u32::MAX)).to_string()
        }
    }

    pub(crate) fn address(self) -> String {
        self.show(self.value)
    }

    pub(crate) fn contains(self, other: Self) -> bool {
        self.v6 == other.v6
            && self.prefix <= other.prefix
            && (self.network()..=self.last()).contains(&other.value)
    }

    /// Written as a network: with a size, and its first address.
    pub(crate) fn is_network(self) -> bool {
        self.host_bits() > 0 && self.value == self.network()
    }

    /// One of the addresses that a machine can have; every one does in a network of two.
    fn is_host(self) -> bool {
        self.host_bits() <= 1 || self.value != self.network()
    }

    /// The first and last addresses that machines can have; None in a network of one.
    pub(crate) fn usable(self) -> Option<(u128, u128)> {
        match self.host_bits() {
            0 => None,
            1 => Some((self.network(), self.last())),
            _ => Some((self.network() + 1, self.last() - 1)),
        }
    }

    pub(crate) fn v4(self) -> Ipv4Addr {
        Ipv4Addr::from(u32::try_from(self.value).unwrap_or(0))
    }

    pub(crate) fn is_loopback(self) -> bool {
        if self.v6 {
            self.value == 1
        } else {
            self.v4().is_loopback()
        }
    }

    pub(crate) fn is_multicast(self) -> bool {
        if self.v6 {
            self.value >> 120 == 0xff
        } else {
            self.v4().is_multicast()
        }
    }

    fn is_link_local(self) -> bool {
        if self.v6 {
            self.value >> 118 == 0xfe80 >> 6
        } else {
            self.v4().is_link_local()
        }
    }

    /// Reachable from everywhere, by the registry of special addresses.
    pub(crate) fn is_global(self) -> bool {
        if self.v6 {
            let documentation = self.value >> 96 == 0x2001_0db8;
            return self.value >> 125 == 1 && !documentation;
        }
        let address = self.v4();
        let [a, b, c, _] = address.octets();
        !(address.is_private()
            || address.is_loopback()
            || address.is_link_local()
            || address.is_documentation()
            || a == 0
            || a >= 240
            || (a == 100 && b & 0xc0 == 64)
            || (a == 198 && b & 0xfe == 18)
            || (a == 192 && b == 0 && c == 0))
    }
}

/// The prefix that a netmask (or its inverse) stands for.
fn mask_prefix(mask: &str, v6: bool) -> Option<u32> {
    if v6 {
        return None;
    }
    let mask = u32::from(mask.parse::<Ipv4Addr>().ok()?);
    for mask in [mask, !mask] {
        if mask.leading_ones() + mask.trailing_zeros() == 32 || mask == u32::MAX {
            return Some(mask.leading_ones());
        }
    }
    None
}

/// What a filter of addresses gives for what is no address.
pub(crate) const NO: Value = Value::Bool(false);

fn ipaddr(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [query, version, _alias] = args.bind("ipaddr", ["query", "version", "alias"])?;
    let version = version
        .filter(Value::truthy)
        .and_then(|version| version.as_int());
    for_each(value, &query.unwrap_or_else(|| "".into()), version)
}

fn ipv4(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [query] = args.bind("ipv4", ["query"])?;
    for_each(value, &query.unwrap_or_else(|| "".into()), Some(4))
}

fn ipv6(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [query] = args.bind("ipv6", ["query"])?;
    for_each(value, &query.unwrap_or_else(|| "".into()), Some(6))
}

/// Of a list those that fit; of one value the answer, False when it is no address, None when it doesn't fit.
fn for_each(value: &Value, query: &Value, version: Option<i64>) -> Outcome {
    match value {
        Value::List(_) => {
            let mut found = Vec::new();
            for item in value.iterate()? {
                let known = matches!(
                    item,
                    Value::Str(_)
                        | Value::Int(_)
                        | Value::BigInt(_)
                        | Value::Undefined(_)
                        | Value::List(_)
                        | Value::Tuple(_)
                );
                if !known {
                    continue;
                }
                let item = match item {
                    Value::Tuple(items) => Value::list(items.to_vec()),
                    other => other,
                };
                let answer = for_each(&item, query, version)?;
                if answer.truthy() {
                    found.push(answer);
                }
            }
            Ok(Value::list(found))
        }
        Value::Str(_) | Value::Int(_) | Value::BigInt(_) | Value::Bool(_) => {
            let Some(net) = Net::of_value(value).filter(|_| *value != Value::Int(0)) else {
                return Ok(NO);
            };
            if version.is_some_and(|version| (version == 6) != net.v6) {
                return Ok(NO);
            }
            answer(net, value, query)
        }
        Value::Undefined(missing) => Err(crate::content::value::Mistake::undefined(missing).into()),
        other => Err(TemplateError::new(format!(
            "ipaddr: {} is neither text nor a number nor a list",
            other.repr()
        ))),
    }
}

/// Everything that can be asked, for messages.
const QUERIES: &str = "address, net, network, subnet, prefix, netmask, hostmask, broadcast, host, \
    ip/prefix, address/prefix, size, size_usable, first_usable, last_usable, next_usable, \
    previous_usable, range_usable, peer, type, version, ipv4, ipv6, int, cidr, private, public, \
    unicast, multicast, loopback, link-local, revdns, wrap, 6to4, a number, a network";

fn answer(net: Net, value: &Value, query: &Value) -> Outcome {
    let query = text_of(query)?;
    if let Ok(index) = query.parse::<i64>() {
        return Ok(by_index(net, value, index));
    }
    let found = match sizes(net, value, &query) {
        None => kinds(net, value, &query)?,
        found => found,
    };
    if let Some(found) = found {
        return Ok(found);
    }
    let Some(outer) = Net::parse(&query) else {
        return Err(
            TemplateError::new(format!("ipaddr: unknown filter type: {query}"))
                .hint(format!("Known: {QUERIES}.")),
        );
    };
    Ok(if outer.contains(net) {
        value.clone()
    } else {
        Value::None
    })
}

/// Questions about the address in its network and the network's size; None when this isn't one.
fn sizes(net: Net, value: &Value, query: &str) -> Option<Value> {
    let text = |text: String| like(value, text);
    let when = |holds: bool, answer: Value| if holds { answer } else { Value::None };
    let sized = |at: u128| text(format!("{}/{}", net.show(at), net.prefix));
    let all = if net.v6 {
        u128::MAX
    } else {
        u128::from(u32::MAX)
    };
    let mask = net.show(all & !net.hosts());
    let size = BigInt::from(net.hosts()) + 1;
    // Of a network with a size an address in it, not the network itself.
    let inside = net.host_bits() > 0 && net.is_host();
    Some(match query {
        "address" | "ip" => when(net.v6 || net.is_host(), text(net.address())),
        "net" => when(net.is_network(), sized(net.value)),
        "host" => when(net.is_host(), sized(net.value)),
        "host/prefix" | "gateway" | "gw" | "hostnet" | "router" | "address/prefix" => {
            if net.is_host() { sized(net.value) } else { NO }
        }
        "ip/prefix" => when(inside, sized(net.value)),
        "ip_netmask" => when(inside, text(format!("{} {mask}", net.address()))),
        "network" | "network_id" => text(net.show(net.network())),
        "network/prefix" | "subnet" => sized(net.network()),
        "network_netmask" => text(format!("{} {mask}", net.show(net.network()))),
        "network_wildcard" => {
            let (network, wildcard) = (net.show(net.network()), net.show(net.hosts()));
            text(format!("{network} {wildcard}"))
        }
        "cidr" => sized(net.value),
        "netmask" => text(mask),
        "hostmask" | "wildcard" => text(net.show(net.hosts())),
        "prefix" => Value::Int(net.prefix.into()),
        "broadcast" => when(net.host_bits() > 1, text(net.show(net.last()))),
        "size" => Value::integer(size),
        "size_usable" => match net.host_bits() {
            0 => Value::Int(0),
            1 => Value::Int(2),
            _ => Value::integer(size - 2),
        },
        _ => return None,
    })
}

/// Questions about the kind of the address and other forms of it; None when this isn't one.
fn kinds(net: Net, value: &Value, query: &str) -> Outcome<Option<Value>> {
    let text = |text: String| like(value, text);
    let when = |holds: bool| if holds { value.clone() } else { Value::None };
    Ok(Some(match query {
        "" if matches!(value, Value::Str(text) if text.text.contains(['.', ':'])) => value.clone(),
        "" => text(net.address()),
        "bool" => Value::Bool(true),
        "first_usable" | "last_usable" | "next_usable" | "previous_usable" | "range_usable"
        | "peer" => return neighbours(net, value, query).map(Some),
        "type" if net.is_network() => text("network".to_owned()),
        "type" => text("address".to_owned()),
        "version" => Value::Int(if net.v6 { 6 } else { 4 }),
        "ipv4" if !net.v6 => value.clone(),
        "ipv4" => NO,
        "ipv6" if net.v6 => value.clone(),
        "ipv6" => text(format!("::ffff:{}/{}", net.address(), 96 + net.prefix)),
        "int" if net.sized => text(format!("{}/{}", net.value, net.prefix)),
        "int" => Value::integer(BigInt::from(net.value)),
        "private" => when(!net.is_global()),
        "public" => when(net.is_global() && !net.is_multicast()),
        "loopback" | "lo" => when(net.is_loopback()),
        "multicast" => when(net.is_multicast()),
        "unicast" => when(!net.is_multicast()),
        "link-local" => when(net.is_link_local()),
        "wrap" if net.v6 && net.sized => text(format!("[{}]/{}", net.address(), net.prefix)),
        "wrap" if net.v6 => text(format!("[{}]", net.address())),
        "wrap" => value.clone(),
        "6to4" if !net.v6 && !net.is_network() => {
            let [a, b, c, d] = net.v4().octets();
            text(format!("2002:{a:02x}{b:02x}:{c:02x}{d:02x}::1/48"))
        }
        "6to4" => NO,
        "revdns" => text(reverse_name(net)),
        _ => return Ok(None),
    }))
}

/// Addresses beside the one that is given, in its network.
fn neighbours(net: Net, value: &Value, query: &str) -> Outcome {
    if !net.sized {
        return Err(TemplateError::new("Not a network address"));
    }
    let text = |at: u128| like(value, net.show(at));
    if query == "peer" {
        let other = match net.host_bits() {
            1 => Some(net.value ^ 1),
            2 => Some(net.value ^ 3).filter(|_| (1..=2).contains(&(net.value - net.network()))),
            _ => None,
        };
        return other
            .map(text)
            .ok_or_else(|| TemplateError::new("Not a point-to-point network"));
    }
    let Some((first, last)) = net.usable() else {
        return Ok(Value::None);
    };
    let usable = |at: Option<u128>| {
        at.filter(|at| (first..=last).contains(at))
            .map_or(Value::None, text)
    };
    Ok(match query {
        "first_usable" => text(first),
        "last_usable" => text(last),
        "next_usable" => usable(net.value.checked_add(1)),
        "previous_usable" => usable(net.value.checked_sub(1)),
        _ => like(value, format!("{}-{}", net.show(first), net.show(last))),
    })
}

/// An address of the network by number, from its end when negative; a single address is the only one.
fn by_index(net: Net, value: &Value, index: i64) -> Value {
    if net.host_bits() == 0 {
        return value.clone();
    }
    let offset = u128::from(index.unsigned_abs());
    let found = if index < 0 {
        net.last().checked_sub(offset - 1)
    } else {
        net.network().checked_add(offset)
    };
    match found.filter(|at| (net.network()..=net.last()).contains(at)) {
        Some(at) => like(value, format!("{}/{}", net.show(at), net.prefix)),
        None => NO,
    }
}

fn reverse_name(net: Net) -> String {
    if net.v6 {
        let digits = format!("{:032x}", net.value);
        let digits: Vec<String> = digits.chars().rev().map(String::from).collect();
        return format!("{}.ip6.arpa.", digits.join("."));
    }
    let address = net.address();
    let mut parts: Vec<&str> = address.split('.').collect();
    parts.reverse();
    format!("{}.in-addr.arpa.", parts.join("."))
}

/// Addresses of version 6 in brackets; everything else as it is.
fn ipwrap(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.bind("ipwrap", ["query"])?;
    wrapped(value)
}

fn wrapped(value: &Value) -> Outcome {
    if matches!(value, Value::List(_) | Value::Tuple(_)) {
        let items = value.iterate()?;
        let items: Result<_, _> = items.iter().map(wrapped).collect();
        return Ok(Value::list(items?));
    }
    let Some(net) = Net::of_value(value).filter(|net| net.v6) else {
        return Ok(value.clone());
    };
    Ok(like(
        value,
        if net.sized {
            format!("[{}]/{}", net.address(), net.prefix)
        } else {
            format!("[{}]", text_of(value)?)
        },
    ))
}

/// A smaller network in a larger one, by its number.
fn ipsubnet(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [size, index] = args.bind("ipsubnet", ["query", "index"])?;
    let Some(net) = Net::of_value(value) else {
        return Ok(NO);
    };
    let size = match size {
        None => {
            let text = format!("{}/{}", net.show(net.network()), net.prefix);
            return Ok(like(value, text));
        }
        Some(size) => text_of(&size)?,
    };
    let invalid = || TemplateError::new(format!("Requested subnet size of {size} is invalid"));
    let prefix: u32 = size.parse().map_err(|_| invalid())?;
    let index = match index {
        Some(index) => Some(int_of("index", &index)?),
        None => None,
    };
    if net.host_bits() == 0 {
        // Around an address: each index is one size smaller.
        let smaller = u32::try_from(index.unwrap_or(0)).map_err(|_| invalid())?;
        let prefix = prefix.saturating_add(smaller);
        if prefix > net.bits() {
            return Ok(NO);
        }
        let around = Net { prefix, ..net };
        let text = format!("{}/{prefix}", net.show(around.network()));
        return Ok(like(value, text));
    }
    if !(net.prefix..=net.bits()).contains(&prefix) {
        return match index {
            None => Err(invalid()),
            Some(_) => Ok(NO),
        };
    }
    let count = 1u128.checked_shl(prefix - net.prefix).unwrap_or(u128::MAX);
    let number = match index {
        None => return Ok(like(value, count.to_string())),
        Some(index) if index < 0 => count.checked_sub(u128::from(index.unsigned_abs())),
        Some(index) => Some(u128::from(index.unsigned_abs())).filter(|number| *number < count),
    };
    let step = 1u128.checked_shl(net.bits() - prefix).unwrap_or(0);
    Ok(number.map_or(NO, |number| {
        let at = net.network() + number * step;
        like(value, format!("{}/{prefix}", net.show(at)))
    }))
}

fn ipmath(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [amount] = args.bind("ipmath", ["amount"])?;
    let amount = required("ipmath", "amount", amount)?;
    let amount = int_of("amount", &amount)?;
    let Some(net) = Net::of_value(value) else {
        return Err(TemplateError::new(format!(
            "ipmath: {} isn't an address",
            value.repr()
        )));
    };
    let moved = if amount < 0 {
        net.value.checked_sub(u128::from(amount.unsigned_abs()))
    } else {
        net.value.checked_add(u128::from(amount.unsigned_abs()))
    };
    moved
        .map(|moved| like(value, net.show(moved)))
        .ok_or_else(|| TemplateError::new("ipmath: the address is out of range"))
}

/// True for an address, and for a network that is written by its first address; of one version.
pub fn is_address(text: &str, v6: Option<bool>) -> bool {
    Net::parse(text).is_some_and(|net| {
        let exact = !net.sized || net.value == net.network();
        exact && v6.is_none_or(|v6| v6 == net.v6)
    })
}
