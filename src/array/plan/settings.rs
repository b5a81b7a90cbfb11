//! Qualities of service that clients keep to name them in requests: records without steps.

use super::{AfterCrash, Goal, Plan, check_name};
use crate::array::change::Change;
use crate::array::command::Effect;
use crate::array::error::Error;
use crate::array::ids::{PoolId, SettingId};
use crate::array::inventory::Inventory;
use crate::array::model::Pool;
use crate::array::quality::{Abilities, Setting};

/// How many are kept.
const MAX_SETTINGS: usize = 1000;

/// What qualities of service a pool can give, or the best that any pool can where none is named.
pub fn abilities(inventory: &Inventory, pool: Option<&Pool>) -> Abilities {
    let working = |pool: &Pool| {
        let disks = pool.disks.iter().filter_map(|id| inventory.disk(id));
        disks.filter(|disk| disk.works()).count()
    };
    match pool {
        Some(pool) => match pool.thin() {
            Some(thin) => Abilities::just(thin.layout),
            None => Abilities::of_disks(working(pool)),
        },
        None => {
            let groups = inventory.pools().filter(|pool| pool.thin().is_none());
            Abilities::of_disks(groups.map(|pool| working(pool)).max().unwrap_or(0))
        }
    }
}

pub(super) fn put(inventory: &Inventory, setting: &Setting) -> Result<Plan, Error> {
    check_name("setting", &setting.name)?;
    setting.check()?;
    let is_new = inventory.setting(&setting.id).is_none();
    if is_new && inventory.settings().count() >= MAX_SETTINGS {
        return Err(Error::no_space(format!(
            "{MAX_SETTINGS} settings are kept already; delete those that are not needed"
        )));
    }
    if let Some(pool) = &setting.pool {
        known(inventory, pool)?;
    }
    Ok(record(
        format!("Keep setting '{}'", setting.name),
        Change::PutSetting(setting.clone()),
        Effect::Setting(setting.id),
    ))
}

fn known(inventory: &Inventory, pool: &PoolId) -> Result<(), Error> {
    inventory.pool(pool).map(drop).ok_or_else(|| {
        Error::not_found(format!(
            "there is no pool {pool}; list the pools and choose one"
        ))
    })
}

pub(super) fn delete(inventory: &Inventory, id: SettingId) -> Result<Plan, Error> {
    let setting = inventory.setting(&id).ok_or_else(|| {
        Error::not_found("there is no such setting; it may have been deleted".to_owned())
    })?;
    Ok(record(
        format!("Delete setting '{}'", setting.name),
        Change::RemoveSetting(id),
        Effect::Gone,
    ))
}

/// A plan that changes one record and takes no step.
pub(super) fn record(title: String, change: Change, effect: Effect) -> Plan {
    Plan {
        title,
        steps: Vec::new(),
        changes: vec![change],
        goal: Goal::Shown { effect },
        after_crash: AfterCrash::Back,
    }
}
