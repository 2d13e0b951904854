//! Filters of `ansible.utils` that count and compare addresses in networks, and those of hardware addresses.

use super::network::{NO, Net};
use super::text::like;
use super::{Filter, filter};
use crate::content::template::TemplateError;
use crate::content::template::eval::args::{Args, int_of, required, text_of};
use crate::content::template::eval::{Interp, Outcome};
use crate::content::value::Value;
use num_bigint::BigInt;

pub(super) const FILTERS: &[Filter] = &[
    filter(
        "nthhost",
        nthhost,
        ("'10.0.0.0/24' | ansible.utils.nthhost(5)", "'10.0.0.5'"),
    ),
    filter(
        "network_in_usable",
        |_, value, args| within("network_in_usable", value, args, true),
        (
            "'10.0.0.0/24' | ansible.utils.network_in_usable('10.0.0.255')",
            "False",
        ),
    ),
    filter(
        "network_in_network",
        |_, value, args| within("network_in_network", value, args, false),
        (
            "'10.0.0.0/24' | ansible.utils.network_in_network('10.0.0.255')",
            "True",
        ),
    ),
    filter(
        "next_nth_usable",
        |_, value, args| beside("next_nth_usable", value, args, 1),
        (
            "'10.0.0.9/24' | ansible.utils.next_nth_usable(2)",
            "'10.0.0.11'",
        ),
    ),
    filter(
        "previous_nth_usable",
        |_, value, args| beside("previous_nth_usable", value, args, -1),
        (
            "'10.0.0.9/24' | ansible.utils.previous_nth_usable(2)",
            "'10.0.0.7'",
        ),
    ),
    filter(
        "usable_range",
        usable_range,
        (
            "'10.0.0.0/31' | ansible.utils.usable_range",
            "{'usable_ips': ['10.0.0.0', '10.0.0.1'], 'number_of_ips': 2}",
        ),
    ),
    filter(
        "reduce_on_network",
        reduce_on_network,
        (
            "['10.0.0.1', '10.1.0.1'] | ansible.utils.reduce_on_network('10.0.0.0/24')",
            "['10.0.0.1']",
        ),
    ),
    filter(
        "cidr_merge",
        cidr_merge,
        (
            "['10.0.0.0/25', '10.0.0.128/25'] | ansible.utils.cidr_merge",
            "['10.0.0.0/24']",
        ),
    ),
    filter(
        "ip4_hex",
        ip4_hex,
        ("'192.168.1.5' | ansible.utils.ip4_hex", "'c0a80105'"),
    ),
    filter(
        "ipv6form",
        ipv6form,
        (
            "'fe80::1' | ansible.utils.ipv6form('expand')",
            "'fe80:0000:0000:0000:0000:0000:0000:0001'",
        ),
    ),
    filter(
        "ipcut",
        ipcut,
        ("'10.2.3.4' | ansible.utils.ipcut(16)", "'10.2'"),
    ),
    filter(
        "hwaddr",
        hwaddr,
        (
            "'52:54:00:12:34:56' | ansible.utils.hwaddr('cisco')",
            "'5254.0012.3456'",
        ),
    ),
    filter(
        "macaddr",
        hwaddr,
        (
            "'52:54:00:12:34:56' | ansible.utils.macaddr('bare')",
            "'525400123456'",
        ),
    ),
    filter(
        "slaac",
        slaac,
        (
            "'fdcf:1894:23b5:d38c::/64' | ansible.utils.slaac('c2:31:b3:83:bf:2b')",
            "'fdcf:1894:23b5:d38c:c031:b3ff:fe83:bf2b'",
        ),
    ),
];

/// Most addresses that are listed one by one.
const MAX_LISTED: u128 = 1 << 20;

