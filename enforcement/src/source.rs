//! Where an attempt to sign in comes from, as far as attempts are counted by it.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use crate::text::Text;

/// Where an attempt comes from: a remote host, or somebody on this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    text: Text<{ Self::MAX_BYTES }>,
    is_local: bool,
}

impl Source {
    /// The longest text that is kept, in bytes; what is longer is cut.
    pub const MAX_BYTES: usize = 60;

    /// By `PAM_RHOST` and `PAM_RUSER`: the remote host; without one whoever asks on this host, as su and sudo say; without
    /// that `local`, which is a console.
    pub fn new(remote_host: Option<&str>, remote_user: Option<&str>) -> Self {
        let remote_host = remote_host.filter(|name| !name.is_empty());
        match (remote_host, remote_user.filter(|name| !name.is_empty())) {
            (Some(host), _) => Self::stored(Text::cut(host), false),
            (None, Some(user)) => Self::stored(Text::cut(&format!("user:{user}")), true),
            (None, None) => Self::stored(Text::cut("local"), true),
        }
    }

    pub(crate) fn stored(text: Text<{ Self::MAX_BYTES }>, is_local: bool) -> Self {
        Self { text, is_local }
    }

    pub(crate) fn stored_text(&self) -> &Text<{ Self::MAX_BYTES }> {
        &self.text
    }

    /// The host as PAM gave it, `user:NAME` or `local`.
    pub fn text(&self) -> &str {
        self.text.as_str()
    }

    /// Whether it is on this host.
    pub fn is_local(&self) -> bool {
        self.is_local
    }

    /// What attempts are counted by. Of an IPv6 address the first 64 bits, because who has one address there has all of
    /// them.
    pub fn key(&self) -> Cow<'_, str> {
        match self.address() {
            Some(IpAddr::V6(address)) => {
                format!("{}/64", Ipv6Addr::from_bits(address.to_bits() & u128::MAX << 64)).into()
            }
            Some(IpAddr::V4(address)) if self.text().contains(':') => address.to_string().into(),
            _ => self.text().into(),
        }
    }

    /// Whether attempts from both are counted together.
    pub fn is_same(&self, other: &Self) -> bool {
        let is_ipv6 = |source: &Self| source.text.padded().contains(&b':');
        self.is_local == other.is_local
            && (self.text == other.text || (is_ipv6(self) || is_ipv6(other)) && self.key() == other.key())
    }

    fn address(&self) -> Option<IpAddr> {
        if self.is_local {
            return None;
        }
        self.text().parse::<IpAddr>().ok().map(|address| address.to_canonical())
    }
}

/// Addresses that begin with the same bits: `192.0.2.0/24`, `2001:db8::/32`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Whether the source is a remote host with an address in there. A host name never is: who has the address may choose it.
    pub fn contains(&self, source: &Source) -> bool {
        source.address().is_some_and(|address| masked(address, self.prefix) == Some(self.address))
    }
}

/// `address` with all but the first bits zero; `None` if it has not so many.
fn masked(address: IpAddr, prefix: u8) -> Option<IpAddr> {
    let rest = |bits: u32| bits.checked_sub(prefix.into());
    Some(match address {
        IpAddr::V4(address) => {
            IpAddr::V4((address.to_bits() & u32::MAX.checked_shl(rest(32)?).unwrap_or(0)).into())
        }
        IpAddr::V6(address) => {
            IpAddr::V6((address.to_bits() & u128::MAX.checked_shl(rest(128)?).unwrap_or(0)).into())
        }
    })
}

/// Not an address, nor one with a prefix length behind a slash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkError;

impl fmt::Display for NetworkError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("not an address such as 192.0.2.7 nor a network such as 192.0.2.0/24 or 2001:db8::/32")
    }
}

impl std::error::Error for NetworkError {}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) =
            text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| NetworkError)?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(longest), str::parse).map_err(|_| NetworkError)?;
        let address = masked(address, prefix).ok_or(NetworkError)?;
        Ok(Self { address, prefix })
    }
}

/// With the bits behind the prefix as zero, and always with the prefix length.
impl fmt::Display for Network {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn host(name: &str) -> Source {
        Source::new(Some(name), Some("bob"))
    }

    #[test]
    fn is_the_remote_host_or_who_asks_on_this_one() {
        assert_eq!((host("192.0.2.1").text(), host("192.0.2.1").is_local()), ("192.0.2.1", false));
        assert_eq!(Source::new(Some(""), Some("bob")).text(), "user:bob");
        assert_eq!(Source::new(None, Some("")).text(), "local");
        assert!(Source::new(None, None).is_local());
        // Nobody becomes local by the name of his host.
        assert!(!host("local").is_same(&Source::new(None, None)));
        assert!(!host("user:bob").is_same(&Source::new(None, Some("bob"))));
        assert_eq!(host(&"é".repeat(100)).text(), "é".repeat(30));
    }

    #[test]
    fn hosts_are_counted_by_address_and_ipv6_by_network() {
        assert!(host("192.0.2.1").is_same(&host("::ffff:192.0.2.1")));
        assert!(host("2001:db8::1").is_same(&host("2001:db8:0:0:ffff::2")));
        assert!(!host("2001:db8::1").is_same(&host("2001:db8:0:1::1")));
        assert!(!host("192.0.2.1").is_same(&host("192.0.2.2")));
        assert_eq!(host("2001:db8::1").key(), "2001:db8::/64");
    }

    #[test]
    fn a_network_contains_its_addresses() {
        let contains = |network: &str, name: &str| network.parse::<Network>().unwrap().contains(&host(name));
        assert!(contains("192.0.2.0/24", "192.0.2.255") && contains("192.0.2.7/24", "::ffff:192.0.2.1"));
        assert!(!contains("192.0.2.0/24", "192.0.3.0") && !contains("192.0.2.7", "192.0.2.8"));
        assert!(contains("0.0.0.0/0", "203.0.113.1") && !contains("0.0.0.0/0", "::1"));
        assert!(contains("2001:db8::/32", "2001:db8:ffff::1") && contains("::/0", "::1"));
        assert!(!contains("::/0", "a.example") && !contains("::/0", "192.0.2.1"));
        assert!(!"::/0".parse::<Network>().unwrap().contains(&Source::new(None, None)));
        for wrong in
            ["", "a.example", "192.0.2.0/33", "::/129", "192.0.2.0/", "192.0.2.0/-1", "1/2/3", "192.0.2"]
        {
            assert_eq!(wrong.parse::<Network>(), Err(NetworkError), "{wrong}");
        }
        assert_eq!("192.0.2.7/24".parse::<Network>().unwrap().to_string(), "192.0.2.0/24");
    }

    proptest! {
        #[test]
        fn a_network_reads_back(bits: u128, is_v4: bool, prefix in 0..=128_u8) {
            let address = if is_v4 { IpAddr::V4((bits as u32).into()) } else { IpAddr::V6(bits.into()) };
            if let Ok(network) = format!("{address}/{prefix}").parse::<Network>() {
                prop_assert_eq!(network.to_string().parse::<Network>(), Ok(network));
                prop_assert!(prefix <= 32 || !is_v4);
            }
        }

        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _ = (text.parse::<Network>(), host(&text).key().into_owned());
            prop_assert!(host(&text).is_same(&host(&text)));
        }
    }
}
