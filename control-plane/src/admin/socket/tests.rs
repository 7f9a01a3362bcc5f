//! The socket's file: private, replaced when dead, refused when alive, gone at the end.

use std::os::unix::fs::PermissionsExt;

use super::{AdminSocket, SocketError};

#[tokio::test]
async fn the_file_is_private_and_goes_with_the_socket() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("admin.sock");
    let socket = AdminSocket::bind(&path).unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    drop(socket);
    assert!(!path.exists());
}

#[tokio::test]
async fn what_a_dead_process_left_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("admin.sock");
    // std's listener leaves its file behind, as a killed process does.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    AdminSocket::bind(&path).unwrap();
}

#[tokio::test]
async fn what_a_live_process_listens_on_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("admin.sock");
    let _live = AdminSocket::bind(&path).unwrap();
    assert!(matches!(AdminSocket::bind(&path), Err(SocketError::InUse(_))));
    std::os::unix::net::UnixStream::connect(path).unwrap();
}

#[tokio::test]
async fn what_is_no_socket_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("admin.sock");
    std::fs::write(&path, "mine").unwrap();
    assert!(matches!(AdminSocket::bind(&path), Err(SocketError::NotASocket(_))));
    assert_eq!(std::fs::read_to_string(path).unwrap(), "mine");
}

#[tokio::test]
async fn a_path_that_is_too_long_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x".repeat(200));
    let error = AdminSocket::bind(&path).unwrap_err().to_string();
    assert!(error.contains("xxx"), "{error}");
}
