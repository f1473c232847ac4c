//! A model: nodes in the order of execution, initializers, image and result.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use prost::bytes::Bytes;

use crate::ImportError;
use crate::constant::{Constant, Tensors, type_name};
use crate::node::Node;
use crate::proto::{self, Entry, OperatorSet, ValueInfo, decode, decode_value_info};

/// The oldest version of the operators that is read, of 2019.
const OLDEST_OPSET: i64 = 9;
/// The newest version that this program knows.
const NEWEST_OPSET: i64 = 26;

/// A model whose names are known to fit.
#[derive(Debug)]
pub struct Model {
    pub producer: String,
    pub opset: i64,
    pub metadata: BTreeMap<String, String>,
    /// The nodes that the result depends on.
    pub nodes: Vec<Node>,
    pub initializers: HashMap<String, Rc<Constant>>,
    /// The name of the image and its dimensions, `None` for those that the file leaves open.
    pub image: (String, Vec<Option<usize>>),
    pub output: String,
    /// Outputs that are not computed.
    pub other_outputs: Vec<String>,
}

impl Model {
    pub fn read(bytes: Bytes, tensors: &mut Tensors) -> Result<Self, ImportError> {
        if bytes.is_empty() {
            let reason = "it is empty";
            return Err(ImportError::NoModel { reason });
        }
        let model: proto::Model = decode(bytes, "the model")?;
        let Some(graph) = model.graph else {
            let reason = "it has no graph";
            return Err(ImportError::NoModel { reason });
        };
        let opset = opset(&model.opset_import)?;
        let graph: proto::Graph = decode(graph, "the graph")?;
        let mut nodes = Vec::with_capacity(graph.node.len());
        for node in graph.node {
            nodes.push(Node::read(node)?);
        }
        let mut outputs = infos(graph.output)?;
        if outputs.is_empty() {
            return Err(ImportError::Interface {
                what: "the graph has no output".to_owned(),
                help: "export a model that returns its logits".to_owned(),
            });
        }
        // Classifiers of scikit-learn return the class, an integer, before the numbers that it was chosen by.
        let taken = outputs.iter().position(may_be_floats).unwrap_or(0);
        let output = outputs.remove(taken).name;
        let other_outputs = outputs.into_iter().map(|info| info.name).collect();
        let mut initializers = HashMap::new();
        for (bytes, is_sparse) in graph
            .initializer
            .into_iter()
            .map(|bytes| (bytes, false))
            .chain(graph.sparse_initializer.into_iter().map(|b| (b, true)))
        {
            let (name, constant) = match is_sparse {
                false => tensors.read(bytes)?,
                true => tensors.read_sparse(bytes)?,
            };
            if initializers
                .insert(name.clone(), Rc::new(constant))
                .is_some()
            {
                return Err(ImportError::Duplicate { name });
            }
        }
        let inputs = infos(graph.input)?;
        let mut names = HashSet::new();
        for input in &inputs {
            if !names.insert(input.name.as_str()) {
                let name = input.name.clone();
                return Err(ImportError::Duplicate { name });
            }
        }
        let image = image(&inputs, &initializers)?;
        let nodes = in_order(nodes, &output, &image.0, &initializers)?;
        let mut metadata = BTreeMap::new();
        for entry in model.metadata_props {
            let Entry { key, value } = decode(entry, "the metadata")?;
            metadata.insert(key, value);
        }
        Ok(Self {
            producer: format!("{} {}", model.producer_name, model.producer_version),
            opset,
            metadata,
            nodes,
            initializers,
            image,
            output,
            other_outputs,
        })
    }
}

fn opset(imports: &[Bytes]) -> Result<i64, ImportError> {
    let mut found = None;
    for import in imports {
        let set: OperatorSet = decode(import.clone(), "a set of operators")?;
        if set.domain.is_empty() || set.domain == "ai.onnx" {
            found = Some(set.version);
        }
    }
    let Some(version) = found else {
        let reason = "it names no version of ONNX's operators";
        return Err(ImportError::NoModel { reason });
    };
    if !(OLDEST_OPSET..=NEWEST_OPSET).contains(&version) {
        return Err(ImportError::Interface {
            what: format!(
                "the model uses version {version} of ONNX's operators, and {OLDEST_OPSET} to {NEWEST_OPSET} are read"
            ),
            help: "export it with another `opset_version`, or convert it with `onnx.version_converter`"
                .to_owned(),
        });
    }
    Ok(version)
}

fn infos(all: Vec<Bytes>) -> Result<Vec<ValueInfo>, ImportError> {
    all.into_iter().map(decode_value_info).collect()
}

