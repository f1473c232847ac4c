//! Files that cannot become runs: each is refused in a sentence with its remedy, and nothing is written.

use std::collections::BTreeMap;
use std::fs;

use dnw_checkpoint::{Tensor, write_safetensors};

use crate::pickles::{self, Pickle};
use crate::published::{TINY, narrow, tensors};
use crate::shell::Shell;

/// Imports `bytes` as the narrow static network and sees it refused in these words, with nothing written.
#[track_caller]
fn refused(bytes: &[u8], words: &[&str]) {
    let shell = Shell::new();
    fs::write(shell.path("file.pt"), bytes).unwrap();
    let before = shell.files(".");
    let named = ["import", "file.pt", "--recipe", "cifar10-tiny-static-dnw"];
    let named = [&named, &TINY[..]].concat();
    shell.dnw(&named).refused(&[&["file.pt"], words].concat());
    shell
        .dnw(&[&named[..], &["--out", "run"]].concat())
        .refused(words);
    assert_eq!(shell.files("."), before, "nothing is written");
    assert!(!shell.path("run").exists() && !shell.path("runs").exists());
}

fn sound() -> BTreeMap<String, Tensor> {
    tensors(&narrow("tiny_static_dnw", "initial.safetensors"))
}

fn written(tensors: &BTreeMap<String, Tensor>) -> Vec<u8> {
    write_safetensors(tensors.values(), &[]).unwrap()
}

#[test]
fn a_pickle_that_asks_for_code_is_refused_by_the_name_of_it() {
    let code = Pickle::new().bytes(b"cos\nsystem\n(").text("touch owned");
    let file = pickles::file(code.bytes(b"tR"), &[]);
    refused(&file, &["os.system", "nothing in the file was run"]);
}

#[test]
fn an_object_in_the_place_of_a_tensor_is_refused_by_its_name() {
    let pickle = Pickle::new().bytes(b"}").text("fc.weight");
    let pickle = pickle.tensor(&[4], 4).bytes(b"s").text("fc.bias");
    let pickle = pickle.bytes(b"ctrain\nBias\n)R");
    let file = pickles::file(pickle.bytes(b"s"), &[0.0; 4]);
    refused(
        &file,
        &[
            "in the place of tensors",
            "`fc.bias`: an object of `train.Bias`",
        ],
    );
}

#[test]
fn a_pickle_without_an_end_is_refused() {
    let lists = b"]".repeat(100_000);
    let nested = Pickle::new().bytes(lists).bytes(b"a".repeat(99_999));
    refused(&pickles::file(nested, &[]), &["at most"]);
    // A list that holds itself.
    let itself = Pickle::new().bytes(b"}").text("a").bytes(b"]q\x00h\x00as");
    refused(&pickles::file(itself, &[]), &["file.pt"]);
}

#[test]
fn claims_that_the_bytes_do_not_back_are_refused() {
    let short = pickles::one_tensor("graph.weight", &[104, 104, 1, 1], 4, &[0.0; 4]);
    refused(&short, &["graph.weight"]);
    let huge = pickles::one_tensor("graph.weight", &[50_000_000_000], 50_000_000_000, &[0.0; 8]);
    assert!(huge.len() < 1024);
    refused(&huge, &["help: download or copy the file again"]);
}

#[test]
fn a_file_that_is_cut_anywhere_is_refused() {
    let file = written(&sound());
    for cut in [1, 7, 8, 9, 100, file.len() / 2, file.len() - 1] {
        refused(&file[..cut], &["cannot read `file.pt`"]);
    }
    let file = pickles::one_tensor("fc.bias", &[10], 10, &[0.0; 10]);
    for cut in [1, 20, file.len() / 2, file.len() - 1] {
        refused(&file[..cut], &["cannot read `file.pt`"]);
    }
}

#[test]
fn what_is_no_checkpoint_is_refused() {
    refused(b"", &["an empty file"]);
    refused(
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n",
        &["a Git LFS pointer", "git lfs pull"],
    );
    refused(
        b"epoch,loss\n1,2.3\n",
        &["neither a PyTorch checkpoint", "torch.save"],
    );
    let shell = Shell::new();
    fs::create_dir(shell.path("folder")).unwrap();
    shell
        .run("import folder")
        .refused(&["cannot read `folder`", "a folder, not a checkpoint"]);
    shell
        .run("import nowhere.pt")
        .refused(&["cannot read `nowhere.pt`"]);
}

#[test]
fn every_tensor_that_differs_is_named_at_once() {
    let mut tensors = sound();
    tensors.remove("fc.bias");
    tensors.remove("norm.3.weight");
    let stray = Tensor {
        name: "fc.scale".into(),
        ..tensors["fc.weight"].clone()
    };
    tensors.insert("fc.scale".into(), stray);
    let kernel = tensors.get_mut("conv.weight").unwrap();
    kernel.shape = vec![1, 104, 3, 3];
    refused(
        &written(&tensors),
        &[
            "the file lacks `norm.3.weight`, `fc.bias`",
            "no place for `fc.scale`",
            "`conv.weight` is 1 x 104 x 3 x 3 instead of 104 x 1 x 3 x 3",
        ],
    );
}

