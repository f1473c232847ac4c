//! Screenshots of the pages.

use std::path::Path;

use base64::Engine;
use dnw_report::comparison_page;
use dnw_report::synthetic::{self, Size};

use crate::{browser, explorer, silent};

/// Writes screenshots: `DNW_PICTURES=folder cargo test -p dnw-report --test page -- --ignored`.
#[test]
#[ignore = "writes screenshots"]
fn pictures() {
    let (Some(mut browser), Ok(folder)) = (browser::start(), std::env::var("DNW_PICTURES")) else {
        return;
    };
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder).unwrap();
    let medium = explorer(&Size::medium());
    let comparison = comparison_page(&synthetic::comparison()).unwrap();
    let [wide, large] = [Size::wide(), Size::large()].map(|size| explorer(&size));
    let desktop = (1400, 900);
    let phone = (375, 812);
    for (name, html, hash, size, whole) in [
        ("light", &medium, "", desktop, false),
        ("light-whole", &medium, "#t=1400", desktop, true),
        ("dark", &medium, "#t=1520&theme=dark", desktop, false),
        ("start", &medium, "#t=300", desktop, false),
        ("hallucinated", &medium, "#hall=1&t=2900", desktop, false),
        ("node", &medium, "#node=40&t=2400", desktop, false),
        (
            "trace",
            &medium,
            "#node=40&trace=1&theme=dark",
            desktop,
            false,
        ),
        ("edge", &medium, "#edge=0.1770&t=1700", desktop, false),
        ("matrix", &medium, "#view=matrix&t=1600", desktop, false),
        ("phone-top", &medium, "#t=1700", phone, false),
        ("phone", &medium, "#t=1700", phone, true),
        ("phone-node", &medium, "#node=40&theme=dark", phone, true),
        ("wide", &wide, "", desktop, false),
        ("large", &large, "", desktop, false),
        ("compare", &comparison, "", desktop, true),
        ("compare-dark", &comparison, "#theme=dark", desktop, true),
        ("compare-phone", &comparison, "", phone, true),
    ] {
        let mut page = browser.open(html, hash, size.0, size.1);
        page.dark(hash.contains("dark"));
        page.settle();
        if whole {
            let height = page.number("document.documentElement.scrollHeight") as u32;
            // The picture's height depends on the window's, so it is fixed before the whole page is captured.
            page.eval("document.querySelectorAll('.stage, .card').forEach((e) => e.style.height = getComputedStyle(e).height)");
            page.resize(size.0, height);
            page.settle();
        }
        page.eval("new Promise((done) => setTimeout(() => done(true), 250))");
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(page.screenshot(false))
            .unwrap();
        std::fs::write(folder.join(format!("{name}.png")), bytes).unwrap();
        silent(&mut page);
    }
}
