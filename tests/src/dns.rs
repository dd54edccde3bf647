//! A small DNS server, whose every word the test decides.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use hickory_proto::{
    op::{Message, Query, ResponseCode},
    rr::{
        Name, RData, Record, RecordType,
        rdata::{CNAME, SOA},
    },
};

use crate::Namespace;

/// The line of resolv.conf that leads to the server, from inside its namespace.
pub const RESOLV_CONF: &str = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n";

/// TTL of everything that it says, negative answers too.
const TTL: u32 = 1;

/// A server on the loopback device of a namespace. It stops with the value.
#[derive(Debug)]
pub struct DnsServer {
    state: Arc<Mutex<State>>,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What it says of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Says {
    /// These are its addresses.
    Addresses(Vec<IpAddr>),
    /// It is another name.
    Alias(String),
    /// SERVFAIL.
    Failure,
    /// Nothing at all.
    Nothing,
}

#[derive(Debug, Default)]
struct State {
    /// A name that is not here does not exist.
    names: BTreeMap<String, Says>,
    asked: Vec<String>,
}

impl DnsServer {
    /// Starts it.
    pub fn start(namespace: &Namespace) -> Self {
        let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 53);
        let socket = namespace.inside(|| UdpSocket::bind(address)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let stopped = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let (state, stopped) = (Arc::clone(&state), Arc::clone(&stopped));
            move || {
                while !stopped.load(Ordering::Relaxed) {
                    answer_one(&socket, &state);
                }
            }
        });
        Self { state, stopped, thread: Some(thread) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// What it says of a name from now on.
    pub fn says(&self, name: &str, says: Says) {
        self.state().names.insert(name.to_owned(), says);
    }

    /// It says that there is no such name from now on.
    pub fn forgets(&self, name: &str) {
        self.state().names.remove(name);
    }

    /// How often it was asked for a name.
    pub fn asked(&self, name: &str) -> usize {
        self.state().asked.iter().filter(|asked| *asked == name).count()
    }

    /// Every name that it was asked for.
    pub fn names_asked(&self) -> BTreeSet<String> {
        self.state().asked.iter().cloned().collect()
    }
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // A panic of the server was printed by its thread.
        drop(self.thread.take().map(JoinHandle::join));
    }
}

fn answer_one(socket: &UdpSocket, state: &Mutex<State>) {
    let mut buffer = [0; 512];
    // Nothing came in time, or who asked is gone.
    let Ok((length, from)) = socket.recv_from(&mut buffer) else {
        return;
    };
    let request = Message::from_vec(buffer.get(..length).unwrap()).unwrap();
    let reply = {
        let mut state = state.lock().unwrap();
        let query = request.queries.first().unwrap().clone();
        state.asked.push(plain(query.name()));
        reply(&request, &query, &state.names)
    };
    if let Some(reply) = reply {
        drop(socket.send_to(&reply.to_vec().unwrap(), from));
    }
}

fn reply(request: &Message, query: &Query, names: &BTreeMap<String, Says>) -> Option<Message> {
    let mut reply = request.clone().into_response();
    reply.metadata.recursion_available = true;
    let mut name = query.name().clone();
    loop {
        match names.get(&plain(&name)) {
            Some(Says::Nothing) => return None,
            Some(Says::Failure) => {
                reply.metadata.response_code = ResponseCode::ServFail;
                return Some(reply);
            }
            Some(Says::Alias(target)) => {
                let target = Name::from_ascii(format!("{target}.")).unwrap();
                let data = RData::CNAME(CNAME(target.clone()));
                reply.add_answer(Record::from_rdata(name, TTL, data));
                name = target;
            }
            Some(Says::Addresses(addresses)) => {
                let asked =
                    |address: &&IpAddr| address.is_ipv4() == (query.query_type() == RecordType::A);
                for address in addresses.iter().filter(asked) {
                    reply.add_answer(Record::from_rdata(name.clone(), TTL, (*address).into()));
                }
                break;
            }
            None => {
                reply.metadata.response_code = ResponseCode::NXDomain;
                break;
            }
        }
    }
    let zone = Name::from_ascii("example.com.").unwrap();
    let start = SOA::new(zone.clone(), zone.clone(), 1, 60, 60, 60, TTL);
    reply.add_authority(Record::from_rdata(zone, TTL, RData::SOA(start)));
    Some(reply)
}

/// A name as the test writes it.
fn plain(name: &Name) -> String {
    name.to_ascii().trim_end_matches('.').to_lowercase()
}
