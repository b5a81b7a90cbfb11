//! Snapshots and clones: whose content they have, what they take, and what becomes of them.

use standpipe::array::{
    Health, JobId, Kind, Place, Pool, Relation, Replica, ReplicaKind, SNAPSHOT_CHUNK, Snap, Step,
    Subject, Taken, Torn, Volume,
};

use super::Rig;
use super::bench::*;
use super::thin::{thin_of, thin_pool};

/// Room for everything of a volume that can change, as the planner asks for it.
fn whole_room(rig: &dyn Rig, of: &Volume) -> u64 {
    let chunks = of.size / SNAPSHOT_CHUNK;
    let tables = chunks / (SNAPSHOT_CHUNK / 16) + 1;
    ((1 + chunks + tables) * SNAPSHOT_CHUNK).next_multiple_of(extent(rig))
}

/// One of the snapshots that a job takes.
fn snap(of: &Volume, device: String, room: Option<u64>) -> Snap {
    Snap {
        source: of.id.clone(),
        name: format!("moment of {}", of.name),
        device,
        room,
    }
}

fn taking(rig: &dyn Rig, job: JobId, of: Vec<Snap>) -> Step {
    Step::Snapshot {
        group: rig.pool(),
        of,
        job,
    }
}

fn unmark(volume: Subject, job: JobId) -> Step {
    Step::Unmark { volume, job }
}

fn known(volume: &Volume) -> Subject {
    Subject::Known(volume.id.clone())
}

/// Takes a finished snapshot; none for a thin one's room.
fn snapshot(rig: &dyn Rig, of: &Volume, room: Option<u64>) -> Volume {
    let job = JobId::new();
    apply(rig, &taking(rig, job, vec![snap(of, device(job), room)]));
    apply(rig, &unmark(made(rig, job), job));
    by_device(rig, &device(job)).expect("the snapshot that was taken")
}

fn relation(rig: &dyn Rig, volume_: &Volume) -> Option<Replica> {
    volume(rig, &volume_.id).expect("it is there").replica
}

/// Shows a volume to host `a`.
fn show(rig: &dyn Rig, volume: &Volume, lun: u16) {
    apply(rig, &Step::Map(map(rig, &volume.id, &host("a"), lun)));
}

fn hide(rig: &dyn Rig, volume: &Volume, lun: u16) {
    apply(rig, &Step::Unmap(map(rig, &volume.id, &host("a"), lun)));
}

/// Writes to whole extents of what host `a` sees.
#[track_caller]
fn writes(rig: &dyn Rig, lun: u16, extents: std::ops::Range<u64>, byte: u8) {
    let extent = extent(rig);
    let range = extents.start * extent..extents.end * extent;
    assert!(rig.writes(&host("a"), lun, range, byte), "{extents:?}");
}

/// Reads, extent by extent, what host `a` sees: one byte for each.
#[track_caller]
fn reads(rig: &dyn Rig, lun: u16, wanted: &[u8]) {
    let extent = extent(rig);
    for (at, byte) in (0..).zip(wanted) {
        let range = at * extent..(at + 1) * extent;
        assert!(
            rig.reads(&host("a"), lun, range, *byte),
            "extent {at} of number {lun} does not hold {byte:#x}"
        );
    }
}

/// A thin volume, shown as that number, and its pool.
fn thin_volume(rig: &dyn Rig, pool: &Pool, extents: u64, lun: u16) -> Volume {
    let made = finished_at(rig, pool, extents, &Place::Thin(pool.id.clone()));
    show(rig, &made, lun);
    made
}

fn mark(volume: &Volume, job: JobId) -> Step {
    Step::Mark {
        volume: known(volume),
        job,
    }
}

fn removal(rig: &dyn Rig, volume: &Volume) {
    let job = JobId::new();
    apply(rig, &mark(volume, job));
    let volume = known(volume);
    apply(rig, &Step::Remove { volume, job });
}

