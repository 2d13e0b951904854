//! Names of modules and actions, and the check of their arguments before anything is connected.

use crate::content::nearest::nearest;
use crate::content::place::{Fault, Place};
use host::{Arg, Kind, Return, Rule, Spec};
use serde_json::{Map, Value};

/// What only the controller does. Actions that end in a module (`copy`, `template`) have the module's own arguments.
static ACTIONS: &[Spec] = &[
    Spec::new(
        "add_host",
        "Adds a host to the inventory for the rest of the run.",
        &[
            Arg::new("name", Kind::Str, "Name of the host.")
                .required()
                .aliases(&["host", "hostname"]),
            Arg::new("groups", Kind::Raw, "Groups that it joins.").aliases(&["group", "groupname"]),
        ],
    ),
    Spec::new(
        "assert",
        "Fails unless conditions are true.",
        &[
            Arg::new("that", Kind::Raw, "Conditions.").required(),
            Arg::new("fail_msg", Kind::Raw, "What to say when one is false.").aliases(&["msg"]),
            Arg::new("success_msg", Kind::Raw, "What to say when all are true."),
            Arg::new("quiet", Kind::Bool, "Say nothing of conditions that hold."),
        ],
    ),
    Spec::new(
        "debug",
        "Shows a text or a variable.",
        &[
            Arg::new("msg", Kind::Raw, "The text.").default("Hello world!"),
            Arg::new("var", Kind::Raw, "An expression to show."),
            Arg::new("verbosity", Kind::Int, "Show it from this many -v on.").default("0"),
        ],
    )
    .rules(&[Rule::Exclusive(&["msg", "var"])]),
    Spec::new(
        "etcd_health",
        "Looks at the etcd cluster that the host belongs to, by a linearizable read on each member; fails when it isn't well. Settings and certificates are read from the host; nothing is changed, also without check mode.",
        &[
            Arg::new("require", Kind::Str, "all: every member serves, nobody is a learner, no alarm. quorum: a majority serves.")
                .choices(&["all", "quorum"])
                .default("all"),
            Arg::new("wait", Kind::Int, "Seconds to wait until it is well.").default("0"),
        ],
    )
    .returns(ETCD),
    Spec::new(
        "etcd_member",
        "Adds, promotes or removes a member of the etcd cluster that the host belongs to, behind the gates of replace-node: never without quorum, nobody is added while a voter is dead, an alarm is raised or another learner is there, no healthy one goes while another is dead or quorum would be lost. A leader hands over before it goes. Takes the lock of kopsrun's operations.",
        &[
            Arg::new("state", Kind::Str, "present: listed, a new one as a learner. promoted: a voter. absent: not listed.")
                .choices(&["present", "promoted", "absent"])
                .default("present"),
            Arg::new("peer_urls", Kind::List, "Where the others reach it; needed to add it."),
            Arg::new("name", Kind::Str, "Its name, without peer_urls."),
            Arg::new("id", Kind::Str, "Its id, as etcdctl shows it; before the others."),
        ],
    )
    .rules(&[Rule::OneOf(&["id", "name", "peer_urls"])])
    .returns(ETCD),
    Spec::new(
        "etcd_snapshot",
        "Takes a snapshot of the etcd cluster that the host belongs to into a backup set of its own on the controller: from the healthy follower that has applied most, read back page by page before it gets its name. Each run makes one.",
        &[
            Arg::new("dest", Kind::Path, "Directory of the controller for backup sets; relative to the playbook.").required(),
            Arg::new("without_quorum", Kind::Bool, "Also when quorum is lost and the last writes may be missing.").default("no"),
        ],
    )
    .returns(&[
        Return::new("member", "From whom it is."),
        Return::new("set, dest, path", "Name of the set, its directory and the file."),
        Return::new("size, sha256, revision, key_count", "What was read back."),
    ]),
    Spec::new(
        "fail",
        "Fails.",
        &[Arg::new("msg", Kind::Raw, "Why.").default("Failed as requested from task")],
    ),
    Spec::new(
        "gather_facts",
        "Gathers facts, as a play does at its start.",
        &[
            Arg::new("gather_subset", Kind::List, "Which facts, as for setup."),
            Arg::new("gather_timeout", Kind::Int, "As for setup: no effect."),
            Arg::new(
                "filter",
                Kind::List,
                "Only facts whose names fit one of these patterns.",
            ),
            Arg::new(
                "fact_path",
                Kind::Path,
                "Where the administrator's own facts are.",
            ),
            Arg::new(
                "parallel",
                Kind::Bool,
                "Has no effect: there is one fact module.",
            ),
        ],
    ),
    Spec::new(
        "fetch",
        "Copies a file of the host to the controller. It is skipped in check mode.",
        &[
            Arg::new("src", Kind::Path, "File of the host.").required(),
            Arg::new(
                "dest",
                Kind::Path,
                "Directory of the controller; the file goes below HOST/path/of/src.",
            )
            .required(),
            Arg::new(
                "flat",
                Kind::Bool,
                "dest is the file itself, or with a slash at its end the directory.",
            )
            .default("no"),
            Arg::new(
                "fail_on_missing",
                Kind::Bool,
                "Fail when the file isn't there.",
            )
            .default("yes"),
            Arg::new(
                "validate_checksum",
                Kind::Bool,
                "Compare what arrived with what was sent.",
            )
            .default("yes"),
        ],
    )
    .returns(&[
        Return::new("dest, checksum, md5sum", "The file here, and the hashes of its content."),
        Return::new("remote_checksum", "What the host said of it, where it is new here."),
        Return::new("file", "The host's file, where nothing had to be done or it isn't there."),
    ]),
    Spec::new(
        "group_by",
        "Puts hosts into groups by a name that is rendered on each.",
        &[
            Arg::new("key", Kind::Str, "Name of the group.").required(),
            Arg::new(
                "parents",
                Kind::List,
                "Groups that the group becomes a child of.",
            )
            .default("all"),
        ],
    ),
    Spec::new(
        "import_role",
        "Puts the tasks of a role here while the playbook is read.",
        ROLE_ARGS,
    ),
    Spec::new(
        "import_tasks",
        "Puts the tasks of a file here while the playbook is read.",
        &[Arg::new("file", Kind::Str, "The file.")],
    )
    .free_form(),
    Spec::new("include_role", "Runs a role.", ROLE_ARGS),
    Spec::new(
        "include_tasks",
        "Runs the tasks of a file.",
        &[
            Arg::new("file", Kind::Str, "The file."),
            Arg::new("apply", Kind::Dict, "Keywords for the tasks."),
        ],
    )
    .free_form(),
    Spec::new(
        "include_vars",
        "Reads variables from files of the controller.",
        &[
            Arg::new("file", Kind::Path, "The file."),
            Arg::new("dir", Kind::Path, "A directory of files."),
            Arg::new("name", Kind::Str, "A variable that holds them all."),
            Arg::new(
                "hash_behaviour",
                Kind::Str,
                "Mappings replace what is there, or are merged into it.",
            )
            .choices(&["replace", "merge"]),
            Arg::new("depth", Kind::Int, "How many levels of the directory; 0: all.").default("0"),
            Arg::new(
                "files_matching",
                Kind::Str,
                "A regular expression for names of files.",
            ),
            Arg::new("ignore_files", Kind::List, "Names of files to leave out."),
            Arg::new("extensions", Kind::List, "Extensions of files.").default("json,yaml,yml"),
            Arg::new(
                "ignore_unknown_extensions",
                Kind::Bool,
                "Leave other files out instead of failing.",
            ),
        ],
    )
    .returns(&[
        Return::new("ansible_facts", "The variables."),
        Return::new("ansible_included_var_files", "The files."),
    ])
    .free_form(),
    Spec::new("meta", "Tells the runner something.", &[]).free_form(),
    Spec::new(
        "pause",
        "Waits.",
        &[
            Arg::new("seconds", Kind::Raw, "For so many seconds."),
            Arg::new("minutes", Kind::Raw, "For so many minutes."),
            Arg::new("prompt", Kind::Raw, "For an answer of the operator."),
            Arg::new("echo", Kind::Bool, "Show what is typed.").default("yes"),
        ],
    )
    .returns(&[
        Return::new(
            "start, stop, delta",
            "When it waited, and for how many seconds.",
        ),
        Return::new("stdout", "That it waited, and for how long."),
        Return::new("user_input", "What was typed, with prompt."),
        Return::new("echo", "As given."),
    ]),
    Spec::new(
        "raw",
        "Runs a command line without an agent.",
        &[Arg::new("executable", Kind::Str, "The shell.")],
    )
    .free_form(),
    Spec::new(
        "reboot",
        "Restarts the host and waits until it is back.",
        &[
            Arg::new(
                "boot_time_command",
                Kind::Str,
                "Prints something that each boot changes.",
            )
            .default("cat /proc/sys/kernel/random/boot_id"),
            Arg::new(
                "connect_timeout",
                Kind::Raw,
                "Seconds for one attempt to reach the host.",
            )
            .aliases(&["connect_timeout_sec"]),
            Arg::new("msg", Kind::Str, "What users of the host are told.")
                .default("Reboot initiated by Ansible"),
            Arg::new(
                "post_reboot_delay",
                Kind::Raw,
                "Seconds to wait before the first attempt.",
            )
            .aliases(&["post_reboot_delay_sec"])
            .default("0"),
            Arg::new(
                "pre_reboot_delay",
                Kind::Raw,
                "Seconds before the restart, in whole minutes.",
            )
            .aliases(&["pre_reboot_delay_sec"])
            .default("0"),
            Arg::new(
                "reboot_command",
                Kind::Str,
                "Restarts the host, instead of shutdown.",
            ),
            Arg::new(
                "reboot_timeout",
                Kind::Raw,
                "Seconds that each wait may take.",
            )
            .aliases(&["reboot_timeout_sec"])
            .default("600"),
            Arg::new("search_paths", Kind::List, "Where shutdown is looked for.")
                .default("/sbin,/bin,/usr/sbin,/usr/bin,/usr/local/sbin"),
            Arg::new(
                "test_command",
                Kind::Str,
                "Has to succeed before the host counts as back.",
            )
            .default("whoami"),
        ],
    )
    .returns(&[
        Return::new("rebooted", "Whether it did."),
        Return::new("elapsed", "Seconds that it took."),
    ]),
    Spec::new(
        "set_fact",
        "Sets variables of the host.",
        &[Arg::new(
            "cacheable",
            Kind::Bool,
            "Keep them in the cache of facts.",
        )],
    ),
    Spec::new(
        "set_stats",
        "Sets figures of the run.",
        &[
            Arg::new("data", Kind::Raw, "Names and values."),
            Arg::new("per_host", Kind::Raw, "For each host, not for the run.").default("no"),
            Arg::new("aggregate", Kind::Raw, "Add to what is there.").default("yes"),
        ],
    ),
    super::synchronize::SPEC,
    Spec::new(
        "validate_argument_spec",
        "Checks the arguments of a role.",
        &[
            Arg::new("argument_spec", Kind::Dict, "What it takes.").required(),
            Arg::new(
                "provided_arguments",
                Kind::Dict,
                "Values beside the variables.",
            ),
            Arg::new(
                "validate_args_context",
                Kind::Dict,
                "Where the specification is from.",
            ),
        ],
    )
    .returns(&[
        Return::new("argument_errors", "What is wrong."),
        Return::new("argument_spec_data", "The specification."),
        Return::new("validate_args_context", "As given."),
    ]),
    Spec::new(
        "wait_for_connection",
        "Waits until the host can be worked on.",
        &[
            Arg::new("connect_timeout", Kind::Int, "Seconds for one attempt.").default("5"),
            Arg::new("delay", Kind::Int, "Seconds before the first attempt.").default("0"),
            Arg::new("sleep", Kind::Int, "Seconds between attempts.").default("1"),
            Arg::new("timeout", Kind::Int, "Seconds in all.").default("600"),
        ],
    )
    .returns(&[Return::new("elapsed", "Seconds that it took.")]),
];

