"use strict";
// The page: settings, one worker a seed, and what they report.

const TOTAL = 150000, SOLVED = 475, TICK = 0.02; // steps, return, seconds a step of CartPole
const CONTROLS = ["epsilon", "gamma", "lambda", "epochs", "rate", "seed", "seeds", "clipping", "bootstrap", "motion"];
const DEFAULTS = Object.fromEntries(CONTROLS.map((id) => [id, document.getElementById(id).value]));
const LESSONS = {
  "": "",
  "clipping=0&epochs=30": "Nothing holds the ratios: 30 epochs on the same samples move the policy by many nats at once, the return falls apart, and it comes back, if at all, only as the step size goes to 0. Switch clipping on, and the same 30 epochs learn.",
  "lambda=0": "Only the critic judges the actions, and it is wrong at first: learning takes much longer, and what was learned is lost now and then.",
  "gamma=0.5": "Two steps ahead is all that counts. The pole is kept up for a while, but the cart drifts away and nobody minds.",
};
const bytes = Uint8Array.from(atob(document.getElementById("kernels").textContent), (c) => c.charCodeAt(0));
const source = URL.createObjectURL(new Blob([document.getElementById("worker").textContent], { type: "text/javascript" }));
let learners = [], paused = false, warning = "";

function settings() {
  const found = Object.fromEntries(CONTROLS.map((id) => [id, Number(value(id))]));
  return { ...found, learning_rate: 10 ** found.rate, total_steps: TOTAL, pause: found.motion };
}

function train() {
  for (const each of learners) each.worker.terminate();
  paused = false;
  document.getElementById("pause").setAttribute("aria-pressed", false);
  const own = settings();
  learners = Array.from({ length: own.seeds }, (_, i) => begin(own.seed + i, own));
  for (const output of document.querySelectorAll("output[for]")) output.textContent = show(value(output.htmlFor));
  remember();
}

function begin(seed, own) {
  const learner = { seed, curve: [], solved: null, worker: new Worker(source) };
  learner.worker.onmessage = ({ data }) => {
    if (data.solved) learner.solved = data.solved;
    if (data.shown) draw.pole(data.shown);
    if (data.report) {
      learner.curve.push(...data.report.curve);
      Object.assign(learner, data);
      stale = true;
    }
  };
  learner.worker.postMessage({ bytes, seed, settings: own });
  return learner;
}

// What differs from the defaults stands in the address, so that a link holds it.
function remember() {
  const changed = CONTROLS.filter((id) => document.getElementById(id).value !== DEFAULTS[id]);
  const hash = `#${changed.map((id) => `${id}=${document.getElementById(id).value}`).join("&")}`;
  document.getElementById("link").href = hash;
  if (hash !== (location.hash || "#")) history.replaceState(null, "", hash);
}

function recall(text) {
  const unknown = [];
  for (const id of CONTROLS) document.getElementById(id).value = DEFAULTS[id];
  for (const [id, given] of new URLSearchParams(text)) {
    const control = CONTROLS.includes(id) ? document.getElementById(id) : null;
    if (control) control.value = given;
    if (!control || Number(control.value) !== Number(given) || control.value === "") {
      unknown.push(`${id}=${given}`);
      if (control) control.value = DEFAULTS[id];
    }
  }
  warning = unknown.length ? `The link asks for ${unknown.join(", ")}, which this page does not have: the default is taken. ` : "";
  document.getElementById("lesson").textContent = LESSONS[text] || "";
  train();
}

// A column of the curves where all seeds are: [thousand steps, mean, lowest, highest].
function band(column) {
  const length = Math.min(...learners.map((each) => each.curve.length));
  return Array.from({ length }, (_, i) => {
    const found = learners.map((each) => each.curve[i][column]);
    const mean = found.reduce((sum, x) => sum + x, 0) / found.length;
    return [learners[0].curve[i][0] / 1000, mean, Math.min(...found), Math.max(...found)];
  });
}

