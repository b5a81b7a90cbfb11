//! Replication Services: what kinds of replicas are made and what works with each, as tables that
//! the capabilities and the methods share (SMI-S 1.6.1 block book, Replication Services).

use crate::array::{Copying, MAX_AT_ONCE};
use crate::schema::{Builder, PathBuilder, class};

use super::element::Element;
use super::view::View;

/// `Mode` of every replica: 3 Asynchronous. Nobody waits for a replica that is written to.
pub(super) const MODE: u16 = 3;
/// `LocalOrRemote`: 2 Local. There is no other system.
pub(super) const LOCAL: u16 = 2;

/// `CopyState`: the replica does not hold what it is to hold.
pub(super) const UNSYNCHRONIZED: u16 = 3;
/// `CopyState`: the replica holds what its source held.
pub(super) const SYNCHRONIZED: u16 = 4;
/// `CopyState`: the replica has lost its content.
pub(super) const BROKEN: u16 = 5;
/// `CopyState`, as one that is waited for: that of a relation that is no more.
pub(super) const NOT_APPLICABLE: u16 = 15;

/// A type of replication that is offered.
pub(super) struct Offer {
    /// What the array makes for it.
    pub(super) kind: Copying,
    /// `ReplicationType`: 7 Asynchronous Snapshot Local, 11 Asynchronous Clone Local.
    pub(super) number: u16,
    /// `SyncType`: 7 Snapshot, 8 Clone.
    pub(super) sync_type: u16,
    /// `Features` of `GetSupportedFeatures`.
    pub(super) features: &'static [u16],
    /// The states that a replica can be in.
    pub(super) states: &'static [u16],
    /// What can be done with a replica.
    pub(super) deeds: &'static [Deed],
}

/// 2 Replication groups, 3 Multi-hop element replication, 7 Service suspends source I/O when
/// necessary, 39 TargetElement shall not be supplied, 44 Local targets allocated from sources
/// resource pool, 51 Client can supply target ElementName, 63 Detach a snapshot makes snapshot an
/// independent volume.
const SNAPSHOT_FEATURES: &[u16] = &[2, 7, 39, 44, 51, 63];
/// As above, and 8 Targets allocated from Any storage pool, 62 Can delete source in a copy
/// relationship.
const CLONE_FEATURES: &[u16] = &[2, 3, 7, 8, 39, 51, 62];

/// Everything that is offered.
pub(super) static OFFERS: [Offer; 2] = [
    Offer {
        kind: Copying::Snapshot,
        number: 7,
        sync_type: 7,
        features: SNAPSHOT_FEATURES,
        states: &[UNSYNCHRONIZED, SYNCHRONIZED, BROKEN],
        deeds: &[Deed::Detach, Deed::Restore, Deed::Return],
    },
    Offer {
        kind: Copying::Clone,
        number: 11,
        sync_type: 8,
        features: CLONE_FEATURES,
        states: &[UNSYNCHRONIZED, SYNCHRONIZED],
        deeds: &[Deed::Detach, Deed::Resync, Deed::Restore, Deed::Return],
    },
];

impl Offer {
    /// That of a kind of replica.
    pub(super) fn of(kind: Copying) -> &'static Self {
        let [snapshot, clone] = &OFFERS;
        match kind {
            Copying::Snapshot => snapshot,
            Copying::Clone => clone,
        }
    }

    /// That with a `ReplicationType`.
    pub(super) fn numbered(number: u16) -> Option<&'static Self> {
        OFFERS.iter().find(|offer| offer.number == number)
    }

    /// That with a `SyncType` and a `Mode`, of which NULL leaves the choice to the array.
    pub(super) fn with(sync_type: u16, mode: Option<u16>) -> Option<&'static Self> {
        let mut offers = OFFERS.iter();
        offers.find(|offer| offer.sync_type == sync_type && mode.is_none_or(|mode| mode == MODE))
    }

    /// What can be done with a replica that is in a state.
    pub(super) fn deeds_in(&self, state: Option<u16>) -> impl Iterator<Item = Deed> {
        let deeds = self.deeds.iter().copied();
        deeds.filter(move |deed| state.is_none_or(|state| deed.states().contains(&state)))
    }
}

/// What can be done with a relation of a source and its replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// Both become volumes as any other.
    Detach,
    /// The replica gets what the source holds now.
    Resync,
    /// The source gets what the replica holds.
    Restore,
    /// The replica is deleted.
    Return,
}

impl Deed {
    /// All of them, by number.
    pub(super) const ALL: [Self; 4] = [Self::Detach, Self::Resync, Self::Restore, Self::Return];

