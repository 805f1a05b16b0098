//! Page after page: the follower for the methods that answer with pages, polling and
//! long polling.
//!
//! Both ask for what comes after their cursor, again and again. They differ in when: by
//! a clock of their own, or as soon as the last answer is there, because the server
//! waits with the next one.

use crate::{
    endpoint::Endpoint,
    response::{failure, json},
    subscription::{updates, Driver, SubscriptionState},
    Error, Failure, Pace, Rhythm, Update, LONGEST_WAIT, PATIENCE,
};
use contract::{
    headers::{PREFER, PREFERENCE_APPLIED},
    params::AFTER,
    Cursor, LogPage, Position,
};
use futures_util::stream::Stream;
use reqwest::{header::HeaderMap, RequestBuilder, StatusCode, Url};
use std::time::Duration;
use tokio::time::{sleep, Instant};

/// When a client asks for its next page.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Schedule {
    /// Polling: after a pause.
    Interval(Rhythm),
    /// Long polling: at once, with the wish that the server wait this long for
    /// something to answer. Sent as `Prefer: wait=N` (RFC 7240 §4.3), in whole seconds,
    /// rounded up; an hour at most.
    Wait(Duration),
}

/// Between requests for pages that a server should have waited with and did not: 1 to 2
/// s. Something on the way may have dropped the wish, and without a pause the client
/// would ask as fast as it can.
const UNWAITED: Schedule = Schedule::Interval(Rhythm {
    interval: Duration::from_millis(1500),
    jitter: 1.0 / 3.0,
});

impl Schedule {
    // ANCHOR: pause
    /// How long to pause after a page; `first` after the first one of a connection.
    ///
    /// The first pause is drawn from the whole interval: clients that started together,
    /// because their server came back or a minute began, are spread over it. The jitter
    /// of the later ones keeps them from falling into step again.
    fn pause(self, first: bool) -> Duration {
        let Self::Interval(Rhythm { interval, jitter }) = self else {
            return Duration::ZERO;
        };
        let factor = match first {
            true => fastrand::f64(),
            false => 1.0 + jitter.clamp(0.0, 1.0) * (2.0 * fastrand::f64() - 1.0),
        };
        // Out of range only where the interval was.
        Duration::try_from_secs_f64(interval.as_secs_f64() * factor).unwrap_or(interval)
    }
    // ANCHOR_END: pause
}

/// A client of one server that answers with pages.
#[derive(Clone, Debug)]
pub(crate) struct PageClient {
    endpoint: Endpoint,
    pace: Pace,
    schedule: Schedule,
}

impl PageClient {
    /// A client of the server whose routes lie at `base`, which ends in `/`. `pace` is
    /// for when it fails, `schedule` for when it does not.
    pub(crate) fn new(base: Url, pace: Pace, schedule: Schedule) -> Self {
        Self {
            endpoint: Endpoint::new(base),
            pace,
            schedule,
        }
    }

    /// The same client with another schedule.
    #[must_use]
    pub(crate) fn with_schedule(self, schedule: Schedule) -> Self {
        Self { schedule, ..self }
    }

    /// The same client by way of another endpoint.
    #[must_use]
    pub(crate) fn with_endpoint(self, endpoint: Endpoint) -> Self {
        Self { endpoint, ..self }
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The updates after `position`.
    pub(crate) fn subscribe(
        &self,
        position: Position,
    ) -> impl Stream<Item = Result<Update, Error>> + Send + 'static {
        updates(PageFollower {
            subscription: SubscriptionState::new(position, self.pace)
                .with_renewal(self.endpoint.renews()),
            client: self.clone(),
            pause: Duration::ZERO,
            fresh: true,
        })
    }

    // ANCHOR: request
    /// The next request of a subscription, with its time-out.
    async fn request(
        &self,
        subscription: &SubscriptionState,
    ) -> Result<RequestBuilder, Failure> {
        let after = subscription.position().to_string();
        let after = Some((AFTER, &*after));
        let request = self.endpoint.request("events", after).await?;
        Ok(match self.schedule {
            // The first question of a connection does not wait: its answer shows at
            // once that the server is there.
            Schedule::Wait(wait) if subscription.is_open() => {
                // Rounded up: half a second is a wish to wait, and 0 would be a wish
                // not to.
                let wait = wait.min(LONGEST_WAIT);
                let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                // Later than the server's own, so that a quiet log ends in an empty
                // page and not in an error.
                let patience = Duration::from_secs(seconds).saturating_add(PATIENCE);
                let request = request.header(PREFER, format!("wait={seconds}"));
                request.timeout(patience)
            }
            _ => request.timeout(PATIENCE),
        })
    }
    // ANCHOR_END: request
}

