//! The words that follow `pam_lockdown.so` in a line of pam.d.

use std::path::{Path, PathBuf};
use std::time::Duration;

use lockdown_enforcement::{ATTACK_PROTECTION, DENY_DIRECTORY, LOGIN_SOCKET, TALLY_DIRECTORY, escape};

/// What a line of pam.d asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arguments {
    /// `on_error=deny|allow`: what becomes of an account when nobody can say what is enforced against it.
    pub on_error: OnError,
    /// `break_glass=GROUP`: its members are let in then, as root is.
    pub break_glass: Option<String>,
    /// `trigger=lockdown`: whoever reaches the line is locked down.
    pub trigger: bool,
    /// What the line does in auth.
    pub function: Option<AuthFunction>,
    /// `answer_after=MILLISECONDS`, from 0 to 10,000: `authfail` answers at a multiple of it after the password was there;
    /// 500 if nothing else is said, 0 for at once.
    pub answer_after: Duration,
    /// `quiet`: no text to the user.
    pub quiet: bool,
    /// `debug`: a log line for every decision.
    pub debug: bool,
    /// `directory=PATH`: deny records elsewhere than in `/var/lib/lockdown/deny`; for tests and benchmarks.
    pub directory: PathBuf,
    /// `tally=PATH`: failed attempts elsewhere than in `/var/lib/lockdown/tally`; for tests and benchmarks.
    pub tally: PathBuf,
    /// `attack_protection=PATH`: its settings elsewhere than in `/var/lib/lockdown/attack-protection`; for tests and
    /// benchmarks.
    pub attack_protection: PathBuf,
    /// `socket=PATH`: a login socket elsewhere than at `/run/lockdown/login.sock`; for tests and benchmarks.
    pub socket: PathBuf,
    /// What is wrong with the words that were not understood, fit for a log line; the others count all the same.
    pub complaints: Vec<String>,
}

/// See [`Arguments::on_error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// It is denied; the default.
    Deny,
    /// It is let in.
    Allow,
}

/// What a line does in auth, besides `trigger=lockdown`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthFunction {
    /// `authenticator=TYPE`: answers whether the account's TYPE may be used.
    Guard(AuthenticatorType),
    /// `preauth`: refuses who has failed too often.
    PreAuth,
    /// `preauth authenticator=password`: refuses whose password is locked, too.
    PreAuthOfPassword,
    /// `authfail`: counts a failed attempt.
    AuthFail,
    /// `authsucc`: ends the count.
    AuthSucc,
}

/// A type of authenticators that a module in a stack asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthenticatorType {
    /// pam_unix(8) and its like.
    Password,
    /// pam_fprintd(8)
    Fingerprint,
    /// howdy
    Face,
    /// pam_pin and its like.
    Pin,
    /// pam_u2f(8)
    U2f,
}

impl AuthenticatorType {
    const ALL: [Self; 5] = [Self::Password, Self::Fingerprint, Self::Face, Self::Pin, Self::U2f];

    /// As in an authenticator's id, up to the first colon.
    pub fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Fingerprint => "fingerprint",
            Self::Face => "face",
            Self::Pin => "pin",
            Self::U2f => "u2f",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl Default for Arguments {
    fn default() -> Self {
        Self {
            on_error: OnError::Deny,
            break_glass: None,
            trigger: false,
            function: None,
            answer_after: Duration::from_millis(500),
            quiet: false,
            debug: false,
            directory: DENY_DIRECTORY.into(),
            tally: TALLY_DIRECTORY.into(),
            attack_protection: ATTACK_PROTECTION.into(),
            socket: LOGIN_SOCKET.into(),
            complaints: Vec::new(),
        }
    }
}

impl Arguments {
    /// Reads the words; any bytes will do.
    pub fn parse<'a>(words: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut arguments = Self::default();
        for word in words {
            if let Err(complaint) = arguments.take(word) {
                arguments.complaints.push(format!("argument \"{}\" ignored: {complaint}", escape(word)));
            }
        }
        arguments
    }

