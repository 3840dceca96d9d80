//! Webhooks: an HTTP POST of JSON, judged by its answer as Standard Webhooks says.

use std::{io, time::Duration};

use jiff::{Timestamp, fmt::rfc2822};
use lockdown_delivery::{Format, Item, Outcome, Secret, visible};
use ureq::{
    Agent,
    http::{StatusCode, Uri, header::RETRY_AFTER},
    tls::{Certificate, RootCerts, TlsConfig},
};

use crate::{
    alertmanager,
    report::Report,
    signature, standard,
    tls::{Roots, is_this_host},
};

/// For all of it, from the name's look-up to the end of the answer.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Of an answer's body, so much is read; nothing of it is believed or repeated.
const MAX_ANSWER: u64 = 64 * 1024;
/// Nobody is waited for longer than a day, in seconds.
const MAX_RETRY_AFTER: i64 = 86_400;

/// Connections to receivers of webhooks.
pub(crate) struct Receivers(Agent);

impl Receivers {
    pub(crate) fn new(roots: &Roots) -> Self {
        let roots: Vec<_> = roots.der().map(|der| Certificate::from_der(der).to_owned()).collect();
        let tls = TlsConfig::builder().root_certs(RootCerts::from(roots)).build();
        let config = Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            // A signed message is for whom the administrator has named.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("lockdown-relay/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build();
        Self(config.new_agent())
    }

    /// Posts an item; `now` in Unix seconds.
    pub(crate) fn deliver(
        &self,
        item: &Item,
        url: &Secret,
        secrets: &[Secret],
        format: Format,
        now: i64,
    ) -> Report {
        let prepared = address(url).and_then(|(uri, host)| {
            let body = match format {
                Format::Standard => standard::body(item),
                Format::Alertmanager => alertmanager::body(item),
            };
            let body = body.map_err(|error| error.to_string())?;
            let signature = match secrets {
                [] => None,
                secrets => Some(signature::sign(secrets, &item.id, now, &body)?),
            };
            Ok((uri, host, body, signature))
        });
        let (uri, host, body, signature) = match prepared {
            Ok(prepared) => prepared,
            // It may be mended in the configuration within the day that a message lives.
            Err(why) => return Report::reached(Outcome::retry(why)),
        };
        let mut request = self
            .0
            .post(uri)
            .header("content-type", "application/json")
            .header("webhook-id", &item.id)
            .header("webhook-timestamp", now.to_string());
        if let Some(signature) = signature {
            request = request.header("webhook-signature", signature);
        }
        match request.send(body.as_slice()) {
            Ok(mut response) => {
                // Read so that the connection can be used again; what does not fit is not needed.
                let body = response.body_mut().as_reader();
                let _ = io::copy(&mut io::Read::take(body, MAX_ANSWER), &mut io::sink());
                let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
                Report::reached(judge(response.status(), retry_after, now, &host))
            }
            Err(error) => Report::unreachable(Outcome::retry(format!("{host}: {}", words(&error)))),
        }
    }
}

/// Where to post, and the host for people. Errors do not repeat the URL, which may be a secret.
fn address(url: &Secret) -> Result<(Uri, String), String> {
    let uri: Uri = url.expose().parse().map_err(|_| "the URL of the webhook cannot be read".to_owned())?;
    let Some(host) = uri.host().filter(|host| !host.is_empty()) else {
        return Err("the URL of the webhook has no host".to_owned());
    };
    match uri.scheme_str() {
        Some("https") => {}
        Some("http") if is_this_host(host) => {}
        Some("http") => return Err("a webhook goes to another host by https only".to_owned()),
        _ => return Err("the URL of the webhook does not begin with https://".to_owned()),
    }
    let host = visible(host, 253);
    Ok((uri, host))
}

/// What the answer means; `now` in Unix seconds.
fn judge(status: StatusCode, retry_after: Option<&str>, now: i64, host: &str) -> Outcome {
    let error = match status.canonical_reason() {
        Some(reason) => format!("{host} answered {} {reason}", status.as_u16()),
        None => format!("{host} answered {}", status.as_u16()),
    };
    match status.as_u16() {
        200..=299 => Outcome::Delivered,
        410 => Outcome::Gone { error },
        300..=399 => Outcome::retry(format!("{error}; redirects are not followed: set its new URL")),
        429 | 503 => Outcome::Retry { after: retry_after.and_then(|value| seconds_until(value, now)), error },
        _ => Outcome::retry(error),
    }
}

