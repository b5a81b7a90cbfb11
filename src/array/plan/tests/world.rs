//! A small array that does what its plans say, and wishes about it.

use super::super::*;
use crate::array::engine::Facts;
use crate::array::error::Kind;
use crate::array::ids::{GroupId, InitiatorName, Naa, PortId, ViewId};
use crate::array::inventory::SystemName;
use crate::array::model::*;

pub(super) const EXTENT: u64 = 4 << 20;

/// An array that does what its plans say.
pub(super) struct World(pub(super) Inventory);

pub(super) fn pool_id() -> PoolId {
    "pool".into()
}

pub(super) fn port(tag: u16) -> PortId {
    PortId {
        iqn: "iqn.2026-01.example:target".into(),
        tag,
    }
}

pub(super) fn host(name: &str) -> InitiatorName {
    InitiatorName::parse(&format!("iqn.2026-01.example:{name}")).unwrap()
}

pub(super) fn volume(id: &str) -> Volume {
    Volume {
        id: id.into(),
        name: format!("name of {id}"),
        device: format!("device of {id}"),
        pool: pool_id(),
        size: 2 * EXTENT,
        consumed: 2 * EXTENT,
        naa: Naa::from_serial(Naa::LIO_COMPANY, id),
        owner: Owner::Array,
        job: None,
        held_by: None,
        created: None,
        health: Health::Ok,
    }
}

pub(super) fn facts(volumes: Vec<Volume>, available: u64) -> Facts {
    let ports = [1, 2].map(|tag| Port {
        id: port(tag),
        enabled: true,
        portals: Vec::new(),
        health: Health::Ok,
    });
    Facts {
        pools: vec![Pool {
            id: pool_id(),
            name: "vg0".into(),
            size: 100 * EXTENT,
            free: available,
            available,
            extent: EXTENT,
            disks: Vec::new(),
            health: Health::Ok,
        }],
        volumes,
        targets: vec![Target {
            iqn: port(1).iqn,
            ports: ports.to_vec(),
        }],
        ..Facts::default()
    }
}

impl World {
    /// Three volumes, four initiators, two ports, ten free extents.
    pub(super) fn new() -> Self {
        Self::with(facts(["v1", "v2", "v3"].map(volume).to_vec(), 10 * EXTENT))
    }

    pub(super) fn with(facts: Facts) -> Self {
        let mut inventory = Inventory::new(SystemName::default());
        inventory.take_facts(facts);
        let mut world = Self(inventory);
        for name in ["a", "b", "c", "d"] {
            world.does(&Command::CreateInitiator { name: host(name) });
        }
        world
    }

    pub(super) fn plan(&self, command: &Command) -> Result<Plan, Error> {
        plan(command, &self.0, JobId::new())
    }

    pub(super) fn does(&mut self, command: &Command) -> Effect {
        let plan = self
            .plan(command)
            .unwrap_or_else(|e| panic!("{command:?}: {e}"));
        plan.changes.iter().for_each(|c| self.0.take_change(c));
        match plan.goal {
            Goal::Shown { effect } => effect,
            _ => Effect::Gone,
        }
    }

    pub(super) fn refuses(&self, command: &Command, kind: Kind, sentence: &str) {
        let error = self.plan(command).expect_err("it is refused");
        assert_eq!(error.kind, kind, "{command:?}: {error}");
        assert!(error.message.contains(sentence), "{command:?}: {error}");
    }

    pub(super) fn group(&mut self, members: Members) -> GroupId {
        match self.does(&new_group(None, members)) {
            Effect::Group(id, _) => id,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn hosts(&mut self, names: &[&str]) -> GroupId {
        self.group(initiators(names))
    }

    pub(super) fn ports(&mut self, tags: &[u16]) -> GroupId {
        self.group(Members::Ports(tags.iter().map(|tag| port(*tag)).collect()))
    }

    pub(super) fn devices(&mut self, ids: &[&str]) -> GroupId {
        self.group(devices(ids))
    }

    pub(super) fn view(&mut self, groups: &[GroupId]) -> ViewId {
        match self.does(&new_view(groups, &[])) {
            Effect::View(id) => id,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn luns(&self, view: ViewId) -> Vec<(&str, u16)> {
        let luns = &self.0.view(&view).unwrap().luns;
        luns.iter().map(|(id, lun)| (id.as_str(), *lun)).collect()
    }
}

pub(super) fn initiators(names: &[&str]) -> Members {
    Members::Initiators(names.iter().map(|name| host(name)).collect())
}

pub(super) fn devices(ids: &[&str]) -> Members {
    Members::Volumes(ids.iter().map(|id| VolumeId::from(*id)).collect())
}

pub(super) fn new_group(name: Option<&str>, members: Members) -> Command {
    Command::CreateGroup {
        name: name.map(str::to_owned),
        members,
        delete_on_empty: false,
        delete_when_unassociated: false,
    }
}

pub(super) fn new_view(groups: &[GroupId], luns: &[u16]) -> Command {
    Command::CreateView {
        name: None,
        groups: groups.to_vec(),
        luns: luns.to_vec(),
    }
}

pub(super) fn create(name: &str, size: u64) -> Command {
    Command::CreateVolume {
        pool: pool_id(),
        name: Some(name.into()),
        size,
    }
}

pub(super) fn grow(id: &str, size: u64) -> Command {
    Command::GrowVolume {
        volume: id.into(),
        size,
        name: None,
    }
}

pub(super) fn delete(id: &str) -> Command {
    Command::DeleteVolume { volume: id.into() }
}

pub(super) fn add(group: GroupId, members: Members, luns: &[u16]) -> Command {
    Command::AddMembers {
        group,
        members,
        luns: luns.to_vec(),
    }
}

pub(super) fn remove(group: GroupId, members: Members) -> Command {
    Command::RemoveMembers {
        group,
        members,
        delete_on_empty: None,
    }
}

/// What a plan does, as words.
pub(super) fn steps(plan: &Plan) -> Vec<String> {
    let word = |step: &Step| match step {
        Step::Create { size, .. } => format!("create {}", size / EXTENT),
        Step::Zero { .. } => "zero".into(),
        Step::Mark { .. } => "mark".into(),
        Step::Unmark { .. } => "unmark".into(),
        Step::Remove { .. } => "remove".into(),
        Step::Absorb { size, .. } => format!("absorb {}", size / EXTENT),
        Step::Rename { name, .. } => format!("rename {name}"),
        Step::Map(map) => format!("map {} {}", map.volume, map.lun),
        Step::Unmap(map) => format!("unmap {} {}", map.volume, map.lun),
    };
    let planned = plan.steps.iter();
    planned
        .map(|planned| match &planned.undo {
            Some(undo) => format!("{} / {}", word(&planned.step), word(undo)),
            None => word(&planned.step),
        })
        .collect()
}
