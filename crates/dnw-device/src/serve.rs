//! Serves this machine's devices through Burn's remote engine.
//!
//! To clients on this machine a server uses WebSocket, which is not encrypted. To other machines it uses Iroh only: the connection is
//! encrypted, the server proves its identity by a key that is part of its address, the client authenticates with a token, and no relay or
//! directory is used. Over WebSocket, anyone who sees the traffic could read the token and the tensors.

use std::net::IpAddr;
use std::path::PathBuf;

use crate::{Backend, Listen, Opened, RemoteAddress, ServeError};

/// The minimum length of a token for other machines: anyone who reaches the port can try tokens without limit.
const LEAST: usize = 16;

/// The configuration of a server.
#[derive(Clone, Debug)]
pub struct Offer {
    /// The devices, all of one backend. Clients select them by index.
    pub devices: Vec<Opened>,
    /// The address to listen at.
    pub listen: Listen,
    /// The token that clients must send; `None` accepts every program of this machine.
    pub token: Option<String>,
    /// A file with the server's key, created if it does not exist. Without a file, key and address are new each time.
    pub key: Option<PathBuf>,
}

/// An event of a server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ServerEvent {
    /// The server listens.
    Listens {
        /// The device names for clients' `--device`.
        address: RemoteAddress,
    },
    /// A client connected.
    Admitted {
        /// The client's address.
        client: String,
        /// The index of the requested device.
        device: usize,
    },
    /// A client was rejected.
    Refused {
        /// The client's address.
        client: String,
    },
}

impl Offer {
    /// Checks the configuration.
    ///
    /// # Errors
    /// [`ServeError`] if the devices cannot be served, or the token is missing or too short where others can reach the server.
    pub fn check(&self) -> Result<(), ServeError> {
        let backend = |opened: &Opened| opened.name.backend();
        for opened in &self.devices {
            let reason = match backend(opened) {
                Some(Backend::Remote) => "it belongs to another server",
                Some(Backend::LibTorch) => "Burn cannot serve libtorch",
                _ => continue,
            };
            return Err(ServeError::Unserved {
                name: opened.name.to_string(),
                reason,
            });
        }
        let first = self.devices.first();
        let other = first.and_then(|first| {
            let mut others = self.devices.iter();
            others.find(|other| engine_of(other) != engine_of(first))
        });
        if let (Some(first), Some(other)) = (first, other) {
            return Err(ServeError::Mixed {
                first: first.name.to_string(),
                other: other.name.to_string(),
            });
        }
        let length = self.token.as_ref().map_or(0, String::len);
        if !self.listen.address.ip().is_loopback() && length < LEAST {
            return Err(ServeError::Token { least: LEAST });
        }
        Ok(())
    }
}

/// In Burn all CubeCL runtimes are one backend.
fn engine_of(opened: &Opened) -> Option<Backend> {
    match opened.name.backend() {
        Some(Backend::Vulkan | Backend::Metal | Backend::Cuda | Backend::Rocm) => {
            Some(Backend::Wgpu)
        }
        other => other,
    }
}

/// A random token that cannot be guessed.
///
/// # Errors
/// [`ServeError`] if the program was built without `remote`.
pub fn new_token() -> Result<String, ServeError> {
    engine::new_token()
}

/// Serves until Ctrl-C or SIGTERM.
///
/// # Errors
/// [`ServeError`] if the program was built without `remote`, the configuration is invalid, or the server cannot listen at the address.
pub fn serve(
    offer: &Offer,
    tell: impl Fn(ServerEvent) + Send + Sync + 'static,
) -> Result<(), ServeError> {
    offer.check()?;
    engine::serve(offer, tell)
}

