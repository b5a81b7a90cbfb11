//! Views made and changed by paths, as a client without masking groups does it.

use super::client::Client;
use super::demo::Demo;
use super::golden::Golden;
use super::xml::{
    ARRAY, Call, class, instance_of, instances, method, operation, property, referring,
    referring_to_all, returned, values,
};

/// What comes and goes with a view.
const KINDS: [&str; 3] = [
    "Standpipe_MaskingView",
    "CIM_MaskingGroup",
    "CIM_AuthorizedPrivilege",
];
const INITIATOR: &str = "iqn.2026-11.example.host:Paths";

fn names(client: &mut Client, kind: &str) -> String {
    let of = [("ClassName", class(kind))];
    let call = operation("EnumerateInstanceNames", ARRAY, &of);
    client.call(&call).body
}

fn list(name: &str, ty: &str, texts: &[&str]) -> String {
    let texts = values(texts);
    format!("<PARAMVALUE NAME=\"{name}\" PARAMTYPE=\"{ty}\">{texts}</PARAMVALUE>")
}

fn related(object: &str, association: &str, result: &str) -> Call {
    let parameters = [
        ("ObjectName", object.to_owned()),
        ("AssocClass", class(association)),
        ("ResultClass", class(result)),
    ];
    operation("Associators", ARRAY, &parameters)
}

#[test]
fn views_are_made_changed_and_deleted_by_paths() {
    let demo = Demo::with_volumes(2);
    let (mut client, mut golden) = (demo.connect(), Golden::default());
    // One service answers to the name that clients of either profile look for.
    let service = names(&mut client, "CIM_ControllerConfigurationService");
    assert_eq!(instances(&service).len(), 1, "{service}");
    let service = &instance_of("Standpipe_GroupMaskingMappingService", &service);
    let endpoints = names(&mut client, "Standpipe_iSCSIProtocolEndpoint");
    let endpoint = instance_of("Standpipe_iSCSIProtocolEndpoint", &endpoints);
    let named = [("InstanceName", endpoint)];
    let endpoint = client.call(&operation("GetInstance", ARRAY, &named)).body;
    let port = property("Name", &endpoint)[0];
    let volumes = [("ClassName", class("CIM_StorageVolume"))];
    let volumes = operation("EnumerateInstances", ARRAY, &volumes);
    let volumes = client.call(&volumes).body;
    let volumes = property("Name", &volumes);

    let before = KINDS.map(|kind| names(&mut client, kind));
    let make = [
        list("InitiatorPortIDs", "string", &[INITIATOR]),
        list("TargetPortIDs", "string", &[port]),
    ];
    let made = method("ExposePaths", service, &make);
    let made = golden.call("ExposePaths", &mut client, &made);
    assert_eq!(returned(&made.body), Some("0"), "{}", made.body);
    let view = &instance_of("Standpipe_MaskingView", &made.body);
    let subjects = related(view, "CIM_AssociatedPrivilege", "CIM_StorageHardwareID");
    let subjects = client.call(&subjects).body;
    assert_eq!(property("StorageID", &subjects), [INITIATOR]);
    let links = [
        ("ObjectName", view.clone()),
        ("ResultClass", class("CIM_AssociatedPrivilege")),
    ];
    let links = operation("References", ARRAY, &links);
    golden.call("References-privileges", &mut client, &links);

    let expose = |volume: &str, number: &str| {
        let parameters = [
            list("LUNames", "string", &[volume]),
            list("DeviceNumbers", "string", &[number]),
            list("DeviceAccesses", "uint16", &["2"]),
            referring_to_all("ProtocolControllers", &[view]),
        ];
        method("ExposePaths", service, &parameters)
    };
    let numbers = |client: &mut Client| {
        let units = [
            ("ObjectName", view.clone()),
            ("ResultClass", class("CIM_ProtocolControllerForUnit")),
        ];
        let units = client.call(&operation("References", ARRAY, &units)).body;
        let mut numbers = property("DeviceNumber", &units);
        numbers.sort_unstable();
        numbers.join(" ")
    };
    // Requested logical unit number in use, and the same initiator and port once more.
    for (call, code) in [
        (expose(volumes[0], "A"), "0"),
        (expose(volumes[1], "0x00a"), "4102"),
        (expose(volumes[1], "b"), "0"),
        (method("ExposePaths", service, &make), "4101"),
    ] {
        let answer = client.call(&call);
        assert_eq!(returned(&answer.body), Some(code), "{}", answer.body);
    }
    assert_eq!(numbers(&mut client), "000A 000B");
    let hide = [
        list("LUNames", "string", &[volumes[0]]),
        referring_to_all("ProtocolControllers", &[view]),
    ];
    let hide = method("HidePaths", service, &hide);
    assert_eq!(returned(&client.call(&hide).body), Some("0"));
    assert_eq!(client.call(&hide).error(), Some(6), "it is hidden already");
    assert_eq!(numbers(&mut client), "000B");
    // It comes back under the number that the host knows it by.
    let again = [
        list("LUNames", "string", &[volumes[0]]),
        list("DeviceAccesses", "uint16", &["2"]),
        referring_to_all("ProtocolControllers", &[view]),
    ];
    let again = client.call(&method("ExposePaths", service, &again));
    assert_eq!(returned(&again.body), Some("0"), "{}", again.body);
    assert_eq!(numbers(&mut client), "000A 000B");

    let delete = referring("ProtocolController", view);
    let delete = method("DeleteProtocolController", service, &[delete]);
    let deleted = golden.call("DeleteProtocolController", &mut client, &delete);
    assert_eq!(returned(&deleted.body), Some("0"));
    assert_eq!(KINDS.map(|kind| names(&mut client, kind)), before);
    let known = names(&mut client, "CIM_StorageHardwareID");
    let folded = INITIATOR.to_ascii_lowercase();
    assert!(
        known.contains(&folded),
        "the initiator stays known: {known}"
    );
}

