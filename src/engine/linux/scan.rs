//! What LVM and the kernel say, all of one moment, and what that looks like as the array's facts.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::LinuxEngine;
use super::blockdev::{DmDevice, Users};
use super::disks::{Listing, Member};
use super::dm;
use super::lio::made;
use super::lio::read::State;
use super::lio::target;
use super::lvm::report::{LvRow, PvRow, PvSegmentRow, VgRow};
use super::nics;
use super::notation;
use super::picture::Picture;
use super::watch::Deadline;
use crate::array::{
    Error, Facts, ForeignMap, GroupFacts, Health, Iqn, MadeTarget, Map, Naa, Owner, PoolId, Port,
    PortId, Target, Volume, VolumeId,
};

/// How often the lists are read again when the groups changed in between.
const TRIES: usize = 3;

/// How long the whole machine may be searched for what a pool lacks.
const SEARCH: Duration = Duration::from_secs(8);

/// What LVM lists, all of one moment.
pub(super) struct Listed {
    pub(super) groups: Vec<VgRow>,
    /// Hidden volumes included, a row for each segment.
    pub(super) volumes: Vec<LvRow>,
    pub(super) devices: Vec<PvRow>,
    /// Only where a group lacks a disk: nothing else tells which of its disks it is.
    pub(super) segments: Vec<PvSegmentRow>,
}

impl Listed {
    /// Whether the kernel knows more of some volumes than LVM's metadata.
    fn has_kernel_state(&self) -> bool {
        self.volumes
            .iter()
            .any(|row| row.is_thin_pool() || row.has_layout("raid") || row.is_delta())
    }
}

/// What the kernel says about devices.
pub(super) struct Kernel {
    pub(super) state: State,
    pub(super) devices: BTreeMap<String, DmDevice>,
    pub(super) users: Option<Users>,
    pub(super) statuses: BTreeMap<String, dm::Status>,
}

impl LinuxEngine {
    pub(super) fn look(&self, deadline: Deadline) -> Result<Facts, Error> {
        let listed = self.listed(deadline)?;
        let (kernel, trouble) = self.kernel(&listed, deadline);
        let disks = self.disks_of(&listed.devices, deadline);
        let picture = Picture::new(&listed, &kernel, &disks);
        let (mut pools, mut volumes) = (Vec::new(), Vec::new());
        for row in &listed.groups {
            let group = picture.group(row);
            pools.push(group.pool);
            pools.extend(group.thin_pools);
            volumes.extend(group.volumes);
        }
        let (maps, foreign_maps) = self.maps(&kernel.state, &volumes, &picture);
        Ok(Facts {
            pools,
            volumes,
            fc_ports: self.fc_ports(&kernel.state, trouble.as_deref()),
            targets: self.targets(&kernel.state, trouble),
            stray_targets: self.stray_targets(&kernel.state),
            disks: disks.disks,
            nics: nics::list(&self.places),
            maps,
            foreign_targets: self.foreign_targets(&kernel.state, &foreign_maps),
            foreign_maps,
            sessions: self.sessions(&kernel.state, deadline),
        })
    }

    pub(super) fn look_at_group(
        &self,
        pool: &PoolId,
        deadline: Deadline,
    ) -> Result<GroupFacts, Error> {
        let listed = self.listed(deadline)?;
        self.group(pool)?;
        let row = listed
            .groups
            .iter()
            .find(|row| row.vg_uuid == pool.as_str());
        let row = row.ok_or_else(|| Error::not_found(format!("pool {pool} is gone")))?;
        let (kernel, _) = self.kernel(&listed, deadline);
        let mut disks = self.disks_of(&listed.devices, deadline);
        let group = Picture::new(&listed, &kernel, &disks).group(row);
        disks.disks.retain(|disk| disk.pool() == Some(pool));
        Ok(GroupFacts {
            group: group.pool,
            thin_pools: group.thin_pools,
            volumes: group.volumes,
            disks: disks.disks,
        })
    }

