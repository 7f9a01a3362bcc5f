//! Against a client that knows nothing but the protocol: whatever happens in whatever order, once
//! everything has been said it holds exactly what it subscribed to, in the present version.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::script::Script;

/// Names: some exist for all, one for us alone, one for somebody else.
const NAMES: [&str; 6] = ["a", "b", "c", "d", "mine", "theirs"];
/// What the server may have: the names, and of two what one namespace sees instead; `shop` is ours.
const SLOTS: [&str; 9] = ["a", "a@shop", "b", "b@else", "b@shop", "c", "d", "mine", "theirs"];
/// Versions that the client refuses.
const BAD: [u64; 1] = [3];

/// One step of a history.
#[derive(Clone, Debug)]
enum Step {
    /// The resources become these.
    Set(Vec<(&'static str, u64)>),
    /// The client wants more.
    Subscribe(Vec<&'static str>),
    /// The client wants less.
    Unsubscribe(Vec<&'static str>),
    /// The server sends what it may; the response is on its way.
    Send,
    /// The response arrives, is applied and acknowledged or refused.
    Deliver,
    /// The stream breaks; the client opens another one with what it has.
    Reconnect,
    /// The server thinks that the client waits for these.
    OweAgain,
    /// Responses may have this many bytes.
    Budget(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let slots = || proptest::sample::subsequence(SLOTS.to_vec(), 0..=SLOTS.len());
    let wanted = || {
        let all = ["*"].into_iter().chain(NAMES).collect::<Vec<_>>();
        proptest::sample::subsequence(all, 1..3)
    };
    prop_oneof![
        4 => (slots(), proptest::collection::vec(1_u64..4, SLOTS.len())).prop_map(|(slots, versions)| {
            Step::Set(slots.into_iter().zip(versions).collect())
        }),
        3 => wanted().prop_map(Step::Subscribe),
        2 => wanted().prop_map(Step::Unsubscribe),
        5 => Just(Step::Send),
        5 => Just(Step::Deliver),
        1 => Just(Step::Reconnect),
        1 => Just(Step::OweAgain),
        1 => prop_oneof![Just(1), Just(usize::MAX)].prop_map(Step::Budget),
    ]
}

/// The client: what it asked for and what it holds.
#[derive(Default)]
struct Naive {
    wildcard: bool,
    names: BTreeSet<String>,
    holds: BTreeMap<String, u64>,
    /// What it has refused, for the rule that this is not sent again.
    refused: BTreeSet<(String, u64)>,
    /// Names that it asked for, or asked about, and that were not sent since.
    asked: BTreeSet<String>,
}

impl Naive {
    fn wants(&self, name: &str) -> bool {
        self.wildcard || self.names.contains(name)
    }

    fn subscribe(&mut self, names: &[&str]) {
        for &name in names {
            match name {
                "*" => self.wildcard = true,
                name => drop(self.names.insert(name.to_owned())),
            }
            self.ask(name);
        }
    }

    /// Asking for a name lifts the refusal, also one that is on its way.
    fn ask(&mut self, name: &str) {
        let asked = NAMES.into_iter().filter(|candidate| [*candidate, "*"].contains(&name));
        self.asked.extend(asked.map(str::to_owned));
        self.refused.retain(|(refused, _)| !self.asked.contains(refused));
    }

    fn unsubscribe(&mut self, names: &[&str]) {
        for &name in names {
            match name {
                "*" => self.wildcard = false,
                name => drop(self.names.remove(name)),
            }
            self.ask(name);
        }
        let wildcard = self.wildcard;
        self.holds.retain(|name, _| wildcard || self.names.contains(name));
    }

    /// Applies a response, good parts of a bad one too; false refuses it.
    fn apply(&mut self, resources: &[(String, u64)], removed: &[String]) -> bool {
        let mut good = true;
        for (name, version) in resources {
            if BAD.contains(version) {
                good = false;
            } else if self.wants(name) {
                self.holds.insert(name.clone(), *version);
            }
        }
        for name in removed {
            self.holds.remove(name);
        }
        if !good {
            let refused = resources.iter().filter(|(name, _)| !self.asked.contains(name));
            self.refused.extend(refused.cloned());
        }
        good
    }
}

/// The version that we may see under a name.
fn visible(resources: &BTreeMap<&'static str, u64>, name: &str) -> Option<u64> {
    let variant = resources.get(format!("{name}@shop").as_str());
    variant.or_else(|| resources.get(name)).copied().filter(|_| !name.starts_with("theirs"))
}

type Response = (Vec<(String, u64)>, Vec<String>);

/// Both ends and what is between them.
struct Play {
    script: Script,
    client: Naive,
    resources: BTreeMap<&'static str, u64>,
    on_its_way: Option<Response>,
}

impl Play {
    fn new() -> Self {
        let mut script = Script::with(&[]);
        script.empty_is_wildcard = false;
        Self { script, client: Naive::default(), resources: BTreeMap::new(), on_its_way: None }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Set(resources) => {
                self.script.set(&resources);
                self.resources = resources.into_iter().collect();
                self.forgive();
            }
            Step::Subscribe(names) => {
                self.client.subscribe(&names);
                self.script.subscribe(&names);
            }
            Step::Unsubscribe(names) => {
                self.client.unsubscribe(&names);
                self.script.unsubscribe(&names);
            }
            Step::Send => drop(self.send()),
            Step::Deliver => drop(self.deliver()),
            Step::Reconnect => self.reconnect(),
            Step::OweAgain => {
                let names = NAMES.map(std::sync::Arc::from);
                self.script.subscription.owe_again(names.iter());
            }
            Step::Budget(budget) => self.script.budget = budget,
        }
    }

    /// A version that went away and comes back may be tried again.
    fn forgive(&mut self) {
        let Self { client, resources, .. } = self;
        client.refused.retain(|(name, version)| visible(resources, name) == Some(*version));
    }

    fn send(&mut self) -> bool {
        let Some(update) = self.script.next() else { return false };
        assert!(self.on_its_way.is_none(), "two responses in flight");
        let resources = update.resources.iter().map(|r| (r.name.to_string(), r.version.0));
        let resources: Vec<_> = resources.collect();
        let mut seen = BTreeSet::new();
        for (name, version) in &resources {
            assert!(seen.insert(name), "{name} twice in one response");
            assert!(!name.starts_with("theirs"), "not for these eyes");
            let sent = (name.clone(), *version);
            assert!(!self.client.refused.contains(&sent), "{sent:?} again");
            self.client.asked.remove(name);
        }
        let removed = update.removed.iter().map(ToString::to_string).collect();
        self.on_its_way = Some((resources, removed));
        true
    }

    fn deliver(&mut self) -> bool {
        let Some((resources, removed)) = self.on_its_way.take() else { return false };
        if self.client.apply(&resources, &removed) {
            self.script.acks();
        } else {
            self.script.refuses();
        }
        self.forgive();
        true
    }

    fn reconnect(&mut self) {
        self.on_its_way = None;
        self.client.refused.clear();
        let mut names: Vec<_> = self.client.names.iter().map(String::as_str).collect();
        if self.client.wildcard {
            names.push("*");
        }
        let has: Vec<_> =
            self.client.holds.iter().map(|(name, version)| (name.as_str(), *version)).collect();
        self.script.resumes(&names, &has);
    }

    /// Until nobody has anything to say.
    fn settle(&mut self) {
        let mut rounds = 0;
        while self.deliver() || self.send() {
            rounds += 1;
            assert!(rounds < 1000, "they never come to an end");
        }
    }

    fn check(&self) {
        for name in NAMES {
            let expected = visible(&self.resources, name).filter(|_| self.client.wants(name));
            let held = self.client.holds.get(name).copied();
            match expected {
                // What it refuses leaves it with whatever it had before.
                Some(version) if BAD.contains(&version) => {}
                expected => assert_eq!(held, expected, "{name}"),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_naive_client_ends_up_with_what_it_wants(
        steps in proptest::collection::vec(step(), 1..60)
    ) {
        let mut play = Play::new();
        for step in steps {
            play.step(step);
        }
        play.settle();
        play.check();
    }
}
