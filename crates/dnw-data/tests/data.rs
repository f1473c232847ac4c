//! Facts about the data: what is read, what is refused, and what a batch is.

#[path = "data/cifar10.rs"]
mod cifar10;
#[path = "data/cifar_python.rs"]
mod cifar_python;
#[path = "data/digits.rs"]
mod digits;
#[path = "data/fetch.rs"]
mod fetch;
#[path = "data/folders.rs"]
mod folders;
#[path = "data/idx.rs"]
mod idx;
#[path = "data/images.rs"]
mod images;
#[path = "data/largest_allocation.rs"]
mod largest_allocation;
#[path = "data/loader.rs"]
mod loader;
#[path = "data/mnist.rs"]
mod mnist;
#[path = "data/transforms.rs"]
mod transforms;

use std::io::Write;

/// An IDX file of unsigned bytes, written from the format's description.
fn idx_file(dims: &[u32], data: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, dims.len() as u8];
    for dim in dims {
        file.extend(dim.to_be_bytes());
    }
    file.extend(data);
    file
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}
