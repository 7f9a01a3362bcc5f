//! Asks both proxies the same, a few groups at a time, and judges. Called by the suite's one test.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::case::{Case, Group, Step};
use super::client::{Answer, Door, send};
use super::compare::{Observed, Outcome, compare};
use super::site::Site;
use super::upstream::Ledger;

/// Groups at a time. More would make slow machines break time limits.
const AT_ONCE: usize = 4;
/// How long attempts that come after the answer are waited for.
const LATE: Duration = Duration::from_secs(10);
/// A machine that stands still for longer than this says nothing of who keeps time limits.
const STILL: Duration = Duration::from_millis(60);
/// So often a case is played that the machine did not let be judged.
const TIMES: usize = 5;

/// How every case ended, by `service/case`.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Cases that agree.
    pub(crate) agreeing: usize,
    /// Known differences, with their reasons.
    pub(crate) different: Vec<(String, &'static str)>,
    /// What went wrong.
    pub(crate) failing: Vec<(String, String)>,
}

impl Tally {
    /// All cases.
    pub(crate) fn count(&self) -> usize {
        self.agreeing + self.different.len() + self.failing.len()
    }

    fn add(&mut self, name: String, outcome: Outcome) {
        match outcome {
            Outcome::Agreeing => self.agreeing += 1,
            Outcome::Different(reason) => self.different.push((name, reason)),
            Outcome::Failing(what) => self.failing.push((name, what)),
        }
    }

    /// For people: counts, reasons, and what is wrong.
    pub(crate) fn report(&self) -> String {
        let mut text = String::new();
        for (name, reason) in &self.different {
            let _ = writeln!(text, "differs knowingly: {name}: {reason}");
        }
        for (name, what) in &self.failing {
            let _ = writeln!(text, "FAILS: {name}\n{what}");
        }
        let (agreeing, different) = (self.agreeing, self.different.len());
        let failing = self.failing.len();
        let _ = writeln!(
            text,
            "oracle: {} cases: {agreeing} agree, {different} differ knowingly, {failing} fail",
            self.count()
        );
        text
    }
}

/// Runs all cases.
pub(crate) async fn run(site: &Site, groups: Vec<Group>) -> Tally {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let (mut running, pauses) = (JoinSet::new(), pauses());
    for group in groups {
        let (doors, ledger) = (site.doors(&group.service), Arc::clone(&site.ledger));
        let (places, pauses) = (Arc::clone(&places), Arc::clone(&pauses));
        running.spawn(async move {
            let _place = places.acquire_owned().await;
            // Boxed: both proxies' clients are in it.
            Box::pin(run_group(group, &doors, &ledger, &pauses)).await
        });
    }
    let mut tally = Tally::default();
    while let Some(outcomes) = running.join_next().await {
        for (name, outcome) in outcomes.expect("no case panics") {
            tally.add(name, outcome);
        }
    }
    tally.different.sort();
    tally.failing.sort();
    tally
}

/// Counts how often this machine stood still.
fn pauses() -> Arc<AtomicUsize> {
    let pauses = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&pauses);
    tokio::spawn(async move {
        loop {
            let start = Instant::now();
            sleep(STILL / 6).await;
            count.fetch_add(usize::from(start.elapsed() > STILL), Ordering::Relaxed);
        }
    });
    pauses
}

async fn run_group(
    group: Group,
    doors: &[Door; 2],
    ledger: &Ledger,
    pauses: &AtomicUsize,
) -> Vec<(String, Outcome)> {
    let mut outcomes = Vec::new();
    for case in &group.cases {
        let name = format!("{}/{}", group.service, case.name);
        let mut times = 0;
        let outcome = loop {
            let before = pauses.load(Ordering::Relaxed);
            let outcome = Box::pin(judge(case, doors, ledger)).await;
            times += 1;
            let is_fair = pauses.load(Ordering::Relaxed) == before;
            match &outcome {
                Outcome::Failing(what) if !is_fair && times < TIMES => {
                    eprintln!("once more, the machine stood still: {name}\n{what}");
                }
                _ => break outcome,
            }
        };
        outcomes.push((name, outcome));
    }
    outcomes
}

async fn judge(case: &Case, [weft, envoy]: &[Door; 2], ledger: &Ledger) -> Outcome {
    // Side by side: each proxy has its own connections to the upstream and its own names in the ledger.
    let both = tokio::join!(play(weft, case, ledger, 'w'), play(envoy, case, ledger, 'e'));
    match both {
        (Ok(weft), Ok(envoy)) => compare(case, &weft, &envoy),
        (Err(error), _) => Outcome::Failing(format!("weft: {error:#}")),
        (_, Err(error)) => Outcome::Failing(format!("envoy: {error:#}")),
    }
}

async fn play(door: &Door, case: &Case, ledger: &Ledger, proxy: char) -> Result<Vec<Observed>> {
    if case.at_once {
        let all = case.steps.iter().map(|step| ask(door, step, ledger, proxy));
        return try_join_all(all).await;
    }
    let mut observed: Vec<Observed> = Vec::new();
    for step in &case.steps {
        let cookies = observed.iter().flat_map(|earlier| set_cookies(&earlier.answer));
        let step = match cookies.last().filter(|_| step.keeps_cookies) {
            Some(cookie) => &step.clone().header("cookie", &cookie),
            None => step,
        };
        observed.push(ask(door, step, ledger, proxy).await.with_context(|| step.target.clone())?);
    }
    Ok(observed)
}

/// `name=value` of each cookie that an answer sets.
fn set_cookies(answer: &Answer) -> impl Iterator<Item = String> {
    let all = answer.headers.get_all("set-cookie").iter();
    all.filter_map(|cookie| Some(cookie.to_str().ok()?.split(';').next()?.to_owned()))
}

async fn ask(door: &Door, step: &Step, ledger: &Ledger, proxy: char) -> Result<Observed> {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    // Of one length, so that nothing can depend on it.
    let id = format!("{:06}{proxy}", NEXT.fetch_add(1, Ordering::Relaxed));
    sleep(Duration::from_millis(step.pause)).await;
    ledger.expect(&id, step);
    let answer = send(door, step, &id).await?;
    let end = Instant::now() + LATE;
    let whole = || ledger.seen(&id).iter().filter(|seen| seen.is_whole).count();
    while whole() < step.arrivals && Instant::now() < end {
        sleep(Duration::from_millis(5)).await;
    }
    let mut seen = ledger.seen(&id);
    if step.arrivals > 1 {
        // Copies are on the way beside the request.
        seen.sort_by_key(|seen| seen.backend);
    }
    Ok(Observed { answer, seen })
}
