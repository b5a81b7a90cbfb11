//! The listener: sockets, TLS, who is asking, limits, and the HTTP mapping of CIM (DSP0200 §7).
//!
//! A request is checked in a fixed order, cheapest and least trusting first: HTTP framing, Host,
//! credentials, the CIM headers, Content-Type, and only then is the body read and decoded. What
//! passes goes to a [`Service`], on a task of its own that outlives the connection. Every refusal
//! is a row of one table, [`Fault`]. Behind it, [`Cimom`] takes decoded requests to the broker. This
//! room knows nothing about classes or storage.

mod body;
mod cimobject;
mod cimom;
mod connection;
mod fault;
mod head;
mod limits;
mod listen;
mod paced;
mod respond;
mod server;
mod tls;

#[cfg(test)]
mod tests;

use std::future::Future;

use bytes::Bytes;

use crate::cimxml;
use crate::identity::Identity;

pub use cimom::Cimom;
pub use fault::Fault;
pub use limits::Limits;
pub use listen::{ListenUrl, ListenUrlError, Scheme};
pub use server::{BindError, Server};
pub use tls::{Tls, TlsError};

/// What answers requests behind the listener.
pub trait Service: Send + Sync + 'static {
    /// Answers one request. The future runs to its end even if the client hangs up.
    fn call(
        &self,
        identity: Identity,
        request: cimxml::Request,
    ) -> impl Future<Output = Reply> + Send;
}

/// The encoded answer to a request, pulled chunk by chunk as the client takes it.
///
/// Everything that can fail has been checked before there is a reply. A short reply is sent with
/// its length in one piece, a long one streamed: memory for a chunk, not for the whole.
pub struct Reply {
    chunks: Box<dyn Iterator<Item = Bytes> + Send>,
}

impl Reply {
    /// A reply that consists of these chunks.
    pub fn new(chunks: impl IntoIterator<Item = Bytes, IntoIter: Send + 'static>) -> Self {
        Self {
            chunks: Box::new(chunks.into_iter()),
        }
    }
}

impl From<Bytes> for Reply {
    fn from(whole: Bytes) -> Self {
        Self::new([whole])
    }
}
