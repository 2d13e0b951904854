//! Filters of IP addresses and networks, as in the collection `ansible.utils`.

use super::text::like;
use super::{Filter, filter};
use crate::content::template::TemplateError;
use crate::content::template::eval::args::{Args, text_of};
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Net {
    value: u128,
    v6: bool,
    prefix: u32,
    /// Written with `/`.
    sized: bool,
}

impl Net {
    /// An address or network as it is written; None when it isn't one.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
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

    fn of_value(value: &Value) -> Option<Self> {
        match value {
            Value::Str(text) => Self::parse(&text.text),
            Value::Int(_) | Value::BigInt(_) => {
                let whole = value.to_bigint()?;
                let number = u128::try_from(whole).ok()?;
                let v6 = number > u128::from(u32::MAX);
                Some(Self {
                    value: number,
                    v6,
                    prefix: if v6 { 128 } else { 32 },
                    sized: false,
                })
            }
            _ => None,
        }
    }

    fn bits(self) -> u32 {
        if self.v6 { 128 } else { 32 }
    }

    fn host_bits(self) -> u32 {
        self.bits() - self.prefix
    }

    fn hosts(self) -> u128 {
        1u128
            .checked_shl(self.host_bits())
            .map_or(u128::MAX, |size| size - 1)
    }

    fn network(self) -> u128 {
        self.value & !self.hosts()
    }

    fn last(self) -> u128 {
        self.network() | self.hosts()
    }

    fn show(self, value: u128) -> String {
        if self.v6 {
            Ipv6Addr::from(value).to_string()
        } else {
            Ipv4Addr::from(u32::try_from(value).unwrap_or(u32::MAX)).to_string()
        }
    }

    fn address(self) -> String {
        self.show(self.value)
    }

    fn contains(self, other: Self) -> bool {
        self.v6 == other.v6
            && self.prefix <= other.prefix
            && (self.network()..=self.last()).contains(&other.value)
    }

    /// A host of the network, not the network itself; or a single address.
    fn is_host(self) -> bool {
        self.host_bits() <= 1 || self.value != self.network()
    }

    fn range(self, from: u128, to: u128) -> bool {
        (from..=to).contains(&self.value)
    }

    fn is_private(self) -> bool {
        if self.v6 {
            self.value >> 121 == 0xfc >> 1
        } else {
            let v4 = Ipv4Addr::from(u32::try_from(self.value).unwrap_or(0));
            v4.is_private()
        }
    }

    fn is_loopback(self) -> bool {
        if self.v6 {
            self.value == 1
        } else {
            self.value >> 24 == 127
        }
    }

    fn is_multicast(self) -> bool {
        if self.v6 {
            self.value >> 120 == 0xff
        } else {
            self.value >> 28 == 0xe
        }
    }

    fn is_link_local(self) -> bool {
        if self.v6 {
            self.value >> 118 == 0xfe80 >> 6
        } else {
            self.value >> 16 == 0xa9fe
        }
    }

    fn is_reserved(self) -> bool {
        if self.v6 {
            self.value == 0
        } else {
            self.value >> 28 == 0xf || self.value >> 24 == 0
        }
    }

