// A wait that can miss its wake-up.

use std::sync::Mutex;
use tokio::sync::Notify;

// ANCHOR: board
/// The jobs that are done, and a bell that rings at each.
#[derive(Default)]
struct Board {
    done: Mutex<Vec<u32>>,
    bell: Notify,
    /// A job that another thread adds in the worst moment: right after a look.
    late: Mutex<Option<u32>>,
}

impl Board {
    fn add(&self, job: u32) {
        self.done.lock().unwrap().push(job);
        self.bell.notify_waiters();
    }

    fn is_done(&self, job: u32) -> bool {
        let is_done = self.done.lock().unwrap().contains(&job);
        let late = self.late.lock().unwrap().take();
        if let Some(late) = late {
            self.add(late);
        }
        is_done
    }
}
// ANCHOR_END: board

// ANCHOR: found
/// The wait that is to be mended.
async fn until_done_or_longer(board: &Board, job: u32) {
    while !board.is_done(job) {
        board.bell.notified().await;
    }
}
// ANCHOR_END: found

// ANCHOR: skeleton
// ANCHOR: solution
/// Waits until a job is done, and never longer.
async fn until_done(board: &Board, job: u32) {
    // ANCHOR_END: solution
    // Your code.
    // ANCHOR_END: skeleton
    // ANCHOR: solution
    loop {
        // From here on the bell is heard, also by one who does not wait for it yet.
        let bell = board.bell.notified();
        if board.is_done(job) {
            return;
        }
        bell.await;
        // It may have rung for another job, so look again: with a new registration
        // first.
    }
    // ANCHOR: skeleton
}
// ANCHOR_END: skeleton
// ANCHOR_END: solution

#[test]
fn woken_by_what_comes_right_after_a_look() {
    use futures_util::FutureExt;
    use std::pin::pin;

    let board = Board::default();
    board.add(1);
    let wait = until_done(&board, 1).now_or_never();
    assert!(wait.is_some(), "job 1 was done before");

    // Another job is done right after the look, and after it nothing more happens to
    // job 3.
    *board.late.lock().unwrap() = Some(2);
    let mut wait = pin!(until_done(&board, 3));
    assert!(wait.as_mut().now_or_never().is_none(), "job 3 is not done");
    board.add(3);
    assert!(wait.now_or_never().is_some(), "job 3 is done");

    // The job itself is done right after the look.
    *board.late.lock().unwrap() = Some(4);
    let wait = until_done(&board, 4).now_or_never();
    assert!(wait.is_some(), "job 4 is done, and nobody says so again");

    // So the wait as it was found fails here.
    *board.late.lock().unwrap() = Some(5);
    let wait = until_done_or_longer(&board, 5).now_or_never();
    assert!(wait.is_none());
}
