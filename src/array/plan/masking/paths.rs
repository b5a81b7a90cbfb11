//! Views by what they show: made at once with groups of their own, and changed one by one.
//!
//! A view that is changed here changes no other one. Where it shares a group it gets a copy of its
//! own, except of initiators: an initiator belongs to one initiator group.

use std::collections::BTreeSet;

use super::{Draft, leave};
use crate::array::command::Effect;
use crate::array::error::Error;
use crate::array::ids::{GroupId, InitiatorName, PortId, ViewId, VolumeId};
use crate::array::model::{Group, GroupKind, Members, Owner, View};

/// Bytes of a view's name that the names of its own groups begin with.
const NAME_PART: usize = 200;

impl Draft<'_> {
    /// Makes a view that shows these volumes to these initiators through these ports.
    pub(super) fn make_view(
        &mut self,
        name: Option<&str>,
        initiators: &BTreeSet<InitiatorName>,
        ports: &BTreeSet<PortId>,
        volumes: &[VolumeId],
        luns: &[u16],
    ) -> Result<(String, Effect), Error> {
        if initiators.is_empty() && ports.is_empty() && volumes.is_empty() {
            return Err(Error::invalid(
                "a masking view of nothing was asked for; name initiators, ports or devices",
            ));
        }
        let mut view = self.new_view(name)?;
        self.want(volumes, luns)?;
        view.initiators = Some(self.group_of(&view, initiators, ports)?);
        for members in [
            Members::Ports(ports.clone()),
            Members::Volumes(volumes.to_vec()),
        ] {
            *view.group_mut(members.kind()) = Some(self.own_group(&view, &members)?);
        }
        Ok(self.put_view(view, "Create"))
    }

    /// The group of exactly these initiators: the one that they are in, or a new one.
    fn group_of(
        &mut self,
        view: &View,
        initiators: &BTreeSet<InitiatorName>,
        ports: &BTreeSet<PortId>,
    ) -> Result<GroupId, Error> {
        self.introduce_all(initiators);
        let all = Members::Initiators(initiators.clone());
        let mut groups = initiators.iter().filter_map(|name| self.group_with(name));
        match groups.next() {
            None => self.own_group(view, &all),
            Some(group) if group.members == all => Ok(group.id),
            Some(group) => {
                self.check_unseen(initiators, ports, None)?;
                Err(Error::already_exists(format!(
                    "initiators of this request are members of group '{}', which is not a group \
                     of exactly them; an initiator belongs to one initiator group, so name all \
                     members of that group and nobody else, or change the group first",
                    group.name
                )))
            }
        }
    }

    /// Adds to what one view shows; no other view changes.
    pub(super) fn expand_view(
        &mut self,
        id: ViewId,
        members: &Members,
        luns: &[u16],
    ) -> Result<(String, Effect), Error> {
        let mut view = self.view(id)?;
        self.want_for(members, luns)?;
        let (initiators, ports) = self.paths(&view)?;
        let present = match members {
            Members::Initiators(more) => more.intersection(&initiators).next().map(text),
            Members::Ports(more) => more.intersection(&ports).next().map(text),
            Members::Volumes(_) => None,
        };
        if let Some(present) = present {
            return Err(Error::already_shown(format!(
                "{present} is in masking view '{}' already; leave it out",
                view.name
            )));
        }
        if let Members::Initiators(more) = members {
            self.introduce_all(more);
            self.check_unseen(more, &ports, view.initiators)?;
        }
        self.change_own(&mut view, members.kind(), |draft, group| {
            draft.join(group, members)
        })?;
        Ok(self.put_view(view, "Add to"))
    }

    /// Takes from what one view shows; no other view changes, and the view stays when it is empty.
    pub(super) fn reduce_view(
        &mut self,
        id: ViewId,
        members: &Members,
    ) -> Result<(String, Effect), Error> {
        let mut view = self.view(id)?;
        let (initiators, ports) = self.paths(&view)?;
        let absent = match members {
            Members::Initiators(fewer) => fewer.difference(&initiators).next().map(text),
            Members::Ports(fewer) => fewer.difference(&ports).next().map(text),
            Members::Volumes(_) => None,
        };
        if let Some(absent) = absent {
            return Err(Error::not_shown(format!(
                "{absent} is not in masking view '{}'; leave it out",
                view.name
            )));
        }
        self.change_own(&mut view, members.kind(), |_, group| leave(group, members))?;
        Ok(self.put_view(view, "Take from"))
    }

    /// Makes initiators known that nobody has introduced yet.
    pub(super) fn introduce_all(&mut self, names: &BTreeSet<InitiatorName>) {
        for name in names {
            if self.known(name).is_none() {
                self.introduce(name);
            }
        }
    }

    /// Refuses initiators to which a view of another group shows something through one of `ports`.
    fn check_unseen(
        &self,
        names: &BTreeSet<InitiatorName>,
        ports: &BTreeSet<PortId>,
        group: Option<GroupId>,
    ) -> Result<(), Error> {
        for name in names {
            let other = self.group_with(name);
            if let Some(other) = other.filter(|other| Some(other.id) != group) {
                for view in self.now.views_with(other.id) {
                    let (_, theirs) = self.paths(view)?;
                    let mut shared = theirs.intersection(ports);
                    if let Some(port) = shared.find(|port| port.is_reached_by(name)) {
                        return Err(already_seen(name, view, port));
                    }
                }
            }
        }
        Ok(())
    }

    /// A new group that goes with its last view, named after the view. Nobody else gives groups
    /// such names, so that no client takes one for another of its own.
    pub(super) fn fresh_group(&self, view: &View, kind: GroupKind) -> Result<Group, Error> {
        let id = GroupId::new();
        let part = view.name.floor_char_boundary(NAME_PART);
        let name = format!("{}-{}", &view.name[..part], &id.hex()[..12]);
        self.check_group_name(kind, &name)?;
        Ok(Group {
            id,
            name,
            members: Members::none(kind),
            delete_on_empty: false,
            delete_when_unassociated: true,
            owner: Owner::Array,
        })
    }

    /// Makes a group of these for a view alone.
    fn own_group(&mut self, view: &View, members: &Members) -> Result<GroupId, Error> {
        let mut group = self.fresh_group(view, members.kind())?;
        self.join(&mut group, members)?;
        let id = group.id;
        self.put_group(group);
        Ok(id)
    }

    /// Changes the group of that kind that a view has. One that another view has, too, is copied
    /// first.
    fn change_own(
        &mut self,
        view: &mut View,
        kind: GroupKind,
        edit: impl FnOnce(&Self, &mut Group) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let present = view.group(kind).map(|id| self.group(id)).transpose()?;
        let views = present.as_ref().map(|group| self.views_with(group.id));
        let mut others = views.into_iter().flatten().filter(|v| v.id != view.id);
        let other = others.next();
        let mut group = match present {
            Some(group) if other.is_none() => group,
            Some(shared) => Group {
                members: shared.members,
                ..self.fresh_group(view, kind)?
            },
            None => self.fresh_group(view, kind)?,
        };
        edit(self, &mut group)?;
        if let Some(other) = other
            && kind == GroupKind::Initiators
            && !group.members.is_empty()
        {
            return Err(Error::in_use(format!(
                "masking views '{}' and '{}' have one initiator group, and an initiator cannot be \
                 in two; change that group if the change is meant for both views",
                view.name, other.name
            )));
        }
        *view.group_mut(kind) = Some(group.id);
        self.put_group(group);
        Ok(())
    }
}

/// The refusal of a second view for an initiator on a port.
pub(super) fn already_seen(initiator: &InitiatorName, view: &View, port: &PortId) -> Error {
    Error::already_shown(format!(
        "initiator {initiator} already has masking view '{}' on port {port}; add the devices to \
         that view",
        view.name
    ))
}

fn text(what: impl std::fmt::Display) -> String {
    what.to_string()
}
