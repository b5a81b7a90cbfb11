//! The Array profile: the top-level system (SMI-S 1.6.1 block book, Array).

use crate::schema::{Builder, PathBuilder, class};

use super::element::Element;
use super::health;
use super::keys::SYSTEM_CLASS;
use super::status::set_health;
use super::view::View;

pub(super) fn path_keys(
    view: &View,
    _element: &Element,
    path: PathBuilder<class::Standpipe_ComputerSystem>,
) -> PathBuilder<class::Standpipe_ComputerSystem> {
    use class::Standpipe_ComputerSystem as P;
    path.key(P::CreationClassName, SYSTEM_CLASS)
        .key(P::Name, view.inventory.system.name.as_str())
}

/// The addresses of the machine, each with what it is.
fn identifiers(view: &View) -> (Vec<String>, Vec<&'static str>) {
    let addresses = view
        .inventory
        .nics()
        .flat_map(|nic| &nic.addresses)
        .map(|(ip, _)| ip);
    let outside = addresses.filter(|ip| !ip.is_loopback());
    let mut all: Vec<_> = outside
        .map(|ip| {
            (
                ip.to_string(),
                if ip.is_ipv4() {
                    "Ipv4 Address"
                } else {
                    "Ipv6 Address"
                },
            )
        })
        .collect();
    all.push((view.server.host_name.clone(), "Fully Qualified Domain Name"));
    all.into_iter().unzip()
}

pub(super) fn fill(
    view: &View,
    _element: &Element,
    out: Builder<class::Standpipe_ComputerSystem>,
) -> Builder<class::Standpipe_ComputerSystem> {
    use class::Standpipe_ComputerSystem as P;
    set_health!(out, P, &health::of_array(view))
        .set(P::NameFormat, "Other")
        .set(P::ElementName, view.inventory.system.label.as_str())
        .set(P::Description, "A Linux machine as an SMI-S block array")
        .set_with(P::OtherIdentifyingInfo, || identifiers(view).0)
        .set_with(P::IdentifyingDescriptions, || identifiers(view).1)
        .set(P::EnabledState, 2u16)
        .set(P::RequestedState, 12u16)
        .set(P::Dedicated, [3u16, 15])
}
