//! One request has one canonical form, whatever version and form of target it came in.

use http::{Request, Version};
use proptest::prelude::*;

use super::request;
use crate::canonical::{canonicalise, host};

/// What routing and policy judge.
fn judged(request: &Request<()>) -> (String, String, Option<String>) {
    let uri = request.uri();
    (host(request).into_owned(), uri.path().to_owned(), uri.query().map(str::to_owned))
}

fn canonical(mut request: Request<()>) -> Option<Request<()>> {
    canonicalise(&mut request, "default.test").ok().map(|()| request)
}

proptest! {
    /// Origin form, absolute form, HTTP/1.0 and HTTP/2: the same host, path and query, or none of them.
    #[test]
    fn all_forms_are_judged_alike(
        authority in "[aB]([.-][cD]){0,2}\\.?(:[0-9]{1,5})?|\\[::1\\](:80)?|a,b|a:b",
        path in "/([aB./;]|%2e|%2F|%41|%00){0,12}", query in "(\\?[a/.%&=]{0,6})?",
    ) {
        let target = format!("{path}{query}");
        // A path that begins so is no target of its own: it would be read as an authority.
        prop_assume!(!path.starts_with("//"));
        let absolute = format!("http://{authority}{target}");
        prop_assume!(absolute.parse::<http::Uri>().is_ok());
        let upper = authority.to_uppercase();
        let forms = [
            canonical(request(Version::HTTP_11, &target, &[&authority])),
            canonical(request(Version::HTTP_11, &absolute, &[&upper])),
            canonical(request(Version::HTTP_10, &target, &[&upper])),
            canonical(request(Version::HTTP_10, &absolute, &[])),
            canonical(request(Version::HTTP_2, &absolute, &[])),
            canonical(request(Version::HTTP_2, &absolute, &[&upper])),
        ];
        let all: Vec<_> = forms.iter().map(|form| form.as_ref().map(judged)).collect();
        prop_assert!(all.iter().all(|form| *form == all[0]), "{all:?}");
        for form in forms.iter().flatten() {
            let (hosts, authority) = (form.headers().get_all("host").iter().count(), form.uri().authority());
            let h2 = form.version() == Version::HTTP_2;
            prop_assert_eq!((hosts, authority.is_some()), if h2 { (0, true) } else { (1, false) });
            prop_assert_ne!(form.version(), Version::HTTP_10);
        }
    }

    /// Two hosts are one too many, wherever they stand.
    #[test]
    fn another_host_is_never_overlooked(one in "[ab]{1,3}", other in "[ab]{1,3}") {
        prop_assume!(one != other);
        let absolute = format!("http://{one}/");
        for (version, target, hosts) in [
            (Version::HTTP_11, "/", vec![&*one, &other]),
            (Version::HTTP_11, &absolute, vec![&other]),
            (Version::HTTP_11, &absolute, vec![&one, &other]),
            (Version::HTTP_10, &absolute, vec![&other]),
            (Version::HTTP_2, &absolute, vec![&other]),
            (Version::HTTP_2, &absolute, vec![&one, &other]),
        ] {
            prop_assert!(canonical(request(version, target, &hosts)).is_none(), "{target} {hosts:?}");
        }
    }
}
