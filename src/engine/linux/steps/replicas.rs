//! The steps that take snapshots, and that note what is a replica of what.
//!
//! Several snapshots are of one moment because their sources take no writes in it. LVM copes with
//! that where it makes snapshots of volumes on disks, and lets each take writes again when it has its
//! snapshot. Of thin volumes it would leave the pool broken: there it makes the snapshots before, and
//! in the moment the pool is told to take them anew.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use super::{
    Name, device_name, identity, is_of, job_tag, marked, name_tag, not_busy, nothing, room_for,
    unreadable, verify,
};
use crate::array::{Error, JobId, Kind, Layout, PoolId, Relation, Snap, Subject, Taken};
use crate::engine::linux::blockdev::DmDevice;
use crate::engine::linux::dm;
use crate::engine::linux::lvm::group::{Group, LvmError, NewVolume, Session, Which};
use crate::engine::linux::lvm::names::{LvName, LvmUuid, Tag};
use crate::engine::linux::lvm::report::LvRow;
use crate::engine::linux::lvm::shape::Shapes;
use crate::engine::linux::lvm::tags::{self, Marks};
use crate::engine::linux::picture;
use crate::engine::linux::still::{self, Still};
use crate::engine::linux::watch::Deadline;
use crate::engine::linux::{LIMIT, LinuxEngine};

/// A snapshot that is to be taken, checked.
struct Taking {
    device: LvName,
    tags: Vec<Tag>,
    source: LvmUuid,
    /// The source's device name.
    origin: LvName,
    /// Extents for what changes; none of a thin source.
    room: Option<u64>,
}

impl Taking {
    /// Refuses a source that takes writes again: somebody else has ended the moment, and it is one no
    /// more.
    fn expect_still(&self, still: &Still, device: &DmDevice) -> Result<(), Error> {
        match still.is_still(device) {
            true => Ok(()),
            false => Err(Error::unavailable(format!(
                "volume {} was made to take writes again too early; try again",
                self.origin
            ))),
        }
    }

    /// Whether that row is of this snapshot, whatever its moment.
    fn is(&self, row: &LvRow) -> bool {
        let has = |tag: &Tag| row.lv_tags.split(',').any(|word| word == tag.as_str());
        row.origin_uuid == self.source.as_str() && self.tags.iter().all(has)
    }
}

/// A thin snapshot and its source as their pool knows them.
struct Ids {
    pool: String,
    snapshot: u64,
    source: u64,
}

impl LinuxEngine {
    pub(in super::super) fn snapshot(
        &self,
        pool: &PoolId,
        of: &[Snap],
        job: &JobId,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let group = self.group(pool)?;
        let mut session = group.enter(deadline)?;
        if self.are_taken(&mut session, of, job)? {
            return Ok(());
        }
        let takings = self.takings(&mut session, of, job)?;
        match &takings[..] {
            [only] => self.take_one(&mut session, only)?,
            _ => self.take_all(&mut session, &takings)?,
        }
        for taking in &takings {
            let row = session.find(Which::Name(&taking.device))?;
            // What is exported is activated when it is exported, so the boot does not activate it.
            if let Some(row) = row.filter(|row| is_of(&Marks::read(&row.lv_tags), job)) {
                session.leave_to_us(&identity(&row)?)?;
            }
        }
        Ok(())
    }

    /// Whether an earlier attempt took them all. What it left of some is removed: the others would be
    /// of another moment.
    fn are_taken(
        &self,
        session: &mut Session<'_>,
        of: &[Snap],
        job: &JobId,
    ) -> Result<bool, Error> {
        let rows = session.volumes()?;
        let mut there = Vec::new();
        for snap in of {
            let found = rows.iter().find(|row| row.lv_name == snap.device);
            let Some(row) = found else { continue };
            let marks = Marks::read(&row.lv_tags);
            if !is_of(&marks, job) || row.origin_uuid != snap.source.as_str() {
                return Err(Error::already_exists(format!(
                    "volume group {} has a logical volume {} already",
                    session.group.name, snap.device
                )));
            }
            there.push((row, marks.taken.is_some()));
        }
        if !of.is_empty() && there.len() == of.len() && there.iter().all(|(_, is_taken)| *is_taken)
        {
            return Ok(true);
        }
        for (row, _) in there {
            self.remove_row(session, row)?;
        }
        Ok(false)
    }

