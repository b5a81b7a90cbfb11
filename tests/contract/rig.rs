//! What the suite needs from a machine under test, in words of those who can look at one: an
//! administrator at its console and an initiator on its network.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::Range;

use standpipe::array::{
    Chap, ChapTable, DiskId, Engine, InitiatorName, Iqn, Map, Naa, PoolId, PortId, VolumeId,
};

/// A volume group as `vgs` and `pvs` list it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vg {
    /// Its name (`vg_name`).
    pub device: String,
    /// The devices of its physical volumes (`pv_name`); missing ones are left out.
    pub disks: BTreeSet<String>,
}

/// A machine with one pool of at least 32 extents that no volume lies in, on disks full of old
/// data, and one target port that the engine has just converged to show nothing. The engine is
/// configured with this pool and no other.
///
/// Beside it lie six disks that nothing uses and nothing is written on that LVM or a file system
/// would know, each with room for at least 70 extents of 4 MiB, full of old data otherwise; and
/// one that carries a file system of somebody.
///
/// Disks are compared by their devices ([`Disk::device`](standpipe::array::Disk::device)), which
/// is what LVM's reports name. `Vec`s of legs are in LVM's order: `_rimage_0` or the first stripe
/// first.
///
/// Each case gets a rig of its own (or one that was cleaned). The methods without a default are
/// required; those with one let a rig say that it cannot do such a thing, and the case then ends.
pub trait Rig {
    /// The engine under test.
    fn engine(&self) -> &dyn Engine;

    /// The pool.
    fn pool(&self) -> PoolId;

    /// The port.
    fn port(&self) -> PortId;

    /// Bytes of a volume whose overwriting takes at least two of the engine's slices; it fits into
    /// the pool.
    fn two_slices(&self) -> u64;

    /// Restarts the machine: a new engine on the same disks, and nothing converged yet. A rig that
    /// cannot reboot within a case may restart the gateway alone after taking down its exports.
    fn reboot(&mut self);

    /// Restarts the gateway with another configuration: these initiators have to prove who they are.
    /// Nothing is converged yet; the machine may be restarted with it. A later reboot keeps this.
    fn configure(&mut self, chap: ChapTable);

    /// What `lvs` lists in the pool: UUID → device name and bytes.
    fn lvs(&self) -> BTreeMap<VolumeId, (String, u64)> {
        self.lvs_in(&self.pool())
    }

    /// What `lvs` lists in a volume group, thin pools included, internal parts not: UUID → device
    /// name and bytes.
    fn lvs_in(&self, group: &PoolId) -> BTreeMap<VolumeId, (String, u64)>;

    /// Every volume group of the machine, whoever made it and manages it, by UUID.
    fn vgs(&self) -> BTreeMap<PoolId, Vg>;

    /// The six disks that pools can be made from. The same ones in the same order in every call,
    /// whatever was made of them since.
    fn spare_disks(&self) -> Vec<DiskId>;

    /// The disk that carries somebody's file system.
    fn dirty_disk(&self) -> DiskId;

    /// Where each leg of a volume lies by LVM's own report, without its metadata: device → bytes
    /// (`lvs -a -o lv_name,seg_pe_ranges`). One leg for a linear one.
    fn legs(&self, volume: &VolumeId) -> Vec<BTreeMap<String, u64>>;

    /// Bytes of its pool that a thin volume has been given (`dmsetup status`: mapped sectors).
    fn thin_used(&self, volume: &VolumeId) -> u64;

    /// What the initiator finds on the port: LUN → identifier of INQUIRY page 0x83 (`iscsi-inq`),
    /// the target's own LUN 0 left out; `None` when it cannot log in.
    fn luns(&self, initiator: &InitiatorName) -> Option<BTreeMap<u16, Naa>>;

    /// The same for an initiator that logs in with these credentials; where they say what the array
    /// proves, it logs in only where the array does.
    fn luns_with(&self, initiator: &InitiatorName, chap: &Chap) -> Option<BTreeMap<u16, Naa>>;
    /// The address at which the port listens.
    fn portal(&self) -> SocketAddr;

    /// Two addresses of the machine at which nothing listens: one of IPv4, one of IPv6.
    fn free_portals(&self) -> [SocketAddr; 2];

    /// What the initiator finds through each target that it is told of at an address, and may log in
    /// to (`iscsi-ls -s`): target → LUN → identifier.
    fn finds_at(
        &self,
        initiator: &InitiatorName,
        portal: SocketAddr,
    ) -> BTreeMap<Iqn, BTreeMap<u16, Naa>>;

