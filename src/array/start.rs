//! Start-up: end what was begun, adopt what is exported, bring the targets into the stored state.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::store::{Batch, Store, StoreError, Table};

use super::change::Change;
use super::course::Course;
use super::drift::Drift;
use super::engine::Engine;
use super::error::Error;
use super::ids::{GroupId, InitiatorName, JobId, PoolId, PortId, ViewId};
use super::inventory::{Inventory, Policy, SystemName};
use super::job::{Call, Job, JobState, now_micros};
use super::model::{
    Group, Initiator, MadeTarget, Map, Members, Owner, ReplicationGroup, Retired, View,
};
use super::plan::Goal;
use super::quality::Setting;
use super::step::VolumeGroup;
use super::work::{self, Begun, Recovered, closing, noting, recover};

/// The version of the records in the store.
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct SystemRecord {
    format: u32,
    name: String,
    label: String,
}

/// What a job says that was finished, or rolled back, after a restart.
pub(super) const FINISHED: &str = "a restart interrupted it; it was finished afterwards";
pub(super) const ROLLED_BACK: &str = "a restart interrupted it; it was rolled back";

/// What a start came to.
pub(super) struct Started {
    /// The first picture.
    pub(super) inventory: Inventory,
    /// The maps that could not be made yet.
    pub(super) owed: BTreeSet<Map>,
    /// Work that goes on while the array is in use already: nobody is to wait for it.
    pub(super) unended: Vec<(Begun, Job)>,
    /// Work that could not be ended.
    pub(super) stuck: Vec<Begun>,
}

/// Ends what can be ended at once, and makes the first picture.
pub(super) fn start(
    engine: &dyn Engine,
    store: &Store,
    system: SystemName,
    policy: Policy,
) -> Result<Started, Error> {
    let known = system_record(store)?;
    let fresh = known.is_none();
    let system = SystemName {
        name: known.unwrap_or_else(|| system.name.clone()),
        label: system.label,
    };
    let mut inventory = Inventory::new(system.clone(), policy);
    for (_, initiator) in load::<Initiator>(store, Table::Initiators)? {
        inventory.take_change(&Change::PutInitiator(initiator));
    }
    for setting in lasting_settings(store)? {
        inventory.take_change(&Change::PutSetting(setting));
    }
    for (_, group) in load::<ReplicationGroup>(store, Table::ReplicationGroups)? {
        inventory.take_change(&Change::PutReplicationGroup(group));
    }
    for (_, group) in load::<Group>(store, Table::Groups)? {
        inventory.take_change(&Change::PutGroup(group));
    }
    for (_, view) in load::<View>(store, Table::Views)? {
        inventory.take_change(&Change::PutView(view));
    }
    for (_, retired) in load::<Retired>(store, Table::Retired)? {
        inventory.take_change(&Change::Retire(retired));
    }
    for (_, target) in load::<MadeTarget>(store, Table::Targets)? {
        inventory.take_change(&Change::PutTarget(target));
    }
    let mut jobs = known_jobs(store)?;
    let mut warnings = Vec::new();
    let mut unfinished = BTreeSet::new();
    let journal = load::<Begun>(store, Table::Journal)?;
    let groups = made_groups(store, &journal)?;
    engine.manage(&groups, &made_targets(&inventory, &journal))?;
    let (mut unended, mut stuck) = (Vec::new(), Vec::new());
    for (_, mut begun) in journal {
        let job = jobs.remove(&begun.job).unwrap_or_else(|| unknown(&begun));
        let job = match begun.takes_long() {
            true => {
                let job = job.resumed();
                unended.push((begun, job.clone()));
                job
            }
            false => {
                let (job, is_left) = end_begun(
                    engine,
                    store,
                    &mut inventory,
                    &mut begun,
                    job,
                    &mut warnings,
                )?;
                if is_left {
                    begun.failed = true;
                    stuck.push(begun);
                }
                job
            }
        };
        unfinished.insert(job.id);
        jobs.insert(job.id, job);
    }
    age_numbers(store, &mut inventory)?;
    jobs.into_values()
        .for_each(|job| inventory.put_job(job.into()));
    // What could not be ended is not made again.
    engine.manage(&groups, &made_targets(&inventory, &[]))?;
    let mut facts = engine.scan()?;
    if fresh {
        let strays = std::mem::take(&mut facts.stray_targets);
        if !strays.is_empty() {
            engine.manage(&groups, &strays)?;
            facts = engine.scan()?;
        }
        let changes = adopt(&strays, &facts.maps);
        begin(store, &system, &mut inventory, &changes, &mut warnings)?;
    }
    for stray in &facts.stray_targets {
        warnings.push(format!(
            "target {} was made through this array, but nothing is stored of it; what is ours in it is \
             hidden, and it goes if nobody uses it",
            stray.iqn
        ));
    }
    let shown: BTreeSet<Map> = facts.maps.iter().cloned().collect();
    inventory.take_facts(facts);
    warn_of_unfinished(&inventory, &unfinished, &mut warnings);
    let maps = showable(&inventory, &shown, &mut warnings);
    if let Err(error) = engine.converge(&maps) {
        warnings.push(format!(
            "not everything that should be shown to hosts is: {error}"
        ));
    }
    let facts = engine.scan()?;
    let drift = Drift::between(&inventory, &facts, |map| engine.is_mapped(map).ok());
    inventory.take_facts(facts);
    let owed = drift.missing.clone();
    inventory.take_drift(drift);
    warnings
        .iter()
        .for_each(|warning| tracing::warn!("{warning}"));
    inventory.warnings = warnings.into();
    Ok(Started {
        inventory,
        owed,
        unended,
        stuck,
    })
}

