//! Whether a server is frozen.
//!
//! A process that is stopped, or that swaps itself to a standstill, keeps its connections: the operating system accepts more of them and
//! confirms what they send. So a read waits for ever. Only an answer shows that the process runs.

use std::io::{ErrorKind, Read, Result, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use crate::{RemoteAddress, Transport};

impl RemoteAddress {
    /// Whether the server accepts a new connection and does not answer it within `timeout`. One that is busy computing answers. One that has
    /// ended is not frozen: its connections were closed.
    ///
    /// Only for servers over WebSocket. Iroh's own connection ends when a server is silent for 30 seconds.
    pub fn is_frozen(&self, timeout: Duration) -> bool {
        let place = (self.host.trim_matches(['[', ']']), self.port);
        let places = place.to_socket_addrs().into_iter().flatten();
        let asked: Vec<Result<()>> = match self.transport {
            Transport::WebSocket => places.map(|place| ask(place, timeout)).collect(),
            Transport::Iroh { .. } => Vec::new(),
        };
        let is_silent = |answer: &Result<()>| {
            let kind = answer.as_ref().err().map(std::io::Error::kind);
            matches!(kind, Some(ErrorKind::WouldBlock | ErrorKind::TimedOut))
        };
        // A name can have several addresses, at one of which the server listens.
        asked.iter().all(Result::is_err) && asked.iter().any(is_silent)
    }
}

/// Waits for the first byte of the answer to a request for a page that there is not.
fn ask(place: SocketAddr, timeout: Duration) -> Result<()> {
    let deadline = Instant::now() + timeout;
    // No timeout may be zero.
    let left = || (deadline - Instant::now()).max(Duration::from_millis(1));
    let mut stream = TcpStream::connect_timeout(&place, left())?;
    stream.set_write_timeout(Some(left()))?;
    write!(
        stream,
        "GET / HTTP/1.1\r\nHost: {place}\r\nConnection: close\r\n\r\n"
    )?;
    stream.set_read_timeout(Some(left()))?;
    stream.read_exact(&mut [0])
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn address(listener: &TcpListener) -> RemoteAddress {
        let place = listener.local_addr().expect("it is bound");
        format!("ws://{place}").parse().expect("a valid address")
    }

    const SHORT: Duration = Duration::from_millis(300);

    #[test]
    fn a_server_that_accepts_and_never_answers_is_frozen() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let began = Instant::now();
        assert!(address(&listener).is_frozen(SHORT));
        assert!(began.elapsed() >= SHORT);
    }

    #[test]
    fn a_server_that_answers_anything_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = address(&listener);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = (&stream).read(&mut [0; 512]);
                let _ = (&stream).write_all(b"HTTP/1.1 404 Not Found\r\n\r\n");
            }
        });
        assert!(!address.is_frozen(Duration::from_secs(10)));
    }

    #[test]
    fn a_server_that_has_ended_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = address(&listener);
        drop(listener);
        assert!(!address.is_frozen(SHORT));
    }
}
