//! `dnw count --scaling`: the cost of training on one and on several devices, as Markdown tables.

use std::fmt::Write;

use dnw_train::counting::{Cost, published_data};
use dnw_train::recipe::Recipe;
use dnw_train::scaling::{Memory, Products, checkpoint_bytes, exchanged};

use super::failure::Failure;
use super::numbers::grouped;

/// The numbers of devices.
const DEVICES: [usize; 2] = [1, 8];

/// The cost of training by a recipe, on each of several devices that share its batch.
pub fn table(recipe: &Recipe, cost: &Cost) -> Result<String, Failure> {
    let (_, _, images) = published_data(recipe)?;
    let per_epoch = (images / recipe.batch.max(1)) as u64;
    let updates: u64 = recipe
        .phases(per_epoch)
        .iter()
        .map(|(updates, _)| updates)
        .sum();
    let [channels, height, width] = cost.image;
    let mut text = format!(
        "{}: {} updates of {} images of {channels} x {height} x {width}, {} parameters, all of which have gradients\n\n",
        recipe.name,
        grouped(updates),
        recipe.batch,
        grouped(cost.count.total.dense.parameters()),
    );
    let mut row = |label: &str, of: &dyn Fn(usize) -> String| {
        let cells = DEVICES.map(of).join(" | ");
        let _ = writeln!(text, "| {label} | {cells} |");
    };
    let devices = |devices: usize| match devices {
        1 => "1 device".to_owned(),
        many => format!("{many} devices, each"),
    };
    row("MB", &devices);
    row("---", &|_| "---:".into());
    row("images of a batch", &|n| {
        shared(recipe.batch, n).to_string()
    });
    let mb = |bytes: u64| grouped(bytes.div_ceil(1_000_000));
    let memory = |n: usize| Memory::of(cost, shared(recipe.batch, n), Products::Masked);
    type Part = (&'static str, fn(&Memory) -> u64);
    let parts: [Part; 9] = [
        ("weights", |memory| memory.weights),
        ("gradients", |memory| memory.gradients),
        ("momentum", |memory| memory.momentum),
        ("masks", |memory| memory.masks),
        ("masked weights and their factors", |memory| {
            memory.effective
        }),
        ("maps kept for the backward pass", |memory| {
            memory.activations
        }),
        ("workspace", |memory| memory.workspace),
        ("new weights while the optimizer runs", |memory| {
            memory.update
        }),
        ("selection of edges, on the host", |memory| memory.selection),
    ];
    for (label, part) in parts {
        row(label, &|n| mb(part(&memory(n))));
    }
    row("**most at once, on the device**", &|n| {
        mb(memory(n).peak(false))
    });
    row("exchanged in an update, 32-bit", &|n| {
        mb(exchanged(cost, n, 4))
    });
    row("exchanged in an update, 16-bit", &|n| {
        mb(exchanged(cost, n, 2))
    });
    row("checkpoint (written once, by one)", &|_| {
        mb(checkpoint_bytes(cost))
    });
    let work = &cost.work;
    let _ = writeln!(
        text,
        "\nMultiply-adds of an update: {} G forward and backward over every possible edge; {} G where products visit real edges only \
         (graphs, forward and for the input's gradient).",
        grouped(3 * work.dense_products * recipe.batch as u64 / 1_000_000_000),
        grouped(
            (3 * work.dense_products - 2 * (work.graph_products - work.real_products))
                * recipe.batch as u64
                / 1_000_000_000
        ),
    );
    Ok(text)
}

/// Images of a batch for each device.
fn shared(batch: usize, devices: usize) -> usize {
    batch.div_ceil(devices)
}
