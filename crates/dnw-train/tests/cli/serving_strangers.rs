//! Many clients of one server, and whoever else reaches its port.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Barrier;
use std::time::Duration;

use burn::remote::RemoteHost;
use burn::tensor::{Device, Tensor};

use crate::server::{Server, TOKEN, train};
use crate::shell::Shell;

const CLIENTS: usize = 50;

/// The gradient of `sum((x w)^2)` for a weight of this client, computed there.
fn gradient(device: &Device, client: usize) -> Vec<f32> {
    let k = client as f32;
    let w = Tensor::<2>::from_floats([[k, 1.0], [2.0, -k]], device).require_grad();
    let y = Tensor::<2>::from_floats([[1.0, 3.0]], device).matmul(w.clone());
    let gradients = (y.clone() * y).sum().backward();
    let gradient = w.grad(&gradients).unwrap();
    gradient.into_data().iter::<f32>().collect()
}

/// The same on paper: `2 x^T (x w)`, in whole numbers.
fn expected(client: usize) -> Vec<f32> {
    let k = client as f32;
    let [a, b] = [k + 6.0, 1.0 - 3.0 * k];
    vec![2.0 * a, 2.0 * b, 6.0 * a, 6.0 * b]
}

#[test]
fn fifty_clients_at_once_are_all_served() {
    let shell = Shell::new();
    let arguments = ["--listen", "127.0.0.1:0", "--without-token"];
    let server = Server::start(&shell, &arguments, None);
    let address = server.device.strip_prefix("remote:").unwrap();
    let all_are_connected = Barrier::new(CLIENTS);
    let client = |client: usize| {
        // Clients of one process share a session, unless they present different tokens.
        let host = RemoteHost::websocket(address).with_credential(format!("client {client}"));
        let device = Device::remote_options(&host).init().unwrap().autodiff();
        all_are_connected.wait();
        for _ in 0..20 {
            assert_eq!(gradient(&device, client), expected(client), "{client}");
        }
    };
    std::thread::scope(|scope| {
        let clients = (0..CLIENTS).map(|number| scope.spawn(move || client(number)));
        let clients: Vec<_> = clients.collect();
        // A training among them.
        train(&shell, "among", &server.device, None).succeeded();
        clients.into_iter().for_each(|it| it.join().unwrap());
    });
    let log = fs::read_to_string(shell.path("server.log")).unwrap();
    let admitted = log.lines().filter(|line| line.contains("uses device 0"));
    assert_eq!(admitted.count(), CLIENTS + 1, "{log}");
    train(&shell, "after", &server.device, None).succeeded();
}

/// A connection, with a time limit so that a test cannot hang.
fn connect(server: &Server) -> TcpStream {
    let place = server.device.strip_prefix("remote:ws://").unwrap();
    let stream = TcpStream::connect(place).unwrap();
    let limit = Some(Duration::from_secs(20));
    stream.set_read_timeout(limit).unwrap();
    stream.set_write_timeout(limit).unwrap();
    stream
}

/// A WebSocket connection to the route of clients.
fn upgraded(server: &Server) -> TcpStream {
    let mut stream = connect(server);
    let head = "GET /session HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 101"));
    stream
}

/// The head of a binary frame that promises this many bytes, with a mask of zeros (RFC 6455, section 5.2).
fn head(promised: u64) -> Vec<u8> {
    let mut head = vec![0x82, 0xff];
    head.extend(promised.to_be_bytes());
    head.extend([0; 4]);
    head
}

fn frame(payload: &[u8]) -> Vec<u8> {
    [&head(payload.len() as u64), payload].concat()
}

/// The first message of a client in MessagePack.
fn first_message(version: u16, token: &[u8]) -> Vec<u8> {
    let mut message = b"\x91\x81\xa4Init\x94\xcd".to_vec();
    message.extend(version.to_be_bytes());
    message.extend([0x91, 7, 0, 0xc4, token.len() as u8]);
    message.extend(token);
    message
}

