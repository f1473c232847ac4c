//! The README's pictures.

use std::path::PathBuf;

use clap::Args;

use crate::program;

/// The options of the pictures.
#[derive(Debug, Args)]
pub struct PictureArgs {
    /// A finished run to draw [default: a run of the main job, trained if missing]
    #[arg(long, value_name = "RUN")]
    run: Option<PathBuf>,
}

/// Draws `docs/pictures/{discovery,moments}.svg`.
pub fn run(args: &PictureArgs) -> Result<(), String> {
    let dnw = program::build()?;
    let folder = match &args.run {
        Some(run) => run.clone(),
        None => {
            let folder = program::root().join("runs/pictures");
            if !folder.join("run.json").exists() {
                program::call(&dnw, &["--out".into(), folder.display().to_string()])?;
            }
            folder
        }
    };
    let pictures = program::root().join("docs/pictures");
    std::fs::create_dir_all(&pictures)
        .map_err(|error| format!("{}: {error}", pictures.display()))?;
    let draw = |name: &str, flags: &[&str]| {
        let mut arguments = vec![
            "report".into(),
            folder.display().to_string(),
            "--svg".into(),
        ];
        arguments.push(pictures.join(name).display().to_string());
        arguments.extend(flags.iter().map(|&flag| flag.to_owned()));
        program::call(&dnw, &arguments)
    };
    draw("discovery.svg", &["--moving", "30"])?;
    draw("moments.svg", &["--at", "0,0.15,1"])
}
