//! CHAP on a real kernel: beside what others demand there by hand or with programs of their own.

use super::*;
use crate::array::{Chap, ChapTable, ChapUser, Login, Secret};

const THIRD: &str = "iqn.2026-11.example.host:c";
const SECRET: &str = "open-sesame-42";

/// Where the portal group is.
fn group() -> String {
    format!("/sys/kernel/config/target/iscsi/{IQN}/tpgt_1")
}

/// The gateway after a restart, with secrets for these initiators, each as `joe`.
fn restart(old: LinuxEngine, initiators: &[&str]) -> LinuxEngine {
    drop(old);
    let initiator = Login {
        user: ChapUser::parse("joe").expect("a name"),
        secret: Secret::parse(SECRET).expect("a secret"),
    };
    let chap = Chap {
        initiator,
        array: None,
    };
    let table = initiators.iter().map(|name| {
        let name = InitiatorName::parse(name).expect("a name");
        (name, chap.clone())
    });
    let settings = Settings {
        chap: table.collect::<ChapTable>(),
        ..settings()
    };
    LinuxEngine::open(settings).expect("the engine opens")
}

/// Whether an initiator sees LUN 1 when it logs in as that user.
fn sees_as(user: &str, initiator: &str) -> bool {
    let url = format!("iscsi://{user}%{SECRET}@127.0.0.1/{IQN}/1");
    let mut line = Command::new("iscsi-inq");
    let output = line.args(["-i", initiator, &url]).output();
    output.expect("iscsi-inq runs").status.success()
}

/// Everything that says who has to prove what.
fn demands() -> String {
    run(&format!(
        "cd {}; for file in attrib/authentication auth/* acls/*/tag acls/*/auth/* \
         acls/*/attrib/authentication; do echo $file=$(sed s/^NULL$// $file); done",
        group()
    ))
}

fn demanded() -> String {
    let text = run(&format!("cat {}/attrib/authentication", group()));
    text.trim().to_owned()
}

#[test]
#[ignore = "needs the test machine"]
fn vm_what_was_demanded_by_hand_stays_and_what_we_demand_goes_again() {
    let engine = engine();
    let shown = volume(&engine, "shown", EXTENT);
    let maps = [HOST, OTHER, THIRD].map(|host| map(&shown, host, 1));
    engine.converge(&maps).expect("converged");
    let acl = format!("{}/acls/{OTHER}/auth", group());
    run(&format!(
        "printf jane > {acl}/userid; printf {SECRET} > {acl}/password"
    ));
    let before = demands();

    let engine = restart(engine, &[HOST]);
    engine.converge(&maps).expect("converged");
    let whole = |told: &str| {
        assert!(!sees(HOST, 1) && sees_as("joe", HOST), "{told}");
        assert!(sees(THIRD, 1), "{told}");
    };
    whole("fresh");
    // The target was open, so that these did not count; now they do.
    assert!(!sees(OTHER, 1) && sees_as("jane", OTHER));

    // A program that thinks the target its own.
    run(&format!("printf 0 > {}/attrib/authentication", group()));
    whole("loosened");
    engine.converge(&maps).expect("converged");
    assert_eq!(demanded(), "1");

    let engine = restart(engine, &[]);
    engine.converge(&maps).expect("converged");
    assert_eq!(demands(), before);
    assert!(sees(HOST, 1) && sees(THIRD, 1));
    engine.converge(&[]).expect("hidden");
    assert_eq!(leftovers(), "");
    delete(&engine, &shown);
}

#[test]
#[ignore = "needs the test machine"]
fn vm_a_target_that_somebody_closed_to_the_nameless_stays_so() {
    let engine = engine();
    let shown = volume(&engine, "shown", EXTENT);
    let maps = [HOST, OTHER].map(|host| map(&shown, host, 1));
    engine.converge(&maps).expect("converged");
    run(&format!("printf 1 > {}/attrib/authentication", group()));
    let before = demands();
    let mut engine = engine;
    for initiators in [&[HOST][..], &[]] {
        engine = restart(engine, initiators);
        engine.converge(&maps).expect("converged");
        assert!(!sees(OTHER, 1) && !sees(HOST, 1), "{initiators:?}");
        assert_eq!(sees_as("joe", HOST), !initiators.is_empty());
    }
    assert_eq!(demands(), before);
    engine.converge(&[]).expect("hidden");
    delete(&engine, &shown);
}

#[test]
#[ignore = "needs the test machine"]
fn vm_what_stands_in_an_open_acl_of_another_manager_is_hidden() {
    let engine = engine();
    let shown = volume(&engine, "shown", EXTENT);
    engine.converge(&[]).expect("converged");
    let acl = format!("{}/acls/{HOST}", group());
    run(&format!(
        "mkdir {acl}; printf 0 > {acl}/attrib/authentication"
    ));
    let maps = [map(&shown, HOST, 1)];
    engine.converge(&maps).expect("nothing is demanded");
    assert!(sees(HOST, 1));

    let engine = restart(engine, &[HOST]);
    let error = engine.converge(&maps).expect_err("it cannot be demanded");
    assert_eq!(error.kind, Kind::AccessDenied, "{error}");
    assert!(!sees(HOST, 1) && !sees_as("joe", HOST));
    assert_eq!(engine.scan().expect("a scan").maps, []);
    let auth = format!("{acl}/auth");
    assert_eq!(run(&format!("cat {auth}/userid")).trim(), "");
    // Its owner demands the same.
    run(&format!(
        "printf joe > {auth}/userid; printf {SECRET} > {auth}/password
         printf 1 > {acl}/attrib/authentication"
    ));
    engine.converge(&maps).expect("converged");
    assert!(!sees(HOST, 1) && sees_as("joe", HOST));
    engine.converge(&[]).expect("hidden");
    assert_eq!(run(&format!("cat {auth}/userid")).trim(), "joe");
    run(&format!("rmdir {acl}"));
    delete(&engine, &shown);
}
