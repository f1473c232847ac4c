//! How each part of a plan is written: the order of its fields.

use super::code::{Code, Element, Reader, Writer, fields};
use super::error::FileError;
use super::groups::{read_members, read_starts, write_members, write_starts};
use super::limits;
use super::weights::{self, Targets};
use crate::plan::{
    ActivateMaps, Activation, AddMaps, Constant, CopyPixels, Depthwise, Edges, Function, Input,
    Kernels, Linear, Maps, MultiplyMaps, NormMaps, Op, Pad, Padded, Piece, PixelNorm, Pool,
    PoolMaps, ResampleMaps, SoftmaxMaps, Step, Sums, Taps, UnfoldMaps, Window,
};

fields!(Input: name, shape, mean, deviation, resize, classes);
fields!(Maps: at, shape, stride);
fields!(Window: kernel, stride, padding, dilation);
fields!(Padded: window, map, output, line, row, rows);
fields!(Pad: from, to, layout);
fields!(PoolMaps: from, to, pool, window);
fields!(NormMaps: from, to, epsilon, scale, shift, relu);
fields!(AddMaps: from, to, relu);
fields!(ActivateMaps: from, to, activation);
fields!(Activation: function, gated);
fields!(MultiplyMaps: from, by, to);
fields!(SoftmaxMaps: from, to);
fields!(PixelNorm: from, to, epsilon, scale, shift);
fields!(ResampleMaps: from, to, rows, columns);
fields!(UnfoldMaps: from, to, side);

impl Element for String {
    const NAME: &'static str = "names of classes";
    const LIMIT: u64 = limits::CLASSES;
}

impl Element for Constant {
    const NAME: &'static str = "constants";
    const LIMIT: u64 = limits::STEPS;
}

impl Element for Step {
    const NAME: &'static str = "steps";
    const LIMIT: u64 = limits::STEPS;
}

impl Element for (f32, Maps) {
    const NAME: &'static str = "terms of an addition";
    const LIMIT: u64 = limits::STEPS;
}

