//! Finds the daemon: an explicit URL; else the socket beside the pid file of the configuration;
//! else the system bus, when the daemon there runs this same configuration; else `serverurl`.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use zbus::fdo;
use zbus::proxy::CacheProperties;

use super::agent::Agent;
use super::args::split_scheme;
use super::bus::{Asking, BusClient, PATIENCE};
use super::client::Client;
use super::http::{self, Server};
use super::tls::Trust;
use super::unreachable::{Attempt, Reason, Unreachable};
use super::xmlrpc::XmlRpcClient;
use crate::config::settings::CtlSettings;
use crate::dbus::proxy::{self, ManagerProxy};
use crate::dbus::types::BUS_NAME;
use crate::model::paths;

/// How long the system bus may take when nobody named it.
const BUS_PATIENCE: Duration = Duration::from_secs(5);

/// Knows where to look, and looks.
pub struct Connector {
    settings: CtlSettings,
    explicit: RefCell<Option<String>>,
    /// User name and password for XML-RPC, when both are known (C-239).
    credentials: RefCell<Option<(String, String)>>,
    trust: Trust,
    agent: Agent,
}

/// A place where a daemon may be.
enum Place {
    Peer(PathBuf),
    System { config_file: Option<PathBuf> },
    Session,
    XmlRpc(String),
    Unknown(String),
}

impl Connector {
    /// Looks by these settings; `explicit` is the URL of `-s`, which wins over all of them. The
    /// agent asks for a password where the system bus needs one.
    #[must_use]
    pub fn new(settings: CtlSettings, explicit: Option<String>, agent: Agent) -> Self {
        let credentials = settings.username.clone().zip(settings.password.clone());
        let (explicit, credentials) = (RefCell::new(explicit), RefCell::new(credentials));
        let trust = Trust::new(settings.tls_ca.clone());
        Self { settings, explicit, credentials, trust, agent }
    }

    /// What supervisorctl needs of the configuration.
    #[must_use]
    pub fn settings(&self) -> &CtlSettings {
        &self.settings
    }

    /// Uses this URL from now on (C-269).
    pub fn open(&self, url: String) {
        self.explicit.replace(Some(url));
    }

    /// Uses this user name and password from now on (C-237).
    pub fn authenticate(&self, username: String, password: String) {
        self.credentials.replace(Some((username, password)));
    }

    /// Connects to the first place where a daemon answers.
    ///
    /// # Errors
    /// When none does.
    pub async fn connect(&self) -> Result<Rc<dyn Client>, Unreachable> {
        let mut attempts = Vec::new();
        for place in self.places() {
            match place.connect(self).await {
                Ok(client) => return Ok(client),
                Err(attempt) => attempts.push(attempt),
            }
        }
        Err(Unreachable { attempts, config_file: self.settings.config_file.clone() })
    }

    /// The server of XML-RPC at a URL.
    fn server(&self, url: &str) -> Result<Server, (Reason, String)> {
        let is_https = split_scheme(url).is_some_and(|(scheme, _)| scheme == "https");
        let tls = if is_https { Some(self.trust.connector()?.clone()) } else { None };
        let known = self.credentials.borrow();
        let credentials = known.as_ref().map(|(name, password)| (&**name, &**password));
        Ok(Server::new(url, credentials, tls))
    }

    fn places(&self) -> Vec<Place> {
        if let Some(url) = self.explicit.borrow().as_deref() {
            return vec![Place::from_url(url)];
        }
        let mut places = Vec::new();
        if !is_remote(&self.settings.serverurl) {
            if let Some(pidfile) = &self.settings.pidfile {
                places.push(Place::Peer(paths::bus_socket(pidfile)));
            }
            if let Some(config_file) = &self.settings.config_file {
                places.push(Place::System { config_file: Some(config_file.clone()) });
            }
        }
        places.push(Place::from_url(&self.settings.serverurl));
        places
    }
}

/// Whether an `http://` or `https://` URL names another machine: it is then used as it stands.
fn is_remote(url: &str) -> bool {
    match split_scheme(url) {
        Some((scheme, rest)) if scheme == "http" || scheme == "https" => {
            let (host, _) = http::host_and_port(rest);
            let own = nix::unistd::gethostname().ok();
            let own = own.as_deref().and_then(|name| name.to_str());
            !(host.is_empty()
                || host == "localhost"
                || host.starts_with("127.")
                || own == Some(&host))
        }
        _ => false,
    }
}

impl Place {
    fn from_url(url: &str) -> Self {
        match split_scheme(url) {
            Some((scheme, "system")) if scheme == "dbus" => Self::System { config_file: None },
            Some((scheme, "session")) if scheme == "dbus" => Self::Session,
            Some((scheme, address)) if scheme == "dbus" => match unix_path(address) {
                Some(path) => Self::Peer(path),
                None => Self::Unknown(url.to_owned()),
            },
            Some((scheme, _)) if matches!(&*scheme, "http" | "https" | "unix") => {
                Self::XmlRpc(url.to_owned())
            }
            _ => Self::Unknown(url.to_owned()),
        }
    }

    fn url(&self) -> String {
        match self {
            Self::Peer(path) => format!("dbus:unix:path={}", path.display()),
            Self::System { .. } => "dbus:system".to_owned(),
            Self::Session => "dbus:session".to_owned(),
            Self::XmlRpc(url) | Self::Unknown(url) => url.clone(),
        }
    }

    async fn connect(&self, connector: &Connector) -> Result<Rc<dyn Client>, Attempt> {
        self.try_connect(connector).await.map_err(|(reason, note)| {
            let occupied = match self {
                Self::Peer(_) => !matches!(reason, Reason::NoFile | Reason::Refused),
                _ => reason == Reason::Denied,
            };
            Attempt { url: self.url(), reason, note, occupied }
        })
    }

