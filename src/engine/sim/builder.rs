//! The shape of a modelled machine: its pools, disks, targets and interfaces, and what is on it
//! when it starts.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use uuid::Uuid;

use super::clock::Clock;
use super::disks::{Disk, DiskRow, State};
use super::extents::{Content, EXTENT};
use super::groups::METADATA;
use super::keep::{Keep, Kept, Row};
use super::machine::{Body, Group, GroupRow, Lun, Lv, Machine, lvm_uuid};
use super::replicas::Kin;
use super::thin::{ThinSpace, ThinWish};
use super::{Core, SimEngine};
use crate::array::{
    ChapTable, DiskId, Drive, Error, FcLink, FcPort, Health, InitiatorName, Interconnect, Iqn,
    JobId, Layout, Media, Nic, Owner, Port, PortId, Target, VolumeId, Wwn,
};

/// The target of a machine that was not told another one.
pub const DEFAULT_IQN: &str = "iqn.2026-11.example.standpipe:demo";

/// Bytes from which on a disk is one that rotates.
const ROTATING_FROM: u64 = 6 << 40;

/// Builds a [`SimEngine`].
#[derive(Clone, Debug)]
pub struct Builder {
    pools: Vec<Shape>,
    spare_disks: (u32, u64),
    dirty_disks: (u32, u64),
    volumes: u64,
    volume_size: u64,
    foreign_volumes: u64,
    foreign_luns: Vec<(InitiatorName, u16)>,
    targets: Vec<Target>,
    chap: ChapTable,
    target_count: u32,
    fc_ports: u32,
    nics: Vec<Nic>,
    disks_hold: Content,
    clock: Clock,
    zero_rate: u64,
    sync_rate: u64,
    copy_rate: u64,
    directory: Option<PathBuf>,
}

#[derive(Clone, Debug)]
struct Shape {
    name: String,
    disks: u32,
    disk_size: u64,
    metadata: u64,
    /// Names and bytes of its thin pools.
    thin: Vec<(String, u64)>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            pools: Vec::new(),
            spare_disks: (0, 0),
            dirty_disks: (0, 0),
            volumes: 0,
            volume_size: 1 << 30,
            foreign_volumes: 0,
            foreign_luns: Vec::new(),
            targets: Vec::new(),
            chap: ChapTable::new(),
            target_count: 1,
            fc_ports: 0,
            nics: Vec::new(),
            disks_hold: Content::Old,
            clock: Clock::real(),
            zero_rate: 20 << 30,
            sync_rate: 10 << 30,
            copy_rate: 5 << 30,
            directory: None,
        }
    }
}

impl Builder {
    /// Adds a pool of that many disks of that many bytes each. Without any: `fast` with four disks
    /// of 4 TiB, and `bulk` with six of 8 TiB and a thin pool of 1 TiB.
    #[must_use]
    pub fn pool(mut self, name: &str, disks: u32, disk_size: u64) -> Self {
        self.pools.push(Shape {
            name: name.to_owned(),
            disks,
            disk_size,
            metadata: METADATA,
            thin: Vec::new(),
        });
        self
    }

    /// Makes a thin pool of that many bytes of data in the pool added last.
    #[must_use]
    pub fn thin_pool(mut self, name: &str, bytes: u64) -> Self {
        if let Some(pool) = self.pools.last_mut() {
            pool.thin.push((name.to_owned(), bytes));
        }
        self
    }

    /// Gives the pool added last a metadata area of that many bytes.
    #[must_use]
    pub fn metadata(mut self, bytes: u64) -> Self {
        if let Some(pool) = self.pools.last_mut() {
            pool.metadata = bytes;
        }
        self
    }

    /// Adds that many disks of that many bytes each that belong to no pool.
    #[must_use]
    pub fn spare_disks(mut self, disks: u32, disk_size: u64) -> Self {
        self.spare_disks = (disks, disk_size);
        self
    }

    /// Adds that many disks of that many bytes each that carry somebody's file system.
    #[must_use]
    pub fn dirty_disks(mut self, disks: u32, disk_size: u64) -> Self {
        self.dirty_disks = (disks, disk_size);
        self
    }

    /// Starts with that many finished volumes, spread over the pools.
    #[must_use]
    pub fn volumes(mut self, count: u64) -> Self {
        self.volumes = count;
        self
    }

    /// The bytes of each volume that it starts with; rounded up to extents. Without: 1 GiB.
    #[must_use]
    pub fn volume_size(mut self, bytes: u64) -> Self {
        self.volume_size = bytes;
        self
    }

