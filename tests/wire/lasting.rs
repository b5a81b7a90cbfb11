//! What lasts: a command outlives its client, paths and numbers outlive the program.

use std::time::{Duration, Instant};

use super::client::Client;
use super::demo::Demo;
use super::xml::{ARRAY, argument, class, instance_of, method, operation, property, referring};

fn names(client: &mut Client, of: &str) -> String {
    let class = class(of);
    let names = operation("EnumerateInstanceNames", ARRAY, &[("ClassName", class)]);
    client.call(&names).body
}

#[test]
fn a_client_that_hangs_up_changes_nothing_about_its_command() {
    let demo = Demo::with_volumes(0);
    let mut client = demo.connect();
    let service = "Standpipe_StorageConfigurationService";
    let service = instance_of(service, &names(&mut client, service));
    let pool = instance_of(
        "Standpipe_StoragePool",
        &names(&mut client, "CIM_StoragePool"),
    );
    let parameters = [
        argument("ElementName", "string", "orphan"),
        argument("ElementType", "uint16", "2"),
        // 40 GiB take the simulator two seconds.
        argument("Size", "uint64", "42949672960"),
        referring("InPool", &pool),
    ];
    let create = method(
        "CreateOrModifyElementFromStoragePool",
        &service,
        &parameters,
    );
    let mut leaving = demo.connect();
    leaving.post(&create);
    let deadline = Instant::now() + Duration::from_secs(30);
    let wait_for = |client: &mut Client, of: &str| {
        let all = operation("EnumerateInstances", ARRAY, &[("ClassName", class(of))]);
        let named = |name: &&str| name.contains("orphan");
        while !property("ElementName", &client.call(&all).body)
            .iter()
            .any(named)
        {
            assert!(Instant::now() < deadline, "no {of}");
        }
    };
    // A command that has not begun may go with its client.
    wait_for(&mut client, "CIM_ConcreteJob");
    drop(leaving);
    wait_for(&mut client, "CIM_StorageVolume");
}

#[test]
fn paths_numbers_and_jobs_outlive_the_program() {
    const KINDS: [&str; 6] = [
        "CIM_StoragePool",
        "CIM_StorageVolume",
        "CIM_MaskingGroup",
        "CIM_SCSIProtocolController",
        "CIM_StorageHardwareID",
        "CIM_ConcreteJob",
    ];
    let state = tempfile::tempdir().expect("a directory");
    let look = |demo: &Demo| {
        let mut client = demo.connect();
        let mut seen: Vec<_> = KINDS.map(|kind| (kind, names(&mut client, kind))).into();
        for kind in [
            "CIM_ProtocolControllerForUnit",
            "CIM_StorageVolume",
            "CIM_ConcreteJob",
        ] {
            let of = [("ClassName", class(kind))];
            seen.push((
                kind,
                client
                    .call(&operation("EnumerateInstances", ARRAY, &of))
                    .body,
            ));
        }
        seen
    };
    let first = Demo::kept_in(state.path(), 6);
    let before = look(&first);
    for (kind, body) in &before {
        assert!(body.contains("<INSTANCE"), "no {kind}");
    }
    assert!(first.stop().success());
    let second = Demo::kept_in(state.path(), 6);
    for ((kind, before), (_, after)) in before.iter().zip(look(&second)) {
        assert_eq!(before, &after, "{kind}");
    }
}
