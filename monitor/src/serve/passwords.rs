//! Passwords: who is asking, and whether that is true.
//!
//! Every wrong name and password costs one bcrypt, and one at a time is computed, beside the pages. A
//! password that was right once is known by its HMAC under a key of this process: a scrape costs no bcrypt.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::http::{HeaderMap, header};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use ring::{hmac, rand::SystemRandom};
use tokio::{sync::Semaphore, task::spawn_blocking};

/// The hash of no password, whose cost is replaced.
const NOBODY: &str = "abcdefghijklmnopqrstuuoWkHvWSb5ZvYmnyYDVkfRVJpnMlUJu2";

/// What is known of passwords that were right.
#[derive(Clone, Debug)]
pub(super) struct Passwords {
    key: hmac::Key,
    /// For each user the tag of the name, the hash and the password.
    right: Arc<Mutex<BTreeMap<String, hmac::Tag>>>,
    turn: Arc<Semaphore>,
}

impl Passwords {
    /// None known yet.
    pub(super) fn new() -> anyhow::Result<Self> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).map_err(
            |ring::error::Unspecified| anyhow::anyhow!("the kernel gives no random bytes"),
        )?;
        Ok(Self { key, right: Arc::default(), turn: Arc::new(Semaphore::new(1)) })
    }

    /// Whether the request is from one of the users.
    pub(super) async fn are_right(
        &self,
        users: &BTreeMap<String, String>,
        headers: &HeaderMap,
    ) -> bool {
        let Some((user, password)) = credentials(headers) else {
            return false;
        };
        let known = users.get(&user).cloned();
        let hash = known.clone().unwrap_or_else(|| nobody(users));
        let message = format!("{}:{user}{}:{hash}{password}", user.len(), hash.len());
        if known.is_some() && self.was_right(&user, message.as_bytes()) {
            return true;
        }
        let Ok(turn) = Arc::clone(&self.turn).acquire_owned().await else {
            return false;
        };
        let compared = spawn_blocking(move || {
            // Whoever asked may be gone by now; the turn is over when the work is.
            let _turn = turn;
            bcrypt::verify(password, &hash).unwrap_or(false)
        });
        let is_right = compared.await.unwrap_or(false) && known.is_some();
        if is_right {
            let tag = hmac::sign(&self.key, message.as_bytes());
            self.right.lock().unwrap_or_else(PoisonError::into_inner).insert(user, tag);
        }
        is_right
    }

    fn was_right(&self, user: &str, message: &[u8]) -> bool {
        let right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        let tag = right.get(user);
        tag.is_some_and(|tag| hmac::verify(&self.key, message, tag.as_ref()).is_ok())
    }
}

/// The hash that stands for an unknown user: as costly as the costliest.
fn nobody(users: &BTreeMap<String, String>) -> String {
    let costs = users.values().filter_map(|hash| hash.parse::<bcrypt::HashParts>().ok());
    let cost = costs.map(|parts| parts.get_cost()).max().unwrap_or(bcrypt::DEFAULT_COST);
    format!("$2b${cost:02}${NOBODY}")
}

fn credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    let decoded =
        scheme.eq_ignore_ascii_case("basic").then(|| BASE64_STANDARD.decode(encoded.trim()))?;
    let text = String::from_utf8(decoded.ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn headers(text: &str) -> HeaderMap {
        let value = format!("Basic {}", BASE64_STANDARD.encode(text));
        HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())])
    }

    #[test]
    fn nobody_costs_as_much_as_somebody() {
        let hash = bcrypt::hash("x", 5).unwrap();
        let users = BTreeMap::from([("a".to_owned(), hash)]);
        let parts: bcrypt::HashParts = nobody(&users).parse().unwrap();
        assert_eq!(parts.get_cost(), 5);
        // It is computed, and not refused for its form.
        assert_eq!(bcrypt::verify("x", &nobody(&users)).ok(), Some(false));
    }

    #[tokio::test]
    async fn only_the_right_password_of_the_hash_in_force_is_right() {
        let passwords = Passwords::new().unwrap();
        let users = |word| BTreeMap::from([("a".to_owned(), bcrypt::hash(word, 4).unwrap())]);
        let old = users("secret");
        for _ in 0..2 {
            assert!(passwords.are_right(&old, &headers("a:secret")).await);
            assert!(!passwords.are_right(&old, &headers("a:wrong")).await);
            assert!(!passwords.are_right(&old, &headers("b:secret")).await);
            assert!(!passwords.are_right(&old, &headers("a")).await);
            assert!(!passwords.are_right(&old, &HeaderMap::new()).await);
        }
        assert!(!passwords.are_right(&users("other"), &headers("a:secret")).await);
        assert!(!passwords.are_right(&BTreeMap::new(), &headers("a:secret")).await);
    }

    #[tokio::test]
    async fn a_password_that_was_right_waits_for_nobody() {
        let passwords = Passwords::new().unwrap();
        let users = BTreeMap::from([("a".to_owned(), bcrypt::hash("secret", 4).unwrap())]);
        assert!(passwords.are_right(&users, &headers("a:secret")).await);
        let _turn = passwords.turn.acquire().await.unwrap();
        let (right, wrong) = (headers("a:secret"), headers("a:wrong"));
        assert_eq!(passwords.are_right(&users, &right).now_or_never(), Some(true));
        assert_eq!(passwords.are_right(&users, &wrong).now_or_never(), None);
    }
}
