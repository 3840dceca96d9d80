//! Delivery over the network.

use std::time::SystemTime;

use lockdown_delivery::{Item, Outcome, Transport};

use crate::{
    email,
    report::Report,
    smtp,
    tls::{self, Roots},
    webhook,
};

/// Mail servers and receivers of webhooks.
pub struct Network {
    servers: smtp::Servers,
    receivers: webhook::Receivers,
}

impl Network {
    /// A network where these authorities are trusted.
    #[must_use]
    pub fn new(roots: Roots) -> Self {
        tls::use_ring();
        Self { receivers: webhook::Receivers::new(&roots), servers: smtp::Servers::new(roots) }
    }

    /// Delivers an item; takes a while.
    pub fn deliver(&self, item: &Item) -> Report {
        let now = SystemTime::now();
        match &item.transport {
            Transport::Email { smtp, from, to } => match email::build(item, from, to, now) {
                Ok(mail) => self.servers.deliver(smtp, &mail, item.attempt),
                // It may be mended in the configuration within the day that a message lives.
                Err(why) => Report::reached(Outcome::retry(why)),
            },
            Transport::Webhook { url, secrets, format } => {
                let now = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |now| now.as_secs() as i64);
                self.receivers.deliver(item, url, secrets, *format, now)
            }
            Transport::Sendmail { .. } | Transport::Exec { .. } | Transport::Wall { .. } => Report::reached(
                Outcome::refused("this is delivered by `lockdown-relay local`, not over the network"),
            ),
        }
    }
}
