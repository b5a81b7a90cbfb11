//! A socket that gives up on a peer that dribbles its request head or does not take its response.
//!
//! It sits below TLS, so it watches bytes, and learns from a shared [`Phase`] where in the
//! exchange of requests and responses the connection is.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use super::Limits;

/// What a stalled peer has to take before its time starts anew, in bytes.
const PROGRESS: usize = 4096;
/// How long and how much a closed connection is still read.
const LINGER_TIME: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 8 << 20;

/// Where a connection is: between requests, within a request head, or at work on a request.
pub(super) struct Phase(AtomicU8);

const AT_WORK: u8 = 0;
const BETWEEN: u8 = 1;
const IN_HEAD: u8 = 2;

impl Phase {
    /// A connection that does not speak HTTP yet.
    pub(super) fn handshake() -> Arc<Self> {
        Arc::new(Self(AtomicU8::new(AT_WORK)))
    }

    /// A request head may come.
    pub(super) fn await_request(&self) {
        self.0.store(BETWEEN, Ordering::Relaxed);
    }

    /// The head is complete; its body, its execution and its response follow.
    pub(super) fn work(&self) {
        self.0.store(AT_WORK, Ordering::Relaxed);
    }

    /// Bytes came in: between requests, they start a head.
    fn bytes_arrived(&self) {
        let begun = self
            .0
            .compare_exchange(BETWEEN, IN_HEAD, Ordering::Relaxed, Ordering::Relaxed);
        let _other_phases_go_on = begun;
    }

    fn in_head(&self) -> bool {
        self.0.load(Ordering::Relaxed) == IN_HEAD
    }
}

/// The socket, its phase, and the clocks that run against the peer.
pub(super) struct Paced {
    stream: TcpStream,
    phase: Arc<Phase>,
    head: Clock,
    write: Clock,
    /// Bytes that the peer took since the write clock started.
    taken: usize,
    half_closed: bool,
    farewell: Clock,
    /// Bytes that are still read away after our side is closed.
    linger: usize,
}

impl Paced {
    pub(super) fn new(stream: TcpStream, phase: Arc<Phase>, limits: &Limits) -> Self {
        Self {
            stream,
            phase,
            head: Clock::new(
                limits.header_timeout,
                "the request head did not arrive in time",
            ),
            write: Clock::new(limits.write_timeout, "the peer does not take its response"),
            taken: 0,
            half_closed: false,
            farewell: Clock::new(LINGER_TIME, "the peer does not end its side"),
            linger: LINGER_BYTES,
        }
    }

    /// Judges the outcome of a write of `offered` bytes.
    fn pace(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
        offered: usize,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(count)) => {
                self.taken = self.taken.saturating_add(count);
                if count == offered || self.taken >= PROGRESS {
                    self.write.stop();
                    self.taken = 0;
                }
                written
            }
            Poll::Ready(Err(_)) => written,
            Poll::Pending => self.write.check(cx).map(Err),
        }
    }
}

impl AsyncRead for Paced {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.phase.bytes_arrived();
        }
        if !self.phase.in_head() {
            self.head.stop();
        } else if read.is_pending() {
            return self.head.check(cx).map(Err);
        }
        read
    }
}

impl AsyncWrite for Paced {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.pace(cx, written, buf.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.pace(cx, written, bufs.iter().map(|buf| buf.len()).sum())
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Ends our side, then reads away what the peer still sends until it ends its side: closing
    /// with unread bytes resets the connection and can destroy the response on its way.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.half_closed {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            self.half_closed = true;
        }
        let mut scrap = [0; 4096];
        while self.linger > 0 {
            let mut buf = ReadBuf::new(&mut scrap);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {
                    self.linger = self.linger.saturating_sub(buf.filled().len());
                }
                Poll::Ready(_) => break,
                Poll::Pending => return self.farewell.check(cx).map(|_| Ok(())),
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Time that runs from the first check until it is stopped.
struct Clock {
    limit: Duration,
    reason: &'static str,
    running: Option<Pin<Box<Sleep>>>,
}

impl Clock {
    fn new(limit: Duration, reason: &'static str) -> Self {
        Self {
            limit,
            reason,
            running: None,
        }
    }

    fn stop(&mut self) {
        self.running = None;
    }

    /// Starts the clock if it stands still; ready when its time is up.
    fn check(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let limit = self.limit;
        let running = self.running.get_or_insert_with(|| Box::pin(sleep(limit)));
        running
            .as_mut()
            .poll(cx)
            .map(|()| io::Error::new(io::ErrorKind::TimedOut, self.reason))
    }
}
