use super::*;
use crate::content::place::Place;
use crate::content::template::{Scope, Templar, TemplateSettings};
use crate::content::value::Value;
use crate::content::yaml;
use crate::secret::Secret;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Made by ansible-vault 2.18 with the password `secret`; it holds `{{ 1+1 }}x`.
const BY_ANSIBLE: &str = "$ANSIBLE_VAULT;1.1;AES256
36363833643239323830626333323161313365623363653962386338616166366138373666373063
3235343130393733306634613363313538613261653031640a386564343661343231376464643766
66663637313236323663616135353835373039313661383739663966653832633764353036663961
3333383236656131630a666230636566643332363835396335373139366533663663313231633336
6437
";

fn key(id: &str, password: &str) -> Key {
    Key {
        id: id.to_owned(),
        password: Secret::new(password.as_bytes().to_vec()),
    }
}

fn ring(keys: &[(&str, &str)]) -> Keyring {
    let keys = keys
        .iter()
        .map(|(id, password)| key(id, password))
        .collect();
    Keyring::new(keys, false)
}

#[test]
fn what_ansible_wrote_is_read() {
    let ring = ring(&[("default", "secret")]);
    assert_eq!(&**ring.open(BY_ANSIBLE.as_bytes()).unwrap(), b"{{ 1+1 }}x");
    // Indented, as in a YAML file that was read as text.
    let indented = BY_ANSIBLE.replace('\n', "\n    ");
    assert_eq!(&**ring.open(indented.as_bytes()).unwrap(), b"{{ 1+1 }}x");
}

#[test]
fn what_was_sealed_opens_with_its_password_only() {
    for length in [0, 1, 15, 16, 17, 31, 32, 1000] {
        let plain: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
        let text = key("a", "pw").seal(&plain, None).unwrap().to_text();
        assert!(text.starts_with("$ANSIBLE_VAULT;1.1;AES256\n") && text.ends_with('\n'));
        assert!(text.lines().all(|line| line.len() <= 80));
        assert_eq!(
            &**ring(&[("a", "pw")]).open(text.as_bytes()).unwrap(),
            plain
        );
        let wrong = ring(&[("a", "other"), ("b", "third")]).open(text.as_bytes());
        let tried = VaultError::Wrong(vec!["a".into(), "b".into()]);
        assert_eq!(wrong.unwrap_err(), tried);
    }
}

#[test]
fn the_same_text_is_sealed_differently_each_time() {
    let seal = || key("a", "pw").seal(b"x", None).unwrap().to_text();
    assert_ne!(seal(), seal());
}

#[test]
fn ids_decide_which_secret_is_tried() {
    let text = key("dev", "one").seal(b"x", Some("dev")).unwrap().to_text();
    assert!(text.starts_with("$ANSIBLE_VAULT;1.2;AES256;dev\n"));
    // Another id with the right password opens it, unless ids must match.
    let keys = || vec![key("prod", "one")];
    assert!(Keyring::new(keys(), false).open(text.as_bytes()).is_ok());
    let strict = Keyring::new(keys(), true).open(text.as_bytes());
    assert_eq!(strict.unwrap_err(), VaultError::Wrong(Vec::new()));
    let both = ring(&[("prod", "two"), ("dev", "one")]);
    assert_eq!(both.open_with(text.as_bytes()).unwrap().1.id, "dev");
    // The default id isn't written down.
    let text = key("default", "one")
        .seal(b"x", Some(DEFAULT_ID))
        .unwrap()
        .to_text();
    assert!(text.starts_with("$ANSIBLE_VAULT;1.1;AES256\n"));
}

#[test]
fn damage_is_told_apart() {
    let ring = ring(&[("default", "secret")]);
    let fails = |text: &str| ring.open(text.as_bytes()).unwrap_err();
    assert_eq!(fails("hello"), VaultError::NotEncrypted);
    assert_eq!(
        fails("$ANSIBLE_VAULT"),
        VaultError::Damaged("its first line is cut off")
    );
    assert_eq!(
        fails("$ANSIBLE_VAULT;9.9;AES256\n00"),
        VaultError::Version("9.9".into())
    );
    assert_eq!(
        fails("$ANSIBLE_VAULT;1.1;AES\n00"),
        VaultError::Cipher("AES".into())
    );
    assert!(matches!(
        fails("$ANSIBLE_VAULT;1.1;AES256\nxyz1"),
        VaultError::Damaged(_)
    ));
    assert!(matches!(
        fails("$ANSIBLE_VAULT;1.1;AES256\n3131"),
        VaultError::Damaged(_)
    ));
    let mut changed = BY_ANSIBLE.to_owned();
    changed.replace_range(BY_ANSIBLE.len() - 5..BY_ANSIBLE.len() - 1, "6438");
    assert!(matches!(fails(&changed), VaultError::Wrong(_)));
    assert_eq!(
        Keyring::default().open(BY_ANSIBLE.as_bytes()).unwrap_err(),
        VaultError::NoSecrets
    );
}

#[test]
fn secrets_are_not_shown() {
    let shown = format!("{:?}", ring(&[("default", "hunter2")]));
    assert_eq!(shown, r#"["default"]"#);
}

struct Vars(BTreeMap<String, Value>);

impl Scope for Vars {
    fn get(&self, name: &str) -> Option<Value> {
        self.0.get(name).cloned()
    }
    fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}

fn templar(yaml: &str, vault: Keyring) -> Templar {
    let file: Arc<Path> = Arc::from(Path::new("vars.yml"));
    let node = yaml::parse_one(yaml, &file, &mut Vec::new()).unwrap();
    let entries = node.as_map().unwrap().iter();
    let vars = entries
        .map(|(key, value)| (key.as_str().unwrap().to_owned(), value.value().unwrap()))
        .collect();
    let settings = TemplateSettings {
        vault: Arc::new(vault),
        ..TemplateSettings::default()
    };
    Templar::new(Arc::new(Vars(vars)), Arc::new(settings))
}

fn inline() -> String {
    let vault = BY_ANSIBLE.replace('\n', "\n      ");
    format!(
        "v: !vault |\n      {vault}\nw: '[{{{{ v }}}}]'\nd: {{a: 1}}\nl:\n  - k: !vault |\n      {vault}\n"
    )
}

#[test]
fn inline_values_open_when_they_are_used_and_are_no_templates() {
    let with = templar(&inline(), ring(&[("default", "secret")]));
    assert_eq!(with.variable("v").unwrap().unwrap().to_text(), "{{ 1+1 }}x");
    assert_eq!(
        with.render_text("{{ w }}").unwrap().to_text(),
        "[{{ 1+1 }}x]"
    );
    assert_eq!(
        with.render_text("{{ l[0].k }}").unwrap().to_text(),
        "{{ 1+1 }}x"
    );
    // Nobody needs the secret of what nobody uses.
    let without = templar(&inline(), Keyring::default());
    assert_eq!(without.render_text("{{ d.a }}").unwrap().to_text(), "1");
    let error = without.variable("v").err().unwrap();
    assert!(
        error.message.contains("no vault secrets found"),
        "{}",
        error.message
    );
    assert!(error.message.contains("vars.yml:1:4"), "{}", error.message);
}

#[test]
fn sealed_values_are_listed_as_ansible_inventory_lists_them() {
    let text: Arc<str> = Arc::from("$ANSIBLE_VAULT;1.1;AES256\n00\n");
    let value = Sealed::value(&text, &Place::file(Path::new("x")));
    let json = serde_json::json!({ "__ansible_vault": &*text });
    assert_eq!(value.to_json(), json);
}
