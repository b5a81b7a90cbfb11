//! Physical Package and Location: the box, as it was bought and where it stands (SMI-S 1.6.1 common
//! profiles book).

use crate::schema::{Builder, PathBuilder, class};

use super::element::Element;
use super::view::View;

/// What is written where nothing is known and something has to be.
const UNKNOWN: &str = "unknown";

/// The name of something of which the array has one.
fn name(view: &View, what: &str) -> String {
    format!("{}-{what}", view.inventory.system.name)
}

pub(super) fn chassis_keys(
    view: &View,
    _element: &Element,
    path: PathBuilder<class::Standpipe_Chassis>,
) -> PathBuilder<class::Standpipe_Chassis> {
    use class::Standpipe_Chassis as P;
    path.key(P::CreationClassName, "Standpipe_Chassis")
        .key(P::Tag, name(view, "chassis"))
}

pub(super) fn fill_chassis(
    view: &View,
    _element: &Element,
    out: Builder<class::Standpipe_Chassis>,
) -> Builder<class::Standpipe_Chassis> {
    use class::Standpipe_Chassis as P;
    let machine = &view.server.machine;
    // The older list of kinds is the one that firmware uses; it ends at 25.
    let kind = machine.chassis_type.filter(|kind| (1..=25).contains(kind));
    out.set_with(P::ElementName, || {
        format!("{} {}", machine.manufacturer, machine.model)
    })
    .set(P::Manufacturer, machine.manufacturer.as_str())
    .set(P::Model, machine.model.as_str())
    .set_some(P::SerialNumber, machine.serial.as_deref())
    .set(P::OperationalStatus, [2u16])
    .set(P::HealthState, 5u16)
    // 3 Chassis/Frame, 17 Main System Chassis: what it is to the array, whatever its form.
    .set(P::PackageType, 3u16)
    .set(P::ChassisPackageType, 17u16)
    .set_some(P::ChassisTypes, kind.map(|kind| [kind]))
}

pub(super) fn product_keys(
    view: &View,
    _element: &Element,
    path: PathBuilder<class::Standpipe_Product>,
) -> PathBuilder<class::Standpipe_Product> {
    use class::Standpipe_Product as P;
    let machine = &view.server.machine;
    // What has no serial number is told apart by the name of its array.
    let serial = machine.serial.as_ref();
    path.key(P::Name, machine.model.as_str())
        .key(
            P::IdentifyingNumber,
            serial.unwrap_or(&view.inventory.system.name).as_str(),
        )
        .key(P::Vendor, machine.manufacturer.as_str())
        .key(P::Version, machine.version.as_deref().unwrap_or(UNKNOWN))
}

pub(super) fn fill_product(
    view: &View,
    _element: &Element,
    out: Builder<class::Standpipe_Product>,
) -> Builder<class::Standpipe_Product> {
    use class::Standpipe_Product as P;
    out.set(P::ElementName, view.server.machine.model.as_str())
}

pub(super) fn location_keys(
    view: &View,
    _element: &Element,
    path: PathBuilder<class::Standpipe_Location>,
) -> PathBuilder<class::Standpipe_Location> {
    use class::Standpipe_Location as P;
    let location = view.server.machine.location.as_deref();
    path.key(P::Name, name(view, "location"))
        .key(P::PhysicalPosition, location.unwrap_or(UNKNOWN))
}

pub(super) fn fill_location(
    view: &View,
    _element: &Element,
    out: Builder<class::Standpipe_Location>,
) -> Builder<class::Standpipe_Location> {
    use class::Standpipe_Location as P;
    let location = view.server.machine.location.as_deref();
    out.set(
        P::ElementName,
        location.unwrap_or("Not configured: set location under [server]"),
    )
}
