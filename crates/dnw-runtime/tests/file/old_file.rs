//! A file of version 1.0, written by hand as `docs/format.md` says. Every later version has to read it.

use dnw_runtime::Model;
use dnw_runtime::file::read;
use dnw_runtime::plan::*;

/// Bytes in hexadecimal, and what they are.
const HEADER: &str = "
    89 44 4e 57 0d 0a 1a 0a | magic number
    01 00 00 00             | version 1.0
    04 00 00 00             | four sections
    74 02 00 00 00 00 00 00 | 628 bytes

    01 00 00 00 00 00 00 00 | kind 1, the input; no flags
    a0 00 00 00 00 00 00 00 | at byte 160
    12 00 00 00 00 00 00 00 | 18 bytes
    17 17 8e 50 c0 7e 05 15 | their checksum

    02 00 00 00 00 00 00 00 | kind 2, names
    b2 00 00 00 00 00 00 00
    2d 00 00 00 00 00 00 00
    4d 9c 48 42 1d 5a 00 4f

    03 00 00 00 00 00 00 00 | kind 3, the plan
    df 00 00 00 00 00 00 00
    22 01 00 00 00 00 00 00
    06 c3 92 42 ee d3 7b 28

    04 00 00 00 00 00 00 00 | kind 4, weights
    01 02 00 00 00 00 00 00
    73 00 00 00 00 00 00 00
    03 67 45 88 c1 13 39 d6

    ad 1e 4f 31 ef e5 c0 69 | the checksum of all of the above
";

const INPUT: &str = "
    04 74 69 6e 79          | the name has 4 bytes: tiny
    01 02 02                | 1 channel of 2 x 2 pixels
    04                      | the shorter side becomes 4 pixels
    02                      | 2 classes
    03 63 61 74             | cat
    03 64 6f 67             | dog
";

const NAMES: &str = "
    03 70 61 64             | 0: pad
    00                      | 1: an empty name
    04 63 6f 6e 76          | 2: conv
    06 73 70 61 72 73 65    | 3: sparse
    02 64 77                | 4: dw
    04 6e 6f 72 6d          | 5: norm
    03 61 64 64             | 6: add
    07 73 68 75 66 66 6c 65 | 7: shuffle
    04 70 6f 6f 6c          | 8: pool
    02 66 63                | 9: fc
";

const PLAN: &str = "
    ac 02                   | the arena has 300 numbers
    00  01 02 02  10        | the image: at 0, shape, stride 16
    80 02  02 01 01  01     | the output: at 256, shape, stride 1
    01                      | 1 constant
    10  01 02 02  10        | at 16; its values are in the section weights
    0b                      | 11 steps

    00 01  01               | layer 0, reason 1: pad
    00  01 02 02  10        | from the image
    20                      | to 32
    03 03  01 01  01 01  01 01 | kernel 3 x 3, stride, padding and dilation 1
    02 02  02 02  03  20  01 01 | map, output, line, row, rows per channel

    02 03  02               | layer 2, reason 3: sums
    01                      | blocks of one target
    03 01 a4                | starts 0, 2, 5: three sizes, k = 1; 0 = 00, 2 = 10 0, 3 = 10 1
    05 02 4a 18             | terms 1, 8 and 0, 4, 5: five gaps 1, 6, 0, 3, 0, k = 2
    09  01 01 40  01 08 02  | nine rows: once +32, eight times +1
    02 02                   | the sums' height and width
    03                      | line
    02  02 01 02 01         | two channels, 1 and 0: once +1 -1
    40  02 02 02  10        | to 64
    00 01 00                | no residual, ReLU, no convolution behind

    04 01  03               | layer 4: depthwise
    40  02 02 02  10        | from 64
    60  02 02 02  10        | to 96
    01 01  01 01  00 00  01 01 | kernel 1 x 1
    00                      | no ReLU

    05 01  06               | layer 5: norm
    60  02 02 02  10        | from 96
    80 01  02 02 02  10     | to 128
    01 00 00 00 3f          | epsilon 0.5
    00                      | no ReLU

    06 01  07               | layer 6: add
    02                      | two terms
    00 00 80 3f  80 01  02 02 02  10 | 1 times the maps at 128
    00 00 00 c0  60  02 02 02  10 | -2 times those at 96
    a0 01  02 02 02  10     | to 160
    01                      | ReLU

    07 01  08               | layer 7: copy
    c0 01  02 02 02  10     | to 192
    02  02 01 c0 02 20      | from 160, 176
    02  02 01 02 00         | strides 1, 1
    02  02 01 a0 03 1f      | to 208, 192
    02  02 01 08 00         | 4 numbers each

    08 01  05               | layer 8: pool
    c0 01  02 02 02  10     | from 192
    e0 01  02 01 01  01     | to 224
    01                      | average
    02 02  01 01  00 00  01 01 | of 2 x 2

    09 01  04               | layer 9: linear
    e0 01  02 01 01  01     | from 224
    80 02  02 01 01  01     | to 256
    01                      | with edges
    03 00 1a                | starts 0, 1, 3: sizes 0, 1, 2, k = 0
    03 00 01                | sources 1 and 0, 1: gaps 1, 0, 0, k = 0
    00                      | no ReLU

    09 01  09               | layer 9: activation
    80 02  02 01 01  01     | from 256
    80 02  02 01 01  01     | to 256, in place
    02  00 00 80 3e  00 00 00 3f | between 0 and 1: 0.25 x + 0.5
    01                      | times x

    09 01  0a               | layer 9: product
    80 02  02 01 01  01     | from 256
    e0 01  02 01 01  01     | by 224
    80 02  02 01 01  01     | to 256, in place

    09 01  0b               | layer 9: softmax
    e0 01  02 01 01  01     | from 224
    80 02  02 01 01  01     | to 256
