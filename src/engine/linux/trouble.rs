//! Legs of volumes that do not work though their disks are there: what the kernel has of a volume
//! beside what LVM's metadata says of it.

use std::collections::{BTreeMap, BTreeSet};

use super::blockdev::DmDevice;
use super::dm;
use super::lvm::names::{self, LvmUuid};
use super::lvm::shape::{Leaf, Shape};
use crate::array::Trouble;

/// Major and minor number of a block device.
pub(super) type Number = (u32, u32);

/// How the word begins that LVM appends for a device in the place of a missing disk.
const MISSING: &str = "-missing_";

/// What the kernel has of the devices.
pub(super) struct Mapped<'a> {
    /// The active device-mapper devices by UUID.
    pub(super) devices: &'a BTreeMap<String, DmDevice>,
    /// The device of each physical volume that is there, by UUID.
    pub(super) numbers: &'a BTreeMap<String, Number>,
    /// Those that are there and that LVM does not use, by UUID.
    pub(super) returned: &'a BTreeSet<String>,
}

impl Mapped<'_> {
    /// The physical volumes that are there, and that the kernel's devices of these parts of a volume
    /// do not lie on as they should: it still holds what a disk was before it went away. And those
    /// that LVM does not use yet though they are there again.
    pub(super) fn stale<'l>(&self, group: &LvmUuid, leaves: &'l [Leaf]) -> BTreeSet<&'l str> {
        let stale = leaves.iter().flat_map(|leaf| {
            let device = LvmUuid::new(leaf.uuid.as_str())
                .ok()
                .and_then(|uuid| self.device(&names::dm_uuid(group, &uuid)));
            let missed = move |pv: &&String| {
                let number = self.numbers.get(*pv);
                let misses = device.zip(number).is_some_and(|(d, n)| !d.on.contains(n));
                misses || self.returned.contains(*pv)
            };
            leaf.on.iter().filter(missed).map(String::as_str)
        });
        stale.collect()
    }

    /// The active device of a volume that lies on disks; LVM appends to the UUID of some what they
    /// are for. One that has snapshots, or is one, has two: that without such a word lies on others.
    /// What stood in for a missing disk when it was activated may be left, and nothing lies on it.
    fn device(&self, uuid: &str) -> Option<&DmDevice> {
        let found = self.devices.range(uuid.to_owned()..);
        let words = found.map_while(|(key, device)| Some((key.strip_prefix(uuid)?, device)));
        let own = words.filter(|(word, _)| !word.starts_with(MISSING));
        own.last().map(|(_, device)| device)
    }
}

