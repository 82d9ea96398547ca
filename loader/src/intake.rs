//! Where a channel's messages come from: two consumers, one for each kind of link (`data_event_action`), and one for
//! what the node's group gets as a whole.
//!
//! A link that was changed from one kind to the other leaves messages at both, so whichever consumer exists is
//! looked at. What waits to be asked for is fetched every `pull.interval`: all that is there, then no more.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;
use symstream_nats::{Bus, BusError, Deliveries, Delivery};
use symstream_shared::id::{ChannelId, NodeId};
use symstream_shared::model::LinkAction;
use tokio::time::{Instant, timeout};

/// How long the server may take to say how much there is.
const ANSWER: Duration = Duration::from_secs(2);
/// When it is asked again after it gave no answer.
const AGAIN: Duration = Duration::from_secs(5);
/// How long a count is believed while nothing comes.
const BELIEVED: Duration = Duration::from_secs(5);
/// When a consumer is looked for again that no link needs and that did not exist.
const ABSENT: Duration = Duration::from_secs(30);
/// When a fetch asks how much is left although nothing came.
const QUIET: Duration = Duration::from_secs(10);

/// How often the server hears of the messages that wait here; below a third of any sensible `ack_wait`.
const SIGN: Duration = Duration::from_secs(5);
/// Bytes of messages that wait here. What waits beyond them comes again, and is known by then.
const AHEAD_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What one channel takes its messages by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ways {
    /// The kinds of links into the node's group.
    pub links: BTreeSet<LinkAction>,
    /// Whether its group may get what is the same for all of its nodes.
    pub group: bool,
    /// `pull.interval`
    pub pull_interval: Duration,
}

impl Ways {
    /// Whether the waiting kind is fetched now and then only. What a link left behind that pushes now is not.
    fn fetch(&self) -> bool {
        !self.pull_interval.is_zero() && self.links.contains(&LinkAction::WaitForPull)
    }

    /// Whether a consumer is needed.
    fn need(&self, way: Way) -> bool {
        match way {
            Way::Link(action) => self.links.contains(&action),
            Way::Group => self.group,
        }
    }
}

/// When the last complete fetch of a channel began. Outlives the rounds.
#[derive(Debug, Default)]
pub(crate) struct LastFetch(Option<Instant>);

/// How far what could fill a hole has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Supply {
    /// There is nothing more.
    Exhausted,
    /// More is being taken.
    Flowing,
    /// More may be there, and is fetched later.
    Resting,
}

/// A channel's messages.
pub(crate) struct Intake<'a> {
    pushed: Source,
    waiting: Source,
    of_group: Source,
    ways: Ways,
    last_fetch: &'a mut LastFetch,
    last_sign: Instant,
}

/// What a consumer's messages come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// By links of this kind.
    Link(LinkAction),
    /// Through the group's lanes.
    Group,
}

/// One consumer.
struct Source {
    deliveries: Deliveries,
    /// Messages that were sent already, while others go first.
    ahead: VecDeque<Delivery>,
    way: Way,
    /// Whether its messages are taken now.
    open: bool,
    /// Whether there is no such consumer.
    absent: bool,
    /// How many messages were there behind the last one, and when.
    backlog: u64,
    counted: Instant,
    next_look: Option<Instant>,
    /// When the fetch in hand began.
    fetching_since: Instant,
}

impl<'a> Intake<'a> {
    /// Finds out what there is.
    pub(crate) async fn open(
        bus: &Bus,
        node: &NodeId,
        channel: &ChannelId,
        ways: Ways,
        last_fetch: &'a mut LastFetch,
    ) -> Self {
        let now = Instant::now();
        let source = |way| Source {
            deliveries: match way {
                Way::Link(action) => bus.lane_deliveries(node, channel, action),
                Way::Group => bus.group_deliveries(node, channel),
            },
            ahead: VecDeque::new(),
            way,
            open: false,
            absent: false,
            backlog: 0,
            counted: now,
            next_look: Some(now),
            fetching_since: now,
        };
        let mut intake = Self {
            pushed: source(Way::Link(LinkAction::Push)),
            waiting: source(Way::Link(LinkAction::WaitForPull)),
            of_group: source(Way::Group),
            ways,
            last_fetch,
            last_sign: now,
        };
        if let Some(fetch) = intake.next_fetch() {
            intake.waiting.next_look = Some(fetch);
        }
        intake.look(now).await;
        intake
    }

    /// The next message of any kind. May be dropped and called again.
    pub(crate) async fn next(&mut self) -> Delivery {
        let Self {
            pushed,
            waiting,
            of_group,
            ..
        } = self;
        tokio::select! {
            delivery = pushed.next() => delivery,
            delivery = waiting.next() => delivery,
            delivery = of_group.next() => delivery,
        }
    }

    /// Keeps the server from sending what is here once more, however long the channel waits for its turns.
    pub(crate) async fn keep(&mut self) {
        if self.last_sign.elapsed() < SIGN {
            return;
        }
        self.last_sign = Instant::now();
        for source in [&mut self.pushed, &mut self.waiting, &mut self.of_group] {
            if source.open {
                source.keep().await;
            }
        }
    }

