//! The layer over LIO on another fabric than iSCSI, and what becomes of a Fibre Channel port that no
//! adapter has.

use super::*;
use crate::array::{DiskUsage, Health, Naa, Wwn};
use crate::engine::linux::lio::backstore::{self, NAME_PREFIX, Wanted};
use crate::engine::linux::lio::configfs::Configfs;
use crate::engine::linux::lio::{export, read, target};
use std::os::unix::fs::FileExt;

/// A target of this machine's own, and where it is.
const TARGET: &str = "loopback/naa.5001405000000007";

/// The disk by which this machine sees what it exports to itself, if it does.
fn own_disk() -> Option<String> {
    run("udevadm settle");
    let found = run("ls -d /sys/devices/tcm_loop*/*/host*/target*/*/block/sd* 2>/dev/null || true");
    let name = found.trim().rsplit('/').next()?.to_owned();
    (!name.is_empty()).then_some(name)
}

#[test]
#[ignore = "needs the test machine"]
fn vm_a_volume_is_a_disk_of_the_machine_itself_over_loopback() {
    let engine = engine();
    let id = volume(&engine, "loop", 2 * EXTENT);
    let found = volumes(&engine).remove(0);
    let configfs = Configfs::new("/sys/kernel/config/target");
    // As to any host: portal group, backstore, unit.
    let path = format!("/dev/vg0/{}", found.device);
    let name = format!("{NAME_PREFIX}{id}");
    let serial = id.unit_serial();
    let wanted = Wanted {
        name: &name,
        device: &path,
        serial: &serial,
        model: None,
        thin: false,
    };
    for _ in 0..2 {
        target::ensure(&configfs, TARGET, &[]).expect("the target is there");
        target::open(&configfs, TARGET).expect("it is open");
    }
    assert!(target::is_open(&configfs, TARGET));
    assert_eq!(own_disk(), None);
    let place = backstore::create(&configfs, &wanted).expect("a backstore");
    let alias = export::alias(id.as_str());
    let unit = || target::unit_of(&configfs, TARGET, &place, &alias, &serial).expect("a unit");
    assert_eq!(unit(), 0);
    assert_eq!(unit(), 0, "it is found again");
    let disk = own_disk().expect("a disk came");
    // Page 0x83 is what the array promised.
    let wwid = run(&format!("cat /sys/block/{disk}/device/wwid"));
    let digits = wwid.trim().strip_prefix("naa.").expect("an NAA identifier");
    assert_eq!(Naa::parse(digits), Some(found.naa));
    // What is written there is on the volume, and nowhere beside.
    let text = vec![0xa5_u8; 4096];
    let own = fs::OpenOptions::new()
        .write(true)
        .open(format!("/dev/{disk}"));
    let own = own.expect("the disk opens");
    own.write_all_at(&text, EXTENT).expect("written");
    own.sync_all().expect("it is down");
    drop(own);
    let below = fs::File::open(&path).expect("the volume opens for reading");
    let mut bytes = vec![0_u8; 3 * 4096];
    below
        .read_exact_at(&mut bytes, EXTENT - 4096)
        .expect("read");
    drop(below);
    assert_eq!(bytes[4096..8192], text);
    assert!(
        bytes[..4096]
            .iter()
            .chain(&bytes[8192..])
            .all(|byte| *byte == 0)
    );
    // The array knows what it looks at: its own export is no free disk, and no view of anybody.
    let settings = Settings {
        disks: vec!["/dev/sd*".into()],
        ..settings()
    };
    let allowing = LinuxEngine::open(settings).expect("the engine opens");
    let facts = allowing.scan().expect("a scan");
    let seen = facts
        .disks
        .iter()
        .find(|known| known.device == format!("/dev/{disk}"));
    let usage = &seen.expect("it is listed").usage;
    assert!(
        matches!(usage, DiskUsage::Taken(why) if why.contains("itself exports")),
        "{usage:?}"
    );
    assert_eq!((facts.maps, facts.foreign_maps), (Vec::new(), Vec::new()));
    let state = read::state(&configfs).expect("read");
    let target = &state.targets[TARGET];
    let shown = target.units[&0]
        .backstore
        .as_deref()
        .and_then(backstore::volume_of);
    assert_eq!(shown, Some(id.as_str()));
    assert!(target.enabled && target.acls.is_empty());
    // Converging leaves alone what another fabric shows, and so does deleting.
    engine.converge(&[]).expect("converged");
    assert_eq!(own_disk().as_deref(), Some(&*disk));
    let known = Subject::Known(id.clone());
    let job = JobId::new();
    refused(&engine, &Step::Mark { volume: known, job }, Kind::InUse);
    // Taken away, the disk is gone, and so is everything else.
    target::remove_unit(&configfs, TARGET, 0).expect("the unit goes");
    assert_eq!(own_disk(), None);
    backstore::remove(&configfs, &place).expect("the backstore goes");
    target::remove(&configfs, TARGET).expect("the target goes");
    target::remove(&configfs, TARGET).expect("it is gone");
    let left = run("ls -d /sys/kernel/config/target/loopback/naa* 2>/dev/null || true");
    assert_eq!((left.as_str(), &*leftovers()), ("", ""));
    delete(&engine, &id);
}

#[test]
#[ignore = "needs the test machine"]
fn vm_a_fibre_channel_port_of_no_adapter_keeps_nothing_from_iscsi() {
    drop(engine());
    let settings = Settings {
        fc_ports: vec![Wwn::parse("21:00:00:24:ff:12:34:56").expect("a name")],
        ..settings()
    };
    let engine = LinuxEngine::open(settings).expect("the engine opens");
    let id = volume(&engine, "x", EXTENT);
    let wanted = [map(&id, HOST, 1)];
    // Without the module of Fibre Channel, and with it: no adapter has the port.
    for load in ["true", "modprobe tcm_qla2xxx"] {
        run(load);
        let error = engine.converge(&wanted).expect_err("one port is not there");
        assert_eq!(error.kind, Kind::Unavailable, "{load}: {error}");
        let facts = engine.scan().expect("a scan");
        assert_eq!(facts.fc_ports, [], "{load}");
        assert_eq!(facts.targets[0].ports[0].health, Health::Ok);
        assert_eq!(facts.maps, wanted, "{load}");
        assert!(sees(HOST, 1), "{load}");
    }
    let left = run("ls /sys/kernel/config/target/qla2xxx");
    assert!(!left.contains("21:"), "{left}");
    let fc = Map {
        port: PortId::parse("21000024FF123456").expect("a port"),
        ..map(&id, "10000090FA000001", 1)
    };
    refused(&engine, &Step::Map(fc), Kind::Unavailable);
    run("rmdir /sys/kernel/config/target/qla2xxx && modprobe -r tcm_qla2xxx");
    apply(&engine, &Step::Unmap(map(&id, HOST, 1)));
    delete(&engine, &id);
    assert_eq!(leftovers(), "");
}