/// `Retry-After` (RFC 9110, 10.2.3) in seconds from now: a number, or a date.
fn seconds_until(value: &str, now: i64) -> Option<u64> {
    let value = value.trim();
    let seconds = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        value.parse().unwrap_or(i64::MAX)
    } else {
        let date: Timestamp = rfc2822::DateTimeParser::new().parse_timestamp(value).ok()?;
        date.as_second().saturating_sub(now)
    };
    u64::try_from(seconds.clamp(0, MAX_RETRY_AFTER)).ok()
}

/// What went wrong, in one line, without the URL.
fn words(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(_) => format!("no answer within {} s", TIMEOUT.as_secs()),
        ureq::Error::HostNotFound => "no such host".to_owned(),
        ureq::Error::Io(error) => {
            match error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>()) {
                Some(error) => format!("TLS: {}", visible(&error.to_string(), 200)),
                None => visible(&error.to_string(), 200),
            }
        }
        ureq::Error::Rustls(error) => format!("TLS: {}", visible(&error.to_string(), 200)),
        ureq::Error::Tls(error) => format!("TLS: {error}"),
        ureq::Error::Protocol(_) | ureq::Error::LargeResponseHeader(..) => {
            "the answer is not HTTP".to_owned()
        }
        ureq::Error::ConnectionFailed => "no connection".to_owned(),
        ureq::Error::ConnectProxyFailed(_) | ureq::Error::InvalidProxyUrl => {
            "the proxy did not connect".to_owned()
        }
        _ => "the request failed".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_795_255_200;

    fn judged(status: u16, retry_after: Option<&str>) -> Outcome {
        judge(StatusCode::from_u16(status).unwrap(), retry_after, NOW, "example.org")
    }

    #[test]
    fn answers_mean_what_standard_webhooks_says() {
        assert_eq!(judged(200, None), Outcome::Delivered);
        assert_eq!(judged(204, None), Outcome::Delivered);
        assert_eq!(judged(410, None), Outcome::Gone { error: "example.org answered 410 Gone".into() });
        for status in [302, 400, 401, 404, 500, 502, 599] {
            assert!(matches!(judged(status, Some("7")), Outcome::Retry { after: None, .. }), "{status}");
        }
        for status in [429, 503] {
            assert!(matches!(judged(status, Some("7")), Outcome::Retry { after: Some(7), .. }), "{status}");
            assert!(matches!(judged(status, None), Outcome::Retry { after: None, .. }), "{status}");
        }
    }

    #[test]
    fn retry_after_is_a_number_or_a_date_within_a_day() {
        assert_eq!(seconds_until("120", NOW), Some(120));
        assert_eq!(seconds_until("Sat, 21 Nov 2026 10:02:00 GMT", NOW), Some(120));
        assert_eq!(seconds_until("Sat, 21 Nov 2026 09:00:00 GMT", NOW), Some(0));
        assert_eq!(seconds_until("99999999999999999999999", NOW), Some(86_400));
        assert_eq!(seconds_until("Sat, 21 Nov 2099 10:02:00 GMT", NOW), Some(86_400));
        for value in ["", "-1", "1.5", "soon", "1 2", "Sun, 21 Nov 2026 10:02:00 GMT"] {
            assert_eq!(seconds_until(value, NOW), None, "{value}");
        }
    }

    #[test]
    fn other_hosts_by_https_only() {
        let address = |url: &str| address(&Secret::new(url)).map(|(_, host)| host);
        assert_eq!(address("https://hooks.example.org/x").as_deref(), Ok("hooks.example.org"));
        assert_eq!(address("http://127.0.0.1:9093/x").as_deref(), Ok("127.0.0.1"));
        assert_eq!(address("http://[::1]:9093/x").as_deref(), Ok("[::1]"));
        for url in [
            "http://example.org/hunter2",
            "ftp://example.org/hunter2",
            "/hunter2",
            "hunter2",
            "",
            "https:///hunter2",
            "https://\n",
        ] {
            let error = address(url).unwrap_err();
            assert!(!error.contains("hunter2"), "{url}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_header_panics(value in "[ -~]{0,40}|[0-9]{1,30}") {
            let seconds = seconds_until(&value, NOW);
            prop_assert!(seconds.is_none_or(|seconds| seconds <= 86_400));
        }

        #[test]
        fn no_url_panics(url: Vec<char>) {
            let url = String::from_iter(url);
            let _ = address(&Secret::new(format!("https://{url}")));
            let _ = address(&Secret::new(url));
        }
    }
}