    /// Its number as `Operation` of Replication Services: 8 Detach, 14 Resync Replica, 15 Restore
    /// from Replica, 19 Return To ResourcePool.
    pub(super) fn number(self) -> u16 {
        match self {
            Self::Detach => 8,
            Self::Resync => 14,
            Self::Restore => 15,
            Self::Return => 19,
        }
    }

    /// Its number as `Operation` of `ModifySynchronization`, the older method, which counts
    /// otherwise: 2 Detach, 4 Resync Replica, 5 Restore from Replica. It returns nothing.
    fn older_number(self) -> Option<u16> {
        match self {
            Self::Detach => Some(2),
            Self::Resync => Some(4),
            Self::Restore => Some(5),
            Self::Return => None,
        }
    }

    /// That with a number of Replication Services.
    pub(super) fn numbered(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|deed| deed.number() == number)
    }

    /// That with a number of the older method.
    pub(super) fn older(number: u16) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|deed| deed.older_number() == Some(number))
    }

    /// Whether one command does it with several relations, all or none.
    pub(super) fn takes_several(self) -> bool {
        matches!(self, Self::Detach | Self::Return)
    }

    /// Whether it is done with the replica of a whole group, whose members nobody deletes.
    pub(super) fn suits_groups(self) -> bool {
        self == Self::Detach
    }

    /// The states of a replica in which it can be done.
    pub(super) fn states(self) -> &'static [u16] {
        match self {
            Self::Resync => &[UNSYNCHRONIZED, SYNCHRONIZED],
            Self::Detach | Self::Restore => &[SYNCHRONIZED],
            Self::Return => &[UNSYNCHRONIZED, SYNCHRONIZED, BROKEN],
        }
    }

    /// The state that the relation is in afterwards.
    pub(super) fn leads_to(self) -> u16 {
        match self {
            Self::Detach | Self::Return => NOT_APPLICABLE,
            Self::Resync | Self::Restore => SYNCHRONIZED,
        }
    }
}

/// A wish that `CIM_ReplicationSettingData` can hold, and the values of it that come true.
pub(super) struct Wish {
    /// The property.
    pub(super) name: &'static str,
    /// `PropertyName` in `GetSupportedReplicationSettingData`.
    pub(super) number: u16,
    /// What is granted to a snapshot. Booleans are 2 false, 3 true, as that method has it.
    snapshot: &'static [u64],
    /// What is granted to a clone.
    clone: &'static [u64],
}

const FALSE: &[u64] = &[2];
const FALSE_OR_TRUE: &[u64] = &[2, 3];

const fn wish(name: &'static str, number: u16, values: &'static [u64]) -> Wish {
    Wish {
        name,
        number,
        snapshot: values,
        clone: values,
    }
}

/// Every wish that can be granted; a property that is not here is refused.
pub(super) static WISHES: [Wish; 17] = [
    // Whatever is asked for at once is of one moment.
    wish("ConsistentPointInTime", 2, FALSE_OR_TRUE),
    Wish {
        name: "DesiredCopyMethodology",
        number: 3,
        // 2 Instrumentation decides, 6 Copy-On-Write, 11 Redirect-On-Write.
        snapshot: &[2, 6, 11],
        // 2 Instrumentation decides, 3 Full-Copy, 9 Snap-And-Clone.
        clone: &[2, 3, 9],
    },
    wish("Multihop", 4, &[1]),
    // 3 Stop: all or none.
    wish("OnGroupOrListError", 5, &[3]),
    // 2 Return an error.
    wish("UnequalGroupsAction", 6, &[2]),
    // 2 Create new, 4 Instrumentation decides.
    wish("TargetElementSupplier", 7, &[2, 4]),
    // Which of them come true depends on source and pool.
    wish("ThinProvisioningPolicy", 8, &[2, 3, 4, 5, 6, 7]),
    // 2 Instrumentation decides, 3 Exact order.
    wish("Pairing", 9, &[2, 3]),
    wish("FailedCopyStopsHostIO", 10, FALSE),
    // 3 Manual, 4 Implementation decides.
    wish("CopyRecoveryMode", 11, &[3, 4]),
    // 2 Return an error.
    wish("UnequalListsAction", 12, &[2]),
    // 7 Implementation decides.
    wish("StorageCompressionPolicy", 16, &[7]),
    // 2 Implementation decides, 3 Same as source element.
    wish("TargetElementResourcePool", 17, &[2, 3]),
    wish("TargetElementGoal", 18, &[2, 3]),
    wish("AutoDelete", 21, FALSE),
    wish("ConsistencyExempt", 24, FALSE),
    wish("ConsistentAsyncCopy", 25, FALSE),
];

