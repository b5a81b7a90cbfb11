//! What clients see of disks: drives, what is built on them, and what suffers with them.

use std::collections::BTreeSet;

use super::*;
use crate::array::{
    Disk, DiskId, DiskKind, DiskUsage, Drive, Error, Facts, GroupFacts, Health, Interconnect,
    Layout, MadeTarget, Map, Media, Naa, Owner, Piece, Pool, PoolId, PoolKind, Progress, Step,
    Thin, VolumeGroup,
};

/// A machine of which these facts are seen and that does nothing.
pub(super) struct Still(pub(super) Facts);

impl Engine for Still {
    fn scan(&self) -> Result<Facts, Error> {
        Ok(self.0.clone())
    }

    fn scan_group(&self, _group: &PoolId) -> Result<GroupFacts, Error> {
        Err(Error::not_supported("it does nothing"))
    }

    fn manage(&self, _groups: &[VolumeGroup], _targets: &[MadeTarget]) -> Result<(), Error> {
        Ok(())
    }

    fn is_mapped(&self, _map: &Map) -> Result<bool, Error> {
        Ok(false)
    }

    fn fingerprint(&self) -> Result<u64, Error> {
        Ok(0)
    }

    fn apply(&self, _step: &Step, _progress: &dyn Progress) -> Result<(), Error> {
        Err(Error::not_supported("it does nothing"))
    }

    fn converge(&self, _maps: &[Map]) -> Result<(), Error> {
        Ok(())
    }
}

const MIB: u64 = 1 << 20;

fn degraded() -> Health {
    Health::Degraded("it lacks a disk".into())
}

fn disk(id: &str, kind: DiskKind, usage: DiskUsage) -> Disk {
    Disk {
        id: id.into(),
        device: format!("/dev/{id}"),
        size: 1000 * MIB,
        kind,
        usage,
        health: Health::Ok,
    }
}

fn taken() -> DiskUsage {
    DiskUsage::Taken("it is a part of something else".into())
}

fn member(pool: &str) -> DiskUsage {
    DiskUsage::Member {
        pool: pool.into(),
        used: 400 * MIB,
        free: 500 * MIB,
        returned: false,
    }
}

fn drive(interconnect: Interconnect) -> DiskKind {
    DiskKind::Drive(Drive {
        vendor: Some("SEAGATE".into()),
        model: Some("ST8000NM0055".into()),
        serial: Some("ZA1".into()),
        firmware: Some("SN05".into()),
        wwn: Some("5000c500a1b2c3d4".into()),
        media: Media::Rotating,
        interconnect,
    })
}

/// Four drives: one with a partition, two in an array of which one has failed, and one of which
/// nothing is known and that nothing is on.
fn some_disks() -> Vec<Disk> {
    let partition = DiskKind::Partition {
        of: "sda".into(),
        start: 8 * MIB,
    };
    let mirror = DiskKind::Raid {
        level: "raid1".into(),
        of: vec!["sdb".into(), "sdc".into()],
    };
    let failed = Disk {
        health: Health::Failed("reads fail".into()),
        ..disk("sdb", drive(Interconnect::Nvme), taken())
    };
    let mirror = Disk {
        health: degraded(),
        ..disk("md0", mirror, member("two"))
    };
    vec![
        disk("sda", drive(Interconnect::Sata), taken()),
        failed,
        disk("sdc", drive(Interconnect::Iscsi), taken()),
        disk("sdd", DiskKind::Drive(Drive::default()), DiskUsage::Free),
        disk("sda1", partition, member("one")),
        mirror,
    ]
}

fn pool(id: &str, kind: PoolKind, disk: &str, health: Health) -> Pool {
    Pool {
        id: id.into(),
        name: id.into(),
        device: id.into(),
        kind,
        owner: Owner::Array,
        job: None,
        size: 900 * MIB,
        free: 500 * MIB,
        available: 500 * MIB,
        extent: 4 * MIB,
        disks: vec![disk.into()],
        health,
    }
}

fn piece(disk: &str, start: u64) -> Piece {
    Piece {
        disk: disk.into(),
        leg: 0,
        start: start * MIB,
        length: 4 * MIB,
    }
}

fn volume(id: &str, pool: &str, pieces: Vec<Piece>, health: Health) -> crate::array::Volume {
    crate::array::Volume {
        id: id.into(),
        name: id.into(),
        device: id.into(),
        pool: pool.into(),
        size: 8 * MIB,
        consumed: Some(8 * MIB),
        layout: Layout::Linear,
        pieces,
        naa: Naa::from_serial(Naa::LIO_COMPANY, id),
        owner: Owner::Array,
        job: None,
        held_by: None,
        created: None,
        health,
        trouble: Default::default(),
        behind: 0,
        replica: None,
        torn: None,
    }
}

