//! What can be tried without changing this machine; tests/lab_packages.rs installs packages for real.

use crate::modules::test::{check, run};
use serde_json::json;

#[test]
fn what_is_there_needs_no_program() {
    let outcome = run("apt", json!({"name": "dpkg, base-files"}));
    assert!(!outcome.failed && !outcome.changed, "{outcome:?}");
    assert_eq!(outcome.data["cache_updated"], false);
    assert!(outcome.data["cache_update_time"].is_u64());
    for name in ["kopsrun-no-such", "kopsrun-no-such-*", "dpkg=0"] {
        let outcome = run("apt", json!({"name": name, "state": "absent"}));
        assert!(!outcome.failed && !outcome.changed, "{outcome:?}");
    }
}

#[test]
fn check_mode_asks_apt() {
    for (name, said) in [
        (
            "kopsrun-no-such",
            "No package matching 'kopsrun-no-such' is available",
        ),
        (
            "kopsrun-no-such*",
            "No package(s) matching 'kopsrun-no-such*' available",
        ),
        ("dpkg=0", "no available installation candidate for dpkg=0"),
    ] {
        let outcome = check("apt", json!({"name": name}));
        assert!(outcome.failed, "{outcome:?}");
        let msg = outcome.data["msg"].as_str().expect("text");
        assert!(msg.starts_with(said), "{msg}");
    }
}

#[test]
fn wrong_arguments_are_refused() {
    for (args, said) in [
        (json!({"name": "a", "upgrade": "full"}), "only one of these"),
        (
            json!({"name": "a", "state": "installed"}),
            "state must be one of",
        ),
        (
            json!({"name": ["*", "a"], "state": "latest"}),
            "unable to install additional packages",
        ),
        (
            json!({"deb": "/no/such.deb"}),
            "Unable to install package: cannot read /no/such.deb",
        ),
        (json!({"deb": "/etc/passwd"}), "Unable to install package"),
        (
            json!({"deb": "http://127.0.0.1:1/x.deb"}),
            "Failure downloading http://127.0.0.1:1/x.deb",
        ),
    ] {
        let outcome = run("apt", args.clone());
        let msg = outcome.data["msg"].as_str().expect("text");
        assert!(outcome.failed && msg.contains(said), "{args}: {msg}");
    }
}
