//! What idle opaque connections cost in memory. Called by `run`, for each pair that carries opaque bytes, on a pair of
//! its own: what other loads left in an allocator must not hide what connections take. Every connection carries a word
//! there and back first, and again at the end, so that it surely goes through to the application and was kept.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::time::{sleep, timeout};

use crate::cell::{IDLE, Protocol};
use crate::load::tcp::Echo;
use crate::peer::{Kind, Peer};
use crate::report::{Idle, Memory};
use crate::site::Site;
use crate::{files, pattern};

/// Files of a process that are no connections.
const SPARE: u64 = 500;
/// Connections that are opened at a time.
const TOGETHER: usize = 16;
/// Limit on the opening of all, and on the last words.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between the last word and the reading of memory.
const REST: Duration = Duration::from_secs(3);

/// Opens `wanted` connections, or as many as a process may have files for.
pub(crate) async fn measure(kind: Kind, site: &Site, wanted: usize) -> Result<Option<Idle>> {
    let mut peer = Peer::start(kind, site, &format!("{}-idle", kind.name())).await?;
    if !peer.carries(Protocol::Tcp) {
        return Ok(None);
    }
    let possible = usize::try_from(files::limit()?.saturating_sub(SPARE) / 2)?;
    let count = wanted.min(possible);
    sleep(REST).await;
    let without = Memory::of(&peer)?;
    let opening = open(&peer, count);
    let opened = timeout(PATIENCE, opening).await.context("not all were open in time")?;
    let mut connections = opened.with_context(|| format!("{} in {IDLE}", kind.name()))?;
    sleep(REST).await;
    let with = Memory::of(&peer)?;
    let again = async {
        for connection in &mut connections {
            connection.exchange(&pattern::word()).await?;
        }
        Ok(())
    };
    let kept: Result<()> = timeout(PATIENCE, again).await.context("not all answered in time")?;
    kept.with_context(|| format!("{}: an idle connection was not kept", kind.name()))?;
    ensure!(connections.len() == count, "{} of {count} connections", connections.len());
    peer.check()?;
    Ok(Some(Idle::new(kind.name(), count, without, with)))
}

async fn open(peer: &Peer, count: usize) -> Result<Vec<Echo>> {
    let address = peer.target(Protocol::Tcp)?.address;
    let mut tasks = tokio::task::JoinSet::new();
    for place in 0..TOGETHER {
        let share = count / TOGETHER + usize::from(place < count % TOGETHER);
        tasks.spawn(async move {
            let (mut connections, word) = (Vec::with_capacity(share), pattern::word());
            for _ in 0..share {
                let mut connection = Echo::open(address).await?;
                connection.exchange(&word).await?;
                connections.push(connection);
            }
            Ok::<_, anyhow::Error>(connections)
        });
    }
    let mut all = Vec::with_capacity(count);
    while let Some(connections) = tasks.join_next().await {
        all.extend(connections.context("a task of the load panicked")??);
    }
    Ok(all)
}
