//! Opening a device of a server.

use std::net::{TcpStream, ToSocketAddrs};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use burn::remote::{ConnectError, EndpointId, IrohHost, IrohRelays, RemoteHost};
use burn::tensor::Device;

use crate::{DeviceError, RemoteAddress, Transport};

/// How long a server may take to answer. Burn gives an encrypted connection 30 seconds; whatever accepts and then says nothing
/// would hold it for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a server of this machine may take to begin to listen; it may have been started a moment ago. Burn would wait for 16
/// seconds.
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
            "it takes connections and says nothing for {} seconds",
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
        // Burn's sentence speaks of relays, of which none takes part.
        ConnectError::Unreachable { reason } if reason.starts_with("timed out") => unreachable(
            "nothing with that key answers there; a firewall must let its UDP port through".into(),
        ),
        ConnectError::Unreachable { reason } => unreachable(reason),
        ConnectError::Handshake { reason } => unreachable(format!(
            "what answers there does not speak Burn's remote protocol ({reason})"
        )),
        error => unreachable(error.to_string()),
    })
}

/// Waits a while for something to listen.
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

/// The server by its key at every number that its host's name has. No relay and no directory takes part.
fn iroh_host(address: &RemoteAddress, server: &str) -> Result<IrohHost, String> {
    let id: EndpointId = server
        .parse()
        .map_err(|_| "its key is no public key".to_owned())?;
    let name = address.host.trim_matches(['[', ']']);
    let numbers = (name, address.port)
        .to_socket_addrs()
        .map_err(|error| format!("`{name}` has no address ({error})"))?;
    let host = IrohHost::new(id).with_relays(IrohRelays::Disabled);
    Ok(numbers.fold(host, IrohHost::with_address))
}
