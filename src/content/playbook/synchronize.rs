//! The arguments of `synchronize`: which options of rsync they mean, and which of them mean nothing here.

use host::modules::sync::{Options, Rule};
use host::{Arg, Kind, Return, Rule as Between, Spec};
use serde_json::{Map, Value};

/// The module as playbooks write it.
pub(super) const SPEC: Spec = Spec::new(
    "synchronize",
    "Brings a directory of the host (or, with mode pull, of the controller) to what another one holds, as rsync does, but over the connection of the play: rsync is needed on neither side.",
    ARGS,
)
.rules(&[Between::OneOf(&["src"]), Between::OneOf(&["dest"])])
.without(LEFT_OUT)
.returns(&[
    Return::new("msg, stdout_lines", "What changed, itemized as rsync does with --out-format='%i %n%L'."),
    Return::new("rc", "0; of a failure that rsync has a code for, that code."),
]);

const ARGS: &[Arg] = &[
    Arg::new("src", Kind::Path, "What is carried over; with a slash at its end what is in it.").required(),
    Arg::new("dest", Kind::Path, "Where it goes.").required(),
    Arg::new("mode", Kind::Str, "push: src is on the controller or on the host that the task is delegated to, dest on the host. pull: the other way round.")
        .choices(&["push", "pull"])
        .default("push"),
    Arg::new("archive", Kind::Bool, "All of recursive, links, perms, times, owner and group, as far as they aren't said.").default("yes"),
    Arg::new("recursive", Kind::Bool, "Also what is in directories."),
    Arg::new("links", Kind::Bool, "Links as links."),
    Arg::new("perms", Kind::Bool, "Modes as at the source."),
    Arg::new("times", Kind::Bool, "Times of modification as at the source; without them every file is sent again."),
    Arg::new("owner", Kind::Bool, "Owners as at the source, by name, where root writes."),
    Arg::new("group", Kind::Bool, "Groups as at the source, by name."),
    Arg::new("dirs", Kind::Bool, "Directories without what is in them.").default("no"),
    Arg::new("copy_links", Kind::Bool, "What links lead to, in their place.").default("no"),
    Arg::new("checksum", Kind::Bool, "Compare content, not size and time.").default("no"),
    Arg::new("existing_only", Kind::Bool, "Make nothing that isn't there.").default("no"),
    Arg::new("delete", Kind::Bool, "Delete what the source doesn't have, but for what is excluded.").default("no"),
    Arg::new("delay_updates", Kind::Bool, "Put files in their places together, when all have come.").default("yes"),
    Arg::new("rsync_opts", Kind::List, "Further options of rsync: --exclude, --include, --exclude-from, --include-from, --filter ('- x', '+ x'), --delete and its kinds, --delete-excluded, --force, --chmod, --chown, --existing, --ignore-existing, --update, --size-only, --ignore-times, --checksum, --numeric-ids, --omit-dir-times, --copy-links, and --no-… for what archive means. Options about the transfer (--compress, --partial, --whole-file, --no-motd…) have no effect; others are refused."),
    Arg::new("compress", Kind::Bool, "No effect: what is worth it is compressed.").default("yes"),
    Arg::new("partial", Kind::Bool, "No effect: files come whole or not at all.").default("no"),
    Arg::new("rsync_timeout", Kind::Int, "No effect: the connection has its own.").default("0"),
    Arg::new("set_remote_user", Kind::Bool, "No effect: the play's connection is used.").default("yes"),
    Arg::new("use_ssh_args", Kind::Bool, "No effect: the play's connection is used.").default("no"),
    Arg::new("ssh_connection_multiplexing", Kind::Bool, "No effect: the play's connection is used.").default("no"),
    Arg::new("verify_host", Kind::Bool, "No effect: host keys are always verified.").default("no"),
];

const LEFT_OUT: &[(&str, &str)] = &[
    (
        "dest_port",
        "the play's own connection is used; its port is `ansible_port`.",
    ),
    (
        "private_key",
        "the play's own connection is used; its key is `ansible_ssh_private_key_file`.",
    ),
    (
        "rsync_path",
        "no rsync runs; for another user's rights give the task `become: true`.",
    ),
    ("link_dest", "hard links to an older tree aren't made."),
];

