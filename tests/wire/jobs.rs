//! Jobs as clients see and control them.

use super::client::{Answer, Client};
use super::demo::Demo;
use super::xml::{
    ARRAY, Call, argument, class, instance, instance_of, method, operation, output, property,
    referring, returned,
};

const MIB: u64 = 1 << 20;
const JOB: &str = "Standpipe_ConcreteJob";

fn create(client: &mut Client, size: u64) -> Answer {
    let only = |client: &mut Client, name: &str| {
        let names = operation(
            "EnumerateInstanceNames",
            ARRAY,
            &[("ClassName", class(name))],
        );
        instance_of(name, &client.call(&names).body)
    };
    let service = only(client, "Standpipe_StorageConfigurationService");
    let pool = only(client, "Standpipe_StoragePool");
    let parameters = [
        argument("ElementName", "string", "wire"),
        argument("ElementType", "uint16", "2"),
        referring("InPool", &pool),
        argument("Size", "uint64", &size.to_string()),
    ];
    client.call(&method(
        "CreateOrModifyElementFromStoragePool",
        &service,
        &parameters,
    ))
}

fn request(job: &str, state: u16) -> Call {
    let state = argument("RequestedState", "uint16", &state.to_string());
    method("RequestStateChange", job, &[state])
}

fn on(job: &str, name: &str) -> Call {
    operation(name, ARRAY, &[("InstanceName", job.to_owned())])
}

/// Reads a property of the job.
fn read(client: &mut Client, job: &str, name: &str) -> String {
    let body = client.call(&on(job, "GetInstance")).body;
    let found = property(name, &body).first().map(|text| (*text).to_owned());
    found.unwrap_or_else(|| panic!("{name} in {body}"))
}

fn until_state(client: &mut Client, job: &str, state: &str) {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while read(client, job, "JobState") != state {
        assert!(std::time::Instant::now() < end, "it does not reach {state}");
        std::thread::yield_now();
    }
}

#[test]
fn a_finished_job_tells_its_call_and_can_only_be_forgotten() {
    let demo = Demo::with_volumes(0);
    let mut client = demo.connect();
    let made = create(&mut client, 64 * MIB);
    assert_eq!(returned(&made.body), Some("0"), "{}", made.body);
    let job = &instance_of(JOB, &made.body);
    let result = [
        ("ObjectName", job.clone()),
        ("AssocClass", class("CIM_AssociatedJobMethodResult")),
    ];
    let result = operation("Associators", ARRAY, &result);
    let result = client.call(&result).body;
    let call = "&lt;INSTANCE CLASSNAME=\"CIM_InstMethodCall\"&gt;";
    assert_eq!(result.matches(call).count(), 2, "{result}");
    let parameters = "&amp;lt;INSTANCE CLASSNAME=\"__MethodParameters\"&amp;gt;";
    assert_eq!(result.matches(parameters).count(), 2, "{result}");
    for (name, text) in [
        ("PreCall", "TRUE"),
        ("PreCall", "FALSE"),
        ("ReturnValue", "0"),
    ] {
        let property = format!("NAME=\"{name}\"");
        let mut said = result.split(&property).skip(1);
        let value = format!("&lt;VALUE&gt;{text}&lt;/VALUE&gt;");
        assert!(said.any(|rest| {
            rest.split("PROPERTY")
                .next()
                .is_some_and(|p| p.contains(&value))
        }));
    }
    let owner = [
        ("ObjectName", job.clone()),
        ("AssocClass", class("CIM_OwningJobElement")),
    ];
    let owner = client.call(&operation("AssociatorNames", ARRAY, &owner));
    instance_of("Standpipe_StorageConfigurationService", &owner.body);
    for state in 2..=5 {
        let refused = client.call(&request(job, state));
        assert_eq!(returned(&refused.body), Some("4097"), "{state}");
    }
    for (state, code) in [(6, "1"), (7, "5")] {
        let refused = client.call(&request(job, state));
        assert_eq!(returned(&refused.body), Some(code), "{state}");
    }
    assert_eq!(client.call(&method("KillJob", job, &[])).error(), Some(1));
    let errors = client.call(&method("GetError", job, &[]));
    assert_eq!(returned(&errors.body), Some("0"));
    assert_eq!(output("Error", &errors.body), None);

    let keep = |name: &str, value: &str| {
        let property = format!("<PROPERTY NAME=\"{name}\" TYPE=\"{value}</VALUE></PROPERTY>");
        let modified = format!(
            "<VALUE.NAMEDINSTANCE>{job}<INSTANCE CLASSNAME=\"{JOB}\">{property}</INSTANCE>\
             </VALUE.NAMEDINSTANCE>"
        );
        operation("ModifyInstance", ARRAY, &[("ModifiedInstance", modified)])
    };
    let day = "datetime\"><VALUE>00000001000000.000000:000";
    for modified in [
        keep("DeleteOnCompletion", "boolean\"><VALUE>false"),
        keep("TimeBeforeRemoval", day),
    ] {
        let answer = client.call(&modified);
        assert_eq!(answer.error(), None, "{}", answer.body);
    }
    assert_eq!(read(&mut client, job, "DeleteOnCompletion"), "FALSE");
    assert!(day.ends_with(&read(&mut client, job, "TimeBeforeRemoval")));
    for (modified, error) in [
        (
            keep(
                "TimeBeforeRemoval",
                "datetime\"><VALUE>00000001000000.000001:000",
            ),
            4,
        ),
        (
            keep(
                "TimeBeforeRemoval",
                "datetime\"><VALUE>20260101000000.000000+000",
            ),
            4,
        ),
        (keep("Priority", "uint32\"><VALUE>1"), 7),
    ] {
        assert_eq!(client.call(&modified).error(), Some(error));
    }

    assert_eq!(client.call(&on(job, "DeleteInstance")).error(), None);
    assert_eq!(client.call(&on(job, "GetInstance")).error(), Some(6));
    let results = operation(
        "EnumerateInstanceNames",
        ARRAY,
        &[("ClassName", class("CIM_MethodResult"))],
    );
    let results = client.call(&results).body;
    assert!(
        !results.contains("INSTANCENAME"),
        "it went with its job: {results}"
    );
    let unknown = instance(JOB, "InstanceID", "Standpipe:Job:none");
    assert_eq!(client.call(&request(&unknown, 4)).error(), Some(6));
}

