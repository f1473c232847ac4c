//! Files that are not as they were written.

use dnw_runtime::file::{FileError, Precision, read, write};

use crate::networks;

fn file() -> Vec<u8> {
    write(&networks::network(3), Precision::Int8)
}

#[test]
fn a_flipped_bit_anywhere_is_found() {
    let mut file = file();
    for bit in 0..8 * file.len() {
        file[bit / 8] ^= 1 << (bit % 8);
        assert!(read(&file).is_err(), "bit {bit}");
        file[bit / 8] ^= 1 << (bit % 8);
    }
    assert!(read(&file).is_ok());
}

#[test]
fn a_changed_byte_in_a_section_names_it() {
    let mut file = file();
    let last = file.len() - 1;
    file[last] ^= 0xff;
    let damaged = |part: &str| FileError::Damaged {
        part: part.to_owned(),
    };
    assert_eq!(read(&file), Err(damaged("section `weights`")));
    file[last] ^= 0xff;
    // A checksum in the table.
    file[24 + 32 + 25] ^= 1;
    assert_eq!(read(&file), Err(damaged("header")));
}

#[test]
fn two_bytes_that_are_exchanged_are_found() {
    let file = file();
    for at in 1..file.len() {
        if file[at] != file[at - 1] {
            let mut changed = file.clone();
            changed.swap(at, at - 1);
            assert!(read(&changed).is_err(), "byte {at}");
        }
    }
}

#[test]
fn a_file_that_ends_anywhere_too_early_says_so() {
    let file = file();
    assert_eq!(read(&[]), Err(FileError::Empty));
    for length in 1..file.len() {
        match read(&file[..length]) {
            Err(FileError::CutShort { expected, found }) => {
                assert_eq!(found, length as u64);
                assert!(found < expected && expected <= file.len() as u64);
                // With a whole header the length is known.
                assert!(length < 24 || expected == file.len() as u64);
            }
            other => panic!("{length} bytes: {other:?}"),
        }
    }
}

#[test]
fn bytes_behind_the_file_are_refused() {
    let mut file = file();
    let expected = file.len() as u64;
    file.push(0);
    let found = expected + 1;
    assert_eq!(read(&file), Err(FileError::TooLong { expected, found }));
}
