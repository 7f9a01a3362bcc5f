//! Access, asked about beforehand: who can reach what by the model ([`reach`]), and what a policy that is not in force
//! would have done to the calls of the last minutes ([`trial`]). Called by `admin`; changes nothing.
//!
//! The decision is `weft-policy`'s, the very one that sidecars make. `judge` says what holds on one port, `proposal` puts
//! what is proposed into a copy of the mesh, `run` asks the sidecars and sums up.

mod judge;
mod proposal;
mod reach;
mod run;
#[cfg(test)]
pub(crate) mod testing;
mod trial;

pub(crate) use judge::{Judgement, PortRules};
pub(crate) use reach::{ReachQuery, reached};
pub(crate) use run::{TrialQuery, Trials};
