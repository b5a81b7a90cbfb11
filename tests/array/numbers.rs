//! Device numbers that hosts were shown a while ago: what becomes of them over restarts.

use std::collections::BTreeMap;
use std::time::Duration;

use standpipe::array::{Command, GroupId, Members, Policy, VolumeId};
use standpipe::store::{Batch, Table};

use super::rig::{NOTHING, Rig, host, policy};

/// Hides a volume from all that see it through that group.
fn hide(rig: &Rig, devices: GroupId, volume: &VolumeId) {
    rig.done(Command::RemoveMembers {
        group: devices,
        members: Members::Volumes(vec![volume.clone()]),
        delete_on_empty: None,
    });
}

fn show(rig: &Rig, devices: GroupId, volume: &VolumeId) {
    rig.done(Command::AddMembers {
        group: devices,
        members: Members::Volumes(vec![volume.clone()]),
        luns: Vec::new(),
    });
}

/// The stored records: when each number was retired, in microseconds since 1970.
fn stored(rig: &Rig) -> Vec<u64> {
    let store = rig.medium.image().store();
    let records = store.load::<serde_json::Value>(Table::Retired);
    let records = records.expect("they can be read").into_iter();
    records
        .map(|(_, record)| record["since"].as_u64().expect("a time"))
        .collect()
}

/// The machine's clock said something else when the numbers were retired.
fn retired_at(rig: &mut Rig, since: u64) {
    rig.medium = rig.medium.image();
    let store = rig.medium.store();
    let mut batch = Batch::new();
    let records = store.load::<BTreeMap<String, serde_json::Value>>(Table::Retired);
    for (key, mut record) in records.expect("they can be read") {
        record.insert("since".into(), since.into());
        batch.put(Table::Retired, key, &record);
    }
    store.write(&batch).expect("written");
}

#[test]
fn a_number_is_kept_and_given_back_after_a_restart() {
    for reboot in [false, true] {
        let rig = Rig::new();
        let (shown, [_, _, devices], _) = rig.show_one();
        let other = rig.create("other", 1);
        hide(&rig, devices, &shown);
        assert_eq!(stored(&rig).len(), 1);
        let rig = rig.restart(reboot);
        show(&rig, devices, &other);
        assert_eq!(rig.luns("a"), [2], "1 was another disk");
        show(&rig, devices, &shown);
        assert_eq!(rig.luns("a"), [1, 2]);
        assert_eq!(stored(&rig), [0; 0], "it is in use again");
        rig.assert_whole("at the end");
    }
}

#[test]
fn a_start_forgets_numbers_whose_time_is_up() {
    let mut rig = Rig::new();
    let (shown, [_, _, devices], _) = rig.show_one();
    hide(&rig, devices, &shown);
    retired_at(&mut rig, 1);
    let rig = rig.restart(false);
    assert_eq!(
        (stored(&rig).len(), rig.now().all_retired().count()),
        (0, 0)
    );
    let other = rig.create("other", 1);
    show(&rig, devices, &other);
    assert_eq!(rig.luns("a"), [1]);
}

#[test]
fn a_clock_that_was_set_back_retires_no_number_for_ever() {
    let mut rig = Rig::new();
    let (shown, [_, _, devices], _) = rig.show_one();
    hide(&rig, devices, &shown);
    let [before] = stored(&rig)[..] else {
        panic!("one number is retired");
    };
    retired_at(&mut rig, u64::MAX);
    let rig = rig.restart(false);
    let [since] = stored(&rig)[..] else {
        panic!("it still is");
    };
    let hour = 3_600_000_000;
    assert!((before..before + hour).contains(&since), "it began anew");
}

#[test]
fn the_quarantine_can_be_switched_off() {
    let rig = Rig::new();
    let (shown, [_, _, devices], _) = rig.show_one();
    hide(&rig, devices, &shown);
    let other = rig.create("other", 1);
    rig.mortal.die();
    let policy = Policy {
        lun_quarantine: Duration::ZERO,
        ..policy()
    };
    let rig = Rig::start_with(rig.sim.clone(), rig.medium.image(), policy).expect("it starts");
    assert_eq!(stored(&rig), [0; 0]);
    show(&rig, devices, &other);
    assert_eq!(rig.luns("a"), [1]);
    hide(&rig, devices, &other);
    assert_eq!(stored(&rig), [0; 0]);
    assert_eq!(rig.luns("a"), NOTHING);
}

#[test]
fn what_could_not_be_written_retires_nothing() {
    let rig = Rig::new();
    let (shown, [_, _, devices], _) = rig.show_one();
    rig.mortal.fail_store_at_look(&rig.medium);
    rig.ask(Command::RemoveMembers {
        group: devices,
        members: Members::Volumes(vec![shown]),
        delete_on_empty: None,
    });
    let now = rig.now();
    let is_shown = rig.luns("a") == [1];
    assert_eq!(now.all_retired().count(), usize::from(!is_shown));
    let retired = now.retired(&(host("a"), rig.port(), 1));
    assert_eq!(retired.is_none(), is_shown);
    // The next start comes to the same end.
    let rig = rig.restart(false);
    rig.assert_whole("after a restart");
    assert_eq!(stored(&rig).len(), usize::from(rig.luns("a").is_empty()));
}