    /// Lists until groups and volumes are of the same moment. Where something is missing, it is
    /// looked for on the whole machine first: it may be there again, or be new.
    pub(super) fn listed(&self, deadline: Deadline) -> Result<Listed, Error> {
        let mut has_searched = false;
        let mut tries = 0;
        let listed = loop {
            let groups = self.lvm.list_groups(deadline)?;
            if !has_searched && self.lvm.lacks(&groups) {
                // A disk of somebody else's that hangs does not hide what is known without it.
                if let Err(error) = self.lvm.find(Deadline::after(SEARCH)) {
                    tracing::warn!(%error, "the machine cannot be searched for what a pool lacks");
                }
                has_searched = true;
                continue;
            }
            let is_partial = groups.iter().any(|row| !row.vg_partial.is_empty());
            let listed = Listed {
                volumes: self.lvm.list_volumes(deadline)?,
                devices: self.lvm.list_devices(deadline)?,
                segments: match is_partial {
                    true => self.lvm.list_device_segments(deadline)?,
                    false => Vec::new(),
                },
                groups,
            };
            tries += 1;
            let agree = listed.volumes.iter().all(|volume| {
                let mut groups = listed.groups.iter();
                let group = groups.find(|row| row.vg_uuid == volume.vg_uuid);
                group.is_some_and(|group| group.vg_seqno == volume.vg_seqno)
            });
            if agree || tries == TRIES {
                break listed;
            }
        };
        self.has_kernel_state
            .store(listed.has_kernel_state(), Ordering::Relaxed);
        Ok(listed)
    }

    /// The disks, and which of them the physical volumes of the managed groups lie on.
    pub(super) fn disks_of(&self, devices: &[PvRow], deadline: Deadline) -> Listing {
        let members: Vec<Member> = devices.iter().map(Member::from).collect();
        self.disks.list(&members, deadline)
    }

    /// What cannot be read is taken for empty, and told in words.
    fn kernel(&self, listed: &Listed, deadline: Deadline) -> (Kernel, Option<String>) {
        let (state, trouble) = match self.exports.state(deadline) {
            Ok(state) => (state, None),
            Err(error) => (State::default(), Some(error.message)),
        };
        let statuses = match listed.has_kernel_state() {
            true => dm::statuses(&self.dmsetup, deadline).unwrap_or_else(|error| {
                tracing::warn!(%error, "device-mapper does not tell the state of its devices");
                BTreeMap::new()
            }),
            false => BTreeMap::new(),
        };
        let kernel = Kernel {
            state,
            devices: self.places.dm_devices().unwrap_or_default(),
            users: self.places.users().ok(),
            statuses,
        };
        (kernel, trouble)
    }

    fn targets(&self, state: &State, trouble: Option<String>) -> Vec<Target> {
        let stressed = self.exports.is_stressed();
        let targets = self.exports.targets().into_iter();
        targets
            .map(|wanted| {
                let id = PortId::Iscsi {
                    iqn: wanted.iqn.clone(),
                    tag: target::TPGT,
                };
                let found = state.targets.get(wanted.iqn.as_str());
                // Somebody else's of that name is not the one that a client made.
                let found =
                    found.filter(|found| found.made || !self.exports.needs_mark(&wanted.iqn));
                let portals = found
                    .map(|found| portals(&found.portals))
                    .unwrap_or_default();
                let missing = wanted
                    .portals
                    .iter()
                    .find(|portal| !portals.contains(portal));
                let health = match (&trouble, found, missing) {
                    (Some(trouble), ..) => Health::Unknown(trouble.clone()),
                    (None, None, _) => Health::Failed("the target is not there".into()),
                    _ if stressed => Health::Degraded("the kernel target hangs".into()),
                    (None, Some(_), Some(portal)) => {
                        Health::Degraded(format!("the port does not listen at {portal}"))
                    }
                    (None, Some(_), None) => Health::Ok,
                };
                let enabled = found.is_some_and(|found| found.enabled);
                Target {
                    iqn: wanted.iqn,
                    ports: vec![Port {
                        id,
                        enabled,
                        portals,
                        health,
                    }],
                }
            })
            .collect()
    }

