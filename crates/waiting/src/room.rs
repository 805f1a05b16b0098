//! Joining, asking and publishing.

use crate::{counts::Counts, problem, Access, Cuts, Door, LogPage, Reader, Wait};
use contract::{
    Cursor, IdempotencyKey, NewEvent, Position, Problem, ProblemKind, Status,
};
use feed::{Feed, Published};
use shares::Client;
use std::sync::Arc;
use tracing::{debug, debug_span, field, Instrument};

/// One log, and those who wait for its next entry. Clones share it.
///
/// It is where all methods meet: each has a room of its own, with its own door, over
/// one log.
#[derive(Clone, Debug)]
pub struct Room {
    log: Feed,
    door: Door,
    cuts: Cuts,
    counts: Arc<Counts>,
    /// Who asks.
    client: Client,
}

impl Room {
    /// A room over `log`, in which nobody can be cut. What happens in it is counted
    /// under the name of the `method` that it is for.
    pub fn new(method: &'static str, log: Feed, door: Door) -> Self {
        Self {
            log,
            door,
            cuts: Cuts::new(false),
            counts: Arc::new(Counts::of(method)),
            client: Client::default(),
        }
    }

    /// The same, whose connections `cuts` knows by name.
    #[must_use]
    pub fn with_cuts(self, cuts: Cuts) -> Self {
        Self { cuts, ..self }
    }

    /// The same, as this client meets it: with no more than a share of the places.
    #[must_use]
    pub fn for_client(&self, client: Client) -> Self {
        Self {
            client,
            ..self.clone()
        }
    }

    /// What must be passed before a wait.
    pub fn door(&self) -> &Door {
        &self.door
    }

    /// The connections that may be cut.
    pub fn cuts(&self) -> &Cuts {
        &self.cuts
    }

    // ANCHOR: join
    /// Joins those who wait, at `position`.
    ///
    /// # Errors
    /// In this order: 401 `unauthorized` and 403 `forbidden` where the reader's access
    /// is over; 503 `ending`; 429 `too-many` where the client waits as often as it may;
    /// 503 `busy` where no place is free; 400 `future-cursor`; 503 `unavailable`
    /// where the log cannot be reached.
    pub async fn join(
        &self,
        position: Position,
        reader: impl Into<Reader>,
    ) -> Result<Wait, Problem> {
        let reader = reader.into();
        reader.check()?;
        // The place first: a request that finds none costs nothing.
        let place = self.door.enter(&self.client)?;
        // Another server may have given the cursor, and this one be late.
        self.log.reach(position).await.map_err(problem::of)?;
        let subscription = self.log.subscribe(position)?;
        let cut = self.cuts.register(reader.name);
        let end = self.door.end().raised();
        let counts = self.counts.clone();
        let age = self.door.draw_age();
        Ok(Wait::new(
            place,
            subscription,
            cut,
            reader.access,
            end,
            age,
            counts,
        ))
    }
    // ANCHOR_END: join

    /// The same for a request that gets one answer. Where it is dropped and not asleep,
    /// it was answered; a stream would be gone.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    pub async fn join_for_one_answer(
        &self,
        position: Position,
        reader: impl Into<Reader>,
    ) -> Result<Wait, Problem> {
        Ok(self.join(position, reader).await?.for_one_answer())
    }

    // ANCHOR: rejoin
    /// Joins after `last`, which the client did not choose: a browser that reconnects
    /// by itself sends the last id that it received from this address, whatever
    /// answered here then. Where that is no place in this log, or none in any (`None`),
    /// a refusal would stop its `EventSource` for good. So it gets a gap of unknown
    /// size, and all that is kept.
    ///
    /// # Errors
    /// As [`join`](Self::join), but for `future-cursor`.
    pub async fn rejoin(
        &self,
        last: Option<Cursor>,
        reader: impl Into<Reader>,
    ) -> Result<Wait, Problem> {
        let reader = reader.into();
        if let Some(cursor) = last {
            match self.join(Position::After(cursor), reader.clone()).await {
                Err(problem) if problem.kind() == Some(ProblemKind::FutureCursor) => {}
                joined => return joined,
            }
        }
        let wait = self.join(Position::Earliest, reader).await?;
        Ok(wait.after_unknown_gap())
    }
    // ANCHOR_END: rejoin

    /// What is due after `position`, now, and may be seen by this reader.
    ///
    /// # Errors
    /// 401 `unauthorized` and 403 `forbidden` where the reader's access is over; 410
    /// `expired` or `new-log` where events after the position are gone, 400
    /// `future-cursor`.
    pub async fn page(
        &self,
        position: Position,
        reader: &Reader,
    ) -> Result<LogPage, Problem> {
        reader.check()?;
        LogPage::read(&self.log, position, reader.access.as_ref(), &self.counts).await
    }

    /// What the log holds, or the problem that [`join`](Self::join) and
    /// [`page`](Self::page) would answer.
    ///
    /// # Errors
    /// As these.
    pub async fn status(&self, position: Position) -> Result<Status, Problem> {
        self.door.check(&self.client)?;
        let batch = self.log.fetch(position, 1, 0).await;
        Ok(batch.map_err(problem::of)?.log)
    }

    /// Publishes an event of somebody whose rights are known, or may be.
    ///
    /// # Errors
    /// Those of [`Access::check_publish`] and of [`publish`](Self::publish).
    pub async fn publish_as(
        &self,
        access: Option<&Access>,
        key: Option<IdempotencyKey>,
        event: NewEvent,
    ) -> Result<Published, Problem> {
        if let Some(access) = access {
            access.check_publish(&event.kind)?;
        }
        self.publish(key, event).await
    }

    // ANCHOR: publish
    /// Publishes an event, whichever way it has come in. With a key, a retry is the
    /// same event.
    ///
    /// # Errors
    /// 409 `finished`, 413 `too-large`, 422 `key-reused`, 503 `unavailable`.
    pub async fn publish(
        &self,
        key: Option<IdempotencyKey>,
        event: NewEvent,
    ) -> Result<Published, Problem> {
        let span = debug_span!(
            "publish",
            kind = %event.kind,
            id = field::Empty,
            repeated = field::Empty,
        );
        let published = self.append(key, event).instrument(span.clone()).await?;
        self.counts.publishes(&published);
        span.record("id", field::display(published.cursor));
        span.record("repeated", published.repeated);
        span.in_scope(|| debug!("published"));
        Ok(published)
    }

    async fn append(
        &self,
        key: Option<IdempotencyKey>,
        event: NewEvent,
    ) -> Result<Published, Problem> {
        let NewEvent { kind, data } = event;
        match key {
            Some(key) => {
                let published = self.log.publish_once(key, kind, data).await;
                published.map_err(problem::of)
            }
            None => {
                let cursor = self.log.publish(kind, data).await;
                let cursor = cursor.map_err(problem::of)?;
                let repeated = false;
                Ok(Published { cursor, repeated })
            }
        }
    }
    // ANCHOR_END: publish

    /// Counts a refusal that is no answer of HTTP, of which the edge knows nothing.
    pub fn count_refusal(&self, problem: &Problem) {
        self.counts.refuses(problem);
    }
}
