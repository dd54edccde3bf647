//! Configs of the daemon.

use crate::Flow;

/// The service of this host in [`SQL_SERVER`].
pub const AGENT: Flow<'_> = Flow("agent-50051", "server", "cluster");

/// A service of the peer there.
pub const CLUSTER: Flow<'_> = Flow("mssql-vdi-11113", "client", "cluster");

/// A host with Microsoft SQL Server, backed up by a cluster: port 50051 is served here, port 11113
/// and others there, port 59999 is the host's with itself. None of it is due.
pub const SQL_SERVER: &str = r#"
[[system]]
product = "ibm-backup-recovery"
roles = ["ms-sql-server", "physical-server"]
peers.cluster = ["10.20.0.0/24", "fd00:20::/64"]
[[system.expect]]
flow = "agent-*"
within = "never"
"#;

/// A backup server: UDP ports 6363, 6364 and 32006, TCP port 32004 and others.
pub const BACKUP_SERVER: &str = r#"
[[system]]
product = "gigavault-storage"
roles = ["server"]
peers.client = ["10.20.0.0/24", "fd00:20::/64"]
"#;

/// A host with an agent, of which an old version was managed on port 808.
pub const CLOUD_AGENT: &str = r#"
[[system]]
product = "ibm-cloud-backup"
roles = ["agent"]
scenario = "commercial"
peers.portal = ["10.20.0.0/24"]
peers.central-control = ["10.20.0.0/24"]
"#;
