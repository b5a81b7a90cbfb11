//! The frozen view from which one request is answered.

use std::sync::Arc;

use crate::array::Inventory;

/// Where and as what the program answers; fixed at start-up.
#[derive(Clone, Debug, Default)]
pub struct Server {
    /// The URLs of the listeners, e.g. `https://127.0.0.1:5989`.
    pub urls: Vec<String>,
    /// What clients elsewhere call, one for each of `urls`, e.g. `https://box.example/cimom`.
    pub endpoints: Vec<String>,
    /// The name of the machine.
    pub host_name: String,
    /// The machine.
    pub machine: Machine,
}

/// What can be said of the machine that the array is made of. What is not known is left out.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    /// Who made it.
    pub manufacturer: String,
    /// What its maker calls it.
    pub model: String,
    /// Its version, as its maker counts.
    pub version: Option<String>,
    /// Its serial number.
    pub serial: Option<String>,
    /// The kind of its chassis, as firmware numbers them (SMBIOS, System Enclosure or Chassis Types).
    pub chassis_type: Option<u16>,
    /// The release of the kernel that drives volumes and targets, e.g. `6.1.0-18-amd64`.
    pub kernel: Option<String>,
    /// Where it stands, as the administrator says.
    pub location: Option<String>,
}

/// The array at one moment, and the server that shows it.
#[derive(Clone, Debug)]
pub struct View {
    pub(super) inventory: Arc<Inventory>,
    pub(super) server: Arc<Server>,
}
