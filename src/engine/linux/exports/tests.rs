//! Fibre Channel against a recorded layout: what is written, in which order, and what is read back.

use std::fs;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::array::{FcPort, Health, InitiatorName, Kind, Naa, VolumeId};
use crate::engine::linux::blockdev::Places;
use crate::engine::linux::fc;
use crate::engine::linux::lio::recorded::Kernel;

const PORT: &str = "21:00:00:24:ff:12:ab:56";
const GROUP: &str = "qla2xxx/21:00:00:24:ff:12:ab:56/tpgt_1";
const HOST: &str = "10:00:00:90:fa:00:00:01";
const UUID: &str = "fenRM0-k234-gQIb-Rm07-eV38-eCnN-zmcYOz";

/// A machine with one adapter of one port, which the configuration names.
struct Machine {
    exports: Exports,
    kernel: Arc<Kernel>,
    places: Places,
    _folder: TempDir,
}

impl Machine {
    /// One whose configuration names that port.
    fn naming(port: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let below = |name: &str| {
            let path = folder.path().join(name);
            fs::create_dir(&path).expect("set up");
            path
        };
        let host = below("sys").join("class/fc_host/host7");
        fs::create_dir_all(&host).expect("set up");
        for (file, text) in [
            ("port_name", "0x21000024ff12ab56"),
            ("port_state", "Online"),
            ("port_type", "NPort (fabric via point-to-point)"),
            ("speed", "16 Gbit"),
            ("supported_speeds", "4 Gbit, 8 Gbit, 16 Gbit"),
        ] {
            fs::write(host.join(file), format!("{text}\n")).expect("set up");
        }
        let kernel = Kernel::with(&below("target"), wwn(PORT)).expect("set up");
        let kernel = Arc::new(kernel);
        let settings = Settings {
            fc_ports: vec![wwn(port)],
            lock_folder: below("locks"),
            ..Settings::new(Vec::new(), Vec::new())
        };
        let exports = Exports {
            configfs: Configfs::over(&kernel),
            ..Exports::new(&settings)
        };
        let places = Places {
            sys: folder.path().join("sys"),
            ..Places::default()
        };
        Self {
            exports,
            kernel,
            places,
            _folder: folder,
        }
    }

    fn state(&self) -> State {
        self.exports.state(soon()).expect("read")
    }

    /// The port as the array shows it.
    fn port(&self) -> Option<FcPort> {
        let hosts = fc::hosts(&self.places);
        let port = self.exports.fc_ports()[0];
        fc::seen(port, hosts.get(&port), &self.state())
    }

    fn attribute(&self, path: &str) -> String {
        self.exports.configfs.read(path).expect("an attribute")
    }
}

fn wwn(text: &str) -> Wwn {
    Wwn::parse(text).expect("a name")
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(20))
}

fn volume() -> Exported {
    let id = VolumeId::from(UUID);
    Exported {
        uuid: UUID.into(),
        device: "/dev/disk/by-id/dm-uuid-LVM-x".into(),
        number: (253, 5),
        serial: id.unit_serial(),
        model: None,
        naa: Naa::from_serial(Naa::LIO_COMPANY, &id.unit_serial()),
    }
}

fn map(initiator: &str, lun: u16) -> Map {
    Map {
        port: PortId::FibreChannel(wwn(PORT)),
        initiator: InitiatorName::parse(initiator).expect("a name"),
        lun,
        volume: UUID.into(),
    }
}