/// The volume groups that this array has made, and those that it may have been making when it
/// stopped.
fn made_groups(store: &Store, journal: &[(String, Begun)]) -> Result<Vec<VolumeGroup>, Error> {
    let made = load::<PoolId>(store, Table::Pools)?;
    let begun = journal
        .iter()
        .filter_map(|(_, begun)| match &begun.plan.goal {
            Goal::PoolMade {
                group: None,
                device,
            } => Some(VolumeGroup::Made(device.clone())),
            _ => None,
        });
    let noted = journal.iter().filter_map(|(_, begun)| begun.made.clone());
    let made = made.into_iter().map(|(_, id)| id);
    let known = made.chain(noted).map(VolumeGroup::Known);
    Ok(known.chain(begun).collect())
}

/// The targets that clients made, those included that they may have been making when the array
/// stopped, as they were to be then.
fn made_targets(inventory: &Inventory, journal: &[(String, Begun)]) -> Vec<MadeTarget> {
    let begun = journal
        .iter()
        .filter_map(|(_, begun)| match &begun.plan.goal {
            Goal::Listening { target, .. } if !target.portals.is_empty() => Some(target.clone()),
            Goal::TakenOver { takeover, .. } => takeover.target.clone(),
            _ => None,
        });
    let known = inventory.made_targets().map(|t| MadeTarget::clone(t));
    // The later of two with one name counts.
    let all: BTreeMap<_, _> = known.chain(begun).map(|t| (t.iqn.clone(), t)).collect();
    all.into_values().collect()
}

/// A mark of unfinished work that the journal knows nothing of: without it nothing is removed.
fn warn_of_unfinished(inventory: &Inventory, known: &BTreeSet<JobId>, warnings: &mut Vec<String>) {
    for volume in inventory.volumes() {
        if let Some(job) = volume.job.filter(|job| !known.contains(job)) {
            warnings.push(format!(
                "volume '{}' ({}) was left unfinished by job {job}, of which nothing is stored; \
                 look at it and remove it or its mark",
                volume.name, volume.device
            ));
        }
    }
}

/// The maps that are to be there: those of volumes that are there, and those that hosts see now.
/// A volume may be missing only because its pool could not be read; who reads it already goes on.
fn showable(inventory: &Inventory, shown: &BTreeSet<Map>, warnings: &mut Vec<String>) -> Vec<Map> {
    let (good, bad): (Vec<_>, Vec<_>) = inventory.all_maps().into_iter().partition(|map| {
        let volume = inventory.volume(&map.volume);
        volume.map_or_else(|| shown.contains(map), |volume| volume.job.is_none())
    });
    for map in bad {
        warnings.push(format!(
            "volume {} is not there and is not shown to {} as device number {}",
            map.volume, map.initiator, map.lun
        ));
    }
    good
}

