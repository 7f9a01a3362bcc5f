//! `cargo +nightly fuzz run manifests`: what users write, as the control plane reads it, and on to what it says of it: that is
//! consistent in itself, and a sidecar takes all of it.

#![no_main]

use std::sync::LazyLock;
use std::time::SystemTime;

use weft_certs::Authority;
use weft_control_plane::source::analyze;
use weft_control_plane::translate::{ResourceType, translate};

static BUNDLE: LazyLock<String> = LazyLock::new(|| {
    let domain = "cluster.local".parse().expect("it is one");
    let made = Authority::create(&domain, SystemTime::now(), Default::default());
    made.expect("there is randomness").bundle().to_pem()
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (mesh, _findings) = analyze(&[("mesh.yaml", text)]);
    let set = translate(&mesh, &BUNDLE);
    assert_eq!(set.check(), Ok(()));
    for kind in ResourceType::ALL {
        for resource in set.all(kind) {
            weft_proxy::fuzzing::accepted(kind.type_url(), &resource.body());
        }
    }
});
