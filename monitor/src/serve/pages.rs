//! The long pages, each made once for a report, whoever asks.
//!
//! An answer that a client does not read keeps its page in memory. So only so many versions of a page
//! exist at once; while all of them are still being sent, the last one is sent to others too.

use std::{
    collections::HashMap,
    io::{self, BufWriter, Write},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use jiff::Timestamp;

/// What is compressed at once: a call for each few bytes takes most of the time otherwise.
const CHUNK: usize = 32 << 10;

/// Versions of a page at once.
const VERSIONS: usize = 2;

/// Which page, and in which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Kind {
    pub(super) path: &'static str,
    pub(super) gzip: bool,
}

/// Every page.
#[derive(Clone, Debug, Default)]
pub(super) struct Pages(Arc<Mutex<HashMap<Kind, Versions>>>);

#[derive(Debug, Default)]
struct Versions {
    latest: Option<Arc<Page>>,
    alive: Vec<Weak<Page>>,
}

#[derive(Debug)]
struct Page {
    taken: Timestamp,
    bytes: Vec<u8>,
}

/// Keeps a page while it is sent.
struct Sent(Arc<Page>);

impl AsRef<[u8]> for Sent {
    fn as_ref(&self) -> &[u8] {
        &self.0.bytes
    }
}

impl Pages {
    /// The page of a report that was taken then, made by `make` if it is not there.
    pub(super) fn get(
        &self,
        kind: Kind,
        taken: Timestamp,
        make: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<Bytes> {
        let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Those of an older report go with it, unless they are being sent.
        pages.values_mut().for_each(|old| drop(old.latest.take_if(|page| page.taken != taken)));
        let versions = pages.entry(kind).or_default();
        let page = match versions.usable(taken) {
            Some(page) => page,
            None => versions.add(Page { taken, bytes: made(make, kind.gzip)? }),
        };
        Ok(Bytes::from_owner(Sent(page)))
    }
}

impl Versions {
    /// The latest version, if it is of that time or no more may be made.
    fn usable(&mut self, taken: Timestamp) -> Option<Arc<Page>> {
        if self.latest.as_ref().is_some_and(|page| page.taken == taken) {
            return self.latest.clone();
        }
        self.alive.retain(|page| page.strong_count() > 0);
        if self.alive.len() >= VERSIONS {
            self.latest = self.alive.last().and_then(Weak::upgrade);
        }
        self.latest.clone()
    }

    fn add(&mut self, page: Page) -> Arc<Page> {
        let page = Arc::new(page);
        self.alive.push(Arc::downgrade(&page));
        self.latest = Some(Arc::clone(&page));
        page
    }
}

fn made(make: impl FnOnce(&mut dyn Write) -> io::Result<()>, gzip: bool) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if gzip {
        let encoder = GzEncoder::new(&mut bytes, Compression::fast());
        let mut encoder = BufWriter::with_capacity(CHUNK, encoder);
        make(&mut encoder)?;
        encoder.into_inner()?.finish()?;
    } else {
        make(&mut bytes)?;
    }
    bytes.shrink_to_fit();
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Kind = Kind { path: "/metrics", gzip: false };

    fn page(pages: &Pages, second: i64) -> Bytes {
        let make = |out: &mut dyn Write| write!(out, "{second}");
        pages.get(PLAIN, Timestamp::from_second(second).unwrap(), make).unwrap()
    }

    #[test]
    fn a_page_is_made_once_for_a_report() {
        let pages = Pages::default();
        let first = page(&pages, 1);
        let made_again = |_: &mut dyn Write| Err(io::Error::other("made again"));
        let again = pages.get(PLAIN, Timestamp::from_second(1).unwrap(), made_again).unwrap();
        assert_eq!(first.as_ptr(), again.as_ptr());
        assert_eq!(page(&pages, 2), "2");
    }

    #[test]
    fn pages_that_nobody_reads_are_few() {
        let pages = Pages::default();
        let mut unread: Vec<Bytes> = (1..=20).map(|second| page(&pages, second)).collect();
        let texts: Vec<&[u8]> = unread.iter().map(AsRef::as_ref).collect();
        assert_eq!(texts.get(..2), Some(&[&b"1"[..], b"2"][..]));
        assert!(texts.iter().skip(2).all(|text| *text == b"2"), "{texts:?}");
        drop(unread.remove(0));
        assert_eq!(page(&pages, 21), "21");
    }
}
