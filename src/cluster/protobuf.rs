//! Protocol buffers as etcd writes them to disks, read without generated code.

/// The fields of a message in their order.
pub struct Fields<'a>(Vec<(u64, Content<'a>)>);

enum Content<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Fields<'a> {
    /// The first number of this tag.
    pub fn number(&self, tag: u64) -> Option<u64> {
        self.0.iter().find_map(|(t, c)| match c {
            Content::Number(n) if *t == tag => Some(*n),
            _ => None,
        })
    }

    /// All byte strings of this tag.
    pub fn all(&self, tag: u64) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter_map(move |(t, c)| match c {
            Content::Bytes(b) if *t == tag => Some(*b),
            _ => None,
        })
    }

    /// The first byte string of this tag.
    pub fn bytes(&self, tag: u64) -> Option<&'a [u8]> {
        self.0.iter().find_map(|(t, c)| match c {
            Content::Bytes(b) if *t == tag => Some(*b),
            _ => None,
        })
    }
}

/// The fields of a protocol buffers message: varints and byte strings, which is all that etcd's have that are read here; `None` when it isn't one.
pub fn fields(mut message: &[u8]) -> Option<Fields<'_>> {
    let mut found = Vec::new();
    while !message.is_empty() {
        let key = varint(&mut message)?;
        let content = match key & 7 {
            0 => Content::Number(varint(&mut message)?),
            2 => {
                let length = usize::try_from(varint(&mut message)?).ok()?;
                let (bytes, rest) = message.split_at_checked(length)?;
                message = rest;
                Content::Bytes(bytes)
            }
            _ => return None,
        };
        found.push((key >> 3, content));
    }
    Some(Fields(found))
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f).checked_shl(shift)?;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