";

const WEIGHTS: &str = "
    01 00  00 00 00 3f      | mean 0.5
    01 00  00 00 80 3e      | deviation 0.25
    04 00  00 00 80 3f  00 00 00 40  00 00 80 bf  00 00 00 00 | the constant: 1, 2, -1, 0
    02 00  00 00 00 00  00 00 80 3f | conv: biases 0, 1
    05 02                   | five weights in eight bits
    00 00 00 3f  00 00 80 3e | scales 0.5, 0.25
    7f 81  01 02 ff         | 127, -127; 1, 2, -1
    02 00  00 00 00 3f  00 00 00 bf | dw: biases 0.5, -0.5
    02 01  00 3c  00 c0     | weights of 16 bits: 1, -2
    02 00  00 00 80 3f  00 00 00 40 | norm: scales 1, 2
    02 00  00 00 00 00  00 00 80 3f | shifts 0, 1
    02 00  00 00 00 00  00 00 00 00 | fc: biases
    03 00  00 00 80 3f  00 00 80 bf  00 00 00 40 | weights 1, -1, 2
";

fn bytes(text: &str) -> Vec<u8> {
    text.lines()
        .flat_map(|line| line.split('|').next().unwrap_or("").split_whitespace())
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect()
}

fn plan() -> Plan {
    let window = |side: usize, padding: usize| Window {
        kernel: [side; 2],
        stride: [1; 2],
        padding: [padding; 2],
        dilation: [1; 2],
    };
    let image = Maps::new(0, [1, 2, 2]);
    let maps = |at| Maps::new(at, [2, 2, 2]);
    let (features, output) = (Maps::new(224, [2, 1, 1]), Maps::new(256, [2, 1, 1]));
    let piece = |from, to| Piece {
        from,
        stride: 1,
        to,
        len: 4,
    };
    let steps = [
        (
            "pad",
            "",
            Op::Pad(Pad {
                from: image,
                to: 32,
                layout: Padded::new(window(3, 1), [2, 2]).unwrap(),
            }),
        ),
        (
            "conv",
            "sparse",
            Op::Sums(Sums {
                block: 1,
                rows: (32..41).collect(),
                starts: vec![0, 2, 5],
                terms: vec![1, 8, 0, 4, 5],
                weights: vec![63.5, -63.5, 0.25, 0.5, -0.25],
                bias: vec![0.0, 1.0],
                map: [2, 2],
                line: 3,
                channels: vec![1, 0],
                to: maps(64),
                residual: vec![],
                relu: true,
                then: None,
            }),
        ),
        (
            "dw",
            "",
            Op::Depthwise(Depthwise {
                from: maps(64),
                to: maps(96),
                window: window(1, 0),
                weights: vec![1.0, -2.0],
                bias: vec![0.5, -0.5],
                relu: false,
            }),
        ),
        (
            "norm",
            "",
            Op::Norm(NormMaps {
                from: maps(96),
                to: maps(128),
                epsilon: Some(0.5),
                scale: vec![1.0, 2.0],
                shift: vec![0.0, 1.0],
                relu: false,
            }),
        ),
        (
            "add",
            "",
            Op::Add(AddMaps {
                from: vec![(1.0, maps(128)), (-2.0, maps(96))],
                to: maps(160),
                relu: true,
            }),
        ),
        (
            "shuffle",
            "",
            Op::Copy(CopyPixels {
                to: maps(192),
                pieces: vec![piece(160, 208), piece(176, 192)],
            }),
        ),
        (
            "pool",
            "",
            Op::Pool(PoolMaps {
                from: maps(192),
                to: features,
                pool: Pool::Average,
                window: window(2, 0),
            }),
        ),
        (
            "fc",
            "",
            Op::Linear(Linear {
                from: features,
                to: output,
                edges: Some(Edges {
                    starts: vec![0, 1, 3],
                    sources: vec![1, 0, 1],
                }),
                weights: vec![1.0, -1.0, 2.0],
                bias: vec![0.0, 0.0],
                relu: false,
            }),
        ),
        (
            "fc",
            "",
            Op::Activation(ActivateMaps {
                from: output,
                to: output,
                activation: Activation {
                    function: Function::HardSigmoid {
                        slope: 0.25,
                        shift: 0.5,
                    },
                    gated: true,
                },
            }),
        ),
        (
            "fc",
            "",
            Op::Product(MultiplyMaps {
                from: output,
                by: features,
                to: output,
            }),
        ),
        (
            "fc",
            "",
            Op::Softmax(SoftmaxMaps {
                from: features,
                to: output,
            }),
        ),
    ];
    Plan {
        input: Input {
            name: "tiny".to_owned(),
            shape: [1, 2, 2],
            mean: vec![0.5],
            deviation: vec![0.25],
            resize: 4,
            classes: vec!["cat".to_owned(), "dog".to_owned()],
        },
        image,
        output,
        arena: 300,
        constants: vec![Constant {
            maps: Maps::new(16, [1, 2, 2]),
            values: vec![1.0, 2.0, -1.0, 0.0],
        }],
        steps: steps
            .map(|(layer, reason, op)| Step {
                layer: layer.to_owned(),
                reason: reason.to_owned(),
                op,
            })
            .to_vec(),
    }
}

#[test]
fn a_file_of_version_1_0_is_read() {
    let file = [HEADER, INPUT, NAMES, PLAN, WEIGHTS].map(bytes).concat();
    let read = read(&file).unwrap();
    assert_eq!(read, plan());
    assert!(Model::new(read).is_ok());
}
