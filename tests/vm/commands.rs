//! An array on the real engine, and commands to it.

use std::sync::Arc;

use standpipe::array::{
    Array, ChapTable, Command, Effect, Policy, PoolId, Quality, SystemName, Ticket, VolumeId,
    Waited,
};
use standpipe::identity::{Identity, Role};
use standpipe::store::Store;

use super::{sh, start};

/// An array whose state lies in memory.
pub fn array(policy: Policy) -> Array {
    let store = Store::in_memory().expect("a store");
    let system = SystemName {
        name: "system".into(),
        label: "label".into(),
    };
    let engine = Arc::new(start(ChapTable::new()));
    Array::open(engine, store, system, policy).expect("it starts")
}

/// Hands in a command.
pub fn ask(array: &Array, command: Command) -> Ticket {
    let who = Identity {
        user: "admin".into(),
        role: Role::Administrator,
        peer: ([127, 0, 0, 1], 1).into(),
    };
    array.submit(&who, command).expect("a slot")
}

/// Asks for what must be done.
pub fn done(array: &Array, command: Command) -> Effect {
    match ask(array, command).join() {
        Waited::Done(effect, _) => effect,
        other => panic!("{other:?}"),
    }
}

/// A volume of so many copies.
pub fn made(array: &Array, pool: &PoolId, name: &str, mib: u64, copies: u16) -> VolumeId {
    let command = Command::CreateVolumes {
        pool: pool.clone(),
        names: vec![name.into()],
        count: 1,
        size: mib << 20,
        quality: Quality {
            survives: Some(copies - 1),
            copies: Some(copies),
            ..Quality::default()
        },
    };
    match done(array, command) {
        Effect::Volumes(made) => made[0].clone(),
        other => panic!("{other:?}"),
    }
}

/// The device of a volume, which is made to appear.
pub fn device(array: &Array, volume: &VolumeId) -> String {
    let now = array.snapshot();
    let volume = now.volume(volume).expect("it is listed");
    let group = &now.pool(&volume.pool).expect("it is listed").device;
    let name = format!("{group}/{}", volume.device);
    sh(&format!("lvchange -qq -ay -K {name}; udevadm settle"));
    format!("/dev/{name}")
}
