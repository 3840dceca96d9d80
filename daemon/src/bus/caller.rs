//! Who is asking: from the bus and the kernel, never from the message.

use std::path::Path;

use zbus::{Connection, fdo::DBusProxy, message::Header, names::BusName};

use lockdown_dbus_api::{Error, tags::Tags};

use crate::{
    domain::event::{Event, Fields},
    host::{
        logind,
        nss::Nss,
        processes::{self, Mark, UNSET},
    },
};

/// The context of a call, for rules and for the audit trail. A caller that has ended meanwhile has less of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// uid of the connection.
    pub uid: u32,
    /// Name of that uid, `uid:1000` if NSS knows none.
    pub name: String,
    /// Who logged in, before sudo or su; `None` for services.
    pub loginuid: Option<u32>,
    /// Process id.
    pub pid: Option<u32>,
    /// Its unique name on the bus.
    pub bus_name: String,
    /// Its executable.
    pub executable: Option<String>,
    /// Its controlling terminal.
    pub tty: Option<String>,
    /// Its logind session.
    pub session: Option<String>,
    /// Where that session came from.
    pub remote_host: Option<String>,
    /// It waits while somebody is asked for a password.
    pub interactive: bool,
    /// What it gave with the call for its event.
    pub tags: Tags,
}

impl Caller {
    /// The caller of a method.
    ///
    /// # Errors
    /// `NotAuthorized` if the bus cannot tell who it is.
    pub async fn of(bus: &Connection, header: &Header<'_>, nss: &Nss) -> Result<Self, Error> {
        let unknown = || Error::NotAuthorized("the bus does not say who is calling".to_owned());
        let sender = header.sender().ok_or_else(unknown)?;
        let credentials =
            DBusProxy::new(bus).await?.get_connection_credentials(BusName::from(sender.clone())).await;
        let credentials = credentials.map_err(|_| unknown())?;
        let uid = credentials.unix_user_id().ok_or_else(unknown)?;
        let name =
            nss.by_uid(uid).await.ok().flatten().map_or_else(|| format!("uid:{uid}"), |account| account.name);
        let mut caller = Self {
            uid,
            name,
            pid: credentials.process_id(),
            bus_name: sender.to_string(),
            interactive: header.primary().flags().contains(zbus::message::Flags::ALLOW_INTERACTIVE_AUTH),
            ..Self::default()
        };
        if let Some(pid) = caller.pid {
            caller.read_process(pid);
            if let Ok(session) = logind::of_process(bus, pid).await {
                caller.session = Some(session.id);
                caller.remote_host = Some(session.remote_host).filter(|host| !host.is_empty());
            }
        }
        Ok(caller)
    }

    fn read_process(&mut self, pid: u32) {
        let directory = Path::new("/proc").join(pid.to_string());
        let Some(process) = i32::try_from(pid).ok().and_then(|pid| procfs::process::Process::new(pid).ok())
        else {
            return;
        };
        self.loginuid = process.loginuid().ok().filter(|uid| *uid != UNSET);
        self.executable =
            std::fs::read_link(directory.join("exe")).ok().map(|path| path.to_string_lossy().into_owned());
        self.tty = process.stat().ok().and_then(|stat| terminal(stat.tty_nr()));
    }

    /// The processes that the caller's terminal runs in: they are not to end while it waits for an answer.
    #[must_use]
    pub fn lineage(&self) -> Vec<Mark> {
        self.pid.map(processes::lineage).unwrap_or_default()
    }

    /// The same with the tags of the call.
    #[must_use]
    pub fn with_tags(self, tags: Option<Tags>) -> Self {
        Self { tags: tags.unwrap_or_default(), ..self }
    }

    /// Says in an event that it is of this call: who called, and the tags.
    pub fn sign(&self, event: &mut Event) {
        event.caller = self.fields();
        event.tags.clone_from(&self.tags);
    }

    fn fields(&self) -> Fields {
        let optional = [
            ("loginuid", self.loginuid.map(|uid| uid.to_string())),
            ("pid", self.pid.map(|pid| pid.to_string())),
            ("executable", self.executable.clone()),
            ("tty", self.tty.clone()),
            ("session", self.session.clone()),
            ("remote_host", self.remote_host.clone()),
        ];
        let mut fields: Fields =
            optional.into_iter().filter_map(|(key, value)| value.map(|value| (key, value))).collect();
        fields.insert("uid", self.uid.to_string());
        fields.insert("name", self.name.clone());
        fields.insert("bus_name", self.bus_name.clone());
        fields
    }
}

/// Name of a terminal by its device number (devices.txt of the kernel: 136 to 143 are pts, 4 are tty and ttyS).
fn terminal((major, minor): (i32, i32)) -> Option<String> {
    match major {
        136..=143 => Some(format!("pts/{}", (major - 136) * 256 + minor)),
        4 if minor < 64 => Some(format!("tty{minor}")),
        4 => Some(format!("ttyS{}", minor - 64)),
        0 => None,
        _ => Some(format!("device {major}:{minor}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_by_number() {
        assert_eq!(terminal((136, 3)).as_deref(), Some("pts/3"));
        assert_eq!(terminal((137, 0)).as_deref(), Some("pts/256"));
        assert_eq!(terminal((4, 1)).as_deref(), Some("tty1"));
        assert_eq!(terminal((4, 64)).as_deref(), Some("ttyS0"));
        assert_eq!(terminal((0, 0)), None);
    }

    #[test]
    fn an_event_keeps_what_is_known() {
        let caller = Caller { uid: 0, name: "root".into(), loginuid: Some(1002), ..Caller::default() };
        let tags = Tags::from([("ticket".to_owned(), "INC-4711".to_owned())]);
        let mut event = Event::new(1, crate::domain::event::Action::Lock, "alice");
        caller.with_tags(Some(tags.clone())).sign(&mut event);
        assert_eq!(event.caller.get("loginuid").map(String::as_str), Some("1002"));
        assert!(!event.caller.contains_key("tty"));
        assert_eq!(event.tags, tags);
    }
}
