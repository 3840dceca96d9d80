//! What a call is for: USER arguments, and the host.

use rustix::process::geteuid;

/// A USER argument. What it names is the daemon's to find out; an empty one names nothing.
///
/// # Errors
///
/// The text is empty or blank.
pub fn user(text: &str) -> Result<String, &'static str> {
    if text.trim().is_empty() { Err("is empty: name an account") } else { Ok(text.to_owned()) }
}

/// The account of whoever calls, where none is named.
#[must_use]
pub fn oneself() -> String {
    format!("uid:{}", geteuid().as_raw())
}

/// A `[USER@]HOST` argument.
///
/// # Errors
///
/// The text is empty, has white space, a comma or control characters, or ssh could take it for an option.
pub fn host(text: &str) -> Result<String, &'static str> {
    let name = text.rsplit('@').next().unwrap_or_default();
    if name.is_empty()
        || name.starts_with('-')
        || text.starts_with(['-', '@'])
        || text.contains(|c: char| c.is_control() || c.is_whitespace() || c == ',')
    {
        return Err("is no host: give [USER@]HOST");
    }
    Ok(text.to_owned())
}

/// The same users in the same order, each once.
#[must_use]
pub fn distinct(users: &[String]) -> Vec<String> {
    let mut distinct: Vec<String> = Vec::with_capacity(users.len());
    for user in users {
        if !distinct.contains(user) {
            distinct.push(user.clone());
        }
    }
    distinct
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_user_is_refused() {
        assert!(user("").is_err());
        assert!(user(" \t").is_err());
        assert_eq!(user("uid:1000").unwrap(), "uid:1000");
    }

    #[test]
    fn each_user_stays_once_in_its_place() {
        let users = ["bob", "alice", "bob", "carol", "alice"].map(String::from);
        assert_eq!(distinct(&users), ["bob", "alice", "carol"]);
    }

    #[test]
    fn hosts_that_ssh_could_misread_are_refused() {
        for text in ["", "-oProxyCommand=x", "root@-oProxyCommand=x", "root@", "@web1", "a b", "a\nb", "a,b"]
        {
            assert!(host(text).is_err(), "{text}");
        }
        assert_eq!(host("root@web1.example").unwrap(), "root@web1.example");
    }
}
