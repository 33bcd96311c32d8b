//! Real PostgreSQL and Redis servers for tests, from the machine's packages. Each runs in a folder
//! of its own, listens on loopback only, and ends with the test process, however that ends.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a server may take to start.
const START_WITHIN: Duration = Duration::from_secs(60);

/// Runs the command behind it; ends it when its own input ends, which is when the test process
/// does, or has a line. Unless that says so, it removes what the server wrote: nobody else will,
/// when a process ends. The first line of its output is the process id of the server.
const GUARD: &str = r#""$@" >server.log 2>&1 </dev/null & pid=$!; echo $pid
read -r word; kill -INT $pid; wait $pid; [ "$word" = keep ] || rm -rf ./*"#;

/// A server process and what ends it.
pub struct Daemon {
    guard: Child,
    pid: String,
}

impl Daemon {
    /// Runs a command in a folder that its user may write into.
    pub fn start(folder: &Path, command: &[String]) -> Self {
        let mut guard = as_postgres(&["sh", "-c", GUARD, "guard"]);
        guard.args(command).current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut guard = guard.spawn().unwrap();
        let mut pid = String::new();
        BufReader::new(guard.stdout.take().unwrap()).read_line(&mut pid).unwrap();
        Self { guard, pid: pid.trim().to_owned() }
    }

    fn signal(&self, name: &str) {
        // It may have ended by itself.
        let _ = Command::new("kill").args(["-s", name, &self.pid]).stderr(Stdio::null()).status().unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(mut stdin) = self.guard.stdin.take() {
            // It may have ended by itself.
            let _ = stdin.write_all(b"keep\n");
        }
        // Frozen processes do not notice.
        self.signal("CONT");
        let _ = self.guard.wait();
    }
}

/// A command that runs as the user `postgres` where we are root, which PostgreSQL refuses to be.
fn as_postgres(command: &[&str]) -> Command {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    if is_root {
        let mut all = Command::new("runuser");
        all.args(["-u", "postgres", "--"]).args(command);
        return all;
    }
    let (program, arguments) = command.split_first().unwrap();
    let mut all = Command::new(program);
    all.args(arguments);
    all
}

/// A folder that `postgres` may write into.
pub fn open_folder() -> TempDir {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    folder
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub fn wait_until(what: &str, mut ready: impl FnMut() -> bool) {
    let end = Instant::now() + START_WITHIN;
    while !ready() {
        assert!(Instant::now() < end, "{what} did not get ready");
        // Other processes tell of nothing that could be waited for.
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

fn run(mut command: Command) -> String {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// A PostgreSQL server. It is stopped and removed when it is dropped.
pub struct Postgres {
    folder: TempDir,
    port: u16,
    daemon: Option<Daemon>,
}

impl Postgres {
    /// The server that all tests of this process share. Never stop it.
    pub fn shared() -> &'static Self {
        static SHARED: LazyLock<Postgres> = LazyLock::new(Postgres::start);
        &SHARED
    }

    /// A server of one's own, which may be stopped, frozen and killed.
    pub fn start() -> Self {
        let folder = open_folder();
        let data = folder.path().join("data");
        let mut init = as_postgres(&[&program("initdb"), "-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8"]);
        init.arg("-D").arg(&data);
        run(init);
        let mut server = Self { folder, port: free_port(), daemon: None };
        server.resume();
        server
    }

    /// Starts it again after it was stopped or killed, on the same port.
    pub fn resume(&mut self) {
        self.daemon = None;
        let folder = self.folder.path().display();
        let options = ["fsync=off", "max_connections=300", "listen_addresses=127.0.0.1", "restart_after_crash=off"];
        let mut command = vec![program("postgres"), "-D".to_owned(), format!("{folder}/data")];
        command.extend(["-p".to_owned(), self.port.to_string(), "-k".to_owned(), folder.to_string()]);
        command.extend(options.iter().flat_map(|option| ["-c".to_owned(), (*option).to_owned()]));
        self.daemon = Some(Daemon::start(self.folder.path(), &command));
        wait_until("PostgreSQL", || self.psql("postgres", "SELECT 1").output().unwrap().status.success());
    }

    /// Ends it; whoever is connected is cut off.
    pub fn stop(&mut self) {
        self.daemon = None;
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) {
        self.signal("KILL");
        self.daemon = None;
    }

    /// Sends a signal such as `STOP` to the server and to every process of it.
    pub fn signal(&self, name: &str) {
        let Some(daemon) = &self.daemon else { return };
        let mut children = Command::new("pkill");
        children.args([&format!("-{name}"), "-P", &daemon.pid]);
        children.status().unwrap();
        daemon.signal(name);
    }

    /// A new, empty database; gives its name.
    pub fn create_database(&self) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        self.execute("postgres", &format!("CREATE DATABASE {name}"));
        name
    }

    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Where its data is.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Runs plain SQL, as an operator would.
    pub fn execute(&self, database: &str, sql: &str) {
        run(self.psql(database, sql));
    }

    /// The rows of a query; columns are separated by `|`.
    pub fn texts(&self, database: &str, sql: &str) -> Vec<String> {
        run(self.psql(database, sql)).lines().map(str::to_owned).collect()
    }

    /// All of a database as plain SQL.
    pub fn dump(&self, database: &str) -> String {
        let mut dump = Command::new(program("pg_dump"));
        dump.args(["-h", "127.0.0.1", "-U", "postgres", "-p", &self.port.to_string(), database]);
        run(dump)
    }

    fn psql(&self, database: &str, sql: &str) -> Command {
        let mut psql = Command::new(program("psql"));
        psql.args(["-h", "127.0.0.1", "-U", "postgres", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1"]);
        psql.args(["-p", &self.port.to_string(), "-d", database, "-c", sql]);
        psql
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // It waits for its children, and frozen ones do not end.
        self.signal("CONT");
    }
}

/// The newest of PostgreSQL's programs of this name: Debian keeps them off the path.
fn program(name: &str) -> String {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().filter_map(Result::ok);
    let mut found: Vec<PathBuf> =
        versions.map(|version| version.path().join("bin").join(name)).filter(|path| path.exists()).collect();
    found.sort();
    found.pop().map_or_else(|| name.to_owned(), |path| path.display().to_string())
}

/// A Redis server. It is stopped when it is dropped.
pub struct Redis {
    folder: TempDir,
    port: u16,
    /// Where it also speaks TLS.
    tls_port: Option<u16>,
    daemon: Option<Daemon>,
}

impl Redis {
    /// A server of one's own.
    pub fn start() -> Self {
        let mut server = Self { folder: open_folder(), port: free_port(), tls_port: None, daemon: None };
        server.resume();
        server
    }

    /// The same, which also speaks TLS with a certificate of its own.
    pub fn start_with_tls() -> Self {
        let mut server = Self { folder: open_folder(), port: free_port(), tls_port: Some(free_port()), daemon: None };
        let mut certificate = as_postgres(&["openssl", "req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"]);
        certificate.args(["-pkeyopt", "ec_paramgen_curve:prime256v1", "-keyout", "key.pem", "-out", "cert.pem"]);
        certificate.args(["-subj", "/CN=Redis of the tests", "-addext", "subjectAltName=IP:127.0.0.1"]);
        certificate.args(["-addext", "basicConstraints=critical,CA:FALSE"]).current_dir(server.folder.path());
        run(certificate);
        server.resume();
        server
    }

    /// The certificate to trust.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }

    pub fn tls_url(&self) -> String {
        format!("rediss://127.0.0.1:{}/0", self.tls_port.unwrap())
    }

    /// Starts it again after it was killed, empty, on the same port.
    pub fn resume(&mut self) {
        self.daemon = None;
        let port = self.port.to_string();
        let command = ["redis-server", "--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
        let mut command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
        if let Some(port) = self.tls_port {
            let tls = ["--tls-cert-file", "cert.pem", "--tls-key-file", "key.pem", "--tls-auth-clients", "no"];
            command.extend(["--tls-port".to_owned(), port.to_string()]);
            command.extend(tls.iter().map(|word| (*word).to_owned()));
        }
        self.daemon = Some(Daemon::start(self.folder.path(), &command));
        wait_until("Redis", || self.ping());
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) {
        self.signal("KILL");
        self.daemon = None;
    }

    /// Sends a signal such as `STOP`.
    pub fn signal(&self, name: &str) {
        if let Some(daemon) = &self.daemon {
            daemon.signal(name);
        }
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    fn ping(&self) -> bool {
        use std::io::Write as _;
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else { return false };
        let mut answer = [0; 7];
        stream.write_all(b"PING\r\n").is_ok() && stream.read_exact(&mut answer).is_ok() && &answer == b"+PONG\r\n"
    }
}

/// A way to a server that can be cut, as a broken network would. Listens on a port of its own.
pub struct Link {
    port: u16,
    state: Arc<LinkState>,
}

#[derive(Default)]
struct LinkState {
    is_cut: std::sync::atomic::AtomicBool,
    open: std::sync::Mutex<Vec<TcpStream>>,
}

impl Link {
    /// A way to this port.
    pub fn to(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state: Arc<LinkState> = Arc::default();
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = TcpStream::connect(("127.0.0.1", target));
                let (false, Ok(server)) = (shared.is_cut.load(Ordering::SeqCst), server) else { continue };
                shared.open.lock().unwrap().extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    std::thread::spawn(move || {
                        // However it ends, both ends learn of it.
                        let _ = std::io::copy(&mut from, &mut to);
                        let _ = to.shutdown(std::net::Shutdown::Both);
                    });
                }
            }
        });
        Self { port, state }
    }

    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Ends every connection and lets no new one through.
    pub fn cut(&self) {
        self.state.is_cut.store(true, Ordering::SeqCst);
        for stream in self.state.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }

    /// Lets connections through again.
    pub fn mend(&self) {
        self.state.is_cut.store(false, Ordering::SeqCst);
    }
}