fn nthhost(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [number] = args.bind("nthhost", ["query"])?;
    let number = number.map_or_else(|| Ok(String::new()), |number| text_of(&number))?;
    let (Some(net), Ok(number)) = (Net::of_value(value), number.trim().parse::<i64>()) else {
        return Ok(NO);
    };
    let offset = u128::from(number.unsigned_abs());
    let found = if number < 0 {
        net.last()
            .checked_sub(offset - 1)
            .filter(|at| *at >= net.network())
    } else {
        net.network()
            .checked_add(offset)
            .filter(|at| *at <= net.last())
    };
    Ok(found.map_or(NO, |at| like(value, net.show(at))))
}

/// All of a network, or what machines can have of it.
fn span(net: Net, usable: bool) -> (u128, u128) {
    let whole = (net.network(), net.last());
    if usable {
        net.usable().unwrap_or(whole)
    } else {
        whole
    }
}

fn within(what: &str, value: &Value, args: Args, usable: bool) -> Outcome {
    let [inner] = args.bind(what, ["test"])?;
    let inner = required(what, "test", inner)?;
    let (Some(outer), Some(inner)) = (Net::of_value(value), Net::of_value(&inner)) else {
        return Ok(NO);
    };
    Ok(Value::Bool(holds(outer, inner, usable)))
}

/// True when every address of one network, or the one address, is in the other.
fn holds(outer: Net, inner: Net, usable: bool) -> bool {
    let inner_span = if inner.is_network() {
        span(inner, false)
    } else {
        (inner.value, inner.value)
    };
    let (first, last) = span(outer, usable);
    outer.v6 == inner.v6 && first <= inner_span.0 && inner_span.1 <= last
}

fn beside(what: &str, value: &Value, args: Args, sign: i64) -> Outcome {
    let [offset] = args.bind(what, ["offset"])?;
    let offset = int_of("offset", &required(what, "offset", offset)?)?;
    let Some(net) = Net::of_value(value) else {
        return Ok(NO);
    };
    let Some((first, last)) = net.usable() else {
        return Ok(Value::None);
    };
    let moved = i128::try_from(net.value)
        .ok()
        .and_then(|at| at.checked_add(i128::from(offset * sign)));
    let found = match moved {
        Some(moved) => u128::try_from(moved).ok(),
        // Beyond the half of all addresses of version 6.
        None if offset * sign >= 0 => net.value.checked_add(u128::from(offset.unsigned_abs())),
        None => net.value.checked_sub(u128::from(offset.unsigned_abs())),
    };
    let found = found.filter(|at| (first..=last).contains(at));
    Ok(found.map_or(Value::None, |at| like(value, net.show(at))))
}

fn usable_range(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.none("usable_range")?;
    let text = text_of(value)?;
    let Some(net) = Net::of_value(value) else {
        return Err(TemplateError::new(format!(
            "usable_range: '{text}' isn't a network"
        )));
    };
    if net.value != net.network() {
        return Err(TemplateError::new(format!(
            "usable_range: {text} has host bits set"
        )));
    }
    if net.hosts() >= MAX_LISTED {
        return Err(TemplateError::new(format!(
            "usable_range: {text} has too many addresses to list them"
        )));
    }
    let listed = (net.network()..=net.last()).map(|at| like(value, net.show(at)));
    let count = Value::integer(BigInt::from(net.hosts()) + 1);
    Ok(Value::record([
        ("usable_ips", Value::list(listed.collect())),
        ("number_of_ips", count),
    ]))
}

fn reduce_on_network(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [network] = args.bind("reduce_on_network", ["network"])?;
    let network = required("reduce_on_network", "network", network)?;
    let Some(outer) = Net::of_value(&network) else {
        return Ok(Value::list(Vec::new()));
    };
    let mut kept = value.iterate()?;
    kept.retain(|item| Net::of_value(item).is_some_and(|inner| holds(outer, inner, false)));
    Ok(Value::list(kept))
}