/// The settings that outlive a restart; the others are forgotten.
fn lasting_settings(store: &Store) -> Result<Vec<Setting>, Error> {
    let settings = load::<Setting>(store, Table::Settings)?;
    let all = settings.into_iter().map(|(_, setting)| setting);
    let (lasting, passing): (Vec<_>, Vec<_>) = all.partition(|setting| setting.lasting);
    if !passing.is_empty() {
        let mut batch = Batch::new();
        let gone = passing.into_iter().map(|setting| setting.id);
        gone.for_each(|id| Change::RemoveSetting(id).write_to(&mut batch));
        store.write(&batch).map_err(unwritable)?;
    }
    Ok(lasting)
}

/// Forgets the retired numbers whose time is up, and judges the others by the clock as it is now.
fn age_numbers(store: &Store, inventory: &mut Inventory) -> Result<(), Error> {
    let aged = inventory.aged_numbers(now_micros()).into_iter();
    let changes: Vec<Change> = aged.map(Change::of_number).collect();
    let mut batch = Batch::new();
    for change in &changes {
        change.write_to(&mut batch);
        inventory.take_change(change);
    }
    store.write(&batch).map_err(unwritable)
}

fn unwritable(error: StoreError) -> Error {
    Error::unavailable("the store cannot be written").caused_by(error)
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

/// The lasting name of the system; none in an empty store.
fn system_record(store: &Store) -> Result<Option<String>, Error> {
    let Some((_, record)) = load::<SystemRecord>(store, Table::System)?.pop() else {
        return Ok(None);
    };
    if record.format != FORMAT {
        return Err(Error::not_supported(format!(
            "the stored state has format {}, this program reads format {FORMAT}",
            record.format
        )));
    }
    Ok(Some(record.name))
}

/// The jobs as they were stored, with the calls that they came from. Their time begins anew, by a
/// clock that nobody sets: what the machine's clock was then, and is now, says nothing for sure.
fn known_jobs(store: &Store) -> Result<BTreeMap<JobId, Job>, Error> {
    let mut calls: BTreeMap<_, _> = load::<Call>(store, Table::Calls)?.into_iter().collect();
    let mut stored = load::<Job>(store, Table::Jobs)?;
    stored.sort_by_key(|(_, job)| job.changed);
    let mut jobs = BTreeMap::new();
    for (key, mut job) in stored {
        job.call = calls.remove(&key).map(Arc::new);
        job.live.over_since();
        jobs.insert(job.id, job);
    }
    // What belongs to no job any more.
    let mut batch = Batch::new();
    calls
        .into_keys()
        .for_each(|key| batch.remove(Table::Calls, key));
    store.write(&batch).map_err(unwritable)?;
    Ok(jobs)
}

/// Ends one piece of work that a crash interrupted; whether something of it is left.
fn end_begun(
    engine: &dyn Engine,
    store: &Store,
    inventory: &mut Inventory,
    begun: &mut Begun,
    mut job: Job,
    warnings: &mut Vec<String>,
) -> Result<(Job, bool), Error> {
    let interrupted = match job.state {
        JobState::Suspended => "a restart interrupted it while it was suspended",
        _ => "a restart interrupted it",
    };
    let note = |begun: &Begun| store.write(&noting(begun)).map_err(unwritable);
    let (ended, changes, left) = match recover(begun, engine, &Course::unwatched(), &note) {
        // Who was told that it failed is told why; the note says what became of it since.
        Recovered::Finished(reached) if begun.failed => {
            job.note = Some("it turned out after a restart that it was done after all".into());
            (told(job), reached.changes, false)
        }
        Recovered::RolledBack(_) if begun.failed => {
            job.note = Some("what was left of it was taken back after a restart".into());
            (told(job), Vec::new(), false)
        }
        Recovered::Finished(reached) => {
            job.note = Some(format!("{interrupted}; it was finished afterwards"));
            let affected = reached.affected();
            (job.interrupted(&Ok(affected)), reached.changes, false)
        }
        // Maps follow the records when the targets converge.
        Recovered::Stuck(_) | Recovered::RolledBack(_) if !begun.plan.goal.is_kept() => (
            rolled_back(job, interrupted, work::interrupted()),
            Vec::new(),
            false,
        ),
        Recovered::RolledBack(error) => (rolled_back(job, interrupted, error), Vec::new(), false),
        Recovered::Stuck(error) => {
            warnings.push(format!("{}{error}", unfinished(begun)));
            job.note = Some(format!("{interrupted}; it is tried again to end it"));
            let ended = match begun.failed {
                true => told(job),
                false => job.interrupted(&Err(error)),
            };
            (ended, Vec::new(), true)
        }
    };
    changes
        .iter()
        .for_each(|change| inventory.take_change(change));
    store
        .write(&closing(begun, &ended, &changes, left))
        .map_err(unwritable)?;
    Ok((ended, left))
}

/// How a warning of work begins that a start could not end.
pub(super) fn unfinished(begun: &Begun) -> String {
    format!(
        "'{}' (job {}) was interrupted and is unfinished: ",
        begun.plan.title, begun.job
    )
}

/// The job of work that was rolled back.
fn rolled_back(mut job: Job, interrupted: &str, error: Error) -> Job {
    job.note = Some(format!("{interrupted}; it was rolled back"));
    job.interrupted(&Err(error))
}

/// The job of work of which no job is known any more.
fn unknown(begun: &Begun) -> Job {
    Job::lost(begun.job, begun.plan.title.clone()).of_plan(&begun.plan)
}

/// A job of whose end somebody was told: it stays as it was told.
fn told(job: Job) -> Job {
    if job.is_finished() {
        return job;
    }
    // The record's time was up, or its last state could not be written.
    job.interrupted(&Err(Error::unavailable("the job failed before a restart")))
}

/// Begins an empty store, in one transaction: were the name written alone, a start that failed
/// after it would let the next one hide what it should have adopted.
fn begin(
    store: &Store,
    system: &SystemName,
    inventory: &mut Inventory,
    changes: &[Change],
    warnings: &mut Vec<String>,
) -> Result<(), Error> {
    let mut batch = Batch::new();
    let record = SystemRecord {
        format: FORMAT,
        name: system.name.clone(),
        label: system.label.clone(),
    };
    batch.put(Table::System, "system", &record);
    changes
        .iter()
        .for_each(|change| change.write_to(&mut batch));
    store.write(&batch).map_err(unwritable)?;
    changes
        .iter()
        .for_each(|change| inventory.take_change(change));
    if !changes.is_empty() {
        warnings.push(
            "the stored state was missing; what is shown to hosts was adopted as masking views, and \
             the targets that clients had made"
                .into(),
        );
    }
    Ok(())
}

/// The targets that bear our mark, and what is shown to hosts already, as views: a lost store hides
/// nothing.
fn adopt(strays: &[MadeTarget], maps: &[Map]) -> Vec<Change> {
    let mut paths: BTreeMap<(&InitiatorName, &PortId), BTreeMap<_, u16>> = BTreeMap::new();
    for map in maps {
        let luns = paths.entry((&map.initiator, &map.port)).or_default();
        luns.insert(map.volume.clone(), map.lun);
    }
    let mut hosts: BTreeMap<&InitiatorName, GroupId> = BTreeMap::new();
    let mut changes: Vec<_> = strays.iter().cloned().map(Change::PutTarget).collect();
    for ((initiator, port), luns) in paths {
        let mut group = |name: String, members: Members| {
            let id = GroupId::new();
            changes.push(Change::PutGroup(Group {
                id,
                name,
                members,
                delete_on_empty: false,
                delete_when_unassociated: true,
                owner: Owner::Array,
            }));
            id
        };
        let name = format!("adopted {initiator} {port}");
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
            owner: Owner::Array,
        }));
        changes.push(Change::PutView(View {
            id: ViewId::new(),
            name,
            initiators: Some(host),
            ports: Some(ports),
            volumes: Some(volumes),
            luns,
            owner: Owner::Array,
        }));
    }
    changes
}