/// Copies one finished, hidden volume onto another.
fn copy(rig: &dyn Rig, from: &Volume, to: &Volume) {
    let job = JobId::new();
    apply(rig, &mark(from, job));
    apply(rig, &mark(to, job));
    let step = Step::Copy {
        from: known(from),
        to: known(to),
        fresh: false,
        job,
    };
    apply(rig, &step);
    apply(rig, &unmark(known(from), job));
    apply(rig, &unmark(known(to), job));
}

pub fn a_snapshot_keeps_what_its_source_held(rig: &mut dyn Rig) {
    let source = finished(rig, "source", 4);
    written(rig, &source, 1, 0x11);
    let before = pool(rig);
    let room = whole_room(rig, &source);
    let job = JobId::new();
    let step = taking(rig, job, vec![snap(&source, device(job), Some(room))]);
    apply(rig, &step);
    idle(rig, &step);
    let made_ = by_device(rig, &device(job)).expect("it was taken");
    assert_eq!(made_.job, Some(job), "it is not finished");
    let shown = Step::Map(map(rig, &made_.id, &host("a"), 2));
    refused(rig, &shown, Kind::InUse);
    apply(rig, &unmark(made(rig, job), job));

    let taken = volume(rig, &made_.id).expect("it is there");
    assert_eq!((&*taken.name, taken.job), ("moment of source", None));
    assert_eq!((taken.size, &taken.health), (source.size, &Health::Ok));
    assert_eq!(taken.consumed, Some(room));
    assert_eq!(before.free - pool(rig).free, room);
    assert_ne!(taken.naa, source.naa);
    let replica = taken.replica.clone().expect("it is a replica");
    assert_eq!(replica.source, source.id);
    assert!(replica.taken.is_some());
    let ReplicaKind::Delta {
        room: has,
        used: Some(used),
        broken: false,
    } = replica.kind
    else {
        panic!("{replica:?}");
    };
    assert_eq!(has, room);
    assert!(used < room);
    assert_eq!(relation(rig, &source), None, "the source is none");

    show(rig, &taken, 2);
    assert_eq!(rig.capacity(&host("a"), 2), Some(source.size));
    writes(rig, 1, 1..3, 0x22);
    reads(rig, 2, &[0x11; 4]);
    writes(rig, 2, 0..2, 0x33);
    reads(rig, 2, &[0x33, 0x33, 0x11, 0x11]);
    reads(rig, 1, &[0x11, 0x22, 0x22, 0x11]);
    let after = relation(rig, &taken).expect("still");
    assert_eq!((after.source, after.taken), (source.id, replica.taken));
    let ReplicaKind::Delta {
        used: Some(now), ..
    } = after.kind
    else {
        panic!("still the same kind");
    };
    assert!(used < now && now <= room, "{used} {now} {room}");
}

pub fn a_thin_snapshot_shares_what_has_not_changed(rig: &mut dyn Rig) {
    let (thin, _) = thin_pool(rig, 16);
    let extent = thin.extent;
    let source = thin_volume(rig, &thin, 6, 1);
    writes(rig, 1, 0..4, 0x11);
    let taken = snapshot(rig, &source, None);
    let now = || pool_now(rig, &thin.id).expect("the thin pool");
    assert_eq!((&taken.pool, taken.size), (&thin.id, source.size));
    assert!(taken.pieces.is_empty());
    let replica = taken.replica.clone().expect("it is a replica");
    assert_eq!(replica.source, source.id);
    assert_eq!(replica.kind, ReplicaKind::Shared);
    assert!(replica.taken.is_some());
    assert_eq!(thin_of(&now()).promised, 12 * extent);
    assert_eq!(now().free, 12 * extent, "it takes nothing by itself");
    assert_eq!(rig.thin_used(&taken.id), 4 * extent);

    show(rig, &taken, 2);
    writes(rig, 1, 0..1, 0x22);
    assert_eq!(now().free, 11 * extent, "what changes is shared no more");
    writes(rig, 1, 0..1, 0x23);
    assert_eq!(now().free, 11 * extent);
    writes(rig, 2, 1..2, 0x33);
    writes(rig, 2, 5..6, 0x34);
    assert_eq!(now().free, 9 * extent);
    reads(rig, 1, &[0x23, 0x11, 0x11, 0x11, 0, 0]);
    reads(rig, 2, &[0x11, 0x33, 0x11, 0x11, 0, 0x34]);
    hide(rig, &taken, 2);
    removal(rig, &taken);
    assert_eq!(now().free, 12 * extent, "what the source has stays");
    reads(rig, 1, &[0x23, 0x11, 0x11, 0x11, 0, 0]);
}

