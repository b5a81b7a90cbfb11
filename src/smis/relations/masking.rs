//! The relations of masking: groups with their members, views with their groups, units and
//! initiators.

use super::plain;
use super::system::groups;
use crate::array::{GroupKind, Members, ViewId};
use crate::broker::{Catalog, End, Relation};
use crate::schema::class;
use crate::smis::element::{Element, Tag};
use crate::smis::view::View;
use crate::smis::{ARRAY, masking, volumes};

pub(super) fn add(catalog: Catalog<View>) -> Catalog<View> {
    add_privileges(add_views(add_groups(catalog)))
}

fn add_groups(catalog: Catalog<View>) -> Catalog<View> {
    use class::{
        CIM_MemberOfCollection as Member, CIM_OrderedMemberOfCollection as Ordered,
        CIM_ServiceAffectsElement as Affects,
    };
    catalog
        .relation(plain(
            Member,
            ARRAY,
            (Member::Collection, &[Tag::InitiatorGroup], members),
            (
                Member::Member,
                &[Tag::Initiator],
                |v, member| match member {
                    Element::Initiator(name) => {
                        collections(v.inventory.groups_with_initiator(name))
                    }
                    _ => Vec::new(),
                },
            ),
        ))
        .relation(plain(
            Member,
            ARRAY,
            (Member::Collection, &[Tag::PortGroup], members),
            (
                Member::Member,
                &[Tag::Endpoint, Tag::FcEndpoint],
                |v, member| match member {
                    Element::Endpoint(id) => collections(v.inventory.groups_with_port(id)),
                    _ => Vec::new(),
                },
            ),
        ))
        .relation(Relation {
            class: Ordered,
            namespace: ARRAY,
            ends: [
                End {
                    role: Ordered::Collection,
                    kinds: &[Tag::VolumeGroup],
                    step: members,
                },
                End {
                    role: Ordered::Member,
                    kinds: &[Tag::Volume],
                    step: |v, member| match member {
                        Element::Volume(id) => collections(v.inventory.groups_with_volume(id)),
                        _ => Vec::new(),
                    },
                },
            ],
            fill: |v, group, member, out| match place(v, group, member) {
                Some(place) => out.set(Ordered::AssignedSequence, place),
                None => out,
            },
        })
        .relation(Relation {
            class: Affects,
            namespace: ARRAY,
            ends: [
                End {
                    role: Affects::AffectingElement,
                    kinds: &[Tag::MaskingService],
                    step: |v, service| {
                        let mut all = groups(v, service);
                        all.extend(masking::list_views(v));
                        all
                    },
                },
                End {
                    role: Affects::AffectedElement,
                    kinds: &[
                        Tag::InitiatorGroup,
                        Tag::PortGroup,
                        Tag::VolumeGroup,
                        Tag::View,
                    ],
                    step: to!(MaskingService),
                },
            ],
            // 5 Manages.
            fill: |_, _, _, out| out.set(Affects::ElementEffects, [5u16]),
        })
}

pub(super) fn members(view: &View, element: &Element) -> Vec<Element> {
    let Some(group) = masking::group(view, element) else {
        return Vec::new();
    };
    match &group.members {
        Members::Initiators(names) => names.iter().cloned().map(Element::Initiator).collect(),
        Members::Ports(ports) => {
            let there = ports.iter().filter(|id| view.inventory.port(id).is_some());
            there.cloned().map(Element::Endpoint).collect()
        }
        Members::Volumes(ids) => {
            let there = ids.iter().filter(|id| volumes::volume(view, id).is_some());
            there.cloned().map(Element::Volume).collect()
        }
    }
}

fn collections<'a>(
    groups: impl Iterator<Item = &'a std::sync::Arc<crate::array::Group>>,
) -> Vec<Element> {
    groups
        .map(|group| Element::Group(group.members.kind(), group.id))
        .collect()
}

/// The place of a volume in its group, counted from 1.
fn place(view: &View, group: &Element, member: &Element) -> Option<u64> {
    let Members::Volumes(ids) = &masking::group(view, group)?.members else {
        return None;
    };
    let Element::Volume(id) = member else {
        return None;
    };
    let place = ids.iter().position(|v| v == id)?;
    u64::try_from(place).ok().map(|place| place + 1)
}

/// A view and its groups, devices and ports.
fn add_views(catalog: Catalog<View>) -> Catalog<View> {
    use class::{
        CIM_AssociatedDeviceMaskingGroup as Devices,
        CIM_AssociatedInitiatorMaskingGroup as Initiators,
        CIM_AssociatedTargetMaskingGroup as Targets, CIM_ProtocolControllerForUnit as Unit,
    };
    const VIEW: &[Tag] = &[Tag::View];
    catalog
        .relation(plain(
            Initiators,
            ARRAY,
            (Initiators::Antecedent, VIEW, |v, e| {
                group_of_view(v, e, GroupKind::Initiators)
            }),
            (
                Initiators::Dependent,
                &[Tag::InitiatorGroup],
                views_of_group,
            ),
        ))
        .relation(plain(
            Targets,
            ARRAY,
            (Targets::Antecedent, VIEW, |v, e| {
                group_of_view(v, e, GroupKind::Ports)
            }),
            (Targets::Dependent, &[Tag::PortGroup], views_of_group),
        ))
        .relation(plain(
            Devices,
            ARRAY,
            (Devices::Antecedent, VIEW, |v, e| {
                group_of_view(v, e, GroupKind::Volumes)
            }),
            (Devices::Dependent, &[Tag::VolumeGroup], views_of_group),
        ))
        .relation(Relation {
            class: Unit,
            namespace: ARRAY,
            ends: [
                End {
                    role: Unit::Antecedent,
                    kinds: VIEW,
                    step: units,
                },
                End {
                    role: Unit::Dependent,
                    kinds: &[Tag::Volume],
                    step: views_of_volume,
                },
            ],
            // Device numbers are written in hexadecimal; 2 is Read Write.
            fill: |v, shown, volume, out| match lun(v, shown, volume) {
                Some(lun) => out
                    .set(Unit::DeviceNumber, format!("{lun:04X}"))
                    .set(Unit::DeviceAccess, 2u16),
                None => out,
            },
        })
}

