//! A node may move between threads.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use amiko_core::store::{Directory, Memory};
use amiko_core::{Engine, Id};
use amiko_runtime::{Handle, Runtime, RuntimeSettings, Tcp};
use common::{Talk, TalkProtocol, Talker, meet, say};

const fn is_send<T: Send>() {}

const _: () = {
    is_send::<Engine<Talk, Directory>>();
    is_send::<Runtime<TalkProtocol, Directory, Tcp>>();
    is_send::<Handle<Talk, Directory>>();
};

async fn start(dial: Option<String>) -> (Handle<Talk, Memory>, String, tokio::task::JoinHandle<Engine<Talk, Memory>>) {
    let engine = Engine::open(Memory::new(), Default::default()).unwrap();
    let mut settings = RuntimeSettings::default();
    settings.listen = Some(([127, 0, 0, 1], 0).into());
    let runtime = Runtime::with_settings(engine, settings)
        .with_network(TalkProtocol { dice: false, open: true }, Tcp)
        .await
        .unwrap();
    let (handle, address) = (runtime.handle(), runtime.local_addr().unwrap().to_string());
    let running = tokio::spawn(async { runtime.run().await.unwrap() });
    handle.command(meet("x", dial)).await.unwrap();
    (handle, address, running)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_talk_on_several_threads() {
    let (one, address, one_ends) = start(None).await;
    let (other, _, other_ends) = start(Some(address)).await;
    let mut heard = one.notices().await;
    // From a thread that isn't tokio's.
    let asking = other.clone();
    let runtime = tokio::runtime::Handle::current();
    let asked = std::thread::spawn(move || runtime.block_on(asking.command(say("x", 7))).unwrap());
    assert_eq!(heard.recv().await.unwrap().as_deref(), Ok(&7));
    assert_eq!(tokio::task::spawn_blocking(|| asked.join().unwrap()).await.unwrap().unwrap().read::<u64>().unwrap(), 7);
    one.stop();
    other.stop();
    let node = one_ends.await.unwrap();
    let talker: Option<&Talker> = node.node().talkers.get(&Id::new("x"));
    assert_eq!(talker.map(|talker| talker.heard.as_slice()), Some(&[7][..]));
    drop(other_ends.await.unwrap());
}
