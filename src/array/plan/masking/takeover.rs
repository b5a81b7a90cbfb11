//! Taking over what another manager shows: his view becomes one of this array's, under the identity
//! that it had, and the volumes and the target that it needs with it. Hosts see no change.
//!
//! The unit is all that one initiator sees on one port: that is what the kernel target keeps in one
//! place, and what a view says. What cannot be said by a view stays where it is.

use std::collections::{BTreeMap, BTreeSet};

use super::Draft;
use crate::array::change::Change;
use crate::array::engine::Takeover;
use crate::array::error::Error;
use crate::array::ids::{GroupId, InitiatorName, PortId, ViewId, VolumeId};
use crate::array::inventory::Inventory;
use crate::array::model::{Group, MAX_LUN, MadeTarget, Map, Members, Owner, View};
use crate::array::plan::{AfterCrash, Goal, MAX_NAME, Plan, Planned};
use crate::array::step::Step;

/// The longest alias of a target, in bytes.
const MAX_ALIAS: usize = 128;

/// Plans to take over a view at a time.
pub(in crate::array::plan) fn plan(
    view: ViewId,
    inventory: &Inventory,
    at: u64,
) -> Result<Plan, Error> {
    let found = inventory.view(&view).ok_or_else(|| {
        Error::not_found(format!(
            "there is no masking view {view}; what another manager showed there may be hidden now"
        ))
    })?;
    if found.owner == Owner::Array {
        return Err(Error::already_exists(format!(
            "masking view '{}' is this array's already",
            found.name
        )));
    }
    let (initiator, port) = inventory
        .place_of_foreign(view)
        .ok_or_else(|| Error::bug("a view of another manager was found without its maps"))?;
    let rows = rows(inventory, &initiator, &port)?;
    let mut adopted = BTreeSet::new();
    for volume in rows.values() {
        if check_volume(inventory, volume)? == Owner::Foreign {
            adopted.insert(volume.clone());
        }
    }
    let takeover = Takeover {
        target: target(inventory, &port)?,
        port,
        initiator,
        rows,
        adopted,
    };
    let title = format!("Take over masking view '{}'", found.name);
    let mut draft = Draft::new(inventory, at);
    draft.take_over(view, &takeover)?;
    let maps: Vec<Map> = takeover.maps().collect();
    draft.retire(&[], &maps);
    let target = takeover.target.iter().cloned().map(Change::PutTarget);
    Ok(Plan {
        title,
        changes: target.chain(draft.into_changes()).collect(),
        steps: vec![Planned::with_undo(
            Step::TakeOver(takeover.clone()),
            Step::GiveBack(takeover.clone()),
        )],
        goal: Goal::TakenOver { view, takeover },
        after_crash: AfterCrash::Back,
    })
}

/// Everything that another manager shows to an initiator on a port, if a view can say it.
fn rows(
    inventory: &Inventory,
    initiator: &InitiatorName,
    port: &PortId,
) -> Result<BTreeMap<u16, VolumeId>, Error> {
    let mut rows = BTreeMap::new();
    let maps = inventory.foreign_maps().iter();
    for map in maps.filter(|map| map.initiator == *initiator && map.port == *port) {
        let lun = map.lun;
        let Some(volume) = &map.volume else {
            return Err(Error::not_supported(format!(
                "device number {lun} of {initiator} at {port} leads to no volume of a pool of this \
                 array; move it to an initiator name or target of its own, because all numbers of \
                 an initiator at a port are taken over at once"
            )));
        };
        if lun > MAX_LUN {
            return Err(Error::not_supported(format!(
                "device number {lun} of {initiator} at {port} is greater than {MAX_LUN}, which \
                 this array does not give; give it a lower number there first"
            )));
        }
        if let Some(other) = number_of(&rows, volume) {
            return Err(Error::not_supported(format!(
                "{initiator} sees one volume at {port} as device numbers {other} and {lun}, and a \
                 masking view gives each volume one number; remove one of them there first"
            )));
        }
        rows.insert(lun, volume.clone());
    }
    Ok(rows)
}

fn number_of(rows: &BTreeMap<u16, VolumeId>, volume: &VolumeId) -> Option<u16> {
    let mut rows = rows.iter();
    rows.find(|(_, known)| *known == volume)
        .map(|(lun, _)| *lun)
}

/// Whose volume it is, if it can be this array's under the identifier that hosts know it by.
fn check_volume(inventory: &Inventory, id: &VolumeId) -> Result<Owner, Error> {
    let volume = inventory
        .volume(id)
        .ok_or_else(|| Error::not_found(format!("there is no volume {id} any more; look again")))?;
    if volume.job.is_some() {
        return Err(Error::in_use(format!(
            "volume '{}' is being made or removed; wait for that job to end",
            volume.name
        )));
    }
    let mut same = inventory.volumes_seen_as(volume.naa);
    match same.find(|other| other.id != *id) {
        None => Ok(volume.owner),
        Some(other) => Err(Error::in_use(format!(
            "hosts take the volumes '{}' and '{}' for one disk, because both have the identifier \
             {}; export one of them anew under another serial number first",
            volume.name, other.name, volume.naa
        ))),
    }
}