    /// Starts with that many volumes of somebody else in the first pool; the first is mounted.
    #[must_use]
    pub fn foreign_volumes(mut self, count: u64) -> Self {
        self.foreign_volumes = count;
        self
    }

    /// Somebody else shows a volume of his own under that number to an initiator, on the first
    /// port, and does so again after every restart.
    #[must_use]
    pub fn foreign_map(mut self, initiator: InitiatorName, lun: u16) -> Self {
        self.foreign_luns.push((initiator, lun));
        self
    }

    /// Adds a target. Without any: [`DEFAULT_IQN`] with one port that listens on the first address
    /// of every interface.
    #[must_use]
    pub fn target(mut self, target: Target) -> Self {
        self.targets.push(target);
        self
    }

    /// These initiators have to prove at login who they are, at every port. Without: nobody.
    #[must_use]
    pub fn chap(mut self, table: ChapTable) -> Self {
        self.chap = table;
        self
    }

    /// How many targets there are where none is added: [`DEFAULT_IQN`] and numbered ones, all at
    /// the same addresses.
    #[must_use]
    pub fn target_count(mut self, count: u32) -> Self {
        self.target_count = count;
        self
    }

    /// Gives the machine that many Fibre Channel ports, all of which show volumes. Without: none.
    #[must_use]
    pub fn fc_ports(mut self, count: u32) -> Self {
        self.fc_ports = count;
        self
    }

    /// Adds a network interface. Without any: two with an IPv4 address each, and one of IPv6.
    #[must_use]
    pub fn nic(mut self, nic: Nic) -> Self {
        self.nics.push(nic);
        self
    }

    /// What the disks hold before anybody uses them. Without: old data.
    #[must_use]
    pub fn disks_hold(mut self, content: Content) -> Self {
        self.disks_hold = content;
        self
    }

    /// The time in which the machine works. Without: the real one.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// How many bytes are overwritten with zeros in one second. Without: 20 GiB.
    #[must_use]
    pub fn zero_rate(mut self, bytes: u64) -> Self {
        self.zero_rate = bytes.max(1);
        self
    }

    /// How many bytes of each leg are brought into step in one second. Without: 10 GiB.
    #[must_use]
    pub fn sync_rate(mut self, bytes: u64) -> Self {
        self.sync_rate = bytes.max(1);
        self
    }

    /// How many bytes are copied from one volume to another in one second. Without: 5 GiB.
    #[must_use]
    pub fn copy_rate(mut self, bytes: u64) -> Self {
        self.copy_rate = bytes.max(1);
        self
    }

    /// Keeps volumes and contents in that directory. What is kept there already wins over the
    /// pools and volumes asked for here. One machine at a time.
    #[must_use]
    pub fn state(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Switches the machine on: volumes are there, ports are closed and nothing is mapped, until
    /// [`converge`](crate::array::Engine::converge) makes it so.
    ///
    /// # Errors
    /// When what it starts with does not fit, or its state cannot be used.
    pub fn build(mut self) -> Result<SimEngine, Error> {
        self.fill_defaults();
        let keep = match &self.directory {
            Some(directory) => Keep::open(directory)?,
            None => Keep::default(),
        };
        let kept = keep.load()?;
        let mut machine = Machine {
            disks: Default::default(),
            groups: Vec::new(),
            managed: Default::default(),
            hidden: Default::default(),
            volumes: Default::default(),
            devices: Default::default(),
            thin_space: Default::default(),
            syncing: Default::default(),
            sync_rate: self.sync_rate,
            now: self.clock.wall(),
            targets: self.targets.clone(),
            fc_ports: (1..=self.fc_ports).filter_map(fc_port).collect(),
            chap: self.chap.clone(),
            extra_targets: Default::default(),
            made_targets: Default::default(),
            open: false,
            nics: self.nics.clone(),
            luns: Default::default(),
            sessions: Default::default(),
            handle: 0,
            exports: Default::default(),
            generation: self.clock.wall(),
            made: 0,
            keep,
        };
        match kept {
            Some(kept) => restore(&mut machine, kept)?,
            None => self.furnish(&mut machine)?,
        }
        self.show_foreign(&mut machine);
        Ok(SimEngine::new(Core::new(
            machine,
            self.clock,
            self.zero_rate,
            self.copy_rate,
        )))
    }

    fn fill_defaults(&mut self) {
        if self.pools.is_empty() {
            *self = self
                .clone()
                .pool("fast", 4, 4 << 40)
                .pool("bulk", 6, 8 << 40)
                .thin_pool("thin", 1 << 40);
        }
        if self.nics.is_empty() {
            self.nics = vec![
                nic("eth0", "020053540001", Ipv4Addr::new(192, 0, 2, 10)),
                nic("eth1", "020053540002", Ipv4Addr::new(198, 51, 100, 10)),
            ];
            let second = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10);
            self.nics[1].addresses.push((IpAddr::V6(second), 64));
        }
        if self.targets.is_empty() {
            let addresses = self.nics.iter().filter_map(|nic| nic.addresses.first());
            let portals = addresses.map(|(address, _)| SocketAddr::new(*address, 3260));
            let portals: Vec<_> = portals.collect();
            let iqns = (1..=self.target_count.max(1)).map(|number| match number {
                1 => Iqn::from(DEFAULT_IQN),
                _ => Iqn::from(format!("{DEFAULT_IQN}-{number}")),
            });
            self.targets = iqns.map(|iqn| target(iqn, portals.clone())).collect();
        }
    }

