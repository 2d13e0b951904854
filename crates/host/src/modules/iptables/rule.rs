//! A rule, as words for iptables. A value that begins with `!` is negated.

use crate::{Arg, Failure, Kind};
use serde::Deserialize;

#[derive(Deserialize)]
pub(super) struct Rule {
    wait: Option<String>,
    protocol: Option<String>,
    source: Option<String>,
    destination: Option<String>,
    #[serde(rename = "match")]
    matches: Vec<String>,
    tcp_flags: Option<Flags>,
    jump: Option<String>,
    gateway: Option<String>,
    log_prefix: Option<String>,
    log_level: Option<String>,
    to_destination: Option<String>,
    to_source: Option<String>,
    goto: Option<String>,
    in_interface: Option<String>,
    out_interface: Option<String>,
    fragment: Option<String>,
    set_counters: Option<String>,
    source_port: Option<String>,
    destination_port: Option<String>,
    destination_ports: Vec<String>,
    to_ports: Option<String>,
    set_dscp_mark: Option<String>,
    set_dscp_mark_class: Option<String>,
    syn: String,
    ctstate: Vec<String>,
    src_range: Option<String>,
    dst_range: Option<String>,
    match_set: Option<String>,
    match_set_flags: Option<String>,
    limit: Option<String>,
    limit_burst: Option<String>,
    uid_owner: Option<String>,
    gid_owner: Option<String>,
    reject_with: Option<String>,
    icmp_type: Option<String>,
    comment: Option<String>,
    #[serde(skip)]
    v6: bool,
}

#[derive(Deserialize)]
struct Flags {
    #[serde(default)]
    flags: Vec<String>,
    #[serde(default)]
    flags_set: Vec<String>,
}

/// The arguments, for the specification.
pub(super) const ARGS: [Arg; 36] = [
    Arg::new("wait", Kind::Str, "Seconds to wait for another iptables."),
    Arg::new("protocol", Kind::Str, "tcp, udp, icmp, a number…"),
    Arg::new(
        "source",
        Kind::Str,
        "Address or network that packets come from.",
    ),
    Arg::new(
        "destination",
        Kind::Str,
        "Address or network that packets go to.",
    ),
    Arg::new("match", Kind::List, "Extensions to load (-m).").default(""),
    Arg::new(
        "tcp_flags",
        Kind::Dict,
        "flags: which are looked at; flags_set: which of them are set.",
    ),
    Arg::new(
        "jump",
        Kind::Str,
        "What becomes of the packet: ACCEPT, DROP, a chain…",
    ),
    Arg::new("gateway", Kind::Str, "With jump TEE: where the copy goes."),
    Arg::new(
        "log_prefix",
        Kind::Str,
        "What lines of the log begin with; means jump LOG.",
    ),
    Arg::new(
        "log_level",
        Kind::Str,
        "Level of the lines; means jump LOG.",
    )
    .choices(&[
        "0", "1", "2", "3", "4", "5", "6", "7", "emerg", "alert", "crit", "error", "warning",
        "notice", "info", "debug",
    ]),
    Arg::new(
        "to_destination",
        Kind::Str,
        "With jump DNAT: the new destination.",
    ),
    Arg::new("to_source", Kind::Str, "With jump SNAT: the new source."),
    Arg::new(
        "goto",
        Kind::Str,
        "Go on in this chain without coming back.",
    ),
    Arg::new("in_interface", Kind::Str, "Interface that packets come by."),
    Arg::new(
        "out_interface",
        Kind::Str,
        "Interface that packets leave by.",
    ),
    Arg::new("fragment", Kind::Str, "Fragments but the first."),
    Arg::new(
        "set_counters",
        Kind::Str,
        "Where the counters of packets and bytes start.",
    ),
    Arg::new(
        "source_port",
        Kind::Str,
        "Port, or range of ports, of the sender.",
    ),
    Arg::new(
        "destination_port",
        Kind::Str,
        "Port, or range of ports, of the receiver.",
    ),
    Arg::new(
        "destination_ports",
        Kind::List,
        "Several ports of the receiver.",
    )
    .default(""),
    Arg::new("to_ports", Kind::Str, "With jump REDIRECT: the new ports."),
    Arg::new("set_dscp_mark", Kind::Str, "With jump DSCP: the mark."),
    Arg::new(
        "set_dscp_mark_class",
        Kind::Str,
        "With jump DSCP: the class.",
    ),
    Arg::new(
        "syn",
        Kind::Str,
        "Only packets that open a connection, or only others.",
    )
    .choices(&["ignore", "match", "negate"])
    .default("ignore"),
    Arg::new(
        "ctstate",
        Kind::List,
        "States of the connection: NEW, ESTABLISHED…",
    )
    .default(""),
    Arg::new("src_range", Kind::Str, "Range of addresses of the sender."),
    Arg::new(
        "dst_range",
        Kind::Str,
        "Range of addresses of the receiver.",
    ),
    Arg::new("match_set", Kind::Str, "A set of ipset."),
    Arg::new(
        "match_set_flags",
        Kind::Str,
        "Which part of the packet is looked for in the set.",
    )
    .choices(&["src", "dst", "src,dst", "dst,src", "dst,dst", "src,src"]),
    Arg::new(
        "limit",
        Kind::Str,
        "How often the rule fits on average: 5/second.",
    ),
    Arg::new("limit_burst", Kind::Str, "How often at first."),
    Arg::new("uid_owner", Kind::Str, "User whose process sends."),
    Arg::new("gid_owner", Kind::Str, "Group whose process sends."),
    Arg::new(
        "reject_with",
        Kind::Str,
        "What the sender is told; means jump REJECT.",
    ),
    Arg::new("icmp_type", Kind::Str, "Type of ICMP."),
    Arg::new("comment", Kind::Str, "Comment of the rule."),
];

