//! The methods of Masking and Mapping: views that are made from what they show, and changed list by
//! list. They work on the same views as the group methods.

use std::collections::BTreeSet;

use super::Gateway;
use super::masking::{DONE, code, luns, need_view};
use crate::array::{Command, Fabric, InitiatorName, Kind, Members, Naa, PortId, ViewId, VolumeId};
use crate::broker::{Invocation, Snapshot};
use crate::cim::{CimError, ObjectPath, Text};
use crate::identity::Identity;
use crate::schema::method::CIM_ControllerConfigurationService::{
    CreateProtocolControllerWithPorts, DeleteProtocolController, ExposePaths, HidePaths,
};
use crate::schema::{Arguments, Outcome, Outputs, Param, Receives, TypedMethod};
use crate::smis::ARRAY;
use crate::smis::element::Element;
use crate::smis::services;
use crate::smis::view::View;
use crate::smis::volumes;

/// ExposePaths: Target/initiator combination already exposed, Requested logical unit number in use,
/// Maximum Map Count Exceeded.
const EXPOSING: [(Kind, u32); 3] = [
    (Kind::AlreadyShown, 4101),
    (Kind::NumberTaken, 4102),
    (Kind::ViewFull, 4103),
];
/// HidePaths: Target/initiator combination not exposed.
const HIDING: [(Kind, u32); 1] = [(Kind::NotShown, 4100)];
/// `DeviceAccess` Read Write.
const READ_WRITE: u16 = 2;
/// `Protocol` SCSI.
const SCSI: u16 = 2;

impl Gateway {
    pub(super) async fn invoke_paths(
        &self,
        who: &Identity,
        call: &Invocation<View>,
    ) -> Result<Outcome, CimError> {
        if let Some(arguments) = call.of(ExposePaths) {
            use ExposePaths as M;
            let outputs = Outputs::new(M);
            return match self.complete(who, exposure(call, &arguments)?).await {
                Ok((effect, job)) => Ok(outputs
                    .set(M::Job, self.job_path(job))
                    .set(M::ProtocolControllers, vec![self.made(effect)?])
                    .returns(DONE)),
                Err(error) => Ok(outputs.returns(code(error, &EXPOSING)?)),
            };
        }
        if let Some(arguments) = call.of(HidePaths) {
            use HidePaths as M;
            let outputs = Outputs::new(M);
            return match self.complete(who, hiding(call, &arguments)?).await {
                Ok((effect, job)) => Ok(outputs
                    .set(M::Job, self.job_path(job))
                    .set(M::ProtocolControllers, vec![self.made(effect)?])
                    .returns(DONE)),
                Err(error) => Ok(outputs.returns(code(error, &HIDING)?)),
            };
        }
        if let Some(arguments) = call.of(CreateProtocolControllerWithPorts) {
            use CreateProtocolControllerWithPorts as M;
            let (effect, _) = self.finish(who, creation(call, &arguments)?).await?;
            return Ok(Outputs::new(M)
                .set(M::ProtocolController, self.made(effect)?)
                .returns(DONE));
        }
        if let Some(arguments) = call.of(DeleteProtocolController) {
            use DeleteProtocolController as M;
            let view = need_view(call.element(&arguments, M::ProtocolController)?)?;
            if arguments.of(M::DeleteUnits) == Some(true) {
                return Err(CimError::not_supported(
                    "volumes are not deleted with a view; leave DeleteUnits out, and delete the \
                     volumes with ReturnToStoragePool",
                ));
            }
            // No view is behind another one, so there are no children.
            self.finish(who, removal(view)).await?;
            return Ok(Outputs::new(M).returns(DONE));
        }
        Err(call.not_available())
    }
}

/// The removal of a view; groups that were made for it go with it.
pub(super) const fn removal(view: ViewId) -> Command {
    Command::DeleteView {
        view,
        delete_unassociated: false,
    }
}

