//! Multiple Computer System: the machine as the one controller of the array (SMI-S 1.6.1 common
//! profiles book).

use crate::schema::{Builder, PathBuilder, class};

use super::element::Element;
use super::view::View;

pub(super) fn path_keys(
    view: &View,
    _element: &Element,
    path: PathBuilder<class::Standpipe_Node>,
) -> PathBuilder<class::Standpipe_Node> {
    use class::Standpipe_Node as P;
    path.key(P::CreationClassName, "Standpipe_Node")
        .key(P::Name, format!("{}-node1", view.inventory.system.name))
}

pub(super) fn fill(
    view: &View,
    _element: &Element,
    out: Builder<class::Standpipe_Node>,
) -> Builder<class::Standpipe_Node> {
    use class::Standpipe_Node as P;
    out.set(P::NameFormat, "Other")
        .set(P::ElementName, view.server.host_name.as_str())
        .set(P::Description, "The machine that the array runs on")
        .set(P::OperationalStatus, [2u16])
        .set(P::HealthState, 5u16)
        .set(P::EnabledState, 2u16)
        .set(P::RequestedState, 12u16)
        // 3 Storage, without 15 Block Server: that would make clients take it for a second array.
        .set(P::Dedicated, [3u16])
}