/// Who may see a view: directly, and by way of its privilege.
fn add_privileges(catalog: Catalog<View>) -> Catalog<View> {
    use class::{
        CIM_AssociatedPrivilege as Direct, CIM_AuthorizedSubject as Subject,
        CIM_AuthorizedTarget as Target, CIM_ConcreteDependency as Depends,
    };
    catalog
        .relation(Relation {
            class: Direct,
            namespace: ARRAY,
            ends: [
                End {
                    role: Direct::Target,
                    kinds: &[Tag::View],
                    step: initiators,
                },
                End {
                    role: Direct::Subject,
                    kinds: &[Tag::Initiator],
                    step: |v, initiator| seen_by(v, initiator).map(Element::View).collect(),
                },
            ],
            fill: |_, _, _, out| {
                out.set(Direct::PrivilegeGranted, true)
                    .set(Direct::Activities, masking::ACTIVITIES)
                    .set(Direct::RepresentsAuthorizationRights, false)
            },
        })
        .relation(plain(
            Subject,
            ARRAY,
            (Subject::Privilege, &[Tag::Privilege], initiators),
            (Subject::PrivilegedElement, &[Tag::Initiator], |v, e| {
                seen_by(v, e).map(Element::Privilege).collect()
            }),
        ))
        .relation(plain(
            Target,
            ARRAY,
            (Target::Privilege, &[Tag::Privilege], |_, e| match e {
                Element::Privilege(id) => vec![Element::View(*id)],
                _ => Vec::new(),
            }),
            (Target::TargetElement, &[Tag::View], |_, e| match e {
                Element::View(id) => vec![Element::Privilege(*id)],
                _ => Vec::new(),
            }),
        ))
        // Views alone: clients take every controller that is found here for a view.
        .relation(plain(
            Depends,
            ARRAY,
            (Depends::Antecedent, &[Tag::MaskingService], |v, _| {
                masking::list_views(v)
            }),
            (Depends::Dependent, &[Tag::View], to!(MaskingService)),
        ))
        .relation(plain(
            Depends,
            ARRAY,
            (Depends::Antecedent, &[Tag::HardwareIdService], |v, _| {
                masking::list_initiators(v)
            }),
            (
                Depends::Dependent,
                &[Tag::Initiator],
                to!(HardwareIdService),
            ),
        ))
}

/// The initiators of a view, or of the view that a privilege belongs to.
fn initiators(view: &View, element: &Element) -> Vec<Element> {
    let groups = group_of_view(view, element, GroupKind::Initiators);
    groups.iter().flat_map(|g| members(view, g)).collect()
}

/// The views that an initiator sees.
fn seen_by(view: &View, element: &Element) -> impl Iterator<Item = ViewId> {
    let name = match element {
        Element::Initiator(name) => Some(name),
        _ => None,
    };
    let groups = name
        .into_iter()
        .flat_map(|name| view.inventory.groups_with_initiator(name));
    groups.flat_map(|group| view.inventory.views_with(group.id).map(|shown| shown.id))
}

pub(super) fn group_of_view(view: &View, element: &Element, kind: GroupKind) -> Vec<Element> {
    let shown = masking::masking_view(view, element);
    let group = shown.and_then(|shown| shown.group(kind));
    group
        .map(|id| Element::Group(kind, id))
        .into_iter()
        .collect()
}

fn views_of_group(view: &View, element: &Element) -> Vec<Element> {
    let Element::Group(_, id) = element else {
        return Vec::new();
    };
    view.inventory
        .views_with(*id)
        .map(|shown| Element::View(shown.id))
        .collect()
}

fn units(view: &View, element: &Element) -> Vec<Element> {
    let Some(shown) = masking::masking_view(view, element) else {
        return Vec::new();
    };
    let there = shown
        .luns
        .keys()
        .filter(|id| volumes::volume(view, id).is_some());
    there.cloned().map(Element::Volume).collect()
}

fn views_of_volume(view: &View, element: &Element) -> Vec<Element> {
    let Element::Volume(id) = element else {
        return Vec::new();
    };
    view.inventory
        .views_of_volume(id)
        .map(|shown| Element::View(shown.id))
        .collect()
}

fn lun(view: &View, shown: &Element, volume: &Element) -> Option<u16> {
    let Element::Volume(id) = volume else {
        return None;
    };
    masking::masking_view(view, shown)?.luns.get(id).copied()
}
