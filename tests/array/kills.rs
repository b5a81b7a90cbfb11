//! Kill points: the process dies at every moment of every kind of command, also while a failed
//! one is taken back, and starts again on the same machine or after a reboot of it.

use standpipe::array::{
    Abilities, Bounds, Command, GroupKind, JobState, Kind, Members, Setting, SettingId,
};
use standpipe::engine::sim::{EXTENT, Moment};

use super::equipped;
use super::replicated;
use super::rig::{Medium, Picture, Rig, creation, host, machine, theirs};

/// A command, made for a prepared array.
pub type Wish = fn(&Rig) -> Command;

/// What the command is, the array that is prepared for it, and the command.
pub type Entry = (&'static str, fn() -> Rig, Wish);

fn prepared() -> Rig {
    let machine = machine().foreign_volumes(2).volume_size(EXTENT);
    let machine = machine.foreign_map(host("theirs"), 5).build();
    let machine = machine.expect("a machine");
    theirs(&machine, "iqn.2026-01.other:theirs");
    let rig = Rig::start(machine, Medium::default()).expect("it starts");
    rig.show_one();
    let loose = rig.create("loose", 1);
    rig.create("free", 3);
    rig.group("more devices", Members::Volumes(vec![loose]));
    rig.hosts("more hosts", &["b"]);
    rig.done(Command::CreateInitiator { name: host("c") });
    rig.done(keep("kept", 1));
    rig.target("closed", &[]);
    rig.target("open", &["192.0.2.10:3260".parse().expect("an address")]);
    rig
}

fn target(rig: &Rig, alias: &str) -> standpipe::array::MadeTarget {
    let now = rig.now();
    let target = now.made_targets().find(|target| target.alias == alias);
    (**target.expect("it was made")).clone()
}

fn portal(text: &str) -> std::net::SocketAddr {
    text.parse().expect("an address")
}

fn volume(rig: &Rig, name: &str) -> standpipe::array::VolumeId {
    rig.named(name).expect("it was made")
}

fn group(rig: &Rig, kind: GroupKind, name: &str) -> standpipe::array::GroupId {
    rig.now().group_named(kind, name).expect("it was made").id
}

fn view(rig: &Rig) -> standpipe::array::ViewId {
    rig.now().view_named("view").expect("it was made").id
}

fn devices(rig: &Rig) -> standpipe::array::GroupId {
    group(rig, GroupKind::Volumes, "devices")
}

fn hosts(rig: &Rig) -> standpipe::array::GroupId {
    group(rig, GroupKind::Initiators, "hosts")
}

/// What keeps a quality of service.
fn keep(name: &str, copies: u16) -> Command {
    let able = Abilities::of_disks(2);
    let setting = Setting {
        id: SettingId::new(),
        name: name.into(),
        pool: None,
        lasting: true,
        survives: able.survives,
        copies: Bounds {
            goal: copies,
            ..able.copies
        },
        stripe_length: able.stripe_length,
        no_single_point_of_failure: false,
        thin: false,
        room: None,
    };
    Command::PutSetting { setting }
}

fn setting(rig: &Rig, name: &str) -> Setting {
    let now = rig.now();
    let setting = now.settings().find(|setting| setting.name == name);
    (**setting.expect("it is kept")).clone()
}

fn new_group(members: Members) -> Command {
    Command::CreateGroup {
        name: Some("new".into()),
        members,
        delete_on_empty: true,
        delete_when_unassociated: true,
    }
}

const WISHES: &[(&str, Wish)] = &[
    ("create a volume", |rig| creation(rig.pool(), "new", 5)),
    ("grow a shown volume", |rig| Command::ResizeVolume {
        volume: volume(rig, "shown"),
        size: 7 * EXTENT,
        name: None,
    }),
    ("grow and rename a volume", |rig| Command::ResizeVolume {
        volume: volume(rig, "free"),
        size: 4 * EXTENT,
        name: Some("other".into()),
    }),
    ("rename a volume", |rig| Command::RenameVolume {
        volume: volume(rig, "shown"),
        name: "other".into(),
    }),
    ("delete a volume", |rig| Command::DeleteVolumes {
        volumes: vec![volume(rig, "free")],
    }),
    ("introduce an initiator", |_| Command::CreateInitiator {
        name: host("new"),
    }),
    ("forget an initiator", |_| Command::DeleteInitiator {
        name: host("c"),
    }),
    ("create a host group", |_| {
        new_group(Members::Initiators([host("c")].into()))
    }),
    ("create a port group", |rig| {
        new_group(Members::Ports([rig.port()].into()))
    }),
    ("create a device group", |rig| {
        new_group(Members::Volumes(vec![volume(rig, "free")]))
    }),
    ("delete a group", |rig| Command::DeleteGroup {
        group: group(rig, GroupKind::Volumes, "more devices"),
        force: false,
    }),
    ("delete a used group by force", |rig| Command::DeleteGroup {
        group: hosts(rig),
        force: true,
    }),
    ("add a device", |rig| Command::AddMembers {
        group: devices(rig),
        members: Members::Volumes(vec![volume(rig, "free"), volume(rig, "loose")]),
        luns: vec![9, 8],
    }),
    ("add a host", |rig| Command::AddMembers {
        group: hosts(rig),
        members: Members::Initiators([host("c")].into()),
        luns: Vec::new(),
    }),
    ("remove a device", |rig| Command::RemoveMembers {
        group: devices(rig),
        members: Members::Volumes(vec![volume(rig, "shown")]),
        delete_on_empty: None,
    }),
    ("remove a host", |rig| Command::RemoveMembers {
        group: hosts(rig),
        members: Members::Initiators([host("a")].into()),
        delete_on_empty: None,
    }),
    ("modify a group", |rig| Command::ModifyGroup {
        group: hosts(rig),
        name: Some("other".into()),
        delete_on_empty: Some(true),
        delete_when_unassociated: None,
    }),
    ("create a view", |rig| Command::CreateView {
        name: Some("new".into()),
        groups: vec![
            group(rig, GroupKind::Initiators, "more hosts"),
            group(rig, GroupKind::Ports, "ports"),
            devices(rig),
        ],
        luns: Vec::new(),
    }),
    ("delete a view", |rig| Command::DeleteView {
        view: view(rig),
        delete_unassociated: true,
    }),
    ("add a group", |rig| {
        rig.done(Command::RemoveGroup {
            view: view(rig),
            group: devices(rig),
        });
        Command::AddGroup {
            view: view(rig),
            group: group(rig, GroupKind::Volumes, "more devices"),
            luns: vec![200],
        }
    }),
    ("create a target", |_| Command::CreateTarget {
        alias: Some("new".into()),
    }),
    ("open a port", |rig| Command::OpenPort {
        target: target(rig, "closed").iqn,
        portals: [portal("192.0.2.10:3260"), portal("[2001:db8::10]:3260")].into(),
    }),
    ("add an address", |rig| Command::AddPortal {
        port: target(rig, "open").port(),
        portal: portal("[2001:db8::10]:3260"),
    }),
    ("close a port", |rig| Command::ClosePort {
        port: target(rig, "open").port(),
    }),
    ("delete an open target", |rig| Command::DeleteTarget {
        target: target(rig, "open").iqn,
    }),
    ("delete a closed target", |rig| Command::DeleteTarget {
        target: target(rig, "closed").iqn,
    }),
    ("take over a view", |rig| Command::TakeOver {
        view: rig.view_of_another(&rig.port()),
    }),
    ("take over a view with its target", |rig| {
        Command::TakeOver {
            view: rig.view_of_another(&standpipe::array::PortId::Iscsi {
                iqn: "iqn.2026-01.other:theirs".into(),
                tag: 1,
            }),
        }
    }),
    ("remove a group", |rig| Command::RemoveGroup {
        view: view(rig),
        group: devices(rig),
    }),
    ("make a view with its groups", |rig| Command::MakeView {
        name: Some("new".into()),
        initiators: [host("c"), host("unknown")].into(),
        ports: [rig.port()].into(),
        volumes: vec![volume(rig, "free"), volume(rig, "shown")],
        luns: vec![7, 6],
    }),
    ("make a view with a group that is there", |rig| {
        Command::MakeView {
            name: None,
            initiators: [host("b")].into(),
            ports: [rig.port()].into(),
            volumes: vec![volume(rig, "loose")],
            luns: Vec::new(),
        }
    }),
    ("show more in a view", |rig| Command::ExpandView {
        view: view(rig),
        members: Members::Volumes(vec![volume(rig, "free"), volume(rig, "loose")]),
        luns: vec![11, 12],
    }),
    ("show a view to more", |rig| Command::ExpandView {
        view: view(rig),
        members: Members::Initiators([host("c"), host("unknown")].into()),
        luns: Vec::new(),
    }),
    ("show less in a view", |rig| Command::ReduceView {
        view: view(rig),
        members: Members::Volumes(vec![volume(rig, "shown")]),
    }),
    ("show a view to fewer", |rig| Command::ReduceView {
        view: view(rig),
        members: Members::Initiators([host("a")].into()),
    }),
    // Another view has the same devices: those of this one are copied first.
    ("show less in one of two views", |rig| {
        rig.view(
            "beside",
            &[
                group(rig, GroupKind::Initiators, "more hosts"),
                group(rig, GroupKind::Ports, "ports"),
                devices(rig),
            ],
        );
        Command::ReduceView {
            view: view(rig),
            members: Members::Volumes(vec![volume(rig, "shown")]),
        }
    }),
    ("keep a setting", |_| keep("new", 2)),
    ("change a setting", |rig| {
        let mut setting = setting(rig, "kept");
        setting.copies.goal = 2;
        Command::PutSetting { setting }
    }),
    ("forget a setting", |rig| Command::DeleteSetting {
        setting: setting(rig, "kept").id,
    }),
];

/// What fails besides the process.
type Failing = Option<(u64, Moment)>;

/// What the moments are counted by.
#[derive(Clone, Copy, Debug, PartialEq)]
enum By {
    /// What is asked of the machine.
    Work,
    /// What is written to the store.
    Records,
}

/// One kill point.
#[derive(Clone, Copy, Debug)]
struct Kill {
    failing: Failing,
    by: By,
    moment: usize,
    reboot: bool,
}

/// Lets the process die at one moment of a command and start again; whether it died.
fn killed((what, prepared, wish): &Entry, whole: &Picture, kill: Kill) -> bool {
    let Kill {
        failing,
        by,
        moment,
        reboot,
    } = kill;
    let when = format!("{what}: {kill:?}");
    let rig = prepared();
    let command = wish(&rig);
    let before = rig.picture();
    let known: Vec<_> = rig.now().jobs().map(|job| job.id).collect();
    if let Some((step, how)) = failing {
        rig.sim.fail_step(step, Kind::Unavailable, how);
    }
    match by {
        By::Work => rig.mortal.die_at(moment),
        By::Records => rig.mortal.die_with(&rig.medium, moment),
    }
    let ticket = rig.array.submit(&super::rig::who(), command.clone());
    let _ = ticket.expect("there is a slot").join();
    if !rig.mortal.is_dead() {
        rig.assert_whole(&when);
        return false;
    }
    rig.sim.calm();
    let rig = rig.restart(reboot);
    rig.rest();
    rig.assert_whole(&when);
    let now = rig.now();
    let job = now.jobs().find(|job| !known.contains(&job.id));
    assert!(
        job.is_some() || by == By::Records,
        "{when}: it is forgotten"
    );
    let note = job.and_then(|job| job.note.clone()).unwrap_or_default();
    // A volume that is there holds what it held, unless it says that it was being erased.
    let erased = rig.erased();
    assert!(erased.is_empty() || what.starts_with("erase"), "{when}");
    let (before, after) = (before.but_for(&erased), rig.picture().but_for(&erased));
    // Where its end was written there is nothing to tell.
    let ended = by == By::Records && note.is_empty();
    let went_on = ended || note.contains("taken up");
    let is_done = job.is_some_and(|job| job.state == JobState::Completed);
    if went_on && is_done || note.contains("finished") {
        assert_ne!(after, before, "{when}: nothing was finished");
        assert_eq!(job.map(|job| job.percent()), Some(100), "{when}");
    } else {
        let is_known = note.contains("rolled back") || job.is_none();
        assert!(is_known, "{when}: the job says {note:?}");
        assert_eq!(after, before, "{when}: something is left");
    }
    assert!(after == before || after == *whole, "{when}: {after:?}");
    // The next start finds nothing to do.
    let rig = rig.restart(reboot);
    rig.assert_whole(&when);
    assert_eq!(rig.erased(), erased, "{when}: after another start");
    let again = rig.picture().but_for(&erased);
    assert_eq!(again, after, "{when}: after another start");
    true
}

/// Lets the process die at one moment of a command, and again at one of the start that follows;
/// whether it died at either.
fn killed_twice(
    (what, prepared, wish): &Entry,
    whole: &Picture,
    first: usize,
    again: usize,
) -> [bool; 2] {
    let when = format!("{what}: killed at moment {first}, and at {again} of the next start");
    let rig = prepared();
    let command = wish(&rig);
    let before = rig.picture();
    let known: Vec<_> = rig.now().jobs().map(|job| job.id).collect();
    rig.mortal.die_at(first);
    rig.ask(command);
    if !rig.mortal.is_dead() {
        return [false, false];
    }
    let (rig, has_died) = rig.die_again(again);
    let rig = rig.restart(false);
    rig.rest();
    rig.assert_whole(&when);
    let erased = rig.erased();
    assert!(erased.is_empty() || what.starts_with("erase"), "{when}");
    let (before, after) = (before.but_for(&erased), rig.picture().but_for(&erased));
    let now = rig.now();
    let job = now.jobs().find(|job| !known.contains(&job.id));
    let is_done = job.is_some_and(|job| job.state == JobState::Completed);
    let wanted = if is_done { whole } else { &before };
    assert_eq!(
        after,
        *wanted,
        "{when}: the job says {:?}",
        job.map(|job| &job.note)
    );
    [true, has_died]
}

/// Whether a failure of that step would be one of this command.
fn is_reached((_, prepared, wish): &Entry, failing: Failing) -> bool {
    let Some((step, how)) = failing else {
        return true;
    };
    let rig = prepared();
    let command = wish(&rig);
    rig.sim.fail_step(step, Kind::Unavailable, how);
    rig.ask(command);
    !rig.sim.calm()
}

fn kill_everywhere(entries: &[Entry], failing: &[Failing], reboot: bool) {
    kill_everywhere_by(By::Work, entries, failing, reboot);
}

fn kill_everywhere_by(by: By, entries: &[Entry], failing: &[Failing], reboot: bool) {
    let mut points = 0;
    for entry in entries {
        // What the command comes to without any crash.
        let (_, prepared, wish) = entry;
        let whole = prepared();
        whole.done(wish(&whole));
        let whole = whole.picture();
        for &failing in failing.iter().filter(|f| is_reached(entry, **f)) {
            let kills = (0..200).map(|moment| Kill {
                failing,
                by,
                moment,
                reboot,
            });
            let found = kills
                .take_while(|kill| killed(entry, &whole, *kill))
                .count();
            assert!(found > 0 || by == By::Work, "{} is not noted", entry.0);
            points += found;
        }
    }
    println!("{points} kill points by {by:?}, reboot {reboot}");
    assert!(points > 0);
}

/// The commands on an array with one pool.
fn plain() -> Vec<Entry> {
    let entries = WISHES.iter();
    entries
        .map(|(what, wish)| (*what, prepared as fn() -> Rig, *wish))
        .collect()
}

const NOTHING_FAILS: &[Failing] = &[None];
const A_STEP_FAILS: &[Failing] = &[
    Some((1, Moment::Before)),
    Some((1, Moment::After)),
    Some((2, Moment::Before)),
    Some((2, Moment::Midway)),
    Some((2, Moment::After)),
    Some((3, Moment::Before)),
    Some((3, Moment::After)),
    Some((4, Moment::Before)),
    Some((4, Moment::Midway)),
    Some((4, Moment::After)),
];

#[test]
fn a_gateway_killed_anywhere_leaves_nothing_half_made() {
    kill_everywhere(&plain(), NOTHING_FAILS, false);
}

#[test]
fn a_machine_killed_anywhere_leaves_nothing_half_made() {
    kill_everywhere(&plain(), NOTHING_FAILS, true);
}

/// What takes long goes on after such a start, and is killed wherever it is then. Of the first moments
/// every other one: before a step all is as it was after the one before it.
#[test]
fn a_gateway_killed_again_while_it_starts_leaves_nothing_half_made() {
    let mut points = 0;
    for entry in equipped::ENTRIES.iter().chain(replicated::ENTRIES) {
        let (_, prepared, wish) = entry;
        let whole = prepared();
        whole.done(wish(&whole));
        let whole = whole.picture();
        for first in (0..200).step_by(2) {
            let twice = |again| killed_twice(entry, &whole, first, again);
            let found = (0..200).map(twice).take_while(|died| died[1]).count();
            points += found;
            if found == 0 && !twice(usize::MAX)[0] {
                break;
            }
        }
    }
    println!("{points} kill points of starts");
    assert!(points > 0);
}

/// Also what is nothing but a record.
#[test]
fn a_gateway_killed_while_it_writes_something_down_leaves_nothing_half_made() {
    for reboot in [false, true] {
        kill_everywhere_by(By::Records, &plain(), NOTHING_FAILS, reboot);
        kill_everywhere_by(By::Records, equipped::ENTRIES, NOTHING_FAILS, reboot);
        kill_everywhere_by(By::Records, replicated::ENTRIES, NOTHING_FAILS, reboot);
        kill_everywhere_by(By::Records, replicated::OVERWRITING, NOTHING_FAILS, reboot);
    }
}

#[test]
fn a_gateway_killed_while_it_takes_back_leaves_nothing_half_made() {
    kill_everywhere(&plain(), A_STEP_FAILS, false);
}

#[test]
fn a_machine_killed_while_it_takes_back_leaves_nothing_half_made() {
    kill_everywhere(&plain(), A_STEP_FAILS, true);
}

#[test]
fn storage_work_of_a_killed_gateway_is_never_half_done() {
    kill_everywhere(equipped::ENTRIES, NOTHING_FAILS, false);
}

#[test]
fn storage_work_of_a_killed_machine_is_never_half_done() {
    kill_everywhere(equipped::ENTRIES, NOTHING_FAILS, true);
}

#[test]
fn storage_work_that_is_taken_back_when_killed_is_never_half_done() {
    kill_everywhere(equipped::ENTRIES, A_STEP_FAILS, false);
    kill_everywhere(equipped::ENTRIES, A_STEP_FAILS, true);
}

#[test]
fn replicas_of_a_killed_gateway_are_never_half_made() {
    kill_everywhere(replicated::ENTRIES, NOTHING_FAILS, false);
    kill_everywhere(replicated::OVERWRITING, NOTHING_FAILS, false);
}

#[test]
fn replicas_of_a_killed_machine_are_never_half_made() {
    kill_everywhere(replicated::ENTRIES, NOTHING_FAILS, true);
    kill_everywhere(replicated::OVERWRITING, NOTHING_FAILS, true);
}

#[test]
fn replicas_that_are_taken_back_when_killed_are_never_half_made() {
    kill_everywhere(replicated::ENTRIES, A_STEP_FAILS, false);
    kill_everywhere(replicated::ENTRIES, A_STEP_FAILS, true);
}