/// Words under way.
struct Words(Vec<String>);

impl Words {
    /// A flag and its value, negated when it begins with `!`.
    fn add(&mut self, flag: &str, value: Option<&String>) {
        let Some(value) = value else {
            return;
        };
        match value.strip_prefix('!') {
            Some(value) => self.all(&["!", flag, value.trim_start()]),
            None => self.all(&[flag, value]),
        }
    }

    fn all(&mut self, words: &[&str]) {
        self.0.extend(words.iter().map(|word| (*word).to_owned()));
    }

    /// Loads an extension for a value, unless the task names it.
    fn load(&mut self, name: &str, rule: &Rule) {
        if !rule.matches.iter().any(|known| known == name) {
            self.all(&["-m", name]);
        }
    }
}

impl Rule {
    /// Leaves out what is empty.
    pub(super) fn prepare(&mut self, ip_version: &str) {
        self.v6 = ip_version == "ipv6";
        for list in [
            &mut self.matches,
            &mut self.ctstate,
            &mut self.destination_ports,
        ] {
            list.retain(|item| !item.is_empty());
        }
    }

    /// What some arguments mean for others.
    pub(super) fn complete(&mut self) -> Result<(), Failure> {
        if self.log_prefix.is_some() || self.log_level.is_some() {
            let jump = self.jump.get_or_insert_with(|| "LOG".to_owned());
            if jump != "LOG" {
                return Err(Failure::new(
                    "Logging options can only be used with the LOG jump target.",
                ));
            }
        }
        match (self.jump.as_deref() == Some("TEE"), self.gateway.is_some()) {
            (true, false) => Err(Failure::new("jump: TEE needs gateway")),
            (false, true) => Err(Failure::new("gateway is for jump: TEE")),
            _ => Ok(()),
        }
    }

    pub(super) fn wait(&self) -> Option<String> {
        self.wait.clone()
    }

