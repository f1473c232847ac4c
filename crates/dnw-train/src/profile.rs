//! A profile of training steps.
//!
//! The parts are spans of the [`tracing`] crate: the parts of an update in this crate, operations and their backward passes in `dnw-core`, and
//! their parts in `dnw-kernels`. Without a [`Profile`] nothing subscribes to them, and each costs a
//! comparison.
//!
//! Only the training thread is profiled. The time that it waits for other threads counts too, so the parts add up to the
//! step.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use burn::tensor::Device;
use tracing::span::Id;
use tracing::{Level, Subscriber, span_enabled, subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};

/// The span of an update (`Training::step` enters it). Everything outside is ignored.
const STEP: &str = "step";

/// Waits for a device if there is a profile, so that its work counts for the part that requested it.
pub(crate) fn finish(device: &Device) {
    if span_enabled!(Level::TRACE) {
        // A device's failure is reported where its results are read.
        let _ = device.sync();
    }
}

/// A profile of training steps.
#[derive(Clone, Debug, Default)]
pub struct Profile(Arc<Mutex<Parts>>);

/// Times by the names of nested parts, from the step down.
type Parts = BTreeMap<Vec<&'static str>, Times>;

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Times {
    entered: u64,
    /// Including nested parts.
    whole: Duration,
    /// Excluding nested parts.
    own: Duration,
}

/// Another profile of this process is being taken.
#[derive(Debug, thiserror::Error)]
#[error("another profile of this program is being taken")]
pub struct AlreadyListening;

impl Profile {
    /// Starts profiling, until the process ends.
    ///
    /// # Errors
    /// [`AlreadyListening`] if something else subscribes to spans.
    pub fn begin() -> Result<Self, AlreadyListening> {
        let profile = Self::default();
        let subscriber = Registry::default().with(Listener(profile.clone()));
        subscriber::set_global_default(subscriber).map_err(|_| AlreadyListening)?;
        Ok(profile)
    }

    fn parts(&self) -> Parts {
        let parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        parts.clone()
    }

    /// The number of profiled steps.
    pub fn steps(&self) -> u64 {
        self.parts()
            .get([STEP].as_slice())
            .map_or(0, |step| step.entered)
    }

    /// A table: each part below its parent, the longest first, with its mean time per step, its share of the step, and its calls per step. Parts of
    /// less than a thousandth of a step are added up.
    pub fn table(&self) -> String {
        let parts = self.parts();
        let Some(step) = parts.get([STEP].as_slice()) else {
            return "no step was made\n".to_owned();
        };
        let mut text = format!(
            "{:<44} {:>10} {:>8} {:>8} {:>9}\n",
            "part of a step", "ms", "share", "itself", "times"
        );
        write_part(&mut text, &parts, &[STEP], step);
        text
    }

    /// Folded stacks, the input of flame graph programs: a line per part with its nested names from the outermost, separated by semicolons, and its
    /// own microseconds over all steps.
    pub fn folded(&self) -> String {
        let mut text = String::new();
        for (names, times) in self.parts() {
            let _ = writeln!(text, "{} {}", names.join(";"), times.own.as_micros());
        }
        text
    }
}

