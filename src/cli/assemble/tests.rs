//! The model that is wired together: sound in its tables and in what it says about an array.

use super::*;
use crate::broker::{Model, Snapshot};

type View = <Gateway as Model>::Snapshot;

fn faults_with(volumes: u64) -> Vec<String> {
    let engine = SimEngine::builder().volumes(volumes).build();
    let store = Store::in_memory().expect("memory");
    let system = SystemName {
        name: "standpipe-test".into(),
        label: "test".into(),
    };
    let engine = Arc::new(engine.expect("a simulated array"));
    let array = open_array(engine, store, system, Policy::default()).expect("opened");
    populate::show_some(&array).expect("populated");
    let gateway = Gateway::new(array, Server::default(), PATIENCE);
    View::catalog().faults_in(&gateway.snapshot())
}

#[test]
fn kinds_and_relations_agree_with_the_schema() {
    assert_eq!(View::catalog().faults(), Vec::<String>::new());
}

#[test]
fn every_path_and_every_step_leads_there_and_back() {
    for volumes in [0, 20] {
        assert_eq!(
            faults_with(volumes),
            Vec::<String>::new(),
            "{volumes} volumes"
        );
    }
}
