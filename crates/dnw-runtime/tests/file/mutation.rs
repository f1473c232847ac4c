//! Changes files at random. Checksums are made right again, so that the changes reach what reads the sections.

use dnw_runtime::file::{Precision, write};

use crate::bytes::{File, Section, seal, varint};
use crate::random::Random;
use crate::{networks, plans};

/// A valid file.
pub fn valid_file(random: &mut Random) -> Vec<u8> {
    let precision = [Precision::F32, Precision::F16, Precision::Int8][random.below(3)];
    let plan = if random.one_in(2) {
        networks::network(random.next())
    } else {
        plans::plan(random.next())
    };
    write(&plan, precision)
}

/// The file with one to four changes; some are taken from another file.
pub fn changed(random: &mut Random, file: &[u8], other: &[u8]) -> Vec<u8> {
    let (mut parts, other) = (File::parse(file), File::parse(other));
    for _ in 0..1 + random.below(4) {
        match random.below(20) {
            0 => change_table(random, &mut parts),
            _ => change_section(random, &mut parts, &other),
        }
    }
    let mut file = parts.assemble();
    match random.below(40) {
        // A field of the table that does not fit the others.
        0 => {
            let at = 8 + random.below(16 + 32 * parts.sections.len());
            file[at] = random.next() as u8;
            seal(&mut file);
        }
        1 => file.truncate(random.below(file.len())),
        2 => file.extend(random.next().to_le_bytes()),
        // Without right checksums.
        3 => {
            let at = random.below(file.len());
            file[at] ^= 1 << random.below(8);
        }
        _ => {}
    }
    file
}

fn change_table(random: &mut Random, file: &mut File) {
    let at = random.below(file.sections.len());
    match random.below(6) {
        0 => file.version[random.below(2)] = random.below(4) as u16,
        1 if file.sections.len() > 1 => {
            file.sections.remove(at);
        }
        2 => file.sections.insert(
            at,
            Section {
                kind: random.below(9) as u32,
                flags: random.below(4) as u32,
                bytes: vec![7; random.below(20)],
            },
        ),
        3 => file.sections[at].kind = random.below(9) as u32,
        4 => file.sections[at].flags = random.next() as u32,
        _ => {
            let to = random.below(file.sections.len());
            file.sections.swap(at, to);
        }
    }
}

fn change_section(random: &mut Random, file: &mut File, other: &File) {
    let at = random.below(file.sections.len());
    let bytes = &mut file.sections[at].bytes;
    let start = random.below(bytes.len());
    let end = start
        + random
            .below(bytes.len() - start + 1)
            .min(1 + random.below(16));
    match random.below(10) {
        0 | 1 if !bytes.is_empty() => bytes[start] ^= 1 << random.below(8),
        2 if !bytes.is_empty() => bytes[start] = [0, 1, 2, 127, 128, 254, 255][random.below(7)],
        3 if !bytes.is_empty() => bytes[start] = bytes[start].wrapping_add(random.next() as u8),
        // A large count in place of a number.
        4 => {
            let value = (1_u64 << random.below(64)) - random.below(2) as u64;
            let end = end.min(start + 1);
            bytes.splice(start..end, varint(value));
        }
        5 => {
            bytes.drain(start..end);
        }
        6 => {
            let copy = bytes[start..end].to_vec();
            let to = random.below(bytes.len());
            bytes.splice(to..to, copy);
        }
        7 => {
            let from = &other.sections[random.below(other.sections.len())].bytes;
            let first = random.below(from.len());
            let taken = &from[first..(first + 1 + random.below(32)).min(from.len())];
            bytes.splice(start..end, taken.iter().copied());
        }
        8 => bytes.truncate(start),
        9 if end - start >= 4 => {
            let odd = [f32::NAN, f32::INFINITY, f32::MAX, 1e-45, -0.0, 1e38];
            bytes.splice(start..start + 4, odd[random.below(6)].to_le_bytes());
        }
        _ => {}
    }
}
