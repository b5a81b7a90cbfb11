//! Every method, with its success and its main refusals, in the order in which an administrator
//! would use them.

use super::client::{Answer, Client};
use super::demo::Demo;
use super::golden::Golden;
use super::xml::{
    ARRAY, Call, argument, class, instance, instance_of, instances, method, operation, output,
    property, referring, referring_to_all, returned, value,
};

pub(super) const MIB: u64 = 1 << 20;
const INITIATOR: &str = "iqn.2026-11.example.host:wire";

/// An administrator at work.
pub(super) struct Work {
    pub(super) client: Client,
    pub(super) golden: Golden,
}

impl Work {
    fn names(&mut self, class_name: &str) -> String {
        let class = class(class_name);
        let names = operation("EnumerateInstanceNames", ARRAY, &[("ClassName", class)]);
        self.client.call(&names).body
    }

    pub(super) fn only(&mut self, class: &str) -> String {
        let names = self.names(class);
        instance_of(class, &names)
    }

    /// A call that is recorded and returns that code.
    pub(super) fn returns(&mut self, code: &str, name: &str, call: &Call) -> Answer {
        let answer = self.golden.call(name, &mut self.client, call);
        assert_eq!(
            returned(&answer.body),
            Some(code),
            "{name}: {}",
            answer.body
        );
        answer
    }

    /// A call that is refused with that CIM error, and changes nothing.
    pub(super) fn refuses(&mut self, error: u16, call: &Call) {
        let before = self.everything();
        let answer = self.client.call(call);
        assert_eq!(
            answer.error(),
            Some(error),
            "{}: {}",
            call.method,
            answer.body
        );
        assert_eq!(
            self.everything(),
            before,
            "{} changed something",
            call.method
        );
    }

    /// All that a refusal must leave alone; failed jobs are told of elsewhere.
    fn everything(&mut self) -> String {
        let kinds = [
            "CIM_StorageVolume",
            "CIM_MaskingGroup",
            "CIM_StorageHardwareID",
        ];
        let kinds = kinds.map(|kind| self.names(kind));
        let pools = [("ClassName", class("CIM_StoragePool"))];
        let pools = self
            .client
            .call(&operation("EnumerateInstances", ARRAY, &pools));
        kinds.concat() + &pools.body
    }
}

pub(super) fn create(service: &str, pool: &str, size: u64, name: &str) -> Call {
    let parameters = [
        argument("ElementName", "string", name),
        argument("ElementType", "uint16", "2"),
        referring("InPool", pool),
        argument("Size", "uint64", &size.to_string()),
    ];
    method("CreateOrModifyElementFromStoragePool", service, &parameters)
}

fn bytes(number: &str) -> u64 {
    number.parse().expect("a number")
}

fn size(volume: &str, client: &mut Client) -> u64 {
    let named = [("InstanceName", volume.to_owned())];
    let body = client.call(&operation("GetInstance", ARRAY, &named)).body;
    let blocks = property("NumberOfBlocks", &body);
    blocks[0].parse::<u64>().expect("a number") * 512
}

