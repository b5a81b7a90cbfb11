//! Bodies: a request's is read whole within limits, a reply's is pulled as the peer takes it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::{Fault, Limits, Reply};

/// Replies up to this many bytes are sent with their length and in one write.
const SMALL: usize = 64 << 10;
/// How long the unread body of a refused request is read and thrown away.
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// Reads a request body.
pub(super) async fn read(body: Incoming, limits: &Limits) -> Result<Bytes, Fault> {
    match tokio::time::timeout(limits.body_timeout, collect(body, limits.body_bytes)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Fault::BodyTimeout),
    }
}

async fn collect(mut body: Incoming, limit: usize) -> Result<Bytes, Fault> {
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(bytes) = frame.map_err(|_| Fault::BodyBroken)?.into_data() else {
            continue; // trailers mean nothing in a request
        };
        if first.len() + rest.len() + bytes.len() > limit {
            return Err(Fault::BodyTooLarge);
        }
        if first.is_empty() {
            first = bytes;
        } else {
            rest.extend_from_slice(&bytes);
        }
    }
    if rest.is_empty() {
        return Ok(first);
    }
    let mut whole = BytesMut::with_capacity(first.len() + rest.len());
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&rest);
    Ok(whole.freeze())
}

/// Reads away what a refused client still sends, so that closing does not destroy the refusal
/// on its way (unread bytes make the kernel reset the connection).
pub(super) async fn drain(mut body: Incoming, limit: usize) {
    let reading = async {
        let mut left = limit;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            match left.checked_sub(length) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    let _whether_it_ended_or_not = tokio::time::timeout(DRAIN_TIME, reading).await;
}

/// The body of a response, together with what has to live as long as it is being sent.
pub(super) struct ReplyBody<K = ()> {
    content: Content,
    /// Dropped when the last byte has been handed over or the peer is gone.
    _kept: K,
}

/// A reply whose beginning has been pulled already.
pub(super) enum Content {
    Whole(Bytes),
    Streamed {
        ahead: VecDeque<Bytes>,
        rest: Box<dyn Iterator<Item = Bytes> + Send>,
    },
}

impl Content {
    /// No bytes.
    pub(super) const EMPTY: Self = Self::Whole(Bytes::new());

    /// Pulls the beginning of a reply, which decides how it is sent.
    pub(super) fn begin(reply: Reply) -> Self {
        let mut rest = reply.chunks;
        let mut ahead = VecDeque::new();
        let mut length = 0;
        for chunk in rest.by_ref().filter(|chunk| !chunk.is_empty()) {
            length += chunk.len();
            ahead.push_back(chunk);
            if length > SMALL {
                return Self::Streamed { ahead, rest };
            }
        }
        match (ahead.pop_front(), ahead.is_empty()) {
            (None, _) => Self::EMPTY,
            (Some(only), true) => Self::Whole(only),
            (Some(first), false) => {
                let mut whole = BytesMut::with_capacity(length);
                whole.extend_from_slice(&first);
                ahead
                    .iter()
                    .for_each(|chunk| whole.extend_from_slice(chunk));
                Self::Whole(whole.freeze())
            }
        }
    }

    /// The next bytes to send. A panic in the encoder ends the response where it is, without the
    /// final chunk, so that the client sees that it is incomplete.
    fn next(&mut self) -> Option<Result<Bytes, io::Error>> {
        match self {
            Self::Whole(bytes) if bytes.is_empty() => None,
            Self::Whole(bytes) => Some(Ok(std::mem::take(bytes))),
            Self::Streamed { ahead, rest } => match ahead.pop_front() {
                Some(chunk) => Some(Ok(chunk)),
                None => match catch_unwind(AssertUnwindSafe(|| rest.find(|c| !c.is_empty()))) {
                    Ok(chunk) => chunk.map(Ok),
                    Err(_) => {
                        *self = Self::EMPTY;
                        Some(Err(io::Error::other("the reply broke off")))
                    }
                },
            },
        }
    }
}

impl<K> ReplyBody<K> {
    pub(super) fn new(content: Content, kept: K) -> Self {
        Self {
            content,
            _kept: kept,
        }
    }
}

impl<K: Unpin> Body for ReplyBody<K> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        Poll::Ready(self.content.next().map(|chunk| chunk.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.content, Content::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Streamed { .. } => SizeHint::default(),
        }
    }
}

/// Building a response cannot fail.
pub(super) type Never = Infallible;

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(length: usize) -> Bytes {
        Bytes::from(vec![b'x'; length])
    }

    fn sent(mut content: Content) -> (usize, bool) {
        let mut total = 0;
        while let Some(chunk) = content.next() {
            match chunk {
                Ok(bytes) => total += bytes.len(),
                Err(_) => return (total, false),
            }
        }
        (total, true)
    }

    #[test]
    fn small_replies_have_a_length_and_large_ones_are_pulled() {
        let small = Content::begin(Reply::new([chunk(3), chunk(0), chunk(4)]));
        assert!(matches!(&small, Content::Whole(bytes) if bytes.len() == 7));
        let none = Content::begin(Reply::new([]));
        assert!(matches!(&none, Content::Whole(bytes) if bytes.is_empty()));

        let pulled = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counter = std::sync::Arc::clone(&pulled);
        let large = Content::begin(Reply::new((0..100).map(move |_| {
            counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            chunk(40 << 10)
        })));
        assert_eq!(pulled.load(std::sync::atomic::Ordering::Relaxed), 2);
        assert_eq!(sent(large), (100 * (40 << 10), true));
    }

    #[test]
    fn a_panic_while_encoding_breaks_the_reply_off() {
        let broken = (0..9).map(|i| {
            if i < 5 {
                chunk(40 << 10)
            } else {
                panic!("test: bug")
            }
        });
        assert_eq!(
            sent(Content::begin(Reply::new(broken))),
            (5 * (40 << 10), false)
        );
    }
}
