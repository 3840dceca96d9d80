//! A message to those who are logged in now, on terminals and desktops. Whoever is not is not waited for.

use std::time::{Duration, Instant};

use lockdown_delivery::{Item, Outcome, visible};
use nix::unistd::User;

use crate::{desktop, log, terminals, text};

/// Users that a message goes to, at most.
const MAX_USERS: usize = 64;
/// For all desktops together: a session bus may hang.
const DESKTOPS: Duration = Duration::from_secs(30);

pub(crate) fn deliver(item: &Item, users: &[String]) -> Outcome {
    let (title, message) = (text::subject(item), text::short(item));
    let is_urgent = matches!(item.severity.as_str(), "warning" | "critical");
    let started = Instant::now();
    let mut unknown = None;
    for name in users.iter().take(MAX_USERS) {
        match User::from_name(name) {
            Ok(Some(user)) => {
                let terminals = terminals::write_to_all(user.uid.as_raw(), &format!("{title}\n{message}"));
                let desktop =
                    started.elapsed() < DESKTOPS && desktop::notify(&user, &title, &message, is_urgent);
                let shown = visible(name, 64);
                log::info(format_args!(
                    "{} reached {terminals} terminals of {shown}, desktop: {desktop}",
                    item.id
                ));
            }
            Ok(None) => {
                log::warning(format_args!("{} is for {}, whom nobody knows", item.id, visible(name, 64)))
            }
            Err(error) => unknown = Some(format!("{} cannot be looked up: {error}", visible(name, 64))),
        }
    }
    unknown.map_or(Outcome::Delivered, Outcome::retry)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{item, wall};

    #[test]
    fn nobody_is_waited_for() {
        let users = ["lockdown-nobody-of-this-name".to_owned(), "a\nb\0".to_owned()];
        assert_eq!(deliver(&item(wall()), &users[..1]), Outcome::Delivered);
        assert!(matches!(deliver(&item(wall()), &users), Outcome::Delivered | Outcome::Retry { .. }));
    }
}
