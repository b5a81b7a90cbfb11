//! Maps: what initiators find, what they never find, and what is refused.

use standpipe::array::{
    InitiatorName, JobId, Kind, MAX_LUN, Map, PortId, Step, Subject, Unwatched,
};

use super::Rig;
use super::bench::*;

pub fn a_mapped_volume_answers_with_its_identifier(rig: &mut dyn Rig) {
    let (first, second) = (finished(rig, "first", 1), finished(rig, "second", 2));
    assert_ne!(first.naa, second.naa);
    let maps = [
        map(rig, &first.id, &host("a"), 1),
        map(rig, &second.id, &host("a"), MAX_LUN),
    ];
    for map in &maps {
        assert!(!rig.engine().is_mapped(map).expect("a look"));
        apply(rig, &Step::Map(map.clone()));
        assert!(rig.engine().is_mapped(map).expect("a look"));
    }
    let seen = rig.luns(&host("a")).expect("it can log in");
    assert_eq!(seen, [(1, first.naa), (MAX_LUN, second.naa)].into());
    assert_eq!(rig.capacity(&host("a"), MAX_LUN), Some(second.size));
    assert_eq!(scan(rig).maps, maps);
    assert_eq!(scan(rig).foreign_maps, []);
}

pub fn every_number_of_flat_addressing_leads_to_its_volume(rig: &mut dyn Rig) {
    let numbers = [0, 255, 256, 16_128, MAX_LUN];
    let volumes = numbers.map(|lun| finished(rig, &format!("number {lun}"), 1));
    for (volume, lun) in volumes.iter().zip(numbers) {
        apply(rig, &Step::Map(map(rig, &volume.id, &host("a"), lun)));
    }
    let wanted = numbers.into_iter().zip(volumes.iter().map(|v| v.naa));
    assert_eq!(rig.luns(&host("a")), Some(wanted.collect()));
    // What is written to one is read from no other.
    assert!(rig.writes(&host("a"), MAX_LUN, 0..volumes[0].size, 0x5a));
    for lun in numbers {
        let byte = if lun == MAX_LUN { 0x5a } else { 0 };
        assert!(
            rig.reads(&host("a"), lun, 0..volumes[0].size, byte),
            "{lun}"
        );
    }
    apply(rig, &Step::Unmap(map(rig, &volumes[2].id, &host("a"), 256)));
    let left = rig.luns(&host("a")).expect("it can log in");
    assert_eq!(
        left.into_keys().collect::<Vec<_>>(),
        [0, 255, 16_128, MAX_LUN]
    );
}

pub fn no_host_reads_old_data(rig: &mut dyn Rig) {
    let extent = extent(rig);
    // What the disks held before.
    let first = finished(rig, "first tenant", 4);
    let shown = map(rig, &first.id, &host("a"), 1);
    apply(rig, &Step::Map(shown.clone()));
    assert!(rig.reads(&host("a"), 1, 0..4 * extent, 0));
    // What a volume that is gone held.
    assert!(rig.writes(&host("a"), 1, 0..4 * extent, 0xee));
    assert!(rig.reads(&host("a"), 1, 0..4 * extent, 0xee));
    apply(rig, &Step::Unmap(shown));
    let (volume, job) = (Subject::Known(first.id), JobId::new());
    apply(
        rig,
        &Step::Mark {
            volume: volume.clone(),
            job,
        },
    );
    apply(rig, &Step::Remove { volume, job });
    let second = finished(rig, "second tenant", 4);
    apply(rig, &Step::Map(map(rig, &second.id, &host("b"), 1)));
    assert!(rig.reads(&host("b"), 1, 0..4 * extent, 0));
}

pub fn another_initiator_sees_nothing(rig: &mut dyn Rig) {
    let volume = finished(rig, "private", 1);
    apply(rig, &Step::Map(map(rig, &volume.id, &host("a"), 1)));
    assert_eq!(rig.luns(&host("b")), None);
    assert_eq!(rig.capacity(&host("b"), 1), None);
    assert!(!rig.writes(&host("b"), 1, 0..volume.size, 1));
}

