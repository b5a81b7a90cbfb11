//! Plans for targets that clients make, and for their ports. What the configuration names is not
//! changed by clients.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use uuid::Uuid;

use super::{AfterCrash, Goal, Plan, Planned, check_name};
use crate::array::change::Change;
use crate::array::command::Effect;
use crate::array::error::Error;
use crate::array::ids::{Iqn, PortId};
use crate::array::inventory::{Inventory, excludes};
use crate::array::model::MadeTarget;
use crate::array::step::Step;

/// The longest alias, in bytes of UTF-8: what the schema lets clients give.
const MAX_ALIAS: usize = 128;
/// The longest iSCSI name, in bytes (RFC 7143 §4.2.7.1).
const MAX_IQN: usize = 223;
/// The longest part of it that is made from an alias.
const MAX_PART: usize = 48;

pub(super) fn create(inventory: &Inventory, alias: Option<&str>) -> Result<Plan, Error> {
    let generated = || format!("target-{}", &Uuid::new_v4().simple().to_string()[..12]);
    let alias = alias.map_or_else(generated, str::to_owned);
    check_name("target", &alias)?;
    if alias.len() > MAX_ALIAS {
        return Err(Error::invalid(format!(
            "a target name has at most {MAX_ALIAS} bytes of UTF-8, this one has {}",
            alias.len()
        )));
    }
    let is_taken = inventory.made_targets().any(|t| t.alias == alias)
        || inventory.targets().any(|t| t.iqn.as_str() == alias);
    if is_taken {
        return Err(Error::already_exists(format!(
            "there is already a target named '{alias}'; choose another name"
        )));
    }
    let target = MadeTarget {
        iqn: derived(inventory, &alias)?,
        alias,
        portals: BTreeSet::new(),
        taken_over: false,
    };
    Ok(Plan {
        title: format!("Create target '{}'", target.alias),
        steps: Vec::new(),
        goal: Goal::Shown {
            effect: Effect::Target(target.iqn.clone()),
        },
        changes: vec![Change::PutTarget(target)],
        after_crash: AfterCrash::Back,
    })
}

/// A name for a target: that of the first configured one, then what an iSCSI name can hold of the
/// alias, numbered where it is taken.
fn derived(inventory: &Inventory, alias: &str) -> Result<Iqn, Error> {
    let first = inventory.first_target().ok_or_else(|| {
        Error::unavailable("no target is configured from whose name another could be derived")
    })?;
    let part = part_of(alias);
    let numbered = (1u32..).map(|number| match number {
        1 => Iqn::from(format!("{first}:{part}")),
        _ => Iqn::from(format!("{first}:{part}-{number}")),
    });
    let mut free = numbered.filter(|iqn| inventory.target(iqn).is_none());
    free.next()
        .filter(|iqn| iqn.as_str().len() <= MAX_IQN)
        .ok_or_else(|| {
            Error::invalid(format!(
                "the name of target {first} is so long that none can be derived from it; \
                 configure a shorter one"
            ))
        })
}

/// What an iSCSI name can hold of an alias: letters, digits, dots and single hyphens.
fn part_of(alias: &str) -> String {
    let mut part = String::new();
    for c in alias.to_lowercase().chars() {
        match c {
            'a'..='z' | '0'..='9' | '.' => part.push(c),
            _ if part.is_empty() || part.ends_with('-') => {}
            _ => part.push('-'),
        }
    }
    part.truncate(MAX_PART);
    match part.trim_matches(['-', '.']) {
        "" => "target".to_owned(),
        part => part.to_owned(),
    }
}

pub(super) fn open(
    inventory: &Inventory,
    iqn: &Iqn,
    portals: &BTreeSet<SocketAddr>,
) -> Result<Plan, Error> {
    let target = made(inventory, iqn)?;
    check_silent(inventory, target, portals)?;
    if !target.portals.is_empty() {
        return Err(Error::already_exists(format!(
            "target '{}' has its port already, and a target has one; add addresses to that port",
            target.alias
        )));
    }
    let bound = bindings(inventory, portals)?;
    let title = format!("Open the port of target '{}'", target.alias);
    Ok(listen(title, target, bound))
}

pub(super) fn add_portal(
    inventory: &Inventory,
    port: &PortId,
    portal: SocketAddr,
) -> Result<Plan, Error> {
    let target = with_port(inventory, port)?;
    check_silent(inventory, target, &[portal].into())?;
    let mut bound = bindings(inventory, &[portal].into())?;
    bound.extend(&target.portals);
    let title = format!("Let target '{}' listen at {portal}", target.alias);
    Ok(listen(title, target, bound))
}

/// The plan by which a target listens at these addresses.
fn listen(title: String, now: &MadeTarget, portals: BTreeSet<SocketAddr>) -> Plan {
    let target = MadeTarget {
        portals,
        ..now.clone()
    };
    Plan {
        title,
        steps: vec![Planned::with_undo(
            Step::Listen(target.clone()),
            Step::Listen(now.clone()),
        )],
        changes: vec![Change::PutTarget(target.clone())],
        goal: Goal::Listening {
            effect: Effect::Port(target.port()),
            target,
        },
        after_crash: AfterCrash::Back,
    }
}

