//! Just enough of ELF to know what a program calls and whether it is static, so that the check needs no other tool.

const SECTION_SYMTAB: u32 = 2;
const SEGMENT_INTERP: u32 = 3;

/// A 64-bit little-endian ELF file.
pub(crate) struct Elf<'a> {
    bytes: &'a [u8],
}

impl<'a> Elf<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        // Magic, class 64, little endian.
        bytes
            .starts_with(b"\x7fELF\x02\x01")
            .then_some(Self { bytes })
    }

    /// Whether the program names a loader, as all dynamically linked ones do.
    pub(crate) fn needs_loader(&self) -> bool {
        self.table(0x20, 0x36, 0x38)
            .any(|segment| self.u32(segment) == Some(SEGMENT_INTERP))
    }

    /// The names in the table of symbols; none in a stripped program.
    pub(crate) fn symbols(&self) -> Vec<String> {
        let sections: Vec<usize> = self.table(0x28, 0x3a, 0x3c).collect();
        let Some(symtab) = sections
            .iter()
            .find(|section| self.u32(**section + 4) == Some(SECTION_SYMTAB))
        else {
            return Vec::new();
        };
        let names = self
            .u32(symtab + 0x28)
            .and_then(|index| self.range(*sections.get(index as usize)?));
        let (Some((start, size)), Some((names, names_size))) = (self.range(*symtab), names) else {
            return Vec::new();
        };
        (start..start + size)
            .step_by(24)
            .filter_map(|entry| {
                let offset = self.u32(entry)? as usize;
                let name = self.bytes.get(names + offset..names + names_size)?;
                let end = name.iter().position(|byte| *byte == 0)?;
                Some(String::from_utf8_lossy(&name[..end]).into_owned())
            })
            .filter(|name| !name.is_empty())
            .collect()
    }

    /// Offsets of the entries of a table whose place, entry size and length are at these offsets of the header.
    fn table(
        &self,
        place: usize,
        entry_size: usize,
        count: usize,
    ) -> impl Iterator<Item = usize> + use<> {
        let start = self.u64(place).unwrap_or(0);
        let size = self.u16(entry_size).unwrap_or(0);
        let count = self.u16(count).unwrap_or(0);
        (0..count).map(move |index| start + index * size)
    }

    /// Place and size of a section's content.
    fn range(&self, section: usize) -> Option<(usize, usize)> {
        Some((self.u64(section + 0x18)?, self.u64(section + 0x20)?))
    }

    fn u16(&self, at: usize) -> Option<usize> {
        let bytes = self.bytes.get(at..)?.first_chunk::<2>()?;
        Some(u16::from_le_bytes(*bytes).into())
    }

    fn u32(&self, at: usize) -> Option<u32> {
        Some(u32::from_le_bytes(
            *self.bytes.get(at..)?.first_chunk::<4>()?,
        ))
    }

    fn u64(&self, at: usize) -> Option<usize> {
        usize::try_from(u64::from_le_bytes(
            *self.bytes.get(at..)?.first_chunk::<8>()?,
        ))
        .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_very_program_is_read() {
        let bytes = std::fs::read("/proc/self/exe").expect("readable");
        let elf = Elf::parse(&bytes).expect("a program");
        assert!(elf.needs_loader(), "tests are linked dynamically");
        assert!(elf.symbols().iter().any(|symbol| symbol == "main"));
        assert!(Elf::parse(b"#!/bin/sh").is_none());
    }

    #[test]
    fn a_cut_program_does_not_panic() {
        let bytes = std::fs::read("/proc/self/exe").expect("readable");
        for length in [16, 64, 100, 4096] {
            if let Some(elf) = Elf::parse(&bytes[..length]) {
                elf.needs_loader();
                elf.symbols();
            }
        }
    }
}
