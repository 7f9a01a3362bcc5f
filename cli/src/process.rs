//! Child processes: started, watched, started again, and never left behind. Used by `demo` and `run`.
//!
//! Every child is this executable under another subcommand. Three things end it with its parent: the
//! supervisor's orderly stop, `kill_on_drop` if the supervisor panics, and the kernel's parent-death signal
//! (`parent`) if the supervisor is killed outright.

mod child;
mod keeper;
pub(crate) mod parent;

use child::Child;
pub(crate) use child::{Ending, Spec};
pub(crate) use keeper::{Event, Inlet, Keeper, Prepare};
