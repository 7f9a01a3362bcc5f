//! The xDS server end to end: a real tonic client drives delta ADS over an in-memory connection.

mod access;
mod client;
mod delivery;
mod pitfalls;
mod receipts;
