//! A headless browser, controlled over a pipe by the DevTools protocol.
//!
//! With `--remote-debugging-pipe` the browser reads messages from file descriptor 3 and writes answers to 4, each ended by a
//! zero byte. A shell redirects standard input and output to them, so that no socket, port or library is needed.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(90);

/// The path of the browser: the environment variable `CHROMIUM`, or one of the usual names on the path.
fn find() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("CHROMIUM") {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH")?;
    ["chromium", "chromium-browser", "google-chrome"]
        .iter()
        .flat_map(|name| std::env::split_paths(&path).map(move |folder| folder.join(name)))
        .find(|file| file.is_file())
}

/// Starts a browser. Returns `None` with a message if there is none; in CI a missing browser is a failure.
pub fn start() -> Option<Browser> {
    match find() {
        Some(program) if cfg!(unix) => Some(Browser::start(&program)),
        found => {
            let why = if found.is_some() {
                "pages are tested on Unix only"
            } else {
                "no browser: set CHROMIUM or install chromium"
            };
            assert!(
                std::env::var("CI").as_deref() != Ok("true") || found.is_some(),
                "{why}"
            );
            eprintln!("skipped: {why}");
            None
        }
    }
}

pub struct Browser {
    child: Child,
    stdin: ChildStdin,
    messages: Receiver<Value>,
    waiting: VecDeque<Value>,
    next: u64,
    folder: tempfile::TempDir,
}

impl Browser {
    fn start(program: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the browser");
        let mut child = Command::new("sh")
            .arg("-c")
            .arg("exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1")
            .arg(program)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
                "--remote-debugging-pipe",
            ])
            .args([
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
            ])
            .args(["--hide-scrollbars", "--force-color-profile=srgb"])
            .arg(format!(
                "--user-data-dir={}",
                folder.path().join("profile").display()
            ))
            .args(
                std::env::var("CHROMIUM_FLAGS")
                    .unwrap_or_default()
                    .split_whitespace(),
            )
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the browser starts");
        let stdin = child.stdin.take().expect("a pipe to the browser");
        let stdout = child.stdout.take().expect("a pipe from the browser");
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            for message in BufReader::new(stdout).split(0).map_while(Result::ok) {
                let Ok(message) = serde_json::from_slice(&message) else {
                    continue;
                };
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            stdin,
            messages,
            waiting: VecDeque::new(),
            next: 1,
            folder,
        }
    }

    fn call(&mut self, session: Option<&str>, method: &str, parameters: Value) -> Value {
        let id = self.next;
        self.next += 1;
        let mut message = json!({ "id": id, "method": method, "params": parameters });
        if let Some(session) = session {
            message["sessionId"] = session.into();
        }
        self.stdin
            .write_all(message.to_string().as_bytes())
            .expect("the browser listens");
        self.stdin.write_all(&[0]).expect("the browser listens");
        self.stdin.flush().expect("the browser listens");
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let message = self
                .messages
                .recv_timeout(left)
                .unwrap_or_else(|_| panic!("no answer to {method}"));
            if message["id"] == id {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].clone();
            }
            self.waiting.push_back(message);
        }
    }

    /// Opens a page from disk in a window of this size and waits until it is ready.
    pub fn open(&mut self, html: &str, hash: &str, width: u32, height: u32) -> Page<'_> {
        let file = self.folder.path().join(format!("page-{}.html", self.next));
        std::fs::write(&file, html).expect("the page is written");
        let target =
            self.call(None, "Target.createTarget", json!({ "url": "about:blank" }))["targetId"]
                .clone();
        let session = self.call(
            None,
            "Target.attachToTarget",
            json!({ "targetId": target, "flatten": true }),
        );
        let session = session["sessionId"].as_str().expect("a session").to_owned();
        self.waiting.clear();
        let url = format!("file://{}{hash}", file.display());
        let mut page = Page {
            browser: self,
            session,
            target,
            url,
        };
        page.call("Runtime.enable", json!({}));
        page.call("Log.enable", json!({}));
        page.call("Page.enable", json!({}));
        page.resize(width, height);
        let url = page.url.clone();
        page.call("Page.navigate", json!({ "url": url }));
        page.wait_for("window.dnw && window.dnw.ready && document.readyState === 'complete'");
        page
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub struct Page<'a> {
    browser: &'a mut Browser,
    session: String,
    target: Value,
    url: String,
}

