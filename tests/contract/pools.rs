//! Volume groups: made from disks, marked, grown, renamed, removed; and what is refused.

use std::collections::BTreeSet;

use standpipe::array::{
    DiskId, DiskUsage, Health, JobId, Kind, NEW_EXTENT, Owner, Place, PoolId, PoolKind, Snap, Step,
    Subject, VolumeGroup, group_size,
};

use super::Rig;
use super::bench::*;

fn devices(rig: &dyn Rig, disks: &[DiskId]) -> BTreeSet<String> {
    disks.iter().map(|id| disk_device(rig, id)).collect()
}

pub fn a_group_is_made_from_free_disks(rig: &mut dyn Rig) {
    let disks = &rig.spare_disks()[..2];
    let job = JobId::new();
    let step = create_group(job, "Kärn, #1", disks);
    apply(rig, &step);
    idle(rig, &step);
    let pools = scan(rig).pools;
    let made = pools.iter().find(|pool| pool.device == group_device(job));
    let made = made.expect("it is seen at once");
    assert_eq!((&*made.name, made.owner), ("Kärn, #1", Owner::Array));
    assert_eq!((made.job, &made.health), (Some(job), &Health::Ok));
    assert_eq!(made.kind, PoolKind::Group { spare: 0 });
    assert_eq!((made.free, made.available), (made.size, made.size));
    let sizes = disks
        .iter()
        .map(|id| disk(rig, id).expect("it is there").size);
    let told: u64 = sizes.map(|size| group_size(size, NEW_EXTENT)).sum();
    assert_eq!(made.extent, NEW_EXTENT);
    assert!(made.size >= told, "{} of {told}", made.size);
    assert_eq!(made.disks.len(), 2);
    let vg = &rig.vgs()[&made.id];
    assert_eq!(vg.device, group_device(job));
    assert_eq!(vg.disks, devices(rig, disks));
    for id in disks {
        let disk = disk(rig, id).expect("it is there");
        assert_eq!(disk.pool(), Some(&made.id));
        assert_eq!(disk.free(), made.size / 2);
    }
    let group = made_group(job);
    let unmark = Step::UnmarkGroup { group, job };
    apply(rig, &unmark);
    idle(rig, &unmark);
    assert_eq!(pool_now(rig, &made.id).and_then(|pool| pool.job), None);
    finished_at(rig, made, 3, &standpipe::array::Place::ANYWHERE);
    assert_eq!(rig.lvs_in(&made.id).len(), 1);
}

pub fn an_impossible_group_is_refused(rig: &mut dyn Rig) {
    let spare = rig.spare_disks();
    let member = pool(rig).disks[0].clone();
    let job = JobId::new();
    let of = |disks: &[&DiskId]| {
        let disks: Vec<DiskId> = disks.iter().map(|id| (*id).clone()).collect();
        create_group(job, "odd", &disks)
    };
    refused(rig, &of(&[&member]), Kind::InUse);
    refused(rig, &of(&[&spare[0], &rig.dirty_disk()]), Kind::InUse);
    refused(rig, &of(&[&"no such disk".into()]), Kind::NotFound);
    refused(rig, &of(&[]), Kind::InvalidArgument);
    refused(rig, &of(&[&spare[0], &spare[0]]), Kind::InvalidArgument);
    let named = |device: &str, name: &str| Step::CreateGroup {
        device: device.to_owned(),
        name: name.to_owned(),
        disks: vec![spare[0].clone()],
        job,
    };
    let long = "x".repeat(200);
    for device in ["", "a b", "-a", "..", "a/b", "ä", &long] {
        refused(rig, &named(device, "odd"), Kind::InvalidArgument);
    }
    refused(
        rig,
        &named("good", &"x".repeat(2000)),
        Kind::InvalidArgument,
    );
    let taken = pool(rig).device;
    refused(rig, &named(&taken, "odd"), Kind::AlreadyExists);
    // The name of a group that another job makes.
    apply(rig, &named("good", "first"));
    let second = Step::CreateGroup {
        device: "good".to_owned(),
        name: "first".to_owned(),
        disks: vec![spare[0].clone()],
        job: JobId::new(),
    };
    refused(rig, &second, Kind::AlreadyExists);
}

