//! Nodes and their attributes.

use std::collections::BTreeMap;

use prost::bytes::Bytes;

use crate::ImportError;
use crate::proto::{self, Attribute, decode};

/// A node of the graph.
#[derive(Clone, Debug)]
pub struct Node {
    /// For errors and layers: its name, or that of its first output.
    pub name: String,
    /// The operator; with its domain, if that is not ONNX's.
    pub operator: String,
    /// Names of values; empty for an input that is left out.
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
    attributes: BTreeMap<String, Attribute>,
}

impl Node {
    pub fn read(bytes: Bytes) -> Result<Self, ImportError> {
        let node: proto::Node = decode(bytes, "a node")?;
        let mut attributes = BTreeMap::new();
        for attribute in node.attribute {
            let attribute: Attribute = decode(attribute, "an attribute")?;
            attributes.insert(attribute.name.clone(), attribute);
        }
        let operator = match node.domain.as_str() {
            "" | "ai.onnx" => node.op_type,
            domain => format!("{domain}.{}", node.op_type),
        };
        let first = node.output.first().cloned().unwrap_or_default();
        let name = if node.name.is_empty() {
            first
        } else {
            node.name
        };
        Ok(Self {
            name,
            operator,
            inputs: node.input,
            outputs: node.output,
            attributes,
        })
    }

    /// The name of an input, unless it is left out.
    pub fn input(&self, at: usize) -> Option<&str> {
        let name = self.inputs.get(at)?;
        (!name.is_empty()).then_some(name.as_str())
    }

    /// Whether the node has an output of this index that is not left out.
    pub fn has_output(&self, at: usize) -> bool {
        self.outputs.get(at).is_some_and(|name| !name.is_empty())
    }

    pub fn int(&self, name: &str) -> Option<i64> {
        let attribute = self.attributes.get(name)?;
        // An attribute of value zero may be written without its value.
        attribute.i.or((attribute.kind == 2).then_some(0))
    }

    pub fn float(&self, name: &str) -> Option<f32> {
        let attribute = self.attributes.get(name)?;
        attribute.f.or((attribute.kind == 1).then_some(0.0))
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        let text = self.attributes.get(name)?.s.as_ref()?;
        std::str::from_utf8(text).ok()
    }

    pub fn ints(&self, name: &str) -> Option<&[i64]> {
        self.attributes.get(name).map(|a| a.ints.as_slice())
    }

    pub fn floats(&self, name: &str) -> Option<&[f32]> {
        self.attributes.get(name).map(|a| a.floats.as_slice())
    }

    /// The bytes of a tensor.
    pub fn tensor(&self, name: &str) -> Option<Bytes> {
        self.attributes.get(name)?.t.clone()
    }

    pub fn sparse_tensor(&self, name: &str) -> Option<Bytes> {
        self.attributes.get(name)?.sparse_tensor.clone()
    }

    /// The same node with another integer as an attribute.
    pub fn with_int(mut self, name: &str, value: i64) -> Self {
        let attribute = Attribute {
            name: name.to_owned(),
            i: Some(value),
            kind: 2,
            ..Attribute::default()
        };
        self.attributes.insert(name.to_owned(), attribute);
        self
    }

    /// The same node with another list of integers as an attribute.
    pub fn with_ints(mut self, name: &str, values: Vec<i64>) -> Self {
        let attribute = Attribute {
            name: name.to_owned(),
            ints: values,
            kind: 7,
            ..Attribute::default()
        };
        self.attributes.insert(name.to_owned(), attribute);
        self
    }

    /// An attribute of non-negative sizes, `default` if it is left out.
    pub fn sizes<const N: usize>(
        &self,
        name: &str,
        default: [usize; N],
    ) -> Result<[usize; N], ImportError> {
        let Some(values) = self.ints(name) else {
            return Ok(default);
        };
        let Ok(values) = <[i64; N]>::try_from(values) else {
            return Err(self.unsupported(
                format!("`{name}` is {values:?}, and images have two dimensions"),
                "reshape signals of one dimension to images of height 1 before the export",
            ));
        };
        let size = |x: i64| usize::try_from(x).ok().filter(|&x| x <= MOST_SIZE);
        if values.iter().any(|&x| size(x).is_none()) {
            return Err(self.invalid(format!(
                "`{name}` is {values:?}, and sizes from 0 to {MOST_SIZE} are read"
            )));
        }
        Ok(values.map(|x| size(x).unwrap_or_default()))
    }

    pub fn invalid(&self, what: impl Into<String>) -> ImportError {
        ImportError::Invalid {
            node: format!("`{}`", self.name),
            operator: self.operator.clone(),
            what: what.into(),
        }
    }

    pub fn unsupported(&self, what: impl Into<String>, instead: impl Into<String>) -> ImportError {
        ImportError::Unsupported {
            node: format!("`{}`", self.name),
            operator: self.operator.clone(),
            what: what.into(),
            instead: instead.into(),
        }
    }

    /// Adds the node to an error of the circuit.
    pub fn circuit<T>(
        &self,
        result: Result<T, dnw_circuit::CircuitError>,
    ) -> Result<T, ImportError> {
        result.map_err(|error| ImportError::Circuit {
            node: format!("`{}`", self.name),
            operator: self.operator.clone(),
            error: Box::new(error),
        })
    }
}

/// The largest kernel, stride, padding or dilation.
const MOST_SIZE: usize = 1 << 14;
