//! Masking and Mapping, Group Masking and Mapping: groups, views, privileges and initiators (SMI-S
//! 1.6.1 block book).

use std::sync::Arc;

use crate::array::{self, Group, GroupId, GroupKind, Health, InitiatorName, ViewId};
use crate::cim::Keys;
use crate::schema::{Builder, PathBuilder, class};

use super::element::Element;
use super::keys::array_keys;
use super::services;
use super::status::set_health;
use super::view::View;

const GROUP: &str = "Standpipe:MaskingGroup:";
const INITIATOR: &str = "Standpipe:StorageHardwareID:";
const PRIVILEGE: &str = "Standpipe:AuthorizedPrivilege:";

/// What the initiators of a view may do with its devices: 5 Read, 6 Write.
pub(super) const ACTIVITIES: [u16; 2] = [5, 6];

fn groups(view: &View, kind: GroupKind) -> Vec<Element> {
    let groups = view
        .inventory
        .groups()
        .filter(|group| group.members.kind() == kind);
    groups.map(|group| Element::Group(kind, group.id)).collect()
}

pub(super) fn list_initiator_groups(view: &View) -> Vec<Element> {
    groups(view, GroupKind::Initiators)
}

pub(super) fn list_port_groups(view: &View) -> Vec<Element> {
    groups(view, GroupKind::Ports)
}

pub(super) fn list_volume_groups(view: &View) -> Vec<Element> {
    groups(view, GroupKind::Volumes)
}

/// A group of any kind; the kind decides the class.
pub(super) fn find_group(view: &View, keys: &Keys) -> Option<Element> {
    let id = GroupId::parse(keys.text("InstanceID")?.strip_prefix(GROUP)?)?;
    view.inventory
        .group(&id)
        .map(|group| Element::Group(group.members.kind(), id))
}

pub(super) fn group<'a>(view: &'a View, element: &Element) -> Option<&'a Arc<Group>> {
    match element {
        Element::Group(_, id) => view.inventory.group(id),
        _ => None,
    }
}

/// The keys and properties that all three kinds of groups share.
macro_rules! masking_group {
    ($keys:ident, $fill:ident, $class:ident $(, $property:ident = $value:expr)*) => {
        pub(super) fn $keys(
            _view: &View,
            element: &Element,
            path: PathBuilder<class::$class>,
        ) -> PathBuilder<class::$class> {
            let Element::Group(_, id) = element else { return path };
            path.key(class::$class::InstanceID, format!("{GROUP}{id}"))
        }

        pub(super) fn $fill(
            view: &View,
            element: &Element,
            out: Builder<class::$class>,
        ) -> Builder<class::$class> {
            use class::$class as P;
            let Some(group) = group(view, element) else { return out };
            out.set(P::ElementName, group.name.as_str())
                .set(P::DeleteOnEmpty, group.delete_on_empty)
                .set(P::DeleteWhenBecomesUnassociated, group.delete_when_unassociated)
                $(.set(P::$property, $value))*
        }
    };
}

// Every initiator of a view sees a device under the same number, always.
masking_group!(
    initiator_group_keys,
    fill_initiator_group,
    Standpipe_InitiatorMaskingGroup,
    ConsistentLogicalUnitNumber = true
);
masking_group!(
    port_group_keys,
    fill_port_group,
    Standpipe_TargetMaskingGroup
);
masking_group!(
    volume_group_keys,
    fill_volume_group,
    Standpipe_DeviceMaskingGroup
);

pub(super) fn list_views(view: &View) -> Vec<Element> {
    view.inventory
        .views()
        .map(|v| Element::View(v.id))
        .collect()
}

pub(super) fn find_view(view: &View, keys: &Keys) -> Option<Element> {
    let id = ViewId::parse(keys.text("DeviceID")?)?;
    view.inventory.view(&id).map(|_| Element::View(id))
}

pub(super) fn view_keys(
    view: &View,
    element: &Element,
    path: PathBuilder<class::Standpipe_MaskingView>,
) -> PathBuilder<class::Standpipe_MaskingView> {
    let Element::View(id) = element else {
        return path;
    };
    array_keys!(path, view, Standpipe_MaskingView.DeviceID, id.to_string())
}

