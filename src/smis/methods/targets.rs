//! The methods of the iSCSI configuration service. In these, 4096 never means that a job was
//! started.
//!
//! Two codes of the schema have no case here: every TCP endpoint is bound to its IP endpoint (4101,
//! and 4097 of Bind), and endpoints are in no collections (4103, and 4099 of Bind).

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::Gateway;
use super::masking::DONE;
use super::masking::code;
use crate::array::{Command, Iqn, Kind, PortId};
use crate::broker::Invocation;
use crate::cim::{CimError, ObjectPath, Status};
use crate::identity::Identity;
use crate::schema::method::CIM_iSCSIConfigurationService::{
    BindiSCSIProtocolEndPoint, CreateiSCSINode, CreateiSCSIProtocolEndpoint, DeleteiSCSINode,
    DeleteiSCSIProtocolEndpoint,
};
use crate::schema::{Arguments, Fits, Outcome, Outputs, Param, Receives, TypedMethod};
use crate::smis::element::Element;
use crate::smis::view::View;

/// CreateiSCSINode: Alias In Use By Other Node.
const CREATING_NODE: [(Kind, u32); 1] = [(Kind::AlreadyExists, 4097)];
/// DeleteiSCSINode: SCSIProtocolController Non-Existent, Sessions Active on Node Ports.
const DELETING_NODE: [(Kind, u32); 2] = [(Kind::NotFound, ABSENT), (Kind::InSession, 4097)];
/// CreateiSCSIProtocolEndpoint: SCSIProtocolController Non-existent; Identifier In Use, Not Unique;
/// TCPProtocolEndpoint In Use By Other iSCSIProtocolEndpoint In Same Target SCSIProtocolController.
const OPENING: [(Kind, u32); 3] = [
    (Kind::NotFound, ABSENT),
    (Kind::AlreadyExists, 4098),
    (Kind::PortalTaken, 4102),
];
/// DeleteiSCSIProtocolEndpoint: Endpoint Non-Existent.
const CLOSING: [(Kind, u32); 1] = [(Kind::NotFound, ABSENT)];
/// BindiSCSIProtocolEndPoint: ProtocolEndpoint Non-Existent; ProtocolEndpoint In Use By Other
/// iSCSIProtocolEndpoint In Same Target SCSIProtocolController.
const BINDING: [(Kind, u32); 2] = [(Kind::NotFound, ABSENT), (Kind::PortalTaken, 4098)];

/// What a method is called on is not there, in every method but the first.
const ABSENT: u32 = 4096;
/// CreateiSCSIProtocolEndpoint: Role Not Supported By Specified SCSIProtocolController.
const ROLE_NOT_SUPPORTED: u32 = 4097;
/// CreateiSCSIProtocolEndpoint: Identifier Selection Not Supported.
const NO_SELECTION: u32 = 4099;
/// CreateiSCSIProtocolEndpoint: ProtocolEndpoint Non-Existent.
const NO_ENDPOINT: u32 = 4100;
/// `Role` Target.
const TARGET: u16 = 3;

/// Why a call comes to nothing: an error, or a code that says it all.
enum Refusal {
    Error(CimError),
    Code(u32),
}

impl From<CimError> for Refusal {
    fn from(error: CimError) -> Self {
        Self::Error(error)
    }
}

impl Gateway {
    pub(super) async fn invoke_targets(
        &self,
        who: &Identity,
        call: &Invocation<View>,
    ) -> Result<Outcome, CimError> {
        if let Some(arguments) = call.of(CreateiSCSINode) {
            use CreateiSCSINode as M;
            let alias = arguments.of(M::Alias).map(|alias| alias.to_string());
            let wish = Ok(Command::CreateTarget { alias });
            return self
                .configure(who, M, wish, &CREATING_NODE, |outputs, made| {
                    outputs.set(M::iSCSINode, made)
                })
                .await;
        }
        if let Some(arguments) = call.of(DeleteiSCSINode) {
            use DeleteiSCSINode as M;
            let wish =
                node(call, &arguments, M::iSCSINode).map(|target| Command::DeleteTarget { target });
            return self
                .configure(who, M, wish, &DELETING_NODE, |outputs, _| outputs)
                .await;
        }
        if let Some(arguments) = call.of(CreateiSCSIProtocolEndpoint) {
            use CreateiSCSIProtocolEndpoint as M;
            let wish = opening(call, &arguments);
            return self
                .configure(who, M, wish, &OPENING, |outputs, made| {
                    outputs.set(M::iSCSIPort, made)
                })
                .await;
        }
        if let Some(arguments) = call.of(DeleteiSCSIProtocolEndpoint) {
            use DeleteiSCSIProtocolEndpoint as M;
            let wish = port(call, &arguments, M::iSCSIPort).map(|port| Command::ClosePort { port });
            return self
                .configure(who, M, wish, &CLOSING, |outputs, _| outputs)
                .await;
        }
        if let Some(arguments) = call.of(BindiSCSIProtocolEndPoint) {
            use BindiSCSIProtocolEndPoint as M;
            let wish = binding(call, &arguments);
            return self
                .configure(who, M, wish, &BINDING, |outputs, _| outputs)
                .await;
        }
        Err(call.not_available())
    }

