//! A network between a process and a server that a test can cut, hold up and slow down.

#![allow(dead_code, clippy::unwrap_used, reason = "shared by tests, each of which uses a part")]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// What the network does with what comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Network {
    Passes,
    /// Connections end, and new ones are refused.
    Cut,
    /// Nothing arrives, and nobody is told. What was sent arrives when it passes again, also if its sender has gone.
    Holds,
    /// As `Holds`, but only connections that were there; new ones pass.
    HoldsOld,
    /// What is asked arrives, and the answers are lost.
    LosesAnswers,
    Delays(Duration),
}

struct State {
    network: Network,
    /// Connections up to this one were there when the network changed last.
    old: u64,
    connections: Vec<(u64, [TcpStream; 2])>,
    next: u64,
    ended: bool,
}

struct Shared(Mutex<State>, Condvar);

/// Listens on a port of its own, and passes everything on to another one. It ends when it is dropped.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    shared: Arc<Shared>,
}

impl Proxy {
    pub(crate) fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = State { network: Network::Passes, old: 0, connections: Vec::new(), next: 1, ended: false };
        let shared = Arc::new(Shared(Mutex::new(state), Condvar::new()));
        let accepts = Arc::clone(&shared);
        thread::spawn(move || {
            for accepted in listener.incoming() {
                if accepts.0.lock().unwrap().ended {
                    return;
                }
                if let Ok(client) = accepted {
                    // A server that isn't there refuses: so does this.
                    drop(accepts.connect(client, server));
                }
            }
        });
        Self { port, shared }
    }

    pub(crate) fn set(&self, network: Network) {
        let mut state = self.shared.0.lock().unwrap();
        state.network = network;
        state.old = state.next - 1;
        if network == Network::Cut {
            state.end_connections();
        }
        drop(state);
        self.shared.1.notify_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let mut state = self.shared.0.lock().unwrap();
        state.ended = true;
        state.end_connections();
        drop(state);
        self.shared.1.notify_all();
        // It wakes the thread that accepts.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

impl State {
    fn end_connections(&mut self) {
        for (_, ends) in self.connections.drain(..) {
            ends.iter().for_each(|end| drop(end.shutdown(Shutdown::Both)));
        }
    }
}

impl Shared {
    fn connect(self: &Arc<Self>, client: TcpStream, server: u16) -> std::io::Result<()> {
        if self.0.lock().unwrap().network == Network::Cut {
            return Ok(());
        }
        let server = TcpStream::connect(("127.0.0.1", server))?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let ends = [client.try_clone()?, server.try_clone()?];
        let mut state = self.0.lock().unwrap();
        let number = state.next;
        state.next += 1;
        state.connections.push((number, ends));
        drop(state);
        let ways = [(client.try_clone()?, server.try_clone()?, false), (server, client, true)];
        for (from, to, answers) in ways {
            let shared = Arc::clone(self);
            thread::spawn(move || shared.carry(number, from, to, answers));
        }
        Ok(())
    }

    /// Carries one direction until its sender ends. The other direction may go on.
    fn carry(&self, number: u64, mut from: TcpStream, mut to: TcpStream, answers: bool) {
        let mut bytes = [0; 1 << 16];
        loop {
            let read = from.read(&mut bytes).unwrap_or(0);
            let Some(arrives) = self.wait(number, answers) else { break };
            if arrives && read > 0 && to.write_all(&bytes[..read]).is_err() {
                break;
            }
            if read == 0 {
                break;
            }
        }
        drop(to.shutdown(Shutdown::Write));
        drop(from.shutdown(Shutdown::Read));
        if answers {
            self.0.lock().unwrap().connections.retain(|(other, _)| *other != number);
        }
    }

    /// Waits until something may arrive; says whether it does. None once everything ends.
    fn wait(&self, number: u64, answers: bool) -> Option<bool> {
        let held = |state: &mut State| match state.network {
            Network::Holds => !state.ended,
            Network::HoldsOld => !state.ended && number <= state.old,
            _ => false,
        };
        let state = self.1.wait_while(self.0.lock().unwrap(), held).unwrap();
        let (network, ended) = (state.network, state.ended);
        drop(state);
        match network {
            _ if ended => None,
            Network::Cut => None,
            Network::Delays(pause) => {
                thread::sleep(pause);
                Some(true)
            }
            Network::LosesAnswers => Some(!answers),
            _ => Some(true),
        }
    }
}

/// A way to each server of a database.
pub(crate) struct Ways {
    pub(crate) url: String,
    pub(crate) proxies: Vec<Proxy>,
}

impl Ways {
    /// To the servers of this address, as `postgres://user@host:port,host:port/database`.
    pub(crate) fn to(url: &str) -> Self {
        let (before, rest) = url.split_once('@').unwrap();
        let (hosts, after) = rest.split_once('/').unwrap();
        let port = |host: &str| host.rsplit_once(':').map_or(5432, |(_, port)| port.parse().unwrap());
        let proxies: Vec<_> = hosts.split(',').map(|host| Proxy::to(port(host))).collect();
        let hosts: Vec<_> = proxies.iter().map(|proxy| format!("127.0.0.1:{}", proxy.port)).collect();
        Self { url: format!("{before}@{}/{after}", hosts.join(",")), proxies }
    }

    pub(crate) fn set(&self, network: Network) {
        self.proxies.iter().for_each(|proxy| proxy.set(network));
    }
}
