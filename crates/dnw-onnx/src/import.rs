//! From nodes to steps of a circuit.
//!
//! Each value is a constant, or feature maps: a value of the circuit and its dimensions in the model, the batch of 1 included. The pixels of
//! both have the same row-major order. So a reshape changes only the dimensions, until a node needs the circuit's value in another shape.

mod arithmetic;
mod channels;
mod convolutions;
mod elements;
mod fold;
mod importer;
mod input;
mod layout;
mod logic;
mod norms;
mod paddings;
mod pointwise;
mod pools;
mod products;
mod quantised;
mod reductions;
mod reshapes;
mod resize;
mod shapes;
mod transposed;
mod values;

use std::collections::{HashMap, HashSet};
use std::path::Path;

use dnw_circuit::{Circuit, CircuitBuilder};
use prost::bytes::Bytes;

use crate::constant::Tensors;
use crate::external::Folder;
use crate::model::Model;
use crate::node::Node;
use crate::{Description, ImportError, Imported};
use importer::Importer;
use input::Input;
use quantised::QDQ;
use values::{Maps, Value};

/// Pixels of all channels of one value.
const MOST_PIXELS: usize = 1 << 28;
/// Pixels of all values together.
const MOST_PIXELS_IN_ALL: u64 = 1 << 32;

pub fn import(
    bytes: Bytes,
    folder: Option<&Path>,
    image: Option<[usize; 3]>,
) -> Result<Imported, ImportError> {
    let mut tensors = Tensors::new(Folder::new(folder));
    let model = Model::read(bytes, &mut tensors)?;
    let input = Input::new(&model, image)?;
    let circuit = CircuitBuilder::new(input.image);
    let circuit = circuit.map_err(|error| ImportError::Interface {
        what: error.to_string(),
        help: "give the size of the model's images".to_owned(),
    })?;
    let mut values: HashMap<String, Value> = HashMap::new();
    let channels_last = input.last;
    let maps = Maps {
        last: channels_last,
        ..Maps::new(circuit.input(), input.dims)
    };
    values.insert(model.image.0.clone(), Value::Maps(maps));
    for (name, constant) in model.initializers {
        values.insert(name, Value::Constant(constant));
    }
    let mut importer = Importer {
        circuit,
        values,
        tensors,
        quantised: HashMap::new(),
        names: HashSet::new(),
        opset: model.opset,
        batch: input.batch,
        pixels: 0,
    };
    for node in &model.nodes {
        importer.node(node)?;
    }
    let quantised = !importer.quantised.is_empty();
    let (circuit, outputs) = importer.finish(&model.output)?;
    let channels = circuit.image()[0];
    Ok(Imported {
        description: Description::read(&model.metadata, channels, outputs),
        circuit,
        channels_last,
        producer: model.producer.trim().to_owned(),
        opset: model.opset,
        quantised,
        other_outputs: model.other_outputs,
    })
}

impl Importer {
    fn node(&mut self, node: &Node) -> Result<(), ImportError> {
        let layer = self.layer(node);
        self.circuit.layer(layer);
        if let Some(moved) = self.moved_integers(node)? {
            let outputs = node.outputs.iter();
            self.quantised
                .extend(outputs.map(|name| (name.clone(), moved.clone())));
        }
        match node.operator.as_str() {
            "Split" => {
                let parts = self.split(node)?;
                self.values.extend(node.outputs.iter().cloned().zip(parts));
                return Ok(());
            }
            "DynamicQuantizeLinear" => return self.quantise_dynamically(node),
            _ => {}
        }
        // Only operators that ignore them have further outputs: the mask of a dropout.
        let value = match self.folded(node)? {
            Some(constant) => Value::Constant(constant),
            None => self.compute(node)?,
        };
        if let Some(name) = node.outputs.first() {
            self.values.insert(name.clone(), value);
        }
        Ok(())
    }

    /// The name of a node's layer: that of its weight's module, or its own.
    fn layer(&self, node: &Node) -> String {
        let weight = node.input(1).and_then(|name| name.strip_suffix(".weight"));
        weight.unwrap_or(&node.name).to_owned()
    }

    fn compute(&mut self, node: &Node) -> Result<Value, ImportError> {
        let maps = match self.with_channels_last(node)? {
            Some(maps) => maps,
            None => self.operation(node)?,
        };
        // A hostile file may ask for any number of pixels.
        let pixels: usize = self.circuit.shape(maps.value).iter().product();
        self.pixels += pixels as u64;
        if pixels > MOST_PIXELS || self.pixels > MOST_PIXELS_IN_ALL {
            return Err(ImportError::Limit {
                what: format!("pixels of the feature maps up to the node `{}`", node.name),
                found: self.pixels,
                limit: MOST_PIXELS as u64,
            });
        }
        Ok(Value::Maps(maps))
    }

