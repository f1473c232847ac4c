//! The tensors in the dictionaries of a pickle, with their names.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::checkpoint::{join, refuse_duplicates};
use crate::error::quoted;
use crate::limits;
use crate::pickle::{Id, Pickle, SparseTensor, StridedTensor, Value};
use crate::{CheckpointError, Reason, Skipped};

/// The content of a pickle, by name.
#[derive(Default)]
pub struct Listing<'p> {
    /// The paths of dictionaries with tensors, and the tensors directly in them, in order.
    pub sections: Vec<(String, Vec<(String, Listed<'p>)>)>,
    /// What is not a tensor: one entry for each largest part without tensors.
    pub skipped: Vec<Skipped>,
}

/// A tensor of a pickle.
#[derive(Clone, Copy)]
pub enum Listed<'p> {
    Strided(&'p StridedTensor<'p>),
    Sparse(&'p SparseTensor<'p>),
}

/// Lists the content of the saved dictionary.
pub fn list<'p>(pickle: &'p Pickle<'p>) -> Result<Listing<'p>, CheckpointError> {
    let Value::Dict(entries) = pickle.root() else {
        return Err(CheckpointError::NoDictionary {
            found: pickle.root().kind(),
        });
    };
    let mut walk = Walk {
        pickle,
        listing: Listing::default(),
        places: HashMap::new(),
        tensors: 0,
        visits: 0,
        name_bytes: 0,
    };
    walk.dictionary(entries, "", 0)?;
    for (path, tensors) in &walk.listing.sections {
        refuse_duplicates(path, tensors.iter().map(|(name, _)| name.as_str()))?;
    }
    Ok(walk.listing)
}

struct Walk<'p> {
    pickle: &'p Pickle<'p>,
    listing: Listing<'p>,
    /// The index of each section in the listing, by path.
    places: HashMap<String, usize>,
    tensors: usize,
    visits: usize,
    name_bytes: usize,
}

impl<'p> Walk<'p> {
    /// Lists a dictionary's entries; returns whether it has a tensor at any depth.
    fn dictionary(
        &mut self,
        entries: &'p [(Id, Id)],
        path: &str,
        depth: usize,
    ) -> Result<bool, CheckpointError> {
        let mut any = false;
        for &(key, value) in entries {
            let key = match self.pickle.value(key) {
                Value::Text(text) => Cow::Borrowed(*text),
                // Optimizers use the parameters' indices as keys.
                Value::Int(number) => Cow::Owned(number.to_string()),
                other => other.kind(),
            };
            any |= self.entry(value, path, &key, depth)?;
        }
        Ok(any)
    }

    fn entry(
        &mut self,
        value: Id,
        path: &str,
        key: &str,
        depth: usize,
    ) -> Result<bool, CheckpointError> {
        self.visits += 1;
        let visits = limits::visits(self.pickle.values.len());
        limits::check("entries of containers", self.visits as u64, visits as u64)?;
        let value = self.pickle.value(value);
        let (Value::Dict(_) | Value::List(_) | Value::Tuple(_)) = value else {
            let tensor = match value {
                Value::Tensor(tensor) => Listed::Strided(tensor),
                Value::Sparse(tensor) => Listed::Sparse(tensor),
                _ => {
                    self.skip(path, key, value.kind())?;
                    return Ok(false);
                }
            };
            self.tensor(tensor, path, key)?;
            return Ok(true);
        };

        limits::check(
            "containers within one another (or one that holds itself)",
            depth as u64 + 1,
            limits::NESTING as u64,
        )?;
        self.charge_name(path, key)?;
        let inner = join(path, key);
        let notes = self.listing.skipped.len();
        let any = match value {
            Value::Dict(entries) => self.dictionary(entries, &inner, depth + 1)?,
            Value::List(items) | Value::Tuple(items) => {
                let mut any = false;
                for (position, &item) in items.iter().enumerate() {
                    any |= self.entry(item, &inner, &position.to_string(), depth + 1)?;
                }
                any
            }
            _ => false,
        };
        if !any {
            self.listing.skipped.truncate(notes);
            self.skip(path, key, value.kind())?;
        }
        Ok(any)
    }

    fn tensor(&mut self, tensor: Listed<'p>, path: &str, key: &str) -> Result<(), CheckpointError> {
        self.tensors += 1;
        limits::check("tensors", self.tensors as u64, limits::TENSORS as u64)?;
        self.charge_name(path, key)?;
        let place = match self.places.get(path) {
            Some(&place) => place,
            None => {
                self.charge_name(path, "")?;
                let place = self.listing.sections.len();
                self.places.insert(path.to_owned(), place);
                self.listing.sections.push((path.to_owned(), Vec::new()));
                place
            }
        };
        self.listing.sections[place]
            .1
            .push((key.to_owned(), tensor));
        Ok(())
    }

    fn skip(
        &mut self,
        path: &str,
        key: &str,
        kind: Cow<'static, str>,
    ) -> Result<(), CheckpointError> {
        self.charge_name(path, key)?;
        if let Cow::Owned(kind) = &kind {
            self.name_bytes += kind.len();
        }
        self.listing.skipped.push(Skipped {
            name: join(path, key),
            reason: Reason::Plain(kind),
        });
        Ok(())
    }

    /// Checks the length of a name and of all names together, before the name is allocated.
    fn charge_name(&mut self, path: &str, key: &str) -> Result<(), CheckpointError> {
        let bytes = path.len() + 1 + key.len();
        if bytes > limits::NAME_BYTES {
            return Err(CheckpointError::Tensor {
                name: quoted(key),
                what: format!(
                    "has a name of {bytes} bytes, at most {} are read",
                    limits::NAME_BYTES
                ),
            });
        }
        self.name_bytes += bytes;
        let limit = limits::total_name_bytes(self.pickle.end);
        limits::check("bytes of names", self.name_bytes as u64, limit as u64)
    }
}
