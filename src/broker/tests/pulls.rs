//! Pull sessions: their terms, their pages, whose they are, and when they end.

use std::time::{Duration, Instant};

use super::shelf::{Board, Shelf};
use super::*;
use crate::broker::PullKind;

const NS: &str = "root/standpipe";

fn volumes() -> Source {
    Source::Class("CIM_StorageVolume".into())
}

fn whole() -> Form {
    Form::Instances(Selection::default())
}

fn first(count: u32) -> SessionTerms {
    SessionTerms {
        count,
        ..SessionTerms::default()
    }
}

fn pull(context: &str, kind: PullKind, count: u32) -> Op {
    Operation::Pull {
        context: context.into(),
        kind,
        count,
    }
}

fn close(context: &str) -> Op {
    Operation::CloseEnumeration {
        context: context.into(),
    }
}

/// The number of objects of a page, and how to go on.
async fn page(broker: &Broker<Board>, operation: Op) -> (usize, Option<String>) {
    match run(broker, NS, operation).await.expect("a page") {
        Reply::Page { objects, context } => {
            let count = match objects {
                Objects::Instances(all) => all.count(),
                Objects::Paths(all) => all.count(),
                Objects::Classes(all) => all.count(),
            };
            (count, context)
        }
        _ => panic!("a page is wanted"),
    }
}

async fn opened(broker: &Broker<Board>, form: Form, count: u32) -> String {
    let (got, context) = page(broker, open(volumes(), form, first(count))).await;
    assert_eq!(got, count as usize);
    context.expect("there is more")
}

#[tokio::test]
async fn pages_add_up_and_the_end_closes() {
    let broker = broker(10);
    let context = opened(&broker, whole(), 4).await;
    let next = page(&broker, pull(&context, PullKind::Instances, 4)).await;
    assert_eq!(next, (4, Some(context.clone())));
    let left = run(
        &broker,
        NS,
        Operation::EnumerationCount {
            context: context.clone(),
        },
    )
    .await;
    assert!(matches!(left, Ok(Reply::Value(Some(Value::Uint64(2))))));
    assert_eq!(
        page(&broker, pull(&context, PullKind::Instances, 4)).await,
        (2, None)
    );
    let gone = Some(Status::InvalidEnumerationContext);
    assert_eq!(
        refusal(&broker, NS, pull(&context, PullKind::Instances, 1)).await,
        gone
    );
    assert_eq!(refusal(&broker, NS, close(&context)).await, gone);
}

#[tokio::test]
async fn asked_for_nothing_the_server_gives_nothing_and_goes_on() {
    let broker = broker(0);
    let context = opened(&broker, Form::Paths, 0).await;
    let same = (0, Some(context.clone()));
    assert_eq!(
        page(&broker, pull(&context, PullKind::Paths, 0)).await,
        same
    );
    assert_eq!(
        page(&broker, pull(&context, PullKind::Paths, 1)).await,
        (0, None)
    );
    // Asked for something, an empty listing ends at once.
    assert_eq!(
        page(&broker, open(volumes(), whole(), first(1))).await,
        (0, None)
    );
}

