//! `vault` and `unvault`: text that ansible-vault reads and writes, under a password that stands in a variable.

use super::text::{like, only_text};
use super::{Filter, filter};
use crate::content::template::TemplateError;
use crate::content::template::eval::args::{Args, required, text_of};
use crate::content::template::eval::{Interp, Outcome};
use crate::content::value::Value;
use crate::content::vault::{Key, Keyring, is_encrypted};
use crate::secret::Secret;

pub(super) const FILTERS: &[Filter] = &[
    filter(
        "vault",
        vault,
        (
            "'secret' | vault('password') | unvault('password')",
            "'secret'",
        ),
    ),
    filter(
        "unvault",
        unvault,
        ("'plain' | unvault('password')", "'plain'"),
    ),
];

/// The id of the secret when none is given.
const ID: &str = "filter_default";

fn key(secret: Option<Value>, id: Option<Value>) -> Outcome<(Key, Option<String>)> {
    let secret = required("vault", "secret", secret)?;
    let password = only_text("the secret of a vault", &secret)?
        .as_bytes()
        .to_vec();
    let id = match id {
        Some(Value::None) | None => ID.to_owned(),
        Some(id) => text_of(&id)?,
    };
    let named = Some(id.clone()).filter(|id| id != "default");
    Ok((
        Key {
            id,
            password: Secret::new(password),
        },
        named,
    ))
}

fn vault(interp: &mut Interp, value: &Value, args: Args) -> Outcome {
    let names = ["secret", "salt", "vault_id", "wrap_object", "vaultid"];
    let [secret, salt, id, wrap, old_id] = args.bind("vault", names)?;
    if wrap.is_some_and(|wrap| wrap.truthy()) {
        return Err(TemplateError::new("vault: `wrap_object` isn't supported")
            .hint("The classes of Python don't exist here."));
    }
    let salt = salt.filter(|salt| !matches!(salt, Value::None));
    interp.trail.changing |= salt.is_none();
    let (key, id) = key(secret, id.or(old_id))?;
    let plain = only_text("vault", value)?;
    let sealed = match salt.map(|salt| salt.to_text()) {
        None => key.seal(plain.as_bytes(), id.as_deref()),
        Some(salt) if salt.is_empty() => {
            return Err(TemplateError::new(
                "Unable to encrypt: Empty or invalid salt passed to encrypt()",
            ));
        }
        Some(salt) => key.seal_with(plain.as_bytes(), id.as_deref(), salt.into_bytes()),
    };
    let sealed =
        sealed.map_err(|error| TemplateError::new(format!("Unable to encrypt: {error}")))?;
    Ok(like(value, sealed.to_text()))
}

fn unvault(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [secret, id, old_id] = args.bind("unvault", ["secret", "vault_id", "vaultid"])?;
    let (key, _) = key(secret, id.or(old_id))?;
    let text = only_text("unvault", value)?;
    if !is_encrypted(text.as_bytes()) {
        return Ok(value.clone());
    }
    let plain = Keyring::new(vec![key], false).open(text.as_bytes());
    let plain = plain.map_err(|error| TemplateError::new(format!("Unable to decrypt: {error}")))?;
    let plain = std::str::from_utf8(&plain)
        .map_err(|_| TemplateError::new("unvault: what was decrypted isn't text in UTF-8"))?;
    Ok(Value::untrusted(plain))
}
