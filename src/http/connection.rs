//! One connection: handshake, then requests one after the other.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cimxml;
use crate::identity::{Credential, Identity, Refusal, Users};

use super::body::{self, Content, Never, ReplyBody};
use super::head::{self, CallHead, Prefix};
use super::paced::{Paced, Phase};
use super::{Fault, Limits, Service, respond};

/// hyper refuses a smaller read buffer.
const SMALLEST_BUFFER: usize = 8192;

/// What all connections of a server share.
pub(super) struct Gateway<S> {
    pub(super) service: Arc<S>,
    pub(super) users: Arc<Users>,
    pub(super) limits: Limits,
    /// One permit for each request in flight.
    pub(super) slots: Arc<Semaphore>,
    /// The calls under way, which outlive their connections.
    pub(super) calls: TaskTracker,
    /// Cancelled when the server stops: no new requests.
    pub(super) closing: CancellationToken,
}

/// What ends with a response: the connection waits for the next request, the slot is free.
struct Exchange {
    phase: Arc<Phase>,
    _slot: Option<OwnedSemaphorePermit>,
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.phase.await_request();
    }
}

/// A reply ready to be sent, and the slot that it still occupies.
type Ready = (Content, OwnedSemaphorePermit);

impl<S: Service> Gateway<S> {
    /// Serves a connection until it ends, breaks a limit, or the server stops.
    pub(super) async fn serve(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        tls: Option<TlsAcceptor>,
    ) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%peer, %error, "the connection is gone already");
            return;
        }
        let phase = Phase::handshake();
        let paced = Paced::new(stream, Arc::clone(&phase), &self.limits);
        match tls {
            None => self.speak(paced, phase, peer).await,
            Some(acceptor) => {
                match timeout(self.limits.handshake_timeout, acceptor.accept(paced)).await {
                    Ok(Ok(stream)) => self.speak(stream, phase, peer).await,
                    Ok(Err(error)) => tracing::debug!(%peer, %error, "TLS handshake failed"),
                    Err(_) => tracing::debug!(%peer, "TLS handshake did not end in time"),
                }
            }
        }
    }

    /// Speaks HTTP/1 on a connection.
    async fn speak<T>(self: Arc<Self>, stream: T, phase: Arc<Phase>, peer: SocketAddr)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send,
    {
        phase.await_request();
        let requests = AtomicU64::new(0);
        let service = service_fn(|request| {
            phase.work();
            let last =
                requests.fetch_add(1, Ordering::Relaxed) + 1 >= self.limits.requests_per_connection;
            let gateway = Arc::clone(&self);
            let exchange = Exchange {
                phase: Arc::clone(&phase),
                _slot: None,
            };
            async move {
                let mut response = gateway.answer(request, peer, exchange).await;
                if last {
                    let close = HeaderValue::from_static("close");
                    response.headers_mut().insert(header::CONNECTION, close);
                }
                Ok::<_, Never>(response)
            }
        });
        let limits = &self.limits;
        let connection = http1::Builder::new()
            .timer(TokioTimer::new()) // without it the time-out below is ignored
            .header_read_timeout(limits.idle_timeout)
            .max_headers(limits.headers)
            .max_header_size(limits.header_bytes)
            .max_buf_size(limits.header_bytes.saturating_mul(2).max(SMALLEST_BUFFER))
            .serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let outcome = tokio::select! {
            outcome = connection.as_mut() => outcome,
            () = self.closing.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = outcome {
            tracing::debug!(%peer, error = &error as &dyn std::error::Error, "connection ended");
        }
    }

    /// Answers one request.
    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        peer: SocketAddr,
        mut exchange: Exchange,
    ) -> Response<ReplyBody<Exchange>> {
        let (head, body) = request.into_parts();
        let mut attempt = Attempt {
            unread: Some(body),
            prefix: None,
        };
        match self.attempt(&head, &mut attempt, peer).await {
            Ok((content, slot)) => {
                exchange._slot = Some(slot);
                respond::answer(ReplyBody::new(content, exchange), attempt.prefix)
            }
            Err(fault) => {
                tracing::debug!(%peer, ?fault, "request refused");
                attempt.drain(&head.headers, self.limits.body_bytes);
                let body = ReplyBody::new(Content::EMPTY, exchange);
                respond::refusal(&fault, body, attempt.prefix)
            }
        }
    }

    /// The checks in their order, then the call. The body is not touched before the credentials
    /// are verified and the headers make sense.
    async fn attempt(
        &self,
        head: &Parts,
        attempt: &mut Attempt,
        peer: SocketAddr,
    ) -> Result<Ready, Fault> {
        let framing = head::framing(head, &self.limits)?;
        if self.closing.is_cancelled() {
            return Err(Fault::ShuttingDown);
        }
        let identity = self.identify(&head.headers, peer).await?;
        if framing.extended {
            attempt.prefix = Some(Prefix::declared(&head.headers)?);
        }
        let call = CallHead::read(&head.headers, attempt.prefix)?;
        let free = Arc::clone(&self.slots).acquire_owned();
        let slot = match timeout(self.limits.queue_timeout, free).await {
            Ok(Ok(slot)) => slot,
            Ok(Err(_)) | Err(_) => return Err(Fault::Busy),
        };
        let body = attempt.unread.take().ok_or(Fault::Internal)?;
        let body = body::read(body, &self.limits).await?;
        let service = Arc::clone(&self.service);
        let xml = self.limits.xml;
        // From here on the request runs to its end, whoever still listens.
        let call = self.calls.spawn(async move {
            let content = execute(&*service, &xml, &call, identity, &body).await?;
            Ok((content, slot))
        });
        call.await.unwrap_or_else(|error| {
            tracing::error!(%peer, %error, "a request ended in a panic");
            Err(Fault::Internal)
        })
    }

    /// Who sent the request.
    async fn identify(&self, headers: &HeaderMap, peer: SocketAddr) -> Result<Identity, Fault> {
        let mut credentials = headers.get_all(AUTHORIZATION).iter();
        let (Some(only), None) = (credentials.next(), credentials.next()) else {
            return Err(Fault::Unauthorized);
        };
        let credential = Credential::from_basic(only.as_bytes()).ok_or(Fault::Unauthorized)?;
        let verified = self.users.verify(&credential, peer).await;
        verified.map_err(|refusal| match refusal {
            Refusal::Wrong => Fault::Unauthorized,
            Refusal::Busy => Fault::Busy,
        })
    }
}

/// What is left of a request while it is being judged.
struct Attempt {
    /// The body, until it is read.
    unread: Option<Incoming>,
    /// The prefix of the CIM headers, once M-POST has declared it.
    prefix: Option<Prefix>,
}

impl Attempt {
    /// Lets the rest of a refused request run into the ground, unless the client never sent it.
    fn drain(&mut self, headers: &HeaderMap, limit: usize) {
        if let Some(body) = self.unread.take()
            && !headers.contains_key(header::EXPECT)
        {
            tokio::spawn(body::drain(body, limit));
        }
    }
}

/// Decodes a body, holds it against its headers, and calls the service.
async fn execute<S: Service>(
    service: &S,
    limits: &cimxml::Limits,
    head: &CallHead,
    identity: Identity,
    body: &Bytes,
) -> Result<Content, Fault> {
    let request = cimxml::decode(body, limits)?;
    head.agrees_with(&request)?;
    let started = tokio::time::Instant::now();
    let (user, method) = (Arc::clone(&identity.user), request.call.name().clone());
    let content = Content::begin(service.call(identity, request).await);
    tracing::debug!(%user, %method, elapsed = ?started.elapsed(), "answered");
    Ok(content)
}