fn cidr_merge(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [action] = args.bind("cidr_merge", ["action"])?;
    let action = action.map_or_else(|| Ok("merge".to_owned()), |action| text_of(&action))?;
    let mut nets = Vec::new();
    for item in value.iterate()? {
        let net = Net::of_value(&item);
        let shown = item.repr();
        nets.push(
            net.ok_or_else(|| TemplateError::new(format!("cidr_merge: {shown} isn't an address")))?,
        );
    }
    let sized = |net: &Net| like(value, format!("{}/{}", net.show(net.network()), net.prefix));
    match action.as_str() {
        "merge" => Ok(Value::list(merged(nets).iter().map(sized).collect())),
        "span" => Ok(match spanning(&nets)? {
            Some(net) => sized(&net),
            None => Value::None,
        }),
        other => Err(
            TemplateError::new(format!("cidr_merge: invalid action '{other}'"))
                .hint("Known: merge, span."),
        ),
    }
}

/// The fewest networks with the same addresses, in order.
fn merged(mut nets: Vec<Net>) -> Vec<Net> {
    nets.sort_by_key(|net| (net.v6, net.network(), net.prefix));
    let mut kept: Vec<Net> = Vec::new();
    for net in nets {
        if kept.last().is_some_and(|last| last.contains(net)) {
            continue;
        }
        kept.push(Net {
            value: net.network(),
            ..net
        });
        // Two halves make a whole, and so on.
        while let [.., one, other] = kept.as_slice() {
            let wider = Net {
                prefix: one.prefix.saturating_sub(1),
                ..*one
            };
            let halves = one.v6 == other.v6
                && one.prefix == other.prefix
                && one.prefix > 0
                && one.value == wider.network()
                && other.value == one.last().wrapping_add(1);
            if !halves {
                break;
            }
            kept.truncate(kept.len() - 2);
            kept.push(wider);
        }
    }
    kept
}

/// The smallest network with all of them.
fn spanning(nets: &[Net]) -> Outcome<Option<Net>> {
    let Some(first) = nets.first() else {
        return Ok(None);
    };
    if nets.iter().any(|net| net.v6 != first.v6) {
        return Err(TemplateError::new(
            "cidr_merge: addresses of version 4 and 6 have no network together",
        ));
    }
    let mut wide = *first;
    while !nets.iter().all(|net| wide.contains(*net)) {
        wide = Net {
            prefix: wide.prefix.saturating_sub(1),
            ..wide
        };
    }
    Ok(Some(wide))
}

fn ip4_hex(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [delimiter] = args.bind("ip4_hex", ["delimiter"])?;
    let delimiter = delimiter.map_or_else(|| Ok(String::new()), |text| text_of(&text))?;
    let Some(net) = Net::of_value(value).filter(|net| !net.v6 && !net.sized) else {
        let shown = value.to_text();
        return Err(TemplateError::new(format!(
            "You must pass a valid IP address; {shown} is invalid"
        )));
    };
    let digits: Vec<String> = net
        .v4()
        .octets()
        .iter()
        .map(|octet| format!("{octet:02x}"))
        .collect();
    Ok(like(value, digits.join(&delimiter)))
}

/// One address, without a size.
fn single(value: &Value) -> Outcome<Net> {
    Net::of_value(value)
        .filter(|net| !net.sized)
        .ok_or_else(|| {
            let shown = value.to_text();
            TemplateError::new(format!(
                "You must pass a valid IP address; {shown} is invalid"
            ))
        })
}

/// The eight groups of an address of version 6.
fn groups(value: u128) -> [u16; 8] {
    std::net::Ipv6Addr::from(value).segments()
}

fn ipv6form(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [format] = args.bind("ipv6form", ["format"])?;
    let format = text_of(&required("ipv6form", "format", format)?)?;
    let net = single(value)?;
    let joined = |show: fn(&u16) -> String| {
        let groups: Vec<String> = groups(net.value).iter().map(show).collect();
        groups.join(":")
    };
    Ok(match format.as_str() {
        "expand" | "x509" if !net.v6 => like(value, net.address()),
        "expand" => like(value, joined(|group| format!("{group:04x}"))),
        "x509" => like(value, joined(|group| format!("{group:x}"))),
        "compress" => like(value, net.address()),
        other => {
            return Err(TemplateError::new(format!(
                "You must pass valid format; {other} is not a valid format"
            ))
            .hint("Known: compress, expand, x509."));
        }
    })
}

