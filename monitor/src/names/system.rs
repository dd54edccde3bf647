//! Asks as the host's other programs ask: the hosts file first, then the servers of resolv.conf.

use std::{
    collections::BTreeSet,
    fs,
    net::IpAddr,
    os::unix::fs::MetadataExt as _,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hickory_resolver::{
    Hosts, Resolver,
    net::{DnsError, NetError},
    proto::{
        op::Query,
        rr::{Name, RecordType},
    },
    system_conf::read_system_conf,
};

use super::{
    known::{Answer, Failure, Family},
    sockets::Sockets,
};

const RESOLV_CONF: &str = "/etc/resolv.conf";
const HOSTS: &str = "/etc/hosts";

/// How long an entry of the hosts file holds: it has no TTL.
const HOSTS_TTL: Duration = Duration::from_secs(60);

/// The host's configuration, read again when one of its files is another.
#[derive(Debug)]
pub(super) struct System {
    read: Mutex<Read>,
    sockets: Sockets,
}

#[derive(Debug, Default)]
struct Read {
    stamps: Option<[Stamp; 2]>,
    hosts: Arc<Hosts>,
    servers: Option<Servers>,
}

/// What changes with a file: `None` for one that is not there.
type Stamp = Option<(u64, u64, i64, i64)>;

/// Whom to ask, and with which domains a short name is completed.
#[derive(Clone, Debug)]
struct Servers {
    resolver: Resolver<Sockets>,
    search: Arc<[Name]>,
    dots: usize,
}

/// What came of a question for one type of records: the addresses, and how long they hold.
pub(super) type Records = Result<(BTreeSet<IpAddr>, Duration), NoRecords>;

/// Why there are no records of a type.
#[derive(Debug)]
pub(super) enum NoRecords {
    /// By the word of a server there are none, for so long.
    Absent(Option<Duration>),
    /// Nobody said anything of use.
    Failed(String),
}

impl System {
    /// Asks by these sockets.
    pub(super) fn new(sockets: Sockets) -> Self {
        Self { read: Mutex::default(), sockets }
    }

    /// Asks for the addresses of a name.
    pub(super) async fn ask(&self, name: &str) -> Answer {
        let (hosts, servers) = self.read();
        let name = match Name::from_ascii(name) {
            Ok(name) => name,
            Err(error) => return Answer::Failed(Failure::Query(error.to_string())),
        };
        let addresses = in_file(&hosts, &name);
        if !addresses.is_empty() {
            return Answer::Given { addresses, ttl: Some(HOSTS_TTL), unanswered: None };
        }
        match servers {
            Some(servers) => servers.ask(&name).await,
            None => Answer::Failed(Failure::NoServer),
        }
    }

    fn read(&self) -> (Arc<Hosts>, Option<Servers>) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let stamps = Some([stamp(RESOLV_CONF), stamp(HOSTS)]);
        if read.stamps != stamps {
            read.stamps = stamps;
            read.hosts = Arc::new(Hosts::from_system().unwrap_or_else(|error| {
                tracing::warn!(%error, "{HOSTS} is not read");
                Hosts::default()
            }));
            read.servers = Servers::read(self.sockets.clone())
                .inspect_err(|error| {
                    tracing::warn!(%error, "{RESOLV_CONF} names no server, names are looked up in {HOSTS} alone");
                })
                .ok();
        }
        (Arc::clone(&read.hosts), read.servers.clone())
    }
}

impl Servers {
    fn read(sockets: Sockets) -> Result<Self, NetError> {
        let (config, mut options) = read_system_conf()?;
        // The TTL is kept to by who asks here.
        options.cache_size = 0;
        // The host keeps its reserved ports free, and documented ports are among them.
        options.os_port_selection = true;
        let dots = options.ndots;
        let search = match (config.search(), config.domain()) {
            ([], domain) => domain.into_iter().cloned().collect(),
            (search, _) => search.into(),
        };
        let resolver =
            Resolver::builder_with_config(config, sockets).with_options(options).build()?;
        Ok(Self { resolver, search, dots })
    }

