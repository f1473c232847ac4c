//! Tests of every GPU kernel against its CPU counterpart in `dnw-kernels`, on random shapes.
//!
//! They run on wgpu's default adapter. Mesa's software adapter lavapipe is enough.

mod convolution;
mod levels;
mod norm;
mod sgd;

use cubecl::ir::{ElemType, UIntKind};
use cubecl::prelude::*;
use cubecl::wgpu::WgpuDevice;
use dnw_cube::Buffer;
use dnw_cube::bits::{self, MaskBits};
use dnw_cube::node::{self, NodeParameters, NodeShape};
use dnw_cube::product::{self, Strides};
use dnw_cube::selection::{self, NotANumber, Selection, Wanted};
use dnw_kernels::EdgeIndex;
use dnw_kernels::product::{Layout, ProductShape};

/// The element type of masks on the device.
const STORE: ElemType = ElemType::UInt(UIntKind::U32);

fn client() -> Client {
    cubecl::Device::Wgpu(WgpuDevice::default()).client()
}

fn floats(client: &Client, values: &[f32]) -> Buffer {
    let bits: Vec<u32> = values.iter().map(|value| value.to_bits()).collect();
    Buffer::from_slice(client, &bits)
}

fn read(client: &Client, buffer: &Buffer) -> Vec<f32> {
    let bits = buffer.read(client);
    bits.into_iter().map(f32::from_bits).collect()
}

fn normal(random: &mut fastrand::Rng, n: usize) -> Vec<f32> {
    // The sum of six uniform numbers is approximately normal.
    let one = |_| (0..6).map(|_| random.f32() - 0.5).sum();
    (0..n).map(one).collect()
}

#[track_caller]
fn close(what: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(1e-3f32, |m, v| m.max(v.abs()));
    for (index, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!(
            (a - b).abs() <= 2e-5 * largest,
            "{what}: {a} instead of {b} at {index}, largest {largest}"
        );
    }
}

#[test]
fn products_equal_those_on_the_cpu() {
    let (client, mut random) = (client(), fastrand::Rng::with_seed(1));
    for _ in 0..24 {
        let shape = ProductShape {
            images: random.usize(1..5),
            targets: random.usize(1..70),
            sources: random.usize(1..70),
            pixels: random.usize(1..40),
            layout: Layout::TargetsFirst,
        };
        let ProductShape {
            images,
            targets,
            sources,
            pixels,
            ..
        } = shape;
        let density = random.f32();
        let mask: Vec<u32> = (0..targets * sources)
            .map(|_| u32::from(random.f32() < density))
            .collect();
        let bytes: Vec<u8> = mask.iter().map(|&real| real as u8).collect();
        let weight = normal(&mut random, targets * sources);
        let x = normal(&mut random, images * sources * pixels);
        let dy = normal(&mut random, images * targets * pixels);
        let index = EdgeIndex::from_bytes(targets, sources, &bytes);
        let of_edges = index.weights(&weight);
        let (mut y, mut dx) = (vec![0.0; dy.len()], vec![0.0; x.len()]);
        dnw_kernels::product::forward(shape, &x, &of_edges, &index, &mut y);
        dnw_kernels::product::input_gradient(shape, &dy, &of_edges, &index, &mut dx);

        let on_device = Buffer::from_slice(&client, &mask);
        let by_targets = MaskBits::of_targets(&client, &on_device, [targets, sources], STORE);
        let by_sources = by_targets.by_source(&client, 1);
        let weight = floats(&client, &weight);
        let forward = Strides {
            row: sources,
            column: 1,
        };
        let back = Strides {
            row: 1,
            column: sources,
        };
        let found = Buffer::uninitialised(&client, y.len());
        product::gather(
            &client,
            &floats(&client, &x),
            &weight,
            forward,
            &by_targets,
            images,
            &found,
        );
        close("y", &read(&client, &found), &y);
        let found = Buffer::uninitialised(&client, dx.len());
        product::gather(
            &client,
            &floats(&client, &dy),
            &weight,
            back,
            &by_sources,
            images,
            &found,
        );
        close("dx", &read(&client, &found), &dx);
    }
}

