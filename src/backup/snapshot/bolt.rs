//! bbolt files, read page by page: is the file sound, and what is in it.
//!
//! The format is that of go.etcd.io/bbolt (`internal/common/{page,meta,bucket,inode}.go`). A file is pages of one size;
//! page 0 and 1 hold the same meta with different transaction ids, the newer sound one counts. From there a tree of branch
//! and leaf pages leads to the buckets. All numbers are little-endian. Nothing is mapped into memory: a page is read when
//! it is its turn, so that a file of any size needs a few pages of memory and one bit a page.

use super::pages::{self, Branch, Leaf, Meta, Page};
use std::fs::File;
use std::os::unix::fs::FileExt;

/// Deeper trees than this aren't made by bbolt: 32 levels of 4 KiB pages hold more than any disk.
const DEEPEST: usize = 32;
/// The longest page that is read: etcd's values end at some megabytes.
const LONGEST: u64 = 256 << 20;

/// What is wrong with a file, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsound {
    #[error("{0}")]
    Reading(String),
    #[error("{0}")]
    Structure(String),
}

impl Unsound {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self::Structure(text.into())
    }
}

/// Is shown everything in the order of the file.
pub trait Visit {
    /// A bucket begins; what follows is in it.
    fn bucket(&mut self, name: &[u8]);
    fn pair(&mut self, key: &[u8], value: &[u8]) -> Result<(), Unsound>;
}

/// What is done with the elements of leaf pages.
type Show<'a> = dyn FnMut(&mut Store, &Leaf<'_>) -> Result<(), Unsound> + 'a;

/// An open file whose meta page was sound.
#[derive(Debug)]
pub struct Store {
    file: File,
    meta: Meta,
    /// Pages that the tree has led to, one bit each.
    seen: Vec<u64>,
}

impl Store {
    /// Open a file of which the first `length` bytes are the store.
    ///
    /// # Errors
    /// Neither meta page is sound, or the length isn't that of the store.
    pub fn open(file: File, length: u64) -> Result<Self, Unsound> {
        let mut head = vec![0; usize::try_from(length.min(128 << 10)).unwrap_or_default()];
        file.read_exact_at(&mut head, 0)
            .map_err(|e| Unsound::Reading(e.to_string()))?;
        let meta = pages::newest_meta(&head)?;
        let size = u64::from(meta.page_size);
        if meta.pages.checked_mul(size) != Some(length) {
            return Err(Unsound::new(format!(
                "the store has {} pages of {size} bytes, the file has {length} bytes: something is missing or was added",
                meta.pages
            )));
        }
        let words = usize::try_from(meta.pages.div_ceil(64)).unwrap_or(usize::MAX);
        Ok(Self {
            file,
            seen: vec![0; words],
            meta,
        })
    }

    /// Walk every page of the tree and show every pair of every bucket; then hold the free pages against it.
    pub fn walk(&mut self, visit: &mut dyn Visit) -> Result<(), Unsound> {
        for page in 0..2 {
            self.reach(page, 1)?;
        }
        let mut last = None;
        self.tree(self.meta.root, 0, &mut last, &mut |store, leaf| {
            if !leaf.bucket {
                return Err(Unsound::new("there is a pair outside of all buckets"));
            }
            store.bucket(leaf.key, leaf.value, visit)
        })?;
        self.free_pages()
    }

