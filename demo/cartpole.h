// CartPole-v1 of Gymnasium 1.4 (after Barto, Sutton & Anderson 1983): the same numbers in the same
// order, in double precision.

#pragma once

#include <cmath>

enum End { kGoesOn = 0, kTerminated = 1, kTruncated = 2 };

struct CartPole {
  static constexpr int kTimeLimit = 500;
  double x = 0, x_dot = 0, theta = 0, theta_dot = 0;  // m, m/s, rad, rad/s
  int steps = 0;

  // draw: uniform on [0, 1).
  template <class Draw>
  void reset(Draw&& draw) {
    for (double* value : {&x, &x_dot, &theta, &theta_dot}) *value = 0.1 * draw() - 0.05;
    steps = 0;
  }

  void observe(float* out) const {
    out[0] = x, out[1] = x_dot, out[2] = theta, out[3] = theta_dot;
  }

  // action: 0 pushes left, 1 right. The reward of every step is 1.
  End step(int action) {
    const double gravity = 9.8, masspole = 0.1, total_mass = 1.1, length = 0.5;  // half the pole's
    const double polemass_length = masspole * length, tau = 0.02;
    const double force = action == 1 ? 10.0 : -10.0;
    const double costheta = std::cos(theta), sintheta = std::sin(theta);
    const double temp = (force + polemass_length * (theta_dot * theta_dot) * sintheta) / total_mass;
    const double thetaacc = (gravity * sintheta - costheta * temp) /
                            (length * (4.0 / 3.0 - masspole * (costheta * costheta) / total_mass));
    const double xacc = temp - polemass_length * thetaacc * costheta / total_mass;
    x += tau * x_dot;
    x_dot += tau * xacc;
    theta += tau * theta_dot;
    theta_dot += tau * thetaacc;
    ++steps;
    if (std::abs(x) > 2.4 || std::abs(theta) > 12 * 2 * M_PI / 360) return kTerminated;
    return steps >= kTimeLimit ? kTruncated : kGoesOn;
  }
};
