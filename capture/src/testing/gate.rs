//! A way to a server that can be closed while the server stays up for others.

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Hands connections on to a server while it is open.
pub(crate) struct Gate {
    port: u16,
    is_open: watch::Sender<bool>,
    _accepting: JoinSet<()>,
}

impl Gate {
    /// An open gate to the server at `url` (`scheme://host:port`).
    pub(crate) async fn start(url: &str) -> Self {
        let (_, server) = url.rsplit_once('/').expect("an address with a scheme");
        let server = server.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let port = listener.local_addr().expect("address").port();
        let is_open = watch::Sender::new(true);
        let mut accepting = JoinSet::new();
        let mut open = is_open.subscribe();
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        if let (Ok((client, _)), true) = (accepted, *open.borrow()) {
                            connections.spawn(hand_on(client, server.clone()));
                        }
                    }
                    changed = open.changed() => match changed {
                        Ok(()) if !*open.borrow() => connections.abort_all(),
                        Ok(()) => {}
                        Err(_) => return,
                    },
                }
            }
        });
        Self {
            port,
            is_open,
            _accepting: accepting,
        }
    }

    /// Its address, as an engine has it.
    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Ends all connections and takes none.
    pub(crate) fn close(&self) {
        self.is_open.send_replace(false);
    }

    /// Takes connections again.
    pub(crate) fn open(&self) {
        self.is_open.send_replace(true);
    }
}

async fn hand_on(mut client: TcpStream, server: String) {
    if let Ok(mut server) = TcpStream::connect(server).await {
        // Either side may go away at any time.
        copy_bidirectional(&mut client, &mut server).await.ok();
    }
}