    /// The output of a node whose inputs have their channels first, unless it handles both orders.
    fn operation(&mut self, node: &Node) -> Result<Maps, ImportError> {
        match node.operator.as_str() {
            "Conv" => self.conv(node),
            "ConvTranspose" => self.conv_transpose(node),
            "Gemm" => self.gemm(node),
            "MatMul" => self.mat_mul(node),
            "BatchNormalization" => self.batch_norm(node),
            "InstanceNormalization" => self.instance_norm(node),
            "GroupNormalization" => self.group_norm(node),
            "LayerNormalization" => self.layer_norm(node),
            "LRN" => self.local_response_norm(node),
            "MaxPool" | "AveragePool" => self.pool(node),
            "GlobalAveragePool" | "GlobalMaxPool" => self.global_pool(node),
            "ReduceMean" | "ReduceSum" | "ReduceMax" | "ReduceMin" | "ReduceL1" | "ReduceL2"
            | "ReduceSumSquare" => self.reduce(node),
            "Relu" | "Clip" | "LeakyRelu" | "PRelu" | "HardSwish" | "HardSigmoid" | "Sigmoid"
            | "Swish" | "Tanh" | "Erf" | "Gelu" | "Elu" | "Selu" | "Celu" | "Softplus"
            | "Softsign" | "Mish" | "Exp" | "Log" | "Sqrt" | "Reciprocal" | "Abs" => {
                self.activation(node)
            }
            "Softmax" | "LogSoftmax" => self.softmax(node),
            "Add" | "Sum" | "Sub" | "Mul" | "Div" | "Neg" | "Min" | "Max" | "Mean" => {
                self.arithmetic(node)
            }
            "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual" | "Not" | "And" | "Or"
            | "Where" => self.logic(node),
            "Pow" => self.power(node),
            "Expand" => self.expanded(node),
            "Concat" => self.concat(node),
            "Slice" => self.slice(node),
            "Gather" => self.gather(node),
            "Transpose" => self.transpose(node),
            "Flatten" | "Reshape" | "Squeeze" | "Unsqueeze" => self.reshape(node),
            "Pad" => self.pad(node),
            "Resize" | "Upsample" => self.resize(node),
            "SpaceToDepth" => self.space_to_depth(node),
            "DepthToSpace" => self.depth_to_space(node),
            "Identity" | "Dropout" | "Cast" => self.identity(node),
            "QuantizeLinear" => self.quantise(node),
            "DequantizeLinear" => self.dequantise(node),
            "ConvInteger" | "MatMulInteger" => self.product_of_integers(node),
            _ => Err(self.unknown(node)),
        }
    }

    /// The error of an operator that is not known, with what to do instead.
    fn unknown(&self, node: &Node) -> ImportError {
        let instead = match node.operator.as_str() {
            quantised
                if quantised.starts_with("QLinear") || quantised.starts_with("com.microsoft.Q") =>
            {
                QDQ
            }
            "If" | "Loop" | "Scan" => {
                "export the model without control flow that depends on the image, such as by `torch.jit.trace`"
            }
            "Attention" | "MultiHeadAttention" | "Einsum" => {
                "attention is not supported; export a convolutional network"
            }
            "ThresholdedRelu" | "Shrink" | "Hardmax" | "Sin" | "Cos" | "Round" | "Floor"
            | "Ceil" | "Sign" => {
                "ReLU, LeakyReLU, PReLU, ELU, GELU, SiLU, Mish, Softplus, tanh, sigmoid, HardSigmoid, HardSwish, clips, exponentials, logarithms, roots and powers are supported"
            }
            "LpNormalization" | "MeanVarianceNormalization" | "RMSNormalization" => {
                "batch, instance, group, layer and local response norms are supported"
            }
            "GridSample" | "RoiAlign" | "MaxRoiPool" | "MaxUnpool" | "NonMaxSuppression"
            | "TopK" | "ArgMax" => "export the part of the network before it",
            "ai.onnx.ml.ZipMap" => "export the classifier with `options={\"zipmap\": False}`",
            own if own.starts_with("com.microsoft.") => {
                "only ONNX Runtime knows it, which wrote this model after its optimisations: compile the model that it had read"
            }
            _ => "only convolutional networks are supported; `docs/runtime.md` lists the operators",
        };
        node.unsupported("the operator is not known", instead)
    }

    fn finish(mut self, output: &str) -> Result<(Circuit, usize), ImportError> {
        let Some(Value::Maps(mut maps)) = self.values.get(output).cloned() else {
            return Err(ImportError::Interface {
                what: format!("the output `{output}` does not depend on the image"),
                help: "export a model that returns its logits".to_owned(),
            });
        };
        let outside = |error| ImportError::Circuit {
            node: format!("`{output}`"),
            operator: "output".to_owned(),
            error: Box::new(error),
        };
        self.circuit.layer("output");
        if maps.last {
            maps = self.in_memory_order(&maps).map_err(outside)?;
        }
        let value = self.plain(&maps).map_err(outside)?;
        let outputs = self.circuit.shape(value).iter().product();
        let circuit = self.circuit.finish(value).map_err(outside)?;
        Ok((circuit, outputs))
    }
}