    /// Runs a command to its end. Refusals that have a code of the method reach the client as that.
    async fn configure<M: TypedMethod>(
        &self,
        who: &Identity,
        method: M,
        wish: Result<Command, Refusal>,
        codes: &[(Kind, u32)],
        answer: impl FnOnce(Outputs<M>, ObjectPath) -> Outputs<M>,
    ) -> Result<Outcome, CimError>
    where
        u32: Fits<M::Returns>,
    {
        let outputs = Outputs::new(method);
        let command = match wish {
            Ok(command) => command,
            Err(Refusal::Code(code)) => return Ok(outputs.returns(code)),
            Err(Refusal::Error(error)) => return Err(error),
        };
        match self.complete(who, command).await {
            Ok((effect, _)) => Ok(match self.effect_path(effect) {
                Some(made) => answer(outputs, made).returns(DONE),
                None => outputs.returns(DONE),
            }),
            Err(error) => Ok(outputs.returns(code(error, codes)?)),
        }
    }
}

fn opening(
    call: &Invocation<View>,
    arguments: &Arguments<CreateiSCSIProtocolEndpoint>,
) -> Result<Command, Refusal> {
    use CreateiSCSIProtocolEndpoint as M;
    let target = node(call, arguments, M::iSCSINode)?;
    if arguments.of(M::Role).is_some_and(|role| role != TARGET) {
        return Err(Refusal::Code(ROLE_NOT_SUPPORTED));
    }
    if arguments.of(M::Identifier).is_some() {
        return Err(Refusal::Code(NO_SELECTION));
    }
    let named = found(call.elements(arguments, M::NetworkPortals), NO_ENDPOINT)?;
    let mut portals = BTreeSet::new();
    for element in named.unwrap_or_default() {
        if !portals.insert(portal("NetworkPortals", Some(element))?) {
            let twice = "NetworkPortals names the same endpoint twice";
            return Err(CimError::invalid_parameter(twice).into());
        }
    }
    if portals.is_empty() {
        let none = "NetworkPortals is needed; name the TCP endpoints to listen at";
        return Err(CimError::invalid_parameter(none).into());
    }
    Ok(Command::OpenPort { target, portals })
}

fn binding(
    call: &Invocation<View>,
    arguments: &Arguments<BindiSCSIProtocolEndPoint>,
) -> Result<Command, Refusal> {
    use BindiSCSIProtocolEndPoint as M;
    let port = port(call, arguments, M::iSCSIPort)?;
    let named = found(call.element(arguments, M::NetworkPortal), ABSENT)?;
    let portal = portal("NetworkPortal", named)?;
    Ok(Command::AddPortal { port, portal })
}

/// What a reference names; one that names nothing comes to the method's code for that.
fn found<T>(named: Result<T, CimError>, absent: u32) -> Result<T, Refusal> {
    named.map_err(|error| match error.status {
        Status::NotFound => Refusal::Code(absent),
        _ => error.into(),
    })
}

fn node<M: TypedMethod, D: Receives>(
    call: &Invocation<View>,
    arguments: &Arguments<M>,
    parameter: Param<M, ObjectPath, D>,
) -> Result<Iqn, Refusal> {
    match found(call.element(arguments, parameter), ABSENT)? {
        Some(Element::Node(iqn)) => Ok(iqn),
        Some(_) => Err(CimError::invalid_parameter("iSCSINode is not an iSCSI node").into()),
        None => Err(CimError::invalid_parameter("iSCSINode is needed").into()),
    }
}

fn port<M: TypedMethod, D: Receives>(
    call: &Invocation<View>,
    arguments: &Arguments<M>,
    parameter: Param<M, ObjectPath, D>,
) -> Result<PortId, Refusal> {
    match found(call.element(arguments, parameter), ABSENT)? {
        Some(Element::Endpoint(id @ PortId::Iscsi { .. })) => Ok(id),
        Some(_) => Err(CimError::invalid_parameter("iSCSIPort is not an iSCSI endpoint").into()),
        None => Err(CimError::invalid_parameter("iSCSIPort is needed").into()),
    }
}

fn portal(parameter: &str, element: Option<Element>) -> Result<SocketAddr, CimError> {
    match element {
        Some(Element::Tcp(address)) => Ok(address),
        Some(_) => Err(CimError::invalid_parameter(format!(
            "{parameter} names something that is no TCPProtocolEndpoint"
        ))),
        None => Err(CimError::invalid_parameter(format!(
            "{parameter} is needed; name a TCPProtocolEndpoint"
        ))),
    }
}
