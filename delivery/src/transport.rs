//! Where an item goes, and how.

use serde::{Deserialize, Serialize};

use crate::Secret;

/// Where an item goes, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Transport {
    /// A mail, by SMTP.
    Email {
        /// The server that takes it.
        smtp: Smtp,
        /// Sender: `address` or `Name <address>`.
        from: String,
        /// Recipients, likewise.
        to: Vec<String>,
    },
    /// A mail, by this host's own mail transfer agent: sendmail(8). Local.
    Sendmail {
        /// Sender: `address` or `Name <address>`.
        from: String,
        /// Recipients, likewise; a name without `@` is a mailbox of this host.
        to: Vec<String>,
    },
    /// An HTTP POST of JSON.
    Webhook {
        /// `https://…`, or `http://…` to this host. May itself be a secret.
        url: Secret,
        /// Keys of the signature, see standardwebhooks.com: `whsec_` and base64, otherwise the bytes as they are. Several
        /// while keys are rotated; none: no signature.
        secrets: Vec<Secret>,
        /// What the body looks like.
        format: Format,
    },
    /// A program of the site's. Local.
    Exec {
        /// Absolute path and arguments.
        command: Vec<String>,
    },
    /// Terminals and desktops where these users are logged in now. Local.
    Wall {
        /// Login names.
        users: Vec<String>,
    },
}

/// How to reach an SMTP server, and as whom.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Smtp {
    /// Name or address; the certificate has to be for it.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Encryption.
    pub tls: Tls,
    /// User name, if the server wants one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Its password. Without TLS it is only sent to this host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
}

/// Encryption on the way to an SMTP server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tls {
    /// By STARTTLS, and not without it (usually port 587).
    Starttls,
    /// From the first byte (usually port 465).
    Tls,
    /// None.
    None,
}

/// What the body of a webhook looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// `{"type":…,"timestamp":…,"data":…}`, as Standard Webhooks recommends.
    Standard,
    /// What Prometheus' Alertmanager sends to its receivers, version 4.
    Alertmanager,
}

impl Transport {
    /// Whether it is for `lockdown-relay local`, not for the relay's socket.
    #[must_use]
    pub fn is_local(&self) -> bool {
        matches!(self, Self::Sendmail { .. } | Self::Exec { .. } | Self::Wall { .. })
    }

    /// The name in the configuration's words, for logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Email { .. } => "email",
            Self::Sendmail { .. } => "sendmail",
            Self::Webhook { format: Format::Standard, .. } => "webhook",
            Self::Webhook { format: Format::Alertmanager, .. } => "alertmanager",
            Self::Exec { .. } => "exec",
            Self::Wall { .. } => "wall",
        }
    }

    /// Who is slow together: items with the same destination go to the same server or program. Without secrets, printable
    /// only if what it was made from is.
    #[must_use]
    pub fn destination(&self) -> String {
        match self {
            Self::Email { smtp, .. } => format!("smtp {}:{}", smtp.host, smtp.port),
            Self::Webhook { url, .. } => format!("http {}", authority(url.expose())),
            Self::Exec { command } => format!("exec {}", command.first().map_or("", String::as_str)),
            Self::Sendmail { .. } | Self::Wall { .. } => self.name().to_owned(),
        }
    }
}

/// Host and port of a URL, without user information, path and query, which may be secrets.
fn authority(url: &str) -> &str {
    let (_, after) = url.split_once("://").unwrap_or(("", url));
    let authority = after.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    authority.rsplit('@').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn webhook(url: &str) -> Transport {
        Transport::Webhook { url: Secret::new(url), secrets: vec![], format: Format::Standard }
    }

    #[test]
    fn a_destination_is_a_server_and_tells_no_secret() {
        let destination = webhook("https://u:p@hooks.example.org:8443/services/T0/secret?k=v").destination();
        assert_eq!(destination, "http hooks.example.org:8443");
        assert_eq!(webhook("https://hooks.example.org?k=v@x").destination(), "http hooks.example.org");
        assert_eq!(webhook("").destination(), "http ");
    }

    #[test]
    fn debug_tells_no_secret() {
        let smtp = Smtp {
            host: "mail.example.org".into(),
            port: 587,
            tls: Tls::Starttls,
            username: Some("lockdown".into()),
            password: Some(Secret::new("hunter2")),
        };
        let email = Transport::Email { smtp, from: "a@example.org".into(), to: vec![] };
        let shown = format!("{email:?} {:?}", webhook("https://example.org/hunter2"));
        assert!(shown.contains("mail.example.org") && !shown.contains("hunter2"), "{shown}");
    }
}
