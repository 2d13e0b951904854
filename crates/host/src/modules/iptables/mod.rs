//! `iptables`: rules, chains and policies of the packet filter in the kernel, by the host's iptables. What is there is
//! asked with `iptables -C`; nothing is saved for the next start.

mod rule;

use crate::{Arg, Context, Failure, Kind, Module, Outcome, Output, Return, Rule as Need, Spec};
use rule::Rule;
use serde::Deserialize;

#[derive(Deserialize)]
pub struct Iptables {
    table: String,
    state: String,
    action: String,
    rule_num: Option<String>,
    ip_version: String,
    chain: Option<String>,
    chain_management: bool,
    flush: bool,
    policy: Option<String>,
    numeric: bool,
    #[serde(flatten)]
    rule: Rule,
}

impl Module for Iptables {
    const SPEC: Spec = Spec::new(
        "iptables",
        "Keeps rules, chains and policies of the packet filter in the kernel. They end with the next start of the host.",
        &ARGS,
    )
    .rules(&[Need::Exclusive(&["set_dscp_mark", "set_dscp_mark_class"]), Need::Exclusive(&["flush", "policy"])])
    .returns(&[
        Return::new("rule", "The rule as iptables takes it."),
        Return::new("chain", "As given; so are table, state, flush, ip_version, chain_management and wait."),
    ]);

    fn run(mut self, cx: &Context) -> Result<Outcome, Failure> {
        self.rule.prepare(&self.ip_version);
        // Returned as the task has it: without the jump that logging means.
        let told = self.rule.words().join(" ");
        self.rule.complete()?;
        let Some(chain) = self.chain.clone().or_else(|| self.flush.then(String::new)) else {
            return Err(Failure::new(
                "Either chain or flush parameter must be specified.",
            ));
        };
        let name = if self.ip_version == "ipv6" {
            "ip6tables"
        } else {
            "iptables"
        };
        let program = cx.find_program(name).ok_or_else(|| {
            Failure::new(format!(
                "there is no program {name} on this host: install the package iptables first"
            ))
        })?;
        let words = self.rule.words();
        let tables = Tables {
            cx,
            program: program.to_string_lossy().into_owned(),
            this: &self,
            chain: &chain,
        };
        let changed = if self.flush {
            tables.flush()?
        } else if let Some(policy) = &self.policy {
            tables.policy(policy)?
        } else if words.is_empty() {
            tables.chain_alone()?
        } else {
            tables.rule(&words)?
        };
        Ok(Outcome::changed(changed)
            .with("ip_version", self.ip_version.as_str())
            .with("table", self.table.as_str())
            .with("chain", self.chain.clone())
            .with("flush", self.flush)
            .with("rule", told)
            .with("state", self.state.as_str())
            .with("chain_management", self.chain_management)
            .with("wait", self.rule.wait()))
    }
}

/// One call on the tables of the kernel.
struct Tables<'a> {
    cx: &'a Context,
    program: String,
    this: &'a Iptables,
    chain: &'a str,
}