pub fn capitals_in_a_name_make_no_difference(rig: &mut dyn Rig) {
    let volume = finished(rig, "any case", 1);
    let capitals = InitiatorName::parse("iqn.2026-01.example.host:CAPITALS").expect("a name");
    let step = Step::Map(map(rig, &volume.id, &capitals, 1));
    apply(rig, &step);
    assert!(rig.luns(&host("capitals")).is_some());
    let folded = map(rig, &volume.id, &host("capitals"), 1);
    idle(rig, &Step::Map(folded.clone()));
    apply(rig, &Step::Unmap(folded));
    assert_eq!(rig.luns(&capitals), None);
}

pub fn mapping_twice_is_once(rig: &mut dyn Rig) {
    let volume = finished(rig, "twice", 1);
    let step = Step::Map(map(rig, &volume.id, &host("a"), 1));
    apply(rig, &step);
    idle(rig, &step);
    let undo = Step::Unmap(map(rig, &volume.id, &host("a"), 1));
    apply(rig, &undo);
    idle(rig, &undo);
    assert_eq!(rig.luns(&host("a")), None);
}

pub fn unmapping_takes_that_map_only(rig: &mut dyn Rig) {
    let (one, two) = (finished(rig, "one", 1), finished(rig, "two", 1));
    let kept = [
        map(rig, &one.id, &host("b"), 1),
        map(rig, &two.id, &host("a"), 2),
    ];
    let taken = map(rig, &one.id, &host("a"), 1);
    for map in kept.iter().chain([&taken]) {
        apply(rig, &Step::Map(map.clone()));
    }
    // Another volume stands under that number: this map is not there.
    idle(rig, &Step::Unmap(map(rig, &one.id, &host("a"), 2)));
    idle(rig, &Step::Unmap(map(rig, &one.id, &host("c"), 1)));
    apply(rig, &Step::Unmap(taken));
    assert_eq!(rig.luns(&host("a")), Some([(2, two.naa)].into()));
    assert_eq!(rig.luns(&host("b")), Some([(1, one.naa)].into()));
}

pub fn an_impossible_map_is_refused(rig: &mut dyn Rig) {
    let volume = finished(rig, "good", 1);
    let elsewhere = Map {
        port: PortId::Iscsi {
            iqn: "iqn.2026-01.example.nobody:none".into(),
            tag: 1,
        },
        ..map(rig, &volume.id, &host("a"), 1)
    };
    refused(rig, &Step::Map(elsewhere.clone()), Kind::NotFound);
    idle(rig, &Step::Unmap(elsewhere));
    let too_high = map(rig, &volume.id, &host("a"), MAX_LUN + 1);
    refused(rig, &Step::Map(too_high), Kind::InvalidArgument);

    // Unfinished: it still holds old data.
    let job = JobId::new();
    apply(rig, &create(rig, job, "unfinished", 1));
    let unfinished = by_device(rig, &device(job)).expect("it is there").id;
    let early = Step::Map(map(rig, &unfinished, &host("a"), 1));
    refused(rig, &early, Kind::InUse);
    assert_eq!(rig.luns(&host("a")), None);
}

pub fn a_taken_number_is_refused(rig: &mut dyn Rig) {
    let (one, two) = (finished(rig, "one", 1), finished(rig, "two", 1));
    apply(rig, &Step::Map(map(rig, &one.id, &host("a"), 7)));
    refused(
        rig,
        &Step::Map(map(rig, &two.id, &host("a"), 7)),
        Kind::InUse,
    );
    // The number is free for another initiator.
    apply(rig, &Step::Map(map(rig, &two.id, &host("b"), 7)));
    assert_eq!(rig.luns(&host("a")), Some([(7, one.naa)].into()));
    assert_eq!(rig.luns(&host("b")), Some([(7, two.naa)].into()));
}

