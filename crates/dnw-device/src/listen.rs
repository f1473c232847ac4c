//! Listen addresses, as for `--listen`.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

/// The address and transport of a server.
///
/// A loopback address uses WebSocket by default. All other addresses use Iroh, which is encrypted and proves the server's identity.
/// Iroh can be requested for a loopback address too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// The address and the port; 0 selects a free port.
    pub address: SocketAddr,
    /// Whether the transport is Iroh instead of WebSocket.
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
                format!("`{text}` is not an address such as 127.0.0.1:3000, or 0.0.0.0:3000 for all networks of this machine")
            })?,
        };
        let is_here = address.ip().is_loopback();
        let iroh = match scheme {
            None => !is_here,
            Some("iroh") => true,
            Some("ws") if is_here => false,
            Some("ws") => {
                return Err(format!(
                    "WebSocket is not encrypted, so it is only allowed on this machine: use iroh://{address}"
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
    fn addresses_that_other_machines_can_reach_are_encrypted() {
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
    fn invalid_addresses_are_errors() {
        for (text, words) in [
            ("ws://0.0.0.0:3000", "not encrypted"),
            ("ws://10.0.0.7:3000", "iroh://10.0.0.7:3000"),
            ("http://127.0.0.1:3000", "neither"),
            ("gpu:3000", "not an address such as 127.0.0.1:3000"),
            ("127.0.0.1", "not an address"),
            ("127.0.0.1:70000", "not an address"),
        ] {
            let error = text.parse::<Listen>().expect_err(text);
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
