//! The catalog: paths, their resolution, and what it finds wrong with a model.

use super::shelf::{ARRAY, Id, Shelf};
use crate::broker::Snapshot;
use crate::cim::{Keys, ObjectPath, Status, Value};

#[test]
fn the_model_of_these_tests_is_sound() {
    let shelf = Shelf::with_volumes(5);
    assert_eq!(Shelf::catalog().faults(), Vec::<String>::new());
    assert_eq!(Shelf::catalog().faults_in(&shelf), Vec::<String>::new());
}

#[test]
fn every_element_has_one_path_and_back() {
    let shelf = Shelf::with_volumes(2);
    for id in [Id::System, Id::Pool(1), Id::Volume(1), Id::Profile(0)] {
        let path = shelf.path(&id);
        assert_eq!(path.host, None);
        assert_eq!(shelf.resolve(&path), Ok(id), "{path}");
        let mut shouted = path.clone();
        shouted.class = path.class.as_str().to_uppercase().into();
        assert_eq!(shelf.resolve(&shouted), Ok(id), "{shouted}");
        let mut elsewhere = path.clone();
        elsewhere.host = Some("anything:1".into());
        assert_eq!(shelf.resolve(&elsewhere), Ok(id));
    }
}

#[test]
fn aliases_mean_the_namespace_they_stand_for() {
    let shelf = Shelf::with_volumes(0);
    let profile = shelf.path(&Id::Profile(0));
    assert_eq!(
        profile.namespace.as_ref().map(|n| n.as_str()),
        Some("interop")
    );
    for name in ["root/interop", "ROOT/Interop", "Interop", "/root/interop/"] {
        let there = profile.clone().in_namespace(name);
        assert_eq!(shelf.resolve(&there), Ok(Id::Profile(0)), "{name}");
        let canonical = Shelf::catalog().canonical(&there, ARRAY);
        assert_eq!(canonical.to_string(), profile.to_string());
    }
}

#[test]
fn what_a_path_does_not_name_is_refused_by_kind() {
    let shelf = Shelf::with_volumes(2);
    let volume = shelf.path(&Id::Volume(0));
    let with = |change: fn(&mut ObjectPath)| {
        let mut path = volume.clone();
        change(&mut path);
        shelf.resolve(&path).map_err(|error| error.status)
    };
    let rebound = |name: &'static str, value: &'static str| {
        let bindings = volume.keys.iter().flat_map(Keys::iter);
        let bindings = bindings.map(|(n, v)| match *n == *name {
            true => (n.clone(), Value::from(value)),
            false => (n.clone(), v.clone()),
        });
        let mut path = volume.clone();
        path.keys = Some(bindings.collect());
        shelf.resolve(&path).map_err(|error| error.status)
    };
    assert_eq!(with(|p| p.namespace = None), Err(Status::InvalidNamespace));
    assert_eq!(
        with(|p| p.namespace = Some("root".into())),
        Err(Status::InvalidNamespace)
    );
    assert_eq!(
        with(|p| p.namespace = Some("interop".into())),
        Err(Status::NotFound)
    );
    assert_eq!(
        with(|p| p.class = "CIM_Foo".into()),
        Err(Status::InvalidClass)
    );
    assert_eq!(
        with(|p| p.class = "CIM_StorageVolume".into()),
        Err(Status::NotFound)
    );
    assert_eq!(with(|p| p.keys = None), Err(Status::InvalidParameter));
    assert_eq!(with(|p| p.keys = Some(Keys::new())), Err(Status::NotFound));
    assert_eq!(rebound("DeviceID", "d2"), Err(Status::NotFound));
    assert_eq!(rebound("DeviceID", "D0"), Err(Status::NotFound));
    // The model looks at DeviceID alone; the other keys count all the same.
    assert_eq!(rebound("SystemName", "other"), Err(Status::NotFound));
    assert_eq!(rebound("systemname", "s"), Ok(Id::Volume(0)));
}

#[test]
fn a_single_key_may_come_without_a_name() {
    let shelf = Shelf::with_volumes(0);
    let unnamed = [("", "pool 1")].into_iter().collect();
    let path = ObjectPath::instance("Standpipe_StoragePool", unnamed).in_namespace(ARRAY.name);
    assert_eq!(shelf.resolve(&path), Ok(Id::Pool(1)));
}
