//! The kernel launches of a training step, counted and timed by kernel.

use serde::Serialize;

use crate::failure::Failure;
use crate::measure::Plan;

/// The launches of a training step.
#[derive(Serialize)]
pub struct Launches {
    device: String,
    adapter: String,
    model: String,
    batch: usize,
    image: usize,
    precision: String,
    /// Training steps that were counted.
    steps: usize,
    /// A step's duration, without timing of kernels.
    milliseconds: f64,
    /// Launches in a step.
    launches: f64,
    /// Where a step's time goes, the longest first. Kernels that are timed one by one do not overlap, so their sum may exceed the step.
    kernels: Vec<Kernel>,
}

/// A kernel, with all its types and shapes.
#[derive(Serialize)]
struct Kernel {
    name: String,
    /// In a step.
    launches: f64,
    /// In a step.
    milliseconds: f64,
    /// Whether the device's own clock timed it. If not, the time includes its submission.
    by_device: bool,
}

/// Counts the launches of so many training steps, and times them in as many further steps.
///
/// # Errors
/// [`Failure`] if the device cannot be opened, launches no kernels, or the network cannot be trained.
#[cfg(feature = "cube")]
pub fn count(plan: &Plan<'_>, steps: usize) -> Result<Launches, Failure> {
    crate::measure::prepare(plan, watch::Watched(steps.max(1)))
}

/// There is nothing to count.
///
/// # Errors
/// Always.
#[cfg(not(feature = "cube"))]
pub fn count(_: &Plan<'_>, _: usize) -> Result<Launches, Failure> {
    Err(Failure(
        "this program was built without a GPU backend: build it with `--features wgpu`".into(),
    ))
}

#[cfg(feature = "cube")]
mod watch {
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex, PoisonError};
    use std::time::Instant;

    use burn::module::ModuleDisplay;
    use cubecl::config::{TypeNameFormatLevel, type_name_format};
    use cubecl::future::block_on;
    use cubecl::logging::{
        Duration, LaunchObservation, LaunchObserver, ProfileDuration, TimingMethod, TimingRequest,
    };
    use dnw_models::Classifier;
    use dnw_train::data::Batch;
    use dnw_train::training::Training;

    use super::{Kernel, Launches};
    use crate::failure::Failure;
    use crate::measure::{Bench, Use};

    /// Training steps before the first one that counts, in which kernels are compiled and tuned.
    const WARM_UP: usize = 3;

    /// A kernel's launches so far.
    #[derive(Default)]
    struct Sum {
        launches: usize,
        seconds: f64,
        by_device: bool,
    }

    #[derive(Default)]
    struct Watcher {
        kernels: Mutex<BTreeMap<&'static str, Sum>>,
        /// Measurements that have not been read.
        unread: Mutex<Vec<(&'static str, ProfileDuration)>>,
        times: bool,
    }

    impl LaunchObserver for Watcher {
        fn launched(&self, kernel: &'static str) {
            self.change(kernel, |sum| sum.launches += 1);
        }

        fn timing(&self) -> TimingRequest {
            match self.times {
                true => TimingRequest::Deferred,
                false => TimingRequest::None,
            }
        }

        fn profiled(&self, kernel: &'static str, profile: ProfileDuration) {
            let mut unread = self.unread.lock().unwrap_or_else(PoisonError::into_inner);
            unread.push((kernel, profile));
        }

        fn timed(&self, kernel: &'static str, duration: Duration, method: TimingMethod) {
            self.add(kernel, duration.as_secs_f64(), method);
        }
    }

    impl Watcher {
        fn change(&self, kernel: &'static str, change: impl FnOnce(&mut Sum)) {
            let mut kernels = self.kernels.lock().unwrap_or_else(PoisonError::into_inner);
            change(kernels.entry(kernel).or_default());
        }

        fn add(&self, kernel: &'static str, seconds: f64, method: TimingMethod) {
            self.change(kernel, |sum| {
                sum.seconds += seconds;
                sum.by_device |= method == TimingMethod::Device;
            });
        }

        /// Reads the measurements that are left.
        fn read(&self) {
            let unread = {
                let mut unread = self.unread.lock().unwrap_or_else(PoisonError::into_inner);
                std::mem::take(&mut *unread)
            };
            for (kernel, profile) in unread {
                let method = profile.timing_method();
                if let Some(ticks) = block_on(profile.resolve()) {
                    self.add(kernel, ticks.duration().as_secs_f64(), method);
                }
            }
        }
    }

    /// Counts so many steps, and times as many.
    pub struct Watched(pub usize);

    impl Use for Watched {
        type Found = Launches;

        fn with<M: Classifier + ModuleDisplay + 'static>(
            self,
            bench: Bench<'_>,
            mut training: Training<M>,
            batch: &Batch,
        ) -> Result<Launches, Failure> {
            let device = bench.opened.device.clone();
            let mut steps = |count: usize| -> Result<f64, Failure> {
                let began = Instant::now();
                for _ in 0..count {
                    training.step(batch)?;
                    device.sync()?;
                }
                Ok(began.elapsed().as_secs_f64())
            };
            steps(WARM_UP)?;
            let counted = Arc::new(Watcher::default());
            let observation = LaunchObservation::new(counted.clone());
            let seconds = steps(self.0)?;
            drop(observation);
            let timed = Arc::new(Watcher {
                times: true,
                ..Watcher::default()
            });
            let observation = LaunchObservation::new(timed.clone());
            steps(self.0)?;
            drop(observation);
            timed.read();
            let per_step = |number: f64| number / self.0 as f64;
            let times = timed.kernels.lock().unwrap_or_else(PoisonError::into_inner);
            let counts = counted
                .kernels
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if counts.is_empty() {
                let name = &bench.opened.name;
                return Err(Failure(format!(
                    "{name} launches no compute kernels: name a GPU"
                )));
            }
            let mut kernels = counts
                .iter()
                .map(|(name, count)| {
                    let time = times.get(name);
                    Kernel {
                        name: type_name_format(name, TypeNameFormatLevel::Balanced),
                        launches: per_step(count.launches as f64),
                        milliseconds: time.map_or(0.0, |sum| per_step(1e3 * sum.seconds)),
                        by_device: time.is_some_and(|sum| sum.by_device),
                    }
                })
                .collect::<Vec<_>>();
            kernels.sort_by(|a, b| {
                let time = b.milliseconds.total_cmp(&a.milliseconds);
                time.then(b.launches.total_cmp(&a.launches))
            });
            Ok(Launches {
                device: bench.opened.name.to_string(),
                adapter: bench.opened.model.clone(),
                model: bench.plan.workload.name().to_owned(),
                batch: batch.len(),
                image: bench.plan.image[1],
                precision: bench.plan.precision.to_string(),
                steps: self.0,
                milliseconds: per_step(1e3 * seconds),
                launches: kernels.iter().map(|kernel| kernel.launches).sum(),
                kernels,
            })
        }
    }
}
