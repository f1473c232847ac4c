//! The recipes that are part of the program, by name.
//!
//! A family of recipes is one TOML text. Its members are changes to that text, so the code contains only the differences between the rows of
//! a table of the paper.

use std::sync::LazyLock;

/// The recipe of the main job.
pub const MAIN_JOB: &str = "digits";

/// A recipe that is part of the program: a TOML text and changes to it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// The TOML text.
    pub text: &'static str,
    /// Changes to the text, `key=value`.
    pub changes: Vec<String>,
    /// The published top-1 accuracy in percent, if there is one.
    pub published: Option<&'static str>,
}

const DIGITS: &str = include_str!("../../recipes/digits.toml");
const MNIST: &str = include_str!("../../recipes/mnist.toml");
const LENET: &str = include_str!("../../recipes/mnist-lenet.toml");
const TINY: &str = include_str!("../../recipes/cifar10-tiny.toml");
const CIFAR_MOBILENET: &str = include_str!("../../recipes/cifar10-mobilenet.toml");
const CIFAR_RESNET: &str = include_str!("../../recipes/cifar10-resnet18.toml");
const MOBILENET: &str = include_str!("../../recipes/imagenet-mobilenet.toml");
const RESNET: &str = include_str!("../../recipes/imagenet-resnet50.toml");

/// Every recipe, in the order of `dnw recipes`.
pub fn entries() -> &'static [Entry] {
    static ENTRIES: LazyLock<Vec<Entry>> = LazyLock::new(|| {
        let mut list = List::default();
        list.add("digits", DIGITS, None, &[]);
        list.add("mnist", MNIST, None, &[]);
        list.add("mnist-lenet", LENET, None, &[]);
        tiny(&mut list);
        cifar_mobilenets(&mut list);
        cifar_resnets(&mut list);
        mobilenets(&mut list);
        resnets(&mut list);
        list.0
    });
    &ENTRIES
}

#[derive(Default)]
struct List(Vec<Entry>);

impl List {
    fn add(
        &mut self,
        name: impl Into<String>,
        text: &'static str,
        published: Option<&'static str>,
        changes: &[&str],
    ) {
        self.0.push(Entry {
            name: name.into(),
            text,
            changes: changes.iter().map(|change| (*change).to_owned()).collect(),
            published,
        });
    }
}

/// About ten minutes on two cores: few images and epochs, small batches.
const SHORT: [&str; 3] = [
    "batch=64",
    "optimizer.schedule=cosine",
    "optimizer.warm-up=0.5",
];

/// The same on ImageNet, with small images.
const SHORT_IMAGENET: [&str; 4] = [
    "epochs=10",
    "transforms.train.size=128",
    "transforms.test.resize=144",
    "transforms.test.size=128",
];

fn tiny(list: &mut List) {
    // Published accuracies: random, discovered.
    let times = [
        ("static", "76.1 ± 0.5", "80.9 ± 0.6"),
        ("discrete", "77.3 ± 0.7", "82.3 ± 0.6"),
        ("continuous", "78.5 ± 1.2", "83.1 ± 0.3"),
    ];
    for (time, random, dnw) in times {
        let kind = format!("model.kind=tiny-{time}");
        let about = |how: &str| {
            format!(
                "about=CIFAR-10; 800 nodes that run {how}, five edges in a hundred, about 41k parameters."
            )
        };
        let about = about(match time {
            "static" => "level by level",
            "discrete" => "all at once, five times",
            _ => "as a differential equation",
        });
        let changes = [kind.as_str(), about.as_str()];
        list.add(
            format!("cifar10-tiny-{time}-dnw"),
            TINY,
            Some(dnw),
            &changes,
        );
        let mut rule = changes.to_vec();
        rule.push("wiring.rule=random");
        list.add(
            format!("cifar10-tiny-{time}-random"),
            TINY,
            Some(random),
            &rule,
        );
        let mut short = changes.to_vec();
        short.extend(SHORT);
        let size: &[&str] = match time {
            "static" => &["epochs=5"],
            "discrete" => &["epochs=3", "train-images=20000", "test-images=5000"],
            _ => &[
                "epochs=3",
                "train-images=1500",
                "test-images=500",
                "batch=16",
            ],
        };
        short.extend(size);
        list.add(format!("cifar10-tiny-{time}-dnw-short"), TINY, None, &short);
    }
}

