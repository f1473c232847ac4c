//! What people write after `--listen`.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

/// Where a server listens, and what it speaks there.
///
/// On this machine alone it speaks WebSocket; wherever others can reach it, Iroh, which is encrypted and proves the server's
/// identity. Iroh may be asked for on this machine too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// The address and the port, 0 for any that is free.
    pub address: SocketAddr,
    /// Whether it speaks Iroh, and not WebSocket.
    pub iroh: bool,
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (scheme, place) = match text.split_once("://") {
            Some((scheme, place)) => (Some(scheme), place),
            None => (None, text),
        };
        let address: SocketAddr = match place.parse::<u16>() {
            Ok(port) => ([127, 0, 0, 1], port).into(),
            Err(_) => place.parse().map_err(|_| {
                format!("`{text}` is no address such as 127.0.0.1:3000, or 0.0.0.0:3000 for every network of this machine")
            })?,
        };
        let is_here = address.ip().is_loopback();
        let iroh = match scheme {
            None => !is_here,
            Some("iroh") => true,
            Some("ws") if is_here => false,
            Some("ws") => {
                return Err(format!(
                    "WebSocket is not encrypted, so it is for this machine alone: give iroh://{address}"
                ));
            }
            Some(scheme) => return Err(format!("{scheme}:// is neither ws:// nor iroh://")),
        };
        Ok(Self { address, iroh })
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.iroh { "iroh" } else { "ws" };
        write!(f, "{scheme}://{}", self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_can_reach_is_encrypted() {
        let read = |text: &str| text.parse::<Listen>().expect(text).to_string();
        assert_eq!(read("3000"), "ws://127.0.0.1:3000");
        assert_eq!(read("127.0.0.1:0"), "ws://127.0.0.1:0");
        assert_eq!(read("[::1]:3000"), "ws://[::1]:3000");
        assert_eq!(read("iroh://127.0.0.1:3000"), "iroh://127.0.0.1:3000");
        assert_eq!(read("0.0.0.0:3000"), "iroh://0.0.0.0:3000");
        assert_eq!(read("[::]:3000"), "iroh://[::]:3000");
        assert_eq!(read("10.0.0.7:3000"), "iroh://10.0.0.7:3000");
    }

    #[test]
    fn what_cannot_be_listened_at_is_refused() {
        for (text, words) in [
            ("ws://0.0.0.0:3000", "not encrypted"),
            ("ws://10.0.0.7:3000", "iroh://10.0.0.7:3000"),
            ("http://127.0.0.1:3000", "neither"),
            ("gpu:3000", "no address such as 127.0.0.1:3000"),
            ("127.0.0.1", "no address"),
            ("127.0.0.1:70000", "no address"),
        ] {
            let said = text.parse::<Listen>().expect_err(text);
            assert!(said.contains(words), "{text}: {said}");
        }
    }
}