    fn take(&mut self, word: &[u8]) -> Result<(), &'static str> {
        let word = str::from_utf8(word).map_err(|_| "it is not UTF-8")?;
        match word.split_once('=').map_or((word, None), |(key, value)| (key, Some(value))) {
            ("on_error", Some("deny")) => self.on_error = OnError::Deny,
            ("on_error", Some("allow")) => self.on_error = OnError::Allow,
            ("on_error", _) => return Err("on_error is deny or allow"),
            ("break_glass", Some(group)) if !group.is_empty() => self.break_glass = Some(group.to_owned()),
            ("break_glass", _) => return Err("break_glass needs the name of a group"),
            ("trigger", Some("lockdown")) => self.trigger = true,
            ("trigger", _) => return Err("trigger is lockdown"),
            ("authenticator", kind) => {
                let kind = kind.and_then(AuthenticatorType::named);
                let kind = kind.ok_or("authenticator is password, fingerprint, face, pin or u2f")?;
                self.set_function(AuthFunction::Guard(kind))?;
            }
            ("preauth", None) => self.set_function(AuthFunction::PreAuth)?,
            ("authfail", None) => self.set_function(AuthFunction::AuthFail)?,
            ("authsucc", None) => self.set_function(AuthFunction::AuthSucc)?,
            ("answer_after", time) => self.answer_after = milliseconds(time.unwrap_or_default())?,
            ("quiet", None) => self.quiet = true,
            ("debug", None) => self.debug = true,
            ("directory", Some(path)) => self.directory = absolute(path)?,
            ("tally", Some(path)) => self.tally = absolute(path)?,
            ("attack_protection", Some(path)) => self.attack_protection = absolute(path)?,
            ("socket", Some(path)) => self.socket = absolute(path)?,
            _ => return Err("this version of pam_lockdown does not know it"),
        }
        Ok(())
    }

    fn set_function(&mut self, function: AuthFunction) -> Result<(), &'static str> {
        use AuthFunction::{Guard, PreAuth, PreAuthOfPassword};
        const PASSWORD: AuthFunction = Guard(AuthenticatorType::Password);
        self.function = Some(match (self.function, function) {
            (None, function) => function,
            (Some(first), second) if first == second => first,
            (Some(PreAuth | PASSWORD | PreAuthOfPassword), PreAuth | PASSWORD) => PreAuthOfPassword,
            _ => return Err("a line has one function, and this one has another already"),
        });
        Ok(())
    }
}

fn milliseconds(text: &str) -> Result<Duration, &'static str> {
    let time = text.parse().ok().filter(|time| *time <= 10_000);
    time.map(Duration::from_millis).ok_or("answer_after is a number of milliseconds, 10000 at most")
}

fn absolute(path: &str) -> Result<PathBuf, &'static str> {
    if Path::new(path).is_absolute() { Ok(path.into()) } else { Err("the path has to be absolute") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Arguments {
        Arguments::parse(words.iter().map(|word| word.as_bytes()))
    }

    #[test]
    fn knows_its_words() {
        assert_eq!(parse(&[]), Arguments::default());
        let words = [
            "on_error=allow",
            "break_glass=rescue",
            "trigger=lockdown",
            "quiet",
            "debug",
            "answer_after=1000",
            "authenticator=pin",
            "directory=/d",
            "tally=/t",
            "attack_protection=/a",
            "socket=/s",
        ];
        let expected = Arguments {
            on_error: OnError::Allow,
            break_glass: Some("rescue".into()),
            trigger: true,
            function: Some(AuthFunction::Guard(AuthenticatorType::Pin)),
            answer_after: Duration::from_secs(1),
            quiet: true,
            debug: true,
            directory: "/d".into(),
            tally: "/t".into(),
            attack_protection: "/a".into(),
            socket: "/s".into(),
            complaints: vec![],
        };
        assert_eq!(parse(&words), expected);
        assert_eq!(parse(&["on_error=allow", "on_error=deny"]).on_error, OnError::Deny);
    }

    #[test]
    fn a_line_has_one_function_in_auth_the_first() {
        for (word, function) in [
            ("preauth", AuthFunction::PreAuth),
            ("authfail", AuthFunction::AuthFail),
            ("authsucc", AuthFunction::AuthSucc),
            ("authenticator=u2f", AuthFunction::Guard(AuthenticatorType::U2f)),
        ] {
            assert_eq!(parse(&[word, word]), Arguments { function: Some(function), ..Arguments::default() });
            let two = parse(&[word, "authenticator=face"]);
            assert_eq!((two.function, two.complaints.len()), (Some(function), 1));
        }
    }

    #[test]
    fn only_a_guard_of_the_password_goes_with_preauth() {
        let both = Some(AuthFunction::PreAuthOfPassword);
        for words in [
            &["preauth", "authenticator=password"][..],
            &["authenticator=password", "preauth"],
            &["preauth", "authenticator=password", "preauth", "authenticator=password"],
        ] {
            assert_eq!(parse(words), Arguments { function: both, ..Arguments::default() }, "{words:?}");
        }
        for words in [["authfail", "authenticator=password"], ["authenticator=password", "authsucc"]] {
            let arguments = parse(&words);
            assert_eq!((arguments.function != both, arguments.complaints.len()), (true, 1), "{words:?}");
        }
    }

    #[test]
    fn complains_of_each_other_word_and_keeps_the_rest() {
        let bad = [
            "preauth=1",
            "authenticator",
            "authenticator=passwords",
            "tally=relative",
            "on_error=maybe",
            "on_error",
            "break_glass=",
            "trigger",
            "trigger=lock",
            "quiet=1",
            "answer_after",
            "answer_after=10001",
            "answer_after=-1",
            "directory=relative",
            "socket",
            "",
            "a\nsshd: \"x",
        ];
        for word in bad {
            let arguments = parse(&[word, "quiet"]);
            assert_eq!(arguments.complaints.len(), 1, "{word}");
            assert_eq!(Arguments { complaints: vec![], ..arguments }, parse(&["quiet"]), "{word}");
        }
        let complaint = &parse(&["a\nsshd: \"x"]).complaints[0];
        assert!(complaint.starts_with(r#"argument "a\nsshd: \"x" ignored: "#), "{complaint}");
        assert_eq!(Arguments::parse([b"\xff".as_slice()].into_iter()).complaints.len(), 1);
    }
}
