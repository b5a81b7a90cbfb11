//! What the suite needs from a machine under test, in words of those who can look at one: an
//! administrator at its console and an initiator on its network.

use std::collections::BTreeMap;
use std::ops::Range;

use standpipe::array::{Engine, InitiatorName, Map, Naa, PoolId, PortId, VolumeId};

/// A machine with one pool of at least 32 extents that no volume lies in, on disks full of old
/// data, and one target port that the engine has just converged to show nothing.
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

    /// What `lvs` lists in the pool: UUID → device name and bytes.
    fn lvs(&self) -> BTreeMap<VolumeId, (String, u64)>;

    /// What the initiator finds on the port: LUN → identifier of INQUIRY page 0x83 (`iscsi-inq`),
    /// the target's own LUN 0 left out; `None` when it cannot log in.
    fn luns(&self, initiator: &InitiatorName) -> Option<BTreeMap<u16, Naa>>;

    /// Bytes of a LUN as the initiator reads its capacity.
    fn capacity(&self, initiator: &InitiatorName, lun: u16) -> Option<u64>;

    /// Whether the initiator reads that byte all over the range of the LUN, whole extents
    /// (`qemu-io -c 'read -P'`).
    fn reads(&self, initiator: &InitiatorName, lun: u16, range: Range<u64>, byte: u8) -> bool;

    /// The initiator writes that byte all over the range of the LUN, whole extents
    /// (`qemu-io -c 'write -P'`); whether it could.
    fn writes(&self, initiator: &InitiatorName, lun: u16, range: Range<u64>, byte: u8) -> bool;

    /// Somebody makes a logical volume of his own in the pool (`lvcreate -n DEVICE -L SIZEb`).
    fn lvcreate(&self, device: &str, size: u64) -> VolumeId;

    /// Somebody opens a volume (a mount, a program), or closes it again.
    fn hold(&self, volume: &VolumeId, open: bool);

    /// Somebody shows a volume of his own to an initiator on the port, with a tool of his own.
    fn foreign_map(&self, map: &Map);

    /// Somebody deletes our map with a tool of his own.
    fn lose_map(&self, map: &Map);

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
}
