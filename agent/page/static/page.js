// Keeps the page live: swaps the parts that changed, never under a finger, and says when the phone is lost.

const LOST_AFTER = 12500; // ms without a sign of life: two and a half beats
const SETTLE = 600; // ms in which a question that just changed takes no answer: no tap meant for the old one
const HELD = 2000; // ms that a finger may keep the page still: longer is no tap
const AGAIN = 3000; // ms before a stream that the server refused is tried again
const SENT = 5000; // ms after which an answer that was sent, and led nowhere, no longer holds the page still

const lost = document.getElementById("lost");
const news = document.getElementById("news");
let stream = null;
let alarm = 0;
let pressed = false;
let press = 0;
let sent = 0;
let clock = 0;
let waiting = null;

function setLost(isLost) {
  if (lost.hidden === !isLost) return;
  document.body.classList.toggle("stale", isLost);
  lost.hidden = !isLost;
  lost.textContent = isLost ? lost.dataset.text : "";
}

function alive() {
  setLost(false);
  watch();
}

function watch() {
  clearTimeout(alarm);
  alarm = setTimeout(() => { setLost(true); connect(); }, LOST_AFTER);
}

function isTyping() {
  const active = document.activeElement;
  return Boolean(active && active.matches("main input, main select, main textarea"));
}

function swap(html) {
  const fresh = new DOMParser().parseFromString(html, "text/html");
  for (const part of fresh.querySelectorAll("[data-part]")) {
    const old = document.querySelector(`[data-part="${part.dataset.part}"]`);
    if (!old || old.outerHTML === part.outerHTML) continue;
    const active = document.activeElement;
    const held = old.contains(active) ? active : null;
    const saidBefore = old.dataset.news;
    for (const open of old.querySelectorAll("details[open][data-key]")) {
      part.querySelector(`details[data-key="${CSS.escape(open.dataset.key)}"]`)?.setAttribute("open", "");
    }
    old.replaceWith(part);
    if (held) refocus(held.dataset.key);
    if (part.dataset.part === "question") settle(part);
    if (part.dataset.part === "status") {
      document.title = `${part.dataset.title} – ${document.title.split(" – ").slice(1).join(" – ")}`;
      if (saidBefore !== part.dataset.news) news.textContent = part.dataset.news;
    }
  }
  count();
}

// what had the focus may be gone: then reading goes on from the start of the content, not of the page
function refocus(key) {
  if (key) document.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus({ preventScroll: true });
  if (document.activeElement === document.body) document.getElementById("main").focus({ preventScroll: true });
}

// a running time counts from when it was told, by this computer's clock: the phone's may differ
function count() {
  const running = document.querySelectorAll("[data-elapsed]");
  for (const one of running) {
    one.dataset.base ??= performance.now() - 1000 * Number(one.dataset.elapsed);
    const seconds = Math.max(0, Math.floor((performance.now() - Number(one.dataset.base)) / 1000));
    const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
    const two = (value) => String(value).padStart(2, "0");
    one.textContent = h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
  }
  clearTimeout(clock);
  if (running.length) clock = setTimeout(count, 500);
}

function settle(part) {
  const until = performance.now() + SETTLE;
  part.classList.add("settling");
  part.addEventListener("click", (event) => { if (performance.now() < until) event.preventDefault(); }, true);
  setTimeout(() => part.classList.remove("settling"), SETTLE);
}

function take(html) {
  alive();
  if (isHeld()) waiting = html;
  else { waiting = null; swap(html); }
}

function isHeld() {
  return pressed || sent;
}

function catchUp() {
  if (waiting !== null && !isHeld()) take(waiting);
}

function connect() {
  stream?.close();
  stream = new EventSource("/events");
  watch();
  stream.addEventListener("parts", (event) => take(event.data));
  stream.addEventListener("beat", alive);
  stream.addEventListener("gone", () => location.reload()); // the session ended: the page asks for the PIN
  stream.addEventListener("error", () => {
    setLost(true);
    if (stream.readyState === EventSource.CLOSED) { clearTimeout(alarm); alarm = setTimeout(connect, AGAIN); }
  });
}

// the tap ends after `click` was delivered
// a menu or another window may swallow `pointerup`: a page that stood still would show an old light
addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  pressed = true;
  clearTimeout(press);
  press = setTimeout(release, HELD);
});
for (const name of ["pointerup", "pointercancel"]) addEventListener(name, () => setTimeout(release, 50));
function release() { clearTimeout(press); pressed = false; catchUp(); }
addEventListener("submit", (event) => {
  const button = event.submitter;
  if (!button || event.defaultPrevented) return;
  if (event.target.dataset.sent) { event.preventDefault(); return; } // two taps are one answer
  event.target.dataset.sent = "yes";
  if (button.dataset.working) button.textContent = button.dataset.working;
  button.setAttribute("aria-busy", "true");
  if ("download" in event.target.dataset) return;
  clearTimeout(sent); // the page is about to go: nothing comes under a second tap any more
  sent = setTimeout(() => { sent = 0; catchUp(); }, SENT);
});
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
// a page that is being left shows no alarm
addEventListener("pagehide", () => { clearTimeout(alarm); stream?.close(); });

// an on-screen keyboard covers the lower half: the field that is typed in stays in sight
visualViewport?.addEventListener("resize", () => {
  if (isTyping()) document.activeElement.scrollIntoView({ block: "center" });
});
const country = document.getElementById("country");
country?.addEventListener("change", digits);
function digits() {
  const code = document.getElementById("postal_code");
  if (code) code.inputMode = country.value === "US" ? "numeric" : "text";
}
if (country) digits();

count();
// first what is there is shown, then it is kept live
const whenIdle = window.requestIdleCallback ?? ((work) => setTimeout(work, 50));
if (document.querySelector("[data-part]")) whenIdle(connect, { timeout: 300 });
