//! Devices by name: which there are, and what is said of those that cannot be had.

use crate::shell::Shell;

const BACKENDS: [&str; 9] = [
    "flex", "ndarray", "wgpu", "vulkan", "metal", "cuda", "rocm", "libtorch", "remote",
];

#[test]
fn every_backend_is_listed_with_what_it_needs() {
    let shell = Shell::new();
    let table = shell.run("devices").succeeded().stdout;
    for backend in BACKENDS {
        let lines = || table.lines().filter(|line| line.starts_with(backend));
        assert!(lines().count() > 0, "{backend} is not in {table}");
        for line in lines().filter(|line| line.contains("not built")) {
            assert!(line.contains(&format!("--features {backend}`")), "{line}");
            assert!(line.contains("; needs "), "{line}");
        }
    }
    assert!(table.contains("`--device auto` takes "), "{table}");
}

#[test]
fn the_list_is_to_be_had_as_json() {
    let shell = Shell::new();
    let all = shell.run("devices --json").succeeded().json();
    let backends = all["backends"].as_array().unwrap();
    let names: Vec<_> = backends.iter().map(|row| row["backend"].clone()).collect();
    assert_eq!(names, BACKENDS);
    let flex = &backends[0];
    assert_eq!(flex["built"], cfg!(feature = "flex"));
    if cfg!(feature = "flex") {
        assert_eq!(flex["devices"][0]["name"], "flex");
        assert_eq!(flex["devices"][0]["kind"], "cpu");
        assert!(
            flex["devices"][0]["model"]
                .as_str()
                .unwrap()
                .contains("CPU")
        );
    }
    assert!(all["auto"]["device"].is_string());
}

#[test]
fn a_name_of_no_device_is_refused_with_what_would_be_one() {
    let shell = Shell::new();
    for (name, words) in [
        ("cudda", &["no device `cudda`", "did you mean `cuda`?"][..]),
        (
            "gpu",
            &[
                "no device `gpu`",
                "did you mean `wgpu`? The devices are auto, flex",
            ],
        ),
        ("cuda:first", &["`cuda:first`", "a number, as in cuda:0"]),
        (
            "wgpu:fast",
            &["discrete, integrated, virtual, cpu or a number"],
        ),
        ("flex:1", &["there is only one such device"]),
        ("remote", &["the server's address, as in remote:ws://"]),
        (
            "remote:ws://gpu:3000",
            &["unencrypted", "dnw serve --listen"],
        ),
        ("remote:iroh://key@gpu:3000", &["64 hexadecimal digits"]),
    ] {
        for command in [
            &["train", "digits", "--out", "run"][..],
            &["serve", "--listen", "127.0.0.1:0"],
        ] {
            if command[0] == "serve" && !cfg!(feature = "remote") {
                continue;
            }
            let answer = shell.dnw(&[command, &["--device", name]].concat());
            answer.refused(words);
        }
    }
    assert!(shell.files(".").is_empty(), "nothing is written");
}

#[test]
fn a_device_that_was_not_built_names_its_feature() {
    let shell = Shell::new();
    let built = shell.run("devices --json").succeeded().json();
    let built = |name: &str| {
        let mut backends = built["backends"].as_array().unwrap().iter();
        backends.find(|row| row["backend"] == name).unwrap()["built"] == true
    };
    for (backend, name) in [
        ("cuda", "cuda:0"),
        ("rocm", "rocm"),
        ("wgpu", "wgpu:cpu"),
        ("ndarray", "ndarray"),
        ("remote", "remote:ws://127.0.0.1:3000"),
    ] {
        if built(backend) {
            continue;
        }
        shell
            .dnw(&["train", "digits", "--out", "run", "--device", name])
            .refused(&[
                &format!("this program was built without the device `{backend}`"),
                &format!("cargo build --release -p dnw-train --features {backend}"),
            ]);
    }
    if !built("remote") {
        shell
            .run("serve")
            .refused(&["built without the device `remote`", "--features remote"]);
    }
    assert!(shell.files(".").is_empty(), "nothing is written");
}

#[test]
fn a_training_says_at_its_start_where_it_computes() {
    let shell = Shell::new();
    let short = [
        &["train", "digits", "--out", "run"],
        &crate::shell::SHORT[..],
    ]
    .concat();
    let answer = shell.dnw(&[&short[..], &["--device", "flex"]].concat());
    let said = answer.succeeded().stderr;
    let line = said.lines().find(|line| line.starts_with("on ")).unwrap();
    assert!(line.starts_with("on flex (CPU, "), "{line}");
    assert!(!line.contains("auto"), "{line}");
}

/// What a machine without a graphics driver sees: the libraries that would speak to one find none.
#[cfg(feature = "wgpu")]
fn without_drivers(shell: &Shell, arguments: &[&str]) -> crate::shell::Answer {
    let mut command = shell.command(arguments);
    command
        .env("VK_ICD_FILENAMES", "/nonexistent")
        .env("VK_DRIVER_FILES", "/nonexistent")
        .env("__EGL_VENDOR_LIBRARY_FILENAMES", "/nonexistent")
        .env("LIBGL_DRIVERS_PATH", "/nonexistent");
    command.output().unwrap().into()
}

#[cfg(feature = "wgpu")]
#[test]
fn where_no_driver_is_an_adapter_is_refused_and_auto_takes_the_cpu() {
    let shell = Shell::new();
    let short = [
        &["train", "digits", "--out", "run"],
        &crate::shell::SHORT[..],
    ]
    .concat();
    let device = |name: &'static str| [&short[..], &["--device", name]].concat();
    without_drivers(&shell, &device("wgpu")).refused(&[
        "there is no device `wgpu` on this machine: wgpu finds no device",
        "mesa-vulkan-drivers",
        "`dnw devices`",
    ]);
    without_drivers(&shell, &device("wgpu:discrete"))
        .refused(&["no device `wgpu:discrete` on this machine"]);
    assert!(shell.files(".").is_empty(), "nothing is written");
    let said = without_drivers(&shell, &device("auto")).succeeded().stderr;
    assert!(
        said.contains("selected by `auto`: no GPU found by wgpu"),
        "{said}"
    );
    let table = without_drivers(&shell, &["devices"]).succeeded().stdout;
    let line = table.lines().find(|line| line.starts_with("wgpu")).unwrap();
    assert!(
        line.contains("none here: needs a graphics driver"),
        "{line}"
    );
}

#[cfg(feature = "wgpu")]
#[test]
fn an_adapter_of_a_number_that_is_not_there_is_refused_with_those_that_are() {
    let shell = Shell::new();
    let answer = shell.run("train digits --out run --device wgpu:77");
    answer.refused(&[
        "there is no device `wgpu:77` on this machine: wgpu finds ",
        "`dnw devices`",
    ]);
    assert!(shell.files(".").is_empty(), "nothing is written");
}

#[cfg(feature = "ndarray")]
#[test]
fn two_kinds_of_device_share_a_training() {
    let shell = Shell::new();
    shell
        .train("run", &["--devices", "flex,ndarray"])
        .succeeded();
    let facts = shell.facts("run");
    let environment = facts["environment"].as_array().unwrap();
    let devices = environment.iter().find(|entry| entry[0] == "devices");
    assert_eq!(devices.unwrap()[1], "flex, ndarray");
    assert_eq!(facts["status"], "finished");
}
