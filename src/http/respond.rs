//! Response heads (DSP0200 §7.2.2): what a client learns before the first byte of XML.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};

use super::Fault;
use super::fault::url_encoded;
use super::head::{MAPPING, Prefix};

/// The XML type of every answer. Clients compare it with case.
const XML: HeaderValue = HeaderValue::from_static("application/xml; charset=\"utf-8\"");
/// The challenge. `Basic` comes first: some clients look no further.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Basic realm=\"Standpipe\"");
/// Seconds after which a client may come back.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("2");

/// The answer of a CIM operation, be it a result or a CIM error.
pub(super) fn answer<B>(body: B, prefix: Option<Prefix>) -> Response<B> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, XML);
    let method_response = HeaderValue::from_static("MethodResponse");
    cim_header(headers, prefix, "cimoperation", method_response);
    declare(headers, prefix);
    response
}

/// The refusal of a request.
pub(super) fn refusal<B>(fault: &Fault, body: B, prefix: Option<Prefix>) -> Response<B> {
    let (status, cim_error) = fault.status();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if let Some(word) = cim_error {
        cim_header(headers, prefix, "cimerror", HeaderValue::from_static(word));
        declare(headers, prefix);
    }
    if let Some(detail) = fault.detail() {
        headers.insert("pgerrordetail", url_encoded(detail));
    }
    match status {
        StatusCode::UNAUTHORIZED => {
            headers.insert(header::WWW_AUTHENTICATE, CHALLENGE);
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            headers.insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        _ => {}
    }
    if fault.closes() {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Sets a CIM header, under the prefix that the client declared if it used M-POST.
fn cim_header(
    headers: &mut HeaderMap,
    prefix: Option<Prefix>,
    name: &'static str,
    value: HeaderValue,
) {
    let name = match prefix {
        None => Some(HeaderName::from_static(name)),
        Some(prefix) => prefix.named(name),
    };
    if let Some(name) = name {
        headers.insert(name, value);
    }
}

/// Acknowledges M-POST (RFC 2774 §5) and keeps caches off.
fn declare(headers: &mut HeaderMap, prefix: Option<Prefix>) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    let Some(prefix) = prefix else { return };
    headers.insert("ext", HeaderValue::from_static(""));
    if let Ok(man) = HeaderValue::try_from(format!("{MAPPING} ; ns={prefix}")) {
        headers.insert("man", man);
    }
}
