//! What a peer may cost: sizes, counts and times.

use std::time::Duration;

use crate::cimxml;

/// Upper bounds for one listener. The defaults are far above what real clients need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest request head, in bytes.
    pub header_bytes: usize,
    /// Most header lines of a request.
    pub headers: usize,
    /// Longest request body, in bytes.
    pub body_bytes: usize,
    /// Connections that are open at once.
    pub connections: usize,
    /// Connections that are open at once from one address.
    pub connections_per_peer: usize,
    /// Requests that are read, executed or answered at once.
    pub requests_in_flight: usize,
    /// Requests on one connection before it is closed.
    pub requests_per_connection: u64,
    /// Time for a TLS handshake.
    pub handshake_timeout: Duration,
    /// Time from the first byte of a request head to its last.
    pub header_timeout: Duration,
    /// Time for a request body.
    pub body_timeout: Duration,
    /// Time that a connection may be silent between requests.
    pub idle_timeout: Duration,
    /// Time within which a peer takes at least a few kilobytes of a response.
    pub write_timeout: Duration,
    /// Time that a request waits while too many others are in flight.
    pub queue_timeout: Duration,
    /// Time that running requests get when the server stops.
    pub drain_timeout: Duration,
    /// Bounds on the XML of a request.
    pub xml: cimxml::Limits,
}

impl Default for Limits {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            header_bytes: 32 << 10,
            headers: 64,
            body_bytes: 4 << 20,
            connections: 512,
            connections_per_peer: 128,
            requests_in_flight: 64,
            requests_per_connection: 100_000,
            handshake_timeout: seconds(10),
            header_timeout: seconds(10),
            body_timeout: seconds(60),
            idle_timeout: seconds(60),
            write_timeout: seconds(30),
            queue_timeout: seconds(10),
            drain_timeout: seconds(30),
            xml: cimxml::Limits::default(),
        }
    }
}