pub fn a_thin_source_can_go_before_its_snapshot(rig: &mut dyn Rig) {
    let (thin, _) = thin_pool(rig, 8);
    let extent = thin.extent;
    let source = thin_volume(rig, &thin, 4, 1);
    writes(rig, 1, 0..2, 0x11);
    let taken = snapshot(rig, &source, None);
    hide(rig, &source, 1);
    removal(rig, &source);
    let free = pool_now(rig, &thin.id).expect("the thin pool").free;
    assert_eq!(free, 6 * extent);
    show(rig, &taken, 2);
    reads(rig, 2, &[0x11, 0x11, 0, 0]);
    // A snapshot of a snapshot is one as any other.
    let second = snapshot(rig, &taken, None);
    let replica = second.replica.expect("it is a replica");
    assert_eq!(replica.source, taken.id);
}

pub fn snapshots_of_several_are_taken_at_once(rig: &mut dyn Rig) {
    let (thin, _) = thin_pool(rig, 8);
    let first = finished(rig, "first", 2);
    written(rig, &first, 1, 0x11);
    let second = thin_volume(rig, &thin, 2, 2);
    writes(rig, 2, 0..2, 0x12);
    let job = JobId::new();
    let names = [format!("{}-2", device(job)), device(job)];
    let [a, b] = names.clone();
    let of = vec![
        snap(&first, a, Some(whole_room(rig, &first))),
        snap(&second, b, None),
    ];
    let step = taking(rig, job, of);
    apply(rig, &step);
    idle(rig, &step);
    // One that is missing is of no use: all are taken anew.
    let one = Subject::Made(rig.pool(), names[0].clone());
    apply(rig, &Step::Remove { volume: one, job });
    writes(rig, 1, 0..1, 0x21);
    writes(rig, 2, 0..1, 0x22);
    apply(rig, &step);
    for device in &names {
        let volume = Subject::Made(rig.pool(), device.clone());
        apply(rig, &unmark(volume, job));
    }
    writes(rig, 1, 0..2, 0x31);
    writes(rig, 2, 0..2, 0x32);
    for (device, lun, wanted) in [(&names[0], 3, [0x21, 0x11]), (&names[1], 4, [0x22, 0x12])] {
        let taken = by_device(rig, device).expect("it was taken");
        show(rig, &taken, lun);
        reads(rig, lun, &wanted);
    }
}