#[tokio::test]
async fn a_session_shows_what_was_there_when_it_was_opened() {
    let broker = broker(3);
    let context = opened(&broker, whole(), 1).await;
    *broker.model().shelf.lock().expect("alone") = Shelf::with_volumes(0);
    assert_eq!(
        page(&broker, pull(&context, PullKind::Instances, 9)).await,
        (2, None)
    );
    assert!(
        listed(&broker, NS, names_of("CIM_StorageVolume"))
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn a_session_belongs_to_one_user_namespace_and_kind() {
    let broker = broker(3);
    let context = opened(&broker, whole(), 1).await;
    let gone = Some(Status::InvalidEnumerationContext);
    for kind in [PullKind::Paths, PullKind::QueryResults] {
        assert_eq!(refusal(&broker, NS, pull(&context, kind, 1)).await, gone);
    }
    let elsewhere = pull(&context, PullKind::Instances, 1);
    assert_eq!(refusal(&broker, "interop", elsewhere).await, gone);
    let other = user("other", Role::Administrator);
    for operation in [pull(&context, PullKind::Instances, 1), close(&context)] {
        let refused = run_as(&broker, &other, NS, operation).await.err();
        assert_eq!(refused.map(|e| e.status), gone);
    }
    for guess in ["", "0", "00000000000000000000000000000000"] {
        assert_eq!(refusal(&broker, NS, close(guess)).await, gone);
    }
    // All that changed nothing for its owner.
    assert_eq!(
        page(&broker, pull(&context, PullKind::Instances, 9)).await,
        (2, None)
    );
}

#[tokio::test]
async fn a_closed_session_is_gone() {
    let broker = broker(3);
    let context = opened(&broker, whole(), 1).await;
    assert!(matches!(
        run(&broker, NS, close(&context)).await,
        Ok(Reply::Done)
    ));
    let gone = Some(Status::InvalidEnumerationContext);
    assert_eq!(refusal(&broker, NS, close(&context)).await, gone);
    assert_eq!(
        refusal(&broker, NS, pull(&context, PullKind::Instances, 1)).await,
        gone
    );
}

#[tokio::test]
async fn contexts_differ() {
    let broker = broker(3);
    let one = opened(&broker, whole(), 1).await;
    let other = opened(&broker, whole(), 1).await;
    assert_ne!(one, other);
    assert_eq!(one.len(), 32);
}

#[tokio::test]
async fn unacceptable_terms_are_refused_each_with_its_status() {
    let broker = broker(1);
    let terms = SessionTerms::default;
    let text = |text: &str| Some(text.to_owned());
    for (terms, status) in [
        (
            SessionTerms {
                timeout: Some(0),
                ..terms()
            },
            Status::InvalidOperationTimeout,
        ),
        (
            SessionTerms {
                timeout: Some(u32::MAX),
                ..terms()
            },
            Status::InvalidOperationTimeout,
        ),
        (
            SessionTerms {
                continue_on_error: true,
                ..terms()
            },
            Status::ContinuationOnErrorNotSupported,
        ),
        (
            SessionTerms {
                filter: text("x = 1"),
                ..terms()
            },
            Status::InvalidParameter,
        ),
        (
            SessionTerms {
                filter_language: text("DMTF:FQL"),
                ..terms()
            },
            Status::InvalidParameter,
        ),
        (
            SessionTerms {
                filter: text("x = 1"),
                filter_language: text("DMTF:FQL"),
                ..terms()
            },
            Status::FilteredEnumerationNotSupported,
        ),
    ] {
        let refused = refusal(&broker, NS, open(volumes(), whole(), terms.clone())).await;
        assert_eq!(refused, Some(status), "{terms:?}");
    }
    let unknown = Source::Class("CIM_Foo".into());
    let unknown = open(unknown, whole(), SessionTerms::default());
    assert_eq!(
        refusal(&broker, NS, unknown).await,
        Some(Status::InvalidClass)
    );
    let class = Source::References {
        object: ObjectPath::class("CIM_StorageVolume"),
        result: None,
        role: None,
    };
    let class = open(class, whole(), SessionTerms::default());
    assert_eq!(
        refusal(&broker, NS, class).await,
        Some(Status::InvalidParameter)
    );
}

#[tokio::test]
async fn sessions_are_capped_for_each_user_and_together() {
    let limits = PullLimits {
        sessions_per_user: 2,
        sessions: 3,
        ..PullLimits::default()
    };
    let broker = Broker::new(Board::new(Shelf::with_volumes(3)), limits);
    let mut outcomes = Vec::new();
    for name in ["a", "a", "a", "b", "b"] {
        let who = user(name, Role::Monitor);
        let opened = run_as(&broker, &who, NS, open(volumes(), whole(), first(1))).await;
        outcomes.push(opened.err().map(|e| e.status));
    }
    let full = Some(Status::ServerLimitsExceeded);
    assert_eq!(outcomes, [None, None, full, None, full]);
    // An answer that is complete needs no session.
    let who = user("a", Role::Monitor);
    let complete = run_as(&broker, &who, NS, open(volumes(), whole(), first(3))).await;
    assert!(matches!(complete, Ok(Reply::Page { context: None, .. })));
}

#[tokio::test]
async fn pages_are_capped_and_pulls_of_nothing_end() {
    let limits = PullLimits {
        objects: 2,
        empty_pulls: 3,
        ..PullLimits::default()
    };
    let broker = Broker::new(Board::new(Shelf::with_volumes(9)), limits);
    let (count, context) = page(&broker, open(volumes(), Form::Paths, first(u32::MAX))).await;
    let context = context.expect("there is more");
    assert_eq!(count, 2);
    for _ in 0..3 {
        assert_eq!(page(&broker, pull(&context, PullKind::Paths, 0)).await.0, 0);
    }
    assert_eq!(page(&broker, pull(&context, PullKind::Paths, 1)).await.0, 1);
    for _ in 0..3 {
        page(&broker, pull(&context, PullKind::Paths, 0)).await;
    }
    let refused = refusal(&broker, NS, pull(&context, PullKind::Paths, 0)).await;
    assert_eq!(refused, Some(Status::ServerLimitsExceeded));
    let refused = refusal(&broker, NS, pull(&context, PullKind::Paths, 1)).await;
    assert_eq!(refused, Some(Status::InvalidEnumerationContext));
}

#[tokio::test]
async fn time_closes_a_session_and_each_pull_starts_it_again() {
    let broker = broker(9);
    let terms = SessionTerms {
        timeout: Some(10),
        ..first(1)
    };
    let before = Instant::now();
    let (_, context) = page(&broker, open(volumes(), whole(), terms)).await;
    let context = context.expect("there is more");
    let later = |seconds| before + Duration::from_secs(seconds);
    let pull_at = |now| {
        let who = admin();
        let namespace = broker.admit(&who, &NS.into(), false).expect("there");
        let kind = PullKind::Instances;
        let pulled = broker
            .sessions()
            .pull(&who, namespace, &context, kind, 1, now);
        pulled.err().map(|error| error.status)
    };
    assert_eq!(pull_at(later(9)), None);
    assert_eq!(pull_at(later(18)), None);
    assert_eq!(broker.sessions().expire(later(27)), 1);
    assert_eq!(pull_at(later(29)), Some(Status::InvalidEnumerationContext));
    assert_eq!(broker.expire_sessions(), 0);
}
