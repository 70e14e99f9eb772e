"use strict";
// The functions that the sliders call. Each has a twin in Python, named beside it, and a test
// compares them on a grid.

// repro.learning.objectives: none, clip, clip_log. One term.
function term(kind, ratio, advantage, epsilon) {
  if (kind === "none") return ratio * advantage;
  const [low, high] = range(kind, epsilon);
  const clipped = Math.min(Math.max(ratio, low), high);
  return Math.min(ratio * advantage, clipped * advantage);
}

// Its derivative by the ratio, inside of the pieces.
function slope(kind, ratio, advantage, epsilon) {
  if (kind === "none") return advantage;
  const [low, high] = range(kind, epsilon);
  const flat = advantage > 0 ? ratio > high : ratio < low;
  return flat ? 0 : advantage;
}

function range(kind, epsilon) {
  if (kind === "clip_log") return [Math.exp(-epsilon), Math.exp(epsilon)];
  return [1 - epsilon, 1 + epsilon];
}

// repro.learning.advantages.gae, of one actor.
function gae(rewards, values, nextValues, discounts, ends, lambda) {
  const found = new Array(rewards.length);
  let next = 0;
  for (let t = rewards.length - 1; t >= 0; t--) {
    const delta = rewards[t] + discounts[t] * nextValues[t] - values[t];
    next = delta + (ends[t] ? 0 : discounts[t] * lambda * next);
    found[t] = next;
  }
  return found;
}

// repro.networks.distributions.DiagonalGaussian.kl_from, of one action: KL[old, new] in nats.
function gaussianKl(oldMean, oldLogStd, mean, logStd) {
  const precision = Math.exp(-2 * logStd);
  const distance = (mean - oldMean) ** 2 * precision;
  const ratio = Math.exp(2 * oldLogStd) * precision;
  return 0.5 * (distance + ratio - 1) + logStd - oldLogStd;
}

// repro.networks.distributions.Categorical.kl_from.
function categoricalKl(oldLogits, logits) {
  const before = logSoftmax(oldLogits), after = logSoftmax(logits);
  return before.reduce((sum, x, i) => sum + Math.exp(x) * (x - after[i]), 0);
}

function logSoftmax(logits) {
  const top = Math.max(...logits);
  const total = Math.log(logits.reduce((sum, x) => sum + Math.exp(x - top), 0));
  return logits.map((x) => x - top - total);
}

// repro.explain.trust_region.contours, of the Gaussian: points at KL = delta, one a direction.
function gaussianContour(sigma, delta, kind, directions) {
  const points = [], scale = Math.sqrt(2 * delta), start = Math.log(sigma);
  for (let i = 0; i < directions; i++) {
    const angle = (2 * Math.PI * i) / (directions - 1);
    const step = [scale * sigma * Math.cos(angle), (scale * Math.sin(angle)) / Math.SQRT2];
    let low = 0, high = 20;
    for (let k = 0; k < 60 && kind === "exact"; k++) {
      const middle = (low + high) / 2;
      const kl = gaussianKl(0, start, middle * step[0], start + middle * step[1]);
      if (kl < delta) low = middle; else high = middle;
    }
    const length = kind === "exact" ? high : 1;
    points.push([length * step[0], start + length * step[1]]);
  }
  return points;
}

// analysis.reports.explain.figures.baseline_variance.
function baselineVariance(t, b, c) {
  const square = t["q,q"] + b * b * t["one,one"] + c * c * t["value,value"];
  return square - 2 * (b * t["q,one"] + c * t["q,value"] - b * c * t["one,value"]);
}

// numpy.interp at one place.
function interpolate(x, xs, ys) {
  if (x <= xs[0]) return ys[0];
  for (let i = 1; i < xs.length; i++) {
    if (x <= xs[i]) {
      return ys[i - 1] + ((ys[i] - ys[i - 1]) * (x - xs[i - 1])) / (xs[i] - xs[i - 1]);
    }
  }
  return ys[ys.length - 1];
}

if (typeof module !== "undefined") {
  module.exports = {
    baselineVariance, categoricalKl, gae, gaussianContour, gaussianKl, interpolate, slope, term,
  };
}