/// The IP address of this machine for other machines, if the server listens on all interfaces.
#[cfg_attr(not(feature = "remote"), allow(dead_code))]
fn reached_by(listening: IpAddr) -> String {
    // A connected UDP socket reports the local address that it would send from, without sending.
    let outward = |from: &str, to: &str| {
        let socket = std::net::UdpSocket::bind(from).ok()?;
        socket.connect(to).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    let found = match listening {
        number if !number.is_unspecified() => Some(number),
        IpAddr::V4(_) => outward("0.0.0.0:0", "192.0.2.1:9"),
        IpAddr::V6(_) => outward("[::]:0", "[2001:db8::1]:9"),
    };
    match found {
        Some(IpAddr::V6(number)) => format!("[{number}]"),
        Some(number) => number.to_string(),
        None => "HOST".into(),
    }
}

#[cfg(not(feature = "remote"))]
mod engine {
    use super::{Offer, ServeError, ServerEvent};
    use crate::{Backend, DeviceError};

    const NOT_BUILT: ServeError = ServeError::Device(DeviceError::NotBuilt {
        backend: Backend::Remote,
    });

    pub fn new_token() -> Result<String, ServeError> {
        Err(NOT_BUILT)
    }

    pub fn serve(
        _: &Offer,
        _: impl Fn(ServerEvent) + Send + Sync + 'static,
    ) -> Result<(), ServeError> {
        Err(NOT_BUILT)
    }
}

#[cfg(feature = "remote")]
mod engine {
    use std::fmt::{Display, Write};
    use std::net::{SocketAddr, TcpListener};
    use std::time::Duration;

    use burn::server::{
        AllowAll, AuthorizationRequest, BURN_REMOTE_ALPN, IrohIdentity, PeerAuthorizer,
        RemoteServer, TokenAuthorizer, WebSocketTransport,
    };
    use iroh::endpoint::{Endpoint, QuicTransportConfig, presets};
    use iroh::protocol::Router;
    use iroh::{RelayMode, SecretKey};

    use super::{Offer, ServeError, ServerEvent, reached_by};
    use crate::{RemoteAddress, Transport};

    pub fn new_token() -> Result<String, ServeError> {
        // A key is 32 bytes from the system's random number generator.
        let mut token = String::new();
        for byte in &IrohIdentity::random().to_bytes()[..24] {
            let _ = write!(token, "{byte:02x}");
        }
        Ok(token)
    }

    pub fn serve(
        offer: &Offer,
        tell: impl Fn(ServerEvent) + Send + Sync + 'static,
    ) -> Result<(), ServeError> {
        let tell = std::sync::Arc::new(tell);
        let tokens = offer.token.as_ref().map(TokenAuthorizer::new);
        let tokens = tokens
            .transpose()
            .map_err(|_| ServeError::Token { least: 1 })?;
        let teller = std::sync::Arc::clone(&tell);
        let authorizer = move |request: AuthorizationRequest<'_>| {
            let client = request.client.to_string();
            let device = request.device_index as usize;
            let admitted = match &tokens {
                Some(tokens) => tokens.authorize(request),
                None => AllowAll.authorize(request),
            };
            teller(match admitted {
                Ok(()) => ServerEvent::Admitted { client, device },
                Err(_) => ServerEvent::Refused { client },
            });
            admitted
        };
        let devices = offer.devices.iter().map(|opened| opened.device.clone());
        let server = RemoteServer::new(devices).with_authorizer(authorizer);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(stopped)?;
        let served = runtime.block_on(async {
            if offer.listen.iroh {
                over_iroh(offer, server, &*tell).await
            } else {
                over_websocket(offer, server, &*tell).await
            }
        });
        // A session may be blocked in an operation that never ends.
        runtime.shutdown_timeout(Duration::from_secs(2));
        served
    }

    async fn over_websocket(
        offer: &Offer,
        server: RemoteServer,
        tell: &impl Fn(ServerEvent),
    ) -> Result<(), ServeError> {
        let cannot = |error: std::io::Error| cannot_listen(offer, error);
        let listener = TcpListener::bind(offer.listen.address).map_err(cannot)?;
        let bound = listener.local_addr().map_err(cannot)?;
        listens(tell, bound, Transport::WebSocket);
        tokio::select! {
            served = server.serve_async(WebSocketTransport::from_listener(listener)) => served.map_err(stopped),
            signal = shutdown_signal() => signal,
        }
    }

    async fn over_iroh(
        offer: &Offer,
        server: RemoteServer,
        tell: &impl Fn(ServerEvent),
    ) -> Result<(), ServeError> {
        let identity = match &offer.key {
            Some(path) => IrohIdentity::load_or_create(path).map_err(|error| ServeError::Key {
                path: path.display().to_string(),
                reason: error.to_string(),
            })?,
            None => IrohIdentity::random(),
        };
        // Burn's own transport always listens on all interfaces. Segmentation offload is disabled, as in Burn: iroh#4555.
        let builder = Endpoint::builder(presets::Minimal)
            .relay_mode(RelayMode::Disabled)
            .secret_key(SecretKey::from_bytes(&identity.to_bytes()))
            .transport_config(
                QuicTransportConfig::builder()
                    .enable_segmentation_offload(false)
                    .build(),
            )
            .clear_ip_transports()
            .bind_addr(offer.listen.address)
            .map_err(|error| cannot_listen(offer, error))?;
        let endpoint = builder
            .bind()
            .await
            .map_err(|error| cannot_listen(offer, error))?;
        let bound = endpoint.bound_sockets().into_iter().next();
        let bound = bound.unwrap_or(offer.listen.address);
        let protocol = server.into_protocol(&endpoint).map_err(stopped)?;
        let router = Router::builder(endpoint)
            .accept(BURN_REMOTE_ALPN, protocol)
            .spawn();
        let server = identity.id().to_string();
        listens(tell, bound, Transport::Iroh { server });
        let signal = shutdown_signal().await;
        router.shutdown().await.map_err(stopped)?;
        signal
    }

    fn listens(tell: &impl Fn(ServerEvent), bound: SocketAddr, transport: Transport) {
        tell(ServerEvent::Listens {
            address: RemoteAddress {
                transport,
                host: reached_by(bound.ip()),
                port: bound.port(),
                device: 0,
            },
        });
    }

    /// Returns on Ctrl-C or SIGTERM.
    async fn shutdown_signal() -> Result<(), ServeError> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let mut terminate = signal(SignalKind::terminate()).map_err(stopped)?;
            tokio::select! {
                signal = tokio::signal::ctrl_c() => signal.map_err(stopped),
                _ = terminate.recv() => Ok(()),
            }
        }
        #[cfg(not(unix))]
        tokio::signal::ctrl_c().await.map_err(stopped)
    }

    fn cannot_listen(offer: &Offer, error: impl Display) -> ServeError {
        ServeError::Listen {
            address: offer.listen.to_string(),
            reason: error.to_string(),
        }
    }

    fn stopped(error: impl Display) -> ServeError {
        ServeError::Stopped {
            reason: error.to_string(),
        }
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::{DeviceName, open};

    fn offer(listen: &str, token: Option<&str>) -> Offer {
        let flex = open(&DeviceName::of(Backend::Flex)).expect("flex is compiled in");
        Offer {
            devices: vec![flex],
            listen: listen.parse().expect(listen),
            token: token.map(str::to_owned),
            key: None,
        }
    }

    #[test]
    fn serving_other_machines_needs_a_token() {
        let refused = Err(ServeError::Token { least: LEAST });
        assert_eq!(offer("0.0.0.0:3000", None).check(), refused);
        assert_eq!(offer("10.0.0.7:3000", Some("")).check(), refused);
        assert_eq!(offer("[::]:3000", Some("guess me")).check(), refused);
        let long = Some("0123456789abcdef");
        assert_eq!(offer("0.0.0.0:3000", long).check(), Ok(()));
        assert_eq!(offer("127.0.0.1:3000", None).check(), Ok(()));
    }

    #[test]
    fn the_error_for_a_device_that_burn_cannot_serve_names_it() {
        let mut offer = offer("127.0.0.1:3000", None);
        offer.devices[0].name = "remote:ws://127.0.0.1:3001".parse().expect("an address");
        let error = offer.check().expect_err("a remote device cannot be served");
        assert_eq!(
            error.to_string(),
            "`remote:ws://127.0.0.1:3001` cannot be served: it belongs to another server"
        );
        offer.devices[0].name = DeviceName::of(Backend::NdArray);
        let flex = open(&DeviceName::of(Backend::Flex)).expect("flex is compiled in");
        offer.devices.push(flex);
        let error = offer.check().expect_err("two backends");
        assert!(error.to_string().contains("different backends"), "{error}");
    }
}
