//! Whom to trust on the network.

use std::net::IpAddr;

use rustls::{RootCertStore, pki_types::CertificateDer};

/// Certificates of the authorities that receivers' certificates may come from.
#[derive(Clone, Debug, Default)]
pub struct Roots(Vec<CertificateDer<'static>>);

impl Roots {
    /// Those that this host trusts: `/etc/ssl/certs`, or what `SSL_CERT_FILE` and `SSL_CERT_DIR` name. Without any, no
    /// encrypted connection is made, and the log says so.
    #[must_use]
    pub fn of_this_host() -> Self {
        let found = rustls_native_certs::load_native_certs();
        let roots = Self::of(found.certs);
        if roots.0.is_empty() {
            crate::log::warning(
                "this host trusts no certificate authority: nothing is delivered over TLS; install ca-certificates",
            );
        }
        roots
    }

    /// These, without those that cannot be read.
    #[must_use]
    pub fn of(certificates: Vec<CertificateDer<'static>>) -> Self {
        let is_readable =
            |certificate: &CertificateDer<'static>| RootCertStore::empty().add(certificate.clone()).is_ok();
        Self(certificates.into_iter().filter(is_readable).collect())
    }

    /// The certificates, in DER.
    pub(crate) fn der(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(AsRef::as_ref)
    }
}

/// Makes ring what encrypts, before the first connection.
pub(crate) fn use_ring() {
    // An error says that it was done before.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Whether what is sent to `host` stays on this one, so that it needs no encryption.
pub(crate) fn is_this_host(host: &str) -> bool {
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost")
        || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host() {
        for host in ["localhost", "LOCALHOST", "127.0.0.1", "127.8.9.10", "::1", "[::1]"] {
            assert!(is_this_host(host), "{host}");
        }
        for host in ["localhost.example.org", "127.0.0.1.example.org", "10.0.0.1", "[::2]", "", "0.0.0.0"] {
            assert!(!is_this_host(host), "{host}");
        }
    }

    #[test]
    fn what_is_no_certificate_is_left_out() {
        assert_eq!(Roots::of(vec![CertificateDer::from(vec![0x30, 0x00])]).der().count(), 0);
    }
}