const ETCD: &[Return] = &[
    Return::new(
        "members",
        "Each with id, name, peer_urls, client_urls, learner, health (healthy, learning, unstarted, sick with reason) and status.",
    ),
    Return::new(
        "leader",
        "Name of the leader on which the healthy members agree.",
    ),
    Return::new("voters", "total, healthy, learners, quorum, tolerance."),
    Return::new("alarms, cluster_id", "As etcd says."),
    Return::new("id", "Of the member that was changed."),
];

const ROLE_ARGS: &[Arg] = &[
    Arg::new("name", Kind::Str, "The role.")
        .required()
        .aliases(&["role"]),
    Arg::new(
        "tasks_from",
        Kind::Str,
        "A file of its tasks instead of main.",
    ),
    Arg::new(
        "vars_from",
        Kind::Str,
        "A file of its vars instead of main.",
    ),
    Arg::new(
        "defaults_from",
        Kind::Str,
        "A file of its defaults instead of main.",
    ),
    Arg::new(
        "handlers_from",
        Kind::Str,
        "A file of its handlers instead of main.",
    ),
    Arg::new("apply", Kind::Dict, "Keywords for the tasks."),
    Arg::new("public", Kind::Bool, "The play sees its variables."),
    Arg::new(
        "allow_duplicates",
        Kind::Bool,
        "Run it again although it has run.",
    ),
    Arg::new(
        "rolespec_validate",
        Kind::Bool,
        "Check the arguments of the role.",
    ),
];

