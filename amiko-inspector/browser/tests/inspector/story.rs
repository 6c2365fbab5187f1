//! What somebody finds out who looks at a node.

use crate::browser::Browser;
use crate::journal::{Journal, class, remote_class};
use crate::network::{DEPOSIT, Network, SHOWN};
use serde_json::json;
use thirtyfour::prelude::*;

/// A channel whose own end was given the whole deposit, and has paid since.
const CHANNEL: &str = "links/to_1/channels/1";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_shows_a_node_among_twelve() {
    let _turn = crate::ONE_AT_A_TIME.lock().await;
    let network = Network::start();
    let journal = Journal::read(&network.shown().directory);
    let (origin, token) = network.shown().inspect().split_once("/#").unwrap();
    let mut browser = Browser::start(origin).await;

    opens_with_the_token(&mut browser, token).await;
    filters(&mut browser, &journal).await;
    slides(&mut browser, &journal, &network).await;
    draws_every_message(&mut browser, &journal).await;
    goes_to_an_object_and_back(&mut browser, &journal).await;
    tries_a_command(&mut browser, &journal).await;
    follows(&mut browser, &network).await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    shows_no_secret(&mut browser, &network, token).await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    runs_nothing_of_a_page(&browser).await;
    browser.quit().await;
}

async fn opens_with_the_token(browser: &mut Browser, token: &str) {
    // Without it there is nothing but the question for it.
    browser.go("/").await;
    browser.until("!document.getElementById('token').hidden").await;
    assert_eq!(browser.text("#main").await, "");
    browser.open(&format!("/#{token}")).await;
    assert_eq!(browser.address().await, "/", "the token is taken out of the address");
    assert!(browser.text("#main h2").await.contains("State"));
}

/// The versions that are listed are those that the journal says.
async fn filters(browser: &mut Browser, journal: &Journal) {
    let deposits = journal.versions(|record| class(record) == "Deposit");
    assert_eq!(deposits.len(), 4, "one for each link");
    browser.submit("#filter [name=class]", "Deposit").await;
    assert_eq!(browser.listed().await, deposits);

    browser.submit("#filter [name=class]", "").await;
    let of_the_link = journal.versions(|record| {
        let envelope = &record["cause"]["envelope"];
        let changes = record["patch"].as_array().unwrap().iter();
        let mut paths = changes.map(|change| change["path"].as_str().unwrap());
        (envelope["kind"] == "link" && envelope["id"] == "to_3")
            || paths.any(|path| path.starts_with("/state/links/to_3"))
    });
    let from_elsewhere = |record: &serde_json::Value| class(record) == "AddLink" || class(record) == "Deposit";
    assert!(of_the_link.iter().any(|version| from_elsewhere(&journal.records[version])));
    for object in ["link/to_3", "links/to_3"] {
        browser.submit("#filter [name=object]", object).await;
        assert_eq!(browser.listed().await, of_the_link, "{object}");
    }
    browser.submit("#filter [name=object]", "").await;
    assert_eq!(browser.listed().await[0], journal.newest());
}

async fn balance(browser: &Browser) -> String {
    let selector = format!("#main a[href^='/tree/state/{CHANNEL}/amountLocal']");
    browser
        .run(&format!(
            "return document.querySelector({}).closest('div').querySelector('dd').textContent.trim()",
            json!(selector)
        ))
        .await
        .as_str()
        .unwrap()
        .to_owned()
}

/// With nothing but the keys of the slider.
async fn slides(browser: &mut Browser, journal: &Journal, network: &Network) {
    let now = network.shown().json(&["list"])["state"]["links"]["to_1"]["channels"][1]["amountLocal"].to_string();
    assert_ne!(now, DEPOSIT.to_string());
    browser.open("/object/links/to_1").await;
    assert_eq!(balance(browser).await, now);

    let deposit = *journal.versions(|record| class(record) == "Deposit").last().unwrap();
    let slider = browser.find("#slider").await;
    slider.send_keys(Key::Home).await.unwrap();
    browser.shown().await;
    assert!(browser.text("#main").await.contains("It isn't there in version 0."));
    let keys: String = std::iter::repeat_n(Key::Right.value(), usize::try_from(deposit).unwrap()).collect();
    browser.find("#slider").await.send_keys(keys).await.unwrap();
    browser.until(&format!("location.search === '?at={deposit}'")).await;
    browser.shown().await;
    assert_eq!(browser.text("#version").await, deposit.to_string());
    assert_eq!(balance(browser).await, DEPOSIT.to_string());
    assert_eq!(browser.run("return document.activeElement.id").await, "slider", "the keys go on working");

    browser.click("#follow").await;
    assert_eq!(balance(browser).await, now);
}

