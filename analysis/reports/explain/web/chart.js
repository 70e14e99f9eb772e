"use strict";
// Small charts as SVG, and what the pages share. Colors are classes, so that dark mode is CSS.

const WIDTH = 360, HEIGHT = 250, LEFT = 52, RIGHT = 18, TOP = 10, BOTTOM = 40, ROOM = 112, ROW = 27;

function element(name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

// how: {x: [low, high], y: [low, high], logX, logY, xLabel, yLabel, label, lines, points, marks, names}
// lines: [{x, y, color, dashed}], points: [{x, y, color}], marks: x values of vertical lines, names: of the rows
// 0, 1, ... from above, in place of y's numbers. Returns the functions from values to places: {svg, x, y}.
function chart(id, how) {
  const place = document.getElementById(id);
  const height = how.names ? TOP + BOTTOM + ROW * how.names.length : HEIGHT;
  const svg = element("svg", { viewBox: `0 0 ${WIDTH} ${height}`, role: "img" });
  svg.setAttribute("aria-label", how.label);
  const scale = (range, log, from, to) => {
    const f = log ? Math.log10 : (v) => v;
    const [low, high] = range.map(f);
    return (v) => from + ((f(v) - low) / (high - low)) * (to - from);
  };
  const left = how.names ? ROOM : LEFT, rows = how.names && [how.names.length - 0.5, -0.5];
  if (rows) how = { ...how, y: rows };
  const x = scale(how.x, how.logX, left, WIDTH - RIGHT);
  const y = scale(how.y, how.logY, height - BOTTOM, TOP);
  for (const tick of ticks(how.x, how.logX)) {
    svg.append(element("line", { x1: x(tick), x2: x(tick), y1: TOP, y2: height - BOTTOM, class: "grid" }));
    svg.append(element("text", { x: x(tick), y: height - BOTTOM + 15, "text-anchor": "middle" }, show(tick)));
  }
  for (const tick of rows ? how.names.keys() : ticks(how.y, how.logY)) {
    svg.append(element("line", { x1: left, x2: WIDTH - RIGHT, y1: y(tick), y2: y(tick), class: "grid" }));
    svg.append(element("text", { x: left - 5, y: y(tick) + 4, "text-anchor": "end" }, rows ? how.names[tick] : show(tick)));
  }
  svg.append(element("text", { x: (left + WIDTH - RIGHT) / 2, y: height - 5, "text-anchor": "middle" }, how.xLabel));
  const middle = (TOP + height - BOTTOM) / 2;
  svg.append(element("text", { x: 10, y: middle, "text-anchor": "middle", transform: `rotate(-90 10 ${middle})` }, how.yLabel));
  const inside = (v, range) => v >= Math.min(...range) && v <= Math.max(...range);
  for (const mark of how.marks || []) {
    svg.append(element("line", { x1: x(mark), x2: x(mark), y1: TOP, y2: height - BOTTOM, class: "mark" }));
  }
  for (const line of how.lines || []) {
    const path = line.x.map((v, i) => [v, line.y[i]]).filter(([a, b]) => inside(a, how.x) && inside(b, how.y));
    const points = path.map(([a, b]) => `${x(a).toFixed(1)},${y(b).toFixed(1)}`).join(" ");
    svg.append(element("polyline", { points, class: `line ${line.color}${line.dashed ? " dashed" : ""}` }));
  }
  for (const dots of how.points || []) {
    dots.x.forEach((v, i) => {
      if (inside(v, how.x) && inside(dots.y[i], how.y)) {
        svg.append(element("circle", { cx: x(v).toFixed(1), cy: y(dots.y[i]).toFixed(1), r: dots.size || 2.2, class: dots.color }));
      }
    });
  }
  place.replaceChildren(svg);
  return { svg, x, y };
}

function ticks([low, high], log) {
  const found = [];
  if (log) {
    for (let k = Math.ceil(Math.log10(low)); k <= Math.log10(high) + 1e-9; k++) found.push(10 ** k);
    return found;
  }
  const rough = (high - low) / 5, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((m) => m * power >= rough);
  for (let v = Math.ceil(low / step - 1e-9) * step; v <= high + step * 1e-6; v += step) found.push(v);
  return found;
}

function show(value) {
  if (Math.abs(value) < 1e-12) return "0";
  const digits = Number(value).toPrecision(3);
  return String(Number(digits));
}

function span(low, high, count) {
  return Array.from({ length: count }, (_, i) => low + ((high - low) * i) / (count - 1));
}

function value(id) {
  const input = document.getElementById(id);
  return input.type === "range" ? Number(input.value) : input.value;
}

function say(text) {
  document.getElementById("readout").textContent = text;
}

// Calls `draw` now and whenever a control moves; each slider shows its value beside it.
function start(draw) {
  const again = () => {
    for (const output of document.querySelectorAll("output[for]")) {
      output.textContent = show(value(output.htmlFor));
    }
    draw();
  };
  for (const control of document.querySelectorAll("input, select")) {
    control.addEventListener("input", again);
  }
  again();
}
