//! Bytes to a [`Request`].

use super::{DecodeError, Limits, Request};

/// Reads one request message.
pub fn decode(_bytes: &[u8], _limits: &Limits) -> Result<Request, DecodeError> {
    unimplemented!()
}