pub(super) fn close(inventory: &Inventory, port: &PortId) -> Result<Plan, Error> {
    let target = with_port(inventory, port)?;
    unused(inventory, target)?;
    let title = format!("Close the port of target '{}'", target.alias);
    Ok(silence(title, target, Change::PutTarget(target.closed())))
}

pub(super) fn delete(inventory: &Inventory, iqn: &Iqn) -> Result<Plan, Error> {
    let target = made(inventory, iqn)?;
    unused(inventory, target)?;
    let title = format!("Delete target '{}'", target.alias);
    let change = Change::RemoveTarget(iqn.clone());
    if target.portals.is_empty() {
        return Ok(Plan {
            title,
            steps: Vec::new(),
            changes: vec![change],
            goal: Goal::Shown {
                effect: Effect::Gone,
            },
            after_crash: AfterCrash::Back,
        });
    }
    Ok(silence(title, target, change))
}

/// The plan by which a target listens nowhere.
fn silence(title: String, target: &MadeTarget, change: Change) -> Plan {
    Plan {
        title,
        steps: vec![Planned::with_undo(
            Step::Listen(target.closed()),
            Step::Listen(target.clone()),
        )],
        changes: vec![change],
        goal: Goal::Listening {
            target: target.closed(),
            effect: Effect::Gone,
        },
        after_crash: AfterCrash::Forward,
    }
}

/// A target that a client made.
fn made<'a>(inventory: &'a Inventory, iqn: &Iqn) -> Result<&'a MadeTarget, Error> {
    if let Some(target) = inventory.made_target(iqn) {
        return Ok(target);
    }
    Err(match inventory.target(iqn) {
        Some(_) => Error::access_denied(format!(
            "target {iqn} is named by the configuration; change it there and restart the program"
        )),
        None => Error::not_found(format!(
            "there is no target {iqn}; it may have been deleted"
        )),
    })
}

/// A target that a client made, by the port that it has.
fn with_port<'a>(inventory: &'a Inventory, port: &PortId) -> Result<&'a MadeTarget, Error> {
    let absent = || Error::not_found(format!("there is no target port {port}"));
    let iqn = port.iqn().ok_or_else(absent)?;
    let target = made(inventory, iqn).map_err(|error| match inventory.port(port) {
        Some(_) => error,
        None => absent(),
    })?;
    let has_it = target.port() == *port && !target.portals.is_empty();
    has_it.then_some(target).ok_or_else(absent)
}

/// Refuses while somebody is logged in at the port of a target, and while a group names it: its views
/// would lose their paths.
fn unused(inventory: &Inventory, target: &MadeTarget) -> Result<(), Error> {
    if let Some(session) = inventory.sessions_on(&target.port()).next() {
        return Err(Error::in_session(format!(
            "initiator {} is logged in to target '{}'; let it log out first",
            session.id.initiator, target.alias
        )));
    }
    match inventory.groups_with_port(&target.port()).next() {
        None => Ok(()),
        Some(group) => Err(Error::in_use(format!(
            "the port of target '{}' is a member of group '{}'; remove it from the group first",
            target.alias, group.name
        ))),
    }
}

/// Refuses addresses at which the target listens, by themselves or with all others of the machine.
fn check_silent(
    inventory: &Inventory,
    target: &MadeTarget,
    portals: &BTreeSet<SocketAddr>,
) -> Result<(), Error> {
    let listening = target.portals.iter();
    let listening: BTreeSet<_> = listening.flat_map(|at| inventory.expanded(*at)).collect();
    match portals.iter().find(|portal| listening.contains(portal)) {
        None => Ok(()),
        Some(portal) => Err(Error::portal_taken(format!(
            "target '{}' listens at {portal} already",
            target.alias
        ))),
    }
}

/// What the kernel is to be told so that a port listens at exactly these addresses of the machine.
///
/// Where another target listens at every address of the machine, none can listen at one of them
/// alone: the kernel then knows them only all at once, and those of IPv4 with those of IPv6.
fn bindings(
    inventory: &Inventory,
    wanted: &BTreeSet<SocketAddr>,
) -> Result<BTreeSet<SocketAddr>, Error> {
    if wanted.is_empty() {
        return Err(Error::invalid(
            "a port listens at one address at least; name one",
        ));
    }
    let known = inventory.portals();
    if let Some(portal) = wanted.iter().find(|portal| !known.contains_key(*portal)) {
        return Err(Error::invalid(format!(
            "this array cannot listen at {portal}; name one of its TCP endpoints"
        )));
    }
    let portals = inventory.ports().flat_map(|port| &port.portals);
    let wildcards: BTreeSet<_> = portals.filter(|p| p.ip().is_unspecified()).collect();
    let mut bound = wanted.clone();
    for wildcard in &wildcards {
        let all = inventory.expanded(**wildcard);
        if !all.is_empty() && all.is_subset(&bound) {
            bound.retain(|address| !all.contains(address));
            bound.insert(**wildcard);
        }
    }
    let hidden = |wildcard: &&&SocketAddr| bound.iter().any(|address| excludes(wildcard, address));
    match wildcards.iter().find(hidden) {
        None => Ok(bound),
        Some(wildcard) => Err(Error::not_supported(format!(
            "another target listens at {wildcard}, which is every address of the machine, and none \
             can listen at some of them alone; name all of them, or configure the other target with \
             addresses"
        ))),
    }
}
