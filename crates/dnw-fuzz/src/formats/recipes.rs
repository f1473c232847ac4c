//! Recipes, and tables of budgets.

use std::fs;

use dnw_train::recipe::{BudgetTable, Recipe};

use crate::format::{Format, Outcome, in_folder};

/// A user's recipe.
pub const RECIPE: Format = Format::new("recipe", recipes, read_recipe, |bytes| {
    (1 << 20) + 200 * bytes
});

/// A table of the layers' budgets.
pub const BUDGETS: Format = Format::new("budgets", tables, read_budgets, |bytes| {
    (1 << 20) + 200 * bytes
});

fn recipes() -> Vec<Vec<u8>> {
    [
        &include_bytes!("../../../dnw-train/recipes/digits.toml")[..],
        include_bytes!("../../../dnw-train/recipes/mnist-lenet.toml"),
        include_bytes!("../../../dnw-train/recipes/cifar10-tiny.toml"),
        include_bytes!("../../../dnw-train/recipes/cifar10-resnet18.toml"),
        include_bytes!("../../../dnw-train/recipes/imagenet-mobilenet.toml"),
        include_bytes!("../../../dnw-train/recipes/imagenet-resnet50.toml"),
    ]
    .map(<[u8]>::to_vec)
    .to_vec()
}

/// Text that is not UTF-8 is refused when a file is read.
fn read_recipe(bytes: &[u8]) -> Outcome {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Outcome::Refused;
    };
    let read = Recipe::read_strictly(text, &[]);
    if let Ok(recipe) = &read {
        // What a run keeps of it is the same recipe.
        let again = Recipe::read(&recipe.to_toml(), &[]).expect("a recipe that was written");
        assert_eq!(again.to_toml(), recipe.to_toml());
    }
    read.into()
}

fn tables() -> Vec<Vec<u8>> {
    [
        "Metric,Params,Sparsity 1,Sparsity 2\nOverall,25503912,90,95.5\nLayer 1 - conv1,9408,70.1,80.2\n\
         Layer 2 - layer1.0.conv1,4096,85,91.25\nfc,2048000,50,60\n",
        "conv1,50\n\"fc\",12.5\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

fn read_budgets(bytes: &[u8]) -> Outcome {
    in_folder(|folder| {
        let path = folder.join("budgets.csv");
        fs::write(&path, bytes).expect("a file");
        let Ok(table) = BudgetTable::open(&path) else {
            return Outcome::Refused;
        };
        table
            .column(Some(95.5))
            .or_else(|_| table.column(None))
            .into()
    })
}
