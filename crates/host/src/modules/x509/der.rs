//! Distinguished encoding rules (X.690): enough of them to write and read requests and certificates.

use crate::Failure;

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BITS: u8 = 0x03;
pub(super) const BYTES: u8 = 0x04;
pub(super) const OID: u8 = 0x06;
pub(super) const UTF8: u8 = 0x0c;
pub(super) const PRINTABLE: u8 = 0x13;
pub(super) const IA5: u8 = 0x16;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// The tag of a context-specific element; `constructed` when it holds others.
pub(super) const fn context(number: u8, constructed: bool) -> u8 {
    0x80 | number | if constructed { 0x20 } else { 0 }
}

/// One element.
pub(super) fn item(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    let length = content.len();
    if length < 0x80 {
        bytes.push(length as u8);
    } else {
        let digits: Vec<u8> = length
            .to_be_bytes()
            .into_iter()
            .skip_while(|digit| *digit == 0)
            .collect();
        bytes.push(0x80 | digits.len() as u8);
        bytes.extend(digits);
    }
    bytes.extend_from_slice(content);
    bytes
}

/// An element that holds others.
pub(super) fn holding(tag: u8, parts: &[Vec<u8>]) -> Vec<u8> {
    item(tag, &parts.concat())
}

/// A number that isn't negative, of big-endian bytes.
pub(super) fn integer(bytes: &[u8]) -> Vec<u8> {
    let mut digits: Vec<u8> = bytes
        .iter()
        .copied()
        .skip_while(|digit| *digit == 0)
        .collect();
    if digits.first().is_none_or(|first| first & 0x80 != 0) {
        digits.insert(0, 0);
    }
    item(INTEGER, &digits)
}

pub(super) fn bits(content: &[u8]) -> Vec<u8> {
    item(BITS, &[&[0], content].concat())
}

/// `1.2.840.…`; none for what is no object identifier.
pub(super) fn oid(text: &str) -> Option<Vec<u8>> {
    let numbers: Vec<u64> = text
        .split('.')
        .map(|part| part.parse().ok())
        .collect::<Option<_>>()?;
    let (first, second, rest) = match numbers.as_slice() {
        [first @ 0..=2, second, rest @ ..] if *first == 2 || *second < 40 => {
            (*first, *second, rest)
        }
        _ => return None,
    };
    let mut bytes = Vec::new();
    for number in std::iter::once(first * 40 + second).chain(rest.iter().copied()) {
        let mut digits = vec![(number & 0x7f) as u8];
        let mut left = number >> 7;
        while left > 0 {
            digits.push((left & 0x7f) as u8 | 0x80);
            left >>= 7;
        }
        bytes.extend(digits.iter().rev());
    }
    Some(item(OID, &bytes))
}

/// The dots of an object identifier's content.
pub(super) fn dotted(content: &[u8]) -> String {
    let (mut numbers, mut number) = (Vec::new(), 0_u64);
    for byte in content {
        number = number << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            numbers.push(number);
            number = 0;
        }
    }
    let first = numbers.first().copied().unwrap_or_default();
    let start = (first / 40).min(2);
    let head = [start, first - start * 40];
    let all = head.iter().chain(numbers.iter().skip(1));
    all.map(ToString::to_string).collect::<Vec<_>>().join(".")
}

/// One element that was read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
    /// With tag and length.
    pub(super) whole: &'a [u8],
}

/// Elements one after the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn next(&mut self) -> Option<Item<'a>> {
        let (tag, rest) = self.0.split_first()?;
        let (first, rest) = rest.split_first()?;
        let (length, rest) = if *first < 0x80 {
            (usize::from(*first), rest)
        } else {
            let count = usize::from(first & 0x7f);
            let (digits, rest) = rest
                .split_at_checked(count)
                .filter(|_| (1..=4).contains(&count))?;
            (
                digits
                    .iter()
                    .fold(0, |sum, digit| sum << 8 | usize::from(*digit)),
                rest,
            )
        };
        let (content, after) = rest.split_at_checked(length)?;
        let whole = &self.0[..self.0.len() - after.len()];
        self.0 = after;
        Some(Item {
            tag: *tag,
            content,
            whole,
        })
    }

    /// The next one when it has this tag.
    pub(super) fn if_tag(&mut self, tag: u8) -> Option<Item<'a>> {
        (self.0.first() == Some(&tag))
            .then(|| self.next())
            .flatten()
    }

    pub(super) fn need(&mut self, tag: u8) -> Result<Item<'a>, Failure> {
        self.if_tag(tag)
            .ok_or_else(|| Failure::new("its structure is broken"))
    }
}

impl<'a> Item<'a> {
    pub(super) fn inside(&self) -> Reader<'a> {
        Reader(self.content)
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        Reader::next(self)
    }
}

/// Big-endian bytes as decimal digits.
pub(super) fn decimal(bytes: &[u8]) -> String {
    let mut digits = vec![0_u8];
    for byte in bytes {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            let value = u32::from(*digit) * 256 + carry;
            *digit = (value % 10) as u8;
            carry = value / 10;
        }
        while carry > 0 {
            digits.push((carry % 10) as u8);
            carry /= 10;
        }
    }
    digits
        .iter()
        .rev()
        .map(|digit| char::from(b'0' + digit))
        .collect()
}

/// A number in JSON: as digits where it is too large for one.
pub(super) fn number(bytes: &[u8]) -> serde_json::Value {
    let text = decimal(bytes);
    text.parse::<u64>().map_or_else(|_| text.into(), Into::into)
}

/// The first block of a PEM text with one of these labels, and its label.
pub(super) fn pem(text: &str, labels: &[&str]) -> Option<(String, Vec<u8>)> {
    let mut rest = text;
    while let Some(at) = rest.find("-----BEGIN ") {
        let (label, after) = rest[at + 11..].split_once("-----")?;
        let end = after.find(&format!("-----END {label}-----"))?;
        if labels.contains(&label) {
            let body: String = after[..end]
                .lines()
                .filter(|line| !line.contains(':'))
                .collect();
            let plain: String = body
                .chars()
                .filter(|letter| !letter.is_whitespace())
                .collect();
            let bytes =
                base64::Engine::decode(&base64::engine::general_purpose::STANDARD, plain).ok()?;
            return Some((label.to_owned(), bytes));
        }
        rest = &after[end..];
    }
    None
}

/// PEM in lines of 64 letters.
pub(super) fn to_pem(label: &str, bytes: &[u8]) -> String {
    let body = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes);
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in body.as_bytes().chunks(64) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text + &format!("-----END {label}-----\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for text in ["1.2.840.113549.1.1.11", "2.5.29.17", "2.999.3", "0.9.2342"] {
            let bytes = oid(text).expect("sound");
            let read = Reader(&bytes).need(OID).expect("one");
            assert_eq!(dotted(read.content), text);
        }
        assert!(oid("3.1").is_none() && oid("1.40").is_none() && oid("x").is_none());
        let long = item(BYTES, &[7; 300]);
        assert_eq!(Reader(&long).need(BYTES).expect("one").content.len(), 300);
        assert_eq!(
            decimal(&[1, 0, 0, 0, 0, 0, 0, 0, 0]),
            "18446744073709551616"
        );
        let text = to_pem("X", &[9; 100]);
        assert_eq!(pem(&text, &["X"]), Some(("X".to_owned(), vec![9; 100])));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(0u8..=255, 0..40)) {
            let mut reader = Reader(&bytes);
            while let Some(item) = Reader::next(&mut reader) {
                let inner = item.inside();
                proptest::prop_assert!(inner.take(9).count() < 10);
            }
        }
    }
}
