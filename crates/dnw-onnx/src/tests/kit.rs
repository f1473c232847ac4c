//! Small models.

use dnw_circuit::interpret;
use prost::Message;
use prost::bytes::Bytes;

use crate::proto::{
    Attribute, Dimension, Graph, Model, Node, OperatorSet, Shape, Tensor, TensorType, Type,
    ValueInfo,
};
use crate::{ImportError, Imported, import};

/// A model with the input `x` and the output `y`.
pub struct Kit {
    pub graph: Graph,
    pub opset: i64,
}

/// An attribute.
pub enum With<'a> {
    Int(i64),
    Float(f32),
    Text(&'a str),
    Ints(&'a [i64]),
}

pub fn bytes(message: &impl Message) -> Bytes {
    Bytes::from(message.encode_to_vec())
}

pub fn info(name: &str, dims: &[i64]) -> Bytes {
    let dim = dims.iter().map(|&size| Dimension {
        value: (size > 0).then_some(size),
        name: (size <= 0).then(|| "N".to_owned()),
    });
    bytes(&ValueInfo {
        name: name.to_owned(),
        kind: Some(Type {
            tensor: Some(TensorType {
                element: 1,
                shape: Some(Shape { dim: dim.collect() }),
            }),
        }),
    })
}

pub fn tensor(name: &str, dims: &[usize], values: &[f32]) -> Tensor {
    Tensor {
        dims: dims.iter().map(|&size| size as i64).collect(),
        data_type: 1,
        float_data: values.to_vec(),
        name: name.to_owned(),
        ..Tensor::default()
    }
}

impl Kit {
    /// A model for images of this shape, without the batch.
    pub fn new(image: [usize; 3]) -> Self {
        let [channels, height, width] = image.map(|size| size as i64);
        Self {
            graph: Graph {
                input: vec![info("x", &[0, channels, height, width])],
                output: vec![info("y", &[])],
                ..Graph::default()
            },
            opset: 17,
        }
    }

    pub fn opset(mut self, opset: i64) -> Self {
        self.opset = opset;
        self
    }

    /// Adds a node: `"a, b -> c"` are its inputs and outputs.
    pub fn node(mut self, operator: &str, names: &str, attributes: &[(&str, With<'_>)]) -> Self {
        let (inputs, outputs) = names.split_once("->").unwrap();
        let list = |text: &str| -> Vec<String> {
            let names = text.split(',').map(|name| name.trim().to_owned());
            names.collect()
        };
        let attribute = attributes.iter().map(|(name, with)| {
            let mut attribute = Attribute {
                name: (*name).to_owned(),
                ..Attribute::default()
            };
            match with {
                With::Int(i) => (attribute.i, attribute.kind) = (Some(*i), 2),
                With::Float(f) => (attribute.f, attribute.kind) = (Some(*f), 1),
                With::Text(s) => {
                    attribute.s = Some(Bytes::copy_from_slice(s.as_bytes()));
                    attribute.kind = 3;
                }
                With::Ints(ints) => (attribute.ints, attribute.kind) = (ints.to_vec(), 7),
            }
            bytes(&attribute)
        });
        let node = Node {
            input: list(inputs),
            output: list(outputs),
            name: format!("node {}", self.graph.node.len()),
            op_type: operator.to_owned(),
            attribute: attribute.collect(),
            domain: String::new(),
        };
        self.graph.node.push(bytes(&node));
        self
    }

    pub fn floats(mut self, name: &str, dims: &[usize], values: &[f32]) -> Self {
        self.graph
            .initializer
            .push(bytes(&tensor(name, dims, values)));
        self
    }

    pub fn ints(mut self, name: &str, values: &[i64]) -> Self {
        let tensor = Tensor {
            dims: vec![values.len() as i64],
            data_type: 7,
            int64_data: values.to_vec(),
            name: name.to_owned(),
            ..Tensor::default()
        };
        self.graph.initializer.push(bytes(&tensor));
        self
    }

    /// Integers of a type of the schema: 2 and 3 of 8 bits, 4 and 5 of 16, 6 of 32; the first of each pair without a sign.
    pub fn integers(mut self, name: &str, dims: &[usize], data_type: i32, values: &[i32]) -> Self {
        let tensor = Tensor {
            dims: dims.iter().map(|&size| size as i64).collect(),
            data_type,
            int32_data: values.to_vec(),
            name: name.to_owned(),
            ..Tensor::default()
        };
        self.graph.initializer.push(bytes(&tensor));
        self
    }

    pub fn model(&self) -> Vec<u8> {
        Model {
            ir_version: 8,
            graph: Some(bytes(&self.graph)),
            opset_import: vec![bytes(&OperatorSet {
                domain: String::new(),
                version: self.opset,
            })],
            ..Model::default()
        }
        .encode_to_vec()
    }

    pub fn import(&self) -> Result<Imported, ImportError> {
        import(self.model(), None, None)
    }

    pub fn run(&self, image: &[f32]) -> Vec<f64> {
        let imported = self.import().unwrap_or_else(|error| panic!("{error}"));
        interpret(&imported.circuit, image).unwrap()
    }

    pub fn error(&self) -> String {
        self.import().expect_err("it is not supported").to_string()
    }
}

/// Numbers from -1 to 1 that depend on the seed.
pub fn noise(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

pub fn close(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (at, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!(
            (a - b).abs() <= 1e-5 * (1.0 + b.abs()),
            "{at}: {a} instead of {b}"
        );
    }
}