/// Each diagram has an arrow for each delivery and for each message to a peer, and says the same as text.
async fn draws_every_message(browser: &mut Browser, journal: &Journal) {
    let deposit = *journal.versions(|record| class(record) == "Deposit").last().unwrap();
    assert_eq!(journal.sent(deposit), 2);
    browser.open("/").await;
    browser.submit("#filter [name=class]", "Deposit").await;
    browser.click(&format!("#events a[href^='/event/{deposit}?']")).await;
    let arrows = browser.texts("figure ol li").await;
    let expected = [
        "Command → node: Deposit",
        "node → link to_1: Deposit",
        "link to_1 → peer to_1: Deposit",
        "link to_1 → peer to_1: ChannelMessage",
    ];
    assert_eq!(arrows, expected);
    assert_eq!(browser.texts("svg.sequence g.arrow").await.len(), expected.len());

    // The commit of a payment that passes the node: the link tells the transaction, which tells both links.
    let passes = |record: &serde_json::Value| {
        remote_class(record) == "RequestCommit"
            && record["cause"]["envelope"]["id"] == "to_4"
            && record["patch"]
                .as_array()
                .unwrap()
                .iter()
                .any(|change| change["path"].as_str().unwrap().starts_with("/connections/to_1/outbox/"))
    };
    let commit = journal.versions(passes)[0];
    assert_eq!(journal.sent(commit), 2);
    browser.open("/").await;
    browser.submit("#filter [name=q]", "RequestCommit").await;
    browser.click(&format!("#events a[href^='/event/{commit}?']")).await;
    let arrows = browser.texts("figure ol li").await;
    let transaction = arrows[1].split(['→', ':']).nth(1).unwrap().trim();
    assert!(transaction.starts_with("transaction "), "{transaction}");
    let expected = [
        "peer to_4 → link to_4: Remote".to_owned(),
        format!("link to_4 → {transaction}: RequestCommit"),
        format!("{transaction} → link to_4: SettleCommit"),
        format!("{transaction} → link to_1: RequestCommit"),
        "link to_4 → peer to_4: SettleCommit".to_owned(),
        "link to_1 → peer to_1: RequestCommit".to_owned(),
    ];
    let mut sorted = (arrows.clone(), expected.to_vec());
    sorted.0.sort();
    sorted.1.sort();
    assert_eq!(sorted.0, sorted.1, "{arrows:?}");
    assert_eq!(browser.texts("svg.sequence g.arrow").await.len(), expected.len());
    let label = browser.find("svg.sequence").await.attr("aria-label").await.unwrap().unwrap();
    assert_eq!(label, "sequence diagram with 6 arrows");
    assert!(browser.text("#main").await.contains("All messages of this event."));
}

async fn goes_to_an_object_and_back(browser: &mut Browser, journal: &Journal) {
    let receipt = journal.versions(|record| remote_class(record) == "Receipt")[0];
    let payer = journal.records[&receipt]["cause"]["envelope"]["id"].as_str().unwrap();
    let event = format!("/event/{receipt}?at={receipt}");
    browser.open(&event).await;
    browser.click("#object").await;
    assert_eq!(browser.address().await, format!("/object/payers/{payer}?at={receipt}"));
    assert!(browser.text("#main h2").await.starts_with(&format!("payer {payer}")));
    // The record says it: `hasReceipt` follows `initial`.
    let changes = journal.records[&receipt]["patch"].as_array().unwrap();
    let phase = changes.iter().find(|change| change["path"].as_str().unwrap().ends_with("/phase")).unwrap();
    assert_eq!(browser.texts("svg.phases .present title").await, [phase["value"].as_str().unwrap()]);
    assert!(browser.texts("svg.phases .phase").await.len() > 3);
    let history = browser.texts("ol.history [aria-current]").await;
    assert_eq!(history, [format!("version {receipt}")]);

    browser.driver.back().await.unwrap();
    browser.shown().await;
    assert_eq!(browser.address().await, event);
    assert!(browser.text("#main h2").await.starts_with(&format!("Version {receipt}")));
}

async fn tries(browser: &Browser, message: &str) {
    for (selector, text) in [("#dry-run [name=kind]", "node"), ("#dry-run [name=message]", message)] {
        let field = browser.find(selector).await;
        field.clear().await.unwrap();
        field.send_keys(text.to_owned()).await.unwrap();
    }
    browser.run("document.getElementById('outcome').replaceChildren()").await;
    browser.find("#dry-run button").await.click().await.unwrap();
    browser.until("document.querySelector('#outcome h3')").await;
}

async fn tries_a_command(browser: &mut Browser, journal: &Journal) {
    browser.open("/dry-run").await;
    // More than a number of JavaScript can hold exactly.
    let deposit =
        |amount: u64| json!({ "_class": "Deposit", "link": "to_1", "class": "PlainChannel", "amount": amount });
    tries(browser, &deposit(9_007_199_254_740_993).to_string()).await;
    let outcome = browser.text("#outcome").await;
    assert!(outcome.contains("It would be rejected"), "{outcome}");
    assert!(
        outcome.contains("expected an amount of at most") && outcome.contains("found 9007199254740993"),
        "{outcome}"
    );

    tries(browser, &deposit(5).to_string()).await;
    let outcome = browser.text("#outcome").await;
    assert!(outcome.contains("It would change") && outcome.contains("/state/links/to_1/channels/"), "{outcome}");
    assert!(outcome.contains("ChannelMessage to to_1"), "{outcome}");

    browser.open("/").await;
    let newest = browser.find("#slider").await.attr("max").await.unwrap().unwrap();
    assert_eq!(newest, journal.newest().to_string(), "neither of them happened");
}