/// What ExposePaths asks for: a new view, or more in one that is there.
fn exposure(
    call: &Invocation<View>,
    arguments: &Arguments<ExposePaths>,
) -> Result<Command, CimError> {
    use ExposePaths as M;
    let volumes = volumes(&call.snapshot, arguments.of(M::LUNames))?;
    let initiators = initiators(&call.snapshot, arguments.of(M::InitiatorPortIDs))?;
    let ports = ports(&call.snapshot, arguments.of(M::TargetPortIDs))?;
    let luns = luns(&call.snapshot, arguments.of(M::DeviceNumbers))?;
    let accesses = arguments.of(M::DeviceAccesses);
    check_accesses(&accesses.unwrap_or_default(), volumes.len())?;
    Ok(match view(call, arguments, M::ProtocolControllers)? {
        None => Command::MakeView {
            name: None,
            initiators,
            ports,
            volumes,
            luns,
        },
        Some(view) => Command::ExpandView {
            view,
            members: one_list(initiators, ports, volumes)?,
            luns,
        },
    })
}

fn hiding(call: &Invocation<View>, arguments: &Arguments<HidePaths>) -> Result<Command, CimError> {
    use HidePaths as M;
    let members = one_list(
        initiators(&call.snapshot, arguments.of(M::InitiatorPortIDs))?,
        ports(&call.snapshot, arguments.of(M::TargetPortIDs))?,
        volumes(&call.snapshot, arguments.of(M::LUNames))?,
    )?;
    let view = view(call, arguments, M::ProtocolControllers)?;
    let view = view.ok_or_else(|| {
        CimError::invalid_parameter("ProtocolControllers is needed; name the view to hide from")
    })?;
    Ok(Command::ReduceView { view, members })
}

/// A view through the named ports, or through all where none are named; it shows nothing until
/// initiators and devices are added.
fn creation(
    call: &Invocation<View>,
    arguments: &Arguments<CreateProtocolControllerWithPorts>,
) -> Result<Command, CimError> {
    use CreateProtocolControllerWithPorts as M;
    if call.element(arguments, M::Identity)?.is_some()
        || call.element(arguments, M::Privilege)?.is_some()
    {
        return Err(CimError::invalid_parameter(
            "Identity and Privilege are not taken here; make the view without them, and add \
             initiators with ExposePaths",
        ));
    }
    if arguments.of(M::Protocol).is_some_and(|p| p != SCSI) {
        return Err(CimError::not_supported(
            "views are of protocol 2 (SCSI); leave Protocol out or give 2",
        ));
    }
    let ports = match arguments.of(M::Ports) {
        None => call
            .snapshot
            .inventory
            .ports()
            .map(|p| p.id.clone())
            .collect(),
        Some(paths) => each_once("Ports", &paths, |path| port_at(&call.snapshot, path))?,
    };
    Ok(Command::MakeView {
        name: arguments.of(M::ElementName).map(|name| name.to_string()),
        initiators: BTreeSet::new(),
        ports,
        volumes: Vec::new(),
        luns: Vec::new(),
    })
}

/// The port that an object path in text form names.
fn port_at(view: &View, text: &Text) -> Result<PortId, CimError> {
    let path = ObjectPath::parse(text).map(|path| View::catalog().canonical(&path, ARRAY));
    match path.and_then(|path| view.resolve(&path).ok()) {
        Some(Element::Endpoint(id)) => Ok(id),
        _ => Err(CimError::invalid_parameter(format!(
            "Ports: '{}' is not the object path of a SCSIProtocolEndpoint of this array",
            shown(text)
        ))),
    }
}

/// The view that is to be changed; none where one is to be made.
fn view<M: TypedMethod, D: Receives>(
    call: &Invocation<View>,
    arguments: &Arguments<M>,
    parameter: Param<M, Vec<ObjectPath>, D>,
) -> Result<Option<ViewId>, CimError> {
    let mut named = call.elements(arguments, parameter)?.unwrap_or_default();
    match (named.pop(), named.is_empty()) {
        (None, _) => Ok(None),
        (Some(Element::View(id)), true) => Ok(Some(id)),
        (Some(_), true) => Err(CimError::invalid_parameter(
            "ProtocolControllers holds something that is not a masking view",
        )),
        (Some(_), false) => Err(CimError::invalid_parameter(
            "ProtocolControllers names several views; call the method for each of them",
        )),
    }
}