    /// The first completion of a name that has addresses. That there are none holds where every
    /// completion was answered.
    async fn ask(&self, name: &Name) -> Answer {
        let mut failed = None;
        let mut negative = None;
        for name in completions(name, &self.search, self.dots) {
            let (v4, v6) = tokio::join!(
                self.records(name.clone(), RecordType::A),
                self.records(name, RecordType::AAAA),
            );
            match merge(v4, v6) {
                Answer::Given { addresses, ttl, .. } if addresses.is_empty() => {
                    negative = [negative, ttl].into_iter().flatten().min();
                }
                Answer::Failed(failure) => failed = failed.or(Some(failure)),
                found @ Answer::Given { .. } => return found,
            }
        }
        match failed {
            Some(failure) => Answer::Failed(failure),
            None => Answer::Given { addresses: BTreeSet::new(), ttl: negative, unanswered: None },
        }
    }

    async fn records(&self, name: Name, kind: RecordType) -> Records {
        match self.resolver.lookup(name, kind).await {
            Ok(lookup) => {
                let answers = lookup.answers();
                // A CNAME on the way holds no longer than its own TTL.
                let ttl = answers.iter().map(|record| record.ttl).min().unwrap_or(0);
                let ttl = Duration::from_secs(ttl.into());
                let addresses = answers.iter().filter_map(|record| record.data.ip_addr());
                Ok((addresses.map(|address| address.to_canonical()).collect(), ttl))
            }
            Err(NetError::Dns(DnsError::NoRecordsFound(none))) => {
                let ttl = none.negative_ttl.map(|ttl| Duration::from_secs(ttl.into()));
                Err(NoRecords::Absent(ttl))
            }
            Err(error) => Err(NoRecords::Failed(error.to_string())),
        }
    }
}

/// The answer of both types of records.
pub(super) fn merge(v4: Records, v6: Records) -> Answer {
    let given =
        |(addresses, ttl), unanswered| Answer::Given { addresses, ttl: Some(ttl), unanswered };
    match (v4, v6) {
        (Ok((v4, ttl4)), Ok((v6, ttl6))) => given((&v4 | &v6, ttl4.min(ttl6)), None),
        (Ok(v4), Err(NoRecords::Absent(_))) => given(v4, None),
        (Err(NoRecords::Absent(_)), Ok(v6)) => given(v6, None),
        (Ok(v4), Err(NoRecords::Failed(_))) => given(v4, Some(Family::V6)),
        (Err(NoRecords::Failed(_)), Ok(v6)) => given(v6, Some(Family::V4)),
        (Err(NoRecords::Absent(ttl4)), Err(NoRecords::Absent(ttl6))) => Answer::Given {
            addresses: BTreeSet::new(),
            ttl: ttl4.into_iter().chain(ttl6).min(),
            unanswered: None,
        },
        (Err(NoRecords::Failed(reason)), Err(_)) | (Err(_), Err(NoRecords::Failed(reason))) => {
            Answer::Failed(Failure::Query(reason))
        }
    }
}

/// What a name may be short for, in the order of resolv.conf(5).
pub(super) fn completions(name: &Name, search: &[Name], dots: usize) -> Vec<Name> {
    let mut whole = name.clone();
    whole.set_fqdn(true);
    let mut names: Vec<Name> =
        search.iter().filter_map(|domain| name.clone().append_domain(domain).ok()).collect();
    // A name of two labels has one dot.
    let first = usize::from(name.num_labels()) > dots;
    names.insert(if first { 0 } else { names.len() }, whole);
    names
}

fn in_file(hosts: &Hosts, name: &Name) -> BTreeSet<IpAddr> {
    [RecordType::A, RecordType::AAAA]
        .into_iter()
        .filter_map(|kind| hosts.lookup_static_host(&Query::query(name.clone(), kind)))
        .flat_map(|lookup| {
            let records = lookup.answers().iter();
            records.filter_map(|record| record.data.ip_addr()).collect::<Vec<_>>()
        })
        .map(|address| address.to_canonical())
        .collect()
}

fn stamp(path: &str) -> Stamp {
    let file = fs::metadata(path).ok()?;
    Some((file.dev(), file.ino(), file.mtime(), file.mtime_nsec()))
}
