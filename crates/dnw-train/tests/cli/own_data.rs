//! What docs/own-data.md says about training on one's own pictures, done.

use std::fs;
use std::path::Path;

use crate::shell::Shell;

const PAGE: &str = include_str!("../../../../docs/own-data.md");

/// The first block of the page in this language.
fn block(language: &str) -> &'static str {
    let (_, after) = PAGE.split_once(&format!("```{language}\n")).unwrap();
    after.split_once("```").unwrap().0
}

/// A picture of a shape, of a size and in colours that depend on its number.
fn picture(shape: &str, number: usize) -> Vec<u8> {
    let (width, height) = (40 + number % 7, 41 + number % 5);
    let on = [200, 120 + (number * 9 % 100) as u8, 230];
    let off = [10, 60, (number * 7 % 90) as u8];
    let mut pixels = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let [dx, dy] = [x.abs_diff(width / 2), y.abs_diff(height / 2)];
            let is_on = match shape {
                "circle" => dx * dx + dy * dy < 170,
                "square" => dx < 12 && dy < 12,
                _ => (x + y) / 4 % 2 == 0,
            };
            pixels.extend(if is_on { on } else { off });
        }
    }
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&pixels).unwrap();
    writer.finish().unwrap();
    file
}

#[test]
fn the_page_about_own_pictures_does_what_it_says() {
    let shell = Shell::new();
    for (part, pictures) in [("train", 24), ("val", 8)] {
        for shape in ["circle", "square", "stripes"] {
            let folder = shell.path(Path::new("pictures").join(part).join(shape));
            fs::create_dir_all(&folder).unwrap();
            for number in 0..pictures {
                let file = folder.join(format!("{number}.png"));
                fs::write(file, picture(shape, number)).unwrap();
            }
        }
    }
    fs::write(shell.path("shapes.toml"), block("toml")).unwrap();
    let commands = block("console").lines();
    let commands = commands.map(|line| line.strip_prefix("$ dnw ").unwrap());
    let mut said = Vec::new();
    for command in commands {
        let arguments: Vec<&str> = command.split(' ').collect();
        said.push(shell.dnw(&arguments).succeeded());
    }
    let plan = &said[0].stdout;
    assert!(
        plan.contains("72 training images of 3 x 16 x 16, 3 classes, as found"),
        "{plan}"
    );
    let facts = shell.facts("runs/shapes-1");
    assert_eq!(
        facts["classes"],
        serde_json::json!(["circle", "square", "stripes"])
    );
    assert_eq!(facts["image"], serde_json::json!([3, 16, 16]));
    // A third would be chance.
    assert!(facts["test_accuracy"].as_f64().unwrap() > 0.8, "{facts}");
    assert!(shell.path("shapes.safetensors").exists());
    let counted = shell.run("count shapes.toml --data pictures --json");
    let counted = counted.succeeded().json();
    assert_eq!(counted["name"], "shapes");
    // The dense classifier: 20 outputs of 3 x 3 cells to 3 classes.
    assert_eq!(
        counted["layers"].as_array().unwrap().last().unwrap()["dense"]["weights"],
        540
    );
}
