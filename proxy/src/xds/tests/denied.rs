//! The deny list: in force at once, kept over a restart, never lost to a list that cannot be read or to a removal, and what
//! a control plane says of this workload itself.

use weft_certs::{Denied, Serial};
use weft_proto::config::{DeniedIdentity, DeniedSerial, DenyList};
use weft_proto::envoy::discovery::Resource;
use weft_proto::google::Any;
use weft_proto::names::DENY_LIST;

use super::restart::{alone_as, response};
use super::scene::{Scene, serve_product};
use super::{FakeControlPlane, Status};
use crate::xds::Kind;

const KIND: Kind = Kind::DenyList;

fn list(version: &str, identities: &[&str], serials: &[&[u8]]) -> Resource {
    let reason = || "key leaked".to_owned();
    let identity = |id: &&str| DeniedIdentity { id: (*id).to_owned(), reason: reason() };
    let serial = |serial: &&[u8]| DeniedSerial { serial: serial.to_vec(), reason: reason() };
    let message = DenyList {
        identities: identities.iter().map(identity).collect(),
        serials: serials.iter().map(serial).collect(),
    };
    let value = prost::Message::encode_to_vec(&message);
    let any = Any { type_url: KIND.type_url().to_owned(), value };
    Resource {
        name: DENY_LIST.to_owned(),
        version: version.to_owned(),
        resource: Some(any),
        ..Resource::default()
    }
}

#[tokio::test]
async fn a_list_outlives_bad_ones_removals_and_restarts() {
    let store = tempfile::tempdir().unwrap();
    let (mut client, mut changes) = alone_as(&store, false);
    client.reconnect();
    let order = "spiffe://demo.local/ns/shop/sa/order";
    client.take_response(response(KIND, vec![list("1", &[order], &[&[0x4f, 1]])])).unwrap();
    assert_eq!(changes.try_recv().unwrap(), "denied 2");
    for (bad, reason) in [
        (list("2", &[order, "spiffe://demo.local/order"], &[]), "identities[1].id: "),
        (list("2", &[], &[&[0]]), "serials[0].serial: not 1 to 20 bytes"),
        (list("2", &[], &[&[1; 21]]), "serials[0].serial: not 1 to 20 bytes"),
    ] {
        client.take_response(response(KIND, vec![bad])).unwrap();
        let rejection = client.state.kinds[KIND as usize].rejection.clone().unwrap();
        assert!(rejection.contains(reason), "{rejection}");
    }
    let mut removal = response(KIND, vec![]);
    removal.removed = vec![DENY_LIST.to_owned()];
    client.take_response(removal).unwrap();
    assert!(changes.try_recv().is_err(), "nothing of it lets anybody in");
    drop(client);

    let (mut client, mut changes) = alone_as(&store, false);
    assert_eq!(changes.try_recv().unwrap(), "denied 2", "in force before anybody is asked");
    client.reconnect();
    client.take_response(response(KIND, vec![list("3", &[], &[])])).unwrap();
    assert_eq!(changes.try_recv().unwrap(), "denied 0");
}

#[tokio::test]
async fn who_is_denied_himself_learns_it_from_the_end_of_his_stream() {
    let mut scene = Scene::start(FakeControlPlane::start());
    let credentials = scene.fake.credentials();
    scene.credentials.send_replace(Some(credentials.clone()));
    let own: &Serial = credentials.leaf.serial();
    scene.denials.set_own(Some((credentials.leaf.id().clone(), own.clone())));
    let mut denied = scene.denials.watch_own();
    let stream = serve_product(&mut scene).await;
    stream.fail(Status::permission_denied("denied: the certificate 77 is denied")).await;
    let stream = serve_product(&mut scene).await;
    assert_eq!(scene.denials.own(), None, "it is somebody else's");
    let text = format!("denied: the certificate {own} is denied: stolen");
    stream.fail(Status::permission_denied(text)).await;
    let denial = denied.wait_for(Option::is_some).await.unwrap().clone().unwrap();
    assert_eq!((denial.what, &*denial.reason), (Denied::Serial(own.clone()), "stolen"));
    serve_product(&mut scene).await;
    denied.wait_for(Option::is_none).await.unwrap();
}
