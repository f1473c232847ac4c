//! Random changes of files whose structure is not known.

use fastrand::Rng;

/// Numbers that readers may not expect, as text.
const TEXTS: [&str; 12] = [
    "0",
    "-1",
    "7",
    "65536",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "1e308",
    "-1e-320",
    "nan",
    "null",
    "99999999999999999999999999",
];

/// A file with one to eight changes; some parts are taken from other files.
///
/// # Panics
/// If there is no file.
pub fn changed(random: &mut Rng, files: &[Vec<u8>]) -> Vec<u8> {
    let mut file = files[random.usize(..files.len())].clone();
    let other = &files[random.usize(..files.len())];
    for _ in 0..random.usize(1..=8) {
        if file.is_empty() {
            break;
        }
        change(random, &mut file, other);
        if random.bool() {
            break;
        }
    }
    file
}

fn change(random: &mut Rng, file: &mut Vec<u8>, other: &[u8]) {
    let at = place(random, file.len());
    let end = at + random.usize(..=(file.len() - at).min(32));
    match random.u8(..14) {
        0..=2 => file[at] ^= 1 << random.u8(..8),
        3 => file[at] = [0, 1, 0x7f, 0x80, 0xfe, 0xff][random.usize(..6)],
        4 => file[at] = file[at].wrapping_add(random.u8(..)),
        5 => drop(file.drain(at..end)),
        6 => file.truncate(at),
        7 => {
            let copy = file[at..end].to_vec();
            let to = random.usize(..=file.len());
            file.splice(to..to, copy);
        }
        8 => {
            let from = place(random, other.len());
            let taken = &other[from..other.len().min(from + random.usize(..64))];
            file.splice(at..end, taken.iter().copied());
        }
        9 | 10 => write_number(random, file, at),
        11 | 12 => replace_digits(random, file, at),
        _ => {
            let added: Vec<u8> = (0..random.usize(1..9)).map(|_| random.u8(..)).collect();
            file.splice(at..at, added);
        }
    }
}

/// A place in a file of so many bytes; more often near its beginning or end, where the structure of most formats is.
fn place(random: &mut Rng, bytes: usize) -> usize {
    if bytes == 0 {
        return 0;
    }
    let share = random.f64();
    let share = match random.u8(..4) {
        0 => share * share * share,
        1 => 1.0 - share * share * share,
        _ => share,
    };
    ((bytes as f64 * share) as usize).min(bytes - 1)
}

/// Writes a number of 1 to 8 bytes, in either order of bytes: a power of two or one of its neighbours.
fn write_number(random: &mut Rng, file: &mut [u8], at: usize) {
    let number = (1_u64 << random.u32(..64))
        .wrapping_add(random.u64(..3))
        .wrapping_sub(1);
    let length = [1, 2, 4, 8][random.usize(..4)];
    let mut digits = number.to_le_bytes()[..length].to_vec();
    if random.bool() {
        digits.reverse();
    }
    for (byte, digit) in file[at..].iter_mut().zip(digits) {
        *byte = digit;
    }
}

/// Replaces the next number in a text.
fn replace_digits(random: &mut Rng, file: &mut Vec<u8>, at: usize) {
    let Some(start) = file[at..].iter().position(u8::is_ascii_digit) else {
        return;
    };
    let start = at + start;
    let length = file[start..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let text = TEXTS[random.usize(..TEXTS.len())];
    file.splice(start..start + length, text.bytes());
}
