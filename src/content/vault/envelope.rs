//! The text around a ciphertext: `$ANSIBLE_VAULT;1.1;AES256`, or 1.2 with the id of its secret, then hexadecimal
//! digits in lines of 80.

use super::VaultError;
use super::cipher::Sealing;
use super::keyring::DEFAULT_ID;

const MARK: &str = "$ANSIBLE_VAULT";
const CIPHER: &str = "AES256";
const WIDTH: usize = 80;

/// A ciphertext and the id of the secret that it names (1.2), if any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    pub id: Option<String>,
    pub(super) sealing: Sealing,
}

/// True for what begins as Ansible's vaults do.
pub fn is_encrypted(bytes: &[u8]) -> bool {
    bytes.starts_with(MARK.as_bytes())
}

impl Envelope {
    /// Reads a vault: white space around it and at the ends of lines is passed over.
    pub fn parse(text: &[u8]) -> Result<Self, VaultError> {
        let text = std::str::from_utf8(text).map_err(|_| VaultError::NotEncrypted)?;
        let mut lines = text.trim().lines().map(str::trim);
        let header: Vec<&str> = lines.next().unwrap_or_default().split(';').collect();
        let id = match header[..] {
            [MARK, "1.1", CIPHER, ..] => None,
            [MARK, "1.2", CIPHER, id, ..] => Some(id.trim().to_owned()),
            [MARK, "1.2", CIPHER] => None,
            [MARK, "1.1" | "1.2", cipher, ..] => return Err(VaultError::Cipher(cipher.to_owned())),
            [MARK, version, _, ..] => return Err(VaultError::Version(version.to_owned())),
            [MARK, ..] => return Err(VaultError::Damaged("its first line is cut off")),
            _ => return Err(VaultError::NotEncrypted),
        };
        let digits: String = lines.collect();
        let inner = unhex(digits.as_bytes())?;
        let mut parts = inner.splitn(3, |byte| *byte == b'\n');
        let mut part = || {
            let part = parts
                .next()
                .ok_or(VaultError::Damaged("a part is missing"))?;
            unhex(part)
        };
        let sealing = Sealing {
            salt: part()?,
            mac: part()?,
            ciphertext: part()?,
        };
        Ok(Self { id, sealing })
    }

    /// The vault as text, its last line ended. An id other than Ansible's default is named in it (format 1.2).
    pub fn to_text(&self) -> String {
        let parts = [
            hex(&self.sealing.salt),
            hex(&self.sealing.mac),
            hex(&self.sealing.ciphertext),
        ];
        let digits = hex(parts.join("\n").as_bytes());
        let mut text = match self.id.as_deref().filter(|id| *id != DEFAULT_ID) {
            Some(id) => format!("{MARK};1.2;{CIPHER};{id}\n"),
            None => format!("{MARK};1.1;{CIPHER}\n"),
        };
        let mut rest = digits.as_str();
        while !rest.is_empty() {
            let (line, more) = rest.split_at(rest.len().min(WIDTH));
            text.push_str(line);
            text.push('\n');
            rest = more;
        }
        text
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(digits: &[u8]) -> Result<Vec<u8>, VaultError> {
    const WRONG: VaultError = VaultError::Damaged("it holds other things than hexadecimal digits");
    let digit = |byte: u8| {
        let value = char::from(byte).to_digit(16).ok_or(WRONG)?;
        u8::try_from(value).map_err(|_| WRONG)
    };
    let (pairs, odd) = digits.as_chunks::<2>();
    if !odd.is_empty() {
        return Err(VaultError::Damaged("a digit is missing"));
    }
    pairs
        .iter()
        .map(|[high, low]| Ok(digit(*high)? << 4 | digit(*low)?))
        .collect()
}
