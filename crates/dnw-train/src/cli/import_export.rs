//! `dnw import` and `dnw export`: checkpoints from and for other programs.

use std::fmt::Write;
use std::path::Path;

use burn::tensor::Device;
use dnw_device::host;
use dnw_onnx::ExportOptions;
use dnw_train::compiled::ExportOnnx;
use dnw_train::export::{self, Form};
use dnw_train::import::{Import, Imported};
use dnw_train::run::{RunFolder, write_whole};

use super::args::{ExportArgs, ImportArgs, LayoutName};
use super::device::cpu;
use super::environment::{command_line, environment};
use super::failure::Failure;
use super::output::{line, note, print_bytes};

/// Imports a file as a run folder.
pub fn import(args: &ImportArgs) -> Result<u8, Failure> {
    let device = cpu()?;
    let mut environment = environment(&host(), "CPU", None);
    let file = args.file.to_string_lossy().into_owned();
    environment.push(("imported from".into(), file));
    let import = Import {
        file: &args.file,
        recipe: args.recipe.as_deref(),
        changes: &args.set,
        out: args.out.as_deref(),
        command: command_line(),
        environment,
        device: &device.autodiff(),
    };
    let imported = import.run()?;
    notes(&imported);
    print(&imported, args.json)?;
    Ok(0)
}

/// Notes on what the file leaves open.
pub fn notes(imported: &Imported) {
    if !imported.skipped.is_empty() {
        let skipped: Vec<String> = imported.skipped.iter().map(ToString::to_string).collect();
        note(format!("passed over: {}", first_few(&skipped)));
    }
    if !imported.others.is_empty() {
        let (recipe, others) = (&imported.recipe.name, first_few(&imported.others));
        note(format!(
            "taken for `{recipe}`; these fit as well: {others}; the file does not say which it is, `--recipe` does"
        ));
    }
    if !imported.unmasked.is_empty() {
        let weights: Vec<String> = imported.unmasked.iter().map(|w| format!("`{w}`")).collect();
        note(format!(
            "the file has no mask for {}, which the program that saved it masks (PyTorch's WeightNormSparsifier keeps masks in its own \
             `state_dict()`): the weights are those from before pruning; call `squash_mask()` before saving",
            first_few(&weights)
        ));
    }
}

/// The first few names.
fn first_few(all: &[String]) -> String {
    const MAX: usize = 5;
    let shown = all.iter().take(MAX).cloned().collect::<Vec<_>>();
    match all.len().saturating_sub(MAX) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn print(imported: &Imported, json: bool) -> Result<(), Failure> {
    let (facts, run) = (&imported.facts, imported.folder.path());
    if json {
        let result = serde_json::json!({
            "run": run.to_string_lossy(),
            "recipe": imported.recipe.name,
            "also_fits": imported.others,
            "wiring_from": imported.wiring.to_string(),
            "classes": facts.classes.len(),
            "edges_real": facts.edges_real,
            "edges_possible": facts.edges_possible,
            "parameters": facts.parameters,
            "dead_nodes": facts.dead_nodes,
        });
        return line(format!("{result:#}"));
    }
    let mut text = String::new();
    let _ = writeln!(text, "recipe         {}", imported.recipe.name);
    let _ = writeln!(
        text,
        "edges          {} real of {} possible, {} parameters in all",
        facts.edges_real, facts.edges_possible, facts.parameters
    );
    let _ = writeln!(text, "wiring from    {}", imported.wiring);
    let _ = writeln!(text, "run            {}", run.display());
    let _ = writeln!(text, "evaluate it    dnw eval {}", run.display());
    print_bytes(text.as_bytes())
}

/// Writes the weights of a run as a file.
pub fn export(args: &ExportArgs) -> Result<u8, Failure> {
    let folder = RunFolder::open(&args.run)?;
    let device = cpu()?;
    if args.onnx.is_none() && (args.sparse_initializers || args.external_weights) {
        return Err(Failure::new(
            "`--sparse-initializers` and `--external-weights` are for ONNX models",
            "give `--onnx FILE` in place of `--out`",
        ));
    }
    let out = match (&args.onnx, &args.out) {
        (Some(onnx), _) => return export_onnx(args, &folder, onnx, &device),
        (None, Some(out)) => out,
        (None, None) => return Err(Failure::new("no file is named", "give `--out` or `--onnx`")),
    };
    let form = match args.layout {
        LayoutName::Burn => Form::Burn,
        LayoutName::Published if args.masks => Form::Masks,
        LayoutName::Published if args.raw => Form::Raw,
        LayoutName::Published => Form::Zeros,
    };
    let bytes = export::export(&folder, args.weights.name(), form, &device)?;
    write_whole(out, &bytes)?;
    line(out.display())?;
    Ok(0)
}

fn export_onnx(
    args: &ExportArgs,
    folder: &RunFolder,
    out: &Path,
    device: &Device,
) -> Result<u8, Failure> {
    let name = out.file_name().unwrap_or_default().to_string_lossy();
    let data = format!("{name}.data");
    let mut options = ExportOptions::default();
    options.sparse = args.sparse_initializers;
    options.external = args.external_weights.then(|| data.clone());
    let export = ExportOnnx {
        folder,
        which: args.weights.name(),
        options,
        device,
    };
    let exported = export.run()?;
    // The model last: it names the other file.
    if let Some(bytes) = exported.external {
        let path = out.with_file_name(data);
        write_whole(&path, &bytes)?;
        line(path.display())?;
    }
    write_whole(out, &exported.model)?;
    line(out.display())?;
    Ok(0)
}