#[test]
fn a_running_job_is_suspended_resumed_and_stopped() {
    let demo = Demo::with_volumes(0);
    let mut client = demo.connect();
    // Minutes of work, of which a method waits for five seconds.
    let made = create(&mut client, 4 * MIB * MIB);
    assert_eq!(returned(&made.body), Some("4096"), "{}", made.body);
    let job = &instance_of(JOB, &made.body);
    assert_eq!(read(&mut client, job, "JobState"), "4");
    assert_eq!(read(&mut client, job, "ErrorCode"), "0");
    assert!(!read(&mut client, job, "RemainingTime").is_empty());
    assert_eq!(client.call(&on(job, "DeleteInstance")).error(), Some(1));
    let period = argument("TimeoutPeriod", "datetime", "00000000000001.000000:000");
    let state = argument("RequestedState", "uint16", "3");
    let timed = method("RequestStateChange", job, &[state, period]);
    assert_eq!(returned(&client.call(&timed).body), Some("4098"));

    assert_eq!(returned(&client.call(&request(job, 3)).body), Some("4096"));
    until_state(&mut client, job, "5");
    let percent = read(&mut client, job, "PercentComplete");
    assert_eq!(returned(&client.call(&request(job, 3)).body), Some("0"));
    assert_eq!(read(&mut client, job, "PercentComplete"), percent);
    assert_eq!(returned(&client.call(&request(job, 2)).body), Some("0"));
    assert_eq!(read(&mut client, job, "JobState"), "4");

    assert_eq!(returned(&client.call(&request(job, 4)).body), Some("4096"));
    until_state(&mut client, job, "8");
    let error = client.call(&method("GetError", job, &[]));
    let error = output("Error", &error.body).expect("an error");
    for text in [
        "CIM_Error",
        "Standpipe",
        "SP16",
        "CIM_ERR_FAILED",
        "stopped on request",
    ] {
        assert!(error.contains(text), "{text} in {error}");
    }
    let volumes = [("ClassName", class("CIM_StorageVolume"))];
    let volumes = client.call(&operation("EnumerateInstanceNames", ARRAY, &volumes));
    assert!(!volumes.body.contains("INSTANCENAME"), "{}", volumes.body);

    let made = create(&mut client, 4 * MIB * MIB);
    let job = &instance_of(JOB, &made.body);
    let kill = argument("DeleteOnKill", "boolean", "TRUE");
    let killed = client.call(&method("KillJob", job, &[kill]));
    assert_eq!(returned(&killed.body), Some("0"), "{}", killed.body);
    assert_eq!(client.call(&on(job, "GetInstance")).error(), Some(6));
}
