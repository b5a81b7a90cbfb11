//! `standpipe serve`: the gateway on this machine's storage.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use crate::config::Config;
use crate::http::{ListenUrl, Service, Tls};
use crate::identity::Users;

use super::Failure;
use super::run::Front;

/// Where the configuration is.
#[derive(Clone, Debug, Args)]
pub struct Serve {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

impl Serve {
    /// Serves the array that `build` makes from the configuration, until a signal.
    pub async fn run<S: Service>(
        self,
        build: impl FnOnce(&Config, &[ListenUrl]) -> Result<Arc<S>, Failure>,
    ) -> Result<(), Failure> {
        let wrong = |error: &dyn std::error::Error| Failure::configuration(error);
        let config = Config::load(&self.config).map_err(|error| wrong(&error))?;
        let tls = match &config.server.tls {
            None => None,
            Some(files) => {
                let tls = Tls::load(&files.certificate, &files.key);
                Some(tls.map_err(|error| wrong(&error))?)
            }
        };
        let front = Front {
            listen: config.server.listen.clone(),
            tls,
            users: Users::new(config.users.iter().cloned()).map_err(|error| wrong(&error))?,
            limits: config.limits.clone(),
        };
        let build = |urls: &[ListenUrl]| build(&config, urls);
        front
            .run(build, |urls| {
                urls.iter()
                    .fold("ready".to_owned(), |line, url| format!("{line} {url}"))
            })
            .await
    }
}
