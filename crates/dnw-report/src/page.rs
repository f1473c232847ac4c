//! Builds a page: markup, style, script and data in one file.
//!
//! The script sources in `assets/` are ES modules, so that editors understand them. A page opened from disk cannot
//! load modules, so [`bundle`] turns each module into a function that returns its exports, and each `import` into a
//! destructuring of such a result.

use serde::Serialize;

use crate::comparison::Comparison;
use crate::error::ReportError;
use crate::recording::Recording;
use crate::validate;

const STYLE: &str = concat!(
    include_str!("../assets/look.css"),
    include_str!("../assets/parts.css"),
    include_str!("../assets/comparison.css")
);

/// A script module: its name without the extension, and its source.
type Module = (&'static str, &'static str);

macro_rules! module {
    ($name:literal) => {
        ($name, include_str!(concat!("../assets/", $name, ".js")))
    };
}

/// The modules of both pages, in dependency order.
const SHARED: &[Module] = &[
    module!("elements"),
    module!("words"),
    module!("state"),
    module!("theme"),
    module!("charts"),
    module!("copy"),
];

const EXPLORER: &[Module] = &[
    module!("decode"),
    module!("run"),
    module!("reach"),
    module!("layout"),
    module!("scene"),
    module!("strokes_2d"),
    module!("strokes_gl"),
    module!("thumbnails"),
    module!("wiring"),
    module!("matrix"),
    module!("timeline"),
    module!("node_card"),
    module!("edge_card"),
    module!("histogram"),
    module!("layers"),
    module!("samples"),
    module!("facts"),
    module!("export"),
    module!("keys"),
    module!("explorer"),
];

const COMPARISON: &[Module] = &[module!("budget_plot"), module!("comparison")];

/// Builds the explorer: one HTML file that opens from disk and loads nothing from the network.
///
/// # Errors
/// [`ReportError`], which names the inconsistent field of the recording.
pub fn explorer_page(recording: &Recording) -> Result<String, ReportError> {
    validate::recording(recording)?;
    let title = format!("{} · discovering a wiring", recording.run.name);
    page(
        include_str!("../assets/explorer.html"),
        &title,
        EXPLORER,
        recording,
    )
}

/// Builds the comparison page: curves, accuracy over budget, a table of runs and the overlap of their wirings.
///
/// # Errors
/// [`ReportError`], which names the inconsistent field of the comparison.
pub fn comparison_page(comparison: &Comparison) -> Result<String, ReportError> {
    validate::comparison(comparison)?;
    let title = format!(
        "{} runs compared · discovering wirings",
        comparison.runs.len()
    );
    page(
        include_str!("../assets/comparison.html"),
        &title,
        COMPARISON,
        comparison,
    )
}

fn page(
    markup: &str,
    title: &str,
    sources: &[Module],
    data: &impl Serialize,
) -> Result<String, ReportError> {
    let data = data_element(data)?;
    let script = bundle(&[SHARED, sources].concat());
    let mut html = String::with_capacity(markup.len() + STYLE.len() + script.len() + data.len());
    // One pass over the template, so that placeholders inside inserted text are not replaced.
    let mut rest = markup;
    while let Some(at) = rest.find("{{") {
        html.push_str(&rest[..at]);
        let end = rest[at..]
            .find("}}")
            .map_or(rest.len(), |length| at + length);
        match &rest[at + 2..end] {
            "title" => html.push_str(&escape(title)),
            "style" => html.push_str(STYLE),
            "data" => html.push_str(&data),
            "script" => html.push_str(&script),
            unknown => unreachable!("unknown placeholder `{unknown}`"),
        }
        rest = &rest[end + 2..];
    }
    html.push_str(rest);
    Ok(html)
}

/// JSON without `<`, so that no text of a run can close the script element around it.
fn data_element(data: &impl Serialize) -> Result<String, ReportError> {
    Ok(serde_json::to_string(data)?.replace('<', "\\u003c"))
}

fn bundle(modules: &[Module]) -> String {
    let mut script = String::from("\"use strict\";\n(() => {\n");
    for (name, source) in modules {
        let mut exports = Vec::new();
        script.push_str(&format!("const ${name} = (() => {{\n"));
        for line in source.lines() {
            if let Some((names, from)) = import(line) {
                script.push_str(&format!("const {names} = ${from};\n"));
                continue;
            }
            let line = match line.strip_prefix("export ") {
                Some(declaration) => {
                    exports.extend(declared(declaration));
                    declaration
                }
                None => line,
            };
            script.push_str(line);
            script.push('\n');
        }
        script.push_str(&format!("return {{ {} }};\n}})();\n", exports.join(", ")));
    }
    script.push_str("})();\n");
    script
}

/// The names and the module of an `import { names } from "./module.js";` line.
fn import(line: &str) -> Option<(&str, &str)> {
    let (names, from) = line.strip_prefix("import ")?.split_once(" from \"./")?;
    Some((names, from.strip_suffix(".js\";")?))
}

/// The name that `function name(..`, `const name = ..` or `class name {` declares.
fn declared(declaration: &str) -> Option<&str> {
    let (_, rest) = declaration.split_once(' ')?;
    rest.split(|character: char| !character.is_alphanumeric() && character != '_')
        .next()
}

/// Escapes text for markup.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::{self, Size};

    #[test]
    fn a_closing_script_tag_in_a_recipe_is_escaped() {
        let mut recording = synthetic::recording(&Size::small());
        recording.run.recipe_text = "</script><script>alert(1)</script>".into();
        recording.run.name = "<b>bold</b> & \"quoted\"".into();
        let html = explorer_page(&recording).unwrap();
        assert!(!html.contains("<script>alert"));
        assert!(!html.contains("<b>bold"));
    }

    #[test]
    fn a_module_only_accesses_exports_of_other_modules() {
        let script = bundle(&[
            ("one", "const HIDDEN = 1;\nexport const SEEN = HIDDEN + 1;"),
            (
                "two",
                "import { SEEN } from \"./one.js\";\nexport function twice() {}",
            ),
        ]);
        assert!(script.contains("const SEEN = HIDDEN + 1;\nreturn { SEEN };"));
        assert!(script.contains("const { SEEN } = $one;"));
        assert!(script.contains("return { twice };"));
        assert!(!script.contains("import "));
    }

    #[test]
    fn a_page_loads_no_other_files() {
        let recording = synthetic::recording(&Size::small());
        let comparison = synthetic::comparison();
        for html in [
            explorer_page(&recording).unwrap(),
            comparison_page(&comparison).unwrap(),
        ] {
            assert!(
                !html.contains("src=\"http"),
                "a page may not load from the network"
            );
            assert!(!html.contains("<link"), "a page may not need other files");
            assert!(
                !html.contains("\nimport "),
                "a page opened from disk cannot load modules"
            );
            assert!(
                !html.contains("{{"),
                "every placeholder of the template is filled"
            );
        }
    }
}
