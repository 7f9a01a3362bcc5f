//! SPIFFE ids as people name them. Used by `authz`, `tap` and `why`; pure.

/// `shop/gateway`; a name of another form as it is.
pub(crate) fn short(identity: &str) -> String {
    let parts: Vec<&str> = identity.split('/').collect();
    match parts[..] {
        ["spiffe:", "", _, "ns", namespace, "sa", account] => format!("{namespace}/{account}"),
        _ => identity.to_owned(),
    }
}