#[test]
fn a_volume_goes_through_fibre_channel_and_back() {
    let machine = Machine::naming(PORT);
    let Machine {
        exports, kernel, ..
    } = &machine;
    assert!(matches!(
        machine.port().expect("the adapter has it").health,
        Health::Failed(why) if why.contains("tcm_qla2xxx")
    ));
    exports.prepare(soon()).expect("prepared");
    // Nobody without an ACL is let in, before anybody is.
    assert_eq!(
        kernel.done(),
        [
            "make qla2xxx".to_owned(),
            format!("make qla2xxx/{PORT}"),
            format!("make {GROUP}"),
            format!("write {GROUP}/attrib/generate_node_acls 0"),
            format!("write {GROUP}/attrib/cache_dynamic_acls 0"),
        ]
    );
    let shown = map(HOST, 3);
    exports.show(volume(), &shown, soon()).expect("shown");
    let (unit, acl) = (format!("{GROUP}/lun/lun_0"), format!("{GROUP}/acls/{HOST}"));
    let place = format!("core/iblock_50000/standpipe.{UUID}");
    let serial = volume().serial;
    assert_eq!(
        kernel.done(),
        [
            "make core/iblock_50000".to_owned(),
            format!("make {place}"),
            format!("write {place}/control udev_path=/dev/disk/by-id/dm-uuid-LVM-x"),
            format!("write {place}/udev_path /dev/disk/by-id/dm-uuid-LVM-x"),
            format!("write {place}/wwn/vpd_unit_serial {serial}"),
            format!("write {place}/enable 1"),
            format!("write {place}/attrib/emulate_tpu 0"),
            format!("write {place}/attrib/emulate_tpws 0"),
            format!("make {unit}"),
            format!("link {unit}/standpipe-{UUID} {place}"),
            format!("make {acl}"),
            format!("make {acl}/lun_3"),
            format!("link {acl}/lun_3/standpipe-{UUID} {unit}"),
            format!("write {acl}/lun_3/write_protect 0"),
        ]
    );
    assert!(
        !exports.is_shown(&shown, soon()).expect("a look"),
        "it is closed"
    );
    exports.open(soon()).expect("opened");
    assert_eq!(kernel.done(), [format!("write {GROUP}/enable 1")]);
    exports.open(soon()).expect("open already");
    exports
        .show(volume(), &shown, soon())
        .expect("shown already");
    exports.prepare(soon()).expect("prepared already");
    assert_eq!(kernel.done(), [""; 0], "nothing is done twice");
    assert!(exports.is_shown(&shown, soon()).expect("a look"));
    // What is read back.
    let port = machine.port().expect("it is there");
    assert_eq!((port.enabled, port.health), (true, Health::Ok));
    assert_eq!(port.speed, Some(16_000_000_000));
    let state = machine.state();
    let target = &state.targets[&format!("qla2xxx/{PORT}")];
    let row = &target.acls[HOST][&3];
    assert_eq!((row.ours, row.read_only), (true, false));
    assert_eq!(state.volume_in(target, row), Some(UUID));
    // Hidden, it leaves nothing but the port.
    exports.hide(&shown, soon()).expect("hidden");
    assert_eq!(
        kernel.done(),
        [
            format!("unlink {acl}/lun_3/standpipe-{UUID}"),
            format!("remove {acl}/lun_3"),
            format!("remove {acl}"),
            format!("unlink {unit}/standpipe-{UUID}"),
            format!("remove {unit}"),
            format!("remove {place}"),
            "remove core/iblock_50000".to_owned(),
        ]
    );
    assert_eq!(machine.attribute(&format!("{GROUP}/enable")), "1");
}

#[test]
fn what_another_manager_keeps_in_an_acl_stays() {
    let machine = Machine::naming(PORT);
    let exports = &machine.exports;
    exports.prepare(soon()).expect("prepared");
    let configfs = &exports.configfs;
    // A unit of his, under number 5 of the same host.
    let theirs = format!("{GROUP}/acls/{HOST}/lun_5");
    for folder in ["core/iblock_0", "core/iblock_0/his"] {
        configfs.make(folder).expect("made");
    }
    let unit = format!("{GROUP}/lun/lun_0");
    configfs.make(&unit).expect("made");
    configfs
        .link(&format!("{unit}/his"), "core/iblock_0/his")
        .expect("linked");
    configfs
        .make(&format!("{GROUP}/acls/{HOST}"))
        .expect("made");
    configfs.make(&theirs).expect("made");
    configfs
        .link(&format!("{theirs}/his"), &unit)
        .expect("linked");
    exports
        .show(volume(), &map(HOST, 3), soon())
        .expect("shown");
    let taken = exports.show(volume(), &map(HOST, 5), soon());
    assert_eq!(taken.expect_err("it is his").kind, Kind::InUse);
    let rows = |state: &State| -> Vec<(u64, bool)> {
        let rows = &state.targets[&format!("qla2xxx/{PORT}")].acls[HOST];
        rows.iter()
            .map(|(number, row)| (*number, row.ours))
            .collect()
    };
    assert_eq!(rows(&machine.state()), [(3, true), (5, false)]);
    // Nothing is wanted any more: ours go, his stay.
    exports.sweep(&[], soon()).expect("swept");
    assert_eq!(rows(&machine.state()), [(5, false)]);
}

#[test]
fn only_what_is_configured_and_of_fibre_channel_is_shown() {
    let machine = Machine::naming(PORT);
    let exports = &machine.exports;
    exports.prepare(soon()).expect("prepared");
    machine.kernel.done();
    let stranger = Map {
        port: PortId::parse("21000024FF12AB57").expect("a port"),
        ..map(HOST, 1)
    };
    let iscsi = map("iqn.2026-11.example:host", 1);
    for (wrong, kind) in [(stranger, Kind::NotFound), (iscsi, Kind::InvalidArgument)] {
        let error = exports.show(volume(), &wrong, soon()).expect_err("refused");
        assert_eq!(error.kind, kind, "{error}");
    }
    assert_eq!(machine.kernel.done(), [""; 0]);
}

#[test]
fn a_port_of_no_adapter_is_none_and_fails_alone() {
    let machine = Machine::naming("21:00:00:24:ff:12:ab:57");
    assert_eq!(machine.port(), None);
    let error = machine
        .exports
        .prepare(soon())
        .expect_err("the kernel has no such port");
    assert_eq!(error.kind, Kind::Unavailable, "{error}");
    assert!(error.message.contains("tcm_qla2xxx"), "{error}");
    let missing = Map {
        port: PortId::parse("21000024FF12AB57").expect("a port"),
        ..map(HOST, 1)
    };
    let shown = machine.exports.show(volume(), &missing, soon());
    assert!(shown.expect_err("nowhere").message.contains("tcm_qla2xxx"));
    assert_eq!(machine.port(), None);
    assert_eq!(machine.kernel.done(), ["make qla2xxx"]);
}
