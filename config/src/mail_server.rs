//! Where mail goes out.

use crate::destination::split_server;
use crate::settings::{Email, Tls};

impl Email {
    /// Host and port of the mail server; none: this host's own sendmail(8).
    #[must_use]
    pub fn server_address(&self) -> Option<(&str, u16)> {
        let (host, port) = split_server(self.server.as_deref()?)?;
        let usual = match self.tls {
            Tls::Starttls => 587,
            Tls::Tls => 465,
            Tls::None => 25,
        };
        Some((host, port.unwrap_or(usual)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_that_of_the_encryption_unless_there_is_one() {
        let email = |server: &str, tls| Email { server: Some(server.into()), tls, ..Email::default() };
        assert_eq!(email("[::1]", Tls::None).server_address(), Some(("::1", 25)));
        assert_eq!(email("m", Tls::Starttls).server_address(), Some(("m", 587)));
        assert_eq!(email("m:26", Tls::Tls).server_address(), Some(("m", 26)));
        assert_eq!(Email::default().server_address(), None);
    }
}
