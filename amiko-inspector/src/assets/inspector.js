// Puts the parts of a page into their places, and asks for the next ones. It builds no HTML of its own from what it is given.
"use strict";

const base = document.querySelector("meta[name=amiko-base]").content;
const place = (name) => document.getElementById(name);
let token = sessionStorage.getItem("amiko-token");
let asking = null;
let shown = 0;

// The token is taken out of the address, so that nobody copies it along.
function takeToken() {
  if (/^#[0-9a-f]{32}$/.test(location.hash)) {
    token = location.hash.slice(1);
    sessionStorage.setItem("amiko-token", token);
    history.replaceState(null, "", location.pathname + location.search);
    return true;
  }
  return false;
}

const address = () => location.pathname + location.search;

async function ask(path, options = {}) {
  const headers = { authorization: `Bearer ${token}`, ...options.headers };
  return fetch(base + path, { ...options, headers });
}

function askForToken() {
  place("token").hidden = false;
  place("token").elements.token.focus();
  place("main").replaceChildren();
}

// Shows the page of the present address. An older request that is still under way is given up.
async function show(options = {}) {
  if (!token) return askForToken();
  asking?.abort();
  asking = new AbortController();
  let text;
  try {
    const answer = await ask(`/-/frame?path=${address()}`, { signal: asking.signal });
    if (answer.status === 401) return askForToken();
    text = await answer.text();
    if (!answer.ok) text = "";
    if (!text) return;
  } catch (error) {
    if (error.name !== "AbortError") place("state").textContent = "not connected";
    return;
  }
  place("token").hidden = true;
  const page = new DOMParser().parseFromString(text, "text/html");
  const focus = document.activeElement?.id;
  const typing = document.activeElement?.matches("input[type=search], textarea, select");
  for (const part of page.querySelectorAll("[data-part]")) {
    const name = part.dataset.part;
    // Nobody's typing is disturbed by what happens in the node, nor is what a dry run has shown.
    if (options.following && typing && place(name).contains(document.activeElement)) continue;
    if (options.following && name === "main" && place("dry-run")) continue;
    const titles = (details) => [...place(name).querySelectorAll(details)];
    const title = (summary) => (summary.firstElementChild ?? summary).textContent;
    const open = new Set(titles("details[open] > summary").map(title));
    place(name).replaceChildren(...part.childNodes);
    // What somebody has opened stays so while the node goes on.
    if (options.following) titles("details > summary").forEach((summary) => (summary.parentElement.open = open.has(title(summary))));
  }
  if (focus && focus !== "main") place(focus)?.focus();
  if (options.moved) {
    place("main").scrollTop = 0;
    place("main").focus({ preventScroll: true });
  }
  const heading = document.querySelector("#main h2");
  document.title = heading ? `${heading.textContent.trim()} – Amiko` : "Amiko";
  shown = Number(place("slider")?.max ?? 0);
  document.body.dataset.shown = address();
  if (!page.querySelector("[data-part=moment]")) setTimeout(show, 500);
}

function go(to, replace = false) {
  if (to !== address()) history[replace ? "replaceState" : "pushState"](null, "", to);
  show({ moved: !replace });
}

// What a form says is put into the address, in the place of what it said before.
function submit(form) {
  const query = new URLSearchParams(location.search);
  for (const field of form.elements) {
    if (!field.name) continue;
    if (field.type === "checkbox" ? field.checked : field.value) query.set(field.name, field.value);
    else query.delete(field.name);
  }
  query.delete("before");
  query.delete("after");
  const text = query.toString();
  go(location.pathname + (text ? `?${text}` : ""));
}

async function tryCommand(form) {
  const { kind, id, message } = form.elements;
  try {
    JSON.parse(message.value);
  } catch (error) {
    place("outcome").textContent = `The message isn't JSON: ${error.message}`;
    return;
  }
  // The message goes as it was typed: a number of 64 bits doesn't fit into one of JavaScript's.
  const whom = { kind: kind.value, id: id.value };
  const body = `${JSON.stringify(whom).slice(0, -1)},"message":${message.value}}`;
  const headers = { "content-type": "application/json" };
  const answer = await ask("/-/dry-run", { method: "POST", headers, body });
  const text = await answer.text();
  if (!answer.ok) {
    place("outcome").textContent = text;
    return;
  }
  place("outcome").replaceChildren(...new DOMParser().parseFromString(text, "text/html").body.childNodes);
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href]");
  if (!link || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
  const to = link.getAttribute("href");
  if (!to.startsWith("/")) return;
  event.preventDefault();
  go(to, ["back", "on"].includes(link.id));
});

document.addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.target;
  // A form's own id is hidden by a field of that name.
  if (form.matches("#dry-run")) tryCommand(form);
  else if (form.matches("#token")) {
    token = form.elements.token.value.trim().replace(/^.*#/, "");
    sessionStorage.setItem("amiko-token", token);
    show();
    follow();
  } else submit(form);
});

document.addEventListener("input", (event) => {
  const field = event.target;
  if (field.id !== "slider") return;
  place("version").textContent = field.value;
  go(field.dataset.address.replace("VERSION", field.value), true);
});

document.addEventListener("change", (event) => {
  if (event.target.id !== "example") return;
  const { kind, message } = event.target.selectedOptions[0].dataset;
  const form = place("dry-run").elements;
  form.kind.value = kind;
  form.message.value = message;
});

document.addEventListener("keydown", (event) => {
  if (event.target.matches("input, textarea, select") || event.altKey || event.ctrlKey || event.metaKey) return;
  const link = { ArrowLeft: "back", ArrowRight: "on" }[event.key];
  if (!link) return;
  event.preventDefault();
  place(link)?.click();
});

addEventListener("popstate", () => show());

// Follows the node. Whoever looks at an old version is told only that there is a newer one.
let following = 0;
async function follow() {
  const mine = ++following;
  while (token && mine === following) {
    try {
      const answer = await ask("/-/live");
      if (answer.status === 401) return;
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let text = ""; ; ) {
        const { done, value } = await reader.read();
        if (done) break;
        if (mine !== following) return reader.cancel();
        text += value;
        const lines = text.split("\n");
        text = lines.pop();
        const newest = lines.filter((line) => line.startsWith("data:")).map((line) => Number(line.slice(5))).pop();
        if (newest === undefined || newest === shown) continue;
        if (!new URLSearchParams(location.search).has("at") && !document.hidden) await show({ following: true });
        else if (place("slider")) place("slider").max = newest;
      }
    } catch {
      place("state").textContent = "not connected";
    }
    await new Promise((done) => setTimeout(done, 1000));
  }
}

takeToken();
addEventListener("hashchange", () => {
  if (!takeToken()) return;
  show();
  follow();
});
show();
follow();