pub fn an_impossible_snapshot_is_refused(rig: &mut dyn Rig) {
    let extent = extent(rig);
    let (thin, _) = thin_pool(rig, 2);
    let source = finished(rig, "source", 2);
    let sparse = thin_volume(rig, &thin, 4, 1);
    let other = finished(rig, "other", 1);
    let foreign = rig.lvcreate("theirs", extent);
    let foreign = volume(rig, &foreign).expect("it is listed");
    let gone = Volume {
        id: "000000-0000-0000-0000-0000-0000-000000".into(),
        ..source.clone()
    };
    let job = JobId::new();
    let room = Some(whole_room(rig, &source));
    let much = Some((pool(rig).available / extent + 1) * extent);
    let table = [
        (snap(&gone, device(job), room), Kind::NotFound),
        (snap(&foreign, device(job), room), Kind::AccessDenied),
        (snap(&source, device(job), None), Kind::InvalidArgument),
        (snap(&source, device(job), Some(512)), Kind::InvalidArgument),
        (snap(&sparse, device(job), room), Kind::InvalidArgument),
        (snap(&source, device(job), much), Kind::NoSpace),
        (
            snap(&source, other.device.clone(), room),
            Kind::AlreadyExists,
        ),
        (snap(&source, "no/name".into(), room), Kind::InvalidArgument),
    ];
    for (snap, kind) in table {
        refused(rig, &taking(rig, job, vec![snap]), kind);
    }
    // All or none.
    let second = format!("{}-2", device(job));
    let of = vec![
        snap(&source, device(job), room),
        snap(&other, second.clone(), much),
    ];
    refused(rig, &taking(rig, job, of), Kind::NoSpace);
    let taken = snapshot(rig, &source, room);
    let of = vec![snap(&taken, second, room)];
    refused(rig, &taking(rig, job, of), Kind::InvalidArgument);
    // What another job changes stands for nothing.
    apply(rig, &mark(&other, JobId::new()));
    let of = vec![snap(&other, device(job), room)];
    refused(rig, &taking(rig, job, of), Kind::InUse);
    // A full pool has no room for what will change.
    writes(rig, 1, 0..2, 0x11);
    let of = vec![snap(&sparse, device(job), None)];
    refused(rig, &taking(rig, job, of), Kind::NoSpace);
}

pub fn a_snapshot_without_room_is_lost(rig: &mut dyn Rig) {
    let extent = extent(rig);
    let source = finished(rig, "source", 3);
    written(rig, &source, 1, 0x11);
    let small = snapshot(rig, &source, Some(extent));
    let large = snapshot(rig, &source, Some(whole_room(rig, &source)));
    show(rig, &small, 2);
    show(rig, &large, 3);
    writes(rig, 1, 0..2, 0x22);
    reads(rig, 1, &[0x22, 0x22, 0x11]);
    reads(rig, 3, &[0x11; 3]);
    assert!(!rig.reads(&host("a"), 2, 0..extent, 0x11), "it is lost");
    let lost = volume(rig, &small.id).expect("it is listed");
    let Health::Failed(why) = &lost.health else {
        panic!("it is lost: {:?}", lost.health);
    };
    assert!(why.len() > 20, "{why}");
    assert!(lost.is_broken());
    assert_eq!(lost.depends_on(), Some(&source.id));
    let whole = volume(rig, &large.id).expect("it is listed");
    assert!(!whole.is_broken());
    assert_eq!(whole.health, Health::Ok);
    hide(rig, &small, 2);
    removal(rig, &small);
    reads(rig, 1, &[0x22, 0x22, 0x11]);
}

pub fn a_source_stays_as_it_is_while_snapshots_need_it(rig: &mut dyn Rig) {
    let extent = extent(rig);
    let before = pool(rig);
    let source = finished(rig, "source", 2);
    let taken = snapshot(rig, &source, Some(whole_room(rig, &source)));
    let job = JobId::new();
    for step in creation(rig, job, "reserve", 1).into_iter().take(2) {
        apply(rig, &step);
    }
    let absorb = |volume: &Volume| Step::Absorb {
        volume: volume.id.clone(),
        reserve: made(rig, job),
        size: 3 * extent,
        job,
    };
    let shrink = |volume: &Volume| Step::Shrink {
        volume: volume.id.clone(),
        size: extent,
    };
    refused(rig, &absorb(&source), Kind::HasDependents);
    refused(rig, &absorb(&taken), Kind::InvalidArgument);
    refused(rig, &shrink(&source), Kind::HasDependents);
    refused(rig, &shrink(&taken), Kind::InvalidArgument);
    apply(rig, &mark(&source, job));
    let remove = Step::Remove {
        volume: known(&source),
        job,
    };
    refused(rig, &remove, Kind::HasDependents);
    removal(rig, &taken);
    apply(rig, &remove);
    let volume = made(rig, job);
    apply(rig, &Step::Remove { volume, job });
    assert_eq!(pool(rig), before);
}

