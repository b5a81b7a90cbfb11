//! Start-up: end what was begun, adopt what is exported, bring the targets into the stored state.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::store::{Batch, Store, Table};

use super::change::Change;
use super::engine::Engine;
use super::error::Error;
use super::ids::{GroupId, InitiatorName, PortId, ViewId};
use super::inventory::{Inventory, SystemName};
use super::job::{Job, JobState};
use super::model::{Group, Initiator, Map, Members, View};
use super::work::{Begun, Recovered, closing, recover};

/// The version of the records in the store.
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct SystemRecord {
    format: u32,
    name: String,
    label: String,
}

/// Makes the first picture.
pub(super) fn start(
    engine: &dyn Engine,
    store: &Store,
    system: SystemName,
) -> Result<Inventory, Error> {
    let (system, fresh) = system_record(store, system)?;
    let mut inventory = Inventory::new(system);
    for (_, initiator) in load::<Initiator>(store, Table::Initiators)? {
        inventory.take_change(&Change::PutInitiator(initiator));
    }
    for (_, group) in load::<Group>(store, Table::Groups)? {
        inventory.take_change(&Change::PutGroup(group));
    }
    for (_, view) in load::<View>(store, Table::Views)? {
        inventory.take_change(&Change::PutView(view));
    }
    let mut jobs: BTreeMap<_, _> = load::<Job>(store, Table::Jobs)?
        .into_iter()
        .map(|(_, job)| (job.id, job))
        .collect();
    let mut warnings = Vec::new();
    for (_, begun) in load::<Begun>(store, Table::Journal)? {
        let job = jobs.remove(&begun.job);
        let ended = end_begun(engine, store, &mut inventory, &begun, job, &mut warnings)?;
        jobs.insert(ended.id, ended);
    }
    jobs.into_values()
        .for_each(|job| inventory.put_job(job.into()));
    let facts = engine.scan()?;
    if fresh {
        adopt(store, &mut inventory, &facts.maps, &mut warnings)?;
    }
    inventory.take_facts(facts);
    let maps = showable(&inventory, &mut warnings);
    if let Err(error) = engine.converge(&maps) {
        warnings.push(format!(
            "not everything that should be shown to hosts is: {error}"
        ));
    }
    inventory.take_facts(engine.scan()?);
    warnings
        .iter()
        .for_each(|warning| tracing::warn!("{warning}"));
    inventory.warnings = warnings.into();
    Ok(inventory)
}

/// The maps of volumes that are there and are this array's; the others are warned about.
fn showable(inventory: &Inventory, warnings: &mut Vec<String>) -> Vec<Map> {
    let (good, bad): (Vec<_>, Vec<_>) = inventory.all_maps().into_iter().partition(|map| {
        inventory
            .volume(&map.volume)
            .is_some_and(|volume| volume.job.is_none())
    });
    for map in bad {
        warnings.push(format!(
            "volume {} is not there and is not shown to {} as device number {}",
            map.volume, map.initiator, map.lun
        ));
    }
    good
}

fn load<T: DeserializeOwned>(store: &Store, table: Table) -> Result<Vec<(String, T)>, Error> {
    store.load(table).map_err(|error| {
        Error::unavailable(
            "the stored state of the array cannot be read; nothing was changed. Put back a good \
             copy, or move it away so that what is exported is adopted",
        )
        .caused_by(error)
    })
}

/// The lasting name of the system; made once. Tells whether it was made now.
fn system_record(store: &Store, system: SystemName) -> Result<(SystemName, bool), Error> {
    if let Some((_, record)) = load::<SystemRecord>(store, Table::System)?.pop() {
        if record.format != FORMAT {
            return Err(Error::not_supported(format!(
                "the stored state has format {}, this program reads format {FORMAT}",
                record.format
            )));
        }
        return Ok((
            SystemName {
                name: record.name,
                label: system.label,
            },
            false,
        ));
    }
    let mut batch = Batch::new();
    let record = SystemRecord {
        format: FORMAT,
        name: system.name.clone(),
        label: system.label.clone(),
    };
    batch.put(Table::System, "system", &record);
    store
        .write(&batch)
        .map_err(|e| Error::unavailable("the store cannot be written").caused_by(e))?;
    Ok((system, true))
}