impl Wish {
    /// The values that are granted to a kind of replica.
    pub(super) fn granted(&self, kind: Copying) -> &'static [u64] {
        match kind {
            Copying::Snapshot => self.snapshot,
            Copying::Clone => self.clone,
        }
    }
}

/// What works within the call or as a job: 2 CreateElementReplica, 3 CreateGroupReplica,
/// 5 ModifyReplicaSynchronization, 6 ModifyListSynchronization, 19 CreateListReplica.
const JOBS: [u16; 5] = [2, 3, 5, 6, 19];
/// What works within the call: also 8 GetAvailableTargetElements, 9 GetPeerSystems,
/// 10 GetReplicationRelationships, 12 CreateGroup, 13 DeleteGroup, 14 AddMembers, 15 RemoveMembers.
const ACTIONS: [u16; 12] = [2, 3, 5, 6, 8, 9, 10, 12, 13, 14, 15, 19];

/// What groups can do: 2 One-to-many replication, 4 Consistency enabled for all groups, 5 Empty
/// replication groups allowed, 14 Group is nameable, 23 Element can be member of multiple groups,
/// 24 Elements of group can be mix of thin and thick, 34 TargetGroup shall not be supplied,
/// 38 Provider can create local target group, 56 Client can supply RelationshipName.
pub(super) const GROUP_FEATURES: [u16; 9] = [2, 4, 5, 14, 23, 24, 34, 38, 56];

pub(super) fn capabilities_keys(
    _view: &View,
    _element: &Element,
    path: PathBuilder<class::Standpipe_ReplicationServiceCapabilities>,
) -> PathBuilder<class::Standpipe_ReplicationServiceCapabilities> {
    path.key(
        class::Standpipe_ReplicationServiceCapabilities::InstanceID,
        "Standpipe:ReplicationServiceCapabilities:array",
    )
}

pub(super) fn fill_capabilities(
    _view: &View,
    _element: &Element,
    out: Builder<class::Standpipe_ReplicationServiceCapabilities>,
) -> Builder<class::Standpipe_ReplicationServiceCapabilities> {
    use class::Standpipe_ReplicationServiceCapabilities as P;
    out.set(P::ElementName, "Replication methods of the array")
        .set(
            P::SupportedReplicationTypes,
            OFFERS.iter().map(|offer| offer.number).collect::<Vec<_>>(),
        )
        // 2 StorageVolume.
        .set(P::SupportedStorageObjects, [2u16])
        .set(P::SupportedAsynchronousActions, JOBS)
        .set(P::SupportedSynchronousActions, ACTIONS)
}

/// `MaxValue` of `GetSupportedMaximum` for a `Component`; 0 where only room ends it, nothing where
/// there is no such thing.
pub(super) fn maximum(component: u16) -> Option<u64> {
    match component {
        // Number of groups, of target elements per source element, of total source and of total
        // target elements.
        2 | 5..=7 => Some(0),
        // Number of elements per source and per target group: as many as one call copies.
        3 | 4 => Some(MAX_AT_ONCE as u64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_ways_of_numbering_operations_are_not_mixed_up() {
        assert_eq!(Deed::numbered(8), Some(Deed::Detach));
        assert_eq!(Deed::older(2), Some(Deed::Detach));
        // 8 is Quiesce in the older list, and 2 is Abort in the newer one.
        assert_eq!(Deed::older(8), None);
        assert_eq!(Deed::numbered(2), None);
        for deed in Deed::ALL {
            assert_eq!(Deed::numbered(deed.number()), Some(deed));
            if let Some(number) = deed.older_number() {
                assert_eq!(Deed::older(number), Some(deed));
                assert_eq!(Deed::numbered(number), None, "{number} means one thing");
            }
        }
    }

    #[test]
    fn every_state_of_a_replica_is_left_by_something() {
        for offer in &OFFERS {
            for state in offer.states {
                assert!(offer.deeds_in(Some(*state)).count() > 0, "{state}");
            }
            assert!(std::ptr::eq(Offer::of(offer.kind), offer));
        }
        let broken: Vec<_> = Offer::of(Copying::Snapshot)
            .deeds_in(Some(BROKEN))
            .collect();
        assert_eq!(broken, [Deed::Return]);
    }

    #[test]
    fn a_mode_that_is_not_offered_is_no_offer() {
        assert!(Offer::with(7, None).is_some());
        assert!(Offer::with(7, Some(MODE)).is_some());
        assert!(Offer::with(7, Some(2)).is_none());
        assert!(Offer::with(6, None).is_none());
    }
}
