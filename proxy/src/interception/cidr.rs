//! Lists of networks as people write them: `10.0.0.0/8,fd00::/8`. The settings read them; what they hold never
//! overlaps, because nft refuses sets whose intervals do. Two networks are one in the other or apart, never askew.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A network, IPv4 or IPv6. No bit of the address is beyond the prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cidr {
    address: IpAddr,
    /// At most 32 or 128.
    prefix: u8,
}

/// A list of networks: ascending, none within another. At most [`MAX_ENTRIES`](super::MAX_ENTRIES) as written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cidrs(Vec<Cidr>);

impl Cidr {
    /// Is it IPv4?
    #[must_use]
    pub fn is_v4(&self) -> bool {
        self.address.is_ipv4()
    }

    fn contains(&self, other: &Self) -> bool {
        self.is_v4() == other.is_v4()
            && self.prefix <= other.prefix
            && masked(other.address, self.prefix) == self.address
    }
}

impl Cidrs {
    /// Several lists as one.
    #[must_use]
    pub fn merge(lists: impl IntoIterator<Item = Self>) -> Self {
        let mut all: Vec<Cidr> = lists.into_iter().flat_map(|list| list.0).collect();
        // Order: by address, then the wider first, so that one within another comes right after what holds it.
        all.sort_unstable();
        let mut kept: Vec<Cidr> = Vec::with_capacity(all.len());
        for cidr in all {
            if !kept.last().is_some_and(|before| before.contains(&cidr)) {
                kept.push(cidr);
            }
        }
        Self(kept)
    }

    /// Those of one family, ascending.
    pub fn of_family(&self, v4: bool) -> impl Iterator<Item = &Cidr> {
        self.0.iter().filter(move |cidr| cidr.is_v4() == v4)
    }
}

impl FromStr for Cidrs {
    type Err = String;

    /// Nothing at all is the empty list.
    fn from_str(text: &str) -> Result<Self, String> {
        let entries = super::entries(text)?;
        let cidrs = entries.into_iter().map(str::parse).collect::<Result<Vec<_>, _>>()?;
        Ok(Self::merge([Self(cidrs)]))
    }
}

impl FromStr for Cidr {
    type Err = String;

    /// An address alone is that one address.
    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is no network, as 10.0.0.0/8 or fd00::/8");
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => most,
            Some(prefix) if !prefix.bytes().all(|byte| byte.is_ascii_digit()) => return Err(bad()),
            Some(prefix) => {
                prefix.parse().ok().filter(|prefix| *prefix <= most).ok_or_else(|| {
                    format!("`{text}`: the prefix of such an address is 0 to {most}")
                })?
            }
        };
        if let IpAddr::V6(v6) = address
            && let Some(v4) = v6.to_ipv4_mapped()
        {
            return Err(format!("`{text}` is IPv4 written as IPv6, never seen on the wire: {v4}"));
        }
        let network = masked(address, prefix);
        if network != address {
            // Taken as it stands it would leave alone more, or less, than its writer meant.
            return Err(format!(
                "`{text}` has bits beyond its prefix: write {network}/{prefix} or {address}/{most}"
            ));
        }
        Ok(Self { address, prefix })
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    let prefix = u32::from(prefix);
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(prefix)).unwrap_or(0);
            IpAddr::V4((v4.to_bits() & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(prefix)).unwrap_or(0);
            IpAddr::V6((v6.to_bits() & mask).into())
        }
    }
}

#[cfg(test)]
mod tests;
