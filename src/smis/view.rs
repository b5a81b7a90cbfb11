//! The frozen view from which one request is answered.

use std::sync::Arc;

use crate::array::Inventory;

/// Where and as what the program answers; fixed at start-up.
#[derive(Clone, Debug, Default)]
pub struct Server {
    /// The URLs of the listeners, e.g. `https://127.0.0.1:5989`.
    pub urls: Vec<String>,
    /// The name of the machine.
    pub host_name: String,
}

/// The array at one moment, and the server that shows it.
#[derive(Clone, Debug)]
pub struct View {
    pub(super) inventory: Arc<Inventory>,
    pub(super) server: Arc<Server>,
}