pub fn a_copy_overwrites_the_whole_new_volume(rig: &mut dyn Rig) {
    let extent = extent(rig);
    let source = finished(rig, "source", 3);
    written(rig, &source, 1, 0x11);
    writes(rig, 1, 1..2, 0);
    let job = JobId::new();
    let moment = format!("{}-2", device(job));
    let of = vec![snap(
        &source,
        moment.clone(),
        Some(whole_room(rig, &source)),
    )];
    apply(rig, &create(rig, job, "clone", 5));
    apply(rig, &taking(rig, job, of));
    // What is written from now on is not of that moment.
    writes(rig, 1, 0..1, 0x22);
    let from = Subject::Made(rig.pool(), moment);
    let step = Step::Copy {
        from: from.clone(),
        to: made(rig, job),
        fresh: true,
        job,
    };
    let noted = Noted::default();
    rig.engine().apply(&step, &noted).expect("it is copied");
    let reports = noted.reports.into_inner().expect("no panic");
    assert_eq!(reports.last(), Some(&(5 * extent, 5 * extent)));
    assert!(reports.is_sorted(), "{reports:?}");
    apply(rig, &step);
    let taken = Taken::With(from.clone());
    let relate = Step::Relate {
        volume: made(rig, job),
        to: Some(Relation {
            source: source.id.clone(),
            taken,
        }),
        job: Some(job),
    };
    let time = by_device(rig, &format!("{}-2", device(job))).expect("the moment");
    let time = time.replica.expect("it is a replica").taken;
    apply(rig, &relate);
    idle(rig, &relate);
    apply(rig, &Step::Remove { volume: from, job });
    idle(rig, &relate);
    apply(rig, &unmark(made(rig, job), job));
    let clone = by_device(rig, &device(job)).expect("the clone");
    let wanted = Replica {
        source: source.id.clone(),
        kind: ReplicaKind::Clone,
        taken: time,
    };
    assert_eq!((&clone.replica, clone.torn), (&Some(wanted), None));
    show(rig, &clone, 2);
    reads(rig, 2, &[0x11, 0, 0x11, 0, 0]);
    reads(rig, 1, &[0x22, 0, 0x11]);
    // Neither needs the other.
    hide(rig, &source, 1);
    removal(rig, &source);
    reads(rig, 2, &[0x11, 0, 0x11, 0, 0]);
}

pub fn a_copy_takes_of_a_thin_pool_what_is_not_zero(rig: &mut dyn Rig) {
    let (thin, _) = thin_pool(rig, 8);
    let extent = thin.extent;
    let source = finished(rig, "source", 4);
    written(rig, &source, 1, 0x11);
    writes(rig, 1, 1..3, 0);
    hide(rig, &source, 1);
    let job = JobId::new();
    let place = Place::Thin(thin.id.clone());
    apply(rig, &creation_at(&thin, job, 4, &place).remove(0));
    apply(rig, &mark(&source, job));
    let step = Step::Copy {
        from: known(&source),
        to: made(rig, job),
        fresh: true,
        job,
    };
    apply(rig, &step);
    apply(rig, &unmark(known(&source), job));
    apply(rig, &unmark(made(rig, job), job));
    let clone = by_device(rig, &device(job)).expect("the clone");
    assert_eq!(rig.thin_used(&clone.id), 2 * extent);
    show(rig, &clone, 2);
    reads(rig, 2, &[0x11, 0, 0, 0x11]);
    // What differs is written, and what is zero now is given back.
    writes(rig, 2, 0..4, 0x44);
    hide(rig, &clone, 2);
    copy(rig, &source, &clone);
    assert_eq!(rig.thin_used(&clone.id), 2 * extent);
    show(rig, &clone, 2);
    reads(rig, 2, &[0x11, 0, 0, 0x11]);
}