impl Page<'_> {
    pub fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.browser.call(Some(&self.session), method, parameters)
    }

    /// The window's size; below 500 pixels it counts as a phone.
    pub fn resize(&mut self, width: u32, height: u32) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500 });
        self.call("Emulation.setDeviceMetricsOverride", metrics);
    }

    pub fn dark(&mut self, dark: bool) {
        let value = if dark { "dark" } else { "light" };
        self.call(
            "Emulation.setEmulatedMedia",
            json!({ "features": [{ "name": "prefers-color-scheme", "value": value }] }),
        );
    }

    /// The value of an expression; an exception in it fails the test.
    pub fn eval(&mut self, expression: &str) -> Value {
        let parameters =
            json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.call("Runtime.evaluate", parameters);
        assert!(
            answer["exceptionDetails"].is_null(),
            "{expression}: {}",
            answer["exceptionDetails"]
        );
        answer["result"]["value"].clone()
    }

    pub fn number(&mut self, expression: &str) -> f64 {
        let value = self.eval(expression);
        value
            .as_f64()
            .unwrap_or_else(|| panic!("{expression} is {value}"))
    }

    pub fn wait_for(&mut self, condition: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self
            .eval(&format!("Boolean({condition})"))
            .as_bool()
            .unwrap_or(false)
        {
            let errors = self.errors();
            assert!(
                errors.is_empty(),
                "while waiting for `{condition}`: {errors:#?}"
            );
            assert!(Instant::now() < deadline, "`{condition}` did not come true");
            std::thread::sleep(Duration::from_millis(40));
        }
    }

    pub fn press(&mut self, key: &str, code: &str, number: u32) {
        let text = if key.chars().count() == 1 { key } else { "" };
        for kind in ["keyDown", "keyUp"] {
            let text = if kind == "keyDown" { text } else { "" };
            let event = json!({ "type": kind, "key": key, "code": code, "windowsVirtualKeyCode": number, "text": text });
            self.call("Input.dispatchKeyEvent", event);
        }
        self.settle();
    }

    pub fn click(&mut self, x: f64, y: f64) {
        for kind in ["mouseMoved", "mousePressed", "mouseReleased"] {
            self.call(
                "Input.dispatchMouseEvent",
                json!({ "type": kind, "x": x, "y": y, "button": "left", "clickCount": 1 }),
            );
        }
        self.settle();
    }

    /// Waits until the page is redrawn.
    pub fn settle(&mut self) {
        self.eval("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))");
    }

    /// The errors of the page so far.
    pub fn errors(&mut self) -> Vec<String> {
        self.call("Runtime.evaluate", json!({ "expression": "0" }));
        let session = self.session.clone();
        self.browser
            .waiting
            .iter()
            .filter(|message| message["sessionId"] == session.as_str())
            .filter_map(|message| {
                let parameters = &message["params"];
                let bad = match message["method"].as_str()? {
                    "Runtime.exceptionThrown" => true,
                    "Runtime.consoleAPICalled" => {
                        ["error", "warning", "assert"].contains(&parameters["type"].as_str()?)
                    }
                    "Log.entryAdded" => parameters["entry"]["level"] == "error",
                    _ => false,
                };
                bad.then(|| parameters.to_string())
            })
            .collect()
    }

    /// The window as PNG, base64.
    pub fn screenshot(&mut self, whole: bool) -> String {
        let answer = self.call(
            "Page.captureScreenshot",
            json!({ "format": "png", "captureBeyondViewport": whole }),
        );
        answer["data"].as_str().expect("a picture").to_owned()
    }
}

impl Drop for Page<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.browser.call(
                None,
                "Target.closeTarget",
                json!({ "targetId": self.target }),
            );
        }
    }
}