/// Stands for a module whose name is a template (`action: "{{ ansible_pkg_mgr }} name=vim"`).
pub(super) static TEMPLATED: Spec =
    Spec::new("templated", "The module that the rendered name means.", &[]).free_form();

/// The module or action that a rendered name means, by its short name.
pub fn module_of(name: &str) -> Option<&'static str> {
    resolve(name.trim()).map(|spec| spec.name)
}

/// Actions whose other arguments are names of variables.
const OPEN: &[&str] = &["add_host", "set_fact"];

/// Actions that find out only when they run that words on their line are no arguments.
const ANY_LINE: &[&str] = &[
    "add_host",
    "group_by",
    "include_role",
    "import_role",
    "set_fact",
];

/// True when words without `=` on the line of this action are no mistake until it runs.
pub(super) fn takes_any_line(name: &str) -> bool {
    ANY_LINE.contains(&name)
}

/// What `meta` can be asked for.
pub(super) const META: &[&str] = &[
    "clear_facts",
    "clear_host_errors",
    "end_batch",
    "end_host",
    "end_play",
    "end_role",
    "flush_handlers",
    "noop",
    "refresh_inventory",
    "reset_connection",
];

/// Modules of Ansible that are left out on purpose, and what to do instead.
pub(super) const REFUSED: &[(&str, &str)] = &[
    (
        "acl",
        "Access control lists are not modelled; `command: setfacl …` sets them.",
    ),
    (
        "expect",
        "Answers to prompts can't be checked or repeated; give them by `stdin` of `command`, or use options for unattended use.",
    ),
    (
        "firewalld",
        "It needs the Python library of firewalld; `command: firewall-cmd …` or the module `iptables` does the same.",
    ),
    (
        "git",
        "Clusters are not deployed from working trees on hosts; fetch archives with `get_url` or `unarchive`, or use `command: git …`.",
    ),
    (
        "interfaces_file",
        "Its format belongs to ifupdown alone; write files with `template`.",
    ),
    (
        "lvol",
        "Volumes that hold data are not changed by a play; use `command: lvcreate …`.",
    ),
    (
        "npm",
        "Packages of npm are no part of a cluster; use `command: npm …`.",
    ),
    (
        "redhat_subscription",
        "Registering needs Red Hat's servers, so it can't be proven; use `command: subscription-manager register …`.",
    ),
    (
        "rhsm_repository",
        "It needs a registered host, so it can't be proven; use `command: subscription-manager repos …`.",
    ),
    (
        "seboolean",
        "It needs the Python libraries of SELinux; use `command: setsebool -P …`.",
    ),
    (
        "ufw",
        "Its rules fight with those of Kubernetes; use the module `iptables`.",
    ),
    (
        "xattr",
        "Extended attributes are not modelled; use `command: setfattr …`.",
    ),
    (
        "zypper",
        "Distributions with zypper are not supported; use `command: zypper …`.",
    ),
];