#[test]
fn node_functions_and_their_gradients_equal_those_on_the_cpu() {
    let (client, mut random) = (client(), fastrand::Rng::with_seed(2));
    for (height, width) in [(1, 1), (2, 2), (4, 3), (5, 9), (8, 8), (16, 16), (3, 40)] {
        let shape = NodeShape {
            images: random.usize(1..4),
            nodes: random.usize(1..6),
            height,
            width,
        };
        let on_cpu = dnw_kernels::node::NodeShape {
            images: shape.images,
            nodes: shape.nodes,
            height,
            width,
            stride: 1,
        };
        let length = shape.images * shape.nodes * height * width;
        let (x, dy) = (normal(&mut random, length), normal(&mut random, length));
        let [gamma, beta] = [0, 1].map(|_| normal(&mut random, shape.nodes));
        let kernel = normal(&mut random, 9 * shape.nodes);
        let parameters = dnw_kernels::node::NodeParameters {
            gamma: &gamma,
            beta: &beta,
            kernel: &kernel,
            epsilon: 1e-3,
        };
        let (mut y, mut dx) = (vec![0.0; length], vec![0.0; length]);
        dnw_kernels::node::forward(on_cpu, &x, &parameters, &mut y);
        let expected = dnw_kernels::node::backward(on_cpu, &x, &parameters, &dy, &mut dx);

        let [x, dy] = [x, dy].map(|values| floats(&client, &values));
        let parameters = NodeParameters {
            gamma: floats(&client, &gamma),
            beta: floats(&client, &beta),
            kernel: floats(&client, &kernel),
            epsilon: 1e-3,
        };
        assert!(shape.fits(&client), "{shape:?}");
        let found = Buffer::uninitialised(&client, length);
        node::forward(&client, shape, &x, &parameters, &found);
        close("y", &read(&client, &found), &y);
        let found = Buffer::uninitialised(&client, length);
        let gradients = node::backward(&client, shape, &x, &parameters, &dy, &found);
        close("dx", &read(&client, &found), &dx);
        close("gamma", &read(&client, &gradients.gamma), &expected.gamma);
        close("beta", &read(&client, &gradients.beta), &expected.beta);
        close(
            "kernel",
            &read(&client, &gradients.kernel),
            &expected.kernel,
        );
    }
}

/// The selection by a stable sort, which is the definition.
fn sorted(weights: &[f32], real: &[u32], candidates: &[bool], k: usize) -> Selection {
    let mut order: Vec<usize> = (0..weights.len())
        .filter(|&entry| candidates[entry])
        .collect();
    order.sort_by(|&a, &b| weights[a].abs().total_cmp(&weights[b].abs()));
    let (rest, kept) = order.split_at(order.len() - k);
    let threshold = kept
        .first()
        .map_or(f32::INFINITY, |&entry| weights[entry].abs());
    let mut now = vec![false; weights.len()];
    kept.iter().for_each(|&entry| now[entry] = true);
    let list = |wanted: &dyn Fn(usize) -> bool| {
        let entries = (0..weights.len()).filter(|&entry| wanted(entry));
        entries.map(|entry| (entry, weights[entry].abs())).collect()
    };
    let magnitudes = rest.iter().map(|&entry| weights[entry].abs());
    Selection {
        added: list(&|entry| now[entry] && real[entry] == 0),
        removed: list(&|entry| !now[entry] && real[entry] != 0),
        threshold,
        nearest: magnitudes.clone().reduce(f32::max),
        contenders: magnitudes
            .filter(|&m| k > 0 && m >= 0.9 * threshold)
            .count(),
    }
}

