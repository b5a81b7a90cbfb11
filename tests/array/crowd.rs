//! Many clients at once: they end, and what they leave is what the answers said.

use std::collections::BTreeSet;

use standpipe::array::{Command, Kind, Members, Waited};
use standpipe::engine::sim::EXTENT;

use super::rig::{Rig, creation, host, who};

/// Numbers without a pattern, the same in every run (xorshift64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// A wish about few things, so that many of them meet.
fn wish(rig: &Rig, dice: &mut Dice) -> Option<Command> {
    let name = format!("v{}", dice.roll(6));
    let volume = rig.named(&name);
    let now = rig.now();
    let initiator = host(["a", "b", "c"][dice.roll(3) as usize]);
    let mut groups = now.groups();
    let group = groups.nth(dice.roll(4) as usize).map(|group| group.id);
    let view = now.views().nth(dice.roll(2) as usize).map(|view| view.id);
    Some(match dice.roll(12) {
        0 | 1 => creation(rig.pool(), &name, 1 + dice.roll(4)),
        2 => Command::DeleteVolumes {
            volumes: vec![volume?],
        },
        3 => Command::ResizeVolume {
            volume: volume?,
            size: (1 + dice.roll(8)) * EXTENT,
            name: None,
        },
        4 => Command::RenameVolume {
            volume: volume?,
            name: format!("v{}", dice.roll(6)),
        },
        5 => Command::CreateInitiator { name: initiator },
        6 => Command::DeleteInitiator { name: initiator },
        7 => Command::CreateGroup {
            name: Some(format!("g{}", dice.roll(2))),
            members: match dice.roll(3) {
                0 => Members::Initiators([initiator].into()),
                1 => Members::Ports([rig.port()].into()),
                _ => Members::Volumes(volume.into_iter().collect()),
            },
            delete_on_empty: dice.roll(2) == 0,
            delete_when_unassociated: dice.roll(2) == 0,
        },
        8 => Command::AddMembers {
            group: group?,
            members: match dice.roll(2) {
                0 => Members::Initiators([initiator].into()),
                _ => Members::Volumes(vec![volume?]),
            },
            luns: Vec::new(),
        },
        9 => Command::RemoveMembers {
            group: group?,
            members: match dice.roll(2) {
                0 => Members::Initiators([initiator].into()),
                _ => Members::Volumes(vec![volume?]),
            },
            delete_on_empty: None,
        },
        10 => Command::CreateView {
            name: Some(format!("w{}", dice.roll(2))),
            groups: now.groups().take(3).map(|group| group.id).collect(),
            luns: Vec::new(),
        },
        _ => Command::DeleteView {
            view: view?,
            delete_unassociated: dice.roll(2) == 0,
        },
    })
}

#[test]
fn many_clients_end_and_leave_what_was_answered() {
    let rig = Rig::new();
    let answered: Vec<(bool, Option<standpipe::array::JobId>)> = std::thread::scope(|scope| {
        let clients: Vec<_> = (1..=64)
            .map(|seed| {
                let rig = &rig;
                scope.spawn(move || {
                    let mut dice = Dice(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
                    let mut answers = Vec::new();
                    for _ in 0..12 {
                        let Some(command) = wish(rig, &mut dice) else {
                            continue;
                        };
                        let Ok(ticket) = rig.array.submit(&who(), command.clone()) else {
                            panic!("no more than 64 ask at once");
                        };
                        answers.push(match ticket.join() {
                            Waited::Done(_, job) => (true, Some(job)),
                            Waited::Failed(error, job) => {
                                assert_ne!(error.kind, Kind::Bug, "{command:?}: {error}");
                                (false, job)
                            }
                            Waited::Running(_) => panic!("it was waited for"),
                        });
                    }
                    answers
                })
            })
            .collect();
        let ended = clients.into_iter();
        ended
            .flat_map(|c| c.join().expect("a client ends"))
            .collect()
    });
    rig.assert_whole("when all have ended");
    let now = rig.now();
    let jobs: BTreeSet<_> = now.jobs().map(|job| job.id).collect();
    let told: BTreeSet<_> = answered.iter().filter_map(|(_, job)| *job).collect();
    assert_eq!(jobs, told, "a job for each command that began");
    for (done, job) in answered {
        let completed = job.and_then(|job| now.job(&job)).map(|job| job.percent());
        assert_eq!(done, completed == Some(100));
    }
    let names: BTreeSet<_> = now.volumes().map(|volume| &volume.name).collect();
    assert_eq!(names.len(), now.volumes().count(), "no name is there twice");
    let before = rig.picture();
    let rig = rig.restart(true);
    assert_eq!(rig.picture(), before, "and the store says the same");
    rig.assert_whole("after a restart");
}
