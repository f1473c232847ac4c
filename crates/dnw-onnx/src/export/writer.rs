//! Collects nodes and initializers of a model.

use prost::Message;
use prost::bytes::Bytes;

use crate::Description;
use crate::proto::{
    Attribute, Dimension, Entry, Graph, Model, Node, OperatorSet, Shape, SparseTensor, Tensor,
    TensorType, Type, ValueInfo,
};

/// ONNX's operators of 2022, which every runtime of today reads.
const OPSET: i64 = 17;
/// The version of the file format that belongs to them.
const IR: i64 = 8;
/// Numbers of the schema for types of elements and of attributes.
const FLOAT: i32 = 1;
const INT64: i32 = 7;
const ATTRIBUTE_FLOAT: i32 = 1;
const ATTRIBUTE_INT: i32 = 2;
const ATTRIBUTE_INTS: i32 = 7;
/// Data of other files begins at multiples of this, so that it can be mapped to memory.
const PAGE: usize = 4096;
/// Tensors of fewer numbers stay in the model's own file and are never sparse.
const SMALL: usize = 256;

/// What a model is written to.
pub struct Writer {
    nodes: Vec<Bytes>,
    initializers: Vec<Bytes>,
    sparse_initializers: Vec<Bytes>,
    /// Whether weights with many zeros are stored sparsely.
    sparse: bool,
    /// The name of the file for large tensors, and its bytes.
    external: Option<(String, Vec<u8>)>,
    names: usize,
}

/// An attribute's value.
pub enum Setting<'a> {
    Int(i64),
    Ints(&'a [usize]),
    Float(f32),
}

impl Writer {
    pub fn new(sparse: bool, external: Option<String>) -> Self {
        Self {
            nodes: Vec::new(),
            initializers: Vec::new(),
            sparse_initializers: Vec::new(),
            sparse,
            external: external.map(|name| (name, Vec::new())),
            names: 0,
        }
    }

    /// A name that no other value has.
    pub fn name(&mut self, base: &str) -> String {
        self.names += 1;
        format!("{base}/{}", self.names)
    }

