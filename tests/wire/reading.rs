//! Every operation that reads, on an array with two volumes of which one is mapped.

use super::client::Client;
use super::demo::Demo;
use super::golden::Golden;
use super::xml::{
    ARRAY, Call, INTEROP, class, inner, instance_of, operation, output, value, values,
};

fn some_volume(client: &mut Client) -> String {
    let class = class("CIM_StorageVolume");
    let names = operation("EnumerateInstanceNames", ARRAY, &[("ClassName", class)]);
    instance_of("Standpipe_StorageVolume", &client.call(&names).body)
}

fn some_pool(client: &mut Client, volume: &str) -> String {
    let from = [
        ("ObjectName", volume.to_owned()),
        ("AssocClass", class("CIM_AllocatedFromStoragePool")),
    ];
    let names = operation("AssociatorNames", ARRAY, &from);
    instance_of("Standpipe_StoragePool", &client.call(&names).body)
}

#[test]
fn operations_on_instances_answer_as_recorded() {
    let demo = Demo::with_volumes(2);
    let mut client = demo.connect();
    let volume = &some_volume(&mut client);
    let named = &[("InstanceName", volume.clone())];
    let of_class = |name: &str| vec![("ClassName", class(name))];
    let three = || {
        (
            "PropertyList",
            values(&["ElementName", "blocksize", "None"]),
        )
    };
    let allocated = ("AssocClass", class("CIM_AllocatedFromStoragePool"));
    let from = |more: &[(&'static str, String)]| {
        let mut all = vec![("ObjectName", volume.clone())];
        all.extend_from_slice(more);
        all
    };
    let mut golden = Golden::default();
    for (name, operation_name, namespace, parameters) in [
        ("GetInstance", "GetInstance", ARRAY, named.to_vec()),
        (
            "GetInstance-three",
            "GetInstance",
            ARRAY,
            [named.to_vec(), vec![three()]].concat(),
        ),
        (
            "EnumerateInstances",
            "EnumerateInstances",
            ARRAY,
            of_class("CIM_StoragePool"),
        ),
        (
            "EnumerateInstances-shallow",
            "EnumerateInstances",
            ARRAY,
            [
                of_class("CIM_StorageExtent"),
                vec![("DeepInheritance", value("FALSE")), three()],
            ]
            .concat(),
        ),
        (
            "EnumerateInstances-interop",
            "EnumerateInstances",
            INTEROP,
            of_class("CIM_RegisteredProfile"),
        ),
        (
            "EnumerateInstances-none",
            "EnumerateInstances",
            ARRAY,
            of_class("CIM_StorageSynchronized"),
        ),
        (
            "EnumerateInstanceNames",
            "EnumerateInstanceNames",
            ARRAY,
            of_class("CIM_StorageVolume"),
        ),
        (
            "Associators",
            "Associators",
            ARRAY,
            from(std::slice::from_ref(&allocated)),
        ),
        (
            "Associators-three",
            "Associators",
            ARRAY,
            from(&[allocated.clone(), three()]),
        ),
        (
            "AssociatorNames",
            "AssociatorNames",
            ARRAY,
            from(&[("ResultClass", class("CIM_System"))]),
        ),
        (
            "References",
            "References",
            ARRAY,
            from(&[("ResultClass", class("CIM_AllocatedFromStoragePool"))]),
        ),
        (
            "ReferenceNames",
            "ReferenceNames",
            ARRAY,
            from(&[("Role", value("Dependent"))]),
        ),
        (
            "GetProperty",
            "GetProperty",
            ARRAY,
            [named.to_vec(), vec![("PropertyName", value("Name"))]].concat(),
        ),
    ] {
        let call = operation(operation_name, namespace, &parameters);
        let answer = golden.call(name, &mut client, &call);
        assert_eq!(answer.error(), None, "{name}");
    }
}

#[test]
fn operations_on_classes_answer_as_recorded() {
    let demo = Demo::with_volumes(0);
    let mut client = demo.connect();
    let pool = || ("ClassName", class("CIM_StoragePool"));
    let no = |name: &'static str| (name, value("FALSE"));
    let yes = |name: &'static str| (name, value("TRUE"));
    let mut golden = Golden::default();
    for (name, operation_name, parameters) in [
        (
            "GetClass",
            "GetClass",
            vec![("ClassName", class("CIM_AllocatedFromStoragePool"))],
        ),
        (
            "GetClass-bare",
            "GetClass",
            vec![
                pool(),
                no("LocalOnly"),
                no("IncludeQualifiers"),
                yes("IncludeClassOrigin"),
                ("PropertyList", values(&["InstanceID", "PoolID"])),
            ],
        ),
        (
            "EnumerateClasses",
            "EnumerateClasses",
            vec![pool(), no("IncludeQualifiers")],
        ),
        ("EnumerateClassNames", "EnumerateClassNames", vec![pool()]),
        (
            "EnumerateClassNames-deep",
            "EnumerateClassNames",
            vec![
                ("ClassName", class("CIM_StorageExtent")),
                yes("DeepInheritance"),
            ],
        ),
        (
            "GetQualifier",
            "GetQualifier",
            vec![("QualifierName", value("Association"))],
        ),
        ("EnumerateQualifiers", "EnumerateQualifiers", vec![]),
        (
            "ReferenceNames-class",
            "ReferenceNames",
            vec![
                ("ObjectName", class("CIM_StoragePool")),
                ("Role", value("GroupComponent")),
            ],
        ),
        (
            "AssociatorNames-class",
            "AssociatorNames",
            vec![
                ("ObjectName", class("CIM_StorageVolume")),
                ("AssocClass", class("CIM_AllocatedFromStoragePool")),
            ],
        ),
    ] {
        let call = operation(operation_name, ARRAY, &parameters);
        let answer = golden.call(name, &mut client, &call);
        assert_eq!(answer.error(), None, "{name}");
    }
}

#[test]
fn refusals_carry_the_code_of_their_reason() {
    let demo = Demo::with_volumes(1);
    let mut client = demo.connect();
    let volume = &some_volume(&mut client);
    let named = |name: &'static str| (name, volume.clone());
    let gone = (
        "InstanceName",
        volume.replace("</KEYVALUE>", "x</KEYVALUE>"),
    );
    let unknown = || ("ClassName", class("CIM_NoSuchClass"));
    let known = || ("ClassName", class("CIM_StorageVolume"));
    for (code, name, namespace, parameters) in [
        (3, "EnumerateInstances", "root/nowhere", vec![known()]),
        (4, "EnumerateInstances", ARRAY, vec![]),
        (4, "EnumerateInstances", ARRAY, vec![known(), known()]),
        (4, "GetInstance", ARRAY, vec![("InstanceName", value("x"))]),
        (
            4,
            "EnumerateInstanceNames",
            ARRAY,
            vec![known(), ("Depth", value("1"))],
        ),
        (
            4,
            "Associators",
            ARRAY,
            vec![named("ObjectName"), ("AssocClass", class("CIM_Nothing"))],
        ),
        (5, "EnumerateInstances", ARRAY, vec![unknown()]),
        (5, "EnumerateClasses", ARRAY, vec![unknown()]),
        (6, "GetClass", ARRAY, vec![unknown()]),
        (6, "GetInstance", ARRAY, vec![gone.clone()]),
        (
            6,
            "GetQualifier",
            ARRAY,
            vec![("QualifierName", value("Nothing"))],
        ),
        (
            7,
            "ExecQuery",
            ARRAY,
            vec![
                ("QueryLanguage", value("WQL")),
                ("Query", value("SELECT * FROM CIM_System")),
            ],
        ),
        (7, "DeleteClass", ARRAY, vec![known()]),
        (7, "DeleteInstance", ARRAY, vec![named("InstanceName")]),
        (
            12,
            "GetProperty",
            ARRAY,
            vec![named("InstanceName"), ("PropertyName", value("Colour"))],
        ),
        (
            21,
            "PullInstancesWithPath",
            ARRAY,
            vec![
                ("EnumerationContext", value("never")),
                ("MaxObjectCount", value("1")),
            ],
        ),
        (
            22,
            "OpenEnumerateInstances",
            ARRAY,
            vec![known(), ("OperationTimeout", value("0"))],
        ),
        (
            26,
            "OpenEnumerateInstances",
            ARRAY,
            vec![known(), ("ContinueOnError", value("TRUE"))],
        ),
        (
            25,
            "OpenEnumerateInstances",
            ARRAY,
            vec![
                known(),
                ("FilterQueryLanguage", value("DMTF:FQL")),
                ("FilterQuery", value("BlockSize = 512")),
            ],
        ),
    ] {
        let answer = client.call(&operation(name, namespace, &parameters));
        assert_eq!(answer.error(), Some(code), "{name}: {}", answer.body);
        assert!(!answer.body.contains("DESCRIPTION=\"\""), "{}", answer.body);
    }
}

fn open(name: &str, from: Vec<(&'static str, String)>, count: u32) -> Call {
    let more = vec![("MaxObjectCount", value(&count.to_string()))];
    operation(name, ARRAY, &[from, more].concat())
}

fn next(name: &str, context: &str, count: u32) -> Call {
    let parameters = [
        ("EnumerationContext", value(context)),
        ("MaxObjectCount", value(&count.to_string())),
    ];
    operation(name, ARRAY, &parameters)
}

#[test]
fn pull_sessions_give_everything_once_and_then_end() {
    let demo = Demo::with_volumes(5);
    let mut client = demo.connect();
    let volume = some_volume(&mut client);
    let pool = some_pool(&mut client, &volume);
    let volumes = || vec![("ClassName", class("CIM_StorageVolume"))];
    let around = |object: &str, association: &str| {
        vec![
            ("InstanceName", object.to_owned()),
            ("AssocClass", class(association)),
        ]
    };
    let references = vec![
        ("InstanceName", pool.clone()),
        ("ResultClass", class("CIM_AllocatedFromStoragePool")),
    ];
    let allocated = "CIM_AllocatedFromStoragePool";
    let (instances, paths) = ("PullInstancesWithPath", "PullInstancePaths");
    let mut golden = Golden::default();
    for (name, from, pull) in [
        ("OpenEnumerateInstances", volumes(), instances),
        ("OpenEnumerateInstancePaths", volumes(), paths),
        (
            "OpenAssociatorInstances",
            around(&pool, allocated),
            instances,
        ),
        (
            "OpenAssociatorInstancePaths",
            around(&pool, allocated),
            paths,
        ),
        ("OpenReferenceInstances", references.clone(), instances),
        ("OpenReferenceInstancePaths", references, paths),
    ] {
        let all = client.call(&open(name, from.clone(), 100)).body;
        let all = inner("IRETURNVALUE", &all).concat();
        let first = golden.call(&format!("{name}-1"), &mut client, &open(name, from, 1));
        let mut got = first.body.clone();
        let mut pages = 1;
        let mut page = first;
        while output("EndOfSequence", &page.body) == Some("FALSE") {
            let context = output("EnumerationContext", &page.body).expect("a context");
            page = client.call(&next(pull, context, 1));
            got.push_str(&page.body);
            pages += 1;
        }
        assert_eq!(inner("IRETURNVALUE", &got).concat(), all, "{name}");
        assert!(pages > 1, "{name}: one page for all");
    }
}

#[test]
fn pull_sessions_can_be_counted_and_closed_and_are_not_mixed_up() {
    let demo = Demo::with_volumes(5);
    let mut client = demo.connect();
    let mut golden = Golden::default();
    let volumes = vec![("ClassName", class("CIM_StorageVolume"))];
    let opened = client.call(&open("OpenEnumerateInstances", volumes, 0));
    assert_eq!(super::xml::instances(&opened.body), Vec::<&str>::new());
    let context = output("EnumerationContext", &opened.body).expect("a context");
    let just_context = [("EnumerationContext", value(context))];

    let count = operation("EnumerationCount", ARRAY, &just_context);
    let counted = golden.call("EnumerationCount", &mut client, &count);
    assert_eq!(inner("VALUE", &counted.body), ["5"]);
    let two = next("PullInstancesWithPath", context, 2);
    golden.call("PullInstancesWithPath", &mut client, &two);
    assert_eq!(client.call(&count).body, counted.body.replace('5', "3"));
    let wrong_kind = client.call(&next("PullInstancePaths", context, 1));
    assert_eq!(wrong_kind.error(), Some(21));

    let close = operation("CloseEnumeration", ARRAY, &just_context);
    let closed = golden.call("CloseEnumeration", &mut client, &close);
    assert_eq!(closed.error(), None);
    for call in [two, close, count] {
        assert_eq!(client.call(&call).error(), Some(21), "{}", call.method);
    }
}
