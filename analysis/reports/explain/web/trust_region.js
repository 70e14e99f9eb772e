"use strict";
start(() => {
  const delta = 10 ** value("delta"), sigma = 10 ** value("sigma"), step = value("step");
  const exact = gaussianContour(sigma, delta, "exact", 145), ellipse = gaussianContour(sigma, delta, "fisher", 145);
  const kl = gaussianKl(0, Math.log(sigma), step, Math.log(sigma));
  const line = (points, more) => ({ x: points.map((p) => p[0]), y: points.map((p) => p[1]), ...more });
  const inside = kl <= delta ? "inside" : "outside";
  chart("first", {
    x: [-1.2, 1.2], y: [-4, 1], xLabel: "μ", yLabel: "log σ",
    label: `Policies at KL = ${show(delta)} from σ = ${show(sigma)}. The step of the mean is ${inside}.`,
    lines: [line(exact, { color: "blue" }), line(ellipse, { color: "pink", dashed: true })],
    points: [{ x: [0], y: [Math.log(sigma)], color: "blue", size: 4 },
      { x: [step], y: [Math.log(sigma)], color: kl <= delta ? "green" : "orange", size: 5 }],
  });
  const colors = { trpo: "orange", ppo: "blue", "adam_0.1": "green" };
  chart("second", {
    x: [-0.1, 1.3], y: [-2.6, -1], xLabel: "μ (the best action is 1)", yLabel: "log σ",
    label: "Twelve real updates of TRPO, PPO and a plain gradient from one start.",
    lines: Object.entries(DATA).map(([name, d]) => ({ x: d.mean, y: d.log_std, color: colors[name] })),
    points: Object.entries(DATA).map(([name, d]) => ({ x: d.mean, y: d.log_std, color: colors[name], size: 3 })),
  });
  say(`A step of ${show(step)} in the mean is ${show(kl)} nats at σ = ${show(sigma)}: ${inside} of the trust ` +
    `region of ${show(delta)} nats.`);
});