/// What the arguments of a task mean, or what of them is refused. `read` gives the text of a file of the controller.
pub fn options(
    args: &Map<String, Value>,
    read: &dyn Fn(&str) -> Result<String, String>,
) -> Result<Options, String> {
    let flag = |name: &str| args.get(name).and_then(Value::as_bool);
    let archive = flag("archive").unwrap_or(true);
    let of_archive = |name: &str| flag(name).unwrap_or(archive);
    let mut options = Options {
        recursive: of_archive("recursive"),
        links: of_archive("links"),
        perms: of_archive("perms"),
        times: of_archive("times"),
        owner: of_archive("owner"),
        group: of_archive("group"),
        devices: archive,
        dirs: flag("dirs") == Some(true),
        copy_links: flag("copy_links") == Some(true),
        checksum: flag("checksum") == Some(true),
        existing: flag("existing_only") == Some(true),
        delete: flag("delete") == Some(true),
        at_once: flag("delay_updates") == Some(false),
        ..Options::default()
    };
    let words: Vec<&str> = match args.get("rsync_opts") {
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        option(&mut options, word, &mut words, read)?;
    }
    if options.delete && !options.recursive && !options.dirs {
        return Err("--delete does not work without --recursive (-r) or --dirs (-d).".to_owned());
    }
    Ok(options)
}

/// One option, long or short.
fn option<'a>(
    options: &mut Options,
    word: &'a str,
    more: &mut dyn Iterator<Item = &'a str>,
    read: &dyn Fn(&str) -> Result<String, String>,
) -> Result<(), String> {
    if let Some(long) = word.strip_prefix("--") {
        let (name, given) = match long.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (long, None),
        };
        if WITH_VALUE.contains(&name) {
            let value = given
                .or_else(|| more.next())
                .ok_or_else(|| format!("rsync_opts: --{name} needs a value"))?;
            return with_value(options, name, value, read);
        }
        if given.is_none() && (switch(options, name) || WITHOUT_EFFECT.contains(&name)) {
            return Ok(());
        }
        return Err(refused(word));
    }
    let letters = word.strip_prefix('-').filter(|letters| !letters.is_empty());
    for letter in letters.ok_or_else(|| refused(word))?.chars() {
        let name = SHORT
            .iter()
            .find(|(short, _)| *short == letter)
            .map(|(_, name)| *name);
        let name = name.ok_or_else(|| refused(&format!("-{letter}")))?;
        if !switch(options, name) && !WITHOUT_EFFECT.contains(&name) {
            return Err(refused(&format!("-{letter}")));
        }
    }
    Ok(())
}

fn refused(word: &str) -> String {
    format!("rsync_opts: {word} isn't supported (`kopsrun doc synchronize` lists those that are)")
}

const WITH_VALUE: &[&str] = &[
    "exclude",
    "include",
    "exclude-from",
    "include-from",
    "filter",
    "chmod",
    "chown",
    "timeout",
    "contimeout",
    "bwlimit",
    "compress-level",
    "out-format",
    "info",
];

/// About the transfer, about which there is nothing to say here.
const WITHOUT_EFFECT: &[&str] = &[
    "compress",
    "no-compress",
    "partial",
    "no-partial",
    "whole-file",
    "no-whole-file",
    "no-motd",
    "quiet",
    "verbose",
    "human-readable",
    "progress",
    "stats",
    "itemize-changes",
    "delay-updates",
    "no-delay-updates",
    "protect-args",
    "secluded-args",
    "blocking-io",
    "no-inc-recursive",
    "no-i-r",
    "8-bit-output",
    "inc-recursive",
];

const SHORT: &[(char, &str)] = &[
    ('a', "archive"),
    ('r', "recursive"),
    ('l', "links"),
    ('p', "perms"),
    ('t', "times"),
    ('o', "owner"),
    ('g', "group"),
    ('D', "devices"),
    ('d', "dirs"),
    ('L', "copy-links"),
    ('c', "checksum"),
    ('u', "update"),
    ('I', "ignore-times"),
    ('O', "omit-dir-times"),
    ('z', "compress"),
    ('W', "whole-file"),
    ('q', "quiet"),
    ('v', "verbose"),
    ('h', "human-readable"),
    ('i', "itemize-changes"),
    ('s', "protect-args"),
];