    /// Sets up a machine for the first time.
    fn furnish(&self, machine: &mut Machine) -> Result<(), Error> {
        // Kept in one transaction at the end, not one by one.
        let keep = std::mem::take(&mut machine.keep);
        let furnished = self.put_everything(machine);
        machine.keep = keep;
        furnished?;
        for disk in machine.disks.values() {
            let runs = disk.runs.iter();
            let rows = runs.map(|(start, length, content)| (start, Some((length, content))));
            machine.keep.note(&disk.row.id, rows.collect());
        }
        let disks = machine.disks.values().map(|disk| Row::Disk(&disk.row));
        let groups = machine.groups.iter();
        let groups = groups.map(|group| Row::Group(&group.row.id, Some(&group.row)));
        let volumes = machine.volumes.values();
        let volumes = volumes.map(|lv| Row::Volume(&lv.id, Some(lv)));
        let rows: Vec<Row<'_>> = disks.chain(groups).chain(volumes).collect();
        machine.keep.commit(&rows, machine.made)
    }

    fn put_everything(&self, machine: &mut Machine) -> Result<(), Error> {
        let made = machine.made;
        for shape in &self.pools {
            let disks = self.put_disks(machine, &shape.name, shape.disks, shape.disk_size, None);
            machine.add_group(GroupRow {
                id: lvm_uuid(&format!("pool {}", shape.name)).into(),
                place: 0,
                device: shape.name.clone(),
                name: None,
                owner: Owner::Foreign,
                job: None,
                configured: true,
                metadata: shape.metadata,
                disks,
                spare: Vec::new(),
                closed: Default::default(),
                missing: Default::default(),
            })?;
        }
        // Volumes have the identities that they have on a machine with other pools.
        machine.made = made;
        let (count, size) = self.spare_disks;
        self.put_disks(machine, "spare", count, size, None);
        let (count, size) = self.dirty_disks;
        self.put_disks(
            machine,
            "dirty",
            count,
            size,
            Some("it carries a file system (ext4)"),
        );
        self.put_volumes(machine)?;
        self.put_thin_pools(machine)
    }