fn cifar_mobilenets(list: &mut List) {
    let rows: [(&str, &str, &[&str]); 8] = [
        (
            "dense-x0.25",
            "86.3 ± 0.2",
            &[
                "model.kind=mobilenet-dense",
                "model.width=0.25",
                "wiring.rule=complete",
                "about=CIFAR-10; MobileNetV1 of a quarter of the width, dense.",
            ],
        ),
        ("random-x0.225", "87.2 ± 0.1", &["wiring.rule=random"]),
        ("no-update-x0.225", "86.7 ± 0.5", &["wiring.rule=no-update"]),
        ("l1-anneal-x0.225", "84.3 ± 0.6", &["wiring.rule=l1-anneal"]),
        (
            "targeted-dropout-x0.225",
            "89.2 ± 0.4",
            &[
                "wiring.rule=targeted-dropout",
                "wiring.settings.drop-probability=0.95",
            ],
        ),
        (
            "lottery-ticket-x0.225",
            "87.9 ± 0.3",
            &[
                "wiring.rule=lottery-ticket",
                "second-phase.epochs=160",
                "second-phase.learning-rate=0.1",
            ],
        ),
        (
            "fine-tune-x0.225",
            "89.7",
            &[
                "wiring.rule=fine-tune",
                "second-phase.epochs=160",
                "second-phase.learning-rate=0.01",
            ],
        ),
        ("dnw-x0.225", "89.7 ± 0.2", &[]),
    ];
    for (name, published, changes) in rows {
        list.add(
            format!("cifar10-mobilenet-{name}"),
            CIFAR_MOBILENET,
            Some(published),
            changes,
        );
    }
    let mut short = SHORT.to_vec();
    short.extend(["epochs=2", "train-images=12800", "test-images=2500"]);
    list.add(
        "cifar10-mobilenet-dnw-x0.225-short",
        CIFAR_MOBILENET,
        None,
        &short,
    );
}

fn cifar_resnets(list: &mut List) {
    list.add("cifar10-resnet18-dnw-90", CIFAR_RESNET, None, &[]);
    let mut short = SHORT.to_vec();
    short.extend(["epochs=4", "train-images=20000", "model.width=16"]);
    short.push(
        "about=CIFAR-10; ResNet-18 of a quarter of the width, every layer wired, one edge in ten.",
    );
    list.add("cifar10-resnet18-dnw-90-short", CIFAR_RESNET, None, &short);
}

fn mobilenets(list: &mut List) {
    const SMALL: &str = "model.head=wired";
    let dense = ["model.kind=mobilenet-dense", "wiring.rule=complete"];
    let rows: [(&str, &str, &[&str]); 9] = [
        (
            "dense-x0.25",
            "50.6",
            &[
                "model.width=0.25",
                "about=ImageNet; MobileNetV1 of a quarter of the width, dense.",
            ],
        ),
        (
            "dense-x0.5",
            "63.7",
            &[
                "model.width=0.5",
                "about=ImageNet; MobileNetV1 of half the width, dense.",
            ],
        ),
        ("random-x0.225", "53.3", &["wiring.rule=random"]),
        (
            "random-x0.49",
            "64.1",
            &["wiring.rule=random", "wiring.prune-rate=0.51"],
        ),
        (
            "dnw-small-x0.15",
            "50.3",
            &[SMALL, "wiring.prune-rate=0.85"],
        ),
        ("dnw-small-x0.225", "59.9", &[SMALL]),
        ("dnw-x0.225", "60.9", &[]),
        ("dnw-x0.3", "65.0", &["wiring.prune-rate=0.7"]),
        ("dnw-x0.49", "70.4", &["wiring.prune-rate=0.51"]),
    ];
    for (name, published, changes) in rows {
        let mut all: Vec<String> = Vec::new();
        if name.starts_with("dense") {
            all.extend(dense.map(str::to_owned));
        } else {
            let (_, width) = name.rsplit_once('x').unwrap_or(("", name));
            let small = match name.contains("small") {
                true => ", the classifier wired too",
                false => "",
            };
            all.push(format!(
                "about=ImageNet; MobileNetV1 as five chained graphs with the edges of width {width}{small}."
            ));
        }
        all.extend(changes.iter().map(|change| (*change).to_owned()));
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        list.add(
            format!("imagenet-mobilenet-{name}"),
            MOBILENET,
            Some(published),
            &all,
        );
    }
    let short = [&SHORT[..], &SHORT_IMAGENET].concat();
    list.add(
        "imagenet-mobilenet-dnw-x0.225-short",
        MOBILENET,
        None,
        &short,
    );
}

