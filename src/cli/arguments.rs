//! Ansible's programs by name: `ansible-playbook site.yml` through a link to kopsrun, or `kopsrun ansible-playbook
//! site.yml`, is `kopsrun play site.yml`.

use std::ffi::OsString;
use std::path::Path;

/// Ansible's programs and the verbs that take their arguments.
const PROGRAMS: [(&str, &str); 5] = [
    ("ansible-playbook", "play"),
    ("ansible-vault", "vault"),
    ("ansible-inventory", "inventory"),
    ("ansible-config", "config"),
    ("ansible", "exec"),
];

/// The arguments as the verbs take them.
pub(super) fn typed(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    let verb = |name: &str| {
        let found = PROGRAMS.iter().find(|(program, _)| *program == name);
        found.map(|(_, verb)| OsString::from(verb))
    };
    let called = arguments.first().map(|path| Path::new(path).to_owned());
    let called = called.as_deref().and_then(Path::file_name);
    if let Some(verb) = called.and_then(|name| verb(&name.to_string_lossy())) {
        arguments.insert(1, verb);
    } else if let Some(second) = arguments.get_mut(1)
        && let Some(verb) = verb(&second.to_string_lossy())
    {
        *second = verb;
    }
    let verb = arguments.get(1).and_then(|second| second.to_str());
    if matches!(verb, Some("vault" | "inventory")) {
        to_file(&mut arguments);
    }
    arguments
}

/// `--output` of ansible-vault and ansible-inventory names a file. Everywhere else it chooses between text and JSON, which
/// are no names for such a file.
fn to_file(arguments: &mut [OsString]) {
    let formats = ["text", "json"];
    for at in 0..arguments.len() {
        let text = arguments[at].to_string_lossy().into_owned();
        if text == "--" {
            return;
        }
        if let Some(value) = text.strip_prefix("--output=") {
            if !formats.contains(&value) {
                arguments[at] = format!("--output-file={value}").into();
            }
        } else if text == "--output" {
            let next = arguments.get(at + 1).map(|next| next.to_string_lossy());
            if next.is_some_and(|next| !formats.contains(&&*next)) {
                arguments[at] = "--output-file".into();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::typed;
    use std::ffi::OsString;

    fn after(line: &str) -> String {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let words = typed(words).into_iter();
        let words: Vec<String> = words.map(|word| word.into_string().unwrap()).collect();
        words[1..].join(" ")
    }

    #[test]
    fn programs_of_ansible_are_verbs() {
        assert_eq!(
            after("/usr/bin/ansible-playbook -C site.yml"),
            "play -C site.yml"
        );
        assert_eq!(after("kopsrun ansible-playbook site.yml"), "play site.yml");
        assert_eq!(after("ansible all -m ping"), "exec all -m ping");
        assert_eq!(
            after("kopsrun play ansible-playbook"),
            "play ansible-playbook"
        );
        assert_eq!(after("kopsrun runs"), "runs");
    }

    #[test]
    fn output_is_a_file_for_vaults_and_inventories() {
        assert_eq!(
            after("ansible-vault encrypt f --output g"),
            "vault encrypt f --output-file g"
        );
        assert_eq!(
            after("kopsrun vault view f --output=json"),
            "vault view f --output=json"
        );
        assert_eq!(
            after("kopsrun vault encrypt --output=- f"),
            "vault encrypt --output-file=- f"
        );
        assert_eq!(after("kopsrun play --output json"), "play --output json");
    }
}
