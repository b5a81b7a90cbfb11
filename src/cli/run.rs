//! What `demo` and `serve` share: bind, say where, serve until a signal.

use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::http::{Limits, ListenUrl, Server, Service, Tls};
use crate::identity::Users;

use super::{Failure, tell};

/// Everything that a server needs besides its service.
pub(super) struct Front {
    pub(super) listen: Vec<ListenUrl>,
    pub(super) tls: Option<Tls>,
    pub(super) users: Users,
    pub(super) limits: Limits,
}

impl Front {
    /// Binds, builds the service, announces, and serves until SIGINT or SIGTERM.
    ///
    /// The sockets are bound first, so that a second instance ends before it touches anything.
    /// `announce` makes the lines for standard output from the real URLs.
    pub(super) async fn run<S: Service>(
        self,
        build: impl FnOnce(&[ListenUrl]) -> Result<Arc<S>, Failure>,
        announce: impl FnOnce(&[ListenUrl]) -> String,
    ) -> Result<(), Failure> {
        let closing = CancellationToken::new();
        stop_on_signal(closing.clone())?;
        let server = Server::bind(&self.listen, self.tls.as_ref())
            .await
            .map_err(|error| Failure::new(&error))?;
        let urls: Vec<_> = server.urls().collect();
        let service = tokio::task::block_in_place(|| build(&urls))?;
        tell(&announce(&urls))?;
        server
            .run(service, Arc::new(self.users), self.limits, closing)
            .await;
        tracing::info!("stopped");
        Ok(())
    }
}

/// Cancels the token at the first SIGINT or SIGTERM; a second one ends the process at once.
fn stop_on_signal(closing: CancellationToken) -> Result<(), Failure> {
    let failure = |error| Failure::new(&error);
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failure)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failure)?;
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        };
        next().await;
        tracing::info!("stopping: running requests come to their end first");
        closing.cancel();
        next().await;
        tracing::warn!("stopping at once");
        #[expect(
            clippy::disallowed_methods,
            reason = "the second signal asks for exactly that"
        )]
        std::process::exit(1);
    });
    Ok(())
}