    /// Looks at every source before anything is made.
    fn takings(
        &self,
        session: &mut Session<'_>,
        of: &[Snap],
        job: &JobId,
    ) -> Result<Vec<Taking>, Error> {
        let sources: BTreeSet<_> = of.iter().map(|snap| &snap.source).collect();
        let devices: BTreeSet<_> = of.iter().map(|snap| &snap.device).collect();
        if of.is_empty() || sources.len() < of.len() || devices.len() < of.len() {
            return Err(Error::invalid(
                "name at least one volume, each once, and a snapshot for each",
            ));
        }
        let group = self.state(session)?;
        let (mut takings, mut rooms) = (Vec::new(), 0_u64);
        for snap in of {
            let subject = Subject::Known(snap.source.clone());
            let device = LvName::new(snap.device.as_str());
            let device = device.map_err(|e| Error::invalid(e.to_string()))?;
            let source = LvmUuid::new(snap.source.as_str()).map_err(|_| nothing(&subject))?;
            let row = self.owned(session, &Name::Uuid(source.clone()), &subject)?;
            not_busy(&row, Some(job))?;
            check_kind(&row, snap)?;
            let room = match snap.room {
                Some(room) => Some(super::extents(&group, room)?),
                None => {
                    self.thin_pool(session, &PoolId::from(row.pool_lv_uuid.as_str()))?;
                    None
                }
            };
            rooms = rooms.saturating_add(snap.room.unwrap_or_default());
            self.active(session, &source)?;
            takings.push(Taking {
                device,
                tags: vec![tags::owner(), name_tag(&snap.name)?, job_tag(job)],
                origin: device_name(&row)?,
                source,
                room,
            });
        }
        if rooms > 0 {
            room_for(&group, Layout::Linear, rooms)?;
            refuse_moved(session, &takings)?;
        }
        Ok(takings)
    }

    /// One snapshot is of one moment however LVM takes it.
    fn take_one(&self, session: &mut Session<'_>, taking: &Taking) -> Result<(), Error> {
        let mut tags = taking.tags.clone();
        tags.push(tags::taken(now()));
        let line = match taking.room {
            Some(extents) => {
                let wanted = NewVolume {
                    name: &taking.device,
                    extents,
                    tags: &tags,
                };
                session.snapshot(&wanted, &taking.origin)
            }
            None => session.thin_snapshot(&taking.device, &tags, &taking.origin, true),
        };
        let done = session.take(&line);
        verify(done, || is_there(session, taking))
    }

    /// Takes several in one moment. Each part of the work has the time that one command has; the
    /// moment is one part, for hosts wait in it.
    fn take_all(&self, session: &mut Session<'_>, takings: &[Taking]) -> Result<(), Error> {
        let (thin, thick): (Vec<&Taking>, Vec<&Taking>) =
            takings.iter().partition(|taking| taking.room.is_none());
        for taking in &thin {
            session.deadline = Deadline::after(LIMIT);
            let line = session.thin_snapshot(&taking.device, &taking.tags, &taking.origin, false);
            let done = session.take(&line);
            verify(done, || is_there(session, taking))?;
        }
        let ids = ids(session, &thin)?;
        let (of_thin, of_thick) = (
            self.origins(session, &thin)?,
            self.origins(session, &thick)?,
        );
        let all = of_thin.iter().chain(&of_thick).cloned().collect();

        session.deadline = Deadline::after(LIMIT);
        let mut still = Still::new(&self.dmsetup, &self.places, all)?;
        let moment = now();
        for ids in &ids {
            ids.take_anew(&self.dmsetup, session.deadline)?;
        }
        for (taking, device) in thin.iter().zip(&of_thin) {
            taking.expect_still(&still, device)?;
        }
        still.release(&of_thin);
        for (taking, device) in thick.iter().zip(&of_thick) {
            taking.expect_still(&still, device)?;
            let wanted = NewVolume {
                name: &taking.device,
                extents: taking.room.unwrap_or_default(),
                tags: &taking.tags,
            };
            let line = session.snapshot(&wanted, &taking.origin);
            session.take(&line)?;
        }
        drop(still);

        for taking in takings {
            session.deadline = Deadline::after(LIMIT);
            self.finish(session, taking, moment)?;
        }
        Ok(())
    }

    /// Makes a snapshot of several appear, and count as taken.
    fn finish(&self, session: &mut Session<'_>, taking: &Taking, moment: u64) -> Result<(), Error> {
        let row = session.find(Which::Name(&taking.device))?;
        let row = row.filter(|row| taking.is(row)).ok_or_else(|| {
            Error::unavailable(format!("LVM did not take {}; try again", taking.device))
        })?;
        let uuid = identity(&row)?;
        self.active(session, &uuid)?;
        let done = session.retag(&uuid, &[], &[tags::taken(moment)]);
        verify(done, || {
            let row = session.find(Which::Uuid(&uuid))?;
            Ok(row.is_some_and(|row| Marks::read(&row.lv_tags).taken == Some(moment)))
        })
    }

