//! Training along a record.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use dnw_core::optim::Sgd;
use dnw_core::{Budget, Wired, Wiring};
use dnw_device::Backend;
use dnw_models::{Classifier, Published};

use super::record::Record;
use crate::UnderTest;
use crate::case::{Shortfall, Verdict, ensure};
use crate::loops::largest;
use crate::model::gradients;
use crate::tolerance::Allowed;

/// What images are nudged by, in units of the last place of 1.
const NUDGES: [i8; 13] = [0, 1, -1, 2, -2, 3, -3, 4, -4, 5, -5, 6, -6];

/// A recorded run and what is needed to make it again.
pub(crate) struct Run<'a, M> {
    pub(crate) record: &'a Record,
    pub(crate) published: Published,
    /// Makes the model and wires it once it has its weights.
    pub(crate) make: Box<dyn Fn(&Device) -> M + 'a>,
    pub(crate) wire: &'a dyn Fn(M) -> Wired<M>,
    /// The budget of the tensor at a path.
    pub(crate) budget: &'a dyn Fn(&str) -> Budget,
    pub(crate) learning_rate: f64,
    pub(crate) allowed: Allowed,
}

/// How a run compares with the recorded one. Distances are the largest of any number, over what is allowed.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) logits_before: f64,
    pub(crate) logits_of_first_step: f64,
    /// With the name of the parameter whose gradient is furthest away.
    pub(crate) gradients_of_first_step: (f64, String),
    /// The largest distance of a parameter's gradient by Euclid's norm, over the norm of the recorded one.
    pub(crate) gradient_norms: f32,
    /// Of each step, and the recorded one.
    pub(crate) losses: Vec<(f32, f32)>,
    pub(crate) logits_after: f64,
    /// Whether the wirings are those of the recorded weights at the end.
    pub(crate) same_edges: bool,
}

/// The end of a run.
pub(crate) struct End {
    /// Of the first batch.
    logits: TensorData,
    wirings: Vec<Wiring>,
}

impl Report {
    /// Everything before the first update agrees.
    pub(crate) fn start_agrees(&self) -> bool {
        let logits = self.logits_before <= 1.0 && self.logits_of_first_step <= 1.0;
        logits && self.gradients_of_first_step.0 <= 1.0
    }

    /// The losses of these steps agree within this share of them.
    pub(crate) fn has_losses(&self, steps: std::ops::Range<usize>, share: f32) -> bool {
        let mut losses = self.losses[steps].iter();
        losses.all(|(found, recorded)| (found - recorded).abs() <= share * recorded)
    }

    /// Everything before the first update agrees, and so do all losses.
    ///
    /// # Errors
    /// The report, where it does not.
    pub(crate) fn check_start_and_losses(&self) -> Verdict {
        let losses = self.has_losses(0..self.losses.len(), 1e-3);
        ensure(self.start_agrees() && losses, || format!("{self:?}"))
    }

    /// The logits and wirings after the last update agree.
    pub(crate) fn end_agrees(&self) -> bool {
        self.logits_after <= 1.0 && self.same_edges
    }
}

