use dnw_data::IdxError;
use dnw_data::idx::{Idx, decode, read_images, read_labels};
use proptest::prelude::*;

use crate::{gzip, idx_file, largest_allocation};

const MIB: usize = 1 << 20;

fn images(file: &[u8]) -> Result<Idx, IdxError> {
    decode(file, file.len() as u64, 3)
}

fn sound() -> Vec<u8> {
    let pixels: Vec<u8> = (0..4 * 3 * 2).collect();
    idx_file(&[4, 3, 2], &pixels)
}

/// The error of the file and of the same file packed, which must agree.
fn refusal(file: &[u8]) -> String {
    let plain = images(file).unwrap_err().to_string();
    assert_eq!(plain, images(&gzip(file)).unwrap_err().to_string());
    plain
}

#[test]
fn a_file_is_read_the_same_packed_or_not() {
    let wanted = Idx {
        dims: vec![4, 3, 2],
        data: (0..24).collect(),
    };
    assert_eq!(images(&sound()).unwrap(), wanted);
    assert_eq!(images(&gzip(&sound())).unwrap(), wanted);
    assert_eq!(wanted.header(), &sound()[..16]);
}

#[test]
fn each_way_of_being_wrong_is_named() {
    let mut file = sound();
    file[0] = b'<';
    assert!(refusal(&file).contains("begins with the bytes 3c 00"));

    let mut file = sound();
    file[2] = 0x0d;
    assert!(refusal(&file).contains("type 0x0d"));

    assert!(refusal(&idx_file(&[24], &[0; 24])).contains("1 dimension(s) where 3 are needed"));
    assert!(refusal(&[]).contains("ends inside its header"));
    assert!(refusal(&sound()[..13]).contains("ends inside its header"));
    assert!(refusal(&idx_file(&[0, 3, 2], &[])).contains("0 images of 3x2"));
    assert_eq!(
        refusal(&sound()[..16 + 17]),
        "the header promises 4 images of 3x2, the file ends after 2"
    );

    let mut file = sound();
    file.push(0);
    assert!(refusal(&file).contains("further bytes follow"));
}

#[test]
fn a_gzip_stream_that_is_cut_or_altered_is_refused() {
    let packed = gzip(&sound());
    let mut altered = packed.clone();
    let checksum = altered.len() - 8;
    altered[checksum] ^= 1;
    assert!(matches!(images(&altered), Err(IdxError::Gzip(_))));
    let cut = &packed[..packed.len() - 4];
    assert!(matches!(images(cut), Err(IdxError::Gzip(_))));
}

#[test]
fn a_header_that_promises_too_much_takes_no_memory() {
    let side = u32::MAX;
    let overflowing = idx_file(&[side, side, side], &[1; 100]);
    let under_the_limit = idx_file(&[1 << 16, 1 << 7, 1 << 7], &[1; 100]);
    for file in [&overflowing, &under_the_limit] {
        for file in [file, &gzip(file)] {
            let (result, largest) = largest_allocation::during(|| images(file));
            assert!(matches!(
                result,
                Err(IdxError::Oversized { .. } | IdxError::Truncated { .. })
            ));
            assert!(largest < MIB / 4, "{largest} bytes were asked for");
        }
    }
}

#[test]
fn a_gzip_bomb_is_stopped_where_its_promise_ends() {
    let mut bomb = sound();
    bomb.resize(bomb.len() + 64 * MIB, 0);
    let bomb = gzip(&bomb);
    let (result, largest) = largest_allocation::during(|| images(&bomb));
    assert!(matches!(result, Err(IdxError::Trailing { .. })));
    assert!(largest < MIB / 4, "{largest} bytes were asked for");
}

#[test]
fn a_label_that_names_no_class_is_refused_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("labels");
    std::fs::write(&path, idx_file(&[4], &[0, 9, 10, 3])).unwrap();
    let error = read_labels(&path, 10).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot read `{}`: label 2 is 10, labels go from 0 to 9",
            path.display()
        )
    );
}

#[test]
fn a_file_that_was_cut_short_is_an_error_with_file_counts_and_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("train-images-idx3-ubyte.gz");
    std::fs::write(&path, gzip(&sound()[..16 + 20])).unwrap();
    let error = read_images(&path).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot read `{}`: the header promises 4 images of 3x2, the file ends after 3",
            path.display()
        )
    );
    assert!(error.help().contains("run `dnw data fetch mnist` again"));
}

#[test]
fn a_folder_in_place_of_a_file_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    assert!(read_images(folder.path()).is_err());
}

/// Bytes to overwrite, half of them in the header, where they do most harm.
fn overwrites() -> impl Strategy<Value = Vec<(usize, u8)>> {
    let place = prop_oneof![0..16usize, 0..600usize];
    prop::collection::vec((place, any::<u8>()), 0..6)
}

fn overwrite(file: &mut [u8], overwrites: &[(usize, u8)]) {
    for &(place, byte) in overwrites {
        if let Some(target) = file.get_mut(place) {
            *target = byte;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn no_damage_makes_the_reader_panic_or_take_much_memory(
        before_packing in overwrites(),
        after_packing in overwrites(),
        pack in any::<bool>(),
        keep in 0..700usize,
        surplus in prop::collection::vec(any::<u8>(), 0..3),
    ) {
        let pixels: Vec<u8> = (0..20 * 6 * 5).map(|pixel| (pixel * 7 % 251) as u8).collect();
        let mut file = idx_file(&[20, 6, 5], &pixels);
        overwrite(&mut file, &before_packing);
        if pack {
            file = gzip(&file);
            overwrite(&mut file, &after_packing);
        }
        file.truncate(keep);
        file.extend(surplus);

        let (result, largest) = largest_allocation::during(|| images(&file));
        // A header can promise up to 1024 MiB; 600 bytes of gzip can unpack to 0.6 MiB.
        prop_assert!(largest < MIB, "{} bytes were asked for", largest);
        if let Ok(idx) = result {
            prop_assert_eq!(idx.data.len(), idx.dims.iter().product::<usize>());
        }
    }
}