    /// Every target in the kernel, whoever made it (`ls iscsi`).
    fn targets(&self) -> BTreeSet<Iqn>;

    /// Somebody makes a target that listens at an address, with a tool of his own.
    fn foreign_target(&self, iqn: &Iqn, portal: SocketAddr);

    /// The initiator logs in to the port for a LUN and stays so while something happens; whether it
    /// is the same login in the end, and the LUN can be read through it.
    fn stays_logged_in(
        &self,
        initiator: &InitiatorName,
        lun: u16,
        meanwhile: &mut dyn FnMut(),
    ) -> bool;

    /// Bytes of a LUN as the initiator reads its capacity.
    fn capacity(&self, initiator: &InitiatorName, lun: u16) -> Option<u64>;

    /// Whether the initiator reads that byte all over the range of the LUN, whole extents
    /// (`qemu-io -c 'read -P'`).
    fn reads(&self, initiator: &InitiatorName, lun: u16, range: Range<u64>, byte: u8) -> bool;

    /// The initiator writes that byte all over the range of the LUN, whole extents
    /// (`qemu-io -c 'write -P'`); whether it could.
    fn writes(&self, initiator: &InitiatorName, lun: u16, range: Range<u64>, byte: u8) -> bool;

    /// The initiator logs in to the port, reads from that LUN, and stays logged in until it logs out
    /// or the target ends it; whether it could.
    fn log_in(&self, initiator: &InitiatorName, lun: u16) -> bool;

    /// The initiator logs out, and the target has seen it.
    fn log_out(&self, initiator: &InitiatorName);

    /// Somebody makes a logical volume of his own in the pool (`lvcreate -n DEVICE -L SIZEb`).
    fn lvcreate(&self, device: &str, size: u64) -> VolumeId {
        self.lvcreate_in(&self.pool(), device, size)
    }

    /// The same in any group.
    fn lvcreate_in(&self, group: &PoolId, device: &str, size: u64) -> VolumeId;

    /// Somebody opens a volume (a mount, a program), or closes it again.
    fn hold(&self, volume: &VolumeId, open: bool);

    /// Somebody shows a volume of his own to an initiator on the port, with a tool of his own.
    fn foreign_map(&self, map: &Map);

    /// Somebody deletes our map with a tool of his own.
    fn lose_map(&self, map: &Map);

    /// Somebody takes the whole kernel target down (`targetcli clearconfig`).
    fn clear_target(&self);

    /// Another manager saves the kernel target, takes it down, and makes it again from what it
    /// saved, under numbers of its own (`targetctl save`, `clear`, `restore`).
    fn restored_by_another(&self);

    /// Lets the next step hang past the engine's patience; whether the rig can.
    fn stall(&self) -> bool {
        false
    }

    /// Ends what [`stall`](Self::stall) began: the machine does now what it was told.
    fn revive(&self) {}

    /// Lets a disk of the pool fail; whether the rig can.
    fn fail_disk(&self) -> bool {
        false
    }

    /// Takes a disk away, as when it is pulled: reads and writes fail at once, and LVM lists its
    /// physical volume as missing; whether the rig can. The rig brings it back at the end.
    fn take_away(&self, _disk: &DiskId) -> bool {
        false
    }

    /// Puts a disk back that was taken away, with what was on it, and nothing else is done: what lay
    /// on it is not opened anew.
    fn put_back(&self, _disk: &DiskId) {}

    /// The same, and an administrator opens what lies on it anew (`vgchange --refresh`): volumes that
    /// lay on it without redundancy can be read again.
    fn bring_back(&self, _disk: &DiskId) {}

    /// Lets reads and writes of what lies on a disk fail, while the disk looks well and LVM reads its
    /// label; whether the rig can. The rig puts it right at the end.
    fn spoil(&self, _disk: &DiskId) -> bool {
        false
    }

    /// Wipes what a disk carries, so that it is a spare one again (`wipefs -a`).
    fn wipe(&self, _disk: &DiskId) {}

    /// Makes the synchronisation of legs take minutes (`dev.raid.speed_limit_max`), or go as fast
    /// as it can again; whether the rig can. It is fast in the beginning.
    fn slow_sync(&self, _slow: bool) -> bool {
        false
    }

    /// Makes moves creep (dm-mirror's `raid1_resync_throttle`), or go as fast as they can again.
    fn slow_moves(&self, _slow: bool) {}
}
