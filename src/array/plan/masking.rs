//! Plans that change who sees what.
//!
//! Every command edits a draft of the records; one piece of code then compares what the touched
//! views showed with what they will show, checks the rules, and makes the steps.

mod difference;
mod numbers;
mod paths;
mod takeover;

use std::collections::{BTreeMap, BTreeSet};

use super::replicas::check_whole;
use super::volumes::own_volume;
use super::{AfterCrash, Goal, Plan, check_name};
use crate::array::command::{Command, Effect};
use crate::array::error::Error;
use crate::array::ids::{GroupId, InitiatorName, ViewId, VolumeId};
use crate::array::inventory::Inventory;
use crate::array::model::{Group, GroupKind, Initiator, Members, Nexus, Owner, Retired, View};
use crate::array::step::Step;

pub(super) use takeover::plan as take_over;

/// Plans a masking command at a time.
pub(super) fn plan(command: &Command, inventory: &Inventory, at: u64) -> Result<Plan, Error> {
    let mut draft = Draft::new(inventory, at);
    let (title, effect) = draft.edit(command)?;
    let steps = draft.steps()?;
    // What is shown only at the end of a crash would surprise; what is hidden stays hidden.
    let hides_only = steps
        .iter()
        .all(|planned| matches!(planned.step, Step::Unmap(_)));
    Ok(Plan {
        title,
        after_crash: if hides_only {
            AfterCrash::Forward
        } else {
            AfterCrash::Back
        },
        steps,
        changes: draft.into_changes(),
        goal: Goal::Shown { effect },
    })
}

/// The records as they will be, over the picture as it is.
struct Draft<'a> {
    now: &'a Inventory,
    /// When that is: microseconds since 1970.
    at: u64,
    initiators: BTreeMap<InitiatorName, Option<Initiator>>,
    groups: BTreeMap<GroupId, Option<Group>>,
    views: BTreeMap<ViewId, Option<View>>,
    /// Numbers that the client chose.
    wanted: BTreeMap<VolumeId, u16>,
    /// Numbers that retire, or do so no longer.
    retired: BTreeMap<Nexus, Option<Retired>>,
}

impl<'a> Draft<'a> {
    fn new(now: &'a Inventory, at: u64) -> Self {
        Self {
            now,
            at,
            initiators: BTreeMap::new(),
            groups: BTreeMap::new(),
            views: BTreeMap::new(),
            wanted: BTreeMap::new(),
            retired: BTreeMap::new(),
        }
    }

    fn group(&self, id: GroupId) -> Result<Group, Error> {
        let drafted = self.groups.get(&id).cloned();
        let group = drafted.unwrap_or_else(|| self.now.group(&id).map(|g| (**g).clone()));
        match group {
            Some(group) if group.owner == Owner::Foreign => Err(foreign("group", &group.name)),
            Some(group) => Ok(group),
            None => Err(Error::not_found(format!(
                "there is no masking group {id}; it may have been deleted"
            ))),
        }
    }

    fn view(&self, id: ViewId) -> Result<View, Error> {
        let drafted = self.views.get(&id).cloned();
        let view = drafted.unwrap_or_else(|| self.now.view(&id).map(|v| (**v).clone()));
        match view {
            Some(view) if view.owner == Owner::Foreign => Err(foreign("view", &view.name)),
            Some(view) => Ok(view),
            None => Err(Error::not_found(format!(
                "there is no masking view {id}; it may have been deleted"
            ))),
        }
    }

    /// An initiator that somebody has introduced to this array.
    fn known(&self, name: &InitiatorName) -> Option<&Initiator> {
        let known = self.now.initiator(name).map(|known| &**known);
        known.filter(|known| known.owner == Owner::Array)
    }

    /// The group of this array that an initiator belongs to.
    fn group_with(&self, name: &InitiatorName) -> Option<&Group> {
        let mut groups = self.now.groups_with_initiator(name);
        let own = groups.find(|group| group.owner == Owner::Array);
        own.map(|group| &**group)
    }

