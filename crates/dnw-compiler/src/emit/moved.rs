//! Steps that copy pixels.

use dnw_runtime::plan::{Maps, Piece};

use crate::graph::{Node, Op};

/// The pieces that a node copies.
pub(super) fn moved(node: &Node, from: Maps, to: Maps) -> Vec<Piece> {
    let [_, from_height, from_width] = from.shape;
    let [channels, height, width] = to.shape;
    let mut pieces = Vec::new();
    let mut copy = |from: usize, stride: usize, to: usize, len: usize| {
        pieces.push(Piece {
            from: from as u32,
            stride: stride as u32,
            to: to as u32,
            len: len as u32,
        });
    };
    match node.op {
        Op::Flatten | Op::Reshape => {
            // In row-major order, without what lies between channels.
            let (mut done, all) = (0, from.shape[0] * from.pixels());
            while done < all {
                let place = |maps: Maps| (done / maps.pixels(), done % maps.pixels());
                let ((source, x), (target, y)) = (place(from), place(to));
                let len = (from.pixels() - x).min(to.pixels() - y);
                let first = to.at + target * to.stride + y;
                copy(from.at + source * from.stride + x, 1, first, len);
                done += len;
            }
        }
        Op::Fold(side) => {
            for channel in 0..channels {
                let (source, place) = (channel / (side * side), channel % (side * side));
                for y in 0..height {
                    let line = (y * side + place / side) * from_width + place % side;
                    let first = to.at + channel * to.stride + y * width;
                    copy(from.at + source * from.stride + line, side, first, width);
                }
            }
        }
        Op::Crop { top, left } => {
            debug_assert!(top + height <= from_height);
            for channel in 0..channels {
                for y in 0..height {
                    let line = (top + y) * from_width + left;
                    let first = to.at + channel * to.stride + y * width;
                    copy(from.at + channel * from.stride + line, 1, first, width);
                }
            }
        }
        _ => unreachable!("other operations are kernels or views"),
    }
    pieces
}