/// Sets what a name stands for; `no-` in front of it takes it back.
fn switch(options: &mut Options, name: &str) -> bool {
    if name == "archive" {
        for part in [
            "recursive",
            "links",
            "perms",
            "times",
            "owner",
            "group",
            "devices",
        ] {
            switch(options, part);
        }
        return true;
    }
    if name.starts_with("delete")
        && !name.starts_with("delete-excluded")
        && name != "delete-missing-args"
    {
        options.delete = true;
        return true;
    }
    let (plain, on) = match name.strip_prefix("no-") {
        Some(plain) => (plain, false),
        None => (name, true),
    };
    let field = match plain {
        "recursive" | "r" => &mut options.recursive,
        "links" | "l" => &mut options.links,
        "perms" | "p" => &mut options.perms,
        "times" | "t" => &mut options.times,
        "owner" | "o" => &mut options.owner,
        "group" | "g" => &mut options.group,
        "devices" | "D" | "specials" => &mut options.devices,
        "dirs" | "d" => &mut options.dirs,
        "omit-dir-times" | "O" => &mut options.omit_dir_times,
        "numeric-ids" => &mut options.numeric_ids,
        "force" => &mut options.force,
        _ if !on => return false,
        "copy-links" => &mut options.copy_links,
        "checksum" => &mut options.checksum,
        "size-only" => &mut options.size_only,
        "ignore-times" => &mut options.ignore_times,
        "existing" | "ignore-non-existing" => &mut options.existing,
        "ignore-existing" => &mut options.ignore_existing,
        "update" => &mut options.update,
        "delete-excluded" => {
            options.delete = true;
            &mut options.delete_excluded
        }
        _ => return false,
    };
    *field = on;
    true
}

fn with_value(
    options: &mut Options,
    name: &str,
    value: &str,
    read: &dyn Fn(&str) -> Result<String, String>,
) -> Result<(), String> {
    let include = name.starts_with("include");
    match name {
        "exclude" | "include" => options.rules.push(Rule {
            include,
            pattern: value.to_owned(),
        }),
        "exclude-from" | "include-from" => {
            let text = read(value).map_err(|why| format!("rsync_opts: --{name}={value}: {why}"))?;
            options
                .rules
                .extend(Rule::parse_lines(&text, Some(include))?);
        }
        "filter" => options
            .rules
            .push(Rule::parse(value).map_err(|why| format!("rsync_opts: {why}"))?),
        "chmod" => options
            .chmod
            .extend(value.split(',').map(ToOwned::to_owned)),
        "chown" => {
            // As rsync: --chown means --owner and --group too.
            options.owner |= !value.starts_with(':');
            options.group |= value.contains(':');
            options.chown = Some(value.to_owned());
        }
        _ => {}
    }
    Ok(())
}

/// What is wrong with the arguments as they are written, where nothing of them is a template.
pub(super) fn check(args: &Map<String, Value>) -> Option<String> {
    let opts = args.get("rsync_opts")?;
    let text = opts.to_string();
    if text.contains("{{") || text.contains("{%") {
        return None;
    }
    // Files of rules are read when the task runs.
    let spec_args = host::normalise(&SPEC, args).ok()?;
    options(&spec_args, &|_| Ok(String::new())).err()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(args: Value) -> Result<Options, String> {
        let Value::Object(mut args) = args else {
            panic!("a mapping")
        };
        args.insert("src".to_owned(), "a".into());
        args.insert("dest".to_owned(), "b".into());
        let args = host::normalise(&SPEC, &args).map_err(|error| error.message)?;
        options(&args, &|_| Ok("# why\n*.o\n+ keep\n".to_owned()))
    }

    #[test]
    fn archive_means_what_is_not_said() {
        let plain = of(json!({})).expect("sound");
        assert!(plain.recursive && plain.links && plain.owner && !plain.delete);
        let some = of(json!({"archive": false, "times": true})).expect("sound");
        assert!(!some.recursive && some.times && !some.perms);
        let less = of(json!({"rsync_opts": ["--no-perms", "-O", "--no-o"]})).expect("sound");
        assert!(!less.perms && less.omit_dir_times && !less.owner && less.group);
    }

    #[test]
    fn options_are_taken_or_refused_by_name() {
        let rules =
            of(json!({"rsync_opts": ["--exclude=*.a", "--include", "b", "--exclude-from=f"]}));
        let rules = rules.expect("sound").rules;
        let written: Vec<_> = rules
            .iter()
            .map(|rule| (rule.include, rule.pattern.as_str()))
            .collect();
        assert_eq!(
            written,
            [(false, "*.a"), (true, "b"), (false, "*.o"), (true, "keep")]
        );
        for (word, named) in [
            ("--link-dest=/x", "--link-dest"),
            ("-H", "-H"),
            ("x", "x"),
            ("--fuzzy", "--fuzzy"),
        ] {
            let refused = of(json!({"rsync_opts": [word]})).expect_err("refused");
            assert!(refused.contains(named), "{refused}");
        }
        let port = of(json!({"dest_port": 22})).expect_err("refused");
        assert!(port.contains("ansible_port"), "{port}");
    }
}