    /// The views that use a group, as they will be.
    fn views_with(&self, group: GroupId) -> Vec<View> {
        let ids: BTreeSet<ViewId> = self
            .now
            .views_with(group)
            .map(|v| v.id)
            .chain(self.views.keys().copied())
            .collect();
        ids.into_iter()
            .filter_map(|id| self.view(id).ok())
            .filter(|view| view.groups().any(|g| g == group))
            .collect()
    }

    fn put_group(&mut self, group: Group) {
        self.groups.insert(group.id, Some(group));
    }

    /// Makes the edit; tells the job's title and what the client will be told.
    fn edit(&mut self, command: &Command) -> Result<(String, Effect), Error> {
        match command {
            Command::CreateInitiator { name } => self.create_initiator(name),
            Command::DeleteInitiator { name } => self.delete_initiator(name),
            Command::CreateGroup {
                name,
                members,
                delete_on_empty,
                delete_when_unassociated,
            } => self.create_group(
                name.as_deref(),
                members,
                *delete_on_empty,
                *delete_when_unassociated,
            ),
            Command::DeleteGroup { group, force } => self.delete_group(*group, *force),
            Command::AddMembers {
                group,
                members,
                luns,
            } => self.add_members(*group, members, luns),
            Command::RemoveMembers {
                group,
                members,
                delete_on_empty,
            } => self.remove_members(*group, members, *delete_on_empty),
            Command::ModifyGroup {
                group,
                name,
                delete_on_empty,
                delete_when_unassociated,
            } => self.modify_group(
                *group,
                name.as_deref(),
                *delete_on_empty,
                *delete_when_unassociated,
            ),
            Command::CreateView { name, groups, luns } => {
                self.create_view(name.as_deref(), groups, luns)
            }
            Command::MakeView {
                name,
                initiators,
                ports,
                volumes,
                luns,
            } => self.make_view(name.as_deref(), initiators, ports, volumes, luns),
            Command::ExpandView {
                view,
                members,
                luns,
            } => self.expand_view(*view, members, luns),
            Command::ReduceView { view, members } => self.reduce_view(*view, members),
            Command::DeleteView {
                view,
                delete_unassociated,
            } => self.delete_view(*view, *delete_unassociated),
            Command::AddGroup { view, group, luns } => self.add_group(*view, *group, luns),
            Command::RemoveGroup { view, group } => self.remove_group(*view, *group),
            _ => Err(Error::bug("a storage command reached the masking planner")),
        }
    }

    fn create_initiator(&mut self, name: &InitiatorName) -> Result<(String, Effect), Error> {
        // The spelling that was given first stays: clients compare it byte for byte.
        let known = self.known(name).map(|known| known.name.clone());
        let name = known.clone().unwrap_or_else(|| name.clone());
        if known.is_none() {
            self.introduce(&name);
        }
        Ok((
            format!("Introduce initiator {name}"),
            Effect::Initiator(name),
        ))
    }

    fn delete_initiator(&mut self, name: &InitiatorName) -> Result<(String, Effect), Error> {
        if self.known(name).is_none() {
            return Err(match self.now.initiator(name) {
                Some(_) => foreign("access for", name.as_str()),
                None => Error::not_found(format!("initiator {name} is not known")),
            });
        }
        if let Some(group) = self.group_with(name) {
            return Err(Error::in_use(format!(
                "initiator {name} is a member of group '{}'; remove it from the group first",
                group.name
            )));
        }
        self.initiators.insert(name.clone(), None);
        Ok((format!("Forget initiator {name}"), Effect::Gone))
    }

    /// Makes those initiators known to this array that are listed for what another manager shows
    /// them: clients take who is listed for introduced.
    fn introduce_listed(&mut self, members: &Members) {
        let Members::Initiators(names) = members else {
            return;
        };
        for name in names {
            if self.now.initiator(name).is_some() && self.known(name).is_none() {
                self.introduce(name);
            }
        }
    }

