//! The API server is away for a while: everything that is known stays in force, and when it is back nobody storms it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use anyhow::{Result, ensure};

use super::proxy::issue;
use super::relay::Relay;
use super::scene::{Asked, Replica, SOON, Scene, id};
use super::source::{becomes, caller, change, ready, shop};
use crate::harness::{eventually, get};

/// Waits until it leads, so that all of it works.
async fn leads(replica: &Replica) {
    eventually("it leads", SOON, async || {
        let log = replica.process().log();
        let last = log.rsplit("leader election").next();
        ensure!(last.is_some_and(|last| last.contains("\"leads\":true")), "{log}");
        Ok(())
    })
    .await;
}

/// Waits until the control plane has noticed, all of it: what is renewed in time goes last.
async fn notices(replica: &Replica) {
    eventually("it has noticed", SOON, async || {
        let log = replica.process().log();
        ensure!(log.contains("the Lease could not be renewed in time"), "{log}");
        Ok(())
    })
    .await;
}

/// It serves who is connected, who comes anew, and who renews.
async fn serves(replica: &Replica, authority: &weft_certs::Authority) -> Result<()> {
    let day = std::time::Duration::from_secs(24 * 3600);
    let order = id("order");
    let leaf = authority.leaf_for(&order, day, std::time::SystemTime::now())?;
    issue(replica, authority, &order, (None, Some(&leaf))).await?;
    let answer = replica.admin().get("/v1/mesh").await?;
    ensure!(answer["counts"]["workloads"] == 4, "{answer}");
    let ready = get(replica.health, "/ready").await?;
    ensure!(ready.status.is_success(), "{ready:?}");
    Ok(())
}

/// What is watched at the end of this. Watches that were refused began none.
fn watched(asked: &[Asked]) -> BTreeSet<&str> {
    let mut open: BTreeMap<&str, i32> = BTreeMap::new();
    for one in asked.iter().filter(|asked| asked.verb == "watch" && asked.code == 200) {
        *open.entry(one.resource.as_str()).or_default() += if one.is_over { -1 } else { 1 };
    }
    open.into_iter().filter(|(_, count)| *count > 0).map(|(resource, _)| resource).collect()
}

/// Waits until all is watched again that was before the first `asked`; what has been asked since.
async fn watches_again(scene: &Scene, before: usize, asked: usize) -> Vec<Asked> {
    eventually("everything is watched again", SOON, async || {
        let mut all = scene.asked();
        let since = all.split_off(asked);
        all.truncate(before);
        let missing: Vec<_> = watched(&all).difference(&watched(&since)).copied().collect();
        ensure!(missing.is_empty(), "{missing:?} of {all:?}");
        Ok(since)
    })
    .await
}

/// How often each resource, or one object of it, was listed with success.
fn lists(asked: &[Asked]) -> BTreeMap<String, usize> {
    let mut lists = BTreeMap::new();
    for one in asked.iter().filter(|asked| asked.verb == "list" && asked.code == 200) {
        *lists.entry(format!("{} {}", one.resource, one.name)).or_insert(0) += 1;
    }
    lists
}

/// How often each resource was asked for in vain.
fn refusals(asked: &[Asked]) -> BTreeMap<&str, usize> {
    let mut refusals = BTreeMap::new();
    for one in asked.iter().filter(|asked| asked.is_over && asked.code != 200) {
        *refusals.entry(one.resource.as_str()).or_default() += 1;
    }
    refusals
}

/// Lines of warnings and errors since the log had this length.
fn complaints(replica: &Replica, before: usize) -> Vec<String> {
    let log = replica.process().log();
    let new = log.get(before..).unwrap_or_default().lines();
    let bad = |line: &&str| line.contains("\"WARN\"") || line.contains("\"ERROR\"");
    new.filter(bad).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_cut_cable_costs_no_list_at_all() {
    let Some(scene) = Scene::start("cut").await else { return };
    shop(&scene).await;
    let direct = scene.account.address();
    let through = std::net::SocketAddr::new(direct.ip(), 7443);
    let relay = Relay::start(through, direct).await;
    let replica = scene.spawn_with("one", &scene.account.by_way_of(7443), &[]);
    replica.ready().await;
    let authority = scene.authority().await;
    let mut proxy = caller(&scene, &replica).await;
    leads(&replica).await;
    let told = proxy.told.len();
    let (before, logged) = (scene.asked().len(), replica.process().log().len());

    relay.cut().await;
    notices(&replica).await;
    serves(&replica, &authority).await.unwrap();
    change(&scene, "order-1", &[ready("order-2", "10.1.0.6")]).await;
    let complained = complaints(&replica, logged);
    assert!(complained.len() <= 16, "one word for each watch is enough: {complained:#?}");

    let asked = scene.asked().len();
    let _relay = Relay::start(through, direct).await;
    becomes(&mut proxy, "order.shop:80", &["10.1.0.6:8080"]).await;
    assert_eq!(proxy.told.len(), told + 1, "what has not changed is not told again");
    let since = watches_again(&scene, before, asked).await;
    assert!(lists(&since).is_empty(), "watches go on where they were: {since:?}");
    scene.assert_nothing_was_forbidden(&[&replica]);
}

/// An API server that was started anew remembers no history, so every watch has to list once. Once.
#[tokio::test]
async fn an_api_server_that_comes_back_is_not_stormed() {
    let Some(scene) = Scene::start("away").await else { return };
    shop(&scene).await;
    let replica = scene.replica("one").await;
    let authority = scene.authority().await;
    let mut proxy = caller(&scene, &replica).await;
    leads(&replica).await;
    let told = proxy.told.len();
    let (asked, logged) = (scene.asked().len(), replica.process().log().len());

    scene.server.kill();
    notices(&replica).await;
    serves(&replica, &authority).await.unwrap();
    let status = issue(&replica, &authority, &id("order"), (Some("a token"), None)).await;
    let status = status.map(|_| ()).unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unavailable, "it may try again: {status}");

    let back = Instant::now();
    scene.server.start_again().await;
    change(&scene, "order-1", &[ready("order-2", "10.1.0.6")]).await;
    becomes(&mut proxy, "order.shop:80", &["10.1.0.6:8080"]).await;
    assert_eq!(proxy.told.len(), told + 1, "what has not changed is not told again");
    leads(&replica).await;

    let since = watches_again(&scene, asked, asked).await;
    let lists = lists(&since);
    eprintln!("after its return the API server was asked {} times, lists: {lists:?}", since.len());
    assert!(lists.values().all(|count| *count <= 1), "{lists:?}");
    // The Lease is renewed as long as it takes, and an API server that starts refuses as long as it takes.
    let served = since.iter().filter(|one| one.resource != "leases" && one.code == 200).count();
    assert!(served < 100, "{since:?}");
    let most = 20 + usize::try_from(back.elapsed().as_secs()).unwrap();
    assert!(refusals(&since).values().all(|count| *count < most), "{since:?}");
    let complained = complaints(&replica, logged);
    assert!(complained.len() <= 12 + most, "{complained:#?}");
    // Not looked at: whether anything was forbidden. An API server that starts refuses for a moment what its roles allow.
}
