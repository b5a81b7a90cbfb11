//! The model that is wired together: sound in its tables and in what it says about an array.

mod disks;
mod replicas;
mod sessions;

use super::*;
use crate::broker::{Form, Model, Objects, Operation, Reply, Selection, Snapshot, Source};
use crate::cim::{Instance, ObjectPath, Value};
use crate::identity::{Identity, Role};

type View = <Gateway as Model>::Snapshot;

fn array(engine: Arc<dyn Engine>) -> Array {
    let store = Store::in_memory().expect("memory");
    let system = SystemName {
        name: "standpipe-test".into(),
        label: "test".into(),
    };
    open_array(engine, store, system, Policy::default()).expect("opened")
}

/// An array that shows some of its volumes to hosts.
fn simulated(volumes: u64) -> Array {
    let engine = SimEngine::builder().volumes(volumes).build();
    let array = array(Arc::new(engine.expect("a simulated array")));
    populate::show_some(&array).expect("populated");
    array
}

/// An array one of whose disks has failed, with volumes on it.
fn ailing() -> Array {
    let engine = SimEngine::builder().volumes(3).build();
    let engine = engine.expect("a simulated array");
    let disks = engine.scan().expect("it can be looked at").disks;
    assert!(engine.fail_disk(&disks[0].id, true));
    array(Arc::new(engine))
}

/// One of two volumes' views has lost a path by somebody's hand, and the array knows.
fn drifted() -> Array {
    let engine = SimEngine::builder().volumes(2).build();
    let engine = engine.expect("a simulated array");
    let array = array(Arc::new(engine.clone()));
    populate::show_some(&array).expect("it shows some");
    let map = engine.scan().expect("it can be looked at").maps.remove(0);
    assert!(engine.lose_map(&map.initiator, &map.port, map.lun));
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let mut versions = array.versions();
    let known = versions.wait_for(|_| array.snapshot().ailing().next().is_some());
    runtime
        .expect("a runtime")
        .block_on(known)
        .map(drop)
        .expect("it looks");
    array
}

fn gateway(array: Array, machine: Machine) -> Gateway {
    let server = Server {
        urls: vec!["http://127.0.0.1:5988".into()],
        endpoints: vec!["http://127.0.0.1:5988/cimom".into()],
        host_name: "box.example".into(),
        machine,
    };
    Gateway::new(array, server, PATIENCE)
}

#[test]
fn kinds_and_relations_agree_with_the_schema() {
    assert_eq!(View::catalog().faults(), Vec::<String>::new());
}

#[test]
fn every_path_and_every_step_leads_there_and_back() {
    let real = || machine::this(Some("rack 7".into()));
    for (what, gateway) in [
        ("nothing", gateway(simulated(0), machine::simulated())),
        ("volumes", gateway(simulated(20), real())),
        ("a failed disk", gateway(ailing(), machine::simulated())),
        ("drift", gateway(drifted(), machine::simulated())),
    ] {
        let faults = View::catalog().faults_in(&gateway.snapshot());
        assert_eq!(faults, Vec::<String>::new(), "{what}");
    }
}

/// A client of an array, as the administrator.
struct Client(Broker<Gateway>);

impl Client {
    fn of(array: Array, machine: Machine) -> Self {
        Self(Broker::new(gateway(array, machine), PullLimits::default()))
    }

    fn list(&self, namespace: &str, source: Source) -> Vec<(ObjectPath, Instance)> {
        let who = Identity {
            user: Arc::from("admin"),
            role: Role::Administrator,
            peer: ([127, 0, 0, 1], 4711).into(),
        };
        let namespace = self.0.admit(&who, &namespace.into(), false).expect("there");
        let operation: Operation<Option<Value>> = Operation::List {
            source,
            form: Form::Instances(Selection::default()),
        };
        let reply = at_once(self.0.perform(&who, namespace, operation));
        match reply.expect("answered") {
            Reply::Objects(Objects::Instances(all)) => all.collect(),
            _ => panic!("instances are wanted"),
        }
    }

    fn instances(&self, class: &str) -> Vec<(ObjectPath, Instance)> {
        self.list("root/standpipe", Source::Class(class.into()))
    }

    fn only(&self, class: &str) -> (ObjectPath, Instance) {
        let mut all = self.instances(class);
        assert_eq!(all.len(), 1, "one {class}");
        all.remove(0)
    }

    /// What an association class leads to.
    fn through(&self, object: &ObjectPath, association: &str) -> Vec<(ObjectPath, Instance)> {
        self.associated(object, association, None)
    }