    /// The devices of the sources.
    fn origins(&self, session: &Session<'_>, of: &[&Taking]) -> Result<Vec<DmDevice>, Error> {
        let devices = of.iter().map(|taking| {
            let device = self.device(&session.group.uuid, &taking.source)?;
            device.ok_or_else(|| {
                Error::unavailable(format!("the device of volume {} is gone", taking.origin))
            })
        });
        devices.collect()
    }

    /// Lets volumes of a group take writes again that somebody was killed over.
    pub(in super::super) fn wake(&self, group: &Group, deadline: Deadline) -> Result<(), Error> {
        let prefix = format!("LVM-{}", group.uuid.plain());
        let suspended = || -> Result<Vec<DmDevice>, Error> {
            let devices = self.places.dm_devices().map_err(unreadable)?.into_iter();
            let own = devices.filter(|(uuid, _)| uuid.starts_with(&prefix));
            let own = own.map(|(_, device)| device);
            Ok(own.filter(|d| self.places.is_suspended(d)).collect())
        };
        if suspended()?.is_empty() {
            return Ok(());
        }
        let mut session = group.enter(deadline)?;
        // LVM waits for another command of its own that does this with good reason.
        for row in session.volumes()? {
            let (uuid, device) = match identity(&row) {
                Ok(uuid) => (uuid.clone(), self.device(&group.uuid, &uuid)?),
                Err(_) => continue,
            };
            let is_suspended = device.is_some_and(|device| self.places.is_suspended(&device));
            if is_suspended && let Err(error) = session.activate(&uuid) {
                tracing::warn!(%error, volume = row.lv_name, "LVM does not resume a volume");
            }
        }
        let left = suspended()?;
        if !left.is_empty() {
            tracing::warn!(group = group.name.as_str(), "devices were left suspended");
            still::wake(&self.dmsetup, &self.places, left);
        }
        match suspended()?.first() {
            None => Ok(()),
            Some(device) => Err(Error::unavailable(format!(
                "device {} takes no writes; use dmsetup resume",
                device.name
            ))),
        }
    }

    pub(in super::super) fn relate(
        &self,
        volume: &Subject,
        to: Option<&Relation>,
        job: Option<&JobId>,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let moment = to.map(|to| self.moment(&to.taken, deadline));
        let (group, name) = self.locate(volume, deadline)?;
        let mut session = group.enter(deadline)?;
        let row = self.owned(&mut session, &name, volume)?;
        match job {
            Some(job) => marked(&row, job)?,
            None => not_busy(&row, None)?,
        }
        if row.is_delta() {
            return Err(Error::invalid(format!(
                "volume {} is nothing without what it was taken of; clone it instead",
                row.lv_name
            )));
        }
        let old = tags::relation(&row.lv_tags);
        let new = related(&row, to, moment)?;
        let (gone, come): (Vec<Tag>, Vec<Tag>) = (without(&old, &new), without(&new, &old));
        if gone.is_empty() && come.is_empty() {
            return Ok(());
        }
        let done = session.retag(&identity(&row)?, &gone, &come);
        verify(done, || {
            let row = session.find(name.which())?;
            let now = row.map_or_else(Vec::new, |row| tags::relation(&row.lv_tags));
            Ok(without(&now, &new).is_empty() && without(&new, &now).is_empty())
        })
    }

    /// The moment of a replica.
    fn moment(&self, taken: &Taken, deadline: Deadline) -> Result<Option<u64>, Error> {
        let of = match taken {
            Taken::At(moment) => return Ok(*moment),
            Taken::With(of) => of,
        };
        let (group, name) = self.locate(of, deadline)?;
        let rows = self.lvm.list_volumes(deadline)?;
        let mut rows = rows.iter().filter(|row| row.vg_uuid == group.uuid.as_str());
        let row = rows.find(|row| name.which().is(row));
        let row = row.ok_or_else(|| nothing(of))?;
        Ok(moment_of(row))
    }
}

/// Refuses sources on disks that are being moved: LVM has locked them. It asks its metadata only.
fn refuse_moved(session: &mut Session<'_>, takings: &[Taking]) -> Result<(), Error> {
    let rows = session.segments()?;
    let shapes = Shapes::new(&rows, [], []);
    let mut thick = takings.iter().filter(|taking| taking.room.is_some());
    match thick.find(|taking| !shapes.moves(taking.origin.as_str()).is_empty()) {
        None => Ok(()),
        Some(taking) => Err(Error::in_use(format!(
            "volume {} is being moved to other disks; wait until that has ended",
            taking.origin
        ))),
    }
}

