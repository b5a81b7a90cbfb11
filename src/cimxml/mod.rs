//! CIM-XML (DSP0201 2.4, DSP0203 2.4): bytes to a [`Request`], a [`Response`] to bytes.
//!
//! Pure functions on bytes: this room must not know sockets, HTTP, the schema or any class. What a
//! request leaves untyped (`IPARAMVALUE` carries no type) stays text until the broker, who knows
//! the declaration, asks [`ParamValue::resolve`] for a value of a certain type.
//!
//! Everything that is read has a budget ([`Limits`]); an embedded object is XML inside XML and
//! draws on the budget of the request around it. Responses are written item by item, so that a
//! listing needs memory for one chunk ([`Chunks`]).

mod decode;
mod encode;
mod error;
mod limits;
mod literal;
mod request;

pub use decode::decode;
pub use encode::request::encode_request;
pub use encode::response::{Body, Chunks, Item, Items, Output, Response};
pub use error::{DecodeError, ValueError};
pub use limits::Limits;
pub use literal::{parse_key, parse_literal, retype_key};
pub use request::{Call, Head, Kind, ParamValue, Request, Wanted, version_major};

#[cfg(test)]
mod tests;
