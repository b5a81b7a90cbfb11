//! A small array that does what its plans say, and wishes about it.

use super::super::*;
use crate::array::engine::Facts;
use crate::array::error::Kind;
use crate::array::ids::{DiskId, GroupId, InitiatorName, Naa, PortId, ViewId};
use crate::array::inventory::{Policy, SystemName};
use crate::array::layout::Layout;
use crate::array::model::*;
use crate::array::quality::Quality;
use crate::array::step::Snap;

pub(super) const EXTENT: u64 = 4 << 20;

/// An array that does what its plans say.
///
/// With it the time: microseconds since 1970.
pub(super) struct World(pub(super) Inventory, pub(super) u64);

const IQN: &str = "iqn.2026-01.example:target";

pub(super) fn pool_id() -> PoolId {
    "pool".into()
}

pub(super) fn port(tag: u16) -> PortId {
    PortId::Iscsi {
        iqn: IQN.into(),
        tag,
    }
}

/// What tells ports from one another in a few letters: the tag, or the world-wide name.
pub(super) fn short(port: &PortId) -> String {
    match port {
        PortId::Iscsi { tag, .. } => tag.to_string(),
        PortId::FibreChannel(wwn) => wwn.to_string(),
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
        consumed: Some(2 * EXTENT),
        layout: Layout::Linear,
        pieces: Vec::new(),
        naa: Naa::from_serial(Naa::LIO_COMPANY, id),
        owner: Owner::Array,
        job: None,
        held_by: None,
        created: None,
        health: Health::Ok,
        trouble: Trouble::default(),
        behind: 0,
        replica: None,
        torn: None,
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
            device: "vg0".into(),
            kind: PoolKind::Group { spare: 0 },
            owner: Owner::Foreign,
            job: None,
            size: 100 * EXTENT,
            free: available,
            available,
            extent: EXTENT,
            disks: Vec::new(),
            health: Health::Ok,
        }],
        volumes,
        targets: vec![Target {
            iqn: IQN.into(),
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
        Self::under(Policy::default(), facts)
    }

    /// The same under another policy.
    pub(super) fn under(policy: Policy, facts: Facts) -> Self {
        let mut inventory = Inventory::new(SystemName::default(), policy);
        inventory.take_facts(facts);
        let mut world = Self(inventory, 1 << 50);
        for name in ["a", "b", "c", "d"] {
            world.does(&Command::CreateInitiator { name: host(name) });
        }
        world
    }

    pub(super) fn plan(&self, command: &Command) -> Result<Plan, Error> {
        plan(command, &self.0, JobId::new(), self.1)
    }

    pub(super) fn does(&mut self, command: &Command) -> Effect {
        let plan = self
            .plan(command)
            .unwrap_or_else(|e| panic!("{command:?}: {e}"));
        plan.changes.iter().for_each(|c| self.0.take_change(c));
        match plan.goal {
            Goal::Shown { effect } | Goal::Listening { effect, .. } => effect,
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
        self.makes(&new_view(groups, &[]))
    }

    pub(super) fn makes(&mut self, command: &Command) -> ViewId {
        match self.does(command) {
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

pub(super) fn make_view(names: &[&str], tags: &[u16], ids: &[&str], luns: &[u16]) -> Command {
    Command::MakeView {
        name: None,
        initiators: names.iter().map(|name| host(name)).collect(),
        ports: tags.iter().map(|tag| port(*tag)).collect(),
        volumes: ids.iter().map(|id| VolumeId::from(*id)).collect(),
        luns: luns.to_vec(),
    }
}

pub(super) fn create(name: &str, size: u64) -> Command {
    Command::CreateVolumes {
        pool: pool_id(),
        names: vec![name.into()],
        count: 1,
        size,
        quality: Quality::default(),
    }
}

pub(super) fn grow(id: &str, size: u64) -> Command {
    Command::ResizeVolume {
        volume: id.into(),
        size,
        name: None,
    }
}

pub(super) fn delete(id: &str) -> Command {
    Command::DeleteVolumes {
        volumes: vec![id.into()],
    }
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

fn disks(ids: &[DiskId]) -> String {
    let ids: Vec<_> = ids.iter().map(DiskId::as_str).collect();
    ids.join(" ")
}

/// What a plan does, as words.
pub(super) fn steps(plan: &Plan) -> Vec<String> {
    let word = |step: &Step| match step {
        Step::Create { size, .. } => format!("create {}", size / EXTENT),
        Step::Zero { .. } => "zero".into(),
        Step::Erase { .. } => "erase".into(),
        Step::Mark { .. } => "mark".into(),
        Step::Unmark { .. } => "unmark".into(),
        Step::Remove { .. } => "remove".into(),
        Step::Absorb { size, .. } => format!("absorb {}", size / EXTENT),
        Step::Snapshot { of, .. } => {
            let room = |snap: &Snap| {
                snap.room
                    .map_or("thin".into(), |b| (b / EXTENT).to_string())
            };
            let rooms: Vec<_> = of.iter().map(room).collect();
            format!("snapshot {}", rooms.join(" "))
        }
        Step::Copy { fresh: true, .. } => "fill".into(),
        Step::Copy { fresh: false, .. } => "copy".into(),
        Step::Relate { to: None, .. } => "detach".into(),
        Step::Relate { to: Some(to), .. } => format!("relate to {}", to.source),
        Step::Inherit { of, .. } => format!("inherit from {of}"),
        Step::Rename { name, .. } => format!("rename {name}"),
        Step::Sync { .. } => "sync".into(),
        Step::GrowThin { size, .. } => format!("grow thin {}", size / EXTENT),
        Step::Shrink { size, .. } => format!("shrink {}", size / EXTENT),
        Step::Refresh { .. } => "refresh".to_owned(),
        Step::Repair { onto, .. } => format!("repair onto {}", disks(onto)),
        Step::AddCopies { onto, .. } => format!("add copies {}", disks(onto)),
        Step::DropCopies { from, .. } => format!("drop copies {}", disks(from)),
        Step::Move {
            what, from, onto, ..
        } => {
            let what = match what {
                Subject::Known(id) => id.as_str(),
                Subject::Pool(id) => id.as_str(),
                Subject::Made(_, device) => device,
            };
            format!("move {what} {from} to {}", disks(onto))
        }
        Step::EndMove { .. } => "end move".into(),
        Step::CloseDisk { disk, .. } => format!("close {disk}"),
        Step::OpenDisk { disk, .. } => format!("open {disk}"),
        Step::CreateGroup {
            device, disks: d, ..
        } => format!("create group {device} {}", disks(d)),
        Step::MarkGroup { .. } => "mark group".into(),
        Step::UnmarkGroup { .. } => "unmark group".into(),
        Step::RemoveGroup { .. } => "remove group".into(),
        Step::ExtendGroup { disks: d, .. } => format!("extend group {}", disks(d)),
        Step::ReduceGroup { disks: d, .. } => format!("reduce group {}", disks(d)),
        Step::TakeBack { .. } => "take back".into(),
        Step::DropMissing { .. } => "drop missing".into(),
        Step::CreateThinPool { size, metadata, .. } => {
            format!("create thin pool {}+{}", size / EXTENT, metadata / EXTENT)
        }
        Step::GrowThinPool { size, metadata, .. } => {
            format!("grow thin pool {}+{}", size / EXTENT, metadata / EXTENT)
        }
        Step::RenamePool { name, .. } => format!("rename pool {name}"),
        Step::Listen(target) => {
            let portals: Vec<_> = target.portals.iter().map(ToString::to_string).collect();
            format!("listen {}", portals.join(" "))
                .trim_end()
                .to_owned()
        }
        Step::Map(map) => format!("map {} {}", map.volume, map.lun),
        Step::Unmap(map) => format!("unmap {} {}", map.volume, map.lun),
        Step::TakeOver(view) => format!("take over {}", view.rows.len()),
        Step::GiveBack(view) => format!("give back {}", view.rows.len()),
    };
    let words = |planned: &Planned| {
        let all = std::iter::once(&planned.step).chain(&planned.undo);
        all.map(word).collect::<Vec<_>>().join(" / ")
    };
    plan.steps.iter().map(words).collect()
}
