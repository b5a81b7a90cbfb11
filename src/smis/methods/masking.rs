//! The methods of the group masking service and of the initiator service.

use super::Gateway;
use crate::array::{
    Command, Effect, Error, Fabric, GroupId, GroupKind, InitiatorName, JobId, Kind, Members, ViewId,
};
use crate::broker::Invocation;
use crate::cim::{CimError, ObjectPath, Text};
use crate::identity::Identity;
use crate::schema::method::CIM_GroupMaskingMappingService::{
    CreateGroup, CreateMaskingView, DeleteGroup, DeleteMaskingView, ModifyMaskingView,
    RemoveMembers,
};
use crate::schema::method::CIM_StorageHardwareIDManagementService::{
    CreateStorageHardwareID, DeleteStorageHardwareID,
};
use crate::schema::method::Standpipe_GroupMaskingMappingService::{AddMembers, TakeOverView};
use crate::schema::{Arguments, Outcome, Outputs, Param, Receives, TypedMethod};
use crate::smis::element::Element;
use crate::smis::services;
use crate::smis::view::View;

pub(super) const DONE: u32 = 0;
/// AddMembers, CreateMaskingView, ModifyMaskingView: In Use, of a device number.
const NUMBERING: [(Kind, u32); 1] = [(Kind::NumberTaken, 6)];

impl Gateway {
    pub(super) async fn invoke_masking(
        &self,
        who: &Identity,
        call: &Invocation<View>,
    ) -> Result<Outcome, CimError> {
        if let Some(arguments) = call.of(CreateGroup) {
            let (effect, job) = self.finish(who, creation(call, &arguments)?).await?;
            let outputs = Outputs::new(CreateGroup).set(CreateGroup::Job, self.job_path(job));
            return Ok(outputs
                .set(CreateGroup::MaskingGroup, self.made(effect)?)
                .returns(DONE));
        }
        if let Some(arguments) = call.of(DeleteGroup) {
            let (_, group) = need_group(call, &arguments, DeleteGroup::MaskingGroup)?;
            let force = arguments.of(DeleteGroup::Force).unwrap_or(false);
            let (_, job) = self
                .finish(who, Command::DeleteGroup { group, force })
                .await?;
            return Ok(Outputs::new(DeleteGroup)
                .set(DeleteGroup::Job, self.job_path(job))
                .returns(DONE));
        }
        if let Some(arguments) = call.of(AddMembers) {
            use AddMembers as M;
            let outputs = Outputs::new(M);
            return match self.complete(who, addition(call, &arguments)?).await {
                // Clients read the group back although the schema once had it as input alone.
                Ok((effect, job)) => Ok(outputs
                    .set(M::Job, self.job_path(job))
                    .set(M::MaskingGroup, self.made(effect)?)
                    .returns(DONE)),
                Err(error) => Ok(outputs.returns(code(error, &NUMBERING)?)),
            };
        }
        if let Some(arguments) = call.of(RemoveMembers) {
            let (kind, group) = need_group(call, &arguments, RemoveMembers::MaskingGroup)?;
            let members = members(call, &arguments, RemoveMembers::Members, kind)?;
            let delete_on_empty = arguments.of(RemoveMembers::DeleteOnEmpty);
            let command = Command::RemoveMembers {
                group,
                members,
                delete_on_empty,
            };
            let (_, job) = self.finish(who, command).await?;
            return Ok(Outputs::new(RemoveMembers)
                .set(RemoveMembers::Job, self.job_path(job))
                .returns(DONE));
        }
        self.invoke_views(who, call).await
    }

    async fn invoke_views(
        &self,
        who: &Identity,
        call: &Invocation<View>,
    ) -> Result<Outcome, CimError> {
        if let Some(arguments) = call.of(CreateMaskingView) {
            use CreateMaskingView as M;
            let outputs = Outputs::new(M);
            return match self.complete(who, view_creation(call, &arguments)?).await {
                Ok((effect, job)) => Ok(outputs
                    .set(M::Job, self.job_path(job))
                    .set(M::ProtocolController, self.made(effect)?)
                    .returns(DONE)),
                Err(error) => Ok(outputs.returns(code(error, &NUMBERING)?)),
            };
        }
        if let Some(arguments) = call.of(DeleteMaskingView) {
            use DeleteMaskingView as M;
            let view = need_view(call.element(&arguments, M::ProtocolController)?)?;
            let delete_unassociated = arguments
                .of(M::DeleteWhenBecomesUnassociated)
                .unwrap_or(false);
            let command = Command::DeleteView {
                view,
                delete_unassociated,
            };
            let (_, job) = self.finish(who, command).await?;
            return Ok(Outputs::new(M)
                .set(M::Job, self.job_path(job))
                .returns(DONE));
        }
        if let Some(arguments) = call.of(ModifyMaskingView) {
            use ModifyMaskingView as M;
            let outputs = Outputs::new(M);
            return match self.complete(who, view_change(call, &arguments)?).await {
                Ok((_, job)) => Ok(outputs.set(M::Job, self.job_path(job)).returns(DONE)),
                Err(error) => Ok(outputs.returns(code(error, &NUMBERING)?)),
            };
        }
        if let Some(arguments) = call.of(TakeOverView) {
            use TakeOverView as M;
            let view = need_view(call.element(&arguments, M::ProtocolController)?)?;
            let (_, job) = self.finish(who, Command::TakeOver { view }).await?;
            return Ok(Outputs::new(M)
                .set(M::Job, self.job_path(job))
                .returns(DONE));
        }
        self.invoke_paths(who, call).await
    }

