//! Requests as clients write them, responses as clients read them, over the broker's test model.

use std::net::SocketAddr;

use super::*;
use crate::broker::PullLimits;
use crate::broker::tests::shelf::{Board, Shelf};
use crate::cimxml::decode;
use crate::identity::Role;

const OPEN: &str =
    "<IPARAMVALUE NAME=\"ClassName\"><CLASSNAME NAME=\"CIM_StorageVolume\"/></IPARAMVALUE>";

fn cimom() -> Cimom<Board> {
    let broker = Broker::new(Board::new(Shelf::with_volumes(2)), PullLimits::default());
    Cimom::new(Arc::new(broker), "array.example")
}

fn who() -> Identity {
    Identity {
        user: Arc::from("admin"),
        role: Role::Administrator,
        peer: SocketAddr::from(([192, 0, 2, 1], 4711)),
    }
}

async fn ask(cimom: &Cimom<Board>, call: &str) -> String {
    let request = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><CIM CIMVERSION=\"2.0\" DTDVERSION=\"2.0\">\
         <MESSAGE ID=\"1001\" PROTOCOLVERSION=\"1.0\"><SIMPLEREQ>{call}</SIMPLEREQ></MESSAGE></CIM>"
    );
    let request = decode(request.as_bytes(), &Limits::default()).expect("a request");
    let reply = cimom.call(who(), request).await;
    let bytes: Vec<u8> = reply.chunks.flatten().collect();
    String::from_utf8(bytes).expect("UTF-8")
}

async fn intrinsic(cimom: &Cimom<Board>, name: &str, parameters: &str) -> String {
    let call = format!(
        "<IMETHODCALL NAME=\"{name}\"><LOCALNAMESPACEPATH><NAMESPACE NAME=\"root\"/>\
         <NAMESPACE NAME=\"standpipe\"/></LOCALNAMESPACEPATH>{parameters}</IMETHODCALL>"
    );
    ask(cimom, &call).await
}

fn value(name: &str, value: &str) -> String {
    format!("<IPARAMVALUE NAME=\"{name}\"><VALUE>{value}</VALUE></IPARAMVALUE>")
}

fn pool(parameter: &str) -> String {
    format!(
        "<IPARAMVALUE NAME=\"{parameter}\"><INSTANCENAME CLASSNAME=\"Standpipe_StoragePool\">\
         <KEYBINDING NAME=\"InstanceID\"><KEYVALUE VALUETYPE=\"string\">pool 1</KEYVALUE></KEYBINDING>\
         </INSTANCENAME></IPARAMVALUE>"
    )
}

#[tokio::test]
async fn each_operation_answers_in_its_own_form() {
    let cimom = cimom();
    let of_class = OPEN.to_owned();
    let counted = of_class.clone() + &value("MaxObjectCount", "9");
    for (name, parameters, expected) in [
        (
            "GetInstance",
            pool("InstanceName"),
            "<INSTANCE CLASSNAME=\"Standpipe_StoragePool\">",
        ),
        (
            "EnumerateInstances",
            of_class.clone(),
            "<VALUE.NAMEDINSTANCE><INSTANCENAME",
        ),
        (
            "EnumerateInstanceNames",
            of_class.clone(),
            "<IRETURNVALUE><INSTANCENAME",
        ),
        (
            "Associators",
            pool("ObjectName"),
            "<VALUE.OBJECTWITHPATH><INSTANCEPATH>",
        ),
        (
            "AssociatorNames",
            pool("ObjectName"),
            "<HOST>array.example</HOST>",
        ),
        (
            "References",
            pool("ObjectName"),
            "<INSTANCE CLASSNAME=\"CIM_HostedStoragePool\">",
        ),
        (
            "ReferenceNames",
            pool("ObjectName"),
            "<OBJECTPATH><INSTANCEPATH>",
        ),
        (
            "OpenEnumerateInstances",
            counted.clone(),
            "<VALUE.INSTANCEWITHPATH><INSTANCEPATH>",
        ),
        (
            "OpenEnumerateInstancePaths",
            counted,
            "<IRETURNVALUE><INSTANCEPATH>",
        ),
        (
            "GetClass",
            of_class.clone(),
            "<CLASS NAME=\"CIM_StorageVolume\"",
        ),
        (
            "EnumerateClassNames",
            of_class,
            "<CLASSNAME NAME=\"Standpipe_StorageVolume\"/>",
        ),
        (
            "enumeratequalifiers",
            String::new(),
            "<QUALIFIER.DECLARATION NAME=\"",
        ),
        (
            "GetProperty",
            pool("InstanceName") + &value("PropertyName", "primordial"),
            "<IRETURNVALUE><VALUE>FALSE</VALUE></IRETURNVALUE>",
        ),
        (
            "DeleteInstance",
            pool("InstanceName"),
            "NAME=\"DeleteInstance\"></IMETHODRESPONSE>",
        ),
    ] {
        let answer = intrinsic(&cimom, name, &parameters).await;
        assert!(answer.contains(expected), "{name}: {answer}");
        assert!(
            answer.contains(&format!("<IMETHODRESPONSE NAME=\"{name}\">")),
            "{answer}"
        );
        assert!(answer.contains("<MESSAGE ID=\"1001\""), "{answer}");
    }
}