/// The first bits of an address, or its last ones when negative.
fn ipcut(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [amount] = args.bind("ipcut", ["amount"])?;
    let amount = int_of("amount", &required("ipcut", "amount", amount)?)?;
    let net = single(value)?;
    let width = if net.v6 { 128 } else { 32 };
    let bits = format!("{:0width$b}", net.value);
    let count = usize::try_from(amount.unsigned_abs())
        .unwrap_or(width)
        .min(width);
    let part = if amount < 0 {
        &bits[width - count..]
    } else {
        &bits[..count]
    };
    let group = if net.v6 { 16 } else { 8 };
    let groups = part.as_bytes().chunks(group).map(|digits| {
        let number = digits
            .iter()
            .fold(0u32, |number, digit| number * 2 + u32::from(digit - b'0'));
        if net.v6 {
            format!("{number:x}")
        } else {
            number.to_string()
        }
    });
    let groups: Vec<String> = groups.collect();
    Ok(like(value, groups.join(if net.v6 { ":" } else { "." })))
}

/// A hardware address of six bytes: with colons, dashes, dots, or bare.
fn mac(text: &str) -> Option<[u8; 6]> {
    let separator = text.chars().find(|c| matches!(c, ':' | '-' | '.'));
    let parts: Vec<&str> = match separator {
        Some(separator) => text.split(separator).collect(),
        None => vec![text],
    };
    let width = match parts.len() {
        6 => 2,
        3 => 4,
        2 => 6,
        1 if text.len() == 12 || text.len() == 11 => 12,
        _ => return None,
    };
    let mut digits = String::new();
    for part in parts {
        if part.is_empty()
            || part.len() > width
            || !part.bytes().all(|byte| byte.is_ascii_hexdigit())
        {
            return None;
        }
        digits.push_str(&format!("{part:0>width$}"));
    }
    let mut bytes = [0; 6];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[at * 2..at * 2 + 2], 16).ok()?;
    }
    Some(bytes)
}

fn hwaddr(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [query, _alias] = args.bind("hwaddr", ["query", "alias"])?;
    let query = query.map_or_else(|| Ok(String::new()), |query| text_of(&query))?;
    let Some(bytes) = mac(&text_of(value)?) else {
        return Ok(Value::None);
    };
    let digits = |separator: &str| {
        let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        digits.join(separator)
    };
    let words = |size: usize, separator: &str| {
        let digits = digits("");
        let words: Vec<&str> = (0..12)
            .step_by(size)
            .map(|at| &digits[at..at + size])
            .collect();
        words.join(separator)
    };
    Ok(match query.as_str() {
        "" => value.clone(),
        "bare" => like(value, digits("")),
        "bool" => Value::Bool(true),
        "int" => Value::Int(
            bytes
                .iter()
                .fold(0, |number, byte| number * 256 + i64::from(*byte)),
        ),
        "cisco" => like(value, words(4, ".")),
        "eui48" | "win" => like(value, digits("-").to_uppercase()),
        "linux" => like(value, digits(":")),
        "unix" => {
            let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:x}")).collect();
            like(value, digits.join(":"))
        }
        "pgsql" | "postgresql" | "psql" => like(value, words(6, ":")),
        other => {
            return Err(
                TemplateError::new(format!("hwaddr: unknown filter type: {other}"))
                    .hint("Known: bare, bool, int, cisco, eui48, win, linux, unix, pgsql."),
            );
        }
    })
}

/// The address that a machine gives itself from its hardware address.
fn slaac(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [query] = args.bind("slaac", ["query"])?;
    let query = query.map_or_else(|| Ok(String::new()), |query| text_of(&query))?;
    let (Some(net), Some([a, b, c, d, e, f])) =
        (Net::of_value(value).filter(|net| net.v6), mac(&query))
    else {
        return Ok(NO);
    };
    let own = u64::from_be_bytes([a ^ 2, b, c, 0xff, 0xfe, d, e, f]);
    Ok(like(value, net.show(net.network() | u128::from(own))))
}
