//! A root's successor: staged, issuing, alone; in any order of asking, and read again after each step.

use std::time::Duration;

use super::{LONGEST_LIFE, MAX_OLD};
use crate::testing::{DAY, domain, noon, shop};
use crate::{Authority, Change, RootState};

/// A state that is written and read again at each step.
struct Kept {
    state: String,
}

impl Kept {
    fn new() -> Self {
        Self { state: Authority::new_state(&domain(), noon()).unwrap().to_string() }
    }

    fn change(&mut self, change: &Change) -> (Authority, bool) {
        let changed = Authority::change_state(&self.state, &domain(), noon(), change).unwrap();
        let (authority, new) = changed;
        let is_new = new.is_some();
        if let Some(new) = new {
            self.state = new.to_string();
        }
        let again = Authority::from_state(&self.state, &domain(), noon()).unwrap().0;
        assert_eq!(again.roots(), authority.roots(), "what is written is what is read");
        (again, is_new)
    }
}

impl Kept {
    /// The turn of what is staged.
    fn issue(&mut self, leaves: Duration) -> (Authority, bool) {
        let authority = self.change(&Change::Renew).0;
        let root = authority.roots().last().unwrap().fingerprint.clone();
        self.change(&Change::Issue(root, leaves))
    }

    /// Of all that were before.
    fn retire(&mut self) -> (Authority, bool) {
        let roots = self.change(&Change::Renew).0.bundle().fingerprints();
        self.change(&Change::Retire(roots))
    }
}

fn states(authority: &Authority) -> Vec<&'static str> {
    let word = |state| match state {
        RootState::Staged { .. } => "staged",
        RootState::Issuing => "issuing",
        RootState::Old { .. } => "old",
    };
    authority.roots().iter().map(|root| word(root.state)).collect()
}

#[test]
fn a_rotation_is_three_steps_each_of_them_whole() {
    let mut kept = Kept::new();
    let (first, _) = kept.change(&Change::Renew);
    assert_eq!(states(&first), ["issuing"]);
    let (staged, changed) = kept.change(&Change::Stage);
    assert_eq!((states(&staged), changed), (vec!["issuing", "staged"], true));
    assert!(!kept.change(&Change::Stage).1, "one at a time");
    assert_eq!(staged.issuing_root(), first.issuing_root());
    assert_eq!(staged.bundle().ders().len(), 2);

    let (issuing, _) = kept.issue(DAY);
    assert_eq!(states(&issuing), ["old", "issuing"]);
    let another = kept.change(&Change::Retire(vec![issuing.issuing_root()]));
    assert!(!another.1, "the one that issues is never retired");
    assert_eq!(issuing.bundle(), staged.bundle());
    assert_ne!(issuing.issuing_root(), first.issuing_root());
    assert!(!kept.issue(DAY).1, "nothing is staged");

    let (alone, _) = kept.retire();
    assert_eq!(states(&alone), ["issuing"]);
    assert!(!alone.bundle().fingerprints().contains(&first.issuing_root()));
    assert!(!kept.retire().1);
}

#[test]
fn an_old_root_knows_when_its_last_leaf_ends() {
    let last_leaf = |authority: &Authority| match authority.roots()[0].state {
        RootState::Old { last_leaf } => last_leaf,
        other => panic!("{other:?}"),
    };
    let rotate = |kept: &mut Kept, leaves| {
        kept.change(&Change::Stage);
        kept.issue(leaves).0
    };
    // Nobody has said how long leaves live: as long as they may.
    let longest = Duration::from_secs(u64::try_from(LONGEST_LIFE).unwrap());
    assert_eq!(last_leaf(&rotate(&mut Kept::new(), DAY)), noon() + longest);
    let mut kept = Kept::new();
    assert!(kept.change(&Change::Leaves(2 * DAY)).1);
    assert!(!kept.change(&Change::Leaves(DAY)).1, "those of before live on");
    assert_eq!(kept.change(&Change::Renew).0.leaf_life(), Some(2 * DAY));
    assert_eq!(last_leaf(&rotate(&mut kept, DAY)), noon() + 2 * DAY);
    kept.retire();
    assert_eq!(last_leaf(&rotate(&mut kept, DAY)), noon() + DAY, "counted anew under a new root");
}

#[test]
fn the_control_planes_own_leaf_leads_to_the_oldest_root_that_is_believed() {
    let mut kept = Kept::new();
    let first = kept.change(&Change::Renew).0.issuing_root();
    let root_of = |authority: &Authority| {
        let leaf = authority.leaf_for(&shop("a"), DAY, noon()).unwrap();
        authority.bundle().root_of(leaf.chain()).unwrap()
    };
    for _ in 0..2 {
        assert_eq!(root_of(&kept.change(&Change::Stage).0), first);
        let (issuing, _) = kept.issue(DAY);
        assert_eq!(root_of(&issuing), first);
        assert_ne!(issuing.issuing_root(), first);
        // One that lives longer than what signed it is no use.
        let long = issuing.leaf_for(&shop("a"), 366 * DAY, noon()).unwrap();
        assert_eq!(issuing.bundle().root_of(long.chain()), Some(issuing.issuing_root()));
    }
    let (alone, _) = kept.retire();
    assert_eq!(root_of(&alone), alone.issuing_root());
}

#[test]
fn roots_do_not_pile_up_without_end() {
    let mut kept = Kept::new();
    for _ in 0..MAX_OLD {
        kept.change(&Change::Stage);
        kept.issue(DAY);
    }
    let refused = Authority::change_state(&kept.state, &domain(), noon(), &Change::Stage);
    let error = refused.unwrap_err().to_string();
    assert!(error.contains("retire them first"), "{error}");
    kept.retire();
    assert!(kept.change(&Change::Stage).1);
}

#[test]
fn a_state_of_an_earlier_version_is_read() {
    let mut kept = Kept::new();
    let (staged, _) = kept.change(&Change::Stage);
    let unlabelled: String = kept
        .state
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|l| format!("{l}\n"))
        .collect();
    let read = Authority::from_state(&unlabelled, &domain(), noon()).unwrap().0;
    assert_eq!((read.bundle(), states(&read)), (staged.bundle(), states(&staged)));
    assert_eq!(read.roots()[1].state, staged.roots()[1].state);
    kept.state = unlabelled;
    kept.issue(DAY);
    // As it was written before: the old root's certificate last, and no more of it.
    let part = |name: &str| {
        let text = kept.state.split("# weft:").find(|part| part.starts_with(name)).unwrap();
        text.split_once('\n').unwrap().1.to_owned()
    };
    let before = part("root") + &part("issuing\n") + &part("old ");
    let read = Authority::from_state(&before, &domain(), noon()).unwrap().0;
    assert_eq!(states(&read), ["old", "issuing"]);
    let end = read.roots()[0].not_after;
    assert_eq!(read.roots()[0].state, RootState::Old { last_leaf: end }, "nobody wrote it down");
}
