//! The publisher of a burst: events faster than one that waits for each answer could post them.
//!
//! One connection, so that events keep their order, and requests that do not wait for the answer to
//! the one before (pipelining, RFC 9112 §9.3.2), up to [`IN_FLIGHT`] of them. It is a thread of its
//! own, which clients that are busy do not keep from its schedule.

use crate::{
    answers::{self, Answers},
    floor,
    schedule::Planned,
};
use anyhow::{bail, ensure, Context as _};
use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// How many events may be without an answer. With more the publisher waits, and is late.
pub const IN_FLIGHT: usize = 100;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What came of it.
#[derive(Debug, Default)]
pub struct Published {
    /// How much later than planned an event was sent, at most.
    pub late: Duration,
    /// How long each took until it was answered. The loop answers nothing.
    pub took: Vec<Duration>,
}

/// A burst that is being published. Its threads, whose CPU time would be gone with them, and its
/// connection stay until this is dropped.
#[derive(Debug)]
pub struct Burst {
    ended: oneshot::Receiver<anyhow::Result<Published>>,
    /// Both threads wait for the end of theirs.
    _keep: [mpsc::Sender<()>; 2],
}

impl Burst {
    /// Begins to publish to a server, or to the loop, which takes frames. `sends` is called just
    /// before each.
    ///
    /// # Errors
    /// Where it cannot connect.
    pub fn begin(
        server: SocketAddr,
        is_loop: bool,
        schedule: &[Planned],
        sends: impl Fn(usize) + Send + 'static,
    ) -> anyhow::Result<Self> {
        let mut socket = TcpStream::connect(server)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        if is_loop {
            socket.write_all(&[floor::PUBLISH])?;
        }
        let host = server.to_string();
        let bytes = |(n, event): (u32, &Planned)| match is_loop {
            true => floor::frame(n, event),
            false => {
                let event = format!(r#"{{"kind":"{}","data":{}}}"#, event.kind, event.data);
                answers::request("POST", "/events", &host, &event).into_bytes()
            }
        };
        let all: Vec<_> = (0..).zip(schedule).map(bytes).collect();
        let times: Vec<_> = schedule.iter().map(|event| event.at).collect();
        let (in_flight, flying) = mpsc::sync_channel(IN_FLIGHT);
        let (report, reports) = mpsc::channel();
        let (end, ended) = oneshot::channel();
        let (keep_reader, reader_kept) = mpsc::channel::<()>();
        let (keep_writer, writer_kept) = mpsc::channel::<()>();
        let answering = socket.try_clone()?;
        thread::spawn(move || {
            // Nobody may wait for either any more.
            let _ = report.send(read(answering, &flying, is_loop));
            // The writer must not wait for a place.
            drop(flying);
            let _ = reader_kept.recv();
        });
        thread::spawn(move || {
            let sent = write(&mut socket, &all, &times, &sends, &in_flight);
            // The reader has as many answers then as there were events, and reports.
            drop(in_flight);
            let answered = reports.recv().context("the publisher has panicked");
            let _ = end.send(published(sent, answered));
            let _ = writer_kept.recv();
        });
        Ok(Self {
            ended,
            _keep: [keep_reader, keep_writer],
        })
    }

    /// Waits until all is published and answered.
    ///
    /// # Errors
    /// Where an event was not taken.
    pub async fn published(&mut self) -> anyhow::Result<Published> {
        (&mut self.ended).await.context("the publisher has ended")?
    }
}

fn published(
    sent: anyhow::Result<(Duration, Vec<Instant>)>,
    answered: anyhow::Result<anyhow::Result<Vec<Instant>>>,
) -> anyhow::Result<Published> {
    // Where an answer is wrong, that is why no more was sent.
    let answered = answered??;
    let (late, sent) = sent?;
    let took = sent.iter().zip(answered);
    let took = took.map(|(sent, answered)| answered - *sent).collect();
    Ok(Published { late, took })
}

/// How much later than planned an event was sent, at most, and when each was.
fn write(
    socket: &mut TcpStream,
    all: &[Vec<u8>],
    times: &[Duration],
    sends: &impl Fn(usize),
    in_flight: &mpsc::SyncSender<()>,
) -> anyhow::Result<(Duration, Vec<Instant>)> {
    let (begin, mut late) = (Instant::now(), Duration::ZERO);
    let mut sent = Vec::with_capacity(all.len());
    for (n, (bytes, at)) in all.iter().zip(times).enumerate() {
        thread::sleep(at.saturating_sub(begin.elapsed()));
        // Waits for a place.
        in_flight.send(()).context("no more answers are read")?;
        late = late.max(begin.elapsed().saturating_sub(*at));
        sends(n);
        sent.push(Instant::now());
        socket.write_all(bytes)?;
    }
    Ok((late, sent))
}

/// Reads an answer for each event that was sent; when each came.
fn read(
    mut socket: TcpStream,
    flying: &mpsc::Receiver<()>,
    is_loop: bool,
) -> anyhow::Result<Vec<Instant>> {
    let (mut answers, mut raw, mut buffer) = (Answers::default(), Vec::new(), [0; 16 * 1024]);
    let mut answered = Vec::new();
    for () in flying {
        if is_loop {
            continue;
        }
        let status = loop {
            if let Some((head, _)) = answers.next(&mut raw)? {
                break head.status;
            }
            match socket.read(&mut buffer)? {
                0 => bail!("the server has closed the publisher's connection"),
                length => raw.extend_from_slice(&buffer[..length]),
            }
        };
        ensure!((200..300).contains(&status), "a publish gets {status}");
        answered.push(Instant::now());
    }
    Ok(answered)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        net::{Ipv4Addr, TcpListener},
        sync::{Arc, Mutex},
    };