    fn is_public(self) -> bool {
        !(self.is_private()
            || self.is_loopback()
            || self.is_multicast()
            || self.is_link_local()
            || self.is_reserved())
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

/// What a filter of addresses gives for one that doesn't fit.
const NO: Value = Value::Bool(false);

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

/// Of a list those that fit; of one value the answer, or False.
fn for_each(value: &Value, query: &Value, version: Option<i64>) -> Outcome {
    match value {
        Value::List(_) | Value::Tuple(_) => {
            let mut found = Vec::new();
            for item in value.iterate()? {
                let answer = for_each(&item, query, version)?;
                if answer.truthy() {
                    found.push(answer);
                }
            }
            Ok(Value::list(found))
        }
        Value::Bool(_) | Value::None => Ok(NO),
        single => {
            let Some(net) = Net::of_value(single) else {
                return Ok(NO);
            };
            if version.is_some_and(|version| (version == 6) != net.v6) {
                return Ok(NO);
            }
            answer(net, single, query)
        }
    }
}

fn answer(net: Net, value: &Value, query: &Value) -> Outcome {
    let text = |text: String| like(value, text);
    if let Some(index) = query.as_int().filter(|_| !matches!(query, Value::Bool(_))) {
        return Ok(nth(net, index).map_or(NO, |host| {
            text(format!("{}/{}", net.show(host), net.prefix))
        }));
    }
    let query = text_of(query)?;
    if let Ok(index) = query.parse::<i64>() {
        return Ok(nth(net, index).map_or(NO, |host| {
            text(format!("{}/{}", net.show(host), net.prefix))
        }));
    }
    if query.contains('/') {
        let Some(outer) = Net::parse(&query) else {
            return Err(TemplateError::new(format!(
                "ipaddr: '{query}' isn't a network"
            )));
        };
        return Ok(if outer.contains(net) {
            value.clone()
        } else {
            NO
        });
    }
    let size = net.hosts().checked_add(1);
    let number = |value: u128| Value::integer(BigInt::from(value));
    let when = |holds: bool, answer: &dyn Fn() -> Value| if holds { answer() } else { NO };
    let whole = || value.clone();
    Ok(match query.as_str() {
        "" => value.clone(),
        "bool" => Value::Bool(true),
        "address" | "ip" => when(net.is_host() || !net.sized, &|| text(net.address())),
        "host" => when(net.is_host(), &|| {
            text(format!("{}/{}", net.address(), net.prefix))
        }),
        "ip/prefix" | "host/prefix" | "gateway" | "gw" | "hostnet" | "router"
        | "address/prefix" => when(net.is_host(), &|| {
            text(format!("{}/{}", net.address(), net.prefix))
        }),
        "net" => when(
            !net.is_host() || net.value == net.network() && net.host_bits() > 0,
            &|| text(format!("{}/{}", net.show(net.network()), net.prefix)),
        ),
        "network" | "network_id" => text(net.show(net.network())),
        "network/prefix" | "subnet" | "cidr_network" => {
            text(format!("{}/{}", net.show(net.network()), net.prefix))
        }
        "cidr" => text(format!("{}/{}", net.address(), net.prefix)),
        "netmask" => text(net.show(
            !net.hosts()
                & if net.v6 {
                    u128::MAX
                } else {
                    u128::from(u32::MAX)
                },
        )),
        "hostmask" | "wildcard" => text(net.show(net.hosts())),
        "prefix" => Value::Int(net.prefix.into()),
        "broadcast" => when(net.host_bits() > 1, &|| text(net.show(net.last()))),
        "first_usable" => when(net.host_bits() > 0, &|| text(net.show(first_usable(net)))),
        "last_usable" => when(net.host_bits() > 0, &|| text(net.show(last_usable(net)))),
        "next_usable" => when(net.value < last_usable(net), &|| {
            text(net.show(net.value + 1))
        }),
        "previous_usable" => when(net.value > first_usable(net), &|| {
            text(net.show(net.value - 1))
        }),
        "range_usable" => when(net.host_bits() > 0, &|| {
            text(format!(
                "{}-{}",
                net.show(first_usable(net)),
                net.show(last_usable(net))
            ))
        }),
        "size" => size.map_or(NO, number),
        "size_usable" => size.map_or(NO, |size| {
            number(if net.host_bits() > 1 { size - 2 } else { size })
        }),
        "peer" => when(net.host_bits() == 1, &|| text(net.show(net.value ^ 1))),
        "type" => text(if net.is_host() { "address" } else { "network" }.to_owned()),
        "version" => Value::Int(if net.v6 { 6 } else { 4 }),
        "v4" | "ipv4" => when(!net.v6, &whole),
        "v6" | "ipv6" => when(net.v6, &whole),
        "int" => number(net.value),
        "private" => when(net.is_private(), &whole),
        "public" => when(net.is_public(), &whole),
        "loopback" | "lo" => when(net.is_loopback(), &whole),
        "multicast" => when(net.is_multicast(), &whole),
        "unicast" => when(!net.is_multicast(), &whole),
        "link-local" => when(net.is_link_local(), &whole),
        "wrap" => when(true, &|| {
            if net.v6 {
                text(format!("[{}]", net.address()))
            } else {
                value.clone()
            }
        }),
        "revdns" => text(reverse_name(net)),
        other => match Net::parse(other) {
            Some(outer) => {
                let inside = net.v6 == outer.v6 && net.range(outer.network(), outer.last());
                when(inside, &whole)
            }
            None => {
                return Err(TemplateError::new(format!("ipaddr: unknown filter type: {other}"))
                    .hint("Known: address, net, network, prefix, netmask, broadcast, size, host, subnet, first_usable, last_usable, version, public, private, a number or a network."));
            }
        },
    })
}

fn first_usable(net: Net) -> u128 {
    if net.host_bits() > 1 {
        net.network() + 1
    } else {
        net.network()
    }
}

fn last_usable(net: Net) -> u128 {
    if net.host_bits() > 1 && !net.v6 {
        net.last() - 1
    } else if net.host_bits() > 1 {
        net.last() - 1
    } else {
        net.last()
    }
}

/// An address of the network by number, from its end when negative.
fn nth(net: Net, index: i64) -> Option<u128> {
    let offset = u128::from(index.unsigned_abs());
    let found = if index < 0 {
        net.last().checked_sub(offset - 1)?
    } else {
        net.network().checked_add(offset)?
    };
    (net.network()..=net.last())
        .contains(&found)
        .then_some(found)
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
fn ipwrap(interp: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [query] = args.bind("ipwrap", ["query"])?;
    if matches!(value, Value::List(_) | Value::Tuple(_)) {
        let mut out = Vec::new();
        for item in value.iterate()? {
            out.push(ipwrap(
                interp,
                &item,
                Args::of(query.clone().into_iter().collect()),
            )?);
        }
        return Ok(Value::list(out));
    }
    let Some(net) = Net::of_value(value) else {
        return Ok(value.clone());
    };
    if !net.v6 {
        return Ok(value.clone());
    }
    let text = text_of(value)?;
    Ok(match text.split_once('/') {
        Some((address, prefix)) => like(value, format!("[{address}]/{prefix}")),
        None => like(value, format!("[{text}]")),
    })
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
    let Some(prefix) = size
        .parse::<u32>()
        .ok()
        .filter(|prefix| (net.prefix..=net.bits()).contains(prefix))
    else {
        return Err(TemplateError::new(format!(
            "ipsubnet: '{size}' isn't a prefix from {} to {}",
            net.prefix,
            net.bits()
        )));
    };
    let count = 1u128.checked_shl(prefix - net.prefix).unwrap_or(u128::MAX);
    let Some(index) = index else {
        return Ok(Value::integer(BigInt::from(count)));
    };
    let index = crate::content::template::eval::args::int_of("index", &index)?;
    let number = if index < 0 {
        count.checked_sub(u128::from(index.unsigned_abs()))
    } else {
        Some(u128::from(index.unsigned_abs())).filter(|number| *number < count)
    };
    let step = 1u128.checked_shl(net.bits() - prefix).unwrap_or(0);
    Ok(number.map_or(NO, |number| {
        like(
            value,
            format!("{}/{prefix}", net.show(net.network() + number * step)),
        )
    }))
}

fn ipmath(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [amount] = args.bind("ipmath", ["amount"])?;
    let amount = crate::content::template::eval::args::required("ipmath", "amount", amount)?;
    let amount = crate::content::template::eval::args::int_of("amount", &amount)?;
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
