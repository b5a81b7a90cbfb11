//! Wiring: from an engine to the service that the listeners call.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::array::{Array, Engine, SystemName};
use crate::broker::{Broker, PullLimits};
use crate::engine::sim::SimEngine;
use crate::http::{Cimom, ListenUrl};
use crate::smis::{Gateway, Server};
use crate::store::Store;

use super::demo::DemoArray;
use super::{Failure, populate};

/// How long a method that may start a job waits for its end.
const PATIENCE: Duration = Duration::from_secs(5);

/// The service that the listeners call.
pub(super) type Service = Cimom<Gateway>;

/// The simulated array of a demo.
pub(super) fn demo(array: DemoArray<'_>, urls: &[ListenUrl]) -> Result<Arc<Service>, Failure> {
    let mut machine = SimEngine::builder().volumes(array.volumes.into());
    let store = match array.state {
        Some(directory) => {
            std::fs::create_dir_all(directory).map_err(|error| Failure::new(&error))?;
            machine = machine.state(directory);
            open_store(directory)?
        }
        None => Store::in_memory().map_err(|error| Failure::new(&error))?,
    };
    let engine = machine.build().map_err(|error| Failure::new(&error))?;
    let system = SystemName {
        name: "standpipe-demo".into(),
        label: "Standpipe demo".into(),
    };
    let array = open_array(Arc::new(engine), store, system)?;
    populate::show_some(&array).map_err(|error| Failure::new(&error))?;
    Ok(service(array, urls))
}

fn open_store(directory: &Path) -> Result<Store, Failure> {
    Store::open(&directory.join("standpipe.redb")).map_err(|error| Failure::new(&error))
}

fn open_array(engine: Arc<dyn Engine>, store: Store, name: SystemName) -> Result<Array, Failure> {
    Array::open(engine, store, name).map_err(|error| Failure::new(&error))
}

fn service(array: Array, urls: &[ListenUrl]) -> Arc<Service> {
    let host = host_name();
    let server = Server {
        urls: urls.iter().map(ToString::to_string).collect(),
        host_name: host.clone(),
    };
    let gateway = Gateway::new(array, server, PATIENCE);
    let broker = Broker::new(gateway, PullLimits::default());
    Arc::new(Cimom::new(Arc::new(broker), host))
}

/// The name of this machine.
fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}