    /// Whether messages are known to be on their way.
    pub(crate) fn expects(&self) -> bool {
        [&self.pushed, &self.waiting, &self.of_group]
            .iter()
            .any(|source| source.open && source.backlog > 0 && source.counted.elapsed() < BELIEVED)
    }

    /// When [`Self::look`] has something to do.
    pub(crate) fn next_look(&self) -> Option<Instant> {
        let looks = [
            self.pushed.next_look,
            self.waiting.next_look,
            self.of_group.next_look,
        ];
        looks.into_iter().flatten().min()
    }

    /// Asks for what is due: whether a consumer is there, whether something waits to be fetched, whether a fetch is
    /// complete.
    pub(crate) async fn look(&mut self, now: Instant) {
        if self.ways.fetch() && self.waiting.open && self.waiting.backlog == 0 {
            self.complete_fetch();
        }
        let due = |source: &Source| source.next_look.is_some_and(|look| look <= now);
        let asked = async |source: &Source| match due(source) {
            true => Some(source.ask().await),
            false => None,
        };
        let (pushed, waiting, of_group) =
            tokio::join!(asked(&self.pushed), asked(&self.waiting), asked(&self.of_group));
        if let Some(found) = pushed {
            self.pushed.found(&found, &self.ways, now);
        }
        if let Some(found) = of_group {
            self.of_group.found(&found, &self.ways, now);
        }
        if let Some(found) = waiting {
            if !self.waiting.open {
                self.waiting.fetching_since = now;
            }
            self.waiting.found(&found, &self.ways, now);
            if self.ways.fetch() && matches!(found, Ok(0)) {
                self.complete_fetch();
            }
        }
    }

    /// What is to be thought of a hole that was seen first at `seen`.
    pub(crate) fn supply(&self, seen: Instant) -> Supply {
        if self.expects() {
            Supply::Flowing
        } else if self.ways.fetch()
            && !self.waiting.open
            && !self.waiting.absent
            && self.last_fetch.0.is_none_or(|fetch| fetch < seen)
        {
            Supply::Resting
        } else {
            Supply::Exhausted
        }
    }

    /// Lets everything that was not acknowledged come again, in order.
    pub(crate) fn reopen(&mut self) {
        self.pushed.close();
        self.waiting.close();
        self.of_group.close();
    }

    fn next_fetch(&self) -> Option<Instant> {
        let last = self.last_fetch.0.filter(|_| self.ways.fetch());
        last.map(|last| last + self.ways.pull_interval)
    }

    fn complete_fetch(&mut self) {
        self.last_fetch.0 = Some(self.waiting.fetching_since);
        self.waiting.open = false;
        self.waiting.close();
        self.waiting.next_look = self.next_fetch();
    }
}

impl Source {
    async fn next(&mut self) -> Delivery {
        if !self.open {
            return std::future::pending().await;
        }
        let delivery = match self.ahead.pop_front() {
            Some(delivery) => delivery,
            None => self.deliveries.next().await,
        };
        self.count(delivery.pending);
        if self.next_look.is_some() {
            // A fetch that has come to its end is closed at once, before its consumer is asked for more.
            let patience = if delivery.pending == 0 {
                Duration::ZERO
            } else {
                QUIET
            };
            self.next_look = Some(Instant::now() + patience);
        }
        delivery
    }

    async fn keep(&mut self) {
        let mut bytes: usize = self.ahead.iter().map(|delivery| delivery.body().len()).sum();
        while bytes < AHEAD_BYTES_MAX {
            tokio::select! {
                biased;
                delivery = self.deliveries.next() => {
                    bytes += delivery.body().len();
                    self.ahead.push_back(delivery);
                }
                () = std::future::ready(()) => break,
            }
        }
        for delivery in &self.ahead {
            if let Err(err) = delivery.progress().await {
                tracing::debug!(error = %err, "sign of progress is not sent");
                return;
            }
        }
    }

    fn close(&mut self) {
        self.ahead.clear();
        self.deliveries.close();
    }

    fn count(&mut self, backlog: u64) {
        self.backlog = backlog;
        self.counted = Instant::now();
    }

    /// How many messages there are.
    async fn ask(&self) -> Result<u64, Unknown> {
        match timeout(ANSWER, self.deliveries.waiting()).await {
            Ok(Ok(count)) => Ok(count),
            Ok(Err(BusError::Missing(_))) => Err(Unknown::Missing),
            Ok(Err(_)) | Err(_) => Err(Unknown::NoAnswer),
        }
    }

    fn found(&mut self, found: &Result<u64, Unknown>, ways: &Ways, now: Instant) {
        let linked = ways.need(self.way);
        let fetched = self.way == Way::Link(LinkAction::WaitForPull) && ways.fetch();
        if let Ok(count) = *found {
            self.count(count);
        }
        self.absent = matches!(found, Err(Unknown::Missing));
        (self.open, self.next_look) = match found {
            Ok(_) if fetched => (true, Some(now + QUIET)),
            Ok(_) => (true, None),
            // What a link needs comes into being; waiting for it says so.
            Err(_) if linked && !fetched => (true, None),
            Err(Unknown::Missing) if !linked => (self.open, Some(now + ABSENT)),
            Err(_) => (self.open, Some(now + AGAIN)),
        };
    }
}

/// Why a consumer's messages were not counted.
enum Unknown {
    Missing,
    NoAnswer,
}
