//! `dnw devices`: the backends of this program, the devices of this machine, and the device of `auto`.

use dnw_device::probe;
use dnw_device::{Adapter, Backend, Kind, Present, backends, best};

use super::device::find;
use super::failure::Failure;
use super::output::{line, print_bytes};

/// The child process of [`find`].
pub fn probe(backend: &str) -> Result<u8, Failure> {
    let found = Backend::by_name(backend).ok_or_else(|| {
        Failure::new(
            format!("there is no backend `{backend}`"),
            "`dnw devices` lists them",
        )
    })?;
    line(probe::answer(found))?;
    Ok(0)
}

/// Lists devices.
pub fn devices(json: bool) -> Result<u8, Failure> {
    let present = backends(&find);
    let (auto, why) = best(&|backend| {
        let found = present.iter().find(|present| present.backend == backend);
        found.map_or(Ok(Vec::new()), |present| present.adapters.clone())
    });
    if json {
        let backends: Vec<_> = present.iter().map(to_json).collect();
        let auto = serde_json::json!({"device": auto, "why": why});
        let all = serde_json::json!({"auto": auto, "backends": backends});
        line(format!("{all:#}"))?;
        return Ok(0);
    }
    let mut rows = Vec::new();
    for present in &present {
        rows.extend(rows_of(present));
    }
    let width = |column: fn(&Row) -> &String| {
        let widths = rows.iter().map(|row| column(row).chars().count());
        widths.max().unwrap_or(0)
    };
    let (names, sizes) = (width(|row| &row.name), width(|row| &row.memory));
    let mut text = String::new();
    for row in &rows {
        let Row { name, memory, what } = row;
        text += &format!("{name:<names$}  {memory:>sizes$}  {what}\n");
    }
    print_bytes(text.as_bytes())?;
    line(match why {
        Some(why) => format!("\n`--device auto` takes {auto}: {why}"),
        None => format!("\n`--device auto` takes {auto}"),
    })?;
    Ok(0)
}

/// A row of the table.
struct Row {
    name: String,
    memory: String,
    what: String,
}

fn rows_of(present: &Present) -> Vec<Row> {
    let Present {
        backend,
        built,
        adapters,
    } = present;
    let without = |what: String| {
        vec![Row {
            name: backend.to_string(),
            memory: "-".into(),
            what,
        }]
    };
    let needs = backend.needs();
    if !built {
        return without(format!(
            "not built: build with `--features {backend}`; needs {needs}"
        ));
    }
    match adapters {
        Err(said) => without(format!("unknown: {said}; needs {needs}")),
        Ok(adapters) if *backend == Backend::Remote && adapters.is_empty() => {
            without(format!("built; needs {needs}"))
        }
        Ok(adapters) if adapters.is_empty() => without(format!("none here: needs {needs}")),
        Ok(adapters) => adapters.iter().map(row).collect(),
    }
}

fn row(adapter: &Adapter) -> Row {
    let gib = |bytes: u64| format!("{:.1} GiB", bytes as f64 / (1u64 << 30) as f64);
    let mut what = adapter.model.clone();
    if !adapter.driver.is_empty() {
        what += &format!("; {}", adapter.driver);
    }
    // CPU backends have no driver. A CPU with a driver is a software GPU.
    if adapter.kind == Kind::Cpu && !adapter.driver.is_empty() {
        what += "; software, taken only when asked for";
    }
    Row {
        name: adapter.name.to_string(),
        memory: adapter.memory.map_or_else(|| "-".into(), gib),
        what,
    }
}

fn to_json(present: &Present) -> serde_json::Value {
    let Present {
        backend,
        built,
        adapters,
    } = present;
    serde_json::json!({
        "backend": backend.name(),
        "built": built,
        "build_with": format!("cargo build --release -p dnw-train --features {backend}"),
        "needs": backend.needs(),
        "devices": adapters.as_ref().ok(),
        "failure": adapters.as_ref().err(),
    })
}
