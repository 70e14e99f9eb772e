"use strict";
// The figures inside of a page say how high they are, and are told whether it is light or dark.
{
  const frames = () => [...document.querySelectorAll("iframe")];
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const scheme = () => {
    const chosen = document.body.dataset.theme;
    return chosen === "light" || chosen === "dark" ? chosen : dark.matches ? "dark" : "light";
  };
  const tell = (frame) => frame.contentWindow.postMessage({ scheme: scheme() }, "*");
  const tellAll = () => frames().forEach(tell);
  addEventListener("message", (event) => {
    const frame = frames().find((each) => each.contentWindow === event.source);
    if (!frame || typeof event.data?.height !== "number") return;
    frame.style.height = `${Math.ceil(event.data.height)}px`;
    tell(frame);
  });
  dark.addEventListener("change", tellAll);
  addEventListener("DOMContentLoaded", () => {
    // What scrolls sideways can be scrolled by the keyboard.
    for (const wide of document.querySelectorAll(".table-wrapper, pre, .cell_output .output, div.math")) {
      if (wide.scrollWidth > wide.clientWidth) wide.tabIndex = 0;
    }
    new MutationObserver(tellAll).observe(document.body, { attributeFilter: ["data-theme"] });
  });
}
