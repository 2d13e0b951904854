//! Tests of `ansible.utils` about addresses, and of `community.general` about names. What is no address is none of
//! these, and no error.

use super::{Test, one};
use crate::content::template::eval::Outcome;
use crate::content::template::eval::args::Args;
use crate::content::template::filters::Net;
use crate::content::value::Value;

pub(super) const TESTS: &[Test] = &[
    ("in_network", |_, value, args| {
        in_networks("in_network", value, args, |found| found > 0)
    }),
    ("in_any_network", |_, value, args| {
        in_networks("in_any_network", value, args, |found| found > 0)
    }),
    ("in_one_network", |_, value, args| {
        in_networks("in_one_network", value, args, |found| found == 1)
    }),
    ("subnet_of", |_, value, args| {
        let outer = one("subnet_of", args)?;
        Ok(network(value)
            .zip(network(&outer))
            .is_some_and(|(inner, outer)| outer.contains(inner)))
    }),
    ("supernet_of", |_, value, args| {
        let inner = one("supernet_of", args)?;
        Ok(network(value)
            .zip(network(&inner))
            .is_some_and(|(outer, inner)| outer.contains(inner)))
    }),
    ("ip_address", |_, value, args| {
        of_address("ip_address", value, args, |_| true)
    }),
    ("ipv4_address", |_, value, args| {
        of_address("ipv4_address", value, args, |net| !net.v6)
    }),
    ("ipv6_address", |_, value, args| {
        of_address("ipv6_address", value, args, |net| net.v6)
    }),
    ("loopback", |_, value, args| {
        of_address("loopback", value, args, Net::is_loopback)
    }),
    ("multicast", |_, value, args| {
        of_address("multicast", value, args, Net::is_multicast)
    }),
    ("private", |_, value, args| {
        of_address("private", value, args, |net| !net.is_global())
    }),
    ("public", |_, value, args| {
        of_address("public", value, args, |net| {
            net.is_global() && !net.is_multicast()
        })
    }),
    ("unspecified", |_, value, args| {
        of_address("unspecified", value, args, |net| net.value == 0)
    }),
    ("reserved", |_, value, args| {
        of_address("reserved", value, args, is_reserved)
    }),
    ("ipv4_netmask", |_, value, args| {
        mask("ipv4_netmask", value, args, |mask| mask)
    }),
    ("ipv4_hostmask", |_, value, args| {
        mask("ipv4_hostmask", value, args, |mask| !mask)
    }),
    ("ipv6_ipv4_mapped", |_, value, args| {
        of_address("ipv6_ipv4_mapped", value, args, |net| {
            net.v6 && net.value >> 32 == 0xffff
        })
    }),
    ("ipv6_sixtofour", |_, value, args| {
        of_address("ipv6_sixtofour", value, args, |net| {
            net.v6 && net.value >> 112 == 0x2002
        })
    }),
    ("ipv6_teredo", |_, value, args| {
        of_address("ipv6_teredo", value, args, |net| {
            net.v6 && net.value >> 96 == 0x2001_0000
        })
    }),
    ("mac", |_, value, args| {
        args.none("mac")?;
        Ok(value.as_str().is_some_and(is_mac))
    }),
    ("fqdn_valid", |_, value, args| {
        let [labels, underscores] = args.bind("fqdn_valid", ["min_labels", "allow_underscores"])?;
        let least = labels.and_then(|labels| labels.as_int()).unwrap_or(1);
        let underscores = underscores.is_some_and(|allow| allow.truthy());
        Ok(value
            .as_str()
            .is_some_and(|name| is_domain(name, least, underscores)))
    }),
];

/// A network, written by its first address; a single address is one of one.
fn network(value: &Value) -> Option<Net> {
    Net::of_value(value).filter(|net| net.value == net.network())
}

fn in_networks(what: &str, value: &Value, args: Args, holds: fn(usize) -> bool) -> Outcome<bool> {
    let outer = one(what, args)?;
    let outer = match &outer {
        Value::List(_) | Value::Tuple(_) => outer.iterate()?,
        single => vec![single.clone()],
    };
    let Some(inner) = network(value) else {
        return Ok(false);
    };
    Ok(holds(
        outer
            .iter()
            .filter_map(network)
            .filter(|net| net.contains(inner))
            .count(),
    ))
}

fn of_address(what: &str, value: &Value, args: Args, is: fn(Net) -> bool) -> Outcome<bool> {
    args.none(what)?;
    Ok(Net::of_value(value)
        .filter(|net| !net.sized)
        .is_some_and(is))
}

/// Kept free by the Internet's registry.
fn is_reserved(net: Net) -> bool {
    if !net.v6 {
        return net.value >> 28 == 0xf;
    }
    let top = net.value >> 120;
    let given = matches!(top, 0x20..=0x3f | 0xfc..=0xff);
    let local = top == 0xfe && (net.value >> 118) & 3 >= 2;
    !given && !local
}

/// A mask of version 4 that begins with ones and goes on with zeros.
fn mask(what: &str, value: &Value, args: Args, turned: fn(u32) -> u32) -> Outcome<bool> {
    args.none(what)?;
    let address = value
        .as_str()
        .and_then(|text| text.parse::<std::net::Ipv4Addr>().ok());
    Ok(address.is_some_and(|address| {
        let mask = turned(u32::from(address));
        mask != 0 && mask.leading_ones() + mask.trailing_zeros() >= 32
    }))
}

/// Six bytes with colons or dashes between, or three words with dots.
fn is_mac(text: &str) -> bool {
    let parts = |separator: char, count: usize, width: usize| {
        let parts: Vec<&str> = text.split(separator).collect();
        parts.len() == count
            && parts.iter().all(|part| {
                part.len() == width && part.bytes().all(|byte| byte.is_ascii_hexdigit())
            })
    };
    let bare = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    bare || parts(':', 6, 2) || parts('-', 6, 2) || parts('.', 3, 4)
}

/// A name of labels of letters, digits and hyphens.
fn is_domain(name: &str, least: i64, underscores: bool) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let labels: Vec<&str> = name.split('.').collect();
    let label = |label: &&str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| {
                byte.is_ascii_alphanumeric() || byte == b'-' || (underscores && byte == b'_')
            })
    };
    name.len() <= 253
        && labels.iter().all(label)
        && i64::try_from(labels.len()).is_ok_and(|count| count >= least)
}
