"use strict";
// Inside of another page: say how high this one is, and be light or dark as that one is.
if (window.parent !== window) {
  addEventListener("message", (event) => {
    const scheme = event.data?.scheme;
    if (scheme === "light" || scheme === "dark") document.documentElement.dataset.scheme = scheme;
  });
  new ResizeObserver(() => {
    window.parent.postMessage({ height: document.documentElement.offsetHeight + 2 }, "*");
  }).observe(document.documentElement);
}
