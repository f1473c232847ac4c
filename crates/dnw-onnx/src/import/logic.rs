//! Comparisons and selections, as exporters write activations with several cases.
//!
//! A truth value is 1 or 0, so what follows are sums and products.

use dnw_circuit::Function;

use super::arithmetic::Operand;
use super::importer::Importer;
use super::values::Maps;
use crate::ImportError;
use crate::node::Node;

/// The slope of a step from 0 to 1. Only numbers that are closer than its inverse count as equal.
const STEEP: f64 = 1e30;

impl Importer {
    pub fn logic(&mut self, node: &Node) -> Result<Maps, ImportError> {
        match node.operator.as_str() {
            "Greater" => self.above(node, [0, 1]),
            "Less" => self.above(node, [1, 0]),
            "LessOrEqual" => {
                let above = self.above(node, [0, 1])?;
                self.not(node, &above)
            }
            "GreaterOrEqual" => {
                let below = self.above(node, [1, 0])?;
                self.not(node, &below)
            }
            "Not" => {
                let x = self.maps(node, 0)?;
                self.not(node, &x)
            }
            "And" => self.combined(node, "Mul", [0, 1]),
            // a or b = max(a, b).
            "Or" => self.combined(node, "Max", [0, 1]),
            _ => self.chosen(node),
        }
    }

    /// Whether one input is larger than the other.
    fn above(&mut self, node: &Node, order: [usize; 2]) -> Result<Maps, ImportError> {
        let apart = self.combined(node, "Sub", order)?;
        let (slope, shift) = (STEEP, 0.0);
        let step = self.function(node, apart.value, Function::HardSigmoid { slope, shift })?;
        Ok(Maps::new(step, apart.dims))
    }

    fn not(&mut self, node: &Node, x: &Maps) -> Result<Maps, ImportError> {
        let plain = self.plain(x);
        let plain = node.circuit(plain)?;
        let not = self.scaled(node, plain, -1.0, 1.0)?;
        Ok(Maps::new(not, x.dims.clone()))
    }

    /// `c a + (1 - c) b`. A case that is infinite would spoil the other; exponentials of circuits are finite.
    fn chosen(&mut self, node: &Node) -> Result<Maps, ImportError> {
        let condition = self.maps(node, 0)?;
        let otherwise = self.not(node, &condition)?;
        let (product, sum) = (as_operator(node, "Mul"), as_operator(node, "Add"));
        let mut terms = Vec::new();
        for (at, factor) in [(1, condition), (2, otherwise)] {
            let case = self.operand(node, at)?;
            terms.push(self.binary(&product, Operand::Maps(factor), case)?);
        }
        let mut terms = terms.into_iter().map(Operand::Maps);
        match (terms.next(), terms.next()) {
            (Some(a), Some(b)) => self.binary(&sum, a, b),
            _ => self.maps(node, 0),
        }
    }

    /// An arithmetic operator of two inputs.
    fn combined(
        &mut self,
        node: &Node,
        operator: &str,
        [a, b]: [usize; 2],
    ) -> Result<Maps, ImportError> {
        let (a, b) = (self.operand(node, a)?, self.operand(node, b)?);
        self.binary(&as_operator(node, operator), a, b)
    }
}

fn as_operator(node: &Node, operator: &str) -> Node {
    let mut own = node.clone();
    operator.clone_into(&mut own.operator);
    own
}