    /// Makes an initiator known to this array.
    fn introduce(&mut self, name: &InitiatorName) {
        let initiator = Initiator {
            name: name.clone(),
            owner: Owner::Array,
        };
        self.initiators.insert(name.clone(), Some(initiator));
    }

    fn create_group(
        &mut self,
        name: Option<&str>,
        members: &Members,
        delete_on_empty: bool,
        delete_when_unassociated: bool,
    ) -> Result<(String, Effect), Error> {
        let id = GroupId::new();
        let kind = members.kind();
        let name = name.map_or_else(|| format!("group-{}", &id.hex()[..12]), str::to_owned);
        self.check_group_name(kind, &name)?;
        self.introduce_listed(members);
        let mut group = Group {
            id,
            name,
            members: Members::none(kind),
            delete_on_empty,
            delete_when_unassociated,
            owner: Owner::Array,
        };
        self.join(&mut group, members)?;
        let title = format!("Create {} group '{}'", kind.noun(), group.name);
        self.put_group(group);
        Ok((title, Effect::Group(id, kind)))
    }

    fn check_group_name(&self, kind: GroupKind, name: &str) -> Result<(), Error> {
        check_name("group", name)?;
        match self.now.group_named(kind, name) {
            None => Ok(()),
            Some(_) => Err(Error::already_exists(format!(
                "there is already {} {} group named '{name}'; choose another name",
                if kind == GroupKind::Initiators {
                    "an"
                } else {
                    "a"
                },
                kind.noun()
            ))),
        }
    }

    /// Adds members to a group that is being edited, after checking each of them.
    fn join(&self, group: &mut Group, more: &Members) -> Result<(), Error> {
        let twice = |what: &dyn std::fmt::Display| {
            Error::already_exists(format!(
                "{what} is already a member of group '{}'",
                group.name
            ))
        };
        match (&mut group.members, more) {
            (Members::Initiators(have), Members::Initiators(more)) => {
                for name in more {
                    let known = self.check_initiator(name, group.id)?;
                    if !have.insert(known) {
                        return Err(twice(name));
                    }
                }
            }
            (Members::Ports(have), Members::Ports(more)) => {
                for port in more {
                    if self.now.port(port).is_none() {
                        return Err(Error::not_found(format!("there is no target port {port}")));
                    }
                    if !have.insert(port.clone()) {
                        return Err(twice(port));
                    }
                }
            }
            (Members::Volumes(have), Members::Volumes(more)) => {
                for id in more {
                    let volume = own_volume(self.now, id)?;
                    check_whole(volume)?;
                    if let Some(holder) = &volume.held_by {
                        return Err(Error::in_use(format!(
                            "volume '{}' is {holder} and is not shown to hosts",
                            volume.name
                        )));
                    }
                    if have.contains(id) {
                        return Err(twice(&format_args!("volume '{}'", volume.name)));
                    }
                    have.push(id.clone());
                }
            }
            (have, more) => {
                return Err(Error::invalid(format!(
                    "a group of {}s cannot hold a {}",
                    have.kind().noun(),
                    more.kind().noun()
                )));
            }
        }
        Ok(())
    }

    /// The initiator as it is known, if it may join `group`.
    fn check_initiator(
        &self,
        name: &InitiatorName,
        group: GroupId,
    ) -> Result<InitiatorName, Error> {
        let introduced = self.initiators.get(name).and_then(Option::as_ref);
        let Some(known) = introduced.or_else(|| self.known(name)) else {
            return Err(Error::not_found(format!(
                "initiator {name} is not known; introduce it first"
            )));
        };
        match self.group_with(name).filter(|other| other.id != group) {
            None => Ok(known.name.clone()),
            Some(other) => Err(Error::already_exists(format!(
                "initiator {name} is already a member of group '{}'; an initiator belongs to one \
                 initiator group",
                other.name
            ))),
        }
    }