/// Two groups: `one` on the partition, `two` on the array of drives, with a thin pool in it.
fn stacked() -> Facts {
    let thin = Thin {
        group: "two".into(),
        promised: 8 * MIB,
        consumed: 12 * MIB,
        metadata: 4 * MIB,
        metadata_used: None,
        layout: Layout::Linear,
        pieces: vec![piece("md0", 100)],
    };
    let group = || PoolKind::Group { spare: 0 };
    Facts {
        fc_ports: Vec::new(),
        pools: vec![
            pool("one", group(), "sda1", Health::Ok),
            pool("two", group(), "md0", degraded()),
            pool("thin", PoolKind::Thin(thin), "md0", Health::Ok),
        ],
        volumes: vec![
            volume(
                "apart",
                "one",
                vec![piece("sda1", 9), piece("sda1", 1)],
                Health::Ok,
            ),
            volume("mirrored", "two", vec![piece("md0", 4)], degraded()),
            volume("thinly", "thin", Vec::new(), Health::Ok),
        ],
        disks: some_disks(),
        stray_targets: Vec::new(),
        targets: Vec::new(),
        nics: Vec::new(),
        maps: Vec::new(),
        foreign_maps: Vec::new(),
        foreign_targets: Default::default(),
        sessions: Vec::new(),
    }
}

fn stacked_client() -> Client {
    Client::of(array(Arc::new(Still(stacked()))), machine::simulated())
}

fn number(instance: &Instance, property: &str) -> Option<i128> {
    let property = instance.property(property)?;
    property.value.as_ref()?.as_integer()
}

/// What identifies each, in alphabetical order.
fn ids(all: &[(ObjectPath, Instance)]) -> Vec<String> {
    let id = |one: &Instance| {
        let keys = ["DeviceID", "InstanceID", "Name"].map(|key| text(one, key));
        keys.into_iter().find(|key| !key.is_empty())
    };
    let mut ids: Vec<_> = all.iter().filter_map(|(_, one)| id(one)).collect();
    ids.sort();
    ids
}

impl Client {
    fn device(&self, class: &str, id: &str) -> (ObjectPath, Instance) {
        let named = |(_, one): &(ObjectPath, Instance)| text(one, "DeviceID") == id;
        let found = self.instances(class).into_iter().find(named);
        found.expect("it is there")
    }

    fn drive(&self, id: &str) -> (ObjectPath, Instance) {
        self.device("CIM_DiskDrive", id)
    }

    fn extent(&self, id: &str) -> (ObjectPath, Instance) {
        self.device("Standpipe_StorageExtent", id)
    }

    /// What an element of that role in an association is associated with.
    fn from(&self, object: &ObjectPath, role: &str, association: &str) -> Vec<String> {
        ids(&self.associated(object, association, Some(role)))
    }

    fn suffering(&self, cause: &ObjectPath) -> Vec<String> {
        self.from(cause, "Antecedent", "CIM_RelatedElementCausingError")
    }

    fn blamed(&self, effect: &ObjectPath) -> Vec<String> {
        self.from(effect, "Dependent", "CIM_RelatedElementCausingError")
    }
}

#[test]
fn steps_between_disks_lead_there_and_back() {
    let gateway = gateway(array(Arc::new(Still(stacked()))), machine::simulated());
    let faults = View::catalog().faults_in(&gateway.snapshot());
    assert_eq!(faults, Vec::<String>::new());
}

#[test]
fn a_drive_tells_what_the_kernel_knows_and_no_more() {
    let client = stacked_client();
    assert_eq!(
        ids(&client.instances("CIM_DiskDrive")),
        ["sda", "sdb", "sdc", "sdd"]
    );
    for (id, interconnect, other) in [
        ("sda", 4, ""),
        ("sdb", 1, "NVMe"),
        ("sdc", 1, "iSCSI"),
        ("sdd", 0, ""),
    ] {
        let drive = client.drive(id).1;
        assert_eq!(number(&drive, "InterconnectType"), Some(interconnect));
        assert_eq!(text(&drive, "OtherInterconnectType"), other, "{id}");
        assert_eq!(text(&drive, "Name"), format!("/dev/{id}"));
    }
    let (sda, known) = client.drive("sda");
    assert_eq!(text(&known, "ElementName"), "SEAGATE ST8000NM0055");
    assert_eq!(number(&known, "DiskType"), Some(2));
    let firmware = client.through(&sda, "CIM_ElementSoftwareIdentity");
    let (_, firmware) = firmware.first().expect("firmware");
    assert_eq!(text(firmware, "VersionString"), "SN05");
    let packages = client.through(&sda, "CIM_Realizes");
    let (_, package) = packages.first().expect("a package");
    assert_eq!(text(package, "Manufacturer"), "SEAGATE");
    assert_eq!(text(package, "SerialNumber"), "ZA1");

    let (sdd, unknown) = client.drive("sdd");
    assert_eq!(text(&unknown, "ElementName"), "/dev/sdd");
    assert_eq!(number(&unknown, "DiskType"), Some(0));
    assert!(
        client
            .through(&sdd, "CIM_ElementSoftwareIdentity")
            .is_empty()
    );
    let packages = client.through(&sdd, "CIM_Realizes");
    let (_, package) = packages.first().expect("a package");
    assert_eq!(shown(package, "Manufacturer"), None);
}