    /// One bucket: its own tree, or a page inside of its value when it is small.
    fn bucket(&mut self, name: &[u8], value: &[u8], visit: &mut dyn Visit) -> Result<(), Unsound> {
        let (root, inline) = pages::bucket(value)?;
        visit.bucket(name);
        let show = |leaf: &Leaf<'_>, visit: &mut dyn Visit| {
            if leaf.bucket {
                return Err(Unsound::new(format!(
                    "there is a bucket inside of the bucket '{}', which etcd doesn't make",
                    name.escape_ascii()
                )));
            }
            visit.pair(leaf.key, leaf.value)
        };
        if root != 0 {
            let mut last = None;
            return self.tree(root, 0, &mut last, &mut |_, leaf| show(leaf, visit));
        }
        let page = Page::parse(inline, 0)?;
        let mut last: Option<Vec<u8>> = None;
        for leaf in page.leaves()? {
            ascending(&mut last, leaf.key, 0)?;
            show(&leaf, visit)?;
        }
        Ok(())
    }

    fn tree(
        &mut self,
        id: u64,
        depth: usize,
        last: &mut Option<Vec<u8>>,
        show: &mut Show<'_>,
    ) -> Result<(), Unsound> {
        if depth > DEEPEST {
            return Err(Unsound::new(format!("the tree at page {id} has no end")));
        }
        let bytes = self.read(id)?;
        let page = Page::parse(&bytes, id)?;
        if page.is_leaf() {
            for leaf in page.leaves()? {
                ascending(last, leaf.key, id)?;
                show(self, &leaf)?;
            }
            return Ok(());
        }
        for Branch { key, child } in page.branches()? {
            // A branch names the first key below it, or an earlier one.
            if last.as_deref().is_some_and(|l| l >= key) {
                return Err(Unsound::new(format!(
                    "the keys of page {id} are out of order"
                )));
            }
            self.tree(child, depth + 1, last, show)?;
        }
        Ok(())
    }

    /// A page with all that overflows from it, counted as reached.
    fn read(&mut self, id: u64) -> Result<Vec<u8>, Unsound> {
        let size = u64::from(self.meta.page_size);
        let mut header = [0; pages::HEADER];
        self.within(id, 1)?;
        self.get(&mut header, id * size)?;
        let (named, overflow) = pages::span(&header);
        if named != id {
            return Err(Unsound::new(format!(
                "page {id} says that it is page {named}"
            )));
        }
        let count = u64::from(overflow) + 1;
        self.reach(id, count)?;
        let length = count * size;
        if length > LONGEST {
            return Err(Unsound::new(format!("page {id} has {length} bytes")));
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
        self.get(&mut bytes, id * size)?;
        Ok(bytes)
    }

    fn get(&self, into: &mut [u8], at: u64) -> Result<(), Unsound> {
        self.file
            .read_exact_at(into, at)
            .map_err(|e| Unsound::Reading(e.to_string()))
    }

    fn within(&self, id: u64, count: u64) -> Result<(), Unsound> {
        match id.checked_add(count) {
            Some(end) if end <= self.meta.pages => Ok(()),
            _ => Err(Unsound::new(format!(
                "page {id} is named, but there are only {} pages",
                self.meta.pages
            ))),
        }
    }

    /// Mark pages; each may be reached once.
    fn reach(&mut self, id: u64, count: u64) -> Result<(), Unsound> {
        self.within(id, count)?;
        for page in id..id + count {
            let (word, bit) = (usize::try_from(page / 64).unwrap_or_default(), page % 64);
            if self.seen[word] & (1 << bit) != 0 {
                return Err(Unsound::new(format!("page {page} is used twice")));
            }
            self.seen[word] |= 1 << bit;
        }
        Ok(())
    }

    /// Where the store keeps a list of free pages, it and the tree together are all pages.
    fn free_pages(&mut self) -> Result<(), Unsound> {
        let Some(list) = self.meta.freelist else {
            return Ok(());
        };
        let bytes = self.read(list)?;
        let page = Page::parse(&bytes, list)?;
        for free in page.free()? {
            self.reach(free, 1)
                .map_err(|e| Unsound::new(format!("in the list of free pages: {e}")))?;
        }
        let lost = (0..self.meta.pages).find(|p| {
            self.seen[usize::try_from(p / 64).unwrap_or_default()] & (1 << (p % 64)) == 0
        });
        match lost {
            Some(page) => Err(Unsound::new(format!(
                "page {page} is neither in use nor free"
            ))),
            None => Ok(()),
        }
    }
}

fn ascending(last: &mut Option<Vec<u8>>, key: &[u8], id: u64) -> Result<(), Unsound> {
    if last.as_deref().is_some_and(|l| l >= key) {
        return Err(Unsound::new(format!(
            "the keys of page {id} are out of order"
        )));
    }
    let last = last.get_or_insert_default();
    last.clear();
    last.extend_from_slice(key);
    Ok(())
}