/// One subscription.
struct PageFollower {
    client: PageClient,
    subscription: SubscriptionState,
    /// Before the next request.
    pause: Duration,
    /// Whether no pause was made since the connection opened.
    fresh: bool,
}

/// A page, and what its headers said.
struct Answer {
    page: LogPage,
    /// Whether the server has waited with it.
    waited: bool,
}

impl Driver for PageFollower {
    fn subscription(&mut self) -> &mut SubscriptionState {
        &mut self.subscription
    }

    async fn step(&mut self) {
        sleep(self.pause).await;
        self.pause = match self.ask().await {
            Ok(answer) => self.handle(answer),
            // Reported, with the wait before the next attempt; the cursor is kept.
            Err(failure) => self.subscription.failed(failure),
        };
    }
}

impl PageFollower {
    async fn ask(&self) -> Result<Answer, Failure> {
        let asked = Instant::now();
        let request = self.client.request(&self.subscription).await?;
        let response = request.send().await?;
        if response.status() != StatusCode::OK {
            let failure = failure(response).await;
            if matches!(failure, Failure::Unauthorized(_)) {
                self.client.endpoint.forget_credential();
            }
            if let Failure::Gap(gap) = &failure {
                if let Some(asked) = gap.asked {
                    self.check_question(asked)?;
                }
            }
            return Err(failure);
        }
        let headers = response.headers().clone();
        let page: LogPage = json(response, "page").await?;
        self.check_question(page.after)?;
        check_progress(&page)?;
        let waited = waited_with(&headers, asked.elapsed());
        Ok(Answer { page, waited })
    }

    /// Fails where an answer belongs to another question: some cache on the way does
    /// not look at the query.
    fn check_question(&self, after: Cursor) -> Result<(), Error> {
        match self.subscription.position() {
            Position::After(asked) if asked != after => Err(Error::Protocol(format!(
                "asked for what follows {asked}, and got what follows {after}"
            ))),
            _ => Ok(()),
        }
    }

    /// Reports what a page holds, and returns how long to pause after it.
    fn handle(&mut self, Answer { page, waited }: Answer) -> Duration {
        self.subscription.heard();
        let opens = self.subscription.set_cursor(page.after);
        self.fresh |= opens;
        let empty = page.events.is_empty();
        match empty {
            true => self.subscription.heartbeat(),
            false => page
                .events
                .into_iter()
                .for_each(|event| self.subscription.event(event)),
        }
        self.subscription.set_cursor(page.next);
        if page.finished {
            self.subscription.finish();
        }
        match self.client.schedule {
            _ if page.more => Duration::ZERO,
            Schedule::Wait(_) if empty && !waited && !opens => UNWAITED.pause(false),
            schedule => schedule.pause(std::mem::take(&mut self.fresh)),
        }
    }
}

/// Fails where a page leads back, into another log, or nowhere although more is due:
/// the same question would be asked again, without end and without a pause.
fn check_progress(
    &LogPage {
        after, next, more, ..
    }: &LogPage,
) -> Result<(), Error> {
    if next.epoch == after.epoch && (next.id > after.id || next.id == after.id && !more)
    {
        return Ok(());
    }
    let fault = format!("a page that leads from {after} to {next}");
    Err(Error::Protocol(fault))
}

/// Whether the server waited with an empty page: it says so (RFC 7240 §3), and the time
/// has passed. Half of what it granted is enough, or a second. A page that some cache
/// has kept says so too, and comes at once.
pub(crate) fn waited_with(headers: &HeaderMap, took: Duration) -> bool {
    let granted = Duration::from_secs(granted(headers).unwrap_or(0));
    !granted.is_zero() && took >= (granted / 2).min(Duration::from_secs(1))
}

/// How many seconds the server says that it was ready to wait.
fn granted(headers: &HeaderMap) -> Option<u64> {
    let mut applied = headers
        .get_all(PREFERENCE_APPLIED)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|preference| preference.split_once('='));
    let wait = applied.find(|(name, _)| name.trim().eq_ignore_ascii_case("wait"));
    wait.and_then(|(_, seconds)| seconds.trim().parse().ok())
}