/// Writes the lines of a part and of its nested parts.
fn write_part(text: &mut String, parts: &Parts, names: &[&'static str], step: &Times) {
    let times = parts[names];
    let per_step = |time: Duration| 1e3 * time.as_secs_f64() / step.entered as f64;
    let share = |time: Duration| 100.0 * time.as_secs_f64() / step.whole.as_secs_f64();
    let mut write =
        |depth: usize, name: &str, whole: Duration, own: Option<Duration>, times: f64| {
            let name = format!("{:indent$}{name}", "", indent = 2 * depth);
            let own = own.map_or(String::new(), |own| format!("{:.1} %", share(own)));
            let (ms, share) = (per_step(whole), share(whole));
            let _ = writeln!(
                text,
                "{name:<44} {ms:>10.3} {share:>6.1} % {own:>8} {times:>9.1}"
            );
        };
    let depth = names.len() - 1;
    let often = times.entered as f64 / step.entered as f64;
    write(depth, names[depth], times.whole, Some(times.own), often);
    let is_inside =
        |other: &&Vec<&'static str>| other.len() == names.len() + 1 && other.starts_with(names);
    let mut inside: Vec<_> = parts.keys().filter(is_inside).collect();
    inside.sort_by_key(|part| std::cmp::Reverse(parts[*part].whole));
    let (large, small): (Vec<_>, Vec<_>) = inside
        .into_iter()
        .partition(|part| share(parts[*part].whole) >= 0.1);
    let small: Vec<&Times> = small.into_iter().map(|part| &parts[part]).collect();
    if !small.is_empty() {
        let whole = small.iter().map(|times| times.whole).sum();
        let entered: u64 = small.iter().map(|times| times.entered).sum();
        let often = entered as f64 / step.entered as f64;
        write(depth + 1, "other", whole, None, often);
    }
    for part in large {
        write_part(text, parts, part, step);
    }
}

/// Subscribes to the spans of the training thread.
struct Listener(Profile);

/// A span that has been entered.
struct Open {
    name: &'static str,
    since: Instant,
    inside: Duration,
}

thread_local! {
    static OPEN: RefCell<Vec<Open>> = const { RefCell::new(Vec::new()) };
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Listener {
    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else {
            return;
        };
        let name = span.name();
        OPEN.with_borrow_mut(|open| {
            // Only a step starts a stack: spans of other threads, and of libraries outside a step, are ignored.
            if name == STEP || !open.is_empty() {
                let (since, inside) = (Instant::now(), Duration::ZERO);
                open.push(Open {
                    name,
                    since,
                    inside,
                });
            }
        });
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else {
            return;
        };
        OPEN.with_borrow_mut(|open| {
            let Some(closed) = open.pop_if(|last| last.name == span.name()) else {
                return;
            };
            let whole = closed.since.elapsed();
            let mut names: Vec<_> = open.iter().map(|open| open.name).collect();
            names.push(closed.name);
            if let Some(outer) = open.last_mut() {
                outer.inside += whole;
            }
            let mut parts = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
            let times = parts.entry(names).or_default();
            times.entered += 1;
            times.whole += whole;
            times.own += whole.saturating_sub(closed.inside);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::{dispatcher, trace_span};

    /// Two steps and something outside of them, as a profile sees them.
    fn seen() -> Profile {
        let profile = Profile::default();
        let subscriber = Registry::default().with(Listener(profile.clone()));
        subscriber::with_default(subscriber, || {
            trace_span!("before").in_scope(|| ());
            for _ in 0..2 {
                let _step = trace_span!("step").entered();
                for _ in 0..3 {
                    let _backward = trace_span!("backward").entered();
                    trace_span!("product")
                        .in_scope(|| std::thread::sleep(Duration::from_millis(2)));
                }
                // What other threads do while a step waits is not counted twice.
                let listener = dispatcher::get_default(Clone::clone);
                std::thread::scope(|scope| {
                    scope.spawn(|| {
                        dispatcher::with_default(&listener, || {
                            trace_span!("elsewhere").in_scope(|| ());
                        });
                    });
                });
            }
        });
        profile
    }

    #[test]
    fn parts_are_nested_in_the_parts_that_entered_them() {
        let profile = seen();
        assert_eq!(profile.steps(), 2);
        let parts = profile.parts();
        let names: Vec<_> = parts.keys().map(|names| names.join("/")).collect();
        assert_eq!(names, ["step", "step/backward", "step/backward/product"]);
        let [step, backward, product] = [0, 1, 2].map(|n| *parts.values().nth(n).unwrap());
        assert_eq!((backward.entered, product.entered), (6, 6));
        assert!(product.whole >= Duration::from_millis(12), "{product:?}");
        // The time of a part is its own and that of the parts inside.
        assert_eq!(product.whole, product.own);
        assert_eq!(backward.whole, backward.own + product.own);
        assert_eq!(step.whole, step.own + backward.own + product.own);
    }

    #[test]
    fn the_table_has_a_line_for_each_part_and_the_stacks_too() {
        let profile = seen();
        let table = profile.table();
        let starts: Vec<_> = table.lines().map(|line| line[..20].trim_end()).collect();
        let expected = ["part of a step", "step", "  backward", "    product"];
        assert_eq!(starts, expected, "{table}");
        let step = table.lines().nth(1).unwrap();
        assert!(step.contains("100.0 %") && step.ends_with("1.0"), "{step}");
        let folded = profile.folded();
        let (stack, time) = folded.lines().last().unwrap().rsplit_once(' ').unwrap();
        assert_eq!(stack, "step;backward;product");
        assert!(time.parse::<u64>().unwrap() >= 12_000, "{folded}");
    }

    #[test]
    fn without_steps_the_table_is_empty() {
        assert_eq!(Profile::default().table(), "no step was made\n");
        assert_eq!(Profile::default().folded(), "");
    }
}