/// A payment arrives while somebody looks, and types.
async fn follows(browser: &mut Browser, network: &Network) {
    browser.open("/tree/state/payments").await;
    let before = browser.texts("table.entries tbody tr").await.len();
    browser.find("#filter [name=q]").await.send_keys("half a wo").await.unwrap();
    network.pay(SHOWN, 7, 33, "a live tea");
    browser.until("document.querySelector('#main').textContent.includes('a live tea')").await;
    assert_eq!(browser.texts("table.entries tbody tr").await.len(), before + 1);
    assert_eq!(browser.find("#filter [name=q]").await.prop("value").await.unwrap().unwrap(), "half a wo");

    // Whoever tries a command keeps what was typed, and what came of it.
    browser.open("/dry-run").await;
    tries(browser, r#"{"_class":"Withdraw","link":"to_1","channel":77}"#).await;
    let outcome = browser.text("#outcome").await;
    let newest = browser.find("#slider").await.attr("max").await.unwrap().unwrap();
    network.pay(SHOWN, 7, 34, "another live tea");
    browser.until(&format!("document.getElementById('slider').max > {newest}")).await;
    assert_eq!(browser.text("#outcome").await, outcome);
    assert!(browser.find("#dry-run [name=message]").await.prop("value").await.unwrap().unwrap().contains("77"));

    // Whoever looks at the past stays there.
    browser.open("/tree/state/payments?at=5").await;
    network.pay(SHOWN, 7, 35, "a third live tea");
    network.rest();
    let newest = Journal::read(&network.shown().directory).newest();
    browser.until(&format!("document.getElementById('slider').max === '{newest}'")).await;
    assert!(browser.text("#main h2").await.contains("0 entries"));
    browser.click("#follow").await;
    assert!(browser.text("#main").await.contains("a third live tea"));
}

/// Every page where one could be.
async fn shows_no_secret(browser: &mut Browser, network: &Network, token: &str) {
    let node = network.shown();
    node.json(&["link", "add", "spare"]);
    let request = node.json(&["request", "5"])["url"].as_str().unwrap().to_owned();
    let payee = request.rsplit_once('/').unwrap().1;
    network.rest();
    let journal = Journal::read(&node.directory);
    browser.open("/object/links/spare").await;
    browser.until("document.querySelector('#main').textContent.includes('(secret)')").await;
    browser.open(&format!("/object/payees/{payee}")).await;
    browser.until("document.querySelector('#main').textContent.includes('(secret)')").await;
    for class in ["AddLink", "Request"] {
        assert!(
            journal
                .versions(|record| self::class(record) == class)
                .iter()
                .any(|version| journal.with_secrets.contains(version))
        );
    }
    for version in &journal.with_secrets {
        browser.open(&format!("/event/{version}")).await;
    }
    // Its neighbours' invitations, as their addresses held them: their files have them too.
    let mut secrets = journal.secrets.clone();
    secrets.insert(token.to_owned());
    let links = journal.versions(|record| class(record) == "AddLink");
    for version in links {
        let to = &journal.records[&version]["cause"]["envelope"]["message"]["to"];
        if let Some((_, invitation)) = to.as_str().and_then(|url| url.split_once("invitation=")) {
            secrets.insert(invitation.to_owned());
            browser.open(&format!("/event/{version}")).await;
        }
    }
    assert!(secrets.len() > 10, "a key, invitations and tokens: {}", secrets.len());
    for (address, source) in &browser.sources {
        for secret in &secrets {
            // Also not the beginning, which is what a page has of a long text; ten digits aren't there by chance.
            assert!(!source.contains(&secret[..10]), "{secret} is in the source of {address}");
        }
    }
    assert!(browser.sources.iter().any(|(_, source)| source.contains("(secret)")));
}

/// What gets into a page, however it does, isn't run; and the browser says so.
async fn runs_nothing_of_a_page(browser: &Browser) {
    let inside = "<img src='/-/nothing' onerror='document.title = \"run\"'>";
    browser
        .run(&format!(
            "const script = document.createElement('script'); script.textContent = 'window.found = 1'; document.body.append(script); \
             document.getElementById('main').insertAdjacentHTML('beforeend', {})",
            json!(inside)
        ))
        .await;
    assert_eq!(browser.run("return window.found ?? null").await, json!(null));
    let mut complaints = Vec::new();
    while !complaints.iter().any(|complaint: &String| complaint.contains("Content Security Policy")) {
        complaints.extend(browser.complaints().await);
    }
    assert_ne!(browser.driver.title().await.unwrap(), "run");
}
