//! `weft demo-service`, hidden: one service of the demo's shop.

use std::net::SocketAddr;

use clap::{Args, ValueEnum};

/// `weft demo-service`.
#[derive(Clone, Debug, Args)]
pub(crate) struct DemoServiceArgs {
    /// Which one
    #[arg(value_enum)]
    pub(crate) service: ShopService,
    /// Where it listens
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: SocketAddr,
    /// Which version of it
    #[arg(long = "as", default_value = "v1", value_name = "VERSION")]
    pub(crate) version: String,
    /// Seed of the payment service's failures
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Base URL of user
    #[arg(long, env = "USER_SERVICE_URL", value_name = "URL")]
    pub(crate) user_url: Option<String>,
    /// Base URL of product
    #[arg(long, env = "PRODUCT_SERVICE_URL", value_name = "URL")]
    pub(crate) product_url: Option<String>,
    /// Base URL of order
    #[arg(long, env = "ORDER_SERVICE_URL", value_name = "URL")]
    pub(crate) order_url: Option<String>,
    /// Base URL of payment
    #[arg(long, env = "PAYMENT_SERVICE_URL", value_name = "URL")]
    pub(crate) payment_url: Option<String>,
}

/// The shop's services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ShopService {
    /// The front
    Gateway,
    /// Who is shopping
    User,
    /// What is sold
    Product,
    /// Takes orders
    Order,
    /// Charges cards, and fails on purpose
    Payment,
}