    /// What bears the mark of a target that a client made, and is not known.
    fn stray_targets(&self, state: &State) -> Vec<MadeTarget> {
        let known = self.exports.targets();
        let strays = state.targets.iter().filter(|(iqn, target)| {
            target.made && known.iter().all(|known| known.iqn.as_str() != iqn.as_str())
        });
        strays
            .map(|(iqn, target)| MadeTarget {
                iqn: iqn.as_str().into(),
                alias: made::alias_of(iqn),
                portals: portals(&target.portals).into_iter().collect(),
                taken_over: false,
            })
            .collect()
    }

    /// The targets of others among those that these maps lead through, with their addresses.
    fn foreign_targets(
        &self,
        state: &State,
        maps: &[ForeignMap],
    ) -> BTreeMap<Iqn, BTreeSet<SocketAddr>> {
        let known: BTreeSet<Iqn> = self.exports.targets().into_iter().map(|t| t.iqn).collect();
        let theirs = maps.iter().filter_map(|map| map.port.iqn());
        let theirs: BTreeSet<&Iqn> = theirs.filter(|iqn| !known.contains(*iqn)).collect();
        let found = theirs.into_iter().filter_map(|iqn| {
            let target = state.targets.get(iqn.as_str())?;
            let portals = portals(&target.portals).into_iter().collect();
            Some((iqn.clone(), portals))
        });
        found.collect()
    }

    /// The maps in the kernel: ours on our ports, and what other managers show, volumes of ours
    /// included. Which volume ours show is told by what they lead to, whatever the link is called.
    fn maps(
        &self,
        state: &State,
        volumes: &[Volume],
        picture: &Picture<'_>,
    ) -> (Vec<Map>, Vec<ForeignMap>) {
        let owned = volumes.iter().filter(|volume| volume.owner == Owner::Array);
        let seen_as: BTreeMap<Naa, VolumeId> = owned
            .map(|volume| (volume.naa, volume.id.clone()))
            .collect();
        let (mut ours, mut foreign) = (Vec::new(), Vec::new());
        let ports = state.targets.iter();
        let ports = ports.filter_map(|(name, target)| Some((notation::port(name)?, target)));
        for (port, target) in ports {
            let is_ours = self.exports.has(&port);
            for (initiator, rows) in &target.acls {
                let Some(initiator) = notation::initiator(&port, initiator) else {
                    continue;
                };
                for (&number, mapped) in rows {
                    let Ok(lun) = u16::try_from(number) else {
                        continue;
                    };
                    let (port, initiator) = (port.clone(), initiator.clone());
                    let named = state.volume_in(target, mapped).map(VolumeId::from);
                    let by_serial = || {
                        let serial = state.serial_in(target, mapped)?;
                        let naa = Naa::from_serial(Naa::LIO_COMPANY, serial);
                        seen_as.get(&naa).cloned()
                    };
                    match named.or_else(by_serial) {
                        Some(volume) if is_ours && mapped.ours && mapped.unit.is_some() => ours
                            .push(Map {
                                port,
                                initiator,
                                lun,
                                volume,
                            }),
                        _ => foreign.push(ForeignMap {
                            port,
                            initiator,
                            lun,
                            volume: picture.shown_in(target, mapped),
                        }),
                    }
                }
            }
        }
        // Elsewhere a number alone concerns nobody.
        foreign.retain(|map: &ForeignMap| map.volume.is_some() || self.exports.has(&map.port));
        (ours, foreign)
    }
}

pub(super) fn portals(names: &[String]) -> Vec<SocketAddr> {
    names.iter().filter_map(|name| name.parse().ok()).collect()
}
