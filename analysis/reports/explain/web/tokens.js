"use strict";
// Tokens in a font of one width, each on its color; a response below the other.
function strips(id, rows, of, label) {
  const place = document.getElementById(id), wide = 54, step = 6.4, high = 16;
  const svg = element("svg", { role: "img", "aria-label": label, class: "strips" });
  const largest = Math.max(1e-9, ...rows.flatMap((row) => row.tokens.map((t) => Math.abs(of(t) || 0))));
  let y = 14;
  for (const row of rows) {
    let x = 0;
    for (const token of row.tokens) {
      if (x + token[0].length > wide) { x = 0; y += high + 2; }
      const value = of(token), word = token[0];
      if (value !== null) {
        const good = value > 0 === row.positiveIsGood;
        svg.append(element("rect", {
          x: x * step + 1, y: y - 12, width: word.length * step + 2, height: high, class: good ? "better" : "worse",
          "fill-opacity": (0.65 * Math.abs(value) / largest).toFixed(3),
        }));
      }
      svg.append(element("text", { x: x * step + 2, y }, word));
      x += word.length + 1;
    }
    y += high + 2;
    svg.append(element("text", { x: 2, y }, `gold ${show(row.gold)}, proxy ${show(row.proxy)}`));
    y += 1.7 * high;
  }
  svg.setAttribute("viewBox", `0 0 ${wide * step + 4} ${Math.max(y - high, 200)}`);
  place.replaceChildren(svg);
}

start(() => {
  const beta = value("beta"), moment = value("moment"), by = value("by"), at = value("window") - 1;
  const names = Object.keys(DATA.curves), own = DATA.curves[beta];
  const root = (line) => line.kl.map((kl) => Math.sqrt(Math.max(kl, 0)));
  const d = root(own);
  chart("first", {
    x: [0, DATA.farthest], y: [DATA.lowest, DATA.highest], xLabel: "root of the KL to the base model, nats",
    yLabel: "reward",
    label: `Gold and three times the proxy against the root of the KL, beta ${beta}: after ${at + 1} twentieths ` +
      `gold is ${show(own.gold[at])}, the proxy ${show(own.proxy[at])}.`,
    lines: [
      ...names.map((name) => ({ x: root(DATA.curves[name]), y: DATA.curves[name].gold, color: "gray" })),
      { x: d, y: own.gold, color: "blue" },
      { x: d, y: own.proxy.map((v) => 3 * v), color: "orange", dashed: true },
    ],
    points: [
      { x: [d[at]], y: [own.gold[at]], color: "blue", size: 5 },
      { x: [d[at]], y: [3 * own.proxy[at]], color: "orange", size: 5 },
    ],
  });
  const rows = DATA.samples[beta][moment].map((row) => ({ ...row, positiveIsGood: by === "advantage" }));
  const column = by === "advantage" ? 1 : 2;
  strips("second", rows, (token) => token[column], `Responses ${moment}, tokens by ${by}.`);
  const most = Math.max(...own.gold), best = own.gold.indexOf(most);
  say(`With beta ${beta} gold is highest, ${show(most)}, after ${best + 1} of 20 parts of the run, where the proxy is ` +
    `${show(own.proxy[best])}. It ends at ${show(own.gold.at(-1))} and the proxy at ${show(own.proxy.at(-1))}. ` +
    `Where you are, after ${at + 1} parts: gold ${show(own.gold[at])}, proxy ${show(own.proxy[at])}, KL ${show(own.kl[at])} nats.`);
});
