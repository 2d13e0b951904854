//! An inline value that is encrypted, until something uses it.

use super::{Keyring, VaultError};
use crate::content::place::Place;
use crate::content::value::{Object, Value};
use std::any::Any;
use std::sync::Arc;

/// A value tagged `!vault`. It is opened when a template or a task uses it: a variable that nobody uses needs no
/// secret. Listed as JSON it is `{"__ansible_vault": ciphertext}`, as ansible-inventory writes it.
#[derive(Debug, Clone)]
pub struct Sealed {
    text: Arc<str>,
    pub place: Place,
}

/// The name under which Ansible's JSON keeps a ciphertext.
const NAME: &str = "__ansible_vault";

impl Sealed {
    pub fn value(text: &Arc<str>, place: &Place) -> Value {
        Value::object(Self {
            text: Arc::clone(text),
            place: place.clone(),
        })
    }

    /// The sealed value that a value is, if it is one.
    pub fn of(value: &Value) -> Option<&Self> {
        match value {
            Value::Object(object) => object.as_any()?.downcast_ref(),
            _ => None,
        }
    }

    /// What it holds, as text that is never templated: so Ansible has it.
    pub fn open(&self, keyring: &Keyring) -> Result<Value, VaultError> {
        let plain = keyring.open_value(&self.text)?;
        let mut opened = Value::untrusted(plain.expose().as_str());
        if let Value::Str(text) = &mut opened {
            text.from_vault = true;
        }
        Ok(opened)
    }
}

impl Object for Sealed {
    fn type_name(&self) -> &'static str {
        "AnsibleVaultEncryptedUnicode"
    }

    fn get(&self, key: &Value) -> Option<Value> {
        (key.as_str() == Some(NAME)).then(|| Value::untrusted(Arc::clone(&self.text)))
    }

    fn keys(&self) -> Option<Vec<Value>> {
        Some(vec![Value::untrusted(NAME)])
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}
