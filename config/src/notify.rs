//! The rules of notifications, `[[notify]]`: each key's type, what it allows and what it is for, in one place, and how one
//! rule is read.
//!
//! The explanations are the documentation of the fields here, and go into `lockdown.toml` with the examples beside them.

use lockdown_delivery::Template;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use crate::actions::ACTIONS;
use crate::destination::{Word, Words, absolute_path, argument, mail_address, url};
use crate::error::{escape, quote};
use crate::glob::Glob;
use crate::key::Key;
use crate::report::{Wrong, unknown};
use crate::severity::{SEVERITIES, Severity};
use crate::value::{Fault, Given, Kind, OneOf, Text, Value};

/// How word gets out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// A mail, by `[email]`.
    #[default]
    Email,
    /// A POST, signed as Standard Webhooks.
    Webhook,
    /// A POST as Alertmanager sends it.
    Alertmanager,
    /// A program is run.
    Exec,
    /// Text on the terminals of those who are logged in.
    Wall,
}

impl Transport {
    /// As it is called in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Webhook => "webhook",
            Self::Alertmanager => "alertmanager",
            Self::Exec => "exec",
            Self::Wall => "wall",
        }
    }
}

/// A key of a rule.
pub(crate) struct RuleKey {
    pub(crate) key: Key<Rule>,
    /// The transports that it is for; none = for all.
    pub(crate) transports: &'static [Transport],
    /// A value, as in a file.
    pub(crate) example: &'static str,
}

