//! Wiring: from an engine to the service that the listeners call.

use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use uuid::Uuid;

use crate::array::{Array, Engine, Policy, SystemName};
use crate::broker::{Broker, PullLimits};
use crate::config::Config;
use crate::engine::linux::{LinuxEngine, Settings, TargetSettings};
use crate::engine::sim::SimEngine;
use crate::http::{Cimom, ListenUrl};
use crate::smis::{Gateway, Machine, Server};
use crate::store::Store;

use super::demo::DemoArray;
use super::{Failure, events, machine, populate};

/// How long a method that may start a job waits for its end.
const PATIENCE: Duration = Duration::from_secs(5);

/// Bytes of each spare disk of a demo.
const SPARE_DISK: u64 = 4 << 40;
/// How often idle pull sessions are looked for.
const EXPIRE_EVERY: Duration = Duration::from_secs(15);
/// The name space in which system names are derived from machine identities.
const SYSTEMS: Uuid = Uuid::from_u128(0x1c0f_5f0e_7d35_5d3c_8b44_19a6_60d2_7e8b);

/// The service that the listeners call.
pub(super) type Service = Cimom<Gateway>;

/// The simulated array of a demo.
pub(super) fn demo(array: DemoArray<'_>, urls: &[ListenUrl]) -> Result<Arc<Service>, Failure> {
    let mut machine = SimEngine::builder()
        .volumes(array.volumes.into())
        .target_count(array.targets)
        .fc_ports(array.fc_ports)
        .spare_disks(array.spare_disks, SPARE_DISK);
    let store = match array.state {
        Some(directory) => {
            std::fs::create_dir_all(directory).map_err(|error| Failure::new(&error))?;
            machine = machine.state(directory);
            open_store(directory)?
        }
        None => Store::in_memory().map_err(|error| Failure::new(&error))?,
    };
    let engine = machine.build().map_err(|error| Failure::new(&error))?;
    if let Some(file) = array.events {
        events::follow(file, engine.clone())?;
    }
    let system = SystemName {
        name: "standpipe-demo".into(),
        label: "Standpipe demo".into(),
    };
    let array = open_array(Arc::new(engine), store, system, Policy::default())?;
    populate::show_some(&array).map_err(|error| Failure::new(&error))?;
    Ok(service(array, machine::simulated(), urls))
}

/// This machine's storage, as a configuration says.
pub(super) fn serve(config: &Config, urls: &[ListenUrl]) -> Result<Arc<Service>, Failure> {
    let storage = &config.storage;
    let targets = config.targets.iter().map(|target| TargetSettings {
        iqn: target.iqn.as_str().into(),
        portals: target.portals.clone(),
    });
    let settings = Settings {
        fc_ports: config.fc_ports.clone(),
        disks: storage.disks.clone(),
        chap: config.chap.clone(),
        lvm: storage.lvm.clone(),
        blkid: storage.blkid.clone(),
        dmsetup: storage.dmsetup.clone(),
        configfs: storage.configfs.join("target"),
        saveconfig: config.masking.saveconfig.clone(),
        ..Settings::new(storage.volume_groups.clone(), targets.collect())
    };
    let policy = Policy {
        overcommit: storage.thin_overcommit_percent,
        low_space: storage.low_space_percent,
        snapshot_room: storage.snapshot_percent,
        shrink: storage.allow_shrink,
        erase: storage.erase,
        lun_quarantine: config.masking.lun_quarantine,
        max_lun: config.masking.max_lun,
        drift: config.masking.drift,
        ..Policy::default()
    };
    let directory = &config.server.state_dir;
    std::fs::create_dir_all(directory).map_err(|error| Failure::new(&error))?;
    let store = open_store(directory)?;
    let engine = LinuxEngine::open(settings).map_err(|error| Failure::new(&error))?;
    let system = SystemName {
        name: system_name(),
        label: host_name(),
    };
    let array = open_array(Arc::new(engine), store, system, policy)?;
    let machine = machine::this(config.server.location.clone());
    Ok(service(array, machine, urls))
}

/// A lasting name for the array, derived from the machine's identity so that it does not tell it;
/// a random one on a machine without identity. Only the first start uses it: the store keeps it.
fn system_name() -> String {
    let machine = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let id = match machine.trim() {
        "" => Uuid::new_v4(),
        machine => Uuid::new_v5(&SYSTEMS, machine.as_bytes()),
    };
    format!("standpipe-{}", id.simple())
}

fn open_store(directory: &Path) -> Result<Store, Failure> {
    Store::open(&directory.join("standpipe.redb")).map_err(|error| Failure::new(&error))
}

fn open_array(
    engine: Arc<dyn Engine>,
    store: Store,
    name: SystemName,
    policy: Policy,
) -> Result<Array, Failure> {
    Array::open(engine, store, name, policy).map_err(|error| Failure::new(&error))
}

fn service(array: Array, machine: Machine, urls: &[ListenUrl]) -> Arc<Service> {
    let host = host_name();
    let server = Server {
        urls: urls.iter().map(ToString::to_string).collect(),
        endpoints: endpoints(urls, &host),
        host_name: host.clone(),
        machine,
    };
    let gateway = Gateway::new(array, server, PATIENCE);
    let broker = Arc::new(Broker::new(gateway, PullLimits::default()));
    tokio::spawn(expire_sessions(Arc::downgrade(&broker)));
    Arc::new(Cimom::new(broker, host))
}

/// What clients call, each once: a listener at every address is reached by the name of the machine.
fn endpoints(urls: &[ListenUrl], host: &str) -> Vec<String> {
    let mut endpoints = Vec::new();
    for url in urls {
        let (scheme, address) = (url.scheme.as_str(), url.address);
        let endpoint = match address.ip().is_unspecified() {
            true => format!("{scheme}://{host}:{}/cimom", address.port()),
            false => format!("{url}/cimom"),
        };
        if !endpoints.contains(&endpoint) {
            endpoints.push(endpoint);
        }
    }
    endpoints
}

/// Closes idle pull sessions now and then, as long as there is a broker.
async fn expire_sessions(broker: Weak<Broker<Gateway>>) {
    loop {
        tokio::time::sleep(EXPIRE_EVERY).await;
        match broker.upgrade() {
            Some(broker) => broker.expire_sessions(),
            None => return,
        };
    }
}

/// The name of this machine.
fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod kernel_tests;
#[cfg(test)]
mod tests;
