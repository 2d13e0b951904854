//! The settings that mean something here: Ansible's names, where they are written, and their defaults.

/// How a value is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Bool,
    Integer,
    /// Words between commas.
    List,
    Path,
    /// Paths between colons.
    PathSpec,
    /// Paths between commas.
    PathList,
    OneOf(&'static [&'static str]),
}

/// One setting, under its name in `ansible-config dump`.
pub(super) struct Setting {
    pub name: &'static str,
    /// Section and key; of several the last one that is set wins.
    pub ini: &'static [(&'static str, &'static str)],
    pub env: &'static [&'static str],
    pub kind: Kind,
    pub default: &'static str,
}

const fn setting(
    name: &'static str,
    ini: &'static [(&'static str, &'static str)],
    env: &'static [&'static str],
    kind: Kind,
    default: &'static str,
) -> Setting {
    Setting {
        name,
        ini,
        env,
        kind,
        default,
    }
}

const GATHERING: Kind = Kind::OneOf(&["implicit", "explicit", "smart"]);
const STRATEGIES: &[&str] = &[
    "linear",
    "free",
    "host_pinned",
    "ansible.builtin.linear",
    "ansible.builtin.free",
    "ansible.builtin.host_pinned",
    "mitogen_linear",
    "mitogen_free",
    "mitogen_host_pinned",
];
const ORDERS: Kind = Kind::OneOf(&["descending", "ascending", "none"]);
const FORMATS: Kind = Kind::OneOf(&["json", "yaml"]);
const CACHES: Kind = Kind::OneOf(&[
    "memory",
    "jsonfile",
    "ansible.builtin.memory",
    "ansible.builtin.jsonfile",
    "memcached",
    "community.general.memcached",
    "mongodb",
    "community.mongodb.mongodb",
    "pickle",
    "community.general.pickle",
    "redis",
    "community.general.redis",
    "yaml",
    "community.general.yaml",
]);

