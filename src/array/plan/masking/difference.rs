//! From the draft to steps and changes: what the touched views showed against what they will show.

use std::collections::BTreeSet;

use super::Draft;
use super::paths::already_seen;
use crate::array::change::Change;
use crate::array::error::Error;
use crate::array::ids::{GroupId, InitiatorName, PortId, ViewId};
use crate::array::inventory;
use crate::array::model::{Map, Members, View};
use crate::array::plan::Planned;
use crate::array::step::Step;

/// The most paths that one view shows: its initiators times its ports times its devices.
const MAX_PATHS: usize = 65_536;

/// From the draft to steps and changes.
impl Draft<'_> {
    /// Settles the numbers of every touched view and compares before with after.
    pub(super) fn steps(&mut self) -> Result<Vec<Planned>, Error> {
        let mut before = BTreeSet::new();
        let mut after = BTreeSet::new();
        for id in self.views.keys().copied().collect::<Vec<_>>() {
            if let Some(old) = self.now.view(&id) {
                before.extend(self.now.maps_of(old));
            }
            if let Some(view) = self.views.get(&id).cloned().flatten() {
                let view = self.settle(view)?;
                after.extend(self.maps_of(&view)?);
                self.views.insert(id, Some(view));
            }
        }
        let hide: Vec<Map> = before.difference(&after).cloned().collect();
        let show: Vec<Map> = after.difference(&before).cloned().collect();
        self.retire(&hide, &show);
        let (hide, show) = (hide.into_iter(), show.into_iter());
        let hide = hide.map(|m| Planned::with_undo(Step::Unmap(m.clone()), Step::Map(m)));
        let show = show.map(|m| Planned::with_undo(Step::Map(m.clone()), Step::Unmap(m)));
        Ok(hide.chain(show).collect())
    }

    /// The initiators and ports of a view, as they will be.
    pub(super) fn paths(
        &self,
        view: &View,
    ) -> Result<(BTreeSet<InitiatorName>, BTreeSet<PortId>), Error> {
        let members =
            |id: Option<GroupId>| id.map(|id| self.group(id).map(|g| g.members)).transpose();
        let initiators = match members(view.initiators)? {
            Some(Members::Initiators(set)) => set,
            _ => BTreeSet::new(),
        };
        let ports = match members(view.ports)? {
            Some(Members::Ports(set)) => set,
            _ => BTreeSet::new(),
        };
        Ok((initiators, ports))
    }

    /// The initiators and ports that a view has before the edit.
    pub(super) fn paths_now(&self, view: ViewId) -> (BTreeSet<InitiatorName>, BTreeSet<PortId>) {
        let mut paths = <(BTreeSet<_>, BTreeSet<_>)>::default();
        let groups = self
            .now
            .view(&view)
            .into_iter()
            .flat_map(|view| view.groups());
        for group in groups.filter_map(|id| self.now.group(&id)) {
            match &group.members {
                Members::Initiators(set) => paths.0.clone_from(set),
                Members::Ports(set) => paths.1.clone_from(set),
                Members::Volumes(_) => {}
            }
        }
        paths
    }

    fn maps_of(&self, view: &View) -> Result<Vec<Map>, Error> {
        let (initiators, ports) = self.paths(view)?;
        Ok(inventory::maps(&initiators, &ports, view))
    }

    /// Checks a view against the rules, and gives every device of it its number.
    fn settle(&self, mut view: View) -> Result<View, Error> {
        let (initiators, ports) = self.paths(&view)?;
        self.check_fabrics(&view, &initiators, &ports)?;
        self.check_paths(&view, &initiators, &ports)?;
        let volumes = match view
            .volumes
            .map(|id| self.group(id))
            .transpose()?
            .map(|g| g.members)
        {
            Some(Members::Volumes(list)) => list,
            _ => Vec::new(),
        };
        check_extent(&view, [initiators.len(), ports.len(), volumes.len()])?;
        view.luns.retain(|volume, _| volumes.contains(volume));
        self.number(&mut view, &initiators, &ports, &volumes)?;
        Ok(view)
    }

    /// A view may name initiators and ports of several fabrics, and shows what each of them can reach.
    /// One of which nobody can reach anything is a mistake, unless it is what is left of a view from
    /// which something was only taken.
    fn check_fabrics(
        &self,
        view: &View,
        initiators: &BTreeSet<InitiatorName>,
        ports: &BTreeSet<PortId>,
    ) -> Result<(), Error> {
        let (Some(initiator), Some(port)) = (initiators.first(), ports.first()) else {
            return Ok(());
        };
        let reach = |port: &PortId| initiators.iter().any(|name| port.is_reached_by(name));
        let (initiators_now, ports_now) = self.paths_now(view.id);
        let is_left = initiators.is_subset(&initiators_now) && ports.is_subset(&ports_now);
        match is_left || ports.iter().any(reach) {
            true => Ok(()),
            false => Err(Error::invalid(format!(
                "masking view '{}' would show nothing: its initiators, such as {initiator}, are of \
                 {} and its ports, such as {port}, of {}; name ports that the initiators can reach",
                view.name,
                initiator.fabric(),
                port.fabric()
            ))),
        }
    }

    /// An initiator sees each port that it can reach through one view at most.
    pub(super) fn check_paths(
        &self,
        view: &View,
        initiators: &BTreeSet<InitiatorName>,
        ports: &BTreeSet<PortId>,
    ) -> Result<(), Error> {
        let Some(group) = view.initiators else {
            return Ok(());
        };
        for other in self
            .views_with(group)
            .iter()
            .filter(|other| other.id != view.id)
        {
            let (theirs, other_ports) = self.paths(other)?;
            let shared = other_ports.intersection(ports);
            let mut seen = shared.filter_map(|port| {
                let mut both = theirs.intersection(initiators);
                Some((both.find(|name| port.is_reached_by(name))?, port))
            });
            if let Some((initiator, port)) = seen.next() {
                return Err(already_seen(initiator, other, port));
            }
        }
        Ok(())
    }

    pub(super) fn into_changes(self) -> Vec<Change> {
        let initiators = self
            .initiators
            .into_iter()
            .map(|(name, record)| match record {
                Some(initiator) => Change::PutInitiator(initiator),
                None => Change::RemoveInitiator(name),
            });
        let groups = self.groups.into_iter().map(|(id, record)| match record {
            Some(group) => Change::PutGroup(group),
            None => Change::RemoveGroup(id),
        });
        let views = self.views.into_iter().map(|(id, record)| match record {
            Some(view) => Change::PutView(view),
            None => Change::RemoveView(id),
        });
        let numbers = self.retired.into_iter().map(Change::of_number);
        initiators
            .chain(groups)
            .chain(views)
            .chain(numbers)
            .collect()
    }
}

/// Refuses a view that shows so much that making it would take all memory, and hours.
fn check_extent(view: &View, factors: [usize; 3]) -> Result<(), Error> {
    let paths = factors.into_iter().fold(1, usize::saturating_mul);
    match paths <= MAX_PATHS {
        true => Ok(()),
        false => Err(Error::not_supported(format!(
            "masking view '{}' would show {paths} paths, and a view has {MAX_PATHS} at most; make \
             several views",
            view.name
        ))),
    }
}