/// True for what the controller does itself, fully or first.
pub fn is_action(name: &str) -> bool {
    ACTIONS.iter().any(|spec| spec.name == name)
}

/// The name of a module without the collections that are always there.
pub fn short_name(name: &str) -> &str {
    ["ansible.builtin.", "ansible.legacy."]
        .into_iter()
        .find_map(|prefix| name.strip_prefix(prefix))
        .unwrap_or(name)
}

/// The short name, when kopsrun brings a module or action of this name.
pub(super) fn resolve(name: &str) -> Option<&'static Spec> {
    let short = short_name(name);
    let short = short.strip_prefix("ansible.posix.").unwrap_or(short);
    ACTIONS
        .iter()
        .find(|spec| spec.name == short)
        .or_else(|| host::spec(name))
}

/// True for a word that names a module, also one that isn't supported.
pub(super) fn known(name: &str) -> bool {
    resolve(name).is_some() || refused(name).is_some()
}

fn refused(name: &str) -> Option<&'static str> {
    let short = name.rsplit('.').next().unwrap_or(name);
    REFUSED
        .iter()
        .find(|(known, _)| *known == short)
        .map(|(_, hint)| *hint)
}

/// Names of everything that a task can do.
pub(super) fn names() -> Vec<&'static str> {
    ACTIONS
        .iter()
        .chain(host::specs())
        .flat_map(|spec| [spec.name].into_iter().chain(spec.aliases.iter().copied()))
        .collect()
}