/// Ends one piece of work that a crash interrupted.
fn end_begun(
    engine: &dyn Engine,
    store: &Store,
    inventory: &mut Inventory,
    begun: &Begun,
    job: Option<Job>,
    warnings: &mut Vec<String>,
) -> Result<Job, Error> {
    let mut job = job.unwrap_or_else(|| {
        Job::start(
            begun.job,
            begun.plan.title.clone(),
            super::job::Area::Storage,
            String::new(),
        )
    });
    let (mut ended, reached, clean) = match recover(&begun.plan, engine) {
        Recovered::Finished(reached) => {
            job.note = Some("a restart interrupted it; it was finished afterwards".into());
            begun
                .plan
                .changes
                .iter()
                .for_each(|change| inventory.take_change(change));
            (job.ended(&Ok(reached.affected())), true, true)
        }
        Recovered::RolledBack => {
            job.note = Some("a restart interrupted it; it was rolled back".into());
            let error = Error::unavailable("a restart interrupted the job; it was rolled back");
            (job.ended(&Err(error)), false, true)
        }
        Recovered::Stuck(error) => {
            warnings.push(format!(
                "'{}' was interrupted and is unfinished: {error}",
                job.title
            ));
            job.note = Some("a restart interrupted it; the next start tries to end it".into());
            (job.ended(&Err(error)), false, false)
        }
    };
    if ended.state == JobState::Cancelled {
        ended.state = JobState::Failed;
    }
    store
        .write(&closing(&begun.plan, &ended, reached, clean))
        .map_err(|e| Error::unavailable("the store cannot be written").caused_by(e))?;
    Ok(ended)
}

/// With an empty store, what is shown to hosts already becomes views: a lost store hides nothing.
fn adopt(
    store: &Store,
    inventory: &mut Inventory,
    maps: &[Map],
    warnings: &mut Vec<String>,
) -> Result<(), Error> {
    let mut paths: BTreeMap<(&InitiatorName, &PortId), BTreeMap<_, u16>> = BTreeMap::new();
    for map in maps {
        let luns = paths.entry((&map.initiator, &map.port)).or_default();
        luns.insert(map.volume.clone(), map.lun);
    }
    if paths.is_empty() {
        return Ok(());
    }
    let mut hosts: BTreeMap<&InitiatorName, GroupId> = BTreeMap::new();
    let mut changes = Vec::new();
    for ((initiator, port), luns) in paths {
        let mut group = |name: String, members: Members| {
            let id = GroupId::new();
            changes.push(Change::PutGroup(Group {
                id,
                name,
                members,
                delete_on_empty: false,
                delete_when_unassociated: true,
            }));
            id
        };
        let name = format!("adopted {initiator} {}", port.tag);
        let host = *hosts.entry(initiator).or_insert_with(|| {
            group(
                format!("adopted {initiator}"),
                Members::Initiators([initiator.clone()].into()),
            )
        });
        let ports = group(name.clone(), Members::Ports([port.clone()].into()));
        let volumes = group(
            name.clone(),
            Members::Volumes(luns.keys().cloned().collect()),
        );
        changes.push(Change::PutInitiator(Initiator {
            name: initiator.clone(),
        }));
        changes.push(Change::PutView(View {
            id: ViewId::new(),
            name,
            initiators: Some(host),
            ports: Some(ports),
            volumes: Some(volumes),
            luns,
        }));
    }
    let mut batch = Batch::new();
    changes
        .iter()
        .for_each(|change| change.write_to(&mut batch));
    store
        .write(&batch)
        .map_err(|e| Error::unavailable("the store cannot be written").caused_by(e))?;
    changes
        .iter()
        .for_each(|change| inventory.take_change(change));
    warnings.push(
        "the stored state was missing; what is shown to hosts was adopted as masking views".into(),
    );
    Ok(())
}
