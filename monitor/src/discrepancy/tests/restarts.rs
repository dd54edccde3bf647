//! A monitor that is started again and again says what one says that never stopped.

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;
use crate::{discrepancy::Failure, observe::Drop};

/// What happens to a flow.
#[derive(Clone, Copy, Debug)]
enum Step {
    Works,
    Refused,
    Unanswered,
    HalfOpen,
    Checked,
    /// This host's firewall drops the attempt.
    Dropped,
    /// Questions and answers of datagrams.
    Asks(u8),
    Answers,
    Wait(i64),
    /// The next run: the kernel kept the counts, or they begin afresh.
    Restart {
        keeps_counts: bool,
    },
}

const SERVED: (Side, &str, u16) = (Side::Server, "10.20.0.7", 50051);
const ASKED: (Side, &str, u16) = (Side::Client, "10.20.0.7", 11113);
const FLOWS: [(Side, &str, u16); 2] = [SERVED, ASKED];

fn scan() -> FlowId {
    FlowId { transport: Transport::Udp, ..flow(Side::Server, "10.30.0.9", 32006) }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Works),
        3 => Just(Step::Refused),
        2 => Just(Step::Unanswered),
        1 => Just(Step::HalfOpen),
        1 => Just(Step::Checked),
        2 => Just(Step::Dropped),
        1 => (1..4_u8).prop_map(Step::Asks),
        1 => Just(Step::Answers),
        4 => select(vec![1, 7, 59, 200, 700, 4000]).prop_map(Step::Wait),
        4 => any::<bool>().prop_map(|keeps_counts| Step::Restart { keeps_counts }),
    ]
}

impl Bench {
    /// The peer's end of a flow, or this host's: whoever asks.
    fn request(&mut self, id: FlowId, kind: impl Fn(&mut Counters)) {
        match id.side {
            Side::Client => self.transmit(id, kind),
            Side::Server => self.receive(id, kind),
        }
    }

    fn respond(&mut self, id: FlowId, kind: impl Fn(&mut Counters)) {
        match id.side {
            Side::Client => self.receive(id, kind),
            Side::Server => self.transmit(id, kind),
        }
    }

    /// Long enough for an attempt to fail, and then for its end.
    fn give_up(&mut self, id: FlowId, end: AttemptEnd) {
        self.wait(6);
        self.assess();
        self.wait(20);
        self.end_attempt(id, end);
    }

    fn drop_attempt(&mut self, id: FlowId) {
        let now = self.now();
        let dropped = &mut self.flow(id).dropped;
        if dropped.is_empty() {
            dropped.push(Drop {
                reason: "NETFILTER_DROP".into(),
                received: id.side == Side::Server,
                opening: true,
                at_device: true,
                first: Some(now),
                ..Drop::default()
            });
        }
        let drop = dropped.first_mut().unwrap();
        drop.packets += 1;
        drop.last = Some(now);
    }

    fn take(&mut self, id: FlowId, step: Step) {
        match step {
            Step::Works => {
                self.request(id, syn);
                self.respond(id, syn_ack);
                self.request(id, data);
            }
            Step::Refused => {
                self.request(id, syn);
                self.respond(id, rst);
            }
            Step::Unanswered => {
                self.request(id, syn);
                self.give_up(id, AttemptEnd::Unanswered);
            }
            Step::HalfOpen => {
                self.request(id, syn);
                self.respond(id, syn_ack);
                self.give_up(id, AttemptEnd::HalfOpen);
            }
            Step::Checked => {
                self.request(id, syn);
                self.respond(id, syn_ack);
                self.request(id, rst);
            }
            Step::Dropped => {
                self.request(id, syn);
                self.drop_attempt(id);
                self.give_up(id, AttemptEnd::Unanswered);
            }
            Step::Asks(times) => {
                (0..times).for_each(|_| self.request(scan(), data));
                self.wait(6);
            }
            Step::Answers => {
                self.request(scan(), data);
                self.respond(scan(), data);
            }
            Step::Wait(seconds) => self.wait(seconds),
            Step::Restart { .. } => self.wait(20),
        }
        self.assess();
        self.wait(1);
    }

    fn restart(&mut self, keeps_counts: bool) {
        let text = serde_json::to_string(&self.ledger.memory()).unwrap();
        self.ledger = Ledger::resume(serde_json::from_str(&text).unwrap(), self.now());
        if !keeps_counts {
            self.flows.clear();
            self.snapshot.counting = Some(self.now().to_string().into());
        }
    }

    /// All that is said of every expectation.
    fn said(&mut self) -> Vec<Said> {
        let judgements = self.assess().judgements.into_iter().flatten();
        let failing = |mut it: Failing| {
            // Those of a failure that was over long ago go with the counts.
            it.dropped.retain(|drop| drop.last >= Some(it.failure.since));
            // Attempts before the first failure that is known are not carried: the share can be another.
            let is_share = it.share.is_some();
            (it.flow, it.failure, is_share, it.said, it.dropped.len())
        };
        let said = judgements.map(|it| Said {
            verdict: (it.verdict, it.cause, it.reason),
            // An earlier run does not say since when all was well.
            since: it.verdict.is_discrepancy().then_some(it.since),
            last_success: it.last_success,
            failing: it.failing.into_iter().map(failing).collect(),
        });
        said.collect()
    }
}

/// A peer, its failure, whether only some attempts fail, what is said of it, and how many kinds of drops prove it.
type Fails = (FlowId, Failure, bool, (Verdict, Cause), usize);

#[derive(Debug, PartialEq)]
struct Said {
    verdict: (Verdict, Option<Cause>, Option<String>),
    since: Option<Timestamp>,
    last_success: Option<Timestamp>,
    failing: Vec<Fails>,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn history_with_restarts_is_judged_as_without(
        steps in vec((select(FLOWS.to_vec()), step()), 1..50),
    ) {
        let (mut steady, mut restless) = (Bench::new(), Bench::new());
        for bench in [&mut steady, &mut restless] {
            bench.assess();
        }
        for (number, (id, step)) in steps.into_iter().enumerate() {
            let id = flow(id.0, id.1, id.2);
            if let Step::Restart { keeps_counts } = step {
                restless.restart(keeps_counts);
            }
            steady.take(id, step);
            restless.take(id, step);
            prop_assert_eq!(restless.said(), steady.said(), "step {} {:?} of {}", number, step, id);
        }
    }
}
