//! The listening sockets, the door policy, and the orderly end.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::identity::Users;

use super::connection::Gateway;
use super::listen::Scheme;
use super::{Limits, ListenUrl, Service, Tls};

/// Pause after a failed accept (no file descriptors left, say), so that it does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often refused connections are logged at most.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Sockets that are bound but not served yet: the real ports are known, nobody is answered.
pub struct Server {
    sockets: Vec<Socket>,
}

struct Socket {
    listener: TcpListener,
    url: ListenUrl,
    tls: Option<TlsAcceptor>,
}

/// Why a listen URL cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The operating system refuses the address.
    #[error("cannot listen on {url}")]
    Socket {
        /// The URL.
        url: ListenUrl,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// HTTPS without a certificate.
    #[error("cannot listen on {0} without a certificate")]
    NoCertificate(ListenUrl),
}

impl Server {
    /// Binds every URL; `tls` serves those with `https`.
    pub async fn bind(urls: &[ListenUrl], tls: Option<&Tls>) -> Result<Self, BindError> {
        let mut sockets = Vec::with_capacity(urls.len());
        for &url in urls {
            let tls = match (url.scheme, tls) {
                (Scheme::Http, _) => None,
                (Scheme::Https, Some(tls)) => Some(tls.acceptor()),
                (Scheme::Https, None) => return Err(BindError::NoCertificate(url)),
            };
            let refused = |source| BindError::Socket { url, source };
            let listener = TcpListener::bind(url.address).await.map_err(refused)?;
            let url = url.at(listener.local_addr().map_err(refused)?);
            sockets.push(Socket { listener, url, tls });
        }
        Ok(Self { sockets })
    }

    /// Where it listens, with the ports that were really bound.
    pub fn urls(&self) -> impl Iterator<Item = ListenUrl> {
        self.sockets.iter().map(|socket| socket.url)
    }

    /// Serves until `closing` is cancelled, then lets what runs come to its end, for at most
    /// twice the drain time.
    pub async fn run<S: Service>(
        self,
        service: Arc<S>,
        users: Arc<Users>,
        limits: Limits,
        closing: CancellationToken,
    ) {
        let drain_timeout = limits.drain_timeout;
        let door = Arc::new(Door::new(&limits));
        let gateway = Arc::new(Gateway {
            service,
            users,
            slots: Arc::new(Semaphore::new(limits.requests_in_flight)),
            limits,
            calls: TaskTracker::new(),
            closing: closing.clone(),
        });
        let connections = TaskTracker::new();
        let abandon = CancellationToken::new();
        for socket in self.sockets {
            let (gateway, door) = (Arc::clone(&gateway), Arc::clone(&door));
            let (tracker, abandon) = (connections.clone(), abandon.clone());
            connections.spawn(accept(socket, gateway, door, tracker, abandon));
        }
        closing.cancelled().await;
        connections.close();
        if timeout(drain_timeout, connections.wait()).await.is_err() {
            tracing::warn!(
                connections = connections.len(),
                "closing connections that are in use"
            );
            abandon.cancel();
            connections.wait().await;
        }
        gateway.calls.close();
        if timeout(drain_timeout, gateway.calls.wait()).await.is_err() {
            tracing::error!(
                calls = gateway.calls.len(),
                "stopping while requests still run"
            );
        }
    }
}

/// Takes connections from one socket until the server stops.
async fn accept<S: Service>(
    socket: Socket,
    gateway: Arc<Gateway<S>>,
    door: Arc<Door>,
    connections: TaskTracker,
    abandon: CancellationToken,
) {
    let closing = gateway.closing.clone();
    loop {
        let accepted = tokio::select! {
            () = closing.cancelled() => return,
            accepted = socket.listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(url = %socket.url, %error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(guest) = Door::admit(&door, peer.ip()) else {
            refuse(stream);
            continue;
        };
        let (gateway, tls) = (Arc::clone(&gateway), socket.tls.clone());
        let abandon = abandon.clone();
        connections.spawn(async move {
            let _guest = guest;
            tokio::select! {
                () = abandon.cancelled() => {}
                () = gateway.serve(stream, peer, tls) => {}
            }
        });
    }
}

/// Closes a connection without a word: no task, no buffer, no time-out is spent on it.
fn refuse(stream: TcpStream) {
    drop(stream);
}

/// How many guests there are, in all and from each address.
struct Door {
    most: usize,
    most_per_peer: usize,
    guests: Mutex<Guests>,
}

#[derive(Default)]
struct Guests {
    all: usize,
    by_peer: HashMap<IpAddr, usize>,
    last_logged: Option<Instant>,
}

/// One admitted connection; leaves when dropped.
struct Guest {
    door: Arc<Door>,
    address: IpAddr,
}

impl Door {
    fn new(limits: &Limits) -> Self {
        Self {
            most: limits.connections,
            most_per_peer: limits.connections_per_peer,
            guests: Mutex::default(),
        }
    }

    /// Lets a connection in, or says no.
    fn admit(door: &Arc<Self>, address: IpAddr) -> Option<Guest> {
        let address = address.to_canonical();
        let mut guests = door.guests.lock().unwrap_or_else(PoisonError::into_inner);
        let here = guests.by_peer.get(&address).copied().unwrap_or_default();
        if guests.all >= door.most || here >= door.most_per_peer {
            let now = Instant::now();
            let silent = guests.last_logged.is_none_or(|at| now - at >= LOG_INTERVAL);
            if silent {
                guests.last_logged = Some(now);
                tracing::warn!(%address, open = guests.all, "too many connections");
            }
            return None;
        }
        guests.all += 1;
        guests.by_peer.insert(address, here + 1);
        Some(Guest {
            door: Arc::clone(door),
            address,
        })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut guests = self
            .door
            .guests
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        guests.all = guests.all.saturating_sub(1);
        let left = guests.by_peer.get(&self.address).map_or(0, |here| here - 1);
        if left == 0 {
            guests.by_peer.remove(&self.address);
        } else {
            guests.by_peer.insert(self.address, left);
        }
    }
}