fn resnets(list: &mut List) {
    // Published accuracies by percent of weights pruned: all layers sparse, first layer dense.
    let rows = [
        (10, "77.49", "77.38"),
        (20, "77.61", "77.28"),
        (30, "77.60", "77.49"),
        (40, "77.54", "77.56"),
        (50, "77.53", "77.57"),
        (60, "77.29", "77.46"),
        (70, "76.90", "77.08"),
        (80, "76.16", "76.60"),
        (90, "74.03", "75.04"),
    ];
    let dense = [
        "wiring.rule=complete",
        "wiring.plain-layers=false",
        "about=ImageNet; ResNet-50, dense.",
    ];
    list.add("imagenet-resnet50-dense", RESNET, Some("77.51"), &dense);
    for (setting, what) in [
        ("all", "every convolution and the classifier wired"),
        (
            "first-dense",
            "every convolution but the first and the classifier wired",
        ),
    ] {
        for (percent, all, first_dense) in rows {
            let rate = format!("wiring.prune-rate=0.{}", percent / 10);
            let about = format!(
                "about=ImageNet; ResNet-50 with {what}, {percent} % of the weights pruned."
            );
            let mut changes = vec![rate.as_str(), about.as_str()];
            if setting == "first-dense" {
                changes.push("wiring.dense=['conv1.weight']");
            }
            let published = if setting == "all" { all } else { first_dense };
            list.add(
                format!("imagenet-resnet50-{setting}-{percent}"),
                RESNET,
                Some(published),
                &changes,
            );
        }
    }
    let short = [&SHORT[..], &SHORT_IMAGENET].concat();
    list.add("imagenet-resnet50-all-90-short", RESNET, None, &short);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> = entries().iter().map(|entry| entry.name.as_str()).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn every_row_of_the_papers_tables_is_there() {
        let has = |name: String| {
            assert!(
                entries()
                    .iter()
                    .any(|e| e.name == name && e.published.is_some()),
                "{name}"
            )
        };
        for time in ["static", "discrete", "continuous"] {
            has(format!("cifar10-tiny-{time}-dnw"));
            has(format!("cifar10-tiny-{time}-random"));
        }
        for rule in [
            "random",
            "no-update",
            "l1-anneal",
            "targeted-dropout",
            "lottery-ticket",
            "fine-tune",
            "dnw",
        ] {
            has(format!("cifar10-mobilenet-{rule}-x0.225"));
        }
        for name in [
            "dense-x0.25",
            "dense-x0.5",
            "random-x0.225",
            "random-x0.49",
            "dnw-small-x0.15",
            "dnw-small-x0.225",
            "dnw-x0.225",
            "dnw-x0.3",
            "dnw-x0.49",
        ] {
            has(format!("imagenet-mobilenet-{name}"));
        }
        for percent in (10..=90).step_by(10) {
            has(format!("imagenet-resnet50-all-{percent}"));
            has(format!("imagenet-resnet50-first-dense-{percent}"));
        }
        has("imagenet-resnet50-dense".into());
        has("cifar10-mobilenet-dense-x0.25".into());
    }
}