#[tokio::test]
async fn a_session_goes_on_with_its_context() {
    let cimom = cimom();
    let opened = intrinsic(&cimom, "OpenEnumerateInstances", OPEN).await;
    let said = |answer: &str, end: &str| {
        let end = format!("PARAMTYPE=\"boolean\"><VALUE>{end}</VALUE>");
        assert!(answer.contains(&end), "{answer}");
    };
    said(&opened, "FALSE");
    let context = opened.split("NAME=\"EnumerationContext\"").nth(1);
    let context = context.and_then(|rest| rest.split("<VALUE>").nth(1));
    let context = context
        .and_then(|rest| rest.split('<').next())
        .expect("a context");
    let pull = value("EnumerationContext", context) + &value("MaxObjectCount", "2");
    let pulled = intrinsic(&cimom, "PullInstancesWithPath", &pull).await;
    said(&pulled, "TRUE");
    assert_eq!(pulled.matches("<VALUE.INSTANCEWITHPATH>").count(), 2);
    let again = intrinsic(&cimom, "PullInstancesWithPath", &pull).await;
    assert!(again.contains("<ERROR CODE=\"21\""), "{again}");
}

#[tokio::test]
async fn wrong_parameters_are_named() {
    let cimom = cimom();
    let of_class = || OPEN.to_owned();
    for (name, parameters, code, said) in [
        ("CreateClass", String::new(), 7, "CreateClass"),
        ("ExecQuery", value("QueryLanguage", "WQL"), 7, "ExecQuery"),
        ("OpenQueryInstances", String::new(), 7, "OpenQueryInstances"),
        ("Nonsense", String::new(), 7, "Nonsense"),
        ("EnumerateInstances", String::new(), 4, "ClassName"),
        ("EnumerateInstances", of_class() + OPEN, 4, "ClassName"),
        (
            "EnumerateInstances",
            of_class() + &value("Foo", "x"),
            4,
            "Foo",
        ),
        (
            "EnumerateInstances",
            of_class() + &value("DeepInheritance", "x"),
            4,
            "DeepInheritance",
        ),
        (
            "OpenEnumerateInstances",
            of_class() + &value("LocalOnly", "TRUE"),
            4,
            "LocalOnly",
        ),
        (
            "OpenEnumerateInstances",
            of_class() + &value("MaxObjectCount", "-1"),
            4,
            "MaxObjectCount",
        ),
        ("GetInstance", value("InstanceName", "x"), 4, "InstanceName"),
        (
            "GetInstance",
            OPEN.replace("ClassName", "InstanceName"),
            4,
            "InstanceName",
        ),
        (
            "PullInstancePaths",
            value("EnumerationContext", "x"),
            4,
            "MaxObjectCount",
        ),
    ] {
        let answer = intrinsic(&cimom, name, &parameters).await;
        assert!(
            answer.contains(&format!("<ERROR CODE=\"{code}\"")),
            "{name}: {answer}"
        );
        assert!(answer.contains(said), "{name}: {answer}");
    }
}

#[tokio::test]
async fn deprecated_parameters_make_no_difference() {
    let cimom = cimom();
    let plain = intrinsic(&cimom, "EnumerateInstances", OPEN).await;
    let old = value("LocalOnly", "TRUE") + &value("IncludeQualifiers", "TRUE");
    let same = intrinsic(&cimom, "EnumerateInstances", &(old + OPEN)).await;
    assert_eq!(plain, same);
}

#[tokio::test]
async fn methods_take_untyped_parameters_and_return_typed_ones() {
    let cimom = cimom();
    let call = "<METHODCALL NAME=\"GetSupportedSizeRange\"><LOCALINSTANCEPATH><LOCALNAMESPACEPATH>\
        <NAMESPACE NAME=\"root\"/><NAMESPACE NAME=\"standpipe\"/></LOCALNAMESPACEPATH>\
        <INSTANCENAME CLASSNAME=\"Standpipe_StoragePool\"><KEYBINDING NAME=\"InstanceID\">\
        <KEYVALUE VALUETYPE=\"string\">pool 0</KEYVALUE></KEYBINDING></INSTANCENAME>\
        </LOCALINSTANCEPATH><PARAMVALUE NAME=\"ElementType\"><VALUE>3</VALUE></PARAMVALUE>\
        </METHODCALL>";
    let answer = ask(&cimom, call).await;
    let expected = "<RETURNVALUE PARAMTYPE=\"uint32\"><VALUE>0</VALUE></RETURNVALUE>\
        <PARAMVALUE NAME=\"MinimumVolumeSize\" PARAMTYPE=\"uint64\"><VALUE>4096</VALUE></PARAMVALUE>";
    assert!(answer.contains(expected), "{answer}");
    let wrong = ask(&cimom, &call.replace("<VALUE>3<", "<VALUE>x<")).await;
    assert!(
        wrong.contains("<ERROR CODE=\"4\"") && wrong.contains("ElementType"),
        "{wrong}"
    );
}