pub fn a_group_is_managed_after_a_reboot_only_when_it_is_named(rig: &mut dyn Rig) {
    let disks = rig.spare_disks();
    let finished = finished_group(rig, "finished", &disks[..1]);
    let job = JobId::new();
    apply(rig, &create_group(job, "begun", &disks[1..2]));
    let configured = pool(rig);
    rig.reboot();
    let seen: Vec<_> = scan(rig).pools.into_iter().map(|pool| pool.id).collect();
    assert_eq!(seen, std::slice::from_ref(&configured.id));
    let usage = disk(rig, &disks[0]).map(|disk| disk.usage);
    assert_ne!(
        usage,
        Some(DiskUsage::Free),
        "somebody's data would be lost"
    );
    assert_eq!(rig.vgs().len(), 3, "it is there all the same");

    let named = [
        VolumeGroup::Known(finished.id.clone()),
        made_group(job),
        VolumeGroup::Known("no such group".into()),
        VolumeGroup::Made("none".to_owned()),
    ];
    rig.engine()
        .manage(&named, &[])
        .expect("the groups are listed");
    assert_eq!(pool_now(rig, &finished.id), Some(finished));
    let begun = scan(rig).pools;
    let begun = begun.iter().find(|pool| pool.device == group_device(job));
    assert_eq!(begun.and_then(|pool| pool.job), Some(job));
    assert!(pool_now(rig, &configured.id).is_some());
}

pub fn a_group_that_is_taken_back_leaves_nothing(rig: &mut dyn Rig) {
    let before = (scan(rig), rig.vgs());
    for reboots in [false, true] {
        let job = JobId::new();
        apply(rig, &create_group(job, "cut", &rig.spare_disks()[..3]));
        if reboots {
            rig.reboot();
            rig.engine().converge(&[]).expect("converged");
            rig.engine()
                .manage(&[made_group(job)], &[])
                .expect("listed");
        }
        let group = made_group(job);
        let remove = Step::RemoveGroup {
            group,
            job,
            disks: Vec::new(),
        };
        apply(rig, &remove);
        assert_eq!((scan(rig), rig.vgs()), before, "after a reboot: {reboots}");
        idle(rig, &remove);
    }
    for id in rig.spare_disks() {
        let usage = disk(rig, &id).map(|disk| disk.usage);
        assert_eq!(usage, Some(DiskUsage::Free));
    }
}

pub fn undoing_a_group_that_was_not_made_leaves_others_alone(rig: &mut dyn Rig) {
    // What was refused because of its name is taken back, too.
    let job = JobId::new();
    let others = pool(rig).device;
    let group = VolumeGroup::Made(others);
    idle(
        rig,
        &Step::RemoveGroup {
            group,
            job,
            disks: Vec::new(),
        },
    );
    let finished = finished_group(rig, "finished", &rig.spare_disks()[..1]);
    let group = VolumeGroup::Made(finished.device);
    idle(
        rig,
        &Step::RemoveGroup {
            group,
            job,
            disks: Vec::new(),
        },
    );
}

pub fn only_a_marked_empty_group_is_removed(rig: &mut dyn Rig) {
    let before = rig.vgs();
    let made = finished_group(rig, "goes", &rig.spare_disks()[..2]);
    let (job, other) = (JobId::new(), JobId::new());
    let known = || VolumeGroup::Known(made.id.clone());
    let remove = Step::RemoveGroup {
        group: known(),
        job,
        disks: Vec::new(),
    };
    refused(rig, &remove, Kind::InUse);
    let mark = |job| Step::MarkGroup {
        group: made.id.clone(),
        job,
    };
    apply(rig, &mark(job));
    idle(rig, &mark(job));
    assert_eq!(pool_now(rig, &made.id).and_then(|pool| pool.job), Some(job));
    refused(rig, &mark(other), Kind::InUse);
    for step in [
        Step::UnmarkGroup {
            group: known(),
            job: other,
        },
        Step::RemoveGroup {
            group: known(),
            job: other,
            disks: Vec::new(),
        },
    ] {
        refused(rig, &step, Kind::InUse);
    }
    let unmark = Step::UnmarkGroup {
        group: known(),
        job,
    };
    apply(rig, &unmark);
    idle(rig, &unmark);
    apply(rig, &mark(job));
    apply(rig, &remove);
    assert_eq!(rig.vgs(), before);
    assert_eq!(pool_now(rig, &made.id), None);
    idle(rig, &remove);

    let made = finished_group(rig, "stays", &rig.spare_disks()[..2]);
    rig.lvcreate_in(&made.id, "somebodys", made.extent);
    apply(
        rig,
        &Step::MarkGroup {
            group: made.id.clone(),
            job,
        },
    );
    let group = VolumeGroup::Known(made.id);
    refused(
        rig,
        &Step::RemoveGroup {
            group,
            job,
            disks: Vec::new(),
        },
        Kind::InUse,
    );
}

