//! A mail server, a receiver of webhooks and an authority for their certificates, inside the host.

use lockdown_tests::Host;
use serde_json::Value;

/// What runs as a service of the host, and writes down what it gets.
struct Service<'h> {
    host: &'h Host,
    name: String,
    command: Vec<String>,
}

impl<'h> Service<'h> {
    /// A program with a directory of its own and these arguments.
    fn new(host: &'h Host, kind: &str, program: &str, port: u16, arguments: &[&str]) -> Self {
        let name = format!("{kind}-{port}");
        let directory = format!("/run/{name}");
        host.run(&["mkdir", "-p", &format!("{directory}/answers")]).ok();
        let script = format!("{directory}/{kind}.py");
        host.write(&script, program);
        let mut command = vec!["python3".to_owned(), script, directory, port.to_string()];
        command.extend(arguments.iter().map(|&argument| argument.to_owned()));
        Self { host, name, command }
    }

    /// The same, and starts it.
    fn start(host: &'h Host, kind: &str, program: &str, port: u16, arguments: &[&str]) -> Self {
        let service = Self::new(host, kind, program, port, arguments);
        service.up();
        service
    }

    /// Returns when it listens.
    fn up(&self) {
        let mut run =
            vec!["systemd-run", "--quiet", "--collect", "--service-type=notify", "--unit", &self.name];
        run.extend(self.command.iter().map(String::as_str));
        self.host.run(&run).ok();
    }

    fn down(&self) {
        self.host.run(&["systemctl", "stop", &self.name]).ok();
    }

    fn file(&self, name: &str) -> String {
        format!("/run/{}/{name}", self.name)
    }

    /// What it wrote into a file, a value a line.
    fn lines(&self, file: &str) -> Vec<Value> {
        let file = self.file(file);
        let lines = self.host.sh(&format!("if [ -e {file} ]; then cat {file}; fi")).ok().stdout;
        lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

/// A receiver of webhooks.
pub struct Hooks<'h>(Service<'h>);

impl<'h> Hooks<'h> {
    const PROGRAM: &'static str = include_str!("../fixtures/web_receiver.py");

    /// By http.
    #[track_caller]
    pub fn plain(host: &'h Host, port: u16) -> Self {
        Self(Service::start(host, "web_receiver", Self::PROGRAM, port, &[]))
    }

    /// By https.
    #[track_caller]
    pub fn encrypted(host: &'h Host, port: u16, certificate: &Certificate) -> Self {
        let Certificate { chain, key } = certificate;
        Self(Service::start(host, "web_receiver", Self::PROGRAM, port, &[chain, key]))
    }

    /// What is answered from now on to what is posted to `/path`: see the program.
    #[track_caller]
    pub fn answer(&self, path: &str, answer: &str) {
        self.0.host.write(&self.0.file(&format!("answers/{path}")), answer);
    }

    /// From now on, what is posted to `/path` is taken.
    #[track_caller]
    pub fn take(&self, path: &str) {
        self.0.host.run(&["rm", "-f", &self.0.file(&format!("answers/{path}"))]).ok();
    }

    /// Requests to `/path`, in the order they came, whatever was answered.
    #[track_caller]
    pub fn requests_to(&self, path: &str) -> Vec<Value> {
        let path = format!("/{path}");
        self.0.lines("requests").into_iter().filter(|request| request["path"] == path.as_str()).collect()
    }

    /// What these requests were about, by user and in order of the alphabet.
    #[track_caller]
    pub fn users_told_at(&self, path: &str) -> Vec<String> {
        let user = |request: &Value| body(request)["data"]["user"].as_str().unwrap_or_default().to_owned();
        let mut users: Vec<_> = self.requests_to(path).iter().map(user).collect();
        users.sort();
        users
    }

    /// Stops it: nobody listens.
    #[track_caller]
    pub fn down(&self) {
        self.0.down();
    }

    /// Starts it again.
    #[track_caller]
    pub fn up(&self) {
        self.0.up();
    }
}

/// The JSON of a request.
#[track_caller]
pub fn body(request: &Value) -> Value {
    serde_json::from_str(request["body"].as_str().expect("a body")).expect("JSON")
}

/// A mail server.
pub struct Mails<'h>(Service<'h>);

impl<'h> Mails<'h> {
    const PROGRAM: &'static str = include_str!("../fixtures/mail_server.py");

    /// One that neither encrypts nor asks who it is.
    #[track_caller]
    pub fn plain(host: &'h Host, port: u16) -> Self {
        Self(Service::start(host, "mail_server", Self::PROGRAM, port, &[]))
    }

