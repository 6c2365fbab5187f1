//! Whether everybody can use the pages: with a reader of the screen, in the dark, and on a phone.

use crate::browser::Browser;
use crate::journal::{Journal, remote_class};
use crate::network::Network;
use serde_json::Value;
use std::path::PathBuf;

/// Faults of these impacts aren't accepted.
const GRAVE: [&str; 2] = ["serious", "critical"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_can_use_every_page() {
    let _turn = crate::ONE_AT_A_TIME.lock().await;
    let axe = std::fs::read_to_string(crate::variable("AMIKO_AXE")).unwrap();
    let network = Network::start();
    let journal = Journal::read(&network.shown().directory);
    let (origin, token) = network.shown().inspect().split_once("/#").unwrap();
    let mut browser = Browser::start(origin).await;
    browser.scheme("light").await;
    browser.go("/").await;
    browser.until("!document.getElementById('token').hidden").await;
    let mut faults = violations(&browser, &axe, "without a token").await;
    browser.open(&format!("/#{token}")).await;

    let commit = journal.versions(|record| remote_class(record) == "RequestCommit")[0];
    let receipt = journal.versions(|record| remote_class(record) == "Receipt")[0];
    let payer = journal.records[&receipt]["cause"]["envelope"]["id"].as_str().unwrap();
    let event = format!("/event/{commit}?at={commit}");
    let object = format!("/object/payers/{payer}?at={receipt}");
    let pages = [
        "/",
        "/tree/state/links",
        "/tree/state/links/to_1",
        &object,
        "/object/links/to_1",
        &event,
        "/rejections",
        "/outside",
        "/dry-run",
        "/health",
        "/nowhere",
    ];
    for (scheme, ground) in [("light", "rgb(255, 255, 255)"), ("dark", "rgb(22, 24, 29)")] {
        browser.scheme(scheme).await;
        for page in pages {
            browser.open(page).await;
            assert_eq!(browser.run("return getComputedStyle(document.body).backgroundColor").await, ground, "{page}");
            assert_eq!(sideways(&browser, "document.getElementById('main')").await, 0, "{page}");
            faults.extend(violations(&browser, &axe, &format!("{scheme} {page}")).await);
        }
    }
    browser.scheme("light").await;
    browser.window(390, 844, true).await;
    for page in pages {
        browser.open(page).await;
        assert_eq!(browser.run("return document.documentElement.clientWidth").await, 390, "{page}");
        assert_eq!(sideways(&browser, "document.documentElement").await, 0, "{page} is wider than a phone");
        faults.extend(violations(&browser, &axe, &format!("phone {page}")).await);
    }
    browser.window(1280, 800, false).await;
    if let Some(directory) = std::env::var_os("AMIKO_SCREENSHOTS").map(PathBuf::from) {
        std::fs::create_dir_all(&directory).unwrap();
        for (page, name) in [(&event, "inspector-event.png"), (&object, "inspector-object.png")] {
            browser.open(page).await;
            browser.run("document.querySelector('figure').scrollIntoView({ block: 'end' })").await;
            browser.driver.screenshot(&directory.join(name)).await.unwrap();
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    browser.quit().await;
}

/// How far an element can be scrolled sideways.
async fn sideways(browser: &Browser, element: &str) -> i64 {
    browser.run(&format!("return {element}.scrollWidth - {element}.clientWidth")).await.as_i64().unwrap()
}

/// The grave faults of the present page. The script comes by the driver: a page may run none but its own.
async fn violations(browser: &Browser, axe: &str, page: &str) -> Vec<String> {
    browser.run(axe).await;
    let script = "const done = arguments[0]; \
                  axe.run(document, { resultTypes: ['violations'] }).then(done, error => done(String(error)))";
    let found = browser.driver.execute_async(script, Vec::new()).await.unwrap().json().clone();
    let Value::Array(violations) = &found["violations"] else { panic!("axe failed on {page}: {found}") };
    assert!(found["passes"].as_array().unwrap().len() > 5, "axe looked at nothing on {page}");
    let grave = violations.iter().filter(|fault| GRAVE.contains(&fault["impact"].as_str().unwrap_or_default()));
    let say = |fault: &Value| {
        let (count, first) = (fault["nodes"].as_array().unwrap().len(), &fault["nodes"][0]);
        format!("{page}: {}, {count} times: {}: {}", fault["help"], first["html"], first["failureSummary"])
    };
    grave.map(say).collect()
}