/// All that is left in the group is a snapshot, whose source went before it: of what a host wrote
/// nothing else is there any more.
pub fn pools_that_hold_but_a_snapshot_stay(rig: &mut dyn Rig) {
    let before = rig.vgs();
    let group = finished_group(rig, "kept", &rig.spare_disks()[..2]);
    let thin = finished_thin_pool(rig, &group, 4);
    let source = finished_at(rig, &thin, 2, &Place::Thin(thin.id.clone()));
    let shown = written(rig, &source, 1, 0x5A);
    let job = JobId::new();
    let of = vec![Snap {
        source: source.id.clone(),
        device: device(job),
        name: "moment".to_owned(),
        room: None,
    }];
    let taking = Step::Snapshot {
        group: group.id.clone(),
        of,
        job,
    };
    apply(rig, &taking);
    let name = device(job);
    let taken = Subject::Made(group.id.clone(), name.clone());
    apply(
        rig,
        &Step::Unmark {
            volume: taken.clone(),
            job,
        },
    );
    apply(rig, &Step::Unmap(shown));
    remove(rig, Subject::Known(source.id));

    let job = JobId::new();
    let pool = || Subject::Pool(thin.id.clone());
    let marks = [
        Step::MarkGroup {
            group: group.id.clone(),
            job,
        },
        Step::Mark {
            volume: pool(),
            job,
        },
    ];
    let removals = [
        Step::RemoveGroup {
            group: VolumeGroup::Known(group.id.clone()),
            disks: group.disks.clone(),
            job,
        },
        Step::Remove {
            volume: pool(),
            job,
        },
    ];
    for (mark, removal) in marks.iter().zip(&removals) {
        apply(rig, mark);
        refused(rig, removal, Kind::InUse);
    }
    let left = by_device(rig, &name).expect("the snapshot");
    apply(rig, &Step::Map(map(rig, &left.id, &host("a"), 2)));
    assert!(rig.reads(&host("a"), 2, 0..left.size, 0x5A), "it is whole");
    apply(rig, &Step::Unmap(map(rig, &left.id, &host("a"), 2)));
    remove(rig, taken);
    for removal in removals.iter().rev() {
        apply(rig, removal);
    }
    assert_eq!(rig.vgs(), before);
}

pub fn a_group_of_somebody_else_is_not_renamed_or_removed(rig: &mut dyn Rig) {
    let theirs = pool(rig);
    assert_eq!(theirs.owner, Owner::Foreign);
    let job = JobId::new();
    let known = || VolumeGroup::Known(theirs.id.clone());
    for step in [
        Step::MarkGroup {
            group: theirs.id.clone(),
            job,
        },
        Step::UnmarkGroup {
            group: known(),
            job,
        },
        Step::RemoveGroup {
            group: known(),
            job,
            disks: Vec::new(),
        },
        Step::RenamePool {
            pool: theirs.id.clone(),
            name: "ours".to_owned(),
        },
    ] {
        refused(rig, &step, Kind::AccessDenied);
    }
}

pub fn a_group_grows_and_shrinks_by_disks(rig: &mut dyn Rig) {
    let before = (scan(rig), rig.vgs());
    let group = pool(rig).id;
    let disks = rig.spare_disks()[..2].to_vec();
    let (size, free) = (pool(rig).size, pool(rig).free);
    let extend = Step::ExtendGroup {
        group: group.clone(),
        disks: disks.clone(),
    };
    apply(rig, &extend);
    idle(rig, &extend);
    let grown = pool(rig);
    assert!(grown.size >= size + 140 * grown.extent);
    assert_eq!(grown.free - free, grown.size - size);
    assert!(rig.vgs()[&group].disks.is_superset(&devices(rig, &disks)));
    let wrong = |disk: DiskId| Step::ExtendGroup {
        group: group.clone(),
        disks: vec![rig.spare_disks()[2].clone(), disk],
    };
    refused(rig, &wrong(rig.dirty_disk()), Kind::InUse);
    refused(rig, &wrong("no such disk".into()), Kind::NotFound);
    let other = finished_group(rig, "other", &rig.spare_disks()[3..4]);
    refused(rig, &wrong(other.disks[0].clone()), Kind::InUse);
    let job = JobId::new();
    let group_of = VolumeGroup::Known(other.id.clone());
    apply(
        rig,
        &Step::MarkGroup {
            group: other.id,
            job,
        },
    );
    apply(
        rig,
        &Step::RemoveGroup {
            group: group_of,
            job,
            disks: Vec::new(),
        },
    );

    let reduce = Step::ReduceGroup { group, disks };
    apply(rig, &reduce);
    assert_eq!((scan(rig), rig.vgs()), before);
    idle(rig, &reduce);
}