pub fn a_copy_brings_back_what_a_snapshot_kept(rig: &mut dyn Rig) {
    let source = finished(rig, "source", 4);
    written(rig, &source, 1, 0x11);
    let taken = snapshot(rig, &source, Some(whole_room(rig, &source)));
    writes(rig, 1, 1..3, 0x22);
    hide(rig, &source, 1);
    let used = |volume: &Volume| match relation(rig, volume).map(|replica| replica.kind) {
        Some(ReplicaKind::Delta { used, .. }) => used,
        other => panic!("{other:?}"),
    };
    let before = used(&taken);
    copy(rig, &taken, &source);
    assert_eq!(used(&taken), before, "what it keeps differed already");
    let after = volume(rig, &source.id).expect("it is there");
    assert_eq!((after.torn, after.health), (None, Health::Ok));
    show(rig, &source, 1);
    reads(rig, 1, &[0x11; 4]);
    show(rig, &taken, 2);
    reads(rig, 2, &[0x11; 4]);
    // It is a snapshot as before.
    writes(rig, 1, 0..4, 0x33);
    reads(rig, 2, &[0x11; 4]);
}

pub fn a_copy_brings_back_what_a_thin_snapshot_shares(rig: &mut dyn Rig) {
    let (thin, _) = thin_pool(rig, 8);
    let source = thin_volume(rig, &thin, 4, 1);
    writes(rig, 1, 0..2, 0x11);
    let taken = snapshot(rig, &source, None);
    writes(rig, 1, 1..3, 0x22);
    hide(rig, &source, 1);
    copy(rig, &taken, &source);
    show(rig, &source, 1);
    reads(rig, 1, &[0x11, 0x11, 0, 0]);
    show(rig, &taken, 2);
    reads(rig, 2, &[0x11, 0x11, 0, 0]);
}

pub fn a_copy_that_is_stopped_leaves_a_torn_volume(rig: &mut dyn Rig) {
    let extents = rig.two_slices() / extent(rig);
    let source = finished(rig, "source", extents);
    written(rig, &source, 1, 0x11);
    hide(rig, &source, 1);
    let group = wide_group(rig);
    let other = finished_at(rig, &group, extents, &Place::ANYWHERE);
    let job = JobId::new();
    for volume in [&source, &other] {
        apply(rig, &mark(volume, job));
    }
    let step = Step::Copy {
        from: known(&source),
        to: known(&other),
        fresh: false,
        job,
    };
    let noted = Noted {
        cancel_after: Some(1),
        ..Noted::default()
    };
    let error = rig.engine().apply(&step, &noted).expect_err("cancelled");
    assert_eq!(error.kind, Kind::Unavailable, "{error}");
    let torn = volume(rig, &other.id).expect("it is there");
    assert_eq!(torn.torn, Some(Torn::Copied));
    let Health::Failed(why) = &torn.health else {
        panic!("it is torn: {:?}", torn.health);
    };
    assert!(why.len() > 20, "{why}");
    rig.reboot();
    let groups = [standpipe::array::VolumeGroup::Known(group.id.clone())];
    rig.engine().manage(&groups, &[]).expect("it is ours");
    rig.engine().converge(&[]).expect("nothing to show");
    let torn = volume(rig, &other.id).expect("it is there");
    assert!(torn.torn.is_some(), "a reboot heals nothing");
    apply(rig, &step);
    let whole = volume(rig, &other.id).expect("it is there");
    assert_eq!((whole.torn, &whole.health), (None, &Health::Ok));
    apply(rig, &unmark(known(&source), job));
    apply(rig, &unmark(known(&other), job));
    show(rig, &other, 2);
    reads(rig, 2, &vec![0x11; extents as usize]);
}

pub fn only_marked_and_hidden_volumes_are_copied(rig: &mut dyn Rig) {
    let extent = extent(rig);
    let source = finished(rig, "source", 2);
    let other = finished(rig, "other", 2);
    let small = finished(rig, "small", 1);
    let foreign = rig.lvcreate("theirs", 2 * extent);
    let foreign = volume(rig, &foreign).expect("it is listed");
    let job = JobId::new();
    let copy = |from: &Volume, to: &Volume| Step::Copy {
        from: known(from),
        to: known(to),
        fresh: false,
        job,
    };
    refused(rig, &copy(&source, &other), Kind::InUse);
    apply(rig, &mark(&source, job));
    refused(rig, &copy(&source, &other), Kind::InUse);
    apply(rig, &mark(&other, job));
    apply(rig, &mark(&small, job));
    refused(rig, &copy(&source, &small), Kind::InvalidArgument);
    refused(rig, &copy(&source, &source), Kind::InvalidArgument);
    refused(rig, &copy(&source, &foreign), Kind::AccessDenied);
    refused(rig, &copy(&foreign, &source), Kind::AccessDenied);
    rig.hold(&other.id, true);
    refused(rig, &copy(&source, &other), Kind::InUse);
    rig.hold(&other.id, false);
    apply(rig, &copy(&source, &other));
}