function lines(rows, color) {
  const x = rows.map((row) => row[0]);
  const around = { x: [...x, ...x.slice().reverse()], color: `${color} band`,
    y: [...rows.map((row) => row[2]), ...rows.map((row) => row[3]).reverse()] };
  const middle = { x, y: rows.map((row) => row[1]), color };
  return learners.length > 1 ? [around, middle] : [middle];
}

const draw = {
  curves() {
    const returns = band(1), last = returns.at(-1);
    const x = [0, TOTAL / 1000], xLabel = "thousand steps of the environments";
    chart("returns", { x, y: [0, 510], xLabel, yLabel: "return", label: `Return by steps${last ? `, now ${show(last[1])}` : ""}`,
      lines: [{ x, y: [SOLVED, SOLVED], color: "gray", dashed: true }, ...lines(returns, "blue")] });
    const kl = band(2).map(([at, ...rest]) => [at, ...rest.map((y) => Math.min(Math.max(y, 1e-4), 10))]);
    chart("kl", { x, y: [1e-4, 10], logY: true, xLabel, yLabel: "nats", label: "KL of the old policy to the new one", lines: lines(kl, "blue") });
    chart("shares", { x, y: [0, 1], xLabel, yLabel: "share of samples", label: "Shares of samples outside of the clip range, and without gradient",
      lines: [...lines(band(3), "blue"), ...lines(band(4), "orange")] });
  },
  ratios() {
    const { ratios } = learners[0], epsilon = Number(value("epsilon"));
    if (!ratios) return;
    const bins = 60, low = 0, high = 2, counts = new Array(bins).fill(0);
    for (const r of ratios) counts[Math.min(Math.max(Math.floor(((r - low) / (high - low)) * bins), 0), bins - 1)]++;
    const top = Math.max(...counts) / ratios.length, x = [low], y = [0];
    counts.forEach((count, i) => {
      const edge = (k) => low + ((high - low) * k) / bins;
      x.push(edge(i), edge(i + 1));
      y.push(count / ratios.length, count / ratios.length);
    });
    chart("ratios", { x: [low, high], y: [0, top * 1.05], xLabel: `ratio after epoch ${learners[0].report.epoch}; the last bar has all above`, yLabel: "share of samples",
      label: "Histogram of the ratio with the clip range", marks: [1 - epsilon, 1 + epsilon],
      lines: [{ x: [...x, high], y: [...y, 0], color: "blue band" }] });
  },
  map() {
    const { policy } = learners[0];
    if (!policy) return;
    const side = Math.sqrt(policy.length), x = [-12, 12], y = [-2, 2];
    chart("map", { x, y, xLabel: "angle of the pole, degrees", yLabel: "angular velocity, rad/s", label: "Map of the probability of pushing right" });
    const svg = document.querySelector("#map svg"), wide = (WIDTH - LEFT - RIGHT) / side, tall = (HEIGHT - TOP - BOTTOM) / side;
    policy.forEach((p, i) => svg.append(element("rect", { x: (LEFT + (i % side) * wide).toFixed(1), y: (TOP + Math.floor(i / side) * tall).toFixed(1),
      width: (wide + 0.3).toFixed(1), height: (tall + 0.3).toFixed(1), class: `cell ${p > 0.5 ? "right" : "left"}`, opacity: Math.abs(2 * p - 1).toFixed(2) })));
  },
  pole([x, theta, steps, right]) {
    const canvas = document.getElementById("pole"), at = canvas.getContext("2d"), color = getComputedStyle(document.body);
    const pick = (name) => color.getPropertyValue(name), unit = canvas.width / 5.2, ground = canvas.height * 0.78;
    at.clearRect(0, 0, canvas.width, canvas.height);
    const box = (left, top, width, height, fill) => { at.fillStyle = fill; at.fillRect(left, top, width, height); };
    box(0, ground, canvas.width, 3, pick("--muted"));
    for (const end of [-2.4, 2.4]) box(canvas.width / 2 + end * unit - 2, ground - 20, 4, 40, pick("--muted"));
    const cart = canvas.width / 2 + x * unit;
    box(cart - 50, ground - 44, 100, 44, pick("--ink"));
    at.strokeStyle = pick("--orange");
    at.lineWidth = 14;
    at.lineCap = "round";
    at.beginPath();
    at.moveTo(cart, ground - 44);
    at.lineTo(cart + Math.sin(theta) * 2 * unit, ground - 44 - Math.cos(theta) * 2 * unit);
    at.stroke();
    box(cart, ground + 16, (right > 0.5 ? 1 : -1) * 60, 8, pick("--blue"));
    at.fillStyle = pick("--ink");
    at.font = "24px system-ui, sans-serif";
    at.fillText(`step ${steps}, P(right) ${right.toFixed(2)}`, 16, canvas.height - 24);
  },
  words() {
    const { report, solved } = learners[0];
    if (!report) return;
    const many = learners.filter((each) => each.solved).length;
    const parts = [`${warning}${report.done ? "Trained" : "Training"}: ${report.steps.toLocaleString("en")} steps, return ${report.mean_return.toFixed(0)}, KL ${show(report.kl)} nats, ${(100 * report.outside).toFixed(0)} % outside, ${(100 * report.flat).toFixed(0)} % flat.`];
    if (learners.length > 1) parts.push(`${many} of ${learners.length} seeds have reached ${SOLVED}.`);
    else if (solved) parts.push(`${SOLVED} after ${solved.steps.toLocaleString("en")} steps and ${(solved.elapsed / 1000).toFixed(1)} s of computing.`);
    document.getElementById("readout").setAttribute("aria-live", report.done ? "polite" : "off");
    say(parts.join(" "));
  },
  table() {
    if (!document.querySelector("details").open) return;
    const heads = ["seed", "steps", "return", "KL, nats", "outside", "flat", "475 at step"];
    const rows = learners.filter((each) => each.report).map(({ seed, report, solved }) => [seed, report.steps, show(report.mean_return),
      show(report.kl), show(report.outside), show(report.flat), solved ? solved.steps : ""]);
    const row = (cells, kind) => {
      const made = document.createElement("tr");
      for (const cell of cells) made.appendChild(document.createElement(kind)).textContent = cell;
      return made;
    };
    document.getElementById("table").replaceChildren(row(heads, "th"), ...rows.map((cells) => row(cells, "td")));
  },
};