    async fn try_connect(&self, connector: &Connector) -> Result<Rc<dyn Client>, (Reason, String)> {
        match self {
            Self::Peer(path) => {
                let manager = async {
                    let connection = proxy::connect_p2p(path).await.map_err(Reason::of_zbus)?;
                    proxy::manager(&connection).await.map_err(Reason::of_zbus)
                };
                let manager = within(PATIENCE, manager).await?;
                Ok(Rc::new(BusClient::new(self.url(), manager, Asking::default())))
            }
            Self::System { config_file } => {
                // A bus that nobody asked for must not hold up what comes after it.
                let patience = if config_file.is_some() { BUS_PATIENCE } else { PATIENCE };
                let manager = async {
                    on_bus(zbus::Connection::system().await.map_err(Reason::of_bus)?).await
                };
                let manager = within(patience, manager).await?;
                let stranger = !nix::unistd::geteuid().is_root();
                if stranger {
                    connector.agent.start().await;
                }
                let asking = Asking { password: connector.agent.is_allowed(), stranger };
                let client = BusClient::new(self.url(), manager, asking);
                if let Some(ours) = config_file {
                    runs(&client, ours).await?;
                }
                Ok(Rc::new(client))
            }
            Self::Session => {
                let manager = async {
                    on_bus(zbus::Connection::session().await.map_err(Reason::of_bus)?).await
                };
                let manager = within(PATIENCE, manager).await?;
                Ok(Rc::new(BusClient::new(self.url(), manager, Asking::default())))
            }
            Self::XmlRpc(url) => {
                let server = connector.server(url)?;
                let listening =
                    async { server.probe().await.map_err(|error| Reason::of_io(&error)) };
                within(PATIENCE, listening).await?;
                Ok(Rc::new(XmlRpcClient::new(url.clone(), server)))
            }
            Self::Unknown(url) => Err((
                Reason::Other {
                    class: "<class 'ValueError'>".into(),
                    text: format!("Unknown protocol for serverurl {url}"),
                },
                "dbus:system, dbus:session, dbus:unix:path=…, unix://, http:// and https:// are known"
                    .into(),
            )),
        }
    }
}

/// What comes in time.
async fn within<T>(
    patience: Duration,
    work: impl Future<Output = Result<T, (Reason, String)>>,
) -> Result<T, (Reason, String)> {
    let done = tokio::time::timeout(patience, work).await;
    done.unwrap_or_else(|_| Err((Reason::timed_out(), "it does not answer".into())))
}

/// The daemon that owns the name on a bus. It is asked for under its unique name, so that the bus
/// never starts one for us.
async fn on_bus(connection: zbus::Connection) -> Result<ManagerProxy<'static>, (Reason, String)> {
    let bus = fdo::DBusProxy::builder(&connection)
        .cache_properties(CacheProperties::No)
        .build()
        .await
        .map_err(Reason::of_zbus)?;
    let name = zbus::names::BusName::try_from(BUS_NAME).map_err(Reason::of_zbus)?;
    let owner = bus.get_name_owner(name).await.map_err(|error| match error {
        fdo::Error::NameHasNoOwner(_) => {
            (Reason::Refused, format!("nobody owns the name {BUS_NAME}"))
        }
        other => Reason::of_zbus(other.into()),
    })?;
    ManagerProxy::builder(&connection)
        .destination(owner)
        .cache_properties(CacheProperties::No)
        .build()
        .await
        .map_err(Reason::of_zbus)
}

/// Fails for a daemon that runs another configuration.
async fn runs(client: &BusClient, ours: &Path) -> Result<(), (Reason, String)> {
    let facts = client.facts().await.map_err(Reason::of_call)?;
    if same_file(ours, Path::new(&facts.configuration_file)) {
        return Ok(());
    }
    let note = format!("the supervisord there runs {}", facts.configuration_file);
    Err((Reason::Refused, note))
}

/// The path in `unix:path=…`.
fn unix_path(address: &str) -> Option<PathBuf> {
    use zbus::address::Transport;
    use zbus::address::transport::UnixSocket;
    let address: zbus::Address = address.parse().ok()?;
    match address.transport() {
        Transport::Unix(unix) => match unix.path() {
            UnixSocket::File(path) => Some(path.clone()),
            _ => None,
        },
        _ => None,
    }
}

fn same_file(ours: &Path, theirs: &Path) -> bool {
    let resolve = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    ours == theirs || resolve(ours) == resolve(theirs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_another_machine_is_used_as_it_stands() {
        assert!(is_remote("http://db7:9001"));
        assert!(is_remote("http://10.0.0.1/"));
        assert!(is_remote("https://db7"));
        for local in
            ["http://localhost:9001", "http://127.0.0.1:9001", "http://:9001", "unix:///x", "x"]
        {
            assert!(!is_remote(local), "{local}");
        }
    }

    #[test]
    fn places_are_read_from_urls() {
        for (url, shown) in [
            ("dbus:system", "dbus:system"),
            ("dbus:session", "dbus:session"),
            ("dbus:unix:path=/a/b,guid=00112233445566778899aabbccddeeff", "dbus:unix:path=/a/b"),
            ("http://x", "http://x"),
        ] {
            assert_eq!(Place::from_url(url).url(), shown);
        }
        assert!(matches!(Place::from_url("dbus:tcp:host=x"), Place::Unknown(_)));
        assert!(matches!(Place::from_url("https://x"), Place::XmlRpc(_)));
        assert!(matches!(Place::from_url("ftp://x"), Place::Unknown(_)));
    }
}