/// In order of name.
#[rustfmt::skip]
pub(super) const SETTINGS: &[Setting] = &[
    setting("ANSIBLE_FORCE_COLOR", &[("defaults", "force_color")], &["ANSIBLE_FORCE_COLOR"], Kind::Bool, "False"),
    setting("ANSIBLE_HOME", &[("defaults", "home")], &["ANSIBLE_HOME"], Kind::Path, "~/.ansible"),
    setting("ANSIBLE_NOCOLOR", &[("defaults", "nocolor")], &["ANSIBLE_NOCOLOR", "NO_COLOR"], Kind::Bool, "False"),
    setting("ANY_ERRORS_FATAL", &[("defaults", "any_errors_fatal")], &["ANSIBLE_ANY_ERRORS_FATAL"], Kind::Bool, "False"),
    setting("BECOME_PASSWORD_FILE", &[("defaults", "become_password_file")], &["ANSIBLE_BECOME_PASSWORD_FILE"], Kind::Path, ""),
    setting("CACHE_PLUGIN", &[("defaults", "fact_caching")], &["ANSIBLE_CACHE_PLUGIN"], CACHES, "memory"),
    setting("CACHE_PLUGIN_CONNECTION", &[("defaults", "fact_caching_connection")], &["ANSIBLE_CACHE_PLUGIN_CONNECTION"], Kind::Path, ""),
    setting("CACHE_PLUGIN_PREFIX", &[("defaults", "fact_caching_prefix")], &["ANSIBLE_CACHE_PLUGIN_PREFIX"], Kind::Text, ""),
    setting("CACHE_PLUGIN_TIMEOUT", &[("defaults", "fact_caching_timeout")], &["ANSIBLE_CACHE_PLUGIN_TIMEOUT"], Kind::Integer, "86400"),
    setting("CALLBACKS_ENABLED", &[("defaults", "callback_whitelist"), ("defaults", "callbacks_enabled")], &["ANSIBLE_CALLBACK_WHITELIST", "ANSIBLE_CALLBACKS_ENABLED"], Kind::List, ""),
    setting("COLLECTIONS_PATHS", &[("defaults", "collections_paths"), ("defaults", "collections_path")], &["ANSIBLE_COLLECTIONS_PATHS", "ANSIBLE_COLLECTIONS_PATH"], Kind::PathSpec, "{{ANSIBLE_HOME}}/collections:/usr/share/ansible/collections"),
    setting("COLLECTIONS_SCAN_SYS_PATH", &[("defaults", "collections_scan_sys_path")], &["ANSIBLE_COLLECTIONS_SCAN_SYS_PATH"], Kind::Bool, "True"),
    setting("CONNECTION_PASSWORD_FILE", &[("defaults", "connection_password_file")], &["ANSIBLE_CONNECTION_PASSWORD_FILE"], Kind::Path, ""),
    setting("DEFAULT_ALLOW_UNSAFE_LOOKUPS", &[("defaults", "allow_unsafe_lookups")], &[], Kind::Bool, "False"),
    setting("DEFAULT_ASK_PASS", &[("defaults", "ask_pass")], &["ANSIBLE_ASK_PASS"], Kind::Bool, "False"),
    setting("DEFAULT_ASK_VAULT_PASS", &[("defaults", "ask_vault_pass")], &["ANSIBLE_ASK_VAULT_PASS"], Kind::Bool, "False"),
    setting("DEFAULT_BECOME", &[("privilege_escalation", "become")], &["ANSIBLE_BECOME"], Kind::Bool, "False"),
    setting("DEFAULT_BECOME_ASK_PASS", &[("privilege_escalation", "become_ask_pass")], &["ANSIBLE_BECOME_ASK_PASS"], Kind::Bool, "False"),
    setting("DEFAULT_BECOME_EXE", &[("privilege_escalation", "become_exe")], &["ANSIBLE_BECOME_EXE"], Kind::Text, ""),
    setting("DEFAULT_BECOME_FLAGS", &[("privilege_escalation", "become_flags")], &["ANSIBLE_BECOME_FLAGS"], Kind::Text, ""),
    setting("DEFAULT_BECOME_METHOD", &[("privilege_escalation", "become_method")], &["ANSIBLE_BECOME_METHOD"], Kind::Text, "sudo"),
    setting("DEFAULT_BECOME_USER", &[("privilege_escalation", "become_user")], &["ANSIBLE_BECOME_USER"], Kind::Text, "root"),
    setting("DEFAULT_EXECUTABLE", &[("defaults", "executable")], &["ANSIBLE_EXECUTABLE"], Kind::Path, "/bin/sh"),
    setting("DEFAULT_FORCE_HANDLERS", &[("defaults", "force_handlers")], &["ANSIBLE_FORCE_HANDLERS"], Kind::Bool, "False"),
    setting("DEFAULT_FORKS", &[("defaults", "forks")], &["ANSIBLE_FORKS"], Kind::Integer, "64"),
    setting("DEFAULT_GATHERING", &[("defaults", "gathering")], &["ANSIBLE_GATHERING"], GATHERING, "implicit"),
    setting("DEFAULT_HASH_BEHAVIOUR", &[("defaults", "hash_behaviour")], &["ANSIBLE_HASH_BEHAVIOUR"], Kind::OneOf(&["replace", "merge"]), "replace"),
    setting("DEFAULT_HOST_LIST", &[("defaults", "inventory")], &["ANSIBLE_INVENTORY"], Kind::PathList, "/etc/ansible/hosts"),
    setting("DEFAULT_JINJA2_EXTENSIONS", &[("defaults", "jinja2_extensions")], &["ANSIBLE_JINJA2_EXTENSIONS"], Kind::List, ""),
    setting("DEFAULT_JINJA2_NATIVE", &[("defaults", "jinja2_native")], &["ANSIBLE_JINJA2_NATIVE"], Kind::Bool, "False"),
    setting("DEFAULT_MANAGED_STR", &[("defaults", "ansible_managed")], &[], Kind::Text, "Ansible managed"),
    setting("DEFAULT_MODULE_PATH", &[("defaults", "library")], &["ANSIBLE_LIBRARY"], Kind::PathSpec, "{{ANSIBLE_HOME}}/plugins/modules:/usr/share/ansible/plugins/modules"),
    setting("DEFAULT_NO_LOG", &[("defaults", "no_log")], &["ANSIBLE_NO_LOG"], Kind::Bool, "False"),
    setting("DEFAULT_PRIVATE_KEY_FILE", &[("defaults", "private_key_file")], &["ANSIBLE_PRIVATE_KEY_FILE"], Kind::Path, ""),
    setting("DEFAULT_REMOTE_PORT", &[("defaults", "remote_port")], &["ANSIBLE_REMOTE_PORT"], Kind::Text, ""),
    setting("DEFAULT_REMOTE_USER", &[("defaults", "remote_user")], &["ANSIBLE_REMOTE_USER"], Kind::Text, ""),
    setting("DEFAULT_ROLES_PATH", &[("defaults", "roles_path")], &["ANSIBLE_ROLES_PATH"], Kind::PathSpec, "{{ANSIBLE_HOME}}/roles:/usr/share/ansible/roles:/etc/ansible/roles"),
    setting("DEFAULT_STDOUT_CALLBACK", &[("defaults", "stdout_callback")], &["ANSIBLE_STDOUT_CALLBACK"], Kind::Text, "default"),
    setting("DEFAULT_STRATEGY", &[("defaults", "strategy")], &["ANSIBLE_STRATEGY"], Kind::OneOf(STRATEGIES), "linear"),
    setting("DEFAULT_TIMEOUT", &[("defaults", "timeout")], &["ANSIBLE_TIMEOUT"], Kind::Integer, "10"),
    setting("DEFAULT_TRANSPORT", &[("defaults", "transport")], &["ANSIBLE_TRANSPORT"], Kind::Text, "ssh"),
    setting("DEFAULT_VAULT_ENCRYPT_IDENTITY", &[("defaults", "vault_encrypt_identity")], &["ANSIBLE_VAULT_ENCRYPT_IDENTITY"], Kind::Text, ""),
    setting("DEFAULT_VAULT_IDENTITY", &[("defaults", "vault_identity")], &["ANSIBLE_VAULT_IDENTITY"], Kind::Text, "default"),
    setting("DEFAULT_VAULT_IDENTITY_LIST", &[("defaults", "vault_identity_list")], &["ANSIBLE_VAULT_IDENTITY_LIST"], Kind::List, ""),
    setting("DEFAULT_VAULT_ID_MATCH", &[("defaults", "vault_id_match")], &["ANSIBLE_VAULT_ID_MATCH"], Kind::Bool, "False"),
    setting("DEFAULT_VAULT_PASSWORD_FILE", &[("defaults", "vault_password_file")], &["ANSIBLE_VAULT_PASSWORD_FILE"], Kind::Path, ""),
    setting("DEFAULT_VERBOSITY", &[("defaults", "verbosity")], &["ANSIBLE_VERBOSITY"], Kind::Integer, "0"),
    setting("DIFF_ALWAYS", &[("diff", "always")], &["ANSIBLE_DIFF_ALWAYS"], Kind::Bool, "False"),
    setting("DISPLAY_ARGS_TO_STDOUT", &[("defaults", "display_args_to_stdout")], &["ANSIBLE_DISPLAY_ARGS_TO_STDOUT"], Kind::Bool, "False"),
    setting("EDITOR", &[("defaults", "editor")], &["EDITOR", "ANSIBLE_EDITOR"], Kind::Text, "vi"),
    setting("ERROR_ON_MISSING_HANDLER", &[("defaults", "error_on_missing_handler")], &["ANSIBLE_ERROR_ON_MISSING_HANDLER"], Kind::Bool, "True"),
    setting("HOST_KEY_CHECKING", &[("defaults", "host_key_checking")], &["ANSIBLE_HOST_KEY_CHECKING"], Kind::Bool, "True"),
    setting("HOST_PATTERN_MISMATCH", &[("inventory", "host_pattern_mismatch")], &["ANSIBLE_HOST_PATTERN_MISMATCH"], Kind::OneOf(&["warning", "error", "ignore"]), "warning"),
    setting("INJECT_FACTS_AS_VARS", &[("defaults", "inject_facts_as_vars")], &["ANSIBLE_INJECT_FACT_VARS"], Kind::Bool, "True"),
    setting("INVENTORY_ANY_UNPARSED_IS_FAILED", &[("inventory", "any_unparsed_is_failed")], &["ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED"], Kind::Bool, "False"),
    setting("INVENTORY_IGNORE_EXTS", &[("defaults", "inventory_ignore_extensions"), ("inventory", "ignore_extensions")], &["ANSIBLE_INVENTORY_IGNORE"], Kind::List, ".pyc, .pyo, .swp, .bak, ~, .rpm, .md, .txt, .rst, .orig, .ini, .cfg, .retry"),
    setting("INVENTORY_IGNORE_PATTERNS", &[("defaults", "inventory_ignore_patterns"), ("inventory", "ignore_patterns")], &["ANSIBLE_INVENTORY_IGNORE_REGEX"], Kind::List, ""),
    setting("INVENTORY_UNPARSED_IS_FAILED", &[("inventory", "unparsed_is_failed")], &["ANSIBLE_INVENTORY_UNPARSED_FAILED"], Kind::Bool, "False"),
    setting("INVENTORY_UNPARSED_WARNING", &[("inventory", "inventory_unparsed_warning")], &["ANSIBLE_INVENTORY_UNPARSED_WARNING"], Kind::Bool, "True"),
    setting("LOCALHOST_WARNING", &[("defaults", "localhost_warning")], &["ANSIBLE_LOCALHOST_WARNING"], Kind::Bool, "True"),
    setting("PAGER", &[("defaults", "pager")], &["PAGER", "ANSIBLE_PAGER"], Kind::Text, "less"),
    setting("RETRY_FILES_ENABLED", &[("defaults", "retry_files_enabled")], &["ANSIBLE_RETRY_FILES_ENABLED"], Kind::Bool, "False"),
    setting("RETRY_FILES_SAVE_PATH", &[("defaults", "retry_files_save_path")], &["ANSIBLE_RETRY_FILES_SAVE_PATH"], Kind::Path, ""),
    setting("SSH_ARGS", &[("ssh_connection", "ssh_args")], &["ANSIBLE_SSH_ARGS"], Kind::Text, ""),
    setting("SSH_COMMON_ARGS", &[("ssh_connection", "ssh_common_args")], &["ANSIBLE_SSH_COMMON_ARGS"], Kind::Text, ""),
    setting("SSH_EXTRA_ARGS", &[("ssh_connection", "ssh_extra_args")], &["ANSIBLE_SSH_EXTRA_ARGS"], Kind::Text, ""),
    setting("TAGS_RUN", &[("tags", "run")], &["ANSIBLE_RUN_TAGS"], Kind::List, ""),
    setting("TAGS_SKIP", &[("tags", "skip")], &["ANSIBLE_SKIP_TAGS"], Kind::List, ""),
    setting("TASK_TIMEOUT", &[("defaults", "task_timeout")], &["ANSIBLE_TASK_TIMEOUT"], Kind::Integer, "0"),
    setting("check_mode_markers", &[("defaults", "check_mode_markers")], &["ANSIBLE_CHECK_MODE_MARKERS"], Kind::Bool, "False"),
    setting("display_failed_stderr", &[("defaults", "display_failed_stderr")], &["ANSIBLE_DISPLAY_FAILED_STDERR"], Kind::Bool, "False"),
    setting("display_ok_hosts", &[("defaults", "display_ok_hosts")], &["ANSIBLE_DISPLAY_OK_HOSTS"], Kind::Bool, "True"),
    setting("display_skipped_hosts", &[("defaults", "display_skipped_hosts")], &["ANSIBLE_DISPLAY_SKIPPED_HOSTS"], Kind::Bool, "True"),
    setting("junit_fail_on_change", &[], &["JUNIT_FAIL_ON_CHANGE"], Kind::Bool, "False"),
    setting("junit_fail_on_ignore", &[], &["JUNIT_FAIL_ON_IGNORE"], Kind::Bool, "False"),
    setting("junit_hide_task_arguments", &[], &["JUNIT_HIDE_TASK_ARGUMENTS"], Kind::Bool, "False"),
    setting("junit_include_setup_tasks_in_report", &[], &["JUNIT_INCLUDE_SETUP_TASKS_IN_REPORT"], Kind::Bool, "True"),
    setting("junit_output_dir", &[], &["JUNIT_OUTPUT_DIR"], Kind::Path, "~/.ansible.log"),
    setting("junit_task_class", &[], &["JUNIT_TASK_CLASS"], Kind::Bool, "False"),
    setting("junit_task_relative_path", &[], &["JUNIT_TASK_RELATIVE_PATH"], Kind::Path, ""),
    setting("junit_test_case_prefix", &[], &["JUNIT_TEST_CASE_PREFIX"], Kind::Text, ""),
    setting("pretty_results", &[("defaults", "callback_format_pretty")], &["ANSIBLE_CALLBACK_FORMAT_PRETTY"], Kind::Text, ""),
    setting("profile_tasks_output_limit", &[("callback_profile_tasks", "task_output_limit")], &["PROFILE_TASKS_TASK_OUTPUT_LIMIT"], Kind::Text, "20"),
    setting("profile_tasks_sort_order", &[("callback_profile_tasks", "sort_order")], &["PROFILE_TASKS_SORT_ORDER"], ORDERS, "descending"),
    setting("profile_tasks_summary_only", &[("callback_profile_tasks", "summary_only")], &["PROFILE_TASKS_SUMMARY_ONLY"], Kind::Bool, "False"),
    setting("result_format", &[("defaults", "callback_result_format")], &["ANSIBLE_CALLBACK_RESULT_FORMAT"], FORMATS, "json"),
    setting("show_custom_stats", &[("defaults", "show_custom_stats")], &["ANSIBLE_SHOW_CUSTOM_STATS"], Kind::Bool, "False"),
    setting("show_per_host_start", &[("defaults", "show_per_host_start")], &["ANSIBLE_SHOW_PER_HOST_START"], Kind::Bool, "False"),
    setting("show_task_path_on_failure", &[("defaults", "show_task_path_on_failure")], &["ANSIBLE_SHOW_TASK_PATH_ON_FAILURE"], Kind::Bool, "False"),
];

pub(super) fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}
