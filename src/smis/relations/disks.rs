//! The relations of Disk Drive Lite: drives, their media, packages and firmware, and what depends
//! on them.

use super::plain;
use crate::array::DiskId;
use crate::broker::{Catalog, End, Relation};
use crate::schema::class;
use crate::smis::element::{Element, Tag};
use crate::smis::view::View;
use crate::smis::{ARRAY, disks, extents};

const DRIVES: &[Tag] = &[Tag::Drive];

/// A step to another element of the same drive.
macro_rules! same_drive {
    ($from:ident => $to:ident) => {
        |_, element| match element {
            Element::$from(id) => vec![Element::$to(id.clone())],
            _ => Vec::new(),
        }
    };
}

pub(super) fn add(catalog: Catalog<View>) -> Catalog<View> {
    add_things(add_storage(catalog))
}

/// What lies on drives.
fn add_storage(catalog: Catalog<View>) -> Catalog<View> {
    use class::{CIM_ConcreteDependency as Dependency, CIM_MediaPresent as Medium};
    catalog
        .relation(Relation {
            class: Medium,
            namespace: ARRAY,
            ends: [
                End {
                    role: Medium::Antecedent,
                    kinds: DRIVES,
                    step: same_drive!(Drive => Extent),
                },
                End {
                    role: Medium::Dependent,
                    kinds: &[Tag::Extent],
                    step: drive_of_extent,
                },
            ],
            fill: |_, _, _, out| out.set(Medium::FixedMedia, true),
        })
        .relation(plain(
            Dependency,
            ARRAY,
            (
                Dependency::Dependent,
                &[Tag::PrimordialPool, Tag::Pool],
                disks::drives_of_pool,
            ),
            (Dependency::Antecedent, DRIVES, disks::pools_of_drive),
        ))
}

fn drive_of_extent(view: &View, extent: &Element) -> Vec<Element> {
    let element = extents::disk_of(view, extent).map(|disk| disks::element(disk));
    let drive = element.filter(|element| element.tag() == Tag::Drive);
    drive.into_iter().collect()
}

/// What drives are, as things.
fn add_things(catalog: Catalog<View>) -> Catalog<View> {
    use class::{
        CIM_Container as Container, CIM_ElementSoftwareIdentity as Software,
        CIM_Realizes as Realizes,
    };
    const PACKAGES: &[Tag] = &[Tag::DrivePackage];
    catalog
        .relation(plain(
            Realizes,
            ARRAY,
            (
                Realizes::Antecedent,
                PACKAGES,
                same_drive!(DrivePackage => Drive),
            ),
            (
                Realizes::Dependent,
                DRIVES,
                same_drive!(Drive => DrivePackage),
            ),
        ))
        .relation(plain(
            Container,
            ARRAY,
            (Container::GroupComponent, &[Tag::Chassis], |v, _| {
                disks::packages_inside(v)
            }),
            (
                Container::PartComponent,
                PACKAGES,
                |v, package| match disks::is_inside(v, package) {
                    true => vec![Element::Chassis],
                    false => Vec::new(),
                },
            ),
        ))
        .relation(Relation {
            class: Software,
            namespace: ARRAY,
            ends: [
                End {
                    role: Software::Antecedent,
                    kinds: &[Tag::Firmware],
                    step: same_drive!(Firmware => Drive),
                },
                End {
                    role: Software::Dependent,
                    kinds: DRIVES,
                    step: |v, drive| match drive {
                        Element::Drive(id) => firmware_of(v, id),
                        _ => Vec::new(),
                    },
                },
            ],
            // 2 Current, 6 Installed.
            fill: |_, _, _, out| out.set(Software::ElementSoftwareStatus, [2u16, 6]),
        })
}

fn firmware_of(view: &View, drive: &DiskId) -> Vec<Element> {
    disks::firmware(view, drive).into_iter().collect()
}