#[test]
fn a_network_of_another_kind_is_answered_with_the_recipe_that_it_fits() {
    let shell = Shell::new();
    shell.run("train mnist-lenet --help").succeeded();
    // A LeNet-300-100, as its shapes say.
    let linear = |name: &str, targets: usize, sources: usize| {
        let tensor = |name: String, shape: Vec<usize>| Tensor {
            data: vec![0.5; shape.iter().product()],
            name,
            shape,
        };
        [
            tensor(format!("{name}.weight"), vec![targets, sources]),
            tensor(format!("{name}.bias"), vec![targets]),
        ]
    };
    let layers = [
        linear("fc1", 300, 784),
        linear("fc2", 100, 300),
        linear("fc3", 10, 100),
    ];
    let file = write_safetensors(layers.as_flattened(), &[]).unwrap();
    refused(
        &file,
        &[
            "does not fit the recipe `cifar10-tiny-static-dnw`",
            "and 1",
            "it fits the recipe `mnist-lenet`",
        ],
    );
    fs::write(shell.path("file.pt"), &file).unwrap();
    let found = shell.run("import file.pt --json").succeeded();
    assert_eq!(found.json()["recipe"], "mnist-lenet");
}

#[test]
fn a_file_that_fits_no_recipe_is_answered_with_the_nearest() {
    let shell = Shell::new();
    fs::write(shell.path("narrow.pt"), written(&sound())).unwrap();
    shell.run("import narrow.pt").refused(&[
        "fits no recipe",
        "of the nearest, `cifar10-tiny-static-",
        "is 104 x 104 x 1 x 1 instead of 800 x 800 x 1 x 1",
        "--set model.KEY=VALUE",
    ]);
    let stranger = pickles::one_tensor("encoder.weight", &[2], 2, &[0.0; 2]);
    fs::write(shell.path("stranger.pt"), stranger).unwrap();
    shell
        .run("import stranger.pt")
        .refused(&["`stranger.pt` fits no recipe", "dnw recipes"]);
    assert!(!shell.path("runs").exists());
}

#[test]
fn numbers_that_cannot_be_ranked_are_refused_by_the_names_of_their_tensors() {
    let mut tensors = sound();
    tensors.get_mut("graph.weight").unwrap().data[5] = f32::NAN;
    tensors.get_mut("fc.bias").unwrap().data[0] = f32::INFINITY;
    refused(
        &written(&tensors),
        &["not finite", "`fc.bias`", "`graph.weight`"],
    );
}

#[test]
fn a_mask_is_needed_where_the_wiring_was_drawn_and_must_not_be_soft() {
    let shell = Shell::new();
    let import = |recipe: &str, tensors: &BTreeMap<String, Tensor>| {
        fs::write(shell.path("file.pt"), written(tensors)).unwrap();
        let import = ["import", "file.pt", "--recipe", recipe];
        shell.dnw(&[&import, &TINY[..], &["--out", "run"]].concat())
    };
    let mut drawn = tensors(&narrow("tiny_static_random", "initial.safetensors"));
    let random = "cifar10-tiny-static-random";
    import(random, &sound()).refused(&["the file lacks `graph.mask`"]);
    drawn.get_mut("graph.mask").unwrap().data[0] = 0.25;
    import(random, &drawn).refused(&["`graph.mask` has the value 0.25"]);
    assert!(!shell.path("run").exists());
}

#[test]
fn a_folder_that_is_used_or_cannot_be_made_is_named() {
    let shell = Shell::new();
    fs::write(shell.path("file.pt"), written(&sound())).unwrap();
    fs::create_dir(shell.path("used")).unwrap();
    fs::write(shell.path("used/mine"), "here").unwrap();
    let before = shell.files(".");
    for (out, words) in [("used", "is not empty"), ("file.pt/run", "cannot write")] {
        let import = ["import", "file.pt", "--recipe", "cifar10-tiny-static-dnw"];
        shell
            .dnw(&[&import, &TINY[..], &["--out", out]].concat())
            .refused(&[words, "--out"]);
    }
    shell.run("export used --out x").refused(&["no run folder"]);
    assert_eq!(shell.files("."), before);
}

#[test]
fn a_rule_whose_thresholds_have_no_place_in_published_files_says_so() {
    let shell = Shell::new();
    shell
        .train("run", &["--set", "wiring.rule=str"])
        .succeeded();
    shell
        .run("export run --raw --out file")
        .refused(&["rule `str` learns a threshold", "--layout burn"]);
    shell.run("export run --layout burn --out file").succeeded();
}