impl Code for Constant {
    fn write(&self, to: &mut Writer) {
        self.maps.write(to);
        self.values.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FileError> {
        from.place = "a constant".to_owned();
        let maps = Maps::read(from)?;
        let values = Vec::read(from)?;
        Ok(Self { maps, values })
    }
}

impl Code for Step {
    fn write(&self, to: &mut Writer) {
        to.name(&self.layer);
        to.name(&self.reason);
        self.op.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FileError> {
        let layer = from.name()?;
        let reason = from.name()?;
        let start: String = layer.chars().take(80).collect();
        from.place = format!("layer `{}`", start.escape_debug());
        let op = Op::read(from)?;
        Ok(Self { layer, reason, op })
    }
}

/// Writes an enum as a tag and the variant's value.
macro_rules! variants {
    ($name:ident, $what:literal: $($tag:literal $variant:ident),+) => {
        impl Code for $name {
            fn write(&self, to: &mut Writer) {
                match self {
                    $(Self::$variant(value) => {
                        to.tag($tag);
                        value.write(to);
                    })+
                }
            }

            fn read(from: &mut Reader<'_>) -> Result<Self, FileError> {
                match from.tag()? {
                    $($tag => Code::read(from).map(Self::$variant),)+
                    tag => Err(from.unknown($what, tag)),
                }
            }
        }
    };
}

variants!(Op, "operation": 1 Pad, 2 Sums, 3 Depthwise, 4 Linear, 5 Pool, 6 Norm, 7 Add, 8 Copy,
    9 Activation, 10 Product, 11 Softmax, 12 PixelNorm, 13 Resample, 14 Unfold);

impl Code for Pool {
    fn write(&self, to: &mut Writer) {
        to.tag(match self {
            Self::Max => 0,
            Self::Average => 1,
            Self::InnerAverage => 2,
        });
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FileError> {
        match from.tag()? {
            0 => Ok(Self::Max),
            1 => Ok(Self::Average),
            2 => Ok(Self::InnerAverage),
            tag => Err(from.unknown("pool", tag)),
        }
    }
}

impl Code for Function {
    fn write(&self, to: &mut Writer) {
        let (tag, constants) = match *self {
            Self::Clip { low, high } => (0, vec![low, high]),
            Self::LeakyRelu { slope } => (1, vec![slope]),
            Self::HardSigmoid { slope, shift } => (2, vec![slope, shift]),
            Self::Sigmoid => (3, vec![]),
            Self::Normal => (4, vec![]),
            Self::Softplus => (5, vec![]),
            Self::Exp => (6, vec![]),
            Self::Ln => (7, vec![]),
            Self::Sqrt => (8, vec![]),
            Self::Reciprocal => (9, vec![]),
            Self::Abs => (10, vec![]),
        };
        to.tag(tag);
        constants.iter().for_each(|constant| constant.write(to));
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FileError> {
        match from.tag()? {
            0 => Ok(Self::Clip {
                low: Code::read(from)?,
                high: Code::read(from)?,
            }),
            1 => Ok(Self::LeakyRelu {
                slope: Code::read(from)?,
            }),
            2 => Ok(Self::HardSigmoid {
                slope: Code::read(from)?,
                shift: Code::read(from)?,
            }),
            3 => Ok(Self::Sigmoid),
            4 => Ok(Self::Normal),
            5 => Ok(Self::Softplus),
            6 => Ok(Self::Exp),
            7 => Ok(Self::Ln),
            8 => Ok(Self::Sqrt),
            9 => Ok(Self::Reciprocal),
            10 => Ok(Self::Abs),
            tag => Err(from.unknown("activation", tag)),
        }
    }
}

// In what follows each list bounds the next: there is a bias for each target, and a weight for each term.

impl Code for Sums {
    fn write(&self, to: &mut Writer) {
        self.block.write(to);
        self.bias.write(to);
        write_starts(to, &self.starts);
        let targets = Targets::Groups {
            starts: &self.starts,
            lanes: self.block,
        };
        weights::write(to, &self.weights, &targets);
        write_members(to, &self.starts, &self.terms);
        to.runs(&self.rows);
        self.map.write(to);
        self.line.write(to);
        to.runs(&self.channels);
        self.to.write(to);
        to.runs(&self.residual);
        self.relu.write(to);
        self.then.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FileError> {
        let block = usize::read(from)?;
        let bias = Vec::read(from)?;
        let starts = read_starts(from, bias.len())?;
        let targets = Targets::Groups {
            starts: &starts,
            lanes: block,
        };
        let weights = weights::read(from, &targets)?;
        let terms = read_members(from, &starts, weights.len())?;
        Ok(Self {
            block,
            rows: from.runs(usize::MAX)?,
            starts,
            terms,
            weights,
            map: Code::read(from)?,
            line: Code::read(from)?,
            channels: from.runs(bias.len())?,
            to: Code::read(from)?,
            residual: from.runs(bias.len())?,
            bias,
            relu: Code::read(from)?,
            then: Code::read(from)?,
        })
    }
}

impl Code for Kernels {
    fn write(&self, to: &mut Writer) {
        self.window.write(to);
        self.bias.write(to);
        weights::write(to, &self.weights, &Targets::Equal(self.bias.len()));
        self.relu.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FileError> {
        let window = Code::read(from)?;
        let bias = Vec::read(from)?;
        let weights = weights::read(from, &Targets::Equal(bias.len()))?;
        Ok(Self {
            window,
            weights,
            bias,
            relu: Code::read(from)?,
        })
    }
}

impl Code for Depthwise {
    fn write(&self, to: &mut Writer) {
        self.from.write(to);
        self.to.write(to);
        self.window.write(to);
        self.bias.write(to);
        weights::write(to, &self.weights, &Targets::Equal(self.bias.len()));
        self.relu.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FileError> {
        let (maps, to, window) = (Code::read(from)?, Code::read(from)?, Code::read(from)?);
        let bias = Vec::read(from)?;
        let weights = weights::read(from, &Targets::Equal(bias.len()))?;
        Ok(Self {
            from: maps,
            to,
            window,
            weights,
            bias,
            relu: Code::read(from)?,
        })
    }
}

impl Code for Linear {
    fn write(&self, to: &mut Writer) {
        self.from.write(to);
        self.to.write(to);
        self.bias.write(to);
        self.edges.is_some().write(to);
        match &self.edges {
            Some(Edges { starts, sources }) => {
                write_starts(to, starts);
                let targets = Targets::Groups { starts, lanes: 1 };
                weights::write(to, &self.weights, &targets);
                write_members(to, starts, sources);
            }
            None => {
                let targets = Targets::Equal(self.bias.len());
                weights::write(to, &self.weights, &targets);
            }
        }
        self.relu.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FileError> {
        let (maps, to) = (Code::read(from)?, Code::read(from)?);
        let bias = Vec::read(from)?;
        let (edges, weights) = if bool::read(from)? {
            let starts = read_starts(from, bias.len())?;
            let targets = Targets::Groups {
                starts: &starts,
                lanes: 1,
            };
            let weights = weights::read(from, &targets)?;
            let sources = read_members(from, &starts, weights.len())?;
            (Some(Edges { starts, sources }), weights)
        } else {
            (None, weights::read(from, &Targets::Equal(bias.len()))?)
        };
        Ok(Self {
            from: maps,
            to,
            edges,
            weights,
            bias,
            relu: Code::read(from)?,
        })
    }
}

impl Code for Taps {
    fn write(&self, to: &mut Writer) {
        to.runs(&self.starts);
        to.runs(&self.inputs);
        self.weights.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FileError> {
        Ok(Self {
            starts: from.runs(usize::MAX)?,
            inputs: from.runs(usize::MAX)?,
            weights: Code::read(from)?,
        })
    }
}

impl Code for CopyPixels {
    fn write(&self, to: &mut Writer) {
        self.to.write(to);
        let numbers: [fn(&Piece) -> u32; 4] = [|p| p.from, |p| p.stride, |p| p.to, |p| p.len];
        for number in numbers {
            to.runs(&self.pieces.iter().map(number).collect::<Vec<_>>());
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FileError> {
        let to = Code::read(from)?;
        let starts = from.runs(usize::MAX)?;
        let mut others = [const { Vec::new() }; 3];
        for numbers in &mut others {
            *numbers = from.runs(starts.len())?;
            if numbers.len() != starts.len() {
                return Err(from.bytes.invalid("a piece lacks a number"));
            }
        }
        let [strides, tos, lengths] = others;
        let pieces = (0..starts.len()).map(|i| Piece {
            from: starts[i],
            stride: strides[i],
            to: tos[i],
            len: lengths[i],
        });
        Ok(Self {
            to,
            pieces: pieces.collect(),
        })
    }
}