pub fn a_foreign_map_is_reported_and_kept(rig: &mut dyn Rig) {
    let theirs = rig.lvcreate("somebodys", extent(rig));
    let foreign = map(rig, &theirs, &host("a"), 4);
    rig.foreign_map(&foreign);
    let facts = scan(rig);
    assert_eq!(facts.maps, []);
    let [reported] = facts.foreign_maps.as_slice() else {
        panic!("{:?}", facts.foreign_maps);
    };
    assert_eq!((&reported.initiator, reported.lun), (&host("a"), 4));
    assert_eq!(reported.port, rig.port());
    assert_eq!(reported.volume.as_ref(), Some(&theirs));
    let seen = facts.volumes.iter().find(|volume| volume.id == theirs);
    let seen = seen.expect("it is listed").naa;
    assert_eq!(
        rig.luns(&host("a")),
        Some([(4, seen)].into()),
        "what hosts see of it"
    );

    let ours = finished(rig, "ours", 1);
    refused(
        rig,
        &Step::Map(map(rig, &ours.id, &host("a"), 4)),
        Kind::InUse,
    );
    refused(rig, &Step::Map(foreign.clone()), Kind::AccessDenied);
    idle(rig, &Step::Unmap(foreign));
    let beside = map(rig, &ours.id, &host("a"), 5);
    apply(rig, &Step::Map(beside.clone()));
    apply(rig, &Step::Unmap(beside));
    rig.engine().converge(&[]).expect("converged");
    let left: Vec<u16> = rig
        .luns(&host("a"))
        .into_iter()
        .flatten()
        .map(|(lun, _)| lun)
        .collect();
    assert_eq!(left, [4]);
}

pub fn a_lost_map_is_seen_and_made_again(rig: &mut dyn Rig) {
    let volume = finished(rig, "lost", 1);
    let wanted = map(rig, &volume.id, &host("a"), 1);
    apply(rig, &Step::Map(wanted.clone()));
    let mark = rig.engine().fingerprint().expect("a mark");
    rig.lose_map(&wanted);
    assert_ne!(rig.engine().fingerprint().expect("a mark"), mark);
    assert!(!rig.engine().is_mapped(&wanted).expect("a look"));
    assert_eq!(scan(rig).maps, []);
    apply(rig, &Step::Map(wanted.clone()));
    assert_eq!(rig.luns(&host("a")), Some([(1, volume.naa)].into()));
    // The undo works on what is left of a map, too.
    rig.lose_map(&wanted);
    apply(rig, &Step::Unmap(wanted));
    let (volume, job) = (Subject::Known(volume.id), JobId::new());
    apply(rig, &Step::Mark { volume, job });
}

pub fn a_target_that_was_taken_down_is_seen_and_made_again(rig: &mut dyn Rig) {
    let volume = finished(rig, "taken down", 1);
    let shown = map(rig, &volume.id, &host("a"), 3);
    apply(rig, &Step::Map(shown.clone()));
    let mark = rig.engine().fingerprint().expect("a mark");
    rig.clear_target();
    assert_ne!(rig.engine().fingerprint().expect("a mark"), mark);
    assert!(!rig.engine().is_mapped(&shown).expect("a look"));
    let facts = scan(rig);
    assert_eq!(facts.maps, []);
    assert!(!facts.targets[0].ports[0].enabled);
    rig.engine()
        .converge(std::slice::from_ref(&shown))
        .expect("converged");
    assert_eq!(rig.luns(&host("a")), Some([(3, volume.naa)].into()));
    assert!(scan(rig).targets[0].ports[0].enabled);
}