#[test]
fn volumes_are_made_grown_renamed_and_returned() {
    let demo = Demo::with_volumes(0);
    let mut work = Work {
        client: demo.connect(),
        golden: Golden::default(),
    };
    let service = &work.only("Standpipe_StorageConfigurationService");
    let pool = &work.only("Standpipe_StoragePool");
    let sizes = [argument("ElementType", "uint16", "3")];
    work.returns(
        "2",
        "GetSupportedSizes",
        &method("GetSupportedSizes", pool, &sizes),
    );
    let range = method("GetSupportedSizeRange", pool, &sizes);
    let range = work.returns("0", "GetSupportedSizeRange", &range);
    let largest = output("MaximumVolumeSize", &range.body)
        .expect("a size")
        .to_owned();

    let made = create(service, pool, 10 * MIB + 1, "one");
    let made = work.returns("0", "CreateVolume", &made);
    let volume = &instance_of("Standpipe_StorageVolume", &made.body);
    let real: u64 = output("Size", &made.body)
        .expect("a size")
        .parse()
        .expect("a number");
    assert!(real > 10 * MIB && real.is_multiple_of(4 * MIB), "{real}");
    assert_eq!(size(volume, &mut work.client), real);

    let too_big = create(service, pool, u64::MAX / 2, "big");
    let too_big = work.returns("4097", "CreateVolume-too-big", &too_big);
    let possible = output("Size", &too_big.body).expect("a size");
    assert!(
        bytes(possible) <= bytes(&largest),
        "{possible} of {largest}"
    );

    let too_small = work
        .client
        .call(&create(service, pool, 4 * MIB - 1, "small"));
    assert_eq!(returned(&too_small.body), Some("4097"));
    assert_eq!(output("Size", &too_small.body).map(bytes), Some(4 * MIB));
    work.refuses(4, &create(service, pool, 0, "none"));
    work.refuses(11, &create(service, pool, 10 * MIB, "one"));
    let nowhere = instance("Standpipe_StoragePool", "InstanceID", "Standpipe:Pool:none");
    work.refuses(6, &create(service, &nowhere, 10 * MIB, "two"));
    let of_unknown_type = create(service, pool, 10 * MIB, "two");
    let of_unknown_type = Call {
        body: of_unknown_type.body.replace(">2<", ">1<"),
        ..of_unknown_type
    };
    work.refuses(7, &of_unknown_type);
    work.refuses(17, &method("Explode", service, &[]));
    work.refuses(16, &method("ScsiScan", service, &[]));
    let misnamed = [argument("Siz", "uint64", "1")];
    work.refuses(
        4,
        &method("CreateOrModifyElementFromStoragePool", service, &misnamed),
    );

    let larger = [
        referring("TheElement", volume),
        argument("Size", "uint64", &(20 * MIB).to_string()),
    ];
    let grow = method("CreateOrModifyElementFromStoragePool", service, &larger);
    work.returns("0", "GrowVolume", &grow);
    assert_eq!(size(volume, &mut work.client), 20 * MIB);

    let renaming = [
        ("InstanceName", volume.clone()),
        ("PropertyName", value("ElementName")),
        ("NewValue", value("renamed")),
    ];
    let rename = operation("SetProperty", ARRAY, &renaming);
    let renamed = work.golden.call("SetProperty", &mut work.client, &rename);
    assert_eq!(renamed.error(), None);
    let modified = format!(
        "<VALUE.NAMEDINSTANCE>{volume}<INSTANCE CLASSNAME=\"Standpipe_StorageVolume\"><PROPERTY \
         NAME=\"ElementName\" TYPE=\"string\"><VALUE>twice</VALUE></PROPERTY></INSTANCE>\
         </VALUE.NAMEDINSTANCE>"
    );
    let modify = operation("ModifyInstance", ARRAY, &[("ModifiedInstance", modified)]);
    let modified = work
        .golden
        .call("ModifyInstance", &mut work.client, &modify);
    assert_eq!(modified.error(), None);
    let named = [("InstanceName", volume.clone())];
    let now = work.client.call(&operation("GetInstance", ARRAY, &named));
    assert_eq!(property("ElementName", &now.body), ["twice"]);

    let give_back = method(
        "ReturnToStoragePool",
        service,
        &[referring("TheElement", volume)],
    );
    let given = work.returns("0", "ReturnToStoragePool", &give_back);
    work.refuses(6, &give_back);
    assert_eq!(
        instances(&work.names("CIM_StorageVolume")),
        Vec::<&str>::new()
    );

    let job = &instance_of("Standpipe_ConcreteJob", &given.body);
    work.returns("0", "GetError", &method("GetError", job, &[]));
    work.returns("0", "GetErrors", &method("GetErrors", job, &[]));
    let stop = [argument("RequestedState", "uint16", "4")];
    work.returns(
        "4097",
        "RequestStateChange",
        &method("RequestStateChange", job, &stop),
    );
    let forget = operation("DeleteInstance", ARRAY, &[("InstanceName", job.clone())]);
    let forgotten = work
        .golden
        .call("DeleteInstance", &mut work.client, &forget);
    assert_eq!(forgotten.error(), None);
    assert_eq!(work.client.call(&forget).error(), Some(6));
}

#[test]
fn where_no_size_would_do_the_reason_is_told() {
    let demo = Demo::with_volumes(0);
    let mut work = Work {
        client: demo.connect(),
        golden: Golden::default(),
    };
    let service = &work.only("Standpipe_StorageConfigurationService");
    let pool = &work.only("Standpipe_StoragePool");
    let sizes = [argument("ElementType", "uint16", "3")];
    let range = method("GetSupportedSizeRange", pool, &sizes);
    let range = work.client.call(&range);
    let largest = bytes(output("MaximumVolumeSize", &range.body).expect("a size"));
    let made = work.client.call(&create(service, pool, largest, "all"));
    // Its room is taken, though it is perhaps still being overwritten with zeros.
    assert!(
        ["0", "4096"].map(Some).contains(&returned(&made.body)),
        "{}",
        made.body
    );
    let small = create(service, pool, 4 * MIB, "more");
    let refused = work.client.call(&small);
    assert_eq!(refused.error(), Some(1), "{}", refused.body);
    assert!(
        refused.body.contains("free some space or add a disk"),
        "{}",
        refused.body
    );
}