/// The target that has to be taken over with what it shows; `None` for one of this array's.
fn target(inventory: &Inventory, port: &PortId) -> Result<Option<MadeTarget>, Error> {
    let Some(iqn) = port.iqn() else {
        return Err(Error::not_supported(format!(
            "port {port} is of {}, and only what is shown over iSCSI is taken over; show the volumes \
             through a view of this array instead",
            port.fabric()
        )));
    };
    if inventory.port(port).is_some() {
        return Ok(None);
    }
    if inventory.target(iqn).is_some() {
        return Err(Error::already_exists(format!(
            "this array has a target {iqn} that is closed, and another manager has one of that \
             name; delete one of the two"
        )));
    }
    let is_good =
        InitiatorName::parse(iqn.as_str()).is_ok_and(|name| name.folded() == name.as_str());
    if !is_good {
        return Err(Error::not_supported(format!(
            "'{iqn}' is no iSCSI name in lower case, and this array makes no such target; show the \
             volumes through another one"
        )));
    }
    let portals = inventory.portals_of_foreign(iqn);
    let portals = portals.filter(|portals| !portals.is_empty());
    let portals = portals.ok_or_else(|| {
        Error::not_supported(format!(
            "target {iqn} listens nowhere that this array could make it listen again"
        ))
    })?;
    Ok(Some(MadeTarget {
        iqn: iqn.clone(),
        alias: alias(inventory, iqn.as_str()),
        portals: portals.clone(),
        taken_over: true,
    }))
}

/// A name for people that no other target has: the last part of its own, or all that fits of it.
fn alias(inventory: &Inventory, iqn: &str) -> String {
    let last = iqn.rsplit(':').next().unwrap_or(iqn);
    let is_free = |name: &str| {
        !name.is_empty()
            && name.len() <= MAX_ALIAS
            && inventory.made_targets().all(|target| target.alias != name)
    };
    match is_free(last) {
        true => last.to_owned(),
        false => iqn[..iqn.len().min(MAX_ALIAS)].to_owned(),
    }
}

impl Draft<'_> {
    /// Puts the records of a view that shows exactly this, with groups of its own.
    fn take_over(&mut self, id: ViewId, takeover: &Takeover) -> Result<(), Error> {
        let luns = takeover.rows.iter().map(|(lun, id)| (id.clone(), *lun));
        let mut view = View {
            id,
            name: self.name_of_taken(id, takeover),
            initiators: None,
            ports: None,
            volumes: None,
            luns: luns.collect(),
            owner: Owner::Array,
        };
        let name = &takeover.initiator;
        let initiators: BTreeSet<InitiatorName> = [name.clone()].into();
        let ports: BTreeSet<PortId> = [takeover.port.clone()].into();
        if let Some(group) = self.group_with(name)
            && group.members.len() > 1
        {
            return Err(Error::in_use(format!(
                "initiator {name} is a member of group '{}' with others, to whom nothing of this \
                 is shown, and an initiator belongs to one initiator group; remove it from that \
                 group first",
                group.name
            )));
        }
        self.introduce_all(&initiators);
        let known = self.group_with(name).map(|group| group.id);
        view.initiators = match known {
            Some(group) => Some(group),
            None => Some(self.group_of_taken(&view, Members::Initiators(initiators.clone()))?),
        };
        self.check_paths(&view, &initiators, &ports)?;
        let volumes = takeover.rows.values().cloned().collect();
        for members in [Members::Ports(ports), Members::Volumes(volumes)] {
            let kind = members.kind();
            *view.group_mut(kind) = Some(self.group_of_taken(&view, members)?);
        }
        self.put_view(view, "Take over");
        Ok(())
    }

    /// A group for a view that was taken over, which is called like it, if nothing else is. That its
    /// members can be taken over was found out already.
    fn group_of_taken(&mut self, view: &View, members: Members) -> Result<GroupId, Error> {
        let mut group = self.fresh_group(view, members.kind())?;
        if self.now.group_named(members.kind(), &view.name).is_none() {
            group.name.clone_from(&view.name);
        }
        let id = group.id;
        self.put_group(Group { members, ..group });
        Ok(id)
    }

    /// A name for a view that was taken over: who and where, unless that is too long or given.
    fn name_of_taken(&self, id: ViewId, takeover: &Takeover) -> String {
        let name = format!("{} at {}", takeover.initiator.folded(), takeover.port);
        match name.len() <= MAX_NAME && self.now.view_named(&name).is_none() {
            true => name,
            false => format!("taken over {}", &id.hex()[..12]),
        }
    }
}
