//! What is kept of a child's output, and how its end is told.

use super::*;

async fn tail_of(output: &[u8]) -> Vec<String> {
    let tail = Arc::new(Mutex::new(VecDeque::new()));
    read_lines(output, "order".to_owned(), Arc::clone(&tail), None).await;
    let kept = tail.lock().unwrap();
    kept.iter().cloned().collect()
}

#[tokio::test]
async fn the_last_lines_are_kept_and_long_ones_are_cut() {
    let many: String = (0..100).map(|number| format!("line {number}\n")).collect();
    let kept = tail_of(many.as_bytes()).await;
    assert_eq!((kept.len(), kept[TAIL_LINES - 1].as_str()), (TAIL_LINES, "line 99"));

    let long = "x".repeat(3 * MAX_LINE) + "\nshort\n";
    let kept = tail_of(long.as_bytes()).await;
    assert_eq!((kept[0].len(), kept[1].as_str()), (MAX_LINE, "short"));
}

#[test]
fn an_end_is_told_in_words() {
    assert_eq!(describe(ExitStatus::from_raw(9)), "was killed by SIGKILL");
    assert_eq!(describe(ExitStatus::from_raw(1 << 8)), "ended with exit code 1");
}
