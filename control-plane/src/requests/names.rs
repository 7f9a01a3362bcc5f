//! What a person means by a name: `order`, `order.shop`, `order-v1.shop`; `payment`, `payment.shop:8080`. Pure.

use std::collections::BTreeMap;

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

    /// The same for whoever asks of one caller.
    ///
    /// # Errors
    /// In words: there is none, or there are some in several namespaces.
    pub(super) fn caller(self, mesh: &Mesh) -> Result<Vec<&Workload>, String> {
        let found = self.workloads(mesh)?;
        self.means_one(found.iter().map(|one| (one.display_name(), &*one.key.namespace)))?;
        Ok(found)
    }

    /// The Service of that name, if there is one; of several the one in `near`.
    ///
    /// # Errors
    /// In words: there are several, and none is nearer than the others.
    pub(super) fn service(
        self,
        mesh: &'a Mesh,
        near: Option<&str>,
    ) -> Result<Option<&'a Service>, String> {
        let named = || mesh.services.values().filter(|one| self.is(&one.key, &one.key.name));
        if let Some(near) = near.and_then(|near| named().find(|one| one.key.namespace == near)) {
            return Ok(Some(near));
        }
        self.means_one(named().map(|one| (&*one.key.name, &*one.key.namespace)))?;
        Ok(named().next())
    }

    /// Are they all of one namespace?
    fn means_one<'n>(self, found: impl Iterator<Item = (&'n str, &'n str)>) -> Result<(), String> {
        let mut namespaces = BTreeMap::new();
        for (name, namespace) in found {
            namespaces.entry(namespace).or_insert(name);
        }
        if namespaces.len() < 2 {
            return Ok(());
        }
        let all = namespaces.iter().map(|(namespace, name)| names::workload(name, namespace));
        Err(format!("{:?} may mean {}: add the namespace", self.name, offered(all)))
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
    use crate::access::testing::mesh;

    #[test]
    fn what_may_be_one_of_several_is_said() {
        let both: String = ["shop", "bank"]
            .map(|namespace| {
                format!(
                    "apiVersion: v1\nkind: Service\nmetadata: {{name: web, namespace: {namespace}}}\nspec: {{ports: [{{port: 80}}]}}\n---\n\
                     apiVersion: weft.dev/v1alpha1\nkind: MeshWorkload\nmetadata: {{name: web, namespace: {namespace}}}\nspec: {{address: 10.0.0.{}, ports: [{{port: 80}}]}}\n---\n",
                    namespace.as_bytes()[0]
                )
            })
            .concat();
        let mesh = mesh(&both);
        let service = |text, near| {
            let found = Written::read(text).unwrap().service(&mesh, near)?;
            Ok::<_, String>(found.map(|one| one.key.namespace.clone()))
        };
        let several = "\"web\" may mean web.bank, web.shop: add the namespace";
        assert_eq!(service("web", Some("shop")), Ok(Some("shop".to_owned())));
        assert_eq!(service("web.bank", Some("shop")), Ok(Some("bank".to_owned())));
        assert_eq!(service("web", None).unwrap_err(), several);
        assert_eq!(service("nobody", None), Ok(None));
        let caller = |text| Written::read(text).unwrap().caller(&mesh).map(|all| all.len());
        assert_eq!(caller("web").unwrap_err(), several);
        assert_eq!(caller("web.bank"), Ok(1));
    }

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
