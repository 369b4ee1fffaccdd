// Live streams of pages that nobody looks at are closed, and opened again when somebody does: a
// browser has six connections to a server over HTTP/1.1, for all of its tabs. One that breaks is
// opened again, and the page says so when that takes long.
"use strict";

(() => {
  const HIDDEN_FOR_MS = 10_000;
  const AGAIN_MS = [1000, 60_000];  // after the first refusal, and at most: each time twice as long
  const BROKEN_FOR_MS = 4000;  // a restart of the server may be over by then

  const broken = new Set();

  function tell() {
    const shown = document.getElementById("not-live");
    if (broken.size === 0) shown?.remove();
    if (broken.size === 0 || shown) return;
    const sign = document.getElementById("toast-template").content.firstElementChild.cloneNode(true);
    sign.id = "not-live";
    sign.classList.add("is-bad");
    sign.querySelector("p").textContent =
      "This page is not live: the server does not answer. It is asked again and again.";
    document.getElementById("toasts").append(sign);
  }

  // As much of an EventSource as htmx uses.
  class Stream {
    constructor(url) {
      this.url = url;
      this.listeners = [];
      this.lastId = "";
      this.isOver = false;
      this.wait = AGAIN_MS[0];
      this.onVisibility = () => this.follow();
      document.addEventListener("visibilitychange", this.onVisibility);
      this.open();
    }

    get readyState() {
      // One that sleeps shall not be taken for one that is broken.
      return this.source ? this.source.readyState : EventSource.CONNECTING;
    }

    open() {
      const url = new URL(this.url, location.href);
      if (this.lastId) url.searchParams.set("after", this.lastId);
      this.source = new EventSource(url);
      this.source.onopen = (event) => {
        this.wait = AGAIN_MS[0];
        this.mend();
        this.onopen?.(event);
      };
      this.source.onerror = () => this.fail();
      for (const [name, listener] of this.listeners) this.source.addEventListener(name, listener);
      this.source.addEventListener("events", (event) => { this.lastId = event.lastEventId; });
    }

    // htmx is not told: it would write each time to the browser's console, and open another one.
    fail() {
      if (this.isOver || !this.source) return;
      this.late ??= setTimeout(() => { broken.add(this); tell(); }, BROKEN_FOR_MS);
      // A lost connection is tried again by the browser itself, an answer other than 200 is not.
      if (this.source.readyState !== EventSource.CLOSED) return;
      this.source = null;
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.retry(), this.wait);
      this.wait = Math.min(2 * this.wait, AGAIN_MS[1]);
    }

    async retry() {
      const page = await fetch(location.href, { method: "HEAD" }).catch(() => null);
      if (this.isOver) return;
      // Signed out elsewhere, or what it shows is not theirs any more: so it does not stay in sight.
      if ([401, 404].includes(page?.status)) location.reload();
      else this.follow();
    }

    mend() {
      clearTimeout(this.late);
      this.late = undefined;
      broken.delete(this);
      tell();
    }

    follow() {
      clearTimeout(this.timer);
      if (this.isOver) return;
      if (document.hidden) {
        this.timer = setTimeout(() => {
          this.source?.close();
          this.source = null;
          this.mend();
        }, HIDDEN_FOR_MS);
      } else if (!this.source) {
        this.open();
      }
    }

    addEventListener(name, listener) {
      this.listeners.push([name, listener]);
      this.source?.addEventListener(name, listener);
    }

    removeEventListener(name, listener) {
      this.listeners = this.listeners.filter(([n, l]) => n !== name || l !== listener);
      this.source?.removeEventListener(name, listener);
    }

    close() {
      this.isOver = true;
      clearTimeout(this.timer);
      this.mend();
      document.removeEventListener("visibilitychange", this.onVisibility);
      this.source?.close();
    }
  }

  htmx.createEventSource = (url) => new Stream(url);
})();
