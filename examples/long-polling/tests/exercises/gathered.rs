// A linger that follows the burst, and has an end all the same.

use std::time::Duration;
use tokio::{
    sync::mpsc,
    time::{timeout_at, Instant},
};

// ANCHOR: skeleton
// ANCHOR: solution
/// Gathers events until none has come for `quiet`, or until `limit` has passed in all.
async fn gather(
    events: &mut mpsc::Receiver<u32>,
    quiet: Duration,
    limit: Duration,
) -> Vec<u32> {
    // ANCHOR_END: solution
    // Your code.
    // ANCHOR_END: skeleton
    // ANCHOR: solution
    let end = Instant::now() + limit;
    let mut gathered = Vec::new();
    // Looked at before each event, because a channel that is never empty is never
    // quiet.
    while Instant::now() < end {
        let silence = Instant::now() + quiet;
        match timeout_at(silence.min(end), events.recv()).await {
            Ok(Some(event)) => gathered.push(event),
            // Nobody is left to send, or it was quiet, or the limit has passed.
            Ok(None) | Err(_) => break,
        }
    }
    gathered
    // ANCHOR: skeleton
}
// ANCHOR_END: skeleton
// ANCHOR_END: solution

#[tokio::test(start_paused = true)]
async fn gathered_until_it_is_quiet_or_the_limit_has_passed() {
    use tokio::time::sleep;

    const QUIET: Duration = Duration::from_millis(20);
    const LIMIT: Duration = Duration::from_millis(105);

    // Three events, 10 ms apart, and a pause that is too long for the fourth.
    let (sender, mut events) = mpsc::channel(100);
    let publisher = tokio::spawn(async move {
        for event in 1..=4 {
            if event == 4 {
                sleep(Duration::from_millis(500)).await;
            }
            let _ = sender.send(event).await;
            sleep(Duration::from_millis(10)).await;
        }
    });
    let begun = Instant::now();
    assert_eq!(gather(&mut events, QUIET, LIMIT).await, [1, 2, 3]);
    assert_eq!(begun.elapsed(), Duration::from_millis(40));
    publisher.abort();

    // Many events, 10 ms apart: it is not quiet before the limit.
    let (sender, mut events) = mpsc::channel(100);
    let publisher = tokio::spawn(async move {
        for event in 1..=50 {
            let _ = sender.send(event).await;
            sleep(Duration::from_millis(10)).await;
        }
    });
    let begun = Instant::now();
    let gathered = gather(&mut events, QUIET, LIMIT).await;
    assert_eq!(gathered, (1..=11).collect::<Vec<_>>());
    assert_eq!(begun.elapsed(), LIMIT);
    publisher.abort();

    // Nobody publishes any more.
    let (sender, mut events) = mpsc::channel(1);
    drop(sender);
    let begun = Instant::now();
    assert!(gather(&mut events, QUIET, LIMIT).await.is_empty());
    assert_eq!(begun.elapsed(), Duration::ZERO);
}
