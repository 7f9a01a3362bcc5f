//! What is intercepted and what is left alone: the settings of both kinds of rules. `config` fills them in; they
//! never hold anything that would have to be escaped, because only numbers and addresses get this far.

use super::{Cidrs, MAX_ENTRIES, Ports};

/// The application's connections are led here, on loopback.
pub const OUTBOUND_PORT: u16 = 15001;
/// Connections from outside are led here.
pub const INBOUND_PORT: u16 = 15006;
/// Health and metrics: reached from outside, left alone.
pub const HEALTH_PORT: u16 = 15020;
/// The user that the sidecar runs as.
pub const PROXY_UID: u32 = 1980;

/// What is intercepted, and what is left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where the sidecar takes the application's connections.
    pub outbound_port: u16,
    /// Where the sidecar takes connections from outside.
    pub inbound_port: u16,
    /// A port of the sidecar that is reached from outside directly.
    pub health_port: u16,
    /// The sidecar's own connections are known by it.
    pub proxy_uid: u32,
    /// Connections to these ports from outside are left alone.
    pub skip_inbound_ports: Ports,
    /// Connections of the application to these ports are left alone.
    pub skip_outbound_ports: Ports,
    /// Connections of the application to these networks are left alone.
    pub skip_outbound_cidrs: Cidrs,
    /// Connections from outside are led to the sidecar only where the application listens; elsewhere the kernel refuses
    /// them, as it would without a sidecar. With nft only.
    pub heard_only: bool,
    /// Connections of these users are left alone. Ascending, no two are one, without the sidecar's.
    pub skip_uids: Vec<u32>,
}

impl Settings {
    /// Checks what single values cannot show, and brings the users into their order.
    ///
    /// # Errors
    /// Two ports of the sidecar are one, or a list is longer than [`MAX_ENTRIES`].
    pub fn settle(mut self) -> Result<Self, String> {
        let ports = [
            ("outbound", self.outbound_port),
            ("inbound", self.inbound_port),
            ("health", self.health_port),
        ];
        for (index, (name, port)) in ports.iter().enumerate() {
            if let Some((other, _)) = ports[..index].iter().find(|(_, taken)| taken == port) {
                return Err(format!("{other} and {name} port are both {port}: give each its own"));
            }
        }
        self.skip_uids.retain(|uid| *uid != self.proxy_uid);
        self.skip_uids.sort_unstable();
        self.skip_uids.dedup();
        match self.longest_list() {
            long if long > MAX_ENTRIES => {
                Err(format!("a list has {long} entries, at most {MAX_ENTRIES}: use ranges"))
            }
            _ => Ok(self),
        }
    }

    fn longest_list(&self) -> usize {
        let ports = [&self.skip_inbound_ports, &self.skip_outbound_ports];
        let ports = ports.into_iter().map(|ports| ports.ranges().len()).max().unwrap_or(0);
        let cidrs = [true, false].map(|v4| self.skip_outbound_cidrs.of_family(v4).count());
        ports.max(cidrs[0].max(cidrs[1])).max(self.skip_uids.len())
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            outbound_port: OUTBOUND_PORT,
            inbound_port: INBOUND_PORT,
            health_port: HEALTH_PORT,
            proxy_uid: PROXY_UID,
            skip_inbound_ports: Ports::default(),
            skip_outbound_ports: Ports::default(),
            skip_outbound_cidrs: Cidrs::default(),
            heard_only: true,
            skip_uids: Vec::new(),
        }
    }
}

/// A list of users, `0,1000`.
///
/// # Errors
/// One is no number, or the one that means nobody.
pub fn uids(text: &str) -> Result<Vec<u32>, String> {
    super::entries(text)?.into_iter().map(uid).collect()
}

/// A user.
///
/// # Errors
/// It is no number, or the one that means nobody.
pub fn uid(text: &str) -> Result<u32, String> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    // The highest is what system calls take for "no change".
    text.parse().ok().filter(|uid| digits && *uid != u32::MAX).ok_or_else(|| {
        format!("`{text}` is no user id (0 to {}); names are not looked up", u32::MAX - 1)
    })
}

#[cfg(test)]
mod tests;
