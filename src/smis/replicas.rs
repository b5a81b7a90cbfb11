//! Replication Services: how a replica stands to its source (SMI-S 1.6.1 block book, Replication
//! Services).

use std::sync::Arc;

use crate::array::{Copying, Owner, Replica, ReplicaKind, Volume, VolumeId};
use crate::broker::Snapshot as _;
use crate::cim::{DateTime, Name, ObjectPath};
use crate::schema::{Builder, PathBuilder, class};

use super::ARRAY;
use super::element::Element;
use super::replication::{BROKEN, Deed, MODE, Offer, SYNCHRONIZED, UNSYNCHRONIZED};
use super::view::View;
use super::volumes;

/// A replica and its source, both of which clients see.
pub(super) struct Pair<'a> {
    pub(super) source: &'a Arc<Volume>,
    pub(super) replica: &'a Arc<Volume>,
    relation: &'a Replica,
}

/// How a replica stands to its source just now.
pub(super) struct Standing {
    /// `CopyState`.
    pub(super) state: u16,
    /// `ProgressStatus`.
    pub(super) progress: u16,
    /// `PercentSynced`.
    pub(super) percent: Option<u16>,
}

/// `ProgressStatus`: 2 Completed, 7 Resyncing, 8 Restoring, 15 Not Applicable, 18 Requires resync.
pub(super) const COMPLETED: u16 = 2;
const RESYNCING: u16 = 7;
const RESTORING: u16 = 8;
const NOT_APPLICABLE: u16 = 15;
const REQUIRES_RESYNC: u16 = 18;

/// The replica of that identity with its source.
pub(super) fn pair<'a>(view: &'a View, replica: &VolumeId) -> Option<Pair<'a>> {
    let replica = volumes::volume(view, replica)?;
    let (source, relation) = view.inventory.source_of(replica)?;
    let source = volumes::volume(view, &source.id)?;
    Some(Pair {
        source,
        replica,
        relation,
    })
}

/// All replicas of all sources.
pub(super) fn pairs(view: &View) -> impl Iterator<Item = Pair<'_>> {
    volumes::shown(view).filter_map(|volume| {
        volume.replica.as_ref()?;
        pair(view, &volume.id)
    })
}

/// The replicas of a source that clients see.
pub(super) fn of_source<'a>(
    view: &'a View,
    source: &VolumeId,
) -> impl Iterator<Item = &'a Arc<Volume>> {
    let replicas = view.inventory.replicas_of(source);
    replicas.filter(|replica| volumes::is_shown(view, replica))
}

impl Pair<'_> {
    /// The path of the relation.
    pub(super) fn path(&self, view: &View) -> ObjectPath {
        use class::CIM_StorageSynchronized as P;
        let end = |volume: &Volume| view.path(&Element::Volume(volume.id.clone()));
        PathBuilder::new(P)
            .key(P::SystemElement, end(self.source))
            .key(P::SyncedElement, end(self.replica))
            .build()
            .in_namespace(Name::from_static(ARRAY.name))
    }

    /// What kind of replica it is.
    pub(super) fn kind(&self) -> Copying {
        match self.relation.kind {
            ReplicaKind::Shared | ReplicaKind::Delta { .. } => Copying::Snapshot,
            ReplicaKind::Clone => Copying::Clone,
        }
    }

    /// The moment that the replica shows, in microseconds since 1970, where that is known.
    pub(super) fn taken(&self) -> Option<u64> {
        self.relation.taken
    }

    /// `CopyMethodology`: 6 Copy-On-Write, 9 Snap-And-Clone, 11 Redirect-On-Write.
    pub(super) fn methodology(&self) -> u16 {
        match self.relation.kind {
            ReplicaKind::Delta { .. } => 6,
            ReplicaKind::Clone => 9,
            ReplicaKind::Shared => 11,
        }
    }

    /// What can be done with this very relation, as it is now.
    pub(super) fn deeds(&self, view: &View) -> Vec<Deed> {
        let own = self.replica.owner == Owner::Array && self.source.owner == Owner::Array;
        let dependent = self.replica.depends_on().is_some();
        let deeds = Offer::of(self.kind()).deeds_in(Some(self.standing(view).state));
        // A snapshot that needs its source is never a volume of its own.
        deeds
            .filter(|deed| own && !(dependent && *deed == Deed::Detach))
            .collect()
    }

    /// How it stands.
    pub(super) fn standing(&self, view: &View) -> Standing {
        if self.replica.is_broken() {
            return Standing {
                state: BROKEN,
                progress: NOT_APPLICABLE,
                percent: None,
            };
        }
        if let Some((progress, percent)) = self.copying(view) {
            return Standing {
                state: UNSYNCHRONIZED,
                progress,
                percent: Some(percent),
            };
        }
        match self.replica.torn.is_some() {
            true => Standing {
                state: UNSYNCHRONIZED,
                progress: REQUIRES_RESYNC,
                percent: None,
            },
            false => Standing {
                state: SYNCHRONIZED,
                progress: COMPLETED,
                percent: Some(100),
            },
        }
    }

    /// `ProgressStatus` and percentage of a job that copies one onto the other.
    fn copying(&self, view: &View) -> Option<(u16, u16)> {
        let job = view.inventory.copying(&self.replica.id)?;
        let progress = match () {
            () if job.overwritten.contains(&self.replica.id) => RESYNCING,
            () if job.overwritten.contains(&self.source.id) => RESTORING,
            // It is only read, for a clone of it.
            () => return None,
        };
        Some((progress, job.percent().into()))
    }
}

pub(super) fn fill(
    view: &View,
    _source: &Element,
    replica: &Element,
    out: Builder<class::CIM_StorageSynchronized>,
) -> Builder<class::CIM_StorageSynchronized> {
    use class::CIM_StorageSynchronized as P;
    let Element::Volume(id) = replica else {
        return out;
    };
    let Some(pair) = pair(view, id) else {
        return out;
    };
    let standing = pair.standing(view);
    let taken = pair.taken().map(DateTime::utc);
    // SyncState and CopyType, of Copy Services, stay away: where libstoragemgmt finds them as those
    // of a snapshot, deleting the source deletes the snapshot, keeps the source and says all is well.
    out.set(P::SyncType, Offer::of(pair.kind()).sync_type)
        .set(P::Mode, MODE)
        .set(P::CopyState, standing.state)
        .set(P::RequestedCopyState, 15u16)
        .set(P::ProgressStatus, standing.progress)
        .set_some(P::PercentSynced, standing.percent)
        .set_some(P::WhenSynced, taken)
        .set_some(P::WhenEstablished, pair.replica.created.map(DateTime::utc))
        .set_some(P::WhenActivated, taken)
        .set(P::SyncMaintained, false)
        .set(P::FailedCopyStopsHostIO, false)
        .set(P::CopyMethodology, pair.methodology())
        // 2 Full Copy, 4 After Delta: what the source is not asked for.
        .set(
            P::ReplicaType,
            match pair.kind() {
                Copying::Clone => 2u16,
                Copying::Snapshot => 4,
            },
        )
        // 0 Not Managed.
        .set(P::CopyPriority, 0u16)
}
