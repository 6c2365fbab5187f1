//! A headless Chromium, and what it has shown.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use thirtyfour::prelude::*;
use thirtyfour::{ChromiumLikeCapabilities, LoggingPrefsLogLevel};
use tokio::time::sleep;

/// How long it is waited for what a page shall show.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often it is looked whether it does.
const LOOK: Duration = Duration::from_millis(20);

/// The program that drives the browser; killed when the test ends.
struct Chromedriver(Child);

impl Drop for Chromedriver {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A browser. Its session ends before the program that drives it, which ends the browser.
pub(crate) struct Browser {
    pub(crate) driver: WebDriver,
    _chromedriver: Chromedriver,
    origin: String,
    /// The sources of all pages that it has shown.
    pub(crate) sources: Vec<(String, String)>,
}

impl Browser {
    /// Starts one that will look at pages of this origin.
    pub(crate) async fn start(origin: &str) -> Self {
        let mut process = Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(process.stdout.take().unwrap());
        let chromedriver = Chromedriver(process);
        let port = said.lines().map_while(Result::ok).find_map(|line| {
            let (_, port) = line.split_once("started successfully on port ")?;
            port.trim_end_matches('.').parse::<u16>().ok()
        });
        let port = port.expect("chromedriver ended without saying its port");
        let mut wanted = DesiredCapabilities::chrome();
        // The sandbox needs what containers, and root, don't have; and all pages are ours.
        for argument in
            ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--disable-lcd-text"]
        {
            wanted.add_arg(argument).unwrap();
        }
        wanted.set_browser_log_level(LoggingPrefsLogLevel::All).unwrap();
        let driver = WebDriver::new(format!("http://127.0.0.1:{port}"), wanted).await.unwrap();
        let browser = Self { driver, _chromedriver: chromedriver, origin: origin.to_owned(), sources: Vec::new() };
        browser.window(1280, 800, false).await;
        browser
    }

    /// Ends it.
    pub(crate) async fn quit(self) {
        self.driver.quit().await.unwrap();
    }

    /// Gives the window a size.
    pub(crate) async fn window(&self, width: u32, height: u32, mobile: bool) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile });
        self.driver.cdp().send_raw("Emulation.setDeviceMetricsOverride", size).await.unwrap();
    }

    /// Prefers light or dark.
    pub(crate) async fn scheme(&self, scheme: &str) {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.driver.cdp().send_raw("Emulation.setEmulatedMedia", features).await.unwrap();
    }

    /// What a script gives.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.driver.execute(script, Vec::new()).await.unwrap().json().clone()
    }

    /// Waits until an expression is true.
    pub(crate) async fn until(&self, expression: &str) {
        let begun = Instant::now();
        while self.run(&format!("return Boolean({expression})")).await != json!(true) {
            if begun.elapsed() > PATIENCE {
                let page = self.run("return location.href + '\\n' + document.body.innerText").await;
                panic!("expected {expression}, found {}", page.as_str().unwrap_or_default());
            }
            sleep(LOOK).await;
        }
    }

    /// Waits until the page of the present address is there, and keeps its source.
    pub(crate) async fn shown(&mut self) {
        self.until("document.body.dataset.shown === location.pathname + location.search").await;
        let source = self.driver.source().await.unwrap();
        self.sources.push((self.address().await, source));
    }

    /// The present address, without the origin.
    pub(crate) async fn address(&self) -> String {
        let url = self.driver.current_url().await.unwrap().to_string();
        url.strip_prefix(&self.origin).unwrap_or(&url).to_owned()
    }

    /// Goes to an address.
    pub(crate) async fn go(&self, address: &str) {
        self.driver.goto(format!("{}{address}", self.origin)).await.unwrap();
    }

    /// Opens a page as somebody does who has its address.
    pub(crate) async fn open(&mut self, address: &str) {
        self.go(address).await;
        self.shown().await;
    }

    pub(crate) async fn find(&self, selector: &str) -> WebElement {
        match self.driver.find(By::Css(selector)).await {
            Ok(found) => found,
            Err(error) => panic!("expected {selector} at {}: {error}", self.address().await),
        }
    }

    /// Clicks, and waits for the page that follows.
    pub(crate) async fn click(&mut self, selector: &str) {
        self.find(selector).await.click().await.unwrap();
        self.shown().await;
    }

    /// Types into a field in the place of what is there, and sends its form.
    pub(crate) async fn submit(&mut self, selector: &str, text: &str) {
        let field = self.find(selector).await;
        field.clear().await.unwrap();
        field.send_keys(text.to_owned() + Key::Enter).await.unwrap();
        self.shown().await;
    }

    /// The texts of all elements, also of those that are folded.
    pub(crate) async fn texts(&self, selector: &str) -> Vec<String> {
        let script =
            format!("return [...document.querySelectorAll({})].map(e => e.textContent.trim())", json!(selector));
        let texts = self.run(&script).await;
        texts.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    }

    /// The text of the one such element.
    pub(crate) async fn text(&self, selector: &str) -> String {
        let mut texts = self.texts(selector).await;
        assert_eq!(texts.len(), 1, "expected one {selector}, found {texts:?}");
        texts.remove(0)
    }

    /// The versions of the events that are listed.
    pub(crate) async fn listed(&self) -> Vec<u64> {
        self.texts("#events .version").await.iter().map(|version| version.parse().unwrap()).collect()
    }

    /// What the browser complained of since it was asked last.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let log = self.driver.browser_log().await.unwrap();
        let bad = log.into_iter().filter(|entry| ["WARNING", "SEVERE"].contains(&entry.level.as_str()));
        bad.map(|entry| entry.message).collect()
    }
}
