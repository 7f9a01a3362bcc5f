//! Between a real socket and what stands for stdin and stdout.

use std::os::unix::net::UnixListener;

use super::*;

#[test]
fn questions_go_in_answers_come_out_and_the_end_of_one_is_told_to_the_other() {
    let scratch = tempfile::tempdir().unwrap();
    let socket = scratch.path().join(SOCKET);
    let listener = UnixListener::bind(&socket).unwrap();
    let asked = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = String::new();
        // Ends only because the end of stdin is passed on.
        stream.read_to_string(&mut asked).unwrap();
        stream.write_all(b"an answer").unwrap();
        asked
    });
    let mut said = Vec::new();
    relay(&socket, &b"a question"[..], &mut said).unwrap();
    assert_eq!(asked.join().unwrap(), "a question");
    assert_eq!(said, [GREETING, b"an answer"].concat());
}

#[test]
fn where_nobody_listens_there_is_no_greeting() {
    let scratch = tempfile::tempdir().unwrap();
    let mut said = Vec::new();
    relay(&scratch.path().join(SOCKET), &b""[..], &mut said).unwrap_err();
    assert_eq!(said, b"");
}
