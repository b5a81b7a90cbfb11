//! Other managers of the kernel target beside this one, and what hosts have reserved for themselves.

use super::*;

/// An initiator that makes persistent reservations.
const PERSIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vm/guest/persist.py");
/// What another manager keeps.
const SAVED: &str = "/run/saved.json";

/// A clean machine without what earlier reservations left.
fn fresh() -> LinuxEngine {
    let engine = engine();
    run(
        "rm -f $(cat /sys/kernel/config/target/dbroot 2>/dev/null)/pr/aptpl_* /etc/rtslib-fb-target/pr/aptpl_*",
    );
    engine
}

fn settings() -> Settings {
    let target = TargetSettings {
        iqn: Iqn::from(IQN),
        portals: vec!["127.0.0.1:3260".parse().expect("an address")],
    };
    Settings::new(vec!["vg0".into()], vec![target])
}

/// The same machine for a gateway that has just started.
fn started_again() -> LinuxEngine {
    LinuxEngine::open(settings()).expect("the engine opens")
}

fn python(script: &str) {
    run(&format!("python3 -W ignore - <<'END'\n{script}\nEND"));
}

/// Output of the initiator.
fn persist(initiator: &str, lun: u16, words: &str) -> String {
    run(&format!(
        "python3 {PERSIST} {initiator} {IQN} {lun} {words}"
    ))
    .trim()
    .to_owned()
}

/// Shows a memory disk of another manager to the host as number 7, in the ACL that is there.
fn somebodys_lun() {
    python(&format!(
        "from rtslib_fb import *\n\
         disk = RDMCPStorageObject('theirs', 1 << 20)\n\
         group = next(t for t in RTSRoot().targets if t.wwn == '{IQN}').tpgs.__next__()\n\
         unit = LUN(group, storage_object=disk)\n\
         acl = next(a for a in group.node_acls if a.node_wwn == '{HOST}')\n\
         MappedLUN(acl, 7, unit)"
    ));
}

/// Another manager takes the target down and restores what it had saved. With `forget` its file has
/// no names of links, as those of older versions.
fn restored_by_another(forget: bool) {
    run(&format!("targetctl save {SAVED}"));
    if forget {
        python(&format!(
            "import json\n\
             saved = json.load(open('{SAVED}'))\n\
             groups = [g for t in saved['targets'] for g in t['tpgs']]\n\
             rows = [m for g in groups for a in g['node_acls'] for m in a['mapped_luns']]\n\
             for row in rows + [l for g in groups for l in g['luns']]: del row['alias']\n\
             json.dump(saved, open('{SAVED}', 'w'))"
        ));
    }
    run("targetctl clear");
    assert_eq!(leftovers(), "", "it clears everything, ours, too");
    let told = run(&format!("targetctl restore {SAVED} 2>&1"));
    assert_eq!(told, "", "it restores everything, ours, too");
}

#[test]
#[ignore = "needs the test machine"]
fn vm_what_another_manager_restored_is_adopted_whatever_it_is_called() {
    let engine = fresh();
    let (one, two) = (
        volume(&engine, "one", EXTENT),
        volume(&engine, "two", EXTENT),
    );
    let wanted = [map(&one, HOST, 1), map(&two, HOST, 2)];
    engine.converge(&wanted).expect("converged");
    somebodys_lun();
    drop(engine);
    for forget in [false, true] {
        restored_by_another(forget);
        let numbers = run("ls -d /sys/kernel/config/target/core/iblock_*");
        assert!(
            !numbers.contains("iblock_50000"),
            "it gives other numbers: {numbers}"
        );
        let engine = started_again();
        assert_eq!(
            engine.scan().expect("a scan").maps,
            wanted,
            "ours by what they lead to"
        );
        let before = leftovers();
        engine.converge(&wanted).expect("adopted");
        assert_eq!(leftovers(), before, "nothing was made again");
        assert!(
            wanted
                .iter()
                .all(|map| engine.is_mapped(map).expect("a look"))
        );
        assert!(sees(HOST, 1) && sees(HOST, 2) && sees(HOST, 7));
    }
    // Nothing of what another manager made again keeps a volume from being hidden and removed.
    let engine = started_again();
    engine.converge(&wanted[..1]).expect("one is hidden");
    assert!(sees(HOST, 1) && !sees(HOST, 2) && sees(HOST, 7));
    apply(&engine, &Step::Unmap(wanted[0].clone()));
    assert!(
        !sees(HOST, 1) && sees(HOST, 7),
        "the ACL keeps what others show in it"
    );
    delete(&engine, &one);
    delete(&engine, &two);
    run("targetctl clear");
}

