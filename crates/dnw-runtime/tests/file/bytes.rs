//! The outside of a model file as `docs/format.md` describes it, written once more, so that tests can change a file and make it whole again.

/// A section.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    pub kind: u32,
    pub flags: u32,
    pub bytes: Vec<u8>,
}

/// A file.
#[derive(Clone, Debug, PartialEq)]
pub struct File {
    pub version: [u16; 2],
    pub sections: Vec<Section>,
}

impl File {
    /// Takes a valid file apart.
    pub fn parse(file: &[u8]) -> Self {
        let number = |at: usize, bytes: usize| -> u64 {
            let bytes = file[at..at + bytes].iter().rev();
            bytes.fold(0, |value, &byte| value << 8 | u64::from(byte))
        };
        let sections = (0..number(12, 4) as usize).map(|i| {
            let entry = 24 + 32 * i;
            let (offset, length) = (number(entry + 8, 8), number(entry + 16, 8));
            Section {
                kind: number(entry, 4) as u32,
                flags: number(entry + 4, 4) as u32,
                bytes: file[offset as usize..(offset + length) as usize].to_vec(),
            }
        });
        Self {
            version: [number(8, 2) as u16, number(10, 2) as u16],
            sections: sections.collect(),
        }
    }

    /// Puts a file together, with lengths and checksums as they must be.
    pub fn assemble(&self) -> Vec<u8> {
        let table = 24 + 32 * self.sections.len();
        let contents: usize = self.sections.iter().map(|s| s.bytes.len()).sum();
        let mut file = b"\x89DNW\r\n\x1a\n".to_vec();
        file.extend(self.version.iter().flat_map(|v| v.to_le_bytes()));
        file.extend((self.sections.len() as u32).to_le_bytes());
        file.extend(((table + 8 + contents) as u64).to_le_bytes());
        let mut offset = table + 8;
        for section in &self.sections {
            file.extend(section.kind.to_le_bytes());
            file.extend(section.flags.to_le_bytes());
            let numbers = [
                offset as u64,
                section.bytes.len() as u64,
                checksum(&section.bytes),
            ];
            file.extend(numbers.iter().flat_map(|n| n.to_le_bytes()));
            offset += section.bytes.len();
        }
        file.extend([0; 8]);
        for section in &self.sections {
            file.extend(&section.bytes);
        }
        seal(&mut file);
        file
    }
}

/// Writes the checksum of header and table, whatever they say, if the file has a place for it.
pub fn seal(file: &mut [u8]) {
    let count = u32::from_le_bytes(file[12..16].try_into().unwrap());
    let end = 24_usize.saturating_add((count as usize).saturating_mul(32));
    if let Some((table, rest)) = file.split_at_mut_checked(end)
        && rest.len() >= 8
    {
        rest[..8].copy_from_slice(&checksum(table).to_le_bytes());
    }
}

/// The checksum of a section, or of header and table.
pub fn checksum(bytes: &[u8]) -> u64 {
    let mut padded = bytes.to_vec();
    padded.resize(bytes.len().next_multiple_of(32), 0);
    let add = |state: u64, word: u64| {
        let product = (state ^ word).wrapping_mul(11_400_714_819_323_198_485);
        product ^ (product >> 32)
    };
    let mut states = [bytes.len() as u64, 0, 0, 0];
    for (i, word) in padded.chunks(8).enumerate() {
        let word = word
            .iter()
            .rev()
            .fold(0, |word, &byte| word << 8 | u64::from(byte));
        states[i % 4] = add(states[i % 4], word);
    }
    add(add(add(states[0], states[1]), states[2]), states[3])
}

/// A number in LEB128.
pub fn varint(value: u64) -> Vec<u8> {
    let digits = (64 - value.leading_zeros()).div_ceil(7).max(1);
    let digit = |i: u32| (value >> (7 * i)) as u8 & 0x7f;
    (0..digits)
        .map(|i| digit(i) | if i + 1 < digits { 0x80 } else { 0 })
        .collect()
}