/// What the server answers, until it closes the connection.
fn answer(mut stream: TcpStream, message: &[u8]) -> String {
    let _ = stream.write_all(message);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// The same bytes each time, as if they were random.
fn random_bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        // Xorshift.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// The memory that a server uses, in MiB.
#[cfg(target_os = "linux")]
fn memory(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.process.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS"));
    let kib = line
        .and_then(|line| line.split_whitespace().nth(1))
        .unwrap();
    kib.parse::<u64>().unwrap() / 1024
}

#[test]
fn first_messages_that_are_none_are_refused() {
    let shell = Shell::new();
    let server = Server::start(&shell, &["--listen", "127.0.0.1:0"], Some(TOKEN));
    for seed in 0..100 {
        let bytes = random_bytes(seed, 4096);
        drop(answer(connect(&server), &bytes));
        answer(upgraded(&server), &frame(&bytes[..1 + seed as usize]));
    }
    let refused = |message: &[u8], why: &str| {
        let said = answer(upgraded(&server), &frame(message));
        assert!(said.contains(why), "{message:?}: {said:?}");
    };
    for version in [0, 1, 3, u16::MAX] {
        refused(
            &first_message(version, TOKEN.as_bytes()),
            "IncompatibleProtocol",
        );
    }
    for token in ["", "correct horse batter", "correct horse battery "] {
        refused(&first_message(2, token.as_bytes()), "Unauthorized");
    }
    // Lists, maps, texts and bytes of four billion entries; nesting without end.
    let nested = vec![0x91; 100_000];
    for message in [
        &b"\xdd\xff\xff\xff\xff"[..],
        b"\xdf\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\x91\x81\xa4Init\x94\x02\x91\x07\x00\xc6\xff\xff\xff\xff",
        &nested,
    ] {
        refused(message, "IncompatibleProtocol");
    }
    train(&shell, "after", &server.device, Some(TOKEN)).succeeded();
}

#[cfg(target_os = "linux")]
#[test]
fn promises_and_connections_left_open_cost_little_memory() {
    let shell = Shell::new();
    let server = Server::start(&shell, &["--listen", "127.0.0.1:0"], Some(TOKEN));
    let before = memory(&server);
    let mut open = Vec::new();
    for _ in 0..20 {
        // As many bytes as Burn accepts in one message.
        let mut stream = upgraded(&server);
        stream.write_all(&head(1 << 30)).unwrap();
        open.push(stream);
        // A request that never ends, and a client that says nothing.
        let mut stream = connect(&server);
        stream.write_all(b"GET /session HTTP/1.1\r\nHo").unwrap();
        open.push(stream);
        open.push(upgraded(&server));
    }
    for promised in [(1 << 30) + 1, 1 << 62] {
        let said = answer(upgraded(&server), &head(promised));
        assert!(!said.contains("Init"), "{said:?}");
    }
    train(&shell, "during", &server.device, Some(TOKEN)).succeeded();
    let during = memory(&server);
    eprintln!("{before} MiB, and {during} MiB with 20 GiB promised");
    assert!(during < before + 512, "{before} MiB, then {during} MiB");
    drop(open);
    train(&shell, "after", &server.device, Some(TOKEN)).succeeded();
}

#[test]
fn a_token_is_in_no_log_and_in_no_file() {
    const GUESS: &str = "a guess that is wrong";
    let shell = Shell::new();
    let server = Server::start(&shell, &["--listen", "127.0.0.1:0"], Some(TOKEN));
    let mut said = vec![
        train(&shell, "run", &server.device, Some(TOKEN)).succeeded(),
        train(&shell, "stray", &server.device, Some(GUESS)).refused(&["rejects the token"]),
    ];
    for token in [TOKEN, GUESS] {
        // Of another version, twice, and cut off: nothing that is said about them may quote them.
        let message = first_message(9, token.as_bytes());
        let twice = [b"\x92", &message[1..], &message[1..]].concat();
        for message in [&message[..], &twice, &message[..message.len() - 1]] {
            let answer = answer(upgraded(&server), &frame(message));
            assert!(!answer.contains(token), "{answer}");
        }
    }
    said.push(shell.run("report run").succeeded());
    for token in [TOKEN, GUESS] {
        for answer in &said {
            let text = format!("{}{}", answer.stdout, answer.stderr);
            assert!(!text.contains(token), "{text}");
        }
        for (name, bytes) in shell.files("") {
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.contains(token), "{name}");
        }
    }
    let log = fs::read_to_string(shell.path("server.log")).unwrap();
    assert!(
        log.contains("uses device 0") && log.contains("was refused"),
        "{log}"
    );
}
