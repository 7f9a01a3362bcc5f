//! Software of others through two sidecars: servers and clients that everybody uses, in pods, as they come, and none of
//! them notices. What a product is, is said in a file of its own; what holds for each, in `works` and `lasting`.
//!
//! The core runs always; the others are ignored tests of `tests/run --all`. Nothing here is ever installed by a test
//! into the machine, nor started outside a pod.

mod express;
mod folder;
mod git;
mod grpc_go;
mod java_client;
mod kafka;
mod lasting;
mod mariadb;
mod nats;
mod nginx;
mod postfix;
mod postgresql;
mod product;
mod rabbitmq;
mod redis;
mod scene;
mod websocket;
mod works;

use express::Express;
use git::Git;
use grpc_go::GrpcGo;
use java_client::JavaClient;
use kafka::Kafka;
use lasting::lasts;
use mariadb::MariaDb;
use nats::Nats;
use nginx::Nginx;
use postfix::Postfix;
use postgresql::Postgresql;
use rabbitmq::RabbitMq;
use redis::Redis;
use websocket::WebSocket;
use works::works;

#[tokio::test]
async fn redis_with_pipelining_and_subscribers() {
    works(&Redis).await;
}

#[tokio::test]
async fn nginx_and_curl_over_http1() {
    works(&Nginx::Http1).await;
}

#[tokio::test]
async fn nginx_and_curl_over_http2_from_the_first_byte() {
    works(&Nginx::Http2).await;
}

#[tokio::test]
async fn nats_that_speaks_first() {
    works(&Nats).await;
}

#[tokio::test]
async fn mariadb_that_speaks_first() {
    works(&MariaDb).await;
}

#[tokio::test]
async fn postgresql_that_is_asked_for_tls_and_has_none() {
    works(&Postgresql::Plain).await;
}

#[tokio::test]
async fn postgresql_with_tls_of_its_own() {
    works(&Postgresql::Tls).await;
}

#[tokio::test]
async fn sessions_outlive_a_restart_of_the_control_plane_and_new_certificates() {
    lasts(&[&Redis, &Postgresql::Plain, &Nats, &MariaDb, &Nginx::Http1, &Postgresql::Tls]).await;
}

#[tokio::test]
#[ignore = "takes long, and packages: tests/run --all"]
async fn postfix_that_speaks_first() {
    works(&Postfix).await;
}

#[tokio::test]
#[ignore = "takes long, and packages: tests/run --all"]
async fn a_websocket_echo() {
    works(&WebSocket).await;
}

#[tokio::test]
#[ignore = "takes long, and packages: tests/run --all"]
async fn rabbitmq_with_ten_thousand_messages() {
    works(&RabbitMq).await;
}

#[tokio::test]
#[ignore = "takes long, and packages: tests/run --all"]
async fn git_over_http() {
    works(&Git).await;
}

#[tokio::test]
#[ignore = "takes long, and packages: tests/run --all"]
async fn javas_own_http_client() {
    works(&JavaClient::new()).await;
}

#[tokio::test]
#[ignore = "takes long, and packages: tests/run --all"]
async fn an_express_app() {
    let Some(express) = Express::fetched() else { return };
    works(&express).await;
}

#[tokio::test]
#[ignore = "takes long, and packages: tests/run --all"]
async fn kafka_with_ten_thousand_messages() {
    let Some(kafka) = Kafka::fetched() else { return };
    let Some(scene) = works(&kafka).await else { return };
    // The broker's own address belongs to three Services, so to none of them.
    let labels = ["direction=\"outbound\"", "peer=\"workload/kafka.shop:9092\"", "mtls=\"true\""];
    let name = "weft_tcp_connections_opened_total";
    let count = scene.mesh.metric(scene::CALLER, name, &labels).await.unwrap();
    assert!(count >= 3.0, "{count} connections to the broker itself");
}

#[tokio::test]
#[ignore = "takes long, and packages: tests/run --all"]
async fn grpc_go_interoperates_in_pods() {
    let Some(grpc) = GrpcGo::built() else { return };
    works(&grpc).await;
}

#[tokio::test]
#[ignore = "takes long, and packages: tests/run --all"]
async fn more_sessions_outlive_a_restart_of_the_control_plane_and_new_certificates() {
    let (Some(kafka), Some(express)) = (Kafka::fetched(), Express::fetched()) else { return };
    lasts(&[&RabbitMq, &WebSocket, &Postfix, &kafka, &express]).await;
}
