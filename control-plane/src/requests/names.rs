//! What a person means by a name: `order`, `order.shop`, `order-v1.shop`; `payment`, `payment.shop:8080`. Pure.

use weft_proto::names;

use crate::model::{Key, Mesh, Service, Workload};

/// Bound: names that are offered instead of one that is not there.
const MAX_OFFERED: usize = 20;

/// A name as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Written<'a> {
    pub(super) name: &'a str,
    pub(super) namespace: Option<&'a str>,
    pub(super) port: Option<u16>,
    /// Without the port. A workload's own name may have dots in it, which a pod's may.
    host: &'a str,
}

impl<'a> Written<'a> {
    /// Reads it.
    ///
    /// # Errors
    /// In words.
    pub(super) fn read(text: &'a str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a name, name.namespace or name.namespace:port");
        let (host, port) = match text.split_once(':') {
            None => (text, None),
            Some((host, port)) => (host, Some(port.parse::<u16>().map_err(|_| wrong())?)),
        };
        let (name, namespace) = match host.split_once('.') {
            None => (host, None),
            // As in `payment.shop.svc.cluster.local`.
            Some((name, rest)) => (name, rest.split('.').next()),
        };
        let is_empty = name.is_empty() || namespace.is_some_and(str::is_empty) || port == Some(0);
        if is_empty { Err(wrong()) } else { Ok(Self { name, namespace, port, host }) }
    }

    fn is(self, key: &Key, name: &str) -> bool {
        let in_full = names::parse_workload(self.host) == Some((&*key.name, &*key.namespace));
        in_full
            || self.namespace.is_none_or(|namespace| namespace == key.namespace)
                && [name, &key.name].contains(&self.name)
    }

    /// The workloads of that name, or that are known by it.
    ///
    /// # Errors
    /// In words: there is none.
    pub(super) fn workloads(self, mesh: &Mesh) -> Result<Vec<&Workload>, String> {
        let all = mesh.workloads.values();
        let found: Vec<_> = all.filter(|one| self.is(&one.key, one.display_name())).collect();
        if !found.is_empty() {
            return Ok(found);
        }
        let known = mesh.workloads.values();
        let known = known.map(|one| names::workload(one.display_name(), &one.key.namespace));
        Err(format!("no workload is called {:?}; there are {}", self.name, offered(known)))
    }

    /// The Service of that name; of several the one in `near`.
    pub(super) fn service(self, mesh: &'a Mesh, near: Option<&str>) -> Option<&'a Service> {
        let named = || mesh.services.values().filter(|one| self.is(&one.key, &one.key.name));
        let near = near.and_then(|near| named().find(|one| one.key.namespace == near));
        near.or_else(|| named().next())
    }
}

/// What there is, for who asked for something else.
pub(super) fn offered(all: impl Iterator<Item = String>) -> String {
    let mut all: Vec<String> = all.collect();
    all.sort();
    all.dedup();
    let more = all.len().saturating_sub(MAX_OFFERED);
    all.truncate(MAX_OFFERED);
    match more {
        0 => all.join(", "),
        more => format!("{} and {more} more", all.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_people_write_them() {
        let read = |text| Written::read(text).map(|w| (w.name, w.namespace, w.port));
        assert_eq!(read("order"), Ok(("order", None, None)));
        assert_eq!(read("order.shop"), Ok(("order", Some("shop"), None)));
        assert_eq!(read("payment.shop:8080"), Ok(("payment", Some("shop"), Some(8080))));
        assert_eq!(read("payment:8080"), Ok(("payment", None, Some(8080))));
        let long = "payment.shop.svc.cluster.local:80";
        assert_eq!(read(long), Ok(("payment", Some("shop"), Some(80))));
        let key = Key::new("shop", "web-1.2");
        let is = |text: &str| Written::read(text).unwrap().is(&key, "web");
        assert!(is("web-1.2.shop") && is("web.shop") && is("web"));
        assert!(!is("web-1.2.bank") && !is("web-1.shop") && !is("web-1.2"));
        for wrong in ["", ".shop", "a.", "a:b", "a:0", ":80"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
