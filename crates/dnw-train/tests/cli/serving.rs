//! Devices of a server: training and evaluating there, who is let in, and what is said when it goes away.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::time::{Duration, Instant};

use burn::module::ModuleDisplay;
use dnw_models::{Classifier, UseModel};
use dnw_train::recipe::Recipe;
use dnw_train::training::{Execution, Training, Update};

use crate::server::{Server, TOKEN, train};
use crate::shell::{Answer, SHORT, Shell};

fn metrics(shell: &Shell, run: &str) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(shell.path(run).join("metrics.jsonl")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The updates of a training in this process, from weights that are drawn on the device.
struct Updates<'a> {
    recipe: &'a Recipe,
    execution: &'a Execution,
}

impl UseModel for Updates<'_> {
    type Output = Vec<Update>;

    fn with<M: Classifier + ModuleDisplay + 'static>(self, model: M) -> Self::Output {
        let data = self.recipe.open_data(None).unwrap();
        let mut training = Training::begin(model, self.recipe, &data, self.execution).unwrap();
        let mut updates = Vec::new();
        while !training.is_finished() {
            for batch in training.batches().unwrap() {
                updates.push(training.step(&batch.unwrap()).unwrap());
            }
        }
        updates
    }
}

fn updates_on(device: &str) -> Vec<Update> {
    let changes: Vec<String> = SHORT
        .into_iter()
        .filter(|word| *word != "--set")
        .map(str::to_owned)
        .collect();
    let recipe = Recipe::named("digits", &changes).unwrap();
    let opened = dnw_device::open(&device.parse().unwrap()).unwrap();
    let execution = Execution::over(&[opened]).unwrap();
    let device = execution.device();
    device.seed(recipe.seed);
    let data = recipe.open_data(None).unwrap();
    let updates = Updates {
        recipe: &recipe,
        execution: &execution,
    };
    let (shape, classes) = (data.shape(), data.classes.len());
    recipe.model.build(shape, classes, device, updates).unwrap()
}

/// A server has no kernels of flex: plain tensors add in another order, which eight updates carry this far
/// at most, relative to the loss.
const TOLERANCE: f32 = 1e-3;

#[test]
fn updates_on_a_server_are_those_of_its_device() {
    let shell = Shell::new();
    let server = Server::start(
        &shell,
        &["--listen", "127.0.0.1:0", "--without-token"],
        None,
    );
    let (here, there) = (updates_on("flex"), updates_on(&server.device));
    assert_eq!((here.len(), there.len()), (8, 8));
    let mut largest = 0.0f32;
    for (here, there) in here.iter().zip(&there) {
        largest = largest.max((here.loss / there.loss - 1.0).abs());
        assert_eq!(here.rate, there.rate);
        assert_eq!(here.rewiring.added(), there.rewiring.added());
    }
    eprintln!("largest difference of a loss: {largest:e}");
    assert!(largest < TOLERANCE, "{largest}");
}

#[test]
fn a_run_made_on_a_server_is_worth_the_same_here() {
    let shell = Shell::new();
    let server = Server::start(&shell, &["--listen", "127.0.0.1:0"], Some(TOKEN));
    assert!(server.device.starts_with("remote:ws://127.0.0.1:"));
    train(&shell, "there", &server.device, Some(TOKEN)).succeeded();
    let environment = shell.facts("there")["environment"].to_string();
    assert!(environment.contains(&server.device), "{environment}");
    assert!(!environment.contains(TOKEN), "{environment}");

    // The same weights are worth the same here and there.
    let mut there = shell.command(["eval", "there", "--json", "--device", &server.device]);
    let there: Answer = there.env("DNW_TOKEN", TOKEN).output().unwrap().into();
    let there = there.succeeded().json();
    let here = shell.run("eval there --json --device flex");
    let here = here.succeeded().json();
    assert_eq!(here["confusion"], there["confusion"]);
    let loss = |answer: &serde_json::Value| answer["test_loss"].as_f64().unwrap();
    assert!((loss(&here) - loss(&there)).abs() < 1e-5);
}