    /// In the order in which Ansible gives them: iptables compares rules, but people compare lines.
    pub(super) fn words(&self) -> Vec<String> {
        let mut words = Words(Vec::new());
        words.add("-w", self.wait.as_ref());
        words.add("-p", self.protocol.as_ref());
        words.add("-s", self.source.as_ref());
        words.add("-d", self.destination.as_ref());
        for name in &self.matches {
            words.add("-m", Some(name));
        }
        if let Some(flags) = &self.tcp_flags {
            words.all(&[
                "--tcp-flags",
                &flags.flags.join(","),
                &flags.flags_set.join(","),
            ]);
        }
        words.add("-j", self.jump.as_ref());
        words.add("--gateway", self.gateway.as_ref());
        words.add("--log-prefix", self.log_prefix.as_ref());
        words.add("--log-level", self.log_level.as_ref());
        words.add("--to-destination", self.to_destination.as_ref());
        if !self.destination_ports.is_empty() {
            words.load("multiport", self);
            words.all(&["--dports", &self.destination_ports.join(",")]);
        }
        words.add("--to-source", self.to_source.as_ref());
        words.add("-g", self.goto.as_ref());
        words.add("-i", self.in_interface.as_ref());
        words.add("-o", self.out_interface.as_ref());
        words.add("-f", self.fragment.as_ref());
        words.add("-c", self.set_counters.as_ref());
        words.add("--source-port", self.source_port.as_ref());
        words.add("--destination-port", self.destination_port.as_ref());
        words.add("--to-ports", self.to_ports.as_ref());
        for (flag, mark) in [
            ("--set-dscp", &self.set_dscp_mark),
            ("--set-dscp-class", &self.set_dscp_mark_class),
        ] {
            words.add(flag, mark.as_ref());
            if mark.is_some() && self.jump.as_deref() != Some("DSCP") {
                words.all(&["-j", "DSCP"]);
            }
        }
        match self.syn.as_str() {
            "match" => words.all(&["--syn"]),
            "negate" => words.all(&["!", "--syn"]),
            _ => {}
        }
        self.extensions(&mut words);
        words.0
    }

    /// What needs an extension.
    fn extensions(&self, words: &mut Words) {
        if !self.ctstate.is_empty() {
            let states = self.ctstate.join(",");
            if self.matches.iter().any(|name| name == "conntrack") {
                words.all(&["--ctstate", &states]);
            } else if self.matches.iter().any(|name| name == "state") {
                words.all(&["--state", &states]);
            } else {
                words.all(&["-m", "conntrack", "--ctstate", &states]);
            }
        }
        if self.src_range.is_some() || self.dst_range.is_some() {
            words.load("iprange", self);
            words.add("--src-range", self.src_range.as_ref());
            words.add("--dst-range", self.dst_range.as_ref());
        }
        if let Some(set) = &self.match_set {
            words.load("set", self);
            words.add("--match-set", Some(set));
            words.0.extend(self.match_set_flags.clone());
        }
        if self.limit.is_some() || self.limit_burst.is_some() {
            words.load("limit", self);
        }
        words.add("--limit", self.limit.as_ref());
        words.add("--limit-burst", self.limit_burst.as_ref());
        if self.uid_owner.is_some() {
            words.load("owner", self);
        }
        words.add("--uid-owner", self.uid_owner.as_ref());
        if self.gid_owner.is_some() {
            words.load("owner", self);
        }
        words.add("--gid-owner", self.gid_owner.as_ref());
        if self.jump.is_none() && self.reject_with.is_some() {
            words.all(&["-j", "REJECT"]);
        }
        words.add("--reject-with", self.reject_with.as_ref());
        let icmp = if self.v6 {
            "--icmpv6-type"
        } else {
            "--icmp-type"
        };
        words.add(icmp, self.icmp_type.as_ref());
        if self.comment.is_some() {
            words.load("comment", self);
        }
        words.add("--comment", self.comment.as_ref());
    }
}
