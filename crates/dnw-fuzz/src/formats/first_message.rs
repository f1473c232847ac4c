//! The first message of a client to `dnw serve`, over WebSocket.
//!
//! No file: "reading" it is to send it to a server in a process of its own, with the right token in the valid one.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::format::{Format, Outcome};

pub(crate) const FIRST_MESSAGE: Format = Format {
    processor_time,
    ..Format::new("first-message", seeds, send, |_| 1 << 20)
};

const TOKEN: &str = "correct horse battery";
/// How long the server may say nothing until the connection is ended.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long a connection may take.
const LIMIT: Duration = Duration::from_secs(15);
/// After so many messages the server is asked whether it still admits a client, and how much memory it uses.
const CHECK_EVERY: u64 = 256;
/// What its memory may grow by, in KiB.
const MOST_GROWTH: u64 = 512 << 10;

static SERVER: OnceLock<Server> = OnceLock::new();

struct Server {
    process: Child,
    address: SocketAddr,
    /// Its memory at the start, in KiB, where the system says it.
    memory: Option<u64>,
    messages: AtomicU64,
}

/// Starts `PROGRAM serve`, to which first messages are sent. It listens on this machine alone, and ends with [`stop_server`].
///
/// # Errors
/// If it does not start. The program has to be a `dnw` with the feature `remote`.
pub fn start_server(program: &Path) -> Result<(), String> {
    let explain = |why: &str| {
        format!(
            "{} serve: {why}; it must be a `dnw` with the feature `remote`",
            program.display()
        )
    };
    let mut process = Command::new(program)
        .args(["serve", "--device", "flex", "--listen", "127.0.0.1:0"])
        .env("DNW_TOKEN", TOKEN)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| explain(&error.to_string()))?;
    let mut line = String::new();
    let out = process.stdout.take().expect("a pipe");
    let read = BufReader::new(out).read_line(&mut line);
    let address = read.ok().and_then(|_| {
        let device = line.split_whitespace().next()?;
        device.strip_prefix("remote:ws://")?.parse().ok()
    });
    let Some(address) = address else {
        let _ = process.kill();
        let _ = process.wait();
        return Err(explain("it says no address"));
    };
    let server = Server {
        memory: memory(process.id()),
        process,
        address,
        messages: AtomicU64::new(0),
    };
    if !server.admits(&valid()) {
        return Err(explain("it refuses a valid client"));
    }
    SERVER.set(server).map_err(|_| "a server runs".to_owned())
}

/// Ends the server.
pub fn stop_server() {
    if let Some(server) = SERVER.get() {
        // It has nothing to lose.
        let _ = Command::new("kill")
            .arg(server.process.id().to_string())
            .status();
    }
}

fn seeds() -> Vec<Vec<u8>> {
    vec![valid()]
}

/// Burn's `Init` of protocol 2 in MessagePack: version, session, device, token.
fn valid() -> Vec<u8> {
    let mut message = b"\x91\x81\xa4Init\x94\xcd\x00\x02\x91\x07\x00\xc4".to_vec();
    message.push(TOKEN.len() as u8);
    message.extend(TOKEN.as_bytes());
    message
}

fn send(message: &[u8]) -> Outcome {
    let server = SERVER.get().expect("a server that was started");
    let number = server.messages.fetch_add(1, Ordering::Relaxed);
    if number % CHECK_EVERY == CHECK_EVERY - 1 {
        server.check();
    }
    match server.admits(message) {
        true => Outcome::Read,
        false => Outcome::Refused,
    }
}

impl Server {
    /// Sends a first message. True if the server answers with its own `Init`.
    ///
    /// # Panics
    /// If the server does not accept or end the connection in time.
    fn admits(&self, message: &[u8]) -> bool {
        let mut stream = self.connect();
        // What is refused may be closed before it was written.
        let _ = stream.write_all(&frame(message));
        let _ = stream.set_read_timeout(Some(PATIENCE));
        let (mut answer, mut part) = (Vec::new(), [0; 4096]);
        let mut is_closed = false;
        loop {
            match stream.read(&mut part) {
                Ok(0) => return false,
                Ok(read) => answer.extend_from_slice(&part[..read]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return false,
                // It says nothing and waits for more.
                Err(_) if !is_closed => {
                    is_closed = true;
                    let _ = stream.write_all(&[0x88, 0x80, 0, 0, 0, 0]);
                    let _ = stream.set_read_timeout(Some(LIMIT));
                }
                Err(error) => panic!("the server does not end a connection: {error}"),
            }
            // MessagePack's text of four bytes, and a list behind it.
            if answer.windows(6).any(|part| part == b"\xa4Init\x94") {
                return true;
            }
        }
    }

    /// A WebSocket connection to the route of clients.
    fn connect(&self) -> TcpStream {
        let mut stream =
            TcpStream::connect_timeout(&self.address, LIMIT).expect("the server accepts");
        let _ = stream.set_read_timeout(Some(LIMIT));
        let _ = stream.set_write_timeout(Some(LIMIT));
        let head = "GET /session HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                    Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n";
        stream.write_all(head.as_bytes()).expect("a request");
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("an answer");
            answer.push(byte[0]);
        }
        assert!(
            answer.starts_with(b"HTTP/1.1 101"),
            "the server does not upgrade"
        );
        stream
    }

    /// # Panics
    /// If a valid client is refused or the memory has grown too much.
    fn check(&self) {
        assert!(self.admits(&valid()), "a valid client is refused");
        let now = memory(self.process.id());
        if let (Some(before), Some(now)) = (self.memory, now) {
            let grown = now.saturating_sub(before);
            assert!(
                grown <= MOST_GROWTH,
                "the server's memory grew by {grown} KiB"
            );
        }
    }
}

/// A binary frame with a mask of zeros (RFC 6455, section 5.2).
fn frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x82, 0xff];
    frame.extend((payload.len() as u64).to_be_bytes());
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// The resident memory of a process in KiB, under Linux.
fn memory(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// That of the server and of its threads that have ended, under Linux (proc_pid_stat(5)).
fn processor_time() -> Option<Duration> {
    let process = SERVER.get()?.process.id();
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name before it may have spaces. Times are the 14th and 15th field, in hundredths of a second on all architectures that we build for.
    let fields = stat.rsplit_once(") ")?.1.split(' ').skip(11).take(2);
    let hundredths: u64 = fields.map(|field| field.parse::<u64>().unwrap_or(0)).sum();
    Some(Duration::from_millis(10 * hundredths))
}