    /// Adds a node with one output, and returns the output's name.
    pub fn node(
        &mut self,
        layer: &str,
        operator: &str,
        inputs: &[&str],
        settings: &[(&str, Setting<'_>)],
    ) -> String {
        let name = self.name(&format!("{layer}/{operator}"));
        let attribute = settings.iter().map(|(name, setting)| {
            let name = (*name).to_owned();
            let attribute = match *setting {
                Setting::Int(i) => Attribute {
                    i: Some(i),
                    kind: ATTRIBUTE_INT,
                    ..Attribute::default()
                },
                Setting::Ints(ints) => Attribute {
                    ints: ints.iter().map(|&size| size as i64).collect(),
                    kind: ATTRIBUTE_INTS,
                    ..Attribute::default()
                },
                Setting::Float(f) => Attribute {
                    f: Some(f),
                    kind: ATTRIBUTE_FLOAT,
                    ..Attribute::default()
                },
            };
            encoded(&Attribute { name, ..attribute })
        });
        let node = Node {
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: vec![name.clone()],
            name: name.clone(),
            op_type: operator.to_owned(),
            attribute: attribute.collect(),
            domain: String::new(),
        };
        self.nodes.push(encoded(&node));
        name
    }

    /// Adds a tensor of floats, and returns its name.
    pub fn floats(&mut self, name: &str, dims: &[usize], values: &[f32]) -> String {
        let name = self.name(name);
        let zeros = values.iter().filter(|&&value| value == 0.0).count();
        if self.sparse && values.len() >= SMALL && 2 * zeros > values.len() {
            self.sparse_floats(&name, dims, values);
            return name;
        }
        let raw: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        let mut tensor = Tensor {
            dims: dims.iter().map(|&size| size as i64).collect(),
            data_type: FLOAT,
            name: name.clone(),
            ..Tensor::default()
        };
        match &mut self.external {
            Some((location, data)) if values.len() >= SMALL => {
                data.resize(data.len().next_multiple_of(PAGE), 0);
                let entries = [
                    ("location", location.clone()),
                    ("offset", data.len().to_string()),
                    ("length", raw.len().to_string()),
                ];
                data.extend(raw);
                tensor.data_location = 1;
                tensor.external_data = entries.map(|(key, value)| entry(key, &value)).to_vec();
            }
            _ => tensor.raw_data = Some(Bytes::from(raw)),
        }
        self.initializers.push(encoded(&tensor));
        name
    }

    /// Values and flat indices, ascending, as the checker wants them.
    fn sparse_floats(&mut self, name: &str, dims: &[usize], values: &[f32]) {
        let real: Vec<(usize, f32)> = values
            .iter()
            .copied()
            .enumerate()
            .filter(|(_, value)| *value != 0.0)
            .collect();
        let count = real.len() as i64;
        let stored = Tensor {
            dims: vec![count],
            data_type: FLOAT,
            name: name.to_owned(),
            raw_data: Some(real.iter().flat_map(|(_, v)| v.to_le_bytes()).collect()),
            ..Tensor::default()
        };
        let indices = Tensor {
            dims: vec![count],
            data_type: INT64,
            name: format!("{name}/indices"),
            raw_data: Some(
                real.iter()
                    .flat_map(|(at, _)| (*at as i64).to_le_bytes())
                    .collect(),
            ),
            ..Tensor::default()
        };
        let sparse = SparseTensor {
            values: Some(encoded(&stored)),
            indices: Some(encoded(&indices)),
            dims: dims.iter().map(|&size| size as i64).collect(),
        };
        self.sparse_initializers.push(encoded(&sparse));
    }

    /// Adds a vector of integers, and returns its name.
    pub fn ints(&mut self, name: &str, values: &[i64]) -> String {
        let name = self.name(name);
        let tensor = Tensor {
            dims: vec![values.len() as i64],
            data_type: INT64,
            name: name.clone(),
            raw_data: Some(
                values
                    .iter()
                    .flat_map(|value| value.to_le_bytes())
                    .collect(),
            ),
            ..Tensor::default()
        };
        self.initializers.push(encoded(&tensor));
        name
    }

    /// Adds a node whose output is the result, `output`.
    pub fn result(&mut self, operator: &str, input: &str, output: &str) {
        let node = Node {
            input: vec![input.to_owned()],
            output: vec![output.to_owned()],
            name: output.to_owned(),
            op_type: operator.to_owned(),
            ..Node::default()
        };
        self.nodes.push(encoded(&node));
    }

    /// The model's bytes, and those of its other file.
    pub fn finish(
        self,
        description: &Description,
        input: (&str, &[Option<usize>]),
        output: (&str, &[Option<usize>]),
    ) -> (Vec<u8>, Option<Vec<u8>>) {
        let graph = Graph {
            node: self.nodes,
            name: match description.name.as_str() {
                "" => "network".to_owned(),
                name => name.to_owned(),
            },
            initializer: self.initializers,
            input: vec![info(input)],
            output: vec![info(output)],
            sparse_initializer: self.sparse_initializers,
        };
        let opset = OperatorSet {
            domain: String::new(),
            version: OPSET,
        };
        let metadata = description.entries();
        let model = Model {
            ir_version: IR,
            producer_name: "dnw".to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            graph: Some(encoded(&graph)),
            opset_import: vec![encoded(&opset)],
            metadata_props: metadata
                .iter()
                .map(|(key, value)| entry(key, value))
                .collect(),
            functions: Vec::new(),
        };
        (model.encode_to_vec(), self.external.map(|(_, data)| data))
    }
}

fn encoded(message: &impl Message) -> Bytes {
    Bytes::from(message.encode_to_vec())
}

fn entry(key: &str, value: &str) -> Bytes {
    encoded(&Entry {
        key: key.to_owned(),
        value: value.to_owned(),
    })
}

/// The description of an input or output; the first dimension that is open is the batch.
fn info((name, dims): (&str, &[Option<usize>])) -> Bytes {
    let dim = dims.iter().map(|size| Dimension {
        value: size.map(|size| size as i64),
        name: size.is_none().then(|| "batch".to_owned()),
    });
    let tensor = TensorType {
        element: FLOAT,
        shape: Some(Shape { dim: dim.collect() }),
    };
    encoded(&ValueInfo {
        name: name.to_owned(),
        kind: Some(Type {
            tensor: Some(tensor),
        }),
    })
}