pub fn relations_end_and_come_back(rig: &mut dyn Rig) {
    let (thin, _) = thin_pool(rig, 4);
    let source = finished(rig, "source", 1);
    let sparse = thin_volume(rig, &thin, 1, 1);
    let clone = finished(rig, "clone", 1);
    let relate = |volume: &Volume, to: Option<Relation>| Step::Relate {
        volume: known(volume),
        to,
        job: None,
    };
    let of = |source: &Volume, taken| {
        Some(Relation {
            source: source.id.clone(),
            taken: Taken::At(taken),
        })
    };
    let at = 1_767_225_600_123_456;
    apply(rig, &relate(&clone, of(&source, Some(at))));
    let wanted = Replica {
        source: source.id.clone(),
        kind: ReplicaKind::Clone,
        taken: Some(at),
    };
    assert_eq!(relation(rig, &clone), Some(wanted));
    apply(rig, &relate(&clone, None));
    idle(rig, &relate(&clone, None));
    assert_eq!(relation(rig, &clone), None);

    let taken = snapshot(rig, &sparse, None);
    let before = relation(rig, &taken).expect("it is a replica");
    apply(rig, &relate(&taken, None));
    idle(rig, &relate(&taken, None));
    assert_eq!(relation(rig, &taken), None);
    apply(rig, &relate(&taken, of(&sparse, before.taken)));
    assert_eq!(relation(rig, &taken), Some(before));

    let delta = snapshot(rig, &source, Some(whole_room(rig, &source)));
    refused(rig, &relate(&delta, None), Kind::InvalidArgument);
    apply(rig, &mark(&clone, JobId::new()));
    refused(rig, &relate(&clone, None), Kind::InUse);
    let foreign = rig.lvcreate("theirs", extent(rig));
    let foreign = volume(rig, &foreign).expect("it is listed");
    refused(rig, &relate(&foreign, None), Kind::AccessDenied);
}

pub fn replicas_are_the_same_after_a_reboot(rig: &mut dyn Rig) {
    let (thin, _) = thin_pool(rig, 8);
    let source = finished(rig, "source", 2);
    written(rig, &source, 1, 0x11);
    let sparse = thin_volume(rig, &thin, 4, 2);
    writes(rig, 2, 0..2, 0x12);
    let kept = snapshot(rig, &source, Some(whole_room(rig, &source)));
    let shared = snapshot(rig, &sparse, None);
    writes(rig, 1, 0..1, 0x21);
    writes(rig, 2, 0..1, 0x22);
    let look = |rig: &dyn Rig| {
        let facts = scan(rig);
        let sizes = facts.pools.into_iter().map(|pool| (pool.id, pool.free));
        let volumes = facts.volumes.into_iter();
        let kin = volumes.map(|volume| (volume.id, volume.replica, volume.consumed));
        (sizes.collect::<Vec<_>>(), kin.collect::<Vec<_>>())
    };
    let maps = scan(rig).maps;
    let before = look(rig);
    rig.reboot();
    rig.engine().converge(&maps).expect("shown again");
    assert_eq!(look(rig), before);
    show(rig, &kept, 3);
    show(rig, &shared, 4);
    reads(rig, 1, &[0x21, 0x11]);
    reads(rig, 2, &[0x22, 0x12, 0, 0]);
    reads(rig, 3, &[0x11, 0x11]);
    reads(rig, 4, &[0x12, 0x12, 0, 0]);
}
