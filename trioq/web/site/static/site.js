// All that the pages do by themselves: times that pass, figures that move, bulk work that goes on.
// Without it everything can be read and done as well.
"use strict";

(() => {
  const UNITS = [[86400, "d", 100 * 3600], [3600, "h", 6000], [60, "min", 100]];

  // As the server writes it (trioq.core.duration.roughly).
  const roughly = (seconds) => {
    for (const [length, name, from] of UNITS) {
      if (seconds >= from) {
        const value = seconds / length;
        return (name === "h" && value < 10 ? String(+value.toPrecision(2)) : Math.round(value).toLocaleString("en")) + " " + name;
      }
    }
    return Math.max(0, seconds).toFixed(1) + " s";
  };

  // -- times -------------------------------------------------------------------------------

  let ahead = 0; // the server's clock less ours
  const here = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
  const pass = () => {
    for (const each of document.querySelectorAll("time[data-ago]")) {
      const seconds = (Date.now() + ahead - Date.parse(each.dateTime)) / 1000;
      const rough = Math.abs(seconds) < 100 ? Math.round(Math.abs(seconds)) + " s" : roughly(Math.abs(seconds));
      const past = "soon" in each.dataset || seconds < 1 ? "now" : rough + " ago";
      each.textContent = seconds > -2 ? past : "in " + rough;
    }
  };
  const localise = () => {
    for (const each of document.querySelectorAll("time[datetime]:not([data-local])")) {
      const at = Date.parse(each.dateTime);
      each.dataset.local = "";
      if (!Number.isNaN(at)) each.title = here.format(at) + " here";
    }
  };
  const tick = () => { if (!document.hidden) pass(); };
  localise();
  setInterval(tick, 1000);

  // -- figures that move -------------------------------------------------------------------

  const path = document.body.dataset.stream;
  const pulse = document.getElementById("pulse");
  let stream = null;
  let shape = document.body.dataset.shape; // of what is drawn; else of what is told first
  let wanted;
  let swapped_at = Date.now();

  const say = (text, is_off) => {
    if (!pulse) return;
    pulse.hidden = false;
    if (pulse.textContent !== text) pulse.textContent = text;
    pulse.classList.toggle("off", is_off);
  };

  // A log is read from its end, unless somebody has scrolled.
  const tails = () => {
    for (const each of document.querySelectorAll("[data-tail]")) {
      if (each.dataset.tail !== "left") each.scrollTop = each.scrollHeight;
    }
  };
  document.addEventListener("scroll", (event) => {
    const it = event.target;
    if (it.dataset && "tail" in it.dataset) it.dataset.tail = it.scrollHeight - it.scrollTop - it.clientHeight > 40 ? "left" : "";
  }, true);
  tails();

  const show = (told) => {
    for (const [key, text] of Object.entries(told)) {
      const name = CSS.escape(key);
      for (const each of document.querySelectorAll(`[data-live="${name}"]`)) {
        if (each.textContent === text) continue;
        each.textContent = text;
        each.closest("td.number")?.classList.toggle("zero", text === "0");
        each.classList.remove("fresh");
        void each.offsetWidth;
        each.classList.add("fresh");
      }
      for (const each of document.querySelectorAll(`[data-live-d="${name}"]`)) each.setAttribute("d", text);
      for (const each of document.querySelectorAll(`[data-live-width="${name}"]`)) {
        each.setAttribute("width", text);
        each.closest(".meter").classList.toggle("full", Number(text) >= 100);
      }
      for (const each of document.querySelectorAll(`[data-live-at="${name}"]`)) each.setAttribute("datetime", text);
    }
    tails();
    pass();
  };

  // What a page lists has changed: its parts are fetched anew, unless somebody is at them.
  const reshape = async () => {
    const busy = document.querySelector("main details[open], main input:focus, main textarea:focus, main button:focus, main summary:focus, main a:focus-visible");
    if (busy || document.hidden || Date.now() - swapped_at < 8000) return false;
    swapped_at = Date.now();
    const answer = await fetch(location.href, { headers: { accept: "text/html", "x-trioq-look": "last" }, credentials: "same-origin" });
    if (!answer.ok || answer.redirected) return false;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const names = (of) => [...of.querySelectorAll("[data-part]")].map((part) => part.dataset.part);
    if (names(page).join("\n") !== names(document).join("\n")) {
      // Something has come, or gone: all of the page but its frame.
      document.getElementById("main").replaceChildren(...document.adoptNode(page.getElementById("main")).childNodes);
    } else {
      for (const part of document.querySelectorAll("[data-part]")) {
        const fresh = page.querySelector(`[data-part="${CSS.escape(part.dataset.part)}"]`);
        if (fresh) part.replaceWith(document.adoptNode(fresh));
      }
    }
    localise();
    pass();
    return true;
  };

  setInterval(async () => {
    const now = wanted;
    if (now !== shape && (await reshape().catch(() => false))) shape = now;
  }, 1000);

  // What takes long is fetched when the rest is there.
  const load = async (part) => {
    const link = part.querySelector("[data-loading]");
    if (link) link.textContent = link.dataset.loading;
    const answer = await fetch(part.dataset.load, { headers: { accept: "text/html" }, credentials: "same-origin" });
    if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.querySelector(`[data-part="${CSS.escape(part.dataset.part)}"]`);
    if (fresh) part.replaceWith(document.adoptNode(fresh));
  };
  for (const part of document.querySelectorAll("[data-load]")) {
    const link = part.querySelector("[data-loading]");
    const text = link ? link.textContent : "";
    load(part).catch(() => { if (link) link.textContent = text; });
  }

  const listen = () => {
    if (stream || !path || document.hidden || !window.EventSource) return;
    stream = new EventSource(path);
    stream.addEventListener("look", (event) => {
      const told = JSON.parse(event.data);
      if ("now_ms" in told) ahead = told.now_ms - Date.now();
      show(told.text || {});
      say("live", false);
      if ("shape" in told) {
        const is_first = shape === undefined;
        wanted = told.shape;
        if (is_first) shape = told.shape;
      }
    });
    stream.addEventListener("away", (event) => say(JSON.parse(event.data).says, true));
    stream.addEventListener("error", () => {
      if (stream && stream.readyState === EventSource.CLOSED) say("still: reload", true);
      else setTimeout(() => { if (stream && stream.readyState !== EventSource.OPEN) say("reconnecting", true); }, 6000);
    });
  };
  const leave = () => { if (stream) { stream.close(); stream = null; } };
  document.addEventListener("visibilitychange", () => (document.hidden ? leave() : listen()));
  addEventListener("pagehide", leave);
  addEventListener("pageshow", listen);
  listen();

  // -- doing -------------------------------------------------------------------------------

  // One click is one request.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post") return;
    const button = event.submitter;
    if (form.matches("[data-paced]")) {
      event.preventDefault();
      paced(form, button);
    } else if (button) {
      setTimeout(() => { button.disabled = true; });
      setTimeout(() => { button.disabled = false; }, 8000);
    }
  });

  // Bulk work: a bounded part in each request, until there is no more or somebody stops it.
  const paced = async (form, button) => {
    const fields = new URLSearchParams(new FormData(form));
    if (!fields.has("page")) fields.set("page", "500");
    const status = document.createElement("p");
    status.className = "flash";
    status.setAttribute("role", "status");
    const stop = document.createElement("button");
    stop.type = "button";
    stop.textContent = "Stop";
    let stopped = false;
    stop.addEventListener("click", () => { stopped = true; });
    const text = document.createElement("span");
    status.append(text, " ", stop);
    form.after(status);
    button.disabled = true;
    let count = 0;
    try {
      for (;;) {
        const answer = await fetch(form.action, { method: "POST", body: fields, headers: { accept: "application/json" }, credentials: "same-origin" });
        const told = await answer.json();
        if (!answer.ok) throw new Error(told.detail || told.title || String(answer.status));
        count += told.count || 0;
        text.textContent = `${count.toLocaleString("en")} done`;
        if (!told.more || stopped) break;
        if (told.after) fields.set("after", told.after);
      }
      text.textContent += stopped ? ", and stopped" : ": that was all";
    } catch (error) {
      status.classList.add("failed");
      text.textContent = `${count.toLocaleString("en")} done, then: ${error.message}`;
    }
    const on = document.createElement("a");
    on.href = form.dataset.next || location.pathname;
    on.textContent = "Go on";
    stop.replaceWith(on);
    button.disabled = false;
    on.focus();
  };
})();