    pub(super) async fn invoke_initiators(
        &self,
        who: &Identity,
        call: &Invocation<View>,
    ) -> Result<Outcome, CimError> {
        if let Some(arguments) = call.of(CreateStorageHardwareID) {
            use CreateStorageHardwareID as M;
            if call.element(&arguments, M::Setting)?.is_some() {
                return Err(CimError::not_supported(
                    "host types are not told apart; leave Setting out",
                ));
            }
            let name = hardware_id(&call.snapshot, &arguments)?;
            let (effect, _) = self.finish(who, Command::CreateInitiator { name }).await?;
            return Ok(Outputs::new(M)
                .set(M::HardwareID, self.made(effect)?)
                .returns(DONE));
        }
        if let Some(arguments) = call.of(DeleteStorageHardwareID) {
            use DeleteStorageHardwareID as M;
            let name = match call.element(&arguments, M::HardwareID)? {
                Some(Element::Initiator(name)) => name,
                _ => {
                    return Err(CimError::invalid_parameter(
                        "HardwareID is not a StorageHardwareID",
                    ));
                }
            };
            self.finish(who, Command::DeleteInitiator { name }).await?;
            return Ok(Outputs::new(M).returns(DONE));
        }
        Err(call.not_available())
    }

    pub(super) fn job_path(&self, job: JobId) -> ObjectPath {
        self.path(Element::Job(job))
    }

    pub(super) fn made(&self, effect: Effect) -> Result<ObjectPath, CimError> {
        self.effect_path(effect)
            .ok_or_else(|| CimError::failed("what was made or changed is gone already"))
    }
}

/// The return code of a refusal, where the schema has one; the sentence goes to the log.
pub(super) fn code(error: Error, codes: &[(Kind, u32)]) -> Result<u32, CimError> {
    let Some((_, code)) = codes.iter().find(|(kind, _)| *kind == error.kind) else {
        return Err(error.into());
    };
    tracing::info!(%error, code, "a method was refused");
    Ok(*code)
}

/// The initiator name of a call, of a fabric over which this array is reached.
fn hardware_id(
    view: &View,
    arguments: &Arguments<CreateStorageHardwareID>,
) -> Result<InitiatorName, CimError> {
    use CreateStorageHardwareID as M;
    let wanted = arguments.need(M::IDType)?;
    let mut fabrics = services::fabrics(view);
    let name = arguments.need(M::StorageID)?;
    match fabrics.find(|fabric| services::id_type(*fabric) == wanted) {
        Some(Fabric::Iscsi) => Ok(InitiatorName::iscsi(&name)?),
        Some(Fabric::FibreChannel) => Ok(InitiatorName::port_wwn(&name)?),
        None => Err(CimError::not_supported(format!(
            "initiators of IDType {wanted} cannot reach this array; give {}",
            match services::reaches(view, Fabric::FibreChannel) {
                true => "an iSCSI name (5) or the name of a Fibre Channel port (2)",
                false => "an iSCSI name (5)",
            }
        ))),
    }
}

fn creation(
    call: &Invocation<View>,
    arguments: &Arguments<CreateGroup>,
) -> Result<Command, CimError> {
    use CreateGroup as M;
    let kind = match arguments.need(M::Type)? {
        2 => GroupKind::Initiators,
        3 => GroupKind::Ports,
        4 => GroupKind::Volumes,
        other => {
            return Err(CimError::invalid_parameter(format!(
                "group type {other} is not one of 2 (initiators), 3 (target ports), 4 (devices)"
            )));
        }
    };
    if arguments.of(M::ConsistentLogicalUnitNumber) == Some(false) {
        return Err(CimError::not_supported(
            "every initiator of a view sees a device under the same number; \
             ConsistentLogicalUnitNumber cannot be FALSE",
        ));
    }
    Ok(Command::CreateGroup {
        name: arguments.of(M::GroupName).map(|name| name.to_string()),
        members: members(call, arguments, M::Members, kind)?,
        delete_on_empty: arguments.of(M::DeleteOnEmpty).unwrap_or(false),
        delete_when_unassociated: arguments
            .of(M::DeleteWhenBecomesUnassociated)
            .unwrap_or(false),
    })
}

fn addition(
    call: &Invocation<View>,
    arguments: &Arguments<AddMembers>,
) -> Result<Command, CimError> {
    let (kind, group) = need_group(call, arguments, AddMembers::MaskingGroup)?;
    let members = members(call, arguments, AddMembers::Members, kind)?;
    if members.is_empty() {
        return Err(CimError::invalid_parameter(
            "Members is needed; name what is to be added",
        ));
    }
    let luns = luns(&call.snapshot, arguments.of(AddMembers::DeviceNumbers))?;
    Ok(Command::AddMembers {
        group,
        members,
        luns,
    })
}