    fn put_thin_pools(&self, machine: &mut Machine) -> Result<(), Error> {
        for (place, shape) in self.pools.iter().enumerate() {
            for (name, bytes) in &shape.thin {
                let group = machine.groups[place].row.id.clone();
                let device = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes());
                let device = format!("standpipe-{}", device.simple());
                let extents = bytes.div_ceil(EXTENT).max(1);
                let wish = ThinWish {
                    device: &device,
                    name,
                    size: extents * EXTENT,
                    // One byte for 1024 of data, as the planner has it.
                    metadata: extents.div_ceil(1024) * EXTENT,
                    job: JobId::new(),
                };
                let id = VolumeId::from(lvm_uuid(&format!("thin pool {name}")));
                machine.put_thin_pool(&group, &wish, id.clone())?;
                if let Some(lv) = machine.volumes.get_mut(&id) {
                    lv.job = None;
                }
            }
        }
        Ok(())
    }

    /// Adds disks behind the others; returns their identities.
    fn put_disks(
        &self,
        machine: &mut Machine,
        place: &str,
        count: u32,
        size: u64,
        carries: Option<&str>,
    ) -> Vec<DiskId> {
        let disks = (0..count).map(|number| {
            let serial = serial_of(place, number);
            let letter = u32::try_from(machine.disks.len()).unwrap_or(u32::MAX - 1) + 1;
            let row = DiskRow {
                id: DiskId::from(format!("wwn-0x5000c50{serial:09x}")),
                device: disk_device(letter),
                size,
                drive: drive(size, serial),
                state: State::Working,
                carries: carries.map(str::to_owned),
            };
            let id = row.id.clone();
            let disk = Disk::new(row, self.disks_hold);
            machine.disks.insert(id.clone(), disk);
            id
        });
        disks.collect()
    }

    fn put_volumes(&self, machine: &mut Machine) -> Result<(), Error> {
        let extents = self.volume_size.div_ceil(EXTENT).max(1);
        for number in 1..=self.foreign_volumes + self.foreign_luns.len() as u64 {
            let lv = Lv {
                device: format!("data{number}"),
                name: None,
                owner: Owner::Foreign,
                held_by: (number == 1 && self.foreign_volumes > 0)
                    .then(|| "mounted at /srv".to_owned()),
                ..blank(machine, 0, extents)?
            };
            machine.insert(lv)?;
        }
        for number in 1..=self.volumes {
            let place = usize::try_from(number - 1).unwrap_or(0) % self.pools.len().max(1);
            let lv = blank(machine, place, extents)?;
            let id = lv.id.clone();
            machine.insert(Lv {
                name: Some(format!("volume-{number:04}")),
                ..lv
            })?;
            machine.fill(&id, 0, extents, Content::Zeros);
        }
        Ok(())
    }

    /// What another manager shows after every start: its own volumes, from the last one down.
    fn show_foreign(&self, machine: &mut Machine) {
        let ports = self.targets.iter().flat_map(|target| &target.ports);
        let Some(port) = ports.map(|port| port.id.clone()).next() else {
            return;
        };
        let foreign: Vec<_> = machine
            .volumes
            .values()
            .filter(|lv| {
                lv.owner == Owner::Foreign && lv.held_by.as_deref() != Some("mounted at /srv")
            })
            .map(|lv| lv.id.clone())
            .collect();
        for ((initiator, lun), volume) in self.foreign_luns.iter().zip(foreign) {
            if let Some(lv) = machine.volumes.get_mut(&volume) {
                lv.held_by = Some(super::takeover::BY_ANOTHER.to_owned());
                lv.serial = Some(super::takeover::serial_of_another(&lv.id));
            }
            let key = (port.clone(), initiator.clone(), *lun);
            let lun = Lun {
                volume,
                ours: false,
                theirs: true,
            };
            machine.luns.insert(key, lun);
        }
    }
}

/// A volume of ours with no name for people in the group at that place.
fn blank(machine: &mut Machine, place: usize, extents: u64) -> Result<Lv, Error> {
    let group = machine.groups.get(place);
    let group = group.ok_or_else(|| Error::invalid("a simulated array needs at least one pool"))?;
    machine.has_room(group, extents)?;
    let group = group.row.id.clone();
    let legs = machine.allocate_legs(&group, Layout::Linear, &[], extents);
    let id = machine.new_volume_id(&group);
    let device = Uuid::new_v5(&Uuid::NAMESPACE_OID, id.as_str().as_bytes());
    Ok(Lv {
        id,
        device: format!("standpipe-{}", device.simple()),
        name: None,
        group,
        body: Body::Thick(legs.ok_or_else(|| Error::no_space("the pool is full"))?),
        owner: Owner::Array,
        job: None,
        serial: None,
        held_by: None,
        created: machine.now,
        moving: None,
        kin: Kin::default(),
    })
}