#[test]
fn a_view_has_as_many_numbers_as_every_host_can_address() {
    let demo = Demo::with_volumes(257);
    let mut client = demo.connect();
    let service = names(&mut client, "Standpipe_GroupMaskingMappingService");
    let service = &instance_of("Standpipe_GroupMaskingMappingService", &service);
    let volumes = [("ClassName", class("CIM_StorageVolume"))];
    let volumes = client
        .call(&operation("EnumerateInstances", ARRAY, &volumes))
        .body;
    let volumes = property("Name", &volumes);
    assert_eq!(volumes.len(), 257);
    let expose = |count: usize, numbers: &[&str]| {
        let mut parameters = vec![
            list("LUNames", "string", &volumes[..count]),
            list("DeviceAccesses", "uint16", &vec!["2"; count]),
            list("InitiatorPortIDs", "string", &[INITIATOR]),
        ];
        if !numbers.is_empty() {
            parameters.push(list("DeviceNumbers", "string", numbers));
        }
        method("ExposePaths", service, &parameters)
    };
    for number in ["100", "4000", "10000", "1000000000000000000000"] {
        let refused = client.call(&expose(1, &[number]));
        assert_eq!(refused.error(), Some(4), "{}", refused.body);
        let sentence = "is too large; the largest is FF in hexadecimal";
        assert!(refused.body.contains(sentence), "{}", refused.body);
    }
    for number in ["", "0x", "+1", "0x0x1", "1h"] {
        let refused = client.call(&expose(1, &[number]));
        assert_eq!(refused.error(), Some(4), "{}", refused.body);
        assert!(refused.body.contains("is not a hexadecimal number"));
    }
    // Maximum Map Count Exceeded; and nothing has changed.
    let before = names(&mut client, "Standpipe_MaskingView");
    let full = client.call(&expose(257, &[]));
    assert_eq!(returned(&full.body), Some("4103"), "{}", full.body);
    assert_eq!(names(&mut client, "Standpipe_MaskingView"), before);
    let fits = client.call(&expose(256, &[]));
    assert_eq!(returned(&fits.body), Some("0"), "{}", fits.body);
}
