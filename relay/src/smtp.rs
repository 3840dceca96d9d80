//! Mail by SMTP (RFC 5321), with connections that are used again while there is more to send.

use std::{
    io,
    net::{SocketAddr, ToSocketAddrs},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use lettre::{
    Address,
    transport::smtp::{
        Error,
        authentication::{Credentials, DEFAULT_MECHANISMS},
        client::{Certificate, CertificateStore, SmtpConnection, TlsParameters},
        commands::{Data, Mail as MailFrom, Rcpt, Rset},
        extension::{ClientId, Extension, MailParameter},
    },
};
use lockdown_delivery::{Outcome, Smtp, Tls, visible};

use crate::{
    email::Mail,
    report::Report,
    tls::{Roots, is_this_host},
};

/// For each step with the server.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Addresses of a server that are tried.
const ADDRESSES: usize = 3;
/// A connection without a mail is closed after this, at the next mail.
const IDLE: Duration = Duration::from_secs(10);
/// Connections that wait for a mail, at most.
const MAX_IDLE: usize = 8;
/// While a server puts off some recipients and takes others, all wait for so many attempts; then those get it that can.
const PATIENT_ATTEMPTS: u32 = 3;
/// Characters of a server's words that are repeated.
const SAID: usize = 200;

/// Connections to SMTP servers.
pub(crate) struct Servers {
    roots: Roots,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    smtp: Smtp,
    connection: SmtpConnection,
    since: Instant,
}

impl Servers {
    pub(crate) fn new(roots: Roots) -> Self {
        Self { roots, idle: Mutex::default() }
    }

    /// Sends a mail; `attempt` as in an item.
    pub(crate) fn deliver(&self, smtp: &Smtp, mail: &Mail, attempt: u32) -> Report {
        let mut connection = match self.waiting(smtp).map_or_else(|| self.connect(smtp), Ok) {
            Ok(connection) => connection,
            // Whatever the server says now, it says about itself or about who we are, not about this mail.
            Err(why) => {
                return Report::unreachable(Outcome::retry(format!("{}: {why}", visible(&smtp.host, SAID))));
            }
        };
        let outcome = transact(&mut connection, mail, attempt);
        if !connection.has_broken() {
            self.keep(smtp, connection);
        }
        match outcome {
            Ok(outcome) => Report::reached(outcome),
            Err(error) => {
                let said = format!("{}: {}", visible(&smtp.host, SAID), words(&error));
                match error.status() {
                    Some(_) if error.is_permanent() => Report::reached(Outcome::refused(said)),
                    Some(_) => Report::reached(Outcome::retry(said)),
                    None => Report::unreachable(Outcome::retry(said)),
                }
            }
        }
    }

    fn waiting(&self, smtp: &Smtp) -> Option<SmtpConnection> {
        let mut old = Vec::new();
        let found = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            old.extend(idle.extract_if(.., |idle| idle.since.elapsed() > IDLE));
            let at = idle.iter().position(|idle| idle.smtp == *smtp);
            at.map(|at| idle.swap_remove(at).connection)
        };
        for idle in &mut old {
            idle.connection.abort();
        }
        // The server may have closed it since.
        found.and_then(|mut connection| connection.test_connected().then_some(connection))
    }

    fn keep(&self, smtp: &Smtp, mut connection: SmtpConnection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE {
            idle.push(Idle { smtp: smtp.clone(), connection, since: Instant::now() });
        } else {
            drop(idle);
            connection.abort();
        }
    }

    fn connect(&self, smtp: &Smtp) -> Result<SmtpConnection, String> {
        let said = |error: Error| words(&error);
        if smtp.tls == Tls::None && smtp.password.is_some() && !is_this_host(&smtp.host) {
            return Err("a password is not sent there without TLS; set tls = \"starttls\"".to_owned());
        }
        let tls = match smtp.tls {
            Tls::None => None,
            Tls::Starttls | Tls::Tls => Some(self.tls(&smtp.host).map_err(said)?),
        };
        let addresses: Vec<_> = (smtp.host.as_str(), smtp.port)
            .to_socket_addrs()
            .map_err(|error| format!("no such host: {error}"))?
            .take(ADDRESSES)
            .collect();
        let wrapper = tls.as_ref().filter(|_| smtp.tls == Tls::Tls);
        let mut connection = SmtpConnection::connect::<&[SocketAddr]>(
            &addresses,
            Some(TIMEOUT),
            &ClientId::default(),
            wrapper,
            None,
        )
        .map_err(said)?;
        if let Some(tls) = tls.filter(|_| smtp.tls == Tls::Starttls) {
            connection.starttls(&tls, &ClientId::default()).map_err(said)?;
        }
        if let Some(username) = &smtp.username {
            let password = smtp.password.as_ref().map_or("", |password| password.expose());
            let credentials = Credentials::new(username.clone(), password.to_owned());
            connection
                .auth(DEFAULT_MECHANISMS, &credentials)
                .map_err(|error| format!("signing in failed: {}", words(&error)))?;
        }
        Ok(connection)
    }

    fn tls(&self, host: &str) -> Result<TlsParameters, Error> {
        let mut tls = TlsParameters::builder(host.to_owned()).certificate_store(CertificateStore::None);
        for root in self.roots.der() {
            tls = tls.add_root_certificate(Certificate::from_der(root.to_vec())?);
        }
        tls.build_rustls()
    }
}