    const SCHEDULE: usize = 3 * IN_FLIGHT;

    fn begin(
        is_loop: bool,
        serve: impl FnOnce(TcpStream) + Send + 'static,
    ) -> (Burst, Arc<Mutex<Vec<usize>>>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let server = listener.local_addr().unwrap();
        thread::spawn(move || serve(listener.accept().unwrap().0));
        let event = Planned {
            at: Duration::ZERO,
            kind: "message",
            data: r#"{"n":0}"#.to_owned(),
        };
        let sends = Arc::<Mutex<Vec<usize>>>::default();
        let sent = sends.clone();
        let sends_one = move |n| sent.lock().unwrap().push(n);
        let schedule = vec![event; SCHEDULE];
        let burst = Burst::begin(server, is_loop, &schedule, sends_one).unwrap();
        (burst, sends)
    }

    /// Answers each request as late as it may; how many waited for an answer at most.
    fn serve(mut socket: TcpStream, status: &str) -> usize {
        let mut most = 0;
        let (mut raw, mut buffer, mut answered) = (Vec::new(), [0; 4096], 0);
        loop {
            let length = socket.read(&mut buffer).unwrap_or(0);
            if length == 0 {
                return most;
            }
            raw.extend_from_slice(&buffer[..length]);
            let came = memchr::memmem::find_iter(&raw, b"POST /events ").count();
            most = most.max(came - answered);
            // As late as it may: without one more answer no more requests come.
            if came < SCHEDULE && came - answered < IN_FLIGHT {
                continue;
            }
            while answered < came {
                let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\n{{}}");
                if socket.write_all(answer.as_bytes()).is_err() {
                    return most;
                }
                answered += 1;
            }
        }
    }

    #[tokio::test]
    async fn events_do_not_wait_for_answers_up_to_a_bound() {
        let (report, most) = mpsc::channel();
        let (mut burst, sends) = begin(false, move |socket| {
            let _ = report.send(serve(socket, "201 Created"));
        });
        let published = burst.published().await.unwrap();
        assert_eq!(published.took.len(), SCHEDULE);
        let in_order: Vec<_> = (0..SCHEDULE).collect();
        assert_eq!(*sends.lock().unwrap(), in_order);
        drop(burst);
        let most = most.recv().unwrap();
        // One more has its place taken already by whoever reads its answer.
        assert!((IN_FLIGHT..=IN_FLIGHT + 1).contains(&most), "{most}");
    }

    #[tokio::test]
    async fn a_refused_event_is_an_error() {
        let (mut burst, _) = begin(false, |socket| {
            serve(socket, "429 Too Many Requests");
        });
        let error = burst.published().await.unwrap_err().to_string();
        assert!(error.contains("429"), "{error}");
    }

    #[tokio::test]
    async fn the_loop_answers_nothing() {
        let (mut burst, _) = begin(true, |mut socket| {
            let _ = std::io::copy(&mut socket, &mut std::io::sink());
        });
        assert!(burst.published().await.unwrap().took.is_empty());
    }
}
