//! Settings of Ansible that have no meaning here, each with the reason.

/// A setting under its name in `ansible-config list`.
pub(super) struct Meaningless {
    /// For people who read this table, and for its test.
    #[cfg_attr(not(test), expect(dead_code, reason = "read by the tests"))]
    pub name: &'static str,
    pub ini: &'static [(&'static str, &'static str)],
    pub env: &'static [&'static str],
}

const fn setting(
    name: &'static str,
    ini: &'static [(&'static str, &'static str)],
    env: &'static [&'static str],
) -> Meaningless {
    Meaningless { name, ini, env }
}

/// Reasons, and the settings that each is for.
#[rustfmt::skip]
pub(super) const MEANINGLESS: &[(&str, &[Meaningless])] = &[
    ("A salt that is known weakens a vault; each has its own.", &[
        setting("VAULT_ENCRYPT_SALT", &[("defaults", "vault_encrypt_salt")], &["ANSIBLE_VAULT_ENCRYPT_SALT"]),
    ]),
    ("Ask for another form with --output.", &[
        setting("VERBOSE_TO_STDERR", &[("defaults", "verbose_to_stderr")], &["ANSIBLE_VERBOSE_TO_STDERR"]),
    ]),
    ("Differences are shown with three lines around them.", &[
        setting("DIFF_CONTEXT", &[("diff", "context")], &["ANSIBLE_DIFF_CONTEXT"]),
        setting("MAX_FILE_SIZE_FOR_DIFF", &[("defaults", "max_diff_size")], &["ANSIBLE_MAX_DIFF_SIZE"]),
    ]),
    ("Every run is recorded: `kopsrun runs`.", &[
        setting("DEFAULT_DEBUG", &[("defaults", "debug")], &["ANSIBLE_DEBUG"]),
        setting("DEFAULT_LOG_FILTER", &[("defaults", "log_filter")], &["ANSIBLE_LOG_FILTER"]),
        setting("DEFAULT_LOG_PATH", &[("defaults", "log_path")], &["ANSIBLE_LOG_PATH"]),
        setting("LOG_VERBOSITY", &[("defaults", "log_verbosity")], &["ANSIBLE_LOG_VERBOSITY"]),
        setting("TARGET_LOG_INFO", &[("defaults", "target_log_info")], &["ANSIBLE_TARGET_LOG_INFO"]),
    ]),
    ("Facts come from the agent.", &[
        setting("FACTS_MODULES", &[("defaults", "facts_modules")], &["ANSIBLE_FACTS_MODULES"]),
    ]),
    ("Files of variables end in .yml, .yaml or .json, or in nothing.", &[
        setting("YAML_FILENAME_EXTENSIONS", &[("defaults", "yaml_valid_extensions")], &["ANSIBLE_YAML_FILENAME_EXT"]),
    ]),
    ("Names of groups stay as they were written, which is Ansible's default.", &[
        setting("TRANSFORM_INVALID_GROUP_CHARS", &[("defaults", "force_valid_group_names")], &["ANSIBLE_TRANSFORM_INVALID_GROUP_CHARS"]),
    ]),
    ("Hosts need no Python.", &[
        setting("INTERPRETER_PYTHON", &[("defaults", "interpreter_python")], &["ANSIBLE_PYTHON_INTERPRETER"]),
        setting("PYTHON_MODULE_RLIMIT_NOFILE", &[("defaults", "python_module_rlimit_nofile")], &["ANSIBLE_PYTHON_MODULE_RLIMIT_NOFILE"]),
    ]),
    ("Hosts run Linux.", &[
        setting("WIN_ASYNC_STARTUP_TIMEOUT", &[("defaults", "win_async_startup_timeout")], &["ANSIBLE_WIN_ASYNC_STARTUP_TIMEOUT"]),
    ]),
    ("Hosts write nothing into syslog.", &[
        setting("DEFAULT_NO_TARGET_SYSLOG", &[("defaults", "no_target_syslog")], &["ANSIBLE_NO_TARGET_SYSLOG"]),
        setting("DEFAULT_SYSLOG_FACILITY", &[("defaults", "syslog_facility")], &["ANSIBLE_SYSLOG_FACILITY"]),
    ]),
    ("It is for network devices, which aren't hosts here.", &[
        setting("ANSIBLE_CONNECTION_PATH", &[("persistent_connection", "ansible_connection_path")], &["ANSIBLE_CONNECTION_PATH"]),
        setting("NETCONF_SSH_CONFIG", &[("netconf_connection", "ssh_config")], &["ANSIBLE_NETCONF_SSH_CONFIG"]),
        setting("NETWORK_GROUP_MODULES", &[("defaults", "network_group_modules")], &["ANSIBLE_NETWORK_GROUP_MODULES"]),
        setting("PERSISTENT_COMMAND_TIMEOUT", &[("persistent_connection", "command_timeout")], &["ANSIBLE_PERSISTENT_COMMAND_TIMEOUT"]),
        setting("PERSISTENT_CONNECT_RETRY_TIMEOUT", &[("persistent_connection", "connect_retry_timeout")], &["ANSIBLE_PERSISTENT_CONNECT_RETRY_TIMEOUT"]),
        setting("PERSISTENT_CONNECT_TIMEOUT", &[("persistent_connection", "connect_timeout")], &["ANSIBLE_PERSISTENT_CONNECT_TIMEOUT"]),
        setting("PERSISTENT_CONTROL_PATH_DIR", &[("persistent_connection", "control_path_dir")], &["ANSIBLE_PERSISTENT_CONTROL_PATH_DIR"]),
        setting("USE_PERSISTENT_CONNECTIONS", &[("defaults", "use_persistent_connections")], &["ANSIBLE_USE_PERSISTENT_CONNECTIONS"]),
    ]),
    ("It is for tests of Ansible itself.", &[
        setting("COVERAGE_REMOTE_OUTPUT", &[], &["_ANSIBLE_COVERAGE_REMOTE_OUTPUT"]),
        setting("COVERAGE_REMOTE_PATHS", &[], &["_ANSIBLE_COVERAGE_REMOTE_PATH_FILTER"]),
    ]),
    ("Mistakes are told the way Ansible tells them by default.", &[
        setting("ALLOW_BROKEN_CONDITIONALS", &[("defaults", "allow_broken_conditionals")], &["ANSIBLE_ALLOW_BROKEN_CONDITIONALS"]),
        setting("DEFAULT_UNDEFINED_VAR_BEHAVIOR", &[("defaults", "error_on_undefined_vars")], &["ANSIBLE_ERROR_ON_UNDEFINED_VARS"]),
        setting("DUPLICATE_YAML_DICT_KEY", &[("defaults", "duplicate_dict_key")], &["ANSIBLE_DUPLICATE_YAML_DICT_KEY"]),
        setting("INVALID_TASK_ATTRIBUTE_FAILED", &[("defaults", "invalid_task_attribute_failed")], &["ANSIBLE_INVALID_TASK_ATTRIBUTE_FAILED"]),
        setting("MODULE_STRICT_UTF8_RESPONSE", &[("defaults", "module_strict_utf8_response")], &["ANSIBLE_MODULE_STRICT_UTF8_RESPONSE"]),
        setting("STRING_CONVERSION_ACTION", &[("defaults", "string_conversion_action")], &["ANSIBLE_STRING_CONVERSION_ACTION"]),
    ]),
    ("Modules are part of the agent: no files are copied for a task.", &[
        setting("ANSIBLE_PIPELINING", &[("defaults", "pipelining"), ("connection", "pipelining")], &["ANSIBLE_PIPELINING"]),
        setting("DEFAULT_KEEP_REMOTE_FILES", &[("defaults", "keep_remote_files")], &["ANSIBLE_KEEP_REMOTE_FILES"]),
        setting("DEFAULT_MODULE_COMPRESSION", &[("defaults", "module_compression")], &[]),
    ]),
    ("Name the module with -m and its arguments with -a.", &[
        setting("DEFAULT_MODULE_ARGS", &[("defaults", "module_args")], &["ANSIBLE_MODULE_ARGS"]),
        setting("DEFAULT_MODULE_NAME", &[("defaults", "module_name")], &[]),
    ]),
    ("Only plugins that ask a service keep a cache of their inventory.", &[
        setting("INVENTORY_CACHE_ENABLED", &[("inventory", "cache")], &["ANSIBLE_INVENTORY_CACHE"]),
        setting("INVENTORY_CACHE_PLUGIN", &[("inventory", "cache_plugin")], &["ANSIBLE_INVENTORY_CACHE_PLUGIN"]),
        setting("INVENTORY_CACHE_PLUGIN_CONNECTION", &[("inventory", "cache_connection")], &["ANSIBLE_INVENTORY_CACHE_CONNECTION"]),
        setting("INVENTORY_CACHE_PLUGIN_PREFIX", &[("inventory", "cache_prefix")], &["ANSIBLE_INVENTORY_CACHE_PLUGIN_PREFIX"]),
        setting("INVENTORY_CACHE_TIMEOUT", &[("inventory", "cache_timeout")], &["ANSIBLE_INVENTORY_CACHE_TIMEOUT"]),
    ]),
    ("Python plugins of Ansible don't run here.", &[
        setting("BECOME_PLUGIN_PATH", &[("defaults", "become_plugins")], &["ANSIBLE_BECOME_PLUGINS"]),
        setting("DEFAULT_ACTION_PLUGIN_PATH", &[("defaults", "action_plugins")], &["ANSIBLE_ACTION_PLUGINS"]),
        setting("DEFAULT_CACHE_PLUGIN_PATH", &[("defaults", "cache_plugins")], &["ANSIBLE_CACHE_PLUGINS"]),
        setting("DEFAULT_CALLBACK_PLUGIN_PATH", &[("defaults", "callback_plugins")], &["ANSIBLE_CALLBACK_PLUGINS"]),
        setting("DEFAULT_CLICONF_PLUGIN_PATH", &[("defaults", "cliconf_plugins")], &["ANSIBLE_CLICONF_PLUGINS"]),
        setting("DEFAULT_CONNECTION_PLUGIN_PATH", &[("defaults", "connection_plugins")], &["ANSIBLE_CONNECTION_PLUGINS"]),
        setting("DEFAULT_FILTER_PLUGIN_PATH", &[("defaults", "filter_plugins")], &["ANSIBLE_FILTER_PLUGINS"]),
        setting("DEFAULT_HTTPAPI_PLUGIN_PATH", &[("defaults", "httpapi_plugins")], &["ANSIBLE_HTTPAPI_PLUGINS"]),
        setting("DEFAULT_INVENTORY_PLUGIN_PATH", &[("defaults", "inventory_plugins")], &["ANSIBLE_INVENTORY_PLUGINS"]),
        setting("DEFAULT_LOAD_CALLBACK_PLUGINS", &[("defaults", "bin_ansible_callbacks")], &["ANSIBLE_LOAD_CALLBACK_PLUGINS"]),
        setting("DEFAULT_LOOKUP_PLUGIN_PATH", &[("defaults", "lookup_plugins")], &["ANSIBLE_LOOKUP_PLUGINS"]),
        setting("DEFAULT_MODULE_UTILS_PATH", &[("defaults", "module_utils")], &["ANSIBLE_MODULE_UTILS"]),
        setting("DEFAULT_NETCONF_PLUGIN_PATH", &[("defaults", "netconf_plugins")], &["ANSIBLE_NETCONF_PLUGINS"]),
        setting("DEFAULT_STRATEGY_PLUGIN_PATH", &[("defaults", "strategy_plugins")], &["ANSIBLE_STRATEGY_PLUGINS"]),
        setting("DEFAULT_TERMINAL_PLUGIN_PATH", &[("defaults", "terminal_plugins")], &["ANSIBLE_TERMINAL_PLUGINS"]),
        setting("DEFAULT_TEST_PLUGIN_PATH", &[("defaults", "test_plugins")], &["ANSIBLE_TEST_PLUGINS"]),
        setting("DEFAULT_VARS_PLUGIN_PATH", &[("defaults", "vars_plugins")], &["ANSIBLE_VARS_PLUGINS"]),
        setting("DOC_FRAGMENT_PLUGIN_PATH", &[("defaults", "doc_fragment_plugins")], &["ANSIBLE_DOC_FRAGMENT_PLUGINS"]),
        setting("MODULE_IGNORE_EXTS", &[("defaults", "module_ignore_exts")], &["ANSIBLE_MODULE_IGNORE_EXTS"]),
        setting("OLD_PLUGIN_CACHE_CLEARING", &[("defaults", "old_plugin_cache_clear")], &["ANSIBLE_OLD_PLUGIN_CACHE_CLEAR"]),
        setting("PLUGIN_FILTERS_CFG", &[("defaults", "plugin_filters_cfg")], &[]),
        setting("RUN_VARS_PLUGINS", &[("defaults", "run_vars_plugins")], &["ANSIBLE_RUN_VARS_PLUGINS"]),
        setting("VALIDATE_ACTION_GROUP_METADATA", &[("defaults", "validate_action_group_metadata")], &["ANSIBLE_VALIDATE_ACTION_GROUP_METADATA"]),
        setting("VARIABLE_PLUGINS_ENABLED", &[("defaults", "vars_plugins_enabled")], &["ANSIBLE_VARS_ENABLED"]),
    ]),
    ("Say --export.", &[
        setting("INVENTORY_EXPORT", &[("inventory", "export")], &["ANSIBLE_INVENTORY_EXPORT"]),
    ]),
    ("Say --playbook-dir, or name the playbook.", &[
        setting("PLAYBOOK_DIR", &[("defaults", "playbook_dir")], &["ANSIBLE_PLAYBOOK_DIR"]),
    ]),
    ("Say `public: false` where a role is included.", &[
        setting("DEFAULT_PRIVATE_ROLE_VARS", &[("defaults", "private_role_vars")], &["ANSIBLE_PRIVATE_ROLE_VARS"]),
    ]),
    ("Tasks that don't say it are polled every 15 seconds.", &[
        setting("DEFAULT_POLL_INTERVAL", &[("defaults", "poll_interval")], &["ANSIBLE_POLL_INTERVAL"]),
    ]),
    ("Temporary files are where the system has them (TMPDIR).", &[
        setting("DEFAULT_LOCAL_TMP", &[("defaults", "local_tmp")], &["ANSIBLE_LOCAL_TEMP"]),
    ]),
    ("The agent asks the kernel which file systems have labels.", &[
        setting("DEFAULT_LIBVIRT_LXC_NOSECLABEL", &[("selinux", "libvirt_lxc_noseclabel")], &["ANSIBLE_LIBVIRT_LXC_NOSECLABEL"]),
        setting("DEFAULT_SELINUX_SPECIAL_FS", &[("selinux", "special_context_filesystems")], &["ANSIBLE_SELINUX_SPECIAL_FS"]),
    ]),
    ("The colours are fixed; NO_COLOR turns them off.", &[
        setting("COLOR_CHANGED", &[("colors", "changed")], &["ANSIBLE_COLOR_CHANGED"]),
        setting("COLOR_CONSOLE_PROMPT", &[("colors", "console_prompt")], &["ANSIBLE_COLOR_CONSOLE_PROMPT"]),
        setting("COLOR_DEBUG", &[("colors", "debug")], &["ANSIBLE_COLOR_DEBUG"]),
        setting("COLOR_DEPRECATE", &[("colors", "deprecate")], &["ANSIBLE_COLOR_DEPRECATE"]),
        setting("COLOR_DIFF_ADD", &[("colors", "diff_add")], &["ANSIBLE_COLOR_DIFF_ADD"]),
        setting("COLOR_DIFF_LINES", &[("colors", "diff_lines")], &["ANSIBLE_COLOR_DIFF_LINES"]),
        setting("COLOR_DIFF_REMOVE", &[("colors", "diff_remove")], &["ANSIBLE_COLOR_DIFF_REMOVE"]),
        setting("COLOR_DOC_CONSTANT", &[("colors", "doc_constant")], &["ANSIBLE_COLOR_DOC_CONSTANT"]),
        setting("COLOR_DOC_DEPRECATED", &[("colors", "doc_deprecated")], &["ANSIBLE_COLOR_DOC_DEPRECATED"]),
        setting("COLOR_DOC_LINK", &[("colors", "doc_link")], &["ANSIBLE_COLOR_DOC_LINK"]),
        setting("COLOR_DOC_MODULE", &[("colors", "doc_module")], &["ANSIBLE_COLOR_DOC_MODULE"]),
        setting("COLOR_DOC_PLUGIN", &[("colors", "doc_plugin")], &["ANSIBLE_COLOR_DOC_PLUGIN"]),
        setting("COLOR_DOC_REFERENCE", &[("colors", "doc_reference")], &["ANSIBLE_COLOR_DOC_REFERENCE"]),
        setting("COLOR_ERROR", &[("colors", "error")], &["ANSIBLE_COLOR_ERROR"]),
        setting("COLOR_HIGHLIGHT", &[("colors", "highlight")], &["ANSIBLE_COLOR_HIGHLIGHT"]),
        setting("COLOR_INCLUDED", &[("colors", "included")], &["ANSIBLE_COLOR_INCLUDED"]),
        setting("COLOR_OK", &[("colors", "ok")], &["ANSIBLE_COLOR_OK"]),
        setting("COLOR_SKIP", &[("colors", "skip")], &["ANSIBLE_COLOR_SKIP"]),
        setting("COLOR_UNREACHABLE", &[("colors", "unreachable")], &["ANSIBLE_COLOR_UNREACHABLE"]),
        setting("COLOR_VERBOSE", &[("colors", "verbose")], &["ANSIBLE_COLOR_VERBOSE"]),
        setting("COLOR_WARN", &[("colors", "warn")], &["ANSIBLE_COLOR_WARN"]),
    ]),
    ("There is no debugger; `kopsrun runs show` tells what a failed task was given.", &[
        setting("ENABLE_TASK_DEBUGGER", &[("defaults", "enable_task_debugger")], &["ANSIBLE_ENABLE_TASK_DEBUGGER"]),
        setting("TASK_DEBUGGER_IGNORE_ERRORS", &[("defaults", "task_debugger_ignore_errors")], &["ANSIBLE_TASK_DEBUGGER_IGNORE_ERRORS"]),
    ]),
    ("There is no paramiko here; its connections use SSH as the others do.", &[
        setting("PARAMIKO_HOST_KEY_AUTO_ADD", &[("paramiko_connection", "host_key_auto_add")], &["ANSIBLE_PARAMIKO_HOST_KEY_AUTO_ADD"]),
        setting("PARAMIKO_LOOK_FOR_KEYS", &[("paramiko_connection", "look_for_keys")], &["ANSIBLE_PARAMIKO_LOOK_FOR_KEYS"]),
    ]),
    ("Values are typed the way Ansible types them by default; jinja2_native changes that.", &[
        setting("DEFAULT_NULL_REPRESENTATION", &[("defaults", "null_representation")], &["ANSIBLE_NULL_REPRESENTATION"]),
        setting("STRING_TYPE_FILTERS", &[("jinja2", "dont_type_filters")], &["ANSIBLE_STRING_TYPE_FILTERS"]),
    ]),
    ("Variables have the order that Ansible has by default.", &[
        setting("PLAYBOOK_VARS_ROOT", &[("defaults", "playbook_vars_root")], &["ANSIBLE_PLAYBOOK_VARS_ROOT"]),
        setting("VARIABLE_PRECEDENCE", &[("defaults", "precedence")], &["ANSIBLE_PRECEDENCE"]),
    ]),
    ("What kind of inventory a file is, its name and content tell.", &[
        setting("INVENTORY_ENABLED", &[("inventory", "enable_plugins")], &["ANSIBLE_INVENTORY_ENABLED"]),
    ]),
    ("`kopsrun doc` is offline.", &[
        setting("DOCSITE_ROOT_URL", &[("defaults", "docsite_root_url")], &[]),
    ]),
    ("`kopsrun resume` goes on with what is left.", &[
    ]),
    ("kopsrun downloads no roles and collections: ansible-galaxy does.", &[
        setting("GALAXY_CACHE_DIR", &[("galaxy", "cache_dir")], &["ANSIBLE_GALAXY_CACHE_DIR"]),
        setting("GALAXY_COLLECTION_IMPORT_POLL_FACTOR", &[], &["ANSIBLE_GALAXY_COLLECTION_IMPORT_POLL_FACTOR"]),
        setting("GALAXY_COLLECTION_IMPORT_POLL_INTERVAL", &[], &["ANSIBLE_GALAXY_COLLECTION_IMPORT_POLL_INTERVAL"]),
        setting("GALAXY_COLLECTION_SKELETON", &[("galaxy", "collection_skeleton")], &["ANSIBLE_GALAXY_COLLECTION_SKELETON"]),
        setting("GALAXY_COLLECTION_SKELETON_IGNORE", &[("galaxy", "collection_skeleton_ignore")], &["ANSIBLE_GALAXY_COLLECTION_SKELETON_IGNORE"]),
        setting("GALAXY_DISABLE_GPG_VERIFY", &[("galaxy", "disable_gpg_verify")], &["ANSIBLE_GALAXY_DISABLE_GPG_VERIFY"]),
        setting("GALAXY_DISPLAY_PROGRESS", &[("galaxy", "display_progress")], &["ANSIBLE_GALAXY_DISPLAY_PROGRESS"]),
        setting("GALAXY_GPG_KEYRING", &[("galaxy", "gpg_keyring")], &["ANSIBLE_GALAXY_GPG_KEYRING"]),
        setting("GALAXY_IGNORE_CERTS", &[("galaxy", "ignore_certs")], &["ANSIBLE_GALAXY_IGNORE"]),
        setting("GALAXY_IGNORE_INVALID_SIGNATURE_STATUS_CODES", &[("galaxy", "ignore_signature_status_codes")], &["ANSIBLE_GALAXY_IGNORE_SIGNATURE_STATUS_CODES"]),
        setting("GALAXY_REQUIRED_VALID_SIGNATURE_COUNT", &[("galaxy", "required_valid_signature_count")], &["ANSIBLE_GALAXY_REQUIRED_VALID_SIGNATURE_COUNT"]),
        setting("GALAXY_ROLE_SKELETON", &[("galaxy", "role_skeleton")], &["ANSIBLE_GALAXY_ROLE_SKELETON"]),
        setting("GALAXY_ROLE_SKELETON_IGNORE", &[("galaxy", "role_skeleton_ignore")], &["ANSIBLE_GALAXY_ROLE_SKELETON_IGNORE"]),
        setting("GALAXY_SERVER", &[("galaxy", "server")], &["ANSIBLE_GALAXY_SERVER"]),
        setting("GALAXY_SERVER_LIST", &[("galaxy", "server_list")], &["ANSIBLE_GALAXY_SERVER_LIST"]),
        setting("GALAXY_SERVER_TIMEOUT", &[("galaxy", "server_timeout")], &["ANSIBLE_GALAXY_SERVER_TIMEOUT"]),
        setting("GALAXY_TOKEN_PATH", &[("galaxy", "token_path")], &["ANSIBLE_GALAXY_TOKEN_PATH"]),
    ]),
    ("kopsrun finds sudo and su itself and chooses their flags.", &[
        setting("AGNOSTIC_BECOME_PROMPT", &[("privilege_escalation", "agnostic_become_prompt")], &["ANSIBLE_AGNOSTIC_BECOME_PROMPT"]),
        setting("BECOME_ALLOW_SAME_USER", &[("privilege_escalation", "become_allow_same_user")], &["ANSIBLE_BECOME_ALLOW_SAME_USER"]),
        setting("DEFAULT_SU", &[("defaults", "su")], &["ANSIBLE_SU"]),
    ]),
    ("kopsrun gives warnings of its own, each once.", &[
        setting("ACTION_WARNINGS", &[("defaults", "action_warnings")], &["ANSIBLE_ACTION_WARNINGS"]),
        setting("COLLECTIONS_ON_ANSIBLE_VERSION_MISMATCH", &[("defaults", "collections_on_ansible_version_mismatch")], &["ANSIBLE_COLLECTIONS_ON_ANSIBLE_VERSION_MISMATCH"]),
        setting("DEPRECATION_WARNINGS", &[("defaults", "deprecation_warnings")], &["ANSIBLE_DEPRECATION_WARNINGS"]),
        setting("DEVEL_WARNING", &[("defaults", "devel_warning")], &["ANSIBLE_DEVEL_WARNING"]),
        setting("GALAXY_COLLECTIONS_PATH_WARNING", &[("galaxy", "collections_path_warning")], &["ANSIBLE_GALAXY_COLLECTIONS_PATH_WARNING"]),
        setting("SYSTEM_WARNINGS", &[("defaults", "system_warnings")], &["ANSIBLE_SYSTEM_WARNINGS"]),
    ]),
    ("kopsrun has no worker processes to wait for.", &[
        setting("DEFAULT_INTERNAL_POLL_INTERVAL", &[("defaults", "internal_poll_interval")], &[]),
        setting("WORKER_SHUTDOWN_POLL_COUNT", &[], &["ANSIBLE_WORKER_SHUTDOWN_POLL_COUNT"]),
        setting("WORKER_SHUTDOWN_POLL_DELAY", &[], &["ANSIBLE_WORKER_SHUTDOWN_POLL_DELAY"]),
    ]),
    ("kopsrun prints no cows.", &[
        setting("ANSIBLE_COW_ACCEPTLIST", &[("defaults", "cowsay_enabled_stencils")], &["ANSIBLE_COW_ACCEPTLIST"]),
        setting("ANSIBLE_COW_PATH", &[("defaults", "cowpath")], &["ANSIBLE_COW_PATH"]),
        setting("ANSIBLE_COW_SELECTION", &[("defaults", "cow_selection")], &["ANSIBLE_COW_SELECTION"]),
        setting("ANSIBLE_NOCOWS", &[("defaults", "nocows")], &["ANSIBLE_NOCOWS"]),
    ]),
];

/// Why a setting that fits is ignored; None: there is none.
pub(super) fn reason(fits: impl Fn(&Meaningless) -> bool) -> Option<&'static str> {
    let found = MEANINGLESS
        .iter()
        .find(|(_, settings)| settings.iter().any(&fits));
    found.map(|(reason, _)| *reason)
}
