//! When something is published.

use super::*;
use crate::translate::fixture::{BUNDLE, backend, route, shop, workload};

struct World {
    mesh: watch::Sender<Arc<Mesh>>,
    trust_bundle: watch::Sender<Arc<str>>,
    cache: Arc<Cache>,
    generation: watch::Receiver<u64>,
    task: tokio::task::JoinHandle<()>,
}

impl World {
    async fn start() -> Self {
        let (mesh, meshes) = watch::channel(Arc::new(shop()));
        let (trust_bundle, bundles) = watch::channel(Arc::from(BUNDLE));
        let cache = Cache::new();
        let generation = cache.watch();
        let task = tokio::spawn(Publisher::new(meshes, bundles, cache.clone()).run());
        let mut world = Self { mesh, trust_bundle, cache, generation, task };
        assert_eq!(world.next().await, 1);
        world
    }

    /// The next generation.
    async fn next(&mut self) -> u64 {
        self.generation.changed().await.unwrap();
        *self.generation.borrow_and_update()
    }

    fn change(&self, host: u8) {
        self.mesh.send_modify(|mesh| {
            workload(Arc::make_mut(mesh), "product-v1").address = [127, 66, 0, host].into();
        });
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_is_published_after_a_quiet_moment() {
    let mut world = World::start().await;
    let before = Instant::now();
    world.change(9);
    assert_eq!(world.next().await, 2);
    let took = before.elapsed();
    assert!(took >= QUIET && took < 2 * QUIET, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_burst_is_published_once() {
    let mut world = World::start().await;
    for host in 10..15 {
        world.change(host);
        tokio::time::advance(QUIET / 2).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(world.next().await, 2);
    let state = world.cache.read();
    let inbound = state.log(ResourceType::Listener).get("inbound/shop/product-v1").unwrap().version;
    let wanted = translate(&world.mesh.borrow(), BUNDLE);
    let wanted = wanted.get(ResourceType::Listener, "inbound/shop/product-v1").unwrap().version;
    assert_eq!(inbound, wanted);
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_changes_is_published_at_least_every_so_often() {
    let mut world = World::start().await;
    let before = Instant::now();
    let mut host = 10;
    while before.elapsed() < AT_MOST {
        host += 1;
        world.change(host);
        tokio::time::advance(QUIET / 2).await;
        tokio::task::yield_now().await;
    }
    // If it waited for quiet it would be later.
    assert_eq!(world.next().await, 2);
    assert!(before.elapsed() < AT_MOST + QUIET, "{:?}", before.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_new_trust_bundle_is_published() {
    let mut world = World::start().await;
    world.trust_bundle.send_replace(Arc::from("another"));
    assert_eq!(world.next().await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_reference_to_a_service_that_is_gone_does_not_stop_the_rest() {
    let mut world = World::start().await;
    world.mesh.send_modify(|mesh| {
        let mut one = route("r", ("web", 80), &[]);
        one.rules[0].backends = vec![backend("gone", 1, 1)];
        Arc::make_mut(mesh).routes.push(one);
    });
    assert_eq!(world.next().await, 2);
}

#[tokio::test(start_paused = true)]
async fn it_ends_with_its_source() {
    let world = World::start().await;
    drop(world.mesh);
    tokio::time::timeout(Duration::from_secs(1), world.task).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn after_a_long_translation_changes_that_never_rest_wait_for_longer() {
    let (mesh, meshes) = watch::channel(Arc::new(shop()));
    let (_trust_bundle, bundles) = watch::channel(Arc::from(BUNDLE));
    let mut publisher = Publisher::new(meshes, bundles, Cache::new());
    let ended = Instant::now();
    tokio::time::advance(AT_MOST).await;
    publisher.throttle.done(ended, Instant::now());
    let begun = Instant::now();
    let busy = tokio::spawn(async move {
        loop {
            mesh.send_modify(|_| {});
            sleep_until(Instant::now() + QUIET / 2).await;
        }
    });
    publisher.quiet().await.unwrap();
    assert_eq!(begun.elapsed(), 4 * AT_MOST);
    busy.abort();
    // Nothing is left of it after a rest.
    let (mesh, meshes) = watch::channel(Arc::new(shop()));
    publisher.mesh = meshes;
    tokio::time::advance(AT_MOST).await;
    mesh.send_modify(|_| {});
    let begun = Instant::now();
    publisher.quiet().await.unwrap();
    assert!(begun.elapsed() < 2 * AT_MOST, "{:?}", begun.elapsed());
}
