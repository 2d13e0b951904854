//! Whose data lies in a data directory, and how far it goes: read from etcd's write-ahead log.
//!
//! A log begins with a checksum record and a metadata record that names the member and the cluster
//! (etcd server/storage/wal: `Create`, `encoder.encode`; walpb.Record, etcdserverpb.Metadata).

use super::protobuf::fields;

/// The member that wrote a data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    pub member: u64,
    pub cluster: u64,
}

/// Bytes of a log file that are enough to read its identity.
pub const ENOUGH: usize = 512;

const METADATA: u64 = 1;
const ENTRY: u64 = 2;
const STATE: u64 = 3;
/// Longer records than this have no place in the part of a log that names its member.
const SHORT: usize = 1 << 16;
/// etcd's own limit for a record (wal `frameSizeBytes` and requests of up to some MiB).
const LONG: usize = 1 << 30;

/// How far a log goes. Greater is further: raft elects whoever has the entry of the highest term, then index.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Of the last entry.
    pub term: u64,
    pub index: u64,
    /// Up to here the member knew that a majority has it.
    pub commit: u64,
}

/// The last position in the bytes of log files, oldest first; a torn end, as a crash leaves it, is where it ends.
pub fn position(files: &[&[u8]]) -> Position {
    let mut last = Position::default();
    for file in files {
        let mut rest = *file;
        while let Some((body, after)) = record(rest, LONG) {
            rest = after;
            let Some(record) = fields(body) else { break };
            let data = record.bytes(3).and_then(fields);
            let number = |tag| {
                data.as_ref()
                    .and_then(|d| d.number(tag))
                    .unwrap_or_default()
            };
            match record.number(1) {
                // raftpb.Entry: an entry of a later term overwrites what follows its index.
                Some(ENTRY) => (last.term, last.index) = (number(2), number(3)),
                // raftpb.HardState
                Some(STATE) => last.commit = number(3),
                _ => {}
            }
        }
    }
    last
}

/// The next record and what follows it; none at the end, which is zeros.
fn record(bytes: &[u8], longest: usize) -> Option<(&[u8], &[u8])> {
    let (head, tail) = bytes.split_at_checked(8)?;
    let (length, padding) = frame(i64::from_le_bytes(head.try_into().ok()?), longest)?;
    Some((tail.get(..length)?, tail.get(length + padding..)?))
}

/// The identity in the first bytes of a log file; `None` when they aren't the beginning of one.
pub fn identity(bytes: &[u8]) -> Option<Identity> {
    let mut rest = bytes;
    // The metadata is the second record; a few more don't hurt.
    for _ in 0..4 {
        let (body, after) = record(rest, SHORT)?;
        rest = after;
        let record = fields(body)?;
        if record.number(1) == Some(METADATA) {
            let metadata = fields(record.bytes(3)?)?;
            return Some(Identity {
                member: metadata.number(1)?,
                cluster: metadata.number(2)?,
            });
        }
    }
    None
}

/// Length of the record and of the padding after it: the sign bit says that there is padding, whose length is in the
/// lower three bits of the top byte.
fn frame(field: i64, longest: usize) -> Option<(usize, usize)> {
    let length = usize::try_from(field.cast_unsigned() & 0x00ff_ffff_ffff_ffff).ok()?;
    let padding = if field < 0 {
        (field.cast_unsigned() >> 56) & 0x7
    } else {
        0
    };
    (length > 0 && length < longest).then_some((length, usize::try_from(padding).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn varint_of(mut value: u64) -> Vec<u8> {
        let mut out = Vec::new();
        loop {
            let byte = u8::try_from(value & 0x7f).expect("seven bits");
            value >>= 7;
            if value == 0 {
                out.push(byte);
                return out;
            }
            out.push(byte | 0x80);
        }
    }

    /// A log as etcd begins it: checksum record, then metadata.
    fn log(member: u64, cluster: u64) -> Vec<u8> {
        let metadata = [
            &[0x08][..],
            &varint_of(member),
            &[0x10],
            &varint_of(cluster),
        ]
        .concat();
        let second = [
            &[0x08, 0x01, 0x10][..],
            &varint_of(0x1234_5678),
            &[0x1a],
            &varint_of(metadata.len() as u64),
            &metadata,
        ]
        .concat();
        let mut out = Vec::new();
        for body in [&[0x08, 0x04, 0x10, 0x00][..], &second] {
            let padding = (8 - body.len() % 8) % 8;
            let mut field = body.len() as u64;
            if padding != 0 {
                field |= (0x80 | padding as u64) << 56;
            }
            out.extend(field.to_le_bytes());
            out.extend(body);
            out.extend(vec![0; padding]);
        }
        out.extend([0; 64]);
        out
    }

    /// A record with these numbers as its data.
    fn numbers(kind: u8, numbers: &[(u8, u64)]) -> Vec<u8> {
        let data: Vec<u8> = numbers
            .iter()
            .flat_map(|(tag, number)| [vec![tag << 3], varint_of(*number)].concat())
            .collect();
        let length = u8::try_from(data.len()).expect("short");
        let body = [&[0x08, kind, 0x10, 0x00, 0x1a, length][..], &data].concat();
        let padding = (8 - body.len() % 8) % 8;
        let mut field = body.len() as u64;
        if padding != 0 {
            field |= (0x80 | padding as u64) << 56;
        }
        [&field.to_le_bytes()[..], &body, &vec![0; padding]].concat()
    }

    #[test]
    fn the_last_entry_counts() {
        let first = [
            numbers(2, &[(2, 3), (3, 100)]),
            numbers(3, &[(1, 3), (3, 99)]),
        ]
        .concat();
        // A leader of a later term has overwritten what wasn't agreed on.
        let second = [numbers(2, &[(2, 4), (3, 98)]), vec![0; 64]].concat();
        let found = position(&[&first, &second]);
        assert_eq!((found.term, found.index, found.commit), (4, 98, 99));
        assert!(found > position(&[&first]));
        let torn = &first[..first.len() - 5];
        assert_eq!(position(&[torn]).commit, 0);
        assert_eq!(position(&[&[1; 300]]), Position::default());
    }

    #[test]
    fn no_log_has_no_identity() {
        assert_eq!(identity(&[0; ENOUGH]), None);
        assert_eq!(identity(b"not a log at all, but text"), None);
    }

    proptest! {
        #[test]
        fn identities_are_read_back(member: u64, cluster: u64) {
            prop_assert_eq!(identity(&log(member, cluster)), Some(Identity { member, cluster }));
        }

        #[test]
        fn garbage_is_harmless(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let _: Option<Identity> = identity(&bytes);
            let _: Position = position(&[&bytes]);
        }

        #[test]
        fn a_cut_log_is_harmless(cut in 0usize..60) {
            let whole = log(0x8e9e_05c5_2164_694d, 1);
            let _: Option<Identity> = identity(&whole[..cut]);
        }
    }
}
