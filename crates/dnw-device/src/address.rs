//! Addresses of devices of another process or machine.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// The address of a server's device: transport, host, port and device index.
///
/// Its text is `ws://127.0.0.1:3000` for a server on this machine and `iroh://ID@HOST:PORT` for one on another machine, followed by
/// `/1` for the second device.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RemoteAddress {
    /// The transport.
    pub transport: Transport,
    /// Host name or IP address; an IPv6 address in brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The index among the server's devices, from 0.
    pub device: usize,
}

/// The transport to a server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// WebSocket over TCP. It is not encrypted, so it is only allowed on this machine.
    WebSocket,
    /// Iroh's QUIC over UDP: encrypted, and the server proves its identity.
    Iroh {
        /// The server's public key, in 64 hexadecimal digits.
        server: String,
    },
}

const EXPECTED: &str = "the server's address, as in remote:ws://127.0.0.1:3000 on this machine or remote:iroh://ID@HOST:3000 on \
    another; `dnw serve` prints it";

impl FromStr for RemoteAddress {
    type Err = &'static str;

    /// # Errors
    /// A description of the expected text.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("ws", text));
        let (authority, device) = rest.split_once('/').unwrap_or((rest, ""));
        let device = match device {
            "" => 0,
            number => number.parse().map_err(|_| {
                "the server's address and a number, as in remote:ws://127.0.0.1:3000/1 for its second device"
            })?,
        };
        let (server, place) = match (scheme, authority.split_once('@')) {
            ("ws", None) => (None, authority),
            ("iroh", Some((server, place))) => (Some(server), place),
            ("wss" | "http" | "https", _) => {
                return Err("ws:// or iroh://, since `dnw serve` speaks plain WebSocket or Iroh");
            }
            _ => return Err(EXPECTED),
        };
        let (host, port) = place.rsplit_once(':').ok_or(EXPECTED)?;
        let port = port.parse().map_err(|_| EXPECTED)?;
        let is_bracketed = host.starts_with('[') && host.ends_with(']');
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        if host.is_empty() || port == 0 || !(is_bracketed || host.chars().all(is_plain)) {
            return Err(EXPECTED);
        }
        let transport = match server {
            None => Transport::WebSocket,
            Some(server) if server.len() == 64 && server.bytes().all(|b| b.is_ascii_hexdigit()) => {
                Transport::Iroh {
                    server: server.to_ascii_lowercase(),
                }
            }
            Some(_) => {
                return Err("the server's key in 64 hexadecimal digits, as `dnw serve` prints it");
            }
        };
        let address = Self {
            transport,
            host: host.to_owned(),
            port,
            device,
        };
        if address.transport == Transport::WebSocket && !address.is_of_this_machine() {
            return Err(
                "an address of this machine, since WebSocket would send the token and the tensors unencrypted; \
                 for other machines `dnw serve --listen 0.0.0.0:3000` prints an iroh:// address",
            );
        }
        Ok(address)
    }
}

impl RemoteAddress {
    /// Whether the host is the loopback interface.
    pub fn is_of_this_machine(&self) -> bool {
        let number = self.host.trim_matches(['[', ']']);
        let number: Option<IpAddr> = number.parse().ok();
        self.host == "localhost" || number.is_some_and(|number| number.is_loopback())
    }

    /// The server's address, without the device index.
    pub fn server(&self) -> String {
        let Self { host, port, .. } = self;
        match &self.transport {
            Transport::WebSocket => format!("ws://{host}:{port}"),
            Transport::Iroh { server } => format!("iroh://{server}@{host}:{port}"),
        }
    }
}

impl fmt::Display for RemoteAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.server())?;
        match self.device {
            0 => Ok(()),
            device => write!(f, "/{device}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ae58ff8833241ac82d6ff7611046ed67b5072d142c588d0063e942d9a75502b6";

    #[test]
    fn addresses_round_trip_through_text() {
        for text in [
            "ws://127.0.0.1:3000",
            "ws://[::1]:3000/2",
            "ws://localhost:80",
            &format!("iroh://{KEY}@gpu-1.example.org:3000"),
            &format!("iroh://{KEY}@[fd00::7]:3000/1"),
        ] {
            let read: RemoteAddress = text.parse().expect(text);
            assert_eq!(read.to_string(), text);
        }
        let short: RemoteAddress = "127.0.0.1:3000".parse().expect("a valid address");
        assert_eq!(short.to_string(), "ws://127.0.0.1:3000");
    }

    #[test]
    fn errors_describe_the_expected_address() {
        for (text, words) in [
            ("", "as in remote:ws://127.0.0.1:3000"),
            ("here", "as in remote:ws://127.0.0.1:3000"),
            ("ws://127.0.0.1", "as in remote:ws://127.0.0.1:3000"),
            ("ws://127.0.0.1:0", "as in remote:ws://127.0.0.1:3000"),
            ("ws://127.0.0.1:65536", "as in remote:ws://127.0.0.1:3000"),
            ("ws://a b:3000", "as in remote:ws://127.0.0.1:3000"),
            ("iroh://10.0.0.1:3000", "remote:iroh://ID@HOST:3000"),
            ("iroh://abc@10.0.0.1:3000", "64 hexadecimal digits"),
            ("ws://127.0.0.1:3000/first", "a number"),
            ("https://gpu:3000", "ws:// or iroh://"),
            ("ws://10.0.0.1:3000", "unencrypted"),
            ("ws://gpu:3000", "unencrypted"),
        ] {
            let expected = text.parse::<RemoteAddress>().expect_err(text);
            assert!(expected.contains(words), "{text}: {expected}");
        }
    }
}
