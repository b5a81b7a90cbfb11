//! The relations of the array's system to what it holds.

use super::{Step, plain};
use crate::broker::Catalog;
use crate::schema::class;
use crate::smis::element::{Element, Tag};
use crate::smis::view::View;
use crate::smis::{ARRAY, disks, extents, fc, masking, pools, ports, volumes};

pub(super) fn add(catalog: Catalog<View>) -> Catalog<View> {
    use class::{
        CIM_HostedAccessPoint as Access, CIM_HostedCollection as Collection,
        CIM_HostedService as Service, CIM_HostedStoragePool as Pool, CIM_SystemDevice as Device,
    };
    const SYSTEM: &[Tag] = &[Tag::System];
    let services: Step = |_, _| {
        vec![
            Element::StorageService,
            Element::SparingService,
            Element::RelocationService,
            Element::ReplicationService,
            Element::HardwareIdService,
            Element::MaskingService,
            Element::IscsiService,
        ]
    };
    catalog
        .relation(plain(
            Service,
            ARRAY,
            (Service::Antecedent, SYSTEM, services),
            (
                Service::Dependent,
                &[
                    Tag::StorageService,
                    Tag::SparingService,
                    Tag::RelocationService,
                    Tag::ReplicationService,
                    Tag::HardwareIdService,
                    Tag::MaskingService,
                    Tag::IscsiService,
                ],
                to!(System),
            ),
        ))
        .relation(plain(
            Pool,
            ARRAY,
            (Pool::GroupComponent, SYSTEM, |v, _| {
                let mut all = vec![Element::PrimordialPool];
                all.extend(pools::list(v));
                all
            }),
            (
                Pool::PartComponent,
                &[Tag::PrimordialPool, Tag::Pool],
                to!(System),
            ),
        ))
        .relation(plain(
            Device,
            ARRAY,
            (Device::GroupComponent, SYSTEM, devices),
            (
                Device::PartComponent,
                &[
                    Tag::Drive,
                    Tag::Extent,
                    Tag::Volume,
                    Tag::View,
                    Tag::Node,
                    Tag::Ethernet,
                    Tag::FcPort,
                ],
                to!(System),
            ),
        ))
        .relation(plain(
            Access,
            ARRAY,
            (Access::Antecedent, SYSTEM, access_points),
            (
                Access::Dependent,
                &[Tag::Endpoint, Tag::FcEndpoint, Tag::Tcp, Tag::Ip],
                to!(System),
            ),
        ))
        .relation(plain(
            Collection,
            ARRAY,
            (Collection::Antecedent, SYSTEM, groups),
            (
                Collection::Dependent,
                &[Tag::InitiatorGroup, Tag::PortGroup, Tag::VolumeGroup],
                to!(System),
            ),
        ))
}

fn devices(view: &View, _system: &Element) -> Vec<Element> {
    let mut all = disks::list(view);
    all.extend(extents::list(view));
    all.extend(volumes::list(view));
    all.extend(masking::list_views(view));
    all.extend(ports::list_nodes(view));
    all.extend(ports::list_ethernet(view));
    all.extend(fc::list_ports(view));
    all
}

fn access_points(view: &View, _system: &Element) -> Vec<Element> {
    let mut all = ports::list_endpoints(view);
    all.extend(fc::list_endpoints(view));
    all.extend(ports::list_tcp(view));
    all.extend(ports::list_ip(view));
    all
}

pub(super) fn groups(view: &View, _system: &Element) -> Vec<Element> {
    let groups = view.inventory.groups();
    groups
        .map(|group| Element::Group(group.members.kind(), group.id))
        .collect()
}