impl Tables<'_> {
    fn call(&self, words: &[&str]) -> Result<Output, Failure> {
        self.cx
            .process(&self.program)
            .args(["-t", &self.this.table])
            .args(words)
            .system()
            .run()
    }

    fn change(&self, words: &[&str]) -> Result<(), Failure> {
        if self.cx.check() {
            return Ok(());
        }
        let what = format!(
            "{} -t {} {}",
            self.program,
            self.this.table,
            words.join(" ")
        );
        self.call(words)?.check(&what)?;
        Ok(())
    }

    fn flush(&self) -> Result<bool, Failure> {
        let mut words = vec!["-F"];
        if !self.chain.is_empty() {
            words.push(self.chain);
        }
        self.change(&words)?;
        Ok(true)
    }

    fn policy(&self, policy: &str) -> Result<bool, Failure> {
        let mut words = vec!["-L", self.chain];
        if self.this.numeric {
            words.push("--numeric");
        }
        let output = self.call(&words)?.check("cannot list the chain")?;
        let text = output.stdout_text();
        let now = text
            .lines()
            .next()
            .and_then(|line| line.split_once("(policy "))
            .and_then(|(_, rest)| rest.split([' ', ')']).next())
            .ok_or_else(|| {
                Failure::new(format!(
                    "Can't detect current policy of the chain {}: only chains that the kernel brings have one",
                    self.chain
                ))
            })?;
        if now == policy {
            return Ok(false);
        }
        self.change(&["-P", self.chain, policy])?;
        Ok(true)
    }

    fn has_chain(&self) -> Result<bool, Failure> {
        let mut words = vec!["-L", self.chain];
        if self.this.numeric {
            words.push("--numeric");
        }
        Ok(self.call(&words)?.ok())
    }

    /// Without a rule the task is about the chain itself.
    fn chain_alone(&self) -> Result<bool, Failure> {
        let wanted = self.this.state == "present";
        if self.has_chain()? == wanted {
            return Ok(false);
        }
        if self.this.chain_management {
            self.change(&[if wanted { "-N" } else { "-X" }, self.chain])?;
        }
        Ok(true)
    }

    fn rule(&self, words: &[String]) -> Result<bool, Failure> {
        let wanted = self.this.state == "present";
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let with = |start: &[&'static str], number: Option<&str>| -> Vec<String> {
            let mut all: Vec<String> = start.iter().map(|word| (*word).to_owned()).collect();
            all.push(self.chain.to_owned());
            all.extend(number.map(ToOwned::to_owned));
            all.extend(words.iter().map(|word| (*word).to_owned()));
            all
        };
        let run =
            |all: Vec<String>| self.change(&all.iter().map(String::as_str).collect::<Vec<_>>());
        let ask = with(&["-C"], None);
        let there = self
            .call(&ask.iter().map(String::as_str).collect::<Vec<_>>())?
            .ok();
        if there == wanted {
            return Ok(false);
        }
        match (wanted, self.this.action.as_str()) {
            (false, _) => run(with(&["-D"], None))?,
            (true, "insert") => run(with(&["-I"], self.this.rule_num.as_deref()))?,
            (true, _) => run(with(&["-A"], None))?,
        }
        Ok(true)
    }
}

const ARGS: [Arg; 46] = crate::spec::join(
    [
        Arg::new("table", Kind::Str, "The table.")
            .choices(&["filter", "nat", "mangle", "raw", "security"])
            .default("filter"),
        Arg::new(
            "state",
            Kind::Str,
            "Whether the rule (or without one the chain) is there.",
        )
        .choices(&["absent", "present"])
        .default("present"),
        Arg::new(
            "action",
            Kind::Str,
            "A new rule is the last one, or the first (or rule_num).",
        )
        .choices(&["append", "insert"])
        .default("append"),
        Arg::new(
            "rule_num",
            Kind::Str,
            "With action insert: before which rule.",
        ),
        Arg::new("ip_version", Kind::Str, "iptables or ip6tables.")
            .choices(&["ipv4", "ipv6"])
            .default("ipv4"),
        Arg::new("chain", Kind::Str, "The chain."),
        Arg::new(
            "chain_management",
            Kind::Bool,
            "In a task without a rule: make the chain, or with state absent remove it.",
        )
        .default("no"),
        Arg::new(
            "flush",
            Kind::Bool,
            "Remove all rules of the chain, or of the table.",
        )
        .default("no"),
        Arg::new(
            "policy",
            Kind::Str,
            "What becomes of packets that no rule takes.",
        )
        .choices(&["ACCEPT", "DROP", "QUEUE", "RETURN"]),
        Arg::new(
            "numeric",
            Kind::Bool,
            "List chains without asking for names of addresses.",
        )
        .default("no"),
    ],
    rule::ARGS,
);