#[test]
fn selections_equal_those_of_a_stable_sort() {
    let (client, mut random) = (client(), fastrand::Rng::with_seed(3));
    for round in 0..40 {
        let n = match round % 4 {
            0 => random.usize(1..40),
            1 => random.usize(1..3000),
            _ => random.usize(1..60_000),
        };
        let mut weights = normal(&mut random, n);
        // Many equal weights, subnormal ones, zeros of both signs and infinities.
        match round % 5 {
            0 => weights
                .iter_mut()
                .for_each(|w| *w = (*w * 4.0).round() / 4.0),
            1 => weights.iter_mut().for_each(|w| *w *= 1e-42),
            2 => (0..n / 7 + 1).for_each(|_| {
                weights[random.usize(0..n)] = [0.0, -0.0, f32::INFINITY][random.usize(0..3)]
            }),
            _ => {}
        }
        let is_candidate: Vec<bool> = match round % 3 {
            0 => vec![true; n],
            _ => (0..n).map(|_| random.f32() < 0.7).collect(),
        };
        let count = is_candidate.iter().filter(|&&may| may).count();
        let k = match round % 6 {
            0 => 0,
            1 => count,
            _ => random.usize(0..count + 1),
        };
        let real: Vec<u32> = is_candidate
            .iter()
            .map(|&may| u32::from(may && random.f32() < 0.3))
            .collect();
        let mut candidates = vec![0u32; n.div_ceil(32)];
        (0..n)
            .filter(|&e| is_candidate[e])
            .for_each(|e| candidates[e / 32] |= 1 << (e % 32));
        let mask = Buffer::from_slice(&client, &real);
        let wanted = Wanted {
            weights: floats(&client, &weights),
            real: mask.clone(),
            candidates: (round % 3 != 0).then_some(&candidates),
            k,
        };
        let select = || selection::select_top_k(&client, std::slice::from_ref(&wanted), STORE);
        let found = select().remove(0).expect("numbers");
        assert_eq!(
            found,
            sorted(&weights, &real, &is_candidate, k),
            "round {round}, {k} of {n}"
        );

        let swapped: Vec<u32> = found
            .added
            .iter()
            .chain(&found.removed)
            .map(|&(entry, _)| entry as u32)
            .collect();
        if !swapped.is_empty() {
            bits::toggle(&client, &mask, &swapped, STORE);
        }
        let real = mask.read(&client).iter().filter(|&&real| real != 0).count();
        assert_eq!(real, k, "round {round}");
        let again = select().remove(0).expect("numbers");
        assert!(
            again.added.is_empty() && again.removed.is_empty(),
            "round {round}"
        );
    }
}

#[test]
fn several_tensors_are_selected_from_at_once_and_a_nan_is_named_for_its_own() {
    let (client, mut random) = (client(), fastrand::Rng::with_seed(4));
    let sizes = [20_000, 1, 9000, 300, 40_000];
    let mut all: Vec<Vec<f32>> = sizes.map(|n| normal(&mut random, n)).into();
    (all[2][8500], all[2][1234]) = (f32::NAN, -f32::NAN);
    // Of equal entries not all are selected.
    all[3].fill(-0.5);
    let masks = sizes.map(|n| (0..n).map(|_| u32::from(random.bool())).collect::<Vec<_>>());
    let wanted: Vec<Wanted<'_>> = all
        .iter()
        .zip(&masks)
        .map(|(weights, mask)| Wanted {
            weights: floats(&client, weights),
            real: Buffer::from_slice(&client, mask),
            candidates: None,
            k: weights.len() / 3,
        })
        .collect();
    let found = selection::select_top_k(&client, &wanted, STORE);
    assert_eq!(found.len(), sizes.len());
    for (tensor, found) in found.into_iter().enumerate() {
        let (weights, mask) = (&all[tensor], &masks[tensor]);
        let expected = match tensor {
            2 => Err(NotANumber { entry: 1234 }),
            _ => Ok(sorted(
                weights,
                mask,
                &vec![true; weights.len()],
                weights.len() / 3,
            )),
        };
        assert_eq!(found, expected, "tensor {tensor}");
    }
    assert!(selection::select_top_k(&client, &[], STORE).is_empty());
}

#[test]
fn a_list_that_is_too_short_is_made_again_in_parts() {
    let (client, mut random) = (client(), fastrand::Rng::with_seed(11));
    let sizes = [5_000_000, 10, 2_500, 1_000];
    let all: Vec<Vec<f32>> = sizes.map(|n| normal(&mut random, n)).into();
    // All edges are real, as before a first selection, and nearly all of them swap out.
    let wanted = all.iter().map(|weights| Wanted {
        weights: floats(&client, weights),
        real: Buffer::from_slice(&client, &vec![1; weights.len()]),
        candidates: None,
        k: weights.len() / 10,
    });
    let wanted: Vec<Wanted<'_>> = wanted.collect();
    let found = selection::select_top_k(&client, &wanted, STORE);
    for (weights, found) in all.iter().zip(found) {
        let (real, may) = (vec![1; weights.len()], vec![true; weights.len()]);
        let expected = sorted(weights, &real, &may, weights.len() / 10);
        // Not by `assert_eq`, which would print millions of entries.
        assert!(found == Ok(expected), "of {} weights", weights.len());
    }
}