/// Makes of the list below [`Rule`] and [`KEYS`]. Reads `"key" field: type = kind of value, for transports, example;`.
macro_rules! rule {
    ($( $(#[doc = $doc:literal])* $name:literal $key:ident: $Type:ty = $kind:expr, for $transports:expr, $example:literal; )*) => {
        /// Who is told of which events, and how.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Rule {
            $( $(#[doc = $doc])* pub $key: $Type, )*
        }

        /// All keys of a rule, in the order of the file.
        pub(crate) static KEYS: &[RuleKey] = &[$(
            RuleKey {
                key: Key {
                    name: $name,
                    path: concat!("notify.", $name),
                    doc: &[$($doc),*],
                    #[cfg(test)]
                    allowed: || $kind.allowed(),
                    set: |rule, given| {
                        rule.$key = $kind.read(given)?;
                        Ok(())
                    },
                    get: |rule| $kind.write(&rule.$key),
                },
                transports: &$transports,
                example: $example,
            },
        )*];
    };
}

rule! {
    /// What the rule is called in messages and by lockdownctl notify. A rule in a later file replaces the one of the same
    /// name whole.
    /// Allowed: 1 to 64 letters, digits, "-" and "_".
    "name" name: String = Name, for [], "\"on-call\"";

    /// Which events it is for: those with one of these actions. A rule without this and the next four is for all
    /// events, one with several for those that match in each. In patterns, * stands for any text, ? for any character and
    /// [a-z] for one of these; an empty list matches nothing, which switches a rule off.
    /// Allowed: a list of patterns of actions, such as ["lock*", "restore"].
    "match.actions" actions: Option<Vec<Glob>> = Globs { of: "actions", such_as: "\"lock*\", \"restore\"", known: ACTIONS }, for [], "[\"lockdown\", \"lock\", \"unlock\"]";

    /// Events with one of these severities: "info", "notice", "warning" and "critical".
    /// Allowed: a list of patterns of severities, such as ["warning", "critical"].
    "match.severities" severities: Option<Vec<Glob>> = Globs { of: "severities", such_as: "\"warning\", \"critical\"", known: SEVERITIES }, for [], "[\"warning\", \"critical\"]";

    /// Events about one of these accounts. Events that are about no account do not match.
    /// Allowed: a list of patterns of accounts, such as ["alice", "svc-*"].
    "match.accounts" accounts: Option<Vec<Glob>> = Globs { of: "accounts", such_as: "\"alice\", \"svc-*\"", known: &[] }, for [], "[\"svc-*\"]";

    /// Events about a member of one of these groups. If the groups cannot be looked up, the rule counts as matching.
    /// Allowed: a list of patterns of groups, such as ["sudo", "team-*"].
    "match.groups" groups: Option<Vec<Glob>> = Globs { of: "groups", such_as: "\"sudo\", \"team-*\"", known: &[] }, for [], "[\"sudo\"]";

    /// Events about a lock with one of these owners. Events that are about no lock do not match.
    /// Allowed: a list of patterns of owners, such as ["operator", "config:*"].
    "match.owners" owners: Option<Vec<Glob>> = Globs { of: "owners", such_as: "\"operator\", \"config:*\"", known: &[] }, for [], "[\"attack-protection\"]";

    /// How word gets out: by mail as [email] says; by a POST that is signed as Standard Webhooks; by a POST such as
    /// Alertmanager sends; by running a program; on the terminals of those who administer the host.
    /// Allowed: one of "email", "webhook", "alertmanager", "exec", "wall".
    "transport" transport: Transport = OneOf(&[
        ("email", Transport::Email),
        ("webhook", Transport::Webhook),
        ("alertmanager", Transport::Alertmanager),
        ("exec", Transport::Exec),
        ("wall", Transport::Wall),
    ]), for [], "\"email\"";

    /// For "email": mail addresses; without this, security_email. The addresses of the account that an event is about are
    /// left out, and if none is left, security_email is told. For "wall": users; without this, the members of
    /// protected.admin_groups.
    /// Allowed: up to 100 mail addresses or user names, one or a list.
    "to" to: Vec<String> = Words { allowed: "up to 100 mail addresses or user names, one or a list", check: mail_address, count: 0..=100 }, for [Transport::Email, Transport::Wall], "[\"on-call@example.org\"]";

    /// For "webhook" and "alertmanager": where to POST to.
    /// Allowed: an https URL, or an http one on this host, or empty.
    "url" url: Option<String> = Word { allowed: "an https URL, or an http one on this host", check: url }, for [Transport::Webhook, Transport::Alertmanager], "\"https://hooks.example.org/lockdown\"";

    /// For "webhook", needed, and "alertmanager": a file with the secret that bodies are signed with, "whsec_" and base64 or
    /// as it is; nobody but root may read it. With several, bodies are signed with each, so that receivers can change over.
    /// Allowed: up to 5 absolute paths, one or a list.
    "secret_file" secret_file: Vec<String> = Words { allowed: "up to 5 absolute paths, one or a list", check: absolute_path, count: 0..=5 }, for [Transport::Webhook, Transport::Alertmanager], "\"/etc/lockdown/webhook.secret\"";

    /// For "exec": the program with its arguments. It gets the event as JSON on standard input and in variables
    /// LOCKDOWN_*, see lockdown-relay(8).
    /// Allowed: a list of up to 100 arguments, the first an absolute path.
    "command" command: Vec<String> = Words { allowed: "a list of up to 100 arguments, the first an absolute path", check: argument, count: 0..=100 }, for [Transport::Exec], "[\"/usr/local/bin/page\", \"--urgent\"]";

    /// How urgent the messages are to be, whatever the event's severity is; empty: as the event. In a queue that is full, the
    /// least severe give way.
    /// Allowed: one of "", "info", "notice", "warning", "critical".
    "severity" severity: Option<Severity> = OneOf(&[
        ("", None),
        ("info", Some(Severity::Info)),
        ("notice", Some(Severity::Notice)),
        ("warning", Some(Severity::Warning)),
        ("critical", Some(Severity::Critical)),
    ]), for [], "\"critical\"";

    /// The text of the message, with {action}, {severity}, {user}, {host} and the others of lockdown-relay(8) in place of what
    /// they stand for; empty: what is known. Webhooks get it beside the events themselves.
    /// Allowed: text of at most 4096 bytes without control characters except line breaks.
    "template" template: Option<String> = Message, for [], "\"{action} of {user} on {host}: {reason}\"";
}

/// What a rule is called.
struct Name;

impl Kind for Name {
    type Type = String;

    fn allowed(&self) -> String {
        "1 to 64 letters, digits, \"-\" and \"_\"".to_owned()
    }

    fn read(&self, given: &Given<'_>) -> Result<String, Fault> {
        let name = given.get_ref().as_str().ok_or_else(|| self.wrong_type(given))?;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if (1..=64).contains(&name.len()) && name.bytes().all(allowed) {
            return Ok(name.to_owned());
        }
        Err(self.fault(given, format_args!("{} is wrong here", quote(name))))
    }

    fn write(&self, value: &String) -> Value {
        Value::Text(value.clone())
    }
}

/// A text with placeholders that are known.
struct Message;

impl Message {
    const TEXT: Text = Text { max_bytes: 4096 };
}

impl Kind for Message {
    type Type = Option<String>;

    fn allowed(&self) -> String {
        Self::TEXT.allowed()
    }

    fn read(&self, given: &Given<'_>) -> Result<Option<String>, Fault> {
        let text = Self::TEXT.read(given)?;
        match text.as_deref().map(Template::parse) {
            Some(Err(error)) => Err(Fault { span: given.span(), message: format!("has {error}") }),
            _ => Ok(text),
        }
    }

    fn write(&self, value: &Option<String>) -> Value {
        Self::TEXT.write(value)
    }
}

/// A list of patterns; `None` if the key is not there.
struct Globs {
    of: &'static str,
    such_as: &'static str,
    /// All that there are, so that one that none of them matches is a mistake; empty if that cannot be told.
    known: &'static [&'static str],
}

impl Globs {
    fn read_one(&self, given: &Given<'_>) -> Result<Glob, Fault> {
        let text = given.get_ref().as_str().ok_or_else(|| self.wrong_type(given))?;
        let fault = |wrong| self.fault(given, format_args!("{} {wrong}", quote(text)));
        if text.is_empty() || text.len() > 255 {
            return Err(fault("is empty or has more than 255 bytes"));
        }
        let glob = Glob::parse(text).map_err(fault)?;
        if !self.known.is_empty() && !self.known.iter().any(|name| glob.matches(name)) {
            let matches = format!("{} matches none of the {}", quote(text), self.of);
            let message = format!("{matches}: {}", self.known.join(", "));
            return Err(Fault { span: given.span(), message });
        }
        Ok(glob)
    }
}

impl Kind for Globs {
    type Type = Option<Vec<Glob>>;

    fn allowed(&self) -> String {
        format!("a list of patterns of {}, such as [{}]", self.of, self.such_as)
    }

    fn read(&self, given: &Given<'_>) -> Result<Self::Type, Fault> {
        let list = given.get_ref().as_array().ok_or_else(|| self.wrong_type(given))?;
        list.iter().map(|one| self.read_one(one)).collect::<Result<_, _>>().map(Some)
    }

    fn write(&self, value: &Self::Type) -> Value {
        Value::List(value.iter().flatten().map(|glob| glob.as_str().to_owned()).collect())
    }
}

/// A rule as it was read, and at which byte each of its keys is.
pub(crate) struct Read {
    pub(crate) rule: Rule,
    pub(crate) places: Vec<(&'static str, usize)>,
}

/// Reads one `[[notify]]`.
pub(crate) fn read(table: &DeTable<'_>, start: usize) -> Result<Read, Vec<Wrong>> {
    let mut reader = Reader { rule: Rule::default(), places: Vec::new(), wrong: Vec::new() };
    for (name, given) in table {
        match given.get_ref() {
            DeValue::Table(inner) if name.get_ref() == MATCH => {
                inner.iter().for_each(|(name, given)| reader.key(&format!("{MATCH}."), name, given));
            }
            _ if name.get_ref() == MATCH => {
                let message = "must be a table, such as { actions = [\"lock*\"] }".to_owned();
                reader.wrong.push((given.span().start, Some("notify.match".to_owned()), message));
            }
            _ => reader.key("", name, given),
        }
    }
    if reader.wrong.is_empty() {
        reader.check_whole(start);
    }
    let Reader { rule, places, wrong } = reader;
    if wrong.is_empty() { Ok(Read { rule, places }) } else { Err(wrong) }
}

const MATCH: &str = "match";

struct Reader {
    rule: Rule,
    places: Vec<(&'static str, usize)>,
    wrong: Vec<Wrong>,
}

impl Reader {
    fn key(&mut self, prefix: &str, name: &Spanned<DeString<'_>>, given: &Given<'_>) {
        let full = format!("{prefix}{}", name.get_ref());
        let Some(RuleKey { key, .. }) = KEYS.iter().find(|known| known.key.name == full) else {
            let names = KEYS.iter().filter_map(|known| known.key.name.strip_prefix(prefix));
            let mut names: Vec<_> = names.map(|name| name.split('.').next().unwrap_or(name)).collect();
            names.dedup();
            let message = unknown("key", name.get_ref(), names.into_iter());
            self.wrong.push((name.span().start, Some(format!("notify.{}", escape(&full))), message));
            return;
        };
        match (key.set)(&mut self.rule, given) {
            Ok(()) => self.places.push((key.name, name.span().start)),
            Err(fault) => self.wrong.push((fault.span.start, Some(key.path.to_owned()), fault.message)),
        }
    }

    fn place(&self, key: &str) -> Option<usize> {
        self.places.iter().find(|(name, _)| *name == key).map(|(_, place)| *place)
    }

    /// What no key can tell by itself.
    fn check_whole(&mut self, start: usize) {
        let rule = &self.rule;
        let transport = rule.transport;
        let mut wrong = Vec::new();
        let mut missing = |key: &str, is_missing: bool| {
            if is_missing {
                let for_this = if self.place("transport").is_some() {
                    format!(" for the transport \"{}\"", transport.name())
                } else {
                    String::new()
                };
                wrong.push((start, Some(format!("notify.{key}")), format!("is needed{for_this}")));
            }
        };
        missing("name", self.place("name").is_none());
        missing("transport", self.place("transport").is_none());
        missing(
            "url",
            matches!(transport, Transport::Webhook | Transport::Alertmanager) && rule.url.is_none(),
        );
        missing("secret_file", transport == Transport::Webhook && rule.secret_file.is_empty());
        missing("command", transport == Transport::Exec && rule.command.is_empty());
        for RuleKey { key, transports, .. } in KEYS {
            let Some(place) = self.place(key.name) else { continue };
            if !transports.is_empty() && !transports.contains(&transport) {
                let names: Vec<_> = transports.iter().map(|known| format!("\"{}\"", known.name())).collect();
                let message = format!(
                    "does nothing for the transport \"{}\"; it is for {}",
                    transport.name(),
                    names.join(", ")
                );
                wrong.push((place, Some(key.path.to_owned()), message));
            }
        }
        let mut at = |key: &str, message: String| {
            wrong.push((self.place(key).unwrap_or(start), Some(format!("notify.{key}")), message));
        };
        if let Some(fault) = rule.command.first().and_then(|program| absolute_path(program)) {
            at(
                "command",
                format!("{} {fault}; the first argument must be an absolute path", quote(&rule.command[0])),
            );
        }
        if let Some(address) = rule.to.iter().find(|to| transport == Transport::Wall && to.contains('@')) {
            at(
                "to",
                format!(
                    "{} is no user of this host; \"wall\" is for those who are logged in",
                    quote(address)
                ),
            );
        }
        self.wrong = wrong;
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::document;
    use crate::provenance::Loaded;

    fn problems(text: &str) -> Vec<String> {
        let text = format!("[[notify]]\n{text}");
        document::apply(Path::new("f"), &text, &mut Loaded::default())
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn says_where_and_what_is_wrong_with_a_rule() {
        const RULE: &str = "name = 'a'\ntransport = ";
        for (text, expected) in [
            ("transport = 'wall'".to_owned(), "f:1:1: notify.name: is needed for the transport \"wall\""),
            ("name = 'a'".to_owned(), "f:1:1: notify.transport: is needed"),
            (
                "name = 'a b'\ntransport = 'wall'".to_owned(),
                "f:2:8: notify.name: \"a b\" is wrong here; must be 1 to 64 letters, digits, \"-\" and \"_\"",
            ),
            (
                format!("{RULE}'mail'"),
                "f:3:13: notify.transport: \"mail\" is not known here; must be one of \"email\", \"webhook\", \
                 \"alertmanager\", \"exec\", \"wall\"",
            ),
            (
                format!("{RULE}'alertmanager'"),
                "f:1:1: notify.url: is needed for the transport \"alertmanager\"",
            ),
            (
                format!("{RULE}'webhook'\nurl = 'https://h'"),
                "f:1:1: notify.secret_file: is needed for the transport \"webhook\"",
            ),
            (
                format!("{RULE}'webhook'\nsecret_file = '/s'\nurl = 'http://h'"),
                "f:5:7: notify.url: \"http://h\" would go over the network unencrypted; must be an https URL, or an http \
                 one on this host, or empty",
            ),
            (
                format!("{RULE}'exec'\ncommand = []"),
                "f:1:1: notify.command: is needed for the transport \"exec\"",
            ),
            (
                format!("{RULE}'exec'\ncommand = ['mail', 'x']"),
                "f:4:1: notify.command: \"mail\" does not begin with a /; the first argument must be an absolute path",
            ),
            (
                format!("{RULE}'wall'\nurl = 'https://h'"),
                "f:4:1: notify.url: does nothing for the transport \"wall\"; it is for \"webhook\", \"alertmanager\"",
            ),
            (
                format!("{RULE}'wall'\nto = ['alice', 'a@b']"),
                "f:4:1: notify.to: \"a@b\" is no user of this host; \"wall\" is for those who are logged in",
            ),
            (
                format!("{RULE}'email'\nto = ['a@b', \"a@b\\r\\nBcc: c@d\"]"),
                "f:4:14: notify.to: \"a@b\\r\\nBcc: c@d\" has a character that no address has; must be up to 100 mail \
                 addresses or user names, one or a list",
            ),
            (
                format!("{RULE}'wall'\nmatch.accounts = ['[a']"),
                "f:4:19: notify.match.accounts: \"[a\" has a [ without its ]; must be a list of patterns of accounts, \
                 such as [\"alice\", \"svc-*\"]",
            ),
            (
                format!("{RULE}'wall'\nmatch.severities = ['error']"),
                "f:4:21: notify.match.severities: \"error\" matches none of the severities: info, notice, warning, critical",
            ),
            (
                format!("{RULE}'wall'\nmatch.action = ['lock']"),
                "f:4:7: notify.match.action: is an unknown key; did you mean \"actions\"?",
            ),
            (
                format!("{RULE}'wall'\ntemplate = 'a {{ b'"),
                "f:4:12: notify.template: has a single `{`; write `{{` for a brace itself",
            ),
            (
                format!("{RULE}'wall'\nmatch = ['lock']"),
                "f:4:9: notify.match: must be a table, such as { actions = [\"lock*\"] }",
            ),
            (
                format!("{RULE}'wall'\nx = 1"),
                "f:4:1: notify.x: is an unknown key; there are name, match, transport, to, url, secret_file, command, \
                 severity, template",
            ),
            (
                format!("{RULE}'wall'\n[[notify]]\n{RULE}'wall'"),
                "f:5:1: notify.name: \"a\" is the name of another rule in this file",
            ),
        ] {
            assert_eq!(problems(&text), [expected], "{text}");
        }
        for text in ["notify = 1", "[notify]", "notify = [1]"] {
            let problems = document::apply(Path::new("f"), text, &mut Loaded::default());
            assert!(problems.len() == 1 && problems[0].message.contains("list of rules"), "{problems:?}");
        }
    }

    #[test]
    fn a_rule_with_something_wrong_is_left_out() {
        let mut loaded = Loaded::default();
        let text =
            "[[notify]]\nname = 'a'\n[[notify]]\nname = 'b'\ntransport = 'wall'\nmatch = { groups = [] }\n";
        assert_eq!(document::apply(Path::new("f"), text, &mut loaded).len(), 1);
        let [rule] = loaded.settings.notify.as_slice() else { panic!("{:?}", loaded.settings.notify) };
        assert_eq!((rule.name.as_str(), rule.groups.as_deref(), &rule.accounts), ("b", Some(&[][..]), &None));
    }
}
