//! Opens a device of a server.

use std::net::{TcpStream, ToSocketAddrs};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use burn::remote::{ConnectError, EndpointId, IrohHost, IrohRelays, RemoteHost};
use burn::tensor::Device;

use crate::{DeviceError, RemoteAddress, Transport};

/// The timeout of a server's answer. Burn waits 30 seconds for an encrypted connection, and forever for a server that accepts and never
/// answers.
const PATIENCE: Duration = Duration::from_secs(60);

/// The timeout until a server on this machine listens; it may just have been started. Burn waits 16 seconds.
const START: Duration = Duration::from_secs(3);

/// Opens a session with the server.
pub(crate) fn connect(
    address: &RemoteAddress,
    token: Option<String>,
) -> Result<Device, DeviceError> {
    let server = address.server();
    let unreachable = |reason: String| DeviceError::Unreachable {
        server: address.server(),
        reason,
    };
    let mut host = match &address.transport {
        Transport::WebSocket => {
            listens(address).map_err(unreachable)?;
            RemoteHost::websocket(&server)
        }
        Transport::Iroh { server } => {
            RemoteHost::iroh(iroh_host(address, server).map_err(unreachable)?)
        }
    };
    let given = token.is_some();
    if let Some(token) = token {
        host = host.with_credential(token);
    }
    let options = Device::remote_options(&host).device_index(address.device);
    let (say, hear) = channel();
    std::thread::spawn(move || {
        let _ = say.send(options.init());
    });
    let opened = hear.recv_timeout(PATIENCE).map_err(|_| {
        unreachable(format!(
            "it accepts connections but does not answer within {} seconds",
            PATIENCE.as_secs()
        ))
    })?;
    opened.map_err(|error| match error {
        ConnectError::Unauthorized => DeviceError::Token { server, given },
        ConnectError::IncompatibleProtocol {
            client_version: ours,
            server_version: theirs,
        } => DeviceError::Version {
            server,
            theirs,
            ours,
        },
        ConnectError::NoSuchDevice { device_count } => DeviceError::Number {
            server,
            device: address.device,
            devices: device_count,
        },
        // Burn's message mentions relays, which are not used here.
        ConnectError::Unreachable { reason } if reason.starts_with("timed out") => unreachable(
            "nothing with that key answers there; a firewall must let its UDP port through".into(),
        ),
        ConnectError::Unreachable { reason } => unreachable(reason),
        ConnectError::Handshake { reason } => unreachable(format!(
            "the server does not use Burn's remote protocol ({reason})"
        )),
        error => unreachable(error.to_string()),
    })
}

/// Waits until a server listens, with a timeout.
fn listens(address: &RemoteAddress) -> Result<(), String> {
    let began = Instant::now();
    let place = (address.host.trim_matches(['[', ']']), address.port);
    loop {
        match TcpStream::connect(place) {
            Ok(_) => return Ok(()),
            Err(_) if began.elapsed() < START => std::thread::sleep(Duration::from_millis(100)),
            Err(_) => return Err("nothing listens there".into()),
        }
    }
}

/// The server by its key at every IP address of its host name, without relay or directory.
fn iroh_host(address: &RemoteAddress, server: &str) -> Result<IrohHost, String> {
    let id: EndpointId = server
        .parse()
        .map_err(|_| "its key is not a valid public key".to_owned())?;
    let name = address.host.trim_matches(['[', ']']);
    let numbers = (name, address.port)
        .to_socket_addrs()
        .map_err(|error| format!("`{name}` has no address ({error})"))?;
    let host = IrohHost::new(id).with_relays(IrohRelays::Disabled);
    Ok(numbers.fold(host, IrohHost::with_address))
}