#[test]
fn an_encrypted_server_is_known_by_its_key() {
    let shell = Shell::new();
    let arguments = [
        "--listen",
        "iroh://127.0.0.1:0",
        "--key-file",
        "key",
        "--token-file",
        "token",
    ];
    let id = |server: &Server| {
        let name = server.device.strip_prefix("remote:iroh://").unwrap();
        name.split_once('@').unwrap().0.to_owned()
    };
    let first = id(&Server::start(&shell, &arguments, None));
    let server = Server::start(&shell, &arguments, None);
    assert_eq!(id(&server), first, "the key is kept");
    assert_eq!(server.lines.len(), 1, "a token in a file is not printed");
    let token = fs::read_to_string(shell.path("token")).unwrap();
    #[cfg(unix)]
    for file in ["token", "key"] {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(shell.path(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{file} is for its owner alone");
    }

    let open = Server::start(&shell, &["--listen", "127.0.0.1:0"], Some(TOKEN));
    train(&shell, "encrypted", &server.device, Some(token.trim())).succeeded();
    train(&shell, "open", &open.device, Some(TOKEN)).succeeded();
    let last = |run: &str| metrics(&shell, run).pop().unwrap();
    assert_eq!(
        last("encrypted"),
        last("open"),
        "the same bits by either way"
    );
    train(
        &shell,
        "stray",
        &server.device,
        Some("another token altogether"),
    )
    .refused(&["rejects the token", "DNW_TOKEN"]);
    assert!(!shell.path("stray").exists());
}

#[test]
fn a_server_that_goes_away_in_mid_epoch_leaves_a_run_that_can_be_used() {
    let shell = Shell::new();
    let mut server = Server::start(&shell, &["--listen", "127.0.0.1:0"], Some(TOKEN));
    let arguments = [
        &["train", "digits", "--quiet", "--out", "run", "--device"][..],
        &[server.device.as_str()],
        &SHORT[..],
        &["--epochs", "100000", "--set", "batch=32"],
    ];
    let mut training = shell.command(arguments.concat());
    let training = training
        .env("DNW_TOKEN", TOKEN)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(300);
    // Facts are the last that an evaluation writes; the next is an epoch of 45 updates away.
    let evaluated = || {
        let facts = fs::read(shell.path("run/run.json")).unwrap_or_default();
        serde_json::from_slice(&facts)
            .is_ok_and(|facts: serde_json::Value| facts["best_epoch"] != 0)
    };
    while !evaluated() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(evaluated(), "no epoch was evaluated");
    server.kill();
    let answer: Answer = training.wait_with_output().unwrap().into();
    let answer = answer.refused(&[
        &format!("the device `{}` failed in update", server.device),
        "its server no longer answers",
        "the weights of the last evaluation",
        "`dnw serve`",
        "run/report.html",
    ]);
    let said = answer.stderr.lines().next().unwrap();
    assert!(said.len() < 300, "one sentence: {said}");
    let cause = shell.facts("run")["status"]["failed"].clone();
    assert!(said.contains(cause.as_str().unwrap()), "{said}");

    let tests = metrics(&shell, "run");
    let last = tests.iter().rev().find(|line| line["kind"] == "test");
    let evaluated = shell.run("eval run --json").succeeded().json();
    assert_eq!(
        evaluated["confusion"],
        last.unwrap()["confusion"],
        "the weights are those of the last evaluated epoch"
    );
    shell.run("report run").succeeded();
    shell.run("compare run").succeeded();
}

#[test]
fn a_server_lets_in_whoever_has_its_token() {
    let shell = Shell::new();
    let server = Server::start(&shell, &["--listen", "127.0.0.1:0"], None);
    let made = server.lines[1].strip_prefix("DNW_TOKEN=").unwrap();
    assert!(made.len() >= 32 && made.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let address = server.device.strip_prefix("remote:").unwrap();
    train(&shell, "run", &server.device, None).refused(&[
        &format!("`{address}` needs a token, but none is set"),
        "DNW_TOKEN",
        "dnw serve",
    ]);
    train(&shell, "run", &server.device, Some("guess"))
        .refused(&[&format!("`{address}` rejects the token")]);
    let second = format!("{}/1", server.device);
    train(&shell, "run", &second, Some(made)).refused(&[
        &format!("there is no device 1 at `{address}`: it has 1, counted from 0"),
        "first device",
    ]);
    assert!(!shell.path("run").exists(), "nothing is written");
    train(&shell, "run", &server.device, Some(made)).succeeded();
}

#[test]
fn what_is_no_server_is_told_in_a_sentence() {
    let shell = Shell::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let device = format!("remote:ws://{address}");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut asked = [0; 1024];
            let _ = stream.read(&mut asked);
            let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
        }
    });
    let no_devices = format!("cannot use the devices of `ws://{address}`");
    train(&shell, "run", &device, None).refused(&[&no_devices, "404", "`dnw serve`"]);

    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    train(&shell, "run", &format!("remote:ws://{address}"), None).refused(&[
        &format!("cannot use the devices of `ws://{address}`: nothing listens there"),
        "start the server with `dnw serve`",
    ]);
    assert!(!shell.path("run").exists(), "nothing is written");
}

