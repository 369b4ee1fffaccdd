// The devices room: ticking devices shows what can be done with them together.
"use strict";

(() => {
  const boxes = () => document.querySelectorAll('#device-rows input[name="id"]');

  function count() {
    const all = boxes();
    const ticked = [...all].filter((box) => box.checked).length;
    const bar = document.getElementById("chosen");
    if (!bar) return;
    bar.hidden = ticked === 0;
    document.getElementById("chosen-count").textContent = ticked;
    const every = document.querySelector("[data-tick-all]");
    if (!every) return;  // nothing fits, so there is nothing to tick
    every.checked = all.length > 0 && ticked === all.length;
    every.indeterminate = ticked > 0 && ticked < all.length;
  }

  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-tick-all]")) {
      for (const box of boxes()) box.checked = event.target.checked;
    }
    if (event.target.closest("#device-rows")) count();
  });

  // The browser may have kept the ticks of a page that was gone back to.
  window.addEventListener("pageshow", count);
})();
