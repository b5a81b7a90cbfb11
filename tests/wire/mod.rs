//! What a client sees on the wire: the real program, real sockets, the bytes that travel.
//!
//! Every test starts a `standpipe demo` of its own on free ports ([`demo`]) and talks to it with
//! plain HTTP and plain XML ([`client`], [`xml`]): nothing of the library is used, so that a mistake
//! in it cannot hide itself. Requests and responses are recorded in `golden/` ([`golden`]);
//! `STANDPIPE_GOLDEN=write cargo test --test it wire::` records them anew, and `git diff` then
//! shows what clients would notice.

mod client;
mod demo;
mod golden;
mod jobs;
mod xml;

mod changing;
mod goals;
mod lasting;
mod paths;
mod protocol;
mod reading;
mod replicas;
mod streaming;
