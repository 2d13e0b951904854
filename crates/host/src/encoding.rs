//! Encodings of text files, by the names that Python gives them.

use crate::Failure;

/// One that can be read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Utf8,
    Ascii,
    Latin1,
    Utf16Little,
    Utf16Big,
}

/// Letters from here on stand for bytes that are no UTF-8, as surrogates do in Python.
const BROKEN: u32 = 0x0010_ff00;

/// The byte that such a letter stands for.
fn broken(letter: char) -> Option<u8> {
    u32::from(letter)
        .checked_sub(BROKEN)
        .and_then(|byte| u8::try_from(byte).ok())
}

impl Encoding {
    /// By name, as Python spells it: case, `-` and `_` don't matter.
    pub fn named(name: &str) -> Result<Self, Failure> {
        let plain: String = name
            .to_lowercase()
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .collect();
        Ok(match plain.as_str() {
            "utf8" | "u8" | "cp65001" => Self::Utf8,
            "ascii" | "usascii" | "646" => Self::Ascii,
            "latin1" | "latin" | "l1" | "iso88591" | "88591" => Self::Latin1,
            "utf16le" => Self::Utf16Little,
            "utf16be" => Self::Utf16Big,
            _ => {
                return Err(Failure::new(format!(
                    "the encoding {name:?} isn't supported (known: utf-8, ascii, latin-1, utf-16-le, utf-16-be)"
                )));
            }
        })
    }

    /// Text of bytes, also where UTF-8 is broken: such bytes become letters for private use, which [`Self::encode_all`]
    /// turns back. Fails as [`Self::decode`] for other encodings.
    pub fn decode_all(self, bytes: &[u8]) -> Result<String, String> {
        if self != Self::Utf8 {
            return self.decode(bytes);
        }
        let mut text = String::with_capacity(bytes.len());
        for chunk in bytes.utf8_chunks() {
            if chunk.valid().chars().any(|letter| broken(letter).is_some()) {
                return Err("it holds letters of the last private plane of Unicode".to_owned());
            }
            text.push_str(chunk.valid());
            text.extend(
                chunk
                    .invalid()
                    .iter()
                    .filter_map(|byte| char::from_u32(BROKEN + u32::from(*byte))),
            );
        }
        Ok(text)
    }

    /// Bytes of text that [`Self::decode_all`] gave.
    pub fn encode_all(self, text: &str) -> Result<Vec<u8>, Failure> {
        if self != Self::Utf8 {
            return self.encode(text);
        }
        let mut bytes = Vec::with_capacity(text.len());
        for letter in text.chars() {
            match broken(letter) {
                Some(byte) => bytes.push(byte),
                None => bytes.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        Ok(bytes)
    }

    /// Text of bytes; the error says where they are none.
    pub fn decode(self, bytes: &[u8]) -> Result<String, String> {
        let wrong = |at: usize| format!("byte {at} isn't {}", self.name());
        match self {
            Self::Utf8 => std::str::from_utf8(bytes)
                .map(ToOwned::to_owned)
                .map_err(|error| wrong(error.valid_up_to())),
            Self::Ascii => match bytes.iter().position(|byte| !byte.is_ascii()) {
                Some(at) => Err(wrong(at)),
                None => Ok(String::from_utf8_lossy(bytes).into_owned()),
            },
            Self::Latin1 => Ok(bytes.iter().map(|byte| char::from(*byte)).collect()),
            Self::Utf16Little | Self::Utf16Big => {
                let (pairs, rest) = bytes.as_chunks::<2>();
                if !rest.is_empty() {
                    return Err(wrong(bytes.len() - 1));
                }
                let units = pairs.iter().map(|pair| match self {
                    Self::Utf16Little => u16::from_le_bytes(*pair),
                    _ => u16::from_be_bytes(*pair),
                });
                char::decode_utf16(units)
                    .enumerate()
                    .map(|(at, letter)| letter.map_err(|_| wrong(at * 2)))
                    .collect()
            }
        }
    }

    /// Bytes of text; fails for letters that the encoding doesn't have.
    pub fn encode(self, text: &str) -> Result<Vec<u8>, Failure> {
        let limit = match self {
            Self::Utf8 => return Ok(text.as_bytes().to_vec()),
            Self::Utf16Little => {
                return Ok(text.encode_utf16().flat_map(u16::to_le_bytes).collect());
            }
            Self::Utf16Big => return Ok(text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
            Self::Ascii => 0x80,
            Self::Latin1 => 0x100,
        };
        text.chars()
            .map(|letter| {
                u8::try_from(u32::from(letter))
                    .ok()
                    .filter(|byte| u32::from(*byte) < limit)
                    .ok_or_else(|| {
                        Failure::new(format!("{letter:?} can't be written in {}", self.name()))
                    })
            })
            .collect()
    }

    /// As Python spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "utf-8",
            Self::Ascii => "ascii",
            Self::Latin1 => "latin-1",
            Self::Utf16Little => "utf-16-le",
            Self::Utf16Big => "utf-16-be",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_comes_back() {
        for (name, bytes) in [
            ("UTF-8", "é".as_bytes()),
            ("latin_1", b"\xe9"),
            ("utf-16-le", b"\xe9\0"),
            ("utf-16-be", b"\0\xe9"),
        ] {
            let encoding = Encoding::named(name).expect("known");
            assert_eq!(encoding.decode(bytes), Ok("é".to_owned()), "{name}");
            assert_eq!(encoding.encode("é"), Ok(bytes.to_vec()), "{name}");
        }
        let mixed = b"a\xe9\xc3\xa9\xff";
        let text = Encoding::Utf8.decode_all(mixed).expect("any bytes");
        assert_eq!(text.chars().count(), 4);
        assert_eq!(Encoding::Utf8.encode_all(&text), Ok(mixed.to_vec()));
        let ascii = Encoding::named("us-ascii").expect("known");
        assert!(ascii.encode("é").is_err());
        assert_eq!(ascii.decode(b"a\xe9"), Err("byte 1 isn't ascii".to_owned()));
        assert!(Encoding::named("koi8-r").is_err());
    }
}