    fn delete_group(&mut self, id: GroupId, force: bool) -> Result<(String, Effect), Error> {
        let group = self.group(id)?;
        for view in self.views_with(id) {
            if !force {
                return Err(Error::in_use(format!(
                    "group '{}' is used by masking view '{}'; delete the view first, or force it",
                    group.name, view.name
                )));
            }
            self.drop_view(&view, false)?;
        }
        self.groups.insert(id, None);
        Ok((
            format!(
                "Delete {} group '{}'",
                group.members.kind().noun(),
                group.name
            ),
            Effect::Gone,
        ))
    }

    fn add_members(
        &mut self,
        id: GroupId,
        members: &Members,
        luns: &[u16],
    ) -> Result<(String, Effect), Error> {
        let mut group = self.group(id)?;
        let kind = group.members.kind();
        self.introduce_listed(members);
        self.join(&mut group, members)?;
        self.want_for(members, luns)?;
        if !luns.is_empty() && self.views_with(id).is_empty() {
            return Err(Error::invalid(format!(
                "group '{}' is in no masking view yet; give the device numbers when the view is made",
                group.name
            )));
        }
        let title = format!("Add {} member(s) to group '{}'", members.len(), group.name);
        self.put_group(group);
        self.touch_views(id);
        Ok((title, Effect::Group(id, kind)))
    }

    fn remove_members(
        &mut self,
        id: GroupId,
        members: &Members,
        delete_on_empty: Option<bool>,
    ) -> Result<(String, Effect), Error> {
        let mut group = self.group(id)?;
        let kind = group.members.kind();
        leave(&mut group, members)?;
        let title = format!(
            "Remove {} member(s) from group '{}'",
            members.len(),
            group.name
        );
        let goes = group.members.is_empty() && delete_on_empty.unwrap_or(group.delete_on_empty);
        if goes && self.views_with(id).is_empty() {
            self.groups.insert(id, None);
            return Ok((title, Effect::Gone));
        }
        self.put_group(group);
        self.touch_views(id);
        Ok((title, Effect::Group(id, kind)))
    }

    fn modify_group(
        &mut self,
        id: GroupId,
        name: Option<&str>,
        delete_on_empty: Option<bool>,
        delete_when_unassociated: Option<bool>,
    ) -> Result<(String, Effect), Error> {
        let mut group = self.group(id)?;
        let kind = group.members.kind();
        let title = format!("Modify {} group '{}'", kind.noun(), group.name);
        if let Some(name) = name.filter(|name| *name != group.name) {
            self.check_group_name(kind, name)?;
            name.clone_into(&mut group.name);
        }
        group.delete_on_empty = delete_on_empty.unwrap_or(group.delete_on_empty);
        group.delete_when_unassociated =
            delete_when_unassociated.unwrap_or(group.delete_when_unassociated);
        self.put_group(group);
        Ok((title, Effect::Group(id, kind)))
    }

    fn create_view(
        &mut self,
        name: Option<&str>,
        groups: &[GroupId],
        luns: &[u16],
    ) -> Result<(String, Effect), Error> {
        let mut view = self.new_view(name)?;
        for &group in groups {
            self.associate(&mut view, group, luns)?;
        }
        self.all_wanted(&view, luns)?;
        Ok(self.put_view(view, "Create"))
    }

    /// A view without groups.
    fn new_view(&self, name: Option<&str>) -> Result<View, Error> {
        let id = ViewId::new();
        let name = name.map_or_else(|| format!("view-{}", &id.hex()[..12]), str::to_owned);
        check_name("view", &name)?;
        if self.now.view_named(&name).is_some() {
            return Err(Error::already_exists(format!(
                "there is already a masking view named '{name}'; choose another name"
            )));
        }
        Ok(View {
            id,
            name,
            initiators: None,
            ports: None,
            volumes: None,
            luns: BTreeMap::new(),
            owner: Owner::Array,
        })
    }

