// Live logs: they can be paused, cleared, and stay short enough to be read; and all variables of a
// device are read at a click.
"use strict";

(() => {
  // More lines than anybody scrolls through; the history has the others.
  const MAX_LINES = 500;
  const waiting = new WeakMap();

  const log = () => document.querySelector("[data-log]");

  function trim(list) {
    while (list.childElementCount > MAX_LINES) list.lastElementChild.remove();
  }

  function isPaused() {
    return document.querySelector("[data-pause]")?.getAttribute("aria-pressed") === "true";
  }

  function tell() {
    const list = log();
    const state = document.querySelector("[data-log-state]");
    const held = waiting.get(list) || 0;
    const label = document.querySelector("[data-pause] span");
    if (label) label.textContent = isPaused() ? (held ? `Go on (${held} new)` : "Go on") : "Pause";
    if (state) state.textContent = isPaused() ? "Paused" : "Live";
  }

  // What comes while it is paused waits, as HTML that the server made, and is put on top later.
  document.addEventListener("htmx:sseBeforeMessage", (event) => {
    const list = event.target;
    if (!list.matches?.("[data-log]") || !isPaused()) return;
    event.preventDefault();
    const holder = document.createElement("template");
    holder.innerHTML = event.detail.data;
    list.held = list.held || [];
    list.held.unshift(...holder.content.children);
    list.held.length = Math.min(list.held.length, MAX_LINES);
    waiting.set(list, list.held.length);
    tell();
  });

  document.addEventListener("htmx:sseMessage", (event) => {
    if (event.target.matches?.("[data-log]")) trim(event.target);
  });

  document.addEventListener("htmx:sseError", () => {
    const state = document.querySelector("[data-log-state]");
    if (state) state.textContent = "Connecting again …";
  });
  document.addEventListener("htmx:sseOpen", tell);

  function hideSystem(box) {
    log().classList.toggle("is-without-system", box.checked);
    try {
      localStorage.setItem("cyan-hide-system", box.checked ? "yes" : "");
    } catch {
      // Storage may be forbidden; then it is not remembered.
    }
  }

  document.addEventListener("click", (event) => {
    const pause = event.target.closest("[data-pause]");
    if (pause) {
      pause.setAttribute("aria-pressed", isPaused() ? "false" : "true");
      const list = log();
      if (!isPaused() && list.held) {
        list.prepend(...list.held);
        list.held = null;
        waiting.delete(list);
        trim(list);
      }
      tell();
    }
    if (event.target.closest("[data-clear]")) log().replaceChildren();
    if (event.target.closest("[data-read-all]")) {
      for (const button of document.querySelectorAll("#variables button")) button.click();
    }
  });

  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-hide-system]")) hideSystem(event.target);
  });

  document.addEventListener("DOMContentLoaded", () => {
    const box = document.querySelector("[data-hide-system]");
    if (!box) return;
    try {
      box.checked = localStorage.getItem("cyan-hide-system") === "yes";
    } catch {
      return;
    }
    if (box.checked) hideSystem(box);
  });
})();
