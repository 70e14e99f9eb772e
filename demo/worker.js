"use strict";
// The learner: the compiled kernels, and the loop that calls them. It runs in a worker of the page,
// and in node for the tests.

const ARRAYS = ["parameters", "mean", "variance", "clock", "inputs", "actions", "logits",
  "log_prob", "values", "next_values", "advantages", "targets", "ratios", "order", "ends"];
const SETTINGS = ["epsilon", "gamma", "lambda", "learning_rate", "clipping", "bootstrap", "total_steps"];
const SUMMARY = ["steps", "episodes", "mean_return", "kl", "outside", "flat"];

class Kernels {
  constructor(bytes, seed, settings) {
    const module = new WebAssembly.Module(bytes);
    const nothing = {}; // the C library asks for files that it never uses
    for (const each of WebAssembly.Module.imports(module)) {
      (nothing[each.module] ||= {})[each.name] = () => { throw new Error(`${each.name} is called`); };
    }
    this.exports = new WebAssembly.Instance(module, nothing).exports;
    this.exports._initialize();
    this.exports.create(seed);
    this.doubles(this.exports.settings(), SETTINGS.length).set(SETTINGS.map((key) => Number(settings[key])));
  }

  doubles(place, count) {
    return new Float64Array(this.exports.memory.buffer, place, count);
  }

  floats(place, count) {
    return new Float32Array(this.exports.memory.buffer, place, count);
  }

  array(name, count) {
    const integers = name === "order" || name === "ends";
    const place = this.exports.array(ARRAYS.indexOf(name));
    return new (integers ? Int32Array : Float32Array)(this.exports.memory.buffer, place, count);
  }

  summary() {
    const found = this.doubles(this.exports.summary(), SUMMARY.length);
    return Object.fromEntries(SUMMARY.map((key, i) => [key, found[i]]));
  }

  ratios() {
    return this.array("ratios", this.exports.samples()).slice();
  }

  policy() {
    const side = this.exports.grid();
    return this.floats(this.exports.chart_policy(), side * side).slice();
  }

  // The CartPole to look at, after some steps: x, theta, steps of its episode, P(right).
  show(steps) {
    return Array.from(this.doubles(this.exports.show(steps), 4));
  }

  // One iteration; calls `after` with each epoch's number.
  iterate(epochs, after = () => {}) {
    this.exports.collect();
    for (let epoch = 1; epoch <= epochs; epoch++) {
      this.exports.epoch();
      after(epoch);
    }
    this.exports.measure();
  }
}

// In a worker: {bytes, seed, settings} starts, {steps} or {push} concerns the CartPole, {pause} waits.
// settings.pause: milliseconds after each epoch, for slow motion.
function serve(scope) {
  let kernels, settings, paused = false, elapsed = 0;
  const curve = [];
  const sleep = (time) => new Promise((resolve) => setTimeout(resolve, time));
  const turn = () => new Promise((resolve) => { // lets messages in, without a timer's delay
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => { port1.close(); resolve(); };
    port2.postMessage(0);
  });

  function report(epoch, done) {
    const summary = kernels.summary();
    scope.postMessage({ report: { ...summary, epoch, done, elapsed, curve: curve.splice(0) },
      ratios: kernels.ratios(), policy: kernels.policy() });
  }

  async function wait(time) {
    for (let left = time; left > 0; left -= 50) await sleep(Math.min(left, 50));
    while (paused) await sleep(50);
  }

  async function train() {
    let said = 0, solved = null;
    for (let steps = 0; steps < settings.total_steps;) {
      const began = performance.now();
      kernels.exports.collect();
      elapsed += performance.now() - began;
      for (let epoch = 1; epoch <= settings.epochs; epoch++) {
        const start = performance.now();
        kernels.exports.epoch();
        elapsed += performance.now() - start;
        if (settings.pause > 0) {
          kernels.exports.measure();
          report(epoch, false);
          await wait(settings.pause);
        }
      }
      kernels.exports.measure();
      const summary = kernels.summary();
      steps = summary.steps;
      if (solved === null && summary.episodes >= 100 && summary.mean_return >= 475) {
        solved = { steps, elapsed };
        scope.postMessage({ solved });
      }
      curve.push([steps, summary.mean_return, summary.kl, summary.outside, summary.flat]);
      await (paused ? wait(0) : turn());
      if (performance.now() - said > 100) {
        report(settings.epochs, false);
        said = performance.now();
      }
    }
    report(settings.epochs, true);
  }

  scope.onmessage = ({ data }) => {
    if (data.bytes) {
      settings = data.settings;
      kernels = new Kernels(data.bytes, data.seed, settings);
      train();
    } else if (data.steps !== undefined) scope.postMessage({ shown: kernels.show(data.steps) });
    else if (data.push !== undefined) kernels.exports.push(data.push);
    else if (data.pause !== undefined) paused = data.pause;
  };
}

if (typeof WorkerGlobalScope !== "undefined") serve(self);
if (typeof module !== "undefined") module.exports = { Kernels };
