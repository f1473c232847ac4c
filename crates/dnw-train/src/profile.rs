//! What a training step costs, part by part.
//!
//! The parts are spans of the [`tracing`] crate, named where the work is done: the steps of an update in this crate, operations and the
//! way back through them in `dnw-core`, what they are made of in `dnw-kernels`. Nobody listens to them unless a [`Profile`] begins,
//! and then they cost a comparison each.
//!
//! Only the thread that trains is watched. What it waits for while others compute is its time too, so that the parts of a step sum up to
//! the step.

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

/// The span of an update (`Training::step` enters it); what lies outside of it is not counted.
const STEP: &str = "step";

/// Waits for a device if somebody listens, so that what it was asked to do counts where it was asked.
pub(crate) fn finish(device: &Device) {
    if span_enabled!(Level::TRACE) {
        // A device that fails says so where its results are read.
        let _ = device.sync();
    }
}

/// What was seen of the parts of steps, while they are made.
#[derive(Clone, Debug, Default)]
pub struct Profile(Arc<Mutex<Parts>>);

/// A part's names from the step down, with its times.
type Parts = BTreeMap<Vec<&'static str>, Times>;

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Times {
    entered: u64,
    /// With the parts inside.
    whole: Duration,
    /// Without them.
    own: Duration,
}

/// The profile of this process is already being taken.
#[derive(Debug, thiserror::Error)]
#[error("another profile of this program is being taken")]
pub struct AlreadyListening;

impl Profile {
    /// Listens from now on, for as long as the process lives.
    ///
    /// # Errors
    /// [`AlreadyListening`] if something else listens to spans.
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

    /// The steps that were seen.
    pub fn steps(&self) -> u64 {
        self.parts()
            .get([STEP].as_slice())
            .map_or(0, |step| step.entered)
    }

    /// A table: each part under the one that it belongs to, the longest first, with its mean time in a step, its share of the step, and how
    /// often a step comes to it. Parts of less than a thousandth of a step are summed up.
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

    /// Folded stacks, as programs that draw flame graphs read them: a line for each part, its names from the outermost in, separated by
    /// semicolons, and the microseconds that it took itself in all steps.
    pub fn folded(&self) -> String {
        let mut text = String::new();
        for (names, times) in self.parts() {
            let _ = writeln!(text, "{} {}", names.join(";"), times.own.as_micros());
        }
        text
    }
}

/// A part's line, and those of the parts inside it.
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

/// Tells a profile what the thread that trains enters and leaves.
struct Listener(Profile);

/// A span that was entered and not left.
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
            // A step begins a stack, and nothing else does: spans of other threads, and those of libraries outside a step, are not ours.
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
    fn parts_lie_in_the_parts_that_entered_them() {
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
    fn without_steps_there_is_nothing_to_say() {
        assert_eq!(Profile::default().table(), "no step was made\n");
        assert_eq!(Profile::default().folded(), "");
    }
}
