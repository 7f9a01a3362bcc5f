//! What was noted, as it is sent to who asked: the books of all workers as one, in messages of bounded size.

use std::collections::BTreeMap;

use tokio::time::Instant;
use weft_certs::SpiffeId;
use weft_proto::telemetry as wire;

use super::{Caller, Notes, Traffic, slices};

/// Bound: bytes of one message, about.
const MAX_MESSAGE: usize = 256 * 1024;
/// What a request takes beside its text, and a caller.
const OVERHEAD: usize = 16;

#[derive(Default)]
struct Sum {
    requests: BTreeMap<Box<str>, u64>,
    connections: u64,
}

impl Traffic {
    /// Everything of the last so many seconds, at most ten minutes: in one message or several, of which each but the
    /// last says that more follows.
    #[must_use]
    pub fn answer(&self, ask: wire::AskTraffic, now: Instant) -> Vec<wire::AccessTraffic> {
        let (first, covered) = slices::since(self.origin, now, ask.seconds.into());
        let (mut sums, mut beyond) = (BTreeMap::<Caller, Sum>::new(), Sum::default());
        for book in &self.books {
            book.others.add_to(&mut beyond, first);
            for (caller, notes) in book.callers().iter() {
                notes.add_to(sums.entry(caller.clone()).or_default(), first);
            }
        }
        let beyond = beyond.requests.values().sum::<u64>() + beyond.connections;
        let mut messages = vec![wire::AccessTraffic { beyond, ..Default::default() }];
        let mut size = 0;
        for (caller, sum) in sums {
            put(&caller, sum, &mut messages, &mut size);
        }
        let last = messages.len() - 1;
        for (index, message) in messages.iter_mut().enumerate() {
            message.id = ask.id;
            message.seconds = u32::try_from(covered).unwrap_or(u32::MAX);
            message.more = index < last;
        }
        messages
    }
}

/// Adds a caller, in as many messages as it takes.
fn put(caller: &Caller, sum: Sum, messages: &mut Vec<wire::AccessTraffic>, size: &mut usize) {
    if sum.requests.is_empty() && sum.connections == 0 {
        return;
    }
    let identity = caller.identity.as_ref().map_or("", SpiffeId::as_str);
    let (head, mut connections) = (identity.len() + OVERHEAD * 2, sum.connections);
    let mut requests = sum.requests.into_iter().peekable();
    loop {
        if *size > 0 && *size + head + MAX_MESSAGE / 64 > MAX_MESSAGE {
            messages.push(wire::AccessTraffic::default());
            *size = 0;
        }
        *size += head;
        let mut page = wire::CallerTraffic {
            identity: identity.to_owned(),
            address: caller.address.to_string(),
            port: caller.port.into(),
            requests: Vec::new(),
            connections: std::mem::take(&mut connections),
        };
        while let Some((text, count)) = requests.next_if(|_| *size < MAX_MESSAGE) {
            *size += text.len() + OVERHEAD;
            let (method, path) = text.split_once(' ').unwrap_or((&text, ""));
            let (method, path) = (method.to_owned(), path.to_owned());
            page.requests.push(wire::RequestTraffic { method, path, requests: count });
        }
        if let Some(message) = messages.last_mut() {
            message.callers.push(page);
        }
        if requests.peek().is_none() {
            return;
        }
    }
}

impl Notes {
    fn add_to(&self, sum: &mut Sum, first: u64) {
        let page = self.page();
        let unkept = ("", page.unkept.since(first));
        let requests = page.requests.iter().map(|(text, counts)| (&**text, counts.since(first)));
        for (text, count) in requests.chain([unkept]).filter(|(_, count)| *count > 0) {
            match sum.requests.get_mut(text) {
                Some(known) => *known += count,
                None => drop(sum.requests.insert(text.into(), count)),
            }
        }
        sum.connections += page.connections.since(first);
    }
}