    /// One that takes mails by `mode`, `tls` or `starttls`, from who signs in with this name and password.
    #[track_caller]
    pub fn encrypted(
        host: &'h Host,
        port: u16,
        mode: &str,
        certificate: &Certificate,
        (user, password): (&str, &str),
    ) -> Self {
        let Certificate { chain, key } = certificate;
        let service = Service::new(host, "mail_server", Self::PROGRAM, port, &[mode, chain, key]);
        host.write(&service.file("credentials"), format!("{user}\n{password}\n"));
        service.up();
        Self(service)
    }

    /// Recipients, or `DATA`, and what is answered to them from now on.
    #[track_caller]
    pub fn refuse(&self, refusals: &str) {
        self.0.host.write(&self.0.file("refusals"), refusals);
    }

    /// The mails that it was given, in the order they came; those that it did not take as well.
    #[track_caller]
    pub fn given(&self) -> Vec<Mail> {
        self.0.lines("mails").into_iter().map(Mail::parse).collect()
    }

    /// The mails that it has taken.
    #[track_caller]
    pub fn taken(&self) -> Vec<Mail> {
        self.given().into_iter().filter(|mail| mail.envelope["taken"] == true).collect()
    }

    /// Stops it: nobody listens.
    #[track_caller]
    pub fn down(&self) {
        self.0.down();
    }

    /// Starts it again.
    #[track_caller]
    pub fn up(&self) {
        self.0.up();
    }
}

/// A mail as the server got it.
#[derive(Debug)]
pub struct Mail {
    /// What the server knows of it: see the program.
    pub envelope: Value,
    /// Headers, unfolded, in their order.
    pub headers: Vec<(String, String)>,
    /// The text as it was sent.
    pub body: String,
}

impl Mail {
    fn parse(envelope: Value) -> Self {
        let text = envelope["text"].as_str().expect("a text");
        let (head, body) = text.split_once("\r\n\r\n").expect("headers and a body");
        let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
        let header = |line: &str| {
            let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("no header: {line:?}"));
            (name.to_owned(), value.to_owned())
        };
        let headers = unfolded.split("\r\n").map(header).collect();
        let body = body.to_owned();
        Self { envelope, headers, body }
    }

    /// The value of the one header with this name.
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        let mut found = self.headers.iter().filter(|(header, _)| header == name);
        match (found.next(), found.next()) {
            (Some((_, value)), None) => value,
            _ => panic!("not one header {name}: {self:#?}"),
        }
    }

    /// Recipients in the envelope.
    pub fn to(&self) -> Vec<&str> {
        self.envelope["to"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
    }
}

/// A certificate with its key.
pub struct Certificate {
    chain: String,
    key: String,
}

/// An authority, for a day.
pub struct Authority<'h> {
    host: &'h Host,
    name: String,
}

impl<'h> Authority<'h> {
    /// A new one, that nobody trusts yet.
    #[track_caller]
    pub fn new(host: &'h Host, name: &str) -> Self {
        host.sh(&format!(
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj '/CN={name}' \
             -keyout /root/{name}.key -out /root/{name}.pem 2>&1"
        ))
        .ok();
        Self { host, name: name.to_owned() }
    }

    /// The host trusts it from now on; a relay that runs is stopped, as it has read whom to trust.
    #[track_caller]
    pub fn trusted(self) -> Self {
        let Self { host, name } = &self;
        host.sh(&format!(
            "cp /root/{name}.pem /usr/local/share/ca-certificates/{name}.crt; update-ca-certificates 2>&1; \
             systemctl stop lockdown-relay.service"
        ))
        .ok();
        self
    }

    /// A certificate for a name, which this host knows itself by from now on.
    #[track_caller]
    pub fn certificate(&self, for_name: &str) -> Certificate {
        let Self { host, name } = self;
        let path = format!("/root/{name}-{for_name}");
        host.sh(&format!(
            "grep -q ' {for_name}$' /etc/hosts || echo '127.0.0.1 {for_name}' >> /etc/hosts
             openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/CN={for_name}' \
                 -keyout {path}.key -out {path}.csr 2>&1
             openssl x509 -req -in {path}.csr -days 1 -CA /root/{name}.pem -CAkey /root/{name}.key -CAcreateserial \
                 -extfile <(echo 'subjectAltName=DNS:{for_name}') -out {path}.pem 2>&1"
        ))
        .ok();
        Certificate { chain: format!("{path}.pem"), key: format!("{path}.key") }
    }
}
