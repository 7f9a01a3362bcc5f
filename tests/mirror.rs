//! Copies of requests: they arrive, and nothing else comes of them.

use std::time::Duration;

use anyhow::ensure;
use http::Method;
use tokio::time::Instant;

use crate::harness::manifests::{backend, http_route};
use crate::harness::{Act, Builder, Load, Mesh, eventually, http1, http2, request};

fn mirror(to: &str, share: &str) -> String {
    format!(
        "{{type: RequestMirror, requestMirror: {{backendRef: {{name: {to}, port: 8080}}{share}}}}}"
    )
}

fn mesh(mirrors: &[String]) -> Builder {
    let rule = format!(
        "  - filters: [{}]\n    backendRefs: [{}]\n",
        mirrors.join(", "),
        backend("product", 1)
    );
    Mesh::builder()
        .service("product", &["v1"])
        .service("shadow", &["v1"])
        .service("second", &["v1"])
        .caller("gateway")
        .file("route.yaml", &http_route("product", "product", &rule))
}

#[tokio::test]
async fn every_mirror_gets_the_whole_request_and_the_client_its_own_answer() {
    let mesh = mesh(&[mirror("shadow", ""), mirror("second", ", percent: 100")]).start().await;
    let entry = mesh.entry("gateway", "product");
    let body = "x".repeat(200_000);
    let sent = || request(Method::POST, "/a?b", &[("host", "sent.example")], &body);
    for answer in [http1(entry, sent()).await.unwrap(), http2(entry, sent()).await.unwrap()] {
        assert_eq!(answer.workload(), "product-v1");
    }
    for name in ["shadow-v1", "second-v1"] {
        let app = mesh.app(name);
        eventually("both copies are whole", Duration::from_secs(5), async || {
            ensure!(app.bodies().len() == 2, "{}", app.bodies().len());
            Ok(())
        })
        .await;
        assert!(app.bodies().iter().all(|copy| copy == body.as_bytes()), "{name}");
        let seen = &app.seen()[0];
        assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/a?b"));
        assert_eq!(seen.headers["host"], "sent.example", "without a suffix");
    }
    eventually("copies are counted apart", Duration::from_secs(5), async || {
        let gateway = mesh.proxy("gateway");
        let copies = gateway.metric("weft_mirrored_requests_total", &["answered"]).await?;
        let requests = gateway.metric("weft_requests_total", &[]).await?;
        ensure!((copies, requests) == (4.0, 2.0), "{copies} copies of {requests}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_mirror_that_fails_hangs_or_is_away_is_not_noticed() {
    let mesh = mesh(&[mirror("shadow", ""), mirror("nobody", "")]).start().await;
    let entry = mesh.entry("gateway", "product");
    let shadow = mesh.app("shadow-v1");
    for act in [Act::Status(500), Act::Close, Act::Hang] {
        shadow.script(move |_| act);
        let start = Instant::now();
        for _ in 0..20 {
            let answer = http1(entry, request(Method::POST, "/", &[], "x")).await.unwrap();
            assert_eq!((answer.status.as_u16(), answer.workload().as_str()), (200, "product-v1"));
        }
        // Waiting for a mirror that hangs would have no end.
        assert!(start.elapsed() < Duration::from_secs(60), "{act:?}: {:?}", start.elapsed());
    }
    shadow.stop();
    let mut load = Load::start(entry, 60);
    load.passes(100).await;
    load.stop().await.assert_no_failures();
    // Twenty hang; a mirror that takes none of a large body must not hold it back either.
    shadow.listen().await.unwrap();
    let large = "x".repeat(4 << 20);
    let answer = http1(entry, request(Method::POST, "/", &[], &large)).await.unwrap();
    assert_eq!(answer.json()["body"].as_str().unwrap().len(), large.len());
}

#[tokio::test]
async fn a_share_of_the_requests_is_mirrored() {
    let mesh = mesh(&[
        mirror("shadow", ", fraction: {numerator: 1, denominator: 4}"),
        mirror("second", ", percent: 0"),
    ])
    .start()
    .await;
    let mut load = Load::start(mesh.entry("gateway", "product"), 200);
    load.passes(800).await;
    let count = load.stop().await.count();
    let share = |of: usize| i64::try_from(of).unwrap();
    let (expected, shadow) = (share(count) / 4, mesh.app("shadow-v1"));
    // Seven standard deviations of a binomial distribution with p = 1/4.
    let bound = 7 * (share(count) * 3 / 16).isqrt() + 1;
    eventually("the copies have arrived", Duration::from_secs(5), async || {
        let found = share(shadow.count());
        ensure!((found - expected).abs() <= bound, "{found} of {count}");
        Ok(())
    })
    .await;
    assert_eq!(mesh.app("second-v1").count(), 0);
}
