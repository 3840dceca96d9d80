//! Signatures of webhooks, as standardwebhooks.com says: HMAC-SHA256 over `id.timestamp.body`.

use base64::{Engine, engine::general_purpose::STANDARD};
use lockdown_delivery::Secret;
use ring::hmac;

const PREFIX: &str = "whsec_";

/// The value of `webhook-signature`: `v1,BASE64` for every secret, with blanks between them.
///
/// # Errors
/// A secret with `whsec_` whose rest is not base64, or an empty one; without the secret itself.
pub(crate) fn sign(secrets: &[Secret], id: &str, timestamp: i64, body: &[u8]) -> Result<String, String> {
    let signatures = secrets.iter().enumerate().map(|(at, secret)| {
        let key = key(secret).ok_or_else(|| {
            format!("secret {} of the webhook is empty, or begins with {PREFIX} and is not base64", at + 1)
        })?;
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &key));
        context.update(format!("{id}.{timestamp}.").as_bytes());
        context.update(body);
        Ok(format!("v1,{}", STANDARD.encode(context.sign())))
    });
    Ok(signatures.collect::<Result<Vec<_>, String>>()?.join(" "))
}

fn key(secret: &Secret) -> Option<Vec<u8>> {
    let secret = secret.expose();
    let key = match secret.strip_prefix(PREFIX) {
        Some(encoded) => STANDARD.decode(encoded).ok()?,
        None => secret.as_bytes().to_vec(),
    };
    (!key.is_empty()).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Published by Standard Webhooks for checking libraries.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const TIMESTAMP: i64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    #[test]
    fn published_vector() {
        assert_eq!(sign(&[Secret::new(SECRET)], ID, TIMESTAMP, BODY).as_deref(), Ok(SIGNATURE));
    }

    #[test]
    fn while_keys_are_rotated_both_sign() {
        let raw = Secret::new("old");
        let alone = sign(std::slice::from_ref(&raw), ID, TIMESTAMP, BODY).unwrap();
        let both = sign(&[Secret::new(SECRET), raw], ID, TIMESTAMP, BODY).unwrap();
        assert_eq!(both, format!("{SIGNATURE} {alone}"));
    }

    #[test]
    fn a_secret_that_is_none_signs_nothing_and_is_not_repeated() {
        for secret in ["whsec_%%%hunter2", "whsec_", ""] {
            let error = sign(&[Secret::new(secret)], ID, TIMESTAMP, BODY).unwrap_err();
            assert!(error.starts_with("secret 1 of the webhook") && !error.contains("hunter2"), "{error}");
        }
    }
}
