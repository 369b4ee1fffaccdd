// Live streams of pages that nobody looks at are closed, and opened again when somebody does: a
// browser has six connections to a server over HTTP/1.1, for all of its tabs.
"use strict";

(() => {
  const HIDDEN_FOR_MS = 10_000;

  // As much of an EventSource as htmx uses.
  class Stream {
    constructor(url) {
      this.url = url;
      this.listeners = [];
      this.lastId = "";
      this.isOver = false;
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
      this.source.onopen = (event) => this.onopen?.(event);
      this.source.onerror = (event) => this.onerror?.(event);
      for (const [name, listener] of this.listeners) this.source.addEventListener(name, listener);
      this.source.addEventListener("events", (event) => { this.lastId = event.lastEventId; });
    }

    follow() {
      clearTimeout(this.timer);
      if (this.isOver) return;
      if (document.hidden) {
        this.timer = setTimeout(() => { this.source?.close(); this.source = null; }, HIDDEN_FOR_MS);
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
      document.removeEventListener("visibilitychange", this.onVisibility);
      this.source?.close();
    }
  }

  htmx.createEventSource = (url) => new Stream(url);
})();
