//! A real nginx before some servers, from the machine's packages.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use tempfile::TempDir;

use super::servers::{Daemon, free_port, open_folder, wait_until};

/// nginx as a load balancer that knows nothing of its servers but what they answer. It is stopped
/// when it is dropped.
pub struct Nginx {
    address: SocketAddr,
    folder: TempDir,
    _daemon: Daemon,
}

impl Nginx {
    /// nginx before these servers, with kept connections to them, passing on bytes as they come.
    pub fn before(servers: &[SocketAddr]) -> Self {
        let (folder, address) = (open_folder(), SocketAddr::from(([127, 0, 0, 1], free_port())));
        fs::write(folder.path().join("nginx.conf"), configuration(address, servers)).unwrap();
        let program = if Path::new("/usr/sbin/nginx").exists() { "/usr/sbin/nginx" } else { "nginx" };
        let prefix = format!("{}/", folder.path().display());
        let command = [program, "-p", &prefix, "-e", "error.log", "-c", "nginx.conf"].map(str::to_owned);
        let daemon = Daemon::start(folder.path(), &command);
        wait_until("nginx", || TcpStream::connect(address).is_ok());
        Self { address, folder, _daemon: daemon }
    }

    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it complained about.
    pub fn complaints(&self) -> String {
        fs::read_to_string(self.folder.path().join("error.log")).unwrap_or_default()
    }
}

/// `max_fails=0`: one refused connection is no reason to leave a server alone for ten seconds. All
/// about retries is nginx's default: what was sent once is not sent again.
fn configuration(address: SocketAddr, servers: &[SocketAddr]) -> String {
    let servers: String = servers.iter().map(|server| format!("        server {server} max_fails=0;\n")).collect();
    let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary: String = kinds.map(|kind| format!("    {kind}_temp_path {kind};\n")).concat();
    format!(
        "daemon off;
worker_processes 1;
pid nginx.pid;
events {{ worker_connections 4096; }}
http {{
    access_log off;
{temporary}    upstream replicas {{
{servers}        keepalive 64;
    }}
    server {{
        listen {address};
        location / {{
            proxy_pass http://replicas;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_buffering off;
        }}
    }}
}}
"
    )
}