/// The moment of a snapshot, in microseconds since 1970.
fn moment_of(row: &LvRow) -> Option<u64> {
    Marks::read(&row.lv_tags)
        .taken
        .or_else(|| picture::created(row))
}

/// The tags that a volume is to bear for a relation.
fn related(
    row: &LvRow,
    to: Option<&Relation>,
    moment: Option<Result<Option<u64>, Error>>,
) -> Result<Vec<Tag>, Error> {
    let marks = Marks::read(&row.lv_tags);
    let has_origin = !row.origin_uuid.is_empty();
    let kept = marks.taken.map(tags::taken);
    let Some(to) = to else {
        let detached = has_origin.then(tags::detached);
        return Ok(detached
            .into_iter()
            .chain(kept.filter(|_| has_origin))
            .collect());
    };
    let is_own = row.origin_uuid == to.source.as_str();
    let is_noted = marks.clone_of.as_deref() == Some(to.source.as_str());
    let moment = match moment.unwrap_or(Ok(None)) {
        // The snapshot that it was made from went when that was noted.
        Err(error) if error.kind == Kind::NotFound && is_noted => marks.taken,
        moment => moment?,
    };
    let moment = moment.map(tags::taken);
    if is_own {
        return Ok(moment.or(kept).into_iter().collect());
    }
    let source = tags::clone_of(to.source.as_str()).map_err(|e| Error::invalid(e.to_string()))?;
    let detached = has_origin.then(tags::detached);
    Ok(std::iter::once(source)
        .chain(moment)
        .chain(detached)
        .collect())
}

fn without(tags: &[Tag], others: &[Tag]) -> Vec<Tag> {
    let tags = tags.iter().filter(|tag| !others.contains(tag));
    tags.cloned().collect()
}

/// Refuses what LVM takes no such snapshot of.
fn check_kind(row: &LvRow, snap: &Snap) -> Result<(), Error> {
    let name = &row.lv_name;
    let sentence = match (row.is_delta(), row.has_layout("thin"), snap.room) {
        (true, ..) => {
            format!("volume {name} is a snapshot itself, and there are none of such a one")
        }
        (_, true, Some(_)) => {
            format!("volume {name} is thin, and a snapshot of it has no room of its own")
        }
        (_, false, None) => {
            format!("a snapshot of volume {name} needs room for what changes; say how much")
        }
        _ => return Ok(()),
    };
    Err(Error::invalid(sentence))
}

/// Whether a snapshot is there as it is to be, but for its moment.
fn is_there(session: &mut Session<'_>, taking: &Taking) -> Result<bool, LvmError> {
    let row = session.find(Which::Name(&taking.device))?;
    Ok(row.is_some_and(|row| taking.is(&row)))
}

/// What the pools call these snapshots and their sources.
fn ids(session: &mut Session<'_>, takings: &[&Taking]) -> Result<Vec<Ids>, Error> {
    if takings.is_empty() {
        return Ok(Vec::new());
    }
    let rows = session.segments()?;
    let ids = takings.iter().map(|taking| {
        let row = |which: Which<'_>| rows.iter().find(|row| which.is(row));
        let snapshot = row(Which::Name(&taking.device))?;
        let source = row(Which::Uuid(&taking.source))?;
        let mut pools = rows.iter().filter(|row| row.lv_uuid == source.pool_lv_uuid);
        let pool = pools
            .next()
            .filter(|_| snapshot.pool_lv_uuid == source.pool_lv_uuid)?;
        Some(Ids {
            pool: format!("{}-tpool", dm::name(&pool.vg_name, pool.plain_name())),
            snapshot: snapshot.thin_id?,
            source: source.thin_id.filter(|id| Some(*id) != snapshot.thin_id)?,
        })
    });
    let ids: Option<Vec<Ids>> = ids.collect();
    ids.ok_or_else(|| {
        Error::unavailable("LVM does not tell what its thin pools call their volumes")
    })
}

impl Ids {
    /// Tells the pool to forget a snapshot that nobody has used and to take it now.
    fn take_anew(&self, program: &std::path::Path, deadline: Deadline) -> Result<(), Error> {
        let Self {
            pool,
            snapshot,
            source,
        } = self;
        let messages = [
            format!("delete {snapshot}"),
            format!("create_snap {snapshot} {source}"),
        ];
        for message in messages {
            dm::tell(program, pool, message, deadline)?;
        }
        Ok(())
    }
}

/// Now, in microseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    })
}
