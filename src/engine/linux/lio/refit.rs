//! Giving hosts their persistent reservations back that another manager left out when it made our
//! backstores again. It knows nothing of volumes but the names and serials of their backstores.

use std::collections::BTreeSet;

use super::acl::{self, Map};
use super::aptpl;
use super::backstore;
use super::configfs::Configfs;
use super::export::{ExportError, alias};
use super::read::{self, State};
use super::target;

/// Gives hosts their lasting registrations back that the kernel should know and does not: another
/// manager made the backstore again without them. For a moment the unit is away from all hosts.
pub fn restore_registrations(configfs: &Configfs, iqns: &[String]) -> Result<(), ExportError> {
    let state = read::state(configfs)?;
    for place in state.backstores.keys() {
        if backstore::volume_of(place).is_none() {
            continue;
        }
        let lost = aptpl::lost(configfs, place)?;
        let is_due = |r: &aptpl::Registration| {
            let number = r.number()?;
            let target = state.targets.get(iqns.iter().find(|iqn| r.is_at(iqn))?)?;
            let mapped = target.acls.get(r.initiator()?)?.get(&number)?;
            let unit = target.units.get(&mapped.unit?)?;
            let wanted = r.unit()?;
            let is_free = wanted == mapped.unit? || !target.units.contains_key(&wanted);
            (unit.backstore.as_ref() == Some(place) && is_free).then_some(())
        };
        if lost
            .iter()
            .any(|registration| is_due(registration).is_some())
        {
            refit(configfs, &state, iqns, place)?;
        }
    }
    Ok(())
}

/// Takes a backstore out of our targets, gives it its registrations, and puts it back as it was.
fn refit(
    configfs: &Configfs,
    state: &State,
    iqns: &[String],
    place: &str,
) -> Result<(), ExportError> {
    let leads = |unit: &read::Unit| unit.backstore.as_deref() == Some(place);
    let targets = state.targets.iter();
    if targets
        .clone()
        .any(|(iqn, t)| !iqns.contains(iqn) && t.units.values().any(leads))
    {
        tracing::error!(
            place,
            "another target exports it, so reservations cannot be restored"
        );
        return Ok(());
    }
    let (Some(uuid), Some(serial)) = (
        backstore::volume_of(place),
        backstore::serial(configfs, place)?,
    ) else {
        return Ok(());
    };
    let (mut units, mut rows) = (Vec::new(), Vec::new());
    let mut all_ours = true;
    for (iqn, target) in targets {
        let leading = target.units.iter().filter(|(_, unit)| leads(unit));
        let leading: BTreeSet<u64> = leading.map(|(number, _)| *number).collect();
        for (initiator, maps) in &target.acls {
            let shown = |mapped: &read::Mapped| mapped.unit.is_some_and(|u| leading.contains(&u));
            let maps = maps.iter().filter(|(_, mapped)| shown(mapped));
            all_ours &= maps.clone().all(|(_, mapped)| mapped.ours);
            rows.extend(maps.map(|(number, mapped)| (iqn, initiator, *number, mapped)));
        }
        units.extend(leading.into_iter().map(|unit| (iqn, unit)));
    }
    if !all_ours {
        tracing::error!(
            place,
            "another manager shows it to hosts, so reservations cannot be restored"
        );
        return Ok(());
    }
    let take_out = || {
        for (iqn, initiator, number, _) in &rows {
            acl::clear(configfs, iqn, initiator, *number)?;
        }
        units
            .iter()
            .try_for_each(|(iqn, unit)| target::remove_unit(configfs, iqn, *unit))
    };
    let mut first = take_out();
    if first.is_ok() {
        aptpl::restore(configfs, place, &serial);
    }
    // Whatever failed, hosts see again what they saw.
    for (iqn, initiator, number, mapped) in rows {
        let put_back =
            target::unit_of(configfs, iqn, place, &alias(uuid), &serial).and_then(|unit| {
                let map = Map {
                    iqn,
                    initiator,
                    number,
                    unit,
                    alias: &mapped.alias,
                    read_only: mapped.read_only,
                };
                acl::map(configfs, &map)
            });
        first = first.and(put_back);
    }
    first?;
    tracing::warn!(
        place,
        "persistent reservations that another manager had left out were restored"
    );
    Ok(())
}