    /// Gives a view that is being edited a group of a kind that it lacks.
    fn associate(&mut self, view: &mut View, id: GroupId, luns: &[u16]) -> Result<(), Error> {
        let group = self.group(id)?;
        let kind = group.members.kind();
        if let Some(present) = *view.group_mut(kind) {
            let present = self.group(present)?;
            return Err(Error::in_use(format!(
                "masking view '{}' already has the {} group '{}'; remove that one first",
                view.name,
                kind.noun(),
                present.name
            )));
        }
        *view.group_mut(kind) = Some(id);
        if let Members::Volumes(volumes) = &group.members {
            self.want(volumes, luns)?;
        }
        Ok(())
    }

    fn add_group(
        &mut self,
        view: ViewId,
        group: GroupId,
        luns: &[u16],
    ) -> Result<(String, Effect), Error> {
        let mut view = self.view(view)?;
        self.associate(&mut view, group, luns)?;
        self.all_wanted(&view, luns)?;
        Ok(self.put_view(view, "Add a group to"))
    }

    fn remove_group(&mut self, view: ViewId, group: GroupId) -> Result<(String, Effect), Error> {
        let mut view = self.view(view)?;
        let group = self.group(group)?;
        let place = view.group_mut(group.members.kind());
        if *place != Some(group.id) {
            return Err(Error::not_found(format!(
                "masking view '{}' does not use group '{}'",
                view.name, group.name
            )));
        }
        *place = None;
        if group.members.kind() == GroupKind::Volumes {
            view.luns.clear();
        }
        Ok(self.put_view(view, "Remove a group from"))
    }

    fn put_view(&mut self, view: View, doing: &str) -> (String, Effect) {
        let told = (
            format!("{doing} masking view '{}'", view.name),
            Effect::View(view.id),
        );
        self.views.insert(view.id, Some(view));
        told
    }

    fn delete_view(&mut self, id: ViewId, unassociated: bool) -> Result<(String, Effect), Error> {
        let view = self.view(id)?;
        self.drop_view(&view, unassociated)?;
        Ok((format!("Delete masking view '{}'", view.name), Effect::Gone))
    }

    /// Removes a view, and those of its groups that go when no view uses them any more.
    fn drop_view(&mut self, view: &View, unassociated: bool) -> Result<(), Error> {
        self.views.insert(view.id, None);
        for id in view.groups() {
            let group = self.group(id)?;
            if (unassociated || group.delete_when_unassociated) && self.views_with(id).is_empty() {
                self.groups.insert(id, None);
            }
        }
        Ok(())
    }

    /// Brings every view that uses a group into the draft.
    fn touch_views(&mut self, group: GroupId) {
        for view in self.views_with(group) {
            self.views.entry(view.id).or_insert(Some(view));
        }
    }
}

/// The refusal to change what another manager made.
fn foreign(what: &str, name: &str) -> Error {
    Error::access_denied(format!(
        "masking {what} '{name}' belongs to another manager of this machine and is only shown here"
    ))
}

fn leave(group: &mut Group, going: &Members) -> Result<(), Error> {
    let name = group.name.clone();
    let missing = |what: &dyn std::fmt::Display| {
        Error::not_found(format!("{what} is not a member of group '{name}'"))
    };
    match (&mut group.members, going) {
        (Members::Initiators(have), Members::Initiators(going)) => going
            .iter()
            .try_for_each(|n| have.remove(n).then_some(()).ok_or_else(|| missing(n))),
        (Members::Ports(have), Members::Ports(going)) => going
            .iter()
            .try_for_each(|p| have.remove(p).then_some(()).ok_or_else(|| missing(p))),
        (Members::Volumes(have), Members::Volumes(going)) => going.iter().try_for_each(|id| {
            let place = have
                .iter()
                .position(|v| v == id)
                .ok_or_else(|| missing(id))?;
            have.remove(place);
            Ok(())
        }),
        (have, going) => Err(Error::invalid(format!(
            "a group of {}s holds no {}",
            have.kind().noun(),
            going.kind().noun()
        ))),
    }
}