/// Whether an output has elements of floats, or of a type that the file leaves open.
fn may_be_floats(output: &ValueInfo) -> bool {
    let tensor = output.kind.as_ref().and_then(|kind| kind.tensor.as_ref());
    tensor.is_none_or(|tensor| matches!(tensor.element, 0 | 1 | 10 | 11 | 16))
}

/// The one input that is no initializer.
fn image(
    inputs: &[ValueInfo],
    initializers: &HashMap<String, Rc<Constant>>,
) -> Result<(String, Vec<Option<usize>>), ImportError> {
    let own: Vec<&ValueInfo> = inputs
        .iter()
        .filter(|input| !initializers.contains_key(&input.name))
        .collect();
    let [image] = own[..] else {
        let names: Vec<&str> = own.iter().map(|input| input.name.as_str()).collect();
        return Err(ImportError::Interface {
            what: format!("the model has {} inputs ({})", own.len(), names.join(", ")),
            help: "export a network with one input, `[batch, channels, height, width]`".to_owned(),
        });
    };
    let tensor = image.kind.as_ref().and_then(|kind| kind.tensor.as_ref());
    let element = tensor.map_or(0, |tensor| tensor.element);
    if element != 1 {
        return Err(ImportError::Interface {
            what: format!(
                "the input `{}` has elements of type {}",
                image.name,
                type_name(element)
            ),
            help: "export the model with an input of 32-bit floats".to_owned(),
        });
    }
    let shape = tensor.and_then(|tensor| tensor.shape.as_ref());
    let dims = shape.map_or_else(Vec::new, |shape| {
        let sizes = shape.dim.iter();
        sizes
            .map(|dim| {
                dim.value
                    .and_then(|value| usize::try_from(value).ok())
                    .filter(|&n| n > 0)
            })
            .collect()
    });
    Ok((image.name.clone(), dims))
}

/// The nodes that the output depends on, each behind those that it reads.
fn in_order(
    nodes: Vec<Node>,
    output: &str,
    image: &str,
    initializers: &HashMap<String, Rc<Constant>>,
) -> Result<Vec<Node>, ImportError> {
    let mut computed: HashMap<&str, usize> = HashMap::new();
    for (at, node) in nodes.iter().enumerate() {
        for name in node.outputs.iter().filter(|name| !name.is_empty()) {
            let known = name == image || initializers.contains_key(name);
            if known || computed.insert(name, at).is_some() {
                let name = name.clone();
                return Err(ImportError::Duplicate { name });
            }
        }
    }
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        New,
        Open,
        Done,
    }
    let mut states = vec![State::New; nodes.len()];
    let mut order = Vec::new();
    let source = |reader: &dyn Fn() -> String, name: &str| match computed.get(name) {
        Some(&at) => Ok(Some(at)),
        None if name == image || initializers.contains_key(name) => Ok(None),
        None => Err(ImportError::Missing {
            reader: reader(),
            name: name.to_owned(),
        }),
    };
    let last = source(&|| "the output of the graph".to_owned(), output)?;
    // Without recursion: a chain may be as long as the file allows. Each entry is a node and the inputs of it that are done.
    let mut open: Vec<(usize, usize)> = last.into_iter().map(|at| (at, 0)).collect();
    while let Some(&mut (at, ref mut next)) = open.last_mut() {
        states[at] = State::Open;
        let Some(name) = nodes[at].inputs.get(*next) else {
            states[at] = State::Done;
            order.push(at);
            open.pop();
            continue;
        };
        *next += 1;
        if name.is_empty() {
            continue;
        }
        let reader = || format!("the node `{}` ({})", nodes[at].name, nodes[at].operator);
        match source(&reader, name)?.map(|from| (from, states[from])) {
            Some((from, State::New)) => open.push((from, 0)),
            Some((from, State::Open)) => {
                return Err(ImportError::Cycle {
                    node: format!("`{}` ({})", nodes[from].name, nodes[from].operator),
                });
            }
            Some((_, State::Done)) | None => {}
        }
    }
    // In the order of the file, if that is valid.
    let mut sorted = order.clone();
    sorted.sort_unstable();
    let is_valid = sorted.iter().all(|&at| {
        let sources = nodes[at]
            .inputs
            .iter()
            .filter_map(|name| computed.get(name.as_str()));
        sources.into_iter().all(|&source| source < at)
    });
    let order = if is_valid { sorted } else { order };
    let mut nodes: Vec<Option<Node>> = nodes.into_iter().map(Some).collect();
    Ok(order
        .into_iter()
        .filter_map(|at| nodes[at].take())
        .collect())
}
