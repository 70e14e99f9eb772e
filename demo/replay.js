"use strict";
// For tests, in node: replay.js KERNELS CASE. Reads a case as JSON and prints what the kernels make of it.

const { readFileSync } = require("node:fs");
const { join } = require("node:path");
const { Kernels } = require(join(__dirname, "worker.js"));

const bytes = readFileSync(process.argv[2]);
const given = JSON.parse(readFileSync(process.argv[3], "utf8"));

// An update from a dump: arrays, orders of K epochs, and a step size.
function update() {
  const kernels = new Kernels(bytes, 0, given.settings);
  for (const [name, values] of Object.entries(given.arrays)) kernels.array(name, values.length).set(values);
  for (const order of given.orders) {
    kernels.array("order", order.length).set(order);
    kernels.exports.update(given.learning_rate);
  }
  return Object.fromEntries(["parameters", "mean", "variance"].map(
    (name) => [name, Array.from(kernels.array(name, given.arrays[name].length))]));
}

// Advantages of given values and ends.
function estimate() {
  const kernels = new Kernels(bytes, 0, given.settings);
  for (const [name, values] of Object.entries(given.arrays)) kernels.array(name, values.length).set(values);
  kernels.exports.estimate();
  return Array.from(kernels.array("advantages", kernels.exports.samples()));
}

// States of CartPole along actions.
function steps() {
  const kernels = new Kernels(bytes, 0, given.settings);
  const place = kernels.exports.summary(); // room that nobody uses meanwhile
  kernels.doubles(place, 4).set(given.state);
  return given.actions.map((action) => {
    const end = kernels.exports.step_from(place, action);
    return [...kernels.doubles(place, 4), end];
  });
}

// For each case the curve of a whole run, and when it has reached 475.
function train() {
  return given.cases.map(({ seed, settings }) => {
    const kernels = new Kernels(bytes, seed, settings), curve = [];
    let elapsed = 0, solved = null, summary;
    do {
      const start = performance.now();
      kernels.iterate(settings.epochs);
      elapsed += performance.now() - start;
      summary = kernels.summary();
      curve.push(summary);
      if (solved === null && summary.episodes >= 100 && summary.mean_return >= 475) solved = { steps: summary.steps, elapsed };
    } while (summary.steps < settings.total_steps && !(given.stop && solved));
    return { curve, solved, elapsed };
  });
}

console.log(JSON.stringify({ update, estimate, steps, train }[given.what]()));
