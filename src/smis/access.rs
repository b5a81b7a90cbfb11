//! Access Points: where the array is managed (SMI-S 1.6.1 common profiles book). What is managed
//! through is this server itself.

use crate::cim::Keys;
use crate::schema::{Builder, PathBuilder, class};

use super::element::Element;
use super::keys::array_keys;
use super::view::View;

pub(super) fn list(view: &View) -> Vec<Element> {
    (0..view.server.endpoints.len())
        .map(Element::AccessPoint)
        .collect()
}

pub(super) fn find(view: &View, keys: &Keys) -> Option<Element> {
    let name = keys.text("Name")?;
    let mut all = view.server.endpoints.iter();
    all.position(|url| url == name).map(Element::AccessPoint)
}

fn url<'a>(view: &'a View, element: &Element) -> Option<&'a str> {
    match element {
        Element::AccessPoint(index) => view.server.endpoints.get(*index).map(String::as_str),
        _ => None,
    }
}

pub(super) fn path_keys(
    view: &View,
    element: &Element,
    path: PathBuilder<class::Standpipe_RemoteServiceAccessPoint>,
) -> PathBuilder<class::Standpipe_RemoteServiceAccessPoint> {
    let Some(url) = url(view, element) else {
        return path;
    };
    array_keys!(path, view, Standpipe_RemoteServiceAccessPoint.Name, url)
}

pub(super) fn fill(
    view: &View,
    element: &Element,
    out: Builder<class::Standpipe_RemoteServiceAccessPoint>,
) -> Builder<class::Standpipe_RemoteServiceAccessPoint> {
    use class::Standpipe_RemoteServiceAccessPoint as P;
    let Some(url) = url(view, element) else {
        return out;
    };
    // 200 URL, 10 Management Service.
    out.set(P::ElementName, url)
        .set(P::AccessInfo, url)
        .set(P::InfoFormat, 200u16)
        .set(P::AccessContext, 10u16)
        .set(P::OperationalStatus, [2u16])
        .set(P::HealthState, 5u16)
        .set(P::EnabledState, 2u16)
        .set(P::RequestedState, 12u16)
}
