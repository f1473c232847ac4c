//! Writes the pages and pictures of synthetic runs to a folder.
//!
//! `cargo run --package dnw-report --example demo -- target/demo`

use std::error::Error;
use std::path::PathBuf;

use dnw_report::synthetic::{self, Size};
use dnw_report::{animated_wiring_svg, comparison_page, comparison_svg, explorer_page, wiring_svg};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(
        std::env::args()
            .nth(1)
            .unwrap_or_else(|| "target/demo".into()),
    );
    std::fs::create_dir_all(&folder)?;
    for (name, size) in [
        ("small", Size::small()),
        ("medium", Size::medium()),
        ("wide", Size::wide()),
        ("large", Size::large()),
    ] {
        std::fs::write(
            folder.join(format!("{name}.html")),
            explorer_page(&synthetic::recording(&size))?,
        )?;
    }
    let medium = synthetic::recording(&Size::medium());
    std::fs::write(
        folder.join("wiring.svg"),
        wiring_svg(&medium, &[0, 500, 1000, 3000])?,
    )?;
    std::fs::write(
        folder.join("wiring-moving.svg"),
        animated_wiring_svg(&medium, 30)?,
    )?;
    let comparison = synthetic::comparison();
    std::fs::write(
        folder.join("comparison.html"),
        comparison_page(&comparison)?,
    )?;
    std::fs::write(folder.join("comparison.svg"), comparison_svg(&comparison))?;
    println!("{}", folder.display());
    Ok(())
}