pub fn what_another_manager_restored_is_taken_over(rig: &mut dyn Rig) {
    let (one, two) = (finished(rig, "one", 1), finished(rig, "two", 1));
    let shown = [
        map(rig, &one.id, &host("a"), 1),
        map(rig, &two.id, &host("a"), 5),
    ];
    shown
        .iter()
        .for_each(|map| apply(rig, &Step::Map(map.clone())));
    rig.restored_by_another();
    assert_eq!(scan(rig).maps, shown);
    assert!(
        shown
            .iter()
            .all(|map| rig.engine().is_mapped(map).expect("a look"))
    );
    rig.engine().converge(&shown).expect("converged");
    assert_eq!(
        rig.luns(&host("a")),
        Some([(1, one.naa), (5, two.naa)].into())
    );
    // It is hidden and removed like any other.
    apply(rig, &Step::Unmap(shown[1].clone()));
    assert_eq!(rig.luns(&host("a")), Some([(1, one.naa)].into()));
    let (volume, job) = (Subject::Known(two.id), JobId::new());
    apply(rig, &Step::Mark { volume, job });
}

pub fn converging_shows_exactly_what_is_listed(rig: &mut dyn Rig) {
    let (one, two) = (finished(rig, "one", 1), finished(rig, "two", 1));
    let listed = [
        map(rig, &one.id, &host("a"), 1),
        map(rig, &one.id, &host("b"), 1),
    ];
    apply(rig, &Step::Map(listed[0].clone()));
    apply(rig, &Step::Map(map(rig, &two.id, &host("a"), 2)));
    apply(rig, &Step::Map(map(rig, &two.id, &host("c"), 1)));
    for _ in 0..2 {
        rig.engine().converge(&listed).expect("converged");
        assert_eq!(scan(rig).maps, listed);
        assert_eq!(rig.luns(&host("a")), Some([(1, one.naa)].into()));
        assert_eq!(rig.luns(&host("b")), Some([(1, one.naa)].into()));
        assert_eq!(rig.luns(&host("c")), None);
    }
    // A volume that is hidden from all is exported no longer.
    let (volume, job) = (Subject::Known(two.id), JobId::new());
    apply(rig, &Step::Mark { volume, job });
}

pub fn converging_tries_everything(rig: &mut dyn Rig) {
    let (lost, kept) = (finished(rig, "lost", 1), finished(rig, "kept", 1));
    let (volume, job) = (Subject::Known(lost.id.clone()), JobId::new());
    apply(
        rig,
        &Step::Mark {
            volume: volume.clone(),
            job,
        },
    );
    apply(rig, &Step::Remove { volume, job });
    let maps = [
        map(rig, &lost.id, &host("a"), 1),
        map(rig, &kept.id, &host("a"), 2),
    ];
    let error = rig
        .engine()
        .converge(&maps)
        .expect_err("one volume is gone");
    assert_eq!(error.kind, Kind::NotFound, "{error}");
    assert_eq!(rig.luns(&host("a")), Some([(2, kept.naa)].into()));
}

pub fn the_identifier_survives_another_export(rig: &mut dyn Rig) {
    let volume = finished(rig, "again", 1);
    for lun in [1, 9] {
        let shown = map(rig, &volume.id, &host("a"), lun);
        apply(rig, &Step::Map(shown.clone()));
        assert_eq!(rig.luns(&host("a")), Some([(lun, volume.naa)].into()));
        apply(rig, &Step::Unmap(shown));
    }
}

pub fn a_stalled_machine_ends_in_a_timeout(rig: &mut dyn Rig) {
    let volume = finished(rig, "late", 1);
    let late = map(rig, &volume.id, &host("a"), 1);
    if !rig.stall() {
        return;
    }
    let step = Step::Map(late.clone());
    let error = rig.engine().apply(&step, &Unwatched).expect_err("it hangs");
    assert_eq!(error.kind, Kind::Timeout, "{error}");
    // Looks are still answered, and the step goes on when the machine does.
    assert!(!rig.engine().is_mapped(&late).expect("a look"));
    rig.revive();
    assert!(rig.engine().is_mapped(&late).expect("a look"));
    idle(rig, &step);
}