/// Everything that a task can do, each once: what the controller does has its own specification.
pub fn documented() -> Vec<&'static Spec> {
    let modules = host::specs().filter(|spec| !is_action(spec.name));
    ACTIONS.iter().chain(modules).collect()
}

/// Names that are spelled nearly like this one.
pub fn near_modules(name: &str) -> Vec<&'static str> {
    nearest(name, names(), 3)
}

/// The fault for a module that isn't there.
pub(super) fn unknown(name: &str, place: &Place) -> Fault {
    if let Some(hint) = refused(name) {
        return Fault::new(format!("the module `{name}` is not supported"))
            .at(place)
            .hint(hint);
    }
    let fault = Fault::new(format!("the module `{name}` is not known")).at(place);
    let short = name.rsplit('.').next().unwrap_or(name);
    let near = nearest(short, names(), 3);
    if near.is_empty() {
        fault.hint("It is neither one that kopsrun brings (`kopsrun doc -l`), nor in a library/ or collection on this machine; Ansible's own are found when ansible-core is installed here.")
    } else {
        fault.hint(format!("Did you mean `{}`?", near.join("` or `")))
    }
}

/// What is wrong with the rendered arguments of an action that the controller does alone.
pub fn wrong_arguments(name: &str, args: &Map<String, Value>) -> Option<host::ArgError> {
    let spec = ACTIONS.iter().find(|spec| spec.name == name)?;
    let mut args = args.clone();
    args.retain(|name, _| !OPEN.contains(&spec.name) || answers(spec, name));
    host::normalise(spec, &args).err()
}

fn answers(spec: &Spec, name: &str) -> bool {
    spec.args
        .iter()
        .any(|arg| arg.name == name || arg.aliases.contains(&name))
}

/// Checks arguments; text with templates is accepted for every type. `place` gives the place of an argument.
pub(super) fn check(
    spec: &Spec,
    args: &Map<String, Value>,
    place: &dyn Fn(&str) -> Place,
    whole: &Place,
) -> Result<(), Fault> {
    let mut args = args.clone();
    if OPEN.contains(&spec.name) {
        args.retain(|name, _| answers(spec, name));
    }
    if let Some(why) = (spec.name == "synchronize")
        .then(|| super::synchronize::check(&args))
        .flatten()
    {
        return Err(Fault::new(format!("synchronize: {why}")).at(&place("rsync_opts")));
    }
    host::validate(spec, &args).map_err(|error| {
        let at = error
            .arg
            .as_deref()
            .filter(|arg| args.contains_key(*arg))
            .map_or_else(|| whole.clone(), place);
        let known = error.message.starts_with(spec.name);
        let message = if known {
            error.message
        } else {
            format!("{}: {}", spec.name, error.message)
        };
        Fault::new(message).at(&at)
    })
}
