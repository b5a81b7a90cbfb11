//! What showing a volume asks of LVM. Its answers take the longer, the more volumes there are.

use super::*;

/// An LVM that notes down what its shells are told.
const NOTING: &str = "/run/noting-lvm";
/// Where it notes it down.
const TOLD: &str = "/run/noting-lvm.told";

/// How many commands LVM's shells were told meanwhile.
fn commands(call: impl FnOnce()) -> usize {
    let count = || fs::read_to_string(TOLD).expect("its notes").lines().count();
    let before = count();
    call();
    count() - before
}

#[test]
#[ignore = "needs the test machine"]
fn vm_lvm_is_asked_once_for_a_volume_and_not_again_for_more_hosts() {
    drop(engine());
    run(&format!(
        "printf '#!/bin/sh\\n[ $# = 0 ] || exec lvm \"$@\"\\ntee -a {TOLD} | lvm\\n' > {NOTING}
         chmod +x {NOTING}; : > {TOLD}"
    ));
    let settings = || Settings {
        lvm: NOTING.into(),
        ..settings()
    };
    let engine = LinuxEngine::open(settings()).expect("the engine opens");
    let ids = ["one", "two"].map(|name| volume(&engine, name, EXTENT));
    engine.converge(&[]).expect("the target is there");
    let show = |engine: &LinuxEngine, map: &Map| {
        let step = Step::Map(map.clone());
        commands(|| engine.apply(&step, &Unwatched).expect("shown"))
    };
    let rows: Vec<Map> = [HOST, OTHER]
        .iter()
        .flat_map(|host| [map(&ids[0], host, 1), map(&ids[1], host, 2)])
        .collect();
    let asked: Vec<usize> = rows.iter().map(|row| show(&engine, row)).collect();
    assert_eq!(asked, [1, 1, 0, 0], "for each row");
    assert!(sees(HOST, 1) && sees(HOST, 2) && sees(OTHER, 1) && sees(OTHER, 2));
    // A gateway that has just started knows by the kernel alone what it exports.
    drop(engine);
    let engine = LinuxEngine::open(settings()).expect("the engine opens");
    let again = commands(|| engine.converge(&rows).expect("converged"));
    assert!(
        again <= 4,
        "{again} commands, for disks that came back, thin pools and volumes that were taken over, and \
         {} rows",
        rows.len()
    );
    engine.converge(&[]).expect("hidden");
    ids.iter().for_each(|id| delete(&engine, id));
    run(&format!("rm {NOTING} {TOLD}"));
}