/// Puts everything where it was when the machine was switched off.
fn restore(machine: &mut Machine, kept: Kept) -> Result<(), Error> {
    let damaged = || {
        Error::unavailable("the simulator's state contradicts itself; start with another directory")
    };
    machine.made = kept.made;
    for row in kept.disks {
        // The first run of each disk covers it from the start, the others follow.
        let disk = Disk::new(row, Content::Old);
        machine.disks.insert(disk.row.id.clone(), disk);
    }
    for (id, start, length, content) in kept.contents {
        let disk = machine.disks.get_mut(&id).ok_or_else(damaged)?;
        let end = start.checked_add(length).ok_or_else(damaged)?;
        if end > disk.extents() {
            return Err(damaged());
        }
        disk.runs.fill(start, length, content);
    }
    for row in kept.groups {
        for segment in &row.spare {
            claim(machine, segment).ok_or_else(damaged)?;
        }
        machine.groups.push(Group { row, volumes: 0 });
    }
    machine.manage(&[]);
    let mut thin_extents = BTreeMap::new();
    for lv in &kept.volumes {
        for segment in lv.segments().into_iter().chain(lv.goes_to()) {
            claim(machine, segment).ok_or_else(damaged)?;
        }
        if let Body::Pool(_) = lv.body {
            let space = ThinSpace::new(lv.extents());
            thin_extents.insert(lv.id.clone(), lv.extents());
            machine.thin_space.insert(lv.id.clone(), space);
        }
    }
    let mut ids = Vec::new();
    for lv in kept.volumes {
        let mut groups = machine.groups.iter_mut();
        let group = groups.find(|g| g.row.id == lv.group).ok_or_else(damaged)?;
        group.volumes += 1;
        if let Body::Thin(map) = &lv.body {
            let space = machine.thin_space.get_mut(&map.pool).ok_or_else(damaged)?;
            let extents = thin_extents.get(&map.pool).copied().unwrap_or(0);
            if !map.given.values().all(|at| space.claim(*at, extents)) {
                return Err(damaged());
            }
        }
        let key = (lv.group.clone(), lv.device.clone());
        machine.devices.insert(key, lv.id.clone());
        ids.push(lv.id.clone());
        machine.volumes.insert(lv.id.clone(), lv);
    }
    // What was not in step goes on coming into step.
    ids.iter().for_each(|id| machine.begin_sync(id));
    Ok(())
}

/// Takes the extents that something kept has.
fn claim(machine: &mut Machine, segment: &super::extents::Segment) -> Option<()> {
    let disk = machine.disks.get_mut(&segment.disk)?;
    disk.space
        .claim(segment.start, segment.length)
        .then_some(())
}

/// What a disk of that size is: there are two models.
fn drive(size: u64, serial: u64) -> Drive {
    let (vendor, model, firmware, media, interconnect) = match size < ROTATING_FROM {
        true => (
            "SAMSUNG",
            "MZILT3T8HBLS",
            "GXA0",
            Media::SolidState,
            Interconnect::Sas,
        ),
        false => (
            "SEAGATE",
            "ST8000NM0055",
            "SN05",
            Media::Rotating,
            Interconnect::Sata,
        ),
    };
    Drive {
        vendor: Some(vendor.to_owned()),
        model: Some(model.to_owned()),
        serial: Some(format!("ZA{serial:09X}")),
        firmware: Some(firmware.to_owned()),
        wwn: Some(format!("5000c50{serial:09x}")),
        media,
        interconnect,
    }
}

fn nic(name: &str, mac: &str, address: Ipv4Addr) -> Nic {
    Nic {
        name: name.to_owned(),
        mac: mac.to_owned(),
        speed: Some(10_000_000_000),
        up: true,
        addresses: vec![(IpAddr::V4(address), 24)],
    }
}

/// The Fibre Channel port of that number, with a name that no maker gives.
fn fc_port(number: u32) -> Option<FcPort> {
    Some(FcPort {
        wwn: Wwn::parse(&format!("21000200{number:08x}"))?,
        enabled: true,
        link: FcLink::Direct,
        speed: Some(16_000_000_000),
        max_speed: Some(32_000_000_000),
        health: Health::Ok,
    })
}

fn target(iqn: Iqn, portals: Vec<SocketAddr>) -> Target {
    let id = PortId::Iscsi {
        iqn: iqn.clone(),
        tag: 1,
    };
    let port = Port {
        id,
        enabled: true,
        portals,
        health: Health::Ok,
    };
    Target {
        iqn,
        ports: vec![port],
    }
}

/// 36 bits that tell a disk from others.
fn serial_of(pool: &str, number: u32) -> u64 {
    let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{pool} {number}").as_bytes());
    id.as_u64_pair().0 >> 28
}

/// The device of the disk of that number: 1 is `/dev/sdb`, after `sdz` comes `sdaa`.
fn disk_device(number: u32) -> String {
    let mut letters = Vec::new();
    let mut rest = number + 1;
    while rest > 0 {
        rest -= 1;
        letters.push(char::from(b'a' + u8::try_from(rest % 26).unwrap_or(0)));
        rest /= 26;
    }
    let name: String = letters.iter().rev().collect();
    format!("/dev/sd{name}")
}

#[cfg(test)]
mod tests {
    use super::disk_device;

    #[test]
    fn disks_are_lettered_as_the_kernel_does() {
        for (number, device) in [
            (0, "/dev/sda"),
            (1, "/dev/sdb"),
            (25, "/dev/sdz"),
            (26, "/dev/sdaa"),
        ] {
            assert_eq!(disk_device(number), device);
        }
    }
}