    fn associated(
        &self,
        object: &ObjectPath,
        association: &str,
        role: Option<&str>,
    ) -> Vec<(ObjectPath, Instance)> {
        let source = Source::Associators {
            object: object.clone(),
            association: Some(association.into()),
            result: None,
            role: role.map(Into::into),
            result_role: None,
        };
        let namespace = object.namespace.as_ref().expect("a whole path");
        self.list(namespace.as_str(), source)
    }

    fn profile(&self, name: &str) -> ObjectPath {
        let profiles = self.list("interop", Source::Class("CIM_RegisteredProfile".into()));
        let named = |(_, profile): &(ObjectPath, Instance)| text(profile, "RegisteredName") == name;
        let found = profiles.into_iter().find(named);
        found.expect("registered").0
    }

    fn central(&self, profile: &str) -> Vec<ObjectPath> {
        let (profile, role) = (self.profile(profile), Some("ConformantStandard"));
        let all = self.associated(&profile, "CIM_ElementConformsToProfile", role);
        all.into_iter().map(|(path, _)| path).collect()
    }
}

/// Reads never wait.
fn at_once<T>(reading: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime")
        .block_on(reading)
}

fn text(instance: &Instance, property: &str) -> String {
    let value = instance.property(property).and_then(|p| p.value.as_ref());
    value.and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn shown(instance: &Instance, property: &str) -> Option<String> {
    let property = instance.property(property)?;
    Some(format!("{:?}", property.value))
}

fn names(all: &[(ObjectPath, Instance)]) -> Vec<&str> {
    all.iter().map(|(path, _)| path.class.as_str()).collect()
}

#[test]
fn the_box_is_found_from_the_array_with_what_is_known_of_it() {
    let machine = Machine {
        manufacturer: "Dell Inc.".into(),
        model: "PowerEdge R640".into(),
        serial: Some("7XK2J53".into()),
        chassis_type: Some(23),
        kernel: Some("6.1.0-18-amd64".into()),
        location: Some("hall 2, rack 7".into()),
        version: None,
    };
    let client = Client::of(simulated(0), machine);
    let system = client.only("Standpipe_ComputerSystem").0;

    let packages = client.through(&system, "CIM_SystemPackaging");
    let (path, chassis) = packages.first().expect("a chassis");
    assert_eq!(text(chassis, "Manufacturer"), "Dell Inc.");
    assert_eq!(text(chassis, "Model"), "PowerEdge R640");
    assert_eq!(text(chassis, "SerialNumber"), "7XK2J53");
    let products = client.through(path, "CIM_ProductPhysicalComponent");
    let (_, product) = products.first().expect("a product");
    assert_eq!(text(product, "IdentifyingNumber"), "7XK2J53");
    assert_eq!(text(product, "Vendor"), "Dell Inc.");
    let places = client.through(path, "CIM_PhysicalElementLocation");
    assert_eq!(text(&places[0].1, "PhysicalPosition"), "hall 2, rack 7");

    let software = client.through(&system, "CIM_InstalledSoftwareIdentity");
    assert_eq!(software.len(), 1);
    let version = text(&software[0].1, "VersionString");
    assert_eq!(version, env!("CARGO_PKG_VERSION"));
    let nodes = client.through(&system, "CIM_ComponentCS");
    assert_eq!(names(&nodes), ["Standpipe_Node"]);
    let on_node = client.through(&nodes[0].0, "CIM_InstalledSoftwareIdentity");
    let versions: Vec<_> = on_node
        .iter()
        .map(|s| text(&s.1, "VersionString"))
        .collect();
    assert_eq!(versions, [env!("CARGO_PKG_VERSION"), "6.1.0-18-amd64"]);

    let points = client.through(&system, "CIM_SAPAvailableForElement");
    let urls: Vec<_> = points.iter().map(|p| text(&p.1, "AccessInfo")).collect();
    assert_eq!(urls, ["http://127.0.0.1:5988/cimom"]);
}

#[test]
fn what_is_not_known_is_left_out_or_said_to_be_unknown() {
    let client = Client::of(simulated(0), machine::simulated());
    let chassis = client.only("CIM_Chassis").1;
    for property in ["SerialNumber", "ChassisTypes", "StatusDescriptions"] {
        assert_eq!(shown(&chassis, property), None, "{property}");
    }
    let place = client.only("CIM_Location").1;
    assert_eq!(text(&place, "PhysicalPosition"), "unknown");
    let product = client.only("CIM_Product").1;
    assert_eq!(text(&product, "IdentifyingNumber"), "standpipe-test");
    let software = client.instances("Standpipe_SoftwareIdentity");
    assert_eq!(software.len(), 1, "no kernel drives a simulated array");
}

#[test]
fn clients_that_look_for_arrays_find_one() {
    let client = Client::of(simulated(0), machine::simulated());
    let array = client.central("Array");
    assert_eq!(array, [client.only("Standpipe_ComputerSystem").0]);
    let node = client.only("Standpipe_Node");
    assert_eq!(
        client.central("Multiple Computer System"),
        std::slice::from_ref(&node.0)
    );
    let block_servers: Vec<_> = client
        .instances("CIM_ComputerSystem")
        .into_iter()
        .filter(|(_, system)| shown(system, "Dedicated").is_some_and(|d| d.contains("15")))
        .map(|(path, _)| path)
        .collect();
    assert_eq!(block_servers, array);
    assert!(client.through(&node.0, "CIM_HostedAccessPoint").is_empty());
    assert!(client.through(&node.0, "CIM_SystemDevice").is_empty());
}

#[test]
fn a_well_array_has_no_causes_of_error() {
    let client = Client::of(simulated(3), machine::simulated());
    let system = client.only("Standpipe_ComputerSystem");
    assert_eq!(shown(&system.1, "StatusDescriptions"), None);
    let causes = client.through(&system.0, "CIM_RelatedElementCausingError");
    assert!(causes.is_empty(), "{:?}", names(&causes));
    assert!(client.central("Health").is_empty());
}

#[test]
fn a_failed_disk_is_told_on_everything_that_suffers_and_leads_from_the_array_to_it() {
    let client = Client::of(ailing(), machine::simulated());
    let (system, instance) = client.only("Standpipe_ComputerSystem");
    let why = shown(&instance, "StatusDescriptions").expect("a sentence");
    assert!(why.contains("pool fast: disk /dev/"), "{why}");

    let causes = client.through(&system, "CIM_RelatedElementCausingError");
    for class in [
        "Standpipe_DiskDrive",
        "Standpipe_StoragePool",
        "Standpipe_StorageVolume",
    ] {
        assert!(names(&causes).contains(&class), "{class}");
    }
    for (path, cause) in &causes {
        let status = shown(cause, "OperationalStatus").expect("a status");
        assert!(!status.contains("(2)"), "{path} is {status}");
        let why = shown(cause, "StatusDescriptions").expect("a sentence");
        assert!(!why.is_empty(), "{path}");
        let role = Some("Antecedent");
        let affected = client.associated(path, "CIM_RelatedElementCausingError", role);
        assert!(names(&affected).contains(&"Standpipe_ComputerSystem"));
    }

    let devices = |(path, _): &&(ObjectPath, Instance)| path.class != "Standpipe_StoragePool";
    let ailing: Vec<_> = causes.iter().filter(devices).map(|c| c.0.clone()).collect();
    assert_eq!(client.central("Health"), ailing);
    for device in &ailing {
        let profiles = client.through(device, "CIM_ElementConformsToProfile");
        let health =
            |(_, profile): &(ObjectPath, Instance)| text(profile, "RegisteredName") == "Health";
        assert!(profiles.iter().any(health), "{device}");
    }
}

#[test]
fn a_view_that_hosts_do_not_see_whole_is_degraded_and_leads_from_the_array_to_it() {
    let client = Client::of(drifted(), machine::simulated());
    let (path, view) = client.only("Standpipe_MaskingView");
    let why = shown(&view, "StatusDescriptions").expect("a sentence");
    assert!(
        why.contains("1 of its 1 paths") && why.contains("example.host:1"),
        "{why}"
    );
    assert!(
        shown(&view, "OperationalStatus")
            .expect("a status")
            .contains("(3)")
    );
    assert!(
        shown(&view, "HealthState")
            .expect("a state")
            .contains("(10)")
    );
    let (system, instance) = client.only("Standpipe_ComputerSystem");
    let why = shown(&instance, "StatusDescriptions").expect("a sentence");
    assert!(why.contains("masking view host-1: 1 of"), "{why}");
    let causes = client.through(&system, "CIM_RelatedElementCausingError");
    assert_eq!(
        causes.iter().map(|cause| &cause.0).collect::<Vec<_>>(),
        [&path]
    );
    let affected = client.through(&path, "CIM_RelatedElementCausingError");
    assert_eq!(affected[0].0, system);
}

#[test]
fn a_listener_at_every_address_is_reached_by_name() {
    let urls = |all: &[&str]| -> Vec<ListenUrl> {
        let parsed = all.iter().map(|url| url.parse().expect("a URL"));
        parsed.collect()
    };
    let listening = urls(&[
        "https://0.0.0.0:5989",
        "https://[::]:5989",
        "http://127.0.0.1:5988",
    ]);
    assert_eq!(
        endpoints(&listening, "box.example"),
        [
            "https://box.example:5989/cimom",
            "http://127.0.0.1:5988/cimom"
        ]
    );
}
