// What pages need beside htmx: theme, dialogs, copying, toasts, ages of stamps. No page has a script
// of its own; elements say by data attributes what they do.
"use strict";

(() => {
  const byId = (id) => document.getElementById(id);

  // ---- theme: what was chosen here, else what the system says
  function switchTheme() {
    const root = document.documentElement;
    const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
    const next = (root.dataset.theme || system) === "dark" ? "light" : "dark";
    root.dataset.theme = next;
    document.cookie = `cyan-theme=${next}; path=/console; max-age=31536000; samesite=lax`;
  }

  // ---- toasts
  const TOAST_LIFE_MS = 6000;
  const SYMBOLS = { good: "circle-check", bad: "circle-alert", info: "info" };

  function arm(toast) {
    // What went wrong stays until it was seen.
    if (!toast.classList.contains("is-bad")) setTimeout(() => toast.remove(), TOAST_LIFE_MS);
  }

  function tell(text, kind = "info") {
    const toast = byId("toast-template").content.firstElementChild.cloneNode(true);
    toast.classList.add(`is-${kind}`);
    toast.querySelector("p").textContent = text;
    const use = toast.querySelector(".icon use");
    use.setAttribute("href", use.getAttribute("href").replace(/#.*$/, `#${SYMBOLS[kind] || "info"}`));
    byId("toasts").append(toast);
    arm(toast);
  }

  // ---- ages of stamps: as `ago` of console/rendering.py
  const STEPS = [[60, "s"], [60, "min"], [24, "h"], [365, "d"]];

  function age(stamp) {
    const past = Date.now() - stamp;
    let value = Math.floor(Math.abs(past) / 1000);
    if (value < 10) return "just now";
    for (const [step, unit] of STEPS) {
      if (value < step) return past > 0 ? `${value} ${unit} ago` : `in ${value} ${unit}`;
      value = Math.floor(value / step);
    }
    return past > 0 ? `${value} y ago` : `in ${value} y`;
  }

  function tick() {
    for (const time of document.querySelectorAll("time[datetime]")) {
      const text = age(Date.parse(time.dateTime));
      if (time.textContent !== text) time.textContent = text;
    }
  }

  // ---- a question before what cannot be undone: data-confirm on a form, hx-confirm on a part
  function confirmed(text, label, then) {
    const dialog = byId("confirm");
    byId("confirm-text").textContent = text;
    const yes = byId("confirm-yes");
    yes.textContent = label || "Go on";
    yes.onclick = () => { dialog.close(); then(); };
    dialog.showModal();
  }

  async function copy(button) {
    const text = button.dataset.copy;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Browsers give the clipboard to https and this machine only.
      const area = document.createElement("textarea");
      area.value = text;
      (button.closest("dialog") || document.body).append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    tell("Copied.", "good");
  }

  document.addEventListener("click", (event) => {
    const target = event.target.closest(
      "[data-theme-switch], [data-opens], [data-closes], [data-dismiss], [data-copy], [data-shows]",
    );
    if (!target) {
      if (event.target instanceof HTMLDialogElement) event.target.close();  // the backdrop
      return;
    }
    if ("themeSwitch" in target.dataset) switchTheme();
    if ("opens" in target.dataset) byId(target.dataset.opens).showModal();
    if ("closes" in target.dataset) target.closest("dialog").close();
    if ("dismiss" in target.dataset) target.closest("[data-toast]").remove();
    if ("copy" in target.dataset) copy(target);
    if ("shows" in target.dataset) {
      const input = byId(target.dataset.shows);
      input.type = input.type === "password" ? "text" : "password";
    }
  });

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.dataset.confirm && form.dataset.isConfirmed !== "yes") {
      event.preventDefault();
      event.stopImmediatePropagation();
      confirmed(form.dataset.confirm, form.dataset.confirmLabel, () => {
        form.dataset.isConfirmed = "yes";
        form.requestSubmit();
      });
      return;
    }
    delete form.dataset.isConfirmed;
    // A second click would send it twice.
    const button = event.submitter;
    if (form.method === "post" && !form.matches("[hx-post]")) {
      if (button) {
        button.setAttribute("aria-busy", "true");
        setTimeout(() => { button.disabled = true; });
      }
      // The page is left: its streams end here, before signing out ends them there as an error.
      for (const part of document.querySelectorAll("[sse-connect]")) {
        htmx.trigger(part, "htmx:beforeCleanupElement");
      }
    }
  }, true);

  // Coming back by the back button: the form can be sent again.
  window.addEventListener("pageshow", () => {
    for (const button of document.querySelectorAll("button[aria-busy]")) {
      button.removeAttribute("aria-busy");
      button.disabled = false;
    }
  });

  document.addEventListener("htmx:confirm", (event) => {
    if (!event.detail.question) return;
    event.preventDefault();
    const label = event.target.dataset.confirmLabel;
    confirmed(event.detail.question, label, () => event.detail.issueRequest(true));
  });

  // ---- focus: a button that waits for its answer lets go of it, and so does a part that is replaced.
  // Whoever works by keyboard goes on where they were: at the same element, or the one with its id.
  let held = null;

  function giveBack() {
    if (!held || document.activeElement !== document.body) return;
    const same = held.isConnected ? held : held.id && byId(held.id);
    const next = same && same.getClientRects().length ? same : byId("main");
    next?.focus({ preventScroll: true });
    if (document.activeElement === same) held = null;
  }

  document.addEventListener("htmx:beforeRequest", () => {
    if (document.activeElement !== document.body) held = document.activeElement;
  });
  document.addEventListener("htmx:afterSettle", giveBack);
  document.addEventListener("htmx:afterRequest", () => setTimeout(giveBack));
  document.addEventListener("pointerdown", () => { held = null; }, true);

  document.addEventListener("toast", (event) => tell(event.detail.text, event.detail.kind));
  document.addEventListener("htmx:sendError", () => tell("The server cannot be reached.", "bad"));
  document.addEventListener("htmx:afterSettle", tick);
  document.addEventListener("htmx:sseMessage", tick);

  // ---- a file dropped on its field
  for (const kind of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(kind, (event) => {
      const zone = event.target.closest?.(".drop");
      if (!zone) return;
      event.preventDefault();
      zone.classList.toggle("is-over", kind === "dragover");
      const input = zone.querySelector("input[type=file]");
      if (kind === "drop" && input && event.dataTransfer.files.length) {
        input.files = event.dataTransfer.files;
        input.dispatchEvent(new Event("change", { bubbles: true }));
      }
    });
  }

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll("[data-toast]").forEach(arm);
    // On a phone the tab of this page may be out of sight.
    const tab = document.querySelector(".tabs [aria-current]");
    if (tab) tab.parentElement.scrollLeft = tab.offsetLeft - tab.parentElement.offsetLeft - 24;
    tick();
    setInterval(tick, 10_000);
  });
})();
