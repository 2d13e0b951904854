//! One page of a bbolt file, and the meta page. Offsets are checked before anything is read: files come from disks that
//! may have failed.

use super::bolt::Unsound;

/// Bytes before the elements of a page: id u64, flags u16, count u16, overflow u32.
pub const HEADER: usize = 16;
const BRANCH: u16 = 0x01;
const LEAF: u16 = 0x02;
const META: u16 = 0x04;
const FREELIST: u16 = 0x10;

const MAGIC: u32 = 0xED0C_DAED;
const VERSION: u32 = 2;
/// Bytes of the meta that its checksum covers.
const META_SUMMED: usize = 56;
/// "No list of free pages was written."
const NO_FREELIST: u64 = u64::MAX;
/// An element that is a bucket.
const BUCKET: u32 = 0x01;
/// The count of a list of free pages stands in its first number when it is at least this.
const COUNTED_INSIDE: u16 = 0xFFFF;

/// What the meta page says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    pub page_size: u32,
    /// The page of the bucket of buckets.
    pub root: u64,
    pub freelist: Option<u64>,
    /// How many pages the file has.
    pub pages: u64,
    pub transaction: u64,
}

/// The bytes of a page with all that overflows from it.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    bytes: &'a [u8],
    id: u64,
    flags: u16,
    count: u16,
}

#[derive(Debug, Clone, Copy)]
pub struct Leaf<'a> {
    pub key: &'a [u8],
    pub value: &'a [u8],
    pub bucket: bool,
}

#[derive(Debug, Clone, Copy)]
pub struct Branch<'a> {
    pub key: &'a [u8],
    pub child: u64,
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

/// The id and the overflow of a page, from its header.
pub fn span(header: &[u8; HEADER]) -> (u64, u32) {
    (
        u64_at(header, 0).unwrap_or_default(),
        u32_at(header, 12).unwrap_or_default(),
    )
}

/// The sound meta page with the highest transaction, from the beginning of the file.
pub fn newest_meta(head: &[u8]) -> Result<Meta, Unsound> {
    let first = meta(head);
    // The second is one page further, whose size only the first knows; when that one is damaged, the usual sizes are tried.
    let sizes = match &first {
        Some(meta) => vec![meta.page_size],
        None => (9..=16).map(|power| 1 << power).collect(),
    };
    let second = sizes.into_iter().find_map(|size: u32| {
        let found = meta(head.get(usize::try_from(size).ok()?..)?)?;
        (found.page_size == size).then_some(found)
    });
    [first, second]
        .into_iter()
        .flatten()
        .max_by_key(|meta| meta.transaction)
        .ok_or_else(|| {
            Unsound::new("it doesn't begin like a database of etcd: neither meta page is sound")
        })
}

fn meta(page: &[u8]) -> Option<Meta> {
    let flags = u16_at(page, 8)?;
    let body = page.get(HEADER..HEADER + META_SUMMED + 8)?;
    let sound = flags & META != 0
        && u32_at(body, 0)? == MAGIC
        && u32_at(body, 4)? == VERSION
        && u64_at(body, META_SUMMED)? == fnv1a(&body[..META_SUMMED]);
    let meta = Meta {
        page_size: u32_at(body, 8)?,
        root: u64_at(body, 16)?,
        freelist: Some(u64_at(body, 32)?).filter(|&id| id != NO_FREELIST),
        pages: u64_at(body, 40)?,
        transaction: u64_at(body, 48)?,
    };
    let sizes = 512..=1 << 16;
    (sound && meta.page_size.is_power_of_two() && sizes.contains(&meta.page_size)).then_some(meta)
}

/// FNV-1a with 64 bits, which is Go's `hash/fnv.New64a`.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The root page of a bucket, from its value; 0 with the page that follows when it is small.
pub fn bucket(value: &[u8]) -> Result<(u64, &[u8]), Unsound> {
    let root = u64_at(value, 0).filter(|_| value.len() >= 16);
    let root = root.ok_or_else(|| Unsound::new("a bucket's header is cut off"))?;
    Ok((root, &value[16..]))
}