/// The view itself, or the one that a privilege belongs to.
pub(super) fn masking_view<'a>(view: &'a View, element: &Element) -> Option<&'a Arc<array::View>> {
    match element {
        Element::View(id) | Element::Privilege(id) => view.inventory.view(id),
        _ => None,
    }
}

pub(super) fn fill_view(
    view: &View,
    element: &Element,
    out: Builder<class::Standpipe_MaskingView>,
) -> Builder<class::Standpipe_MaskingView> {
    use class::Standpipe_MaskingView as P;
    let Some(shown) = masking_view(view, element) else {
        return out;
    };
    let out = out
        .set(P::ElementName, shown.name.as_str())
        .set(P::Name, shown.name.as_str())
        // 1 Other: 3 would make clients take the view for a target.
        .set(P::NameFormat, 1u16);
    let drift = view.inventory.drift_of(&shown.id);
    set_health!(out, P, drift.unwrap_or(&Health::Ok))
        .set(P::EnabledState, 2u16)
        .set(P::RequestedState, 12u16)
}

pub(super) fn list_privileges(view: &View) -> Vec<Element> {
    view.inventory
        .views()
        .map(|v| Element::Privilege(v.id))
        .collect()
}

pub(super) fn find_privilege(view: &View, keys: &Keys) -> Option<Element> {
    let id = ViewId::parse(keys.text("InstanceID")?.strip_prefix(PRIVILEGE)?)?;
    view.inventory.view(&id).map(|_| Element::Privilege(id))
}

pub(super) fn privilege_keys(
    _view: &View,
    element: &Element,
    path: PathBuilder<class::Standpipe_AuthorizedPrivilege>,
) -> PathBuilder<class::Standpipe_AuthorizedPrivilege> {
    let Element::Privilege(id) = element else {
        return path;
    };
    path.key(
        class::Standpipe_AuthorizedPrivilege::InstanceID,
        format!("{PRIVILEGE}{id}"),
    )
}

pub(super) fn fill_privilege(
    view: &View,
    element: &Element,
    out: Builder<class::Standpipe_AuthorizedPrivilege>,
) -> Builder<class::Standpipe_AuthorizedPrivilege> {
    use class::Standpipe_AuthorizedPrivilege as P;
    let Some(shown) = masking_view(view, element) else {
        return out;
    };
    out.set(P::ElementName, format!("Access to {}", shown.name))
        .set(P::PrivilegeGranted, true)
        .set(P::Activities, ACTIVITIES)
        .set(P::RepresentsAuthorizationRights, false)
}

pub(super) fn list_initiators(view: &View) -> Vec<Element> {
    view.inventory
        .initiators()
        .map(|i| Element::Initiator(i.name.clone()))
        .collect()
}

pub(super) fn find_initiator(view: &View, keys: &Keys) -> Option<Element> {
    let name = keys.text("InstanceID")?.strip_prefix(INITIATOR)?;
    let name = InitiatorName::parse(name).ok()?;
    view.inventory
        .initiator(&name)
        .map(|i| Element::Initiator(i.name.clone()))
}

pub(super) fn initiator_keys(
    _view: &View,
    element: &Element,
    path: PathBuilder<class::Standpipe_StorageHardwareID>,
) -> PathBuilder<class::Standpipe_StorageHardwareID> {
    let Element::Initiator(name) = element else {
        return path;
    };
    let id = format!("{INITIATOR}{}", name.folded());
    path.key(class::Standpipe_StorageHardwareID::InstanceID, id)
}

pub(super) fn fill_initiator(
    view: &View,
    element: &Element,
    out: Builder<class::Standpipe_StorageHardwareID>,
) -> Builder<class::Standpipe_StorageHardwareID> {
    use class::Standpipe_StorageHardwareID as P;
    let Element::Initiator(name) = element else {
        return out;
    };
    let Some(initiator) = view.inventory.initiator(name) else {
        return out;
    };
    out.set(P::StorageID, initiator.name.as_str())
        .set(P::IDType, services::id_type(name.fabric()))
        .set(P::ElementName, initiator.name.as_str())
}
