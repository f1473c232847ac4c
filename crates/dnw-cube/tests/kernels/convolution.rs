//! Wired convolutions against those on the CPU.

use dnw_cube::Buffer;
use dnw_cube::bits::MaskBits;
use dnw_cube::convolution::{self, ConvolutionShape};
use dnw_kernels::EdgeIndex;
use dnw_kernels::convolution::ConvolutionShape as ShapeOnCpu;

use super::{STORE, client, close, floats, normal, read};

#[test]
fn convolutions_and_their_gradients_equal_those_on_the_cpu() {
    let (client, mut random) = (client(), fastrand::Rng::with_seed(21));
    // Kernel, stride, padding, dilation: of ResNet-50's layers, and uneven ones.
    let filters = [
        ([3, 3], [1, 1], [1, 1], [1, 1]),
        ([3, 3], [2, 2], [1, 1], [1, 1]),
        ([7, 7], [2, 2], [3, 3], [1, 1]),
        ([1, 1], [2, 2], [0, 0], [1, 1]),
        ([2, 3], [2, 1], [0, 2], [2, 1]),
        ([3, 2], [1, 3], [2, 0], [1, 3]),
    ];
    for (round, (kernel, stride, padding, dilation)) in
        filters.into_iter().cycle().take(18).enumerate()
    {
        let on_cpu = ShapeOnCpu {
            images: random.usize(1..4),
            sources: random.usize(1..20),
            targets: random.usize(1..50),
            maps: [random.usize(4..12), random.usize(4..12)],
            kernel,
            stride,
            padding,
            dilation,
            groups: 1,
        };
        let shape = ConvolutionShape {
            images: on_cpu.images,
            sources: on_cpu.sources,
            targets: on_cpu.targets,
            input: on_cpu.maps,
            output: on_cpu.output().expect("a kernel that fits"),
            kernel,
            stride,
            padding,
            dilation,
        };
        let (targets, edges) = (shape.targets, shape.edges_of_target());
        // No edges, all edges, and others.
        let density = match round {
            0 => 0.0,
            1 => 1.0,
            _ => random.f32(),
        };
        let mask: Vec<u32> = (0..targets * edges)
            .map(|_| u32::from(random.f32() < density))
            .collect();
        let bytes: Vec<u8> = mask.iter().map(|&real| real as u8).collect();
        let weight = normal(&mut random, targets * edges);
        let pixels = shape.input[0] * shape.input[1];
        let x = normal(&mut random, shape.images * shape.sources * pixels);
        let dy = normal(&mut random, shape.positions() * targets);

        let index = EdgeIndex::from_bytes(targets, edges, &bytes);
        let of_edges = index.weights(&weight);
        let (mut y, mut dx) = (vec![0.0; dy.len()], vec![0.0; x.len()]);
        let mut dw = vec![0.0; weight.len()];
        let pass = dnw_kernels::convolution::forward(&on_cpu, &x, &of_edges, &index, &mut y);
        let gradients = [Some(&mut dx[..]), Some(&mut dw[..])];
        dnw_kernels::convolution::backward(&on_cpu, &pass, &of_edges, &index, &dy, gradients);

        let on_device = Buffer::from_slice(&client, &mask);
        let by_target = MaskBits::of_targets(&client, &on_device, [targets, edges], STORE);
        let by_source = by_target.by_source(&client, shape.taps());
        let weight = floats(&client, &weight);
        let (inputs, gradient) = (floats(&client, &x), floats(&client, &dy));
        let found = Buffer::uninitialised(&client, y.len());
        convolution::forward(&client, &shape, &inputs, &weight, &by_target, &found);
        close("y", &read(&client, &found), &y);
        let found = Buffer::uninitialised(&client, dx.len());
        convolution::input_gradient(&client, &shape, &gradient, &weight, &by_source, &found);
        close("dx", &read(&client, &found), &dx);

        let found = Buffer::uninitialised(&client, shape.positions() * edges);
        convolution::columns(&client, &shape, &inputs, &found);
        let columns = read(&client, &found);
        let of_image = shape.output[0] * shape.output[1];
        let mut product = vec![0.0; dw.len()];
        for position in 0..shape.positions() {
            let (image, pixel) = (position / of_image, position % of_image);
            for target in 0..targets {
                let dy = dy[(image * targets + target) * of_image + pixel];
                for edge in 0..edges {
                    product[target * edges + edge] += dy * columns[position * edges + edge];
                }
            }
        }
        close("dw", &product, &dw);
    }
}
