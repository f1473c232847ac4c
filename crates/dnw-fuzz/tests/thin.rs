//! The bound on a JPEG's memory holds for pictures of a single row, which a decoder rounds up to whole blocks.

use dnw_fuzz::named;
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

#[path = "../../dnw-checkpoint/tests/checkpoint/live_memory.rs"]
mod live_memory;

use live_memory::most_during;

#[test]
fn the_widest_row_stays_within_the_bound() {
    use SamplingFactor::{F_1_1, F_1_2, F_1_4, F_2_1, F_2_2, F_2_4, F_4_1, F_4_2};
    let width = u16::MAX;
    let format = named("jpeg").unwrap();
    for (color, channels) in [
        (ColorType::Luma, 1),
        (ColorType::Rgb, 3),
        (ColorType::CmykAsYcck, 4),
    ] {
        let pixels = vec![90; usize::from(width) * channels];
        for sampling in [F_1_1, F_2_1, F_1_2, F_2_2, F_4_1, F_4_2, F_1_4, F_2_4] {
            for progressive in [false, true] {
                let mut file = Vec::new();
                let mut encoder = Encoder::new(&mut file, 60);
                encoder.set_sampling_factor(sampling);
                encoder.set_progressive(progressive);
                encoder.encode(&pixels, width, 1, color).unwrap();
                // Damaged as much as is still decoded: nearly all of the pixels are missing.
                let damaged = [&file[..1022], &[0xff, 0xd9]].concat();
                for file in [file, damaged] {
                    let (_, memory) = most_during(|| (format.read)(&file));
                    let most = (format.most_memory)(file.len());
                    assert!(
                        memory <= most,
                        "{color:?}, {sampling:?}, progressive {progressive}, {} bytes: {memory} of {most}",
                        file.len()
                    );
                }
            }
        }
    }
}