/// Takes a connection as a WebSocket server does, and answers its first message.
fn answer_over_websocket(mut stream: TcpStream, answer: &[u8]) -> std::io::Result<()> {
    use base64::Engine;
    use sha1::{Digest, Sha1};

    let mut key = String::new();
    for line in BufReader::new(stream.try_clone()?).lines() {
        let line = line?;
        match line.split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("sec-websocket-key") => {
                key = value.to_owned();
            }
            Some(_) => {}
            None if line.is_empty() => break,
            None => {}
        }
    }
    // RFC 6455, section 1.3.
    let digest = Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
    let accept = base64::engine::general_purpose::STANDARD.encode(digest);
    let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
    write!(stream, "{head}Sec-WebSocket-Accept: {accept}\r\n\r\n")?;
    let mut message = [0; 4096];
    let _ = stream.read(&mut message)?;
    // One frame, binary and whole, whose length fits in seven bits.
    let length = u8::try_from(answer.len()).expect("the answer is short");
    assert!(length < 126);
    stream.write_all(&[0x82, length])?;
    stream.write_all(answer)?;
    let _ = stream.read(&mut message)?;
    Ok(())
}

#[test]
fn a_server_of_another_version_is_told_by_both_versions() {
    // What a server of version 9 answers to a client that it does not understand, in MessagePack.
    let mut refusal = vec![0x92, 0x81, 0xab];
    refusal.extend(b"InitRefused");
    refusal.extend([0x81, 0xb4]);
    refusal.extend(b"IncompatibleProtocol");
    refusal.extend([0x91, 0x09, 0x00]);

    let shell = Shell::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // The first only looks whether anything listens.
            let _ = answer_over_websocket(stream.unwrap(), &refusal);
        }
    });
    train(&shell, "run", &format!("remote:ws://{address}"), None).refused(&[
        &format!(
            "`ws://{address}` uses version 9 of Burn's remote protocol, this program uses version 2"
        ),
        "from the same version of dnw",
    ]);
}

#[test]
fn devices_are_not_offered_to_others_without_protection() {
    let shell = Shell::new();
    let serve = |arguments: &[&str], token: &str| -> Answer {
        let all = [&["serve", "--device", "flex"], arguments].concat();
        let mut command = shell.command(all);
        command.env("DNW_TOKEN", token).output().unwrap().into()
    };
    let everywhere = ["--listen", "0.0.0.0:0"];
    serve(&[&everywhere[..], &["--without-token"]].concat(), "")
        .refused(&["needs a token of at least 16", "127.0.0.1"]);
    serve(&everywhere, "short").refused(&["needs a token of at least 16"]);
    let unencrypted = serve(&["--listen", "ws://0.0.0.0:0"], TOKEN);
    assert_eq!(unencrypted.code, Some(2));
    assert!(
        unencrypted.stderr.contains("not encrypted"),
        "{unencrypted:?}"
    );
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    serve(&["--listen", &address], TOKEN).refused(&[
        &format!("cannot listen at `ws://{address}`"),
        "another port",
    ]);
}
