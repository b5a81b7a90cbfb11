//! Goals that are proposed: what a client wishes for against what can be had.

use super::client::{Answer, Client};
use super::demo::Demo;
use super::xml::{ARRAY, class, instance_of, method, operation, returned};

/// The value of a property of the proposals in an answer, which are XML within XML.
fn proposed(answer: &Answer, name: &str) -> Vec<String> {
    let plain = answer.body.replace("&lt;", "<").replace("&gt;", ">");
    let plain = plain.replace("&quot;", "\"").replace("&#34;", "\"");
    let found = super::xml::property(name, &plain).into_iter();
    found.map(str::to_owned).collect()
}

/// A PARAMVALUE with templates that have these numbers.
fn templates(all: &[&[(&str, u16)]]) -> String {
    let template = |numbers: &&[(&str, u16)]| {
        let numbers: String = numbers
            .iter()
            .map(|(name, number)| {
                format!(
                    "<PROPERTY NAME=\"{name}\" TYPE=\"uint16\"><VALUE>{number}</VALUE></PROPERTY>"
                )
            })
            .collect();
        let text = format!("<INSTANCE CLASSNAME=\"CIM_StorageSetting\">{numbers}</INSTANCE>");
        let text = text.replace('<', "&lt;").replace('>', "&gt;");
        format!("<VALUE>{text}</VALUE>")
    };
    let all: String = all.iter().map(template).collect();
    format!(
        "<PARAMVALUE NAME=\"TemplateGoalSettings\" PARAMTYPE=\"string\" EmbeddedObject=\"instance\">\
         <VALUE.ARRAY>{all}</VALUE.ARRAY></PARAMVALUE>"
    )
}

fn names(client: &mut Client, of: &str) -> String {
    let names = operation("EnumerateInstanceNames", ARRAY, &[("ClassName", class(of))]);
    client.call(&names).body
}

#[test]
fn wishes_are_answered_with_what_can_be_had() {
    let demo = Demo::with_volumes(0);
    let client = &mut demo.connect();
    let abilities = instance_of(
        "Standpipe_StorageCapabilities",
        &names(client, "Standpipe_StorageCapabilities"),
    );
    let before = names(client, "CIM_StorageSetting");
    let mut ask = |parameters: &[String]| {
        let call = method("CreateGoalSettings", &abilities, parameters);
        client.call(&call)
    };
    let default = ask(&[]);
    assert_eq!(returned(&default.body), Some("0"), "{}", default.body);
    assert_eq!(proposed(&default, "PackageRedundancyGoal"), ["0"]);

    let mirror: &[_] = &[("PackageRedundancyGoal", 1), ("DataRedundancyGoal", 2)];
    let possible = ask(&[templates(&[mirror])]);
    assert_eq!(returned(&possible.body), Some("0"), "{}", possible.body);
    assert_eq!(proposed(&possible, "DataRedundancyGoal"), ["2"]);

    // Four copies are never kept; the other wish stays as it is.
    let too_much: &[_] = &[("PackageRedundancyGoal", 3), ("DataRedundancyGoal", 4)];
    let nearest = ask(&[templates(&[mirror, too_much])]);
    assert_eq!(returned(&nearest.body), Some("6"), "{}", nearest.body);
    let copies = proposed(&nearest, "DataRedundancyGoal");
    assert_eq!(copies[0], "2");
    assert!(["1", "2", "3"].contains(&&*copies[1]), "{copies:?}");

    let contradiction: &[_] = &[("DataRedundancyGoal", 2), ("DataRedundancyMax", 1)];
    assert_eq!(ask(&[templates(&[contradiction])]).error(), Some(4));
    let strange = templates(&[mirror]).replace("CIM_StorageSetting", "CIM_RegisteredProfile");
    assert_eq!(ask(&[strange]).error(), Some(4));
    assert_eq!(
        names(client, "CIM_StorageSetting"),
        before,
        "nothing was made"
    );
}
