//! Encrypted connections: with the feature `tls`, as the address says in `sslmode`, and never to a server that nobody vouches for.

use crate::error::OpenError;
use tokio_postgres::Config;

/// How connections are made.
#[derive(Clone)]
pub(crate) enum Tls {
    /// In the clear.
    No,
    #[cfg(feature = "tls")]
    Rustls(Box<tokio_postgres_rustls::MakeRustlsConnect>),
}

#[cfg(feature = "tls")]
pub(crate) fn find(config: &Config) -> Result<Tls, OpenError> {
    use rustls::{ClientConfig, RootCertStore, crypto::ring};
    use std::sync::Arc;
    if config.get_ssl_mode() == tokio_postgres::config::SslMode::Disable {
        return Ok(Tls::No);
    }
    let mut roots = RootCertStore::empty();
    // One that can't be read vouches for nobody.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    // Named here, because a program may have several of them, and then there is no default.
    let versions = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| OpenError::System(std::io::Error::other(error)))?;
    let client = versions.with_root_certificates(roots).with_no_client_auth();
    Ok(Tls::Rustls(Box::new(tokio_postgres_rustls::MakeRustlsConnect::new(client))))
}

#[cfg(not(feature = "tls"))]
pub(crate) fn find(config: &Config) -> Result<Tls, OpenError> {
    match config.get_ssl_mode() {
        tokio_postgres::config::SslMode::Require => {
            let reason =
                "expected a program with the feature `tls` of amiko-postgres for sslmode=require, found one without";
            Err(OpenError::Settings { reason: reason.to_owned() })
        }
        _ => Ok(Tls::No),
    }
}