#[test]
#[ignore = "needs the test machine"]
fn vm_a_backstore_of_another_name_with_the_identifier_is_used_and_left() {
    let engine = fresh();
    let id = volume(&engine, "named by others", EXTENT);
    let wanted = map(&id, HOST, 1);
    engine.converge(&[]).expect("the target is there");
    let device = volumes(&engine).remove(0).device;
    python(&format!(
        "from rtslib_fb import *\n\
         BlockStorageObject('theirs', '/dev/vg0/{device}', wwn='{}')",
        id.unit_serial()
    ));
    apply(&engine, &Step::Map(wanted.clone()));
    assert!(sees(HOST, 1));
    assert_eq!(
        engine.scan().expect("a scan").maps,
        std::slice::from_ref(&wanted)
    );
    apply(&engine, &Step::Unmap(wanted));
    assert!(!sees(HOST, 1));
    let left = run("ls -d /sys/kernel/config/target/core/iblock_*/*/");
    assert!(left.contains("/theirs/"), "it is theirs to remove: {left}");
    run("targetctl clear");
    delete(&engine, &id);
}

#[test]
#[ignore = "needs the test machine"]
fn vm_lasting_reservations_hold_after_a_boot_and_after_another_manager() {
    let engine = fresh();
    // A second volume shifts the numbers of the portal group at the next boot.
    let (other, id) = (
        volume(&engine, "other", EXTENT),
        volume(&engine, "fenced", EXTENT),
    );
    let wanted = [map(&id, HOST, 3), map(&id, OTHER, 4)];
    engine.converge(&[map(&other, HOST, 1)]).expect("converged");
    wanted
        .iter()
        .for_each(|map| apply(&engine, &Step::Map(map.clone())));
    persist(HOST, 3, "reserve 4660");
    let holds = || {
        assert_eq!(persist(OTHER, 4, "keys"), "4660");
        assert_eq!(persist(OTHER, 4, "holder"), "0 8");
        assert_eq!(persist(OTHER, 4, "write"), "refused");
        assert_eq!(persist(HOST, 3, "write"), "written");
    };
    holds();
    drop(engine);
    run(CLEAR_TARGET);
    let engine = started_again();
    engine.converge(&wanted).expect("converged");
    holds();
    // A volume that is shown for the first time keeps away from its number.
    apply(&engine, &Step::Map(map(&other, HOST, 1)));
    holds();
    engine.converge(&wanted).expect("converged again");
    holds();
    drop(engine);
    restored_by_another(false);
    assert_eq!(
        persist(OTHER, 4, "keys"),
        "",
        "it does not know of reservations"
    );
    let engine = started_again();
    engine.converge(&wanted).expect("converged");
    holds();
    engine.converge(&[]).expect("hidden");
    delete(&engine, &id);
    delete(&engine, &other);
    run("rm -f $(cat /sys/kernel/config/target/dbroot)/pr/aptpl_*");
}

#[test]
#[ignore = "needs the test machine"]
fn vm_the_file_of_another_manager_holds_ours_and_keeps_its_own() {
    let engine = fresh();
    let id = volume(&engine, "saved", EXTENT);
    let wanted = [map(&id, HOST, 6)];
    engine.converge(&wanted).expect("converged");
    drop(engine);
    somebodys_lun();
    run(&format!("targetctl save {SAVED}; cp {SAVED} {SAVED}.full"));
    // A file that knows only what is theirs.
    python(&format!(
        "import json\n\
         saved = json.load(open('{SAVED}'))\n\
         saved['storage_objects'] = [o for o in saved['storage_objects'] if o['name'] == 'theirs']\n\
         saved['targets'] = []\n\
         json.dump(saved, open('{SAVED}', 'w'))"
    ));
    let settings = Settings {
        saveconfig: Some(SAVED.into()),
        ..settings()
    };
    let engine = LinuxEngine::open(settings).expect("the engine opens");
    engine.converge(&wanted).expect("converged");
    let text = || fs::read_to_string(SAVED).expect("it is there");
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while !text().contains(id.as_str()) && std::time::Instant::now() < deadline {
        std::thread::yield_now();
    }
    assert!(text().contains("theirs"), "{}", text());
    drop(engine);
    let serial = id.unit_serial();
    run("targetctl clear");
    assert_eq!(
        run(&format!("targetctl restore {SAVED} 2>&1")),
        "",
        "it is restored without complaint"
    );
    let seen = run("cat /sys/kernel/config/target/core/iblock_*/standpipe.*/wwn/vpd_unit_serial");
    assert!(seen.contains(&serial), "the identifier is the same: {seen}");
    assert!(sees(HOST, 6), "the number is the same");
    let engine = started_again();
    assert_eq!(engine.scan().expect("a scan").maps, wanted);
    let before = leftovers();
    engine.converge(&wanted).expect("adopted");
    assert_eq!(leftovers(), before);
    engine.converge(&[]).expect("hidden");
    delete(&engine, &id);
    run("targetctl clear");
}