/// The one list by which a view is changed. With two it would be unclear who is meant to see what:
/// all initiators of a view see all of its devices through all of its ports.
fn one_list(
    initiators: BTreeSet<InitiatorName>,
    ports: BTreeSet<PortId>,
    volumes: Vec<VolumeId>,
) -> Result<Members, CimError> {
    let lists = [
        Members::Initiators(initiators),
        Members::Ports(ports),
        Members::Volumes(volumes),
    ];
    let mut lists = lists.into_iter().filter(|members| !members.is_empty());
    match (lists.next(), lists.next()) {
        (Some(members), None) => Ok(members),
        _ => Err(CimError::invalid_parameter(
            "a view is changed by one list at a time; give one of LUNames, InitiatorPortIDs and \
             TargetPortIDs",
        )),
    }
}

fn initiators(view: &View, names: Option<Vec<Text>>) -> Result<BTreeSet<InitiatorName>, CimError> {
    each_once(
        "InitiatorPortIDs",
        &names.unwrap_or_default(),
        |name| match services::reaches(view, Fabric::FibreChannel) {
            true => Ok(InitiatorName::parse(name)?),
            false => Ok(InitiatorName::iscsi(name)?),
        },
    )
}

fn ports(view: &View, names: Option<Vec<Text>>) -> Result<BTreeSet<PortId>, CimError> {
    each_once("TargetPortIDs", &names.unwrap_or_default(), |name| {
        PortId::parse(name)
            .filter(|id| view.inventory.port(id).is_some())
            .ok_or_else(|| {
                CimError::not_found(format!(
                    "there is no target port '{}'; give the Name of a SCSIProtocolEndpoint",
                    shown(name)
                ))
            })
    })
}

/// What each text names; none of it twice.
fn each_once<T: Ord>(
    parameter: &str,
    texts: &[Text],
    read: impl Fn(&Text) -> Result<T, CimError>,
) -> Result<BTreeSet<T>, CimError> {
    let mut found = BTreeSet::new();
    for text in texts {
        if !found.insert(read(text)?) {
            return Err(CimError::invalid_parameter(format!(
                "{parameter} names '{}' twice",
                shown(text)
            )));
        }
    }
    Ok(found)
}

/// The volumes of those names, in their order.
fn volumes(view: &View, names: Option<Vec<Text>>) -> Result<Vec<VolumeId>, CimError> {
    let mut found = Vec::new();
    for name in names.unwrap_or_default() {
        let id = volume(view, &name)?;
        if found.contains(&id) {
            return Err(CimError::invalid_parameter(format!(
                "LUNames names '{}' twice",
                shown(&name)
            )));
        }
        found.push(id);
    }
    Ok(found)
}

/// The volume of that `Name`; several clients give the `DeviceID` instead.
fn volume(view: &View, name: &Text) -> Result<VolumeId, CimError> {
    let naa = Naa::parse(name);
    let mut seen = naa
        .into_iter()
        .flat_map(|naa| view.inventory.volumes_seen_as(naa));
    let id = match (seen.next(), seen.next()) {
        (None, _) => (**name).into(),
        (Some(volume), None) => volume.id.clone(),
        (Some(_), Some(_)) => {
            return Err(CimError::failed(format!(
                "several volumes are called '{}', as if one were a copy of the other; give the \
                 DeviceID of one of them",
                shown(name)
            )));
        }
    };
    match volumes::volume(view, &id) {
        Some(_) => Ok(id),
        None => Err(CimError::not_found(format!(
            "there is no volume '{}'; give the Name of a StorageVolume",
            shown(name)
        ))),
    }
}

/// Every device is shown for reading and writing; nothing else can be promised.
fn check_accesses(accesses: &[u16], devices: usize) -> Result<(), CimError> {
    if accesses.len() != devices {
        return Err(CimError::invalid_parameter(format!(
            "{} values in DeviceAccesses for {devices} devices; give one for each, 2 (Read Write)",
            accesses.len()
        )));
    }
    match accesses.iter().find(|access| **access != READ_WRITE) {
        None => Ok(()),
        Some(3 | 4) => Err(CimError::not_supported(
            "devices are shown for reading and writing only; give 2 (Read Write) in DeviceAccesses",
        )),
        Some(other) => Err(CimError::invalid_parameter(format!(
            "DeviceAccesses holds {other}, which is not 2 (Read Write)"
        ))),
    }
}

/// As much of a client's text as fits into a sentence.
fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}