pub fn a_disk_that_is_used_stays(rig: &mut dyn Rig) {
    let group = finished_group(rig, "used", &rig.spare_disks()[..2]);
    let used = &group.disks[1];
    finished_at(rig, &group, 2, &on_disk(used));
    let reduce = |disks: Vec<DiskId>| Step::ReduceGroup {
        group: group.id.clone(),
        disks,
    };
    refused(rig, &reduce(vec![used.clone()]), Kind::InUse);
    refused(rig, &reduce(group.disks.clone()), Kind::InUse);
    apply(rig, &reduce(vec![group.disks[0].clone()]));
    let empty = finished_group(rig, "empty", &rig.spare_disks()[2..3]);
    let last = Step::ReduceGroup {
        group: empty.id,
        disks: empty.disks,
    };
    refused(rig, &last, Kind::InUse);
}

pub fn a_pool_is_renamed(rig: &mut dyn Rig) {
    let before = finished_group(rig, "before", &rig.spare_disks()[..1]);
    let named = |name: &str| Step::RenamePool {
        pool: before.id.clone(),
        name: name.to_owned(),
    };
    apply(rig, &named("After = 100 %"));
    idle(rig, &named("After = 100 %"));
    let after = pool_now(rig, &before.id).expect("still there");
    assert_eq!(after.name, "After = 100 %");
    assert_eq!(after.device, before.device);
    refused(rig, &named(&"ä".repeat(600)), Kind::InvalidArgument);
    apply(rig, &named("before"));
    assert_eq!(pool_now(rig, &before.id), Some(before));
}

pub fn a_group_that_is_gone_is_not_found(rig: &mut dyn Rig) {
    let gone = PoolId::from("000000-0000-0000-0000-0000-0000-000000");
    let job = JobId::new();
    let disks = rig.spare_disks()[..1].to_vec();
    for step in [
        Step::MarkGroup {
            group: gone.clone(),
            job,
        },
        Step::UnmarkGroup {
            group: VolumeGroup::Known(gone.clone()),
            job,
        },
        Step::UnmarkGroup {
            group: made_group(job),
            job,
        },
        Step::ExtendGroup {
            group: gone.clone(),
            disks: disks.clone(),
        },
        Step::ReduceGroup {
            group: gone.clone(),
            disks,
        },
        Step::RenamePool {
            pool: gone.clone(),
            name: "x".to_owned(),
        },
        Step::GrowThinPool {
            pool: gone.clone(),
            size: extent(rig),
            metadata: extent(rig),
        },
        Step::DropMissing {
            group: gone.clone(),
        },
    ] {
        refused(rig, &step, Kind::NotFound);
    }
    for group in [VolumeGroup::Known(gone), made_group(job)] {
        idle(
            rig,
            &Step::RemoveGroup {
                group,
                job,
                disks: Vec::new(),
            },
        );
    }
}

pub fn every_change_of_a_group_moves_the_fingerprint(rig: &mut dyn Rig) {
    let mark = |rig: &dyn Rig| rig.engine().fingerprint().expect("a mark");
    let mut last = mark(rig);
    let mut moved = |rig: &dyn Rig, what: &str| {
        let now = mark(rig);
        assert_ne!(std::mem::replace(&mut last, now), now, "{what}");
    };
    let disks = rig.spare_disks();
    let made = finished_group(rig, "watched", &disks[..1]);
    moved(rig, "a new group");
    apply(
        rig,
        &Step::ExtendGroup {
            group: made.id.clone(),
            disks: disks[1..2].to_vec(),
        },
    );
    moved(rig, "a disk more");
    apply(
        rig,
        &Step::RenamePool {
            pool: made.id,
            name: "seen".to_owned(),
        },
    );
    moved(rig, "another name");
}