impl<'a> Page<'a> {
    /// `id` is for messages.
    pub fn parse(bytes: &'a [u8], id: u64) -> Result<Self, Unsound> {
        let parts = || Some((u16_at(bytes, 8)?, u16_at(bytes, 10)?, bytes.get(HEADER..)?));
        let (flags, count, _) =
            parts().ok_or_else(|| Unsound::new(format!("page {id} is cut off")))?;
        Ok(Self {
            bytes,
            id,
            flags,
            count,
        })
    }

    pub fn is_leaf(&self) -> bool {
        self.flags == LEAF
    }

    fn expect(&self, flags: u16, what: &str) -> Result<(), Unsound> {
        match self.flags == flags {
            true => Ok(()),
            false => Err(Unsound::new(format!(
                "page {} should be {what}, but has the flags {:#x}",
                self.id, self.flags
            ))),
        }
    }

    fn cut(&self) -> Unsound {
        Unsound::new(format!("an element of page {} lies outside of it", self.id))
    }

    /// `length` bytes, `position` behind the element at `element`.
    fn slice(&self, element: usize, position: u32, length: u32) -> Option<&'a [u8]> {
        let begin = element.checked_add(usize::try_from(position).ok()?)?;
        let end = begin.checked_add(usize::try_from(length).ok()?)?;
        self.bytes.get(begin..end)
    }

    pub fn leaves(self) -> Result<impl Iterator<Item = Leaf<'a>>, Unsound> {
        self.expect(LEAF, "a leaf")?;
        let one = move |index: u16| {
            let at = HEADER + usize::from(index) * 16;
            let flags = u32_at(self.bytes, at)?;
            let position = u32_at(self.bytes, at + 4)?;
            let (key, value) = (u32_at(self.bytes, at + 8)?, u32_at(self.bytes, at + 12)?);
            Some(Leaf {
                key: self.slice(at, position, key)?,
                value: self.slice(at, position.checked_add(key)?, value)?,
                bucket: flags & BUCKET != 0,
            })
        };
        let all: Option<Vec<Leaf<'a>>> = (0..self.count).map(one).collect();
        all.map(Vec::into_iter).ok_or_else(|| self.cut())
    }

    pub fn branches(self) -> Result<impl Iterator<Item = Branch<'a>>, Unsound> {
        self.expect(BRANCH, "a branch or a leaf")?;
        let one = move |index: u16| {
            let at = HEADER + usize::from(index) * 16;
            Some(Branch {
                key: self.slice(at, u32_at(self.bytes, at)?, u32_at(self.bytes, at + 4)?)?,
                child: u64_at(self.bytes, at + 8)?,
            })
        };
        let all: Option<Vec<Branch<'a>>> = (0..self.count).map(one).collect();
        match all {
            Some(all) if all.is_empty() => Err(Unsound::new(format!(
                "the branch page {} is empty",
                self.id
            ))),
            Some(all) => Ok(all.into_iter()),
            None => Err(self.cut()),
        }
    }

    /// Ids of free pages.
    pub fn free(self) -> Result<impl Iterator<Item = u64>, Unsound> {
        self.expect(FREELIST, "the list of free pages")?;
        let (count, begin) = match self.count {
            COUNTED_INSIDE => (u64_at(self.bytes, HEADER), HEADER + 8),
            count => (Some(u64::from(count)), HEADER),
        };
        let count = count.and_then(|c| usize::try_from(c).ok());
        let bytes = count
            .and_then(|c| begin.checked_add(c.checked_mul(8)?))
            .and_then(|end| self.bytes.get(begin..end))
            .ok_or_else(|| self.cut())?;
        Ok(bytes.chunks_exact(8).filter_map(|id| u64_at(id, 0)))
    }
}