#[test]
fn volumes_are_masked_for_initiators_and_unmasked() {
    let demo = Demo::with_volumes(2);
    let mut work = Work {
        client: demo.connect(),
        golden: Golden::default(),
    };
    let masking = &work.only("Standpipe_GroupMaskingMappingService");
    let initiators = &work.only("Standpipe_StorageHardwareIDManagementService");
    let port = &work.only("Standpipe_iSCSIProtocolEndpoint");
    let storage = &work.only("Standpipe_StorageConfigurationService");
    let pool = &work.only("Standpipe_StoragePool");
    let made: Vec<_> = ["one", "two"]
        .iter()
        .map(|name| work.client.call(&create(storage, pool, 8 * MIB, name)).body)
        .map(|body| instance_of("Standpipe_StorageVolume", &body))
        .collect();
    let (one, two) = (&made[0], &made[1]);

    let hardware = |name: &str, kind: &str| {
        let parameters = [
            argument("StorageID", "string", name),
            argument("IDType", "uint16", kind),
        ];
        method("CreateStorageHardwareID", initiators, &parameters)
    };
    let known = hardware(INITIATOR, "5");
    let host = work.returns("0", "CreateStorageHardwareID", &known);
    let host = &instance_of("Standpipe_StorageHardwareID", &host.body);
    work.refuses(7, &hardware("2100001b32000001", "2"));
    work.refuses(4, &hardware("no initiator name", "5"));

    let group = |name: &str, kind: &str, members: &[&str]| {
        let parameters = [
            argument("GroupName", "string", name),
            argument("Type", "uint16", kind),
            referring_to_all("Members", members),
        ];
        method("CreateGroup", masking, &parameters)
    };
    let hosts = work.returns("0", "CreateGroup-initiators", &group("hosts", "2", &[host]));
    let hosts = &instance_of("Standpipe_InitiatorMaskingGroup", &hosts.body);
    let ports = work.returns("0", "CreateGroup-ports", &group("ports", "3", &[port]));
    let ports = &instance_of("Standpipe_TargetMaskingGroup", &ports.body);
    let volumes = work.returns("0", "CreateGroup-volumes", &group("volumes", "4", &[one]));
    let volumes = &instance_of("Standpipe_DeviceMaskingGroup", &volumes.body);
    work.refuses(11, &group("hosts", "2", &[]));
    work.refuses(4, &group("mixed", "2", &[one]));
    work.refuses(4, &group("strange", "9", &[]));

    let view = [
        argument("ElementName", "string", "view"),
        referring("InitiatorMaskingGroup", hosts),
        referring("TargetMaskingGroup", ports),
        referring("DeviceMaskingGroup", volumes),
    ];
    let view = method("CreateMaskingView", masking, &view);
    let view = work.returns("0", "CreateMaskingView", &view);
    let view = &instance_of("Standpipe_MaskingView", &view.body);
    let swapped = [referring("InitiatorMaskingGroup", volumes)];
    work.refuses(4, &method("CreateMaskingView", masking, &swapped));
    let give_back = method(
        "ReturnToStoragePool",
        storage,
        &[referring("TheElement", one)],
    );
    work.refuses(1, &give_back);

    let member = |operation: &str, volume: &str| {
        let parameters = [
            referring("MaskingGroup", volumes),
            referring_to_all("Members", &[volume]),
        ];
        method(operation, masking, &parameters)
    };
    work.returns("0", "AddMembers", &member("AddMembers", two));
    let luns = [
        ("ObjectName", view.clone()),
        ("ResultClass", class("CIM_ProtocolControllerForUnit")),
    ];
    let luns = operation("References", ARRAY, &luns);
    let luns = work.golden.call("References-luns", &mut work.client, &luns);
    let mut numbers = property("DeviceNumber", &luns.body);
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 2, "two volumes, two numbers: {numbers:?}");
    work.returns("0", "RemoveMembers", &member("RemoveMembers", two));

    let change = |code: &str| {
        let parameters = [
            argument("Operation", "uint16", code),
            referring("ProtocolController", view),
            referring("MaskingGroup", hosts),
        ];
        method("ModifyMaskingView", masking, &parameters)
    };
    work.returns("0", "ModifyMaskingView-remove", &change("3"));
    work.returns("0", "ModifyMaskingView-add", &change("2"));
    work.refuses(4, &change("9"));

    let delete_group = |group: &str| {
        let parameters = [
            referring("MaskingGroup", group),
            argument("Force", "boolean", "TRUE"),
        ];
        method("DeleteGroup", masking, &parameters)
    };
    let unshow = method(
        "DeleteMaskingView",
        masking,
        &[referring("ProtocolController", view)],
    );
    work.refuses(
        1,
        &method("DeleteGroup", masking, &[referring("MaskingGroup", hosts)]),
    );
    work.returns("0", "DeleteMaskingView", &unshow);
    for (name, group) in [("hosts", hosts), ("ports", ports), ("volumes", volumes)] {
        work.returns("0", &format!("DeleteGroup-{name}"), &delete_group(group));
    }
    let forget = method(
        "DeleteStorageHardwareID",
        initiators,
        &[referring("HardwareID", host)],
    );
    work.returns("0", "DeleteStorageHardwareID", &forget);
    work.refuses(6, &forget);
    assert_eq!(returned(&work.client.call(&give_back).body), Some("0"));
}