#[test]
fn firmware_of_drives_is_not_installed_on_the_array() {
    let client = stacked_client();
    let system = client.only("Standpipe_ComputerSystem").0;
    let installed = client.through(&system, "CIM_InstalledSoftwareIdentity");
    assert_eq!(names(&installed), ["Standpipe_SoftwareIdentity"]);
    assert_eq!(client.instances("Standpipe_DriveFirmware").len(), 3);
}

#[test]
fn the_chassis_holds_the_drives_that_no_network_leads_to() {
    let client = stacked_client();
    let chassis = client.only("CIM_Chassis").0;
    let inside = client.through(&chassis, "CIM_Container");
    let tags: Vec<_> = inside.iter().map(|(_, p)| text(p, "Tag")).collect();
    assert_eq!(tags, ["sda", "sdb", "sdd"]);
    // Who looks for the package of the array finds the chassis alone.
    let system = client.only("Standpipe_ComputerSystem").0;
    let packages = client.through(&system, "CIM_SystemPackaging");
    assert_eq!(names(&packages), ["Standpipe_Chassis"]);
}

#[test]
fn each_drive_has_one_primordial_extent_and_nothing_else_is_primordial() {
    let client = stacked_client();
    for (path, drive) in client.instances("CIM_DiskDrive") {
        let media = client.through(&path, "CIM_MediaPresent");
        assert_eq!(ids(&media), [text(&drive, "DeviceID")]);
        assert_eq!(
            shown(&media[0].1, "Primordial").as_deref(),
            Some("Some(Boolean(true))")
        );
    }
    for id in ["sda1", "md0"] {
        let (path, extent) = client.extent(id);
        assert_eq!(
            shown(&extent, "Primordial").as_deref(),
            Some("Some(Boolean(false))")
        );
        assert!(client.through(&path, "CIM_MediaPresent").is_empty());
    }
}

#[test]
fn volumes_partitions_and_arrays_are_based_on_what_they_lie_on() {
    let client = stacked_client();
    let volume = |id: &str| client.device("CIM_StorageVolume", id).0;
    let extent = |id: &str| client.extent(id).0;
    let below = |path: &ObjectPath| client.from(path, "Dependent", "CIM_BasedOn");
    let above = |path: &ObjectPath| client.from(path, "Antecedent", "CIM_BasedOn");
    assert_eq!(below(&volume("apart")), ["sda1"]);
    assert_eq!(below(&volume("mirrored")), ["md0"]);
    assert_eq!(below(&volume("thinly")), ["md0"], "as its pool does");
    assert_eq!(below(&extent("sda1")), ["sda"]);
    assert_eq!(below(&extent("md0")), ["sdb", "sdc"]);
    assert!(below(&extent("sda")).is_empty());
    assert_eq!(above(&extent("sda1")), ["apart"]);
    assert_eq!(above(&extent("md0")), ["mirrored", "thinly"]);
    assert_eq!(above(&extent("sdb")), ["md0"]);
    assert!(above(&extent("sdd")).is_empty());
}

#[test]
fn addresses_are_the_first_and_the_last_block_below() {
    let client = stacked_client();
    let addresses: Vec<_> = client
        .instances("CIM_BasedOn")
        .iter()
        .map(|(_, based)| {
            let end = |role| {
                let property = based.property(role).and_then(|p| p.value.as_ref());
                let path = property.and_then(Value::as_reference).expect("a path");
                let keys = path.keys.as_ref().expect("keys");
                keys.text("DeviceID").expect("a device").to_owned()
            };
            let number = |property| number(based, property);
            (
                format!("{} on {}", end("Dependent"), end("Antecedent")),
                number("OrderIndex").expect("an order"),
                number("StartingAddress").zip(number("EndingAddress")),
            )
        })
        .collect();
    let blocks = |from: u64, to: u64| {
        let block = |mib: u64| i128::from(mib * MIB / 512);
        Some((block(from), block(to) - 1))
    };
    let wanted = [
        ("md0 on sdb", 1, None),
        ("md0 on sdc", 2, None),
        ("sda1 on sda", 1, blocks(8, 1008)),
        ("mirrored on md0", 1, blocks(4, 8)),
        ("thinly on md0", 1, blocks(100, 104)),
        // From the first to the last, whatever lies in between.
        ("apart on sda1", 1, blocks(1, 13)),
    ];
    let wanted: BTreeSet<_> = wanted
        .map(|(what, at, on)| (what.to_owned(), at, on))
        .into();
    assert_eq!(addresses.len(), wanted.len());
    assert_eq!(BTreeSet::from_iter(addresses), wanted);
}

