//! Who sees what: initiators, masking groups, views, and the maps that follow from them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Owner;
use crate::array::error::Error;
use crate::array::ids::{GroupId, InitiatorName, PortId, ViewId, VolumeId};

/// An initiator that clients have introduced, or to whom another manager shows something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Initiator {
    /// Its name.
    pub name: InitiatorName,
    /// Foreign until somebody introduces it. What is stored is the array's.
    #[serde(skip)]
    pub owner: Owner,
}

/// What a masking group holds; the kind of the group with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Members {
    /// Who may see the devices.
    Initiators(BTreeSet<InitiatorName>),
    /// Through which ports.
    Ports(BTreeSet<PortId>),
    /// Which devices, in the order in which they were added.
    Volumes(Vec<VolumeId>),
}

/// The kind of a masking group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum GroupKind {
    Initiators,
    Ports,
    Volumes,
}

impl GroupKind {
    /// What its members are called.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Initiators => "initiator",
            Self::Ports => "target port",
            Self::Volumes => "device",
        }
    }
}

impl Members {
    /// No members of that kind.
    pub fn none(kind: GroupKind) -> Self {
        match kind {
            GroupKind::Initiators => Self::Initiators(BTreeSet::new()),
            GroupKind::Ports => Self::Ports(BTreeSet::new()),
            GroupKind::Volumes => Self::Volumes(Vec::new()),
        }
    }

    /// The kind of the group that holds them.
    pub const fn kind(&self) -> GroupKind {
        match self {
            Self::Initiators(_) => GroupKind::Initiators,
            Self::Ports(_) => GroupKind::Ports,
            Self::Volumes(_) => GroupKind::Volumes,
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Initiators(set) => set.len(),
            Self::Ports(set) => set.len(),
            Self::Volumes(list) => list.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A masking group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Its identity.
    pub id: GroupId,
    /// Its name; unique among the groups of its kind.
    pub name: String,
    /// Its members.
    pub members: Members,
    /// It goes when its last member goes.
    pub delete_on_empty: bool,
    /// It goes when its last view goes.
    pub delete_when_unassociated: bool,
    /// Whose it is. What is stored is the array's.
    #[serde(skip)]
    pub owner: Owner,
}

/// A masking view: who sees what under which number through which ports.
///
/// A view that lacks a group shows nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// Its identity.
    pub id: ViewId,
    /// Its name; unique among views.
    pub name: String,
    /// Who.
    pub initiators: Option<GroupId>,
    /// Through which ports.
    pub ports: Option<GroupId>,
    /// What.
    pub volumes: Option<GroupId>,
    /// The number of each volume: the same for all initiators and ports of the view.
    pub luns: BTreeMap<VolumeId, u16>,
    /// Whose it is. What is stored is the array's.
    #[serde(skip)]
    pub owner: Owner,
}

impl View {
    /// The groups that it has.
    pub fn groups(&self) -> impl Iterator<Item = GroupId> {
        [self.initiators, self.ports, self.volumes]
            .into_iter()
            .flatten()
    }

    /// Its group of that kind.
    pub fn group(&self, kind: GroupKind) -> Option<GroupId> {
        match kind {
            GroupKind::Initiators => self.initiators,
            GroupKind::Ports => self.ports,
            GroupKind::Volumes => self.volumes,
        }
    }

    /// The place of its group of that kind.
    pub fn group_mut(&mut self, kind: GroupKind) -> &mut Option<GroupId> {
        match kind {
            GroupKind::Initiators => &mut self.initiators,
            GroupKind::Ports => &mut self.ports,
            GroupKind::Volumes => &mut self.volumes,
        }
    }
}

/// One initiator sees one volume through one port under one number.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Map {
    /// Through which port.
    pub port: PortId,
    /// Who.
    pub initiator: InitiatorName,
    /// Under which number.
    pub lun: u16,
    /// What.
    pub volume: VolumeId,
}

impl Map {
    /// Refuses what no kernel can show: the initiator is of another fabric than the port.
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`](crate::array::Kind::InvalidArgument).
    pub fn check_fabric(&self) -> Result<(), Error> {
        match self.port.is_reached_by(&self.initiator) {
            true => Ok(()),
            false => Err(Error::invalid(format!(
                "initiator {} is of {} and cannot reach port {}, which is of {}",
                self.initiator,
                self.initiator.fabric(),
                self.port,
                self.port.fabric()
            ))),
        }
    }

    /// Where it is: nothing else can be there at the same time.
    pub fn nexus(&self) -> Nexus {
        (self.initiator.clone(), self.port.clone(), self.lun)
    }
}

/// A number of an initiator's on a port.
pub type Nexus = (InitiatorName, PortId, u16);

/// A map that was taken away. The initiator may hold a path to it for a while, which would lead to
/// another disk if the number were given to another volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retired {
    /// What was shown.
    pub map: Map,
    /// Since when it is not: microseconds since 1970.
    pub since: u64,
}

/// The greatest LUN number that 14 bits hold (SAM-5, flat space addressing); above it there are longer
/// forms that few initiators know.
pub const MAX_LUN: u16 = 16_383;
/// The number that is tried first: some initiators treat number 0 as special.
pub const FIRST_LUN: u16 = 1;