let stale = false, before = 0, due = 0;
function frame(now) {
  due = Math.min(due + (now - before) / 1000, 0.1);
  before = now;
  const steps = Math.floor(due / TICK);
  if (steps > 0 && !paused) learners[0].worker.postMessage({ steps });
  due -= steps * TICK;
  if (stale) {
    stale = false;
    for (const part of ["curves", "ratios", "map", "words", "table"]) draw[part]();
  }
  requestAnimationFrame(frame);
}

for (const id of CONTROLS) document.getElementById(id).addEventListener("input", () => { warning = ""; train(); });
document.getElementById("again").addEventListener("click", train);
document.getElementById("pause").addEventListener("click", (event) => {
  paused = !paused;
  event.target.setAttribute("aria-pressed", paused);
  for (const each of learners) each.worker.postMessage({ pause: paused });
});
for (const [id, change] of [["left", -1], ["right", 1]]) {
  document.getElementById(id).addEventListener("click", () => learners[0].worker.postMessage({ push: change }));
}
for (const button of document.querySelectorAll("[data-preset]")) {
  button.addEventListener("click", () => recall(button.dataset.preset));
}
document.querySelector("details").addEventListener("toggle", () => { stale = true; });
window.addEventListener("hashchange", () => recall(location.hash.slice(1)));
recall(location.hash.slice(1));
draw.curves();
requestAnimationFrame(frame);