/// Which legs of a volume do not work though their disks are there: it lies so, these physical
/// volumes are lost and these stale, and that is what the kernel says of it where it is RAID.
pub(super) fn of(
    shape: &Shape,
    is_lost: impl Fn(&str) -> bool,
    stale: &BTreeSet<&str>,
    raid: Option<&dm::Raid>,
) -> Trouble {
    let legs = |is_so: &dyn Fn(&str) -> bool| -> BTreeSet<u16> {
        let found = shape.stretches.iter().filter(|s| is_so(&s.pv));
        found.map(|stretch| stretch.leg).collect()
    };
    let lost = legs(&is_lost);
    let stale: BTreeSet<u16> = &legs(&|pv| stale.contains(pv)) - &lost;
    let there = legs(&|_| true);
    let works = raid.map(|raid| &raid.works[..]).unwrap_or_default();
    let failed = (0..).zip(works).filter(|(_, works)| !**works);
    let failing = failed
        .map(|(leg, _)| leg)
        .filter(|leg| there.contains(leg) && !lost.contains(leg) && !stale.contains(leg));
    Trouble {
        failing: failing.collect(),
        stale,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::Layout;
    use crate::engine::linux::lvm::shape::Stretch;

    const GROUP: &str = "KROYpN-ydMD-shhk-LeZE-RBId-r0qq-h2oGSA";
    const VOLUME: &str = "mT3B0F-6Bgn-0E4u-kq8k-Yc6D-2h4b-8fWJxq";

    fn mirror() -> Shape {
        let stretch = |leg| Stretch {
            pv: format!("pv-{leg}"),
            leg,
            first: 0,
            count: 1,
        };
        Shape {
            layout: Layout::Mirrored { copies: 3 },
            stretches: (0..3).map(stretch).collect(),
            extents: 3,
            ..Shape::default()
        }
    }

    fn raid(works: [bool; 3]) -> dm::Raid {
        dm::Raid {
            works: works.to_vec(),
            holds_all: works.to_vec(),
            in_step: (8, 8),
            action: "idle".into(),
        }
    }

    #[test]
    fn a_leg_is_lost_or_stale_or_failing() {
        let found = |lost: &str, stale: &[&str], works| {
            let stale = stale.iter().copied().collect();
            let trouble = of(&mirror(), |pv| pv == lost, &stale, Some(&raid(works)));
            let list = |legs: BTreeSet<u16>| legs.into_iter().collect::<Vec<_>>();
            (list(trouble.stale), list(trouble.failing))
        };
        let all = [true; 3];
        assert_eq!(found("", &[], all), (vec![], vec![]));
        assert_eq!(found("", &[], [true, false, true]), (vec![], vec![1]));
        // RAID notices only when it is written to.
        assert_eq!(found("", &["pv-1"], all), (vec![1], vec![]));
        assert_eq!(
            found("", &["pv-1"], [true, false, false]),
            (vec![1], vec![2])
        );
        assert_eq!(
            found("pv-1", &["pv-1"], [true, false, true]),
            (vec![], vec![])
        );
    }

    #[test]
    fn what_the_kernel_holds_is_compared_with_what_is_there() {
        let uuid = |text| LvmUuid::new(text).expect("a UUID");
        let (group, volume) = (uuid(GROUP), uuid(VOLUME));
        let leaves = [Leaf {
            name: "x".into(),
            uuid: VOLUME.into(),
            on: ["pv-1".to_owned(), "pv-2".to_owned()].into(),
        }];
        let numbers = [("pv-1".to_owned(), (8, 0)), ("pv-2".to_owned(), (8, 16))].into();
        let stale = |suffix: &str, on: &[Number]| {
            let device = DmDevice {
                name: "dm-3".into(),
                number: (253, 3),
                on: on.iter().copied().collect(),
            };
            let key = format!("{}{suffix}", names::dm_uuid(&group, &volume));
            let mapped = Mapped {
                devices: &[(key, device)].into(),
                numbers: &numbers,
                returned: &BTreeSet::new(),
            };
            let found = mapped.stale(&group, &leaves).into_iter();
            found.map(str::to_owned).collect::<Vec<_>>()
        };
        let none: [&str; 0] = [];
        assert_eq!(stale("", &[(8, 0), (8, 16)]), none);
        assert_eq!(stale("", &[(8, 0)]), ["pv-2"]);
        assert_eq!(stale("-tdata", &[(8, 32), (8, 16)]), ["pv-1"]);
        // What has snapshots lies on its disks one device below.
        let uuid = names::dm_uuid(&group, &volume);
        let device = |number, on: &[Number]| DmDevice {
            name: "dm-3".into(),
            number: (253, number),
            on: on.iter().copied().collect(),
        };
        let mapped = Mapped {
            devices: &[
                (format!("{uuid}-real"), device(4, &[(8, 0), (8, 16)])),
                (uuid, device(3, &[(253, 4)])),
            ]
            .into(),
            numbers: &numbers,
            returned: &BTreeSet::new(),
        };
        assert!(mapped.stale(&group, &leaves).is_empty());
        // One that was activated while a disk was missing, and opened anew since.
        let own = names::dm_uuid(&group, &volume);
        let mapped = Mapped {
            devices: &[
                (format!("{own}-missing_0_0"), device(5, &[])),
                (own, device(3, &[(8, 0), (8, 16)])),
            ]
            .into(),
            numbers: &numbers,
            returned: &BTreeSet::new(),
        };
        assert!(mapped.stale(&group, &leaves).is_empty());
        // What is not active is opened when it is activated.
        let mapped = Mapped {
            devices: &BTreeMap::new(),
            numbers: &numbers,
            returned: &BTreeSet::new(),
        };
        assert!(mapped.stale(&group, &leaves).is_empty());
        // But not where LVM does not use the disk.
        let mapped = Mapped {
            returned: &["pv-2".to_owned()].into(),
            ..mapped
        };
        assert_eq!(mapped.stale(&group, &leaves), ["pv-2"].into());
    }
}
