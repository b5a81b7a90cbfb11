//! What the demo shows at its first start: some volumes, masked for some hosts.

use std::collections::BTreeSet;

use crate::array::{Array, Command, Effect, Error, InitiatorName, Members, Waited};
use crate::identity::{Identity, Role};

/// How many volumes each host sees.
const PER_HOST: usize = 64;

/// Shows the first half of the volumes to hosts, unless views are there already.
pub(super) fn show_some(array: &Array) -> Result<(), Error> {
    let snapshot = array.snapshot();
    if snapshot.views().next().is_some() {
        return Ok(());
    }
    let volumes: Vec<_> = snapshot.volumes().map(|volume| volume.id.clone()).collect();
    let ports: BTreeSet<_> = snapshot.ports().map(|p| p.id.clone()).collect();
    let fc = snapshot.fc_ports().next().is_some();
    let shown = volumes.len().div_ceil(2);
    for (number, share) in volumes[..shown].chunks(PER_HOST).enumerate() {
        // Where the array has ports of both fabrics, every second host is of Fibre Channel.
        let host = match fc && number % 2 == 1 {
            true => InitiatorName::port_wwn(&format!("10000200{:08x}", number + 1))?,
            false => InitiatorName::iscsi(&format!("iqn.2026-11.example.host:{}", number + 1))?,
        };
        let mut reached = ports.clone();
        reached.retain(|port| port.is_reached_by(&host));
        run(array, Command::CreateInitiator { name: host.clone() })?;
        let name = format!("host-{}", number + 1);
        let groups = [
            Members::Initiators([host].into()),
            Members::Ports(reached),
            Members::Volumes(share.to_vec()),
        ];
        let mut made = Vec::new();
        for members in groups {
            if let Effect::Group(id, _) = run(array, group(&name, members))? {
                made.push(id);
            }
        }
        run(
            array,
            Command::CreateView {
                name: Some(name),
                groups: made,
                luns: Vec::new(),
            },
        )?;
    }
    Ok(())
}

fn group(name: &str, members: Members) -> Command {
    Command::CreateGroup {
        name: Some(name.to_owned()),
        members,
        delete_on_empty: false,
        delete_when_unassociated: false,
    }
}

/// Runs a command to its end.
fn run(array: &Array, command: Command) -> Result<Effect, Error> {
    let who = Identity {
        user: "demo".into(),
        role: Role::Administrator,
        peer: ([127, 0, 0, 1], 0).into(),
    };
    match array.submit(&who, command)?.join() {
        Waited::Done(effect, _) => Ok(effect),
        Waited::Failed(error, _) => Err(error),
        Waited::Running(_) => Err(Error::bug("a joined command is still running")),
    }
}