#[test]
fn pools_depend_on_the_drives_below_them() {
    let client = stacked_client();
    let drives = |class: &str| {
        let pools = client.instances(class).into_iter();
        let each = pools.map(|(path, pool)| {
            let drives = client.from(&path, "Dependent", "CIM_ConcreteDependency");
            (text(&pool, "ElementName"), drives.join(" "))
        });
        each.collect::<Vec<_>>()
    };
    let pool = |name: &str, drives: &str| (name.to_owned(), drives.to_owned());
    assert_eq!(
        drives("CIM_StoragePool"),
        [
            pool("All disks", "sda sdb sdc sdd"),
            pool("one", "sda"),
            pool("thin", "sdb sdc"),
            pool("two", "sdb sdc"),
        ]
    );
}

#[test]
fn a_failed_drive_is_blamed_for_what_lies_on_it_and_suffers_and_for_nothing_else() {
    let client = stacked_client();
    let system = client.only("Standpipe_ComputerSystem").0;
    let primordial = "Standpipe:Pool:primordial";
    let (thin, pool, array) = (
        "Standpipe:Pool:thin",
        "Standpipe:Pool:two",
        "standpipe-test",
    );
    assert_eq!(
        client.suffering(&client.drive("sdb").0),
        [primordial, thin, pool, "md0", "mirrored", array, "thinly"]
    );
    for id in ["sda", "sdc", "sdd"] {
        assert!(client.suffering(&client.drive(id).0).is_empty(), "{id}");
    }
    let (md0, _) = client.extent("md0");
    assert_eq!(
        client.suffering(&md0),
        [primordial, thin, pool, "mirrored", array, "thinly"]
    );
    assert_eq!(client.blamed(&md0), ["sdb"]);
    for suffers in ["mirrored", "thinly"] {
        let (volume, _) = client.device("CIM_StorageVolume", suffers);
        assert_eq!(client.blamed(&volume), ["md0", "sdb"], "{suffers}");
    }
    let (apart, _) = client.device("CIM_StorageVolume", "apart");
    assert!(client.blamed(&apart).is_empty(), "it is well");
    assert_eq!(
        client.blamed(&system),
        [thin, pool, "md0", "mirrored", "sdb", "thinly"]
    );
    // The extent on the drive's medium is the drive once more.
    assert!(client.suffering(&client.extent("sdb").0).is_empty());
}

#[test]
fn a_pulled_disk_leads_to_exactly_the_volumes_that_lie_on_it() {
    let engine = SimEngine::builder()
        .pool("left", 2, 1 << 40)
        .pool("right", 2, 1 << 40)
        .volumes(6);
    let engine = engine.build().expect("a simulated array");
    let facts = engine.scan().expect("it can be looked at");
    let lies_on = |disk: &DiskId| {
        let volumes = facts.volumes.iter();
        let on = volumes.filter(|v| v.pieces.iter().any(|piece| piece.disk == *disk));
        on.map(|v| v.id.to_string()).collect::<BTreeSet<_>>()
    };
    let disks = facts.disks.iter().map(|disk| &disk.id);
    let pulled = disks.max_by_key(|disk| lies_on(disk).len());
    let pulled = pulled.expect("a disk");
    assert!(!lies_on(pulled).is_empty() && lies_on(pulled).len() < facts.volumes.len());
    assert!(engine.pull_disk(pulled, true));

    let client = Client::of(array(Arc::new(engine)), machine::simulated());
    let (drive, instance) = client.drive(pulled.as_str());
    assert_eq!(number(&instance, "HealthState"), Some(25));
    let why = shown(&instance, "StatusDescriptions").expect("a sentence");
    assert!(why.contains("missing"), "{why}");
    let suffering = client.associated(&drive, "CIM_RelatedElementCausingError", Some("Antecedent"));
    let volumes = suffering
        .iter()
        .filter(|(path, _)| path.class == "Standpipe_StorageVolume");
    let volumes: BTreeSet<_> = volumes.map(|(_, v)| text(v, "DeviceID")).collect();
    assert_eq!(volumes, lies_on(pulled));
    let pools = names(&suffering)
        .into_iter()
        .filter(|class| *class == "Standpipe_StoragePool");
    assert_eq!(pools.count(), 1, "the other group is whole");
    let drives = client.central("Disk Drive Lite").len();
    assert_eq!(drives, facts.disks.len());
    assert!(client.central("Health").contains(&drive));
}