/// One mail. An error that is not the server's answer leaves the connection unusable.
fn transact(connection: &mut SmtpConnection, mail: &Mail, attempt: u32) -> Result<Outcome, Error> {
    let mut parameters = Vec::new();
    let is_ascii = AsRef::<str>::as_ref(&mail.from).is_ascii() && mail.to.iter().all(|to| to.is_ascii());
    if !is_ascii {
        if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            return Ok(Outcome::refused("the mail server takes addresses in ASCII only (it lacks SMTPUTF8)"));
        }
        parameters.push(MailParameter::SmtpUtfEight);
    }
    let result = converse(connection, mail, attempt, parameters);
    match &result {
        Ok(Outcome::Delivered) => {}
        // The server has answered: the next mail can begin anew.
        Ok(_) => reset(connection),
        Err(error) if error.status().is_some() => reset(connection),
        Err(_) => connection.abort(),
    }
    result
}

fn reset(connection: &mut SmtpConnection) {
    if connection.command(Rset).is_err() {
        connection.abort();
    }
}

fn converse(
    connection: &mut SmtpConnection,
    mail: &Mail,
    attempt: u32,
    parameters: Vec<MailParameter>,
) -> Result<Outcome, Error> {
    connection.command(MailFrom::new(Some(mail.from.clone()), parameters))?;
    let (mut accepted, mut put_off, mut refused) = (0, None, None);
    for to in &mail.to {
        let Ok(address) = to.parse::<Address>() else {
            refused = Some(format!("{} is no mail address", visible(to, SAID)));
            continue;
        };
        match connection.command(Rcpt::new(address, vec![])) {
            Ok(_) => accepted += 1,
            Err(error) if error.is_permanent() => refused = Some(not_for(to, &error)),
            Err(error) if error.is_transient() => put_off = Some(not_for(to, &error)),
            Err(error) => return Err(error),
        }
    }
    match (accepted, put_off, refused) {
        (0, Some(why), _) => return Ok(Outcome::retry(why)),
        (0, None, why) => {
            return Ok(Outcome::refused(why.unwrap_or_else(|| "the mail has no recipient".to_owned())));
        }
        (_, Some(why), _) if attempt <= PATIENT_ATTEMPTS => return Ok(Outcome::retry(why)),
        (_, put_off, refused) => {
            for why in put_off.into_iter().chain(refused) {
                crate::log::warning(format_args!("a mail goes out without one of its recipients: {why}"));
            }
        }
    }
    connection.command(Data)?;
    connection.message(&mail.bytes)?;
    Ok(Outcome::Delivered)
}

fn not_for(to: &str, error: &Error) -> String {
    format!("{}: {}", visible(to, SAID), words(error))
}

/// What went wrong, in one line; the server's words made visible.
fn words(error: &Error) -> String {
    let said = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    let said = visible(&said, SAID);
    match error.status() {
        Some(code) => format!("{code} {said}"),
        None if is_timeout(error) => format!("no answer within {} s", TIMEOUT.as_secs()),
        None if error.is_tls() || is_tls(error) => format!("TLS: {said}"),
        None if said.is_empty() => visible(&error.to_string(), SAID),
        None => said,
    }
}

/// A socket's timeout shows as either kind (socket(7), `SO_RCVTIMEO`).
fn is_timeout(error: &Error) -> bool {
    of_socket(error)
        .is_some_and(|error| matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut))
}

/// What rustls finds wrong in the midst of reading or writing comes as an error of these.
fn is_tls(error: &Error) -> bool {
    of_socket(error).and_then(io::Error::get_ref).is_some_and(|error| error.is::<rustls::Error>())
}

fn of_socket(error: &Error) -> Option<&io::Error> {
    std::error::Error::source(error)?.downcast_ref()
}
