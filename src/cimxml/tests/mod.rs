//! Tests of the room as a whole: bytes in, types out, and back.

mod decoding;
mod encoding;
mod hostile;
mod literals;
mod objects;
mod round_trip;

use super::{Call, DecodeError, Limits, ParamValue, Request, decode};

/// A request around the content of SIMPLEREQ.
fn message(call: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="utf-8" ?>
<CIM CIMVERSION="2.0" DTDVERSION="2.0"><MESSAGE ID="1001" PROTOCOLVERSION="1.0">
<SIMPLEREQ>{call}</SIMPLEREQ></MESSAGE></CIM>"#
    )
}

const NAMESPACE: &str =
    r#"<LOCALNAMESPACEPATH><NAMESPACE NAME="root"/><NAMESPACE NAME="x"/></LOCALNAMESPACEPATH>"#;

/// An intrinsic call with that content after the namespace.
fn intrinsic(parameters: &str) -> String {
    message(&format!(
        r#"<IMETHODCALL NAME="Op">{NAMESPACE}{parameters}</IMETHODCALL>"#
    ))
}

/// A method call with that content after the path.
fn extrinsic(parameters: &str) -> String {
    message(&format!(
        r#"<METHODCALL NAME="Do"><LOCALCLASSPATH>{NAMESPACE}<CLASSNAME NAME="C"/></LOCALCLASSPATH>{parameters}</METHODCALL>"#
    ))
}

fn read(document: &str) -> Result<Request, DecodeError> {
    decode(document.as_bytes(), &Limits::default())
}

/// The value of the only parameter.
fn only_parameter(document: &str) -> Result<ParamValue, DecodeError> {
    let (Call::Intrinsic { parameters, .. } | Call::Extrinsic { parameters, .. }) =
        read(document)?.call;
    assert_eq!(parameters.len(), 1, "{document}");
    Ok(parameters[0].1.clone())
}

/// The value of an IPARAMVALUE with that content.
fn iparam(content: &str) -> Result<ParamValue, DecodeError> {
    only_parameter(&intrinsic(&format!(
        r#"<IPARAMVALUE NAME="P">{content}</IPARAMVALUE>"#
    )))
}

/// The value of a PARAMVALUE with those attributes and that content.
fn param(attributes: &str, content: &str) -> Result<ParamValue, DecodeError> {
    only_parameter(&extrinsic(&format!(
        r#"<PARAMVALUE NAME="P" {attributes}>{content}</PARAMVALUE>"#
    )))
}

/// The meaning of an error, without its reason.
fn kind(error: &DecodeError) -> &'static str {
    match error {
        DecodeError::NotWellFormed(_) => "not well-formed",
        DecodeError::NotValid(_) => "not valid",
        DecodeError::Doctype => "doctype",
        DecodeError::TooManyElements => "too many elements",
        DecodeError::TooLarge(_) => "too large",
        DecodeError::UnsupportedCimVersion(_) => "CIM version",
        DecodeError::UnsupportedDtdVersion(_) => "DTD version",
        DecodeError::UnsupportedProtocolVersion(_) => "protocol version",
        DecodeError::MultipleRequestsUnsupported => "several requests",
    }
}