impl<M: Classifier> Run<'_, M> {
    /// The recorded network with the weights of one of its files, and the fixed wirings of that file.
    fn model(
        &self,
        file: &str,
        device: &Device,
    ) -> Result<(M, BTreeMap<String, Wiring>), Shortfall> {
        let mut model = (self.make)(device);
        let tensors = self.record.checkpoint(file);
        let wirings = self.published.load(&mut model, tensors)?;
        Ok((model, wirings))
    }

    /// Trains along the record, on its images as `disturb` leaves them.
    ///
    /// # Errors
    /// [`Shortfall`] where the first edges are not the largest weights, or a fixed wiring changes.
    pub(crate) fn follow(
        &self,
        under: &UnderTest,
        disturb: impl Fn(Tensor<4>) -> Tensor<4>,
    ) -> Result<(Report, End), Shortfall> {
        let device = under.learning();
        let (initial, fixed) = self.model("initial.safetensors", &device)?;
        let mut model = (self.wire)(initial);
        model.set_wirings(&fixed)?;
        if fixed.is_empty() {
            self.check_edges_are_the_largest(&model)?;
        }
        let mut report = Report {
            logits_before: self.distance(&self.scores(under, &model), "logits_eval_before"),
            logits_of_first_step: 0.0,
            gradients_of_first_step: (0.0, String::new()),
            gradient_norms: 0.0,
            losses: Vec::new(),
            logits_after: 0.0,
            same_edges: false,
        };
        let mut optimizer = Sgd::new(0.9).with_weight_decay(Some(1e-4)).init();
        for (step, recorded) in self.record.losses().into_iter().enumerate() {
            let (images, labels) = self.record.batch(step, &device);
            let logits = model.forward(disturb(images));
            let loss = CrossEntropyLossConfig::new()
                .init(&device)
                .forward(logits.clone(), labels);
            report.losses.push((loss.clone().into_scalar(), recorded));
            let grads = loss.backward();
            if step == 0 {
                report.logits_of_first_step = self.distance(&logits.to_data(), "logits_train_0");
                for (name, gradient) in self.gradients(&model, &grads)? {
                    let name = format!("grad_0.{name}");
                    report.gradient_norms = report
                        .gradient_norms
                        .max(self.norm_distance(&gradient, &name));
                    let distance = self.distance(&gradient, &name);
                    if distance >= report.gradients_of_first_step.0 {
                        report.gradients_of_first_step = (distance, name);
                    }
                }
            }
            let grads = GradientsParams::from_grads(grads, &model);
            let rate = self.learning_rate;
            model.update(|model| optimizer.step(rate, model, grads))?;
        }
        if !fixed.is_empty() {
            let kept = model.tensors().into_iter();
            let kept: BTreeMap<_, _> = kept.map(|t| (t.name, t.wiring)).collect();
            ensure(kept == fixed, || "a fixed wiring changed".into())?;
        }
        let (last, last_fixed) = self.model("final.safetensors", &device)?;
        let mut last = (self.wire)(last);
        last.set_wirings(&last_fixed)?;
        let wirings = |model: &Wired<M>| -> Vec<Wiring> {
            let tensors = model.tensors().into_iter();
            tensors.map(|tensor| tensor.wiring).collect()
        };
        let end = End {
            logits: self.scores(under, &model),
            wirings: wirings(&model),
        };
        report.same_edges = end.wirings == wirings(&last);
        report.logits_after = self.distance(&end.logits, "logits_eval_after");
        Ok((report, end))
    }

    /// Everything agrees with the record, for some rounding of the images.
    ///
    /// Rounding sometimes decides: two edges are close to the threshold, or the input of a ReLU is close to zero, where its gradient
    /// jumps. Two programs round differently, and images nudged by a few parts in ten million can fall on either side, with logits a
    /// hundredth apart some steps later. So everything before the first update and the losses must agree for every nudge, and the final
    /// logits and wirings for one of them.
    ///
    /// A device that rounds to the other side may miss the recorded end at every nudge. The end of flex at some nudge is accepted then:
    /// flex itself must match the record, and its runs reach every possible end.
    pub(crate) fn check(&self, under: &UnderTest) -> Verdict {
        let mut of_flex = None;
        let mut ends = Vec::new();
        for nudge in NUDGES {
            let (report, end) = self.nudged(under, nudge)?;
            if report.end_agrees() {
                return Ok(());
            }
            if under.backend() != Some(Backend::Flex) {
                let known = match &mut of_flex {
                    Some(known) => known,
                    none => none.insert(self.ends_of_flex()?),
                };
                if known.iter().any(|known| self.ends_agree(&end, known)) {
                    return Ok(());
                }
            }
            ends.push((report.logits_after, report.same_edges));
        }
        Err(Shortfall::Wrong(format!(
            "none ends as the recorded run does, nor as one of flex: {ends:?}"
        )))
    }

    /// A run on nudged images whose start and losses agree with the record.
    fn nudged(&self, under: &UnderTest, ulps: i8) -> Result<(Report, End), Shortfall> {
        let nudge = 1.0 + f32::from(ulps) * f32::EPSILON;
        let (report, end) = self.follow(under, |images| images * nudge)?;
        report.check_start_and_losses()?;
        Ok((report, end))
    }

    fn ends_of_flex(&self) -> Result<Vec<End>, Shortfall> {
        let flex = UnderTest::flex();
        let end = |ulps| Ok(self.nudged(&flex, ulps)?.1);
        NUDGES.into_iter().map(end).collect()
    }

    fn ends_agree(&self, found: &End, known: &End) -> bool {
        let [a, b] = [found, known].map(|end| end.logits.iter::<f64>().collect::<Vec<_>>());
        found.wirings == known.wirings && self.allowed.furthest(&a, &b).0 <= 1.0
    }

    /// The logits of the first batch, without training.
    fn scores(&self, under: &UnderTest, model: &Wired<M>) -> TensorData {
        let images = self.record.batch(0, &under.device).0;
        model.valid().forward(images).to_data()
    }

    /// Each tensor's real edges are its largest weights, by a plain sort.
    fn check_edges_are_the_largest(&self, model: &Wired<M>) -> Verdict {
        for tensor in model.tensors() {
            let budget = (self.budget)(&tensor.name);
            let kept = budget.resolve(&tensor.name, tensor.weights.len())?;
            let largest = largest(&tensor.weights, kept);
            ensure(tensor.wiring == largest, || {
                let name = &tensor.name;
                format!("the first edges of `{name}` are not its largest weights")
            })?;
        }
        Ok(())
    }

    /// The gradient of every parameter, under its published name and shape.
    fn gradients(
        &self,
        model: &Wired<M>,
        grads: &Gradients,
    ) -> Result<Vec<(String, TensorData)>, Shortfall> {
        let found = gradients(model, grads).into_iter().map(|(path, gradient)| {
            let gradient = if path == "fc.weight" {
                let transposed = Tensor::<2>::from_data(gradient, &Device::flex()).transpose();
                transposed.into_data()
            } else {
                gradient
            };
            (self.published.name_of(&path), gradient)
        });
        let mut found: Vec<_> = found.collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        let names: Vec<&String> = found.iter().map(|(name, _)| name).collect();
        let recorded = self.record.parameters();
        ensure(names.iter().copied().eq(&recorded), || {
            format!("there are gradients to {names:?}, not {recorded:?}")
        })?;
        Ok(found)
    }

    /// The norm of the difference over the norm of the recorded tensor.
    fn norm_distance(&self, found: &TensorData, name: &str) -> f32 {
        let recorded = self.record.data(name);
        let pairs = found.iter::<f32>().zip(recorded.iter::<f32>());
        let (apart, all) = pairs.fold((0.0, 0.0), |(apart, all), (a, b)| {
            (apart + (a - b) * (a - b), all + b * b)
        });
        (apart / all).sqrt()
    }

    /// The largest distance between numbers found and recorded, over what is allowed.
    fn distance(&self, found: &TensorData, name: &str) -> f64 {
        let [found, recorded] =
            [found, &self.record.data(name)].map(|data| data.iter::<f64>().collect::<Vec<_>>());
        if found.len() != recorded.len() {
            return f64::INFINITY;
        }
        self.allowed.furthest(&found, &recorded).0
    }
}