fn view_creation(
    call: &Invocation<View>,
    arguments: &Arguments<CreateMaskingView>,
) -> Result<Command, CimError> {
    use CreateMaskingView as M;
    let places = [
        (M::InitiatorMaskingGroup, GroupKind::Initiators),
        (M::TargetMaskingGroup, GroupKind::Ports),
        (M::DeviceMaskingGroup, GroupKind::Volumes),
    ];
    let mut groups = Vec::new();
    for (parameter, wanted) in places {
        match call.element(arguments, parameter)? {
            None => {}
            Some(Element::Group(kind, id)) if kind == wanted => groups.push(id),
            Some(_) => {
                return Err(CimError::invalid_parameter(format!(
                    "{} is not a {} masking group",
                    parameter.decl().name,
                    wanted.noun()
                )));
            }
        }
    }
    if groups.is_empty() {
        return Err(CimError::invalid_parameter(
            "a masking view needs at least one group",
        ));
    }
    Ok(Command::CreateView {
        name: arguments.of(M::ElementName).map(|name| name.to_string()),
        groups,
        luns: luns(&call.snapshot, arguments.of(M::DeviceNumbers))?,
    })
}

fn view_change(
    call: &Invocation<View>,
    arguments: &Arguments<ModifyMaskingView>,
) -> Result<Command, CimError> {
    use ModifyMaskingView as M;
    let view = need_view(call.element(arguments, M::ProtocolController)?)?;
    let (_, group) = need_group(call, arguments, M::MaskingGroup)?;
    match arguments.need(M::Operation)? {
        2 => {
            let luns = luns(&call.snapshot, arguments.of(M::DeviceNumbers))?;
            Ok(Command::AddGroup { view, group, luns })
        }
        3 => Ok(Command::RemoveGroup { view, group }),
        other => Err(CimError::invalid_parameter(format!(
            "operation {other} is not one of 2 (Add Group), 3 (Remove Group)"
        ))),
    }
}

pub(super) fn need_view(element: Option<Element>) -> Result<ViewId, CimError> {
    match element {
        Some(Element::View(id)) => Ok(id),
        Some(_) => Err(CimError::invalid_parameter(
            "ProtocolController is not a masking view",
        )),
        None => Err(CimError::invalid_parameter("ProtocolController is needed")),
    }
}

fn need_group<M: TypedMethod, D: Receives>(
    call: &Invocation<View>,
    arguments: &Arguments<M>,
    parameter: Param<M, ObjectPath, D>,
) -> Result<(GroupKind, GroupId), CimError> {
    match call.element(arguments, parameter)? {
        Some(Element::Group(kind, id)) => Ok((kind, id)),
        Some(_) => Err(CimError::invalid_parameter(
            "MaskingGroup is not a masking group",
        )),
        None => Err(CimError::invalid_parameter("MaskingGroup is needed")),
    }
}

/// The members that a parameter names, all of the kind that the group holds.
fn members<M: TypedMethod, D: Receives>(
    call: &Invocation<View>,
    arguments: &Arguments<M>,
    parameter: Param<M, Vec<ObjectPath>, D>,
    kind: GroupKind,
) -> Result<Members, CimError> {
    let mut members = Members::none(kind);
    for element in call.elements(arguments, parameter)?.unwrap_or_default() {
        let fresh = match (&mut members, element) {
            (Members::Initiators(names), Element::Initiator(name)) => names.insert(name),
            (Members::Ports(ports), Element::Endpoint(id)) => ports.insert(id),
            (Members::Volumes(ids), Element::Volume(id)) => {
                let fresh = !ids.contains(&id);
                ids.push(id);
                fresh
            }
            _ => {
                return Err(CimError::invalid_parameter(format!(
                    "Members holds something that a group of {}s cannot hold",
                    kind.noun()
                )));
            }
        };
        if !fresh {
            return Err(CimError::invalid_parameter(
                "Members names the same element twice",
            ));
        }
    }
    Ok(members)
}

/// Device numbers as clients write them: hexadecimal, `0x` or not.
pub(super) fn luns(view: &View, texts: Option<Vec<Text>>) -> Result<Vec<u16>, CimError> {
    let most = view.inventory.policy.max_lun;
    let number = |text: &Text| {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let shown: String = text.chars().take(20).collect();
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(CimError::invalid_parameter(format!(
                "device number '{shown}' is not a hexadecimal number"
            )));
        }
        let fits = u16::from_str_radix(digits, 16).ok().filter(|n| *n <= most);
        fits.ok_or_else(|| {
            CimError::invalid_parameter(format!(
                "device number '{shown}' is too large; the largest is {most:X} in hexadecimal, {most} \
                 in decimal digits"
            ))
        })
    };
    texts.unwrap_or_default().iter().map(number).collect()
}
