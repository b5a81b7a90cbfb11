//! Replicas: how they are made, shown, changed and refused, as clients see it on the wire.

use super::changing::{MIB, Work, create};
use super::demo::Demo;
use super::golden::Golden;
use super::xml::{
    ARRAY, Call, argument, class, instance_of, method, operation, output, property, referring,
};

fn replicate(service: &str, source: &str, name: &str, sync_type: &str) -> Call {
    let parameters = [
        argument("ElementName", "string", name),
        argument("SyncType", "uint16", sync_type),
        referring("SourceElement", source),
        argument("WaitForCopyState", "uint16", "4"),
    ];
    method("CreateElementReplica", service, &parameters)
}

/// The INSTANCENAME of the relation in an answer, with those of its ends inside.
fn relation_in(answer: &str) -> String {
    let start = answer.find("<INSTANCENAME CLASSNAME=\"CIM_StorageSynchronized\"");
    let rest = &answer[start.unwrap_or_else(|| panic!("a relation in {answer}"))..];
    let end = "</INSTANCENAME>";
    let ends: Vec<_> = rest.match_indices(end).map(|(at, _)| at).collect();
    rest[..ends[2] + end.len()].to_owned()
}

fn modify(service: &str, relation: &str, deed: &str) -> Call {
    let parameters = [
        argument("Operation", "uint16", deed),
        referring("Synchronization", relation),
    ];
    method("ModifyReplicaSynchronization", service, &parameters)
}

#[test]
fn volumes_are_replicated_restored_and_their_replicas_returned() {
    let demo = Demo::with_volumes(0);
    let mut work = Work {
        client: demo.connect(),
        golden: Golden::default(),
    };
    let storage = &work.only("Standpipe_StorageConfigurationService");
    let service = &work.only("Standpipe_ReplicationService");
    let pool = &work.only("Standpipe_StoragePool");
    let source = create(storage, pool, 8 * MIB, "source");
    let source = work.client.call(&source).body;
    let source = &instance_of("Standpipe_StorageVolume", &source);

    let snapshot = replicate(service, source, "snapshot", "7");
    let made = work.returns("0", "CreateElementReplica", &snapshot);
    work.refuses(11, &snapshot);
    work.refuses(7, &replicate(service, source, "mirror", "6"));
    work.refuses(4, &replicate(service, pool, "pool", "7"));
    let relation = &relation_in(&made.body);

    let relations = [
        ("ObjectName", source.clone()),
        ("ResultClass", class("CIM_StorageSynchronized")),
    ];
    let relations = operation("References", ARRAY, &relations);
    let name = "References-replicas";
    let shown = work.golden.call(name, &mut work.client, &relations).body;
    assert_eq!(property("CopyState", &shown), ["4"]);
    // Clients act on these two, and delete what nobody wanted to delete.
    for absent in ["SyncState", "CopyType"] {
        assert_eq!(property(absent, &shown), Vec::<&str>::new());
    }

    let give_back = method(
        "ReturnToStoragePool",
        storage,
        &[referring("TheElement", source)],
    );
    work.returns("6", "ReturnToStoragePool-needed", &give_back);
    // What detaches in the newer method means something else in the older one, and 9 nothing here.
    work.returns(
        "1",
        "ModifyReplicaSynchronization",
        &modify(service, relation, "9"),
    );
    work.refuses(7, &modify(service, relation, "8"));
    work.refuses(7, &modify(service, relation, "14"));
    work.refuses(4, &modify(service, source, "15"));
    work.returns("0", "Restore", &modify(service, relation, "15"));
    work.returns(
        "0",
        "ReturnToResourcePool",
        &modify(service, relation, "19"),
    );
    work.refuses(6, &modify(service, relation, "19"));
    let shown = work.client.call(&relations).body;
    assert_eq!(property("CopyState", &shown), Vec::<&str>::new());

    let clone = replicate(service, source, "clone", "8");
    let clone = work.client.call(&clone).body;
    let relation = &relation_in(&clone);
    let older = |deed: &str| {
        let parameters = [
            argument("Operation", "uint16", deed),
            referring("Synchronization", relation),
        ];
        method("ModifySynchronization", storage, &parameters)
    };
    work.returns("1", "ModifySynchronization-8", &older("8"));
    work.returns("0", "ModifySynchronization-2", &older("2"));
    work.refuses(6, &modify(service, relation, "8"));
    work.returns("0", "ReturnToStoragePool-source", &give_back);
}

#[test]
fn the_capabilities_say_what_works_for_each_type() {
    let demo = Demo::with_volumes(0);
    let mut work = Work {
        client: demo.connect(),
        golden: Golden::default(),
    };
    let able = &work.only("Standpipe_ReplicationServiceCapabilities");
    let ask =
        |name: &str, kind: &str| method(name, able, &[argument("ReplicationType", "uint16", kind)]);
    let features = ask("GetSupportedFeatures", "11");
    let features = work.returns("0", "GetSupportedFeatures", &features).body;
    assert_eq!(
        output("Features", &features),
        Some("2"),
        "the first of them"
    );
    for (name, code, kind) in [
        ("GetSupportedOperations", "0", "7"),
        ("GetDefaultReplicationSettingData", "0", "7"),
        ("GetSupportedCopyStates", "1", "2"),
    ] {
        work.returns(code, name, &ask(name, kind));
    }
    work.refuses(4, &method("GetSupportedFeatures", able, &[]));
    let taken_apart = ask("ConvertReplicationTypeToSyncType", "11");
    let taken_apart = work.client.call(&taken_apart).body;
    assert_eq!(output("SyncType", &taken_apart), Some("8"));
    assert_eq!(output("Mode", &taken_apart), Some("3"));
}
