//! Tests of valid and damaged zip archives.

use dnw_checkpoint::{CheckpointError, parse};

use crate::by_hand::{Entry, Pickle, Tensor, archive, deflated, floats, refused_file, zip};

const VALUES: [f32; 6] = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];

/// The entries of a valid archive with one tensor.
fn sound() -> Vec<Entry> {
    let saved = Pickle::dictionary("weight", |pickle| pickle.tensor(&Tensor::default()));
    vec![
        Entry::stored("file/data.pkl", &saved.0),
        Entry::stored("file/byteorder", b"little"),
        Entry::stored("file/data/0", &floats(&VALUES)),
    ]
}

#[track_caller]
fn assert_refused(entries: &[Entry], expected: &str) {
    let error = refused_file(&zip(entries)).to_string();
    assert!(error.contains(expected), "{error}");
}

fn deflate(entry: &mut Entry) {
    let (packed, crc) = deflated(&entry.packed);
    entry.packed = packed;
    entry.crc = crc;
    entry.method = 8;
}

#[test]
fn stored_and_deflated_entries_have_the_same_content() {
    let mut entries = sound();
    let stored = parse(&zip(&entries)).unwrap();
    assert_eq!(stored.sections[0].tensors[0].data, VALUES);
    entries.iter_mut().for_each(deflate);
    assert_eq!(parse(&zip(&entries)).unwrap(), stored);
}

#[test]
fn a_missing_entry_is_an_error() {
    let mut entries = sound();
    entries.pop();
    assert_refused(&entries, "there is no entry `data/0`");
    entries.remove(0);
    assert_refused(&entries, "there is no `data.pkl` in it");
}

#[test]
fn duplicate_entries_are_an_error() {
    let mut entries = sound();
    entries.push(Entry::stored("file/data/0", &floats(&[9.0; 6])));
    assert_refused(&entries, "there are two entries `file/data/0`");
    let mut entries = sound();
    entries.push(Entry::stored("other/data.pkl", b"\x80\x02}."));
    assert_refused(&entries, "there are two entries `data.pkl`");
}

#[test]
fn a_storage_key_does_not_lead_out_of_the_archive() {
    let tensor = Tensor {
        key: "../../../../etc/passwd",
        ..Tensor::default()
    };
    let saved = Pickle::dictionary("weight", |pickle| pickle.tensor(&tensor));
    let error = refused_file(&archive(&saved, &[])).to_string();
    assert!(
        error.contains("there is no entry `data/../../../../etc/passwd`"),
        "{error}"
    );
}

#[test]
fn checksums_and_sizes_are_verified() {
    let mut entries = sound();
    entries[2].crc ^= 1;
    assert_refused(&entries, "file/data/0");
    let mut entries = sound();
    entries[2].size -= 4;
    assert_refused(&entries, "file/data/0");
    let mut entries = sound();
    deflate(&mut entries[2]);
    entries[2].size += 4;
    assert_refused(&entries, "file/data/0");
    let mut entries = sound();
    deflate(&mut entries[2]);
    entries[2].packed[0] = 0xff;
    assert_refused(&entries, "file/data/0");
}

#[test]
fn other_compression_methods_are_refused() {
    let mut entries = sound();
    entries[2].method = 93;
    assert_refused(&entries, "compressed in another way");
    let mut entries = sound();
    entries[2].flags = 1;
    assert_refused(&entries, "encrypted");
    let mut entries = sound();
    entries[1] = Entry::stored("file/byteorder", b"big");
    assert_refused(&entries, "little-endian");
}

#[test]
fn an_archive_cut_off_anywhere_is_refused() {
    let file = zip(&sound());
    for length in 0..file.len() {
        assert!(
            matches!(
                refused_file(&file[..length]),
                CheckpointError::Archive(_)
                    | CheckpointError::UnknownFormat
                    | CheckpointError::OtherFormat { .. }
            ),
            "cut to {length} bytes"
        );
    }
}
